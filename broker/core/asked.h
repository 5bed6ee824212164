/*
 * asked - questions that hold nothing: a table that says `unmatched: report`
 * had no row for a key, took its default and went on. Each such key of a
 * mapping is asked once, as an open item of its own beside those that hold
 * events (sub "map:SYSTEM/NAME#TABLE:HASH", of the first event that met it); an
 * answer, or passing it over, closes it. What was mapped meanwhile stays as it
 * is: a replay is a person's act.
 */
#ifndef VAYLA_CORE_ASKED_H
#define VAYLA_CORE_ASKED_H

#include "broker/core/route.h"

/* Ask what `res` reports and nobody has asked yet. */
enum err asked_report(struct router *r, const struct route *rt,
    const struct fact *f, const struct result *res) MUST_CHECK;
/* A row was given: close the question, if there is one. */
enum err asked_answered(struct batch *b, const struct action *a) MUST_CHECK;
/* The mapping's name without what tells its questions apart. */
struct slice asked_map(struct slice map);

#endif
