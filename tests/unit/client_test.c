/*
 * client - against a broker of a few lines in the same thread: a ROUTER whose
 * every answer the test chooses.
 */
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/wire/client.h"
#include "tests/unit/t.h"

static char dir[] = "/tmp/vayla-client-XXXXXX";
static char address[128];

struct peer { /* the broker's side */
	void *ctx, *sock;
	uint8_t id[64];
	size_t id_n;
	enum verb verb;
	uint8_t head[5000], blob[300000];
	struct slice h, b;
};

struct seen {
	int ok, bad;
	enum err last;
	int64_t retry_ms;
	char order[64];
	uint64_t seq;
	uint32_t attempt;
	bool again;
	int events;
};

static struct seen seen;

static void
peer_open(struct peer *p)
{
	int zero = 0;

	memset(p, 0, sizeof(*p));
	p->ctx = zmq_ctx_new();
	p->sock = zmq_socket(p->ctx, ZMQ_ROUTER);
	zmq_setsockopt(p->sock, ZMQ_LINGER, &zero, sizeof(zero));
	for (int i = 0; zmq_bind(p->sock, address) != 0; i++) {
		if (i == 100) {
			perror("bind");
			exit(1);
		}
		usleep(10000);
	}
}

static void
peer_close(struct peer *p)
{
	zmq_close(p->sock);
	zmq_ctx_term(p->ctx);
	p->sock = NULL;
}

/* The next message of the client within two seconds of stepping it. */
static bool
peer_get(struct peer *p, struct client *c)
{
	for (int i = 0; i < 4000; i++) {
		char verb[32];
		int n, ms;

		if (c != NULL)
			CHECK_OK(client_step(c, &ms));
		n = zmq_recv(p->sock, p->id, sizeof(p->id), ZMQ_DONTWAIT);
		if (n < 0) {
			usleep(500);
			continue;
		}
		p->id_n = (size_t)n;
		n = zmq_recv(p->sock, verb, sizeof(verb), 0);
		p->verb = verb_read(slice_of(verb, (size_t)n));
		n = zmq_recv(p->sock, p->head, sizeof(p->head), 0);
		p->h = slice_of(p->head, (size_t)n);
		n = zmq_recv(p->sock, p->blob, sizeof(p->blob), 0);
		p->b = slice_of(p->blob, (size_t)n);
		return true;
	}
	return false;
}

/* As peer_get, and it is this verb; pings in between are passed over. */
static bool
peer_want(struct peer *p, struct client *c, enum verb v)
{
	do
		if (!peer_get(p, c))
			return false;
	while (p->verb == VERB_PING && v != VERB_PING);
	if (p->verb != v)
		fprintf(stderr, "got %s, not %s\n", verb_name(p->verb),
		    verb_name(v));
	return p->verb == v;
}

static void
peer_put(
    struct peer *p, const char *verb, const struct buf *h, const struct buf *b)
{
	zmq_send(p->sock, p->id, p->id_n, ZMQ_SNDMORE);
	zmq_send(p->sock, verb, strlen(verb), ZMQ_SNDMORE);
	zmq_send(p->sock, h->p, h->n, ZMQ_SNDMORE);
	zmq_send(p->sock, b != NULL ? (const void *)b->p : "",
	    b != NULL ? b->n : 0, 0);
}

static int64_t
number(struct slice h, const char *key)
{
	int64_t v = -1;

	(void)mp_get_int(h, key, &v);
	return v;
}

static void
put_int(struct buf *b, const char *key, int64_t v)
{
	mp_put_cstr(b, key);
	mp_put_int(b, v);
}

static void
put_text(struct buf *b, const char *key, const char *v)
{
	mp_put_cstr(b, key);
	mp_put_cstr(b, v);
}

static void
welcome(struct peer *p, int64_t epoch, int64_t window)
{
	struct buf h;

	buf_init(&h, 4096);
	mp_put_map(&h, 4);
	put_int(&h, "epoch", epoch);
	put_int(&h, "window", window);
	put_int(&h, "bytes", 100000);
	put_int(&h, "silent_ms", 30000);
	peer_put(p, "VY1WELCOME", &h, NULL);
	buf_fini(&h);
}

