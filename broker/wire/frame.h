/*
 * frame - messages of PROTOCOL.md: three ZeroMQ frames,
 *     "VY1" VERB | header: msgpack map | blob: records one after the other
 * (the first frame of a HELLO is the 8 bytes VY1HELLO), and the records in a
 * blob: msgpack arrays [kind, body].
 */
#ifndef VAYLA_WIRE_FRAME_H
#define VAYLA_WIRE_FRAME_H

#include "broker/wire/event.h"

#define FRAME_MAX (256 * 1024)		   /* of a PUB with several records */
#define FRAME_MAX_ONE (1024 * 1024 + 4096) /* of a PUB with one event */
#define FRAME_HEADER 4096
#define FRAME_RECORDS 1024 /* in one PUB */
#define SETTLE_TEXT \
	4096 /* a settlement's text, path, where; cut when written */

enum verb {
	VERB_HELLO,
	VERB_PUB,
	VERB_SUB,
	VERB_ASK,
	VERB_PING,
	VERB_BYE,
	VERB_WELCOME,
	VERB_PUBOK,
	VERB_PUBNO,
	VERB_EVT,
	VERB_REPLY,
	VERB_PONG,
	VERB_ERR,
	VERB_COUNT
};
const char *verb_name(enum verb v); /* "HELLO" */

/* The first frame's bytes; VERB_COUNT when it is none of ours. */
enum verb verb_read(struct slice frame);
void verb_write(struct buf *out, enum verb v);

/* Also the kinds of records in the log; never renumber. */
enum record_kind {
	REC_EVENT = 1,
	REC_SETTLE = 2,
	REC_ACTION = 3,
	REC_TIMER = 4 /* log only */
};

/* The next record of a blob: its kind (never TIMER, which no peer may send) and
 * its body's bytes, a map, checked by mp_check. false at the end, *e = ERR_OK,
 * and for a malformed one, *e = ERR_SYNTAX or what mp_check said. */
bool record_next(
    struct mp_in *in, enum record_kind *kind, struct slice *body, enum err *e);
void record_write(struct buf *out, enum record_kind kind, struct slice body);

/* What became of a delivery, or of a mapping's evaluation (sub "map:..."). */
enum settle_verdict {
	SETTLE_OK,
	SETTLE_RETRY,
	SETTLE_DEFER,
	SETTLE_REJECT,
	SETTLE_ASK,
	/* the broker's own, in the log only: */
	SETTLE_WAIT,   /* a mapping waits for another event */
	SETTLE_BEHIND, /* held behind an earlier one of its subject */
	SETTLE_SKIP    /* passed over: by rule or by a person */
};
const char *settle_name(enum settle_verdict v);	       /* "ok" ... */
enum settle_verdict settle_by_name(struct slice name); /* SKIP+1 if none */

struct settle {
	struct slice sub; /* system's name, or "map:SYSTEM/NAME" */
	uint64_t seq;	  /* the event delivered or evaluated */
	enum settle_verdict verdict;
	uint32_t attempt;  /* from 1 */
	int64_t after_ms;  /* RETRY, DEFER: as the far side asked; 0 = ours */
	int64_t due;	   /* log: when it comes again or the wait ends, ns */
	bool parked;	   /* log: attempts are spent, or it cannot go on */
	struct slice text; /* what is wrong, where, what to do */
	struct slice path, where; /* mapping: output path, file:line:column */
	struct slice table, key;  /* ASK */
	struct slice wait_type, wait_key; /* WAIT */
	bool wait_by_ref;
	struct slice effect; /* msgpack map: digest (bin) status (int) remote
				(text) ms (int) excerpt (bin, sealed whole in
				the log under the event's slot) */
};
/* `out` is filled whole, absent fields empty. Keys are the members' names, the
 * verdict by its name; ERR_MISSING without sub, seq and verdict. A peer may
 * send wait, behind, skip, due and parked as well: the caller refuses them. */
enum err settle_read(struct slice mp, struct settle *out) MUST_CHECK;
void settle_write(struct buf *out, const struct settle *s);

/* A person's act, or a ruleset taken into use. */
struct action {
	struct slice act; /* "ruleset" "reload" "deploy" "rollback" "retry"
			     "skip" "edit" "snooze" "answer" "pause" "resume"
			     "live" "replay" */
	struct slice by;  /* who */
	struct slice reason;
	struct slice sub; /* retry, skip: which subscription */
	uint64_t seq;
	struct slice system, map, table, key, row; /* answer; pause, live */
	/* ruleset, reload, deploy, rollback: bin 32; `seq` is then that of the
	 * act before it that took a ruleset into use, and `row` the files that
	 * it changed */
	struct slice hash;
	struct slice since; /* live */
	struct slice data;  /* edit: one value; never stored in the action */
	int64_t until;	    /* snooze */
};
/* As settle_read; ERR_MISSING without act. */
enum err action_read(struct slice mp, struct action *out) MUST_CHECK;
void action_write(struct buf *out, const struct action *a);
/* Does it take a ruleset into use? */
bool action_is_ruleset(const struct action *a);

/* Something's time is over: what the record TIMER holds. */
struct timer {
	struct slice sub; /* of the open item */
	uint64_t seq;
	struct slice what; /* "wait" */
};
enum err timer_read(struct slice mp, struct timer *out) MUST_CHECK;
void timer_write(struct buf *out, const struct timer *t);

/* All slices SLICE_EMPTY, numbers 0. */
void settle_init(struct settle *s);
void action_init(struct action *a);

#endif
