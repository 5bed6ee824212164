/* far - see far.h. */
#include "connectors/sim/far.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/base/clock.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "broker/base/zone.h"
#include "connectors/sim/rng.h"

#define SITES 8
#define ITEMS_MAX 4000000
#define BUCKETS 65536 /* of items, by path and id */
#define PAGE_MAX (32 * 1024 * 1024)
#define BODY_MAX (256 * 1024) /* of a change */
#define HELD 64		      /* questions that hang at once */
#define HANG_MS 3000

struct item {
	const struct actor *of;
	char *path, *id, *after, *page, *size; /* of one block, as body is */
	int64_t at;
	size_t body_n;
	char *body;
	bool own_body; /* a change has replaced it */
	size_t next;   /* of its bucket; its place + 1, 0 the last */
};

struct site {
	struct far *far;
	const struct actor *of;
	struct MHD_Daemon *daemon;
};

/* One question, from its head to its answer. */
struct question {
	struct buf body;
	bool hung;
};

/* One that nobody answers, until it is cut off. */
struct held {
	struct MHD_Connection *con;
	int64_t until;
};

struct far {
	struct site sites[SITES];
	size_t sites_n;
	size_t n, cap;
	struct item *v;
	size_t buckets[BUCKETS]; /* places + 1 */
	struct rng rng;
	int64_t faults;
	size_t held_n;
	struct held held[HELD];
	struct far_counts counts;
};

/* ---- what is listed ---- */

bool
far_has(const struct far *f, const struct message *m)
{
	for (size_t i = 0; f != NULL && m->listed.path.n > 0 && i < f->sites_n;
	     i++)
		if (f->sites[i].of == m->from)
			return true;
	return false;
}

static char *
put(char **p, struct slice s)
{
	char *at = *p;

	memcpy(at, s.p, s.n);
	at[s.n] = '\0';
	*p += s.n + 1;
	return at;
}

static enum err
item_make(struct item *x, const struct message *m)
{
	const struct listed *l = &m->listed;
	char *p = malloc(l->path.n + l->id.n + l->after.n + l->page.n +
			 l->size.n + m->body.n + 6);

	if (p == NULL)
		return err_note(ERR_NOMEM, "no memory for what is listed");
	x->of = m->from;
	x->at = l->at;
	x->path = put(&p, l->path);
	x->id = put(&p, l->id);
	x->after = put(&p, l->after);
	x->page = put(&p, l->page);
	x->size = put(&p, l->size);
	x->body_n = m->body.n;
	x->body = put(&p, m->body);
	x->own_body = false;
	return ERR_OK;
}

static void
item_free(struct item *x)
{
	if (x->own_body)
		free(x->body);
	free(x->path); /* the block of them all */
}

/* The fields that `change` has take the place of the body's; others stay. */
static enum err
item_change(struct item *x, struct slice change)
{
	struct buf was, to, all;
	struct slice v;
	struct mp_in in;
	struct mp head, key;
	size_t mark;
	uint32_t n = 0;
	char *body = NULL;
	enum err e;

	buf_init(&was, 4 * BODY_MAX);
	buf_init(&to, 4 * BODY_MAX);
	buf_init(&all, 8 * BODY_MAX);
	e = json_to_mp(slice_of(x->body, x->body_n), &was, NULL);
	if (e == ERR_OK)
		e = json_to_mp(change, &to, NULL);
	mark = mp_open(&all);
	for (int both = 0; e == ERR_OK && both < 2; both++) {
		in = mp_in(buf_all(both == 0 ? &was : &to));
		e = mp_next(&in, &head);
		if (e == ERR_OK && head.type != MP_MAP)
			e = err_note(ERR_TYPE, "no object");
		for (uint32_t i = 0; e == ERR_OK && i < head.count; i++) {
			char name[256];
			struct slice other;

			e = mp_next(&in, &key);
			if (e == ERR_OK)
				e = mp_value(&in, &v);
			(void)snprintf(
			    name, sizeof(name), "%.*s", SLICE_ARG(key.bytes));
			if (e != ERR_OK ||
			    (both == 0 && mp_get(buf_all(&to), name, &other)))
				continue;
			mp_put_str(&all, key.bytes);
			buf_slice(&all, v);
			n++;
		}
	}
	mp_close_map(&all, mark, n);
	buf_reset(&to);
	if (e == ERR_OK)
		e = buf_check(&all);
	if (e == ERR_OK)
		e = mp_to_json(buf_all(&all), JSON_COMPACT, &to);
	if (e == ERR_OK && (body = malloc(to.n)) == NULL)
		e = err_note(ERR_NOMEM, "no memory for a change");
	if (e == ERR_OK) {
		memcpy(body, to.p, to.n);
		if (x->own_body)
			free(x->body);
		x->body = body;
		x->body_n = to.n;
		x->own_body = true;
	}
	buf_fini(&was);
	buf_fini(&to);
	buf_fini(&all);
	return e;
}

