/* back - see back.h. */
#include "connectors/sim/back.h"

#include <stdio.h>

#include "broker/base/mp.h"

#define CLOTHES_PERCENT 60 /* the trade says 50 to 70 */
#define OTHER_PERCENT 10

static const char *const reasons[] = {"Väärä koko", "Ei vastannut odotuksia",
    "Rikki perillä", "Muutin mieleni", "Väri oli eri kuin kuvassa"};

unsigned
back_percent(const struct order *o)
{
	for (size_t i = 0; i < o->lines_n; i++)
		if (o->lines[i].good->clothes)
			return CLOTHES_PERCENT;
	return OTHER_PERCENT;
}

/* What q pieces of a line are of its sum; of all pieces, the sum. */
static int64_t
share(int64_t sum, int64_t q, int64_t all)
{
	return (sum * q * 2 + all) / (all * 2);
}

static struct amount
pieces(const struct order_line *l, int64_t from, int64_t to)
{
	return (struct amount){share(l->after.net, to, l->quantity) -
				   share(l->after.net, from, l->quantity),
	    share(l->after.vat, to, l->quantity) -
		share(l->after.vat, from, l->quantity)};
}

static void
add(struct credit *c, size_t of, int64_t quantity, struct amount part)
{
	if (part.net + part.vat <= 0)
		return;
	c->lines[c->lines_n++] = (struct back_line){of, quantity, part};
	c->gross += part.net + part.vat;
}

/* A sum, and not a word of what it is for. */
static void
sum(struct credit *c, const struct order *o, int64_t percent)
{
	struct totals t;

	order_totals(o, &t);
	c->gross = t.gross * percent / 100;
}

/* A fifth off one line, or a tenth off it all: the customer keeps it. */
static void
cheaper(struct credit *c, const struct order *o, struct rng *r)
{
	size_t of = rng_below(r, o->lines_n);
	const struct order_line *l = &o->lines[of];

	c->reason = "Hinnanalennus";
	if (rng_chance(r, 40))
		sum(c, o, 10);
	else
		add(c, of, 0,
		    amount_of((l->after.net + l->after.vat) / 5, l->good->vat));
}

static void
carriage(struct credit *c, const struct order *o)
{
	if (o->shipping.title == NULL || o->shipping.price.net <= 0)
		return;
	c->shipping = true;
	c->gross += o->shipping.price.net + o->shipping.price.vat;
}

/* Nothing reached the customer: all of it, a fee perhaps left out. */
static void
all(struct credit *c, const struct order *o, enum back why, struct rng *r)
{
	if (why == BACK_LOST && rng_chance(r, 50)) {
		sum(c, o, 100);
		return;
	}
	for (size_t i = 0; i < o->lines_n; i++)
		add(c, i, o->lines[i].quantity, o->lines[i].after);
	if (why == BACK_LOST)
		carriage(c, o);
}

size_t
back_make(struct credit out[BACK_CREDITS], const struct order *o, enum back why,
    struct rng *r)
{
	int64_t gone[ORDER_LINES] = {0};
	size_t n = 0, most = rng_chance(r, 25) ? BACK_CREDITS : 1;
	bool whole = rng_chance(r, 30), reduced = rng_chance(r, 15);

	if (why != BACK_RETURN) {
		out[0] = (struct credit){.id = o->id * 10 + 1,
		    .reason =
			why == BACK_LOST ? "Katosi matkalla" : "Noutamatta"};
		all(&out[0], o, why, r);
		return out[0].gross > 0;
	}
	for (size_t k = 0; k < most; k++) {
		struct credit *c = &out[n];

		*c = (struct credit){.id = o->id * 10 + (int64_t)k + 1,
		    .reason = reasons[rng_below(r, 5)]};
		for (size_t i = 0; i < o->lines_n && !reduced; i++) {
			const struct order_line *l = &o->lines[i];
			int64_t left = l->quantity - gone[i];
			int64_t q = left;

			if (left == 0 || (!whole && !rng_chance(r, 60)))
				continue;
			if (!whole || k + 1 < most)
				q = 1 + (int64_t)rng_below(r, (size_t)left);
			add(c, i, q, pieces(l, gone[i], gone[i] + q));
			gone[i] += q;
		}
		if (reduced && k == 0)
			cheaper(c, o, r);
		if (whole && !reduced && k == 0)
			carriage(c, o);
		n += c->gross > 0;
	}
	return n;
}

static void
put_cents(struct buf *out, const char *name, int64_t v)
{
	char text[32];

	mp_put_cstr(out, name);
	mp_put_decimal(out, slice_str(cents_text(v, text)));
}

static void
put_int(struct buf *out, const char *name, int64_t v)
{
	mp_put_cstr(out, name);
	mp_put_int(out, v);
}

static void
put_text(struct buf *out, const char *name, const char *s)
{
	mp_put_cstr(out, name);
	mp_put_cstr(out, s);
}

void
back_write(
    struct buf *out, const struct order *o, const struct credit *c, int64_t at)
{
	static const char *const class_names[] = {
	    "standard", "reduced", "zero"};

	mp_put_map(out, 8);
	put_int(out, "id", c->id);
	put_int(out, "order", o->id);
	mp_put_cstr(out, "at");
	mp_put_time(out, at);
	put_cents(out, "amount", c->gross);
	put_text(out, "reason", c->reason);
	put_text(out, "email", o->email);
	mp_put_cstr(out, "lines");
	mp_put_array(out, (uint32_t)c->lines_n);
	for (size_t i = 0; i < c->lines_n; i++) {
		const struct back_line *b = &c->lines[i];
		const struct order_line *l = &o->lines[b->of];

		mp_put_map(out, 8);
		put_int(out, "id", c->id * 10 + (int64_t)i);
		put_int(out, "of", l->id);
		put_text(out, "sku", l->good->sku);
		put_text(out, "name", l->good->name);
		put_text(out, "class", class_names[l->good->vat]);
		put_int(out, "quantity", b->quantity);
		put_cents(out, "total", b->part.net);
		put_cents(out, "tax", b->part.vat);
	}
	mp_put_cstr(out, "shipping");
	mp_put_array(out, c->shipping);
	if (!c->shipping)
		return;
	mp_put_map(out, 5);
	put_int(out, "id", c->id * 10 + 9);
	put_int(out, "of", o->shipping.id);
	put_text(out, "title", o->shipping.title);
	put_cents(out, "total", o->shipping.price.net);
	put_cents(out, "tax", o->shipping.price.vat);
}
