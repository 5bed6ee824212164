/*
 * index_db - index.db: its tables, a connection's statements, what is loaded at
 * the start.
 *
 * Facts stand in parts of half a million, each a quarter of a filter's
 * generation, so that the pages a batch touches do not become more as the
 * journal grows. A fact's row
 * is its hash and its sequence; what it says is read from the journal.
 * Rejected: rows that hold id and digest (three times the pages, all random).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/say.h"
#include "broker/core/index_own.h"

static const char schema[] =
    "CREATE TABLE meta(k TEXT PRIMARY KEY, v ANY NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE fact(part INTEGER NOT NULL, h INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, PRIMARY KEY(part, h, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE at(last TEXT NOT NULL, head TEXT NOT NULL,"
    " type TEXT NOT NULL, seq INTEGER NOT NULL, fact INTEGER NOT NULL,"
    " withdrawn INTEGER NOT NULL, PRIMARY KEY(last, head, type, seq))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE slot(last TEXT NOT NULL, head TEXT NOT NULL,"
    " slot INTEGER NOT NULL, PRIMARY KEY(last, head)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE ref(last TEXT NOT NULL, head TEXT NOT NULL,"
    " subject TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(last, head))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE dep(read INTEGER NOT NULL, input INTEGER NOT NULL,"
    " map TEXT NOT NULL, PRIMARY KEY(read, input, map))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE about(event INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY(event, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE item(sub TEXT NOT NULL, seq INTEGER NOT NULL,"
    " subject TEXT NOT NULL, settle INTEGER NOT NULL,"
    " state INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    " due INTEGER NOT NULL, wait_type TEXT NOT NULL, wait_key TEXT NOT NULL,"
    " wait_by_ref INTEGER NOT NULL, PRIMARY KEY(sub, seq))"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX item_seq ON item(seq, sub);"
    "CREATE INDEX item_subject ON item(sub, subject, seq);"
    "CREATE INDEX item_wait ON item(wait_key, wait_type) WHERE state = 2;"
    "CREATE TABLE system(name TEXT PRIMARY KEY, state TEXT NOT NULL,"
    " since TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE answer(system TEXT NOT NULL, map TEXT NOT NULL,"
    " tbl TEXT NOT NULL, key TEXT NOT NULL, row BLOB NOT NULL,"
    " PRIMARY KEY(system, map, tbl, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE bloom(gen INTEGER NOT NULL, chunk INTEGER NOT NULL,"
    " bits BLOB NOT NULL, PRIMARY KEY(gen, chunk)) STRICT;";

_Static_assert(OPEN_WAIT == 2, "item_wait names the state");

#define ITEM_COLUMNS                                                 \
	"sub, seq, subject, settle, state, attempt, due, wait_type," \
	" wait_key, wait_by_ref"
/* what a person said of the ref of this row */
#define ASKED                                                   \
	"SELECT row FROM answer WHERE system = '' AND map = ''" \
	" AND tbl = 'ref' AND key = ref.head || ref.last"

