/*
 * standby - the other machine: `vayla standby` keeps a copy of a primary's
 * journal (broker.follow), `vayla promote` makes that copy the primary, and the
 * fence that a promoted broker sets against the one it followed.
 *
 * DATA/standby says that DATA is such a copy, and the primary's epoch; no
 * broker starts on it. A promotion raises the epoch by 2^32, so that no number
 * of restarts of the old primary catches up with it, and removes that file
 * last.
 *
 * Rejected: promoting by itself. Two machines that cannot see each other cannot
 * know which of them is cut off; a person can.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/mp.h"
#include "broker/base/notify.h"
#include "broker/base/opt.h"
#include "broker/base/say.h"
#include "broker/core/copy.h"
#include "broker/core/ship.h"
#include "broker/core/verbs.h"
#include "broker/wire/dial.h"
#include "broker/wire/frame.h"

#define KEY_USER "standby" /* whose key it shows, unless $VAYLA_KEY says */
#define ANSWER_MS 3000
#define FENCE_MS 1000
#define FILE_MOST (256 * 1024 * 1024)
#define READ_MOST (1024 * 1024)

static volatile sig_atomic_t ended;

static void
on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

/* ---- one question and its answer ---- */

struct line {
	struct dial dial;
	uint64_t n;
	struct buf header, blob; /* of the answer */
};

/* "key", number pairs; closed by NULL. */
static bool
question(struct line *l, const char *what, const char *name,
    const char *const *keys, const uint64_t *values)
{
	struct buf h;
	size_t mark;
	uint32_t count = 2;
	bool ok;

	buf_init(&h, 4096);
	mark = mp_open(&h);
	mp_put_cstr(&h, "n");
	mp_put_uint(&h, ++l->n);
	mp_put_cstr(&h, "what");
	mp_put_cstr(&h, what);
	if (name != NULL) {
		mp_put_cstr(&h, "name");
		mp_put_cstr(&h, name);
		count++;
	}
	for (size_t i = 0; keys[i] != NULL; i++, count++) {
		mp_put_cstr(&h, keys[i]);
		mp_put_uint(&h, values[i]);
	}
	mp_close_map(&h, mark, count);
	ok = buf_check(&h) == ERR_OK &&
	     zmq_send(l->dial.sock, h.p, h.n, ZMQ_DONTWAIT) >= 0;
	buf_fini(&h);
	return ok;
}

static bool
take(struct line *l)
{
	struct buf *to[] = {&l->header, &l->blob};
	bool more = true;
	zmq_msg_t m;

	buf_reset(&l->header);
	buf_reset(&l->blob);
	for (int i = 0; more; i++) {
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, l->dial.sock, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&m);
			return false;
		}
		more = zmq_msg_more(&m) != 0;
		if (i < 2)
			buf_put(to[i], zmq_msg_data(&m), zmq_msg_size(&m));
		zmq_msg_close(&m);
	}
	return buf_check(&l->header) == ERR_OK &&
	       buf_check(&l->blob) == ERR_OK &&
	       mp_check(buf_all(&l->header)) == ERR_OK;
}

/* ERR_TIMEOUT; ERR_STATE: the primary says no, with its reason. */
static enum err
answer(struct line *l, int ms)
{
	int64_t until = clock_mono() + ms * NS_PER_MS, left, n;
	struct slice what, text = SLICE_EMPTY;

	while ((left = (until - clock_mono()) / NS_PER_MS) > 0 && !ended) {
		zmq_pollitem_t item = {
		    .socket = l->dial.sock, .events = ZMQ_POLLIN};

		(void)!zmq_poll(&item, 1, left < 200 ? (long)left : 200);
		if ((dial_events(&l->dial) & ZMQ_POLLIN) == 0) {
			if ((dial_events(&l->dial) & ZMQ_POLLOUT) == 0) {
				enum err e = dial_refused(&l->dial);

				if (e != ERR_OK)
					return e;
			}
			continue;
		}
		if (!take(l) || !mp_get_int(buf_all(&l->header), "n", &n) ||
		    (uint64_t)n != l->n ||
		    !mp_get_str(buf_all(&l->header), "what", &what))
			continue; /* of an earlier question */
		if (slice_is(what, "later"))
			return err_note(ERR_BUSY, "the primary: not now");
		if (!slice_is(what, "no"))
			return ERR_OK;
		(void)mp_get_str(buf_all(&l->header), "text", &text);
		return err_note(
		    ERR_STATE, "the primary refuses: %.*s", SLICE_ARG(text));
	}
	return err_note(ERR_TIMEOUT, "no answer");
}

