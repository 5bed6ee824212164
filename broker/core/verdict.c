/*
 * verdict - the part of delivery.h that makes records: what connectors, people
 * and the broker itself say about deliveries, checked against what is open and
 * written into the turn. Memory changes when the turn is on disk
 * (delivery_commit).
 */
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/core/lane.h"

void
delivery_begin(struct delivery *d)
{
	struct lane *l;

	/* Left from a turn that was dropped. */
	for (struct settled *x = d->turn; x != NULL; x = x->next) {
		l = lane_find(x->sub, x->subject);
		if (l != NULL)
			l->settling = false;
	}
	d->turn = d->turn_last = NULL;
}

static struct settled *
settled_new(
    struct delivery *d, struct sub *s, struct slice subject, uint64_t seq)
{
	struct settled *x = arena_alloc(&d->batch->arena, sizeof(*x));

	if (x == NULL)
		err_die("a turn outgrew its memory");
	x->sub = s;
	x->subject = subject;
	x->seq = seq;
	x->verdict = SETTLE_SKIP;
	if (d->turn_last != NULL)
		d->turn_last->next = x;
	else
		d->turn = x;
	d->turn_last = x;
	return x;
}

static bool
in_turn(const struct delivery *d, const struct sub *s, uint64_t seq)
{
	for (const struct settled *x = d->turn; x != NULL; x = x->next)
		if (x->sub == s && x->seq == seq)
			return true;
	return false;
}

/* The open item `seq` of a subscription among the first `max` of its subject,
 * and is it at the head? ERR_NOTFOUND when it is not open (any more). */
static enum err
find_open(struct delivery *d, struct sub *s, uint64_t seq, size_t max,
    struct fact **f, struct open_item *out, bool *head)
{
	struct open_item *items;
	size_t n;
	enum err e;

	if (in_turn(d, s, seq))
		return ERR_NOTFOUND;
	e = batch_envelope(d->batch, seq, f);
	if (e != ERR_OK)
		return e;
	if (!slice_is((*f)->target, s->name))
		return ERR_NOTFOUND;
	e = index_open_at(d->core->index, slice_str(s->name), (*f)->subject,
	    max, &d->batch->arena, &items, &n);
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		if (items[i].seq == seq) {
			*out = items[i];
			*head = i == 0;
			return ERR_OK;
		}
	return e != ERR_OK ? e : ERR_NOTFOUND;
}

/* The effect as it is kept: its excerpt sealed under the event's slot. */
static enum err
effect_seal(struct delivery *d, struct slice subject, struct slice effect,
    struct buf *out)
{
	struct mp_in in = mp_in(effect);
	struct slice key, value, sealed;
	struct mp head, m;
	uint32_t slot;
	enum err e;

	e = mp_next(&in, &head);
	if (e != ERR_OK)
		return e;
	mp_put_map(out, head.count);
	for (uint32_t i = 0; i < head.count; i++) {
		e = mp_value(&in, &key);
		if (e == ERR_OK)
			e = mp_value(&in, &value);
		if (e != ERR_OK)
			return e;
		buf_slice(out, key);
		if (!slice_is(slice_from(key, 1), "excerpt")) {
			buf_slice(out, value);
			continue;
		}
		struct mp_in v = mp_in(value);

		e = mp_next(&v, &m);
		if (e == ERR_OK && m.type != MP_BIN && m.type != MP_STR)
			e = ERR_TYPE;
		if (e == ERR_OK)
			e = batch_slot(d->batch, subject, &slot);
		if (e == ERR_OK)
			e = sealer_close_bytes(
			    d->core->sealer, slot, m.bytes, &sealed);
		if (e != ERR_OK)
			return e;
		mp_put_bin(out, sealed);
		sealer_reset(d->core->sealer);
	}
	return buf_check(out);
}

/* Attempts are spent: by the type's rule, parked or passed over. */
static void
spent(struct delivery *d, const struct fact *f, struct settle *s,
    struct settled *x)
{
	struct delivery_rule rule;
	bool skip = ruleset_is_request(d->core->rules, f->type, &rule) &&
		    rule.skip_when_spent;

