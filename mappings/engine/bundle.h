/*
 * bundle - the files of a ruleset's bundle (ruleset_bundle.c) as a packs folder
 * again: as they were, or with some of them replaced. So a ruleset that an old
 * event names can be loaded years later, and one that a person deploys can be
 * made of what is in force and the few files that change.
 *
 * A *change* is a msgpack array of [path, bytes]; nil for bytes takes the file
 * away. Only mappings and schemas may change so: what connectors read too
 * (pack.yaml) stays a matter of the packs folder. Paths are checked before
 * anything is written; they come from a peer.
 */
#ifndef VAYLA_ENGINE_BUNDLE_H
#define VAYLA_ENGINE_BUNDLE_H

#include "broker/base/arena.h"
#include "broker/base/mp.h"

#define BUNDLE_MAX ((size_t)256 * 1024 * 1024)
#define CHANGE_FILES 1000

struct bundle_file {
	struct slice path;  /* "ledger/payment-captured.map.yaml" */
	struct slice bytes; /* p of n = 0 in a change: it is taken away */
	bool gone;
};

/* Its files in the bundle's order; slices point into `bundle`. ERR_SYNTAX. */
enum err bundle_files(struct slice bundle, struct arena *a,
    struct bundle_file **out, size_t *n) MUST_CHECK;
const struct bundle_file *bundle_find(
    const struct bundle_file *files, size_t n, struct slice path);

/* A change, checked: ERR_SYNTAX, ERR_DENIED for a path that may not change. */
enum err change_read(struct slice mp, struct arena *a, struct bundle_file **out,
    size_t *n) MUST_CHECK;
/* May a file of this path be deployed? PACK/NAME.map.yaml,
 * PACK/schema/NAME.yaml, canonical/NAME.yaml. */
bool change_allowed(struct slice path);

/*
 * Write a packs folder at `dir` (which must not exist): the bundle's files, and
 * the change over them. packs: a packs folder, or NULL; from it come the
 * pack.yaml of each pack, and whole packs that the bundle does not have.
 * Nothing is synced: it can be made again.
 */
enum err bundle_unpack(struct slice bundle, struct slice change,
    const char *packs, const char *dir) MUST_CHECK;

/* Remove such a folder; what is not there is no fault. */
void bundle_remove(const char *dir);

#endif
