/* order - see order.h. */
#include "connectors/sim/order.h"

#include <stdio.h>

#include "broker/base/clock.h"

#define FREE_SHIPPING 10000 /* cents of goods */

const char *
cents_text(int64_t c, char out[32])
{
	uint64_t u = c < 0 ? (uint64_t)-c : (uint64_t)c;

	(void)snprintf(out, 32, "%s%llu.%02u", c < 0 ? "-" : "",
	    (unsigned long long)(u / 100), (unsigned)(u % 100));
	return out;
}

struct amount
amount_of(int64_t gross, enum vat_class vat)
{
	int64_t rate = vat_permille[vat], whole = 1000 + rate;
	int64_t tax = (gross * rate * 2 + whole) / (whole * 2);

	return (struct amount){gross - tax, tax};
}

static int64_t
gross_of(struct amount a)
{
	return a.net + a.vat;
}

/* ---- who ---- */

/* Letters of an address: lower case, without dots and rings. */
static void
plain(const char *name, char out[ORDER_TEXT])
{
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)name;
	     *p != '\0' && n + 1 < ORDER_TEXT; p++) {
		if (*p == 0xc3 && p[1] != '\0') { /* ä ö å Ä Ö Å */
			p++;
			out[n++] = *p == 0xb6 || *p == 0x96 ? 'o' : 'a';
		} else if (*p >= 'A' && *p <= 'Z') {
			out[n++] = (char)(*p | 0x20);
		} else if (*p >= 'a' && *p <= 'z') {
			out[n++] = (char)*p;
		}
	}
	out[n] = '\0';
}

/* A Finnish VAT number with a right check digit. */
static void
vat_number(struct rng *r, char out[16])
{
	static const int weight[7] = {7, 9, 10, 5, 8, 4, 2};
	int d[7], sum;

	do {
		sum = 0;
		for (int i = 0; i < 7; i++) {
			d[i] = (int)rng_below(r, i == 0 ? 4 : 10);
			sum += d[i] * weight[i];
		}
		sum %= 11;
	} while (sum == 1); /* such numbers are not given out */
	(void)snprintf(out, 16, "FI%d%d%d%d%d%d%d%d", d[0], d[1], d[2], d[3],
	    d[4], d[5], d[6], sum == 0 ? 0 : 11 - sum);
}

static void
address(struct rng *r, struct address *a)
{
	(void)snprintf(a->first, sizeof(a->first), "%s",
	    first_names[rng_below(r, first_names_n)]);
	(void)snprintf(a->last, sizeof(a->last), "%s",
	    last_names[rng_below(r, last_names_n)]);
	a->company[0] = '\0';
	if (rng_chance(r, 50))
		(void)snprintf(a->street, sizeof(a->street), "%s %zu",
		    streets[rng_below(r, streets_n)], 1 + rng_below(r, 90));
	else
		(void)snprintf(a->street, sizeof(a->street), "%s %zu %c %zu",
		    streets[rng_below(r, streets_n)], 1 + rng_below(r, 90),
		    (char)('A' + rng_below(r, 4)), 1 + rng_below(r, 60));
	a->place = &places[rng_below(r, places_n)];
}

static void
buyer(struct rng *r, struct order *o)
{
	char first[ORDER_TEXT], last[ORDER_TEXT];

	address(r, &o->billing);
	if (rng_chance(r, 15)) {
		(void)snprintf(o->billing.company, sizeof(o->billing.company),
		    "%s Oy", company_words[rng_below(r, company_words_n)]);
		if (rng_chance(r, 80))
			vat_number(r, o->vat_id);
	}
	plain(o->billing.first, first);
	plain(o->billing.last, last);
	(void)snprintf(
	    o->email, sizeof(o->email), "%.40s.%.40s@example.com", first, last);
	if (rng_chance(r, 80))
		(void)snprintf(o->phone, sizeof(o->phone), "+358 40 %07zu",
		    rng_below(r, 10000000));
	o->customer = rng_chance(r, 40) ? 1 + (int64_t)rng_below(r, 500) : 0;
	o->delivery = o->billing;
	if (rng_chance(r, 20)) {
		address(r, &o->delivery);
		(void)snprintf(o->delivery.company, sizeof(o->delivery.company),
		    "%s", o->billing.company);
	}
	o->note = rng_chance(r, 12) ? notes[rng_below(r, notes_n)] : NULL;
}

