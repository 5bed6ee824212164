/*
 * keyset - "has this map had this key already?" for a pass over JSON or
 * msgpack, without an allocation a key.
 *
 * One keyset serves all maps that are open at a time: keys of an inner map lie
 * on top of those of the outer one and go when it closes. A key is remembered
 * as a 32-bit tag and the place of its bytes from `base`. A map of few keys
 * compares tags, after a filter of 64 bits has said that it is worth a look;
 * one of many (which a peer might have chosen to collide) gets a table under a
 * hash that is seeded anew in each process. Rejected: sorting when the map
 * closes, which can not say where the second one stood.
 */
#ifndef VAYLA_BASE_KEYSET_H
#define VAYLA_BASE_KEYSET_H

#include "broker/base/err.h"
#include "broker/base/slice.h"

#define KEYSET_FEW 48  /* keys of one map before it gets a table */
#define KEYSET_OWN 256 /* keys held without an allocation */
#define KEYSET_GONE 0x80000000u
#define KEYSET_NONE UINT32_MAX
#define KEYSET_NOMEM (UINT32_MAX - 1)

struct key_ref {
	uint32_t at, n; /* the text without its head; at counts from base;
			   n is below KEYSET_GONE */
};

struct key_table;

/* One open map. */
struct key_map {
	uint32_t first;		 /* index of its first key */
	uint64_t filter;	 /* bit (tag & 63) of every key */
	struct key_table *table; /* from KEYSET_FEW keys on */
};

struct keyset {
	uint32_t n, cap;
	uint32_t *tag; /* cap + 4 of them, so that four can be read at once */
	struct key_ref *ref;
	struct key_table *spare; /* tables of closed maps */
	uint32_t own_tag[KEYSET_OWN + 4];
	struct key_ref own_ref[KEYSET_OWN];
};

static inline void
keyset_init(struct keyset *s)
{
	s->n = 0;
	s->cap = KEYSET_OWN;
	s->tag = s->own_tag;
	s->ref = s->own_ref;
	s->spare = NULL;
}

/* Frees what it holds; tables of maps that are still open must be closed
 * first, with keyset_close. */
void keyset_fini(struct keyset *s);

static inline void
keyset_open(struct keyset *s, struct key_map *m)
{
	m->first = s->n;
	m->filter = 0;
	m->table = NULL;
}

void keyset_recycle(struct keyset *s, struct key_map *m);

static inline void
keyset_close(struct keyset *s, struct key_map *m)
{
	s->n = m->first;
	if (m->table != NULL)
		keyset_recycle(s, m);
}

/* A tag from the first and the last eight bytes and the length. `readable` is
 * how many bytes may be read from p on, at least n. */
static inline uint32_t
keyset_tag(const uint8_t *p, size_t n, size_t readable)
{
	uint64_t a = 0, b = 0;

	if (n >= 8) {
		memcpy(&a, p, 8);
		memcpy(&b, p + n - 8, 8);
	} else if (readable >= 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
		memcpy(&a, p, 8);
		a &= (UINT64_C(1) << (8 * n)) - 1;
	} else {
		memcpy(&a, p, n);
	}
	a ^= b << 21 | b >> 43;
	a = (a + n) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(a >> 32);
}

/* The earlier key of this map with the same bytes, by its index, or
 * KEYSET_NONE; in either case the new one is added, at index s->n - 1. A map
 * may hold at most MP_KEYS of them. KEYSET_NOMEM adds nothing. */
uint32_t keyset_look(struct keyset *s, struct key_map *m, const uint8_t *base,
    uint32_t tag, uint32_t at, uint32_t n);

static inline uint32_t
keyset_add(struct keyset *s, struct key_map *m, const uint8_t *base,
    uint32_t tag, uint32_t at, uint32_t n)
{
	uint64_t bit = UINT64_C(1) << (tag & 63);

	if ((m->filter & bit) != 0 || s->n - m->first >= KEYSET_FEW ||
	    s->n == s->cap)
		return keyset_look(s, m, base, tag, at, n);
	m->filter |= bit;
	s->tag[s->n] = tag;
	s->ref[s->n] = (struct key_ref){at, n};
	s->n++;
	return KEYSET_NONE;
}

/* Forget the key of that index, which a later one replaced: its ref.n gets
 * KEYSET_GONE added. */
void keyset_drop(struct keyset *s, uint32_t index);

#endif
