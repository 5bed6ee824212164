/*
 * index - opening and rebuilding, and the index thread. See index_own.h for the
 * other files.
 *
 * The index thread writes a memtable when it is full or a second old. The turn
 * thread waits for it only when both memtables are full, and not at all while
 * index.db can not be written (a full disk): then the memtable grows, up to
 * four times its size.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/index_own.h"

/* ---- the index thread ---- */

/* Hand what grows to the index thread. Under mu; `sealed` is free. */
static enum err
seal_active(struct index *ix)
{
	struct memtable *m = ix->active;

	m->counts = ix->counts;
	m->slot_max = ix->slot_max;
	m->rules = ix->rules;
	if (ix->settings) {
		/* The texts live as long as the program and are only replaced,
		 * never changed; but a replaced one is freed: copy. */
		m->system = arena_alloc(
		    &m->arena, (ix->systems_n + 1) * sizeof(*m->system));
		m->answer = arena_alloc(
		    &m->arena, (ix->answers_n + 1) * sizeof(*m->answer));
		if (m->system == NULL || m->answer == NULL)
			return err_note(ERR_NOMEM, "no memory for the index");
		for (size_t i = 0; i < ix->systems_n; i++) {
			struct slice *to = &m->system[i].name;

			m->system[i] = ix->systems[i];
			for (int k = 0; k < 3; k++)
				if (arena_copy(&m->arena, to[k], &to[k]) !=
				    ERR_OK)
					return ERR_NOMEM;
		}
		for (size_t i = 0; i < ix->answers_n; i++) {
			struct slice *to = &m->answer[i].system;

			m->answer[i] = ix->answers[i];
			for (int k = 0; k < 5; k++)
				if (arena_copy(&m->arena, to[k], &to[k]) !=
				    ERR_OK)
					return ERR_NOMEM;
		}
		m->system_n = ix->systems_n;
		m->answer_n = ix->answers_n;
		m->settings = true;
		ix->settings = false;
	}
	ix->sealed = m;
	ix->active = ix->spare;
	ix->spare = NULL;
	pthread_cond_signal(&ix->wake);
	return ERR_OK;
}

/* `sealed` is in index.db. Under mu. */
static void
retire(struct index *ix)
{
	sqlite3_stmt *s = idb_stmt(&ix->write, Q_ANY_ITEM);

	ix->db_items = s == NULL || sqlite3_step(s) != SQLITE_DONE;
	if (s != NULL)
		sqlite3_reset(s);
	mt_clear(ix->sealed);
	ix->spare = ix->sealed;
	ix->sealed = NULL;
	pthread_cond_signal(&ix->done);
}

/* Under mu, which is let go of while it writes. */
static enum err
flush_sealed(struct index *ix)
{
	struct memtable *m = ix->sealed;
	enum err e;

	pthread_mutex_unlock(&ix->mu);
	e = idb_flush(ix, m);
	pthread_mutex_lock(&ix->mu);
	if (e == ERR_OK) {
		if (ix->failing)
			say(SAY_INFO, "index", "is written again");
		ix->failing = false;
		retire(ix);
		return ERR_OK;
	}
	if (!ix->failing)
		say(SAY_ERROR, "index", "can not be written: %s", err_last());
	ix->failing = true;
	pthread_cond_signal(&ix->done);
	return e;
}

static void
wait_second(struct index *ix)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_cond_timedwait(&ix->wake, &ix->mu, &until);
}

static void *
index_main(void *arg)
{
	struct index *ix = arg;

	pthread_mutex_lock(&ix->mu);
	while (!ix->stop) {
		if (ix->sealed == NULL || ix->failing)
			wait_second(ix);
		if (ix->sealed == NULL && ix->active->records > 0 &&
		    seal_active(ix) != ERR_OK)
			say(SAY_ERROR, "index", "%s", err_last());
		if (ix->sealed != NULL && !(ix->rebuild && ix->failing))
			(void)!flush_sealed(ix); /* it has said so */
	}
	for (int i = 0; i < 2; i++) {
		if (ix->sealed == NULL && ix->active->records > 0 &&
		    seal_active(ix) != ERR_OK)
			break;
		if (ix->sealed == NULL || (ix->rebuild && ix->failing) ||
		    flush_sealed(ix) != ERR_OK)
			break;
	}
	pthread_mutex_unlock(&ix->mu);
	return NULL;
}

