/*
 * broker - opens everything in order, runs the loop, closes in reverse.
 *
 * The journal is opened (and locked) before the bus is bound: a second broker
 * on the same folder must not take the socket of the first away.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/notify.h"
#include "broker/base/opt.h"
#include "broker/base/say.h"
#include "broker/core/daemon.h"
#include "broker/core/verbs.h"

#define EPOCH_TEXT 32

struct broker {
	struct daemon d;
	struct config *config;
	struct index_view *view;
	struct log_reader *ask_reader;
	void *room; /* what its start() gave */
	bool room_on;
	bool files; /* --files */
};

static const struct broker_room *room;

void
broker_add_room(const struct broker_room *r)
{
	room = r;
}

enum err
broker_status(struct broker *b, struct buf *out)
{
	pthread_mutex_lock(&b->d.lock);
	buf_slice(out, buf_all(&b->d.status));
	pthread_mutex_unlock(&b->d.lock);
	return buf_check(out);
}

/* ---- what stands in DATA ---- */

static enum err
data_path(const struct core *c, const char *name, struct buf *out)
{
	buf_reset(out);
	buf_printf(out, "%s/%s", c->cfg->data, name);
	return buf_check(out);
}

/* The folder, for its owner only when we make it. */
static enum err
data_folder(const struct core *c)
{
	enum err e = dir_make(c->cfg->data);

	if (e == ERR_OK && access(c->cfg->data, R_OK | W_OK | X_OK) != 0)
		e = err_errno(ERR_DENIED, "%s", c->cfg->data);
	if (e != ERR_OK)
		return err_wrap(e,
		    "the journal's folder cannot be used; give its user the "
		    "right to write there, or set broker.data");
	return ERR_OK;
}

/* The epoch of the last start, 0 before the first. */
static enum err
epoch_read(struct core *c)
{
	struct buf path, text;
	enum err e;

	buf_init(&path, 4096);
	buf_init(&text, EPOCH_TEXT);
	e = data_path(c, "epoch", &path);
	if (e == ERR_OK) {
		e = file_read(buf_cstr(&path), &text);
		if (e == ERR_NOTFOUND)
			e = ERR_OK;
	}
	if (e == ERR_OK)
		c->epoch = strtoull(buf_cstr(&text), NULL, 10);
	buf_fini(&path);
	buf_fini(&text);
	return e;
}

/* Is this the journal of a primary? Before anything in it is touched. */
static enum err
is_ours(struct core *c)
{
	struct buf path;
	enum err e = epoch_read(c);

	if (e == ERR_OK)
		e = ship_check_fence(c->cfg->data, c->epoch);
	if (e != ERR_OK)
		return e;
	buf_init(&path, 4096);
	e = data_path(c, "standby", &path);
	if (e == ERR_OK && access(buf_cstr(&path), F_OK) == 0)
		e = err_note(ERR_STATE,
		    "%s is the copy of a standby; `vayla promote` makes it the "
		    "primary's, `vayla standby` goes on following",
		    c->cfg->data);
	buf_fini(&path);
	return e;
}

/* One more than at the last start, on disk before anyone hears it. */
static enum err
epoch_next(struct core *c)
{
	struct buf path;
	char now[EPOCH_TEXT];
	enum err e;

	buf_init(&path, 4096);
	e = data_path(c, "epoch", &path);
	if (e == ERR_OK) {
		c->epoch++;
		snprintf(
		    now, sizeof(now), "%llu\n", (unsigned long long)c->epoch);
		e = file_write(buf_cstr(&path), slice_str(now), 0600);
	}
	buf_fini(&path);
	return e;
}

