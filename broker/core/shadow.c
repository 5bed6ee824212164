/*
 * shadow - see shadow.h. Two passes: one over the journal, for what each input
 * came to then, and one over the inputs, evaluating.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/emit.h"
#include "broker/core/recall.h"
#include "broker/core/route.h"
#include "broker/core/rules.h"
#include "broker/core/shadow_own.h"
#include "mappings/engine/bundle.h"

#define SHADOW_ROUTES 256
#define SHADOW_RULES 8 /* old rulesets kept loaded */
#define OLD_DIR 4000
#define SHADOW_OLD 1000 /* events of one input */
#define SHADOW_GAP 2	/* records of others between two of one evaluation */

/* A record that tells what became of an input. */
struct mark {
	uint32_t route;
	bool settle;
	uint64_t input, seq;
};

/* An input of a route. */
struct job {
	uint32_t route;
	bool takes; /* the new version takes it */
	uint64_t seq;
};

struct in_use {
	uint64_t seq;
	uint8_t hash[32];
};

struct old_rules {
	uint8_t hash[32];
	struct ruleset *rules;
	char dir[OLD_DIR];
};

/* An event that stood when the old version had run. */
struct old {
	uint64_t seq;
	bool withdrawn;
	uint8_t digest[32];
	struct slice id, type, refs;
};

struct shadow {
	struct beside *b;
	const struct shadow_ask *ask;
	const struct route *routes[SHADOW_ROUTES];
	size_t routes_n;
	struct mark *marks;
	size_t marks_n, marks_cap;
	struct job *jobs;
	size_t jobs_n, jobs_cap;
	struct in_use *uses;
	size_t uses_n, uses_cap;
	uint64_t from;	    /* the first sequence looked at */
	struct event event; /* scratch: 13 KiB */
	struct batch batch;
	struct router now, then;
	struct old_rules rules[SHADOW_RULES];
	size_t rules_n;
	struct old olds[SHADOW_OLD];
	size_t olds_n;
};

/* ---- the first pass ---- */

/* Room for one more of `size`; NULL without memory. */
static void *
more(void *list, size_t n, size_t *cap, size_t size)
{
	void *p;

	if (n < *cap)
		return list;
	*cap = *cap > 0 ? 2 * *cap : 1024;
	p = realloc(list, *cap * size);
	return p;
}

static enum err
no_room(void)
{
	return err_note(ERR_NOMEM,
	    "too many events for one run; narrow it with --since or --type");
}

static enum err
add_mark(
    struct shadow *s, uint32_t route, uint64_t input, uint64_t seq, bool settle)
{
	struct mark *p = more(s->marks, s->marks_n, &s->marks_cap, sizeof(*p));

	if (p == NULL)
		return no_room();
	s->marks = p;
	s->marks[s->marks_n++] = (struct mark){route, settle, input, seq};
	return ERR_OK;
}

static enum err
add_job(struct shadow *s, uint32_t route, uint64_t seq, bool takes)
{
	struct job *p = more(s->jobs, s->jobs_n, &s->jobs_cap, sizeof(*p));

	if (p == NULL)
		return no_room();
	s->jobs = p;
	s->jobs[s->jobs_n++] = (struct job){route, takes, seq};
	return ERR_OK;
}

static enum err
see_event(struct shadow *s, const struct log_record *rec)
{
	const struct route *const *found;
	struct event *e = &s->event;
	enum err err = event_read(rec->body, e);
	size_t n;

	if (err != ERR_OK)
		return ERR_OK; /* the fold has passed over it too */
	for (uint32_t i = 0; e->map.n > 0 && i < s->routes_n; i++)
		if (route_is_map(e->map, s->routes[i]) &&
		    e->causationid >= s->from) {
			err = add_mark(s, i, e->causationid, rec->seq, false);
			/* an input that only the old version took */
			if (err == ERR_OK && s->ask->type.n == 0)
				err = add_job(s, i, e->causationid, false);
			if (err != ERR_OK)
				return err;
		}
	if (e->target.n > 0 ||
	    (s->ask->type.n > 0 && !slice_eq(e->type, s->ask->type)))
		return ERR_OK;
	n = ruleset_routes(s->ask->rules, e->type, e->source, &found);
	for (size_t k = 0; k < n; k++)
		for (uint32_t i = 0; i < s->routes_n; i++)
			if (found[k] == s->routes[i] &&
			    (err = add_job(s, i, rec->seq, true)) != ERR_OK)
				return err;
	return ERR_OK;
}

