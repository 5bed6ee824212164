/*
 * rig - a `vayla broker` of its own in a temporary folder, and a client of the
 * bus as small as can be (PROTOCOL.md), for the programs that measure it. What
 * fails ends the program, and with it the broker; the folder goes with it.
 *
 * Events are a mix as a merchant's are: orders ascending, every fifth a SKU,
 * every tenth a late update of an earlier order; 1 KiB with their envelope.
 *
 * BENCH_WRAP="valgrind --tool=callgrind" stands before the broker's command.
 */
#ifndef VAYLA_TESTS_BENCH_RIG_H
#define VAYLA_TESTS_BENCH_RIG_H

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/base/file.h"
#include "broker/wire/access.h"
#include "broker/wire/frame.h"
#include "tests/bench/bench.h"

#define RIG_BODY 1024
#define RIG_PATIENCE 120 /* seconds without an answer */
#define RIG_WINDOW \
	1000 /* PUBs on their way; the broker says how many it takes */

struct rig {
	char dir[200];
	char bus[256]; /* address */
	pid_t broker;
	void *ctx;
};
static struct rig rig;

static inline void
rig_clean(void)
{
	char command[256];

	if (rig.broker > 0) {
		kill(rig.broker, SIGKILL);
		waitpid(rig.broker, NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -rf '%s'", rig.dir);
	if (rig.dir[0] != '\0' && system(command) != 0)
		fprintf(stderr, "%s is left\n", rig.dir);
}

static _Noreturn inline void
rig_die(const char *what)
{
	char command[300];

	fprintf(stderr, "bench: %s: %s\n", what, err_last());
	snprintf(
	    command, sizeof(command), "tail -n 5 '%s/broker.log' >&2", rig.dir);
	if (system(command) != 0)
		fprintf(stderr, "(no log)\n");
	rig_clean();
	exit(1);
}

static inline const char *
rig_path(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
	return path;
}

static inline void
rig_put(const char *name, const char *text)
{
	char folder[300];

	snprintf(folder, sizeof(folder), "%s", rig_path(name));
	*strrchr(folder, '/') = '\0';
	if (dir_make(folder) != ERR_OK ||
	    file_write(rig_path(name), slice_str(text), 0600) != ERR_OK)
		rig_die(name);
}

/* The folder, and packs of a shop whose events nobody maps. */
static inline void
rig_open(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(rig.dir, sizeof(rig.dir), "%s/vayla-bench.XXXXXX",
	    tmp != NULL ? tmp : "/var/tmp");
	if (mkdtemp(rig.dir) == NULL)
		rig_die("mkdtemp");
	snprintf(rig.bus, sizeof(rig.bus), "ipc://%s/bus.sock", rig.dir);
	rig.ctx = zmq_ctx_new();
	rig_put("packs/toy/pack.yaml", "pack: toy/1\ntitle: Toy\n");
	rig_put("packs/toy/schema/toy.event.yaml",
	    "schema: toy.event/1\nopen: true\nfields:\n  n: integer\n");
	rig_put("packs/canonical/order.placed.yaml",
	    "schema: order.placed/1\n"
	    "subject: {kind: order, scope: system}\n"
	    "fields:\n  number: text\n  total: decimal\n");
}

/* `systems` is YAML, two spaces in. */
static inline void
rig_start(const char *systems)
{
	const char *build = getenv("VAYLA_BUILD"), *wrap = getenv("BENCH_WRAP");
	static char config[256 * 1024];
	char command[1024];

	snprintf(config, sizeof(config),
	    "broker:\n  data: %s/data\n  bus: \"%s\"\n"
	    "  console: http://127.0.0.1:%d\n  packs: %s/packs\n"
	    "systems:\n%s",
	    rig.dir, rig.bus, 20000 + (int)getpid() % 20000, rig.dir, systems);
	rig_put("vayla.yaml", config);
	snprintf(command, sizeof(command),
	    "exec %s %s/vayla broker '%s/vayla.yaml'", wrap != NULL ? wrap : "",
	    build != NULL ? build : "build", rig.dir);
	rig.broker = fork();
	if (rig.broker == 0) {
		int log = open(rig_path("broker.log"),
		    O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, 1);
		dup2(log, 2);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
}

static inline void
rig_stop(void)
{
	kill(rig.broker, SIGTERM);
	waitpid(rig.broker, NULL, 0);
	rig.broker = 0;
}

static inline void
rig_close(void)
{
	if (rig.broker > 0)
		rig_stop();
	rig_clean();
}

/* ---- the bus ---- */

static inline void
rig_send(void *s, enum verb v, struct slice header, struct slice blob)
{
	uint8_t bytes[16];
	struct buf first;

	buf_init(&first, sizeof(bytes));
	verb_write(&first, v);
	if (zmq_send(s, first.p, first.n, ZMQ_SNDMORE) < 0 ||
	    zmq_send(s, header.p, header.n, blob.n > 0 ? ZMQ_SNDMORE : 0) < 0 ||
	    (blob.n > 0 && zmq_send(s, blob.p, blob.n, 0) < 0))
		rig_die("send");
	buf_fini(&first);
}

/* One message: verb, header and blob, which are the socket's until the next. */
static inline enum verb
rig_receive(void *s, struct buf *header, struct buf *blob)
{
	enum verb v = VERB_COUNT;
	int more = 1;
	size_t size = sizeof(more);
	zmq_msg_t m;

	buf_reset(header);
	buf_reset(blob);
	for (int i = 0; more; i++) {
		struct slice part;

		zmq_msg_init(&m);
		for (int wait = 0; zmq_msg_recv(&m, s, 0) < 0; wait++) {
			if (waitpid(rig.broker, NULL, WNOHANG) != 0)
				rig.broker = 0;
			if (rig.broker == 0 || wait == RIG_PATIENCE)
				rig_die("the broker does not answer");
		}
		part = slice_of(zmq_msg_data(&m), zmq_msg_size(&m));
		if (i == 0)
			v = verb_read(part);
		else
			buf_slice(i == 1 ? header : blob, part);
		zmq_msg_close(&m);
		zmq_getsockopt(s, ZMQ_RCVMORE, &more, &size);
	}
	if (v == VERB_ERR || v == VERB_PUBNO) {
		struct slice text = SLICE_EMPTY;

		(void)mp_get_str(buf_all(header), "text", &text);
		fprintf(stderr, "%s: %.*s\n", verb_name(v), SLICE_ARG(text));
		rig_die("refused");
	}
	return v;
}

struct client {
	void *s;
	const char *name, *role;
	struct buf header, blob, out;
	int64_t window;
	uint64_t next; /* PUB's n */
	uint64_t sent, done;
	struct buf *records; /* what a thread is to publish */
	size_t records_n;
};

/* A session; anew before a round, since silence ends one. */
static inline void
client_hello(struct client *c)
{
	buf_reset(&c->out);
	mp_put_map(&c->out, 3);
	mp_put_cstr(&c->out, "v");
	mp_put_int(&c->out, 1);
	mp_put_cstr(&c->out, "name");
	mp_put_cstr(&c->out, c->name);
	mp_put_cstr(&c->out, "role");
	mp_put_cstr(&c->out, c->role);
	rig_send(c->s, VERB_HELLO, buf_all(&c->out), SLICE_EMPTY);
	while (rig_receive(c->s, &c->header, &c->blob) != VERB_WELCOME)
		; /* of the session before */
	if (!mp_get_int(buf_all(&c->header), "window", &c->window))
		rig_die("no WELCOME");
	if (c->window > RIG_WINDOW)
		c->window = RIG_WINDOW;
	c->next = 1;
}

/* The keys of its name, which the broker makes when it starts. */
static inline void
client_keys(struct client *c)
{
	const char *user =
	    strcmp(c->role, "operator") == 0 ? ACCESS_OPERATOR : c->name;
	struct access_keys k;
	char folder[300];

	snprintf(folder, sizeof(folder), "%s", rig_path("data/access"));
	for (int i = 0; access_client(folder, user, &k) != ERR_OK; i++) {
		if (i == 1200)
			rig_die("keys");
		usleep(50000);
	}
	if (access_set(c->s, &k) != ERR_OK)
		rig_die("keys");
	access_wipe(&k);
}

static inline void
client_open(struct client *c, const char *name, const char *role)
{
	int timeout = 1000, hwm = 0, linger = 0;

	*c = (struct client){.name = name, .role = role};
	c->s = zmq_socket(rig.ctx, ZMQ_DEALER);
	buf_init(&c->header, 1 << 20);
	buf_init(&c->blob, 1 << 24);
	buf_init(&c->out, 4096);
	zmq_setsockopt(c->s, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
	zmq_setsockopt(c->s, ZMQ_SNDHWM, &hwm, sizeof(hwm));
	zmq_setsockopt(c->s, ZMQ_LINGER, &linger, sizeof(linger));
	client_keys(c);
	if (zmq_connect(c->s, rig.bus) != 0)
		rig_die("connect");
	client_hello(c);
}

static inline void
client_close(struct client *c)
{
	zmq_close(c->s);
	buf_fini(&c->header);
	buf_fini(&c->blob);
	buf_fini(&c->out);
}

static inline void
client_pub(struct client *c, struct slice records, int count)
{
	buf_reset(&c->out);
	mp_put_map(&c->out, 2);
	mp_put_cstr(&c->out, "n");
	mp_put_uint(&c->out, c->next++);
	mp_put_cstr(&c->out, "count");
	mp_put_int(&c->out, count);
	rig_send(c->s, VERB_PUB, buf_all(&c->out), records);
	c->sent++;
}

/* What the message just received confirms. */
static inline void
client_confirmed(struct client *c)
{
	int64_t upto;

	if (!mp_get_int(buf_all(&c->header), "upto", &upto))
		rig_die("PUBOK without upto");
	c->done = c->sent - (c->next - 1 - (uint64_t)upto);
}

/* n PUBs of one record each, pipelined, until all are confirmed. */
static inline void
client_publish(struct client *c, const struct buf *records, size_t n)
{
	size_t at = 0;

	c->sent = c->done = 0;
	while (c->done < n) {
		while (at < n && (int64_t)(c->sent - c->done) < c->window)
			client_pub(c, buf_all(&records[at++]), 1);
		if (rig_receive(c->s, &c->header, &c->blob) == VERB_PUBOK)
			client_confirmed(c);
	}
}

/* A status number below "journal" or "counts". */
static inline int64_t
client_status(struct client *c, const char *part, const char *name)
{
	struct slice in;
	int64_t n = 0;
	struct buf q;

	buf_init(&q, 256);
	mp_put_map(&q, 1);
	mp_put_cstr(&q, "query");
	mp_put_cstr(&q, "status");
	buf_reset(&c->out);
	mp_put_map(&c->out, 1);
	mp_put_cstr(&c->out, "id");
	mp_put_int(&c->out, 1);
	rig_send(c->s, VERB_ASK, buf_all(&c->out), buf_all(&q));
	while (rig_receive(c->s, &c->header, &c->blob) != VERB_REPLY)
		;
	if (mp_get(buf_all(&c->blob), part, &in))
		(void)mp_get_int(in, name, &n);
	buf_fini(&q);
	return n;
}

/* ---- events ---- */

/* The n-th of `source`: a record in *blob. */
static inline void
rig_event(struct buf *blob, const char *source, uint64_t n)
{
	static uint8_t noise[RIG_BODY];
	char id[32], subject[48];
	struct event e = {0};
	struct buf data, body;

	if (noise[0] == 0)
		for (size_t i = 0; i < RIG_BODY; i++)
			noise[i] = (uint8_t)('a' + (i * 7 + i / 26) % 26);
	buf_init(&data, 4096);
	buf_init(&body, 8192);
	mp_put_map(&data, 2);
	mp_put_cstr(&data, "n");
	mp_put_uint(&data, n);
	mp_put_cstr(&data, "text");
	mp_put_str(&data, slice_of(noise, RIG_BODY - 150));
	snprintf(id, sizeof(id), "%llu", (unsigned long long)n);
	if (n % 5 == 0)
		snprintf(subject, sizeof(subject), "sku:A-%llu",
		    (unsigned long long)(n * 2654435761u % 3000));
	else
		snprintf(subject, sizeof(subject), "order:%llu",
		    (unsigned long long)(n % 10 == 3 && n > 5000 ? n - 5000
								 : n));
	event_init(&e);
	e.id = slice_str(id);
	e.source = slice_str(source);
	e.type = SLICE_LIT("toy.event");
	e.subject = slice_str(subject);
	e.data = buf_all(&data);
	event_write(&body, &e);
	record_write(blob, REC_EVENT, buf_all(&body));
	buf_fini(&data);
	buf_fini(&body);
}

static inline struct buf *
rig_events(const char *source, uint64_t from, size_t n)
{
	struct buf *b = calloc(n, sizeof(*b));

	if (b == NULL)
		rig_die("memory");
	for (size_t i = 0; i < n; i++) {
		buf_init(&b[i], 8192);
		rig_event(&b[i], source, from + i);
	}
	return b;
}

static inline void
rig_events_free(struct buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fini(&b[i]);
	free(b);
}

#endif
