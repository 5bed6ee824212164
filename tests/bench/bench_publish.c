/*
 * bench_publish - events confirmed after fdatasync through the whole bus: one
 * DEALER, then four, that pipeline PUBs of one 1 KiB event each, sealing on.
 * Beside it, in turn: NATS JetStream (asynchronous, without a sync; and one by
 * one), RabbitMQ (persistent, confirmed), bare SQLite (a row an event, as many
 * to a commit as the broker had, WAL, synchronous FULL), and the floor: the
 * same bytes by pwrite and fdatasync.
 *
 * `bench_publish profile N` publishes N events and nothing else (BENCH_WRAP).
 */
#include <pthread.h>
#include <sqlite3.h>

#include "tests/bench/peer.h"
#include "tests/bench/rig.h"

#define EVENTS 20000 /* a round */
#define SLOW 2000    /* a round of a peer that confirms one by one */
#define PRODUCERS 4

static const char *const names[PRODUCERS] = {"shop", "shop2", "shop3", "shop4"};
static struct client clients[PRODUCERS], op;
static uint64_t made; /* events over all rounds */

static void *
produce(void *arg)
{
	struct client *c = arg;

	client_publish(c, c->records, c->records_n);
	return NULL;
}

/* Confirmed events a second by so many producers. */
static double
round_vayla(int producers, size_t events)
{
	size_t each = events / (size_t)producers;
	pthread_t t[PRODUCERS];
	double begin;

	for (int i = 0; i < producers; i++) {
		client_hello(&clients[i]);
		clients[i].records = rig_events(names[i], made + 1, each);
		clients[i].records_n = each;
		made += each;
	}
	begin = bench_now();
	for (int i = 0; i < producers; i++)
		pthread_create(&t[i], NULL, produce, &clients[i]);
	for (int i = 0; i < producers; i++)
		pthread_join(t[i], NULL);
	begin = bench_now() - begin;
	for (int i = 0; i < producers; i++)
		rig_events_free(clients[i].records, each);
	return (double)each * producers / begin;
}

/* The same bytes, `batch` to a sync, preallocated. */
static double
round_floor(size_t batch)
{
	int fd = open(rig_path("floor"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint8_t *bytes = malloc(batch * RIG_BODY);
	off_t at = 0;
	double t;

	if (fd < 0 || bytes == NULL ||
	    posix_fallocate(fd, 0, (off_t)EVENTS * RIG_BODY) != 0 ||
	    fsync(fd) != 0)
		rig_die("floor");
	memset(bytes, 'x', batch * RIG_BODY);
	t = bench_now();
	for (size_t i = 0; i < EVENTS; i += batch) {
		size_t n = EVENTS - i < batch ? EVENTS - i : batch;

		if (pwrite(fd, bytes, n * RIG_BODY, at) < 0 ||
		    fdatasync(fd) != 0)
			rig_die("floor");
		at += (off_t)(n * RIG_BODY);
	}
	t = bench_now() - t;
	close(fd);
	free(bytes);
	return EVENTS / t;
}

static void
sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
}

static double
round_sqlite(sqlite3 *db, size_t batch)
{
	static uint64_t n;
	static uint8_t body[RIG_BODY];
	sqlite3_stmt *st;
	char text[48];
	double t;

	memset(body, 'x', sizeof(body));
	if (sqlite3_prepare_v2(db,
		"INSERT INTO event(id, subject, data) VALUES (?, ?, ?)", -1,
		&st, NULL) != SQLITE_OK)
		rig_die("sqlite");
	t = bench_now();
	for (size_t i = 0; i < EVENTS; i++, n++) {
		if (i % batch == 0)
			sql(db, "BEGIN");
		snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
		sqlite3_bind_text(st, 1, text, -1, SQLITE_TRANSIENT);
		snprintf(text, sizeof(text), "order:%llu",
		    (unsigned long long)(n % 5 == 0 ? n * 2654435761u % 3000
						    : n));
		sqlite3_bind_text(st, 2, text, -1, SQLITE_TRANSIENT);
		sqlite3_bind_blob(st, 3, body, RIG_BODY, SQLITE_STATIC);
		if (sqlite3_step(st) != SQLITE_DONE)
			rig_die("sqlite");
		sqlite3_reset(st);
		if ((i + 1) % batch == 0 || i + 1 == EVENTS)
			sql(db, "COMMIT");
	}
	t = bench_now() - t;
	sqlite3_finalize(st);
	return EVENTS / t;
}

/* Events the broker put into one sync, on average since the last question. */
static size_t
batch_now(void)
{
	static int64_t was_records, was_syncs;
	int64_t records, syncs;
	size_t batch = 1;

	client_hello(&op);
	records = client_status(&op, "journal", "records");
	syncs = client_status(&op, "journal", "syncs");
	if (syncs > was_syncs)
		batch = (size_t)((records - was_records) / (syncs - was_syncs));
	was_records = records;
	was_syncs = syncs;
	return batch > 0 ? batch : 1;
}

static double
rate_of(struct peer *p, const char *how, int n)
{
	char line[64];
	double us;

	snprintf(line, sizeof(line), "%s %d", how, n);
	us = peer_ask(p, line);
	return us > 0 ? 1e6 / us : 0;
}

enum { ONE, FOUR, NATS, NATS4, NATS_SYNC, RABBIT, LITE, FLOOR, WAYS };

static void
rounds(double r[WAYS][BENCH_ROUNDS], sqlite3 *db)
{
	char nats_dir[300], rabbit_dir[300], program[2][300];
	const char *nats[] = {program[0], nats_dir, NULL};
	const char *rabbit[] = {program[1], rabbit_dir, NULL};
	struct peer n, q;
	size_t batch;

	snprintf(nats_dir, sizeof(nats_dir), "%s", rig_path("nats"));
	snprintf(rabbit_dir, sizeof(rabbit_dir), "%s", rig_path("rabbitmq"));
	snprintf(program[0], sizeof(program[0]), "%s/nats", peer_folder());
	snprintf(program[1], sizeof(program[1]), "%s/rabbitmq", peer_folder());
	if (dir_make(nats_dir) != ERR_OK || dir_make(rabbit_dir) != ERR_OK)
		rig_die("folders");
	if (peer_start(&n, "NATS JetStream", nats))
		(void)rate_of(&n, "async 1", EVENTS);
	if (peer_start(&q, "RabbitMQ", rabbit))
		(void)rate_of(&q, "confirm 1", SLOW);
	(void)round_vayla(1, EVENTS); /* warm, all of them */
	(void)batch_now();
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		r[ONE][i] = round_vayla(1, EVENTS);
		batch = batch_now();
		r[NATS][i] = rate_of(&n, "async 1", EVENTS);
		r[FLOOR][i] = round_floor(batch);
		r[RABBIT][i] = rate_of(&q, "confirm 1", 2 * SLOW);
		r[FOUR][i] = round_vayla(PRODUCERS, EVENTS);
		r[NATS4][i] = rate_of(&n, "async 4", EVENTS);
		r[LITE][i] = round_sqlite(db, batch);
		r[NATS_SYNC][i] = rate_of(&n, "sync 1", SLOW);
		fprintf(stderr,
		    "round %d: %.0f/s, %zu to a sync; NATS %.0f/s\n", i + 1,
		    r[ONE][i], batch, r[NATS][i]);
	}
	peer_stop(&n);
	peer_stop(&q);
}