static const char *const texts[STMT_COUNT] = {
    [Q_FACT] = "SELECT seq FROM fact WHERE part = ? AND h = ?"
	       " ORDER BY seq DESC",
    [Q_AT] = "SELECT seq, fact, withdrawn FROM at WHERE last = ? AND head = ?"
	     " AND type = ? AND seq < ? ORDER BY seq DESC",
    [Q_SLOT] = "SELECT slot FROM slot WHERE last = ? AND head = ?",
    [Q_REF] = "SELECT subject FROM ref WHERE last = ? AND head = ?",
    [Q_DEP] = "SELECT input, map FROM dep WHERE read = ? ORDER BY input, map",
    [Q_ITEM] = "SELECT " ITEM_COLUMNS " FROM item WHERE sub = ? AND seq = ?",
    [Q_ITEMS_SUB] = "SELECT " ITEM_COLUMNS " FROM item WHERE sub = ?"
		    " AND seq > ? ORDER BY seq",
    [Q_ITEMS_ALL] = "SELECT " ITEM_COLUMNS " FROM item WHERE seq > ?"
		    " ORDER BY seq, sub",
    /* left alone the planner walks all of the sub, for the order's sake */
    [Q_ITEMS_AT] = "SELECT " ITEM_COLUMNS
		   " FROM item INDEXED BY item_subject WHERE sub = ?"
		   " AND subject = ? ORDER BY seq",
    /* by the events of the subject: no index over subjects alone */
    [Q_ITEMS_SUBJECT] = "SELECT " ITEM_COLUMNS " FROM item WHERE seq IN"
			" (SELECT seq FROM at WHERE last = ? AND head = ?)"
			" AND seq > ? ORDER BY seq, sub",
    [Q_WAITING] = "SELECT " ITEM_COLUMNS " FROM item WHERE state = 2"
		  " AND wait_key = ? AND wait_type = ? AND wait_by_ref = ?"
		  " ORDER BY seq, sub",
    [Q_ANY_ITEM] = "SELECT 1 FROM item LIMIT 1",
    [Q_FIND_SUBJECT] = "SELECT 1 FROM at WHERE last = ? AND head = ? LIMIT 1",
    [Q_FIND_LAST] = "SELECT DISTINCT head, last FROM at WHERE last = ?"
		    " LIMIT ?",
    [Q_FIND_REF] = "SELECT ifnull((" ASKED "), subject) FROM ref"
		   " WHERE last = ? AND head = ?",
    [Q_FIND_REF_LAST] = "SELECT DISTINCT ifnull((" ASKED "), subject) FROM ref"
			" WHERE last = ? LIMIT ?",
    [Q_TIMELINE] = "SELECT seq FROM at WHERE last = ?1 AND head = ?2 UNION"
		   " SELECT b.seq FROM at a JOIN about b ON b.event = a.seq"
		   " WHERE a.last = ?1 AND a.head = ?2 UNION"
		   /* and what was made of them elsewhere */
		   " SELECT d.input FROM at a JOIN dep d ON d.read = a.seq"
		   " AND d.map = '' WHERE a.last = ?1 AND a.head = ?2"
		   " ORDER BY 1 LIMIT ?3",
    [W_FACT] = "INSERT OR IGNORE INTO fact VALUES(?, ?, ?)",
    [W_AT] = "INSERT OR IGNORE INTO at VALUES(?, ?, ?, ?, ?, ?)",
    [W_SLOT] = "INSERT OR IGNORE INTO slot VALUES(?, ?, ?)",
    [W_REF] = "INSERT OR IGNORE INTO ref VALUES(?, ?, ?, ?)",
    [W_DEP] = "INSERT OR IGNORE INTO dep VALUES(?, ?, ?)",
    [W_ABOUT] = "INSERT OR IGNORE INTO about VALUES(?, ?)",
    [W_ITEM] = "INSERT OR REPLACE INTO item"
	       " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [W_ITEM_GONE] = "DELETE FROM item WHERE sub = ? AND seq = ?",
    [W_META] = "INSERT OR REPLACE INTO meta VALUES(?, ?)",
    [W_SYSTEM] = "INSERT OR REPLACE INTO system VALUES(?, ?, ?)",
    [W_ANSWER] = "INSERT OR REPLACE INTO answer VALUES(?, ?, ?, ?, ?)",
    [W_BLOOM] = "INSERT OR REPLACE INTO bloom VALUES(?, ?, ?)",
};

/* ---- a connection ---- */

static enum err
code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:
		return ERR_CORRUPT;
	default:
		return ERR_IO;
	}
}

enum err
idb_exec(struct idb *d, const char *sql)
{
	int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		return ERR_OK;
	return err_note(code_of(rc), "%s: %s", d->path, sqlite3_errmsg(d->db));
}

