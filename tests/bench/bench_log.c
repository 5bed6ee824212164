/*
 * bench_log - turns of 1 to 64 records of 1 KiB through log_append(), beside
 * the same bytes by pwrite and fdatasync into a file of zeros (the floor: what
 * the disk gives), and beside bare SQLite, a row an event, the same batches,
 * WAL and synchronous FULL. In turn, medians of seven rounds, records a second.
 *
 * And the fold: records a second into the memtable and into index.db, beside
 * SQLite's own rate for a row of the same bytes a record.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/core/index.h"
#include "broker/core/log.h"
#include "tests/bench/bench.h"

#define BODY 1024
#define SYNCS 400  /* turns of a round */
#define FOLD 60000 /* events of the fold's journal */

static char dir[200];

static void
die(const char *what)
{
	fprintf(stderr, "bench_log: %s: %s\n", what, err_last());
	exit(1);
}

static const char *
in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
make_folder(const char *name)
{
	if (dir_make(in_dir(name)) != ERR_OK)
		die(name);
}

/* An event whose record is about BODY bytes. */
static void
write_event(struct buf *out, uint64_t n)
{
	static uint8_t body[BODY - 190];
	static struct event e;
	char id[32], subject[48];

	memcpy(body, &n, sizeof(n));
	event_init(&e);
	snprintf(id, sizeof(id), "%016llx",
	    (unsigned long long)(n * UINT64_C(0x9e3779b97f4a7c15)));
	snprintf(subject, sizeof(subject), "order:shop/%llu",
	    (unsigned long long)(n / 4));
	e.id = slice_str(id);
	e.source = SLICE_LIT("shop");
	e.type = n % 4 == 0 ? SLICE_LIT("woocommerce.order")
			    : SLICE_LIT("order.placed");
	e.subject = slice_str(subject);
	e.revision = 1;
	e.digest = SLICE_LIT("0123456789abcdef0123456789abcdef");
	memset(body, (int)(n / 4 % 200) + 1, 1);
	memset(body + 1, 0, 3); /* the slot's other bytes */
	e.sealed = slice_of(body, sizeof(body));
	buf_reset(out);
	event_write(out, &e);
}

/* ---- appending ---- */

static uint64_t made;

static double
by_log(struct log *l, int batch)
{
	struct turn t;
	struct buf b;
	uint64_t seq;
	double from, spent = 0;

	turn_init(&t);
	buf_init(&b, 1 << 20);
	for (int i = 0; i < SYNCS; i++) {
		turn_reset(&t);
		for (int k = 0; k < batch; k++) {
			write_event(&b, made++);
			turn_add(&t, REC_EVENT, buf_all(&b));
		}
		from = bench_now();
		if (log_append(l, &t, clock_now(), &seq) != ERR_OK)
			die("log_append");
		spent += bench_now() - from;
	}
	turn_fini(&t);
	buf_fini(&b);
	return SYNCS * batch / spent;
}

static double
by_floor(int fd, uint64_t *at, int batch)
{
	static uint8_t bytes[64 * BODY + 64];
	size_t n = (size_t)batch * BODY + 32;
	double from, spent = 0;

	for (int i = 0; i < SYNCS; i++) {
		memset(bytes, i + 1, n);
		if (*at + n > 64 * 1024 * 1024)
			*at = 0;
		from = bench_now();
		if (pwrite(fd, bytes, n, (off_t)*at) != (ssize_t)n ||
		    fdatasync(fd) != 0)
			die("pwrite");
		spent += bench_now() - from;
		*at += n;
	}
	return SYNCS * batch / spent;
}

static double
by_sqlite(sqlite3 *db, sqlite3_stmt *s, int batch)
{
	double from, spent = 0;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < SYNCS; i++) {
		from = bench_now();
		sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
		spent += bench_now() - from;
		for (int k = 0; k < batch; k++) {
			write_event(&b, made++);
			from = bench_now();
			sqlite3_bind_blob(s, 1, b.p, (int)b.n, SQLITE_STATIC);
			if (sqlite3_step(s) != SQLITE_DONE)
				die(sqlite3_errmsg(db));
			sqlite3_reset(s);
			spent += bench_now() - from;
		}
		from = bench_now();
		if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			die(sqlite3_errmsg(db));
		spent += bench_now() - from;
	}
	buf_fini(&b);
	return SYNCS * batch / spent;
}

static int
zero_file(void)
{
	uint8_t *zero = calloc(1, 1 << 20);
	int fd = open(in_dir("floor"), O_RDWR | O_CREAT, 0600);

	for (int i = 0; i < 64 && fd >= 0; i++)
		if (pwrite(fd, zero, 1 << 20, (off_t)i << 20) != 1 << 20)
			die("pwrite");
	free(zero);
	if (fd < 0 || fsync(fd) != 0)
		die("floor");
	return fd;
}

static sqlite3 *
sqlite_new(const char *name, sqlite3_stmt **s)
{
	sqlite3 *db;

	if (sqlite3_open(in_dir(name), &db) != SQLITE_OK ||
	    sqlite3_exec(db,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		"CREATE TABLE event(seq INTEGER PRIMARY KEY, body BLOB)",
		NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "INSERT INTO event(body) VALUES(?)", -1, s,
		NULL) != SQLITE_OK)
		die("sqlite");
	return db;
}