static void
pubok(struct peer *p, int64_t upto)
{
	struct buf h;

	buf_init(&h, 4096);
	mp_put_map(&h, 1);
	put_int(&h, "upto", upto);
	peer_put(p, "VY1PUBOK", &h, NULL);
	buf_fini(&h);
}

static void
refuse(struct peer *p, const char *verb, int64_t n, const char *code,
    const char *class)
{
	struct buf h;

	buf_init(&h, 4096);
	mp_put_map(&h, n > 0 ? 5 : 3);
	put_text(&h, "code", code);
	put_text(&h, "class", class);
	put_text(&h, "text", "because");
	if (n > 0) {
		put_int(&h, "n", n);
		put_int(&h, "retry_ms", 250);
	}
	peer_put(p, verb, &h, NULL);
	buf_fini(&h);
}

static void
on_done(void *arg, enum err e, int64_t retry_ms)
{
	size_t n = strlen(seen.order);

	if (e == ERR_OK)
		seen.ok++;
	else
		seen.bad++, seen.retry_ms = retry_ms;
	seen.last = e;
	if (n + 1 < sizeof(seen.order))
		seen.order[n] = *(const char *)arg;
}

static void
on_event(void *arg, struct slice sub, uint64_t seq, uint32_t attempt,
    bool again, const struct event *e)
{
	(void)arg;
	CHECK(slice_is(sub, "books"));
	CHECK(slice_is(e->type, "toy.order"));
	seen.events++;
	seen.seq = seq;
	seen.attempt = attempt;
	seen.again = again;
}

static struct client *
open_client(size_t outbox)
{
	struct client_options o = {.address = address,
	    .name = "books",
	    .role = "connector",
	    .outbox_max = outbox,
	    .on_event = on_event};
	struct client *c = NULL;

	memset(&seen, 0, sizeof(seen));
	CHECK_OK(client_open(&c, &o));
	return c;
}

static void
publish(struct client *c, const char *name)
{
	CHECK_OK(client_publish(
	    c, slice_str(name), 1, on_done, (void *)(uintptr_t)name));
}

static void
steps(struct client *c, int n)
{
	int ms;

	for (int i = 0; i < n; i++) {
		CHECK_OK(client_step(c, &ms));
		usleep(1000);
	}
}

static void
step_until(struct client *c, const int *what, int want)
{
	for (int i = 0; i < 2000 && *what < want; i++)
		steps(c, 1);
}

static void
later(int seconds)
{
	static int64_t all;

	all += seconds * NS_PER_SEC;
	clock_fake(all);
}

T(a_session_and_what_is_published)
{
	struct peer p;
	struct client *c = open_client(0);
	struct slice s;

	publish(c, "a"); /* before there is any broker */
	steps(c, 3);
	CHECK(!client_up(c));
	peer_open(&p);
	CHECK(peer_want(&p, c, VERB_HELLO));
	CHECK(number(p.h, "v") == 1);
	CHECK(mp_get_str(p.h, "name", &s) && slice_is(s, "books"));
	CHECK(mp_get_str(p.h, "role", &s) && slice_is(s, "connector"));
	welcome(&p, 7, 2);
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(client_up(c) && client_epoch(c) == 7);
	CHECK(number(p.h, "n") == 1 && number(p.h, "count") == 1);
	CHECK(slice_is(p.b, "a"));
	CHECK(seen.ok == 0);

	/* the session's window: two are out, the third waits */
	publish(c, "b");
	publish(c, "c");
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(number(p.h, "n") == 2 && slice_is(p.b, "b"));
	steps(c, 20);
	CHECK(zmq_recv(p.sock, p.blob, 1, ZMQ_DONTWAIT) < 0);
	CHECK(client_waiting(c) == 3);
	pubok(&p, 2);
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(number(p.h, "n") == 3 && slice_is(p.b, "c"));
	CHECK(seen.ok == 2);
	pubok(&p, 3);
	step_until(c, &seen.ok, 3);
	CHECK_STR(seen.order, "abc");
	CHECK(client_waiting(c) == 0);
	client_free(c);
	CHECK(peer_want(&p, NULL, VERB_BYE));
	peer_close(&p);
}

