/*
 * script - what happens to an order, as messages in the order in which they are
 * sent: the shop's word of it, and the payment provider's.
 *
 * Each fate is a way in which real shops and providers behave that has broken
 * somebody's books: the same callback three times, money before the order, the
 * update before what it updates, a pending payment that succeeds a day later.
 */
#ifndef VAYLA_SIM_SCRIPT_H
#define VAYLA_SIM_SCRIPT_H

#include "connectors/sim/back.h"
#include "connectors/sim/parcel.h"

#define SCRIPT_STEPS 32
#define SCRIPT_PARCELS 2
#define SCRIPT_MOVES (ORDER_LINES * (1 + BACK_CREDITS))

#define FATE_TABLE(X)                                         \
	X(PAID, "paid", 36)                                   \
	X(PAID_AGAIN, "paid, the same callback again", 14)    \
	X(PAID_FIRST, "paid before the order is told", 10)    \
	X(UPDATED_FIRST, "updated before it is created", 8)   \
	X(PENDING, "pending, then paid", 8)                   \
	X(SECOND_TRY, "refused, then paid", 6)                \
	X(EDITED, "changed, then paid", 6)                    \
	X(TOLD_TWICE, "created and updated in one breath", 4) \
	X(REFUSED, "refused", 3)                              \
	X(CANCELLED, "cancelled unpaid", 2)                   \
	X(UNPAID, "never paid", 3)

enum fate {
#define FATE_ENUM(name, text, percent) FATE_##name,
	FATE_TABLE(FATE_ENUM)
#undef FATE_ENUM
	    FATE_OTHER, /* paid elsewhere: transfer, on delivery, nothing due */
	FATE_COUNT
};
const char *fate_text(enum fate f);

enum step_kind {
	STEP_ORDER,
	STEP_PAYMENT,
	STEP_REFUND,
	STEP_PAYBACK,
	STEP_SCAN
};

struct step {
	enum step_kind kind;
	size_t credit; /* of a refund, and of the money for it */
	size_t parcel, scan;
	/* of the order */
	struct order order;
	const char *event, *status;
	int64_t at, paid_at;
	/* of the payment, and of an order that knows of it */
	char transaction[40];
	const char *outcome; /* ok pending fail */
	int channel;	     /* 0 to 9: which bank or card */
};

/* Goods that left the warehouse, or came back to its shelf. */
struct move {
	const struct good *good;
	int64_t delta, at;
};

struct script {
	enum fate fate;
	int64_t captured; /* cents that came in all */
	int64_t by_card;  /* of them, by gift card */
	int64_t refunded; /* of them, what went back */
	size_t credits_n;
	struct credit credits[BACK_CREDITS];
	size_t parcels_n;
	struct parcel parcels[SCRIPT_PARCELS];
	size_t moves_n;
	struct move moves[SCRIPT_MOVES];
	size_t n;
	struct step steps[SCRIPT_STEPS];
};

void script_make(struct script *s, const struct order *o, uint64_t seed);

/* What the days after bring to one that is sent: its parcel arrives, late,
 * never, or comes back; goods come back in a parcel of their own, the shop
 * refunds, and the provider gives the money back, now and then at the second
 * try. */
void script_after(struct script *s, uint64_t seed);

/* A step's event type ("sim.order" ...) and data. */
const char *step_type(const struct step *st);
void step_write(struct buf *out, const struct script *s, const struct step *st);

/* What the books are to say of it in the end, as one line of JSON without the
 * answers: see README.md beside this file. */
void script_expect(struct buf *out, const struct script *s);

#endif