static uint64_t
number(const struct line *l, const char *key)
{
	int64_t v = 0;

	(void)mp_get_int(buf_all(&l->header), key, &v);
	return (uint64_t)v;
}

static enum err
line_open(struct line *l, const struct config *c)
{
	buf_init(&l->header, 8192);
	buf_init(&l->blob, 64 * 1024 * 1024);
	return dial_open(&l->dial, c->follow, c->access, KEY_USER);
}

static void
line_close(struct line *l)
{
	dial_close(&l->dial);
	if (l->blob.n > 0)
		secret_wipe(l->blob.p, l->blob.n);
	buf_fini(&l->header);
	buf_fini(&l->blob);
}

/* ---- files beside the journal ---- */

static enum err
fetch(
    struct line *l, const char *name, uint64_t at, uint64_t n, struct buf *out)
{
	static const char *const keys[] = {"at", "size", NULL};
	enum err e = ERR_OK;

	while (e == ERR_OK && n > 0) {
		uint64_t want = n < READ_MOST ? n : READ_MOST;
		uint64_t values[] = {at, want};

		if (!question(l, "read", name, keys, values))
			return err_note(ERR_TIMEOUT, "no connection");
		e = answer(l, ANSWER_MS);
		if (e == ERR_OK && l->blob.n != want)
			e = err_note(ERR_SYNTAX, "the primary's answer");
		if (e == ERR_OK)
			buf_slice(out, buf_all(&l->blob));
		at += want;
		n -= want;
	}
	return e == ERR_OK ? buf_check(out) : e;
}

static enum err
fetch_one(struct line *l, struct copy *c, const char *data, const char *name,
    const uint64_t v[3])
{
	struct buf b;
	enum err e;

	if (v[2] != 0 && copy_sum(data, name, v[0], v[1]) == v[2])
		return ERR_OK;
	buf_init(&b, FILE_MOST);
	e = fetch(l, name, v[0], v[1], &b);
	if (e == ERR_OK)
		e = copy_put(c, name, v[0], buf_all(&b));
	if (b.n > 0)
		secret_wipe(b.p, b.n);
	buf_fini(&b);
	return e;
}

/* Everything that the list names and is not here, or is another. */
static enum err
sync_files(struct line *l, struct copy *c, const char *data, uint64_t *stamp)
{
	static const char *const none[] = {NULL};
	struct log_place p;
	struct buf list;
	struct mp_in in;
	struct mp head, m, name;
	uint64_t now, begins, v[3] = {0};
	uint32_t crc;
	char text[128];
	enum err e;

	if (!question(l, "list", NULL, none, NULL))
		return err_note(ERR_TIMEOUT, "no connection");
	e = answer(l, ANSWER_MS);
	if (e != ERR_OK)
		return e;
	now = number(l, "stamp");
	begins = number(l, "begins");
	buf_init(&list, 64 * 1024 * 1024);
	buf_slice(&list, buf_all(&l->blob));
	e = mp_check(buf_all(&list));
	in = mp_in(buf_all(&list));
	if (e == ERR_OK)
		e = mp_next(&in, &head);
	if (e == ERR_OK)
		e = copy_place(c, &p, &crc, &crc);
	for (uint32_t i = 0; e == ERR_OK && i < head.count; i++) {
		e = mp_next(&in, &m);
		if (e == ERR_OK)
			e = mp_next(&in, &name);
		for (int k = 0; k < 3 && e == ERR_OK; k++) {
			e = mp_next(&in, &m);
			v[k] = (uint64_t)m.i;
		}
		if (e != ERR_OK || name.bytes.n >= sizeof(text))
			break;
		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(name.bytes));
		/* A trimmed segment that is still to come comes in its turn. */
		if (copy_name_ok(text) &&
		    (strncmp(text, "log/", 4) != 0 ||
			strtoull(text + 4, NULL, 10) < p.first))
			e = fetch_one(l, c, data, text, v);
	}
	buf_fini(&list);
	if (e == ERR_OK && begins <= p.first)
		e = copy_drop(c, begins);
	if (e == ERR_OK)
		*stamp = now;
	return e;
}

