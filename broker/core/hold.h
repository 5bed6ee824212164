/*
 * hold - mappings that cannot go on at a subject: one lane for each mapping and
 * subject that has an open item. The lane knows the item at its head; those
 * behind it are found by index, so memory follows blocked subjects and not
 * backlog.
 *
 * Invariant: a lane exists exactly while the journal, this turn's records
 * included, holds an open item of that mapping and subject. When a turn is
 * dropped, holds_load() makes memory equal to the index again.
 */
#ifndef VAYLA_CORE_HOLD_H
#define VAYLA_CORE_HOLD_H

#include "broker/core/alarm.h"
#include "broker/core/batch.h"

#define HOLD_SUB (5 + 33 + EVENT_TEXT) /* "map:SYSTEM/NAME" */

struct hold {
	struct slice sub, subject;
	uint64_t head; /* the item to be evaluated; <= done: to be looked up */
	uint64_t done; /* every item up to here is resolved */
	uint64_t last; /* the highest item */
	uint64_t settle;  /* the record that says why, 0 when unknown */
	uint64_t trouble; /* a hash of what it says, 0 when unknown */
	enum open_state state;
	struct slice wait_type, wait_key;
	bool wait_by_ref;
	struct alarm alarm; /* WAIT, RETRY */
	bool queued;
	uint64_t turn;	   /* not to be resumed in the turn that begins here */
	struct hold *next; /* queue */
	uint8_t bytes[];
};

struct holds {
	struct core *core;
	struct table lanes; /* (sub, subject) */
	struct table waits; /* wait_key -> lanes */
	struct alarms alarms;
	struct hold *run_first, *run_last;
};

void holds_init(struct holds *h, struct core *core);
void holds_fini(struct holds *h);
/* Forget everything and read it from the index, for the mappings in force. */
enum err holds_load(struct holds *h) MUST_CHECK;
/* Every lane is to be evaluated anew: a new ruleset. Of one mapping only when
 * `sub` is not empty, and then only those that ask. */
void holds_rerun(struct holds *h, struct slice sub);
/* Those that ask, whatever it is: whose a ref is was said. */
void holds_asked(struct holds *h);

struct hold *hold_find(
    const struct holds *h, struct slice sub, struct slice subject);

/* An item's evaluation came to nothing; s says why and is recorded. Makes the
 * lane, or changes the state of its head. */
void hold_put(struct holds *h, struct batch *b, struct slice subject,
    const struct settle *s);
/* An event behind the lane's head. */
void hold_behind(
    struct holds *h, struct batch *b, struct hold *l, uint64_t seq);
/* The head is resolved. */
void hold_done(struct hold *l);
void hold_free(struct holds *h, struct hold *l);

/* To be evaluated as soon as a turn has room. */
void hold_queue(struct holds *h, struct hold *l);
struct hold *hold_next(struct holds *h); /* takes it from the queue */

/* An event appeared at a subject, or a ref got one: queue who waits for it. */
void hold_wake(struct holds *h, struct slice type, struct slice subject);
void hold_wake_ref(struct holds *h, struct slice ref);

/* What this settlement says, as a number; for "the same as before?". */
uint64_t hold_trouble(const struct settle *s);

#endif