static size_t
bucket(struct slice path, struct slice id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < path.n; i++)
		h = (h ^ path.p[i]) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < id.n; i++)
		h = (h ^ id.p[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h % BUCKETS);
}

static struct item *
item_find(
    struct far *f, const struct actor *of, struct slice path, struct slice id)
{
	size_t at = f->buckets[bucket(path, id)];

	while (at > 0) {
		struct item *x = &f->v[at - 1];

		if (x->of == of && slice_is(id, x->id) &&
		    slice_is(path, x->path))
			return x;
		at = x->next;
	}
	return NULL;
}

enum err
far_keep(struct far *f, const struct message *m)
{
	const struct listed *l = &m->listed;
	struct item *x = item_find(f, m->from, l->path, l->id);
	size_t *head = &f->buckets[bucket(l->path, l->id)];
	void *bigger;

	if (x != NULL) {
		if (x->at > m->listed.at)
			return ERR_OK;
		item_free(x);
		f->counts.items--;
	} else {
		if (f->n == ITEMS_MAX)
			return err_note(ERR_LIMIT, "too much is listed");
		if (f->n == f->cap) {
			f->cap = f->cap > 0 ? 2 * f->cap : 256;
			bigger = realloc(f->v, f->cap * sizeof(*f->v));
			if (bigger == NULL)
				return err_note(
				    ERR_NOMEM, "no memory for what is listed");
			f->v = bigger;
		}
		x = &f->v[f->n++];
		x->path = NULL;
		x->next = *head;
		*head = f->n;
	}
	f->counts.items++;
	return item_make(x, m);
}

/* ---- answers ---- */

static enum MHD_Result
answer(struct MHD_Connection *con, unsigned status, const char *type,
    const char *text, size_t n)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
	    n, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok;

	if (r == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(r, "Content-Type", type);
	if (status == 429)
		(void)MHD_add_response_header(r, "Retry-After", "1");
	ok = MHD_queue_response(con, status, r);
	MHD_destroy_response(r);
	return ok;
}

/* Half of what was promised, then an end. */
static ssize_t
broken_off(void *arg, uint64_t pos, char *out, size_t max)
{
	static const char half[] = "[{\"id\": 1, \"sta";

	(void)arg;
	if (pos > 0 || max < sizeof(half))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	memcpy(out, half, sizeof(half) - 1);
	return (ssize_t)sizeof(half) - 1;
}

