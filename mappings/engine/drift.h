/*
 * drift - samples against the schema their type has: what came that it does not
 * know, what it calls required and did not come, types and words that differ.
 * For a person who keeps a schema up to date; nothing is changed.
 */
#ifndef VAYLA_ENGINE_DRIFT_H
#define VAYLA_ENGINE_DRIFT_H

#include "broker/base/arena.h"
#include "mappings/engine/schema.h"

enum drift_kind {
	DRIFT_FIELD,   /* not in the schema */
	DRIFT_MISSING, /* required, and absent */
	DRIFT_VALUE    /* of another type, or none of its words */
};
/* x: what the schema says of it, NULL for DRIFT_FIELD; v: what stands there,
 * NULL when nothing does. An error ends the walk. */
typedef enum err drift_each(void *self, struct slice path, enum drift_kind kind,
    const char *what, const struct schema_field *x, const struct mp *v);

/* Each place of one value that its schema does not foresee. ERR_SYNTAX for
 * damaged data. */
enum err drift_walk(const struct schema *s, struct slice data, drift_each *each,
    void *self) MUST_CHECK;

struct drift;

/* Everything lives in `a`. NULL: no memory. */
struct drift *drift_new(struct arena *a, const struct schema *s);

/* One more sample, msgpack of a map; a list counts as that many samples. */
enum err drift_add(struct drift *d, struct slice data) MUST_CHECK;

/* A line for each difference, in the order they were met, with how often; 0
 * when there is none. */
size_t drift_write(const struct drift *d, struct buf *out);

#endif