static void
compare(void)
{
	double r[WAYS][BENCH_ROUNDS] = {{0}}, m[WAYS];
	sqlite3 *db;

	if (sqlite3_open(rig_path("peer.db"), &db) != SQLITE_OK)
		rig_die("sqlite");
	sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"CREATE TABLE event(seq INTEGER PRIMARY KEY, id TEXT UNIQUE,"
		" subject TEXT, data BLOB) STRICT;"
		"CREATE INDEX by_subject ON event(subject, seq);");
	rounds(r, db);
	sqlite3_close(db);
	for (int i = 0; i < WAYS; i++)
		m[i] = bench_median(r[i], BENCH_ROUNDS);
	bench_line("publish_confirmed", m[ONE], "events/s",
	    "JetStream, async, no fsync", m[NATS]);
	bench_line("publish_confirmed", m[ONE], "events/s",
	    "JetStream, one by one, no fsync", m[NATS_SYNC]);
	bench_line("publish_confirmed", m[ONE], "events/s",
	    "RabbitMQ, persistent, confirms", m[RABBIT]);
	bench_line("publish_confirmed", m[ONE], "events/s",
	    "SQLite, a row an event", m[LITE]);
	bench_line("publish_confirmed", m[ONE], "events/s",
	    "the floor: pwrite+fdatasync", m[FLOOR]);
	bench_line("publish_confirmed_4", m[FOUR], "events/s",
	    "JetStream, async, no fsync", m[NATS4]);
}

int
main(int argc, char **argv)
{
	rig_open();
	rig_start("  shop: {use: toy}\n  shop2: {use: toy}\n"
		  "  shop3: {use: toy}\n  shop4: {use: toy}\n");
	for (int i = 0; i < PRODUCERS; i++)
		client_open(&clients[i], names[i], "connector");
	client_open(&op, "bench", "operator");
	if (argc == 3 && strcmp(argv[1], "profile") == 0)
		fprintf(stderr, "%.0f/s\n",
		    round_vayla(1, strtoul(argv[2], NULL, 10)));
	else
		compare();
	for (int i = 0; i < PRODUCERS; i++)
		client_close(&clients[i]);
	client_close(&op);
	rig_close();
	return 0;
}
