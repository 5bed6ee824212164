/*
 * delivery - requests on their way out: one subscription a system, one lane a
 * subject that has something open, one delivery in flight a lane.
 *
 * Invariants: everything here but what is in flight can be read from the index
 * again; a lane's head is the lowest open sequence of its subject; lanes that
 * are not parked are at most LANES_MAX a subscription, what lies beyond is read
 * in pages when there is room (memory follows work in hand, not backlog);
 * nothing changes here before the turn that says so is on disk.
 */
#ifndef VAYLA_CORE_DELIVERY_H
#define VAYLA_CORE_DELIVERY_H

#include "broker/core/alarm.h"
#include "broker/core/batch.h"
#include "broker/core/bus.h"
#include "broker/core/session.h"

#define LANES_MAX 8192 /* a subscription has in memory at once */
#define LANES_PAGE 1024
#define DELIVERY_LOSSES 3
#define DELIVERY_PATIENCE_MS 120000
#define DELIVERY_DEFER_MS 30000
#define DELIVERY_AFTER_MAX (24 * 3600 * INT64_C(1000))

enum lane_state {
	LANE_READY,
	LANE_HAND,  /* with a connector */
	LANE_LATER, /* at its alarm */
	LANE_STUCK  /* parked, or a question: a person acts */
};

struct lane {
	struct sub *sub;
	uint64_t seq;
	uint32_t attempt; /* attempts used up */
	enum lane_state state;
	bool again;    /* it may have been carried out */
	bool suspect;  /* was in hand when its session was lost */
	bool more;     /* later ones of this subject are open */
	bool settling; /* this turn holds its settlement */
	uint32_t lost; /* losses in a row while alone in hand */
	size_t bytes;  /* LANE_HAND: what it takes of the credit */
	struct alarm alarm;
	struct lane *prev, *next; /* of the ready ones */
	size_t subject_n;
	uint8_t subject[];
};

struct sub {
	char name[33];
	bool live, paused;
	int64_t since; /* facts before it are passed over, ns; 0: none */
	struct table lanes;
	struct lane *ready_first, *ready_last;
	uint64_t loaded; /* lanes are in memory up to here ... */
	bool more;	 /* ... and there may be open ones beyond */
	size_t waiting;	 /* lanes that are not stuck */
	/* of the session that has it */
	struct session *session;
	uint32_t window, in_hand, suspects;
	size_t bytes, bytes_in_hand;
	int64_t patience_ms;
	int64_t stalled;  /* the peer's queue was full: not before */
	int64_t stall_ms; /* how long the last pause for it was */
	uint64_t settled, lost, sent;
	uint64_t verdicts[SETTLE_ASK + 1]; /* of its connector, by verdict */
};

/* What a turn does to a lane, once it is on disk. */
struct settled {
	struct sub *sub;
	struct slice subject; /* batch's arena */
	uint64_t seq;
	uint32_t attempt;
	int64_t due;
	enum { SETTLED_DONE, SETTLED_LATER, SETTLED_STUCK, SETTLED_FRESH } to;
	enum settle_verdict verdict; /* the connector's; SKIP: nobody's */
	struct settled *next;
};

/* Something the broker itself has to record about a delivery. */
struct pass {
	struct sub *sub;
	uint64_t seq;
	bool park; /* else skip */
	const char *text;
	struct pass *next;
};

struct delivery {
	struct core *core;
	struct bus *bus;
	struct sub *subs;
	size_t subs_n;
	struct alarms alarms;		  /* of lanes: patience and retries */
	struct settled *turn, *turn_last; /* of the turn in the making */
	struct pass *passes;
	struct batch *batch;
};

enum err delivery_init(struct delivery *d, struct core *core, struct bus *bus,
    struct batch *b) MUST_CHECK;
void delivery_fini(struct delivery *d);
struct sub *delivery_sub(struct delivery *d, struct slice name);

/* A session subscribes, or ends; `clean`: it said BYE. */
void delivery_attach(struct delivery *d, struct sub *s, struct session *who,
    uint32_t window, size_t bytes, int64_t patience_ms);
void delivery_detach(struct delivery *d, struct session *who, bool clean);
void delivery_extend(struct delivery *d, struct session *who, uint64_t seq);

/* ---- within a turn ---- */
void delivery_begin(struct delivery *d);
/* Record a connector's settlement, if that delivery is open at its head. */
enum err delivery_settle(
    struct delivery *d, struct sub *s, const struct settle *in) MUST_CHECK;
/* ERR_STATE when nothing is open there. */
enum err delivery_retry(struct delivery *d, const struct action *a) MUST_CHECK;
enum err delivery_skip(struct delivery *d, const struct action *a) MUST_CHECK;
/* What the broker decided since the last turn. */
enum err delivery_passes(struct delivery *d) MUST_CHECK;

/* ---- when the turn is on disk ---- */
void delivery_commit(struct delivery *d);
void delivery_state(struct delivery *d, const struct action *a);

/* Alarms that are due, then send what may be sent. */
void delivery_pump(struct delivery *d);
/* When to pump again at the latest (monotonic), INT64_MAX: never. */
int64_t delivery_next(const struct delivery *d);

/* How long until attempt `n` (from 1) is followed by the next, in ms, with
 * `dice` in [0, 1000). Pure. */
int64_t delivery_backoff(const struct retry_rule *r, uint32_t n, uint32_t dice);

#endif
