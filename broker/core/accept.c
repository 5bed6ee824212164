/*
 * accept - what may stand in a PUB, and what it does. See daemon.h.
 *
 * check() comes first and for the whole PUB, so that a refused one leaves no
 * trace; apply() can then fail only by what is not the publisher's fault.
 */
#include <stdio.h>

#include "broker/base/clock.h"
#include "broker/core/asked.h"
#include "broker/core/daemon.h"

#define EFFECT_MAX (16 * 1024)
#define EXCERPT_MAX (8 * 1024)

struct record {
	enum record_kind kind;
	struct slice body;
};

static enum err
no_right(const struct pub *s, enum access_verb v, struct slice what)
{
	return err_note(ERR_DENIED, "the key of %s has no right to %s %.*s",
	    s->who->name, access_verb_name(v), what.n < 100 ? (int)what.n : 100,
	    (const char *)what.p);
}

/* ---- events ---- */

static enum err
only_ours(const struct event *e)
{
	const char *key = e->sequence != 0	  ? "sequence"
			  : e->recordedtime != 0  ? "recordedtime"
			  : e->revision != 0	  ? "revision"
			  : e->revisedby.n > 0	  ? "revisedby"
			  : e->withdrawn	  ? "withdrawn"
			  : e->echo		  ? "echo"
			  : e->causationid != 0	  ? "causationid"
			  : e->correlationid != 0 ? "correlationid"
			  : e->map.n > 0	  ? "map"
			  : e->ruleset.n > 0	  ? "ruleset"
			  : e->digest.n > 0	  ? "digest"
			  : e->sealed.n > 0	  ? "sealed"
			  : e->target.n > 0	  ? "target"
			  : e->again.n > 0	  ? "again"
			  : e->reads_n > 0	  ? "reads"
						  : NULL;

	if (key == NULL)
		return ERR_OK;
	return err_note(
	    ERR_DENIED, "event: `%s` is for the broker to set", key);
}

/* The mark of a sealed value is ours: a publisher's would be filled with
 * another's data. */
static enum err
no_marks(struct slice data)
{
	struct mp_in in = mp_in(data);
	struct mp m;
	enum err e;

	while (in.p < in.end) {
		e = mp_next(&in, &m);
		if (e != ERR_OK)
			return e;
		if (m.type == MP_SEALED)
			return err_note(ERR_TYPE,
			    "event: ext type %d is for the broker to use",
			    MP_EXT_SEALED);
	}
	return ERR_OK;
}

static enum err
check_scope(struct daemon *d, struct slice system, struct slice written)
{
	struct buf out;
	enum err e;

	buf_init(&out, EVENT_TEXT);
	e = ruleset_scope(d->core.rules, system, written, &out);
	if (e == ERR_OK && buf_check(&out) != ERR_OK)
		e = err_note(ERR_LIMIT, "event: \"%.*s\" is too long",
		    SLICE_ARG(written));
	buf_fini(&out);
	return e;
}

static enum err
check_answer(struct daemon *d, const struct event *e)
{
	struct fact *f;

	if (e->answer_to == 0)
		return ERR_OK;
	if (batch_envelope(&d->batch, e->answer_to, &f) != ERR_OK ||
	    !slice_eq(f->target, e->source))
		return err_note(ERR_NOTFOUND,
		    "event: `answerto`: %llu is no request to %.*s",
		    (unsigned long long)e->answer_to, SLICE_ARG(e->source));
	return ERR_OK;
}

