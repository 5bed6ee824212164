/* bloom - see bloom.h. Eight bits a hash, one in each 64-bit word of a line of
 * 64 bytes; words are read and written atomically, without order: whoever must
 * see a bit has got its record through a mutex. */
#include <stdlib.h>

#include "broker/core/bloom.h"

#define LINE 8 /* words */
#define LINES ((size_t)BLOOM_CHUNKS * BLOOM_CHUNK / 64)

struct gen {
	uint64_t *words; /* LINES * LINE */
	uint8_t changed[BLOOM_CHUNKS];
};

struct bloom {
	int newest; /* atomic */
	int saving; /* the oldest that may have changed chunks */
	uint64_t count;
	struct gen gen[BLOOM_GENS];
};

struct bloom *
bloom_new(void)
{
	struct bloom *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->newest = -1;
	return b;
}

void
bloom_free(struct bloom *b)
{
	if (b == NULL)
		return;
	for (int i = 0; i <= b->newest; i++)
		free(b->gen[i].words);
	free(b);
}

int
bloom_newest(const struct bloom *b)
{
	return __atomic_load_n(&b->newest, __ATOMIC_ACQUIRE);
}

static size_t
line_of(uint64_t h)
{
	return (size_t)(((unsigned __int128)h * LINES) >> 64);
}

/* The place in the line comes from other bits than the line itself. */
static uint64_t
spread(uint64_t h)
{
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

bool
bloom_has(const struct bloom *b, int gen, uint64_t h)
{
	const uint64_t *w = b->gen[gen].words + line_of(h) * LINE;
	uint64_t s = spread(h);

	for (int i = 0; i < LINE; i++, s >>= 6) {
		uint64_t bit = UINT64_C(1) << (s & 63);

		if ((__atomic_load_n(&w[i], __ATOMIC_RELAXED) & bit) == 0)
			return false;
	}
	return true;
}

bool
bloom_has_any(const struct bloom *b, uint64_t h)
{
	for (int g = bloom_newest(b); g >= 0; g--)
		if (bloom_has(b, g, h))
			return true;
	return false;
}

static enum err
begin(struct bloom *b)
{
	int next = b->newest + 1;
	void *p;

	if (next == BLOOM_GENS)
		return err_note(ERR_LIMIT, "too many ids for the index");
	if (posix_memalign(&p, 64, LINES * LINE * 8) != 0)
		return err_note(ERR_NOMEM, "no memory for a filter");
	memset(p, 0, LINES * LINE * 8);
	b->gen[next].words = p;
	b->count = 0;
	__atomic_store_n(&b->newest, next, __ATOMIC_RELEASE);
	return ERR_OK;
}

enum err
bloom_room(struct bloom *b, uint64_t n)
{
	if (b->newest >= 0 && (b->count == 0 || b->count + n <= BLOOM_HASHES))
		return ERR_OK;
	return begin(b);
}

enum err
bloom_add(struct bloom *b, uint64_t h)
{
	enum err e = bloom_room(b, 1);
	uint64_t s = spread(h), *w;
	struct gen *g;
	bool new = false;

	if (e != ERR_OK)
		return e;
	g = &b->gen[b->newest];
	w = g->words + line_of(h) * LINE;
	for (int i = 0; i < LINE; i++, s >>= 6) {
		uint64_t bit = UINT64_C(1) << (s & 63);

		if ((__atomic_fetch_or(&w[i], bit, __ATOMIC_RELAXED) & bit) ==
		    0)
			new = true;
	}
	if (new) {
		b->count++;
		g->changed[line_of(h) * 64 / BLOOM_CHUNK] = 1;
	}
	return ERR_OK;
}

bool
bloom_changed(struct bloom *b, int *gen, int *chunk, uint8_t *out)
{
	for (; b->saving <= b->newest; b->saving++) {
		struct gen *g = &b->gen[b->saving];

		for (int c = 0; c < BLOOM_CHUNKS; c++) {
			if (!g->changed[c])
				continue;
			g->changed[c] = 0;
			*gen = b->saving;
			*chunk = c;
			memcpy(out, g->words + (size_t)c * (BLOOM_CHUNK / 8),
			    BLOOM_CHUNK);
			return true;
		}
		if (b->saving == b->newest)
			break;
	}
	return false;
}

void
bloom_unsaved(struct bloom *b)
{
	/* Which generation a failed save began with is not known any more; at
	 * most two can have changed in one. */
	b->saving = b->newest > 0 ? b->newest - 1 : 0;
	for (int i = b->saving; i <= b->newest; i++)
		memset(b->gen[i].changed, 1, sizeof(b->gen[i].changed));
}

uint64_t
bloom_count(const struct bloom *b)
{
	return b->count;
}

enum err
bloom_load(struct bloom *b, int gen, int chunk, struct slice bits)
{
	enum err e = ERR_OK;

	if (gen < 0 || gen >= BLOOM_GENS || chunk < 0 ||
	    chunk >= BLOOM_CHUNKS || bits.n != BLOOM_CHUNK)
		return err_note(ERR_CORRUPT, "a filter of another form");
	while (e == ERR_OK && b->newest < gen)
		e = begin(b);
	if (e == ERR_OK)
		memcpy(b->gen[gen].words + (size_t)chunk * (BLOOM_CHUNK / 8),
		    bits.p, BLOOM_CHUNK);
	b->saving = b->newest;
	return e;
}

void
bloom_set_count(struct bloom *b, uint64_t n)
{
	b->count = n;
}
