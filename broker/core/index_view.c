/*
 * index_view - what people ask, on a connection of their own thread: what has
 * been written to index.db (at most a second old), and the log itself for what
 * is newest.
 */
#include <stdlib.h>

#include "broker/core/index_own.h"

#define FOUND_MAX 50

enum err
index_view_new(struct index_view **out, struct index *ix)
{
	struct index_view *v = calloc(1, sizeof(*v));
	enum err e;

	if (v == NULL)
		return err_note(ERR_NOMEM, "no memory for a view");
	v->log = ix->log;
	e = log_reader_new(&v->reader, ix->log);
	if (e == ERR_OK)
		e = idb_open(&v->db, ix->path, IDB_READ);
	if (e != ERR_OK) {
		index_view_free(v);
		return e;
	}
	*out = v;
	return ERR_OK;
}

void
index_view_free(struct index_view *v)
{
	if (v == NULL)
		return;
	idb_close(&v->db);
	log_reader_free(v->reader);
	free(v);
}

/* ---- find ---- */

struct found {
	struct arena *arena;
	struct slice s[FOUND_MAX];
	size_t n;
};

static enum err
found_add(struct found *f, struct slice head, struct slice last)
{
	uint8_t *p;

	for (size_t i = 0; i < f->n; i++)
		if (f->s[i].n == head.n + last.n &&
		    memcmp(f->s[i].p, head.p, head.n) == 0 &&
		    memcmp(f->s[i].p + head.n, last.p, last.n) == 0)
			return ERR_OK;
	if (f->n == FOUND_MAX)
		return ERR_OK;
	p = arena_raw(f->arena, head.n + last.n + 1);
	if (p == NULL)
		return err_note(ERR_LIMIT, "too much found");
	memcpy(p, head.p, head.n);
	memcpy(p + head.n, last.p, last.n);
	f->s[f->n++] = slice_of(p, head.n + last.n);
	return ERR_OK;
}

/* Each row is a subject: in one column, or as head and last. */
static enum err
find_by(struct index_view *v, enum stmt q, struct slice word, bool whole,
    struct found *f)
{
	sqlite3_stmt *s = idb_stmt(&v->db, q);
	struct slice last = whole ? name_last(word) : word;
	enum err e = ERR_OK;
	int rc = SQLITE_DONE;

	if (s == NULL)
		return ERR_CORRUPT;
	idb_text(s, 1, last);
	if (whole)
		idb_text(s, 2, name_head(word));
	else
		sqlite3_bind_int(s, 2, FOUND_MAX);
	while (e == ERR_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		if (q == Q_FIND_SUBJECT)
			e = found_add(f, word, SLICE_EMPTY);
		else if (q == Q_FIND_LAST)
			e = found_add(f, idb_column(s, 0), idb_column(s, 1));
		else
			e = found_add(f, idb_column(s, 0), SLICE_EMPTY);
	}
	if (e == ERR_OK && rc != SQLITE_DONE)
		e = idb_failed(&v->db, s);
	sqlite3_reset(s);
	return e;
}

enum err
index_view_find(struct index_view *v, struct slice word, struct arena *a,
    struct slice **subjects, size_t *n)
{
	struct found f = {.arena = a};
	enum err e;

	*subjects = NULL;
	*n = 0;
	if (word.n == 0 || word.n > EVENT_TEXT)
		return ERR_OK;
	e = find_by(v, Q_FIND_SUBJECT, word, true, &f);
	if (e == ERR_OK)
		e = find_by(v, Q_FIND_REF, word, true, &f);
	if (e == ERR_OK)
		e = find_by(v, Q_FIND_LAST, word, false, &f);
	if (e == ERR_OK)
		e = find_by(v, Q_FIND_REF_LAST, word, false, &f);
	if (e != ERR_OK || f.n == 0)
		return e;
	*subjects = arena_raw(a, f.n * sizeof(**subjects));
	if (*subjects == NULL)
		return err_note(ERR_LIMIT, "too much found");
	memcpy(*subjects, f.s, f.n * sizeof(**subjects));
	*n = f.n;
	return ERR_OK;
}

enum err
index_view_ref(struct index_view *v, struct slice ref, struct arena *a,
    struct slice *subject)
{
	sqlite3_stmt *s = idb_stmt(&v->db, Q_FIND_REF);
	enum err e = ERR_OK;
	int rc;