/* ---- following ---- */

struct follow {
	const struct config *cfg;
	struct copy *copy;
	struct line line;
	uint64_t stamp; /* of the files that are here */
	uint64_t epoch; /* the primary's, as DATA/standby says */
	bool up;	/* it answers */
	bool denied;	/* its door did not open, and that was said */
};

/* DATA is a copy, of a primary with that epoch: before its first byte. */
static enum err
mark(struct follow *f, uint64_t epoch)
{
	char path[4200], text[64];
	enum err e;

	if (epoch == f->epoch)
		return ERR_OK;
	snprintf(path, sizeof(path), "%s/standby", f->cfg->data);
	snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);
	e = file_write(path, slice_str(text), 0600);
	if (e != ERR_OK)
		return e;
	f->epoch = epoch;
	/* What it was before, it is no more. */
	snprintf(path, sizeof(path), "%s/fenced", f->cfg->data);
	unlink(path);
	return ERR_OK;
}

/* One question for what comes next, and what follows. */
static enum err
step(struct follow *f)
{
	static const char *const keys[] = {"first", "at", "head", "tail", NULL};
	struct log_place p;
	uint32_t head, tail;
	struct buf bytes;
	enum err e = copy_place(f->copy, &p, &head, &tail);
	uint64_t values[] = {p.first, p.at, head, tail}, stamp;

	if (e != ERR_OK)
		return e;
	if (!question(&f->line, "turns", NULL, keys, values)) {
		e = dial_refused(&f->line.dial);
		usleep(100000);
		return e != ERR_OK ? e : err_note(ERR_TIMEOUT, "no connection");
	}
	e = answer(&f->line, ANSWER_MS);
	if (e == ERR_OK)
		e = mark(f, number(&f->line, "epoch"));
	if (e != ERR_OK)
		return e;
	p = (struct log_place){
	    number(&f->line, "first"), number(&f->line, "at")};
	stamp = number(&f->line, "stamp");
	if (f->line.blob.n == 0 && stamp == f->stamp)
		return ERR_OK;
	/* Keys and rulesets first: what is confirmed can be read. */
	buf_init(&bytes, 64 * 1024 * 1024);
	buf_slice(&bytes, buf_all(&f->line.blob));
	if (stamp != f->stamp)
		e = sync_files(&f->line, f->copy, f->cfg->data, &f->stamp);
	if (e == ERR_OK && bytes.n > 0)
		e = copy_write(f->copy, p, buf_all(&bytes));
	buf_fini(&bytes);
	return e;
}

/* A key that was made a moment ago is known a moment later; one that never is,
 * a person sees in the log. */
static enum err
again(struct follow *f)
{
	enum err e;

	if (!f->denied)
		say(SAY_ERROR, "standby", "%s; tried again", err_last());
	f->denied = true;
	sleep(1);
	line_close(&f->line);
	e = line_open(&f->line, f->cfg);
	return e == ERR_OK ? ERR_TIMEOUT : e;
}

static enum err
follow(const struct config *c)
{
	struct follow f = {.cfg = c};
	enum err e;

	e = copy_open(&f.copy, c->data);
	if (e == ERR_OK)
		e = line_open(&f.line, c);
	if (e == ERR_OK)
		say(SAY_INFO, "standby", "ready: following %s, journal %s",
		    c->follow, c->data);
	if (e == ERR_OK)
		notify("READY=1\nSTATUS=following %s", c->follow);
	while (e == ERR_OK && !ended) {
		e = step(&f);
		notify_alive();
		if (e == ERR_OK && !f.up)
			say(SAY_INFO, "standby", "the primary answers");
		if (e == ERR_TIMEOUT && f.up)
			say(SAY_WARN, "standby",
			    "the primary does not answer; when it is lost for "
			    "good: stop this, `vayla promote`, start the "
			    "broker");
		if (e == ERR_DENIED)
			e = again(&f);
		f.up = e == ERR_OK || e == ERR_BUSY;
		if (e == ERR_BUSY)
			usleep(100000);
		if (e == ERR_TIMEOUT || e == ERR_BUSY)
			e = ERR_OK;
	}
	line_close(&f.line);
	copy_close(f.copy);
	return e;
}

