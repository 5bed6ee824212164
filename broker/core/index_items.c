/*
 * index_items - open work, with three places read as one: rows of index.db,
 * the memtable on its way there, the one that grows. Each gives its items in
 * order; the lowest key of the three is next, and the newest place that knows
 * it says what it is. All under mu.
 */
#include <stdlib.h>

#include "broker/core/index_own.h"

void
item_from_row(sqlite3_stmt *s, struct open_item *it)
{
	*it = (struct open_item){
	    .sub = idb_column(s, 0),
	    .seq = (uint64_t)sqlite3_column_int64(s, 1),
	    .subject = idb_column(s, 2),
	    .settle = (uint64_t)sqlite3_column_int64(s, 3),
	    .state = (enum open_state)sqlite3_column_int(s, 4),
	    .attempt = (uint32_t)sqlite3_column_int64(s, 5),
	    .due = sqlite3_column_int64(s, 6),
	    .wait_type = idb_column(s, 7),
	    .wait_key = idb_column(s, 8),
	    .wait_by_ref = sqlite3_column_int(s, 9) != 0,
	};
}

enum err
item_copy(struct arena *a, const struct open_item *it, struct open_item *out)
{
	enum err e;

	*out = *it;
	e = arena_copy(a, it->sub, &out->sub);
	if (e == ERR_OK)
		e = arena_copy(a, it->subject, &out->subject);
	if (e == ERR_OK)
		e = arena_copy(a, it->wait_type, &out->wait_type);
	if (e == ERR_OK)
		e = arena_copy(a, it->wait_key, &out->wait_key);
	return e;
}

/* What the memtables say of it; NULL when neither knows it. */
static const struct mt_item *
newest(const struct index *ix, struct slice sub, uint64_t seq)
{
	const struct mt_item *m = mt_item(ix->active, sub, seq);

	return m != NULL ? m : mt_item(ix->sealed, sub, seq);
}

enum err
item_get(
    struct index *ix, struct slice sub, uint64_t seq, struct open_item *out)
{
	const struct mt_item *m = newest(ix, sub, seq);
	struct open_item row;
	sqlite3_stmt *s;
	enum err e;
	int rc;

	if (m != NULL && m->state != MT_GONE) {
		*out = m->it;
		out->state = (enum open_state)m->state;
		return ERR_OK;
	}
	if (m != NULL || !ix->db_items)
		return err_note(ERR_NOTFOUND, "no open item");
	s = idb_stmt(&ix->read, Q_ITEM);
	if (s == NULL)
		return ERR_CORRUPT;
	idb_text(s, 1, sub);
	sqlite3_bind_int64(s, 2, (int64_t)seq);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		item_from_row(s, &row);
		arena_reset(&ix->scratch);
		e = item_copy(&ix->scratch, &row, out);
		sqlite3_reset(s);
		return e;
	}
	e = rc == SQLITE_DONE ? err_note(ERR_NOTFOUND, "no open item")
			      : idb_failed(&ix->read, s);
	sqlite3_reset(s);
	return e;
}

/* ---- the three as one ---- */

struct source {
	const struct memtable *m; /* NULL: index.db's, or nothing */
	size_t at;		  /* in m->order ... */
	bool by_group;
	uint32_t in_group; /* ... or an item of a group */
	bool have;
	struct open_item it;
};

struct merge {
	struct index *ix;
	struct slice sub; /* empty: all */
	sqlite3_stmt *rows;
	struct source from[3];
	struct open_item *out;
	size_t n, cap, max;
	struct arena *arena;
};

static bool
wanted(const struct merge *g, const struct open_item *it)
{
	return g->sub.n == 0 || slice_eq(it->sub, g->sub);
}

static enum err
advance(struct merge *g, struct source *s)
{
	int rc;

	s->have = false;
	if (s == &g->from[0]) {
		if (g->rows == NULL)
			return ERR_OK;
		rc = sqlite3_step(g->rows);
		if (rc == SQLITE_ROW) {
			item_from_row(g->rows, &s->it);
			s->have = true;
			return ERR_OK;
		}
		return rc == SQLITE_DONE ? ERR_OK
					 : idb_failed(&g->ix->read, g->rows);
	}
	if (s->m == NULL)
		return ERR_OK;
	if (s->by_group) {
		s->have = s->in_group != MT_NONE;
		if (s->have) {
			s->it = s->m->item[s->in_group].it;
			s->in_group = s->m->item[s->in_group].next;
		}
		return ERR_OK;
	}
	while (s->at < s->m->order_n && !s->have) {
		s->it = s->m->item[s->m->order[s->at++]].it;
		s->have = wanted(g, &s->it);
	}
	return ERR_OK;
}

