/*
 * index_read - what the turn asks of facts, subjects and refs: the memtables
 * first, the newest before the one on its way to the disk, then index.db; or
 * the other way round where the first claim wins. A filter spares most looks
 * into index.db.
 */
#include <stdlib.h>

#include "broker/core/index_own.h"

#define AT_ROWS 20000 /* records of one type at one subject looked at */

/* ---- facts ---- */

/* Does the record say that it is (source, id)? */
static enum err
is_fact(struct index *ix, uint64_t seq, struct slice source, struct slice id,
    struct known *out, bool *yes)
{
	struct log_record rec;
	struct event *ev = &ix->event;
	enum err e = log_read(ix->reader, seq, &rec);

	*yes = false;
	if (e == ERR_NOTFOUND)
		return ERR_OK; /* let go of, its row not yet */
	if (e == ERR_OK && rec.kind == REC_EVENT)
		e = event_read(rec.body, ev);
	if (e != ERR_OK || rec.kind != REC_EVENT)
		return e;
	if (!slice_eq(ev->id, id) || !slice_eq(ev->source, source))
		return ERR_OK;
	*yes = true;
	*out = (struct known){
	    .seq = seq, .revision = ev->revision, .withdrawn = ev->withdrawn};
	if (ev->digest.n == 32)
		memcpy(out->digest, ev->digest.p, 32);
	return ERR_OK;
}

/* Two hashes under the journal's seed, 120 bits in all, are as good as the
 * text, and spare a look into the journal for what has just been said. */
static bool
fact_in_table(
    const struct memtable *m, uint64_t h, uint64_t proof, struct known *out)
{
	for (uint32_t at = mt_find(m, h); at != MT_NONE; at = mt_older(m, at)) {
		const struct mt_event *v = &m->event[m->post[at].ref];

		if (v->proof != proof)
			continue;
		*out = (struct known){.seq = v->seq,
		    .revision = v->revision,
		    .withdrawn = v->withdrawn};
		memcpy(out->digest, v->digest, sizeof(out->digest));
		return true;
	}
	return false;
}

static enum err
fact_in_part(struct index *ix, int part, uint64_t h, struct slice source,
    struct slice id, struct known *out, bool *yes)
{
	sqlite3_stmt *s = idb_stmt(&ix->read, Q_FACT);
	enum err e = ERR_OK;
	int rc = SQLITE_DONE;

	if (s == NULL)
		return ERR_CORRUPT;
	sqlite3_bind_int64(s, 1, part);
	sqlite3_bind_int64(s, 2, (int64_t)h);
	while (e == ERR_OK && !*yes && (rc = sqlite3_step(s)) == SQLITE_ROW)
		e = is_fact(ix, (uint64_t)sqlite3_column_int64(s, 0), source,
		    id, out, yes);
	if (e == ERR_OK && !*yes && rc != SQLITE_DONE)
		e = idb_failed(&ix->read, s);
	sqlite3_reset(s);
	return e;
}

enum err
index_fact(
    struct index *ix, struct slice source, struct slice id, struct known *out)
{
	uint64_t h = mt_hash2(&ix->seed, MT_FACT, source, id);
	uint64_t proof = mt_hash2(&ix->seed, MT_PROOF, source, id);
	enum err e = ERR_OK;
	bool yes;

	pthread_mutex_lock(&ix->mu);
	yes = fact_in_table(ix->active, h, proof, out) ||
	      fact_in_table(ix->sealed, h, proof, out);
	for (int g = bloom_newest(ix->bloom); g >= 0 && e == ERR_OK && !yes;
	     g--)
		for (int k = FACT_PARTS;
		     k > 0 && e == ERR_OK && !yes && bloom_has(ix->bloom, g, h);
		     k--)
			e = fact_in_part(ix, g * FACT_PARTS + k - 1, h, source,
			    id, out, &yes);
	pthread_mutex_unlock(&ix->mu);
	return e == ERR_OK && !yes ? err_note(ERR_NOTFOUND, "never seen") : e;
}

/* ---- subjects ---- */

/* Facts already met on the way back in time: their newer revision counts. */
struct seen {
	uint64_t small[64], *slot;
	size_t n, cap;
};

