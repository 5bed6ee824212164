/*
 * query - see query.h. An answer is written straight as msgpack while records
 * are read; nothing is kept between calls. Money is counted on the way, from
 * the canonical types alone (query_money.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/utf8.h"
#include "broker/core/query.h"
#include "broker/core/query_money.h"

static void
put_key_str(struct buf *out, const char *key, struct slice v, uint32_t *n)
{
	if (v.n == 0)
		return;
	mp_put_cstr(out, key);
	mp_put_str(out, v);
	(*n)++;
}

static void
put_key_uint(struct buf *out, const char *key, uint64_t v, uint32_t *n)
{
	if (v == 0)
		return;
	mp_put_cstr(out, key);
	mp_put_uint(out, v);
	(*n)++;
}

static void
put_key_time(struct buf *out, const char *key, int64_t v, uint32_t *n)
{
	if (v == 0)
		return;
	mp_put_cstr(out, key);
	mp_put_time(out, v);
	(*n)++;
}

static void
put_key_bin_hex(struct buf *out, const char *key, struct slice v, uint32_t *n)
{
	char hex[2 * 32 + 1];

	if (v.n == 0 || v.n > 32)
		return;
	for (size_t i = 0; i < v.n; i++)
		snprintf(hex + 2 * i, 3, "%02x", v.p[i]);
	put_key_str(out, key, slice_str(hex), n);
}

/* The head all records share. */
static void
put_head(struct buf *out, const struct log_record *rec, const char *kind,
    uint32_t *n)
{
	put_key_uint(out, "seq", rec->seq, n);
	put_key_time(out, "at", rec->recorded, n);
	put_key_str(out, "kind", slice_str(kind), n);
}

static void
put_event(struct buf *out, const struct log_record *rec, const struct event *e,
    bool with_data, bool erased)
{
	size_t mark = mp_open(out);
	uint32_t n = 0;

	put_head(out, rec, "event", &n);
	put_key_str(out, "type", e->type, &n);
	put_key_str(out, "source", e->source, &n);
	put_key_str(out, "id", e->id, &n);
	put_key_str(out, "subject", e->subject, &n);
	put_key_time(out, "time", e->time, &n);
	put_key_uint(out, "revision", e->revision, &n);
	put_key_uint(out, "cause", e->causationid, &n);
	put_key_uint(out, "root", e->correlationid, &n);
	put_key_str(out, "revisedby", e->revisedby, &n);
	put_key_str(out, "map", e->map, &n);
	put_key_str(out, "target", e->target, &n);
	put_key_str(out, "traceparent", e->traceparent, &n);
	put_key_bin_hex(out, "ruleset", e->ruleset, &n);
	if (e->refs_n > 0) {
		mp_put_cstr(out, "refs");
		mp_put_array(out, (uint32_t)e->refs_n);
		for (size_t i = 0; i < e->refs_n; i++)
			mp_put_str(out, e->refs[i]);
		n++;
	}
	if (e->withdrawn || e->echo || erased) {
		mp_put_cstr(out, erased		? "erased"
				 : e->withdrawn ? "withdrawn"
						: "echo");
		mp_put_bool(out, true);
		n++;
	}
	if (with_data && e->data.n > 0) {
		mp_put_cstr(out, "data");
		buf_slice(out, e->data);
		n++;
	}
	mp_close_map(out, mark, n);
}

