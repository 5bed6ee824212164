/*
 * route - what an event becomes: its mappings are evaluated within the turn
 * that stores it, and so are those of what they emit, to the end of the chain.
 *
 * Accepting never depends on a mapping: an evaluation that errs, asks or waits
 * is a record about that mapping at that subject (hold.h) and nothing else
 * stops. The only errors that come back are those that drop the whole turn
 * (disk full, memory).
 */
#ifndef VAYLA_CORE_ROUTE_H
#define VAYLA_CORE_ROUTE_H

#include "broker/core/guard.h"
#include "broker/core/hold.h"

#define ROUTE_DERIVED 1000	  /* events from one root in one turn */
#define ROUTE_BYTES (1024 * 1024) /* and their data */
#define ROUTE_RERUNS 2000	  /* evaluations anew in one turn */

struct fates;
struct rerun;
struct seen;
struct asked;

struct router {
	struct core *core;
	struct batch *batch;
	struct holds *holds;
	struct guard *guard;
	struct eval *eval;
	struct fact *cursor; /* the last fact whose routes were run */
	uint32_t derived;    /* from the root at hand */
	size_t bytes;
	struct rerun *revised, *revised_last; /* sequences replaced */
	struct seen *seen; /* reads of this turn's own facts */
	uint32_t reruns;
	struct asked *asked; /* questions of this turn that hold nothing */
};

enum err router_init(struct router *r, struct core *core, struct batch *b,
    struct holds *h, struct guard *g) MUST_CHECK;
void router_fini(struct router *r);
void router_begin(struct router *r); /* a turn begins */

/* A new native event: subject and refs scoped, revision set. */
enum err route_event(
    struct router *r, struct event *e, uint64_t prev) MUST_CHECK;
/* Evaluate what a lane holds, in order, as far as it goes. */
enum err route_resume(struct router *r, struct hold *l) MUST_CHECK;
/* Facts that were replaced in this turn: evaluate anew who read them. */
enum err route_reruns(struct router *r) MUST_CHECK;
/* Replay: evaluate one event by one mapping once more. ERR_STATE when it does
 * not take it. */
enum err route_again(
    struct router *r, const struct route *rt, uint64_t seq) MUST_CHECK;
/* What that would do, without doing it. ERR_NOTFOUND: nothing to evaluate;
 * other errors are what the mapping would be held for. */
enum err route_plan(struct router *r, const struct route *rt, uint64_t seq,
    struct slice *subject, struct fates *out) MUST_CHECK;
/* Evaluate one event by a ruleset's route and nothing else: joins see what is
 * before batch.seq0. The result lives until the next evaluation. */
const struct result *route_eval(struct router *r, const struct ruleset *rules,
    const struct route *rt, const struct fact *f);
/* A wait ran out. */
void route_expire(struct router *r, struct hold *l);

#endif
