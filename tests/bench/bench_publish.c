/*
 * bench_publish - events confirmed after fdatasync through the whole bus: a
 * `vayla broker` of its own in a temporary folder, one DEALER that pipelines
 * PUBs of one 1 KiB event each, sealing on. Beside it, in turn: the floor (the
 * same bytes by pwrite and fdatasync, as many to a sync as the broker had) and
 * bare SQLite (a row an event, the same batches, WAL, synchronous FULL).
 *
 * Subjects: orders ascending, every fifth event a SKU, every tenth a late
 * update of an earlier order.
 */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/base/file.h"
#include "broker/wire/access.h"
#include "broker/wire/frame.h"
#include "tests/bench/bench.h"

#define EVENTS 20000 /* a round */
#define BODY 1024
#define WINDOW 1000 /* PUBs on their way; the broker says how many it takes */

static char dir[] = "/tmp/vayla-bench.XXXXXX";
static char path[256];
static pid_t broker;
static uint64_t made; /* events over all rounds */

static void
die(const char *what)
{
	fprintf(stderr, "bench_publish: %s: %s\n", what, err_last());
	if (broker > 0)
		kill(broker, SIGKILL);
	exit(1);
}

static const char *
in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
put(const char *name, const char *text)
{
	char folder[256];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", in_dir(name));
	slash = strrchr(folder, '/');
	*slash = '\0';
	if (dir_make(folder) != ERR_OK ||
	    file_write(in_dir(name), slice_str(text), 0600) != ERR_OK)
		die(name);
}

static void
start(void)
{
	const char *build = getenv("VAYLA_BUILD");
	char config[1024], program[256];

	if (mkdtemp(dir) == NULL)
		die("mkdtemp");
	snprintf(config, sizeof(config),
	    "broker:\n  data: %s/data\n  bus: \"ipc://%s/bus.sock\"\n"
	    "  console: http://127.0.0.1:%d\n  packs: %s/packs\n"
	    "systems:\n  shop: {use: toy}\n",
	    dir, dir, 20000 + (int)getpid() % 20000, dir);
	put("vayla.yaml", config);
	put("packs/toy/pack.yaml", "pack: toy/1\ntitle: Toy\n");
	put("packs/toy/schema/toy.event.yaml",
	    "schema: toy.event/1\nopen: true\nfields:\n  n: integer\n");
	put("packs/canonical/order.placed.yaml",
	    "schema: order.placed/1\nsubject: {kind: order, scope: system}\n"
	    "fields:\n  number: text\n");
	snprintf(program, sizeof(program), "%s/vayla",
	    build != NULL ? build : "build");
	broker = fork();
	if (broker == 0) {
		int log = open(
		    in_dir("broker.log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(log, 1);
		dup2(log, 2);
		execl(program, program, "broker", in_dir("vayla.yaml"),
		    (char *)NULL);
		_exit(127);
	}
}

static void
send3(void *s, enum verb v, struct slice header, struct slice blob)
{
	struct buf first;

	buf_init(&first, 64);
	verb_write(&first, v);
	if (zmq_send(s, first.p, first.n, ZMQ_SNDMORE) < 0 ||
	    zmq_send(s, header.p, header.n, blob.n > 0 ? ZMQ_SNDMORE : 0) < 0 ||
	    (blob.n > 0 && zmq_send(s, blob.p, blob.n, 0) < 0))
		die("send");
	buf_fini(&first);
}

/* One message's verb and header; the blob is dropped. */
static enum verb
receive(void *s, struct buf *header)
{
	enum verb v = VERB_COUNT;
	int more = 1;
	size_t size = sizeof(more);
	zmq_msg_t m;

	buf_reset(header);
	for (int i = 0; more; i++) {
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, s, 0) < 0)
			die("the broker does not answer; see its log");
		if (i == 0)
			v = verb_read(
			    slice_of(zmq_msg_data(&m), zmq_msg_size(&m)));
		else if (i == 1)
			buf_put(header, zmq_msg_data(&m), zmq_msg_size(&m));
		zmq_msg_close(&m);
		zmq_getsockopt(s, ZMQ_RCVMORE, &more, &size);
	}
	return v;
}

static void
hello(void *s, struct buf *header, int64_t *window)
{
	struct buf h;

	buf_init(&h, 256);
	mp_put_map(&h, 3);
	mp_put_cstr(&h, "v");
	mp_put_int(&h, 1);
	mp_put_cstr(&h, "name");
	mp_put_cstr(&h, "shop");
	mp_put_cstr(&h, "role");
	mp_put_cstr(&h, "connector");
	send3(s, VERB_HELLO, buf_all(&h), SLICE_EMPTY);
	if (receive(s, header) != VERB_WELCOME ||
	    !mp_get_int(buf_all(header), "window", window))
		die("no WELCOME");
	buf_fini(&h);
}

