/*
 * rules - the ruleset in force: read when the broker starts and whenever an
 * answer is given, kept beside the log, taken into use by an ACTION.
 *
 * Whose mappings and schemas? Those of the packs folder, until a person deploys
 * or goes back (`vayla map deploy`, `rollback`): from then on those of that
 * ruleset, at every start, whatever becomes of the packs folder; SIGHUP takes
 * the packs folder's again. The journal says which (index.h, struct in_force).
 * Settings, tables and pack.yaml are the packs folder's and vayla.yaml's
 * always.
 *
 * A turn may change rulesets (several answers in one PUB); if the turn is
 * dropped, the one before it is in force again. Every ruleset that an event
 * names is in DATA/rulesets, synced before the turn that names it.
 */
#ifndef VAYLA_CORE_RULES_H
#define VAYLA_CORE_RULES_H

#include "broker/core/batch.h"

#define RULES_CHANGES 16 /* in one turn */
#define RULES_DIR 4096
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
	/* deployed files, unpacked; empty: those of the packs folder */
	char dir[RULES_DIR], was_dir[RULES_DIR];
	uint64_t dirs;	 /* how many were made */
	uint64_t last;	 /* the record that took a ruleset into use before */
	bool from_files; /* SIGHUP read the packs folder: not recorded yet */
};

/* Reads what vayla.yaml and the packs say; sets core->rules. `files`: the packs
 * folder's mappings, whatever was deployed. ERR_CONFIG: all faults are in `f`.
 */
enum err rules_open(struct rules *r, struct core *core, bool files,
    struct faults *f) MUST_CHECK;
void rules_close(struct rules *r); /* frees core->rules too */

/*
 * Read vayla.yaml and the packs folder again (SIGHUP), whole or not at all:
 * with a fault, or when more than mappings, tables and settings changed,
 * everything stays as it is and the note says why. *changed: another ruleset is
 * in force, or one that was deployed is not any more. Between turns only.
 */
enum err rules_reload(
    struct rules *r, struct faults *f, bool *changed) MUST_CHECK;

/* Is the ruleset in force another than the journal last named? */
bool rules_changed(const struct rules *r);
/* Record that it is taken into use: after the start, SIGHUP, an answer. */
void rules_record(struct rules *r, struct batch *b, struct slice by);

/*
 * `deploy`: the files in force with those of `row` (a change, bundle.h) over
 * them; `rollback`: the files of the ruleset `hash`. Loaded and checked whole,
 * kept, in force, and recorded with who and why, or an error with the reason
 * and nothing has changed. ERR_STATE: that is in force already.
 */
enum err rules_deploy(
    struct rules *r, struct batch *b, const struct action *a) MUST_CHECK;

/* A row more, and the ruleset that follows from it. ERR_CONFIG with the reason:
 * nothing has changed. */
enum err rules_answer(struct rules *r, const struct action *a) MUST_CHECK;

/* Did this turn deploy or go back? */
bool rules_deployed(const struct rules *r);

/* The bundle of a ruleset that the journal names, into an empty buf;
 * ERR_NOTFOUND, ERR_SIGNATURE for a damaged one. Any thread. */
enum err rules_bundle(const struct core *core, const uint8_t hash[32],
    struct buf *out) MUST_CHECK;

void rules_commit(struct rules *r);
enum err rules_drop(struct rules *r) MUST_CHECK;

#endif