static int
cmp(const struct open_item *a, const struct open_item *b)
{
	return a->seq != b->seq ? (a->seq > b->seq) - (a->seq < b->seq)
				: slice_cmp(a->sub, b->sub);
}

static enum err
emit(struct merge *g, const struct open_item *it)
{
	struct open_item *p;

	if (g->n == g->cap) {
		g->cap = g->cap > 0 ? g->cap * 2 : 32;
		p = realloc(g->out, g->cap * sizeof(*p));
		if (p == NULL)
			return err_note(ERR_NOMEM, "no memory for open items");
		g->out = p;
	}
	return item_copy(g->arena, it, &g->out[g->n++]);
}

static enum err
take_lowest(struct merge *g, bool *more)
{
	const struct mt_item *m;
	struct open_item low, now;
	bool have = false, same[3];
	enum err e = ERR_OK;

	for (int i = 0; i < 3; i++)
		if (g->from[i].have &&
		    (!have || cmp(&g->from[i].it, &low) < 0)) {
			low = g->from[i].it;
			have = true;
		}
	*more = have;
	/* Without a sub the next page begins behind a sequence: all of one. */
	if (!have || (g->n >= g->max && (g->sub.n > 0 || g->n == 0 ||
					    g->out[g->n - 1].seq != low.seq))) {
		*more = false;
		return ERR_OK;
	}
	/* Before anything moves: low's texts may be the row's. */
	for (int i = 0; i < 3; i++)
		same[i] = g->from[i].have && cmp(&g->from[i].it, &low) == 0;
	m = newest(g->ix, low.sub, low.seq);
	now = m != NULL ? m->it : low;
	if (m != NULL)
		now.state = (enum open_state)m->state;
	if (m == NULL || m->state != MT_GONE)
		e = emit(g, &now);
	for (int i = 0; i < 3 && e == ERR_OK; i++)
		if (same[i])
			e = advance(g, &g->from[i]);
	return e;
}

static enum err
merge(struct merge *g, struct open_item **out, size_t *n)
{
	bool more = true;
	enum err e = ERR_OK;

	for (int i = 0; i < 3 && e == ERR_OK; i++)
		e = advance(g, &g->from[i]);
	while (e == ERR_OK && more)
		e = take_lowest(g, &more);
	if (g->rows != NULL)
		sqlite3_reset(g->rows);
	*n = 0;
	*out = NULL;
	if (e == ERR_OK && g->n > 0) {
		*out = arena_raw(g->arena, g->n * sizeof(**out));
		if (*out == NULL) {
			e = err_note(ERR_LIMIT, "too many open items at once");
		} else {
			memcpy(*out, g->out, g->n * sizeof(**out));
			*n = g->n;
		}
	}
	free(g->out);
	return e;
}

enum err
index_open_items(struct index *ix, struct slice sub, uint64_t after, size_t max,
    struct arena *a, struct open_item **out, size_t *n)
{
	struct merge g = {.ix = ix, .sub = sub, .max = max, .arena = a};
	enum err e = ERR_OK;
	int at = 1;

	pthread_mutex_lock(&ix->mu);
	if (ix->db_items) {
		g.rows =
		    idb_stmt(&ix->read, sub.n > 0 ? Q_ITEMS_SUB : Q_ITEMS_ALL);
		if (g.rows == NULL)
			e = ERR_CORRUPT;
		else if (sub.n > 0)
			idb_text(g.rows, at++, sub);
		if (g.rows != NULL)
			sqlite3_bind_int64(g.rows, at, (int64_t)after);
	}
	g.from[1].m = ix->sealed;
	g.from[2].m = ix->active;
	for (int i = 1; i < 3; i++)
		if (g.from[i].m != NULL)
			g.from[i].at = mt_order_after(g.from[i].m, after);
	if (e == ERR_OK)
		e = merge(&g, out, n);
	pthread_mutex_unlock(&ix->mu);
	return e;
}