	s->verdict = skip ? SETTLE_SKIP : SETTLE_REJECT;
	s->parked = !skip;
	s->due = 0;
	x->to = skip ? SETTLED_DONE : SETTLED_STUCK;
}

/* Is a later request of its type open behind it, so that to go on with this one
 * would only say what is no longer so? By the type's rule. */
static enum err
overtaken(
    struct delivery *d, const struct sub *sub, const struct fact *f, bool *out)
{
	struct delivery_rule rule;
	struct open_item *items;
	struct fact *later;
	size_t n = 0;
	enum err e;

	*out = false;
	if (!ruleset_is_request(d->core->rules, f->type, &rule) ||
	    !rule.skip_when_spent)
		return ERR_OK;
	e = index_open_at(d->core->index, slice_str(sub->name), f->subject, 256,
	    &d->batch->arena, &items, &n);
	for (size_t i = 0; e == ERR_OK && i < n && !*out; i++) {
		if (items[i].seq <= f->seq)
			continue;
		e = batch_envelope(d->batch, items[i].seq, &later);
		*out = e == ERR_OK && slice_eq(later->type, f->type);
	}
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

/* Was it answered, and is it only not over yet? Then what failed before is
 * past: a parcel that is asked for during weeks may fail often, if never for
 * long. */
static bool
was_answered(const struct settle *in)
{
	struct slice v;
	struct mp_in at;
	struct mp m;

	if (in->effect.n == 0 || !mp_get(in->effect, "status", &v))
		return false;
	at = mp_in(v);
	return mp_next(&at, &m) == ERR_OK && m.type == MP_INT && m.i >= 200 &&
	       m.i < 300;
}

static void
decide(struct delivery *d, const struct settle *in, uint32_t used,
    const struct fact *f, struct settle *s, struct settled *x)
{
	int64_t after = in->after_ms < DELIVERY_AFTER_MAX ? in->after_ms
							  : DELIVERY_AFTER_MAX;
	uint32_t dice;

	switch (in->verdict) {
	case SETTLE_OK:
		x->to = SETTLED_DONE;
		break;
	case SETTLE_RETRY:
		random_bytes(&dice, sizeof(dice));
		if (after == 0)
			after = delivery_backoff(
			    &d->core->retry, used + 1, dice % 1000);
		s->due = d->batch->now + after * NS_PER_MS;
		x->to = SETTLED_LATER;
		if (used + 1 >= d->core->retry.attempts)
			spent(d, f, s, x);
		break;
	case SETTLE_DEFER:
		if (after == 0)
			after = DELIVERY_DEFER_MS;
		s->due = d->batch->now + after * NS_PER_MS;
		s->attempt = was_answered(in) ? 0 : used;
		x->to = SETTLED_LATER;
		break;
	case SETTLE_REJECT:
		s->parked = true;
		x->to = SETTLED_STUCK;
		break;
	case SETTLE_ASK:
		x->to = SETTLED_STUCK;
		break;
	case SETTLE_WAIT:
	case SETTLE_BEHIND:
	case SETTLE_SKIP:
		break; /* refused before */
	}
	x->attempt = s->attempt;
	x->due = s->due;
}

enum err
delivery_settle(struct delivery *d, struct sub *sub, const struct settle *in)
{
	struct settled *x;
	struct open_item it;
	struct buf effect;
	struct settle s;
	struct fact *f;
	struct lane *l;
	bool head, late = false;
	enum err e;

	e = find_open(d, sub, in->seq, 1, &f, &it, &head);
	if (e == ERR_NOTFOUND ||
	    (e == ERR_OK &&
		(!head || it.state == OPEN_ASK || it.state == OPEN_PARKED)))
		return ERR_OK; /* settled before: dropped */
	if (e != ERR_OK)
		return e;
	if (in->verdict != SETTLE_OK && in->attempt != 0 &&
	    in->attempt != it.attempt + 1)
		return ERR_OK;
	settle_init(&s);
	s.sub = slice_str(sub->name);
	s.seq = in->seq;
	s.verdict = in->verdict;
	s.attempt = it.attempt + 1;
	s.after_ms = in->after_ms;
	s.text = in->text;
	buf_init(&effect, FRAME_MAX);
	if (in->effect.n > 0) {
		e = effect_seal(d, f->subject, in->effect, &effect);
		s.effect = buf_all(&effect);
	}
	if (e == ERR_OK &&
	    (in->verdict == SETTLE_RETRY || in->verdict == SETTLE_REJECT ||
		in->verdict == SETTLE_ASK))
		e = overtaken(d, sub, f, &late);
	if (e == ERR_OK) {
		x = settled_new(d, sub, f->subject, in->seq);
		x->verdict = in->verdict;
		decide(d, in, it.attempt, f, &s, x);
		if (late) {
			s.verdict = SETTLE_SKIP;
			s.parked = false;
			s.due = x->due = 0;
			x->to = SETTLED_DONE;
		}
		batch_settle(d->batch, &s);
		l = lane_find(sub, f->subject);
		if (l != NULL && l->seq == in->seq)
			l->settling = true;
	}
	buf_fini(&effect);
	return e;
}

static enum err
action_target(struct delivery *d, const struct action *a, struct sub **s,
    struct fact **f, struct open_item *it, bool *head)
{
	enum err e;

