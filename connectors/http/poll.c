/*
 * poll - see poll.h.
 *
 * A round reads pages until there are no more. Where items come oldest first it
 * ends as soon as it has come further than the last round, moves the cursor
 * and begins again from there: a thing that changes while we read moves to the
 * end and draws the others one place forward, over the border between two
 * pages, so page 2 after page 1 would miss one. Where they come newest first a
 * change can only show one twice, and the round reads to the end.
 */
#include "connectors/http/poll.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/json.h"
#include "broker/base/say.h"
#include "broker/base/zone.h"
#include "connectors/http/cursor.h"
#include "connectors/http/outcome.h"
#include "connectors/sdk/native.h"

#define ROUND_BYTES (32 * 1024 * 1024)
#define RECORDS_MAX (16 * 1024 * 1024)
#define PUB_FULL (FRAME_MAX - 4096)
#define PUBS_OPEN 4
#define HEADER_BYTES (64 * 1024)
#define AGAIN_NS (5 * NS_PER_SEC)
#define SAY_ITEMS 5 /* bad items of a page that are named */

enum poll_state {
	POLL_OFF, /* a setting it needs is not there */
	POLL_IDLE,
	POLL_DUE, /* a page is to be asked for */
	POLL_RUNNING,
	POLL_PUBLISHING
};

struct poll;

/* Records on their way to the broker; a part of poll->records. */
struct pub {
	struct poll *poll; /* NULL: nobody waits for it any more */
	struct pub *next;  /* all that are open */
	size_t from, to;
	uint32_t count;
};

struct poll {
	struct poller *all;
	const struct plan_poll *plan;
	size_t place; /* in the cursors */
	enum poll_state state;
	int64_t due; /* mono, when IDLE */
	unsigned failures;
	bool retried; /* with another token */

	/* the round */
	int64_t began; /* now */
	int64_t base;  /* the cursor when it began */
	int64_t furthest;
	int64_t page;
	unsigned pages_n;
	char *next_url; /* of a Link */
	size_t stored, bad;

	/* the page */
	struct arena arena;
	struct buf records, event;
	size_t published; /* bytes of `records` handed to the client */
	struct pub *open;
	size_t open_n;
	bool failed, more, ascending;
	int64_t last; /* field of the item before */
};

struct poller {
	struct far *far;
	struct cursors cursors;
	size_t n;
	struct poll *polls;
	struct poll_counts counts;
	bool draining;
};

/* ---- the end of a round ---- */

static void
page_forget(struct poll *p)
{
	arena_reset(&p->arena);
	buf_reset(&p->records);
	p->published = 0;
	p->failed = p->more = false;
}

static void
rest(struct poll *p, int64_t ns)
{
	page_forget(p);
	free(p->next_url);
	p->next_url = NULL;
	p->state = POLL_IDLE;
	p->due = clock_mono() + ns;
}

/* The round is given up; the next begins where this one did. */
static void
give_up(struct poll *p, const char *why)
{
	int64_t wait = AGAIN_NS << (p->failures < 6 ? p->failures : 6);
	char line[1200];

	if (wait > p->plan->every_ms * NS_PER_MS)
		wait = p->plan->every_ms * NS_PER_MS;
	p->failures++;
	p->all->counts.failed++;
	(void)snprintf(line, sizeof(line), "%s", why);
	far_clean(line);
	say(SAY_WARN, "poll", "%.*s: %s; again in %jd s",
	    SLICE_ARG(p->plan->name), line, (intmax_t)(wait / NS_PER_SEC));
	rest(p, wait);
}

static bool
advance(struct poll *p)
{
	struct cursors *c = &p->all->cursors;
	int64_t to = p->furthest < p->began ? p->furthest : p->began;

	if (!p->plan->cursored || p->furthest == INT64_MIN || to <= p->base)
		return false;
	c->v[p->place].at = to;
	if (cursors_save(c) != ERR_OK)
		/* what it stands for is on disk: to go on is safe */
		say(SAY_ERROR, "poll", "the cursor is not kept: %s",
		    err_last());
	return true;
}

