/*
 * loop - see loop.h.
 *
 * Invariant: a delivery is in `hand` from the moment the connector gets it
 * until it is settled; its settlement is in `out`, then with the client, and if
 * the broker refuses it for now in `later`, until it is confirmed or dropped
 * for good. The broker holds a delivery's credit until the settlement is
 * confirmed, so all of these together are at most the window.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/notify.h"
#include "broker/base/say.h"
#include "connectors/sdk/loop.h"

#define HAND 1024
#define DRAIN_NS (5 * NS_PER_SEC)
#define EXCERPT 1024
#define RECORD_MAX 16384 /* one settlement, at the most */
#define RETRY_NS NS_PER_SEC

struct in_hand {
	uint64_t seq;
	uint32_t attempt;
	int64_t since; /* mono */
};

/* Settlements on their way to the broker. */
struct batch {
	struct sdk_loop *loop;
	struct batch *next; /* in `later` */
	int64_t due;
	uint32_t count;
	size_t n;
	size_t alone; /* so much of it is a settlement, the rest its answer */
	uint8_t bytes[];
};

struct sdk_loop {
	struct sdk *sdk;
	void *self;
	int signals, ready_fd;
	size_t hand_n;
	struct in_hand hand[HAND];
	struct buf out;
	uint32_t out_n;
	struct batch *later;
	bool was_up, closing;
	bool delivered; /* since the connector's last step */
	uint64_t counts[SETTLE_ASK + 1];
};

/* ---- settling ---- */

static void send_batch(struct sdk_loop *l, struct batch *b);

static void
on_settled(void *arg, enum err e, int64_t retry_ms)
{
	struct batch *b = arg;
	struct sdk_loop *l = b->loop;

	if (e != ERR_OK && !l->closing && err_class(e) == CLASS_RETRY) {
		say(SAY_WARN, "settle", "%u settlements wait: %s: %s", b->count,
		    err_name(e), err_last());
		b->due = clock_mono() +
			 (retry_ms > 0 ? retry_ms * NS_PER_MS : RETRY_NS);
		b->next = l->later;
		l->later = b;
		return;
	}
	if (e != ERR_OK && !l->closing && b->alone > 0) {
		/* Kept unsettled, the request would be made once more. */
		say(SAY_ERROR, "settle",
		    "an answer cannot be kept, its request is settled without "
		    "it: %s: %s",
		    err_name(e), err_last());
		b->n = b->alone;
		b->count = 1;
		b->alone = 0;
		send_batch(l, b);
		return;
	}
	if (e != ERR_OK && !l->closing)
		say(SAY_ERROR, "settle",
		    "the broker refuses %u settlements: %s: %s", b->count,
		    err_name(e), err_last());
	free(b);
}

static void
send_batch(struct sdk_loop *l, struct batch *b)
{
	enum err e = client_publish(
	    l->sdk->client, slice_of(b->bytes, b->n), b->count, on_settled, b);

	if (e != ERR_OK)
		on_settled(b, e, 0);
}

static void
flush_with(struct sdk_loop *l, size_t alone)
{
	struct batch *b;

	if (l->out_n == 0)
		return;
	b = malloc(sizeof(*b) + l->out.n);
	if (b == NULL || buf_check(&l->out) != ERR_OK) {
		/* They come again. */
		say(SAY_ERROR, "settle", "no memory for %u settlements",
		    l->out_n);
		free(b);
	} else {
		*b = (struct batch){.loop = l,
		    .count = l->out_n,
		    .n = l->out.n,
		    .alone = alone};
		memcpy(b->bytes, l->out.p, l->out.n);
		send_batch(l, b);
	}
	buf_reset(&l->out);
	l->out_n = 0;
}

static void
flush(struct sdk_loop *l)
{
	flush_with(l, 0);
}

/* Those the broker did not take, again; sets *next_ms to the earliest. */
static void
flush_later(struct sdk_loop *l, int64_t now, int *next_ms)
{
	struct batch **at = &l->later;

	while (*at != NULL) {
		struct batch *b = *at;

		if (b->due > now) {
			int64_t ms = (b->due - now) / NS_PER_MS + 1;

			if (ms < *next_ms)
				*next_ms = (int)ms;
			at = &b->next;
			continue;
		}
		*at = b->next;
		send_batch(l, b);
		*next_ms = 0;
		at = &l->later; /* a refusal may have put it back */
		if (l->later == b)
			return;
	}
}

static struct in_hand *
find(struct sdk_loop *l, uint64_t seq)
{
	for (size_t i = 0; i < l->hand_n; i++)
		if (l->hand[i].seq == seq)
			return &l->hand[i];
	return NULL;
}

