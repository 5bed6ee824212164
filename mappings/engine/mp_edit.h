/*
 * mp_edit - a place in a msgpack value by a written path, for tests of
 * mappings: "line_items[1].taxes[2].id", indexes from 1, 'quoted.name' for a
 * name with a dot.
 */
#ifndef VAYLA_ENGINE_MP_EDIT_H
#define VAYLA_ENGINE_MP_EDIT_H

#include "broker/base/mp.h"

/* The value at `path`. ERR_NOTFOUND names the part that is not there. */
enum err mp_at(
    struct slice value, struct slice path, struct slice *out) MUST_CHECK;

/* `value` with what is at `path` replaced by `with` (added where it is not
 * there yet), or left out when `with` is empty. Appends to out. */
enum err mp_set(struct slice value, struct slice path, struct slice with,
    struct buf *out) MUST_CHECK;

#endif
