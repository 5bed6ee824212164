/*
 * index_trim - retention as the index sees it: what pins a stretch of the
 * journal, and forgetting what is gone.
 *
 * A row that names a record which was let go of says nothing: whoever finds one
 * passes over it (log_has()), so rows may go later than records, and a crash
 * between the two needs no mending. Rows of refs and slots are never removed:
 * they are small, and the first claim stays the first.
 */
#include <stdlib.h>
#include <unistd.h>

#include "broker/core/index_own.h"

#define ROWS_A_TURN 1000 /* removed in one transaction */

static void
kept(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct log_reader *r = sqlite3_user_data(c);

	(void)n;
	sqlite3_result_int(c, log_has(r, (uint64_t)sqlite3_value_int64(v[0])));
}

enum err
idb_kept(struct idb *d, struct log_reader *r)
{
	if (sqlite3_create_function(d->db, "kept", 1, SQLITE_UTF8, r, kept,
		NULL, NULL) != SQLITE_OK)
		return idb_failed(d, NULL);
	return ERR_OK;
}

/* ---- pins ---- */

/* A statement over [?1, ?2). */
static enum err
range(struct idb *d, const char *sql, uint64_t a, uint64_t b, sqlite3_stmt **s)
{
	if (sqlite3_prepare_v2(d->db, sql, -1, s, NULL) != SQLITE_OK)
		return idb_failed(d, NULL);
	sqlite3_bind_int64(*s, 1, (int64_t)a);
	sqlite3_bind_int64(*s, 2, (int64_t)b);
	return ERR_OK;
}

enum err
index_pinned(struct index_view *v, uint64_t a, uint64_t b, index_stays *stays,
    void *arg, struct index_pins *out)
{
	sqlite3_stmt *s;
	int64_t applied = 0;
	int rc;
	enum err e;

	*out = (struct index_pins){.items = 0};
	/* Before all else: what comes later makes the answer stricter only. */
	e = idb_get_int(&v->db, "applied", &applied);
	out->applied = (uint64_t)applied;
	if (e == ERR_OK)
		e = range(&v->db,
		    "SELECT count(*) FROM item WHERE (seq >= ?1 AND seq < ?2)"
		    " OR (settle >= ?1 AND settle < ?2)",
		    a, b, &s);
	if (e != ERR_OK)
		return e;
	if (sqlite3_step(s) == SQLITE_ROW)
		out->items = (uint64_t)sqlite3_column_int64(s, 0);
	else
		e = idb_failed(&v->db, NULL);
	sqlite3_finalize(s);
	if (e == ERR_OK)
		e = range(&v->db,
		    "SELECT input FROM dep WHERE read >= ?1 AND read < ?2", a,
		    b, &s);
	if (e != ERR_OK)
		return e;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && !out->reads)
		out->reads = stays(arg, (uint64_t)sqlite3_column_int64(s, 0));
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		e = idb_failed(&v->db, NULL);
	sqlite3_finalize(s);
	return e;
}

static bool
pinned_in(const struct memtable *m, uint64_t a, uint64_t b)
{
	for (size_t i = 0; m != NULL && i < m->item_n; i++) {
		const struct mt_item *it = &m->item[i];

		if (it->state != MT_GONE &&
		    ((it->it.seq >= a && it->it.seq < b) ||
			(it->it.settle >= a && it->it.settle < b)))
			return true;
	}
	for (size_t i = 0; m != NULL && i < m->dep_n; i++)
		if (m->dep[i].read >= a && m->dep[i].read < b)
			return true;
	return false;
}

bool
index_pinned_now(struct index *ix, uint64_t a, uint64_t b)
{
	bool yes;

	pthread_mutex_lock(&ix->mu);
	yes = pinned_in(ix->active, a, b) || pinned_in(ix->sealed, a, b);
	pthread_mutex_unlock(&ix->mu);
	return yes;
}

enum err
index_older(
    struct index_view *v, const struct event *ev, uint64_t seq, bool *yes)
{
	struct mt_seed seed;
	sqlite3_stmt *s;
	enum err e = ERR_OK;
	int rc;

