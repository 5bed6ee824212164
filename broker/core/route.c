/*
 * route - see route.h. A turn's facts form one list in the order of their
 * sequences; `cursor` walks it, so what is emitted is routed after what emitted
 * it, without recursion.
 */
#include <stdio.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/core/asked.h"
#include "broker/core/emit.h"
#include "broker/core/fail.h"
#include "broker/core/route.h"

#define ROUTE_AT 1000 /* facts of one type at one subject that a join sees */

/* A newer revision, or a new fact that somebody follows, of which its readers
 * were not told yet. */
struct rerun {
	const struct fact *fact;
	struct rerun *next;
};

/* In this turn `input` was mapped by `route` while reading `read`. */
struct seen {
	uint64_t read, input;
	const struct route *route;
	struct seen *next;
};

enum err
router_init(struct router *r, struct core *core, struct batch *b,
    struct holds *h, struct guard *g)
{
	*r = (struct router){.core = core, .batch = b, .holds = h, .guard = g};
	r->eval = eval_new();
	return r->eval != NULL ? ERR_OK
			       : err_note(ERR_NOMEM, "no room to map in");
}

void
router_fini(struct router *r)
{
	eval_free(r->eval);
}

void
router_begin(struct router *r)
{
	r->cursor = NULL;
	r->revised = r->revised_last = NULL;
	r->seen = NULL;
	r->asked = NULL;
	r->reruns = 0;
	r->derived = 0;
	r->bytes = 0;
}

/* ---- what joins see ---- */

struct view {
	struct router *r;
	const struct route *route;
	const struct fact *input;
};

/* "books/ledger.payment-captured" of "books/ledger.payment-captured/1"? */
bool
route_is_map(struct slice stored, const struct route *rt)
{
	size_t n = rt->system.n, m = rt->map->name.n;

	return stored.n > n + m + 1 && slice_starts(stored, rt->system) &&
	       stored.p[n] == '/' &&
	       slice_starts(slice_from(stored, n + 1), rt->map->name) &&
	       stored.p[n + 1 + m] == '/';
}

/* The input itself in another revision, or what this mapping made of it. */
static bool
is_own(struct view *v, const struct fact *f)
{
	if (slice_eq(f->source, v->input->source) &&
	    slice_eq(f->id, v->input->id))
		return true;
	return route_is_map(f->map, v->route) &&
	       batch_same_fact(v->r->batch, f->cause, v->input);
}

/*
 * A mapping of several types that joins each of them means "when all are
 * there", whichever comes last: the last of the input's type is then the input.
 */
static bool
is_this_one(const struct view *v, const struct join *j, const struct fact *f)
{
	return v->route->map->from_n > 1 && !j->all && f->seq == v->input->seq;
}

/*
 * Facts of the input's own type count only when they came before it: "the
 * payments so far" must not depend on when a held one is resumed. So do those
 * of a join that says `only: earlier`: two mappings that each count what the
 * other has booked must not both leave it to the other. A revision
 * stands where its fact first did, which only its time can tell.
 */
static bool
is_later(const struct view *v, const struct join *j, const struct fact *f)
{
	const struct fact *in = v->input;

	if (!j->only_earlier && !slice_eq(f->type, in->type))
		return false;
	if (f->revision > 1 || in->revision > 1)
		return f->time > in->time ||
		       (f->time == in->time && f->seq > in->seq);
	return f->seq > in->seq;
}

/*
 * What this mapping made of a later input is not there yet, as it was not when
 * the input first came: else a replay would see the end of a parcel's way at
 * its beginning. A revision's time is its input's.
 */
static bool
is_made_later(const struct view *v, const struct fact *f)
{
	const struct fact *in = v->input;

	if (!route_is_map(f->map, v->route))
		return false;
	if (f->revision > 1 || in->revision > 1)
		return f->time > in->time;
	return f->cause > in->seq;
}

static enum err
view_read(void *self, const struct join *j, struct slice key, struct arena *a,
    struct joined **out, size_t *n, size_t max)
{
	struct view *v = self;
	struct batch *b = v->r->batch;
	uint64_t seqs[ROUTE_AT];
	struct slice subject = key;
	struct joined *list;
	size_t found, kept = 0;
	struct fact *f;
	enum err e;

