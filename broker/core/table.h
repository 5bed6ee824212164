/*
 * table - a hash table from a hash to pointers, for what the daemon finds by
 * name while it runs: sessions, lanes, facts of the turn.
 *
 * Entries are the caller's; several may share a hash (table_probe walks them
 * all), so a caller compares names itself. Hashes are seeded in each process,
 * because peers choose the names.
 */
#ifndef VAYLA_CORE_TABLE_H
#define VAYLA_CORE_TABLE_H

#include "broker/base/slice.h"

struct table_slot {
	uint64_t hash; /* never 0 in use */
	void *entry;
};

struct table {
	struct table_slot *slots;
	size_t n, cap;
};

/* Of two texts, in their order; never 0. */
uint64_t table_hash(struct slice a, struct slice b);

void table_init(struct table *t);
void table_fini(struct table *t);
void table_clear(struct table *t); /* memory is kept unless it is large */
void table_add(struct table *t, uint64_t hash, void *entry);
void table_remove(struct table *t, uint64_t hash, const void *entry);

/* The next entry of that hash; *at is 0 at first. NULL when there is no
 * further one. Nothing may be added or removed in between. */
void *table_probe(const struct table *t, uint64_t hash, size_t *at);
/* Every entry, in no order. */
void *table_each(const struct table *t, size_t *at);

#endif
