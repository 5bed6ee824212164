/*
 * scan - one pass over a msgpack map that notes where the values lie which some
 * path reads, and steps over all others.
 *
 * Bounded by the bytes given, whatever they hold; what it noted lies within
 * them and is well-formed as far as it was stepped over.
 */
#ifndef VAYLA_ENGINE_SCAN_H
#define VAYLA_ENGINE_SCAN_H

#include "mappings/engine/lang.h"

static inline uint32_t
trie_hash(const uint8_t *p, uint32_t n)
{
	return n == 0 ? 0
		      : n * 7u + p[0] * 3u + p[n - 1] * 11u + p[n / 2] * 29u;
}

/* Behind the value at p; NULL when it is cut short or malformed. */
const uint8_t *scan_skip(const uint8_t *p, const uint8_t *end);

/* The head of a container: its count and where its content begins; NULL when
 * it is none, or cut short. */
const uint8_t *scan_map(const uint8_t *p, const uint8_t *end, uint32_t *n);
const uint8_t *scan_array(const uint8_t *p, const uint8_t *end, uint32_t *n);

/*
 * Fill slots (which the caller has cleared) from the value at p; NULL when it
 * is malformed, else behind it. *steps grows by the keys looked at.
 */
const uint8_t *scan_fill(const struct trie *t, const uint8_t *p,
    const uint8_t *end, struct slot *slots, uint32_t *steps);

/* The value of a text key of the map at p, NULL when there is none. */
const uint8_t *scan_find(const uint8_t *p, const uint8_t *end,
    struct slice name, const uint8_t **behind);

#endif