static enum err
see_settle(struct shadow *s, const struct log_record *rec)
{
	struct settle t;

	if (settle_read(rec->body, &t) != ERR_OK || t.seq < s->from ||
	    !slice_starts(t.sub, SLICE_LIT("map:")))
		return ERR_OK;
	for (uint32_t i = 0; i < s->routes_n; i++) {
		const struct route *rt = s->routes[i];
		struct slice name = slice_from(t.sub, 4);

		if (name.n == rt->system.n + 1 + rt->map->name.n &&
		    slice_starts(name, rt->system) &&
		    name.p[rt->system.n] == '/' &&
		    slice_eq(slice_from(name, rt->system.n + 1), rt->map->name))
			return add_mark(s, i, t.seq, rec->seq, true);
	}
	return ERR_OK;
}

static enum err
add_use(struct shadow *s, uint64_t seq, const uint8_t *hash)
{
	struct in_use *p = more(s->uses, s->uses_n, &s->uses_cap, sizeof(*p));

	if (p == NULL)
		return no_room();
	s->uses = p;
	s->uses[s->uses_n].seq = seq;
	memcpy(s->uses[s->uses_n++].hash, hash, 32);
	return ERR_OK;
}

static enum err
see(void *self, const struct log_record *rec)
{
	struct shadow *s = self;
	struct action a;

	switch (rec->kind) {
	case REC_EVENT:
		return see_event(s, rec);
	case REC_SETTLE:
		return see_settle(s, rec);
	case REC_ACTION:
		if (action_read(rec->body, &a) == ERR_OK &&
		    action_is_ruleset(&a))
			return add_use(s, rec->seq, a.hash.p);
		break;
	case REC_TIMER:
		break;
	}
	return ERR_OK;
}

/* The first record of `since` or later: times ascend with sequences. */
static enum err
begin_at(struct shadow *s)
{
	struct core *c = &s->b->core;
	uint64_t lo = log_first(c->log), hi = log_next(c->log);
	struct log_record rec;
	enum err e;

	while (s->ask->since > 0 && lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		e = log_read(c->reader, mid, &rec);
		if (e != ERR_OK)
			return e;
		if (rec.recorded < s->ask->since)
			lo = mid + 1;
		else
			hi = mid;
	}
	s->from = lo;
	return ERR_OK;
}

/* The rulesets of before, from the last one backwards: each names the one
 * before it. */
static enum err
uses_before(struct shadow *s)
{
	struct core *c = &s->b->core;
	struct in_force now;
	struct log_record rec;
	struct action a;
	uint64_t seq, prev;
	enum err e;

	if (index_ruleset(c->index, &now) != ERR_OK)
		return ERR_OK;
	for (seq = now.seq; seq >= s->from; seq = prev) {
		e = log_read(c->reader, seq, &rec);
		if (e != ERR_OK || rec.kind != REC_ACTION ||
		    action_read(rec.body, &a) != ERR_OK || a.seq == 0)
			return ERR_OK;
		prev = a.seq;
		if (prev >= seq)
			return ERR_OK;
	}
	e = log_read(c->reader, seq, &rec);
	if (e != ERR_OK || rec.kind != REC_ACTION ||
	    action_read(rec.body, &a) != ERR_OK || !action_is_ruleset(&a))
		return ERR_OK;
	return add_use(s, seq, a.hash.p);
}

