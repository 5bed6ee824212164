/* query_money - see query_money.h. */
#include <stdio.h>

#include "broker/base/crypt.h"
#include "broker/core/query_money.h"

void
money_init(struct money *m)
{
	memset(m, 0, sizeof(*m));
}

bool
money_any(const struct money *m)
{
	return m->any;
}

/* A number at a path of up to two keys; decimals and integers. */
static bool
number_at(
    struct slice data, const char *key, const char *inner, struct dec *out)
{
	struct slice v;
	struct mp_in in;
	struct mp item;

	if (!mp_get(data, key, &v) || (inner != NULL && !mp_get(v, inner, &v)))
		return false;
	in = mp_in(v);
	if (mp_next(&in, &item) != ERR_OK)
		return false;
	if (item.type == MP_INT) {
		*out = dec_int(item.i);
		return true;
	}
	return item.type == MP_DECIMAL && dec_parse(item.bytes, out) == ERR_OK;
}

static void
count(struct money *m, const struct event *e, enum money_kind kind,
    const char *key, const char *inner)
{
	uint8_t digest[32];
	struct slice currency;
	struct dec amount = dec_int(0);
	struct buf id;
	size_t i;

	m->any = true;
	if (!e->withdrawn && !number_at(e->data, key, inner, &amount)) {
		m->over = true;
		return;
	}
	if (mp_get_str(e->data, "currency", &currency) && currency.n == 3) {
		if (m->currency[0] == '\0')
			memcpy(m->currency, currency.p, 3);
		else if (memcmp(m->currency, currency.p, 3) != 0)
			m->mixed = true;
	}
	buf_init(&id, 4 * EVENT_TEXT);
	buf_slice(&id, e->source);
	buf_byte(&id, 0);
	buf_slice(&id, e->id);
	sha256(buf_all(&id), digest);
	buf_fini(&id);
	for (i = 0; i < m->n; i++)
		if (m->facts[i].kind == kind &&
		    memcmp(m->facts[i].id, digest, 16) == 0)
			break;
	if (i == MONEY_FACTS) {
		m->over = true;
		return;
	}
	if (i == m->n) {
		m->n++;
		m->facts[i].kind = kind;
		memcpy(m->facts[i].id, digest, 16);
	}
	m->facts[i].amount = amount;
}

void
money_event(struct money *m, const struct event *e)
{
	if (slice_is(e->type, "order.placed"))
		count(m, e, MONEY_ORDERED, "totals", "gross");
	else if (slice_is(e->type, "payment.captured"))
		count(m, e, MONEY_CAPTURED, "amount", NULL);
	else if (slice_is(e->type, "refund.completed")) {
		count(m, e, MONEY_REFUNDED, "amount", NULL);
		m->refused = false;
	} else if (slice_is(e->type, "refund.failed"))
		m->refused = !e->withdrawn;
	else if (slice_is(e->type, "refund.requested"))
		m->asked = !e->withdrawn;
	else if (slice_is(e->type, "credit_note.issued"))
		count(m, e, MONEY_CREDITED, "totals", "gross");
	else if (slice_is(e->type, "order.cancelled"))
		m->cancelled = !e->withdrawn;
	else if (slice_is(e->type, "payment.authorized"))
		m->pending = true;
	else if (slice_is(e->type, "payment.failed"))
		m->failed = true;
}

static void
put_amount(struct buf *out, const char *key, struct dec d)
{
	char text[DEC_TEXT];
	size_t n = dec_text(d, text);

	mp_put_cstr(out, key);
	mp_put_decimal(out, slice_of(text, n));
}

/* What is wrong with the side that went back; NULL: nothing is. */
static const char *
reason_back(const struct money *m, int sign, const struct dec *sum)
{
	int sides = dec_cmp(sum[MONEY_CREDITED], sum[MONEY_REFUNDED]);

	if (sign < 0 && m->refused)
		return "a refund failed at the provider; the customer is owed "
		       "it";
	if (sign < 0 && sides > 0)
		return "credited by the shop; the money has not gone back";
	if (sign == 0 && m->asked && sides == 0 && !m->cancelled &&
	    dec_cmp(sum[MONEY_CREDITED], dec_int(0)) == 0)
		return "settled, but the shop asks for a refund";
	if (sign > 0 && sides < 0)
		return "money went back; no credit note for it is known";
	return NULL;
}

static const char *
reason(const struct money *m, struct dec open, const struct dec *sum)
{
	int sign = dec_cmp(open, dec_int(0));
	bool paid = dec_cmp(sum[MONEY_CAPTURED], dec_int(0)) > 0;
	const char *back = reason_back(m, sign, sum);

	if (m->over)
		return "an amount could not be read or there are too many";
	if (m->mixed)
		return "amounts in more than one currency";
	if (back != NULL)
		return back;
	if (sign == 0)
		return m->cancelled && !paid ? "cancelled before it was paid"
					     : "settled";
	if (sign < 0)
		return m->cancelled ? "cancelled after payment: to be refunded"
				    : "more was captured than ordered";
	if (paid)
		return "partly paid";
	if (m->pending)
		return "the payment is pending at the provider";
	if (m->failed)
		return "the payment failed; no other is known";
	return "no payment is known";
}

void
money_put(const struct money *m, struct buf *out)
{
	struct dec sum[MONEY_KINDS], open, was;
	bool bad = false;

	for (int k = 0; k < MONEY_KINDS; k++)
		sum[k] = (struct dec){0, 2};
	for (size_t i = 0; i < m->n; i++) {
		if (m->cancelled && (m->facts[i].kind == MONEY_ORDERED ||
					m->facts[i].kind == MONEY_CREDITED))
			continue;
		was = sum[m->facts[i].kind];
		bad |= dec_add(was, m->facts[i].amount,
			   &sum[m->facts[i].kind]) != ERR_OK;
	}
	open = sum[MONEY_ORDERED];
	was = open;
	bad |= dec_sub(was, sum[MONEY_CREDITED], &open) != ERR_OK;
	was = open;
	bad |= dec_sub(was, sum[MONEY_CAPTURED], &open) != ERR_OK;
	was = open;
	bad |= dec_add(was, sum[MONEY_REFUNDED], &open) != ERR_OK;
	mp_put_map(out, 7);
	mp_put_cstr(out, "currency");
	mp_put_cstr(out, m->mixed ? "mixed" : m->currency);
	put_amount(out, "ordered", sum[MONEY_ORDERED]);
	put_amount(out, "credited", sum[MONEY_CREDITED]);
	put_amount(out, "captured", sum[MONEY_CAPTURED]);
	put_amount(out, "refunded", sum[MONEY_REFUNDED]);
	put_amount(out, "open", open);
	mp_put_cstr(out, "reason");
	mp_put_cstr(out, bad ? "a sum is out of range" : reason(m, open, sum));
}
