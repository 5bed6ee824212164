/*
 * bloom - "has this hash ever been there?": never a wrong no, about one wrong
 * yes in a hundred.
 *
 * A generation is a blocked filter for 2 million hashes, 10 bits each (2.5
 * MiB): all bits of a hash lie in one cache line. When it is full the next one
 * begins, and a look-up asks them all. One thread adds; any thread may look
 * meanwhile. Rejected: a filter that doubles (it must be filled anew), a set of
 * ids in memory (128 MiB for 10 million).
 */
#ifndef VAYLA_CORE_BLOOM_H
#define VAYLA_CORE_BLOOM_H

#include "broker/base/err.h"
#include "broker/base/slice.h"

#define BLOOM_HASHES 2000000
#define BLOOM_CHUNK (16 * 1024)
#define BLOOM_CHUNKS 153 /* of a generation: 10.02 bits a hash */
#define BLOOM_GENS 4096

struct bloom;
struct bloom *bloom_new(void); /* with no generation; NULL without memory */
void bloom_free(struct bloom *b);

/* The newest generation, from 0; -1 when there is none. Any thread. */
int bloom_newest(const struct bloom *b);
/* Is it in this generation, perhaps? */
bool bloom_has(const struct bloom *b, int gen, uint64_t h);
bool bloom_has_any(const struct bloom *b, uint64_t h);

/* Into the newest generation, which is begun when there is none or it is full.
 */
enum err bloom_add(struct bloom *b, uint64_t h) MUST_CHECK;
/* Begin the next generation if the newest has no room for n more. */
enum err bloom_room(struct bloom *b, uint64_t n) MUST_CHECK;

/* For saving: the next chunk of the newest generations that changed since it
 * was last asked for; false when there is none. */
bool bloom_changed(struct bloom *b, int *gen, int *chunk, uint8_t *out);
/* What was handed out for saving was not saved. */
void bloom_unsaved(struct bloom *b);
uint64_t bloom_count(const struct bloom *b); /* in the newest */
/* For loading: chunks in any order, then the newest generation's count. */
enum err bloom_load(
    struct bloom *b, int gen, int chunk, struct slice bits) MUST_CHECK;
void bloom_set_count(struct bloom *b, uint64_t n);

#endif