static enum err
load_config(struct config **c, const char *path)
{
	struct faults f;
	enum err e;

	faults_init(&f);
	e = config_load(c, path, &f);
	if (f.text.n > 0)
		fputs(buf_cstr(&f.text), stderr);
	if (e == ERR_OK && (*c)->follow == NULL)
		e = err_note(ERR_CONFIG,
		    "%s does not say whom to follow: broker.follow", path);
	faults_fini(&f);
	return e;
}

int
standby_verb(int argc, char **argv)
{
	static const struct opt opts[] = {{.name = NULL}};
	static const struct command cmd = {
	    .usage = "vayla standby [vayla.yaml]",
	    .help = "Keep a copy of the journal of another machine's broker "
		    "(broker.follow), so that its broker can confirm what both "
		    "disks have. `vayla promote` makes this one the primary.",
	    .opts = opts,
	    .max_args = 1};
	struct sigaction sa = {.sa_handler = on_signal};
	struct config *c = NULL;
	bool done = false;
	enum err e;
	int n;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK) {
		fprintf(stderr, "vayla: %s\n", err_last());
		return EXIT_USAGE;
	}
	if (done)
		return EXIT_OK;
	say_name("standby");
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	e = load_config(&c, n > 0 ? argv[1] : "vayla.yaml");
	if (e == ERR_OK)
		e = follow(c);
	if (e != ERR_OK)
		say(SAY_ERROR, "standby", "%s", err_last());
	config_free(c);
	return e == ERR_OK ? EXIT_OK : exit_status(e);
}

/* ---- promote ---- */

static enum err
epoch_of(const char *data, const char *name, uint64_t *out)
{
	char path[4200];
	struct buf text;
	enum err e;

	snprintf(path, sizeof(path), "%s/%s", data, name);
	buf_init(&text, 64);
	e = file_read(path, &text);
	if (e == ERR_OK)
		*out = strtoull(buf_cstr(&text), NULL, 10);
	buf_fini(&text);
	return e;
}

/* The act itself, in the journal. */
static enum err
record(struct log *l, const char *reason)
{
	const char *user = getenv("USER");
	struct action a;
	struct turn t;
	struct buf b;
	uint64_t seq;
	enum err e;

	action_init(&a);
	a.act = SLICE_LIT("promote");
	a.by = slice_str(user != NULL && user[0] != '\0' ? user : "operator");
	a.reason = slice_str(reason);
	turn_init(&t);
	buf_init(&b, 4096);
	action_write(&b, &a);
	turn_add(&t, REC_ACTION, buf_all(&b));
	t.vital = true;
	e = log_append(l, &t, clock_now(), &seq);
	buf_fini(&b);
	turn_fini(&t);
	return e;
}