static void
round_end(struct poll *p, bool at_once)
{
	if (p->stored > 0 || p->bad > 0)
		say(SAY_INFO, "poll", "%.*s: %zu items taken, %zu not",
		    SLICE_ARG(p->plan->name), p->stored, p->bad);
	p->failures = 0;
	p->all->counts.rounds++;
	p->all->counts.items += p->stored;
	p->all->counts.bad += p->bad;
	rest(p, at_once ? 0 : p->plan->every_ms * NS_PER_MS);
}

/* All of a page is on disk. */
static void
page_end(struct poll *p)
{
	bool full = ++p->pages_n >= PLAN_PAGES;

	if (p->failed) {
		give_up(p, "the broker does not take all of it now");
		return;
	}
	if (p->more && p->ascending && advance(p)) {
		round_end(p, true);
		return;
	}
	if (p->more && !full) {
		p->page++;
		page_forget(p);
		p->state = POLL_DUE;
		return;
	}
	if (full && p->more)
		say(SAY_ERROR, "poll",
		    "%.*s: more than %d pages in one round; what is behind "
		    "them is not read",
		    SLICE_ARG(p->plan->name), PLAN_PAGES);
	else
		(void)advance(p);
	round_end(p, false);
}

/* ---- publishing ---- */

static bool publish(struct poll *p, size_t from, size_t to, uint32_t count);

static void
pub_close(struct pub *b)
{
	struct pub **at = &b->poll->open;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	b->poll->open_n--;
}

/* One record that the broker refuses holds none of the others. */
static void
one_by_one(struct poll *p, const struct pub *b)
{
	struct mp_in in =
	    mp_in(slice_of(p->records.p + b->from, b->to - b->from));
	enum record_kind kind;
	struct slice body;
	size_t from = b->from, to;
	enum err e;

	while (record_next(&in, &kind, &body, &e)) {
		to = (size_t)(in.p - p->records.p);
		if (!publish(p, from, to, 1))
			p->failed = true;
		from = to;
	}
}

static void
on_published(void *arg, enum err e, int64_t retry_ms)
{
	struct pub *b = arg;
	struct poll *p = b->poll;

	(void)retry_ms;
	if (p == NULL || e == ERR_CLOSED) {
		if (p != NULL)
			pub_close(b);
		free(b);
		return;
	}
	if (e == ERR_OK) {
		p->stored += b->count;
	} else if (err_class(e) == CLASS_REJECT && b->count > 1) {
		one_by_one(p, b);
	} else if (err_class(e) == CLASS_REJECT) {
		p->bad++;
		say(SAY_WARN, "poll", "%.*s: the broker refuses an item: %s",
		    SLICE_ARG(p->plan->name), err_last());
	} else {
		p->failed = true;
	}
	pub_close(b);
	free(b);
}

static bool
publish(struct poll *p, size_t from, size_t to, uint32_t count)
{
	struct pub *b = calloc(1, sizeof(*b));
	enum err e;

	if (b == NULL)
		return false;
	*b = (struct pub){
	    .poll = p, .next = p->open, .from = from, .to = to, .count = count};
	p->open = b;
	p->open_n++;
	e = client_publish(p->all->far->sdk->client,
	    slice_of(p->records.p + from, to - from), count, on_published, b);
	if (e == ERR_OK)
		return true;
	pub_close(b);
	free(b);
	return false;
}

/* As many further records as fit one PUB. */
static void
publish_more(struct poll *p)
{
	while (!p->failed && p->open_n < PUBS_OPEN &&
	       p->published < p->records.n) {
		struct mp_in in = mp_in(slice_of(
		    p->records.p + p->published, p->records.n - p->published));
		size_t to = p->published, next;
		enum record_kind kind;
		struct slice body;
		uint32_t count = 0;
		enum err e;

		while (count < FRAME_RECORDS &&
		       record_next(&in, &kind, &body, &e)) {
			next = (size_t)(in.p - p->records.p);
			if (count > 0 && next - p->published > PUB_FULL)
				break;
			to = next;
			count++;
		}
		if (count == 0 || !publish(p, p->published, to, count)) {
			p->failed = true;
			return;
		}
		p->published = to;
	}
}