enum err
index_open_at(struct index *ix, struct slice sub, struct slice subject,
    size_t max, struct arena *a, struct open_item **out, size_t *n)
{
	struct merge g = {.ix = ix, .sub = sub, .max = max, .arena = a};
	const struct mt_group *group;
	enum err e = ERR_OK;

	pthread_mutex_lock(&ix->mu);
	if (ix->db_items) {
		g.rows = idb_stmt(&ix->read, Q_ITEMS_AT);
		if (g.rows == NULL) {
			e = ERR_CORRUPT;
		} else {
			idb_text(g.rows, 1, sub);
			idb_text(g.rows, 2, subject);
		}
	}
	g.from[1].m = ix->sealed;
	g.from[2].m = ix->active;
	for (int i = 1; i < 3; i++) {
		group = mt_group(g.from[i].m, sub, subject);
		g.from[i].by_group = true;
		g.from[i].in_group = group != NULL ? group->first : MT_NONE;
	}
	if (e == ERR_OK)
		e = merge(&g, out, n);
	pthread_mutex_unlock(&ix->mu);
	return e;
}

/* ---- who waits ---- */

static int
by_seq(const void *a, const void *b)
{
	return cmp(a, b);
}

static bool
waits_for(const struct open_item *it, struct slice type, struct slice key,
    bool by_ref)
{
	return slice_eq(it->wait_key, key) && slice_eq(it->wait_type, type) &&
	       it->wait_by_ref == by_ref;
}

static enum err
collect_waiting(
    struct merge *g, struct slice type, struct slice key, bool by_ref)
{
	const struct memtable *const tables[] = {g->ix->sealed, g->ix->active};
	struct open_item row;
	enum err e = ERR_OK;
	int rc = SQLITE_DONE;

	for (int t = 0; t < 2 && e == ERR_OK; t++)
		for (size_t i = 0;
		     tables[t] != NULL && i < tables[t]->item_n && e == ERR_OK;
		     i++) {
			const struct mt_item *m = &tables[t]->item[i];

			if (m->state == OPEN_WAIT &&
			    newest(g->ix, m->it.sub, m->it.seq) == m &&
			    waits_for(&m->it, type, key, by_ref))
				e = emit(g, &m->it);
		}
	if (g->rows == NULL)
		return e;
	while (e == ERR_OK && (rc = sqlite3_step(g->rows)) == SQLITE_ROW) {
		item_from_row(g->rows, &row);
		if (newest(g->ix, row.sub, row.seq) == NULL)
			e = emit(g, &row);
	}
	if (e == ERR_OK && rc != SQLITE_DONE)
		e = idb_failed(&g->ix->read, g->rows);
	sqlite3_reset(g->rows);
	return e;
}

static enum err
waiting(struct index *ix, struct slice type, struct slice key, bool by_ref,
    struct arena *a, struct open_item **out, size_t *n)
{
	struct merge g = {.ix = ix, .max = SIZE_MAX, .arena = a};
	enum err e = ERR_OK;

	if (ix->db_items) {
		g.rows = idb_stmt(&ix->read, Q_WAITING);
		if (g.rows == NULL)
			return ERR_CORRUPT;
		idb_text(g.rows, 1, key);
		idb_text(g.rows, 2, type);
		sqlite3_bind_int(g.rows, 3, by_ref);
	}
	e = collect_waiting(&g, type, key, by_ref);
	if (e == ERR_OK && g.n > 0) {
		qsort(g.out, g.n, sizeof(*g.out), by_seq);
		*out = arena_raw(a, g.n * sizeof(**out));
		if (*out == NULL) {
			e = err_note(ERR_LIMIT, "too many wait at once");
		} else {
			memcpy(*out, g.out, g.n * sizeof(**out));
			*n = g.n;
		}
	}
	free(g.out);
	return e;
}

enum err
index_waiting(struct index *ix, struct slice type, struct slice key,
    bool by_ref, struct arena *a, struct open_item **out, size_t *n)
{
	uint64_t h;
	enum err e = ERR_OK;

	*n = 0;
	*out = NULL;
	pthread_mutex_lock(&ix->mu);
	/* Asked for every event: nearly always nobody waits. */
	if (ix->waits_n > 0) {
		h = wait_hash(ix, type, key, by_ref);
		if (wait_is(ix, h))
			e = waiting(ix, type, key, by_ref, a, out, n);
	}
	pthread_mutex_unlock(&ix->mu);
	return e;
}
