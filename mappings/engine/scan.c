/* scan - see scan.h. */
#include "mappings/engine/scan.h"

#define R4(x) x, x, x, x
#define R16(x) R4(x), R4(x), R4(x), R4(x)
#define UP4(f, n) f(n), f((n) + 1), f((n) + 2), f((n) + 3)
#define UP16(f) UP4(f, 0), UP4(f, 4), UP4(f, 8), UP4(f, 12)
#define MAPHEAD(n) (uint16_t)((n)*2 << 8 | 1)
#define ARRHEAD(n) (uint16_t)((n) << 8 | 1)
#define STRLOW(n) (uint16_t)((n) + 1)
#define STRHIGH(n) (uint16_t)((n) + 17)
const uint16_t scan_shape[256] = {R16(1), R16(1), R16(1), R16(1), R16(1),
    R16(1), R16(1), R16(1), UP16(MAPHEAD), UP16(ARRHEAD), UP16(STRLOW),
    UP16(STRHIGH),
    /* c0: nil, reserved, false, true; bin; ext */
    1, 0, 1, 1, 0, 0, 0, 0, 0, 0,
    /* ca: floats, uint, int */
    5, 9, 2, 3, 5, 9, 2, 3, 5, 9,
    /* d4: fixext */
    3, 4, 6, 10, 18,
    /* d9: str, array, map with a length */
    0, 0, 0, 0, 0, 0, 0, R16(1), R16(1)};

/* Bytes of the length field from c4 (bin, ext) to df, 0 where there is none. */
static const uint8_t width[28] = {1, 2, 4, 1, 2, 4, [21] = 1, 2, 4, 2, 4, 2, 4};

