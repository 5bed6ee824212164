/* memtable - see memtable.h. Arrays grow by doubling and are kept when a
 * memtable is cleared, so that in steady state nothing is allocated. */
#include <stdlib.h>

#include "broker/core/memtable.h"

static uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t
hash_bytes(uint64_t h, uint64_t b, struct slice s)
{
	uint64_t w;

	h ^= mix(s.n ^ b, UINT64_C(0xa0761d6478bd642f));
	for (; s.n >= 8; s = slice_from(s, 8)) {
		memcpy(&w, s.p, 8);
		h = mix(h ^ w, b ^ UINT64_C(0xe7037ed1a0b428db));
	}
	w = 0;
	memcpy(&w, s.p, s.n);
	return mix(h ^ w, b ^ UINT64_C(0x8ebc6af09c88c6e3));
}

static uint64_t
with_kind(uint64_t h, enum mt_kind k)
{
	return (h & ~UINT64_C(7)) | (uint64_t)k;
}

uint64_t
mt_hash2(
    const struct mt_seed *s, enum mt_kind k, struct slice x, struct slice y)
{
	uint64_t h = hash_bytes(s->a + (uint64_t)k, s->b, x);

	return with_kind(hash_bytes(h, s->b, y), k);
}

uint64_t
mt_hash_n(const struct mt_seed *s, enum mt_kind k, struct slice x, uint64_t n)
{
	uint64_t h = hash_bytes(s->a + (uint64_t)k, s->b, x);

	return with_kind(mix(h ^ n, s->b ^ UINT64_C(0x589965cc75374cc3)), k);
}

struct memtable *
mt_new(const struct mt_seed *seed)
{
	struct memtable *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->seed = seed;
	arena_init(&m->arena, 4 * MT_BYTES);
	return m;
}

void
mt_free(struct memtable *m)
{
	if (m == NULL)
		return;
	arena_fini(&m->arena);
	free(m->post);
	free(m->head);
	free(m->event);
	free(m->slot);
	free(m->ref);
	free(m->dep);
	free(m->about);
	free(m->item);
	free(m->order);
	free(m->group);
	free(m);
}

void
mt_clear(struct memtable *m)
{
	arena_reset(&m->arena);
	if (m->head_n > 0)
		memset(m->head, 0, m->head_n * sizeof(*m->head));
	m->post_n = m->event_n = m->slot_n = m->ref_n = m->dep_n = m->about_n =
	    0;
	m->item_n = m->order_n = m->group_n = 0;
	m->upto = 0;
	m->records = 0;
	m->settings = false;
	m->rules.seq = 0;
	m->system = NULL;
	m->answer = NULL;
	m->system_n = m->answer_n = 0;
}

bool
mt_full(const struct memtable *m)
{
	return m->records >= MT_RECORDS || m->arena.given >= MT_BYTES;
}

static enum err
no_memory(void)
{
	return err_note(ERR_NOMEM, "no memory for the index");
}

/* Room for one more of `each` bytes at *p. */
static bool
room(void *p, size_t n, size_t *cap, size_t each)
{
	void *old, *new;
	size_t want;

	if (n < *cap)
		return true;
	want = *cap > 0 ? *cap * 2 : 64;
	if (want > MT_NONE / 2)
		return false;
	memcpy(&old, p, sizeof(old));
	new = realloc(old, want * each);
	if (new == NULL)
		return false;
	memcpy(p, &new, sizeof(new));
	*cap = want;
	return true;
}

static bool
rehash(struct memtable *m)
{
	size_t n = m->head_n > 0 ? m->head_n * 2 : 256;
	uint32_t *head = calloc(n, sizeof(*head));

	if (head == NULL)
		return false;
	for (uint32_t i = 0; i < m->post_n; i++) {
		uint32_t *to = &head[(m->post[i].h >> 20) & (n - 1)];

		m->post[i].prev = *to;
		*to = i + 1;
	}
	free(m->head);
	m->head = head;
	m->head_n = n;
	return true;
}

static bool
post(struct memtable *m, uint64_t h, size_t ref)
{
	uint32_t *to;

	if (m->post_n >= m->head_n && !rehash(m))
		return false;
	if (!room(&m->post, m->post_n, &m->post_cap, sizeof(*m->post)))
		return false;
	to = &m->head[(h >> 20) & (m->head_n - 1)];
	m->post[m->post_n] = (struct posting){h, (uint32_t)ref, *to};
	*to = (uint32_t)++m->post_n;
	return true;
}

static uint32_t
next_of(const struct memtable *m, uint32_t from, uint64_t h)
{
	while (from != 0 && m->post[from - 1].h != h)
		from = m->post[from - 1].prev;
	return from == 0 ? MT_NONE : from - 1;
}

