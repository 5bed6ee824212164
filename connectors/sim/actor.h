/*
 * actor - one far system as the simulator plays it: the pack's own maps
 * (mappings/PACK/sim/ *.map.yaml) turn what happened into that product's
 * payload, and the pack's own recipe signs it. Nothing here knows a product.
 *
 * A map takes sim.order, sim.scan ... and emits sim.request (mappings/sim/ says
 * what stands in them): something for one of the pack's doors, or a file for
 * the system's folder.
 */
#ifndef VAYLA_SIM_ACTOR_H
#define VAYLA_SIM_ACTOR_H

#include "connectors/sdk/door.h"

#define ACTOR_MAPS 8
#define ACTOR_SENDS 8 /* requests of one map for one event */

struct actor {
	struct slice name; /* the system's, in vayla.yaml */
	const struct pack *pack;
	struct doors doors;
	struct buf open, all; /* settings */
	size_t maps_n;
	const struct mapping *maps[ACTOR_MAPS];
};

struct actors {
	struct config *config;
	struct arena arena;
	struct eval *eval;
	size_t n;
	struct actor *v;
	const struct schema *schemas[12];
	const char *types[13];
	size_t schemas_n;
};

/* Where a request's body stands when its sender is asked instead: a list's
 * path, the item's id and when it changed, and the names of the list's
 * parameters. */
struct listed {
	struct slice path, id, after, page, size;
	int64_t at;
};

/* A request ready to be sent; all of it in the arena that was given. */
struct message {
	const struct actor *from;
	const char *method, *url;
	size_t headers_n;
	const char *headers[32]; /* "Name: value" */
	struct slice body;
	struct listed listed; /* path is empty: nowhere */
	struct slice file;    /* its name; empty: it goes over HTTP */
	const char *folder;
	int64_t file_at; /* its time of change, ns */
};

/* The systems of vayla.yaml whose pack is among `packs` (NULL-terminated). All
 * faults at once, in `f`. ERR_NOTFOUND when no system has such a pack. */
enum err actors_load(struct actors *out, const char *config, char *const *packs,
    struct faults *f) MUST_CHECK;
void actors_free(struct actors *a);

/* Put a message that is a file into its folder, by rename. */
enum err message_drop(const struct message *m) MUST_CHECK;

/*
 * What all actors send when this happens; appended to out, at most `max`.
 * `base` is where Vayla listens ("http://127.0.0.1:7181"), `now` the moment of
 * signing.
 */
enum err actors_play(struct actors *a, struct slice type, struct slice data,
    const char *base, int64_t now, struct arena *keep, struct message *out,
    size_t *n, size_t max) MUST_CHECK;

#endif