/* What happened out there. The excerpt is personal: for `sealer` alone. */
static void
put_effect(struct buf *out, struct slice effect, struct sealer *sealer)
{
	struct slice remote, digest, sealed, excerpt;
	size_t mark;
	int64_t status, ms;
	uint32_t n = 0;

	mp_put_cstr(out, "effect");
	mark = mp_open(out);
	if (mp_get_bin(effect, "digest", &digest))
		put_key_bin_hex(out, "digest", digest, &n);
	if (mp_get_str(effect, "remote", &remote))
		put_key_str(out, "remote", remote, &n);
	if (mp_get_int(effect, "status", &status)) {
		mp_put_cstr(out, "status");
		mp_put_int(out, status);
		n++;
	}
	if (mp_get_int(effect, "ms", &ms)) {
		mp_put_cstr(out, "ms");
		mp_put_int(out, ms);
		n++;
	}
	if (sealer != NULL && mp_get_bin(effect, "excerpt", &sealed) &&
	    sealer_open_bytes(sealer, sealed, &excerpt) == ERR_OK) {
		if (utf8_valid(excerpt)) {
			put_key_str(out, "excerpt", excerpt, &n);
		} else {
			mp_put_cstr(out, "excerpt");
			mp_put_bin(out, excerpt);
			n++;
		}
		sealer_reset(sealer);
	}
	mp_close_map(out, mark, n);
}

static void
put_settle(struct buf *out, const struct log_record *rec,
    const struct settle *s, struct sealer *sealer)
{
	size_t mark = mp_open(out);
	uint32_t n = 0;

	put_head(out, rec, "settle", &n);
	put_key_str(out, "sub", s->sub, &n);
	put_key_uint(out, "of", s->seq, &n);
	put_key_str(out, "verdict", slice_str(settle_name(s->verdict)), &n);
	put_key_uint(out, "attempt", s->attempt, &n);
	put_key_time(out, "due", s->due, &n);
	if (s->parked) {
		mp_put_cstr(out, "parked");
		mp_put_bool(out, true);
		n++;
	}
	put_key_str(out, "text", s->text, &n);
	put_key_str(out, "path", s->path, &n);
	put_key_str(out, "where", s->where, &n);
	put_key_str(out, "table", s->table, &n);
	put_key_str(out, "key", s->key, &n);
	put_key_str(out, "wait_type", s->wait_type, &n);
	if (s->effect.n > 0) {
		put_effect(out, s->effect, sealer);
		n++;
	}
	mp_close_map(out, mark, n);
}

static void
put_action(
    struct buf *out, const struct log_record *rec, const struct action *a)
{
	size_t mark = mp_open(out);
	uint32_t n = 0;

	put_head(out, rec, "action", &n);
	put_key_str(out, "act", a->act, &n);
	put_key_str(out, "by", a->by, &n);
	put_key_str(out, "reason", a->reason, &n);
	put_key_str(out, "sub", a->sub, &n);
	put_key_uint(out, "of", a->seq, &n);
	put_key_time(out, "until", a->until, &n);
	put_key_str(out, "system", a->system, &n);
	put_key_str(out, "since", a->since, &n);
	put_key_str(out, "map", a->map, &n);
	put_key_str(out, "table", a->table, &n);
	put_key_str(out, "key", a->key, &n);
	put_key_bin_hex(out, "hash", a->hash, &n);
	mp_close_map(out, mark, n);
}

static void
put_timer(struct buf *out, const struct log_record *rec)
{
	size_t mark = mp_open(out);
	uint32_t n = 0;
	struct slice sub;
	int64_t of;

	put_head(out, rec, "timer", &n);
	if (mp_get_str(rec->body, "sub", &sub))
		put_key_str(out, "sub", sub, &n);
	if (mp_get_int(rec->body, "seq", &of) && of > 0)
		put_key_uint(out, "of", (uint64_t)of, &n);
	mp_close_map(out, mark, n);
}

