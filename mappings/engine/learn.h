/*
 * learn - a first draft of a schema from samples: paths, types, what is not
 * always there. A person reviews every line; nothing is overwritten.
 */
#ifndef VAYLA_ENGINE_LEARN_H
#define VAYLA_ENGINE_LEARN_H

#include "broker/base/arena.h"
#include "broker/base/buf.h"

struct learn;

/* Everything lives in `a`. */
struct learn *learn_new(struct arena *a);

/* One more sample, msgpack of a map; a list counts as that many samples. */
enum err learn_add(struct learn *l, struct slice data) MUST_CHECK;

/* The schema of `type` as YAML. */
enum err learn_write(
    struct learn *l, struct slice type, struct buf *out) MUST_CHECK;

#endif