/* ---- items ---- */

static bool
passing(enum err e)
{
	return err_class(e) == CLASS_RETRY || err_class(e) == CLASS_FATAL;
}

/* The moment an item stands at. A text without a zone is UTC. */
static enum err
moment(struct poll *p, const struct formula_env *env, int64_t *out)
{
	const struct zone *utc = NULL;
	struct mp_in in;
	struct buf b;
	struct mp v;
	bool zoned;
	enum err e;

	buf_init(&b, 4096);
	e = formula_mp(p->plan->field, env, &p->arena, &b);
	in = mp_in(buf_all(&b));
	if (e == ERR_OK)
		e = mp_next(&in, &v);
	if (e == ERR_OK)
		e = zone_get(SLICE_LIT("UTC"), &utc);
	if (e != ERR_OK)
		;
	else if (v.type == MP_TIME)
		*out = v.i;
	else if (v.type == MP_STR)
		e = time_parse(v.bytes, utc, out, &zoned);
	else if (v.type == MP_INT && v.i > 0)
		e = time_from_seconds(
		    v.i > INT64_C(100000000000) ? v.i / 1000 : v.i, 0, out);
	else
		e = err_note(ERR_TYPE, "cursor: it is no moment");
	buf_fini(&b);
	return e;
}

static void
move(struct poll *p, const struct formula_env *env)
{
	int64_t at;

	if (!p->plan->cursored)
		return;
	if (moment(p, env, &at) != ERR_OK) {
		p->ascending = false;
		return;
	}
	if (p->last != INT64_MIN && at < p->last)
		p->ascending = false;
	p->last = at;
	if (at > p->furthest)
		p->furthest = at;
}

static enum err
take_item(struct poll *p, struct formula_env *env, struct slice item)
{
	struct event ev;
	enum err e;

	native_init(&ev);
	env->in = item;
	ev.source = p->all->far->system->conf->name;
	ev.data = item;
	e = native_fill(p->plan->row, env, clock_now(), &p->arena, &ev);
	if (e != ERR_OK)
		return e;
	buf_reset(&p->event);
	event_write(&p->event, &ev);
	if (buf_check(&p->event) != ERR_OK || p->event.n > EVENT_MAX)
		return err_note(ERR_LIMIT, "over %d bytes", EVENT_MAX);
	record_write(&p->records, REC_EVENT, buf_all(&p->event));
	return p->records.bad ? err_note(ERR_NOMEM, "a page is too large")
			      : ERR_OK;
}

/* Every item of the list (or the one value) at `list`. */
static enum err
take_items(
    struct poll *p, struct formula_env *env, struct slice list, size_t *seen)
{
	struct mp_in in = mp_in(list);
	struct mp head;
	size_t bad = 0;
	enum err e = mp_next(&in, &head);

	*seen = 0;
	if (e != ERR_OK)
		return e;
	if (head.type == MP_MAP) {
		in = mp_in(list);
		head.count = 1;
	} else if (head.type != MP_ARRAY) {
		return err_note(ERR_TYPE, "items: it is no list");
	}
	p->last = INT64_MIN;
	p->ascending = p->plan->cursored;
	for (uint32_t i = 0; i < head.count; i++) {
		struct slice item;

		e = mp_value(&in, &item);
		if (e != ERR_OK)
			return e;
		(*seen)++;
		e = take_item(p, env, item);
		move(p, env);
		if (e == ERR_OK)
			continue;
		/* one thing in place of a list, and not what was asked for: a
		 * far side's way to say that it failed, and no end of a list */
		if (passing(e) || head.type == MP_MAP)
			return e;
		p->bad++;
		if (bad++ < SAY_ITEMS)
			say(SAY_WARN, "poll",
			    "%.*s: item %u of page %jd is left out: %s",
			    SLICE_ARG(p->plan->name), i + 1, (intmax_t)p->page,
			    err_last());
	}
	return ERR_OK;
}

