/*
 * Open work against a plain model of it: memtables and index.db read as one,
 * reopened, killed; and a fold made anew is the same.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/room.h"

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
	CHECK(c.ready + c.retry + c.deferred + c.wait + c.behind + c.ask +
		  c.parked ==
	      open);
	CHECK_OK(index_waiting(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/9"), false, &r->a, &it, &n));
	CHECK(n == waits);
	for (size_t i = 1; i < n; i++)
		CHECK(it[i - 1].seq <= it[i].seq);
	CHECK_OK(index_waiting(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/9"), true, &r->a, &it, &n));
	CHECK(n == 0);
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

T_MAIN(T_RUN(open_work) T_RUN(slot_of_excerpt) T_RUN(kill_anywhere))