T(a_new_broker_gets_what_the_old_one_did_not_confirm)
{
	struct peer p;
	struct client *c = open_client(0);

	peer_open(&p);
	CHECK_OK(client_subscribe(c, SLICE_LIT("books"), 64, 65536, 120000));
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 1, 10);
	CHECK(peer_want(&p, c, VERB_SUB));
	CHECK(number(p.h, "window") == 64);
	CHECK(number(p.h, "patience") == 120000);
	publish(c, "a");
	publish(c, "b");
	publish(c, "c");
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(peer_want(&p, c, VERB_PUB));
	pubok(&p, 1);
	step_until(c, &seen.ok, 1);
	peer_close(&p); /* as kill -9 would */
	steps(c, 100);
	CHECK(!client_up(c));
	publish(c, "d");
	peer_open(&p);
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 2, 10);
	CHECK(peer_want(&p, c, VERB_SUB));
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(number(p.h, "n") == 1 && slice_is(p.b, "b"));
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(number(p.h, "n") == 2 && slice_is(p.b, "c"));
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(number(p.h, "n") == 3 && slice_is(p.b, "d"));
	pubok(&p, 3);
	step_until(c, &seen.ok, 4);
	CHECK_STR(seen.order, "abcd");
	CHECK(client_epoch(c) == 2);
	client_free(c);
	peer_close(&p);
}

T(a_lost_session_is_renewed_on_the_same_connection)
{
	struct peer p;
	struct client *c = open_client(0);

	peer_open(&p);
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 1, 10);
	publish(c, "a");
	CHECK(peer_want(&p, c, VERB_PUB));
	/* several frames were lost: one HELLO is the answer to all */
	refuse(&p, "VY1ERR", 0, "NOSESSION", "RETRY");
	refuse(&p, "VY1ERR", 0, "NOSESSION", "RETRY");
	refuse(&p, "VY1ERR", 0, "NOSESSION", "RETRY");
	CHECK(peer_want(&p, c, VERB_HELLO));
	pubok(&p, 1); /* of the old session: means nothing now */
	steps(c, 20);
	CHECK(seen.ok == 0);
	welcome(&p, 1, 10);
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(number(p.h, "n") == 1 && slice_is(p.b, "a"));
	pubok(&p, 1);
	step_until(c, &seen.ok, 1);
	CHECK(seen.ok == 1);
	client_free(c);
	peer_close(&p);
}

T(a_refusal_is_told_and_what_follows_goes_on)
{
	struct peer p;
	struct client *c = open_client(0);

	peer_open(&p);
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 1, 10);
	publish(c, "a");
	publish(c, "b");
	publish(c, "c");
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(peer_want(&p, c, VERB_PUB));
	refuse(&p, "VY1PUBNO", 2, "FULL", "RETRY");
	pubok(&p, 3);
	step_until(c, &seen.ok, 2);
	CHECK_STR(seen.order, "bac");
	CHECK(seen.bad == 1 && seen.retry_ms == 250);
	publish(c, "d");
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(number(p.h, "n") == 4);
	refuse(&p, "VY1PUBNO", 4, "DENIED", "REJECT");
	step_until(c, &seen.bad, 2);
	CHECK(seen.last == ERR_DENIED);
	client_free(c);
	peer_close(&p);
}

T(deliveries_extending_and_a_report)
{
	struct peer p;
	struct client *c = open_client(0);
	struct buf h, b, body;
	struct event ev;
	struct slice list;

	peer_open(&p);
	CHECK_OK(client_subscribe(c, SLICE_LIT("books"), 8, 65536, 120000));
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 1, 10);
	CHECK(peer_want(&p, c, VERB_SUB));
	buf_init(&h, 4096);
	buf_init(&b, 100000);
	buf_init(&body, 100000);
	mp_put_map(&h, 4);
	put_text(&h, "sub", "books");
	put_int(&h, "seq", 42);
	put_int(&h, "attempt", 3);
	mp_put_cstr(&h, "again");
	mp_put_bool(&h, true);
	event_init(&ev);
	ev.id = SLICE_LIT("1");
	ev.source = SLICE_LIT("shop");
	ev.type = SLICE_LIT("toy.order");
	event_write(&body, &ev);
	record_write(&b, REC_EVENT, buf_all(&body));
	peer_put(&p, "VY1EVT", &h, &b);
	/* and one that is none: said, and passed over */
	buf_reset(&b);
	mp_put_int(&b, 7);
	peer_put(&p, "VY1EVT", &h, &b);
	step_until(c, &seen.events, 1);
	CHECK(seen.events == 1 && seen.seq == 42 && seen.attempt == 3);
	CHECK(seen.again);
	client_extend(c, 42);
	client_extend(c, 42);
	buf_reset(&body);
	mp_put_map(&body, 1);
	put_int(&body, "taken", 5);
	client_report(c, buf_all(&body));
	CHECK(peer_want(&p, c, VERB_PING));
	CHECK(mp_get(p.h, "extend", &list) && list.n == 2 &&
	      list.p[0] == 0x91 && list.p[1] == 42);
	CHECK(mp_get(p.h, "report", &list) && number(list, "taken") == 5);
	client_free(c);
	peer_close(&p);
	buf_fini(&h);
	buf_fini(&b);
	buf_fini(&body);
}