enum err
index_apply(struct index *ix, const struct log_record *rec)
{
	enum err e = ERR_OK;

	pthread_mutex_lock(&ix->mu);
	while (mt_full(ix->active) && ix->sealed != NULL && !ix->failing)
		pthread_cond_wait(&ix->done, &ix->mu);
	if (ix->rebuild && ix->failing) {
		e = err_note(ERR_IO, "%s can not be written", ix->path);
	} else if (mt_full(ix->active)) {
		if (ix->sealed == NULL)
			e = seal_active(ix);
		else if (ix->active->records >= 4 * MT_RECORDS)
			e = err_note(ERR_NOMEM,
			    "index.db can not be written; no memory for more");
	}
	if (e == ERR_OK)
		e = fold(ix, rec);
	pthread_mutex_unlock(&ix->mu);
	return e;
}

/* ---- opening ---- */

static void
conditions(struct index *ix)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&ix->mu, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ix->wake, &attr);
	pthread_cond_init(&ix->done, &attr);
	pthread_condattr_destroy(&attr);
}

static enum err
index_make(struct index **out, const char *path, struct log *l)
{
	struct index *ix = calloc(1, sizeof(*ix));
	enum err e;

	if (ix == NULL)
		return err_note(ERR_NOMEM, "no memory for the index");
	conditions(ix);
	snprintf(ix->path, sizeof(ix->path), "%s", path);
	ix->log = l;
	memcpy(ix->journal, log_id(l), 16);
	memcpy(&ix->seed, ix->journal, sizeof(ix->seed));
	arena_init(&ix->scratch, 1024 * 1024);
	ix->bloom = bloom_new();
	ix->active = mt_new(&ix->seed);
	ix->spare = mt_new(&ix->seed);
	e = log_reader_new(&ix->reader, l);
	if (e == ERR_OK &&
	    (ix->bloom == NULL || ix->active == NULL || ix->spare == NULL))
		e = err_note(ERR_NOMEM, "no memory for the index");
	if (e != ERR_OK) {
		index_close(ix);
		return e;
	}
	*out = ix;
	return ERR_OK;
}

/* It writes what is pending, then ends. */
static void
stop_thread(struct index *ix)
{
	if (!ix->runs)
		return;
	pthread_mutex_lock(&ix->mu);
	ix->stop = true;
	pthread_cond_signal(&ix->wake);
	pthread_mutex_unlock(&ix->mu);
	pthread_join(ix->thread, NULL);
	ix->runs = false;
}

void
index_close(struct index *ix)
{
	if (ix == NULL)
		return;
	stop_thread(ix);
	idb_close(&ix->read);
	idb_close(&ix->write);
	log_reader_free(ix->reader);
	mt_free(ix->active);
	mt_free(ix->sealed);
	mt_free(ix->spare);
	bloom_free(ix->bloom);
	for (size_t i = 0; i < ix->systems_n; i++)
		free(ix->systems[i].bytes);
	for (size_t i = 0; i < ix->answers_n; i++)
		free(ix->answers[i].bytes);
	free(ix->systems);
	free(ix->answers);
	free(ix->waits);
	arena_fini(&ix->scratch);
	pthread_mutex_destroy(&ix->mu);
	pthread_cond_destroy(&ix->wake);
	pthread_cond_destroy(&ix->done);
	free(ix);
}

struct replay {
	struct index *ix;
	uint64_t last;
};

static enum err
replay_one(void *arg, const struct log_record *rec)
{
	struct replay *r = arg;

	if (r->last != 0 && rec->seq > r->last)
		return ERR_CLOSED;
	return index_apply(r->ix, rec);
}

/* Connections are open: load, start the thread, fold what is newer. Without a
 * thread what is newer stays in memory. */