static enum err
check_event(struct daemon *d, const struct pub *s, struct slice body)
{
	struct event e;
	enum err err;

	if (body.n > EVENT_MAX)
		return err_note(ERR_LIMIT, "event: %zu bytes; at most %d",
		    body.n, EVENT_MAX);
	err = event_read(body, &e);
	if (err == ERR_OK)
		err = only_ours(&e);
	if (err == ERR_OK && e.data.n > 0)
		err = no_marks(e.data);
	if (err != ERR_OK)
		return err;
	if (s->role == ROLE_OPERATOR ||
	    (s->role == ROLE_CONNECTOR &&
		!slice_eq(e.source, slice_str(s->name))))
		return err_note(ERR_DENIED, "%s may not publish events of %.*s",
		    s->name, SLICE_ARG(e.source));
	if (!access_may(s->who, MAY_PUBLISH, e.type))
		return no_right(s, MAY_PUBLISH, e.type);
	if (!ruleset_may_publish(d->core.rules, e.source, e.type))
		return err_note(ERR_DENIED,
		    "%.*s is no type that the system %.*s publishes",
		    SLICE_ARG(e.type), SLICE_ARG(e.source));
	if (e.subject.n == 0)
		return err_note(ERR_MISSING, "event: `subject` is missing");
	err = check_scope(d, e.source, e.subject);
	for (size_t i = 0; err == ERR_OK && i < e.refs_n; i++)
		err = check_scope(d, e.source, e.refs[i]);
	return err == ERR_OK ? check_answer(d, &e) : err;
}

static struct slice
scoped(struct daemon *d, struct slice system, struct slice written)
{
	struct slice out;
	struct buf b;

	buf_init(&b, EVENT_TEXT);
	if (ruleset_scope(d->core.rules, system, written, &b) != ERR_OK)
		err_die("a subject that was checked does not scope");
	out = batch_keep(&d->batch, buf_all(&b));
	buf_fini(&b);
	return out;
}

static enum err
apply_event(struct daemon *d, struct slice body)
{
	static const uint8_t nil[] = {0xc0};
	uint8_t digest[32];
	struct known known;
	struct fact *asked;
	struct event e;
	enum err err;

	err = event_read(body, &e);
	if (err != ERR_OK)
		return err;
	if (e.data.n == 0)
		e.data = slice_of(nil, sizeof(nil));
	err = batch_known(&d->batch, e.source, e.id, &known);
	if (err != ERR_OK && err != ERR_NOTFOUND)
		return err;
	d->core.published++;
	if (err == ERR_NOTFOUND) {
		known = (struct known){0};
	} else {
		keys_digest(d->core.keys, e.data, digest);
		if (!known.withdrawn &&
		    memcmp(digest, known.digest, sizeof(digest)) == 0) {
			d->core.duplicates++;
			return ERR_OK;
		}
	}
	e.revision = known.revision + 1;
	e.subject = scoped(d, e.source, e.subject);
	for (size_t i = 0; i < e.refs_n; i++)
		e.refs[i] = scoped(d, e.source, e.refs[i]);
	if (e.answer_to != 0 &&
	    batch_envelope(&d->batch, e.answer_to, &asked) == ERR_OK) {
		e.causationid = asked->seq;
		e.correlationid = asked->root;
	}
	strays_look(d->strays, ruleset_schema(d->core.rules, e.type), e.type,
	    e.source, e.data, d->batch.now);
	return route_event(&d->router, &e, known.seq);
}

/* ---- settlements ---- */

static enum err
check_effect(struct slice effect)
{
	static const char *const keys[] = {
	    "digest", "status", "remote", "ms", "excerpt"};
	struct mp_in in = mp_in(effect);
	struct mp head, key, value;
	enum err e;
	size_t k;

	if (effect.n > EFFECT_MAX)
		return err_note(ERR_LIMIT, "settlement: `effect` is too large");
	e = mp_next(&in, &head);
	if (e != ERR_OK)
		return e;
	for (uint32_t i = 0; i < head.count; i++) {
		e = mp_next(&in, &key);
		if (e == ERR_OK)
			e = mp_next(&in, &value);
		if (e != ERR_OK)
			return e;
		for (k = 0; k < 5; k++)
			if (key.type == MP_STR && slice_is(key.bytes, keys[k]))
				break;
		if (k == 5)
			return err_note(ERR_SYNTAX,
			    "settlement: `effect` holds digest, status, "
			    "remote, ms and excerpt only");
		if ((k == 0 && (value.type != MP_BIN || value.bytes.n > 64)) ||
		    ((k == 1 || k == 3) && value.type != MP_INT) ||
		    (k == 2 &&
			(value.type != MP_STR || value.bytes.n > EVENT_TEXT)) ||
		    (k == 4 &&
			(value.type != MP_BIN || value.bytes.n > EXCERPT_MAX)))
			return err_note(ERR_TYPE,
			    "settlement: `effect.%s` has a wrong type or is "
			    "too long",
			    keys[k]);
	}
	return ERR_OK;
}

