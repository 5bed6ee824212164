/* delivery - see delivery.h. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/say.h"
#include "broker/base/zone.h"
#include "broker/core/lane.h"

#define STALL_MS 50 /* between tries at a full queue, at most: from 1 on */

/* ---- subscriptions ---- */

/* "2026-01-01" as the UTC day's first moment; 0 when it is none. */
static int64_t
since_of(struct slice text)
{
	unsigned year, month, day;
	char t[11];

	if (text.n != 10)
		return 0;
	memcpy(t, text.p, 10);
	t[10] = '\0';
	if (sscanf(t, "%4u-%2u-%2u", &year, &month, &day) != 3)
		return 0;
	return date_days((int32_t)year, month, day) * 86400 * NS_PER_SEC;
}

static enum err
sub_init(struct delivery *d, struct sub *s, const struct config_system *c)
{
	struct slice state, since;
	struct arena a;
	enum err e;

	*s = (struct sub){.live = c->live, .more = true};
	table_init(&s->lanes);
	memcpy(s->name, c->name.p, c->name.n);
	s->since = since_of(c->since);
	arena_init(&a, 4096);
	e = index_system_state(d->core->index, c->name, &a, &state, &since);
	if (e == ERR_NOTFOUND) {
		e = ERR_OK;
	} else if (e == ERR_OK) {
		s->live = s->live || state.n > 0;
		s->paused = slice_is(state, "paused");
		if (since.n > 0)
			s->since = since_of(since);
	}
	arena_fini(&a);
	return e;
}

enum err
delivery_init(
    struct delivery *d, struct core *core, struct bus *bus, struct batch *b)
{
	size_t n = core->cfg->systems_n;
	enum err e = ERR_OK;

	*d = (struct delivery){.core = core, .bus = bus, .batch = b};
	alarms_init(&d->alarms);
	d->subs = calloc(n > 0 ? n : 1, sizeof(*d->subs));
	if (d->subs == NULL)
		err_die("no memory for subscriptions");
	for (; e == ERR_OK && d->subs_n < n; d->subs_n++)
		e = sub_init(
		    d, &d->subs[d->subs_n], &core->cfg->systems[d->subs_n]);
	return e;
}

void
delivery_fini(struct delivery *d)
{
	struct pass *p;
	struct lane *l;
	size_t at;

	alarms_fini(&d->alarms);
	while ((p = d->passes) != NULL) {
		d->passes = p->next;
		free(p);
	}
	for (size_t i = 0; i < d->subs_n; i++) {
		at = 0;
		while ((l = table_each(&d->subs[i].lanes, &at)) != NULL)
			free(l);
		table_fini(&d->subs[i].lanes);
	}
	free(d->subs);
	d->subs = NULL;
	d->subs_n = 0;
}

struct sub *
delivery_sub(struct delivery *d, struct slice name)
{
	for (size_t i = 0; i < d->subs_n; i++)
		if (slice_is(name, d->subs[i].name))
			return &d->subs[i];
	return NULL;
}

void
delivery_attach(struct delivery *d, struct sub *s, struct session *who,
    uint32_t window, size_t bytes, int64_t patience_ms)
{
	(void)d;
	s->session = who;
	s->window = window;
	s->bytes = bytes;
	s->patience_ms = patience_ms;
	s->stalled = s->stall_ms = 0;
}

void
delivery_detach(struct delivery *d, struct session *who, bool clean)
{
	struct lane *l;
	struct sub *s;
	bool alone;
	size_t at;

	for (size_t i = 0; i < d->subs_n; i++) {
		s = &d->subs[i];
		if (s->session != who)
			continue;
		s->session = NULL;
		alone = s->in_hand == 1;
		at = 0;
		while (
		    s->in_hand > 0 && (l = table_each(&s->lanes, &at)) != NULL)
			if (l->state == LANE_HAND)
				lane_lost(d, l, alone, !clean);
	}
}

void
delivery_extend(struct delivery *d, struct session *who, uint64_t seq)
{
	struct lane *l;
	struct sub *s;
	size_t at;

	for (size_t i = 0; i < d->subs_n; i++) {
		s = &d->subs[i];
		at = 0;
		if (s->session != who)
			continue;
		while ((l = table_each(&s->lanes, &at)) != NULL)
			if (l->state == LANE_HAND && l->seq == seq)
				alarm_set(&d->alarms, &l->alarm,
				    clock_mono() + s->patience_ms * NS_PER_MS);
	}
}

/* ---- when a turn is on disk ---- */

/* The head is settled for good: on to the next of its subject. */
static void
advance(struct delivery *d, struct lane *l)
{
	struct open_item *items;
	struct arena a;
	size_t n = 0;

	lane_leave(d, l);
	l->settling = false;
	if (!l->more) {
		lane_free(d, l);
		return;
	}
	arena_init(&a, 65536);
	if (index_open_at(d->core->index, slice_str(l->sub->name),
		lane_subject(l), 2, &a, &items, &n) != ERR_OK) {
		say(SAY_ERROR, "delivery", "cannot read what is open: %s",
		    err_last());
		n = 0;
	}
	if (n == 0) {
		lane_free(d, l);
	} else {
		l->more = n > 1;
		lane_take(d, l, &items[0]);
	}
	arena_fini(&a);
}