uint32_t
mt_find(const struct memtable *m, uint64_t h)
{
	if (m == NULL || m->head_n == 0)
		return MT_NONE;
	return next_of(m, m->head[(h >> 20) & (m->head_n - 1)], h);
}

uint32_t
mt_older(const struct memtable *m, uint32_t at)
{
	return next_of(m, m->post[at].prev, m->post[at].h);
}

static bool
copy(struct memtable *m, struct slice *s)
{
	return s->n == 0 || arena_copy(&m->arena, *s, s) == ERR_OK;
}

const struct mt_slot *
mt_slot(const struct memtable *m, struct slice subject)
{
	uint32_t at;

	if (m == NULL)
		return NULL;
	at = mt_find(m, mt_hash2(m->seed, MT_SUBJECT, subject, SLICE_EMPTY));
	for (; at != MT_NONE; at = mt_older(m, at)) {
		const struct mt_slot *s = &m->slot[m->post[at].ref];

		if (slice_eq(s->subject, subject))
			return s;
	}
	return NULL;
}

enum err
mt_add_slot(struct memtable *m, struct slice subject, uint32_t slot)
{
	struct mt_slot new = {subject, slot};

	if (mt_slot(m, subject) != NULL)
		return ERR_OK;
	if (!room(&m->slot, m->slot_n, &m->slot_cap, sizeof(*m->slot)) ||
	    !copy(m, &new.subject) ||
	    !post(m, mt_hash2(m->seed, MT_SUBJECT, subject, SLICE_EMPTY),
		m->slot_n))
		return no_memory();
	m->slot[m->slot_n++] = new;
	return ERR_OK;
}

enum err
mt_add_event(struct memtable *m, const struct mt_event *e)
{
	struct mt_event new = *e;
	const struct mt_slot *s = mt_slot(m, e->subject);

	if (!room(&m->event, m->event_n, &m->event_cap, sizeof(*m->event)))
		return no_memory();
	/* A subject's text need not be kept twice. */
	if (s != NULL)
		new.subject = s->subject;
	else if (!copy(m, &new.subject))
		return no_memory();
	if (!copy(m, &new.type))
		return no_memory();
	m->event[m->event_n] = new;
	if (!post(m, e->fact, m->event_n) ||
	    (e->subject.n > 0 &&
		!post(m, mt_hash2(m->seed, MT_AT, e->subject, e->type),
		    m->event_n)))
		return no_memory();
	m->event_n++;
	return ERR_OK;
}

enum err
mt_add_ref(struct memtable *m, const struct mt_ref *r)
{
	uint64_t h = mt_hash2(m->seed, MT_REF, r->ref, SLICE_EMPTY);
	struct mt_ref new = *r;

	/* The first claim wins; it stays the newest posting of its hash. */
	for (uint32_t at = mt_find(m, h); at != MT_NONE; at = mt_older(m, at))
		if (slice_eq(m->ref[m->post[at].ref].ref, r->ref))
			return ERR_OK;
	if (!room(&m->ref, m->ref_n, &m->ref_cap, sizeof(*m->ref)) ||
	    !copy(m, &new.ref) || !copy(m, &new.subject) ||
	    !post(m, h, m->ref_n))
		return no_memory();
	m->ref[m->ref_n++] = new;
	return ERR_OK;
}

enum err
mt_add_dep(struct memtable *m, const struct mt_dep *d)
{
	uint64_t h = mt_hash_n(m->seed, MT_DEP, SLICE_EMPTY, d->read);
	struct mt_dep new = *d;

	for (uint32_t at = mt_find(m, h); at != MT_NONE; at = mt_older(m, at)) {
		const struct mt_dep *was = &m->dep[m->post[at].ref];

		if (was->read == d->read && was->input == d->input &&
		    slice_eq(was->map, d->map))
			return ERR_OK;
	}
	if (!room(&m->dep, m->dep_n, &m->dep_cap, sizeof(*m->dep)) ||
	    !copy(m, &new.map) || !post(m, h, m->dep_n))
		return no_memory();
	m->dep[m->dep_n++] = new;
	return ERR_OK;
}

enum err
mt_add_about(struct memtable *m, uint64_t event, uint64_t seq)
{
	if (!room(&m->about, m->about_n, &m->about_cap, sizeof(*m->about)))
		return no_memory();
	m->about[m->about_n++] = (struct mt_about){event, seq};
	return ERR_OK;
}

/* ---- items ---- */

struct mt_item *
mt_item(const struct memtable *m, struct slice sub, uint64_t seq)
{
	uint32_t at;

	if (m == NULL)
		return NULL;
	at = mt_find(m, mt_hash_n(m->seed, MT_ITEM, sub, seq));
	for (; at != MT_NONE; at = mt_older(m, at)) {
		struct mt_item *i = &m->item[m->post[at].ref];

		if (i->it.seq == seq && slice_eq(i->it.sub, sub))
			return i;
	}
	return NULL;
}