T(bounds)
{
	struct client *c = open_client(1000);
	static uint8_t big[FRAME_MAX_ONE + 1];
	int n = 0;

	while (client_publish(c, SLICE_LIT("0123456789"), 1, on_done, "x") ==
	       ERR_OK)
		n++;
	CHECK(n == 1000 / 138);
	CHECK_ERR(client_publish(c, SLICE_LIT("0123456789"), 1, NULL, NULL),
	    ERR_BUSY);
	CHECK_ERR(client_publish(c, slice_of(big, sizeof(big)), 1, NULL, NULL),
	    ERR_LIMIT);
	CHECK_ERR(
	    client_publish(c, slice_of(big, FRAME_MAX + 1), 2, NULL, NULL),
	    ERR_LIMIT);
	CHECK_ERR(client_publish(c, SLICE_EMPTY, 0, NULL, NULL), ERR_LIMIT);
	/* each is told once, also at the end */
	client_free(c);
	CHECK(seen.bad == n && seen.last == ERR_CLOSED);
}

T(refused_for_good)
{
	struct peer p;
	struct client *c = open_client(0);
	enum err e = ERR_OK;
	int ms;

	peer_open(&p);
	CHECK(peer_want(&p, c, VERB_HELLO));
	refuse(&p, "VY1ERR", 0, "DENIED", "REJECT");
	for (int i = 0; i < 1000 && e == ERR_OK; i++) {
		e = client_step(c, &ms);
		usleep(1000);
	}
	CHECK(e == ERR_DENIED);
	CHECK(strstr(err_last(), "books") != NULL);
	client_free(c);
	peer_close(&p);
}

T(another_process_of_our_name)
{
	struct peer p;
	struct client *c = open_client(0);

	peer_open(&p);
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 1, 10);
	steps(c, 20);
	CHECK(client_up(c));
	refuse(&p, "VY1ERR", 0, "CLOSED", "RETRY");
	steps(c, 50);
	CHECK(!client_up(c));
	/* it waits for its turn, and then asks for it */
	CHECK(zmq_recv(p.sock, p.blob, 1, ZMQ_DONTWAIT) < 0);
	later(5);
	steps(c, 50);
	CHECK(zmq_recv(p.sock, p.blob, 1, ZMQ_DONTWAIT) < 0);
	later(2);
	CHECK(peer_want(&p, c, VERB_HELLO));
	client_free(c);
	peer_close(&p);
}

T(a_silent_broker_is_a_gone_one)
{
	struct peer p;
	struct client *c = open_client(0);

	peer_open(&p);
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 1, 10);
	steps(c, 20);
	publish(c, "a");
	CHECK(peer_want(&p, c, VERB_PUB));
	later(6);
	CHECK(peer_want(&p, c, VERB_PING));
	later(10);
	CHECK(peer_want(&p, c, VERB_HELLO));
	later(3);
	CHECK(peer_want(&p, c, VERB_HELLO)); /* and says it again */
	welcome(&p, 2, 10);
	CHECK(peer_want(&p, c, VERB_PUB));
	CHECK(slice_is(p.b, "a") && number(p.h, "n") == 1);
	client_free(c);
	peer_close(&p);
}

/* client_ask() steps the client itself: the broker's side answers from a
 * second thread of ZeroMQ's, here a child. */