static enum err
seen_add(struct seen *s, uint64_t fact, bool *was)
{
	uint64_t *slot;
	size_t cap, i;

	fact |= 1; /* 0 is an empty slot */
	if (s->n * 2 >= s->cap) {
		cap = s->cap * 2;
		slot = calloc(cap, sizeof(*slot));
		if (slot == NULL)
			return err_note(ERR_NOMEM, "no memory for a join");
		for (size_t k = 0; k < s->cap; k++) {
			if (s->slot[k] == 0)
				continue;
			for (i = s->slot[k] >> 20 & (cap - 1); slot[i] != 0;)
				i = (i + 1) & (cap - 1);
			slot[i] = s->slot[k];
		}
		if (s->slot != s->small)
			free(s->slot);
		s->slot = slot;
		s->cap = cap;
	}
	*was = false;
	for (i = fact >> 20 & (s->cap - 1); s->slot[i] != 0;
	     i = (i + 1) & (s->cap - 1))
		if (s->slot[i] == fact) {
			*was = true;
			return ERR_OK;
		}
	s->slot[i] = fact;
	s->n++;
	return ERR_OK;
}

struct at {
	struct seen seen;
	uint64_t before, *out;
	size_t n, max;
	struct log_reader *log;
};

static enum err
at_row(struct at *a, uint64_t seq, uint64_t fact, bool withdrawn)
{
	bool was;
	enum err e;

	if (seq >= a->before || a->n == a->max)
		return ERR_OK;
	e = seen_add(&a->seen, fact, &was);
	if (e == ERR_OK && !was && !withdrawn && log_has(a->log, seq))
		a->out[a->n++] = seq;
	return e;
}

static enum err
at_table(struct index *ix, const struct memtable *m, struct slice type,
    struct slice subject, struct at *a)
{
	uint32_t i = mt_find(m, mt_hash2(&ix->seed, MT_AT, subject, type));
	enum err e = ERR_OK;

	for (; i != MT_NONE && e == ERR_OK; i = mt_older(m, i)) {
		const struct mt_event *v = &m->event[m->post[i].ref];

		if (slice_eq(v->subject, subject) && slice_eq(v->type, type))
			e = at_row(a, v->seq, v->fact, v->withdrawn);
	}
	return e;
}

static bool
known_subject(struct index *ix, struct slice subject)
{
	return bloom_has_any(
	    ix->bloom, mt_hash2(&ix->seed, MT_SUBJECT, subject, SLICE_EMPTY));
}

