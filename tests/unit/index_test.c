/*
 * The index: the memtables and index.db read as one say what a plain model of
 * the journal says, before and after every kind of end; a fold made anew is
 * the same.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/core/index_own.h"
#include "broker/core/log_own.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

#define SMALL (1024 * 1024)

struct room {
	char *dir;
	struct log *log;
	struct index *ix;
	struct turn turn;
	struct buf body;
	struct arena a;
};

static void
room_open(struct room *r)
{
	CHECK_OK(log_open_sized(&r->log, r->dir, SURVIVES_POWER_LOSS, SMALL));
	CHECK_OK(index_open(&r->ix, r->dir, r->log));
}

static void
room_close(struct room *r)
{
	index_close(r->ix);
	log_close(r->log);
}

static void
room_init(struct room *r)
{
	r->dir = tmp_make();
	turn_init(&r->turn);
	buf_init(&r->body, 1 << 20);
	arena_init(&r->a, 1 << 24);
	room_open(r);
}

static void
room_fini(struct room *r)
{
	room_close(r);
	turn_fini(&r->turn);
	buf_fini(&r->body);
	arena_fini(&r->a);
	tmp_free(r->dir);
}

static uint64_t
add(struct room *r, enum record_kind kind)
{
	uint64_t seq = log_next(r->log) + r->turn.count;

	CHECK_OK(buf_check(&r->body));
	turn_add(&r->turn, kind, buf_all(&r->body));
	buf_reset(&r->body);
	return seq;
}

struct apply {
	struct index *ix;
};

static enum err
apply_one(void *arg, const struct log_record *rec)
{
	struct apply *a = arg;

	return index_apply(a->ix, rec);
}

static void
commit(struct room *r)
{
	struct apply a = {r->ix};
	struct log_reader *reader;
	uint64_t seq;

	CHECK_OK(log_append(r->log, &r->turn, 1, &seq));
	turn_reset(&r->turn);
	CHECK_OK(log_reader_new(&reader, r->log));
	CHECK_OK(log_scan(reader, seq, apply_one, &a));
	log_reader_free(reader);
}

/* Everything to index.db, by the index thread. */
static void
flush(struct room *r)
{
	bool empty = false;

	while (!empty) {
		pthread_mutex_lock(&r->ix->mu);
		empty = r->ix->sealed == NULL && r->ix->active->records == 0;
		pthread_cond_signal(&r->ix->wake); /* not only in a second */
		pthread_mutex_unlock(&r->ix->mu);
		if (!empty)
			usleep(5000);
	}
}

static struct event ev;

static void
event(const char *id, const char *type, const char *subject)
{
	event_init(&ev);
	ev.id = slice_str(id);
	ev.source = SLICE_LIT("shop");
	ev.type = slice_str(type);
	ev.subject = slice_str(subject);
	ev.revision = 1;
}

static uint64_t
add_event(struct room *r)
{
	event_write(&r->body, &ev);
	return add(r, REC_EVENT);
}

static uint64_t
add_settle(struct room *r, const char *sub, uint64_t seq, enum settle_verdict v,
    uint32_t attempt, int64_t due, bool parked)
{
	struct settle s;

	settle_init(&s);
	s.sub = slice_str(sub);
	s.seq = seq;
	s.verdict = v;
	s.attempt = attempt;
	s.due = due;
	s.parked = parked;
	if (v == SETTLE_WAIT) {
		s.wait_type = SLICE_LIT("order.placed");
		s.wait_key = SLICE_LIT("order:shop/9");
	}
	settle_write(&r->body, &s);
	return add(r, REC_SETTLE);
}

static uint64_t
add_action(struct room *r, const char *act, const char *sub, uint64_t seq)
{
	struct action a;

	action_init(&a);
	a.act = slice_str(act);
	a.by = SLICE_LIT("maija");
	a.sub = slice_str(sub);
	a.seq = seq;
	action_write(&r->body, &a);
	return add(r, REC_ACTION);
}

