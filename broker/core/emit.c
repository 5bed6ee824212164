/* emit - see emit.h. */
#include <stdio.h>

#include "broker/core/again.h"
#include "broker/core/emit.h"

enum fate {
	FATE_SAME, /* known with these bytes */
	FATE_KEPT, /* another input says it differently: the first stands */
	FATE_NEW,
	FATE_NEXT /* the next revision */
};

struct plan {
	enum fate fate;
	uint64_t prev;
	uint32_t revision;
};

/* Everything that can be decided about one event of a result. Other errors than
 * ERR_OK say that the mapping's result cannot stand. */
static enum err
decide(struct router *r, const struct route *rt, const struct fact *input,
    const struct emitted *m, struct plan *p)
{
	struct batch *b = r->batch;
	uint8_t digest[32];
	struct known known;
	struct fact *was;
	enum err e;

	e = batch_known(b, rt->system, m->id, &known);
	if (e == ERR_NOTFOUND) {
		*p = (struct plan){FATE_NEW, 0, 1};
		return ERR_OK;
	}
	if (e != ERR_OK)
		return e;
	keys_digest(r->core->keys, m->data, digest);
	if (!known.withdrawn && memcmp(digest, known.digest, 32) == 0) {
		*p = (struct plan){FATE_SAME, 0, 0};
		return ERR_OK;
	}
	*p = (struct plan){FATE_NEXT, known.seq, known.revision + 1};
	e = batch_get(b, known.seq, &was);
	if (e == ERR_NOTFOUND)
		return ERR_OK; /* not kept any more: nothing to compare */
	if (e != ERR_OK)
		return e;
	if (known.withdrawn || batch_same_fact(b, was->cause, input))
		return ERR_OK;
	switch (m->again) {
	case AGAIN_REVISE:
		if (!again_exceeds(m->again_by, was->again))
			p->fate = FATE_KEPT;
		return ERR_OK;
	case AGAIN_KEEP:
		p->fate = FATE_KEPT;
		return ERR_OK;
	case AGAIN_ERROR:
		break;
	}
	return err_note(ERR_EXISTS,
	    "%.*s was stated before by event %llu with other content, and "
	    "`again: error` forbids that",
	    SLICE_ARG(m->type), (unsigned long long)was->cause);
}

enum err
emit_claims(struct router *r, struct slice subject, const struct slice *refs,
    size_t n, struct settle *s, bool *asks)
{
	char text[EVENT_TEXT * 3 + 100];
	struct slice whose;
	bool decided;
	enum err e;

	*asks = false;
	for (size_t i = 0; i < n && !*asks; i++) {
		e = batch_claim(r->batch, refs[i], subject, &whose, &decided);
		if (e != ERR_OK)
			return e;
		*asks = !decided && !slice_eq(whose, subject);
		if (!*asks)
			continue;
		snprintf(text, sizeof(text),
		    "%.*s is a name of %.*s, and %.*s claims it too; answer "
		    "with the one that it names",
		    SLICE_ARG(refs[i]), SLICE_ARG(whose), SLICE_ARG(subject));
		s->verdict = SETTLE_ASK;
		s->table = INDEX_NAMES;
		s->key = batch_keep(r->batch, refs[i]);
		s->text = batch_keep(r->batch, slice_str(text));
	}
	return ERR_OK;
}

/* The refs that may be its, in the order given. What a person gave to another
 * is left out. */
static enum err
fill_refs(struct router *r, const struct emitted *m, struct event *e)
{
	struct slice whose;
	bool decided;
	enum err err;

	e->refs_n = 0;
	for (size_t i = 0; i < m->refs_n; i++) {
		err = batch_claim(
		    r->batch, m->refs[i], m->subject, &whose, &decided);
		if (err != ERR_OK)
			return err;
		if (!decided)
			e->refs[e->refs_n++] = m->refs[i];
	}
	return ERR_OK;
}

static enum err
fill(struct router *r, const struct route *rt, const struct fact *input,
    const struct result *res, const struct emitted *m, char *map,
    struct event *e)
{
	event_init(e);
	e->id = m->id;
	e->source = rt->system;
	e->type = m->type;
	e->subject = m->subject;
	e->data = m->data;
	e->person = m->person;
	e->traceparent = input->traceparent;
	e->time = input->time;
	e->causationid = input->seq;
	e->correlationid = input->root != 0 ? input->root : input->seq;
	e->map = slice_str(map);
	e->ruleset = slice_of(ruleset_hash(r->core->rules), 8);
	if (m->again == AGAIN_REVISE)
		e->again = m->again_by;
	e->reads_n = res->reads_n;
	for (size_t i = 0; i < res->reads_n; i++)
		e->reads[i] = res->reads[i];
	return fill_refs(r, m, e);
}

/* Would this go back to the system that its chain began with? An answer to a
 * request of ours may cause another request there. */
static bool
is_echo(struct router *r, const struct route *rt, const struct fact *input)
{
	struct fact *root;

	if (batch_get(r->batch, input->root != 0 ? input->root : input->seq,
		&root) != ERR_OK)
		return false;
	return root->answer_to == 0 && slice_eq(root->source, rt->system);
}

void
emit_asks(struct router *r, struct fact *f, const struct delivery_rule *rule)
{
	struct settle s;

	if (f->target.n == 0 || f->revision < 2 || rule->revised != REVISED_ASK)
		return;
	f->asks = true;
	settle_init(&s);
	s.sub = f->target;
	s.seq = f->seq;
	s.verdict = SETTLE_ASK;
	s.text = SLICE_LIT("a request that was made before has changed; retry "
			   "sends it as it is now, skip leaves the far side as "
			   "it is");
	batch_settle(r->batch, &s);
}