static enum err
at_rows(struct index *ix, struct slice type, struct slice subject, struct at *a)
{
	sqlite3_stmt *s = idb_stmt(&ix->read, Q_AT);
	enum err e = ERR_OK;
	int rc = SQLITE_DONE;

	if (s == NULL)
		return ERR_CORRUPT;
	idb_name(s, 1, subject);
	idb_text(s, 3, type);
	sqlite3_bind_int64(
	    s, 4, a->before > INT64_MAX ? INT64_MAX : (int64_t)a->before);
	for (int i = 0; i < AT_ROWS && a->n < a->max && e == ERR_OK; i++) {
		rc = sqlite3_step(s);
		if (rc != SQLITE_ROW)
			break;
		e = at_row(a, (uint64_t)sqlite3_column_int64(s, 0),
		    (uint64_t)sqlite3_column_int64(s, 1),
		    sqlite3_column_int(s, 2) != 0);
	}
	if (e == ERR_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
		e = idb_failed(&ix->read, s);
	sqlite3_reset(s);
	return e;
}

enum err
index_at(struct index *ix, struct slice type, struct slice subject,
    uint64_t before, uint64_t *out, size_t max, size_t *n)
{
	struct at a = {
	    .before = before, .out = out, .max = max, .log = ix->reader};
	enum err e;

	a.seen.slot = a.seen.small;
	a.seen.cap = sizeof(a.seen.small) / sizeof(a.seen.small[0]);
	pthread_mutex_lock(&ix->mu);
	e = at_table(ix, ix->active, type, subject, &a);
	if (e == ERR_OK)
		e = at_table(ix, ix->sealed, type, subject, &a);
	if (e == ERR_OK && a.n < max && known_subject(ix, subject))
		e = at_rows(ix, type, subject, &a);
	pthread_mutex_unlock(&ix->mu);
	if (a.seen.slot != a.seen.small)
		free(a.seen.slot);
	for (size_t i = 0; i < a.n / 2; i++) {
		uint64_t v = out[i];

		out[i] = out[a.n - 1 - i];
		out[a.n - 1 - i] = v;
	}
	*n = a.n;
	return e;
}

static enum err
slot_row(struct index *ix, struct slice subject, uint32_t *slot)
{
	sqlite3_stmt *s = idb_stmt(&ix->read, Q_SLOT);
	enum err e;
	int rc;

	if (s == NULL)
		return ERR_CORRUPT;
	idb_name(s, 1, subject);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*slot = (uint32_t)sqlite3_column_int64(s, 0);
	e = rc == SQLITE_ROW ? ERR_OK
	    : rc == SQLITE_DONE
		? err_note(ERR_NOTFOUND, "a subject without a key")
		: idb_failed(&ix->read, s);
	sqlite3_reset(s);
	return e;
}

enum err
index_slot(struct index *ix, struct slice subject, uint32_t *slot)
{
	struct memtable *tables[2];
	bool found = false;
	enum err e = ERR_OK;

	pthread_mutex_lock(&ix->mu);
	/* The oldest says it: a subject keeps its first slot. */
	tables[0] = ix->sealed;
	tables[1] = ix->active;
	if (known_subject(ix, subject)) {
		e = slot_row(ix, subject, slot);
		found = e == ERR_OK;
		if (e == ERR_NOTFOUND)
			e = ERR_OK;
	}
	for (int t = 0; t < 2 && !found && e == ERR_OK; t++) {
		const struct mt_slot *v = mt_slot(tables[t], subject);

		if (v != NULL) {
			*slot = v->slot;
			found = true;
		}
	}
	pthread_mutex_unlock(&ix->mu);
	return e == ERR_OK && !found
		   ? err_note(ERR_NOTFOUND, "a subject without a key")
		   : e;
}

uint32_t
index_slot_max(struct index *ix)
{
	uint32_t max;

	pthread_mutex_lock(&ix->mu);
	max = ix->slot_max;
	pthread_mutex_unlock(&ix->mu);
	return max;
}

static enum err
ref_row(
    struct index *ix, struct slice ref, struct arena *a, struct slice *subject)
{
	sqlite3_stmt *s = idb_stmt(&ix->read, Q_REF);
	enum err e;
	int rc;

	if (s == NULL)
		return ERR_CORRUPT;
	idb_name(s, 1, ref);
	rc = sqlite3_step(s);
	e = rc == SQLITE_ROW	? arena_copy(a, idb_column(s, 0), subject)
	    : rc == SQLITE_DONE ? ERR_NOTFOUND
				: idb_failed(&ix->read, s);
	sqlite3_reset(s);
	return e;
}

/* What a person said of it. Under mu. */
static enum err
name_answer(
    struct index *ix, struct slice ref, struct arena *a, struct slice *subject)
{
	for (size_t i = 0; i < ix->answers_n; i++)
		if (ix->answers[i].system.n == 0 &&
		    slice_eq(ix->answers[i].key, ref))
			return arena_copy(a, ix->answers[i].row, subject);
	return ERR_NOTFOUND;
}

enum err
index_named(
    struct index *ix, struct slice ref, struct arena *a, struct slice *subject)
{
	enum err e;

	pthread_mutex_lock(&ix->mu);
	e = name_answer(ix, ref, a, subject);
	pthread_mutex_unlock(&ix->mu);
	return e == ERR_NOTFOUND ? err_note(e, "nobody was asked whose %.*s is",
				       SLICE_ARG(ref))
				 : e;
}

enum err
index_ref(
    struct index *ix, struct slice ref, struct arena *a, struct slice *subject)
{
	uint64_t h = mt_hash2(&ix->seed, MT_REF, ref, SLICE_EMPTY);
	struct memtable *tables[2];
	enum err e;

	pthread_mutex_lock(&ix->mu);
	tables[0] = ix->sealed;
	tables[1] = ix->active;
	e = name_answer(ix, ref, a, subject);
	if (e == ERR_NOTFOUND) /* the first claim wins */
		e = ref_row(ix, ref, a, subject);
	for (int t = 0; t < 2 && e == ERR_NOTFOUND; t++) {
		const struct memtable *m = tables[t];
		uint32_t at = mt_find(m, h);

		for (; at != MT_NONE && e == ERR_NOTFOUND;
		     at = mt_older(m, at)) {
			const struct mt_ref *r = &m->ref[m->post[at].ref];

			if (slice_eq(r->ref, ref))
				e = arena_copy(a, r->subject, subject);
		}
	}
	pthread_mutex_unlock(&ix->mu);
	return e == ERR_NOTFOUND
		   ? err_note(e, "nothing is named %.*s", SLICE_ARG(ref))
		   : e;
}

/* ---- dependents ---- */

struct dependents {
	struct arena *arena;
	struct dependent *p;
	size_t n, cap;
	bool made; /* those without a map instead */
};

static enum err
dep_add(struct dependents *d, uint64_t input, struct slice map)
{
	struct dependent *p;

	if ((map.n == 0) != d->made)
		return ERR_OK;
	if (d->n == d->cap) {
		d->cap = d->cap > 0 ? d->cap * 2 : 16;
		p = realloc(d->p, d->cap * sizeof(*p));
		if (p == NULL)
			return err_note(ERR_NOMEM, "no memory for dependents");
		d->p = p;
	}
	d->p[d->n].input = input;
	return arena_copy(d->arena, map, &d->p[d->n++].map);
}

static int
dep_cmp(const void *a, const void *b)
{
	const struct dependent *x = a, *y = b;

	return x->input != y->input
		   ? (x->input > y->input) - (x->input < y->input)
		   : slice_cmp(x->map, y->map);
}

static enum err
dep_rows(struct index *ix, uint64_t read_seq, struct dependents *d)
{
	sqlite3_stmt *s = idb_stmt(&ix->read, Q_DEP);
	enum err e = ERR_OK;
	int rc = SQLITE_DONE;

	if (s == NULL)
		return ERR_CORRUPT;
	sqlite3_bind_int64(s, 1, (int64_t)read_seq);
	while (e == ERR_OK && (rc = sqlite3_step(s)) == SQLITE_ROW)
		e = dep_add(
		    d, (uint64_t)sqlite3_column_int64(s, 0), idb_column(s, 1));
	if (e == ERR_OK && rc != SQLITE_DONE)
		e = idb_failed(&ix->read, s);
	sqlite3_reset(s);
	return e;
}

/* Those of one revision. */
static enum err
dep_of(struct index *ix, uint64_t read_seq, struct dependents *d)
{
	uint64_t h = mt_hash_n(&ix->seed, MT_DEP, SLICE_EMPTY, read_seq);
	const struct memtable *tables[2] = {ix->active, ix->sealed};
	enum err e = dep_rows(ix, read_seq, d);

	for (int t = 0; t < 2; t++) {
		const struct memtable *m = tables[t];
		uint32_t at = mt_find(m, h);

		for (; at != MT_NONE && e == ERR_OK; at = mt_older(m, at))
			if (m->dep[m->post[at].ref].read == read_seq)
				e = dep_add(d, m->dep[m->post[at].ref].input,
				    m->dep[m->post[at].ref].map);
	}
	return e;
}

#define DEP_REVISIONS 1000
#define DEP_FEW 8

/* Sequences of a fact's revisions, the newest first. Another fact of the same
 * hash may be among them: its readers are evaluated once in vain. */
static enum err
revisions(struct index *ix, uint64_t h, uint64_t *out, size_t *n)
{
	const struct memtable *tables[2] = {ix->active, ix->sealed};
	enum err e = ERR_OK;

	*n = 0;
	for (int t = 0; t < 2; t++) {
		const struct memtable *m = tables[t];
		uint32_t at = mt_find(m, h);

		for (; at != MT_NONE && *n < DEP_REVISIONS;
		     at = mt_older(m, at))
			out[(*n)++] = m->event[m->post[at].ref].seq;
	}
	for (int g = bloom_newest(ix->bloom); g >= 0 && e == ERR_OK; g--) {
		sqlite3_stmt *s;
		int rc = SQLITE_DONE;

		if (!bloom_has(ix->bloom, g, h))
			continue;
		if ((s = idb_stmt(&ix->read, Q_FACT)) == NULL)
			return ERR_CORRUPT;
		sqlite3_bind_int64(s, 1, g);
		sqlite3_bind_int64(s, 2, (int64_t)h);
		while (
		    *n < DEP_REVISIONS && (rc = sqlite3_step(s)) == SQLITE_ROW)
			out[(*n)++] = (uint64_t)sqlite3_column_int64(s, 0);
		if (rc != SQLITE_DONE && rc != SQLITE_ROW)
			e = idb_failed(&ix->read, s);
		sqlite3_reset(s);
	}
	return e;
}

/* Of every revision of a fact, sorted, without doubles. */
static enum err
deps_of_fact(struct index *ix, struct slice source, struct slice id,
    struct dependents *d)
{
	uint64_t h = mt_hash2(&ix->seed, MT_FACT, source, id);
	uint64_t seqs[DEP_REVISIONS];
	size_t revs = 0, kept = 1;
	enum err e, ended;
	bool many;

	pthread_mutex_lock(&ix->mu);
	e = revisions(ix, h, seqs, &revs);
	/* One transaction for many: each would lock and unlock the file. */
	many = e == ERR_OK && revs > DEP_FEW;
	if (many)
		e = idb_exec(&ix->read, "BEGIN");
	for (size_t i = 0; i < revs && e == ERR_OK; i++)
		e = dep_of(ix, seqs[i], d);
	if (many) {
		ended = idb_exec(&ix->read, "COMMIT");
		if (e == ERR_OK)
			e = ended;
	}
	pthread_mutex_unlock(&ix->mu);
	if (e != ERR_OK || d->n == 0)
		return e;
	qsort(d->p, d->n, sizeof(*d->p), dep_cmp);
	for (size_t i = 1; i < d->n; i++)
		if (dep_cmp(&d->p[i], &d->p[kept - 1]) != 0)
			d->p[kept++] = d->p[i];
	d->n = kept;
	return ERR_OK;
}

enum err
index_dependents(struct index *ix, struct slice source, struct slice id,
    struct arena *a, struct dependent **out, size_t *n)
{
	struct dependents d = {.arena = a};
	enum err e = deps_of_fact(ix, source, id, &d);

	*out = NULL;
	*n = 0;
	if (e == ERR_OK && d.n > 0) {
		*out = arena_raw(a, d.n * sizeof(**out));
		if (*out != NULL) {
			memcpy(*out, d.p, d.n * sizeof(**out));
			*n = d.n;
		} else {
			e = err_note(ERR_LIMIT, "too many dependents at once");
		}
	}
	free(d.p);
	return e;
}

enum err
index_made(struct index *ix, struct slice source, struct slice id,
    struct arena *a, uint64_t **out, size_t *n)
{
	struct dependents d = {.arena = a, .made = true};
	enum err e = deps_of_fact(ix, source, id, &d);

	*out = NULL;
	*n = 0;
	if (e == ERR_OK && d.n > 0) {
		*out = arena_raw(a, d.n * sizeof(**out));
		if (*out == NULL)
			e = err_note(
			    ERR_LIMIT, "too much was made of one fact");
		for (; e == ERR_OK && *n < d.n; ++*n)
			(*out)[*n] = d.p[*n].input;
	}
	free(d.p);
	return e;
}

/* ---- the rest ---- */

void
index_counts(struct index *ix, struct index_counts *out)
{
	pthread_mutex_lock(&ix->mu);
	*out = ix->counts;
	pthread_mutex_unlock(&ix->mu);
}

void
index_duplicate(struct index *ix)
{
	pthread_mutex_lock(&ix->mu);
	ix->counts.duplicates++;
	pthread_mutex_unlock(&ix->mu);
}

enum err
index_system_state(struct index *ix, struct slice system, struct arena *a,
    struct slice *state, struct slice *since)
{
	enum err e = ERR_OK;

	*state = *since = SLICE_EMPTY;
	pthread_mutex_lock(&ix->mu);
	for (size_t i = 0; i < ix->systems_n; i++) {
		if (!slice_eq(ix->systems[i].name, system))
			continue;
		e = arena_copy(a, ix->systems[i].state, state);
		if (e == ERR_OK)
			e = arena_copy(a, ix->systems[i].since, since);
	}
	pthread_mutex_unlock(&ix->mu);
	return e;
}

enum err
index_answers(struct index *ix, struct buf *out)
{
	size_t mark = mp_open(out);
	uint32_t n = 0;

	pthread_mutex_lock(&ix->mu);
	for (size_t i = 0; i < ix->answers_n; i++) {
		const struct answer *v = &ix->answers[i];

		if (v->system.n == 0)
			continue; /* of a name: no mapping's table */
		n++;
		mp_put_array(out, 5);
		mp_put_str(out, v->system);
		mp_put_str(out, v->map);
		mp_put_str(out, v->table);
		mp_put_str(out, v->key);
		if (v->row.n > 0)
			buf_slice(out, v->row);
		else
			mp_put_nil(out);
	}
	pthread_mutex_unlock(&ix->mu);
	mp_close_array(out, mark, n);
	return buf_check(out);
}

enum err
index_ruleset(struct index *ix, struct in_force *out)
{
	pthread_mutex_lock(&ix->mu);
	*out = ix->rules;
	pthread_mutex_unlock(&ix->mu);
	return out->seq != 0
		   ? ERR_OK
		   : err_note(ERR_NOTFOUND, "no ruleset is in force yet");
}
