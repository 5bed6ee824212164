/* order_write - an order as a sim.order event's data: mappings/sim/
 * sim.order.yaml says what stands where. */
#include "connectors/sim/order.h"

#include <stdio.h>

#include "broker/base/mp.h"

static const char *const class_names[] = {"standard", "reduced", "zero"};
static const char *const class_rates[] = {"25.5", "13.5", "0"};

/* A map whose pairs are counted as they are put. */
struct map {
	struct buf *b;
	size_t mark;
	uint32_t n;
};

static struct map
map_open(struct buf *b)
{
	return (struct map){b, mp_open(b), 0};
}

static void
map_close(struct map *m)
{
	mp_close_map(m->b, m->mark, m->n);
}

static void
key(struct map *m, const char *name)
{
	mp_put_cstr(m->b, name);
	m->n++;
}

static void
text(struct map *m, const char *name, const char *s)
{
	if (s == NULL || s[0] == '\0')
		return;
	key(m, name);
	mp_put_cstr(m->b, s);
}

static void
integer(struct map *m, const char *name, int64_t v)
{
	key(m, name);
	mp_put_int(m->b, v);
}

static void
cents(struct map *m, const char *name, int64_t v)
{
	char digits[32];

	key(m, name);
	mp_put_decimal(m->b, slice_str(cents_text(v, digits)));
}

static void
moment(struct map *m, const char *name, int64_t v)
{
	if (v == 0)
		return;
	key(m, name);
	mp_put_time(m->b, v);
}

static void
tax_class(struct map *m, enum vat_class c)
{
	text(m, "class", class_names[c]);
	key(m, "rate");
	mp_put_decimal(m->b, slice_str(class_rates[c]));
	integer(m, "rate_id", (int64_t)c + 1);
}

static void
address(struct map *m, const char *name, const struct address *a)
{
	struct map in;

	key(m, name);
	in = map_open(m->b);
	text(&in, "first", a->first);
	text(&in, "last", a->last);
	text(&in, "company", a->company);
	text(&in, "street", a->street);
	text(&in, "postcode", a->place->postcode);
	text(&in, "city", a->place->city);
	text(&in, "country", "FI");
	map_close(&in);
}

/* From the moment it counts on the money until it is off, a shop has taken the
 * goods off its own stock. */
static bool
taken(const char *status)
{
	return strcmp(status, "processing") == 0 ||
	       strcmp(status, "on_hold") == 0 ||
	       strcmp(status, "completed") == 0;
}

static void
lines(struct map *m, const struct order *o, const char *status)
{
	key(m, "lines");
	mp_put_array(m->b, (uint32_t)o->lines_n);
	for (size_t i = 0; i < o->lines_n; i++) {
		const struct order_line *l = &o->lines[i];
		struct map in = map_open(m->b);

		integer(&in, "id", l->id);
		integer(&in, "product", l->good - goods + 100);
		text(&in, "sku", l->good->sku);
		text(&in, "name", l->good->name);
		integer(&in, "quantity", l->quantity);
		integer(&in, "taken", taken(status) ? l->quantity : 0);
		tax_class(&in, l->good->vat);
		cents(&in, "before", l->before.net);
		cents(&in, "before_tax", l->before.vat);
		cents(&in, "total", l->after.net);
		cents(&in, "tax", l->after.vat);
		map_close(&in);
	}
}

static void
extras(struct map *m, const char *name, const struct order_extra *v, size_t n)
{
	key(m, name);
	mp_put_array(m->b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		struct map in = map_open(m->b);

		integer(&in, "id", v[i].id);
		text(&in, "title", v[i].title);
		tax_class(&in, v[i].vat);
		cents(&in, "total", v[i].price.net);
		cents(&in, "tax", v[i].price.vat);
		map_close(&in);
	}
}

static void
coupons(struct map *m, const struct order *o, const struct totals *t)
{
	struct map in;

	key(m, "coupons");
	mp_put_array(m->b, o->coupon[0] != '\0');
	if (o->coupon[0] == '\0')
		return;
	in = map_open(m->b);
	integer(&in, "id", o->id * 20 + 13);
	text(&in, "code", o->coupon);
	cents(&in, "total", t->discount.net);
	cents(&in, "tax", t->discount.vat);
	map_close(&in);
}

static void
gift_cards(struct map *m, const struct order *o)
{
	struct map in;

	key(m, "gift_cards");
	mp_put_array(m->b, o->card > 0);
	if (o->card == 0)
		return;
	in = map_open(m->b);
	integer(&in, "id", o->id * 20 + 16);
	text(&in, "code", o->key);
	cents(&in, "amount", o->card);
	map_close(&in);
}

static void
taxes(struct map *m, const struct order *o, const struct totals *t)
{
	size_t mark;
	uint32_t n = 0;

	key(m, "taxes");
	mark = mp_open(m->b);
	for (int c = 0; c < VAT_CLASSES; c++) {
		bool shipped =
		    o->shipping.title != NULL && (int)o->shipping.vat == c;
		int64_t on_shipping = shipped ? o->shipping.price.vat : 0;
		struct map in;

		if (!t->has_class[c])
			continue;
		in = map_open(m->b);
		integer(&in, "id", o->id * 20 + 17 + c);
		tax_class(&in, (enum vat_class)c);
		cents(&in, "goods", t->by_class[c].vat - on_shipping);
		cents(&in, "shipping", on_shipping);
		map_close(&in);
		n++;
	}
	mp_close_array(m->b, mark, n);
}

void
order_write(struct buf *out, const struct order *o, const struct order_news *n)
{
	static const char *const paying[] = {
	    "online", "transfer", "on_delivery", "nothing"};
	struct map m = map_open(out);
	struct totals t;
	char number[32];

	order_totals(o, &t);
	(void)snprintf(number, sizeof(number), "%lld", (long long)o->number);
	text(&m, "event", n->event);
	text(&m, "status", n->status);
	text(&m, "number", number);
	integer(&m, "id", o->id);
	text(&m, "key", o->key);
	text(&m, "currency", "EUR");
	moment(&m, "created_at", o->created);
	moment(&m, "modified_at", n->at);
	moment(&m, "paid_at", n->paid_at);
	text(&m, "transaction", n->transaction);
	integer(&m, "customer", o->customer);
	text(&m, "note", o->note);
	text(&m, "email", o->email);
	text(&m, "phone", o->phone);
	text(&m, "vat_id", o->vat_id);
	address(&m, "billing", &o->billing);
	address(&m, "delivery", &o->delivery);
	lines(&m, o, n->status);
	extras(&m, "shipping", &o->shipping, o->shipping.title != NULL);
	extras(&m, "fees", o->fees, o->fees_n);
	coupons(&m, o, &t);
	gift_cards(&m, o);
	taxes(&m, o, &t);
	cents(&m, "discount", t.discount.net);
	cents(&m, "discount_tax", t.discount.vat);
	cents(&m, "shipping_net", t.shipping.net);
	cents(&m, "shipping_tax", t.shipping.vat);
	cents(&m, "goods_tax", t.lines.vat + t.fees.vat);
	cents(&m, "total", t.gross);
	cents(&m, "total_tax", t.vat);
	text(&m, "paying", paying[o->paying]);
	text(&m, "parcel", o->parcel);
	map_close(&m);
}
