/*
 * cmd_map - what the map verbs that look at an installation share: which files
 * would change, the ruleset they would make, and what its shadow says.
 */
#ifndef VAYLA_CMD_MAP_H
#define VAYLA_CMD_MAP_H

#include "broker/cmd.h"
#include "broker/core/shadow.h"
#include "mappings/engine/bundle.h"

int map_shadow(int argc, char **argv);
int map_deploy(int argc, char **argv);
int map_rollback(int argc, char **argv);
int map_versions(int argc, char **argv);

/* A file that was named, or found in the packs folder. */
struct named {
	struct slice path; /* "ledger/payment-captured.map.yaml" */
	struct slice bytes;
	const char *file; /* where it stands; NULL: it is gone */
	bool differs;	  /* from the ruleset in force */
};

/* The files of an installation against those in force. */
struct proposal {
	const struct config *config;
	struct beside beside;
	struct in_force now;
	struct arena a;
	struct buf bundle; /* of the ruleset in force */
	struct bundle_file *files;
	size_t files_n;
	struct named *named;
	size_t named_n, named_cap;
	bool chosen;	   /* files were named; else all of the packs in use */
	struct buf change; /* those that differ: a change of bundle.h */
	size_t change_n;
	char dir[4000]; /* of the packs folder that they would make */
	struct ruleset *rules;
};

/* Opens the journal and finds the files: those of argv[1..n], or of all packs
 * in use in the packs folder. proposal_close() in any case. */
enum err proposal_open(
    struct proposal *p, const struct config *c, int n, char **files) MUST_CHECK;
void proposal_close(struct proposal *p);
/* The ruleset that they would make: p->rules. What is wrong is said on stderr.
 */
enum err proposal_load(struct proposal *p) MUST_CHECK;
/* Its shadow: of the mappings that were named, or that differ. */
struct shadow_wish {
	const char *since, *type;
	bool joins_now, unmask;
};
enum err proposal_shadow(struct proposal *p, const struct shadow_wish *w,
    struct buf *report, bool *differ) MUST_CHECK;
/* The shadow's report for people. */
void shadow_print(struct slice report);

/* Whose files are in force, and how the packs folder's differ: a line or two
 * with `indent` before each. Nothing where the journal cannot be looked into.
 */
void proposal_say(const struct config *c, const char *indent);

/* "ledger/a.map.yaml, ..": the first names of what differs. */
void proposal_names(const struct proposal *p, struct buf *out);

#endif
