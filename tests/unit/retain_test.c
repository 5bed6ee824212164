/*
 * Retention: what nothing needs any more goes, what is open or was read stays,
 * and a fold made anew of what is left says the same.
 */
#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/core/retain.h"
#include "tests/unit/room.h"

static uint8_t filler[30000];

/* Events of their own subject until a segment has begun that holds all that is
 * appended from now on. */
static void
next_segment(struct room *r)
{
	static unsigned made;
	struct log_segment *s;
	size_t n = 0, was;
	char id[32], subject[64];

	CHECK_OK(log_segments(r->log, &s, &was));
	free(s);
	do {
		snprintf(id, sizeof(id), "filler%u", ++made);
		snprintf(subject, sizeof(subject), "order:shop/%s", id);
		event(id, "x.filler", subject);
		ev.sealed = slice_of(filler, sizeof(filler));
		(void)add_event(r);
		commit(r);
		CHECK_OK(log_segments(r->log, &s, &n));
		free(s);
	} while (n == was);
}

static uint64_t
one(struct room *r, const char *id, const char *target)
{
	uint64_t seq;

	event(id, "x.request", "order:shop/1");
	ev.target = slice_str(target);
	seq = add_event(r);
	commit(r);
	return seq;
}

/* One look of retention, to its end. */
static void
look(struct room *r, const struct core *core, struct retain_stat *st)
{
	struct retain *re;

	CHECK_OK(retain_start(&re, core));
	for (int i = 0; i < 2000; i++) {
		CHECK_OK(retain_step(re));
		retain_stat(re, st);
		if (st->segments > 0)
			break;
		usleep(5000);
	}
	CHECK(st->segments > 0);
	retain_stop(re);
	(void)r;
}

static bool
there(struct room *r, uint64_t seq)
{
	struct log_record rec;
	struct log_reader *reader;
	enum err e;
	bool has;

	CHECK_OK(log_reader_new(&reader, r->log));
	has = log_has(reader, seq);
	e = log_read(reader, seq, &rec);
	CHECK(e == (has ? ERR_OK : ERR_NOTFOUND));
	log_reader_free(reader);
	return has;
}

static size_t
open_items(struct room *r, uint64_t *first)
{
	struct open_item *it;
	size_t n;

	CHECK_OK(index_open_items(r->ix, SLICE_EMPTY, 0, 100, &r->a, &it, &n));
	*first = n > 0 ? it[0].seq : 0;
	return n;
}

struct story {
	uint64_t waits, done, done_settle, read, plain, plain_settle, old, new,
	    input, live, retried;
};

/* Five closed segments and an open one. */
static void
tell(struct room *r, struct story *s)
{
	/* A: a delivery that stays open, and one that is settled in D */
	s->live = add_action(r, "live", "", 0);
	s->waits = one(r, "waits", "books");
	s->done = one(r, "done", "books");
	next_segment(r);
	/* B: read by what is kept; an old revision */
	s->read = one(r, "read", "");
	s->old = one(r, "rev", "");
	next_segment(r);
	/* C: a delivery that is settled and done with */
	s->plain = one(r, "plain", "books");
	s->plain_settle =
	    add_settle(r, "books", s->plain, SETTLE_OK, 1, 0, false);
	s->retried = add_action(r, "skip", "books", s->plain);
	commit(r);
	next_segment(r);
	/* D: the new revision, and the settlement */
	event("rev", "x.request", "order:shop/1");
	ev.revision = 2;
	s->new = add_event(r);
	s->done_settle =
	    add_settle(r, "books", s->done, SETTLE_OK, 1, 0, false);
	commit(r);
	next_segment(r);
	/* E: nothing that anybody needs */
	next_segment(r);
	/* F, open: what was mapped while reading B */
	s->input = one(r, "input", "");
	event("derived", "x.derived", "order:shop/1");
	ev.causationid = s->input;
	ev.map = SLICE_LIT("books/m/1");
	ev.reads_n = 1;
	ev.reads[0] = s->read;
	(void)add_event(r);
	commit(r);
}