	if (s == NULL)
		return ERR_CORRUPT;
	idb_name(s, 1, ref);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		e = arena_copy(a, idb_column(s, 0), subject);
	else if (rc == SQLITE_DONE)
		e = err_note(
		    ERR_NOTFOUND, "%.*s names no subject", SLICE_ARG(ref));
	else
		e = idb_failed(&v->db, s);
	sqlite3_reset(s);
	return e;
}

/* ---- the rest ---- */

enum err
index_view_timeline(struct index_view *v, struct slice subject, uint64_t *out,
    size_t max, size_t *n)
{
	sqlite3_stmt *s = idb_stmt(&v->db, Q_TIMELINE);
	enum err e = ERR_OK;
	int rc = SQLITE_DONE;

	*n = 0;
	if (s == NULL)
		return ERR_CORRUPT;
	idb_name(s, 1, subject);
	sqlite3_bind_int64(s, 3, (int64_t)max);
	while (*n < max && (rc = sqlite3_step(s)) == SQLITE_ROW)
		out[(*n)++] = (uint64_t)sqlite3_column_int64(s, 0);
	if (*n < max && rc != SQLITE_DONE)
		e = idb_failed(&v->db, s);
	sqlite3_reset(s);
	return e;
}

/* The rows of a statement whose parameters are bound. `whole`: items of one
 * sequence are given together, or the caller could not go on behind them. */
static enum err
view_items(struct index_view *v, sqlite3_stmt *s, bool whole, size_t max,
    struct arena *a, struct open_item **out, size_t *n)
{
	struct open_item row, *p = NULL;
	size_t cap = 0;
	enum err e = ERR_OK;
	int rc = SQLITE_DONE;

	*n = 0;
	*out = NULL;
	while (e == ERR_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		item_from_row(s, &row);
		if (*n >= max &&
		    (!whole || *n == 0 || p[*n - 1].seq != row.seq))
			break;
		if (*n == cap) {
			cap = cap > 0 ? cap * 2 : 32;
			void *more = realloc(p, cap * sizeof(*p));

			if (more == NULL) {
				e = err_note(ERR_NOMEM, "no memory for a view");
				break;
			}
			p = more;
		}
		e = item_copy(a, &row, &p[(*n)++]);
	}
	if (e == ERR_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
		e = idb_failed(&v->db, s);
	sqlite3_reset(s);
	if (e == ERR_OK && *n > 0) {
		*out = arena_raw(a, *n * sizeof(**out));
		if (*out != NULL)
			memcpy(*out, p, *n * sizeof(**out));
		else
			e = err_note(ERR_LIMIT, "too many open items at once");
	}
	if (e != ERR_OK)
		*n = 0;
	free(p);
	return e;
}

enum err
index_view_open(struct index_view *v, struct slice sub, uint64_t after,
    size_t max, struct arena *a, struct open_item **out, size_t *n)
{
	sqlite3_stmt *s =
	    idb_stmt(&v->db, sub.n > 0 ? Q_ITEMS_SUB : Q_ITEMS_ALL);
	int at = 1;

	if (s == NULL)
		return ERR_CORRUPT;
	if (sub.n > 0)
		idb_text(s, at++, sub);
	sqlite3_bind_int64(s, at, (int64_t)after);
	return view_items(v, s, sub.n == 0, max, a, out, n);
}

enum err
index_view_open_at(struct index_view *v, struct slice subject, uint64_t after,
    size_t max, struct arena *a, struct open_item **out, size_t *n)
{
	sqlite3_stmt *s = idb_stmt(&v->db, Q_ITEMS_SUBJECT);

	if (s == NULL)
		return ERR_CORRUPT;
	idb_name(s, 1, subject);
	sqlite3_bind_int64(s, 3, (int64_t)after);
	return view_items(v, s, true, max, a, out, n);
}

enum err
index_view_recent(struct index_view *v, uint64_t *out, size_t max, size_t *n)
{
	uint64_t first = log_first(v->log), seq = log_next(v->log);
	struct log_record rec;
	enum err e = ERR_OK;

	*n = 0;
	/* Settlements stand between events: look at some more than asked. */
	for (size_t looks = 0;
	     seq > first && *n < max && looks < 20 * max + 100; looks++) {
		e = log_read(v->reader, --seq, &rec);
		if (e == ERR_NOTFOUND) { /* let go of */
			e = ERR_OK;
			continue;
		}
		if (e != ERR_OK)
			break;
		if (rec.kind == REC_EVENT)
			out[(*n)++] = seq;
	}
	return e;
}