static int
mark_cmp(const void *va, const void *vb)
{
	const struct mark *a = va, *b = vb;

	if (a->route != b->route)
		return a->route < b->route ? -1 : 1;
	if (a->input != b->input)
		return a->input < b->input ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

static int
job_cmp(const void *va, const void *vb)
{
	const struct job *a = va, *b = vb;

	if (a->route != b->route)
		return a->route < b->route ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return (int)b->takes - (int)a->takes; /* of equals, this one stays */
}

static enum err
look(struct shadow *s)
{
	size_t n = 0;
	enum err e = begin_at(s);

	if (e == ERR_OK)
		e = uses_before(s);
	if (e == ERR_OK)
		e = log_scan(s->b->core.reader, s->from, see, s);
	if (e != ERR_OK)
		return e;
	if (s->marks_n > 0)
		qsort(s->marks, s->marks_n, sizeof(*s->marks), mark_cmp);
	if (s->jobs_n > 0)
		qsort(s->jobs, s->jobs_n, sizeof(*s->jobs), job_cmp);
	for (size_t i = 0; i < s->jobs_n; i++)
		if (n == 0 || s->jobs[n - 1].route != s->jobs[i].route ||
		    s->jobs[n - 1].seq != s->jobs[i].seq)
			s->jobs[n++] = s->jobs[i];
	s->jobs_n = n;
	return ERR_OK;
}

/* ---- rulesets of then ---- */

static void
rules_forget(struct old_rules *o)
{
	ruleset_free(o->rules);
	if (o->dir[0] != '\0')
		bundle_remove(o->dir);
}

/* The ruleset in force before `seq`; NULL when it cannot be had. */
static const struct ruleset *
rules_at(struct shadow *s, uint64_t seq)
{
	const uint8_t *hash = NULL;
	struct old_rules *o;

	for (size_t i = 0; i < s->uses_n && s->uses[i].seq < seq; i++)
		hash = s->uses[i].hash;
	if (hash == NULL)
		return NULL;
	for (size_t i = 0; i < s->rules_n; i++)
		if (memcmp(s->rules[i].hash, hash, 32) == 0)
			return s->rules[i].rules;
	if (s->rules_n == SHADOW_RULES) {
		rules_forget(&s->rules[0]);
		memmove(&s->rules[0], &s->rules[1],
		    (SHADOW_RULES - 1) * sizeof(s->rules[0]));
		s->rules_n--;
	}
	o = &s->rules[s->rules_n++];
	memcpy(o->hash, hash, 32);
	if (recall_rules(&s->b->core, hash, o->dir, &o->rules) != ERR_OK)
		o->rules = NULL;
	return o->rules;
}

/* ---- what it came to then ---- */

static struct slice
refs_bytes(struct batch *b, const struct event *e)
{
	struct buf out;
	struct slice kept;

	buf_init(&out, 1024 * 1024);
	mp_put_array(&out, (uint32_t)e->refs_n);
	for (size_t i = 0; i < e->refs_n; i++)
		mp_put_str(&out, e->refs[i]);
	kept = batch_keep(b, buf_all(&out));
	buf_fini(&out);
	return kept;
}

static enum err
old_add(struct shadow *s, uint64_t seq)
{
	struct log_record rec;
	struct event *e = &s->event;
	struct old *o = NULL;
	enum err err = log_read(s->b->core.reader, seq, &rec);

	if (err == ERR_OK)
		err = event_read(rec.body, e);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < s->olds_n && o == NULL; i++)
		if (slice_eq(s->olds[i].id, e->id))
			o = &s->olds[i];
	if (o == NULL && s->olds_n == SHADOW_OLD)
		return ERR_OK;
	if (o == NULL)
		o = &s->olds[s->olds_n++];
	o->seq = seq;
	o->withdrawn = e->withdrawn;
	memset(o->digest, 0, sizeof(o->digest));
	if (e->digest.n == 32)
		memcpy(o->digest, e->digest.p, 32);
	o->id = batch_keep(&s->batch, e->id);
	o->type = batch_keep(&s->batch, e->type);
	o->refs = refs_bytes(&s->batch, e);
	return ERR_OK;
}

enum how { NO_RECORD, WENT, HELD, IN_LINE };

struct then {
	enum how how;
	uint64_t before; /* joins saw what is before this */
	struct slice text;
};

