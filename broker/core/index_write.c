/*
 * index_write - how a memtable becomes rows: sorted by key, so that a batch
 * touches each page once, all in one transaction with `applied`.
 */
#include <stdlib.h>

#include "broker/core/fail.h"
#include "broker/core/index_own.h"

/* Sorts places of an array: by a number that holds the key's beginning, and by
 * the whole key where that is not enough. */
struct place {
	uint64_t key;
	uint32_t i;
};

static uint64_t
prefix(struct slice s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | (i < s.n ? s.p[i] : 0);
	return v;
}

static int
cmp_names(struct slice a, struct slice b)
{
	int r = slice_cmp(name_last(a), name_last(b));

	return r != 0 ? r : slice_cmp(name_head(a), name_head(b));
}

static int
cmp_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
by_key(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;

	(void)arg;
	return x->key != y->key ? cmp_u64(x->key, y->key) : cmp_u64(x->i, y->i);
}

/* Facts as SQLite compares them: signed. */
static uint64_t
signed_order(uint64_t h)
{
	return h ^ UINT64_C(1) << 63;
}

static int
by_at(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;
	const struct memtable *m = arg;
	const struct mt_event *p = &m->event[x->i], *q = &m->event[y->i];
	int r;

	if (x->key != y->key)
		return cmp_u64(x->key, y->key);
	if (p->subject.p != q->subject.p) {
		r = cmp_names(p->subject, q->subject);
		if (r != 0)
			return r;
	}
	r = slice_cmp(p->type, q->type);
	return r != 0 ? r : cmp_u64(p->seq, q->seq);
}

static int
by_slot(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;
	const struct memtable *m = arg;

	if (x->key != y->key)
		return cmp_u64(x->key, y->key);
	return cmp_names(m->slot[x->i].subject, m->slot[y->i].subject);
}

static int
by_ref(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;
	const struct memtable *m = arg;

	if (x->key != y->key)
		return cmp_u64(x->key, y->key);
	return cmp_names(m->ref[x->i].ref, m->ref[y->i].ref);
}

static int
by_item(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;
	const struct memtable *m = arg;
	int r = slice_cmp(m->item[x->i].it.sub, m->item[y->i].it.sub);

	return r != 0 ? r : cmp_u64(x->key, y->key);
}

/* Rows of one table, ROWS_AT_ONCE with each statement: what a statement costs
 * besides its rows is more than a row. */
struct rows {
	enum stmt one, many;
	int columns;
	void (*bind)(sqlite3_stmt *s, int at, const struct memtable *m,
	    const struct place *p, int part);
};

static enum err
write_rows(struct index *ix, const struct rows *r, const struct memtable *m,
    const struct place *p, size_t n, int part)
{
	struct idb *d = &ix->write;
	sqlite3_stmt *one = idb_stmt(d, r->one), *many = idb_stmt(d, r->many);
	enum err e = ERR_OK;

	if (one == NULL || many == NULL)
		return ERR_CORRUPT;
	for (; n >= ROWS_AT_ONCE && e == ERR_OK; n -= ROWS_AT_ONCE) {
		for (int k = 0; k < ROWS_AT_ONCE; k++)
			r->bind(many, k * r->columns, m, p++, part);
		e = idb_run(d, many);
	}
	for (; n > 0 && e == ERR_OK; n--) {
		r->bind(one, 0, m, p++, part);
		e = idb_run(d, one);
	}
	return e;
}

static void
bind_fact(sqlite3_stmt *s, int at, const struct memtable *m,
    const struct place *p, int part)
{
	sqlite3_bind_int64(s, at + 1, part);
	sqlite3_bind_int64(s, at + 2, (int64_t)signed_order(p->key));
	sqlite3_bind_int64(s, at + 3, (int64_t)(m->event[0].seq + p->i));
}

static void
bind_at(sqlite3_stmt *s, int at, const struct memtable *m,
    const struct place *p, int part)
{
	const struct mt_event *v = &m->event[p->i];

	(void)part;
	idb_name(s, at + 1, v->subject);
	idb_text(s, at + 3, v->type);
	sqlite3_bind_int64(s, at + 4, (int64_t)v->seq);
	sqlite3_bind_int64(s, at + 5, (int64_t)v->fact);
	sqlite3_bind_int64(s, at + 6, v->withdrawn);
}

