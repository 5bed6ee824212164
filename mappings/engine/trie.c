/*
 * trie - which paths of a variable are read, as a tree of keys: built while a
 * mapping is checked, asked while an event is scanned (scan.c). A level's keys
 * stand in buckets under a hash of length and three bytes that costs less than
 * comparing one key.
 */
#include "mappings/engine/scan.h"

int32_t
trie_add(struct lang *l, struct var *v, const struct step *steps, size_t n)
{
	struct trie **t = &v->trie;
	struct trie_key *k = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		struct slice name = steps[i].name;

		if (*t == NULL)
			*t = lang_alloc(l, sizeof(**t));
		for (k = (*t)->first; k != NULL; k = k->next)
			if (slice_eq(slice_of(k->p, k->n), name))
				break;
		if (k == NULL) {
			k = lang_alloc(l, sizeof(*k));
			k->p = name.p;
			k->n = (uint32_t)name.n;
			k->slot = -1;
			k->next = (*t)->first;
			(*t)->first = k;
			(*t)->n++;
		}
		t = &k->sub;
	}
	if (k->slot < 0)
		k->slot = (int32_t)v->slots++;
	return k->slot;
}

void
trie_seal(struct lang *l, struct trie *t)
{
	struct trie_key *k;
	uint32_t size = 4, h;

	if (t == NULL)
		return;
	while (size < t->n * 2)
		size *= 2;
	t->mask = size - 1;
	t->heads = lang_alloc(l, size * sizeof(struct trie_key *));
	for (k = t->first; k != NULL; k = k->next) {
		h = trie_hash(k->p, k->n) & t->mask;
		k->bucket = t->heads[h];
		t->heads[h] = k;
		t->lengths |= UINT32_C(1) << (k->n & 31);
		trie_seal(l, k->sub);
	}
}