	*s = delivery_sub(d, a->sub);
	if (*s == NULL)
		return err_note(ERR_NOTFOUND, "there is no subscription %.*s",
		    SLICE_ARG(a->sub));
	e = find_open(d, *s, a->seq, 256, f, it, head);
	if (e == ERR_NOTFOUND)
		return err_note(ERR_STATE, "event %llu is not open at %.*s",
		    (unsigned long long)a->seq, SLICE_ARG(a->sub));
	return e;
}

enum err
delivery_retry(struct delivery *d, const struct action *a)
{
	struct settled *x;
	struct open_item it;
	struct sub *s;
	struct fact *f;
	bool head;
	enum err e;

	e = action_target(d, a, &s, &f, &it, &head);
	if (e != ERR_OK)
		return e;
	if (!head)
		return err_note(ERR_STATE,
		    "an earlier delivery of its subject comes first");
	batch_action(d->batch, a);
	x = settled_new(d, s, f->subject, a->seq);
	x->to = SETTLED_FRESH;
	return ERR_OK;
}

enum err
delivery_skip(struct delivery *d, const struct action *a)
{
	struct settled *x;
	struct open_item it;
	struct settle skip;
	struct sub *s;
	struct fact *f;
	bool head;
	enum err e;

	e = action_target(d, a, &s, &f, &it, &head);
	if (e != ERR_OK)
		return e;
	batch_action(d->batch, a);
	settle_init(&skip);
	skip.sub = a->sub;
	skip.seq = a->seq;
	skip.verdict = SETTLE_SKIP;
	skip.attempt = it.attempt;
	skip.text = a->reason;
	batch_settle(d->batch, &skip);
	x = settled_new(d, s, f->subject, a->seq);
	x->to = SETTLED_DONE;
	return ERR_OK;
}

enum err
delivery_passes(struct delivery *d)
{
	struct settled *x;
	struct open_item it;
	struct settle s;
	struct fact *f;
	bool head;
	enum err e;

	for (struct pass *p = d->passes; p != NULL; p = p->next) {
		e = find_open(d, p->sub, p->seq, 1, &f, &it, &head);
		if (e == ERR_NOTFOUND)
			continue;
		if (e != ERR_OK)
			return e;
		settle_init(&s);
		s.sub = slice_str(p->sub->name);
		s.seq = p->seq;
		s.verdict = p->park ? SETTLE_REJECT : SETTLE_SKIP;
		s.parked = p->park;
		s.attempt = it.attempt;
		s.text = slice_str(p->text);
		batch_settle(d->batch, &s);
		x = settled_new(d, p->sub, f->subject, p->seq);
		x->attempt = it.attempt;
		x->to = p->park ? SETTLED_STUCK : SETTLED_DONE;
	}
	return ERR_OK;
}