/* ---- facts, subjects, refs: the same from memory, disk and after reopening
 */

static void
check_facts(struct room *r, uint64_t a1, uint64_t a2, uint64_t b)
{
	struct known k;
	uint64_t out[8];
	size_t n;
	uint32_t slot;
	struct slice subject;

	CHECK_OK(index_fact(r->ix, SLICE_LIT("shop"), SLICE_LIT("a"), &k));
	CHECK(k.seq == a2 && k.revision == 2 && k.digest[0] == 'D');
	CHECK_ERR(index_fact(r->ix, SLICE_LIT("shop"), SLICE_LIT("z"), &k),
	    ERR_NOTFOUND);
	CHECK_ERR(index_fact(r->ix, SLICE_LIT("shopa"), SLICE_EMPTY, &k),
	    ERR_NOTFOUND);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/1"), UINT64_MAX, out, 8, &n));
	CHECK(n == 2 && out[0] == a2 && out[1] == b);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/1"), a2, out, 8, &n));
	CHECK(n == 1 && out[0] == a1);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/1"), UINT64_MAX, out, 1, &n));
	CHECK(n == 1 && out[0] == b);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.paid"),
	    SLICE_LIT("order:shop/1"), UINT64_MAX, out, 8, &n));
	CHECK(n == 0); /* withdrawn */
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/2"), UINT64_MAX, out, 8, &n));
	CHECK(n == 0);
	CHECK_OK(index_slot(r->ix, SLICE_LIT("order:shop/1"), &slot));
	CHECK(slot == 77 && index_slot_max(r->ix) == 78);
	CHECK_ERR(
	    index_slot(r->ix, SLICE_LIT("order:shop/2"), &slot), ERR_NOTFOUND);
	CHECK_OK(index_ref(r->ix, SLICE_LIT("payment:p1"), &r->a, &subject));
	CHECK(slice_is(subject, "order:shop/1")); /* the first claim */
	CHECK_ERR(index_ref(r->ix, SLICE_LIT("payment:p"), &r->a, &subject),
	    ERR_NOTFOUND);
}

T(facts)
{
	struct index_counts c;
	struct room r;
	uint64_t a1, a2, b;

	room_init(&r);
	event("a", "order.placed", "order:shop/1");
	ev.sealed = SLICE_LIT("\x4d\0\0\0...");
	ev.digest = SLICE_LIT("d123456789abcdef0123456789abcdef");
	ev.refs_n = 1;
	ev.refs[0] = SLICE_LIT("payment:p1");
	a1 = add_event(&r);
	ev.revision = 2;
	ev.digest = SLICE_LIT("D123456789abcdef0123456789abcdef");
	a2 = add_event(&r);
	event("w", "order.paid", "order:shop/1");
	add_event(&r);
	ev.revision = 2;
	ev.withdrawn = true;
	add_event(&r);
	commit(&r);
	event("b", "order.placed", "order:shop/1");
	ev.sealed = SLICE_LIT("\x4e\0\0\0...");
	b = add_event(&r);
	event("other", "order.placed", "order:shop/3");
	ev.refs_n = 1;
	ev.refs[0] = SLICE_LIT("payment:p1");
	add_event(&r);
	commit(&r);
	check_facts(&r, a1, a2, b);
	flush(&r);
	check_facts(&r, a1, a2, b);
	room_close(&r);
	room_open(&r);
	check_facts(&r, a1, a2, b);
	index_counts(r.ix, &c);
	CHECK(c.events == 6 && c.facts == 4);
	room_fini(&r);
}

