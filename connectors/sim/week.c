/* week - see week.h. */
#include "connectors/sim/week.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/mp.h"

#define HOUR (3600 * NS_PER_SEC)
#define COPIES 3
#define LATE_PERCENT 12
#define COPY_PERCENT 10
#define LOST_PERCENT 5
#define SETTLED_AT_ONCE 40 /* orders */
#define FEE 35		   /* cents of each payment */
#define AFTER_DAYS 42	   /* by then the last refund has come back */
#define SPARE 40	   /* of each good, at least, when all is sold */

/* The moment of an order: numbers and moments rise together. */
static int64_t
moment(const struct week *w, uint32_t order)
{
	struct rng r = rng_of(w->seed ^ UINT64_C(0x3ee1), order);
	int64_t span = w->days * 24 * HOUR, each = span / w->orders;

	/* order_make() goes back from it by up to an hour */
	return w->start + HOUR + each * order +
	       (int64_t)(rng_next(&r) % (uint64_t)(each > 0 ? each : 1));
}

void
week_script(const struct week *w, uint32_t order, struct script *s)
{
	struct order o;

	order_make(&o, w->seed, w->first + order, moment(w, order));
	script_make(s, &o, w->seed);
	script_after(s, w->seed);
}

static int64_t
delay(struct rng *r, bool *late)
{
	*late = rng_chance(r, LATE_PERCENT);
	if (!*late)
		return (int64_t)rng_below(r, 4000) * NS_PER_MS;
	return (int64_t)rng_below(r, rng_chance(r, 80) ? 6 * 3600 : 30 * 3600) *
	       NS_PER_SEC;
}

static void
add(struct week *w, uint32_t order, const struct script *s)
{
	struct rng r = rng_of(w->seed ^ UINT64_C(0x1a7e), order);
	int64_t at = 0;

	for (size_t i = 0; i < s->n; i++) {
		size_t copies = rng_chance(&r, COPY_PERCENT)
				    ? 2 + rng_below(&r, COPIES - 1)
				    : 1;

		/* a script's own order stands, but for what is late */
		at = s->steps[i].at > at ? s->steps[i].at : at + NS_PER_SEC;
		for (size_t c = 0; c < copies; c++) {
			struct week_item *x = &w->v[w->n++];

			*x = (struct week_item){.order = order,
			    .step = (uint8_t)i,
			    .copy = (uint8_t)c};
			x->arrives = at + delay(&r, &x->late);
			x->unlucky = rng_chance(&r, LOST_PERCENT);
			w->late += x->late;
			w->copies += c > 0;
		}
	}
}

static int
by_arrival(const void *a, const void *b, void *arg)
{
	const struct week *w = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;

	if (w->v[i].arrives != w->v[k].arrives)
		return w->v[i].arrives < w->v[k].arrives ? -1 : 1;
	return i < k ? -1 : i > k;
}

/* ---- the warehouse ---- */

/* When list k is made: the last one when all is over. */
static int64_t
list_at(const struct week *w, size_t k)
{
	return k + 1 == w->lists_n
		   ? w->ends + HOUR
		   : w->start + (w->ends - w->start) / (int64_t)w->lists_n *
				    (int64_t)k;
}

/* Lists of movements become lists of what stands there: enough for all that
 * leaves, and the same for every number of lists. */
static void
stock_make(struct week *w, struct script *s)
{
	struct rng r = rng_of(w->seed, UINT64_C(0x570c));

	for (size_t g = 0; g < goods_n; g++)
		for (size_t k = 0; k < w->lists_n; k++)
			w->lists[k * goods_n + g] = 0;
	for (uint32_t o = 0; o < w->orders; o++) {
		week_script(w, o, s);
		for (size_t i = 0; i < s->moves_n; i++) {
			const struct move *m = &s->moves[i];
			size_t g = (size_t)(m->good - goods);

			w->start_stock[g] -= m->delta < 0 ? m->delta : 0;
			for (size_t k = 0; k < w->lists_n; k++)
				if (m->at <= list_at(w, k))
					w->lists[k * goods_n + g] += m->delta;
		}
	}
	for (size_t g = 0; g < goods_n; g++) {
		w->start_stock[g] += SPARE + (int64_t)rng_below(&r, 100);
		for (size_t k = 0; k < w->lists_n; k++)
			w->lists[k * goods_n + g] += w->start_stock[g];
	}
}

