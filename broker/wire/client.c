/*
 * client - see client.h. What a session is, and when it is over, is
 * PROTOCOL.md 3 and 4.
 *
 * Three states: DOWN (no connection; ZMQ_IMMEDIATE makes a socket without one
 * not writable, which is how we know), HELLO (said, not answered) and UP. A
 * publication keeps its place in the outbox from client_publish() until it is
 * answered; losing a session turns what was sent back into what is to be sent,
 * in the old order, under new numbers. So nothing is numbered twice, skipped or
 * overtaken, whichever message was lost.
 *
 * Rejected: letting ZeroMQ queue for a broker that is away (it would send
 * frames of a dead session to its successor).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/wire/client.h"
#include "broker/wire/dial.h"

#define OUTBOX_MAX (8 * 1024 * 1024)
#define PUB_OVERHEAD 128 /* what a publication costs beside its bytes */
#define READS_A_STEP 256
#define EXTENDS 64
#define REPORT_MAX 3072

#define PING_NS (5 * NS_PER_SEC)
#define SILENT_NS (15 * NS_PER_SEC)
#define HELLO_NS (2 * NS_PER_SEC)
#define FENCED_NS (6 * NS_PER_SEC)
#define STEP_NS NS_PER_SEC	     /* never asleep for longer */
#define REFUSED_NS (NS_PER_SEC / 10) /* nor, without a connection, for this */

enum state { DOWN, HELLO, UP };

struct pub {
	struct pub *next;
	uint64_t n; /* in this session; 0 = not sent in it */
	uint32_t count;
	size_t size;
	client_done *done;
	void *arg;
	uint8_t blob[];
};

struct sub {
	bool lossy;
	char name[EVENT_TEXT], type[EVENT_TEXT], subject[EVENT_TEXT];
	uint32_t window, bytes;
	int64_t patience_ms;
};

struct client {
	struct dial dial;
	client_event *on_event;
	void *arg;
	char name[EVENT_TEXT], role[32];

	enum state state;
	uint64_t epoch, n; /* n: of the last PUB of this session */
	uint64_t window, window_bytes;
	int64_t heard, pinged, hello; /* mono; hello: when to say it (again) */

	struct pub *first, **last; /* the outbox: sent ones stand first */
	struct pub *unsent;	   /* the first that is not, or NULL */
	size_t waiting, outbox, outbox_max;
	size_t flying, flying_bytes;

	size_t subs_n;
	struct sub subs[CLIENT_SUBS];
	size_t extends_n;
	uint64_t extends[EXTENDS];
	size_t report_n;
	uint8_t report[REPORT_MAX];

	uint64_t ask_id; /* of the last question */
	bool asking, ask_sent;
	enum err answer;
	struct slice query;
	struct buf *reply;

	struct buf header;
};

/* ---- sending ---- */