static enum how
how_settled(struct shadow *s, uint64_t seq, struct slice *text)
{
	struct log_record rec;
	struct settle t;

	*text = SLICE_EMPTY;
	if (log_read(s->b->core.reader, seq, &rec) != ERR_OK ||
	    rec.kind != REC_SETTLE || settle_read(rec.body, &t) != ERR_OK)
		return WENT;
	*text = batch_keep(&s->batch, t.text);
	switch (t.verdict) {
	case SETTLE_OK:
	case SETTLE_SKIP:
		return WENT;
	case SETTLE_REJECT:
	case SETTLE_ASK:
	case SETTLE_WAIT:
		return HELD;
	case SETTLE_RETRY:
	case SETTLE_DEFER:
	case SETTLE_BEHIND:
		break;
	}
	return IN_LINE;
}

/* The marks of one input, oldest first. Those of its last evaluation stand
 * together at the end. */
static enum err
then_of(struct shadow *s, const struct mark *m, size_t n, uint64_t input,
    struct then *out)
{
	size_t last = n;
	enum err e = ERR_OK;

	*out = (struct then){NO_RECORD, input + 1, SLICE_EMPTY};
	s->olds_n = 0;
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		if (!m[i].settle)
			e = old_add(s, m[i].seq);
	if (n == 0 || e != ERR_OK)
		return e;
	out->how = WENT;
	if (m[n - 1].settle)
		out->how = how_settled(s, m[n - 1].seq, &out->text);
	while (last > 1 && m[last - 1].seq - m[last - 2].seq <= SHADOW_GAP &&
	       !m[last - 2].settle)
		last--;
	out->before = m[last - 1].seq;
	return ERR_OK;
}

/* ---- comparing ---- */

static bool
is_held(const struct result *r)
{
	return r != NULL && r->verdict != EVAL_OK && r->verdict != EVAL_SKIP;
}

static size_t
events_of(const struct result *r)
{
	return r != NULL && r->verdict == EVAL_OK ? r->n : 0;
}

static const struct emitted *
emitted_of(const struct result *r, struct slice id)
{
	for (size_t i = 0; i < events_of(r); i++)
		if (slice_eq(r->events[i].id, id))
			return &r->events[i];
	return NULL;
}

static const struct old *
old_of(const struct shadow *s, struct slice id)
{
	for (size_t i = 0; i < s->olds_n; i++)
		if (slice_eq(s->olds[i].id, id) && !s->olds[i].withdrawn)
			return &s->olds[i];
	return NULL;
}

static struct slice
refs_of(struct shadow *s, const struct emitted *m)
{
	struct event *e = &s->event;

	event_init(e);
	e->refs_n = m->refs_n < EVENT_REFS ? m->refs_n : EVENT_REFS;
	for (size_t i = 0; i < e->refs_n; i++)
		e->refs[i] = m->refs[i];
	return refs_bytes(&s->batch, e);
}

static bool
same_refs(struct shadow *s, struct shadow_diff *d, const struct fact *f,
    const struct emitted *m, struct slice was)
{
	struct slice is = refs_of(s, m);

	if (slice_eq(was, is))
		return true;
	diff_word(d, f, m->type, "refs", was, is);
	return false;
}

/* One event that both have; as recorded. */
static enum err
with_record(struct shadow *s, struct shadow_diff *d, const struct fact *f,
    const struct emitted *m, const struct old *o, bool *same, bool *gone)
{
	uint8_t digest[32];
	struct fact *was;
	enum err e;

	*same = same_refs(s, d, f, m, o->refs) && *same;
	keys_digest(s->b->core.keys, m->data, digest);
	if (memcmp(digest, o->digest, 32) == 0)
		return ERR_OK;
	e = batch_get(&s->batch, o->seq, &was);
	if (e != ERR_OK)
		return e;
	if (was->erased) { /* it differs, and nobody can say how */
		*gone = true;
		return ERR_OK;
	}
	diff_data(d, f, m->type, was->data, m->data);
	*same = false;
	return ERR_OK;
}