static enum err
promote(const struct config *c, const char *reason)
{
	uint64_t epoch = 0, own = 0;
	char path[4200], text[64];
	struct log *l = NULL;
	enum err e;

	e = epoch_of(c->data, "standby", &epoch);
	if (e == ERR_NOTFOUND)
		e = err_note(ERR_STATE, "%s is no standby's copy", c->data);
	if (e == ERR_OK && epoch_of(c->data, "epoch", &own) == ERR_OK &&
	    own > epoch)
		epoch = own;
	if (e == ERR_OK)
		e = log_open(&l, c->data, SURVIVES_CRASH);
	if (e != ERR_OK)
		return e;
	epoch = ((epoch >> 32) + 1) << 32;
	snprintf(path, sizeof(path), "%s/epoch", c->data);
	snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);
	e = file_write(path, slice_str(text), 0600);
	if (e == ERR_OK) {
		snprintf(path, sizeof(path), "%s/promoted", c->data);
		e = file_write(path, slice_str(text), 0600);
	}
	if (e == ERR_OK)
		e = record(l, reason);
	if (e == ERR_OK) {
		snprintf(path, sizeof(path), "%s/standby", c->data);
		if (unlink(path) != 0)
			e = err_errno(ERR_IO, "cannot remove %s", path);
	}
	if (e == ERR_OK)
		e = dir_sync(c->data);
	if (e == ERR_OK)
		printf("%s is the primary's journal now, up to record %" PRIu64
		       ", epoch %" PRIu64
		       ". Start the broker; the old primary is told to end as "
		       "soon as it can be reached.\n",
		    c->data, log_next(l) - 1, epoch);
	log_close(l);
	return e;
}

int
promote_verb(int argc, char **argv)
{
	const char *reason = "";
	bool yes = false, done = false;
	const struct opt opts[] = {{.name = "yes",
				       .type = OPT_FLAG,
				       .help = "the old primary is lost, or "
					       "stopped: go ahead",
				       .flag = &yes},
	    {.name = "reason",
		.type = OPT_TEXT,
		.arg = "TEXT",
		.help = "why, for the record",
		.text = &reason},
	    {.name = NULL}};
	const struct command cmd = {.usage = "vayla promote [vayla.yaml]",
	    .help = "Make a standby's copy the primary's journal. Stop `vayla "
		    "standby` first. All that the old primary confirmed while "
		    "both were together is in it; what it confirmed alone is "
		    "not.",
	    .opts = opts,
	    .max_args = 1};
	struct config *c = NULL;
	enum err e;
	int n;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e == ERR_OK && done)
		return EXIT_OK;
	if (e == ERR_OK && !yes)
		e = err_note(ERR_USAGE,
		    "two primaries at once would each confirm what the other "
		    "does not have: make sure that the old one is lost or "
		    "stopped, then add --yes");
	if (e == ERR_OK)
		e = load_config(&c, n > 0 ? argv[1] : "vayla.yaml");
	if (e == ERR_OK)
		e = promote(c, reason);
	if (e != ERR_OK)
		fprintf(stderr, "vayla: %s\n", err_last());
	config_free(c);
	return e == ERR_OK ? EXIT_OK : exit_status(e);
}

/* ---- the fence ---- */

struct fence {
	const struct core *core;
	struct line line;
	pthread_t thread;
	bool stop;
};

static void *
fence_work(void *arg)
{
	static const char *const keys[] = {"epoch", NULL};
	struct fence *f = arg;
	struct slice what;
	bool told = false;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		if (question(&f->line, "fence", NULL, keys, &f->core->epoch) &&
		    answer(&f->line, FENCE_MS) == ERR_OK &&
		    mp_get_str(buf_all(&f->line.header), "what", &what) &&
		    slice_is(what, "fenced") && !told) {
			told = true;
			say(SAY_INFO, "fence",
			    "the old primary was told that it is none any "
			    "more");
		}
		usleep(200000);
	}
	return NULL;
}

enum err
fence_start(struct fence **out, const struct core *core)
{
	uint64_t promoted;
	struct fence *f;
	enum err e;

	*out = NULL;
	if (core->cfg->follow == NULL ||
	    epoch_of(core->cfg->data, "promoted", &promoted) != ERR_OK)
		return ERR_OK;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_note(ERR_NOMEM, "no memory");
	f->core = core;
	e = line_open(&f->line, core->cfg);
	if (e == ERR_OK && pthread_create(&f->thread, NULL, fence_work, f) != 0)
		e = err_note(ERR_NOMEM, "cannot start the fence's thread");
	if (e != ERR_OK) {
		line_close(&f->line);
		free(f);
		return e;
	}
	*out = f;
	return ERR_OK;
}

void
fence_stop(struct fence *f)
{
	if (f == NULL)
		return;
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	pthread_join(f->thread, NULL);
	line_close(&f->line);
	free(f);
}
