/*
 * source - what a system sends, as data: JSON, XML or an EDIFACT interchange,
 * told apart by how it begins, which is never ambiguous.
 */
#ifndef VAYLA_ENGINE_SOURCE_H
#define VAYLA_ENGINE_SOURCE_H

#include "mappings/engine/schema.h"

/* Appends one value as msgpack. `root` is the map of its type's schema, or NULL
 * for learning. An interchange of one message is that message, of several the
 * list of them. The note names line and column. */
enum err source_to_mp(struct slice text, const struct schema_field *root,
    struct buf *out) MUST_CHECK;

#endif
