/*
 * drift - samples against the schema their type has: what came that it does not
 * know, what it calls required and did not come, types and words that differ.
 * For a person who keeps a schema up to date; nothing is changed.
 */
#ifndef VAYLA_ENGINE_DRIFT_H
#define VAYLA_ENGINE_DRIFT_H

#include "broker/base/arena.h"
#include "mappings/engine/schema.h"

struct drift;

/* Everything lives in `a`. NULL: no memory. */
struct drift *drift_new(struct arena *a, const struct schema *s);

/* One more sample, msgpack of a map; a list counts as that many samples. */
enum err drift_add(struct drift *d, struct slice data) MUST_CHECK;

/* A line for each difference, in the order they were met, with how often; 0
 * when there is none. */
size_t drift_write(const struct drift *d, struct buf *out);

#endif