	*n = 0;
	*out = NULL;
	if (j->by_ref) {
		e = batch_ref(b, key, a, &subject);
		if (e == ERR_NOTFOUND)
			return ERR_OK;
		if (e != ERR_OK)
			return e;
	}
	e = batch_at(b, j->type, subject, seqs, ROUTE_AT, &found);
	if (e != ERR_OK || found == 0)
		return e;
	list = arena_alloc(a, (j->all ? max + 1 : 1) * sizeof(*list));
	if (list == NULL)
		return err_note(ERR_LIMIT, "no memory for a join");
	/* `last` from the end, `all` from the beginning */
	for (size_t i = 0; i < found; i++) {
		e = batch_get(b, seqs[j->all ? i : found - 1 - i], &f);
		if (e == ERR_NOTFOUND)
			continue; /* its segment was dropped */
		if (e != ERR_OK)
			return e;
		if (j->follows ? route_is_map(f->map, v->route)
			       : (is_own(v, f) && !is_this_one(v, j, f)) ||
				     is_later(v, j, f) || is_made_later(v, f))
			continue;
		if (j->all && kept == max)
			return err_note(ERR_LIMIT,
			    "more than %zu of %.*s at %.*s", max,
			    SLICE_ARG(j->type), SLICE_ARG(subject));
		list[kept].seq = f->seq;
		list[kept++].data = f->data;
		if (!j->all)
			break;
	}
	*out = list;
	*n = kept;
	return ERR_OK;
}

static enum err
view_subject_of(
    void *self, struct slice ref, struct arena *a, struct slice *subject)
{
	struct view *v = self;

	return batch_ref(v->r->batch, ref, a, subject);
}

/* ---- one evaluation ---- */

const struct result *
route_eval(struct router *r, const struct ruleset *rules,
    const struct route *rt, const struct fact *f)
{
	struct view v = {r, rt, f};
	const struct reader reader = {&v, view_read, view_subject_of};

	return ruleset_eval(rules, rt, r->eval, f->head, f->data, &reader);
}

static struct slice
sub_name(const struct route *rt, char out[HOLD_SUB])
{
	int n = snprintf(out, HOLD_SUB, "map:%.*s/%.*s", SLICE_ARG(rt->system),
	    SLICE_ARG(rt->map->name));

	return slice_of(out, n < HOLD_SUB ? (size_t)n : HOLD_SUB - 1);
}

/* What a mapping's result says as a settlement; false: nothing is wrong. A wait
 * for a ref that has its subject already is one for that subject. */
static bool
trouble(struct router *r, const struct result *res, struct settle *s)
{
	struct slice subject;

	s->text = res->text;
	s->path = res->path;
	s->where = res->where;
	switch (res->verdict) {
	case EVAL_OK:
	case EVAL_SKIP:
		s->text = SLICE_EMPTY;
		s->path = s->where = SLICE_EMPTY;
		if (res->table.n > 0) {
			/* `unmatched: report` */
			s->table = res->table;
			s->key = res->key;
			s->text = SLICE_LIT("the table has no row for this; "
					    "its default was used");
		}
		return false;
	case EVAL_ASK:
		s->verdict = SETTLE_ASK;
		s->table = res->table;
		s->key = res->key;
		return true;
	case EVAL_WAIT:
		s->verdict = SETTLE_WAIT;
		s->due = r->batch->now + res->wait_ns;
		s->wait_type = res->wait_type;
		s->wait_key = res->wait_key;
		s->wait_by_ref = res->wait_by_ref;
		if (s->wait_by_ref && s->wait_type.n > 0 &&
		    batch_ref(r->batch, s->wait_key, &r->batch->arena,
			&subject) == ERR_OK) {
			s->wait_key = subject;
			s->wait_by_ref = false;
		}
		return true;
	case EVAL_ERROR:
		break;
	}
	s->verdict = SETTLE_REJECT;
	s->parked = true;
	return true;
}

static void
remember_reads(struct router *r, const struct route *rt, const struct fact *f,
    const struct result *res)
{
	struct seen *s;

	for (size_t i = 0; i < res->reads_n; i++) {
		s = arena_alloc(&r->batch->arena, sizeof(*s));
		if (s == NULL)
			err_die("a turn outgrew its memory");
		*s = (struct seen){res->reads[i], f->seq, rt, r->seen};
		r->seen = s;
	}
}

/* Evaluate and carry out. `l`: the lane this item is the head of, or NULL.
 * anew: it was evaluated before. *held: the item stays open. */
