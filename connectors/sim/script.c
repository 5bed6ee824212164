/* script - see script.h. */
#include "connectors/sim/script.h"

#include <stdio.h>

#include "broker/base/clock.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"

static const char *const fate_texts[] = {
#define FATE_TEXT(name, text, percent) text,
    FATE_TABLE(FATE_TEXT)
#undef FATE_TEXT
	"paid elsewhere",
};

static const unsigned fate_percents[] = {
#define FATE_PERCENT(name, text, percent) percent,
    FATE_TABLE(FATE_PERCENT)
#undef FATE_PERCENT
};

const char *
fate_text(enum fate f)
{
	return fate_texts[f];
}

struct maker {
	struct script *s;
	struct order o;
	struct rng r;
	int64_t at; /* the moment of the next thing */
	char transaction[40];
	int channel;
};

static int64_t
later(struct maker *m, unsigned seconds)
{
	m->at += (int64_t)(1 + rng_below(&m->r, seconds)) * NS_PER_SEC;
	return m->at;
}

static void
new_transaction(struct maker *m)
{
	uint64_t a = rng_next(&m->r), b = rng_next(&m->r);

	(void)snprintf(m->transaction, sizeof(m->transaction),
	    "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(a >> 32),
	    (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
	    (unsigned)(b >> 52), (unsigned long long)b & 0xffffffffffff);
	m->channel = (int)rng_below(&m->r, 10);
}

static struct step *
add(struct maker *m)
{
	struct step *st = &m->s->steps[m->s->n++];

	st->order = m->o;
	(void)snprintf(
	    st->transaction, sizeof(st->transaction), "%s", m->transaction);
	st->channel = m->channel;
	st->at = m->at;
	return st;
}

static struct step *
tell(struct maker *m, const char *event, const char *status, bool paid)
{
	struct step *st = add(m);

	st->event = event;
	st->status = status;
	if (paid)
		st->paid_at = st->at;
	else
		st->transaction[0] = '\0';
	return st;
}

static struct step *
pay(struct maker *m, const char *outcome)
{
	struct step *st;

	(void)later(m, 120);
	st = add(m);
	st->kind = STEP_PAYMENT;
	st->outcome = outcome;
	if (strcmp(outcome, "ok") == 0) {
		m->s->by_card = m->o.card;
		m->s->captured = order_due(&m->o) + m->o.card;
	}
	return st;
}

static void
again(struct maker *m, size_t which)
{
	m->s->steps[m->s->n++] = m->s->steps[which];
}

static void
swap(struct maker *m, size_t a, size_t b)
{
	struct step t = m->s->steps[a];

	m->s->steps[a] = m->s->steps[b];
	m->s->steps[b] = t;
}

static void
paid(struct maker *m)
{
	(void)pay(m, "ok");
	(void)later(m, 10);
	(void)tell(m, "updated", "processing", true);
}

static void
paid_online(struct maker *m)
{
	struct script *s = m->s;

	(void)tell(m, "created", "pending", false);
	switch (s->fate) {
	case FATE_PAID_AGAIN:
		paid(m);
		again(m, 1);
		if (rng_chance(&m->r, 50))
			again(m, 1);
		break;
	case FATE_PAID_FIRST:
		paid(m);
		swap(m, 0, 1);
		break;
	case FATE_UPDATED_FIRST: /* the callback, processing, then pending */
		paid(m);
		swap(m, 0, 2);
		if (rng_chance(&m->r, 50))
			swap(m, 0, 1);
		break;
	case FATE_PENDING:
		(void)pay(m, "pending");
		(void)later(m, 10);
		(void)tell(m, "updated", "on_hold", false);
		paid(m);
		break;
	case FATE_SECOND_TRY:
		(void)pay(m, "fail");
		new_transaction(m);
		paid(m);
		break;
	case FATE_EDITED:
		order_edit(&m->o);
		(void)later(m, 60);
		(void)tell(m, "updated", "pending", false);
		paid(m);
		break;
	case FATE_TOLD_TWICE:
		again(m, 0);
		s->steps[1].event = "updated";
		paid(m);
		break;
	case FATE_REFUSED:
		(void)pay(m, "fail");
		(void)later(m, 10);
		(void)tell(m, "updated", "failed", false);
		break;
	case FATE_CANCELLED:
		(void)later(m, 300);
		(void)tell(m, "updated", "cancelled", false);
		break;
	case FATE_UNPAID:
		break;
	case FATE_PAID:
	default:
		paid(m);
		break;
	}
}

static enum fate
pick_fate(struct rng *r)
{
	size_t x = rng_below(r, 100), sum = 0;

	for (int f = 0; f < FATE_OTHER; f++)
		if (x < (sum += fate_percents[f]))
			return (enum fate)f;
	return FATE_PAID;
}

void
script_make(struct script *s, const struct order *o, uint64_t seed)
{
	struct maker m = {.s = s,
	    .o = *o,
	    .r = rng_of(seed ^ UINT64_C(0x5c2a), (uint64_t)o->number),
	    .at = o->created};

	memset(s, 0, sizeof(*s));
	new_transaction(&m);
	s->fate = o->paying == PAY_ONLINE ? pick_fate(&m.r) : FATE_OTHER;
	if (s->fate != FATE_OTHER) {
		paid_online(&m);
		return;
	}
	(void)tell(&m, "created",
	    o->paying == PAY_TRANSFER ? "on_hold" : "processing", false);
	if (o->paying == PAY_NOTHING) /* a card paid it all, or it is free */
		s->captured = s->by_card = o->card;
	if (rng_chance(&m.r, 30)) {
		(void)later(&m, 300);
		(void)tell(&m, "updated", s->steps[0].status, false);
	}
}

/* The order as it stands in the end: the latest word of the shop. */
static const struct order *
final(const struct script *s, const char **status)
{
	const struct step *best = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (s->steps[i].kind == STEP_ORDER &&
		    (best == NULL || s->steps[i].at > best->at))
			best = &s->steps[i];
	*status = best->status;
	return &best->order;
}

static void
give_back(struct maker *m, size_t credit)
{
	struct step *st;

	(void)later(m, 4 * 86400);
	st = add(m);
	st->kind = STEP_REFUND;
	st->credit = credit;
	if (rng_chance(&m->r, 8)) {
		(void)later(m, 3600);
		st = add(m);
		st->kind = STEP_PAYBACK;
		st->credit = credit;
		st->outcome = "fail";
		st->transaction[0] = '\0';
	}
	(void)later(m, 86400);
	st = add(m);
	st->kind = STEP_PAYBACK;
	st->credit = credit;
	st->outcome = "ok";
	m->s->refunded += m->s->credits[credit].gross;
}

static void
moved(struct script *s, const struct good *good, int64_t delta, int64_t at)
{
	s->moves[s->moves_n++] = (struct move){good, delta, at};
}

/* Handed to the carrier now; its scans, and the moment of the last one. */
static struct parcel *
send(struct maker *m, enum way way)
{
	struct parcel *p = &m->s->parcels[m->s->parcels_n];

	parcel_make(p, &m->o, way, m->at, &m->r);
	for (size_t i = 0; i < p->n; i++) {
		struct step *st = add(m);

		st->kind = STEP_SCAN;
		st->parcel = m->s->parcels_n;
		st->scan = i;
		st->at = p->scans[i].at;
	}
	m->at = p->scans[p->n - 1].at;
	m->s->parcels_n++;
	return p;
}

/* The shop packs it, and says so with the parcel's number. */
static enum way
dispatch(struct maker *m)
{
	struct script *s = m->s;
	/* what a card paid is not given back, so its goods arrive */
	enum way way = s->captured > s->by_card && s->by_card == 0
			   ? way_pick(&m->r)
			   : WAY_FETCHED;
	const struct parcel *p;
	size_t told = s->n;
	struct step *st;

	(void)later(m, 30 * 3600);
	for (size_t i = 0; i < m->o.lines_n; i++)
		moved(s, m->o.lines[i].good, -m->o.lines[i].quantity, m->at);
	st = tell(m, "updated", "completed", false);
	for (size_t i = 0; i < told; i++) {
		if (s->steps[i].kind != STEP_ORDER || s->steps[i].paid_at == 0)
			continue;
		st->paid_at = s->steps[i].paid_at;
		(void)snprintf(st->transaction, sizeof(st->transaction), "%s",
		    s->steps[i].transaction);
	}
	p = send(m, way);
	(void)snprintf(m->o.parcel, sizeof(m->o.parcel), "%s", p->number);
	st->order = m->o;
	return way;
}

/* What no gift card paid can be given back; the rest of the credits is not. */
static void
what_fits(struct script *s)
{
	int64_t left = s->captured - s->by_card;
	size_t n = 0;

	for (size_t i = 0; i < s->credits_n; i++) {
		if (s->credits[i].gross > left)
			continue;
		left -= s->credits[i].gross;
		s->credits[n++] = s->credits[i];
	}
	s->credits_n = n;
}

/* What the credits name is in the parcel; most of it can be sold again. */
static void
come_home(struct maker *m, bool sent)
{
	struct script *s = m->s;
	bool any = false;

	for (size_t i = 0; i < s->credits_n; i++)
		for (size_t k = 0; k < s->credits[i].lines_n; k++)
			any |= s->credits[i].lines[k].quantity > 0;
	if (!any)
		return;
	if (sent) {
		m->at += 86400 * NS_PER_SEC;
		(void)later(m, 5 * 86400);
		(void)send(m, WAY_HOME);
	}
	(void)later(m, 8 * 3600);
	if (rng_chance(&m->r, 10))
		return; /* scrap */
	for (size_t i = 0; i < s->credits_n; i++)
		for (size_t k = 0; k < s->credits[i].lines_n; k++) {
			const struct back_line *b = &s->credits[i].lines[k];

			if (b->quantity > 0)
				moved(s, m->o.lines[b->of].good, b->quantity,
				    m->at);
		}
}

static bool
sent(const struct script *s, const struct order *o, const char *status)
{
	return o->shipping.title != NULL && strcmp(status, "cancelled") != 0 &&
	       (s->captured > 0 || o->paying == PAY_DELIVERY ||
		   o->paying == PAY_NOTHING);
}

void
script_after(struct script *s, uint64_t seed)
{
	const char *status;
	struct maker m = {.s = s, .o = *final(s, &status)};
	enum back why = BACK_RETURN;
	enum way way = WAY_FETCHED;
	int channel = 0;

	m.r = rng_of(seed ^ UINT64_C(0xbac4), (uint64_t)m.o.number);
	for (size_t i = 0; i < s->n; i++) {
		if (s->steps[i].at > m.at)
			m.at = s->steps[i].at;
		if (s->steps[i].kind == STEP_PAYMENT)
			channel = s->steps[i].channel;
	}
	if (sent(s, &m.o, status))
		way = dispatch(&m);
	else
		m.at += 86400 * NS_PER_SEC; /* it is fetched */
	if (way == WAY_LOST || way == WAY_UNCLAIMED)
		why = way == WAY_LOST ? BACK_LOST : BACK_UNCLAIMED;
	else if (!rng_chance(&m.r, back_percent(&m.o)))
		return;
	if (s->captured <= s->by_card)
		return;
	s->credits_n = back_make(s->credits, &m.o, why, &m.r);
	what_fits(s);
	come_home(&m, why == BACK_RETURN && s->parcels_n > 0);
	for (size_t i = 0; i < s->credits_n; i++) {
		new_transaction(&m);
		m.channel = channel;
		give_back(&m, i);
	}
}

const char *
step_type(const struct step *st)
{
	static const char *const types[] = {"sim.order", "sim.payment",
	    "sim.refund", "sim.payback", "sim.scan"};

	return types[st->kind];
}

/* A payment, or money that goes back. */
static void
money_write(struct buf *out, const struct script *s, const struct step *st)
{
	bool back = st->kind == STEP_PAYBACK, told = st->transaction[0] != '\0';
	char text[64];

	mp_put_map(out, told ? 8 : 7);
	mp_put_cstr(out, "number");
	(void)snprintf(text, sizeof(text), "%lld", (long long)st->order.number);
	mp_put_cstr(out, text);
	mp_put_cstr(out, "stamp");
	if (back)
		(void)snprintf(text, sizeof(text), "%s-%zu", st->order.key,
		    st->credit + 1);
	mp_put_cstr(out, back ? text : st->order.key);
	if (told) {
		mp_put_cstr(out, "transaction");
		mp_put_cstr(out, st->transaction);
	}
	mp_put_cstr(out, "cents");
	mp_put_int(
	    out, back ? s->credits[st->credit].gross : order_due(&st->order));
	mp_put_cstr(out, "currency");
	mp_put_cstr(out, "EUR");
	mp_put_cstr(out, "status");
	mp_put_cstr(out, st->outcome);
	mp_put_cstr(out, "channel");
	mp_put_int(out, st->channel);
	mp_put_cstr(out, "at");
	mp_put_time(out, st->at);
}

void
step_write(struct buf *out, const struct script *s, const struct step *st)
{
	struct order_news n = {.event = st->event,
	    .status = st->status,
	    .at = st->at,
	    .paid_at = st->paid_at,
	    .transaction = st->transaction};

	if (st->kind == STEP_ORDER)
		order_write(out, &st->order, &n);
	else if (st->kind == STEP_REFUND)
		back_write(out, &st->order, &s->credits[st->credit], st->at);
	else if (st->kind == STEP_SCAN)
		parcel_write(
		    out, &st->order, &s->parcels[st->parcel], st->scan);
	else
		money_write(out, s, st);
}

/* ---- what the books are to say ---- */

static void
put_text(struct buf *out, const char *lead, const char *s)
{
	buf_str(out, lead);
	json_quote(out, slice_str(s));
}

static void
put_money(struct buf *out, const char *lead, int64_t cents)
{
	char text[32];

	buf_printf(out, "%s\"%s\"", lead, cents_text(cents, text));
}

static void
put_priced(struct buf *out, struct amount a, enum vat_class vat)
{
	put_money(out, ",\"net\":", a.net);
	put_money(out, ",\"vat\":", a.vat);
	buf_printf(out, ",\"rate\":\"%d.%d\"}", vat_permille[vat] / 10,
	    vat_permille[vat] % 10);
}

static void
put_extras(
    struct buf *out, const char *name, const struct order_extra *v, size_t n)
{
	buf_printf(out, ",\"%s\":[", name);
	for (size_t i = 0; i < n; i++) {
		put_text(
		    out, i > 0 ? ",{\"title\":" : "{\"title\":", v[i].title);
		put_priced(out, v[i].price, v[i].vat);
	}
	buf_byte(out, ']');
}

static void
put_payments(struct buf *out, const struct script *s)
{
	bool first = true;

	buf_str(out, ",\"payments\":[");
	for (size_t i = 0; i < s->n; i++) {
		const struct step *st = &s->steps[i];

		if (st->kind != STEP_PAYMENT)
			continue;
		put_text(out,
		    first ? "{\"transaction\":" : ",{\"transaction\":",
		    st->transaction);
		put_money(out, ",\"amount\":", order_due(&st->order));
		put_text(out, ",\"status\":", st->outcome);
		buf_byte(out, '}');
		first = false;
	}
	buf_byte(out, ']');
}

static void
put_credits(struct buf *out, const struct script *s, const struct order *o)
{
	buf_str(out, ",\"credits\":[");
	for (size_t i = 0; i < s->credits_n; i++) {
		const struct credit *c = &s->credits[i];

		buf_printf(out, "%s{\"id\":\"%lld\"", i > 0 ? "," : "",
		    (long long)c->id);
		put_money(out, ",\"gross\":", c->gross);
		buf_str(out, ",\"lines\":[");
		for (size_t k = 0; k < c->lines_n; k++) {
			const struct back_line *b = &c->lines[k];
			const struct good *g = o->lines[b->of].good;

			put_text(
			    out, k > 0 ? ",{\"sku\":" : "{\"sku\":", g->sku);
			buf_printf(
			    out, ",\"quantity\":%lld", (long long)b->quantity);
			put_priced(out, b->part, g->vat);
		}
		buf_byte(out, ']');
		put_extras(out, "shipping", &o->shipping, c->shipping);
		buf_byte(out, '}');
	}
	buf_byte(out, ']');
	put_money(out, ",\"refunded\":", s->refunded);
}

/* What is in the parcels, and what became of each. */
static void
put_parcels(struct buf *out, const struct script *s)
{
	buf_str(out, ",\"parcels\":[");
	for (size_t i = 0; i < s->parcels_n; i++) {
		const struct parcel *p = &s->parcels[i];

		put_text(
		    out, i > 0 ? ",{\"number\":" : "{\"number\":", p->number);
		put_text(out, ",\"way\":", way_text(p->way));
		put_text(out, ",\"end\":", p->end);
		put_text(out, ",\"direction\":",
		    strcmp(p->end, "returned") == 0 ? "return" : "out");
		buf_printf(out, ",\"scans\":%zu}", p->n);
	}
	buf_str(out, "],\"moves\":[");
	for (size_t i = 0; i < s->moves_n; i++) {
		put_text(out,
		    i > 0 ? ",{\"sku\":" : "{\"sku\":", s->moves[i].good->sku);
		buf_printf(
		    out, ",\"delta\":%lld}", (long long)s->moves[i].delta);
	}
	buf_byte(out, ']');
}

void
script_expect(struct buf *out, const struct script *s)
{
	static const char *const paying[] = {
	    "online", "transfer", "on_delivery", "nothing"};
	const char *status;
	const struct order *o = final(s, &status);
	struct totals t;
	bool first = true;

	order_totals(o, &t);
	buf_printf(out, "{\"number\":\"%lld\",\"id\":\"%lld\"",
	    (long long)o->number, (long long)o->id);
	put_text(out, ",\"fate\":", fate_text(s->fate));
	put_text(out, ",\"status\":", status);
	put_text(out, ",\"paying\":", paying[o->paying]);
	buf_str(out, ",\"currency\":\"EUR\",\"lines\":[");
	for (size_t i = 0; i < o->lines_n; i++) {
		const struct order_line *l = &o->lines[i];

		put_text(out, i > 0 ? ",{\"sku\":" : "{\"sku\":", l->good->sku);
		buf_printf(out, ",\"quantity\":%lld", (long long)l->quantity);
		put_priced(out, l->after, l->good->vat);
	}
	buf_byte(out, ']');
	put_extras(out, "shipping", &o->shipping, o->shipping.title != NULL);
	put_extras(out, "fees", o->fees, o->fees_n);
	put_text(out, ",\"discount\":{\"code\":", o->coupon);
	put_money(out, ",\"net\":", t.discount.net);
	put_money(out, ",\"vat\":", t.discount.vat);
	buf_str(out, "},\"by_rate\":[");
	for (int c = 0; c < VAT_CLASSES; c++) {
		if (!t.has_class[c])
			continue;
		put_money(out, first ? "{\"gross\":" : ",{\"gross\":",
		    t.by_class[c].net + t.by_class[c].vat);
		put_priced(out, t.by_class[c], (enum vat_class)c);
		first = false;
	}
	put_money(out, "],\"net\":", t.net);
	put_money(out, ",\"vat\":", t.vat);
	put_money(out, ",\"gross\":", t.gross);
	put_money(out, ",\"captured\":", s->captured);
	put_money(out, ",\"by_card\":", s->by_card);
	buf_printf(out, ",\"card\":\"%lld\"", (long long)o->id * 20 + 16);
	put_payments(out, s);
	put_credits(out, s, o);
	put_parcels(out, s);
}