/* Write one record; counts it into money when that is asked for. */
static enum err
put_record(struct query *q, const struct log_record *rec, bool with_data,
    bool unmask, struct money *money, struct buf *out)
{
	struct event e;
	struct settle s;
	struct action a;
	bool erased = false;
	enum err err;

	switch (rec->kind) {
	case REC_EVENT:
		err = event_read(rec->body, &e);
		if (err != ERR_OK)
			return err;
		e.sequence = rec->seq;
		if (money != NULL)
			money_event(money, &e);
		if (with_data && unmask && e.sealed.n > 0) {
			err = sealer_open(q->sealer, &e, &erased);
			if (err != ERR_OK)
				return err;
		}
		put_event(out, rec, &e, with_data, erased);
		sealer_reset(q->sealer);
		break;
	case REC_SETTLE:
		err = settle_read(rec->body, &s);
		if (err != ERR_OK)
			return err;
		put_settle(out, rec, &s, unmask ? q->sealer : NULL);
		break;
	case REC_ACTION:
		err = action_read(rec->body, &a);
		if (err != ERR_OK)
			return err;
		put_action(out, rec, &a);
		break;
	case REC_TIMER:
		put_timer(out, rec);
		break;
	}
	return buf_check(out);
}

/* A subject that is another's part (a parcel of an order: a ref of the order
 * names it) stands for the whole: its timeline holds the part's. */
static enum err
whole_of(struct query *q, struct slice *subject, struct arena *a)
{
	struct slice whole;
	enum err e = index_view_ref(q->view, *subject, a, &whole);

	if (e == ERR_OK)
		*subject = whole;
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

static bool
listed(const struct slice *list, size_t n, struct slice s)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(list[i], s))
			return true;
	return false;
}

enum err
query_find(struct query *q, struct slice word, struct buf *out)
{
	struct arena a;
	struct slice *subjects = NULL;
	size_t n = 0, kept = 0;
	enum err e;

	arena_init(&a, 1024 * 1024);
	e = index_view_find(q->view, word, &a, &subjects, &n);
	if (e == ERR_NOTFOUND) {
		n = 0;
		e = ERR_OK;
	}
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		e = whole_of(q, &subjects[i], &a);
		if (e == ERR_OK && !listed(subjects, kept, subjects[i]))
			subjects[kept++] = subjects[i];
	}
	if (e == ERR_OK) {
		mp_put_array(out, (uint32_t)kept);
		for (size_t i = 0; i < kept; i++)
			mp_put_str(out, subjects[i]);
		e = buf_check(out);
	}
	arena_fini(&a);
	return e;
}

enum err
query_record(struct query *q, uint64_t seq, bool unmask, struct buf *out)
{
	struct log_record rec;
	enum err e;

	e = log_read(q->reader, seq, &rec);
	if (e != ERR_OK)
		return e;
	return put_record(q, &rec, true, unmask, NULL, out);
}

static const char *
state_name(enum open_state s)
{
	static const char *const names[] = {
	    "ready", "retry", "wait", "behind", "ask", "parked"};

	return s <= OPEN_PARKED ? names[s] : "unknown";
}

/* An open item with the reason its last SETTLE gave. */
static enum err
put_item(struct query *q, const struct open_item *i, struct buf *out)
{
	size_t mark = mp_open(out);
	struct log_record rec;
	struct settle s;
	uint32_t n = 0;
	enum err e;

	put_key_str(out, "sub", i->sub, &n);
	put_key_str(out, "subject", i->subject, &n);
	put_key_uint(out, "seq", i->seq, &n);
	put_key_str(out, "state", slice_str(state_name(i->state)), &n);
	put_key_uint(out, "attempt", i->attempt, &n);
	put_key_time(out, "due", i->due, &n);
	if (i->settle != 0) {
		e = log_read(q->reader, i->settle, &rec);
		if (e == ERR_OK && rec.kind == REC_SETTLE)
			e = settle_read(rec.body, &s);
		else if (e == ERR_OK)
			e = err_note(ERR_CORRUPT,
			    "record %llu is no settlement",
			    (unsigned long long)i->settle);
		if (e != ERR_OK)
			return e;
		put_key_str(out, "text", s.text, &n);
		put_key_str(out, "path", s.path, &n);
		put_key_str(out, "where", s.where, &n);
		put_key_str(out, "table", s.table, &n);
		put_key_str(out, "key", s.key, &n);
		put_key_str(out, "wait_type", s.wait_type, &n);
		put_key_str(out, "wait_key", s.wait_key, &n);
	}
	mp_close_map(out, mark, n);
	return buf_check(out);
}

