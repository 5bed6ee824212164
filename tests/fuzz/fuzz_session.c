/*
 * fuzz_session - what peers say, through the session layer and into a turn: a
 * broker of its own with two small packs (tests/fuzz/session_seeds.py writes
 * them), messages as the socket would give them, PUBs checked and applied. No
 * turn is stored: each input finds the same empty journal.
 *
 * An input is a byte for who speaks, then messages: a byte for the verb, the
 * lengths of header and blob (two bytes each), header, blob.
 *
 * broker.c is taken in whole: how a broker is opened is nobody else's to know.
 */
#include "broker/core/broker.c"

#define HOME "build/fuzz/session"
#define PEER "p"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct broker *b;
static void *peer; /* what the broker answers goes there */
static char dir[] = "/tmp/vayla-fuzz-XXXXXX";

static void
clean(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct config *c = NULL;
	struct faults f;
	int hwm = 0;

	(void)argc;
	(void)argv;
	if (mkdtemp(dir) == NULL)
		err_die("mkdtemp");
	atexit(clean);
	setenv("VAYLA_FUZZ_DIR", dir, 1);
	faults_init(&f);
	if (config_load(&c, HOME "/vayla.yaml", &f) != ERR_OK)
		err_die("%s%s: run tests/fuzz/session_seeds.py " HOME,
		    buf_cstr(&f.text), err_last());
	faults_fini(&f);
	b = broker_new(c);
	if (broker_open(b) != ERR_OK)
		err_die("the broker does not open: %s", err_last());
	say_level(SAY_ERROR);
	peer = zmq_socket(bus_context(b->d.bus), ZMQ_DEALER);
	zmq_setsockopt(peer, ZMQ_ROUTING_ID, PEER, 1);
	zmq_setsockopt(peer, ZMQ_RCVHWM, &hwm, sizeof(hwm));
	if (zmq_connect(peer, BUS_INPROC) != 0 || zmq_send(peer, "", 0, 0) != 0)
		err_die("inproc: %s", zmq_strerror(errno));
	return 0;
}

static void
part(struct bus_msg *m, struct slice s)
{
	zmq_msg_t *to = &m->part[m->parts++];

	if (zmq_msg_init_size(to, s.n) != 0)
		err_die("no memory");
	memcpy(zmq_msg_data(to), s.p, s.n);
}

static void
hear(struct slice verb, struct slice header, struct slice blob)
{
	struct bus_msg m = {.whole = true};

	part(&m, slice_str(PEER));
	part(&m, verb);
	part(&m, header);
	if (blob.n > 0)
		part(&m, blob);
	peers_message(&b->d, &m);
}

static void
speak(enum verb v, struct slice header, struct slice blob)
{
	struct buf frame;

	buf_init(&frame, 64);
	verb_write(&frame, v);
	hear(buf_all(&frame), header, blob);
	buf_fini(&frame);
}

static void
hello(uint8_t who)
{
	static const char *const names[][2] = {{"books", "connector"},
	    {"shop", "connector"}, {"receiver", "receiver"},
	    {"cli", "operator"}};
	struct buf h;

	if (who >= 4)
		return;
	buf_init(&h, 256);
	mp_put_map(&h, 3);
	mp_put_cstr(&h, "v");
	mp_put_int(&h, 1);
	mp_put_cstr(&h, "name");
	mp_put_cstr(&h, names[who][0]);
	mp_put_cstr(&h, "role");
	mp_put_cstr(&h, names[who][1]);
	speak(VERB_HELLO, buf_all(&h), SLICE_EMPTY);
	buf_fini(&h);
}

/* As turn.c does it, up to the append. */
static void
turn(struct daemon *d)
{
	enum err e;

	batch_begin(&d->batch);
	router_begin(&d->router);
	delivery_begin(&d->delivery);
	for (size_t i = 0; i < d->pubs_n; i++) {
		e = accept_check(d, &d->pubs[i]);
		if (e == ERR_OK)
			e = accept_apply(d, &d->pubs[i]);
		if (e != ERR_OK)
			peers_refuse(d, &d->pubs[i], e);
		if (e == ERR_SYNC)
			err_die("a turn without an append lost the disk");
	}
	peers_answer(d);
	for (size_t i = 0; i < d->pubs_n; i++)
		bus_release(&d->pubs[i].msg);
	d->pubs_n = 0;
	d->input = d->input_bytes = 0;
	batch_begin(&d->batch);
	if (rules_drop(&d->rules) != ERR_OK || holds_load(&d->holds) != ERR_OK)
		err_die("what was dropped stays: %s", err_last());
	delivery_begin(&d->delivery);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct daemon *d = &b->d;
	struct bus_msg m;
	zmq_msg_t got;
	size_t heads, blobs;

	/* The connection, as the ROUTER knows it. */
	while (bus_recv(d->bus, &m) == ERR_OK)
		bus_release(&m);
	if (n == 0)
		return 0;
	hello(p[0]);
	for (p++, n--; n >= 5 && d->pubs_n < TURN_RECORDS;) {
		uint8_t verb = p[0];

		heads = (size_t)(p[1] | p[2] << 8);
		blobs = (size_t)(p[3] | p[4] << 8);
		p += 5;
		n -= 5;
		heads = heads < n ? heads : n;
		blobs = blobs < n - heads ? blobs : n - heads;
		if (verb < VERB_COUNT)
			speak((enum verb)verb, slice_of(p, heads),
			    slice_of(p + heads, blobs));
		else
			hear(slice_of(p, heads), slice_of(p, heads),
			    slice_of(p + heads, blobs));
		p += heads + blobs;
		n -= heads + blobs;
	}
	turn(d);
	delivery_pump(&d->delivery);
	speak(VERB_BYE, slice_of("\x80", 1), SLICE_EMPTY);
	peers_tidy(d);
	if (d->sessions.n > 0)
		err_die("a session outlives its end");
	zmq_msg_init(&got);
	while (zmq_msg_recv(&got, peer, ZMQ_DONTWAIT) >= 0)
		;
	zmq_msg_close(&got);
	return 0;
}