static enum err
evaluate(struct router *r, const struct route *rt, struct slice sub,
    struct fact *f, struct hold *l, bool anew, bool *held)
{
	const struct result *res;
	struct settle s;
	enum err e;

	FAIL_POINT("mapping");
	settle_init(&s);
	s.sub = sub;
	s.seq = f->seq;
	*held = false;
	e = emit_claims(r, f->subject, f->refs, f->refs_n, &s, held);
	if (e != ERR_OK || *held) {
		/* a name of its own is in doubt: so is what follows from it */
	} else if (f->withdrawn) {
		e = emit_withdraw(r, rt, f, NULL, NULL);
	} else {
		res = route_eval(r, r->core->rules, rt, f);
		*held = trouble(r, res, &s);
		if (!*held) {
			remember_reads(r, rt, f, res);
			e = emit_all(r, rt, f, res, &s, held);
		}
		if (e == ERR_OK && !*held)
			e = asked_report(r, rt, f, res);
		if (e == ERR_OK && !*held &&
		    (anew || l != NULL || f->revision > 1))
			e = emit_withdraw(r, rt, f, res, NULL);
	}
	if (e != ERR_OK)
		return e;
	if (*held) {
		if (l == NULL || l->trouble != hold_trouble(&s))
			hold_put(r->holds, r->batch, f->subject, &s);
	} else if (l != NULL || s.text.n > 0) {
		/* The item is closed; or a remark about what was not held. */
		s.verdict = SETTLE_OK;
		batch_settle(r->batch, &s);
	}
	return ERR_OK;
}

static void
put_off(struct router *r, struct slice sub, const struct fact *f)
{
	struct settle s;

	settle_init(&s);
	s.sub = sub;
	s.seq = f->seq;
	s.verdict = SETTLE_RETRY;
	s.due = r->batch->now;
	hold_put(r->holds, r->batch, f->subject, &s);
}

static enum err
route_one(struct router *r, const struct route *rt, struct fact *f)
{
	char name[HOLD_SUB];
	struct slice sub = sub_name(rt, name);
	struct hold *l = hold_find(r->holds, sub, f->subject);
	bool held;

	if (l != NULL) {
		hold_behind(r->holds, r->batch, l, f->seq);
		return ERR_OK;
	}
	if (batch_full(r->batch)) {
		put_off(r, sub, f);
		return ERR_OK;
	}
	return evaluate(r, rt, sub, f, NULL, false, &held);
}

static enum err
route_fact(struct router *r, struct fact *f)
{
	const struct route *const *routes;
	enum err e = ERR_OK;
	size_t n;

	if (f->target.n > 0)
		return ERR_OK;
	n = ruleset_routes(r->core->rules, f->type, f->source, &routes);
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		e = route_one(r, routes[i], f);
	return e;
}

/* Route every fact that this turn has and that was not yet. */
static enum err
route_rest(struct router *r)
{
	struct fact *f;
	enum err e = ERR_OK;

	while (e == ERR_OK) {
		f = r->cursor == NULL ? r->batch->first : r->cursor->next;
		if (f == NULL)
			break;
		r->cursor = f;
		e = route_fact(r, f);
	}
	return e;
}

/* ---- what others know of an added fact ---- */

/* What was refused at this subject by a mapping that reads such facts is tried
 * again: what it lacked (more money than goes back) may be there now. */
static void
wake_refused(struct router *r, struct slice type, struct slice subject)
{
	const struct route *rt;
	char name[HOLD_SUB];
	struct hold *l;

	if (r->holds->lanes.n == 0)
		return;
	for (uint32_t i = 0; (rt = ruleset_route(r->core->rules, i)) != NULL;
	     i++)
		for (size_t k = 0; k < rt->map->joins_n; k++) {
			if (!slice_eq(rt->map->joins[k].type, type))
				continue;
			l = hold_find(r->holds, sub_name(rt, name), subject);
			if (l != NULL && l->state == OPEN_PARKED)
				hold_queue(r->holds, l);
			break;
		}
}

