/*
 * rules - the ruleset in force: read when the broker starts and whenever an
 * answer is given, kept beside the log, taken into use by an ACTION.
 *
 * A turn may change rulesets (several answers in one PUB); if the turn is
 * dropped, the one before it is in force again. Every ruleset that an event
 * names is in DATA/rulesets, synced before the turn that names it.
 */
#ifndef VAYLA_CORE_RULES_H
#define VAYLA_CORE_RULES_H

#include "broker/core/batch.h"

#define RULES_CHANGES 16  /* in one turn */
#define RULES_RELOADS 256 /* of one process */

struct rules {
	struct core *core;
	struct config
	    *cfgs[RULES_RELOADS]; /* read later than core->cfg's first */
	size_t cfgs_n;
	struct buf
	    answers; /* msgpack array of [system, map, table, key, row] */
	struct ruleset *was[RULES_CHANGES]; /* oldest first */
	size_t was_n;
};

/* Reads what vayla.yaml and the packs say; sets core->rules. ERR_CONFIG: all
 * faults are in `f`. */
enum err rules_open(
    struct rules *r, struct core *core, struct faults *f) MUST_CHECK;
void rules_close(struct rules *r); /* frees core->rules too */

/*
 * Read vayla.yaml and the packs again (SIGHUP), whole or not at all: with a
 * fault, or when more than mappings, tables and settings changed, everything
 * stays as it is and the note says why. *changed: another ruleset is in force.
 * Between turns only.
 */
enum err rules_reload(
    struct rules *r, struct faults *f, bool *changed) MUST_CHECK;

/* Is the ruleset in force another than the journal last named? */
bool rules_changed(const struct rules *r);
/* Record that it is taken into use. */
void rules_record(struct rules *r, struct batch *b, struct slice by);

/* A row more, and the ruleset that follows from it. ERR_CONFIG with the reason:
 * nothing has changed. */
enum err rules_answer(struct rules *r, const struct action *a) MUST_CHECK;

void rules_commit(struct rules *r);
enum err rules_drop(struct rules *r) MUST_CHECK;

#endif