/* False when the socket does not take it now: then nothing of it was sent. */
static bool
send_message(struct client *c, enum verb v, struct slice blob)
{
	struct buf verb;
	bool ok;

	buf_init(&verb, 16);
	verb_write(&verb, v);
	if (buf_check(&verb) != ERR_OK || buf_check(&c->header) != ERR_OK)
		err_die("client: a header over %d bytes", FRAME_HEADER);
	ok = zmq_send(
		 c->dial.sock, verb.p, verb.n, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0;
	/* Once the first part was taken the others are, too. */
	if (ok)
		ok = zmq_send(c->dial.sock, c->header.p, c->header.n,
			 ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
		     zmq_send(c->dial.sock, blob.p, blob.n, ZMQ_DONTWAIT) >= 0;
	buf_fini(&verb);
	return ok;
}

static struct buf *
header(struct client *c, uint32_t pairs)
{
	buf_reset(&c->header);
	mp_put_map(&c->header, pairs);
	return &c->header;
}

static void
say_hello(struct client *c, int64_t now)
{
	struct buf *h = header(c, 3);

	mp_put_cstr(h, "v");
	mp_put_int(h, 1);
	mp_put_cstr(h, "name");
	mp_put_cstr(h, c->name);
	mp_put_cstr(h, "role");
	mp_put_cstr(h, c->role);
	if (send_message(c, VERB_HELLO, SLICE_EMPTY))
		c->state = HELLO;
	c->hello = now + HELLO_NS;
}

static void
say_ping(struct client *c, int64_t now)
{
	struct buf *h =
	    header(c, (uint32_t)((c->extends_n > 0) + (c->report_n > 0)));

	if (c->extends_n > 0) {
		mp_put_cstr(h, "extend");
		mp_put_array(h, (uint32_t)c->extends_n);
		for (size_t i = 0; i < c->extends_n; i++)
			mp_put_uint(h, c->extends[i]);
	}
	if (c->report_n > 0) {
		mp_put_cstr(h, "report");
		buf_put(h, c->report, c->report_n);
	}
	if (!send_message(c, VERB_PING, SLICE_EMPTY))
		return;
	c->extends_n = 0;
	c->pinged = now;
}

static void
say_sub(struct client *c, const struct sub *s)
{
	struct buf *h = header(c, s->lossy ? 3 : 4);

	mp_put_cstr(h, "name");
	mp_put_cstr(h, s->name);
	if (s->lossy) {
		mp_put_cstr(h, "lossy");
		mp_put_bool(h, true);
		mp_put_cstr(h, "filter");
		mp_put_map(h, 2);
		mp_put_cstr(h, "type");
		mp_put_cstr(h, s->type);
		mp_put_cstr(h, "subject");
		mp_put_cstr(h, s->subject);
	} else {
		mp_put_cstr(h, "window");
		mp_put_uint(h, s->window);
		mp_put_cstr(h, "bytes");
		mp_put_uint(h, s->bytes);
		mp_put_cstr(h, "patience");
		mp_put_int(h, s->patience_ms);
	}
	(void)send_message(c, VERB_SUB, SLICE_EMPTY);
}

static void
say_ask(struct client *c)
{
	struct buf *h = header(c, 1);

	mp_put_cstr(h, "id");
	mp_put_uint(h, c->ask_id);
	c->ask_sent = send_message(c, VERB_ASK, c->query);
}

/* Publish what waits, as far as the session's window goes. One publication may
 * always fly alone, however large. */
static void
flush(struct client *c)
{
	struct pub *p;

	while (c->state == UP && (p = c->unsent) != NULL) {
		struct buf *h;

		if (c->flying > 0 &&
		    (c->flying >= c->window ||
			c->flying_bytes + p->size > c->window_bytes))
			return;
		h = header(c, 2);
		mp_put_cstr(h, "n");
		mp_put_uint(h, c->n + 1);
		mp_put_cstr(h, "count");
		mp_put_uint(h, p->count);
		if (!send_message(c, VERB_PUB, slice_of(p->blob, p->size)))
			return;
		p->n = ++c->n;
		c->flying++;
		c->flying_bytes += p->size;
		c->unsent = p->next;
	}
}

/* ---- the session's ends ---- */

static void
lost(struct client *c, enum state now_in)
{
	for (struct pub *p = c->first; p != NULL && p->n != 0; p = p->next)
		p->n = 0;
	c->unsent = c->first;
	c->flying = c->flying_bytes = 0;
	c->ask_sent = false;
	c->extends_n = 0;
	c->state = now_in;
	c->hello = 0;
}

/* Take the first publication out of the outbox and tell its owner. */
static void
finish(struct client *c, struct pub **at, enum err e, int64_t retry_ms)
{
	struct pub *p = *at;

	*at = p->next;
	if (c->last == &p->next)
		c->last = at;
	if (c->unsent == p)
		c->unsent = p->next;
	if (p->n != 0) {
		c->flying--;
		c->flying_bytes -= p->size;
	}
	c->waiting--;
	c->outbox -= p->size + PUB_OVERHEAD;
	if (p->done != NULL)
		p->done(p->arg, e, retry_ms);
	free(p);
}

static enum err
note_error(struct slice h)
{
	struct slice code, text;
	char name[32] = "";
	enum err e;

	if (mp_get_str(h, "code", &code) && code.n < sizeof(name)) {
		memcpy(name, code.p, code.n);
		name[code.n] = '\0';
	}
	if (!mp_get_str(h, "text", &text))
		text = SLICE_EMPTY;
	e = err_from_name(name);
	if (e == ERR_COUNT || e == ERR_OK) {
		struct slice class;

		/* A code of a later version: its class is what counts. */
		e = mp_get_str(h, "class", &class) && slice_is(class, "RETRY")
			? ERR_BUSY
			: ERR_STATE;
	}
	return err_note(e, "%.*s", SLICE_ARG(text));
}

/* ---- what the broker says ---- */

static void
on_welcome(struct client *c, struct slice h)
{
	int64_t epoch = 0, window = 64, bytes = 1024 * 1024;

	(void)mp_get_int(h, "epoch", &epoch);
	(void)mp_get_int(h, "window", &window);
	(void)mp_get_int(h, "bytes", &bytes);
	c->epoch = (uint64_t)epoch;
	c->window = window > 0 ? (uint64_t)window : 1;
	c->window_bytes = bytes > 0 ? (uint64_t)bytes : 1;
	c->n = 0;
	c->state = UP;
	c->pinged = c->heard;
	for (size_t i = 0; i < c->subs_n; i++)
		say_sub(c, &c->subs[i]);
}

static void
on_pubok(struct client *c, struct slice h)
{
	int64_t upto;

	if (!mp_get_int(h, "upto", &upto) || upto < 0)
		return;
	while (c->first != NULL && c->first->n != 0 &&
	       c->first->n <= (uint64_t)upto)
		finish(c, &c->first, ERR_OK, 0);
}

static void
on_pubno(struct client *c, struct slice h)
{
	int64_t n, retry_ms = 0;
	struct pub **at;
	enum err e;

	if (!mp_get_int(h, "n", &n) || n <= 0)
		return;
	(void)mp_get_int(h, "retry_ms", &retry_ms);
	for (at = &c->first; *at != NULL; at = &(*at)->next)
		if ((*at)->n == (uint64_t)n)
			break;
	if (*at == NULL)
		return;
	e = note_error(h);
	finish(c, at, e, retry_ms > 0 ? retry_ms : 0);
}

static void
on_evt(struct client *c, struct slice h, struct slice blob)
{
	struct mp_in in = mp_in(blob);
	struct slice sub, body;
	enum record_kind kind;
	int64_t seq, attempt = 0;
	bool again = false;
	struct event ev;
	enum err e;

	if (c->on_event == NULL || !mp_get_str(h, "sub", &sub) ||
	    !mp_get_int(h, "seq", &seq) || seq <= 0)
		return;
	(void)mp_get_int(h, "attempt", &attempt);
	(void)mp_get_bool(h, "again", &again);
	if (!record_next(&in, &kind, &body, &e) || kind != REC_EVENT) {
		say(SAY_ERROR, "client", "delivery %jd is not an event: %s",
		    (intmax_t)seq, err_last());
		return;
	}
	e = event_read(body, &ev);
	if (e != ERR_OK) {
		say(SAY_ERROR, "client", "delivery %jd cannot be read: %s",
		    (intmax_t)seq, err_last());
		return;
	}
	c->on_event(c->arg, sub, (uint64_t)seq,
	    attempt > 0 ? (uint32_t)attempt : 0, again, &ev);
}

static void
on_reply(struct client *c, struct slice h, struct slice blob, enum err e)
{
	int64_t id;

	if (!c->asking || !mp_get_int(h, "id", &id) ||
	    (uint64_t)id != c->ask_id)
		return;
	c->asking = false;
	c->answer = e;
	if (e == ERR_OK) {
		c->answer = mp_check(blob);
		if (c->answer == ERR_OK) {
			buf_slice(c->reply, blob);
			c->answer = buf_check(c->reply);
		}
	}
}

static enum err
on_err(struct client *c, struct slice h, int64_t now)
{
	enum err e = note_error(h);
	struct slice any;

	if (mp_get(h, "id", &any)) {
		on_reply(c, h, SLICE_EMPTY, e);
		return ERR_OK;
	}
	if (mp_get(h, "sub", &any))
		return err_class(e) == CLASS_REJECT
			   ? err_wrap(e, "the broker refuses the subscription")
			   : ERR_OK;
	switch (e) {
	case ERR_NOSESSION:
		/* Also the answer to frames of a session that is gone, while
		 * our HELLO is on its way behind them. */
		if (c->state == UP)
			lost(c, HELLO);
		return ERR_OK;
	case ERR_CLOSED:
		lost(c, HELLO);
		c->hello = now + FENCED_NS;
		say(SAY_WARN, "client",
		    "another process speaks as %s on the bus; waiting",
		    c->name);
		return ERR_OK;
	case ERR_FLOOD:
	case ERR_STATE:
		say(SAY_WARN, "client", "the broker ended the session: %s",
		    err_last());
		lost(c, HELLO);
		c->hello = now + HELLO_NS;
		return ERR_OK;
	default:
		break;
	}
	if (c->state == HELLO && err_class(e) == CLASS_REJECT)
		return err_wrap(
		    e, "the broker refuses %s \"%s\"", c->role, c->name);
	say(SAY_WARN, "client", "the broker says %s: %s", err_name(e),
	    err_last());
	return ERR_OK;
}

static enum err
handle(struct client *c, struct slice verb, struct slice h, struct slice blob,
    int64_t now)
{
	enum err e = mp_check(h);

	if (e != ERR_OK) {
		say(SAY_ERROR, "client", "a malformed header of the broker");
		return ERR_OK;
	}
	c->heard = now;
	switch (verb_read(verb)) {
	case VERB_WELCOME:
		if (c->state == HELLO)
			on_welcome(c, h);
		return ERR_OK;
	case VERB_PUBOK:
		if (c->state == UP)
			on_pubok(c, h);
		return ERR_OK;
	case VERB_PUBNO:
		if (c->state == UP)
			on_pubno(c, h);
		return ERR_OK;
	case VERB_EVT:
		if (c->state == UP)
			on_evt(c, h, blob);
		return ERR_OK;
	case VERB_REPLY:
		on_reply(c, h, blob, ERR_OK);
		return ERR_OK;
	case VERB_ERR:
		return on_err(c, h, now);
	default:
		return ERR_OK; /* PONG; and what a later version may say */
	}
}

/* One message of at most three parts; further ones are dropped. False when
 * there is none. */
static bool
receive(struct client *c, int64_t now, enum err *e)
{
	zmq_msg_t part[3];
	struct slice s[3] = {SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY};
	size_t n = 0;
	bool more = true;

	*e = ERR_OK;
	while (more) {
		zmq_msg_t *m, spare;

		m = n < 3 ? &part[n] : &spare;
		if (zmq_msg_init(m) != 0 ||
		    zmq_msg_recv(m, c->dial.sock, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(m);
			break;
		}
		more = zmq_msg_more(m) != 0;
		if (n < 3) {
			s[n] = slice_of(zmq_msg_data(m), zmq_msg_size(m));
			n++;
		} else {
			zmq_msg_close(m);
		}
	}
	if (n >= 2)
		*e = handle(c, s[0], s[1], s[2], now);
	for (size_t i = 0; i < n; i++)
		zmq_msg_close(&part[i]);
	return n > 0;
}

/* Time to say something? Returns when next. */
static int64_t
talk(struct client *c, int64_t now)
{
	int64_t next = now + STEP_NS;

	if (c->state == UP && now - c->heard > SILENT_NS)
		lost(c, HELLO);
	if (c->state != UP) {
		if (now >= c->hello)
			say_hello(c, now);
		return c->hello < next ? c->hello : next;
	}
	if (c->asking && !c->ask_sent)
		say_ask(c);
	flush(c);
	if (c->extends_n > 0 || now - c->pinged >= PING_NS)
		say_ping(c, now);
	return next;
}

enum err
client_step(struct client *c, int *next_ms)
{
	int64_t now = clock_mono(), next;
	enum err e = ERR_OK;

	for (int i = 0; i < READS_A_STEP && receive(c, now, &e); i++)
		if (e != ERR_OK)
			return e;
	next = now + STEP_NS;
	if ((dial_events(&c->dial) & ZMQ_POLLOUT) == 0) {
		if (c->state != DOWN)
			lost(c, DOWN);
		e = dial_refused(&c->dial);
		if (e != ERR_OK)
			return e;
		if (c->dial.monitor != NULL)
			next = now + REFUSED_NS;
	} else {
		if (c->state == DOWN) {
			c->state = HELLO;
			c->heard = now;
			c->dial.failed = 0;
		}
		next = talk(c, now);
	}
	/* Sending may have taken in what came meanwhile without the descriptor
	 * saying so again. */
	if ((dial_events(&c->dial) & ZMQ_POLLIN) != 0)
		next = now;
	*next_ms =
	    next > now ? (int)((next - now + NS_PER_MS - 1) / NS_PER_MS) : 0;
	return ERR_OK;
}

/* ---- what a caller does ---- */

enum err
client_publish(struct client *c, struct slice records, uint32_t count,
    client_done *done, void *arg)
{
	struct pub *p;

	if (count == 0 || count > FRAME_RECORDS ||
	    records.n > (count > 1 ? FRAME_MAX : FRAME_MAX_ONE))
		return err_note(ERR_LIMIT,
		    "%u records of %zu bytes do not go into one publication",
		    count, records.n);
	if (c->outbox + records.n + PUB_OVERHEAD > c->outbox_max)
		return err_note(ERR_BUSY,
		    "%zu publications wait for the broker already", c->waiting);
	p = malloc(sizeof(*p) + records.n);
	if (p == NULL)
		return err_note(ERR_NOMEM, "a publication");
	*p = (struct pub){
	    .count = count, .size = records.n, .done = done, .arg = arg};
	memcpy(p->blob, records.p, records.n);
	*c->last = p;
	c->last = &p->next;
	if (c->unsent == NULL)
		c->unsent = p;
	c->waiting++;
	c->outbox += p->size + PUB_OVERHEAD;
	return ERR_OK;
}

static bool
keep_text(char out[EVENT_TEXT], struct slice s)
{
	if (s.n >= EVENT_TEXT)
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

static enum err
add_sub(struct client *c, const struct sub *s)
{
	for (size_t i = 0; i < c->subs_n; i++)
		if (strcmp(c->subs[i].name, s->name) == 0)
			return err_note(ERR_EXISTS, "subscribed: %s", s->name);
	if (c->subs_n == CLIENT_SUBS)
		return err_note(ERR_LIMIT, "%d subscriptions", CLIENT_SUBS);
	c->subs[c->subs_n++] = *s;
	if (c->state == UP)
		say_sub(c, s);
	return ERR_OK;
}

enum err
client_subscribe(struct client *c, struct slice sub, uint32_t window,
    uint32_t bytes, int64_t patience_ms)
{
	struct sub s = {
	    .window = window, .bytes = bytes, .patience_ms = patience_ms};

	if (!keep_text(s.name, sub))
		return err_note(ERR_LIMIT, "a subscription's name");
	return add_sub(c, &s);
}

enum err
client_tap(struct client *c, struct slice type, struct slice subject)
{
	struct sub s = {.lossy = true, .name = "tap"};

	if (!keep_text(s.type, type) || !keep_text(s.subject, subject))
		return err_note(ERR_LIMIT, "a tap's filter");
	return add_sub(c, &s);
}

void
client_extend(struct client *c, uint64_t seq)
{
	for (size_t i = 0; i < c->extends_n; i++)
		if (c->extends[i] == seq)
			return;
	if (c->extends_n == EXTENDS && c->state == UP)
		say_ping(c, clock_mono());
	if (c->extends_n < EXTENDS)
		c->extends[c->extends_n++] = seq;
}

void
client_report(struct client *c, struct slice map)
{
	if (map.n > REPORT_MAX)
		return;
	memcpy(c->report, map.p, map.n);
	c->report_n = map.n;
}

enum err
client_wait(struct client *c, bool (*done)(void *), void *arg, int timeout_ms)
{
	int64_t until = clock_mono() + timeout_ms * NS_PER_MS;

	for (;;) {
		struct pollfd fd = {.fd = client_fd(c), .events = POLLIN};
		int64_t left;
		int ms;
		enum err e = client_step(c, &ms);

		if (e != ERR_OK)
			return e;
		if (done(arg))
			return ERR_OK;
		left = (until - clock_mono() + NS_PER_MS - 1) / NS_PER_MS;
		if (left <= 0)
			return err_note(ERR_TIMEOUT,
			    c->state == UP ? "the broker does not answer"
					   : "no broker at the bus");
		(void)poll(&fd, 1, left < ms ? (int)left : ms);
	}
}

static bool
answered(void *arg)
{
	return !((struct client *)arg)->asking;
}

enum err
client_ask(
    struct client *c, struct slice query, int timeout_ms, struct buf *out)
{
	enum err e;

	c->query = query;
	c->reply = out;
	c->ask_id++;
	c->asking = true;
	c->ask_sent = false;
	e = client_wait(c, answered, c, timeout_ms);
	c->asking = false;
	c->query = SLICE_EMPTY;
	c->reply = NULL;
	return e != ERR_OK ? e : c->answer;
}

int
client_fd(struct client *c)
{
	return dial_fd(&c->dial);
}

bool
client_up(const struct client *c)
{
	return c->state == UP;
}

uint64_t
client_epoch(const struct client *c)
{
	return c->epoch;
}

const char *
client_name(const struct client *c)
{
	return c->name;
}

size_t
client_waiting(const struct client *c)
{
	return c->waiting;
}

/* ---- its life ---- */

enum err
client_open(struct client **out, const struct client_options *o)
{
	bool person = strcmp(o->role, "operator") == 0;
	struct client *c;
	enum err e;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_note(ERR_NOMEM, "a client");
	c->last = &c->first;
	c->on_event = o->on_event;
	c->arg = o->arg;
	c->outbox_max = o->outbox_max > 0 ? o->outbox_max : OUTBOX_MAX;
	buf_init(&c->header, FRAME_HEADER);
	if (strlen(o->role) >= sizeof(c->role) ||
	    !keep_text(c->name, slice_str(o->name))) {
		client_free(c);
		return err_note(ERR_LIMIT, "a client's name");
	}
	memcpy(c->role, o->role, strlen(o->role) + 1);
	e = dial_open(&c->dial, o->address, o->access,
	    person ? ACCESS_OPERATOR : o->name);
	if (e != ERR_OK) {
		client_free(c);
		return e;
	}
	/* A person's own key says who it is. */
	if (person && o->access != NULL &&
	    strcmp(c->dial.user, ACCESS_OPERATOR) != 0)
		memcpy(c->name, c->dial.user, sizeof(c->dial.user));
	*out = c;
	return ERR_OK;
}

void
client_bye(struct client *c)
{
	if (c->state == UP) {
		(void)header(c, 0);
		(void)send_message(c, VERB_BYE, SLICE_EMPTY);
	}
	lost(c, DOWN);
}

void
client_free(struct client *c)
{
	char was[1024];

	if (c == NULL)
		return;
	if (c->dial.sock != NULL)
		client_bye(c);
	/* Whoever frees us for an error still has to say which. */
	snprintf(was, sizeof(was), "%s", err_last());
	while (c->first != NULL) {
		(void)err_note(ERR_CLOSED, "the client was closed");
		finish(c, &c->first, ERR_CLOSED, 0);
	}
	(void)err_note(ERR_CLOSED, "%s", was);
	dial_close(&c->dial);
	buf_fini(&c->header);
	free(c);
}