static void
bind_slot(sqlite3_stmt *s, int at, const struct memtable *m,
    const struct place *p, int part)
{
	const struct mt_slot *v = &m->slot[p->i];

	(void)part;
	idb_name(s, at + 1, v->subject);
	sqlite3_bind_int64(s, at + 3, v->slot);
}

static void
bind_ref(sqlite3_stmt *s, int at, const struct memtable *m,
    const struct place *p, int part)
{
	const struct mt_ref *v = &m->ref[p->i];

	(void)part;
	idb_name(s, at + 1, v->ref);
	idb_text(s, at + 3, v->subject);
	sqlite3_bind_int64(s, at + 4, (int64_t)v->seq);
}

static void
bind_dep(sqlite3_stmt *s, int at, const struct memtable *m,
    const struct place *p, int part)
{
	const struct mt_dep *v = &m->dep[p->i];

	(void)part;
	sqlite3_bind_int64(s, at + 1, (int64_t)v->read);
	sqlite3_bind_int64(s, at + 2, (int64_t)v->input);
	idb_text(s, at + 3, v->map);
}

static void
bind_about(sqlite3_stmt *s, int at, const struct memtable *m,
    const struct place *p, int part)
{
	(void)part;
	sqlite3_bind_int64(s, at + 1, (int64_t)m->about[p->i].event);
	sqlite3_bind_int64(s, at + 2, (int64_t)m->about[p->i].seq);
}

static const struct rows facts = {W_FACT, W_FACTS, 3, bind_fact},
			 ats = {W_AT, W_ATS, 6, bind_at},
			 slots = {W_SLOT, W_SLOTS, 3, bind_slot},
			 refs = {W_REF, W_REFS, 4, bind_ref},
			 deps = {W_DEP, W_DEPS, 3, bind_dep},
			 abouts = {W_ABOUT, W_ABOUTS, 2, bind_about};

static enum err
write_facts(struct index *ix, const struct memtable *m, struct place *p)
{
	enum err e = bloom_room(ix->bloom, 2 * m->event_n);
	int part =
	    bloom_newest(ix->bloom) * FACT_PARTS +
	    (int)(bloom_count(ix->bloom) * FACT_PARTS / (BLOOM_HASHES + 1));

	/* Hash and sequence lie in the place itself: in the order of hashes the
	 * events would be met at random. */
	for (uint32_t i = 0; i < m->event_n; i++)
		p[i] = (struct place){signed_order(m->event[i].fact),
		    (uint32_t)(m->event[i].seq - m->event[0].seq)};
	qsort_r(p, m->event_n, sizeof(*p), by_key, NULL);
	for (size_t i = 0; i < m->event_n && e == ERR_OK; i++)
		e = bloom_add(ix->bloom, signed_order(p[i].key));
	return e == ERR_OK ? write_rows(ix, &facts, m, p, m->event_n, part) : e;
}

static enum err
know_subject(struct index *ix, struct slice subject)
{
	uint64_t h = mt_hash2(&ix->seed, MT_SUBJECT, subject, SLICE_EMPTY);

	/* One that an older generation has needs no bits in this one. */
	return bloom_has_any(ix->bloom, h) ? ERR_OK : bloom_add(ix->bloom, h);
}

static enum err
write_at(struct index *ix, const struct memtable *m, struct place *p)
{
	struct slice was = SLICE_EMPTY;
	enum err e = ERR_OK;
	size_t n = 0;

	for (uint32_t i = 0; i < m->event_n; i++)
		if (m->event[i].subject.n > 0)
			p[n++] = (struct place){
			    prefix(name_last(m->event[i].subject)), i};
	qsort_r(p, n, sizeof(*p), by_at, (void *)(uintptr_t)m);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		if (!slice_eq(m->event[p[i].i].subject, was)) {
			was = m->event[p[i].i].subject;
			e = know_subject(ix, was);
		}
	return e == ERR_OK ? write_rows(ix, &ats, m, p, n, 0) : e;
}

