/*
 * index_verify - index.db against a fold of the same records made anew, table
 * by table, and its filters against its facts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/core/index_own.h"

/* `trimmed`: which rows still mean something when the journal has let go of
 * records; what counts all that ever was is not compared then. */
static const struct {
	const char *table, *columns, *always, *trimmed;
} tables[] = {
    {"fact", "h, seq", "1", "kept(seq)"}, /* where a part ends is chance */
    {"at", "last, head, type, seq, fact, withdrawn", "1", "kept(seq)"},
    {"slot", "last, head, slot", "1", "0"},
    {"ref", "last, head, subject, seq", "1", "0"},
    {"dep", "read, input, map", "1", "0"},
    {"about", "event, seq", "1", "kept(event) AND kept(seq)"},
    {"item",
	"sub, seq, subject, settle, state, attempt, due, wait_type,"
	" wait_key, wait_by_ref",
	"1", "1"},
    {"system", "name, state, since", "1", "1"},
    {"answer", "system, map, tbl, key, row", "1", "1"},
    /* how full the newest filter is follows the batches */
    {"meta", "k, v", "k <> 'bloom'",
	"k NOT IN ('bloom', 'events', 'facts', 'settled', 'slot_max')"},
};

/* What must be in index.db even so. */
static const struct {
	const char *what, *missing;
} claims[] = {
    {"slot", "SELECT count(*) FROM (SELECT last, head, slot FROM fresh.slot"
	     " EXCEPT SELECT last, head, slot FROM main.slot)"},
    {"ref", "SELECT count(*) FROM (SELECT last, head FROM fresh.ref"
	    " EXCEPT SELECT last, head FROM main.ref)"},
    {"dep", "SELECT count(*) FROM (SELECT read, input, map FROM fresh.dep"
	    " WHERE kept(read) AND kept(input)"
	    " EXCEPT SELECT read, input, map FROM main.dep)"},
};

struct check {
	struct idb db;
	struct buf *report;
	uint64_t faults;
	bool trimmed; /* the journal has let go of something */
};

/* One number from one statement. */
static enum err
number(struct check *c, const char *sql, int64_t *out)
{
	sqlite3_stmt *s;
	enum err e = ERR_OK;

	if (sqlite3_prepare_v2(c->db.db, sql, -1, &s, NULL) != SQLITE_OK)
		return idb_failed(&c->db, NULL);
	if (sqlite3_step(s) == SQLITE_ROW)
		*out = sqlite3_column_int64(s, 0);
	else
		e = idb_failed(&c->db, NULL);
	sqlite3_finalize(s);
	return e;
}

/* Rows of `a` that `b` does not have. */
static enum err
difference(
    struct check *c, int t, const char *a, const char *b, const char *words)
{
	char sql[768];
	int64_t n = 0;
	enum err e;

	snprintf(sql, sizeof(sql),
	    "SELECT count(*) FROM (SELECT %s FROM %s.%s WHERE %s"
	    " EXCEPT SELECT %s FROM %s.%s)",
	    tables[t].columns, a, tables[t].table,
	    c->trimmed ? tables[t].trimmed : tables[t].always,
	    tables[t].columns, b, tables[t].table);
	e = number(c, sql, &n);
	if (e == ERR_OK && n > 0) {
		c->faults++;
		buf_printf(c->report,
		    "index.db: table %s: %" PRId64 " rows %s\n",
		    tables[t].table, n, words);
	}
	return e;
}

static enum err
check_filters(struct check *c)
{
	struct bloom *b = bloom_new();
	sqlite3_stmt *s = NULL;
	int64_t missing = 0;
	enum err e = ERR_OK;
	int rc = SQLITE_ERROR;

	if (b == NULL)
		return err_note(ERR_NOMEM, "no memory for filters");
	if (sqlite3_prepare_v2(c->db.db, "SELECT gen, chunk, bits FROM bloom",
		-1, &s, NULL) == SQLITE_OK)
		while ((rc = sqlite3_step(s)) == SQLITE_ROW && e == ERR_OK)
			e = bloom_load(b, sqlite3_column_int(s, 0),
			    sqlite3_column_int(s, 1), idb_column(s, 2));
	sqlite3_finalize(s);
	s = NULL;
	if (e == ERR_OK && rc != SQLITE_DONE)
		e = idb_failed(&c->db, NULL);
	if (e == ERR_OK &&
	    sqlite3_prepare_v2(c->db.db, "SELECT part, h FROM main.fact", -1,
		&s, NULL) == SQLITE_OK)
		while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
			int gen = sqlite3_column_int(s, 0) / FACT_PARTS;

			if (gen > bloom_newest(b) ||
			    !bloom_has(
				b, gen, (uint64_t)sqlite3_column_int64(s, 1)))
				missing++;
		}
	sqlite3_finalize(s);
	if (e == ERR_OK && rc != SQLITE_DONE)
		e = idb_failed(&c->db, NULL);
	if (missing > 0) {
		c->faults++;
		buf_printf(c->report,
		    "index.db: %" PRId64 " facts that the filters deny\n",
		    missing);
	}
	bloom_free(b);
	return e;
}