/* The URL of rel="next" in a Link header, if there is one. */
static char *
link_next(struct slice header)
{
	const char *p = (const char *)header.p, *end = p + header.n;

	while (p < end) {
		const char *open = memchr(p, '<', (size_t)(end - p)), *close;
		const char *stop;

		if (open == NULL ||
		    (close = memchr(open, '>', (size_t)(end - open))) == NULL)
			return NULL;
		stop = memchr(close, '<', (size_t)(end - close));
		if (stop == NULL)
			stop = end;
		if (memmem(close, (size_t)(stop - close), "rel=\"next\"", 10) !=
			NULL ||
		    memmem(close, (size_t)(stop - close), "rel=next", 8) !=
			NULL)
			return strndup(open + 1, (size_t)(close - open - 1));
		p = stop;
	}
	return NULL;
}

/* false: given up. */
static bool
find_next(struct poll *p, const struct web_answer *a, size_t seen)
{
	struct slice link = SLICE_EMPTY;
	char *to, *whole;

	free(p->next_url);
	p->next_url = NULL;
	if (p->plan->pages == PAGES_PARAM) {
		p->more = seen > 0 && (int64_t)seen >= p->plan->size;
		return true;
	}
	if (p->plan->pages != PAGES_LINK ||
	    params_get(&a->headers, SLICE_LIT("link"), &link) == 0)
		return true;
	to = link_next(link);
	if (to == NULL)
		return true;
	whole = web_resolve(a->url, to);
	free(to);
	to = whole;
	if (to == NULL || strlen(to) >= URL_MAX || !web_same_host(a->url, to)) {
		free(to);
		give_up(p, "its next page is on another host; that is not "
			   "asked");
		return false;
	}
	p->next_url = to;
	p->more = true;
	return true;
}

static enum err
take_page(
    struct poll *p, const struct web_answer *a, struct slice body, size_t *seen)
{
	struct formula_env env = {
	    body, p->all->far->system->all, SLICE_EMPTY, a->status};
	struct slice list = body;
	struct buf b;
	enum err e;

	buf_init(&b, RECORDS_MAX);
	answer_request(SLICE_EMPTY, 0, a, &b);
	e = arena_copy(&p->arena, buf_all(&b), &env.request);
	buf_reset(&b);
	if (e == ERR_OK && p->plan->items != NULL) {
		e = formula_mp(p->plan->items, &env, &p->arena, &b);
		if (e == ERR_OK)
			e = arena_copy(&p->arena, buf_all(&b), &list);
	}
	buf_fini(&b);
	return e == ERR_OK ? take_items(p, &env, list, seen) : e;
}

static void
on_page(void *arg, const struct web_answer *a)
{
	static const struct plan_request none = {.outcomes_n = 0};
	struct poll *p = arg;
	struct far *far = p->all->far;
	struct formula_env env = {
	    SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY, a->status};
	struct slice body = SLICE_EMPTY;
	struct outcome o;
	struct buf mp;
	size_t seen = 0;
	bool odd = false;
	enum err e;

	far_end(far, a, (const char *)far->system->conf->name.p);
	if (a->how == WEB_ANSWERED && a->status == 401 && !p->retried &&
	    auth_refused(far->auth, clock_mono())) {
		p->retried = true;
		p->state = POLL_DUE;
		return;
	}
	buf_init(&mp, RECORDS_MAX);
	e = answer_decode(a, EXPECT_JSON, NULL, &mp, &odd);
	if (e == ERR_OK)
		e = arena_copy(&p->arena, buf_all(&mp), &body);
	buf_fini(&mp);
	outcome_of(&none, a, odd, &env, &p->arena, &o);
	if (e == ERR_OK && o.is == VERDICT_OK && body.n > 0)
		e = take_page(p, a, body, &seen);
	if (e != ERR_OK || o.is != VERDICT_OK) {
		give_up(p, e != ERR_OK ? err_last() : o.text);
		return;
	}
	p->state = POLL_PUBLISHING;
	(void)find_next(p, a, seen);
}