static enum err
run_up(struct index *ix, uint64_t last, bool thread)
{
	struct replay r = {ix, last};
	struct log_reader *reader;
	int64_t applied;
	enum err e;

	e = idb_get_int(&ix->read, "applied", &applied);
	if (e == ERR_OK)
		e = idb_load(ix);
	if (e != ERR_OK)
		return e;
	ix->db_items = true; /* until the first flush knows better */
	if (thread && pthread_create(&ix->thread, NULL, index_main, ix) != 0)
		return err_note(ERR_NOMEM, "cannot start the index thread");
	ix->runs = thread;
	ix->failing = !thread;
	e = log_reader_new(&reader, ix->log);
	if (e != ERR_OK)
		return e;
	e = log_scan(reader, (uint64_t)applied + 1, replay_one, &r);
	log_reader_free(reader);
	return e == ERR_CLOSED && last != 0 ? ERR_OK : e;
}

static void
remove_one(const char *path, const char *ext)
{
	char full[PATH_MAX];

	if (snprintf(full, sizeof(full), "%s%s", path, ext) < PATH_MAX)
		unlink(full);
}

void
index_remove(const char *path)
{
	remove_one(path, "");
	remove_one(path, "-wal");
	remove_one(path, "-shm");
}

/* Everything in the one file, and on the disk. */
static enum err
settle_file(const char *path)
{
	struct idb d = {0};
	enum err e = idb_open(&d, path, IDB_WRITE);
	int fd;

	if (e != ERR_OK)
		return e;
	e = idb_exec(&d, "PRAGMA wal_checkpoint(TRUNCATE)");
	idb_close(&d);
	if (e != ERR_OK)
		return e;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		e = err_errno(ERR_IO, "cannot sync %s", path);
	if (fd >= 0)
		close(fd);
	return e;
}

enum err
index_rebuild(const char *path, struct log *l, uint64_t last)
{
	struct index *ix;
	enum err e;

	index_remove(path);
	e = index_make(&ix, path, l);
	if (e != ERR_OK)
		return e;
	ix->rebuild = true;
	e = idb_begin_rebuild(ix, path);
	if (e == ERR_OK)
		e = idb_open(&ix->read, path, IDB_READ);
	if (e == ERR_OK)
		e = run_up(ix, last, true);
	stop_thread(ix);
	if (e == ERR_OK && (ix->sealed != NULL || ix->active->records > 0))
		e = err_note(ERR_IO, "%s can not be written", path);
	index_close(ix);
	return e == ERR_OK ? settle_file(path) : e;
}

/* Is what stands there a fold of this log, of this form? ERR_OK, or why not. */
static enum err
usable(const char *path, struct log *l)
{
	uint8_t journal[16];
	int64_t version, applied;
	struct idb d = {0};
	enum err e;

	if (access(path, F_OK) != 0)
		return err_note(ERR_NOTFOUND, "there is none");
	e = idb_open(&d, path, IDB_WRITE);
	if (e != ERR_OK)
		return e;
	e = idb_get_int(&d, "version", &version);
	if (e == ERR_OK)
		e = idb_get_int(&d, "applied", &applied);
	if (e == ERR_OK)
		e = idb_get_blob(&d, "journal", journal, 16);
	idb_close(&d);
	if (e != ERR_OK)
		return e;
	if (version != INDEX_VERSION)
		return err_note(
		    ERR_VERSION, "it has form %lld", (long long)version);
	if (memcmp(journal, log_id(l), 16) != 0)
		return err_note(ERR_STATE, "it is of another journal");
	if ((uint64_t)applied >= log_next(l))
		return err_note(ERR_STATE,
		    "it knows record %lld, the journal ends before: was an "
		    "older journal put back?",
		    (long long)applied);
	if (applied > 0 && (uint64_t)applied + 1 < log_first(l))
		return err_note(ERR_STATE, "it is too old for this journal");
	return ERR_OK;
}