static enum err
check_settle(struct daemon *d, const struct pub *s, struct slice body)
{
	struct settle t;
	enum err e;

	e = settle_read(body, &t);
	if (e != ERR_OK)
		return e;
	if (t.verdict > SETTLE_ASK || t.due != 0 || t.parked)
		return err_note(ERR_DENIED,
		    "settlement: the verdict is ok, retry, defer, reject or "
		    "ask; the rest is for the broker to decide");
	if (s->role != ROLE_CONNECTOR || !slice_eq(t.sub, slice_str(s->name)) ||
	    delivery_sub(&d->delivery, t.sub) == NULL)
		return err_note(ERR_DENIED,
		    "%s may not settle deliveries of %.*s", s->name,
		    SLICE_ARG(t.sub));
	if (!access_may(s->who, MAY_TAKE, SLICE_EMPTY))
		return no_right(s, MAY_TAKE, t.sub);
	if (t.after_ms < 0)
		return err_note(ERR_RANGE, "settlement: `after_ms` < 0");
	return t.effect.n > 0 ? check_effect(t.effect) : ERR_OK;
}

static enum err
apply_settle(struct daemon *d, struct slice body)
{
	struct settle t;
	enum err e;

	e = settle_read(body, &t);
	if (e != ERR_OK)
		return e;
	return delivery_settle(
	    &d->delivery, delivery_sub(&d->delivery, t.sub), &t);
}

/* ---- actions ---- */

static bool
is_map(struct slice sub)
{
	return slice_starts(sub, SLICE_LIT("map:"));
}

/* A held mapping's lane, if this event is its head (for skip also behind). */
static enum err
held(struct daemon *d, const struct action *a, struct fact **f, struct hold **l)
{
	enum err e;

	e = batch_get(&d->batch, a->seq, f);
	if (e != ERR_OK)
		return e;
	*l = hold_find(&d->holds, a->sub, (*f)->subject);
	if (*l == NULL || a->seq < (*l)->head || a->seq > (*l)->last)
		return err_note(ERR_STATE, "event %llu is not held at %.*s",
		    (unsigned long long)a->seq, SLICE_ARG(a->sub));
	if (a->seq != (*l)->head)
		return err_note(ERR_STATE,
		    "an earlier event of its subject comes first: %llu",
		    (unsigned long long)(*l)->head);
	return ERR_OK;
}

/* Of acts on one open item. */
static enum err
check_on_item(const struct action *a)
{
	if (a->sub.n == 0 || a->seq == 0)
		return err_note(
		    ERR_MISSING, "action: `sub` and `seq` are needed");
	if (slice_is(a->act, "snooze") && a->until <= clock_now())
		return err_note(ERR_RANGE,
		    "action: `until` must be a time that is to come");
	if (!slice_is(a->act, "edit"))
		return ERR_OK;
	if (a->reason.n == 0 || a->data.n == 0)
		return err_note(ERR_MISSING,
		    "action: an edit needs its `reason` and the `data`");
	return no_marks(a->data);
}