/* What a shop can be asked for is there from the moment it happens. */
static void
add_happens(struct week *w, struct script *s)
{
	for (uint32_t o = 0; o < w->orders; o++) {
		week_script(w, o, s);
		for (size_t i = 0; i < s->n; i++)
			if (s->steps[i].kind == STEP_ORDER ||
			    s->steps[i].kind == STEP_REFUND)
				w->v[w->all++] =
				    (struct week_item){.what = WEEK_HAPPENS,
					.order = o,
					.step = (uint8_t)i,
					.arrives = s->steps[i].at};
	}
}

static void
add_other(struct week *w, enum week_what what, size_t which, int64_t arrives)
{
	w->v[w->all++] = (struct week_item){
	    .what = what, .order = (uint32_t)which, .arrives = arrives};
}

/* Products come first, settlements last; a list may be late, but for the last.
 */
static void
add_others(struct week *w, struct script *s)
{
	struct rng r = rng_of(w->seed, UINT64_C(0x1157));
	size_t settled = SETTLED_AT_ONCE;

	w->all = w->n;
	add_happens(w, s);
	for (size_t g = 0; g < goods_n; g++)
		add_other(w, WEEK_PRODUCT, g, w->start - HOUR);
	for (size_t k = 0; k < w->lists_n; k++) {
		bool late = false;
		int64_t wait = k + 1 < w->lists_n ? delay(&r, &late) : 0;

		add_other(w, WEEK_LIST, k, list_at(w, k) + wait);
	}
	for (size_t i = 0; i * settled < (size_t)w->orders; i++)
		add_other(w, WEEK_SETTLEMENT, i, w->ends + 2 * HOUR);
}

static enum err
week_room(struct week *w)
{
	size_t room = (size_t)w->orders * (SCRIPT_STEPS * (COPIES + 1) + 1) +
		      goods_n + w->lists_n + 1;

	w->v = calloc(room, sizeof(*w->v));
	w->turn = calloc(room, sizeof(*w->turn));
	w->lists = calloc(w->lists_n * goods_n, sizeof(*w->lists));
	w->start_stock = calloc(goods_n, sizeof(*w->start_stock));
	if (w->v == NULL || w->turn == NULL || w->lists == NULL ||
	    w->start_stock == NULL)
		return err_note(ERR_NOMEM, "no memory for %lld orders",
		    (long long)w->orders);
	return ERR_OK;
}

int64_t
week_begin(int64_t days)
{
	return clock_now() - (days + AFTER_DAYS) * 24 * HOUR;
}

void
week_spare(struct week *w)
{
	for (size_t i = 0; i < w->n; i++)
		w->v[i].unlucky = false;
}

enum err
week_make(struct week *w, uint64_t seed, int64_t first, int64_t orders,
    int64_t start, int64_t days, int64_t lists)
{
	struct script *s = malloc(sizeof(*s));
	enum err e;

	*w = (struct week){.seed = seed,
	    .first = first,
	    .orders = orders,
	    .start = start,
	    .ends = start,
	    .days = days,
	    .lists_n = (size_t)lists};
	e = week_room(w);
	if (e == ERR_OK && s == NULL)
		e = err_note(ERR_NOMEM, "no memory for an order");
	if (e != ERR_OK) {
		free(s);
		week_free(w);
		return e;
	}
	for (uint32_t i = 0; i < orders; i++) {
		week_script(w, i, s);
		add(w, i, s);
	}
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].arrives > w->ends)
			w->ends = w->v[i].arrives;
	stock_make(w, s);
	add_others(w, s);
	for (uint32_t i = 0; i < w->all; i++)
		w->turn[i] = i;
	qsort_r(w->turn, w->all, sizeof(*w->turn), by_arrival, w);
	free(s);
	return ERR_OK;
}