static enum err
open_journal(struct broker *b)
{
	struct core *c = &b->d.core;
	struct buf path;
	enum err e;

	buf_init(&path, 4096);
	e = data_folder(c);
	if (e == ERR_OK)
		e = is_ours(c);
	if (e == ERR_OK)
		e = log_open(&c->log, c->cfg->data, SURVIVES_CRASH);
	if (e == ERR_OK && log_survives(c->log) < SURVIVES_POWER_LOSS)
		say(SAY_WARN, "broker",
		    "%s is in memory: the journal does not survive a power "
		    "loss",
		    c->cfg->data);
	if (e == ERR_OK)
		e = log_reader_new(&c->reader, c->log);
	if (e == ERR_OK)
		e = index_open(&c->index, c->cfg->data, c->log);
	if (e == ERR_OK)
		e = data_path(c, "keys", &path);
	if (e == ERR_OK && log_next(c->log) > 1 &&
	    access(buf_cstr(&path), F_OK) != 0)
		e = err_note(ERR_NOTFOUND,
		    "%s is missing: the journal beside it is sealed under its "
		    "keys; restore it from its own backup",
		    buf_cstr(&path));
	if (e == ERR_OK)
		e = keys_open(&c->keys, buf_cstr(&path));
	if (e == ERR_OK) {
		keys_used(c->keys, index_slot_max(c->index));
		e = sealer_new(&c->sealer, c->keys);
	}
	if (e == ERR_OK)
		e = data_path(c, "guard", &path);
	if (e == ERR_OK)
		e = guard_open(&b->d.guard, buf_cstr(&path));
	if (e == ERR_OK)
		e = epoch_next(c);
	buf_fini(&path);
	c->start = e == ERR_OK ? log_next(c->log) : 0;
	return e;
}

static enum err
open_rules(struct broker *b)
{
	struct faults f;
	enum err e;

	faults_init(&f);
	e = rules_open(&b->d.rules, &b->d.core, b->files, &f);
	if (f.text.n > 0)
		fputs(buf_cstr(&f.text), stderr);
	if (f.count > 0)
		e = err_note(ERR_CONFIG,
		    "nothing was started: %zu errors in %s and its packs%s",
		    f.count, b->config->file,
		    b->d.rules.dir[0] != '\0'
			? "; these mappings were deployed, and the packs "
			  "folder's were not read: `vayla broker --files` "
			  "starts with those"
			: "");
	faults_fini(&f);
	return e;
}

static enum err
open_asking(struct broker *b)
{
	struct core *c = &b->d.core;
	enum err e;

	e = index_view_new(&b->view, c->index);
	if (e == ERR_OK)
		e = log_reader_new(&b->ask_reader, c->log);
	if (e == ERR_OK)
		e = sealer_new(&b->d.asker, c->keys);
	b->d.query = (struct query){b->view, b->ask_reader, b->d.asker};
	return e;
}

/* The bus, with its keys: DATA is locked, so that nobody else makes them. */
static enum err
open_bus(struct broker *b)
{
	const struct config *c = b->config;
	const char *addresses[CONFIG_BUSES + 1] = {c->bus};
	struct access_keys keys;
	size_t n = 1;
	enum err e;

	for (size_t i = 0; i < c->bus_more_n; i++)
		addresses[n++] = c->bus_more[i];
	e = users_open(&b->d.users, c, &keys);
	if (e == ERR_OK)
		e = bus_open(&b->d.bus, addresses, n, keys.secret);
	access_wipe(&keys);
	return e;
}

static enum err
open_signals(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	d->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return d->signals >= 0 ? ERR_OK : err_errno(ERR_IO, "signalfd");
}

static enum err
open_room(struct broker *b)
{
	struct broker_gives g = {.config = b->config,
	    .log = b->d.core.log,
	    .index = b->d.core.index,
	    .keys = b->d.core.keys,
	    .zmq = bus_context(b->d.bus),
	    .bus = BUS_INPROC,
	    .broker = b};
	enum err e;

	if (room == NULL)
		return ERR_OK;
	e = room->start(&g, &b->room);
	b->room_on = e == ERR_OK;
	return e;
}

static enum err
broker_open(struct broker *b)
{
	struct daemon *d = &b->d;
	enum err e;

	e = open_signals(d);
	if (e == ERR_OK)
		e = open_journal(b);
	if (e == ERR_OK)
		e = open_rules(b);
	if (e == ERR_OK)
		e = open_asking(b);
	if (e == ERR_OK)
		e = open_bus(b);
	if (e == ERR_OK)
		e = flush_open(&d->flush);
	if (e == ERR_OK)
		e = router_init(
		    &d->router, &d->core, &d->batch, &d->holds, d->guard);
	if (e == ERR_OK)
		e = delivery_init(&d->delivery, &d->core, d->bus, &d->batch);
	if (e == ERR_OK)
		e = turn_open(d);
	if (e == ERR_OK)
		e = retain_start(&d->retain, &d->core);
	if (e == ERR_OK)
		e = ship_open(&d->ship, &d->core, bus_context(d->bus));
	if (e == ERR_OK)
		e = fence_start(&d->fence, &d->core);
	return e == ERR_OK ? open_room(b) : e;
}

