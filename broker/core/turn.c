/*
 * turn - the loop of the one thread that owns the journal (daemon.h):
 *
 *     wait for a message; take what waits
 *     make one turn of it: events, what they become, settlements, acts,
 *     mappings that can go on, waits that ran out
 *     append, once; then fold, confirm, deliver
 *
 * Commit, then act: peers_answer(), delivery_commit() and everything that a
 * turn sets in motion stand after store(). A turn that cannot be stored
 * is dropped whole, and what was promised for it with it. There is no timer to
 * gather a batch: the next one gathers while the disk syncs.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/notify.h"
#include "broker/base/say.h"
#include "broker/core/daemon.h"
#include "broker/core/fail.h"

#define TICK_MS 1000
#define DEAF_MS 2 /* until a peer's full queue is tried again */
#define FULL_PAUSE_NS NS_PER_SEC
#define TURN_SLOW_NS (50 * NS_PER_MS)
#define TURN_LEAST 16

/* ---- one turn ---- */

/* What the turn would have done is forgotten; memory is as the index says. */
static enum err
drop(struct daemon *d)
{
	enum err e;

	e = rules_drop(&d->rules);
	if (e == ERR_OK)
		e = holds_load(&d->holds);
	if (e == ERR_OK)
		delivery_begin(&d->delivery);
	return e;
}

static void
begin(struct daemon *d)
{
	batch_begin(&d->batch);
	router_begin(&d->router);
	delivery_begin(&d->delivery);
}

static bool
is_full(const struct daemon *d)
{
	return d->full_until > clock_mono();
}

/* The PUBs that were received. *again: one of them failed half way; it is
 * refused, and the turn must be made anew without it. */
static enum err
apply_pubs(struct daemon *d, bool *again)
{
	struct pub *p;
	enum err e;

	*again = false;
	for (size_t i = 0; i < d->pubs_n; i++) {
		p = &d->pubs[i];
		if (p->refused)
			continue;
		if (!p->vital && is_full(d)) {
			peers_refuse(d, p,
			    err_note(ERR_FULL,
				"the disk of the journal is full: free some "
				"space; publishing goes on by itself"));
			continue;
		}
		e = accept_check(d, p);
		if (e != ERR_OK) {
			peers_refuse(d, p, e);
			continue;
		}
		e = accept_apply(d, p);
		if (e == ERR_SYNC)
			return e;
		if (e != ERR_OK) {
			peers_refuse(d, p, e);
			*again = true;
			return ERR_OK;
		}
	}
	return ERR_OK;
}

static void
expire(struct daemon *d)
{
	int64_t now = clock_mono();
	struct alarm *a;
	struct hold *l;

	while ((a = alarms_first(&d->holds.alarms)) != NULL && a->due <= now) {
		l = ALARM_OWNER(a, struct hold, alarm);
		if (l->state == OPEN_WAIT) {
			route_expire(&d->router, l);
		} else {
			alarm_clear(&d->holds.alarms, a);
			hold_queue(&d->holds, l);
		}
	}
}

/* Held mappings that may go on, while the turn has room. */
static enum err
resume(struct daemon *d)
{
	struct hold *l, *later = NULL;
	enum err e = ERR_OK;

	for (int i = 0; i < TURN_RESUMES && !batch_full(&d->batch); i++) {
		l = hold_next(&d->holds);
		if (l == NULL)
			break;
		if (l->turn == d->batch.seq0) {
			/* It was here: what it lacks comes with the index. It
			 * counts as queued while it stands aside. */
			l->queued = true;
			l->next = later;
			later = l;
			continue;
		}
		l->turn = 0;
		e = route_resume(&d->router, l);
		if (e != ERR_OK)
			break;
	}
	while ((l = later) != NULL) {
		later = l->next;
		l->queued = false;
		hold_queue(&d->holds, l);
	}
	return e;
}

/* Everything that is not a client's. */
static enum err
own_work(struct daemon *d)
{
	enum err e;

	if (d->took_rules)
		rules_record(&d->rules, &d->batch, SLICE_LIT("broker"));
	e = delivery_passes(&d->delivery);
	if (e == ERR_OK)
		e = route_reruns(&d->router);
	if (e != ERR_OK || is_full(d))
		return e;
	expire(d);
	e = resume(d);
	return e == ERR_OK ? route_reruns(&d->router) : e;
}

/* May the turn draw on the reserve? Only if nothing in it is events alone. */
static bool
is_vital(const struct daemon *d)
{
	bool any = false;

	for (size_t i = 0; i < d->pubs_n; i++) {
		if (d->pubs[i].refused)
			continue;
		if (!d->pubs[i].vital)
			return false;
		any = true;
	}
	return any || d->batch.turn.vital;
}

