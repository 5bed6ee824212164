/*
 * query_money - an order's equation, counted from canonical events alone:
 *
 *     ordered - credited = captured - refunded + still open
 *
 * Ordered is the gross total of the last order.placed, captured the sum of
 * payment.captured, refunded of refund.completed, credited of
 * credit_note.issued; once order.cancelled, ordered and credited are 0, as a
 * credit note then takes back what is not ordered any more. The last revision
 * of each fact counts, withdrawn ones do not. Refunds asked for or failed move
 * nothing; they only give reasons. Exact decimals; a document in a second
 * currency makes no sum and is said as the reason.
 */
#ifndef VAYLA_CORE_QUERY_MONEY_H
#define VAYLA_CORE_QUERY_MONEY_H

#include "broker/base/dec.h"
#include "broker/wire/event.h"

#define MONEY_FACTS 512

enum money_kind {
	MONEY_ORDERED,
	MONEY_CREDITED,
	MONEY_CAPTURED,
	MONEY_REFUNDED,
	MONEY_KINDS
};

struct money {
	bool any, mixed, over;
	bool cancelled, pending, failed;
	bool asked, refused; /* of refunds; refused: the last word on one */
	char currency[4];
	size_t n;
	struct {		/* the last revision of each fact */
		uint8_t id[16]; /* of source and id */
		enum money_kind kind;
		struct dec amount;
	} facts[MONEY_FACTS];
};

void money_init(struct money *m);
/* Events in the order of the journal; data may be sealed, amounts never are. */
void money_event(struct money *m, const struct event *e);
bool money_any(const struct money *m);
/* {currency, ordered, credited, captured, refunded, open, reason} */
void money_put(const struct money *m, struct buf *out);

#endif
