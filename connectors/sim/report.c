/* report - see report.h. */
#include "connectors/sim/report.h"

#include <time.h>

#include "broker/base/clock.h"
#include "broker/base/mp.h"

#define ANSWER_MS 10000
#define REPLY_MAX (16 * 1024 * 1024)
#define REASONS 64
#define PAGE 500

/* ---- asking ---- */

static enum err
ask_status(struct client *c, struct buf *out)
{
	struct buf q;
	enum err e;

	buf_init(&q, 256);
	mp_put_map(&q, 1);
	mp_put_cstr(&q, "query");
	mp_put_cstr(&q, "status");
	buf_reset(out);
	e = client_ask(c, buf_all(&q), ANSWER_MS, out);
	buf_fini(&q);
	return e == ERR_OK ? mp_check(buf_all(out)) : e;
}

static enum err
ask_open(struct client *c, uint64_t after, struct buf *out)
{
	struct buf q;
	enum err e;

	buf_init(&q, 256);
	mp_put_map(&q, 4);
	mp_put_cstr(&q, "query");
	mp_put_cstr(&q, "open");
	mp_put_cstr(&q, "sub");
	mp_put_cstr(&q, "");
	mp_put_cstr(&q, "after");
	mp_put_uint(&q, after);
	mp_put_cstr(&q, "max");
	mp_put_uint(&q, PAGE);
	buf_reset(out);
	e = client_ask(c, buf_all(&q), ANSWER_MS, out);
	buf_fini(&q);
	return e == ERR_OK ? mp_check(buf_all(out)) : e;
}

static int64_t
count(struct slice map, const char *key)
{
	int64_t v = 0;

	(void)mp_get_int(map, key, &v);
	return v;
}

static struct slice
text(struct slice map, const char *key)
{
	struct slice s = SLICE_EMPTY;

	(void)mp_get_str(map, key, &s);
	return s;
}

/* The next of a container's values; `left` counts down. */
static bool
next(struct mp_in *in, uint32_t *left, struct slice *out)
{
	return *left > 0 && (*left)-- > 0 && mp_value(in, out) == ERR_OK;
}

static struct mp_in
enter(struct slice value, enum mp_type want, uint32_t *n)
{
	struct mp_in in = mp_in(value);
	struct mp head;

	*n = 0;
	if (mp_next(&in, &head) == ERR_OK && head.type == want)
		*n = head.count;
	return in;
}

enum err
report_quiet(struct client *c, struct far *far, int ms)
{
	int64_t end = clock_mono() + (int64_t)ms * NS_PER_MS;
	struct slice counts;
	struct buf b;
	enum err e;

	buf_init(&b, REPLY_MAX);
	for (;;) {
		e = ask_status(c, &b);
		if (e != ERR_OK || !mp_get(buf_all(&b), "counts", &counts) ||
		    count(counts, "ready") + count(counts, "retry") == 0)
			break;
		if (clock_mono() > end) {
			e = err_note(
			    ERR_TIMEOUT, "deliveries are still going out");
			break;
		}
		far_wait(far, 100);
	}
	buf_fini(&b);
	return e;
}

/* ---- printing ---- */

static const struct config_system *
owner(const struct config *conf, struct slice type)
{
	for (size_t i = 0; i < conf->systems_n; i++) {
		const struct config_system *s = &conf->systems[i];

		if (type.n > s->pack.n && type.p[s->pack.n] == '.' &&
		    slice_starts(type, s->pack))
			return s;
	}
	return NULL;
}

enum kind { CAME_IN, TRANSLATED, TO_GO_OUT };

/* A native type came in, unless it is what some system is to be told: of played
 * ones the pack says so, others are told all that is theirs. */
static enum kind
kind_of(const struct actors *a, struct slice type)
{
	const struct config_system *s = owner(a->config, type);

	if (s == NULL)
		return TRANSLATED;
	for (size_t i = 0; i < a->n; i++) {
		const struct pack *p = a->v[i].pack;

		if (!slice_eq(a->v[i].name, s->name))
			continue;
		for (size_t k = 0; k < p->sends_n; k++)
			if (slice_eq(p->sends[k].type, type))
				return TO_GO_OUT;
		return CAME_IN;
	}
	return s->live ? TO_GO_OUT : CAME_IN;
}

static void
print_types(FILE *out, const struct actors *a, struct slice types,
    enum kind which, const char *title)
{
	uint32_t n;
	struct mp_in in = enter(types, MP_MAP, &n);
	bool any = false;