void
week_free(struct week *w)
{
	free(w->v);
	free(w->turn);
	free(w->lists);
	free(w->start_stock);
	*w = (struct week){.v = NULL};
}

/* ---- settlements ---- */

/* Card payments cost a hundredth, others nothing beyond the fee. */
static int64_t
commission(const struct step *st, int64_t cents)
{
	return st->channel == 6 || st->channel == 7 || st->channel == 9
		   ? (cents + 50) / 100
		   : 0;
}

static void
put_cents(struct buf *out, const char *name, int64_t cents)
{
	char text[32];

	mp_put_cstr(out, name);
	mp_put_decimal(out, slice_str(cents_text(cents, text)));
}

/* One payment or refund that went through; its fee and commission. */
static int64_t
settle(struct buf *out, const struct script *s, const struct step *st)
{
	bool back = st->kind == STEP_PAYBACK;
	int64_t cents =
	    back ? -s->credits[st->credit].gross : order_due(&st->order);
	char text[64];

	if (out != NULL) {
		mp_put_map(out, 8);
		mp_put_cstr(out, "number");
		(void)snprintf(
		    text, sizeof(text), "%lld", (long long)st->order.number);
		mp_put_cstr(out, text);
		mp_put_cstr(out, "stamp");
		(void)snprintf(text, sizeof(text), "%s-%c%zu", st->order.key,
		    back ? 'r' : 'p', st->credit + 1);
		mp_put_cstr(out, text);
		mp_put_cstr(out, "kind");
		mp_put_cstr(out, back ? "refund" : "payment");
		put_cents(out, "amount", cents);
		put_cents(out, "fee", back ? 0 : FEE);
		put_cents(out, "commission", back ? 0 : commission(st, cents));
		mp_put_cstr(out, "channel");
		mp_put_int(out, st->channel);
		mp_put_cstr(out, "at");
		mp_put_time(out, st->at);
	}
	return back ? 0 : FEE + commission(st, cents);
}

/* What an order's payments and refunds put into its settlement, each once; the
 * provider's fees for them. */
static int64_t
settle_order(struct buf *out, const struct script *s, uint32_t *n)
{
	int64_t fees = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct step *st = &s->steps[i];
		bool known = false;

		if ((st->kind != STEP_PAYMENT && st->kind != STEP_PAYBACK) ||
		    strcmp(st->outcome, "ok") != 0)
			continue;
		for (size_t k = 0; k < i; k++)
			known |= s->steps[k].kind == st->kind &&
				 strcmp(s->steps[k].outcome, "ok") == 0 &&
				 strcmp(s->steps[k].transaction,
				     st->transaction) == 0;
		if (known)
			continue;
		fees += settle(out, s, st);
		(*n)++;
	}
	return fees;
}

static void
put_settlement(const struct week *w, size_t which, struct buf *out)
{
	struct script *s = malloc(sizeof(*s));
	uint32_t first = (uint32_t)(which * SETTLED_AT_ONCE), n = 0;
	int64_t id = w->first * 100 + (int64_t)which;
	size_t mark;
	char text[32];

	if (s == NULL)
		return;
	mp_put_map(out, 5);
	mp_put_cstr(out, "id");
	mp_put_int(out, id);
	mp_put_cstr(out, "reference");
	(void)snprintf(text, sizeof(text), "%lld", (long long)id * 10);
	mp_put_cstr(out, text);
	mp_put_cstr(out, "at");
	mp_put_time(out, w->start + (w->days + 7) * 24 * HOUR);
	mp_put_cstr(out, "currency");
	mp_put_cstr(out, "EUR");
	mp_put_cstr(out, "entries");
	mark = mp_open(out);
	for (uint32_t o = first; o < first + SETTLED_AT_ONCE && o < w->orders;
	     o++) {
		week_script(w, o, s);
		(void)settle_order(out, s, &n);
	}
	mp_close_array(out, mark, n);
	free(s);
}

/* ---- the others ---- */

