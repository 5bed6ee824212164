/*
 * ruleset - all that decides what an event becomes, as one immutable value with
 * a hash: the packs' mappings and schemas, the installation's systems, settings
 * (without secrets) and tables, answers, zone data and the engine's version.
 *
 * Routes: a native event (its type begins with "<pack>.") goes through the
 * mappings of its own system's pack; a canonical one through the mappings of
 * every system whose pack takes that type. What a mapping emits is canonical
 * (a type of the vocabulary) or a request to its own system (a type
 * "<pack>...." ). The graph of types has no cycle; that is checked at load.
 */
#ifndef VAYLA_ENGINE_RULESET_H
#define VAYLA_ENGINE_RULESET_H

#include "mappings/engine/pack.h"

struct route {
	uint32_t id; /* position in the ruleset; stable within it */
	struct slice system;
	const struct mapping *map;
	const struct system_rules *sys; /* the ruleset's own */
};

/* What requests of a type want of delivery (from send: of the pack). */
struct delivery_rule {
	bool skip_when_spent; /* else park */
	bool reads;	      /* it changes nothing there, so it is no echo */
	enum {
		REVISED_SEND,
		REVISED_REVERSE,
		REVISED_ASK,
		REVISED_NEVER
	} revised;
};

struct ruleset;

/* Part of every hash: raise it when the same mapping may give other bytes. */
#define ENGINE_VERSION 1
#define SUBJECT_MAX 256

/* Loads packs, mappings, settings, tables. All faults of all files at once;
 * ERR_CONFIG when there is any. `answers`: msgpack array of [system, map,
 * table, key, row]; empty at first. */
enum err ruleset_load(struct ruleset **out, const struct config *c,
    struct slice answers, struct faults *f) MUST_CHECK;
void ruleset_free(struct ruleset *r);

/* The ruleset of a bundle as it was: its systems, settings and rows, and its
 * files as bundle_unpack() wrote them at `packs`. Its hash is the bundle's,
 * unless zone data or the engine changed since. */
enum err ruleset_of_bundle(struct ruleset **out, struct slice bundle,
    const char *packs, struct faults *f) MUST_CHECK;

/*
 * Would this answer fit: is there such a table, and has the row its columns?
 * ERR_NOTFOUND or ERR_TYPE with a note for the person who answers. Answers kept
 * from before a pack changed its table are left out of a ruleset, so the table
 * asks again.
 */
enum err ruleset_answer_check(const struct ruleset *r, struct slice system,
    struct slice map, struct slice table, struct slice row) MUST_CHECK;

const uint8_t *ruleset_hash(const struct ruleset *r); /* 32 bytes */
/* Everything the hash covers as one msgpack value, to be kept beside the log.
 */
enum err ruleset_bundle(const struct ruleset *r, struct buf *out) MUST_CHECK;

const struct vocabulary *ruleset_vocabulary(const struct ruleset *r);
const struct pack *ruleset_pack(const struct ruleset *r, struct slice system);
size_t ruleset_systems(const struct ruleset *r, const struct slice **names);

/* The schema of a type; NULL for one that has none (sealed whole). */
const struct schema *ruleset_schema(const struct ruleset *r, struct slice type);

/* May this system publish this type: a native type of its pack, and no request
 * (those come from mappings alone)? */
bool ruleset_may_publish(
    const struct ruleset *r, struct slice system, struct slice type);

/* The routes of an event, in a fixed order. Returns their number. */
size_t ruleset_routes(const struct ruleset *r, struct slice type,
    struct slice source, const struct route *const **out);
const struct route *ruleset_route(const struct ruleset *r, uint32_t id);
/* By system and mapping name, for resuming under a newer ruleset. */
const struct route *ruleset_route_find(
    const struct ruleset *r, struct slice system, struct slice map);
/* The routes with a join that follows all (struct join), from 0; NULL behind
 * the last. Is such a type followed by any? */
const struct route *ruleset_follower(const struct ruleset *r, size_t i);
bool ruleset_followed(const struct ruleset *r, struct slice type);

/* Which system a request type is for: the route's own system; is `type` a
 * request type at all? */
bool ruleset_is_request(
    const struct ruleset *r, struct slice type, struct delivery_rule *rule);

/*
 * "order:1042" as written by `system` -> "order:shop/1042". What already has
 * the form this system would give it stays as it is. ERR_SYNTAX without a kind
 * or a value, with a control character, or over SUBJECT_MAX bytes.
 */
enum err ruleset_scope(const struct ruleset *r, struct slice system,
    struct slice written, struct buf *out) MUST_CHECK;
/* The same without a ruleset, for tests of one mapping. */
enum err subject_scope(const struct vocabulary *v, struct slice system,
    struct slice of, struct slice written, struct buf *out) MUST_CHECK;

/* Evaluate one route. `envelope` and `data` as struct input says. */
const struct result *ruleset_eval(const struct ruleset *r,
    const struct route *route, struct eval *e, struct slice envelope,
    struct slice data, const struct reader *reader);

#endif