static inline uint32_t
load(const uint8_t *p, unsigned w)
{
	if (w == 1)
		return p[0];
	if (w == 2)
		return (uint32_t)p[0] << 8 | p[1];
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

const uint8_t *
scan_skip_many(const uint8_t *p, const uint8_t *end, uint64_t todo)
{
	size_t left = (size_t)(end - p);

	/* each item takes a byte at least, so this also ends a count that
	 * promises more than there is */
	for (; todo > 0; todo--) {
		unsigned n;

		if (left == 0)
			return NULL;
		n = scan_shape[*p] & 0xff;
		if (n > 0) {
			if (n > left)
				return NULL;
			todo += scan_shape[*p] >> 8;
			p += n;
			left -= n;
		} else {
			unsigned w = *p >= 0xc4 ? width[*p - 0xc4] : 0;
			size_t all = 1 + w + (*p >= 0xc7 && *p <= 0xc9);
			uint32_t len;

			if (w == 0 || left < all)
				return NULL;
			len = load(p + 1, w);
			if (*p >= 0xdc)
				todo += *p >= 0xde ? (uint64_t)len * 2 : len;
			else if (len > left - all)
				return NULL;
			else
				all += len;
			p += all;
			left -= all;
		}
	}
	return p;
}

const uint8_t *
scan_map(const uint8_t *p, const uint8_t *end, uint32_t *n)
{
	if (p < end && (*p & 0xf0) == 0x80) {
		*n = *p & 15;
		return p + 1;
	}
	if (end - p >= 3 && *p == 0xde) {
		*n = load(p + 1, 2);
		return p + 3;
	}
	if (end - p >= 5 && *p == 0xdf) {
		*n = load(p + 1, 4);
		return p + 5;
	}
	return NULL;
}

const uint8_t *
scan_array(const uint8_t *p, const uint8_t *end, uint32_t *n)
{
	if (p < end && (*p & 0xf0) == 0x90) {
		*n = *p & 15;
		return p + 1;
	}
	if (end - p >= 3 && *p == 0xdc) {
		*n = load(p + 1, 2);
		return p + 3;
	}
	if (end - p >= 5 && *p == 0xdd) {
		*n = load(p + 1, 4);
		return p + 5;
	}
	return NULL;
}

/* A text key at p: its bytes; *p moves behind it. False when it is another
 * thing, which the caller skips, or cut short. */
static inline bool
key_at(const uint8_t **p, const uint8_t *end, const uint8_t **k, uint32_t *n)
{
	const uint8_t *at = *p;
	size_t head = 1;

	if (at >= end)
		return false;
	if ((*at & 0xe0) == 0xa0) {
		*n = *at & 31;
	} else if (*at >= 0xd9 && *at <= 0xdb) {
		unsigned w = width[*at - 0xc4];

		if ((size_t)(end - at) < 1 + w)
			return false;
		*n = load(at + 1, w);
		head += w;
	} else {
		return false;
	}
	if (*n > (size_t)(end - at) - head)
		return false;
	*k = at + head;
	*p = *k + *n;
	return true;
}

/* Something that is no map stands where paths lead through. */
static void
mark_odd(const struct trie *t, const uint8_t *at, struct slot *slots)
{
	const struct trie_key *k;

	for (k = t->first; k != NULL; k = k->next) {
		if (k->slot >= 0)
			slots[k->slot] = (struct slot){at, SLOT_ODD};
		if (k->sub != NULL)
			mark_odd(k->sub, at, slots);
	}
}

/* nil, "" and [] stand for an empty map in more than one product's JSON. */
static bool
is_empty(const uint8_t *p)
{
	return *p == 0xc0 || *p == 0xa0 || *p == 0x90;
}

const uint8_t *
scan_fill(const struct trie *t, const uint8_t *p, const uint8_t *end,
    bool whole, struct slot *slots, uint32_t *steps)
{
	const uint8_t *k, *at = p;
	const struct trie_key *found;
	uint32_t n, len, left = t->n;

	p = scan_map(p, end, &n);
	if (p == NULL) {
		p = scan_skip(at, end);
		if (p != NULL && !is_empty(at))
			mark_odd(t, at, slots);
		return p;
	}
	if (n > (size_t)(end - p) / 2)
		return NULL; /* more pairs than there are bytes */
	*steps += n;
	for (; n > 0; n--) {
		/* nearly all keys are short, stand far from the end, and are
		 * nobody's, as their length tells of many */
		if (end - p > 32 && (*p & 0xe0) == 0xa0) {
			len = *p & 31;
			k = p + 1;
			p = k + len;
		} else if (!key_at(&p, end, &k, &len)) {
			p = scan_skip(p, end);
			if (p == NULL || (p = scan_skip(p, end)) == NULL)
				return NULL;
			continue;
		}
		found = NULL;
		if ((t->lengths >> (len & 31) & 1) != 0)
			found = t->heads[trie_hash(k, len) & t->mask];
		while (found != NULL &&
		       (found->n != len || !scan_same(found->p, k, len)))
			found = found->bucket;
		if (found == NULL) {
			if ((p = scan_skip(p, end)) == NULL)
				return NULL;
			continue;
		}
		at = p;
		p = found->sub != NULL
			? scan_fill(found->sub, p, end, false, slots, steps)
			: scan_skip(p, end);
		if (p == NULL)
			return NULL;
		if (found->slot >= 0)
			slots[found->slot] =
			    (struct slot){at, (uint32_t)(p - at)};
		/* all that is read was found: the rest is only passed */
		if (--left == 0)
			return whole ? end
				     : scan_skip_many(
					   p, end, (uint64_t)(n - 1) * 2);
	}
	return p;
}

const uint8_t *
scan_find(const uint8_t *p, const uint8_t *end, struct slice name,
    const uint8_t **behind)
{
	const uint8_t *k, *at;
	uint32_t n, len;

	p = scan_map(p, end, &n);
	for (; p != NULL && n > 0; n--) {
		if (!key_at(&p, end, &k, &len)) {
			p = scan_skip(p, end);
			if (p != NULL)
				p = scan_skip(p, end);
			continue;
		}
		at = p;
		p = scan_skip(p, end);
		if (p != NULL && len == name.n && scan_same(k, name.p, len)) {
			*behind = p;
			return at;
		}
	}
	return NULL;
}
