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

/* A fact was added: wake who waits for it, note what it replaces. */
void route_added(struct router *r, const struct fact *f, const struct event *e);

#endif