static enum err
check_action(struct daemon *d, const struct pub *s, struct slice body)
{
	static const char *const acts[] = {"retry", "skip", "replay", "edit",
	    "snooze", "deploy", "rollback", "answer", "live", "pause", "resume",
	    "rewind"};
	const size_t acts_n = sizeof(acts) / sizeof(acts[0]);
	const struct sub *sub;
	struct action a;
	size_t i;
	enum err e;

	e = action_read(body, &a);
	if (e != ERR_OK)
		return e;
	if (s->role != ROLE_OPERATOR)
		return err_note(ERR_DENIED, "%s may not act", s->name);
	if (a.by.n == 0)
		return err_note(ERR_MISSING, "action: `by` is missing");
	if (!s->who->any_name && !slice_is(a.by, s->who->name))
		return err_note(ERR_DENIED,
		    "action: `by` is %s, whose key this is", s->who->name);
	if (!access_may(s->who, MAY_ACT, a.act))
		return no_right(s, MAY_ACT, a.act);
	for (i = 0; i < acts_n; i++)
		if (slice_is(a.act, acts[i]))
			break;
	if (i == acts_n)
		return err_note(ERR_RANGE,
		    "action: `act` is retry, skip, replay, edit, snooze, "
		    "deploy, rollback, answer, live, pause, resume or rewind");
	/* Elsewhere it would stand in the journal as it is. */
	if (a.data.n > 0 && !slice_is(a.act, "edit"))
		return err_note(
		    ERR_DENIED, "action: `data` is for an edit alone");
	if (i < 5)
		return check_on_item(&a);
	if (i < 7)
		return (i == 5 ? a.row.n > 0 : a.hash.n == 32)
			   ? ERR_OK
			   : err_note(ERR_MISSING,
				 "action: deploy needs `row`, rollback `hash`");
	sub = delivery_sub(&d->delivery, a.system);
	if (sub == NULL)
		return err_note(ERR_NOTFOUND, "there is no system %.*s",
		    SLICE_ARG(a.system));
	if (slice_is(a.act, "answer"))
		return a.map.n > 0 && a.table.n > 0 && a.key.n > 0 &&
			       a.row.n > 0
			   ? ERR_OK
			   : err_note(ERR_MISSING,
				 "action: map, table, key and row are needed");
	if (slice_is(a.act, "pause") && (!sub->live || sub->paused))
		return err_note(ERR_STATE, "%s is not live", sub->name);
	if (slice_is(a.act, "rewind") && a.since.n == 0)
		return err_note(
		    ERR_MISSING, "action: a rewind says `since` when");
	if (slice_is(a.act, "resume") && !sub->paused)
		return err_note(ERR_STATE, "%s is not paused", sub->name);
	return ERR_OK;
}

const struct route *
accept_route(struct daemon *d, struct slice sub)
{
	const uint8_t *slash;
	struct slice name;

	name = is_map(sub) ? slice_from(sub, 4) : sub;
	slash = memchr(name.p, '/', name.n);
	if (slash == NULL)
		return NULL;
	return ruleset_route_find(d->core.rules,
	    slice_of(name.p, (size_t)(slash - name.p)),
	    slice_from(name, (size_t)(slash - name.p) + 1));
}

/* An item of a mapping that is not there any more has no lane, and can still be
 * passed over. */
static enum err
orphan(struct daemon *d, const struct action *a, const struct fact *f,
    struct hold **l)
{
	struct open_item *items;
	size_t n;
	enum err e;

	*l = NULL;
	e = index_open_at(d->core.index, a->sub, f->subject, 256,
	    &d->batch.arena, &items, &n);
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		if (items[i].seq == a->seq)
			return ERR_OK;
	return e != ERR_OK
		   ? e
		   : err_note(ERR_STATE, "event %llu is not held at %.*s",
			 (unsigned long long)a->seq, SLICE_ARG(a->sub));
}

static enum err
apply_skip(struct daemon *d, const struct action *a)
{
	struct settle s;
	struct hold *l;
	struct fact *f;
	enum err e;

	e = held(d, a, &f, &l);
	if (e == ERR_STATE && accept_route(d, a->sub) == NULL)
		e = orphan(d, a, f, &l);
	if (e != ERR_OK)
		return e;
	batch_action(&d->batch, a);
	settle_init(&s);
	s.sub = a->sub;
	s.seq = a->seq;
	s.verdict = SETTLE_SKIP;
	s.text = a->reason;
	batch_settle(&d->batch, &s);
	if (l != NULL) {
		hold_done(l);
		hold_queue(&d->holds, l);
	}
	return ERR_OK;
}

