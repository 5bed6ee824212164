/*
 * far - the far side that answers: what the played systems would give when they
 * are asked over HTTP, at the loopback addresses that vayla.yaml has for them
 * (the setting `url`).
 *
 * A pack's map says of a request where its body stands in the system's API
 * (`listed` in sim.request); that list is then given page by page, by the time
 * of change; GET PATH/ID gives one, and PUT changes the fields it names and is
 * remembered. Nothing here knows a product. It runs when far_run() is called
 * and at no other time. Rejected: a thread of its own; what is listed would
 * need a lock.
 */
#ifndef VAYLA_SIM_FAR_H
#define VAYLA_SIM_FAR_H

#include "connectors/sim/actor.h"

struct far;

/* One listener for each actor with such a url; none is no error, and *out is
 * NULL then. faults: percent of requests answered 500, 429
 * with Retry-After, HTML, FAILED inside a 200, half an answer, or none, at once
 * or after a while. */
enum err far_open(struct far **out, const struct actors *a, uint64_t seed,
    int64_t faults) MUST_CHECK;
void far_free(struct far *f);

/* Does the system that sends this one answer, and is its body listed there? */
bool far_has(const struct far *f, const struct message *m);

/* It stands in the list from now on; an older state of the same one does not.
 */
enum err far_keep(struct far *f, const struct message *m) MUST_CHECK;

void far_run(struct far *f);

/* The same for so long; with NULL, time goes by. */
void far_wait(struct far *f, int ms);

struct far_counts {
	uint64_t asked, faults, changed, items;
};
struct far_counts far_counts(const struct far *f);

#endif
