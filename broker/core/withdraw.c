/*
 * withdraw - what an input evaluated anew no longer makes (emit.h): each fact
 * that it made before and does not now gets a revision that says so.
 *
 * What it made before is looked for where it can stand: among the facts of the
 * types that the mapping emits at the input's subject, and in the turn of the
 * input's former revision. The second is for facts at other subjects, which no
 * index leads to; one that was made at another subject in a later turn (a
 * mapping that had waited) is not found and stays.
 */
#include <stdio.h>

#include "broker/core/emit.h"

#define WITHDRAW_AT 200	  /* facts of a type at a subject */
#define WITHDRAW_NEAR 256 /* records behind the input that are looked at */

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
		return ERR_OK;
	}
	return say_withdrawn(s, f, known.revision + 1);
}

static enum err
look_near(struct search *s, uint64_t from)
{
	struct log_record rec;
	int64_t turn = 0;
	enum err e = ERR_OK;

	for (uint64_t q = from;
	     e == ERR_OK && q < s->r->batch->seq0 && q < from + WITHDRAW_NEAR;
	     q++) {
		if (log_read(s->r->core->reader, q, &rec) != ERR_OK)
			break;
		if (turn != 0 && rec.recorded != turn)
			break;
		turn = rec.recorded;
		if (q > from && rec.kind == REC_EVENT)
			e = look(s, q, true);
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
	if (e == ERR_OK)
		e = look_near(&s, input->prev != 0 ? input->prev : input->seq);
	return e;
}