static enum err
write_slots(struct index *ix, const struct memtable *m, struct place *p)
{
	for (uint32_t i = 0; i < m->slot_n; i++)
		p[i] = (struct place){prefix(name_last(m->slot[i].subject)), i};
	qsort_r(p, m->slot_n, sizeof(*p), by_slot, (void *)(uintptr_t)m);
	return write_rows(ix, &slots, m, p, m->slot_n, 0);
}

static enum err
write_refs(struct index *ix, const struct memtable *m, struct place *p)
{
	for (uint32_t i = 0; i < m->ref_n; i++)
		p[i] = (struct place){prefix(name_last(m->ref[i].ref)), i};
	qsort_r(p, m->ref_n, sizeof(*p), by_ref, (void *)(uintptr_t)m);
	return write_rows(ix, &refs, m, p, m->ref_n, 0);
}

static enum err
write_deps(struct index *ix, const struct memtable *m, struct place *p)
{
	enum err e;

	for (uint32_t i = 0; i < m->dep_n; i++)
		p[i] = (struct place){m->dep[i].read, i};
	qsort_r(p, m->dep_n, sizeof(*p), by_key, NULL);
	e = write_rows(ix, &deps, m, p, m->dep_n, 0);
	if (e != ERR_OK)
		return e;
	for (uint32_t i = 0; i < m->about_n; i++)
		p[i] = (struct place){m->about[i].event, i};
	qsort_r(p, m->about_n, sizeof(*p), by_key, NULL);
	return write_rows(ix, &abouts, m, p, m->about_n, 0);
}

static enum err
write_item(struct idb *d, const struct mt_item *v)
{
	sqlite3_stmt *s =
	    idb_stmt(d, v->state == MT_GONE ? W_ITEM_GONE : W_ITEM);

	if (s == NULL)
		return ERR_CORRUPT;
	idb_text(s, 1, v->it.sub);
	sqlite3_bind_int64(s, 2, (int64_t)v->it.seq);
	if (v->state != MT_GONE) {
		idb_text(s, 3, v->it.subject);
		sqlite3_bind_int64(s, 4, (int64_t)v->it.settle);
		sqlite3_bind_int64(s, 5, v->state);
		sqlite3_bind_int64(s, 6, v->it.attempt);
		sqlite3_bind_int64(s, 7, v->it.due);
		idb_text(s, 8, v->it.wait_type);
		idb_text(s, 9, v->it.wait_key);
		sqlite3_bind_int64(s, 10, v->it.wait_by_ref);
	}
	return idb_run(d, s);
}

static enum err
write_items(struct index *ix, const struct memtable *m, struct place *p)
{
	enum err e = ERR_OK;
	size_t n = 0;

	for (uint32_t i = 0; i < m->item_n; i++)
		if (m->item[i].state != MT_GONE || !m->item[i].born)
			p[n++] = (struct place){m->item[i].it.seq, i};
	qsort_r(p, n, sizeof(*p), by_item, (void *)(uintptr_t)m);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		e = write_item(&ix->write, &m->item[p[i].i]);
	return e;
}

static enum err
write_settings(struct index *ix, const struct memtable *m)
{
	struct idb *d = &ix->write;
	sqlite3_stmt *s = idb_stmt(d, W_SYSTEM), *t = idb_stmt(d, W_ANSWER);
	enum err e = ERR_OK;

	if (s == NULL || t == NULL)
		return ERR_CORRUPT;
	for (size_t i = 0; i < m->system_n && e == ERR_OK; i++) {
		const struct system_state *v = &m->system[i];

		idb_text(s, 1, v->name);
		idb_text(s, 2, v->state);
		idb_text(s, 3, v->since);
		e = idb_run(d, s);
	}
	for (size_t i = 0; i < m->answer_n && e == ERR_OK; i++) {
		const struct answer *v = &m->answer[i];

		idb_text(t, 1, v->system);
		idb_text(t, 2, v->map);
		idb_text(t, 3, v->table);
		idb_text(t, 4, v->key);
		idb_blob(t, 5, v->row);
		e = idb_run(d, t);
	}
	return e;
}