static void
count_types(struct daemon *d)
{
	struct type_count *t;
	size_t i;

	for (const struct fact *f = d->batch.first; f != NULL; f = f->next) {
		for (i = 0; i < d->types_n; i++)
			if (slice_is(f->type, d->types[i].name))
				break;
		if (i == TYPES_MAX || f->type.n > EVENT_TEXT)
			continue;
		t = &d->types[i];
		if (i == d->types_n) {
			d->types_n++;
			memcpy(t->name, f->type.p, f->type.n);
			t->name[f->type.n] = '\0';
			t->n = 0;
		}
		t->n++;
	}
}

/* The turn is on disk. */
static void
act(struct daemon *d)
{
	const struct batch *b = &d->batch;
	struct action a;

	d->took_rules = false;
	rules_commit(&d->rules);
	delivery_commit(&d->delivery);
	for (size_t i = 0; i < b->turn.count; i++)
		if (b->records[i].kind == REC_ACTION &&
		    action_read(slice_of(b->turn.bytes.p + b->records[i].at,
				    b->records[i].n),
			&a) == ERR_OK)
			delivery_state(&d->delivery, &a);
	count_types(d);
	peers_tap(d);
}

static enum err
refuse_events(struct daemon *d, enum err e)
{
	d->full_until = clock_mono() + FULL_PAUSE_NS;
	say(SAY_ERROR, "turn", "%s; events are refused until there is space",
	    err_last());
	for (size_t i = 0; i < d->pubs_n; i++)
		if (!d->pubs[i].refused && !d->pubs[i].vital)
			peers_refuse(d, &d->pubs[i],
			    err_note(e, "the disk of the journal is full: "
					"free some space; publishing goes on "
					"by itself"));
	return drop(d);
}

/* ---- the flush, and what comes meanwhile ---- */

static bool
has_room(const struct daemon *d)
{
	return d->early_n < d->most && d->early_bytes < TURN_INPUT;
}

/* Messages are only taken from the socket here: what they say is for the next
 * turn, when memory is what the journal says again. */
static void
gather(struct daemon *d)
{
	struct bus_msg *m;

	while (has_room(d)) {
		m = &d->early[d->early_n];
		if (bus_recv(d->bus, m) != ERR_OK)
			return;
		d->early_n++;
		d->early_bytes += bus_part(m, 3).n;
	}
}

/* Our disk has the turn; the standby's must have it too before anybody hears of
 * it. When it is away and we wait for it, the turn counts (it is in the
 * journal) and stays unsaid: d->held. */
static enum err
await_standby(struct daemon *d)
{
	int64_t since = clock_mono();
	enum ship_answer a;

	while ((a = ship_confirm(d->ship, since)) == SHIP_WAIT) {
		zmq_pollitem_t items[3] = {
		    {.fd = ship_fd(d->ship), .events = ZMQ_POLLIN},
		    {.socket = bus_door(d->bus), .events = ZMQ_POLLIN},
		    {.socket = bus_socket(d->bus), .events = ZMQ_POLLIN}};

		if (zmq_poll(items, has_room(d) ? 3 : 2, 100) < 0 &&
		    errno != EINTR)
			break;
		if ((items[1].revents & ZMQ_POLLIN) != 0)
			peers_knock(d); /* it may be the standby */
		if ((items[2].revents & ZMQ_POLLIN) != 0)
			gather(d);
	}
	d->held = a == SHIP_HOLD;
	return a == SHIP_FENCED ? ERR_SYNC : ERR_OK;
}

static enum err
store(struct daemon *d)
{
	zmq_pollitem_t items[2] = {
	    {.fd = flush_fd(d->flush), .events = ZMQ_POLLIN},
	    {.socket = bus_socket(d->bus), .events = ZMQ_POLLIN}};
	enum err e;

	if (d->batch.turn.count == 0)
		return ERR_OK;
	flush_begin(d->flush, &d->batch);
	do {
		bool room = has_room(d);

		if (zmq_poll(items, room ? 2 : 1, -1) < 0 && errno != EINTR)
			break; /* flush_end() waits as well */
		if (room && (items[1].revents & ZMQ_POLLIN) != 0)
			gather(d);
	} while ((items[0].revents & ZMQ_POLLIN) == 0);
	e = flush_end(d->flush);
	if (e == ERR_OK)
		e = await_standby(d);
	if (e == ERR_OK)
		batch_fold(&d->batch);
	return e;
}

/* The turn is on disk, and the memory of what is held is that of the ruleset
 * in force. */