enum err
accept_skip(struct daemon *d, const struct action *a)
{
	return is_map(a->sub) ? apply_skip(d, a)
			      : delivery_skip(&d->delivery, a);
}

/* Nobody need look at it for a while; nothing else changes. */
static enum err
apply_snooze(struct daemon *d, const struct action *a)
{
	const struct sub *sub = delivery_sub(&d->delivery, a->sub);
	struct open_item *items;
	struct fact *f;
	size_t n = 0;
	enum err e;

	if (sub == NULL && !is_map(a->sub))
		return err_note(ERR_NOTFOUND, "there is no subscription %.*s",
		    SLICE_ARG(a->sub));
	e = batch_get(&d->batch, a->seq, &f);
	if (e == ERR_OK)
		e = index_open_at(d->core.index, a->sub, f->subject, 256,
		    &d->batch.arena, &items, &n);
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		if (items[i].seq == a->seq) {
			batch_action(&d->batch, a);
			return ERR_OK;
		}
	return e != ERR_OK
		   ? e
		   : err_note(ERR_STATE, "event %llu is not open at %.*s",
			 (unsigned long long)a->seq, SLICE_ARG(a->sub));
}

static enum err
apply_retry(struct daemon *d, const struct action *a)
{
	struct hold *l;
	struct fact *f;
	enum err e;

	e = held(d, a, &f, &l);
	if (e != ERR_OK)
		return e;
	guard_forget(d->guard, f->source, f->id);
	batch_action(&d->batch, a);
	l->trouble = 0; /* a person asked: say again what is wrong */
	hold_queue(&d->holds, l);
	return ERR_OK;
}

static enum err
apply_replay(struct daemon *d, const struct action *a)
{
	const struct route *rt = accept_route(d, a->sub);

	if (rt == NULL)
		return err_note(ERR_NOTFOUND,
		    "there is no mapping %.*s: SYSTEM/NAME", SLICE_ARG(a->sub));
	batch_action(&d->batch, a);
	return route_again(&d->router, rt, a->seq);
}

/* Whose a ref is: no mapping's table has it, and whoever asked goes on. */
static enum err
apply_name(struct daemon *d, struct action *a)
{
	struct mp_in in = mp_in(a->row);
	struct slice subject;
	struct buf row;
	uint32_t slot;
	struct mp m;

	if (mp_next(&in, &m) != ERR_OK || m.type != MP_STR)
		return err_note(ERR_TYPE,
		    "the answer is a subject, such as order:%.*s/1042",
		    SLICE_ARG(a->system));
	subject = m.bytes;
	if (index_slot(d->core.index, subject, &slot) != ERR_OK) {
		enum err e = check_scope(d, a->system, subject);

		if (e != ERR_OK)
			return e;
		subject = scoped(d, a->system, subject);
	}
	buf_init(&row, EVENT_TEXT + 8);
	mp_put_str(&row, subject);
	a->row = batch_keep(&d->batch, buf_all(&row));
	buf_fini(&row);
	batch_action(&d->batch, a);
	batch_name(&d->batch, a->key, subject);
	holds_asked(&d->holds);
	return ERR_OK;
}

static enum err
apply_answer(struct daemon *d, struct action *a)
{
	char sub[HOLD_SUB];
	enum err e;
	int n;

	if (slice_eq(a->table, INDEX_NAMES))
		return apply_name(d, a);
	a->map = asked_map(a->map);
	e = rules_answer(&d->rules, a);
	if (e == ERR_OK)
		e = asked_answered(&d->batch, a);
	if (e != ERR_OK)
		return e;
	batch_action(&d->batch, a);
	rules_record(&d->rules, &d->batch, a->by);
	n = snprintf(sub, sizeof(sub), "map:%.*s/%.*s", SLICE_ARG(a->system),
	    SLICE_ARG(a->map));
	holds_rerun(&d->holds, slice_of(sub, (size_t)n));
	return ERR_OK;
}