T(dependents)
{
	struct dependent *d;
	struct room r;
	size_t n;

	room_init(&r);
	for (int i = 0; i < 3; i++) {
		event(i == 0 ? "a" : i == 1 ? "b" : "c", "x.y", "order:s/1");
		ev.causationid = i == 2 ? 4 : 9;
		ev.map =
		    i == 0 ? SLICE_LIT("books/m/1") : SLICE_LIT("books/m/22");
		ev.reads_n = 2;
		ev.reads[0] = 3;
		ev.reads[1] = 7;
		add_event(&r);
	}
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 0)
			commit(&r);
		else
			flush(&r);
		for (int i = 0; i < 2; i++) {
			/* whatever its revision was when it was read */
			if (i == 1) {
				event("c", "x.y", "order:s/1");
				ev.revision = 2 + (uint32_t)pass;
				add_event(&r);
				commit(&r);
			}
			CHECK_OK(index_dependents(r.ix, SLICE_LIT("shop"),
			    SLICE_LIT("c"), &r.a, &d, &n));
			CHECK(n == 2 && d[0].input == 4 && d[1].input == 9);
			CHECK(n == 2 && slice_is(d[1].map, "books/m"));
		}
		CHECK_OK(index_dependents(
		    r.ix, SLICE_LIT("shop"), SLICE_LIT("a"), &r.a, &d, &n));
		CHECK(n == 0);
		CHECK_OK(index_dependents(
		    r.ix, SLICE_LIT("other"), SLICE_LIT("c"), &r.a, &d, &n));
		CHECK(n == 0);
	}
	room_fini(&r);
}

/* ---- open work against a model ---- */

#define SUBS 4
#define SUBJECTS 7
#define MODEL 4000
struct model_item {
	bool open, there;
	struct open_item it;
};
/* By sequence and subscription. */
static struct model_item model[MODEL][SUBS];
static const char *const subs[SUBS] = {
    "books", "parcels", "map:books/a", "map:parcels/b"};
static const char *const subjects[SUBJECTS] = {"order:shop/1", "order:shop/2",
    "order:shop/3", "order:shop/10", "payment:x", "sku:a/b", "order:shop/"};
static uint64_t last_event[MODEL], events_n;
static const char *event_subject[MODEL];

static void
model_event(struct room *r, unsigned *seed)
{
	char id[32];
	int sub = rand_r(seed) % 4;
	uint64_t seq;

	snprintf(id, sizeof(id), "%llu",
	    (unsigned long long)(log_next(r->log) + r->turn.count));
	event(id, "x.y", subjects[rand_r(seed) % SUBJECTS]);
	if (sub < 2)
		ev.target = slice_str(subs[sub]);
	seq = add_event(r);
	event_subject[seq] = (const char *)ev.subject.p;
	last_event[events_n++] = seq;
	if (sub < 2)
		model[seq][sub] = (struct model_item){true, true,
		    {.sub = slice_str(subs[sub]),
			.subject = ev.subject,
			.seq = seq,
			.state = OPEN_READY,
			.wait_type = SLICE_EMPTY,
			.wait_key = SLICE_EMPTY}};
}

static void
model_settle(struct room *r, unsigned *seed)
{
	static const enum settle_verdict some[] = {SETTLE_OK, SETTLE_OK,
	    SETTLE_OK, SETTLE_RETRY, SETTLE_DEFER, SETTLE_REJECT, SETTLE_ASK,
	    SETTLE_WAIT, SETTLE_BEHIND, SETTLE_SKIP};
	static const enum open_state becomes[] = {[SETTLE_RETRY] = OPEN_RETRY,
	    [SETTLE_DEFER] = OPEN_RETRY,
	    [SETTLE_REJECT] = OPEN_PARKED,
	    [SETTLE_ASK] = OPEN_ASK,
	    [SETTLE_WAIT] = OPEN_WAIT,
	    [SETTLE_BEHIND] = OPEN_BEHIND};
	enum settle_verdict v = some[rand_r(seed) % 10];
	uint64_t back = (uint64_t)rand_r(seed) % 40, seq, rec;
	int sub = rand_r(seed) % SUBS;
	uint32_t attempt = (uint32_t)rand_r(seed) % 9;
	int64_t due = v == SETTLE_RETRY || v == SETTLE_DEFER || v == SETTLE_WAIT
			  ? rand_r(seed)
			  : 0;
	struct model_item *m;

	if (events_n == 0)
		return;
	seq =
	    last_event[events_n - 1 - (back < events_n ? back : events_n - 1)];
	m = &model[seq][sub];
	rec = add_settle(r, subs[sub], seq, v, attempt, due, false);
	if (v == SETTLE_OK || v == SETTLE_SKIP) {
		m->open = false;
		return;
	}
	if (!m->open && sub < 2)
		return;
	if (!m->open)
		m->it = (struct open_item){.sub = slice_str(subs[sub]),
		    .subject = slice_str(event_subject[seq]),
		    .seq = seq};
	m->open = m->there = true;
	m->it.settle = rec;
	m->it.state = becomes[v];
	if (v != SETTLE_DEFER)
		m->it.attempt = attempt;
	m->it.due = due;
	m->it.wait_type =
	    v == SETTLE_WAIT ? SLICE_LIT("order.placed") : SLICE_EMPTY;
	m->it.wait_key =
	    v == SETTLE_WAIT ? SLICE_LIT("order:shop/9") : SLICE_EMPTY;
}