static enum err
write_bloom(struct index *ix)
{
	uint8_t *bits = malloc(BLOOM_CHUNK);
	struct idb *d = &ix->write;
	sqlite3_stmt *s = idb_stmt(d, W_BLOOM);
	enum err e = ERR_OK;
	int gen, chunk;

	if (bits == NULL || s == NULL) {
		free(bits);
		return err_note(ERR_NOMEM, "no memory for a filter");
	}
	while (e == ERR_OK && bloom_changed(ix->bloom, &gen, &chunk, bits)) {
		sqlite3_bind_int64(s, 1, gen);
		sqlite3_bind_int64(s, 2, chunk);
		idb_blob(s, 3, slice_of(bits, BLOOM_CHUNK));
		e = idb_run(d, s);
	}
	free(bits);
	if (e == ERR_OK)
		e = idb_put_int(d, "bloom", (int64_t)bloom_count(ix->bloom));
	return e;
}

static enum err
write_meta(struct index *ix, const struct memtable *m)
{
	struct idb *d = &ix->write;
	enum err e = idb_put_int(d, "applied", (int64_t)m->upto);
	uint64_t v;

	for (size_t i = 0; i < idb_counters_n && e == ERR_OK; i++) {
		memcpy(&v, (const char *)&m->counts + idb_counters[i].at,
		    sizeof(v));
		e = idb_put_int(d, idb_counters[i].key, (int64_t)v);
	}
	if (e == ERR_OK)
		e = idb_put_int(d, "slot_max", m->slot_max);
	if (e != ERR_OK || m->rules.seq == 0)
		return e;
	e = idb_put_blob(d, "ruleset", slice_of(m->rules.hash, 32));
	if (e == ERR_OK)
		e = idb_put_int(d, "ruleset_seq", (int64_t)m->rules.seq);
	if (e == ERR_OK)
		e = idb_put_int(d, "files_seq", (int64_t)m->rules.files_seq);
	if (e == ERR_OK)
		e = idb_put_int(d, "deployed", m->rules.deployed);
	if (e == ERR_OK)
		e = idb_put_blob(
		    d, "deployed_files", slice_of(m->rules.files, 32));
	return e;
}

static enum err
write_all(struct index *ix, const struct memtable *m, struct place *p)
{
	enum err e = write_facts(ix, m, p);

	if (e == ERR_OK)
		e = write_at(ix, m, p);
	if (e == ERR_OK)
		e = write_slots(ix, m, p);
	if (e == ERR_OK)
		e = write_refs(ix, m, p);
	if (e == ERR_OK)
		e = write_deps(ix, m, p);
	if (e == ERR_OK)
		e = write_items(ix, m, p);
	if (e == ERR_OK && m->settings)
		e = write_settings(ix, m);
	if (e == ERR_OK)
		e = write_bloom(ix);
	return e == ERR_OK ? write_meta(ix, m) : e;
}

enum err
idb_flush(struct index *ix, struct memtable *m)
{
	size_t most = m->event_n;
	struct place *p;
	enum err e;

	most = m->slot_n > most ? m->slot_n : most;
	most = m->ref_n > most ? m->ref_n : most;
	most = m->dep_n > most ? m->dep_n : most;
	most = m->about_n > most ? m->about_n : most;
	most = m->item_n > most ? m->item_n : most;
	p = malloc((most + 1) * sizeof(*p));
	if (p == NULL)
		return err_note(ERR_NOMEM, "no memory to write the index");
	e = idb_exec(&ix->write, "BEGIN IMMEDIATE");
	if (e == ERR_OK) {
		e = write_all(ix, m, p);
		FAIL_POINT("index_written");
		if (e == ERR_OK)
			e = idb_exec(&ix->write, "COMMIT");
		FAIL_POINT("index_committed");
		if (e != ERR_OK) {
			sqlite3_exec(
			    ix->write.db, "ROLLBACK", NULL, NULL, NULL);
			bloom_unsaved(ix->bloom);
		}
	}
	free(p);
	return e;
}
