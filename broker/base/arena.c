/* arena - see arena.h. Blocks double from 4 KiB up to 256 KiB. */
#include <stdlib.h>

#include "broker/base/arena.h"

struct arena_block {
	struct arena_block *next;
	size_t used, cap;
	_Alignas(16) uint8_t mem[];
};

void
arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){.max = max};
}

void
arena_fini(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
	a->given = 0;
}

void
arena_reset(struct arena *a)
{
	struct arena_block *b, *next;

	a->given = 0;
	if (a->blocks == NULL)
		return;
	for (b = a->blocks->next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks->next = NULL;
	a->blocks->used = 0;
}

void *
arena_raw(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	size_t cap;

	if (n > a->max || a->given > a->max - n || n > SIZE_MAX - 64)
		return NULL;
	n = (n + 15) & ~(size_t)15;
	if (b == NULL || b->cap - b->used < n) {
		cap = b == NULL ? 4096 : b->cap * 2;
		if (cap > 256 * 1024)
			cap = 256 * 1024;
		if (cap < n)
			cap = n;
		b = malloc(sizeof(*b) + cap);
		if (b == NULL)
			return NULL;
		b->next = a->blocks;
		b->used = 0;
		b->cap = cap;
		a->blocks = b;
	}
	b->used += n;
	a->given += n;
	return b->mem + b->used - n;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_raw(a, n);

	if (p != NULL)
		memset(p, 0, n);
	return p;
}

char *
arena_strdup(struct arena *a, struct slice s)
{
	char *p = arena_raw(a, s.n + 1);

	if (p == NULL)
		return NULL;
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

enum err
arena_copy(struct arena *a, struct slice s, struct slice *out)
{
	uint8_t *p = arena_raw(a, s.n > 0 ? s.n : 1);

	if (p == NULL)
		return err_note(ERR_LIMIT, "arena of %zu bytes full", a->max);
	memcpy(p, s.p, s.n);
	*out = slice_of(p, s.n);
	return ERR_OK;
}
