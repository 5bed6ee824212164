/*
 * known - see known.h. Both tables are open addressing with a step of one, at
 * most three quarters full; nothing is ever taken out but by clearing all.
 *
 * A slot is tag << 40 | place, and 0 is a free one: a tag is never 0. The tag
 * alone says where a slot belongs, so a table can grow without reading the
 * file; at a million postings every sixteenth question meets another's tag and
 * costs one more read there.
 */
#include <stdlib.h>

#include "connectors/file/known.h"

#define AT_BITS 40
#define CAP_MIN 256
#define CAP_MAX ((size_t)1 << 24)
#define NAMES_BYTES (8 * 1024 * 1024)

static uint64_t
hash_bytes(struct slice s, uint64_t h)
{
	h ^= UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t
tag_of(const char *id)
{
	uint64_t tag = hash_bytes(slice_str(id), 0) >> AT_BITS;

	return tag != 0 ? tag : 1;
}

void
known_init(struct known *k)
{
	memset(k, 0, sizeof(*k));
}

void
known_fini(struct known *k)
{
	free(k->slots);
	memset(k, 0, sizeof(*k));
}

void
known_clear(struct known *k)
{
	if (k->slots != NULL)
		memset(k->slots, 0, k->cap * sizeof(*k->slots));
	k->n = 0;
}

bool
known_find(const struct known *k, const char *id, known_same *same, void *arg,
    uint64_t *at)
{
	uint64_t tag = tag_of(id), mask = k->cap - 1;

	if (k->cap == 0)
		return false;
	for (uint64_t i = tag & mask; k->slots[i] != 0; i = (i + 1) & mask) {
		*at = k->slots[i] & KNOWN_AT_MAX;
		if (k->slots[i] >> AT_BITS == tag && same(arg, *at, id))
			return true;
	}
	return false;
}

static enum err
grow(struct known *k)
{
	size_t cap = k->cap == 0 ? CAP_MIN : k->cap * 2;
	uint64_t *slots;

	if (cap > CAP_MAX)
		return err_note(ERR_LIMIT,
		    "more than %zu postings in one pair of books; give the "
		    "system a new folder",
		    CAP_MAX / 4 * 3);
	slots = calloc(cap, sizeof(*slots));
	if (slots == NULL)
		return err_note(ERR_NOMEM, "the index of the books");
	for (size_t i = 0; i < k->cap; i++) {
		uint64_t at = (k->slots[i] >> AT_BITS) & (cap - 1);

		if (k->slots[i] == 0)
			continue;
		while (slots[at] != 0)
			at = (at + 1) & (cap - 1);
		slots[at] = k->slots[i];
	}
	free(k->slots);
	k->slots = slots;
	k->cap = cap;
	return ERR_OK;
}

enum err
known_put(
    struct known *k, const char *id, uint64_t at, known_same *same, void *arg)
{
	uint64_t tag = tag_of(id), i;
	enum err e;

	if (at > KNOWN_AT_MAX)
		return err_note(ERR_LIMIT, "books of over 1 TiB");
	if (k->n >= k->cap / 4 * 3) {
		e = grow(k);
		if (e != ERR_OK)
			return e;
	}
	for (i = tag & (k->cap - 1); k->slots[i] != 0;
	     i = (i + 1) & (k->cap - 1))
		if (k->slots[i] >> AT_BITS == tag &&
		    same(arg, k->slots[i] & KNOWN_AT_MAX, id))
			break;
	k->n += k->slots[i] == 0;
	k->slots[i] = tag << AT_BITS | at;
	return ERR_OK;
}

/* ---- names ---- */

void
names_init(struct names *s)
{
	memset(s, 0, sizeof(*s));
	arena_init(&s->arena, NAMES_BYTES);
}

void
names_fini(struct names *s)
{
	free(s->slots);
	arena_fini(&s->arena);
	memset(s, 0, sizeof(*s));
}

void
names_clear(struct names *s)
{
	arena_reset(&s->arena);
	if (s->slots != NULL)
		memset(s->slots, 0, s->cap * sizeof(*s->slots));
	s->n = 0;
}

/* Where a name is, or the free slot where it would be. */
static struct name *
names_slot(struct name *slots, size_t cap, char kind, struct slice text)
{
	uint64_t i = hash_bytes(text, (uint64_t)kind);

	for (;; i++) {
		struct name *at = &slots[i & (cap - 1)];

		if (at->kind == 0 ||
		    (at->kind == kind && slice_eq(at->text, text)))
			return at;
	}
}

bool
names_has(const struct names *s, char kind, struct slice text)
{
	return s->cap > 0 &&
	       names_slot(s->slots, s->cap, kind, text)->kind != 0;
}

enum err
names_add(struct names *s, char kind, struct slice text)
{
	struct name *at;
	enum err e;

	if (names_has(s, kind, text))
		return ERR_OK;
	if (s->n == NAMES_MAX)
		return err_note(ERR_LIMIT,
		    "more than %d accounts in one pair of books", NAMES_MAX);
	if (s->n >= s->cap / 4 * 3) {
		size_t cap = s->cap == 0 ? CAP_MIN : s->cap * 2;
		struct name *slots = calloc(cap, sizeof(*slots));

		if (slots == NULL)
			return err_note(ERR_NOMEM, "the books' accounts");
		for (size_t i = 0; i < s->cap; i++)
			if (s->slots[i].kind != 0)
				*names_slot(slots, cap, s->slots[i].kind,
				    s->slots[i].text) = s->slots[i];
		free(s->slots);
		s->slots = slots;
		s->cap = cap;
	}
	at = names_slot(s->slots, s->cap, kind, text);
	e = arena_copy(&s->arena, text, &at->text);
	if (e != ERR_OK)
		return e;
	at->kind = kind;
	s->n++;
	return ERR_OK;
}