static void
model_act(struct room *r, unsigned *seed)
{
	uint64_t seq;
	int sub = rand_r(seed) % SUBS, what = rand_r(seed) % 3;
	struct model_item *m;
	struct timer t;

	if (events_n == 0)
		return;
	seq = last_event[(uint64_t)rand_r(seed) % events_n];
	m = &model[seq][sub];
	if (what == 2) {
		t = (struct timer){
		    slice_str(subs[sub]), seq, SLICE_LIT("wait")};
		timer_write(&r->body, &t);
		add(r, REC_TIMER);
		if (!m->open || m->it.state != OPEN_WAIT)
			return;
		m->it.state = OPEN_PARKED;
		m->it.due = 0;
		m->it.wait_type = m->it.wait_key = SLICE_EMPTY;
		return;
	}
	add_action(r, what == 0 ? "retry" : "skip", subs[sub], seq);
	if (what == 1) {
		m->open = false;
		return;
	}
	m->open = true;
	m->it = (struct open_item){.sub = slice_str(subs[sub]),
	    .subject = slice_str(event_subject[seq]),
	    .seq = seq,
	    .state = OPEN_READY,
	    .wait_type = SLICE_EMPTY,
	    .wait_key = SLICE_EMPTY};
}

static void
same_item(const struct open_item *a, const struct open_item *b)
{
	CHECK(a->seq == b->seq && slice_eq(a->sub, b->sub));
	CHECK(slice_eq(a->subject, b->subject) && a->state == b->state);
	CHECK(a->settle == b->settle && a->attempt == b->attempt);
	CHECK(a->due == b->due && a->wait_by_ref == b->wait_by_ref);
	CHECK(slice_eq(a->wait_type, b->wait_type));
	CHECK(slice_eq(a->wait_key, b->wait_key));
}

/* The model's open items of a sub (NULL: all) and subject (NULL: all). */
static void
check_list(const struct open_item *it, size_t n, const char *sub,
    const char *subject, uint64_t after, uint64_t next, size_t max)
{
	size_t k = 0;

	for (uint64_t seq = after + 1; seq < next; seq++) {
		bool any = false;

		if (k >= max && sub == NULL)
			break;
		/* In the order of names: books, map:..., parcels. */
		static const int order[] = {0, 2, 3, 1};

		for (int o = 0; o < SUBS; o++) {
			const struct model_item *m = &model[seq][order[o]];

			if (!m->open ||
			    (sub != NULL && strcmp(sub, subs[order[o]]) != 0) ||
			    (subject != NULL &&
				!slice_is(m->it.subject, subject)))
				continue;
			any = true;
			if (sub != NULL && k >= max)
				break;
			CHECK(k < n);
			if (k < n)
				same_item(&it[k], &m->it);
			k++;
		}
		(void)any;
	}
	CHECK(k == n);
}