static enum err
act_all(struct daemon *d)
{
	bool deployed = rules_deployed(&d->rules);
	enum err e = ERR_OK;

	act(d);
	if (deployed) {
		strays_forget(d->strays);
		e = holds_load(&d->holds);
		holds_rerun(&d->holds, SLICE_EMPTY);
	}
	return e;
}

/* Events can be dear to map, and be sent to be so. The next turn takes half as
 * much as one that took too long to make, so that nobody waits for another's
 * thousand. */
static void
pace(struct daemon *d, int64_t took)
{
	if (took > TURN_SLOW_NS && d->most > TURN_LEAST)
		d->most /= 2;
	else if (took < TURN_SLOW_NS / 4 && d->most < TURN_RECORDS)
		d->most *= 2;
}

static void
took(struct daemon *d, int64_t began)
{
	struct log_stat st;

	if (d->batch.turn.count == 0)
		return;
	log_stat(d->core.log, &st);
	histo_add(&d->flushes, st.last_sync_ns);
	histo_add(&d->turns, clock_mono() - began);
}

/* Make and store one turn. ERR_SYNC: nobody may be told anything. */
static enum err
turn(struct daemon *d)
{
	int64_t began = clock_mono();
	bool again, vital = false;
	enum err e;

	for (size_t tries = 0; tries <= 2 * TURN_RECORDS; tries++) {
		begin(d);
		e = apply_pubs(d, &again);
		if (e == ERR_OK && again) {
			e = drop(d);
			if (e != ERR_OK)
				return e;
			continue;
		}
		if (e == ERR_OK)
			e = own_work(d);
		if (e == ERR_OK) {
			FAIL_POINT("turn_before_append");
			vital = is_vital(d);
			d->batch.turn.vital = vital;
			pace(d, clock_mono() - began);
			e = store(d);
		}
		if (e == ERR_OK) {
			FAIL_POINT("turn_after_append");
			e = act_all(d);
			took(d, began);
			return e;
		}
		if (e != ERR_FULL || vital)
			break;
		e = refuse_events(d, e);
		if (e != ERR_OK)
			return e;
	}
	if (e == ERR_FULL) {
		/* The reserve is gone too: nothing can be stored. */
		for (size_t i = 0; i < d->pubs_n; i++)
			if (!d->pubs[i].refused)
				peers_refuse(d, &d->pubs[i],
				    err_note(ERR_FULL, "the disk of the "
						       "journal is full, the "
						       "reserve too"));
		d->full_until = clock_mono() + FULL_PAUSE_NS;
		return drop(d);
	}
	return e;
}

/* ---- the loop ---- */

static void
receive(struct daemon *d)
{
	struct bus_msg m;
	enum err e = ERR_OK;

	d->pubs_n = 0;
	d->input = d->input_bytes = 0;
	/* Other messages than PUBs cost a place as well: nobody keeps the turn
	 * from its end. */
	for (int i = 0; i < 2 * TURN_RECORDS && d->pubs_n < d->most &&
			d->input < d->most && d->input_bytes < TURN_INPUT;
	     i++) {
		if (d->early_next < d->early_n) {
			m = d->early[d->early_next++];
			peers_message(d, &m);
			continue;
		}
		e = bus_recv(d->bus, &m);
		if (e != ERR_OK)
			break;
		peers_message(d, &m);
	}
	if (d->early_next == d->early_n)
		d->early_n = d->early_next = d->early_bytes = 0;
}

static void
release(struct daemon *d)
{
	for (size_t i = 0; i < d->pubs_n; i++)
		bus_release(&d->pubs[i].msg);
	d->pubs_n = 0;
}

static bool
has_work(const struct daemon *d)
{
	const struct alarm *a = alarms_first(&d->holds.alarms);

	if (d->pubs_n > 0)
		return true;
	if (is_full(d))
		return false;
	return d->took_rules || d->holds.run_first != NULL ||
	       d->delivery.passes != NULL ||
	       (a != NULL && a->due <= clock_mono());
}

static long
wait_ms(const struct daemon *d)
{
	const struct alarm *a = alarms_first(&d->holds.alarms);
	int64_t now = clock_mono(), due = delivery_next(&d->delivery), ms;

	if (d->early_next < d->early_n)
		return 0;
	if (is_full(d) || d->held)
		return 50;
	if (peers_deaf(d) && due > now + DEAF_MS * NS_PER_MS)
		due = now + DEAF_MS * NS_PER_MS;
	if (d->took_rules || d->holds.run_first != NULL ||
	    d->delivery.passes != NULL)
		return 0;
	if (a != NULL && a->due < due)
		due = a->due;
	if (due <= now)
		return 0;
	ms = (due - now) / NS_PER_MS + 1;
	return ms < TICK_MS ? (long)ms : TICK_MS;
}