/* ---- asking ---- */

static enum err
put_url(struct poll *p, struct buf *out)
{
	struct formula_env env = {
	    SLICE_EMPTY, p->all->far->system->open, SLICE_EMPTY, 0};
	struct buf in;
	enum err e;

	if (p->next_url != NULL) {
		buf_str(out, p->next_url);
		return buf_check(out);
	}
	buf_init(&in, 256);
	mp_put_map(&in, p->plan->cursored ? 2 : 1);
	mp_put_cstr(&in, "page");
	mp_put_int(&in, p->page);
	if (p->plan->cursored) {
		mp_put_cstr(&in, "cursor");
		/* whole seconds: some take no fraction of one */
		mp_put_time(&in,
		    (p->base - p->plan->overlap_ns) / NS_PER_SEC * NS_PER_SEC);
	}
	env.in = buf_all(&in);
	e = url_put(&p->plan->url, &env, &p->arena, out);
	buf_fini(&in);
	if (e == ERR_OK && p->plan->pages == PAGES_PARAM) {
		buf_byte(out, memchr(out->p, '?', out->n) != NULL ? '&' : '?');
		params_escape(out, p->plan->param);
		buf_printf(out, "=%jd", (intmax_t)p->page);
	}
	return e == ERR_OK ? buf_check(out) : e;
}

static enum err
ask(struct poll *p)
{
	struct far *far = p->all->far;
	struct formula_env env = {
	    SLICE_EMPTY, far->system->open, SLICE_EMPTY, 0};
	struct web_request q = {.method = "GET", .body = SLICE_EMPTY};
	struct buf url, headers;
	enum err e;

	buf_init(&url, URL_MAX);
	buf_init(&headers, HEADER_BYTES);
	buf_str(&headers, "Accept: application/json");
	buf_byte(&headers, '\0');
	e = put_url(p, &url);
	if (e == ERR_OK)
		e = headers_put(p->plan->headers, p->plan->headers_n, &env,
		    &p->arena, &headers);
	if (e == ERR_OK)
		e = auth_put(far->auth, &headers);
	if (e == ERR_OK) {
		q.url = buf_cstr(&url);
		q.headers = buf_all(&headers);
		e = web_start(far->web, &q, on_page, p);
	}
	if (headers.cap > 0)
		secret_wipe(headers.p, headers.cap);
	buf_fini(&url);
	buf_fini(&headers);
	return e;
}

static void
begin_round(struct poll *p)
{
	bool rewound = cursors_rewind(&p->all->cursors);
	int64_t at = p->all->cursors.v[p->place].at;
	struct slice since = p->all->far->system->conf->since;
	const struct zone *utc;
	bool zoned;

	/* The others begin soon, too. */
	for (size_t i = 0; rewound && i < p->all->n; i++)
		if (p->all->polls[i].state == POLL_IDLE)
			p->all->polls[i].due = clock_mono();
	p->began = clock_now();
	if (at == INT64_MIN) {
		at = p->began - p->plan->start_ns;
		if (since.n > 0 &&
		    (zone_get(SLICE_LIT("UTC"), &utc) != ERR_OK ||
			time_parse(since, utc, &at, &zoned) != ERR_OK))
			at = p->began - p->plan->start_ns;
	}
	p->base = at;
	p->furthest = INT64_MIN;
	p->page = p->plan->first;
	p->pages_n = 0;
	p->stored = p->bad = 0;
	p->retried = false;
	p->state = POLL_DUE;
}

