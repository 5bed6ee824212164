/*
 * parcel - the way of a parcel as its scans tell it: to the customer, late,
 * lost, unclaimed and back to the sender, or from a customer who sends goods
 * back.
 *
 * Invariant: scans stand in the order of their time, each later than the one
 * before; `end` is what the last of them that says anything leaves.
 */
#ifndef VAYLA_SIM_PARCEL_H
#define VAYLA_SIM_PARCEL_H

#include "connectors/sim/order.h"

#define PARCEL_SCANS 8

/* way, text, percent of those that leave the shop */
#define WAY_TABLE(X)                                 \
	X(FETCHED, "fetched", 58)                    \
	X(DOOR, "brought to the door", 16)           \
	X(DELAYED, "delayed", 9)                     \
	X(MISSED, "nobody at home, then fetched", 7) \
	X(UNCLAIMED, "never fetched, sent back", 6)  \
	X(LOST, "lost", 4)

enum way {
#define WAY_ENUM(name, text, percent) WAY_##name,
	WAY_TABLE(WAY_ENUM)
#undef WAY_ENUM
	    WAY_HOME, /* from the customer, back to the shop */
	WAY_COUNT
};
const char *way_text(enum way w);
enum way way_pick(struct rng *r);

struct scan {
	const char *status; /* announced accepted in_transit ... or unknown */
	const struct place *place;
	int64_t at;
};

struct parcel {
	char number[24];
	enum way way;
	size_t n;
	struct scan scans[PARCEL_SCANS];
	const char *end;
};

/* `at` is when it is handed over to the carrier. */
void parcel_make(struct parcel *p, const struct order *o, enum way way,
    int64_t at, struct rng *r);

/* One of its scans as a sim.scan: one msgpack map. */
void parcel_write(struct buf *out, const struct order *o,
    const struct parcel *p, size_t scan);

#endif
