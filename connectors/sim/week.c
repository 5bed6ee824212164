/* week - see week.h. */
#include "connectors/sim/week.h"

#include <stdlib.h>

#include "broker/base/clock.h"

#define HOUR (3600 * NS_PER_SEC)
#define COPIES 3
#define LATE_PERCENT 12
#define COPY_PERCENT 10

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
	size_t room = (size_t)orders * SCRIPT_STEPS * COPIES + 1;
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
	for (uint32_t i = 0; i < w->n; i++)
		w->turn[i] = i;
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

int64_t
week_since(const struct week *w, size_t turn)
{
	int64_t ns = w->v[w->turn[turn]].arrives - w->start;

	return ns > 0 ? ns : 0;
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

		buf_reset(&b);
		week_script(w, o, s);
		script_expect(&b, s);
		buf_str(&b, ",\"messages\":[");
		for (; i < w->n && w->v[i].order == o; i++) {
			const struct week_item *x = &w->v[i];

			buf_printf(&b,
			    "%s{\"what\":\"%s\",\"copy\":%d,\"late\":%s,"
			    "\"status\":%d,\"tries\":%d}",
			    first ? "" : ",", step_type(&s->steps[x->step]),
			    x->copy, x->late ? "true" : "false", x->status,
			    x->tries);
			first = false;
		}
		buf_str(&b, "]}\n");
		(void)fwrite(b.p, 1, b.n, out);
	}
	buf_fini(&b);
	free(s);
}