/* vayla.yaml and packs anew. What is held is tried again under the new rules;
 * what was mapped stays (a replay is a person's act). */
static void
reload(struct daemon *d)
{
	struct faults f;
	bool changed;
	enum err e;

	faults_init(&f);
	e = rules_reload(&d->rules, &f, &changed);
	if (e == ERR_OK && changed) {
		e = holds_load(&d->holds);
		holds_rerun(&d->holds, SLICE_EMPTY);
		strays_forget(d->strays);
		d->took_rules = true;
	}
	if (f.text.n > 0)
		fputs(buf_cstr(&f.text), stderr);
	if (e == ERR_OK)
		say(SAY_INFO, "broker", "SIGHUP: %s",
		    changed ? "a new ruleset is in force, of the packs "
			      "folder's files"
			    : "nothing has changed");
	else
		say(SAY_ERROR, "broker",
		    "SIGHUP: everything stays as it was: %s",
		    f.count > 0 ? "see the errors above" : err_last());
	faults_fini(&f);
}

static void
signals(struct daemon *d)
{
	struct signalfd_siginfo info;

	while (read(d->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			reload(d);
			continue;
		}
		say(SAY_INFO, "broker", "%s: stopping",
		    info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
		notify("STOPPING=1");
		d->stop = true;
	}
}

static void
snapshot(struct daemon *d)
{
	int64_t now = clock_mono();
	struct buf b;

	if (d->status_at != 0 && now - d->status_at < NS_PER_SEC / 2)
		return;
	d->status_at = now;
	buf_init(&b, QUERY_MAX);
	if (ask_status(d, &b) == ERR_OK) {
		pthread_mutex_lock(&d->lock);
		buf_reset(&d->status);
		buf_slice(&d->status, buf_all(&b));
		pthread_mutex_unlock(&d->lock);
	}
	buf_fini(&b);
}

enum err
turn_open(struct daemon *d)
{
	enum err e;

	d->most = TURN_RECORDS;
	e = holds_load(&d->holds);
	if (e != ERR_OK)
		return e;
	d->took_rules = rules_changed(&d->rules);
	if (d->took_rules)
		holds_rerun(&d->holds, SLICE_EMPTY);
	snapshot(d);
	return ERR_OK;
}

/* No turn without the standby: senders come again. */
static void
hold_back(struct daemon *d)
{
	for (size_t i = 0; i < d->pubs_n; i++)
		if (!d->pubs[i].refused)
			peers_refuse(d, &d->pubs[i],
			    err_note(ERR_BUSY,
				"the standby is away, and without it nothing "
				"is confirmed (broker.standby.away: wait)"));
}

/* Take what came, make a turn of it, say what follows. */
static enum err
one_turn(struct daemon *d)
{
	enum ship_answer a = ship_ready(d->ship);
	enum err e = ERR_OK;

	if (a == SHIP_FENCED)
		return ERR_STATE;
	d->held = a == SHIP_HOLD;
	receive(d);
	if (!d->held && has_work(d))
		e = turn(d);
	if (e == ERR_OK)
		e = retain_step(d->retain);
	if (e != ERR_OK)
		return e;
	if (d->held)
		hold_back(d);
	if (d->pubs_n > 0)
		FAIL_POINT("turn_before_answer");
	peers_answer(d);
	FAIL_POINT("turn_after_answer");
	peers_tidy(d);
	if (!d->held)
		delivery_pump(&d->delivery);
	snapshot(d);
	notify_alive();
	return ERR_OK;
}

enum err
turn_loop(struct daemon *d)
{
	zmq_pollitem_t items[4] = {
	    {.socket = bus_socket(d->bus), .events = ZMQ_POLLIN},
	    {.socket = bus_door(d->bus), .events = ZMQ_POLLIN},
	    {.fd = d->signals, .events = ZMQ_POLLIN},
	    {.fd = ship_fd(d->ship), .events = ZMQ_POLLIN}};
	int n = d->ship != NULL ? 4 : 3;
	enum err e = ERR_OK;

	while (!d->stop && e == ERR_OK) {
		if (zmq_poll(items, n, wait_ms(d)) < 0 && errno != EINTR)
			return err_note(
			    ERR_IO, "poll: %s", zmq_strerror(errno));
		signals(d);
		peers_users(d);
		if ((items[1].revents & ZMQ_POLLIN) != 0)
			peers_knock(d);
		e = one_turn(d);
		release(d);
	}
	return e;
}