struct mt_group *
mt_group(const struct memtable *m, struct slice sub, struct slice subject)
{
	uint32_t at;

	if (m == NULL)
		return NULL;
	at = mt_find(m, mt_hash2(m->seed, MT_GROUP, sub, subject));
	for (; at != MT_NONE; at = mt_older(m, at)) {
		struct mt_group *g = &m->group[m->post[at].ref];

		if (slice_eq(g->sub, sub) && slice_eq(g->subject, subject))
			return g;
	}
	return NULL;
}

static bool
before(const struct memtable *m, uint32_t a, uint32_t b)
{
	const struct open_item *x = &m->item[a].it, *y = &m->item[b].it;

	return x->seq != y->seq ? x->seq < y->seq
				: slice_cmp(x->sub, y->sub) < 0;
}

/* Items come nearly in order: the place is near the end. */
static bool
add_order(struct memtable *m, uint32_t i)
{
	size_t at = m->order_n;

	if (!room(&m->order, at, &m->order_cap, sizeof(*m->order)))
		return false;
	while (at > 0 && before(m, i, m->order[at - 1]))
		at--;
	memmove(m->order + at + 1, m->order + at,
	    (m->order_n - at) * sizeof(*m->order));
	m->order[at] = i;
	m->order_n++;
	return true;
}

static bool
add_to_group(struct memtable *m, uint32_t i)
{
	struct mt_item *it = &m->item[i];
	struct mt_group *g = mt_group(m, it->it.sub, it->it.subject);
	uint32_t *link;

	it->next = MT_NONE;
	if (g == NULL) {
		if (!room(&m->group, m->group_n, &m->group_cap,
			sizeof(*m->group)))
			return false;
		m->group[m->group_n] =
		    (struct mt_group){it->it.sub, it->it.subject, i, i};
		if (!post(m,
			mt_hash2(m->seed, MT_GROUP, it->it.sub, it->it.subject),
			m->group_n))
			return false;
		m->group_n++;
		return true;
	}
	if (g->first == MT_NONE) {
		g->first = g->last = i;
		return true;
	}
	if (m->item[g->last].it.seq < it->it.seq) {
		m->item[g->last].next = i;
		g->last = i;
		return true;
	}
	for (link = &g->first; *link != MT_NONE; link = &m->item[*link].next)
		if (m->item[*link].it.seq > it->it.seq)
			break;
	it->next = *link;
	*link = i;
	return true;
}

static void
skip_gone(struct memtable *m, const struct open_item *it)
{
	struct mt_group *g = mt_group(m, it->sub, it->subject);

	while (g != NULL && g->first != MT_NONE &&
	       m->item[g->first].state == MT_GONE)
		g->first = m->item[g->first].next;
}

static enum err
replace_item(struct memtable *m, struct mt_item *was,
    const struct open_item *it, uint8_t state)
{
	struct open_item new = *it;
	bool back = was->state == MT_GONE;

	new.sub = was->it.sub;
	new.subject = was->it.subject;
	if (!copy(m, &new.wait_type) || !copy(m, &new.wait_key))
		return no_memory();
	was->it = new;
	was->state = state;
	if (state == MT_GONE) {
		skip_gone(m, &new);
	} else if (back) {
		/* The group may have left it behind: put it in again. */
		struct mt_group *g = mt_group(m, new.sub, new.subject);
		uint32_t i = (uint32_t)(was - m->item), k;

		for (k = g->first; k != MT_NONE && k != i; k = m->item[k].next)
			;
		if (k == MT_NONE && !add_to_group(m, i))
			return no_memory();
	}
	return ERR_OK;
}

enum err
mt_put_item(
    struct memtable *m, const struct open_item *it, uint8_t state, bool born)
{
	struct mt_item *was = mt_item(m, it->sub, it->seq);
	struct mt_item new = {*it, state, born, MT_NONE};
	uint32_t i = (uint32_t)m->item_n;

	if (was != NULL)
		return replace_item(m, was, it, state);
	if (!room(&m->item, m->item_n, &m->item_cap, sizeof(*m->item)) ||
	    !copy(m, &new.it.sub) || !copy(m, &new.it.subject) ||
	    !copy(m, &new.it.wait_type) || !copy(m, &new.it.wait_key))
		return no_memory();
	m->item[m->item_n++] = new;
	if (!post(m, mt_hash_n(m->seed, MT_ITEM, it->sub, it->seq), i) ||
	    !add_to_group(m, i) || (born && !add_order(m, i)))
		return no_memory();
	return ERR_OK;
}

size_t
mt_order_after(const struct memtable *m, uint64_t after)
{
	size_t lo = 0, hi = m->order_n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->item[m->order[mid]].it.seq <= after)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