static void
commit_one(struct delivery *d, const struct settled *x)
{
	struct lane *l = lane_find(x->sub, x->subject);

	if (x->to == SETTLED_DONE)
		x->sub->settled++;
	if (x->verdict <= SETTLE_ASK)
		x->sub->verdicts[x->verdict]++;
	if (l == NULL || l->seq != x->seq) {
		/* Not in memory: it is read with its page. */
		return;
	}
	l->settling = false;
	l->lost = 0;
	l->again = false;
	l->attempt = x->attempt;
	switch (x->to) {
	case SETTLED_DONE:
		advance(d, l);
		break;
	case SETTLED_LATER:
		lane_later(d, l, x->due);
		break;
	case SETTLED_STUCK:
		lane_stuck(d, l);
		break;
	case SETTLED_FRESH:
		lane_ready(d, l);
		break;
	}
}

/* The type of an event, in `a`; empty when it cannot be read. */
static struct slice
type_of(struct delivery *d, uint64_t seq, struct arena *a)
{
	struct slice type = SLICE_EMPTY;
	struct log_record rec;
	struct event e;

	if (log_read(d->core->reader, seq, &rec) != ERR_OK ||
	    rec.kind != REC_EVENT || event_read(rec.body, &e) != ERR_OK ||
	    arena_copy(a, e.type, &type) != ERR_OK)
		return SLICE_EMPTY;
	return type;
}

/* A person is asked about a state, and here is a later one of its type: what
 * was asked is no longer so. By the type's rule. */
static void
supersede(struct delivery *d, struct lane *l, uint64_t later)
{
	struct delivery_rule rule;
	struct slice type;
	struct arena a;

	if (l->state != LANE_STUCK || l->settling)
		return;
	arena_init(&a, 4096);
	type = type_of(d, l->seq, &a);
	if (type.n > 0 && ruleset_is_request(d->core->rules, type, &rule) &&
	    rule.skip_when_spent && slice_eq(type, type_of(d, later, &a)))
		lane_pass(d, l, false, "a later state is there");
	arena_fini(&a);
}

static void
added(struct delivery *d, const struct fact *f)
{
	struct sub *s = delivery_sub(d, f->target);
	struct lane *l;

	if (s == NULL || s->more)
		return;
	l = lane_find(s, f->subject);
	if (l != NULL) {
		l->more = true;
		supersede(d, l, f->seq);
	} else if (s->waiting >= LANES_MAX) {
		s->more = true;
		return;
	} else {
		l = lane_new(s, f->subject, f->seq);
		if (!f->asks)
			lane_ready(d, l);
	}
	s->loaded = f->seq;
}

void
delivery_commit(struct delivery *d)
{
	struct pass *p;

	while ((p = d->passes) != NULL) {
		d->passes = p->next;
		free(p);
	}
	for (const struct settled *x = d->turn; x != NULL; x = x->next)
		commit_one(d, x);
	d->turn = d->turn_last = NULL;
	for (const struct fact *f = d->batch->first; f != NULL; f = f->next)
		if (f->target.n > 0)
			added(d, f);
}

void
delivery_state(struct delivery *d, const struct action *a)
{
	struct sub *s = delivery_sub(d, a->system);

	if (s == NULL)
		return;
	if (slice_is(a->act, "live")) {
		s->live = true;
		s->paused = false;
		if (a->since.n > 0)
			s->since = since_of(a->since);
	} else if (slice_is(a->act, "pause")) {
		s->paused = true;
	} else if (slice_is(a->act, "resume")) {
		s->paused = false;
	}
}

/* ---- sending ---- */

static void
load_page(struct delivery *d, struct sub *s)
{
	struct open_item *items;
	struct arena a;
	struct lane *l;
	size_t n = 0;
	enum err e;

	arena_init(&a, 4 * 1024 * 1024);
	e = index_open_items(d->core->index, slice_str(s->name), s->loaded,
	    LANES_PAGE, &a, &items, &n);
	if (e != ERR_OK)
		say(SAY_ERROR, "delivery", "%s: cannot read what is open: %s",
		    s->name, err_last());
	for (size_t i = 0; i < n; i++) {
		l = lane_find(s, items[i].subject);
		if (l == NULL) {
			l = lane_new(s, items[i].subject, items[i].seq);
			lane_take(d, l, &items[i]);
			/* It may have been out when the broker stopped. */
			l->again = items[i].seq < d->core->start &&
				   (items[i].state == OPEN_READY ||
				       (items[i].state == OPEN_RETRY &&
					   items[i].due <= clock_now()));
		} else if (items[i].seq > l->seq) {
			l->more = true;
			supersede(d, l, items[i].seq);
		}
		s->loaded = items[i].seq;
	}
	s->more = n == LANES_PAGE;
	arena_fini(&a);
}