/* ---- what ---- */

static void
lines(struct rng *r, struct order *o)
{
	static const int64_t counts[] = {1, 1, 1, 1, 1, 2, 2, 3, 4, 12};
	size_t n = 1 + rng_below(r, rng_chance(r, 10) ? ORDER_LINES : 4);
	size_t from = rng_below(r, goods_n);

	for (size_t i = 0; i < n; i++) {
		struct order_line *l = &o->lines[o->lines_n++];

		l->id = o->id * 20 + (int64_t)i + 1;
		/* steps of 7 through 26 goods: no good twice */
		l->good = &goods[(from + i * 7) % goods_n];
		l->quantity =
		    counts[rng_below(r, sizeof(counts) / sizeof(counts[0]))];
		l->before =
		    amount_of(l->good->gross * l->quantity, l->good->vat);
		l->after = l->before;
	}
}

static void
coupon(struct rng *r, struct order *o)
{
	static const int percents[] = {5, 10, 15, 20, 25};
	int64_t total = 0, off, left;
	int p;

	if (!rng_chance(r, 22))
		return;
	if (rng_chance(r, 70)) {
		p = rng_chance(r, 4) ? 100 : percents[rng_below(r, 5)];
		(void)snprintf(o->coupon, sizeof(o->coupon), "ale%d", p);
		for (size_t i = 0; i < o->lines_n; i++) {
			struct order_line *l = &o->lines[i];
			int64_t gross = gross_of(l->before);

			l->after = amount_of(
			    gross - (gross * p + 50) / 100, l->good->vat);
		}
		return;
	}
	/* five euros off, spread over the lines by their price */
	(void)snprintf(o->coupon, sizeof(o->coupon), "viisi");
	for (size_t i = 0; i < o->lines_n; i++)
		total += gross_of(o->lines[i].before);
	off = left = total < 500 ? total : 500;
	for (size_t i = 0; i < o->lines_n; i++) {
		struct order_line *l = &o->lines[i];
		int64_t gross = gross_of(l->before);
		int64_t part = i + 1 == o->lines_n ? left : off * gross / total;

		if (part > gross)
			part = gross;
		left -= part;
		l->after = amount_of(gross - part, l->good->vat);
	}
}

static void
extras(struct rng *r, struct order *o)
{
	static const struct {
		const char *title;
		int64_t gross;
	} fees[] = {{"Lahjapaketointi", 390}, {"Laskutuslisä", 250}};
	enum vat_class vat = VAT_ZERO;
	int64_t goods_gross = 0, price;
	const struct carriage *c;

	for (size_t i = 0; i < o->lines_n; i++) {
		goods_gross += gross_of(o->lines[i].after);
		if (o->lines[i].good->vat < vat)
			vat = o->lines[i].good->vat;
	}
	if (vat == VAT_ZERO)
		vat = VAT_STANDARD; /* carriage itself is never untaxed */
	if (rng_chance(r, 92)) {
		c = &carriages[rng_below(r, carriages_n)];
		price = goods_gross >= FREE_SHIPPING ? 0 : c->gross;
		o->shipping = (struct order_extra){o->id * 20 + 11,
		    price == 0 && c->gross > 0 ? "Ilmainen toimitus" : c->title,
		    vat, amount_of(price, vat)};
	}
	for (size_t i = 0; i < 2; i++)
		if (rng_chance(r, 10))
			o->fees[o->fees_n++] =
			    (struct order_extra){o->id * 20 + 14 + (int64_t)i,
				fees[i].title, VAT_STANDARD,
				amount_of(fees[i].gross, VAT_STANDARD)};
}

