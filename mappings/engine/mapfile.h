/*
 * mapfile - one mapping by its path, with all it needs: the pack whose folder
 * it stands in, the vocabulary, and its own YAML (for its tests).
 */
#ifndef VAYLA_ENGINE_MAPFILE_H
#define VAYLA_ENGINE_MAPFILE_H

#include "mappings/engine/pack.h"

struct mapfile {
	struct arena arena; /* owns all below */
	const struct vocabulary *vocabulary;
	struct pack *pack;
	const struct mapping *map;
	struct yaml *root;
};

/* ERR_CONFIG when `f` got a fault. mapfile_close() in any case. */
enum err mapfile_open(
    struct mapfile *m, const char *path, struct faults *f) MUST_CHECK;
void mapfile_close(struct mapfile *m);

#endif
