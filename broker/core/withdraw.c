/*
 * withdraw - what an input evaluated anew no longer makes (emit.h): each fact
 * that it made before and does not now gets a revision that says so.
 *
 * What it made before stands at the input's subject among the facts of the
 * types that the mapping emits, or at another, to which the index leads.
 */
#include <stdio.h>

#include "broker/core/emit.h"

#define WITHDRAW_AT 200 /* facts of a type at a subject */

struct search {
	struct router *r;
	const struct route *rt;
	struct fact *input;
	const struct result *res; /* what it makes now; NULL: nothing */
	struct fates *plan;	  /* only count */
};

static bool
is_made_now(const struct search *s, const struct fact *f)
{
	for (size_t i = 0; s->res != NULL && i < s->res->n; i++)
		if (slice_eq(s->res->events[i].id, f->id))
			return true;
	return false;
}

static enum err
say_withdrawn(struct search *s, const struct fact *f, uint32_t revision)
{
	static const uint8_t nil[] = {0xc0};
	struct delivery_rule rule;
	char map[EVENT_TEXT];
	struct event e;
	struct fact *new;
	enum err err;

	snprintf(map, sizeof(map), "%.*s/%.*s/%d", SLICE_ARG(s->rt->system),
	    SLICE_ARG(s->rt->map->name), s->rt->map->version);
	event_init(&e);
	e.id = f->id;
	e.source = f->source;
	e.type = f->type;
	e.subject = f->subject;
	e.data = slice_of(nil, sizeof(nil));
	e.traceparent = s->input->traceparent;
	e.time = s->input->time;
	e.revision = revision;
	e.withdrawn = true;
	e.causationid = s->input->seq;
	e.correlationid = s->input->root != 0 ? s->input->root : s->input->seq;
	e.map = slice_str(map);
	e.ruleset = slice_of(ruleset_hash(s->r->core->rules), 8);
	if (ruleset_is_request(s->r->core->rules, e.type, &rule) &&
	    f->target.n > 0 && rule.revised != REVISED_NEVER)
		e.target = s->rt->system;
	err = batch_event(s->r->batch, &e, f->seq, &new);
	if (err != ERR_OK)
		return err;
	s->r->derived++;
	emit_asks(s->r, new, &rule);
	route_added(s->r, new, &e);
	return ERR_OK;
}

/* Is the record `seq` something this mapping made of this input, still
 * standing, and not made any more? `elsewhere`: only at other subjects. */
static enum err
look(struct search *s, uint64_t seq, bool elsewhere)
{
	struct known known;
	struct fact *f;
	enum err e;

	e = batch_get(s->r->batch, seq, &f);
	if (e == ERR_NOTFOUND)
		return ERR_OK;
	if (e != ERR_OK)
		return e;
	if (elsewhere && slice_eq(f->subject, s->input->subject))
		return ERR_OK;
	if (!route_is_map(f->map, s->rt) || is_made_now(s, f) ||
	    !batch_same_fact(s->r->batch, f->cause, s->input))
		return ERR_OK;
	e = batch_known(s->r->batch, f->source, f->id, &known);
	if (e == ERR_NOTFOUND)
		return ERR_OK;
	if (e != ERR_OK || known.seq != seq || known.withdrawn)
		return e;
	if (s->plan != NULL) {
		s->plan->withdrawn++;
		s->plan->blocked += emit_is_blocked(s->r, f->type);
		return ERR_OK;
	}
	return say_withdrawn(s, f, known.revision + 1);
}

/* At other subjects: of earlier turns by the index, and of this one. */
static enum err
look_elsewhere(struct search *s)
{
	struct batch *b = s->r->batch;
	const struct fact *last = b->last;
	uint64_t *seqs;
	size_t n;
	enum err e;

	e = index_made(b->core->index, s->input->source, s->input->id,
	    &b->arena, &seqs, &n);
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		e = look(s, seqs[i], true);
	for (const struct fact *f = b->first;
	     e == ERR_OK && f != NULL && last != NULL; f = f->next) {
		if (f->cause != 0)
			e = look(s, f->seq, true);
		if (f == last)
			break; /* what is withdrawn here comes behind it */
	}
	return e;
}

enum err
emit_withdraw(struct router *r, const struct route *rt, struct fact *input,
    const struct result *res, struct fates *plan)
{
	struct search s = {r, rt, input, res, plan};
	uint64_t seqs[WITHDRAW_AT];
	enum err e = ERR_OK;
	size_t n;

	for (size_t t = 0; e == ERR_OK && t < rt->map->emits_n; t++) {
		e = batch_at(r->batch, rt->map->emits[t], input->subject, seqs,
		    WITHDRAW_AT, &n);
		for (size_t i = 0; e == ERR_OK && i < n; i++)
			e = look(&s, seqs[i], false);
	}
	return e == ERR_OK ? look_elsewhere(&s) : e;
}
