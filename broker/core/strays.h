/*
 * strays - live events that hold a field or a word their schema does not know:
 * the far side has changed, and a mapping may soon miss something. Counted and
 * shown, never refused: a mapping refuses only what it reads.
 *
 * Kept in memory since the start, at most STRAYS_PLACES places. At most
 * STRAYS_RATE events a second of each type are looked at, so that a flood costs
 * no turn anything. Turn thread only. Values are shown of words alone (a
 * schema lists no personal ones); of unknown fields only where they are.
 */
#ifndef VAYLA_CORE_STRAYS_H
#define VAYLA_CORE_STRAYS_H

#include "mappings/engine/schema.h"

#define STRAYS_PLACES 500
#define STRAYS_TYPES 128
#define STRAYS_RATE 200

struct strays;
struct strays *strays_new(void); /* NULL without memory */
void strays_free(struct strays *d);

/* schema NULL: nothing is known of it, and nothing drifts. */
void strays_look(struct strays *d, const struct schema *s, struct slice type,
    struct slice source, struct slice data, int64_t now);

/* A ruleset's schemas may know more: forget all. */
void strays_forget(struct strays *d);

/* {events, places, list: [{type, source, what: "field"|"word", path, value,
 * events, first, last}]}: the list most events first, at most 50. */
void strays_write(const struct strays *d, struct buf *out);

#endif