static enum MHD_Result
break_off(struct MHD_Connection *con)
{
	struct MHD_Response *r = MHD_create_response_from_callback(
	    4096, 1024, broken_off, NULL, NULL);
	enum MHD_Result ok;

	if (r == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(r, "Content-Type", "application/json");
	ok = MHD_queue_response(con, 200, r);
	MHD_destroy_response(r);
	return ok;
}

/* Nobody answers; far_run() hangs up in the end. */
static enum MHD_Result
hang(struct far *f, struct question *q, struct MHD_Connection *con)
{
	if (f->held_n == HELD)
		return MHD_NO;
	q->hung = true;
	f->held[f->held_n++] =
	    (struct held){con, clock_mono() + HANG_MS * NS_PER_MS};
	MHD_suspend_connection(con);
	return MHD_YES;
}

static enum MHD_Result
spoil(struct far *f, struct question *q, struct MHD_Connection *con)
{
	static const char json[] = "{\"message\":\"not now\"}";
	static const char html[] = "<html><body>Maintenance</body></html>";
	static const char failed[] =
	    "{\"status\":\"FAILED\",\"message\":\"not now\"}";

	f->counts.faults++;
	switch (rng_below(&f->rng, 7)) {
	case 0:
		return answer(
		    con, 500, "application/json", json, sizeof(json) - 1);
	case 1:
		return answer(
		    con, 429, "application/json", json, sizeof(json) - 1);
	case 2:
		return answer(con, 200, "text/html", html, sizeof(html) - 1);
	case 3:
		return answer(
		    con, 200, "application/json", failed, sizeof(failed) - 1);
	case 4:
		return break_off(con);
	case 5:
		return hang(f, q, con);
	default:
		return MHD_NO; /* it hangs up */
	}
}

static const char *
argument(struct MHD_Connection *con, const char *name)
{
	return MHD_lookup_connection_value(con, MHD_GET_ARGUMENT_KIND, name);
}

static int64_t
number(struct MHD_Connection *con, const char *name, int64_t otherwise)
{
	const char *s = argument(con, name);
	long long v = s != NULL ? strtoll(s, NULL, 10) : 0;

	return v >= 1 && v <= 1000000 ? v : otherwise;
}

static int
by_change(const void *a, const void *b)
{
	const struct item *x = *(const struct item *const *)a,
			  *y = *(const struct item *const *)b;

	return x->at < y->at ? -1 : x->at > y->at ? 1 : strcmp(x->id, y->id);
}

/* The items of this list that changed since the moment asked for. */
static size_t
find(const struct site *s, struct MHD_Connection *con, const char *url,
    const struct item **out)
{
	const struct far *f = s->far;
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct item *x = &f->v[i];
		const char *after;
		int64_t since = INT64_MIN;
		bool zoned;

		if (x->of != s->of || strcmp(x->path, url) != 0)
			continue;
		after = argument(con, x->after);
		if (after != NULL && time_parse(slice_str(after), NULL, &since,
					 &zoned) != ERR_OK)
			since = INT64_MIN;
		if (x->at >= since)
			out[n++] = x;
	}
	qsort(out, n, sizeof(*out), by_change);
	return n;
}

static enum MHD_Result
list(const struct site *s, struct MHD_Connection *con, const char *url)
{
	const struct item **found = calloc(s->far->n + 1, sizeof(*found));
	enum MHD_Result ok;
	struct buf b;
	size_t n, from, to;

	if (found == NULL)
		return MHD_NO;
	n = find(s, con, url, found);
	buf_init(&b, PAGE_MAX);
	buf_byte(&b, '[');
	if (n > 0) {
		to = (size_t)number(con, found[0]->size, 10);
		from = (size_t)(number(con, found[0]->page, 1) - 1) * to;
		for (size_t i = from; i < n && i < from + to; i++) {
			if (i > from)
				buf_byte(&b, ',');
			buf_put(&b, found[i]->body, found[i]->body_n);
		}
	}
	buf_byte(&b, ']');
	ok = buf_check(&b) == ERR_OK
		 ? answer(con, 200, "application/json", buf_cstr(&b), b.n)
		 : MHD_NO;
	buf_fini(&b);
	free(found);
	return ok;
}

/* What stands at PATH/ID. */
static struct item *
one(const struct site *s, const char *url)
{
	const char *id = strrchr(url, '/');

	return id == NULL
		   ? NULL
		   : item_find(s->far, s->of, slice_of(url, (size_t)(id - url)),
			 slice_str(id + 1));
}

static enum MHD_Result
change(const struct site *s, struct question *q, struct MHD_Connection *con,
    const char *url)
{
	static const char none[] = "{\"message\":\"no such thing\"}";
	static const char bad[] = "{\"message\":\"that is no object\"}";
	struct item *x = one(s, url);

	if (x == NULL)
		return answer(
		    con, 404, "application/json", none, sizeof(none) - 1);
	if (buf_check(&q->body) != ERR_OK ||
	    item_change(x, buf_all(&q->body)) != ERR_OK)
		return answer(
		    con, 400, "application/json", bad, sizeof(bad) - 1);
	s->far->counts.changed++;
	return answer(con, 200, "application/json", x->body, x->body_n);
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *con, const char *url,
    const char *method, const char *version, const char *body, size_t *body_n,
    void **own)
{
	static const char no[] =
	    "{\"message\":\"lists and PUT are known here\"}";
	struct site *s = arg;
	struct question *q = *own;
	const struct item *x;

	(void)version;
	if (q == NULL) { /* the head alone */
		*own = q = calloc(1, sizeof(*q));
		if (q == NULL)
			return MHD_NO;
		buf_init(&q->body, BODY_MAX);
		return MHD_YES;
	}
	if (*body_n > 0) {
		buf_put(&q->body, body, *body_n);
		*body_n = 0;
		return MHD_YES;
	}
	if (q->hung)
		return MHD_NO;
	s->far->counts.asked++;
	if (rng_below(&s->far->rng, 100) < (size_t)s->far->faults)
		return spoil(s->far, q, con);
	if (strcmp(method, "PUT") == 0)
		return change(s, q, con, url);
	if (strcmp(method, "GET") != 0)
		return answer(con, 405, "application/json", no, sizeof(no) - 1);
	x = one(s, url);
	return x != NULL
		   ? answer(con, 200, "application/json", x->body, x->body_n)
		   : list(s, con, url);
}