static void
make_event(struct buf *blob, uint64_t n)
{
	static uint8_t noise[BODY];
	char id[32], subject[48];
	struct event e = {0};
	struct buf data, body;

	if (noise[0] == 0)
		for (size_t i = 0; i < BODY; i++)
			noise[i] = (uint8_t)('a' + (i * 7 + i / 26) % 26);
	buf_init(&data, 4096);
	buf_init(&body, 8192);
	mp_put_map(&data, 2);
	mp_put_cstr(&data, "n");
	mp_put_uint(&data, n);
	mp_put_cstr(&data, "text");
	mp_put_str(&data, slice_of(noise, BODY - 150));
	snprintf(id, sizeof(id), "%llu", (unsigned long long)n);
	if (n % 5 == 0)
		snprintf(subject, sizeof(subject), "sku:A-%llu",
		    (unsigned long long)(n * 2654435761u % 3000));
	else
		snprintf(subject, sizeof(subject), "order:%llu",
		    (unsigned long long)(n % 10 == 3 && n > 5000 ? n - 5000
								 : n));
	e.id = slice_str(id);
	e.source = SLICE_LIT("shop");
	e.type = SLICE_LIT("toy.event");
	e.subject = slice_str(subject);
	e.data = buf_all(&data);
	event_write(&body, &e);
	record_write(blob, REC_EVENT, buf_all(&body));
	buf_fini(&data);
	buf_fini(&body);
}

/* Confirmed events a second. */
static double
round_vayla(void *s, struct buf *header, int64_t window, uint64_t *pub_n)
{
	struct buf *blobs = calloc(EVENTS, sizeof(*blobs));
	uint64_t first = *pub_n, sent = 0, done = 0;
	struct buf h;
	double t;

	if (window > WINDOW)
		window = WINDOW;
	for (size_t i = 0; i < EVENTS; i++) {
		buf_init(&blobs[i], 8192);
		make_event(&blobs[i], ++made);
	}
	buf_init(&h, 256);
	t = bench_now();
	while (done < EVENTS) {
		while (sent < EVENTS && (int64_t)(sent - done) < window) {
			buf_reset(&h);
			mp_put_map(&h, 2);
			mp_put_cstr(&h, "n");
			mp_put_uint(&h, first + sent);
			mp_put_cstr(&h, "count");
			mp_put_int(&h, 1);
			send3(s, VERB_PUB, buf_all(&h), buf_all(&blobs[sent]));
			sent++;
		}
		switch (receive(s, header)) {
		case VERB_PUBOK: {
			int64_t upto;

			if (!mp_get_int(buf_all(header), "upto", &upto))
				die("PUBOK without upto");
			done = (uint64_t)upto - first + 1;
			break;
		}
		case VERB_PONG:
			break;
		default:
			die("refused");
		}
	}
	t = bench_now() - t;
	*pub_n = first + EVENTS;
	for (size_t i = 0; i < EVENTS; i++)
		buf_fini(&blobs[i]);
	free(blobs);
	buf_fini(&h);
	return EVENTS / t;
}