/* Without a record: against what the old version gives. */
static void
with_eval(struct shadow *s, struct shadow_diff *d, const struct fact *f,
    const struct emitted *m, const struct emitted *o, bool *same)
{
	*same = same_refs(s, d, f, m, refs_of(s, o)) && *same;
	if (slice_eq(m->data, o->data))
		return;
	diff_data(d, f, m->type, o->data, m->data);
	*same = false;
}

/* What the version of then gives for this input. NULL: it is not there.
 * *known: its ruleset is. */
static const struct result *
eval_then(struct shadow *s, const struct route *rt, const struct fact *f,
    uint64_t before, bool *known)
{
	const struct ruleset *r = rules_at(s, before);
	const struct route *old =
	    r != NULL ? ruleset_route_find(r, rt->system, rt->map->name) : NULL;
	const struct route *const *takes;
	size_t n;

	*known = r != NULL;
	if (old == NULL || f->withdrawn)
		return NULL;
	n = ruleset_routes(r, f->type, f->source, &takes);
	for (size_t i = 0; i < n; i++)
		if (takes[i] == old) {
			s->batch.seq0 = before;
			return route_eval(&s->then, r, old, f);
		}
	return NULL;
}

static enum err
compare(struct shadow *s, struct shadow_diff *d, const struct route *rt,
    const struct fact *f, const struct result *now, const struct then *t)
{
	const struct result *was = NULL;
	bool same = true, gone = false, known = true;
	bool asked = t->how == NO_RECORD;
	enum err e = ERR_OK;

	if (asked)
		was = eval_then(s, rt, f, t->before, &known);
	if (!known) {
		d->unknown++;
		return ERR_OK;
	}
	if (asked && is_held(was) != is_held(now)) {
		diff_turned(
		    d, f, is_held(was) ? was->text : now->text, is_held(was));
		return ERR_OK;
	}
	s->batch.seq0 = log_next(s->b->core.log);
	for (size_t i = 0; e == ERR_OK && i < events_of(now); i++) {
		const struct emitted *m = &now->events[i], *w;
		const struct old *o = old_of(s, m->id);

		if (o != NULL) {
			e = with_record(s, d, f, m, o, &same, &gone);
			continue;
		}
		if (!asked) { /* known then, so not written again? */
			was = eval_then(s, rt, f, t->before, &known);
			s->batch.seq0 = log_next(s->b->core.log);
			asked = true;
		}
		w = emitted_of(was, m->id);
		if (w != NULL) {
			with_eval(s, d, f, m, w, &same);
		} else {
			diff_event(d, f, m->type, m->id, true);
			same = false;
		}
	}
	for (size_t i = 0; i < s->olds_n; i++)
		if (!s->olds[i].withdrawn &&
		    emitted_of(now, s->olds[i].id) == NULL) {
			diff_event(d, f, s->olds[i].type, s->olds[i].id, false);
			same = false;
		}
	for (size_t i = 0; t->how == NO_RECORD && i < events_of(was); i++)
		if (emitted_of(now, was->events[i].id) == NULL) {
			diff_event(d, f, was->events[i].type, was->events[i].id,
			    false);
			same = false;
		}
	if (!same)
		d->differ++;
	else if (gone)
		d->erased++;
	else
		d->same++;
	return e;
}

static enum err
run_job(struct shadow *s, struct shadow_diff *d, const struct job *j,
    const struct mark *m, size_t n)
{
	const struct route *rt = s->routes[j->route];
	const struct result *now = NULL;
	struct then t;
	struct fact *f;
	enum err e;

	batch_begin(&s->batch);
	e = then_of(s, m, n, j->seq, &t);
	if (e == ERR_OK)
		e = batch_get(&s->batch, j->seq, &f);
	if (e == ERR_NOTFOUND)
		return ERR_OK; /* its segment was dropped */
	if (e != ERR_OK)
		return e;
	d->looked++;
	if (f->erased) {
		d->erased++;
		return ERR_OK;
	}
	if (t.how == IN_LINE) {
		d->pending++;
		return ERR_OK;
	}
	s->batch.seq0 = s->ask->joins_now ? log_next(s->b->core.log) : t.before;
	if (j->takes && !f->withdrawn)
		now = route_eval(&s->now, s->ask->rules, rt, f);
	if (t.how == HELD && is_held(now)) {
		d->same++;
		return ERR_OK;
	}
	if (t.how == HELD || (t.how == WENT && is_held(now))) {
		diff_turned(
		    d, f, t.how == HELD ? t.text : now->text, t.how == HELD);
		return ERR_OK;
	}
	return compare(s, d, rt, f, now, &t);
}

