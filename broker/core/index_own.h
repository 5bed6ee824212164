/*
 * index_own - what the files of the index share. For broker/core/index*.c only.
 *
 *   index.c         opening, the index thread
 *   index_fold.c    what each record changes (JOURNAL.md, "The fold")
 *   index_items.c   open work: memtables and index.db read as one
 *   index_read.c    facts, subjects, refs: memtables and index.db read as one
 *   index_db.c      index.db: its tables and statements
 *   index_write.c   a memtable becomes rows
 *   bloom.c         the filters over facts and subjects
 *   index_view.c    for people
 *   index_trim.c    what was let go of
 *   index_verify.c  index.db against a fold made anew
 *
 * Threads: `mu` guards what `active` and `sealed` point to and everything that
 * the fold keeps beside them. The turn thread holds it while it folds or reads;
 * the index thread only to take a memtable and to let go of it. What a memtable
 * said is in index.db before it is let go.
 */
#ifndef VAYLA_CORE_INDEX_OWN_H
#define VAYLA_CORE_INDEX_OWN_H

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>

#include "broker/core/bloom.h"
#include "broker/core/index.h"
#include "broker/core/memtable.h"

#define INDEX_VERSION 4
/* Facts of one filter stand in so many parts, one behind the other in time: a
 * batch touches the pages of one. */
#define FACT_PARTS 4

/* One connection with its statements, made when first used. */
enum stmt {
	Q_FACT,
	Q_AT,
	Q_SLOT,
	Q_REF,
	Q_DEP,
	Q_ITEM,
	Q_ITEMS_SUB,
	Q_ITEMS_ALL,
	Q_ITEMS_AT,
	Q_ITEMS_SUBJECT,
	Q_WAITING,
	Q_ANY_ITEM,
	Q_FIND_SUBJECT,
	Q_FIND_LAST,
	Q_FIND_REF,
	Q_FIND_REF_LAST,
	Q_TIMELINE,
	W_FACT,
	W_AT,
	W_SLOT,
	W_REF,
	W_DEP,
	W_ABOUT,
	/* the same six, ROWS_AT_ONCE rows each */
	W_FACTS,
	W_ATS,
	W_SLOTS,
	W_REFS,
	W_DEPS,
	W_ABOUTS,
	W_ITEM,
	W_ITEM_GONE,
	W_META,
	W_SYSTEM,
	W_ANSWER,
	W_BLOOM,
	STMT_COUNT
};

#define ROWS_AT_ONCE 50

struct idb {
	sqlite3 *db;
	char path[PATH_MAX];
	sqlite3_stmt *stmt[STMT_COUNT];
};
enum idb_mode { IDB_READ, IDB_WRITE, IDB_REBUILD };
enum err idb_open(
    struct idb *d, const char *path, enum idb_mode mode) MUST_CHECK;
void idb_close(struct idb *d); /* fine on a zeroed one */
enum err idb_exec(struct idb *d, const char *sql) MUST_CHECK;
/* The statement, reset and without bindings; NULL with a note. */
sqlite3_stmt *idb_stmt(struct idb *d, enum stmt s);
/* Run a statement that gives no rows, and reset it. */
enum err idb_run(struct idb *d, sqlite3_stmt *s) MUST_CHECK;
/* A statement failed: the note, and the code. Resets it. */
enum err idb_failed(struct idb *d, sqlite3_stmt *s);
void idb_text(sqlite3_stmt *s, int at, struct slice v);
void idb_blob(sqlite3_stmt *s, int at, struct slice v);
struct slice idb_column(sqlite3_stmt *s, int at);
enum err idb_get_int(struct idb *d, const char *key, int64_t *out) MUST_CHECK;
enum err idb_get_blob(
    struct idb *d, const char *key, uint8_t *out, size_t n) MUST_CHECK;
enum err idb_put_int(struct idb *d, const char *key, int64_t v) MUST_CHECK;
enum err idb_put_blob(
    struct idb *d, const char *key, struct slice v) MUST_CHECK;

