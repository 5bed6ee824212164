/*
 * shadow - a new version of a mapping, run over what the journal has: what
 * would have come out otherwise?
 *
 * Each event that the mapping takes is evaluated by the new ruleset, with joins
 * that see the journal as it was when the old version ran: all records before
 * those that it then wrote. So they read what was read then, which the events
 * name (`reads`), and where an old version came to nothing and left no record,
 * what it would have read. Compared is with what was recorded; where the old
 * version left no record (it emitted what was known already, or nothing), with
 * what the ruleset in force then gives, loaded from its bundle.
 *
 * One step: what other mappings would make of the difference is not followed.
 * Reads only, beside a running broker (beside.h). Rejected: evaluating in the
 * broker (as `vayla replay plan` does for what is in force): a look at a month
 * of orders must not cost the turn anything.
 */
#ifndef VAYLA_CORE_SHADOW_H
#define VAYLA_CORE_SHADOW_H

#include "broker/core/beside.h"

struct shadow_ask {
	const struct ruleset *rules; /* the new one */
	const struct slice *maps;    /* names of the mappings to be run */
	size_t maps_n;
	int64_t since;	   /* recorded at or after this, ns; 0: all */
	struct slice type; /* events of this type alone, or empty */
	bool joins_now;	   /* joins see the whole journal */
	bool unmask;	   /* personal values in examples */
	/* now and then; NULL: nobody looks */
	void (*progress)(void *self, uint64_t done, uint64_t all);
	void *self;
};

/*
 * {joins: "recorded"|"now", differ: bool, mappings: [{system, map, version,
 *   looked, same, differ, through, held, pending, erased, unknown,
 *   fields: [{type, path, number, events, old, new, difference, examples:
 *     [{seq, subject, path, old, new}]}],     numbers first, by how much
 *   events: [{type, more, fewer, examples: [{seq, subject, what}]}],
 *   turned: [{seq, subject, what: "through"|"held", text}]}]}
 *
 * through: held then, now goes through; held: the reverse. pending: they stand
 * in line behind another. erased: personal data is gone. unknown: no record,
 * and the ruleset of then is not there.
 */
enum err shadow_run(struct beside *b, const struct shadow_ask *ask,
    struct buf *out, bool *differ) MUST_CHECK;

#endif