void
order_totals(const struct order *o, struct totals *t)
{
	memset(t, 0, sizeof(*t));
#define ADD(to, a) ((to).net += (a).net, (to).vat += (a).vat)
	for (size_t i = 0; i < o->lines_n; i++) {
		const struct order_line *l = &o->lines[i];

		ADD(t->lines, l->after);
		ADD(t->by_class[l->good->vat], l->after);
		t->has_class[l->good->vat] = true;
		t->discount.net += l->before.net - l->after.net;
		t->discount.vat += l->before.vat - l->after.vat;
	}
	if (o->shipping.title != NULL) {
		ADD(t->shipping, o->shipping.price);
		ADD(t->by_class[o->shipping.vat], o->shipping.price);
		t->has_class[o->shipping.vat] = true;
	}
	for (size_t i = 0; i < o->fees_n; i++) {
		ADD(t->fees, o->fees[i].price);
		ADD(t->by_class[o->fees[i].vat], o->fees[i].price);
		t->has_class[o->fees[i].vat] = true;
	}
#undef ADD
	t->net = t->lines.net + t->shipping.net + t->fees.net;
	t->vat = t->lines.vat + t->shipping.vat + t->fees.vat;
	t->gross = t->net + t->vat;
}

int64_t
order_due(const struct order *o)
{
	struct totals t;

	order_totals(o, &t);
	return t.gross - o->card;
}

/* Some pay with a gift card, and the rest, if there is one, in another way. */
static void
card(struct rng *r, struct order *o, int64_t gross)
{
	static const int64_t cards[] = {1000, 2500, 5000};

	if (o->paying != PAY_ONLINE || !rng_chance(r, 8))
		return;
	o->card = cards[rng_below(r, sizeof(cards) / sizeof(cards[0]))];
	if (o->card >= gross) {
		o->card = gross;
		o->paying = PAY_NOTHING;
	}
}

static void
take_off(struct order *o)
{
	struct order_line *l = &o->lines[o->lines_n - 1];

	for (size_t i = 0; i < o->lines_n; i++)
		if (o->lines[i].quantity > 1)
			l = &o->lines[i];
	if (l->quantity == 1) {
		if (o->lines_n > 1)
			o->lines_n--;
		return;
	}
	l->before =
	    amount_of(gross_of(l->before) / l->quantity * (l->quantity - 1),
		l->good->vat);
	l->after = amount_of(
	    gross_of(l->after) / l->quantity * (l->quantity - 1), l->good->vat);
	l->quantity--;
}

void
order_edit(struct order *o)
{
	take_off(o);
	if (order_due(o) <= 0)
		o->card = 0; /* the customer keeps it for another time */
}

void
order_make(struct order *o, uint64_t seed, int64_t number, int64_t now)
{
	static const char letters[] = "abcdefghijkmnopqrstuvwxyz23456789";
	struct rng r = rng_of(seed, (uint64_t)number);
	struct totals t;
	size_t i;

	memset(o, 0, sizeof(*o));
	o->number = number;
	o->id = number + 4000;
	for (i = 0; i < 13; i++)
		o->key[i] = letters[rng_below(&r, sizeof(letters) - 1)];
	/* within the last hour, so that what happens later is past as well */
	o->created = (now / NS_PER_SEC - 600 - (int64_t)rng_below(&r, 3000)) *
		     NS_PER_SEC;
	buyer(&r, o);
	lines(&r, o);
	coupon(&r, o);
	extras(&r, o);
	order_totals(o, &t);
	i = rng_below(&r, 100);
	o->paying = t.gross == 0 ? PAY_NOTHING
		    : i < 88	 ? PAY_ONLINE
		    : i < 96	 ? PAY_TRANSFER
				 : PAY_DELIVERY;
	card(&r, o, t.gross);
}