static void
put_header(struct buf *out, const struct lane *l, bool erased)
{
	mp_put_map(out, erased ? 5 : 4);
	mp_put_cstr(out, "sub");
	mp_put_cstr(out, l->sub->name);
	mp_put_cstr(out, "seq");
	mp_put_uint(out, l->seq);
	mp_put_cstr(out, "attempt");
	mp_put_uint(out, l->attempt + 1);
	mp_put_cstr(out, "again");
	mp_put_bool(out, l->again);
	if (erased) {
		mp_put_cstr(out, "erased");
		mp_put_bool(out, true);
	}
}

/* The delivery as two frames. ERR_NOTFOUND: its segment is gone. */
static enum err
build(struct delivery *d, const struct lane *l, struct buf *header,
    struct buf *blob, int64_t *time)
{
	struct log_record rec;
	struct event e;
	bool erased;
	enum err err;

	err = log_read(d->core->reader, l->seq, &rec);
	if (err == ERR_OK)
		err = event_read(rec.body, &e);
	if (err == ERR_OK)
		err = sealer_open(d->core->sealer, &e, &erased);
	if (err != ERR_OK)
		return err;
	e.sequence = rec.seq;
	e.recordedtime = rec.recorded;
	e.sealed = e.again = SLICE_EMPTY;
	put_header(header, l, erased);
	mp_put_array(blob, 2);
	mp_put_uint(blob, REC_EVENT);
	event_write(blob, &e);
	sealer_reset(d->core->sealer);
	*time = e.time;
	return buf_check(blob);
}

/* One lane; false: no more for this subscription now. */
static bool
send_one(struct delivery *d, struct sub *s, struct lane *l)
{
	struct buf header, blob;
	int64_t time;
	bool go_on = true;
	enum err e;

	buf_init(&header, FRAME_HEADER);
	buf_init(&blob, 2 * FRAME_MAX_ONE);
	e = build(d, l, &header, &blob, &time);
	if (e != ERR_OK) {
		say(SAY_ERROR, "delivery", "%s: event %llu: %s", s->name,
		    (unsigned long long)l->seq, err_last());
		lane_pass(d, l, true,
		    "the event cannot be read from the journal; see the "
		    "broker's log");
	} else if (s->since != 0 && time != 0 && time < s->since) {
		lane_pass(d, l, false,
		    "of a time before the date from which this system is "
		    "live");
	} else if (s->in_hand > 0 && s->bytes_in_hand + blob.n > s->bytes) {
		go_on = false;
	} else {
		e = bus_send(d->bus, session_peer(s->session), VERB_EVT,
		    buf_all(&header), buf_all(&blob));
		if (e == ERR_OK) {
			lane_hand(d, l, blob.n);
			s->stall_ms = 0;
		} else {
			/* one that reads has room again at once */
			go_on = false;
			s->stall_ms = s->stall_ms == 0 ? 1 : 2 * s->stall_ms;
			if (s->stall_ms > STALL_MS)
				s->stall_ms = STALL_MS;
			s->stalled = clock_mono() + s->stall_ms * NS_PER_MS;
			if (e == ERR_CLOSED)
				s->session->over = true;
		}
	}
	buf_fini(&header);
	buf_fini(&blob);
	return go_on;
}

static void
pump_sub(struct delivery *d, struct sub *s, int64_t now)
{
	if (!s->live || s->paused || s->session == NULL || s->session->over ||
	    s->stalled > now)
		return;
	while (s->in_hand < s->window) {
		if (s->more && s->waiting < LANES_MAX / 2)
			load_page(d, s);
		if (s->ready_first == NULL && !s->more)
			return;
		if (s->ready_first == NULL) {
			if (s->waiting >= LANES_MAX / 2)
				return;
			continue;
		}
		if (s->suspects > 0 && s->in_hand > 0)
			return;
		if (!send_one(d, s, s->ready_first))
			return;
	}
}

void
delivery_pump(struct delivery *d)
{
	int64_t now = clock_mono();
	struct alarm *a;
	struct lane *l;

	while ((a = alarms_first(&d->alarms)) != NULL && a->due <= now) {
		l = ALARM_OWNER(a, struct lane, alarm);
		if (l->state != LANE_HAND) {
			lane_ready(d, l);
		} else if (l->settling) {
			alarm_set(&d->alarms, a, now + NS_PER_SEC);
		} else {
			say(SAY_WARN, "delivery",
			    "%s: event %llu was neither settled nor extended "
			    "in %lld ms",
			    l->sub->name, (unsigned long long)l->seq,
			    (long long)l->sub->patience_ms);
			lane_lost(d, l, l->sub->in_hand == 1, false);
		}
	}
	for (size_t i = 0; i < d->subs_n; i++)
		pump_sub(d, &d->subs[i], now);
}

int64_t
delivery_next(const struct delivery *d)
{
	const struct alarm *a = alarms_first(&d->alarms);
	int64_t due = a != NULL ? a->due : INT64_MAX;

	for (size_t i = 0; i < d->subs_n; i++) {
		const struct sub *s = &d->subs[i];

		if (s->session != NULL && s->ready_first != NULL &&
		    s->stalled > 0 && s->stalled < due &&
		    s->in_hand < s->window)
			due = s->stalled;
	}
	return d->passes != NULL ? 0 : due;
}