enum err
idb_open(struct idb *d, const char *path, enum idb_mode mode)
{
	int flags = mode == IDB_READ
			? SQLITE_OPEN_READONLY
			: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	enum err e;
	int rc;

	snprintf(d->path, sizeof(d->path), "%s", path);
	/* SQLite would let everybody read a new file; what it keeps beside it
	 * gets the same mode. */
	if (mode != IDB_READ) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_errno(ERR_DENIED, "cannot open %s", path);
		close(fd);
	}
	rc = sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		e = err_note(code_of(rc), "cannot open %s: %s", path,
		    d->db != NULL ? sqlite3_errmsg(d->db) : "no memory");
		idb_close(d);
		return e;
	}
	sqlite3_busy_timeout(d->db, 5000);
	sqlite3_extended_result_codes(d->db, 1);
	if (mode == IDB_READ)
		e = idb_exec(d, "PRAGMA cache_size=-2048");
	else
		e = idb_exec(d,
		    mode == IDB_WRITE
			? "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
			  "PRAGMA cache_size=-8192"
			: "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
			  "PRAGMA cache_size=-32768");
	if (e != ERR_OK)
		idb_close(d);
	return e;
}

void
idb_close(struct idb *d)
{
	for (int i = 0; i < STMT_COUNT; i++) {
		sqlite3_finalize(d->stmt[i]);
		d->stmt[i] = NULL;
	}
	sqlite3_close(d->db);
	d->db = NULL;
}

/* "INSERT ... VALUES(?, ?)" with its row repeated. */
static void
repeat_rows(const char *one, char *out, size_t n)
{
	const char *row = strstr(one, "VALUES(") + strlen("VALUES");
	size_t at = (size_t)snprintf(out, n, "%s", one);

	for (int i = 1; i < ROWS_AT_ONCE && at < n; i++)
		at += (size_t)snprintf(out + at, n - at, ",%s", row);
}

sqlite3_stmt *
idb_stmt(struct idb *d, enum stmt s)
{
	const char *text = texts[s];
	char many[2048];
	int rc;

	if (d->stmt[s] == NULL) {
		if (s >= W_FACTS && s <= W_ABOUTS) {
			repeat_rows(
			    texts[s - W_FACTS + W_FACT], many, sizeof(many));
			text = many;
		}
		rc = sqlite3_prepare_v3(d->db, text, -1,
		    SQLITE_PREPARE_PERSISTENT, &d->stmt[s], NULL);
		if (rc != SQLITE_OK) {
			(void)!err_note(code_of(rc), "%s: %s", d->path,
			    sqlite3_errmsg(d->db));
			return NULL;
		}
	}
	sqlite3_reset(d->stmt[s]);
	return d->stmt[s];
}

enum err
idb_failed(struct idb *d, sqlite3_stmt *s)
{
	enum err e = err_note(code_of(sqlite3_extended_errcode(d->db)),
	    "%s: %s", d->path, sqlite3_errmsg(d->db));

	if (s != NULL)
		sqlite3_reset(s);
	return e;
}

void
idb_text(sqlite3_stmt *s, int at, struct slice v)
{
	sqlite3_bind_text(s, at, (const char *)v.p, (int)v.n, SQLITE_STATIC);
}

void
idb_blob(sqlite3_stmt *s, int at, struct slice v)
{
	sqlite3_bind_blob(s, at, v.p, (int)v.n, SQLITE_STATIC);
}

struct slice
idb_column(sqlite3_stmt *s, int at)
{
	const void *p = sqlite3_column_blob(s, at);

	return slice_of(p, (size_t)sqlite3_column_bytes(s, at));
}

/* The row of meta; *s must be reset when ERR_OK. */
static enum err
meta(struct idb *d, const char *key, sqlite3_stmt **s)
{
	int rc;

	rc = sqlite3_prepare_v2(
	    d->db, "SELECT v FROM meta WHERE k = ?", -1, s, NULL);
	if (rc != SQLITE_OK)
		return idb_failed(d, NULL);
	idb_text(*s, 1, slice_str(key));
	rc = sqlite3_step(*s);
	if (rc == SQLITE_ROW)
		return ERR_OK;
	sqlite3_finalize(*s);
	return rc == SQLITE_DONE
		   ? err_note(ERR_NOTFOUND, "%s: no %s", d->path, key)
		   : idb_failed(d, NULL);
}