static enum err
rebuild_at(const char *dir, const char *path, struct log *l)
{
	int64_t from = clock_mono();
	uint64_t n = log_next(l) - log_first(l);
	char temp[PATH_MAX];
	enum err e;

	if (snprintf(temp, sizeof(temp), "%s.new", path) >= PATH_MAX)
		return err_note(ERR_RANGE, "the path of %s is too long", path);
	if (n > 0)
		say(SAY_INFO, "index", "making index.db anew: %s", err_last());
	e = index_rebuild(temp, l, 0);
	if (e != ERR_OK) {
		index_remove(temp);
		return e;
	}
	index_remove(path);
	if (rename(temp, path) != 0)
		return err_errno(ERR_IO, "cannot rename to %s", path);
	index_remove(temp);
	e = dir_sync(dir);
	if (e == ERR_OK && n > 0)
		say(SAY_INFO, "index", "%" PRIu64 " records in %lld ms", n,
		    (long long)((clock_mono() - from) / NS_PER_MS));
	return e;
}

static enum err
open_both(struct index *ix)
{
	enum err e = idb_open(&ix->write, ix->path, IDB_WRITE);

	if (e == ERR_OK)
		e = idb_open(&ix->read, ix->path, IDB_READ);
	return e == ERR_OK ? run_up(ix, 0, true) : e;
}

enum err
index_open(struct index **out, const char *dir, struct log *l)
{
	char path[PATH_MAX];
	struct index *ix;
	enum err e;

	if (snprintf(path, sizeof(path), "%s/index.db", dir) >= PATH_MAX)
		return err_note(ERR_RANGE, "the path of %s is too long", dir);
	for (int tries = 0;; tries++) {
		e = usable(path, l);
		if (e == ERR_FULL || e == ERR_NOMEM || e == ERR_BUSY)
			return e;
		if (e != ERR_OK || tries == 1) {
			e = rebuild_at(dir, path, l);
			if (e != ERR_OK)
				return e;
		}
		e = index_make(&ix, path, l);
		if (e != ERR_OK)
			return e;
		e = open_both(ix);
		if (e == ERR_OK)
			break;
		index_close(ix);
		/* One that opened and could not be read is made anew, once. */
		if (e != ERR_CORRUPT || tries > 0)
			return e;
	}
	*out = ix;
	return ERR_OK;
}

/* Of this form and this journal; that it may know more of it than was there a
 * moment ago does not matter. */
static enum err
same_journal(struct index *ix)
{
	uint8_t journal[16];
	int64_t version;
	enum err e = idb_get_int(&ix->read, "version", &version);

	if (e == ERR_OK)
		e = idb_get_blob(&ix->read, "journal", journal, 16);
	if (e != ERR_OK)
		return e;
	if (version == INDEX_VERSION && memcmp(journal, ix->journal, 16) == 0)
		return ERR_OK;
	return err_note(ERR_STATE,
	    "%s is of another version or journal; start the broker once, it "
	    "makes it anew",
	    ix->path);
}

enum err
index_open_beside(struct index **out, const char *dir, struct log *l)
{
	char path[PATH_MAX];
	struct index *ix;
	enum err e;

	if (snprintf(path, sizeof(path), "%s/index.db", dir) >= PATH_MAX)
		return err_note(ERR_RANGE, "the path of %s is too long", dir);
	if (access(path, F_OK) != 0)
		return err_note(ERR_NOTFOUND,
		    "%s is not there; start the broker once, it makes it",
		    path);
	e = index_make(&ix, path, l);
	if (e != ERR_OK)
		return e;
	e = idb_open(&ix->read, path, IDB_READ);
	if (e == ERR_OK)
		e = same_journal(ix);
	if (e == ERR_OK)
		e = run_up(ix, 0, false);
	if (e != ERR_OK) {
		index_close(ix);
		return e;
	}
	*out = ix;
	return ERR_OK;
}

uint64_t
index_pending(struct index *ix)
{
	uint64_t n;

	pthread_mutex_lock(&ix->mu);
	n = ix->active->records +
	    (ix->sealed != NULL ? ix->sealed->records : 0);
	pthread_mutex_unlock(&ix->mu);
	return n;
}
