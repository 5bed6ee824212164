/*
 * week - many orders' scripts as one timeline: when each message happens, and
 * when it arrives, which is not the same. Some are late by hours or a day, some
 * come two or three times, and what was sent first may arrive last.
 *
 * Invariant: the same seed, first number, count, beginning and days give the
 * same timeline. Scripts are made anew for each message, so that a week of any
 * size is held in a few bytes a message.
 */
#ifndef VAYLA_SIM_WEEK_H
#define VAYLA_SIM_WEEK_H

#include <stdio.h>

#include "connectors/sim/script.h"

#define WEEK_DAYS_MAX 366

struct week_item {
	int64_t arrives; /* ns since the epoch, simulated */
	uint32_t order;	 /* from 0 */
	uint8_t step, copy;
	bool late, unlucky; /* unlucky: lost, where its system can be asked */
	bool lost;	    /* what came of it: it was not sent */
	int status, tries;  /* what came of it; 0 before */
};

struct week {
	uint64_t seed;
	int64_t first, orders, start, days;
	size_t n;	     /* messages of orders */
	size_t settlements;  /* after them: v[n] to v[n + settlements - 1] */
	struct week_item *v; /* by order and step */
	uint32_t *turn;	     /* of v, in the order of arrival */
	size_t late, copies;
};

enum err week_make(struct week *w, uint64_t seed, int64_t first, int64_t orders,
    int64_t start, int64_t days) MUST_CHECK;
void week_free(struct week *w);

void week_script(const struct week *w, uint32_t order, struct script *s);

/* The provider's settlement of some orders' money, as a sim.settlement. */
void week_settle(const struct week *w, size_t which, struct buf *out);

/* How much of the week has gone by when this one arrives: ns. */
int64_t week_since(const struct week *w, size_t turn);

/* One line of JSON an order: see README.md beside this file. */
void week_log(const struct week *w, FILE *out);

#endif
