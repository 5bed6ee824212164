/*
 * keyset - see keyset.h. A table has 8,192 slots of 16 bits (MP_KEYS is half of
 * that), each the key's index within its map plus one, and probes linearly.
 */
#include <stdlib.h>
#include <sys/random.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "broker/base/keyset.h"
#include "broker/base/mp.h"

#define SLOTS 8192u

_Static_assert(MP_KEYS * 2 <= SLOTS, "a table must stay half empty");

struct key_table {
	struct key_table *next;
	uint16_t slot[SLOTS];
};

void
keyset_fini(struct keyset *s)
{
	struct key_table *t, *next;

	for (t = s->spare; t != NULL; t = next) {
		next = t->next;
		free(t);
	}
	if (s->tag != s->own_tag)
		free(s->tag);
	if (s->ref != s->own_ref)
		free(s->ref);
	keyset_init(s);
}

void
keyset_recycle(struct keyset *s, struct key_map *m)
{
	m->table->next = s->spare;
	s->spare = m->table;
	m->table = NULL;
}

static bool
grow(struct keyset *s)
{
	size_t cap = (size_t)s->cap * 2;
	uint32_t *tag = malloc((cap + 4) * sizeof(*tag));
	struct key_ref *ref = malloc(cap * sizeof(*ref));

	if (tag == NULL || ref == NULL) {
		free(tag);
		free(ref);
		return false;
	}
	memcpy(tag, s->tag, s->n * sizeof(*tag));
	memcpy(ref, s->ref, s->n * sizeof(*ref));
	if (s->tag != s->own_tag)
		free(s->tag);
	if (s->ref != s->own_ref)
		free(s->ref);
	s->tag = tag;
	s->ref = ref;
	s->cap = (uint32_t)cap;
	return true;
}

/* Two threads may both draw a seed at first; either will do for each, as a
 * seed is read anew for no table twice: it never changes once it is not 0. */
static uint64_t
seed(void)
{
	static uint64_t kept;
	uint64_t s = __atomic_load_n(&kept, __ATOMIC_RELAXED), none = 0;

	if (s != 0)
		return s;
	if (getrandom(&s, sizeof(s), 0) != (ssize_t)sizeof(s))
		s = (uint64_t)(uintptr_t)&s;
	s |= 1;
	if (!__atomic_compare_exchange_n(
		&kept, &none, s, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		s = none;
	return s;
}

static uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* All bytes, so that keys can not be chosen to collide. */
static uint32_t
slot_of(const uint8_t *p, size_t n)
{
	uint64_t h = seed(), w;

	h ^= n * UINT64_C(0xa0761d6478bd642f);
	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		h = mix(h ^ w, UINT64_C(0xe7037ed1a0b428db));
	}
	w = 0;
	memcpy(&w, p, n);
	h = mix(h ^ w, UINT64_C(0x8ebc6af09c88c6e3));
	return (uint32_t)(h >> 32) & (SLOTS - 1);
}

static bool
same(const struct keyset *s, uint32_t i, const uint8_t *base, const uint8_t *p,
    uint32_t n)
{
	return s->ref[i].n == n && memcmp(base + s->ref[i].at, p, n) == 0;
}

static uint32_t
table_add(
    struct keyset *s, struct key_map *m, const uint8_t *base, uint32_t index)
{
	struct key_ref r = s->ref[index];
	uint16_t *slot = m->table->slot;
	uint32_t i, k;

	if ((r.n & KEYSET_GONE) != 0)
		return KEYSET_NONE;
	i = slot_of(base + r.at, r.n);
	for (; slot[i] != 0; i = (i + 1) & (SLOTS - 1)) {
		k = m->first + slot[i] - 1;
		if (s->tag[k] == s->tag[index] &&
		    same(s, k, base, base + r.at, r.n)) {
			slot[i] = (uint16_t)(index - m->first + 1);
			return k;
		}
	}
	slot[i] = (uint16_t)(index - m->first + 1);
	return KEYSET_NONE;
}

static bool
table_make(struct keyset *s, struct key_map *m, const uint8_t *base)
{
	struct key_table *t = s->spare;

	if (t != NULL)
		s->spare = t->next;
	else if ((t = malloc(sizeof(*t))) == NULL)
		return false;
	memset(t->slot, 0, sizeof(t->slot));
	t->next = NULL;
	m->table = t;
	for (uint32_t i = m->first; i < s->n; i++)
		table_add(s, m, base, i);
	return true;
}

static uint32_t
few_find(const struct keyset *s, const struct key_map *m, const uint8_t *base,
    uint32_t tag, uint32_t at, uint32_t n)
{
	uint32_t i = m->first;

#ifdef __SSE2__
	__m128i want = _mm_set1_epi32((int)tag);

	for (; i < s->n; i += 4) {
		const void *from = s->tag + i;
		__m128i four = _mm_loadu_si128(from);
		int hit = _mm_movemask_ps(
		    _mm_castsi128_ps(_mm_cmpeq_epi32(four, want)));

		while (hit != 0) {
			uint32_t k = i + (uint32_t)__builtin_ctz((unsigned)hit);

			if (k < s->n && same(s, k, base, base + at, n))
				return k;
			hit &= hit - 1;
		}
	}
#else
	for (; i < s->n; i++)
		if (s->tag[i] == tag && same(s, i, base, base + at, n))
			return i;
#endif
	return KEYSET_NONE;
}

uint32_t
keyset_look(struct keyset *s, struct key_map *m, const uint8_t *base,
    uint32_t tag, uint32_t at, uint32_t n)
{
	uint32_t was = KEYSET_NONE;

	if (s->n == s->cap && !grow(s))
		return KEYSET_NOMEM;
	if (m->table == NULL && s->n - m->first >= KEYSET_FEW &&
	    !table_make(s, m, base))
		return KEYSET_NOMEM;
	if (m->table == NULL && (m->filter >> (tag & 63) & 1) != 0)
		was = few_find(s, m, base, tag, at, n);
	m->filter |= UINT64_C(1) << (tag & 63);
	s->tag[s->n] = tag;
	s->ref[s->n] = (struct key_ref){at, n};
	s->n++;
	if (m->table != NULL)
		was = table_add(s, m, base, s->n - 1);
	return was;
}

void
keyset_drop(struct keyset *s, uint32_t index)
{
	s->ref[index].n |= KEYSET_GONE;
}
