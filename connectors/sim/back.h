/*
 * back - what comes back of an order: pieces of its lines, or a line made
 * cheaper, as the shop's refund with its VAT.
 *
 * Invariant: all credits of one order together never give back more of a line
 * than stood on it, to the cent; a line that came back whole is given back
 * whole, in however many parts. A credit without lines is a sum, and then the
 * only one of its order.
 */
#ifndef VAYLA_SIM_BACK_H
#define VAYLA_SIM_BACK_H

#include "connectors/sim/order.h"

#define BACK_CREDITS 2 /* of one order */

struct back_line {
	size_t of;	  /* of the order's lines */
	int64_t quantity; /* 0: made cheaper */
	struct amount part;
};

struct credit {
	int64_t id;
	const char *reason;
	size_t lines_n;
	struct back_line lines[ORDER_LINES];
	bool shipping; /* the whole of it, too */
	int64_t gross; /* cents, of it all; 0: there is no such credit */
};

/* How likely in percent something of this order comes back. */
unsigned back_percent(const struct order *o);

/* Why money goes back. */
enum back { BACK_RETURN, BACK_UNCLAIMED, BACK_LOST };

/* One or several credits of an order that was paid; the number of them, which
 * may be none. */
size_t back_make(struct credit out[BACK_CREDITS], const struct order *o,
    enum back why, struct rng *r);

/* As a sim.refund: one msgpack map. */
void back_write(
    struct buf *out, const struct order *o, const struct credit *c, int64_t at);

#endif