static struct broker *
broker_new(struct config *c)
{
	struct broker *b = calloc(1, sizeof(*b));
	struct daemon *d;

	if (b == NULL)
		err_die("no memory");
	d = &b->d;
	b->config = c;
	d->core.cfg = c;
	d->core.started = clock_now();
	d->signals = -1;
	d->core.retry = (struct retry_rule){
	    c->retry_first_ms, c->retry_most_ms, (uint32_t)c->retry_attempts};
	pthread_mutex_init(&d->lock, NULL);
	buf_init(&d->status, QUERY_MAX);
	sessions_init(&d->sessions);
	batch_init(&d->batch, &d->core);
	holds_init(&d->holds, &d->core);
	if ((d->strays = strays_new()) == NULL)
		err_die("no memory");
	return b;
}

static void
broker_free(struct broker *b)
{
	struct daemon *d = &b->d;

	if (b->room_on)
		room->stop(b->room);
	retain_stop(d->retain);
	fence_stop(d->fence);
	ship_close(d->ship);
	flush_close(d->flush);
	for (; d->early_next < d->early_n; d->early_next++)
		bus_release(&d->early[d->early_next]);
	delivery_fini(&d->delivery);
	router_fini(&d->router);
	holds_fini(&d->holds);
	batch_fini(&d->batch);
	sessions_fini(&d->sessions);
	bus_close(d->bus);
	users_close(&d->users);
	sealer_free(d->asker);
	log_reader_free(b->ask_reader);
	index_view_free(b->view);
	rules_close(&d->rules);
	strays_free(d->strays);
	guard_close(d->guard);
	sealer_free(d->core.sealer);
	keys_close(d->core.keys);
	index_close(d->core.index);
	log_reader_free(d->core.reader);
	log_close(d->core.log);
	buf_fini(&d->status);
	pthread_mutex_destroy(&d->lock);
	if (d->signals >= 0)
		close(d->signals);
	config_free(b->config);
	free(b);
}

static enum err
run(struct config *c, bool files)
{
	struct broker *b = broker_new(c);
	enum err e;

	b->files = files;
	e = broker_open(b);
	if (e == ERR_OK) {
		say(SAY_INFO, "broker",
		    "ready on %s, journal %s at %llu, epoch %llu", c->bus,
		    c->data, (unsigned long long)log_next(b->d.core.log),
		    (unsigned long long)b->d.core.epoch);
		notify("READY=1\nSTATUS=journal at %llu, epoch %llu",
		    (unsigned long long)log_next(b->d.core.log),
		    (unsigned long long)b->d.core.epoch);
		e = turn_loop(&b->d);
	}
	if (e == ERR_SYNC) {
		/* Nobody may be told anything, and nothing tidied: what the
		 * disk holds is not known. */
		say(SAY_ERROR, "broker", "%s; ending at once", err_last());
		_exit(EXIT_FAILED);
	}
	if (e != ERR_OK)
		say(SAY_ERROR, "broker", "%s",
		    err_last()[0] != '\0' ? err_last() : err_text(e));
	broker_free(b);
	return e;
}

int
broker_verb(int argc, char **argv)
{
	bool files = false;
	const struct opt opts[] = {{.name = "files",
				       .type = OPT_FLAG,
				       .help = "use the packs folder's "
					       "mappings, even if others were "
					       "deployed (as SIGHUP does)",
				       .flag = &files},
	    {.name = NULL}};
	const struct command cmd = {.usage = "vayla broker [vayla.yaml]",
	    .help = "The journal, the mappings and the bus, in the "
		    "foreground. Connectors are processes of their own; "
		    "`vayla run` starts all.",
	    .opts = opts,
	    .min_args = 0,
	    .max_args = 1};
	struct config *c = NULL;
	struct faults f;
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
	say_name("broker");
	faults_init(&f);
	e = config_load(&c, n > 0 ? argv[1] : "vayla.yaml", &f);
	if (f.text.n > 0)
		fputs(buf_cstr(&f.text), stderr);
	else if (e != ERR_OK)
		fprintf(stderr, "vayla: %s\n", err_last());
	faults_fini(&f);
	if (e == ERR_OK)
		e = run(c, files);
	return e == ERR_OK ? EXIT_OK : exit_status(e);
}