static void
next_page(struct poll *p, int64_t now, int *next_ms)
{
	struct far *far = p->all->far;
	int64_t ms = 0;
	enum err e;

	switch (gate_ask(&far->gate, now, &ms)) {
	case GATE_SHUT:
		rest(p, ms * NS_PER_MS);
		return;
	case GATE_WAIT:
		if (ms < *next_ms)
			*next_ms = (int)ms;
		return;
	case GATE_GO:
		break;
	}
	switch (auth_ask(far->auth, now, &ms)) {
	case AUTH_WAITS:
		return;
	case AUTH_FAILS:
		give_up(p, auth_why(far->auth));
		return;
	case AUTH_READY:
		break;
	}
	e = ask(p);
	if (e != ERR_OK) {
		give_up(p, err_last());
		return;
	}
	gate_begin(&far->gate, now);
	p->state = POLL_RUNNING;
}

/* ---- the whole ---- */

void
poller_step(struct poller *all, int *next_ms)
{
	int64_t now = clock_mono();

	for (size_t i = 0; i < all->n; i++) {
		struct poll *p = &all->polls[i];

		if (p->state == POLL_IDLE && now >= p->due && !all->draining &&
		    client_up(all->far->sdk->client))
			begin_round(p);
		if (p->state == POLL_DUE && !all->draining)
			next_page(p, now, next_ms);
		if (p->state == POLL_PUBLISHING) {
			publish_more(p);
			if (p->open_n == 0 &&
			    (p->failed || p->published == p->records.n)) {
				page_end(p);
				*next_ms = 0;
			}
		}
		if (p->state == POLL_IDLE) {
			int64_t ms =
			    p->due > now ? (p->due - now) / NS_PER_MS + 1 : 0;

			if (!client_up(all->far->sdk->client) && ms < 100)
				ms = 100;
			if (ms < *next_ms)
				*next_ms = (int)ms;
		}
	}
}

struct poll_counts
poller_counts(const struct poller *all)
{
	return all->counts;
}

bool
poller_drain(struct poller *all)
{
	all->draining = true;
	for (size_t i = 0; i < all->n; i++)
		if (all->polls[i].state == POLL_PUBLISHING)
			return false;
	return true;
}

enum err
poller_open(struct poller **out, struct far *far)
{
	struct formula_env env = {
	    SLICE_EMPTY, far->system->open, SLICE_EMPTY, 0};
	struct poller *all = calloc(1, sizeof(*all));
	enum err e;

	if (all == NULL)
		return err_note(ERR_NOMEM, "the connector");
	all->far = far;
	all->polls = calloc(far->plan.polls_n + 1, sizeof(*all->polls));
	e = all->polls == NULL
		? err_note(ERR_NOMEM, "polls")
		: cursors_open(&all->cursors, far->sdk->config->data,
		      far->system->conf->name);
	if (e != ERR_OK) {
		poller_close(all);
		return e;
	}
	for (size_t i = 0; i < far->plan.polls_n; i++) {
		struct poll *p = &all->polls[all->n++];

		p->all = all;
		p->plan = &far->plan.polls[i];
		p->place = cursors_add(&all->cursors, p->plan->name);
		p->state = POLL_IDLE;
		arena_init(&p->arena, ROUND_BYTES);
		buf_init(&p->records, RECORDS_MAX);
		buf_init(&p->event, 2 * EVENT_MAX);
		if (!url_ready(&p->plan->url, &env, &p->arena)) {
			p->state = POLL_OFF;
			say(SAY_INFO, "poll",
			    "%.*s rests: the setting that says where to ask "
			    "(%.*s) is not there",
			    SLICE_ARG(p->plan->name),
			    SLICE_ARG(p->plan->url.shown));
		}
	}
	*out = all;
	return ERR_OK;
}

void
poller_close(struct poller *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->n; i++) {
		struct poll *p = &all->polls[i];

		/* the client still holds them; they end with it */
		for (struct pub *b = p->open; b != NULL; b = b->next)
			b->poll = NULL;
		free(p->next_url);
		arena_fini(&p->arena);
		buf_fini(&p->records);
		buf_fini(&p->event);
	}
	free(all->polls);
	cursors_close(&all->cursors);
	free(all);
}
