/*
 * gate - when the next request to a system may go out: rate, parallelism, a
 * breaker, and as long as the far side asked us to wait.
 *
 * The breaker: after `failures` in a row nothing goes out for `pause`; then one
 * request does, and the others wait for what becomes of it. Success opens all,
 * failure doubles the pause, up to GATE_PAUSE_MAX times. No clock of its own.
 */
#ifndef VAYLA_HTTP_GATE_H
#define VAYLA_HTTP_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/http/plan.h"

#define GATE_PAUSE_MAX 10

struct gate {
	const struct plan_limits *limits;
	int64_t running;
	int64_t next_at;    /* mono: by the rate */
	int64_t hold_until; /* mono: by Retry-After */
	int64_t failures;   /* in a row */
	int64_t open_until; /* mono; 0: closed */
	int64_t pauses;	    /* in a row */
	bool probing;
};

enum gate_word {
	GATE_GO,
	GATE_WAIT, /* in `*ms` at the earliest; INT64_MAX: when one returns */
	GATE_SHUT  /* not before `*ms` have passed */
};

void gate_init(struct gate *g, const struct plan_limits *limits);
enum gate_word gate_ask(const struct gate *g, int64_t now, int64_t *ms);
void gate_begin(struct gate *g, int64_t now);

/* What became of it; ABORTED says nothing of the far side. True when the
 * breaker changed. */
enum gate_end { GATE_WORKED, GATE_FAILED, GATE_ABORTED };
bool gate_end(struct gate *g, int64_t now, enum gate_end how);

/* The far side asks for so long a pause. */
void gate_hold(struct gate *g, int64_t now, int64_t ms);

#endif