/* The rows of meta that hold struct index_counts. */
struct idb_counter {
	const char *key;
	size_t at;
};
extern const struct idb_counter idb_counters[];
extern const size_t idb_counters_n;

/* "order:shop/1042" is kept as last "1042" and head "order:shop/", so that a
 * word finds it by the same key. */
struct slice name_last(struct slice name);
static inline struct slice
name_head(struct slice name)
{
	return slice_of(name.p, name.n - name_last(name).n);
}
/* Both, into two columns from `at` on. */
void idb_name(sqlite3_stmt *s, int at, struct slice name);

struct index {
	char path[PATH_MAX]; /* of index.db */
	struct log *log;
	struct log_reader *reader; /* of the turn thread */
	struct mt_seed seed;
	uint8_t journal[16];

	pthread_mutex_t mu;
	pthread_cond_t wake; /* the index thread: work, or stop */
	pthread_cond_t done; /* the turn thread: `sealed` is free */
	struct memtable *active, *sealed, *spare;
	bool flushing; /* the index thread has `sealed` */
	bool stop, runs, failing;
	bool rebuild;  /* without a journal of SQLite's: no second try */
	bool db_items; /* index.db holds open items */
	pthread_t thread;

	struct index_counts counts;
	uint32_t slot_max;
	struct in_force rules; /* seq 0: none yet */
	struct system_state *systems;
	size_t systems_n;
	struct answer *answers;
	size_t answers_n;
	/* hashes of what held mappings wait for, a sorted multiset */
	uint64_t *waits;
	size_t waits_n, waits_cap;
	bool settings;	    /* systems or answers changed since the last seal */
	struct event event; /* scratch of the fold: 13 KiB */
	struct arena scratch; /* texts of item_get() */

	struct bloom *bloom; /* the index thread adds, all look */
	struct idb read;     /* of the turn thread */
	struct idb write;    /* of the index thread */
};

struct index_view {
	struct idb db;
	struct log *log;
	struct log_reader *reader;
};

/* index_db.c */
enum err idb_begin_rebuild(struct index *ix, const char *path) MUST_CHECK;
/* Everything of `m` and `applied`, in one transaction. */
enum err idb_flush(struct index *ix, struct memtable *m) MUST_CHECK;
enum err idb_load(struct index *ix) MUST_CHECK; /* what the fold keeps */

/* index_fold.c: under mu. */
enum err fold(struct index *ix, const struct log_record *rec) MUST_CHECK;
enum err system_set(struct index *ix, struct slice name, struct slice state,
    struct slice since) MUST_CHECK;
enum err answer_set(struct index *ix, const struct answer *a) MUST_CHECK;
uint64_t wait_hash(
    const struct index *ix, struct slice type, struct slice key, bool by_ref);
enum err wait_add(struct index *ix, uint64_t h) MUST_CHECK;
bool wait_is(const struct index *ix, uint64_t h);
void wait_drop(struct index *ix, uint64_t h);
void count_item(struct index *ix, uint8_t state, uint32_t attempt, int by);

/* index_trim.c: an SQL function kept(seq) of this connection, asked of r, which
 * outlives it. */
enum err idb_kept(struct idb *d, struct log_reader *r) MUST_CHECK;

/* index_items.c: under mu. The item as it is now, in memory that lives until
 * the next read or apply; ERR_NOTFOUND when there is none, or it is closed. */
enum err item_get(struct index *ix, struct slice sub, uint64_t seq,
    struct open_item *out) MUST_CHECK;
void item_from_row(sqlite3_stmt *s, struct open_item *it);
enum err item_copy(struct arena *a, const struct open_item *it,
    struct open_item *out) MUST_CHECK;

/* index.c: a fold made anew of records up to `last` (0: all), in a file of its
 * own that is there, whole and synced, when this returns. */
enum err index_rebuild(
    const char *path, struct log *l, uint64_t last) MUST_CHECK;
void index_remove(const char *path); /* with what SQLite keeps beside it */

#endif
