/*
 * emit - what a mapping gave becomes events of the turn: new facts, next
 * revisions, or nothing (mappings/README.md, "id, again").
 *
 * First every event of the result is decided, then all are added: a result goes
 * in whole or not at all.
 */
#ifndef VAYLA_CORE_EMIT_H
#define VAYLA_CORE_EMIT_H

#include "broker/core/route.h"

/* *held: the result cannot be carried out and `s` says why. Errors drop the
 * turn. */
enum err emit_all(struct router *r, const struct route *rt, struct fact *input,
    const struct result *res, struct settle *s, bool *held) MUST_CHECK;

/* What a result would become, counted. */
struct fates {
	uint32_t same, kept, new, next, withdrawn;
	uint32_t blocked; /* of next and withdrawn: requests made before, where
			     the pack wants a person asked, or nothing sent */
};
/* Does the type's pack keep a later revision from the far side by itself? */
bool emit_is_blocked(const struct router *r, struct slice type);
/* Only count. Errors say why the result could not be carried out. */
enum err emit_plan(struct router *r, const struct route *rt, struct fact *input,
    const struct result *res, struct fates *out) MUST_CHECK;

/* `input` was evaluated anew and makes `res` (NULL: nothing): what else this
 * mapping made of it before gets a revision marked withdrawn; with `plan`, is
 * only counted there. */
enum err emit_withdraw(struct router *r, const struct route *rt,
    struct fact *input, const struct result *res,
    struct fates *plan) MUST_CHECK;

/* A request that was made before has changed, and its pack wants a person
 * asked: it is stored with that question. */
void emit_asks(
    struct router *r, struct fact *f, const struct delivery_rule *rule);

/* Is one of these refs the name of another subject, and nobody was asked whose
 * it is? Then *asks, and `s` is the question (mappings/README.md, "refs"). */
enum err emit_claims(struct router *r, struct slice subject,
    const struct slice *refs, size_t n, struct settle *s,
    bool *asks) MUST_CHECK;

/* Did this mapping, in any version, make an event with such a `map`? */
bool route_is_map(struct slice stored, const struct route *rt);

/* A fact was added: wake who waits for it, note what it replaces. */
void route_added(struct router *r, const struct fact *f, const struct event *e);

#endif