static enum err
integrity(struct check *c)
{
	sqlite3_stmt *s;
	int rc;

	if (sqlite3_prepare_v2(c->db.db, "PRAGMA main.integrity_check", -1, &s,
		NULL) != SQLITE_OK)
		return idb_failed(&c->db, NULL);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct slice line = idb_column(s, 0);

		if (slice_is(line, "ok"))
			continue;
		c->faults++;
		buf_printf(c->report, "index.db: %.*s\n", SLICE_ARG(line));
	}
	sqlite3_finalize(s);
	return rc == SQLITE_DONE ? ERR_OK : idb_failed(&c->db, NULL);
}

static enum err
compare(struct check *c, const char *fresh)
{
	char sql[PATH_MAX + 64];
	sqlite3_stmt *s;
	enum err e = ERR_OK;

	snprintf(sql, sizeof(sql), "ATTACH ? AS fresh");
	if (sqlite3_prepare_v2(c->db.db, sql, -1, &s, NULL) != SQLITE_OK)
		return idb_failed(&c->db, NULL);
	idb_text(s, 1, slice_str(fresh));
	if (sqlite3_step(s) != SQLITE_DONE)
		e = idb_failed(&c->db, NULL);
	sqlite3_finalize(s);
	for (size_t t = 0;
	     t < sizeof(tables) / sizeof(tables[0]) && e == ERR_OK; t++) {
		e = difference(c, (int)t, "main", "fresh",
		    "that the journal does not give");
		if (e == ERR_OK)
			e = difference(c, (int)t, "fresh", "main", "missing");
	}
	for (size_t i = 0; c->trimmed && e == ERR_OK &&
			   i < sizeof(claims) / sizeof(claims[0]);
	     i++) {
		int64_t n = 0;

		e = number(c, claims[i].missing, &n);
		if (e == ERR_OK && n > 0) {
			c->faults++;
			buf_printf(c->report,
			    "index.db: table %s: %" PRId64 " rows missing\n",
			    claims[i].what, n);
		}
	}
	return e;
}

static enum err
verify(struct check *c, const char *path, const char *fresh, struct log *l,
    struct log_reader *r)
{
	struct log_segment *segs;
	int64_t applied;
	size_t n;
	enum err e = idb_open(&c->db, path, IDB_WRITE);

	if (e == ERR_OK)
		e = idb_kept(&c->db, r);
	if (e == ERR_OK)
		e = log_segments(l, &segs, &n);
	if (e == ERR_OK) {
		c->trimmed = segs[0].first > 1;
		for (size_t i = 0; i < n; i++)
			c->trimmed |= segs[i].trimmed;
		free(segs);
		e = integrity(c);
	}
	if (e == ERR_OK && c->faults == 0)
		e = idb_get_int(&c->db, "applied", &applied);
	if (e != ERR_OK || c->faults > 0)
		return e;
	if ((uint64_t)applied >= log_next(l)) {
		c->faults++;
		buf_printf(c->report,
		    "index.db: knows record %" PRId64
		    ", the journal ends with %" PRIu64 "\n",
		    applied, log_next(l) - 1);
		return ERR_OK;
	}
	if (applied > 0)
		e = index_rebuild(fresh, l, (uint64_t)applied);
	if (e == ERR_OK && applied > 0)
		e = compare(c, fresh);
	return e == ERR_OK ? check_filters(c) : e;
}

enum err
index_verify(const char *dir, struct buf *report)
{
	struct check c = {.report = report};
	char path[PATH_MAX], fresh[PATH_MAX];
	struct log_reader *r = NULL;
	struct log *l;
	enum err e;

	if (snprintf(path, sizeof(path), "%s/index.db", dir) >= PATH_MAX ||
	    snprintf(fresh, sizeof(fresh), "%s/index.db.verify", dir) >=
		PATH_MAX)
		return err_note(ERR_RANGE, "the path of %s is too long", dir);
	if (access(path, F_OK) != 0) {
		buf_str(report, "index.db: there is none; the next start "
				"makes it\n");
		return ERR_OK;
	}
	e = log_open_read(&l, dir);
	if (e != ERR_OK)
		return e;
	e = log_reader_new(&r, l);
	if (e == ERR_OK)
		e = verify(&c, path, fresh, l, r);
	idb_close(&c.db);
	log_reader_free(r);
	index_remove(fresh);
	log_close(l);
	if (e == ERR_CORRUPT && c.faults == 0) {
		c.faults++;
		buf_printf(report, "index.db: %s\n", err_last());
	} else if (e != ERR_OK) {
		return e;
	}
	if (c.faults == 0)
		return ERR_OK;
	return err_note(ERR_CORRUPT,
	    "index.db differs in %" PRIu64 " ways from the journal; remove "
	    "it, the next start makes it anew",
	    c.faults);
}
