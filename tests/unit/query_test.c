/*
 * Queries: a part (a parcel) is found as the whole (its order), and the whole's
 * timeline holds the part's, whichever was known first.
 */
#include <time.h>

#include "broker/core/keys.h"
#include "broker/core/query.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

struct room {
	char *dir;
	struct log *log;
	struct index *ix;
	struct keys *keys;
	struct query q;
	struct turn turn;
	struct buf body, out;
	struct arena a;
};

static void
room_init(struct room *r)
{
	char path[300];

	r->dir = tmp_make();
	snprintf(path, sizeof(path), "%s/keys", r->dir);
	turn_init(&r->turn);
	buf_init(&r->body, 1 << 20);
	buf_init(&r->out, QUERY_MAX);
	arena_init(&r->a, 1 << 20);
	CHECK_OK(log_open(&r->log, r->dir, SURVIVES_POWER_LOSS));
	CHECK_OK(index_open(&r->ix, r->dir, r->log));
	CHECK_OK(keys_open(&r->keys, path));
	CHECK_OK(index_view_new(&r->q.view, r->ix));
	CHECK_OK(log_reader_new(&r->q.reader, r->log));
	CHECK_OK(sealer_new(&r->q.sealer, r->keys));
}

static void
room_fini(struct room *r)
{
	sealer_free(r->q.sealer);
	log_reader_free(r->q.reader);
	index_view_free(r->q.view);
	keys_close(r->keys);
	index_close(r->ix);
	log_close(r->log);
	turn_fini(&r->turn);
	buf_fini(&r->body);
	buf_fini(&r->out);
	arena_fini(&r->a);
	tmp_free(r->dir);
}

/* One event; ref and target may be NULL. */
static void
add(struct room *r, const char *id, const char *subject, const char *ref,
    const char *target)
{
	struct event ev;

	event_init(&ev);
	ev.id = slice_str(id);
	ev.source = SLICE_LIT("shop");
	ev.type = SLICE_LIT("x.y");
	ev.subject = slice_str(subject);
	ev.revision = 1;
	if (ref != NULL) {
		ev.refs_n = 1;
		ev.refs[0] = slice_str(ref);
	}
	if (target != NULL)
		ev.target = slice_str(target);
	event_write(&r->body, &ev);
	CHECK_OK(buf_check(&r->body));
	turn_add(&r->turn, REC_EVENT, buf_all(&r->body));
	buf_reset(&r->body);
}

static enum err
apply_one(void *arg, const struct log_record *rec)
{
	return index_apply(arg, rec);
}

static void
commit(struct room *r)
{
	struct log_reader *reader;
	uint64_t seq;

	CHECK_OK(log_append(r->log, &r->turn, 1, &seq));
	turn_reset(&r->turn);
	CHECK_OK(log_reader_new(&reader, r->log));
	CHECK_OK(log_scan(reader, seq, apply_one, r->ix));
	log_reader_free(reader);
}

/* "a,b": what a word finds, in order; waits till the index is written. */
static const char *
found(struct room *r, const char *word, const char *want)
{
	static char text[1000];
	const struct timespec pause = {.tv_nsec = 20000000};
	struct mp_in in;
	struct mp v;
	uint32_t n;

	for (int tries = 0; tries < 500; tries++) {
		text[0] = '\0';
		buf_reset(&r->out);
		CHECK_OK(query_find(&r->q, slice_str(word), &r->out));
		in = mp_in(buf_all(&r->out));
		CHECK_OK(mp_next(&in, &v));
		for (n = v.count; n > 0; n--) {
			CHECK_OK(mp_next(&in, &v));
			snprintf(text + strlen(text),
			    sizeof(text) - strlen(text), "%s%.*s",
			    text[0] != '\0' ? "," : "", SLICE_ARG(v.bytes));
		}
		if (strcmp(text, want) == 0)
			break;
		nanosleep(&pause, NULL);
	}
	return text;
}

/* "1 2 4": the sequences of a subject's timeline. */
static const char *
line_of(struct room *r, const char *subject, int64_t *open)
{
	static char text[1000];
	struct slice list, item;
	struct mp_in in;
	struct mp v;
	int64_t seq;

	text[0] = '\0';
	buf_reset(&r->out);
	CHECK_OK(query_timeline(&r->q, slice_str(subject), false, &r->out));
	CHECK(mp_get(buf_all(&r->out), "records", &list));
	in = mp_in(list);
	CHECK_OK(mp_next(&in, &v));
	for (uint32_t n = v.count; n > 0; n--) {
		CHECK_OK(mp_value(&in, &item));
		CHECK(mp_get_int(item, "seq", &seq));
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%s%lld", text[0] != '\0' ? " " : "", (long long)seq);
	}
	CHECK(mp_get(buf_all(&r->out), "open", &list));
	in = mp_in(list);
	CHECK_OK(mp_next(&in, &v));
	*open = v.count;
	return text;
}

#define FOUND(word, want) CHECK(strcmp(found(&r, word, want), want) == 0)
#define LINE(subject, want, items)                                      \
	do {                                                            \
		int64_t open_;                                          \
		CHECK(strcmp(line_of(&r, subject, &open_), want) == 0); \
		CHECK(open_ == (items));                                \
	} while (0)

T(parts)
{
	struct room r;

	room_init(&r);
	/* the parcel first: it stands for itself until an order names it */
	add(&r, "1", "parcel:P1", NULL, NULL);
	commit(&r);
	FOUND("P1", "parcel:P1");
	LINE("parcel:P1", "1", 0);
	add(&r, "2", "order:shop/7", NULL, NULL);
	add(&r, "3", "order:shop/7", "parcel:P1", NULL);
	add(&r, "4", "parcel:P1", NULL, "books");
	/* the order first, the parcel never scanned, and then scanned */
	add(&r, "5", "order:shop/8", "parcel:P2", NULL);
	commit(&r);
	FOUND("P2", "order:shop/8");
	FOUND("P1", "order:shop/7");
	FOUND("parcel:P1", "order:shop/7");
	FOUND("7", "order:shop/7");
	LINE("order:shop/7", "1 2 3 4", 1);
	LINE("parcel:P1", "1 4", 1);
	LINE("order:shop/8", "5", 0);
	add(&r, "6", "parcel:P2", NULL, NULL);
	/* two orders in one parcel: the first has its name, both its scans */
	add(&r, "7", "order:shop/9", "parcel:P2", NULL);
	commit(&r);
	FOUND("9", "order:shop/9");
	FOUND("P2", "order:shop/8");
	LINE("order:shop/8", "5 6", 0);
	LINE("order:shop/9", "6 7", 0);
	/* a number that is an order's and another order's parcel's */
	add(&r, "8", "parcel:9", NULL, NULL);
	add(&r, "9", "order:shop/8", "parcel:9", NULL);
	/* and one that names itself */
	add(&r, "10", "order:shop/11", "order:shop/11", NULL);
	commit(&r);
	FOUND("11", "order:shop/11");
	LINE("order:shop/11", "10", 0);
	FOUND("9", "order:shop/9,order:shop/8");
	LINE("order:shop/8", "5 6 8 9", 0);
	CHECK_ERR(query_timeline(&r.q, SLICE_LIT("order:none"), false, &r.out),
	    ERR_NOTFOUND);
	room_fini(&r);
}

T_MAIN(T_RUN(parts))