static void
on_end(void *arg, struct MHD_Connection *con, void **own,
    enum MHD_RequestTerminationCode why)
{
	struct question *q = *own;

	(void)arg;
	(void)con;
	(void)why;
	if (q == NULL)
		return;
	buf_fini(&q->body);
	free(q);
	*own = NULL;
}

/* Cut off what has hung long enough; at the end, all of it. */
static void
let_go(struct far *f, bool all)
{
	int64_t now = clock_mono();

	for (size_t i = f->held_n; i-- > 0;) {
		if (!all && f->held[i].until > now)
			continue;
		MHD_resume_connection(f->held[i].con);
		f->held[i] = f->held[--f->held_n];
	}
}

/* ---- all of it ---- */

/* The port of http://127.0.0.1:PORT or http://localhost:PORT, else 0. */
static uint16_t
port_of(struct slice url)
{
	static const char *const hosts[] = {
	    "http://127.0.0.1:", "http://localhost:"};

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(hosts[i]);
		unsigned v = 0;

		if (url.n <= n || memcmp(url.p, hosts[i], n) != 0)
			continue;
		for (; n < url.n && url.p[n] >= '0' && url.p[n] <= '9'; n++)
			if ((v = v * 10 + (unsigned)(url.p[n] - '0')) > 65535)
				return 0;
		return (uint16_t)v;
	}
	return 0;
}

enum err
far_open(
    struct far **out, const struct actors *a, uint64_t seed, int64_t faults)
{
	struct far *f = calloc(1, sizeof(*f));

	*out = NULL;
	if (f == NULL)
		return err_note(ERR_NOMEM, "no memory for the far side");
	f->rng = rng_of(seed, UINT64_C(0xfa4));
	f->faults = faults;
	for (size_t i = 0; i < a->n && f->sites_n < SITES; i++) {
		struct site *s = &f->sites[f->sites_n];
		struct sockaddr_in here = {.sin_family = AF_INET};
		struct slice url = SLICE_EMPTY;
		uint16_t port;

		(void)mp_get_str(buf_all(&a->v[i].open), "url", &url);
		port = port_of(url);
		if (port == 0)
			continue;
		here.sin_port = htons(port);
		here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*s = (struct site){.far = f, .of = &a->v[i]};
		s->daemon = MHD_start_daemon(
		    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, port, NULL, NULL,
		    on_request, s, MHD_OPTION_SOCK_ADDR,
		    (struct sockaddr *)&here,
		    MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
		    MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
		if (s->daemon == NULL) {
			far_free(f);
			return err_errno(ERR_IO,
			    "cannot listen at port %u, where %.*s is to answer",
			    (unsigned)port, SLICE_ARG(a->v[i].name));
		}
		f->sites_n++;
	}
	if (f->sites_n == 0)
		far_free(f);
	else
		*out = f;
	return ERR_OK;
}

void
far_free(struct far *f)
{
	if (f == NULL)
		return;
	let_go(f, true);
	for (size_t i = 0; i < f->sites_n; i++)
		MHD_stop_daemon(f->sites[i].daemon);
	for (size_t i = 0; i < f->n; i++)
		item_free(&f->v[i]);
	free(f->v);
	free(f);
}

void
far_run(struct far *f)
{
	if (f != NULL)
		let_go(f, false);
	for (size_t i = 0; f != NULL && i < f->sites_n; i++)
		(void)MHD_run(f->sites[i].daemon);
}

void
far_wait(struct far *f, int ms)
{
	struct timespec nap = {0, 5 * NS_PER_MS};
	int64_t end = clock_mono() + ms * NS_PER_MS;

	do {
		far_run(f);
		(void)nanosleep(&nap, NULL);
	} while (clock_mono() < end);
}

struct far_counts
far_counts(const struct far *f)
{
	return f != NULL ? f->counts : (struct far_counts){0};
}