T(ask)
{
	struct peer p;
	struct buf out, q;
	pid_t pid;
	struct client *c;

	pid = fork();
	if (pid == 0) {
		struct buf h;

		peer_open(&p);
		buf_init(&h, 4096);
		if (!peer_want(&p, NULL, VERB_HELLO))
			_exit(1);
		welcome(&p, 1, 10);
		if (!peer_want(&p, NULL, VERB_ASK))
			_exit(1);
		mp_put_map(&h, 1);
		put_int(&h, "id", number(p.h, "id") + 9); /* not ours */
		peer_put(&p, "VY1REPLY", &h, &h);
		buf_reset(&h);
		mp_put_map(&h, 1);
		put_int(&h, "id", number(p.h, "id"));
		peer_put(&p, "VY1REPLY", &h, &h);
		if (!peer_want(&p, NULL, VERB_ASK))
			_exit(1);
		buf_reset(&h);
		mp_put_map(&h, 3);
		put_int(&h, "id", number(p.h, "id"));
		put_text(&h, "code", "NOTFOUND");
		put_text(&h, "text", "no such subject");
		peer_put(&p, "VY1ERR", &h, NULL);
		usleep(300000);
		_exit(0);
	}
	c = open_client(0);
	buf_init(&out, 1000);
	buf_init(&q, 1000);
	mp_put_map(&q, 0);
	CHECK_OK(client_ask(c, buf_all(&q), 5000, &out));
	CHECK(number(buf_all(&out), "id") == 1);
	CHECK_ERR(client_ask(c, buf_all(&q), 5000, &out), ERR_NOTFOUND);
	CHECK_STR(err_last(), "no such subject");
	CHECK_ERR(client_ask(c, buf_all(&q), 100, &out), ERR_TIMEOUT);
	client_free(c);
	buf_fini(&out);
	buf_fini(&q);
}

T(garbage_from_the_broker)
{
	struct peer p;
	struct client *c = open_client(0);
	uint32_t r = 1;
	static const char *const verbs[] = {"VY1WELCOME", "VY1PUBOK",
	    "VY1PUBNO", "VY1EVT", "VY1REPLY", "VY1PONG", "VY2", ""};

	peer_open(&p);
	CHECK_OK(client_subscribe(c, SLICE_LIT("books"), 8, 65536, 120000));
	CHECK(peer_want(&p, c, VERB_HELLO));
	welcome(&p, 1, 10);
	publish(c, "a");
	CHECK(peer_want(&p, c, VERB_SUB));
	CHECK(peer_want(&p, c, VERB_PUB));
	for (int i = 0; i < 2000; i++) {
		uint8_t bytes[40];
		struct buf h = {.p = bytes}, b = {.p = bytes + 20};

		for (size_t k = 0; k < sizeof(bytes); k++) {
			r = r * 1664525 + 1013904223;
			bytes[k] = (uint8_t)(r >> 24);
		}
		h.n = r % 20;
		b.n = (r >> 8) % 20;
		peer_put(&p, verbs[(r >> 16) % 8], &h, &b);
		if (i % 100 == 0)
			steps(c, 1);
	}
	pubok(&p, 1);
	step_until(c, &seen.ok, 1);
	CHECK(seen.ok == 1 && seen.bad == 0);
	client_free(c);
	peer_close(&p);
}

static void
at_start(void)
{
	say_level(SAY_ERROR + 1);
	if (mkdtemp(dir) == NULL)
		exit(1);
	snprintf(address, sizeof(address), "ipc://%s/bus", dir);
}

static void
at_end(void)
{
	unlink(address + 6);
	rmdir(dir);
}

T_MAIN(at_start(); T_RUN(a_session_and_what_is_published)
	   T_RUN(a_new_broker_gets_what_the_old_one_did_not_confirm)
	       T_RUN(a_lost_session_is_renewed_on_the_same_connection)
		   T_RUN(a_refusal_is_told_and_what_follows_goes_on)
		       T_RUN(deliveries_extending_and_a_report) T_RUN(bounds)
			   T_RUN(refused_for_good) T_RUN(ask)
			       T_RUN(garbage_from_the_broker)
				   T_RUN(another_process_of_our_name) T_RUN(
				       a_silent_broker_is_a_gone_one) at_end())
