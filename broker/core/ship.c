/* ship - see ship.h. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/mp.h"
#include "broker/base/say.h"
#include "broker/core/copy.h"
#include "broker/core/ship.h"
#include "broker/core/users.h"

#define BYTES_A_REPLY (1024 * 1024)
#define HOLD_NS (NS_PER_SEC / 2) /* an answer comes at least so often */

/* A standby that waits for bytes: one at a time, the newest. */
struct follower {
	uint8_t peer[64];
	size_t peer_n;
	uint64_t n; /* its question's number */
	int64_t asked;
	struct log_place place;
	uint32_t head, tail;
};

struct ship {
	const struct core *core;
	struct users users;
	void *sock;
	int news; /* eventfd: to the turn thread */
	int wake; /* and from it */
	pthread_t thread;
	bool runs;
	bool alone; /* away: alone */
	int64_t patience, began;
	struct follower f; /* n 0: nobody waits */
	struct buf out;

	/* Under mu. */
	pthread_mutex_t mu;
	bool stop, fenced;
	struct log_place has; /* on the standby's disk */
	struct ship_stat stat;
};

const char *
ship_state_name(enum ship_state s)
{
	static const char *const names[] = {"together", "held", "alone"};

	return names[s];
}

static void
ring(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

/* ---- messages ---- */

static void
reply(struct ship *s, const struct follower *f, const char *what,
    const struct log_place *p, uint64_t stamp, const char *text)
{
	struct slice blob = buf_all(&s->out);
	struct buf h;

	buf_init(&h, 4096);
	mp_put_map(&h, 8);
	mp_put_cstr(&h, "n");
	mp_put_uint(&h, f->n);
	mp_put_cstr(&h, "what");
	mp_put_cstr(&h, what);
	mp_put_cstr(&h, "epoch");
	mp_put_uint(&h, s->core->epoch);
	mp_put_cstr(&h, "first");
	mp_put_uint(&h, p != NULL ? p->first : 0);
	mp_put_cstr(&h, "at");
	mp_put_uint(&h, p != NULL ? p->at : 0);
	mp_put_cstr(&h, "stamp");
	mp_put_uint(&h, stamp);
	mp_put_cstr(&h, "begins");
	mp_put_uint(&h, log_first(s->core->log));
	mp_put_cstr(&h, "text");
	mp_put_cstr(&h, text);
	/* What does not fit is asked for again. */
	if (buf_check(&h) == ERR_OK &&
	    zmq_send(s->sock, f->peer, f->peer_n, ZMQ_SNDMORE | ZMQ_DONTWAIT) >=
		0 &&
	    zmq_send(s->sock, h.p, h.n, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
		(void)!zmq_send(s->sock, blob.p, blob.n, ZMQ_DONTWAIT);
	buf_fini(&h);
	buf_reset(&s->out);
}

static void
refuse(struct ship *s, const struct follower *f, enum err e)
{
	/* What a trim or a rotation was just doing is over in a moment. */
	bool later = err_class(e) == CLASS_RETRY || e == ERR_NOTFOUND;

	buf_reset(&s->out);
	reply(s, f, later ? "later" : "no", NULL, 0, err_last());
	if (e == ERR_STATE || e == ERR_DENIED)
		say(SAY_ERROR, "standby", "refused: %s", err_last());
}

/* ---- bytes ---- */

/* The standby's disk has all up to there. Under no lock. */
static void
confirmed(struct ship *s, const struct log_place *p)
{
	struct log_place end;
	bool news;

	log_end(s->core->log, &end);
	pthread_mutex_lock(&s->mu);
	s->has = *p;
	s->stat.heard = clock_now();
	s->stat.behind = p->first == end.first && p->at <= end.at
			     ? end.at - p->at
			     : end.at + 1; /* another segment: at least */
	news = s->stat.state != SHIP_TOGETHER || s->stat.behind == 0;
	pthread_mutex_unlock(&s->mu);
	if (news)
		ring(s->news);
}

/* Answer the one that waits, if there is something, or it is time to. */
static void
serve(struct ship *s)
{
	struct follower *f = &s->f;
	struct log_place p = f->place;
	uint64_t stamp;
	enum err e;

	if (f->n == 0)
		return;
	buf_reset(&s->out);
	e = log_bytes(
	    s->core->log, &p, f->head, f->tail, BYTES_A_REPLY, &s->out);
	if (e == ERR_OK && s->out.n == 0 && clock_mono() - f->asked < HOLD_NS)
		return;
	/* After the bytes: a slot that they name is in the keys of now. */
	stamp = copy_stamp(s->core->cfg->data);
	if (e != ERR_OK)
		refuse(s, f, e);
	else
		reply(s, f, "bytes", &p, stamp, "");
	f->n = 0;
}

static void
on_turns(struct ship *s, const struct follower *f, struct slice header)
{
	struct log_place p;
	int64_t first = 0, at = 0, head = 0, tail = 0;
	enum err e;

	if (!mp_get_int(header, "first", &first) ||
	    !mp_get_int(header, "at", &at) ||
	    !mp_get_int(header, "head", &head) ||
	    !mp_get_int(header, "tail", &tail) || first < 0 || at < 0) {
		refuse(s, f, err_note(ERR_SYNTAX, "turns: a key is missing"));
		return;
	}
	s->f = *f;
	s->f.place = p = (struct log_place){(uint64_t)first, (uint64_t)at};
	s->f.head = (uint32_t)head;
	s->f.tail = (uint32_t)tail;
	s->f.asked = clock_mono();
	/* It counts only if it is a beginning of ours. */
	buf_reset(&s->out);
	e = log_bytes(s->core->log, &p, s->f.head, s->f.tail, 0, &s->out);
	if (e != ERR_OK) {
		refuse(s, f, e);
		s->f.n = 0;
		return;
	}
	confirmed(s, &p);
	serve(s);
}

static void
on_read(struct ship *s, const struct follower *f, struct slice header)
{
	struct slice name;
	char text[128];
	int64_t at = 0, n = 0;
	enum err e;

	if (!mp_get_str(header, "name", &name) || name.n >= sizeof(text) ||
	    !mp_get_int(header, "at", &at) || !mp_get_int(header, "size", &n) ||
	    at < 0 || n < 0 || n > BYTES_A_REPLY) {
		refuse(s, f, err_note(ERR_SYNTAX, "read: a key is missing"));
		return;
	}
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(name));
	buf_reset(&s->out);
	e = copy_read(
	    s->core->cfg->data, text, (uint64_t)at, (uint64_t)n, &s->out);
	if (e != ERR_OK)
		refuse(s, f, e);
	else
		reply(s, f, "file", NULL, 0, "");
}

static void
on_list(struct ship *s, const struct follower *f)
{
	uint64_t stamp = copy_stamp(s->core->cfg->data);
	enum err e;

	buf_reset(&s->out);
	e = copy_list(s->core->cfg->data, s->core->log, &s->out);
	if (e != ERR_OK)
		refuse(s, f, e);
	else
		reply(s, f, "list", NULL, stamp, "");
}

/* ---- the fence ---- */

static enum err
fence_path(const char *data, struct buf *out)
{
	buf_reset(out);
	buf_printf(out, "%s/fenced", data);
	return buf_check(out);
}

static void
on_fence(struct ship *s, const struct follower *f, struct slice header)
{
	struct buf path, text;
	int64_t epoch = 0;
	enum err e;

	if (!mp_get_int(header, "epoch", &epoch) ||
	    (uint64_t)epoch <= s->core->epoch) {
		reply(s, f, "kept", NULL, 0, "");
		return;
	}
	buf_init(&path, 4200);
	buf_init(&text, 64);
	buf_printf(&text, "%lld\n", (long long)epoch);
	e = fence_path(s->core->cfg->data, &path);
	if (e == ERR_OK)
		e = file_write(buf_cstr(&path), buf_all(&text), 0600);
	if (e == ERR_OK)
		reply(s, f, "fenced", NULL, 0, "");
	buf_fini(&path);
	buf_fini(&text);
	/* With or without the file: this one ends. */
	pthread_mutex_lock(&s->mu);
	s->fenced = true;
	pthread_mutex_unlock(&s->mu);
	ring(s->news);
}

enum err
ship_check_fence(const char *data, uint64_t epoch)
{
	struct buf path, text;
	uint64_t other = 0;
	enum err e;

	buf_init(&path, 4200);
	buf_init(&text, 64);
	e = fence_path(data, &path);
	if (e == ERR_OK)
		e = file_read(buf_cstr(&path), &text);
	if (e == ERR_OK)
		other = strtoull(buf_cstr(&text), NULL, 10);
	buf_fini(&path);
	buf_fini(&text);
	if (e == ERR_NOTFOUND || (e == ERR_OK && other <= epoch))
		return ERR_OK;
	return e != ERR_OK
		   ? e
		   : err_note(ERR_STATE,
			 "another machine was promoted (epoch %" PRIu64
			 ", ours is %" PRIu64
			 "): this journal is not the primary's any more. To "
			 "make this machine the standby, keep %s elsewhere "
			 "and run `vayla standby` with an empty folder",
			 other, epoch, data);
}

/* ---- the thread ---- */

static bool
is_standby(struct ship *s, zmq_msg_t *m)
{
	const char *key = zmq_msg_gets(m, "User-Id");
	const struct access_user *u;

	if (users_look(&s->users))
		users_looked(&s->users);
	u = key != NULL ? users_find(&s->users, key) : NULL;
	return u != NULL && strcmp(u->role, "standby") == 0;
}

static void
on_message(struct ship *s, zmq_msg_t part[2])
{
	struct slice header =
	    slice_of(zmq_msg_data(&part[1]), zmq_msg_size(&part[1]));
	struct follower f = {.n = 0};
	struct slice what = SLICE_EMPTY;
	int64_t n = 0;

	f.peer_n = zmq_msg_size(&part[0]);
	if (f.peer_n > sizeof(f.peer) || mp_check(header) != ERR_OK ||
	    !mp_get_int(header, "n", &n) || n < 1 ||
	    !mp_get_str(header, "what", &what))
		return;
	memcpy(f.peer, zmq_msg_data(&part[0]), f.peer_n);
	f.n = (uint64_t)n;
	if (!is_standby(s, &part[1]))
		refuse(s, &f,
		    err_note(ERR_DENIED,
			"this key is not of the role standby: `vayla key new "
			"standby --role standby`"));
	else if (slice_is(what, "turns"))
		on_turns(s, &f, header);
	else if (slice_is(what, "list"))
		on_list(s, &f);
	else if (slice_is(what, "read"))
		on_read(s, &f, header);
	else if (slice_is(what, "fence"))
		on_fence(s, &f, header);
	else
		refuse(s, &f, err_note(ERR_SYNTAX, "no such question"));
}

static bool
receive(struct ship *s)
{
	zmq_msg_t part[2], spare, *m;
	bool more = true;
	int n = 0;

	for (; more; n++) {
		m = n < 2 ? &part[n] : &spare;
		zmq_msg_init(m);
		if (zmq_msg_recv(m, s->sock, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(m);
			break;
		}
		more = zmq_msg_more(m) != 0;
		if (n >= 2)
			zmq_msg_close(&spare);
	}
	if (n == 2 && !more)
		on_message(s, part);
	for (int i = 0; i < n && i < 2; i++)
		zmq_msg_close(&part[i]);
	return n > 0;
}

static void *
work(void *arg)
{
	struct ship *s = arg;
	zmq_pollitem_t items[2] = {{.socket = s->sock, .events = ZMQ_POLLIN},
	    {.fd = s->wake, .events = ZMQ_POLLIN}};
	uint64_t n;
	bool stop = false;

	while (!stop) {
		(void)!zmq_poll(items, 2, 100);
		(void)!read(s->wake, &n, sizeof(n));
		for (int i = 0; i < 64 && receive(s); i++)
			;
		serve(s);
		pthread_mutex_lock(&s->mu);
		stop = s->stop;
		pthread_mutex_unlock(&s->mu);
	}
	return NULL;
}

static enum err
bind_socket(struct ship *s, void *context, const char *secret)
{
	const char *address = s->core->cfg->standby;
	const struct {
		int option, value;
	} ints[] = {{ZMQ_LINGER, 200}, {ZMQ_RCVHWM, 16}, {ZMQ_SNDHWM, 16},
	    {ZMQ_HANDSHAKE_IVL, 5000}, {ZMQ_CURVE_SERVER, 1},
	    {ZMQ_HEARTBEAT_IVL, 5000}, {ZMQ_HEARTBEAT_TIMEOUT, 15000}};
	int64_t most = 64 * 1024;

	s->sock = zmq_socket(context, ZMQ_ROUTER);
	if (s->sock == NULL)
		return err_note(ERR_IO, "zmq: %s", zmq_strerror(errno));
	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
		(void)!zmq_setsockopt(s->sock, ints[i].option, &ints[i].value,
		    sizeof(ints[i].value));
	if (zmq_setsockopt(s->sock, ZMQ_MAXMSGSIZE, &most, sizeof(most)) != 0 ||
	    zmq_setsockopt(s->sock, ZMQ_ZAP_DOMAIN, "vayla", 5) != 0 ||
	    zmq_setsockopt(s->sock, ZMQ_CURVE_SECRETKEY, secret, ACCESS_KEY) !=
		0)
		return err_note(
		    ERR_IO, "zmq: no CURVE: %s", zmq_strerror(errno));
	if (zmq_bind(s->sock, address) != 0)
		return err_note(ERR_IO,
		    "cannot listen on %s (broker.standby.listen): %s", address,
		    zmq_strerror(errno));
	return ERR_OK;
}

enum err
ship_open(struct ship **out, const struct core *core, void *context)
{
	struct access_keys keys;
	struct ship *s;
	enum err e;

	*out = NULL;
	if (core->cfg->standby == NULL)
		return ERR_OK;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_note(ERR_NOMEM, "no memory");
	s->core = core;
	s->alone = core->cfg->standby_alone;
	s->patience = core->cfg->standby_seconds * NS_PER_SEC;
	s->began = clock_mono();
	s->stat.state = SHIP_HELD;
	s->stat.since = clock_now();
	pthread_mutex_init(&s->mu, NULL);
	buf_init(&s->out, 64 * 1024 * 1024);
	s->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e = s->news >= 0 && s->wake >= 0 ? ERR_OK
					 : err_errno(ERR_IO, "eventfd");
	if (e == ERR_OK)
		e = users_open(&s->users, core->cfg, &keys);
	if (e == ERR_OK)
		e = bind_socket(s, context, keys.secret);
	access_wipe(&keys);
	if (e == ERR_OK && pthread_create(&s->thread, NULL, work, s) != 0)
		e = err_note(ERR_NOMEM, "cannot start the standby's thread");
	s->runs = e == ERR_OK;
	if (e != ERR_OK) {
		ship_close(s);
		return e;
	}
	say(SAY_INFO, "standby", "waiting for it on %s; while it is away: %s",
	    core->cfg->standby, s->alone ? "alone" : "wait");
	*out = s;
	return ERR_OK;
}

void
ship_close(struct ship *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->mu);
	s->stop = true;
	pthread_mutex_unlock(&s->mu);
	ring(s->wake);
	if (s->runs)
		pthread_join(s->thread, NULL);
	if (s->sock != NULL)
		zmq_close(s->sock);
	if (s->news >= 0)
		close(s->news);
	if (s->wake >= 0)
		close(s->wake);
	users_close(&s->users);
	buf_fini(&s->out);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

/* ---- the turn thread ---- */

int
ship_fd(const struct ship *s)
{
	return s != NULL ? s->news : -1;
}

/* Under mu. */
static void
turn_to(struct ship *s, enum ship_state state)
{
	static const char *const says[] = {
	    "the standby has everything: both disks confirm from now on",
	    "the standby is away: nothing is confirmed until it is back "
	    "(broker.standby.away: wait)",
	    "the standby is away: going on ALONE; what is confirmed now is on "
	    "this disk only (broker.standby.away: alone)"};

	if (s->stat.state == state)
		return;
	s->stat.state = state;
	s->stat.since = clock_now();
	say(state == SHIP_TOGETHER ? SAY_INFO : SAY_WARN, "standby", "%s",
	    says[state]);
}

/* Under mu. */
static bool
has_all(const struct ship *s)
{
	struct log_place end;

	log_end(s->core->log, &end);
	return s->has.first == end.first && s->has.at == end.at;
}

static enum ship_answer
away(struct ship *s)
{
	turn_to(s, s->alone ? SHIP_ALONE : SHIP_HELD);
	return s->alone ? SHIP_GO : SHIP_HOLD;
}

static enum ship_answer
ask(struct ship *s, bool stored, int64_t since)
{
	enum ship_answer a = SHIP_GO;
	uint64_t n;

	(void)!read(s->news, &n, sizeof(n));
	pthread_mutex_lock(&s->mu);
	if (s->fenced) {
		a = SHIP_FENCED;
	} else if (has_all(s)) {
		turn_to(s, SHIP_TOGETHER);
	} else if (s->stat.state == SHIP_ALONE) {
		s->stat.alone += stored;
	} else if (s->stat.state == SHIP_HELD) {
		/* At the start even one that goes on alone waits a while. */
		a = s->alone && clock_mono() - s->began > s->patience
			? away(s)
			: SHIP_HOLD;
	} else if (stored) {
		a = clock_mono() - since > s->patience ? away(s) : SHIP_WAIT;
		s->stat.alone += a == SHIP_GO;
	}
	pthread_mutex_unlock(&s->mu);
	if (a == SHIP_FENCED)
		(void)!ship_check_fence(s->core->cfg->data, s->core->epoch);
	return a;
}

enum ship_answer
ship_ready(struct ship *s)
{
	return s != NULL ? ask(s, false, 0) : SHIP_GO;
}

enum ship_answer
ship_confirm(struct ship *s, int64_t since)
{
	if (s == NULL)
		return SHIP_GO;
	ring(s->wake);
	return ask(s, true, since);
}

void
ship_stat(struct ship *s, struct ship_stat *out)
{
	*out = (struct ship_stat){.state = SHIP_TOGETHER};
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->mu);
	*out = s->stat;
	pthread_mutex_unlock(&s->mu);
}