static void
put_effect(struct buf *out, const struct settled *v, int64_t ms)
{
	struct slice x = v->excerpt;

	if (x.n > EXCERPT)
		x.n = EXCERPT;
	mp_put_map(out, (uint32_t)(1 + (v->status != 0) + (v->remote.n > 0) +
				   (v->digest.n > 0) + (x.n > 0)));
	mp_put_cstr(out, "ms");
	mp_put_int(out, ms);
	if (v->status != 0) {
		mp_put_cstr(out, "status");
		mp_put_int(out, v->status);
	}
	if (v->remote.n > 0) {
		mp_put_cstr(out, "remote");
		mp_put_str(out, v->remote);
	}
	if (v->digest.n > 0) {
		mp_put_cstr(out, "digest");
		mp_put_bin(out, v->digest);
	}
	if (x.n > 0) {
		mp_put_cstr(out, "excerpt");
		mp_put_bin(out, x);
	}
}

void
sdk_settle(struct sdk *s, uint64_t seq, const struct settled *v)
{
	struct sdk_loop *l = s->loop;
	struct in_hand *h = find(l, seq);
	struct settle t = {.sub = slice_str(s->name), .seq = seq};
	struct buf effect, body;

	if (h == NULL)
		return;
	if (l->out_n == FRAME_RECORDS || l->out.n + RECORD_MAX > FRAME_MAX)
		flush(l);
	buf_init(&effect, RECORD_MAX);
	buf_init(&body, RECORD_MAX);
	put_effect(&effect, v, (clock_mono() - h->since) / NS_PER_MS);
	t.verdict = v->is;
	t.attempt = h->attempt;
	t.after_ms = v->after_ms;
	t.text = slice_str(v->text);
	t.path = t.where = t.table = t.key = SLICE_EMPTY;
	t.wait_type = t.wait_key = SLICE_EMPTY;
	t.effect = buf_all(&effect);
	settle_write(&body, &t);
	record_write(&l->out, REC_SETTLE, buf_all(&body));
	l->out_n++;
	if (v->is <= SETTLE_ASK)
		l->counts[v->is]++;
	if (v->is != SETTLE_OK)
		say(v->is == SETTLE_REJECT ? SAY_WARN : SAY_INFO, "settle",
		    "%s of %ju, attempt %u: %s", settle_name(v->is),
		    (uintmax_t)seq, h->attempt, v->text != NULL ? v->text : "");
	*h = l->hand[--l->hand_n];
	buf_fini(&effect);
	buf_fini(&body);
}

enum err
sdk_answer(struct sdk *s, uint64_t seq, const struct settled *v,
    const struct event *answer)
{
	struct sdk_loop *l = s->loop;
	struct buf body;
	size_t alone;
	enum err e;

	if (find(l, seq) == NULL)
		return ERR_OK;
	buf_init(&body, FRAME_MAX - RECORD_MAX - 64);
	event_write(&body, answer);
	e = buf_check(&body);
	if (e == ERR_OK) {
		flush(l);
		sdk_settle(s, seq, v);
		alone = l->out.n;
		record_write(&l->out, REC_EVENT, buf_all(&body));
		l->out_n++;
		flush_with(l, alone);
	}
	buf_fini(&body);
	return e == ERR_OK ? e
			   : err_note(ERR_LIMIT,
				 "an answer of more than %d KiB is not kept",
				 (FRAME_MAX - RECORD_MAX) / 1024);
}

void
sdk_extend(struct sdk *s, uint64_t seq)
{
	if (find(s->loop, seq) != NULL)
		client_extend(s->client, seq);
}

const struct sdk_system *
sdk_system(const struct sdk *s, struct slice name)
{
	for (size_t i = 0; i < s->systems_n; i++)
		if (slice_eq(s->systems[i].conf->name, name))
			return &s->systems[i];
	return NULL;
}

static void
on_event(void *arg, struct slice sub, uint64_t seq, uint32_t attempt,
    bool again, const struct event *e)
{
	struct sdk_loop *l = arg;
	struct in_hand *h = find(l, seq);
	struct delivery d = {sub, seq, attempt, again, e};

	if (h != NULL) { /* after a lost session; it is under way here */
		h->attempt = attempt;
		return;
	}
	/* While ours is full the broker's window is not: its session is new.
	 * What we leave lying comes again. */
	if (l->hand_n == HAND || l->hand_n >= l->sdk->kind->window)
		return;
	l->hand[l->hand_n++] = (struct in_hand){seq, attempt, clock_mono()};
	l->delivered = true;
	l->sdk->kind->on_delivery(l->self, &d);
}

/* ---- the process ---- */

static void
report(struct sdk_loop *l)
{
	uint32_t n = SETTLE_ASK + 2;
	struct buf b;
	size_t mark;

	/* A connector without deliveries has something else to report. */
	if (l->sdk->kind->window == 0)
		return;
	buf_init(&b, 4096);
	mark = mp_open(&b);
	for (int i = 0; i <= SETTLE_ASK; i++) {
		mp_put_cstr(&b, settle_name((enum settle_verdict)i));
		mp_put_uint(&b, l->counts[i]);
	}
	mp_put_cstr(&b, "in_hand");
	mp_put_uint(&b, l->hand_n);
	if (l->sdk->kind->report != NULL)
		n += l->sdk->kind->report(l->self, &b);
	mp_close_map(&b, mark, n);
	if (buf_check(&b) == ERR_OK)
		client_report(l->sdk->client, buf_all(&b));
	buf_fini(&b);
}

