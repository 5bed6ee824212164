/*
 * bench_chain - what an event sets in motion: a native order of 1 KiB becomes
 * order.placed and a request for each of two systems (three derived events, all
 * in its turn), and both requests are delivered and settled on disk.
 *
 * publish_chain: from the first PUB to the last settlement's PUBOK, beside NATS
 * JetStream's plain asynchronous publish of as many messages, which nobody
 * maps, delivers or syncs. deliver_settled: requests that wait, delivered and
 * settled. subject_parallelism: the same of 10,000 subjects while one of them
 * is stuck. event_to_delivery_over_flush: on an idle bus, from PUB to the first
 * EVT, less one flush of as many bytes in the same folder, measured in turn.
 *
 * `bench_chain profile N` runs one chain of N events and nothing else.
 */
#include <pthread.h>

#include "tests/bench/peer.h"
#include "tests/bench/rig.h"

#define EVENTS 5000
#define SUBJECTS 10000
#define IDLE 400
#define ROUNDS 5
#define SETTLES 200 /* in one PUB at the most */

struct books {
	struct client c;
	size_t want;	/* settlements of this round */
	uint64_t stuck; /* the first delivery is never settled */
	uint64_t held;	/* that delivery */
	pthread_t thread;
};
static struct books books[2];
static struct client shop;
static uint64_t made;

static void
packs(void)
{
	rig_put("packs/canonical/order.placed.yaml",
	    "schema: order.placed/1\nsubject: {kind: order, scope: system}\n"
	    "fields:\n  number: text\n  total: decimal\n"
	    "  email?: {type: text, personal: true}\n");
	rig_put("packs/toyshop/pack.yaml", "pack: toyshop/1\ntitle: A shop\n");
	rig_put("packs/toyshop/schema/toyshop.order.yaml",
	    "schema: toyshop.order/1\nfields:\n  number: text\n"
	    "  total: decimal\n  email: text\n  note: text\n");
	rig_put("packs/toyshop/order.map.yaml",
	    "map: toyshop.order/1\nfrom: toyshop.order\nemit:\n"
	    "  - type: order.placed\n    id: \"placed\"\n"
	    "    subject: \"order:{number}\"\n    data:\n"
	    "      number: number\n      total: total\n"
	    "      email?: email\n");
	rig_put("packs/toybooks/pack.yaml",
	    "pack: toybooks/1\ntitle: Books\nsettings:\n"
	    "  folder: {type: path, required: true}\nsend:\n"
	    "  toybooks.note: {write: ledger, revised: send, spent: park}\n");
	rig_put("packs/toybooks/schema/toybooks.note.yaml",
	    "schema: toybooks.note/1\nfields:\n  number: text\n"
	    "  total: decimal\n");
	rig_put("packs/toybooks/note.map.yaml",
	    "map: toybooks.note/1\nfrom: order.placed\nemit:\n"
	    "  - type: toybooks.note\n    id: \"note\"\n    data:\n"
	    "      number: number\n      total: total\n");
}

/* The n-th order, a record. */
static void
order(struct buf *blob, uint64_t n)
{
	struct event e;
	struct buf data, body;
	char number[24], subject[40], note[RIG_BODY - 230];

	memset(note, 'x', sizeof(note));
	snprintf(number, sizeof(number), "%llu", (unsigned long long)n);
	snprintf(subject, sizeof(subject), "order:%s", number);
	buf_init(&data, 4096);
	buf_init(&body, 8192);
	mp_put_map(&data, 4);
	mp_put_cstr(&data, "number");
	mp_put_cstr(&data, number);
	mp_put_cstr(&data, "total");
	mp_put_cstr(&data, "79.90");
	mp_put_cstr(&data, "email");
	mp_put_cstr(&data, "aino@example.test");
	mp_put_cstr(&data, "note");
	mp_put_str(&data, slice_of(note, sizeof(note)));
	event_init(&e);
	e.id = slice_str(number);
	e.source = SLICE_LIT("shop");
	e.type = SLICE_LIT("toyshop.order");
	e.subject = slice_str(subject);
	e.data = buf_all(&data);
	event_write(&body, &e);
	record_write(blob, REC_EVENT, buf_all(&body));
	buf_fini(&data);
	buf_fini(&body);
}

static void
subscribe(struct client *c)
{
	client_hello(c);
	buf_reset(&c->out);
	mp_put_map(&c->out, 3);
	mp_put_cstr(&c->out, "name");
	mp_put_cstr(&c->out, c->name);
	mp_put_cstr(&c->out, "window");
	mp_put_int(&c->out, 1024);
	mp_put_cstr(&c->out, "patience");
	mp_put_int(&c->out, 3600000);
	rig_send(c->s, VERB_SUB, buf_all(&c->out), SLICE_EMPTY);
}