static void
check_model(struct room *r)
{
	struct index_counts c;
	struct open_item *it;
	uint64_t next = log_next(r->log), open = 0, waits = 0;
	size_t n;

	for (int s = 0; s <= SUBS; s++) {
		const char *sub = s < SUBS ? subs[s] : NULL;
		uint64_t after = (uint64_t)rand() % next;

		arena_reset(&r->a);
		CHECK_OK(index_open_items(
		    r->ix, slice_str(sub), 0, 100000, &r->a, &it, &n));
		check_list(it, n, sub, NULL, 0, next, 100000);
		CHECK_OK(index_open_items(
		    r->ix, slice_str(sub), after, 5, &r->a, &it, &n));
		check_list(it, n, sub, NULL, after, next, 5);
		for (int j = 0; j < SUBJECTS && sub != NULL; j++) {
			CHECK_OK(index_open_at(r->ix, slice_str(sub),
			    slice_str(subjects[j]), 3, &r->a, &it, &n));
			check_list(it, n, sub, subjects[j], 0, next, 3);
		}
	}
	for (uint64_t seq = 1; seq < next; seq++)
		for (int s = 0; s < SUBS; s++) {
			open += model[seq][s].open;
			waits += model[seq][s].open &&
				 model[seq][s].it.state == OPEN_WAIT;
		}
	index_counts(r->ix, &c);
	CHECK(c.wait == waits);
	CHECK(c.ready + c.retry + c.wait + c.behind + c.ask + c.parked == open);
	CHECK_OK(index_waiting(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/9"), false, &r->a, &it, &n));
	CHECK(n == waits);
	for (size_t i = 1; i < n; i++)
		CHECK(it[i - 1].seq <= it[i].seq);
	CHECK_OK(index_waiting(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/9"), true, &r->a, &it, &n));
	CHECK(n == 0);
}

static void
check_verify(struct room *r)
{
	struct buf report;

	buf_init(&report, 1 << 20);
	CHECK_OK(index_verify(r->dir, &report));
	/* A crash before the first index is no fault. */
	if (strstr(buf_cstr(&report), "there is none") == NULL) {
		fprintf(stderr, "%s", buf_cstr(&report));
		CHECK(report.n == 0);
	}
	buf_fini(&report);
}

/* Hold index.db, so that what is sealed stays a memtable for a while. */
static void
hold(struct room *r, sqlite3 **db, bool on)
{
	char path[PATH_MAX];
	bool sealed = false;

	if (!on) {
		if (*db != NULL)
			CHECK(sqlite3_exec(*db, "ROLLBACK", NULL, NULL, NULL) ==
			      SQLITE_OK);
		sqlite3_close(*db);
		*db = NULL;
		return;
	}
	snprintf(path, sizeof(path), "%s/index.db", r->dir);
	CHECK(sqlite3_open(path, db) == SQLITE_OK);
	sqlite3_busy_timeout(*db, 5000);
	CHECK(sqlite3_exec(*db, "BEGIN IMMEDIATE", NULL, NULL, NULL) ==
	      SQLITE_OK);
	event("held", "x.y", "");
	add_event(r);
	commit(r);
	while (!sealed) {
		pthread_mutex_lock(&r->ix->mu);
		sealed = r->ix->sealed != NULL;
		pthread_cond_signal(&r->ix->wake);
		pthread_mutex_unlock(&r->ix->mu);
	}
}

T(open_work)
{
	unsigned seed = 20261122;
	sqlite3 *held = NULL;
	struct room r;

	memset(model, 0, sizeof(model));
	events_n = 0;
	room_init(&r);
	for (int turn = 0; turn < 300 && t_bad == 0; turn++) {
		int k = rand_r(&seed) % 12 + 1;

		for (int i = 0; i < k; i++) {
			int what = rand_r(&seed) % 10;

			if (what < 4)
				model_event(&r, &seed);
			else if (what < 9)
				model_settle(&r, &seed);
			else
				model_act(&r, &seed);
		}
		if (r.turn.count > 0)
			commit(&r);
		if (turn % 23 == 0)
			check_model(&r);
		/* From here on there are three places to read as one. */
		if (turn % 30 == 10)
			hold(&r, &held, true);
		if (turn % 30 > 10 && held != NULL)
			check_model(&r);
		if (turn % 30 == 20)
			hold(&r, &held, false);
		if (turn % 60 == 59) {
			flush(&r);
			check_model(&r);
		}
		if (turn % 100 == 99) {
			hold(&r, &held, false);
			room_close(&r);
			check_verify(&r);
			room_open(&r);
			check_model(&r);
		}
	}
	room_fini(&r);
}

/* An excerpt sealed for a subject that has nothing else sealed. */
T(slot_of_excerpt)
{
	struct settle s;
	struct room r;
	uint32_t slot;

	room_init(&r);
	event("a", "x.y", "sku:a");
	ev.target = SLICE_LIT("books");
	add_event(&r);
	commit(&r);
	settle_init(&s);
	s.sub = SLICE_LIT("books");
	s.seq = 1;
	s.effect = SLICE_LIT("\x81\xa7"
			     "excerpt\xc4\x06\x09\0\0\0ab");
	settle_write(&r.body, &s);
	add(&r, REC_SETTLE);
	commit(&r);
	for (int pass = 0; pass < 3; pass++) {
		CHECK_OK(index_slot(r.ix, SLICE_LIT("sku:a"), &slot));
		CHECK(slot == 9 && index_slot_max(r.ix) == 9);
		if (pass == 0)
			flush(&r);
		room_close(&r);
		check_verify(&r);
		room_open(&r);
	}
	room_fini(&r);
}

/* ---- settings ---- */

T(settings)
{
	struct slice state, since;
	struct action a;
	uint8_t hash[32];
	struct buf out;
	struct room r;

	room_init(&r);
	buf_init(&out, 1 << 16);
	CHECK_ERR(index_ruleset(r.ix, hash), ERR_NOTFOUND);
	CHECK_OK(
	    index_system_state(r.ix, SLICE_LIT("books"), &r.a, &state, &since));
	CHECK(state.n == 0 && since.n == 0);
	action_init(&a);
	a.act = SLICE_LIT("ruleset");
	a.hash = SLICE_LIT("0123456789abcdef0123456789abcdef");
	action_write(&r.body, &a);
	add(&r, REC_ACTION);
	action_init(&a);
	a.act = SLICE_LIT("live");
	a.system = SLICE_LIT("books");
	a.since = SLICE_LIT("2026-01-01");
	action_write(&r.body, &a);
	add(&r, REC_ACTION);
	a.act = SLICE_LIT("pause");
	a.since = SLICE_EMPTY;
	action_write(&r.body, &a);
	add(&r, REC_ACTION);
	for (int i = 0; i < 3; i++) {
		action_init(&a);
		a.act = SLICE_LIT("answer");
		a.system = SLICE_LIT("books");
		a.map = SLICE_LIT("m");
		a.table = SLICE_LIT("vat");
		a.key = i == 0 ? SLICE_LIT("24") : SLICE_LIT("25");
		a.row = i == 1 ? SLICE_LIT("\xa1x") : SLICE_LIT("\xa1y");
		action_write(&r.body, &a);
		add(&r, REC_ACTION);
	}
	commit(&r);
	for (int pass = 0; pass < 2; pass++) {
		CHECK_OK(index_ruleset(r.ix, hash));
		CHECK(memcmp(hash, "0123", 4) == 0);
		CHECK_OK(index_system_state(
		    r.ix, SLICE_LIT("books"), &r.a, &state, &since));
		CHECK(slice_is(state, "paused"));
		CHECK(slice_is(since, "2026-01-01"));
		buf_reset(&out);
		CHECK_OK(index_answers(r.ix, &out));
		CHECK(slice_is(buf_all(&out), "\x92\x95\xa5"
					      "books\xa1m\xa3vat\xa2"
					      "24\xa1y"
					      "\x95\xa5"
					      "books\xa1m\xa3vat\xa2"
					      "25\xa1y"));
		room_close(&r);
		room_open(&r);
	}
	buf_fini(&out);
	room_fini(&r);
}

/* ---- views ---- */

static bool
among(struct slice *s, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (slice_is(s[i], what))
			return true;
	return false;
}

T(views)
{
	struct index_view *v;
	struct open_item *it;
	struct slice *s;
	uint64_t out[16], e1, e2;
	struct room r;
	size_t n;

	room_init(&r);
	event("1", "order.placed", "order:shop/1042");
	ev.refs_n = 2;
	ev.refs[0] = SLICE_LIT("payment:pt-9");
	ev.refs[1] = SLICE_LIT("tracking:posti/JJFI1");
	e1 = add_event(&r);
	event("2", "x.order", "order:other/1042");
	add_event(&r);
	event("3", "ledger.posting", "order:shop/1042");
	ev.target = SLICE_LIT("books");
	e2 = add_event(&r);
	add_settle(&r, "books", e2, SETTLE_RETRY, 1, 5, false);
	add_settle(&r, "map:books/m", e1, SETTLE_ASK, 1, 0, false);
	add_action(&r, "retry", "books", e2);
	commit(&r);
	flush(&r);
	CHECK_OK(index_view_new(&v, r.ix));
	CHECK_OK(index_view_find(v, SLICE_LIT("1042"), &r.a, &s, &n));
	CHECK(n == 2 && among(s, n, "order:shop/1042") &&
	      among(s, n, "order:other/1042"));
	CHECK_OK(
	    index_view_find(v, SLICE_LIT("order:shop/1042"), &r.a, &s, &n));
	CHECK(n == 1);
	CHECK_OK(index_view_find(v, SLICE_LIT("payment:pt-9"), &r.a, &s, &n));
	CHECK(n == 1 && among(s, n, "order:shop/1042"));
	CHECK_OK(index_view_find(v, SLICE_LIT("JJFI1"), &r.a, &s, &n));
	CHECK(n == 1 && among(s, n, "order:shop/1042"));
	CHECK_OK(index_view_find(v, SLICE_LIT("shop/1042"), &r.a, &s, &n));
	CHECK(n == 0);
	CHECK_OK(index_view_find(v, SLICE_EMPTY, &r.a, &s, &n));
	CHECK(n == 0);
	CHECK_OK(
	    index_view_timeline(v, SLICE_LIT("order:shop/1042"), out, 16, &n));
	CHECK(n == 5 && out[0] == 1 && out[1] == 3 && out[4] == 6);
	CHECK_OK(
	    index_view_timeline(v, SLICE_LIT("order:shop/1042"), out, 2, &n));
	CHECK(n == 2);
	CHECK_OK(index_view_recent(v, out, 2, &n));
	CHECK(n == 2 && out[0] == 3 && out[1] == 2);
	CHECK_OK(index_view_open(v, SLICE_EMPTY, 0, 10, &r.a, &it, &n));
	CHECK(n == 2 && it[0].seq == e1 && it[0].state == OPEN_ASK);
	CHECK(n == 2 && it[1].seq == e2 && it[1].state == OPEN_READY &&
	      it[1].attempt == 0);
	CHECK_OK(index_view_open(v, SLICE_LIT("books"), e2, 10, &r.a, &it, &n));
	CHECK(n == 0);
	index_view_free(v);
	index_view_free(NULL);
	room_fini(&r);
}

/* ---- what is wrong with index.db ---- */

T(rebuilt_when_unfit)
{
	struct known k;
	struct room r;
	struct buf report;
	int hidden = tmp_quiet();

	room_init(&r);
	event("a", "order.placed", "order:shop/1");
	add_event(&r);
	commit(&r);
	for (int i = 0; i < 5; i++) {
		room_close(&r);
		if (i == 0)
			tmp_run("rm %s/index.db", r.dir);
		else if (i == 1)
			tmp_run("echo nonsense >%s/index.db", r.dir);
		else if (i == 2)
			tmp_run("sqlite3 %s/index.db \"UPDATE meta SET v = 99"
				" WHERE k = 'version'\"",
			    r.dir);
		else if (i == 3)
			tmp_run("sqlite3 %s/index.db \"UPDATE meta SET v ="
				" 1000 WHERE k = 'applied'\"",
			    r.dir);
		else
			tmp_run(
			    "sqlite3 %s/index.db 'DROP TABLE bloom'", r.dir);
		room_open(&r);
		CHECK_OK(
		    index_fact(r.ix, SLICE_LIT("shop"), SLICE_LIT("a"), &k));
		CHECK(k.seq == 1);
	}
	/* And verify names what is wrong. */
	room_close(&r);
	tmp_run("sqlite3 %s/index.db 'DELETE FROM at'", r.dir);
	buf_init(&report, 1 << 16);
	CHECK_ERR(index_verify(r.dir, &report), ERR_CORRUPT);
	CHECK(strstr(buf_cstr(&report), "table at") != NULL);
	buf_fini(&report);
	tmp_loud(hidden);
	room_open(&r);
	room_fini(&r);
}

/* ---- filters ---- */

T(bloom_never_denies)
{
	struct bloom *b = bloom_new();
	uint64_t h = 1, wrong = 0;

	for (int i = 0; i < 2100000; i++) {
		h = h * UINT64_C(6364136223846793005) + 99;
		CHECK_OK(bloom_add(b, h ^ h >> 31));
	}
	CHECK(bloom_newest(b) == 1);
	h = 1;
	for (int i = 0; i < 2100000; i++) {
		h = h * UINT64_C(6364136223846793005) + 99;
		if (!bloom_has_any(b, h ^ h >> 31))
			wrong++;
	}
	CHECK(wrong == 0);
	for (int i = 0; i < 100000; i++) {
		h = h * UINT64_C(6364136223846793005) + 99;
		wrong += bloom_has(b, 0, h ^ h >> 31);
	}
	CHECK(wrong < 2500); /* full, and 1 to 2 in a hundred */
	bloom_free(b);
}

/* ---- kill -9 ---- */

static void
writer(const char *dir, unsigned seed)
{
	struct room r = {.dir = (char *)(uintptr_t)dir};

	turn_init(&r.turn);
	buf_init(&r.body, 1 << 20);
	room_open(&r);
	events_n = 0;
	for (uint64_t i = log_next(r.log); i < MODEL - 100 && t_bad == 0;) {
		unsigned s = seed + (unsigned)i;

		for (int k = 0; k < 5; k++)
			if (k < 3)
				model_event(&r, &s);
			else
				model_settle(&r, &s);
		commit(&r);
		i = log_next(r.log);
		if (i % 40 < 5)
			pthread_cond_signal(&r.ix->wake);
	}
	_exit(t_bad > 0 ? 9 : 0);
}

T(kill_anywhere)
{
	char *dir = tmp_make();
	int hidden = tmp_quiet(), status;
	struct room r = {.dir = dir};
	char made[4096];

	srand(99);
	for (unsigned round = 0; round < 30 && t_bad == 0; round++) {
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid == 0)
			writer(dir, round);
		usleep((useconds_t)(rand() % 60000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		if (round == 0)
			continue; /* perhaps not even a journal */
		/* As the crash left it (before it was first made, perhaps), and
		 * after the start has caught up. */
		snprintf(made, sizeof(made), "%s/index.db", dir);
		if (access(made, F_OK) == 0)
			check_verify(&r);
		room_open(&r);
		if (t_bad > 0)
			break;
		room_close(&r);
		check_verify(&r);
	}
	tmp_loud(hidden);
	tmp_free(dir);
}

T_MAIN(T_RUN(facts) T_RUN(dependents) T_RUN(open_work) T_RUN(slot_of_excerpt)
	T_RUN(settings) T_RUN(views) T_RUN(rebuilt_when_unfit)
	    T_RUN(bloom_never_denies) T_RUN(kill_anywhere))
