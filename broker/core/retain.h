/*
 * retain - how long the journal is kept (broker.retention: {age, size}).
 *
 * A thread looks once a minute which closed segments are older than `age`, or
 * too much by `size`, oldest first, and trims those that nothing pins: open
 * work (to be delivered, waiting, asked, parked), or a join's recorded read
 * whose reader stays. A pin keeps its own segment, not its successors. What
 * stays of a trimmed one: what people did, settlements of events that are kept,
 * and newer revisions of facts whose older one is kept. Then the index forgets,
 * and rulesets that no kept event can name are removed.
 *
 * The thread only reads and prepares; each trim is put in place by the turn
 * thread between two turns (retain_step()), if nothing has come to need the
 * segment since.
 */
#ifndef VAYLA_CORE_RETAIN_H
#define VAYLA_CORE_RETAIN_H

#include "broker/core/core.h"

struct retain;

/* NULL in *out when vayla.yaml sets no limit. */
enum err retain_start(struct retain **out, const struct core *core) MUST_CHECK;
void retain_stop(struct retain *r); /* NULL is a no-op */

/* Turn thread, between turns. ERR_SYNC and ERR_IO are the journal's. */
enum err retain_step(struct retain *r) MUST_CHECK;

#define RETAIN_PINS 8
struct retain_pin {
	uint64_t first, next; /* a segment past its time */
	uint64_t items;	      /* open work there */
	bool reads;	      /* or a join that read there */
};
struct retain_stat {
	uint64_t segments; /* with all their records */
	uint64_t trimmed;  /* what little is left of others */
	int64_t oldest;	   /* no record of the former is older; 0: none */
	uint64_t gone;	   /* records let go of since the start */
	uint64_t saved;	   /* bytes */
	uint64_t pinned;   /* segments past their time that stay */
	struct retain_pin pin[RETAIN_PINS]; /* the oldest of them */
};
/* As of the last look. Any thread; all 0 without a limit. */
void retain_stat(struct retain *r, struct retain_stat *out);

#endif