void
route_added(struct router *r, const struct fact *f, const struct event *e)
{
	struct rerun *x;

	hold_wake(r->holds, f->type, f->subject);
	wake_refused(r, f->type, f->subject);
	for (size_t i = 0; i < e->refs_n; i++) {
		hold_wake_ref(r->holds, e->refs[i]);
		/* a refund stands at the shop's own number of its order */
		wake_refused(r, f->type, e->refs[i]);
	}
	if (f->prev == 0 && !ruleset_followed(r->core->rules, f->type))
		return;
	x = arena_alloc(&r->batch->arena, sizeof(*x));
	if (x == NULL)
		err_die("a turn outgrew its memory");
	x->fact = f;
	if (r->revised_last != NULL)
		r->revised_last->next = x;
	else
		r->revised = x;
	r->revised_last = x;
}

/* ---- the ways in ---- */

static void
park_all(struct router *r, const struct fact *f)
{
	const struct route *const *routes;
	char name[HOLD_SUB];
	struct settle s;
	struct hold *l;
	size_t n;

	n = ruleset_routes(r->core->rules, f->type, f->source, &routes);
	for (size_t i = 0; i < n; i++) {
		settle_init(&s);
		s.sub = sub_name(routes[i], name);
		s.seq = f->seq;
		s.verdict = SETTLE_REJECT;
		s.parked = true;
		s.text = SLICE_LIT(
		    "the broker ended twice while this event was mapped, so "
		    "it was stored and not mapped; report it, then retry");
		l = hold_find(r->holds, s.sub, f->subject);
		if (l != NULL)
			hold_behind(r->holds, r->batch, l, f->seq);
		else
			hold_put(r->holds, r->batch, f->subject, &s);
	}
}

enum err
route_event(struct router *r, struct event *ev, uint64_t prev)
{
	struct fact *f;
	enum err e;

	e = batch_event(r->batch, ev, prev, &f);
	if (e != ERR_OK)
		return e;
	r->derived = 0;
	r->bytes = 0;
	route_added(r, f, ev);
	if (f->head.n == 0) /* nobody maps it: nothing to guard */
		return route_rest(r);
	if (!guard_enter(r->guard, f->source, f->id)) {
		r->cursor = f;
		park_all(r, f);
		return ERR_OK;
	}
	e = route_rest(r);
	guard_leave(r->guard);
	return e;
}

/* The lane's next item: its head, or the first open one behind `done`. 0: none
 * that the index knows. */
static enum err
next_item(
    struct router *r, struct hold *l, const struct open_item *items, size_t n)
{
	if (l->head > l->done)
		return ERR_OK;
	for (size_t i = 0; i < n; i++)
		if (items[i].seq > l->done) {
			l->head = items[i].seq;
			return ERR_OK;
		}
	(void)r;
	return ERR_NOTFOUND;
}

/* Evaluate the lane's head; *held when it stays. */
static enum err
resume_head(
    struct router *r, struct hold *l, const struct route *rt, bool *held)
{
	struct settle s;
	struct fact *f;
	enum err e;

	e = batch_get(r->batch, l->head, &f);
	if (e == ERR_NOTFOUND) {
		settle_init(&s);
		s.sub = l->sub;
		s.seq = l->head;
		s.verdict = SETTLE_SKIP;
		s.text = SLICE_LIT("the event is not kept any more");
		batch_settle(r->batch, &s);
		*held = false;
		return ERR_OK;
	}
	if (e != ERR_OK)
		return e;
	*held = true;
	r->derived = 0;
	r->bytes = 0;
	if (!guard_enter(r->guard, f->source, f->id)) {
		settle_init(&s);
		s.sub = l->sub;
		s.seq = l->head;
		s.verdict = SETTLE_REJECT;
		s.parked = true;
		s.text = SLICE_LIT("the broker ended twice while this event "
				   "was mapped; report it, then retry");
		if (l->trouble != hold_trouble(&s))
			hold_put(r->holds, r->batch, l->subject, &s);
		return ERR_OK;
	}
	e = evaluate(r, rt, l->sub, f, l, true, held);
	if (e == ERR_OK)
		e = route_rest(r);
	guard_leave(r->guard);
	return e;
}

static void
not_now(struct router *r, struct hold *l)
{
	l->turn = r->batch->seq0;
	hold_queue(r->holds, l);
}