static void
settle(struct buf *blob, const char *sub, uint64_t seq)
{
	struct settle s;
	struct buf body;

	buf_init(&body, 4096);
	settle_init(&s);
	s.sub = slice_str(sub);
	s.seq = seq;
	s.verdict = SETTLE_OK;
	s.attempt = 1;
	settle_write(&body, &s);
	record_write(blob, REC_SETTLE, buf_all(&body));
	buf_fini(&body);
}

/* One message: an EVT's sequence, or 0 for anything else. */
static uint64_t
delivery(struct client *c)
{
	int64_t seq;

	switch (rig_receive(c->s, &c->header, &c->blob)) {
	case VERB_EVT:
		if (!mp_get_int(buf_all(&c->header), "seq", &seq))
			rig_die("EVT without seq");
		return (uint64_t)seq;
	case VERB_PUBOK:
		client_confirmed(c);
		return 0;
	default:
		return 0;
	}
}

static bool
waiting(struct client *c)
{
	int events = 0;
	size_t size = sizeof(events);

	return zmq_getsockopt(c->s, ZMQ_EVENTS, &events, &size) == 0 &&
	       (events & ZMQ_POLLIN) != 0;
}

/* Settle deliveries as they come, as many to a PUB as are there, until all of
 * the round are settled on disk. */
static void *
keep_books(void *arg)
{
	struct books *b = arg;
	size_t settled = 0;
	struct buf blob;

	buf_init(&blob, 1 << 18);
	b->c.sent = b->c.done = 0;
	while (settled < b->want || b->c.done < b->c.sent) {
		int n = 0;

		buf_reset(&blob);
		do {
			uint64_t seq = delivery(&b->c);

			if (seq == 0 || seq == b->held)
				continue;
			if (b->stuck > 0) {
				b->held = seq;
				b->stuck = 0;
				continue;
			}
			settle(&blob, b->c.name, seq);
			n++;
		} while (n < SETTLES && waiting(&b->c));
		if (n > 0)
			client_pub(&b->c, buf_all(&blob), n);
		settled += (size_t)n;
	}
	buf_fini(&blob);
	return NULL;
}

static struct buf *
orders(size_t n)
{
	struct buf *b = calloc(n, sizeof(*b));

	if (b == NULL)
		rig_die("memory");
	for (size_t i = 0; i < n; i++) {
		buf_init(&b[i], 8192);
		order(&b[i], ++made);
	}
	return b;
}

/* Events a second, each mapped, delivered and settled twice. */
static double
round_chain(size_t n)
{
	struct buf *b = orders(n);
	double t;

	client_hello(&shop);
	for (int i = 0; i < 2; i++) {
		subscribe(&books[i].c);
		books[i].want = n;
	}
	t = bench_now();
	for (int i = 0; i < 2; i++)
		pthread_create(&books[i].thread, NULL, keep_books, &books[i]);
	client_publish(&shop, b, n);
	for (int i = 0; i < 2; i++)
		pthread_join(books[i].thread, NULL);
	t = bench_now() - t;
	rig_events_free(b, n);
	return (double)n / t;
}

/* Deliveries a second of what waits: n orders for the first books, one of them
 * perhaps stuck from the start; the second books settle theirs before. */
static double
round_deliver(size_t n, bool stuck)
{
	struct buf *b = orders(n);
	double t;

	/* in session, not subscribed: nothing is sent to who does not read */
	client_hello(&books[0].c);
	client_hello(&books[1].c);
	client_hello(&shop);
	client_publish(&shop, b, n);
	rig_events_free(b, n);
	subscribe(&books[1].c);
	books[1].want = n;
	(void)keep_books(&books[1]);
	books[0].want = stuck ? n - 1 : n;
	books[0].stuck = stuck;
	books[0].held = 0;
	t = bench_now();
	subscribe(&books[0].c);
	(void)keep_books(&books[0]);
	t = bench_now() - t;
	if (stuck) { /* let it go */
		struct buf one;

		buf_init(&one, 4096);
		settle(&one, books[0].c.name, books[0].held);
		client_pub(&books[0].c, buf_all(&one), 1);
		while (books[0].c.done < books[0].c.sent)
			(void)delivery(&books[0].c);
		buf_fini(&one);
	}
	return (double)books[0].want / t;
}

/* ---- an idle bus ---- */

static double
one_flush(int fd, off_t at, size_t n)
{
	static uint8_t bytes[8192];
	double t = bench_now();

	if (pwrite(fd, bytes, n, at) != (ssize_t)n || fdatasync(fd) != 0)
		rig_die("flush");
	return (bench_now() - t) * 1e6;
}