enum err
idb_get_int(struct idb *d, const char *key, int64_t *out)
{
	sqlite3_stmt *s;
	enum err e = meta(d, key, &s);

	if (e != ERR_OK)
		return e;
	*out = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return ERR_OK;
}

enum err
idb_get_blob(struct idb *d, const char *key, uint8_t *out, size_t n)
{
	sqlite3_stmt *s;
	enum err e = meta(d, key, &s);
	struct slice v;

	if (e != ERR_OK)
		return e;
	v = idb_column(s, 0);
	if (v.n == n)
		memcpy(out, v.p, n);
	else
		e = err_note(ERR_CORRUPT, "%s: %s", d->path, key);
	sqlite3_finalize(s);
	return e;
}

enum err
idb_run(struct idb *d, sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE)
		return idb_failed(d, s);
	sqlite3_reset(s);
	return ERR_OK;
}

enum err
idb_put_int(struct idb *d, const char *key, int64_t v)
{
	sqlite3_stmt *s = idb_stmt(d, W_META);

	if (s == NULL)
		return ERR_CORRUPT;
	idb_text(s, 1, slice_str(key));
	sqlite3_bind_int64(s, 2, v);
	return idb_run(d, s);
}

enum err
idb_put_blob(struct idb *d, const char *key, struct slice v)
{
	sqlite3_stmt *s = idb_stmt(d, W_META);

	if (s == NULL)
		return ERR_CORRUPT;
	idb_text(s, 1, slice_str(key));
	idb_blob(s, 2, v);
	return idb_run(d, s);
}

struct slice
name_last(struct slice name)
{
	const uint8_t *colon = memchr(name.p, ':', name.n), *slash;
	struct slice rest = name;

	if (colon == NULL)
		return name;
	rest = slice_from(name, (size_t)(colon - name.p) + 1);
	slash = memchr(rest.p, '/', rest.n);
	if (slash != NULL)
		rest = slice_from(rest, (size_t)(slash - rest.p) + 1);
	/* "order:" alone: an empty last part is found by the end's place. */
	return rest.n > 0 ? rest : slice_of(name.p + name.n, 0);
}

void
idb_name(sqlite3_stmt *s, int at, struct slice name)
{
	struct slice last = name_last(name);

	idb_text(s, at, last);
	idb_text(s, at + 1, slice_of(name.p, name.n - last.n));
}

/* ---- a new one, and loading ---- */

const struct idb_counter idb_counters[] = {
    {"events", offsetof(struct index_counts, events)},
    {"facts", offsetof(struct index_counts, facts)},
    {"ready", offsetof(struct index_counts, ready)},
    {"retry", offsetof(struct index_counts, retry)},
    {"deferred", offsetof(struct index_counts, deferred)},
    {"wait", offsetof(struct index_counts, wait)},
    {"behind", offsetof(struct index_counts, behind)},
    {"ask", offsetof(struct index_counts, ask)},
    {"parked", offsetof(struct index_counts, parked)},
    {"settled", offsetof(struct index_counts, settled)},
};
const size_t idb_counters_n = sizeof(idb_counters) / sizeof(idb_counters[0]);

enum err
idb_begin_rebuild(struct index *ix, const char *path)
{
	enum err e = idb_open(&ix->write, path, IDB_REBUILD);

	if (e == ERR_OK)
		e = idb_exec(&ix->write, "BEGIN");
	if (e == ERR_OK)
		e = idb_exec(&ix->write, schema);
	if (e == ERR_OK)
		e = idb_put_int(&ix->write, "version", INDEX_VERSION);
	if (e == ERR_OK)
		e = idb_put_blob(
		    &ix->write, "journal", slice_of(ix->journal, 16));
	if (e == ERR_OK)
		e = idb_put_int(&ix->write, "applied", 0);
	return e == ERR_OK ? idb_exec(&ix->write, "COMMIT") : e;
}

