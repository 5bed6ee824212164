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

enum err
week_make(struct week *w, uint64_t seed, int64_t first, int64_t orders,
    int64_t start, int64_t days)
{
	size_t settled = SETTLED_AT_ONCE;
	size_t room = (size_t)orders * (SCRIPT_STEPS * COPIES + 1) + 1;
	struct script *s = malloc(sizeof(*s));

	*w = (struct week){.seed = seed,
	    .first = first,
	    .orders = orders,
	    .start = start,
	    .days = days};
	w->v = calloc(room, sizeof(*w->v));
	w->turn = calloc(room, sizeof(*w->turn));
	if (s == NULL || w->v == NULL || w->turn == NULL) {
		free(s);
		week_free(w);
		return err_note(
		    ERR_NOMEM, "no memory for %lld orders", (long long)orders);
	}
	for (uint32_t i = 0; i < orders; i++) {
		week_script(w, i, s);
		add(w, i, s);
	}
	w->settlements = ((size_t)orders + settled - 1) / settled;
	for (uint32_t i = 0; i < w->n + w->settlements; i++)
		w->turn[i] = i; /* settlements stay last */
	qsort_r(w->turn, w->n, sizeof(*w->turn), by_arrival, w);
	free(s);
	return ERR_OK;
}

void
week_free(struct week *w)
{
	free(w->v);
	free(w->turn);
	w->v = NULL;
	w->turn = NULL;
	w->n = 0;
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
	struct totals t;
	int64_t cents;
	char text[64];

	order_totals(&st->order, &t);
	cents = back ? -s->credits[st->credit].gross : t.gross;
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

void
week_settle(const struct week *w, size_t which, struct buf *out)
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

int64_t
week_since(const struct week *w, size_t turn)
{
	int64_t ns = w->v[w->turn[turn]].arrives - w->start;

	return ns > 0 ? ns : 0; /* settlements: when all else is sent */
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
	buf_fini(&b);
	free(s);
}