static void
say_ready(struct sdk_loop *l)
{
	bool up = client_up(l->sdk->client);

	if (up && !l->was_up)
		say_kv(SAY_INFO, "bus", "connected", NULL);
	else if (!up && l->was_up)
		say_kv(SAY_WARN, "bus",
		    "the broker is away; what is to be sent waits here", NULL);
	l->was_up = up;
	if (up && l->ready_fd >= 0) {
		(void)!write(l->ready_fd, "1", 1);
		close(l->ready_fd);
		l->ready_fd = -1;
	}
}

static enum err
take_signals(struct sdk_loop *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return err_errno(ERR_IO, "cannot block signals");
	signal(SIGPIPE, SIG_IGN);
	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return l->signals >= 0 ? ERR_OK
			       : err_errno(ERR_IO, "cannot wait for signals");
}

static bool
told_to_end(struct sdk_loop *l)
{
	struct signalfd_siginfo info;

	return read(l->signals, &info, sizeof(info)) == sizeof(info);
}

/* One turn: wait, hear the bus, let the connector work, send. */
static enum err
turn(struct sdk_loop *l, int *next_ms)
{
	struct pollfd fds[SDK_FDS + 2];
	struct sdk *s = l->sdk;
	int send_ms;
	size_t n = 2;
	enum err e;

	fds[0] = (struct pollfd){.fd = client_fd(s->client), .events = POLLIN};
	fds[1] = (struct pollfd){.fd = l->signals, .events = POLLIN};
	if (s->kind->fds != NULL)
		n += s->kind->fds(l->self, fds + 2);
	if (poll(fds, (nfds_t)n, *next_ms) < 0 && errno != EINTR)
		return err_errno(ERR_IO, "poll");
	e = client_step(s->client, next_ms);
	l->delivered = false;
	if (e == ERR_OK)
		e = s->kind->step(l->self, next_ms);
	if (e != ERR_OK)
		return e;
	report(l);
	say_ready(l);
	notify_alive();
	flush_later(l, clock_mono(), next_ms);
	flush(l);
	/* What was published in this turn goes out in it. */
	e = client_step(s->client, &send_ms);
	if (send_ms < *next_ms)
		*next_ms = send_ms;
	if (l->delivered)
		*next_ms = 0;
	return e;
}

static enum err
loop_turns(struct sdk_loop *l)
{
	const struct connector *kind = l->sdk->kind;
	int64_t until = 0;
	int next_ms = 0;
	enum err e;

	/* Without the broker, too: what comes in waits here. */
	notify("READY=1");
	for (;;) {
		e = turn(l, &next_ms);
		if (e != ERR_OK)
			return e;
		if (told_to_end(l) && until == 0) {
			until = clock_mono() + DRAIN_NS;
			say_kv(SAY_INFO, "connector", "ending", NULL);
		}
		if (until == 0)
			continue;
		if (next_ms > 50)
			next_ms = 50;
		if (clock_mono() >= until)
			return ERR_OK;
		if ((kind->drain == NULL || kind->drain(l->self)) &&
		    l->out_n == 0 &&
		    (client_waiting(l->sdk->client) == 0 ||
			!client_up(l->sdk->client)))
			return ERR_OK;
	}
}

static enum err
open_bus(struct sdk_loop *l)
{
	struct sdk *s = l->sdk;
	struct client_options o = {.address = s->config->bus,
	    .access = s->config->access,
	    .name = s->name,
	    .role = s->kind->role,
	    .on_event = on_event,
	    .arg = l};
	enum err e = client_open(&s->client, &o);

	if (e == ERR_OK && s->kind->window > 0)
		e = client_subscribe(s->client, slice_str(s->name),
		    s->kind->window, s->kind->window_bytes,
		    s->kind->patience_ms);
	return e;
}

enum err
loop_run(struct sdk *s)
{
	struct sdk_loop *l = calloc(1, sizeof(*l));
	const char *fd = getenv(READY_ENV);
	enum err e;

	if (l == NULL)
		return err_note(ERR_NOMEM, "the loop");
	l->sdk = s;
	s->loop = l;
	l->ready_fd = fd != NULL ? atoi(fd) : -1;
	buf_init(&l->out, FRAME_MAX);
	e = take_signals(l);
	if (e == ERR_OK)
		e = open_bus(l);
	if (e == ERR_OK)
		e = s->kind->open(s, &l->self);
	if (e == ERR_OK)
		e = loop_turns(l);
	l->closing = true;
	if (s->client != NULL)
		client_bye(s->client);
	if (l->self != NULL)
		s->kind->close(l->self);
	client_free(s->client);
	s->client = NULL;
	while (l->later != NULL) {
		struct batch *b = l->later;

		l->later = b->next;
		free(b);
	}
	buf_fini(&l->out);
	if (l->signals > 0)
		close(l->signals);
	free(l);
	s->loop = NULL;
	return e;
}