enum err
query_open(struct query *q, struct slice sub, uint64_t after, size_t max,
    struct buf *out)
{
	struct open_item *items;
	struct arena a;
	size_t n = 0;
	enum err e;

	arena_init(&a, QUERY_MAX);
	e = index_view_open(q->view, sub, after, max, &a, &items, &n);
	if (e == ERR_OK)
		mp_put_array(out, (uint32_t)n);
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		e = put_item(q, &items[i], out);
	arena_fini(&a);
	return e;
}

/* Append the open items of one subject to a list. */
static enum err
put_open_of(struct query *q, struct slice subject, struct arena *a,
    struct buf *out, uint32_t *count)
{
	struct open_item *items;
	uint64_t after = 0;
	size_t n = 0;
	enum err e;

	for (size_t seen = 0; seen < QUERY_RECORDS; seen += n) {
		e = index_view_open_at(
		    q->view, subject, after, 256, a, &items, &n);
		if (e != ERR_OK)
			return e;
		for (size_t i = 0; i < n; i++) {
			e = put_item(q, &items[i], out);
			if (e != ERR_OK)
				return e;
			(*count)++;
			after = items[i].seq;
		}
		if (n < 256)
			break;
	}
	return buf_check(out);
}

/* All refs the subject's events carried, each once, in order of appearance. */
struct ref_list {
	struct slice all[256];
	size_t n;
};

static enum err
note_refs(struct ref_list *refs, const struct log_record *rec, struct arena *a)
{
	struct event e;
	enum err err;

	if (rec->kind != REC_EVENT)
		return ERR_OK;
	err = event_read(rec->body, &e);
	for (size_t i = 0; err == ERR_OK && i < e.refs_n; i++) {
		size_t k = 0;

		while (k < refs->n && !slice_eq(refs->all[k], e.refs[i]))
			k++;
		if (k < refs->n || refs->n == 256)
			continue;
		err = arena_copy(a, e.refs[i], &refs->all[refs->n]);
		if (err == ERR_OK)
			refs->n++;
	}
	return err;
}

/* What a timeline is made of: the subject, and those that are parts of it. */
struct timeline {
	struct slice subjects[1 + 256]; /* the subject itself first */
	size_t subjects_n;
	uint64_t seqs[QUERY_RECORDS];
	size_t n;
	struct ref_list refs;
};