/* The same bytes, `batch` to a sync, preallocated. */
static double
round_floor(size_t batch)
{
	int fd = open(in_dir("floor"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint8_t *bytes = malloc(batch * BODY);
	off_t at = 0;
	double t;

	if (fd < 0 || bytes == NULL ||
	    posix_fallocate(fd, 0, (off_t)EVENTS * BODY) != 0 || fsync(fd) != 0)
		die("floor");
	memset(bytes, 'x', batch * BODY);
	t = bench_now();
	for (size_t i = 0; i < EVENTS; i += batch) {
		size_t n = EVENTS - i < batch ? EVENTS - i : batch;

		if (pwrite(fd, bytes, n * BODY, at) < 0 || fdatasync(fd) != 0)
			die("floor");
		at += (off_t)(n * BODY);
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
	static uint8_t body[BODY];
	sqlite3_stmt *st;
	char text[48];
	double t;

	memset(body, 'x', sizeof(body));
	if (sqlite3_prepare_v2(db,
		"INSERT INTO event(id, subject, data) VALUES (?, ?, ?)", -1,
		&st, NULL) != SQLITE_OK)
		die("sqlite");
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
		sqlite3_bind_blob(st, 3, body, BODY, SQLITE_STATIC);
		if (sqlite3_step(st) != SQLITE_DONE)
			die("sqlite");
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
batch_now(void *op, struct buf *header)
{
	static int64_t was_records, was_syncs;
	int64_t records = 0, syncs = 0;
	struct slice journal;
	struct buf q, h, answer;
	int more = 1;
	size_t size = sizeof(more), batch;
	zmq_msg_t m;

	buf_init(&q, 256);
	buf_init(&h, 256);
	buf_init(&answer, 1 << 24);
	mp_put_map(&q, 1);
	mp_put_cstr(&q, "query");
	mp_put_cstr(&q, "status");
	mp_put_map(&h, 1);
	mp_put_cstr(&h, "id");
	mp_put_int(&h, 1);
	send3(op, VERB_ASK, buf_all(&h), buf_all(&q));
	for (int i = 0; more; i++) {
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, op, 0) < 0)
			die("status");
		if (i == 2)
			buf_put(&answer, zmq_msg_data(&m), zmq_msg_size(&m));
		zmq_msg_close(&m);
		zmq_getsockopt(op, ZMQ_RCVMORE, &more, &size);
	}
	(void)header;
	if (mp_get(buf_all(&answer), "journal", &journal)) {
		(void)mp_get_int(journal, "records", &records);
		(void)mp_get_int(journal, "syncs", &syncs);
	}
	batch = syncs > was_syncs
		    ? (size_t)((records - was_records) / (syncs - was_syncs))
		    : 1;
	was_records = records;
	was_syncs = syncs;
	buf_fini(&q);
	buf_fini(&h);
	buf_fini(&answer);
	return batch > 0 ? batch : 1;
}

static void
operator_hello(void *s, struct buf *header)
{
	struct buf h;

	buf_init(&h, 256);
	mp_put_map(&h, 3);
	mp_put_cstr(&h, "v");
	mp_put_int(&h, 1);
	mp_put_cstr(&h, "name");
	mp_put_cstr(&h, "bench");
	mp_put_cstr(&h, "role");
	mp_put_cstr(&h, "operator");
	send3(s, VERB_HELLO, buf_all(&h), SLICE_EMPTY);
	if (receive(s, header) != VERB_WELCOME)
		die("no WELCOME for the operator");
	buf_fini(&h);
}

/* The broker that was just started has made them. */
static void
show_keys(void *socket, const char *user)
{
	struct access_keys k;
	char access[256];

	snprintf(access, sizeof(access), "%s/data/access", dir);
	for (int i = 0; access_client(access, user, &k) != ERR_OK; i++) {
		if (i == 200)
			die(err_last());
		usleep(50000);
	}
	if (access_set(socket, &k) != ERR_OK)
		die(err_last());
	access_wipe(&k);
}

int
main(void)
{
	double ours[BENCH_ROUNDS], floors[BENCH_ROUNDS], lites[BENCH_ROUNDS];
	void *ctx = zmq_ctx_new(), *s, *op;
	char address[256], clean[300];
	int timeout = 20000, hwm = 0;
	uint64_t pub_n = 1;
	struct buf header;
	int64_t window;
	sqlite3 *db;
	size_t batch;

	start();
	buf_init(&header, 1 << 20);
	snprintf(address, sizeof(address), "ipc://%s/bus.sock", dir);
	s = zmq_socket(ctx, ZMQ_DEALER);
	op = zmq_socket(ctx, ZMQ_DEALER);
	zmq_setsockopt(s, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
	zmq_setsockopt(op, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
	zmq_setsockopt(s, ZMQ_SNDHWM, &hwm, sizeof(hwm));
	show_keys(s, "shop");
	show_keys(op, ACCESS_OPERATOR);
	zmq_connect(s, address);
	zmq_connect(op, address);
	hello(s, &header, &window);
	operator_hello(op, &header);
	if (sqlite3_open(in_dir("peer.db"), &db) != SQLITE_OK)
		die("sqlite");
	sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"CREATE TABLE event(seq INTEGER PRIMARY KEY, id TEXT UNIQUE,"
		" subject TEXT, data BLOB) STRICT;"
		"CREATE INDEX by_subject ON event(subject, seq);");
	(void)round_vayla(s, &header, window, &pub_n); /* warm-up */
	batch = batch_now(op, &header);
	for (int r = 0; r < BENCH_ROUNDS; r++) {
		ours[r] = round_vayla(s, &header, window, &pub_n);
		batch = batch_now(op, &header);
		floors[r] = round_floor(batch);
		lites[r] = round_sqlite(db, batch);
		fprintf(stderr,
		    "round %d: %.0f/s, floor %.0f/s, sqlite %.0f/s, "
		    "%zu to a sync\n",
		    r + 1, ours[r], floors[r], lites[r], batch);
	}
	{
		double o = bench_median(ours, BENCH_ROUNDS);

		bench_line("publish_confirmed", o, "events/s",
		    "pwrite+fdatasync", bench_median(floors, BENCH_ROUNDS));
		bench_line("publish_confirmed", o, "events/s", "sqlite",
		    bench_median(lites, BENCH_ROUNDS));
	}
	sqlite3_close(db);
	kill(broker, SIGTERM);
	waitpid(broker, NULL, 0);
	zmq_close(s);
	zmq_close(op);
	snprintf(clean, sizeof(clean), "rm -rf %s", dir);
	return system(clean) != 0;
}
