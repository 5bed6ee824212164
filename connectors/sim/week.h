/*
 * week - many orders' scripts as one timeline: when each message happens, and
 * when it arrives, which is not the same. Some are late by hours or a day, some
 * come two or three times, and what was sent first may arrive last. Around the
 * orders: the catalogue, the warehouse's lists of what it holds, and at the end
 * the provider's settlements.
 *
 * Invariant: the same seed, first number, count, beginning, days and lists give
 * the same timeline. A list holds what stood at the start, less what had left
 * and more what had come back by then; the last one, all of it. Scripts are
 * made anew for each message, so that a week of any size is held in a few bytes
 * a message.
 */
#ifndef VAYLA_SIM_WEEK_H
#define VAYLA_SIM_WEEK_H

#include <stdio.h>

#include "connectors/sim/script.h"

#define WEEK_DAYS_MAX 366

/* WEEK_HAPPENS: the shop has it, whenever its message arrives. */
enum week_what {
	WEEK_STEP,
	WEEK_HAPPENS,
	WEEK_PRODUCT,
	WEEK_LIST,
	WEEK_SETTLEMENT
};

struct week_item {
	int64_t arrives; /* ns since the epoch, simulated */
	enum week_what what;
	uint32_t order; /* from 0; which product, list or settlement */
	uint8_t step, copy;
	bool late, unlucky; /* unlucky: lost, where its system can be asked */
	bool lost;	    /* what came of it: it was not sent */
	int status, tries;  /* what came of it; 0 before */
};

struct week {
	uint64_t seed;
	int64_t first, orders, start, days;
	int64_t ends;	     /* when the last of it happens */
	size_t n;	     /* messages of orders */
	size_t all;	     /* with the products, lists and settlements */
	struct week_item *v; /* by order and step, then the others */
	uint32_t *turn;	     /* of v, in the order of arrival */
	size_t late, copies;
	size_t lists_n;
	int64_t *lists, *start_stock; /* lists_n times goods_n; goods_n */
};

/* A beginning from which all of it is past: what comes back takes its time. */
int64_t week_begin(int64_t days);

enum err week_make(struct week *w, uint64_t seed, int64_t first, int64_t orders,
    int64_t start, int64_t days, int64_t lists) MUST_CHECK;
void week_free(struct week *w);

/* No message is lost on its way. */
void week_spare(struct week *w);

void week_script(const struct week *w, uint32_t order, struct script *s);

/* What stands in an item that is no order's: its type ("sim.product" ...) and
 * data. */
const char *week_write(
    const struct week *w, const struct week_item *x, struct buf *out);

/* How much of it all has gone by when this one arrives, in millionths. */
int64_t week_part(const struct week *w, size_t turn);

/* One line of JSON an order, and one of the warehouse: see README.md beside
 * this file. */
void week_log(const struct week *w, FILE *out);

#endif