static int
by_seq(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

#define SNOOZE_RECORDS 64 /* looked at for one item, from its end */

bool
query_snoozed(struct query *q, struct slice sub, struct slice subject,
    uint64_t seq, int64_t now)
{
	uint64_t seqs[1024];
	struct log_record rec;
	struct action a;
	size_t n = 0, first;

	if (index_view_timeline(q->view, subject, seqs,
		sizeof(seqs) / sizeof(*seqs), &n) != ERR_OK)
		return false;
	first = n > SNOOZE_RECORDS ? n - SNOOZE_RECORDS : 0;
	for (size_t i = n; i-- > first && seqs[i] > seq;)
		if (log_read(q->reader, seqs[i], &rec) == ERR_OK &&
		    rec.kind == REC_ACTION &&
		    action_read(rec.body, &a) == ERR_OK && a.seq == seq &&
		    slice_is(a.act, "snooze") && slice_eq(a.sub, sub))
			return a.until > now;
	return false;
}

/* Add a subject's records; *n says how many there were. */
static enum err
add_records(
    struct query *q, struct slice subject, struct timeline *t, size_t *n)
{
	enum err e = index_view_timeline(
	    q->view, subject, t->seqs + t->n, QUERY_RECORDS - t->n, n);

	if (e == ERR_OK && *n > 0) {
		t->n += *n;
		t->subjects[t->subjects_n++] = subject;
	}
	return e;
}

/*
 * A ref that is a subject with records of its own is a part: the parcels of an
 * order, by whichever of the two was known first. One level: parts of parts are
 * not looked for. A record about two of them stands once.
 */
static enum err
gather(
    struct query *q, struct slice subject, struct timeline *t, struct arena *a)
{
	struct log_record rec;
	size_t n, own, kept = 0;
	enum err e = add_records(q, subject, t, &own);

	if (e == ERR_OK && own == 0)
		return err_note(ERR_NOTFOUND, "nothing is known of %.*s",
		    SLICE_ARG(subject));
	for (size_t i = 0; e == ERR_OK && i < own; i++) {
		e = log_read(q->reader, t->seqs[i], &rec);
		if (e == ERR_OK)
			e = note_refs(&t->refs, &rec, a);
	}
	for (size_t i = 0; e == ERR_OK && i < t->refs.n; i++)
		if (!slice_eq(t->refs.all[i], subject))
			e = add_records(q, t->refs.all[i], t, &n);
	if (e != ERR_OK || t->subjects_n == 1)
		return e;
	qsort(t->seqs, t->n, sizeof(t->seqs[0]), by_seq);
	for (size_t i = 0; i < t->n; i++)
		if (kept == 0 || t->seqs[kept - 1] != t->seqs[i])
			t->seqs[kept++] = t->seqs[i];
	t->n = kept;
	return ERR_OK;
}

static enum err
put_timeline(struct query *q, const struct timeline *t, bool unmask,
    struct arena *a, struct buf *out)
{
	size_t mark = mp_open(out), list;
	struct log_record rec;
	struct money money;
	uint32_t keys = 4, open = 0;
	enum err e = ERR_OK;

	money_init(&money);
	mp_put_cstr(out, "subject");
	mp_put_str(out, t->subjects[0]);
	mp_put_cstr(out, "records");
	mp_put_array(out, (uint32_t)t->n);
	for (size_t i = 0; e == ERR_OK && i < t->n; i++) {
		e = log_read(q->reader, t->seqs[i], &rec);
		if (e == ERR_OK)
			e = put_record(q, &rec, true, unmask, &money, out);
	}
	mp_put_cstr(out, "refs");
	mp_put_array(out, (uint32_t)t->refs.n);
	for (size_t i = 0; i < t->refs.n; i++)
		mp_put_str(out, t->refs.all[i]);
	mp_put_cstr(out, "open");
	list = mp_open(out);
	for (size_t i = 0; e == ERR_OK && i < t->subjects_n; i++)
		e = put_open_of(q, t->subjects[i], a, out, &open);
	mp_close_array(out, list, open);
	if (e == ERR_OK && money_any(&money)) {
		mp_put_cstr(out, "money");
		money_put(&money, out);
		keys++;
	}
	mp_close_map(out, mark, keys);
	return e == ERR_OK ? buf_check(out) : e;
}

enum err
query_timeline(
    struct query *q, struct slice subject, bool unmask, struct buf *out)
{
	struct timeline *t;
	struct arena a;
	enum err e;

	arena_init(&a, QUERY_MAX);
	t = arena_alloc(&a, sizeof(*t));
	e = t != NULL ? gather(q, subject, t, &a) : ERR_NOMEM;
	if (e == ERR_OK)
		e = put_timeline(q, t, unmask, &a, out);
	arena_fini(&a);
	return e;
}

enum err
query_recent(struct query *q, size_t max, struct buf *out)
{
	struct log_record rec;
	uint64_t seqs[512];
	size_t n;
	enum err e;

	if (max > 512)
		max = 512;
	e = index_view_recent(q->view, seqs, max, &n);
	if (e != ERR_OK)
		return e;
	mp_put_array(out, (uint32_t)n);
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		e = log_read(q->reader, seqs[i], &rec);
		if (e == ERR_OK)
			e = put_record(q, &rec, false, false, NULL, out);
	}
	return e;
}