/* ---- all of it ---- */

static enum err
run_route(struct shadow *s, uint32_t route, size_t *job, size_t *mark,
    struct buf *out, bool *differ)
{
	const struct route *rt = s->routes[route];
	struct shadow_diff d;
	enum err e = ERR_OK;

	diff_init(&d, s->ask->rules, s->ask->unmask);
	for (; e == ERR_OK && *job < s->jobs_n && s->jobs[*job].route == route;
	     (*job)++) {
		const struct job *j = &s->jobs[*job];
		size_t from;

		while (*mark < s->marks_n &&
		       (s->marks[*mark].route < route ||
			   (s->marks[*mark].route == route &&
			       s->marks[*mark].input < j->seq)))
			(*mark)++;
		for (from = *mark;
		     *mark < s->marks_n && s->marks[*mark].route == route &&
		     s->marks[*mark].input == j->seq;
		     (*mark)++)
			;
		e = run_job(s, &d, j, &s->marks[from], *mark - from);
		if (s->ask->progress != NULL && *job % 256 == 0)
			s->ask->progress(s->ask->self, *job, s->jobs_n);
	}
	if (e == ERR_OK)
		diff_write(
		    &d, rt->system, rt->map->name, rt->map->version, out);
	*differ = *differ || d.differ + d.through + d.held > 0;
	diff_fini(&d);
	return e;
}

static void
pick_routes(struct shadow *s)
{
	const struct route *rt;

	for (uint32_t i = 0; (rt = ruleset_route(s->ask->rules, i)) != NULL;
	     i++)
		for (size_t k = 0; k < s->ask->maps_n; k++)
			if (slice_eq(rt->map->name, s->ask->maps[k]) &&
			    s->routes_n < SHADOW_ROUTES) {
				s->routes[s->routes_n++] = rt;
				break;
			}
}

static enum err
run(struct shadow *s, struct buf *out, bool *differ)
{
	size_t job = 0, mark = 0;
	struct buf list;
	enum err e;

	pick_routes(s);
	e = look(s);
	buf_init(&list, 256 * 1024 * 1024);
	for (uint32_t i = 0; e == ERR_OK && i < s->routes_n; i++)
		e = run_route(s, i, &job, &mark, &list, differ);
	if (e == ERR_OK)
		e = buf_check(&list);
	mp_put_map(out, 3);
	mp_put_cstr(out, "joins");
	mp_put_cstr(out, s->ask->joins_now ? "now" : "recorded");
	mp_put_cstr(out, "differ");
	mp_put_bool(out, *differ);
	mp_put_cstr(out, "mappings");
	mp_put_array(out, (uint32_t)s->routes_n);
	buf_slice(out, buf_all(&list));
	buf_fini(&list);
	return e == ERR_OK ? buf_check(out) : e;
}

enum err
shadow_run(struct beside *b, const struct shadow_ask *ask, struct buf *out,
    bool *differ)
{
	struct shadow *s = calloc(1, sizeof(*s));
	enum err e;

	if (s == NULL)
		return err_note(ERR_NOMEM, "no memory for a shadow run");
	*differ = false;
	s->b = b;
	s->ask = ask;
	batch_init(&s->batch, &b->core);
	e = router_init(&s->now, &b->core, &s->batch, NULL, NULL);
	if (e == ERR_OK)
		e = router_init(&s->then, &b->core, &s->batch, NULL, NULL);
	if (e == ERR_OK)
		e = run(s, out, differ);
	for (size_t i = 0; i < s->rules_n; i++)
		rules_forget(&s->rules[i]);
	router_fini(&s->now);
	router_fini(&s->then);
	batch_fini(&s->batch);
	free(s->marks);
	free(s->jobs);
	free(s->uses);
	free(s);
	return e;
}