	for (uint32_t i = 0; i < n; i++) {
		struct mp key, value;

		if (mp_next(&in, &key) != ERR_OK ||
		    mp_next(&in, &value) != ERR_OK)
			return;
		if (kind_of(a, key.bytes) != which)
			continue;
		fprintf(out, "  %-12s %8lld  %.*s\n", any ? "" : title,
		    (long long)value.i, SLICE_ARG(key.bytes));
		any = true;
	}
	if (!any)
		fprintf(out, "  %-12s %8d\n", title, 0);
}

static void
print_systems(FILE *out, struct slice systems)
{
	uint32_t n;
	struct mp_in in = enter(systems, MP_ARRAY, &n);
	struct slice s, sub;
	bool any = false;

	while (next(&in, &n, &s)) {
		if (!mp_get(s, "sub", &sub) ||
		    count(sub, "settled") + count(sub, "open") == 0)
			continue;
		fprintf(out, "  %-12s %8lld  to %.*s", any ? "" : "went out",
		    (long long)count(sub, "settled"),
		    SLICE_ARG(text(s, "name")));
		if (count(sub, "open") > 0)
			fprintf(
			    out, ", %lld open", (long long)count(sub, "open"));
		fputc('\n', out);
		any = true;
	}
}

/* Open work of one kind, with one example. */
struct reason {
	char key[256], example[512];
	uint64_t n;
};

struct reasons {
	size_t n;
	uint64_t more;
	struct reason v[REASONS];
};

static void
add_reason(struct reasons *r, struct slice item)
{
	struct slice state = text(item, "state"), why;
	char key[256];
	size_t i;

	if (slice_is(state, "ready"))
		return;
	why = slice_is(state, "wait")	 ? text(item, "wait_type")
	      : slice_is(state, "ask")	 ? text(item, "table")
	      : slice_is(state, "retry") ? text(item, "text")
					 : text(item, "path");
	(void)snprintf(key, sizeof(key), "%.*s: %.*s, %.*s%s%.*s",
	    SLICE_ARG(state), SLICE_ARG(text(item, "sub")),
	    SLICE_ARG(text(item, "type")), why.n > 0 ? ": " : "",
	    SLICE_ARG(why));
	for (i = 0; i < r->n && strcmp(r->v[i].key, key) != 0; i++)
		;
	if (i == REASONS) {
		r->more++;
		return;
	}
	if (i == r->n) {
		memcpy(r->v[i].key, key, sizeof(key));
		(void)snprintf(r->v[i].example, sizeof(r->v[i].example),
		    "%.*s: %.*s", SLICE_ARG(text(item, "subject")),
		    SLICE_ARG(text(item, "text")));
		r->n++;
	}
	r->v[i].n++;
}

static enum err
print_open(FILE *out, struct client *c)
{
	static struct reasons r;
	uint64_t after = 0;
	struct slice items, item;
	struct buf b;
	enum err e;

	memset(&r, 0, sizeof(r));
	buf_init(&b, REPLY_MAX);
	do {
		uint32_t n;
		struct mp_in in;

		e = ask_open(c, after, &b);
		if (e != ERR_OK)
			break;
		after = (uint64_t)count(buf_all(&b), "next");
		if (!mp_get(buf_all(&b), "items", &items))
			break;
		in = enter(items, MP_ARRAY, &n);
		while (next(&in, &n, &item))
			add_reason(&r, item);
	} while (after != 0);
	buf_fini(&b);
	for (size_t i = 0; i < r.n; i++)
		fprintf(out, "  %-12s %8llu  %s\n%26s%s\n",
		    i > 0 ? "" : "waits", (unsigned long long)r.v[i].n,
		    r.v[i].key, "e.g. ", r.v[i].example);
	if (r.n == 0)
		fprintf(out, "  %-12s %8d\n", "waits", 0);
	if (r.more > 0)
		fprintf(out, "  and %llu of other kinds\n",
		    (unsigned long long)r.more);
	return e;
}

enum err
report_print(FILE *out, struct client *c, const struct actors *a)
{
	struct slice types = SLICE_EMPTY, systems = SLICE_EMPTY, counts;
	struct buf b;
	enum err e;

	buf_init(&b, REPLY_MAX);
	e = ask_status(c, &b);
	if (e == ERR_OK) {
		(void)mp_get(buf_all(&b), "types", &types);
		(void)mp_get(buf_all(&b), "systems", &systems);
		fputs("Since it was started\n", out);
		print_types(out, a, types, CAME_IN, "came in");
		if (mp_get(buf_all(&b), "counts", &counts))
			fprintf(out,
			    "  %-12s %8lld  known already, not kept "
			    "twice\n",
			    "", (long long)count(counts, "duplicates"));
		print_types(out, a, types, TRANSLATED, "translated");
		print_types(out, a, types, TO_GO_OUT, "requests");
		print_systems(out, systems);
		e = print_open(out, c);
	}
	buf_fini(&b);
	return e;
}