static enum err
load_bloom(struct index *ix)
{
	struct idb *d = &ix->read;
	sqlite3_stmt *s;
	enum err e = ERR_OK;
	int64_t n = 0;
	int rc;

	if (sqlite3_prepare_v2(d->db,
		"SELECT gen, chunk, bits FROM bloom ORDER BY gen, chunk", -1,
		&s, NULL) != SQLITE_OK)
		return idb_failed(d, NULL);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && e == ERR_OK)
		e = bloom_load(ix->bloom, sqlite3_column_int(s, 0),
		    sqlite3_column_int(s, 1), idb_column(s, 2));
	if (e == ERR_OK && rc != SQLITE_DONE)
		e = idb_failed(d, NULL);
	sqlite3_finalize(s);
	if (e == ERR_OK && idb_get_int(d, "bloom", &n) == ERR_OK)
		bloom_set_count(ix->bloom, (uint64_t)n);
	return e;
}

static enum err
load_settings(struct index *ix)
{
	struct idb *d = &ix->read;
	sqlite3_stmt *s;
	enum err e = ERR_OK;
	int rc;

	if (sqlite3_prepare_v2(d->db, "SELECT name, state, since FROM system",
		-1, &s, NULL) != SQLITE_OK)
		return idb_failed(d, NULL);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && e == ERR_OK)
		e = system_set(
		    ix, idb_column(s, 0), idb_column(s, 1), idb_column(s, 2));
	sqlite3_finalize(s);
	if (e != ERR_OK || rc != SQLITE_DONE)
		return e != ERR_OK ? e : idb_failed(d, NULL);
	if (sqlite3_prepare_v2(d->db,
		"SELECT system, map, tbl, key, row FROM answer", -1, &s,
		NULL) != SQLITE_OK)
		return idb_failed(d, NULL);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && e == ERR_OK) {
		struct answer a = {.system = idb_column(s, 0),
		    .map = idb_column(s, 1),
		    .table = idb_column(s, 2),
		    .key = idb_column(s, 3),
		    .row = idb_column(s, 4)};

		e = answer_set(ix, &a);
	}
	sqlite3_finalize(s);
	return e != ERR_OK ? e : rc != SQLITE_DONE ? idb_failed(d, NULL) : e;
}

static enum err
load_waits(struct index *ix)
{
	struct idb *d = &ix->read;
	sqlite3_stmt *s;
	enum err e = ERR_OK;
	int rc;

	if (sqlite3_prepare_v2(d->db,
		"SELECT wait_type, wait_key, wait_by_ref FROM item"
		" WHERE state = 2",
		-1, &s, NULL) != SQLITE_OK)
		return idb_failed(d, NULL);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && e == ERR_OK)
		e = wait_add(
		    ix, wait_hash(ix, idb_column(s, 0), idb_column(s, 1),
			    sqlite3_column_int(s, 2) != 0));
	sqlite3_finalize(s);
	return e != ERR_OK ? e : rc != SQLITE_DONE ? idb_failed(d, NULL) : e;
}

enum err
idb_load(struct index *ix)
{
	struct idb *d = &ix->read;
	int64_t v;
	enum err e;

	for (size_t i = 0; i < idb_counters_n; i++) {
		if (idb_get_int(d, idb_counters[i].key, &v) != ERR_OK)
			v = 0;
		memcpy((char *)&ix->counts + idb_counters[i].at, &v, sizeof(v));
	}
	if (idb_get_int(d, "slot_max", &v) == ERR_OK)
		ix->slot_max = (uint32_t)v;
	if (idb_get_blob(d, "ruleset", ix->rules.hash, 32) == ERR_OK &&
	    idb_get_int(d, "ruleset_seq", &v) == ERR_OK)
		ix->rules.seq = (uint64_t)v;
	if (idb_get_int(d, "files_seq", &v) == ERR_OK)
		ix->rules.files_seq = (uint64_t)v;
	ix->rules.deployed =
	    idb_get_int(d, "deployed", &v) == ERR_OK && v != 0 &&
	    idb_get_blob(d, "deployed_files", ix->rules.files, 32) == ERR_OK;
	e = load_bloom(ix);
	if (e == ERR_OK)
		e = load_settings(ix);
	return e == ERR_OK ? load_waits(ix) : e;
}