static enum err
add_one(struct router *r, const struct route *rt, struct fact *input,
    struct event *e, const struct plan *p)
{
	struct delivery_rule rule;
	struct fact *f;
	enum err err;

	e->revision = p->revision;
	if (ruleset_is_request(r->core->rules, e->type, &rule)) {
		/* What only asks there gives nobody his own words back. */
		e->echo = !rule.reads && is_echo(r, rt, input);
		if (!e->echo &&
		    !(p->revision > 1 && rule.revised == REVISED_NEVER))
			e->target = rt->system;
	}
	err = batch_event(r->batch, e, p->prev, &f);
	if (err != ERR_OK)
		return err;
	r->derived++;
	r->bytes += f->data.n;
	route_added(r, f, e);
	if (f->target.n > 0)
		emit_asks(r, f, &rule);
	return ERR_OK;
}

/* Does this result keep the turn's and the wire's bounds? */
static enum err
bounds(struct router *r, const struct route *rt, const struct result *res)
{
	size_t bytes = r->bytes;
	char map[EVENT_TEXT];

	if (res->reads_n > EVENT_READS)
		return err_note(ERR_LIMIT,
		    "the joins read %zu events; at most %d", res->reads_n,
		    EVENT_READS);
	for (size_t i = 0; i < res->n; i++) {
		if (res->events[i].refs_n > EVENT_REFS)
			return err_note(ERR_LIMIT,
			    "an event has %zu refs; at most %d",
			    res->events[i].refs_n, EVENT_REFS);
		bytes += res->events[i].data.n;
	}
	if (r->derived + res->n > ROUTE_DERIVED || bytes > ROUTE_BYTES)
		return err_note(ERR_BUDGET,
		    "one event may become %d events of %d bytes in all; this "
		    "makes %zu of %zu",
		    ROUTE_DERIVED, ROUTE_BYTES, r->derived + res->n, bytes);
	if (snprintf(map, sizeof(map), "%.*s/%.*s/%d", SLICE_ARG(rt->system),
		SLICE_ARG(rt->map->name), rt->map->version) >= (int)sizeof(map))
		return err_note(ERR_LIMIT, "the mapping's name is too long");
	return ERR_OK;
}

bool
emit_is_blocked(const struct router *r, struct slice type)
{
	struct delivery_rule rule;

	return ruleset_is_request(r->core->rules, type, &rule) &&
	       (rule.revised == REVISED_ASK || rule.revised == REVISED_NEVER);
}

enum err
emit_plan(struct router *r, const struct route *rt, struct fact *input,
    const struct result *res, struct fates *out)
{
	struct settle s;
	struct plan p;
	bool asks = false;
	enum err e = bounds(r, rt, res);

	settle_init(&s);
	for (size_t i = 0; e == ERR_OK && i < res->n; i++) {
		e = decide(r, rt, input, &res->events[i], &p);
		if (e == ERR_OK && p.fate >= FATE_NEW)
			e = emit_claims(r, res->events[i].subject,
			    res->events[i].refs, res->events[i].refs_n, &s,
			    &asks);
		if (e == ERR_OK && asks)
			e = err_note(ERR_ASK, "%.*s", SLICE_ARG(s.text));
		if (e != ERR_OK)
			break;
		switch (p.fate) {
		case FATE_SAME:
			out->same++;
			break;
		case FATE_KEPT:
			out->kept++;
			break;
		case FATE_NEW:
			out->new ++;
			break;
		case FATE_NEXT:
			out->next++;
			out->blocked += emit_is_blocked(r, res->events[i].type);
			break;
		}
	}
	return e == ERR_OK ? emit_withdraw(r, rt, input, res, out) : e;
}

static enum err
refuse(struct router *r, struct settle *s, bool *held)
{
	*held = true;
	s->verdict = SETTLE_REJECT;
	s->parked = true;
	s->text = batch_keep(r->batch, slice_str(err_last()));
	return ERR_OK;
}

enum err
emit_all(struct router *r, const struct route *rt, struct fact *input,
    const struct result *res, struct settle *s, bool *held)
{
	struct plan *plans;
	char map[EVENT_TEXT];
	struct event e;
	enum err err;

	*held = false;
	if (res->n == 0)
		return ERR_OK;
	if (bounds(r, rt, res) != ERR_OK)
		return refuse(r, s, held);
	plans = arena_alloc(&r->batch->arena, res->n * sizeof(*plans));
	if (plans == NULL)
		err_die("a turn outgrew its memory");
	snprintf(map, sizeof(map), "%.*s/%.*s/%d", SLICE_ARG(rt->system),
	    SLICE_ARG(rt->map->name), rt->map->version);
	for (size_t i = 0; i < res->n; i++) {
		err = decide(r, rt, input, &res->events[i], &plans[i]);
		if (err != ERR_OK)
			return refuse(r, s, held);
		if (plans[i].fate < FATE_NEW)
			continue;
		err = emit_claims(r, res->events[i].subject,
		    res->events[i].refs, res->events[i].refs_n, s, held);
		if (err != ERR_OK || *held)
			return err;
		err = fill(r, rt, input, res, &res->events[i], map, &e);
		if (err != ERR_OK)
			return err;
		if (event_check(&e) != ERR_OK)
			return refuse(r, s, held);
	}
	for (size_t i = 0; i < res->n; i++) {
		if (plans[i].fate == FATE_KEPT && s->text.n == 0)
			s->text = SLICE_LIT("states again, with other "
					    "content, what is known; the "
					    "first stands");
		if (plans[i].fate < FATE_NEW)
			continue;
		err = fill(r, rt, input, res, &res->events[i], map, &e);
		if (err == ERR_OK)
			err = add_one(r, rt, input, &e, &plans[i]);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}
