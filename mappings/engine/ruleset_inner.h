/*
 * ruleset_inner - what the files of the ruleset share; nobody else includes it.
 */
#ifndef VAYLA_ENGINE_RULESET_INNER_H
#define VAYLA_ENGINE_RULESET_INNER_H

#include "broker/base/yaml_check.h"
#include "mappings/engine/ruleset.h"

#define RULESET_MEMORY ((size_t)256 * 1024 * 1024)

/* A row over the packs' own, found by map, table and key. */
struct row {
	struct slice map, table, key;
	struct slice value; /* msgpack */
	uint32_t order;	    /* the nearer layer has the smaller */
	const char *layer;
};

struct system_rules {
	struct slice name, of;
	const struct pack *pack;
	struct slice settings; /* open ones, msgpack map */
	struct rows rows;
	size_t rows_n, rows_cap;
	struct row *list; /* sorted by map, table, key; no doubles */
};

/* One type that a route takes; system is empty for a canonical type. */
struct entry {
	struct slice type, system;
	size_t n;
	const struct route **routes;
};

struct ruleset {
	struct arena arena;
	const char *packs_dir;
	const struct vocabulary *vocabulary;
	size_t packs_n;
	const struct pack **packs;
	size_t systems_n;
	struct system_rules *systems;
	struct slice *names;
	size_t routes_n;
	struct route *routes;
	size_t followers_n;
	const struct route **followers;
	size_t entries_n;
	struct entry *entries; /* sorted by type, system */
	struct buf bundle;
	uint8_t hash[32];
};

/* The installation's tables: of a system, checked against its pack's. */
enum err ruleset_tables(struct ruleset *r, struct system_rules *s,
    const char *file, const struct yaml *tables, struct faults *f) MUST_CHECK;
/* Answers for all systems; those for what is no longer there are left out. */
enum err ruleset_answers(struct ruleset *r, struct slice answers) MUST_CHECK;
/* After all rows are in: sort, and drop what a nearer layer covers. */
void ruleset_rows_seal(struct system_rules *s);

/* One row as it stands in a bundle: [map, table, key, row, layer]. */
enum err ruleset_row_read(
    struct ruleset *r, struct system_rules *s, struct mp_in *in) MUST_CHECK;

/* Fill r->bundle and r->hash. */
enum err ruleset_bundle_make(struct ruleset *r) MUST_CHECK;

#endif