static void
appending(void)
{
	static const int batches[] = {1, 4, 16, 64};
	double log_rate[BENCH_ROUNDS], floor_rate[BENCH_ROUNDS],
	    sqlite_rate[BENCH_ROUNDS];
	sqlite3_stmt *s;
	uint64_t at = 0;
	sqlite3 *db;
	struct log *l;
	char name[64];
	int fd;

	make_folder("append");
	if (log_open(&l, in_dir("append"), SURVIVES_POWER_LOSS) != ERR_OK)
		die("log_open");
	fd = zero_file();
	db = sqlite_new("rows.db", &s);
	for (int b = 0; b < 4; b++) {
		for (int r = 0; r < BENCH_ROUNDS; r++) {
			log_rate[r] = by_log(l, batches[b]);
			floor_rate[r] = by_floor(fd, &at, batches[b]);
			sqlite_rate[r] = by_sqlite(db, s, batches[b]);
		}
		snprintf(name, sizeof(name), "log_append_%d", batches[b]);
		double ours = bench_median(log_rate, BENCH_ROUNDS);

		bench_line(name, ours, "records/s", "pwrite+fdatasync",
		    bench_median(floor_rate, BENCH_ROUNDS));
		bench_line(name, ours, "records/s", "sqlite_row_an_event",
		    bench_median(sqlite_rate, BENCH_ROUNDS));
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	close(fd);
	log_close(l);
}

/* ---- the fold ---- */

static void
fold_journal(struct log *l)
{
	struct turn t;
	struct buf b;
	uint64_t seq;

	turn_init(&t);
	buf_init(&b, 1 << 20);
	for (uint64_t n = 0; n < FOLD;) {
		turn_reset(&t);
		for (int k = 0; k < 200; k++) {
			write_event(&b, n++);
			turn_add(&t, REC_EVENT, buf_all(&b));
		}
		if (log_append(l, &t, clock_now(), &seq) != ERR_OK)
			die("log_append");
	}
	turn_fini(&t);
	buf_fini(&b);
}

static double
by_rebuild(struct log *l)
{
	struct index *ix;
	double from;

	unlink(in_dir("fold/index.db"));
	from = bench_now();
	if (index_open(&ix, in_dir("fold"), l) != ERR_OK)
		die("index_open");
	index_close(ix);
	return FOLD / (bench_now() - from);
}

/* The same records as rows of (source, id, subject, type, seq), by primary key
 * of (source, id), in one transaction: what a table would take. */
static double
by_table(struct log *l)
{
	struct log_reader *r;
	struct log_record rec;
	static struct event e;
	sqlite3_stmt *s;
	sqlite3 *db;
	double from;

	unlink(in_dir("table.db"));
	if (sqlite3_open(in_dir("table.db"), &db) != SQLITE_OK ||
	    sqlite3_exec(db,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
		"CREATE TABLE event(source, id, subject, type, seq,"
		" PRIMARY KEY(source, id)) WITHOUT ROWID;"
		"CREATE INDEX by_subject ON event(subject, type, seq); BEGIN",
		NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db,
		"INSERT OR REPLACE INTO event VALUES(?, ?, ?, ?, ?)", -1, &s,
		NULL) != SQLITE_OK ||
	    log_reader_new(&r, l) != ERR_OK)
		die("sqlite");
	from = bench_now();
	for (uint64_t seq = 1; seq < log_next(l); seq++) {
		struct slice text[4];

		if (log_read(r, seq, &rec) != ERR_OK ||
		    event_read(rec.body, &e) != ERR_OK)
			die("log_read");
		text[0] = e.source;
		text[1] = e.id;
		text[2] = e.subject;
		text[3] = e.type;
		for (int i = 0; i < 4; i++)
			sqlite3_bind_text(s, i + 1, (const char *)text[i].p,
			    (int)text[i].n, SQLITE_STATIC);
		sqlite3_bind_int64(s, 5, (int64_t)seq);
		if (sqlite3_step(s) != SQLITE_DONE)
			die(sqlite3_errmsg(db));
		sqlite3_reset(s);
	}
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	from = bench_now() - from;
	sqlite3_finalize(s);
	sqlite3_close(db);
	log_reader_free(r);
	return FOLD / from;
}

static void
folding(void)
{
	double ours[5], table[5];
	struct log *l;

	make_folder("fold");
	if (log_open(&l, in_dir("fold"), SURVIVES_POWER_LOSS) != ERR_OK)
		die("log_open");
	fold_journal(l);
	for (int r = 0; r < 5; r++) {
		ours[r] = by_rebuild(l);
		table[r] = by_table(l);
	}
	log_close(l);
	bench_line("index_fold", bench_median(ours, 5), "records/s",
	    "sqlite_table_by_id", bench_median(table, 5));
}

/* One fold, for a profiler: `bench_log profile`. */
static void
fold_once(void)
{
	struct log *l;

	make_folder("fold");
	if (log_open(&l, in_dir("fold"), SURVIVES_POWER_LOSS) != ERR_OK)
		die("log_open");
	fold_journal(l);
	fprintf(stderr, "%.0f/s\n", by_rebuild(l));
	log_close(l);
}

int
main(int argc, char **argv)
{
	char command[256];

	snprintf(dir, sizeof(dir), "%s/vayla-bench.XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/var/tmp");
	if (mkdtemp(dir) == NULL)
		die("mkdtemp");
	if (argc == 2 && strcmp(argv[1], "profile") == 0) {
		fold_once();
	} else {
		appending();
		folding();
	}
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command) == 0 ? 0 : 1;
}
