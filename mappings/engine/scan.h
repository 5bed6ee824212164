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
	return n == 0 ? 0 : n * 7u + p[0] * 3u + p[n - 1] * 11u;
}

/* By first byte: low byte = bytes of the item including this one, high byte =
 * items that follow as its content. 0: the length is written out, or reserved.
 */
extern const uint16_t scan_shape[256];

/* Behind `todo` values from p on; NULL when one is cut short or malformed. */
const uint8_t *scan_skip_many(
    const uint8_t *p, const uint8_t *end, uint64_t todo);

/* Behind the value at p. */
static inline const uint8_t *
scan_skip(const uint8_t *p, const uint8_t *end)
{
	/* most values are scalars that say their length in the first byte */
	if (p < end && scan_shape[*p] - 1u < 0xff &&
	    scan_shape[*p] <= (size_t)(end - p))
		return p + scan_shape[*p];
	return scan_skip_many(p, end, 1);
}

/* Are n bytes the same? For names, which are short: without a call. */
static inline bool
scan_same(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	uint64_t a8, b8, a9, b9;
	uint32_t a4, b4, a5, b5;

	if (n > 16)
		return memcmp(a, b, n) == 0;
	if (n >= 8) {
		memcpy(&a8, a, 8);
		memcpy(&b8, b, 8);
		memcpy(&a9, a + n - 8, 8);
		memcpy(&b9, b + n - 8, 8);
		return ((a8 ^ b8) | (a9 ^ b9)) == 0;
	}
	if (n >= 4) {
		memcpy(&a4, a, 4);
		memcpy(&b4, b, 4);
		memcpy(&a5, a + n - 4, 4);
		memcpy(&b5, b + n - 4, 4);
		return ((a4 ^ b4) | (a5 ^ b5)) == 0;
	}
	while (n > 0 && a[n - 1] == b[n - 1])
		n--;
	return n == 0;
}

/* The head of a container: its count and where its content begins; NULL when
 * it is none, or cut short. */
const uint8_t *scan_map(const uint8_t *p, const uint8_t *end, uint32_t *n);
const uint8_t *scan_array(const uint8_t *p, const uint8_t *end, uint32_t *n);

/*
 * Fill slots (which the caller has cleared) from the value at p; NULL when it
 * is malformed, else behind it. `whole`: the value is known to end at `end`, so
 * the scan is over with the last field that is read. *steps grows by the keys
 * looked at.
 */
const uint8_t *scan_fill(const struct trie *t, const uint8_t *p,
    const uint8_t *end, bool whole, struct slot *slots, uint32_t *steps);

/* The value of a text key of the map at p, NULL when there is none. */
const uint8_t *scan_find(const uint8_t *p, const uint8_t *end,
    struct slice name, const uint8_t **behind);

#endif
