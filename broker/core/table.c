/*
 * table - linear probing with shifting back on removal, so there are no
 * tombstones and a probe ends at the first free slot. At most two thirds full.
 */
#include <pthread.h>
#include <stdlib.h>

#include "broker/base/crypt.h"
#include "broker/core/table.h"

#define TABLE_KEEP 1024 /* slots that table_clear() does not give back */

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void
seed_make(void)
{
	random_bytes(seed, sizeof(seed));
}

static uint64_t
mix(uint64_t h, uint64_t w)
{
	unsigned __int128 m =
	    (unsigned __int128)(h ^ w) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t
hash_one(uint64_t h, struct slice s)
{
	uint64_t w;
	size_t i;

	h = mix(h, seed[1] ^ s.n);
	for (i = 0; i + 8 <= s.n; i += 8) {
		memcpy(&w, s.p + i, 8);
		h = mix(h ^ seed[1], w);
	}
	w = 0;
	memcpy(&w, s.p + i, s.n - i);
	return mix(h ^ seed[1], w);
}

uint64_t
table_hash(struct slice a, struct slice b)
{
	uint64_t h;

	pthread_once(&seeded, seed_make);
	h = hash_one(hash_one(seed[0], a), b);
	return h != 0 ? h : 1;
}

void
table_init(struct table *t)
{
	*t = (struct table){0};
}

void
table_fini(struct table *t)
{
	free(t->slots);
	table_init(t);
}

void
table_clear(struct table *t)
{
	if (t->cap > TABLE_KEEP) {
		table_fini(t);
		return;
	}
	if (t->n > 0)
		memset(t->slots, 0, t->cap * sizeof(*t->slots));
	t->n = 0;
}

static void
place(struct table *t, uint64_t hash, void *entry)
{
	size_t i = hash & (t->cap - 1);

	while (t->slots[i].hash != 0)
		i = (i + 1) & (t->cap - 1);
	t->slots[i] = (struct table_slot){hash, entry};
}

static void
grow(struct table *t)
{
	struct table was = *t;

	t->cap = was.cap > 0 ? was.cap * 2 : 32;
	t->slots = calloc(t->cap, sizeof(*t->slots));
	if (t->slots == NULL)
		err_die("no memory for a table of %zu", t->cap);
	for (size_t i = 0; i < was.cap; i++)
		if (was.slots[i].hash != 0)
			place(t, was.slots[i].hash, was.slots[i].entry);
	free(was.slots);
}

void
table_add(struct table *t, uint64_t hash, void *entry)
{
	if (t->n * 3 >= t->cap * 2)
		grow(t);
	place(t, hash, entry);
	t->n++;
}

void
table_remove(struct table *t, uint64_t hash, const void *entry)
{
	size_t mask = t->cap - 1, i, j, home;

	if (t->cap == 0)
		return;
	for (i = hash & mask; t->slots[i].entry != entry; i = (i + 1) & mask)
		if (t->slots[i].hash == 0)
			return;
	t->n--;
	for (j = (i + 1) & mask; t->slots[j].hash != 0; j = (j + 1) & mask) {
		home = t->slots[j].hash & mask;
		if (((j - home) & mask) >= ((j - i) & mask)) {
			t->slots[i] = t->slots[j];
			i = j;
		}
	}
	t->slots[i] = (struct table_slot){0};
}

void *
table_probe(const struct table *t, uint64_t hash, size_t *at)
{
	size_t mask = t->cap - 1, i;

	if (t->cap == 0)
		return NULL;
	/* *at counts slots looked at */
	for (; *at < t->cap; (*at)++) {
		i = (hash + *at) & mask;
		if (t->slots[i].hash == 0)
			return NULL;
		if (t->slots[i].hash == hash) {
			(*at)++;
			return t->slots[i].entry;
		}
	}
	return NULL;
}

void *
table_each(const struct table *t, size_t *at)
{
	while (*at < t->cap) {
		const struct table_slot *s = &t->slots[(*at)++];

		if (s->hash != 0)
			return s->entry;
	}
	return NULL;
}
