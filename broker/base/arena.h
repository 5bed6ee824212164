/*
 * arena - memory that is freed all at once: one per turn, per event, per load.
 *
 * arena_alloc() returns zeroed memory aligned for any type, or NULL once `max`
 * bytes are given out. arena_reset() keeps one block for the next round.
 */
#ifndef VAYLA_BASE_ARENA_H
#define VAYLA_BASE_ARENA_H

#include "broker/base/err.h"
#include "broker/base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t given;		    /* bytes handed out since the last reset */
	size_t max;
};

void arena_init(struct arena *a, size_t max);
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t n) MUST_CHECK;
/* As arena_alloc, not zeroed. */
void *arena_raw(struct arena *a, size_t n) MUST_CHECK;
/* A NUL-terminated copy; NULL when full. */
char *arena_strdup(struct arena *a, struct slice s) MUST_CHECK;
/* A copy as a slice; *out is left alone when ERR_LIMIT. */
enum err arena_copy(
    struct arena *a, struct slice s, struct slice *out) MUST_CHECK;

#endif
