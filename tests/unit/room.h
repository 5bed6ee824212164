/*
 * room - a folder with a journal and its index, for the tests of the index.
 */
#ifndef VAYLA_TESTS_UNIT_ROOM_H
#define VAYLA_TESTS_UNIT_ROOM_H

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

static inline void
room_open(struct room *r)
{
	CHECK_OK(log_open_sized(&r->log, r->dir, SURVIVES_POWER_LOSS, SMALL));
	CHECK_OK(index_open(&r->ix, r->dir, r->log));
}

static inline void
room_close(struct room *r)
{
	index_close(r->ix);
	log_close(r->log);
}

static inline void
room_init(struct room *r)
{
	r->dir = tmp_make();
	turn_init(&r->turn);
	buf_init(&r->body, 1 << 20);
	arena_init(&r->a, 1 << 24);
	room_open(r);
}

static inline void
room_fini(struct room *r)
{
	room_close(r);
	turn_fini(&r->turn);
	buf_fini(&r->body);
	arena_fini(&r->a);
	tmp_free(r->dir);
}

static inline uint64_t
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

static inline enum err
apply_one(void *arg, const struct log_record *rec)
{
	struct apply *a = arg;

	return index_apply(a->ix, rec);
}

static inline void
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
static inline void
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

static inline void
event(const char *id, const char *type, const char *subject)
{
	event_init(&ev);
	ev.id = slice_str(id);
	ev.source = SLICE_LIT("shop");
	ev.type = slice_str(type);
	ev.subject = slice_str(subject);
	ev.revision = 1;
}

static inline uint64_t
add_event(struct room *r)
{
	event_write(&r->body, &ev);
	return add(r, REC_EVENT);
}

static inline uint64_t
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

static inline uint64_t
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

static inline void
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

#endif