static enum err
apply_action(struct daemon *d, struct slice body)
{
	struct action a;
	enum err e;

	e = action_read(body, &a);
	if (e != ERR_OK)
		return e;
	if (slice_is(a.act, "answer"))
		return apply_answer(d, &a);
	if (slice_is(a.act, "replay"))
		return apply_replay(d, &a);
	if (slice_is(a.act, "deploy") || slice_is(a.act, "rollback"))
		return rules_deploy(&d->rules, &d->batch, &a);
	if (slice_is(a.act, "retry"))
		return is_map(a.sub) ? apply_retry(d, &a)
				     : delivery_retry(&d->delivery, &a);
	if (slice_is(a.act, "skip"))
		return accept_skip(d, &a);
	if (slice_is(a.act, "edit"))
		return edit_apply(d, &a);
	if (slice_is(a.act, "snooze"))
		return apply_snooze(d, &a);
	batch_action(&d->batch, &a);
	return ERR_OK;
}

/* ---- a whole PUB ---- */

/* record_next() without looking into the body: before check() for its kind
 * alone, after check() because that looked. */
static bool
next_again(struct mp_in *in, enum record_kind *kind, struct slice *body)
{
	struct mp m;

	if (in->p == in->end || mp_next(in, &m) != ERR_OK ||
	    m.type != MP_ARRAY || m.count != 2 || mp_next(in, &m) != ERR_OK ||
	    m.type != MP_INT || mp_value(in, body) != ERR_OK)
		return false;
	*kind = (enum record_kind)m.i;
	return true;
}

bool
accept_is_vital(const struct pub *p)
{
	struct mp_in in = mp_in(bus_part(&p->msg, 3));
	enum record_kind kind;
	struct slice body;

	while (next_again(&in, &kind, &body))
		if (kind != REC_EVENT)
			return true;
	return false;
}

enum err
accept_check(struct daemon *d, const struct pub *p)
{
	struct slice blob = bus_part(&p->msg, 3);
	struct mp_in in = mp_in(blob);
	enum record_kind kind;
	struct slice body;
	uint32_t n = 0;
	enum err e;

	if (p->count == 0 || p->count > FRAME_RECORDS)
		return err_note(
		    ERR_LIMIT, "a PUB holds 1 to %d records", FRAME_RECORDS);
	if (p->count > 1 && blob.n > FRAME_MAX)
		return err_note(ERR_LIMIT,
		    "a PUB of several records holds at most %d bytes",
		    FRAME_MAX);
	while (record_next(&in, &kind, &body, &e)) {
		if (++n > p->count)
			break;
		switch (kind) {
		case REC_EVENT:
			e = check_event(d, p, body);
			break;
		case REC_SETTLE:
			e = check_settle(d, p, body);
			break;
		case REC_ACTION:
			e = check_action(d, p, body);
			break;
		case REC_TIMER:
			e = err_note(ERR_DENIED, "timers are the broker's");
			break;
		}
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_OK)
		return e;
	if (n != p->count)
		return err_note(ERR_SYNTAX,
		    "`count` says %u records, and there are %s", p->count,
		    n > p->count ? "more" : "fewer");
	return ERR_OK;
}

enum err
accept_apply(struct daemon *d, const struct pub *p)
{
	struct mp_in in = mp_in(bus_part(&p->msg, 3));
	enum record_kind kind;
	struct slice body;
	enum err e = ERR_OK;

	while (next_again(&in, &kind, &body)) {
		switch (kind) {
		case REC_EVENT:
			e = apply_event(d, body);
			break;
		case REC_SETTLE:
			e = apply_settle(d, body);
			break;
		case REC_ACTION:
			e = apply_action(d, body);
			break;
		case REC_TIMER:
			break;
		}
		if (e != ERR_OK)
			return e;
	}
	return e;
}