static void
settle_one(struct books *b)
{
	uint64_t seq;
	struct buf one;

	while ((seq = delivery(&b->c)) == 0)
		;
	buf_init(&one, 4096);
	settle(&one, b->c.name, seq);
	client_pub(&b->c, buf_all(&one), 1);
	while (b->c.done < b->c.sent)
		(void)delivery(&b->c);
	buf_fini(&one);
}

static void
idle_bus(void)
{
	static double whole[IDLE], flush[IDLE];
	struct buf *b = orders(IDLE);
	int fd = open(rig_path("flush"), O_RDWR | O_CREAT, 0600);
	double f;

	if (fd < 0 || posix_fallocate(fd, 0, (off_t)IDLE * 4096) != 0 ||
	    fsync(fd) != 0)
		rig_die("flush");
	client_hello(&shop);
	for (int i = 0; i < 2; i++) {
		subscribe(&books[i].c);
		books[i].c.sent = books[i].c.done = 0;
	}
	for (int i = 0; i < IDLE; i++) {
		double t = bench_now();

		shop.sent = shop.done = 0;
		client_pub(&shop, buf_all(&b[i]), 1);
		zmq_pollitem_t item = {
		    .socket = books[0].c.s, .events = ZMQ_POLLIN};
		if (zmq_poll(&item, 1, 60000) != 1)
			rig_die("no delivery");
		whole[i] = (bench_now() - t) * 1e6;
		while (shop.done < 1)
			if (rig_receive(shop.s, &shop.header, &shop.blob) ==
			    VERB_PUBOK)
				client_confirmed(&shop);
		settle_one(&books[0]);
		settle_one(&books[1]);
		flush[i] = one_flush(fd, (off_t)i * 4096, 2304);
	}
	close(fd);
	rig_events_free(b, IDLE);
	f = bench_median(flush, IDLE);
	fprintf(stderr, "one flush: %.0f us\n", f);
	bench_alone("event_to_delivery_over_flush_p50",
	    bench_median(whole, IDLE) - f, "us");
	bench_alone("event_to_delivery_over_flush_p99",
	    whole[IDLE * 99 / 100] - f, "us");
}

static void
compare(void)
{
	double chain[ROUNDS], deliver[ROUNDS], stuck[ROUNDS], plain[ROUNDS];
	char dir[300], program[300], ask[32];
	const char *nats[] = {program, dir, NULL};
	struct peer n;

	snprintf(dir, sizeof(dir), "%s", rig_path("nats"));
	snprintf(program, sizeof(program), "%s/nats", peer_folder());
	snprintf(ask, sizeof(ask), "async 1 %d", 4 * EVENTS);
	if (dir_make(dir) != ERR_OK)
		rig_die(dir);
	if (peer_start(&n, "NATS JetStream", nats))
		(void)peer_ask(&n, ask);
	(void)round_chain(EVENTS); /* warm */
	for (int i = 0; i < ROUNDS; i++) {
		double us = peer_ask(&n, ask);

		plain[i] = us > 0 ? 1e6 / us : 0;
		chain[i] = round_chain(EVENTS);
		deliver[i] = round_deliver(SUBJECTS, false);
		stuck[i] = round_deliver(SUBJECTS, true);
		fprintf(stderr,
		    "round %d: chain %.0f/s, NATS %.0f/s; settled %.0f/s, "
		    "one stuck %.0f/s\n",
		    i + 1, chain[i], plain[i], deliver[i], stuck[i]);
	}
	peer_stop(&n);
	bench_line("publish_chain", bench_median(chain, ROUNDS), "events/s",
	    "JetStream, plain publish, no fsync", bench_median(plain, ROUNDS));
	bench_alone(
	    "deliver_settled", bench_median(deliver, ROUNDS), "deliveries/s");
	bench_line("subject_parallelism", bench_median(stuck, ROUNDS),
	    "deliveries/s", "none stuck", bench_median(deliver, ROUNDS));
	idle_bus();
}

int
main(int argc, char **argv)
{
	char systems[1024];

	rig_open();
	packs();
	snprintf(systems, sizeof(systems),
	    "  shop: {use: toyshop}\n"
	    "  books1: {use: toybooks, of: shop, mode: live, folder: %s/b1}\n"
	    "  books2: {use: toybooks, of: shop, mode: live, folder: %s/b2}\n",
	    rig.dir, rig.dir);
	rig_start(systems);
	client_open(&shop, "shop", "connector");
	client_open(&books[0].c, "books1", "connector");
	client_open(&books[1].c, "books2", "connector");
	if (argc == 3 && strcmp(argv[1], "profile") == 0)
		fprintf(stderr, "%.0f/s\n",
		    round_chain(strtoul(argv[2], NULL, 10)));
	else
		compare();
	client_close(&shop);
	client_close(&books[0].c);
	client_close(&books[1].c);
	rig_close();
	return 0;
}