static void
check_left(struct room *r, const struct story *s)
{
	uint64_t first, seqs[32];
	struct known k;
	size_t n;

	CHECK(there(r, s->waits) && there(r, s->done) && there(r, s->live));
	CHECK(there(r, s->read) && there(r, s->old) && there(r, s->new));
	CHECK(there(r, s->done_settle) && there(r, s->input));
	CHECK(!there(r, s->plain) && !there(r, s->plain_settle));
	CHECK(!there(r, s->retried));
	CHECK(open_items(r, &first) == 1 && first == s->waits);
	CHECK_OK(index_fact(r->ix, SLICE_LIT("shop"), SLICE_LIT("rev"), &k));
	CHECK(k.revision == 2 && k.seq == s->new);
	CHECK_ERR(index_fact(r->ix, SLICE_LIT("shop"), SLICE_LIT("plain"), &k),
	    ERR_NOTFOUND);
	CHECK_OK(index_at(r->ix, SLICE_LIT("x.request"),
	    SLICE_LIT("order:shop/1"), UINT64_MAX, seqs, 32, &n));
	CHECK(n == 5); /* waits, done, read, new, input */
	for (size_t i = 0; i < n; i++)
		CHECK(seqs[i] != s->old && seqs[i] != s->plain);
}

static enum err
count_one(void *arg, const struct log_record *rec)
{
	uint64_t *n = arg;

	(void)rec;
	(*n)++;
	return ERR_OK;
}

T(what_is_needed_stays)
{
	struct config cfg = {.keep_bytes = 1};
	struct core core = {.cfg = &cfg};
	struct retain_stat st;
	struct log_stat was, is;
	struct log_reader *reader;
	struct story s;
	struct room r;
	char path[PATH_MAX];
	struct buf report;
	uint64_t records = 0, read = 0;

	room_init(&r);
	cfg.data = r.dir;
	core.log = r.log;
	core.index = r.ix;
	tell(&r, &s);
	flush(&r);
	log_stat(r.log, &was);
	look(&r, &core, &st);
	CHECK(st.segments == 3 && st.trimmed == 3); /* A B F; C D E */
	CHECK(st.pinned == 2 && st.pin[0].items == 1 && !st.pin[0].reads);
	CHECK(st.pin[1].items == 0 && st.pin[1].reads);
	log_stat(r.log, &is);
	CHECK(is.bytes + st.saved == was.bytes && st.gone > 60);
	check_left(&r, &s);

	/* The same after a start, and of an index made anew. */
	room_close(&r);
	check_verify(&r);
	buf_init(&report, 1 << 20);
	CHECK_OK(log_verify(r.dir, &report, &records));
	CHECK(report.n == 0);
	room_open(&r);
	check_left(&r, &s);
	room_close(&r);
	snprintf(path, sizeof(path), "%s/index.db", r.dir);
	index_remove(path);
	room_open(&r);
	check_left(&r, &s);
	room_close(&r);
	check_verify(&r);
	room_open(&r);
	CHECK_OK(log_reader_new(&reader, r.log));
	CHECK_OK(log_scan(reader, 1, count_one, &read));
	log_reader_free(reader);
	CHECK(read == records);

	/* When nothing is open any more, the rest goes but for the act. */
	(void)add_settle(&r, "books", s.waits, SETTLE_OK, 1, 0, false);
	commit(&r);
	flush(&r);
	core.log = r.log;
	core.index = r.ix;
	look(&r, &core, &st);
	CHECK(st.segments == 2 && st.trimmed == 4 && st.pinned == 1);
	CHECK(there(&r, s.live) && !there(&r, s.waits) && !there(&r, s.done));
	CHECK(!there(&r, s.done_settle) && there(&r, s.new));
	CHECK(log_first(r.log) == s.live);
	room_close(&r);
	check_verify(&r);

	/* A trimmed segment that lost a record is no whole one. */
	snprintf(path, sizeof(path), "%s/log/%020llu.seg", r.dir, 1ULL);
	CHECK(truncate(path, SEG_HEAD) == 0);
	buf_reset(&report);
	CHECK_ERR(log_verify(r.dir, &report, &records), ERR_CORRUPT);
	CHECK(strstr(buf_cstr(&report), "when it was trimmed") != NULL);
	CHECK(tmp_run("rm -rf '%s'/log/*", r.dir) == 0);
	index_remove(path);
	room_open(&r);
	buf_fini(&report);
	room_fini(&r);
}

