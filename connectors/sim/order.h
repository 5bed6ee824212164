/*
 * order - an order as the simulator thinks of it, before any product's shape:
 * whole cents, each line's tax rounded on its own, and totals that are the sums
 * of what stands above them.
 *
 * Invariant: for every line, shipping and fee net + vat is the price the buyer
 * saw; gross = net + vat = the sum of those. order_make() of the same seed,
 * number and moment gives the same order.
 */
#ifndef VAYLA_SIM_ORDER_H
#define VAYLA_SIM_ORDER_H

#include "broker/base/buf.h"
#include "connectors/sim/goods.h"
#include "connectors/sim/rng.h"

#define ORDER_LINES 8
#define ORDER_TEXT 96

struct amount {
	int64_t net, vat; /* cents */
};

struct order_line {
	int64_t id;
	const struct good *good;
	int64_t quantity;
	struct amount before, after; /* of discounts */
};

/* Shipping, or a fee. */
struct order_extra {
	int64_t id;
	const char *title;
	enum vat_class vat;
	struct amount price;
};

struct address {
	char first[ORDER_TEXT], last[ORDER_TEXT], company[ORDER_TEXT];
	char street[ORDER_TEXT];
	const struct place *place;
};

enum order_paying { PAY_ONLINE, PAY_TRANSFER, PAY_DELIVERY, PAY_NOTHING };

struct order {
	int64_t number, id;
	char key[24];
	int64_t created; /* ns since the epoch */
	struct address billing, delivery;
	char email[ORDER_TEXT], phone[ORDER_TEXT], vat_id[16];
	int64_t customer; /* 0: a guest */
	const char *note; /* or NULL */
	size_t lines_n;
	struct order_line lines[ORDER_LINES];
	struct order_extra shipping; /* title NULL: none */
	size_t fees_n;
	struct order_extra fees[2];
	char coupon[16]; /* or "" */
	int64_t card;	 /* cents of it that a gift card pays */
	char parcel[24]; /* its number, once it has left; or "" */
	enum order_paying paying;
};

struct totals {
	struct amount lines, shipping, fees, discount;
	struct amount by_class[VAT_CLASSES]; /* lines, shipping and fees */
	bool has_class[VAT_CLASSES];
	int64_t net, vat, gross;
};

/* What a gross price holds: the VAT rounded half up, the rest net. */
struct amount amount_of(int64_t gross, enum vat_class vat);

void order_make(struct order *o, uint64_t seed, int64_t number, int64_t now);

/* One piece fewer of its last line, or of a line that has more than one: what a
 * shop's clerk does when something is sold out. The lines may become fewer. */
void order_edit(struct order *o);

void order_totals(const struct order *o, struct totals *t);

/* What is left to pay when a gift card has paid its part. */
int64_t order_due(const struct order *o);

/* What happened to it, as the shop tells it. */
struct order_news {
	const char *event;	 /* "created" "updated" */
	const char *status;	 /* pending processing on_hold cancelled failed
				    completed */
	int64_t at;		 /* when it was changed */
	int64_t paid_at;	 /* or 0 */
	const char *transaction; /* of the payment, or NULL */
};

/* As a sim.order: one msgpack map. */
void order_write(
    struct buf *out, const struct order *o, const struct order_news *n);

/* Cents as digits: "-0.05". */
const char *cents_text(int64_t cents, char out[32]);

#endif