static void
put_product(const struct week *w, size_t g, struct buf *out)
{
	static const char *const classes[] = {"standard", "reduced", "zero"};

	mp_put_map(out, 7);
	mp_put_cstr(out, "id");
	mp_put_int(out, (int64_t)g + 100);
	mp_put_cstr(out, "sku");
	mp_put_cstr(out, goods[g].sku);
	mp_put_cstr(out, "name");
	mp_put_cstr(out, goods[g].name);
	put_cents(out, "price", goods[g].gross);
	mp_put_cstr(out, "class");
	mp_put_cstr(out, classes[goods[g].vat]);
	mp_put_cstr(out, "quantity");
	mp_put_int(out, w->start_stock[g]);
	mp_put_cstr(out, "at");
	mp_put_time(out, w->start - HOUR);
}

static void
put_list(const struct week *w, size_t k, struct buf *out)
{
	mp_put_map(out, 3);
	mp_put_cstr(out, "number");
	mp_put_int(out, w->first * 100 + (int64_t)k);
	mp_put_cstr(out, "at");
	mp_put_time(out, list_at(w, k));
	mp_put_cstr(out, "rows");
	mp_put_array(out, (uint32_t)goods_n);
	for (size_t g = 0; g < goods_n; g++) {
		mp_put_map(out, 3);
		mp_put_cstr(out, "sku");
		mp_put_cstr(out, goods[g].sku);
		mp_put_cstr(out, "name");
		mp_put_cstr(out, goods[g].name);
		mp_put_cstr(out, "on_hand");
		mp_put_int(out, w->lists[k * goods_n + g]);
	}
}

const char *
week_write(const struct week *w, const struct week_item *x, struct buf *out)
{
	if (x->what == WEEK_PRODUCT) {
		put_product(w, x->order, out);
		return "sim.product";
	}
	if (x->what == WEEK_LIST) {
		put_list(w, x->order, out);
		return "sim.stock";
	}
	put_settlement(w, x->order, out);
	return "sim.settlement";
}

int64_t
week_part(const struct week *w, size_t turn)
{
	int64_t ns = w->v[w->turn[turn]].arrives - w->start;
	int64_t all = w->ends + 2 * HOUR - w->start;

	return ns > 0 ? ns / (all / 1000000) : 0;
}

/* The warehouse at the start and in its last list. */
static void
log_stock(const struct week *w, struct buf *b)
{
	buf_reset(b);
	buf_printf(b, "{\"lists\":%zu,\"stock\":[", w->lists_n);
	for (size_t g = 0; g < goods_n; g++)
		buf_printf(b,
		    "%s{\"sku\":\"%s\",\"product\":\"%zu\",\"start\":%lld,"
		    "\"end\":%lld}",
		    g > 0 ? "," : "", goods[g].sku, g + 100,
		    (long long)w->start_stock[g],
		    (long long)w->lists[(w->lists_n - 1) * goods_n + g]);
	buf_str(b, "]}\n");
}

void
week_log(const struct week *w, FILE *out)
{
	struct script *s = malloc(sizeof(*s));
	struct buf b;
	size_t i = 0;

	if (s == NULL)
		return;
	buf_init(&b, 256 * 1024);
	for (uint32_t o = 0; o < w->orders; o++) {
		bool first = true;
		uint32_t settled = 0;
		char text[32];

		buf_reset(&b);
		week_script(w, o, s);
		script_expect(&b, s);
		buf_printf(&b, ",\"provider_fees\":\"%s\"",
		    cents_text(settle_order(NULL, s, &settled), text));
		buf_str(&b, ",\"messages\":[");
		for (; i < w->n && w->v[i].order == o; i++) {
			const struct week_item *x = &w->v[i];

			buf_printf(&b,
			    "%s{\"what\":\"%s\",\"copy\":%d,\"late\":%s,"
			    "\"lost\":%s,\"status\":%d,\"tries\":%d}",
			    first ? "" : ",", step_type(&s->steps[x->step]),
			    x->copy, x->late ? "true" : "false",
			    x->lost ? "true" : "false", x->status, x->tries);
			first = false;
		}
		buf_str(&b, "]}\n");
		(void)fwrite(b.p, 1, b.n, out);
	}
	log_stock(w, &b);
	(void)fwrite(b.p, 1, b.n, out);
	buf_fini(&b);
	free(s);
}