T(young_is_kept)
{
	struct config cfg = {.keep_seconds = 3600};
	struct core core = {.cfg = &cfg};
	struct retain_stat st;
	struct story s;
	struct room r;

	room_init(&r);
	cfg.data = r.dir;
	core.log = r.log;
	core.index = r.ix;
	tell(&r, &s);
	flush(&r);
	look(&r, &core, &st);
	CHECK(st.segments == 6 && st.trimmed == 0 && st.pinned == 0);
	clock_fake(7200 * NS_PER_SEC);
	look(&r, &core, &st);
	clock_fake(-7200 * NS_PER_SEC);
	CHECK(st.segments == 3 && st.trimmed == 3);
	check_left(&r, &s);
	room_fini(&r);
}

/* What came after the look holds a trim back. */
T(used_meanwhile)
{
	struct log_trim t;
	struct story s;
	struct room r;

	room_init(&r);
	tell(&r, &s);
	flush(&r);
	CHECK(!index_pinned_now(r.ix, s.plain, s.plain + 1));
	(void)add_action(&r, "retry", "books", s.plain); /* opens it again */
	commit(&r);
	CHECK(index_pinned_now(r.ix, s.plain, s.plain + 1));
	CHECK(!index_pinned_now(r.ix, s.new, s.new + 1));
	CHECK_ERR(
	    log_trim_make(r.log, log_next(r.log), NULL, NULL, &t), ERR_STATE);
	room_fini(&r);
}

T(rulesets)
{
	struct config cfg = {.keep_bytes = 1};
	struct core core = {.cfg = &cfg};
	struct retain_stat st;
	struct story s;
	struct room r;
	char path[3][PATH_MAX];
	struct buf used;

	room_init(&r);
	cfg.data = r.dir;
	core.log = r.log;
	core.index = r.ix;
	buf_init(&used, 4096);
	snprintf(path[0], PATH_MAX, "%s/rulesets", r.dir);
	CHECK_OK(dir_make(path[0]));
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], PATH_MAX, "%s/rulesets/%064d", r.dir, i + 1);
		CHECK_OK(file_write(path[i], SLICE_LIT("bundle"), 0600));
	}
	tell(&r, &s);
	(void)add_settle(&r, "books", s.waits, SETTLE_OK, 1, 0, false);
	commit(&r);
	flush(&r);
	/* the first was in use before anything that is kept, the second when B
	 * was written */
	buf_printf(&used, "%llu %064d\n%llu %064d\n%llu %064d\n", 1ULL, 1,
	    (unsigned long long)s.live + 1, 2, (unsigned long long)s.input, 3);
	snprintf(path[2], PATH_MAX, "%s/rulesets.used", r.dir);
	CHECK_OK(file_write(path[2], buf_all(&used), 0600));
	look(&r, &core, &st);
	CHECK(st.pinned == 1); /* B */
	CHECK(access(path[0], F_OK) != 0 && access(path[1], F_OK) == 0);
	buf_fini(&used);
	room_fini(&r);
}

T_MAIN(T_RUN(what_is_needed_stays) T_RUN(young_is_kept) T_RUN(used_meanwhile)
	T_RUN(rulesets))