	*yes = false;
	if (sqlite3_prepare_v2(v->db.db,
		"SELECT seq FROM at WHERE last = ? AND head = ? AND type = ?"
		" AND seq < ? AND fact = ?",
		-1, &s, NULL) != SQLITE_OK)
		return idb_failed(&v->db, NULL);
	memcpy(&seed, log_id(v->log), sizeof(seed));
	idb_name(s, 1, ev->subject);
	idb_text(s, 3, ev->type);
	sqlite3_bind_int64(s, 4, (int64_t)seq);
	sqlite3_bind_int64(
	    s, 5, (int64_t)mt_hash2(&seed, MT_FACT, ev->source, ev->id));
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && !*yes)
		*yes = log_has(v->reader, (uint64_t)sqlite3_column_int64(s, 0));
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		e = idb_failed(&v->db, NULL);
	sqlite3_finalize(s);
	return e;
}

/* ---- forgetting ---- */

static const struct {
	const char *find, *remove;
} tables[] = {
    {"SELECT part, h, seq FROM fact WHERE NOT kept(seq)",
	"DELETE FROM fact WHERE part = ? AND h = ? AND seq = ?"},
    {"SELECT last, head, type, seq FROM at WHERE NOT kept(seq)",
	"DELETE FROM at WHERE last = ? AND head = ? AND type = ? AND seq = ?"},
    {"SELECT event, seq FROM about WHERE NOT kept(event) OR NOT kept(seq)",
	"DELETE FROM about WHERE event = ? AND seq = ?"},
    {"SELECT read, input, map FROM dep WHERE NOT kept(read)"
     " OR NOT kept(input)",
	"DELETE FROM dep WHERE read = ? AND input = ? AND map = ?"},
};

/* The next rows, in one transaction; the other connection goes on reading what
 * it began with. */
static enum err
remove_some(struct idb *w, sqlite3_stmt *find, sqlite3_stmt *gone, int *rc)
{
	enum err e = idb_exec(w, "BEGIN IMMEDIATE");

	for (int n = 0; e == ERR_OK && n < ROWS_A_TURN; n++) {
		for (int i = 0; i < sqlite3_column_count(find); i++)
			sqlite3_bind_value(
			    gone, i + 1, sqlite3_column_value(find, i));
		e = idb_run(w, gone);
		if (e != ERR_OK || (*rc = sqlite3_step(find)) != SQLITE_ROW)
			break;
	}
	if (e == ERR_OK)
		return idb_exec(w, "COMMIT");
	if (w->db != NULL)
		sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
	return e;
}

static enum err
forget_in(struct idb *r, struct idb *w, size_t t, const bool *stop)
{
	sqlite3_stmt *find = NULL, *gone = NULL;
	enum err e = ERR_OK;
	int rc;

	if (sqlite3_prepare_v2(r->db, tables[t].find, -1, &find, NULL) !=
	    SQLITE_OK)
		return idb_failed(r, NULL);
	if (sqlite3_prepare_v2(w->db, tables[t].remove, -1, &gone, NULL) !=
	    SQLITE_OK) {
		sqlite3_finalize(find);
		return idb_failed(w, NULL);
	}
	rc = sqlite3_step(find);
	while (e == ERR_OK && rc == SQLITE_ROW &&
	       !__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		e = remove_some(w, find, gone, &rc);
		usleep(1000); /* the index thread's turn */
	}
	if (e == ERR_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
		e = idb_failed(r, NULL);
	sqlite3_finalize(find);
	sqlite3_finalize(gone);
	return e;
}

enum err
index_forget(struct index *ix, const bool *stop)
{
	struct idb r = {0}, w = {0};
	struct log_reader *log = NULL;
	enum err e = log_reader_new(&log, ix->log);

	if (e == ERR_OK)
		e = idb_open(&r, ix->path, IDB_READ);
	if (e == ERR_OK)
		e = idb_open(&w, ix->path, IDB_WRITE);
	if (e == ERR_OK)
		e = idb_kept(&r, log);
	for (size_t t = 0;
	     e == ERR_OK && t < sizeof(tables) / sizeof(tables[0]); t++)
		e = forget_in(&r, &w, t, stop);
	idb_close(&r);
	idb_close(&w);
	log_reader_free(log);
	return e;
}