enum err
route_resume(struct router *r, struct hold *l)
{
	const uint8_t *slash = memchr(l->sub.p, '/', l->sub.n);
	size_t at = slash != NULL ? (size_t)(slash - l->sub.p) : l->sub.n;
	const struct route *rt;
	struct open_item *items;
	bool held = false;
	size_t n;
	enum err e;

	rt = ruleset_route_find(r->core->rules, slice_of(l->sub.p + 4, at - 4),
	    slice_from(l->sub, at + 1));
	if (rt == NULL)
		return ERR_OK; /* stays until such a mapping is there again */
	e = index_open_at(r->core->index, l->sub, l->subject, 256,
	    &r->batch->arena, &items, &n);
	while (e == ERR_OK && !held) {
		e = next_item(r, l, items, n);
		if (e == ERR_NOTFOUND) {
			/* Those behind that this turn added are found by
			 * the next one. */
			if (l->last <= l->done || r->batch->turn.count == 0)
				hold_free(r->holds, l);
			else
				not_now(r, l);
			return ERR_OK;
		}
		if (batch_full(r->batch)) {
			not_now(r, l);
			return ERR_OK;
		}
		e = resume_head(r, l, rt, &held);
		if (e == ERR_OK && !held)
			hold_done(l);
	}
	return e;
}

static enum err
rerun_one(struct router *r, const struct route *rt, uint64_t input)
{
	char name[HOLD_SUB];
	struct slice sub = sub_name(rt, name);
	struct known known;
	struct hold *l;
	struct fact *f;
	bool held;
	enum err e;

	e = batch_get(r->batch, input, &f);
	if (e == ERR_NOTFOUND)
		return ERR_OK;
	if (e != ERR_OK)
		return e;
	/* what a later revision of the input made stands: to evaluate this one
	 * would bring back a state that is over */
	e = batch_known(r->batch, f->source, f->id, &known);
	if (e == ERR_OK && known.seq > f->seq)
		return ERR_OK;
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	l = hold_find(r->holds, sub, f->subject);
	if (l != NULL && input > l->head) {
		hold_behind(r->holds, r->batch, l, input);
		return ERR_OK;
	}
	if (l != NULL)
		return ERR_OK; /* it will read what is there when it resumes */
	if (batch_full(r->batch) || r->reruns++ >= ROUTE_RERUNS) {
		put_off(r, sub, f);
		return ERR_OK;
	}
	r->derived = 0;
	r->bytes = 0;
	e = evaluate(r, rt, sub, f, NULL, true, &held);
	return e == ERR_OK ? route_rest(r) : e;
}

/* Is this event one that the route takes, in its last revision? */
static enum err
takes(struct router *r, const struct route *rt, struct fact *f)
{
	const struct route *const *routes;
	struct known known;
	enum err e;
	size_t n;

	e = batch_known(r->batch, f->source, f->id, &known);
	if (e != ERR_OK)
		return e;
	n = ruleset_routes(r->core->rules, f->type, f->source, &routes);
	for (size_t i = 0; i < n; i++)
		if (routes[i] == rt && known.seq == f->seq && f->target.n == 0)
			return ERR_OK;
	return err_note(ERR_STATE,
	    "event %llu is none that %.*s takes, or has a later revision",
	    (unsigned long long)f->seq, SLICE_ARG(rt->map->name));
}

enum err
route_again(struct router *r, const struct route *rt, uint64_t seq)
{
	struct fact *f;
	enum err e;

	e = batch_get(r->batch, seq, &f);
	if (e == ERR_OK)
		e = takes(r, rt, f);
	return e == ERR_OK ? rerun_one(r, rt, seq) : e;
}

enum err
route_plan(struct router *r, const struct route *rt, uint64_t seq,
    struct slice *subject, struct fates *out)
{
	struct settle s;
	struct fact *f;
	enum err e;

	memset(out, 0, sizeof(*out));
	r->derived = 0;
	r->bytes = 0;
	e = batch_get(r->batch, seq, &f);
	if (e == ERR_OK)
		e = takes(r, rt, f);
	if (e != ERR_OK)
		return ERR_NOTFOUND;
	*subject = f->subject;
	if (f->withdrawn)
		return emit_withdraw(r, rt, f, NULL, out);
	const struct result *res = route_eval(r, r->core->rules, rt, f);

	settle_init(&s);
	if (trouble(r, res, &s))
		return err_note(s.verdict == SETTLE_ASK	   ? ERR_ASK
				: s.verdict == SETTLE_WAIT ? ERR_WAIT
							   : ERR_CHECK,
		    "%.*s", SLICE_ARG(s.text));
	return emit_plan(r, rt, f, res, out);
}

/* Does what this route makes depend on later revisions of such a fact? */
static bool
reads_anew(const struct route *rt, struct slice type)
{
	bool fixed = false;

	for (size_t i = 0; i < rt->map->joins_n; i++) {
		const struct join *j = &rt->map->joins[i];

		if (!slice_eq(j->type, type))
			continue;
		if (!j->fixed)
			return true;
		fixed = true;
	}
	/* read by a join that a former version had: anew */
	return !fixed;
}

/* A fact that was not there before, at a subject where a join follows all that
 * appears: evaluate anew what the mapping took there. */
static enum err
rerun_new(struct router *r, const struct fact *f)
{
	uint64_t seqs[ROUTE_AT];
	const struct route *rt;
	enum err e = ERR_OK;
	size_t n;

	for (size_t i = 0;
	     e == ERR_OK && (rt = ruleset_follower(r->core->rules, i)) != NULL;
	     i++) {
		for (size_t k = 0; e == ERR_OK && k < rt->map->joins_n; k++) {
			if (!rt->map->joins[k].follows ||
			    !slice_eq(rt->map->joins[k].type, f->type))
				continue;
			for (size_t t = 0; e == ERR_OK && t < rt->map->from_n;
			     t++) {
				e = batch_at(r->batch, rt->map->from[t],
				    f->subject, seqs, ROUTE_AT, &n);
				for (size_t q = 0; e == ERR_OK && q < n; q++)
					if (seqs[q] != f->seq)
						e = rerun_one(r, rt, seqs[q]);
			}
			break;
		}
	}
	return e;
}

static enum err
rerun_stored(struct router *r, const struct fact *f)
{
	const struct route *rt;
	struct dependent *list;
	const uint8_t *slash;
	enum err e;
	size_t n;

	e = index_dependents(
	    r->core->index, f->source, f->id, &r->batch->arena, &list, &n);
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		slash = memchr(list[i].map.p, '/', list[i].map.n);
		if (slash == NULL)
			continue;
		rt = ruleset_route_find(r->core->rules,
		    slice_of(list[i].map.p, (size_t)(slash - list[i].map.p)),
		    slice_from(
			list[i].map, (size_t)(slash - list[i].map.p) + 1));
		if (rt != NULL && reads_anew(rt, f->type))
			e = rerun_one(r, rt, list[i].input);
	}
	return e;
}

enum err
route_reruns(struct router *r)
{
	struct rerun *x;
	struct seen *s;
	enum err e = ERR_OK;

	while (e == ERR_OK && (x = r->revised) != NULL) {
		r->revised = x->next;
		if (r->revised == NULL)
			r->revised_last = NULL;
		if (x->fact->prev == 0) {
			e = rerun_new(r, x->fact);
			continue;
		}
		if (x->fact->prev < r->batch->seq0)
			e = rerun_stored(r, x->fact);
		for (s = r->seen; e == ERR_OK && s != NULL; s = s->next)
			if (s->read == x->fact->prev &&
			    reads_anew(s->route, x->fact->type))
				e = rerun_one(r, s->route, s->input);
	}
	return e;
}

void
route_expire(struct router *r, struct hold *l)
{
	struct timer t = {l->sub, l->head, SLICE_LIT("wait")};
	struct log_record rec;
	struct settle was, s;
	char text[EVENT_TEXT * 3 + 100];

	settle_init(&was);
	settle_init(&s);
	s.sub = l->sub;
	s.seq = l->head;
	s.verdict = SETTLE_REJECT;
	s.parked = true;
	if (l->settle != 0 &&
	    log_read(r->core->reader, l->settle, &rec) == ERR_OK &&
	    rec.kind == REC_SETTLE && settle_read(rec.body, &was) == ERR_OK) {
		s.path = was.path;
		s.where = was.where;
	}
	snprintf(text, sizeof(text),
	    "waited for %.*s%s%.*s in vain; when it is there, retry%s%.*s",
	    SLICE_ARG(l->wait_type), l->wait_by_ref ? " by ref " : " at ",
	    SLICE_ARG(l->wait_key), was.text.n > 0 ? ": " : "",
	    (int)(was.text.n < EVENT_TEXT ? was.text.n : EVENT_TEXT),
	    (const char *)was.text.p);
	s.text = slice_str(text);
	batch_timer(r->batch, &t);
	hold_put(r->holds, r->batch, l->subject, &s);
}
