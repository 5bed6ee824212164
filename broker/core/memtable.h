/*
 * memtable - what the fold of the newest records says, until it is in index.db:
 * a batch in memory, found by hash, written out sorted.
 *
 * One memtable grows (the turn thread's), one may be on its way to the disk and
 * is only read. Everything a reader looks for stands in one chain of postings:
 * its hash, with the kind of thing in the low bits, leads to the place in the
 * array of that kind; what that place says is compared in full.
 */
#ifndef VAYLA_CORE_MEMTABLE_H
#define VAYLA_CORE_MEMTABLE_H

#include "broker/base/arena.h"
#include "broker/core/index.h"

#define MT_NONE UINT32_MAX

enum mt_kind {
	MT_FACT,    /* (source, id) -> event */
	MT_AT,	    /* (subject, type) -> event */
	MT_SUBJECT, /* subject -> slot */
	MT_REF,	    /* ref -> ref */
	MT_DEP,	    /* read sequence -> dep */
	MT_ITEM,    /* (sub, seq) -> item */
	MT_GROUP,   /* (sub, subject) -> group */
	MT_PROOF    /* of a fact, for struct mt_event */
};

/* The journal's own seed, so that nobody outside can choose collisions. */
struct mt_seed {
	uint64_t a, b;
};
uint64_t mt_hash2(
    const struct mt_seed *s, enum mt_kind k, struct slice x, struct slice y);
uint64_t mt_hash_n(
    const struct mt_seed *s, enum mt_kind k, struct slice x, uint64_t n);

struct posting {
	uint64_t h;
	uint32_t ref;  /* place in the kind's array */
	uint32_t prev; /* older posting of the same bucket */
};

struct mt_event {
	uint64_t seq, fact;
	uint64_t proof; /* another hash of (source, id): the two are exact */
	struct slice subject, type;
	uint32_t revision;
	bool withdrawn;
	uint8_t digest[32];
};

struct mt_slot {
	struct slice subject;
	uint32_t slot;
};

struct mt_ref {
	struct slice ref, subject;
	uint64_t seq;
};

struct mt_dep {
	uint64_t read, input;
	struct slice map;
};

struct mt_about {
	uint64_t event, seq;
};

#define MT_GONE 255 /* an item's state: closed */
struct mt_item {
	struct open_item it;
	uint8_t state; /* enum open_state, or MT_GONE */
	bool born;     /* not in index.db when it came here */
	uint32_t next; /* of its group, ascending by seq */
};

struct mt_group {
	struct slice sub, subject;
	uint32_t first, last; /* items; first skips those that are gone */
};

/* What actions set: few, seldom, kept whole in memory by the fold. */
struct system_state {
	struct slice name, state, since;
	void *bytes;
};
struct answer {
	struct slice system, map, table, key, row;
	void *bytes;
};

struct memtable {
	const struct mt_seed *seed;
	uint64_t upto; /* last sequence folded in */
	uint32_t records;
	struct arena arena;

	struct posting *post;
	uint32_t *head; /* by hash: newest posting + 1 */
	struct mt_event *event;
	struct mt_slot *slot;
	struct mt_ref *ref;
	struct mt_dep *dep;
	struct mt_about *about;
	struct mt_item *item;
	uint32_t *order; /* born items, ascending by (seq, sub) */
	struct mt_group *group;
	size_t post_n, head_n, event_n, slot_n, ref_n, dep_n, about_n, item_n,
	    order_n, group_n;
	size_t post_cap, event_cap, slot_cap, ref_cap, dep_cap, about_cap,
	    item_cap, order_cap, group_cap;

	/* As they were when it was sealed; index_db.c writes them. */
	struct index_counts counts;
	uint32_t slot_max;
	struct in_force rules; /* seq 0: as index.db says */
	bool settings; /* systems or answers changed; all of them are here */
	struct system_state *system;
	struct answer *answer;
	size_t system_n, answer_n;
};

#define MT_RECORDS 65536
#define MT_BYTES (12 * 1024 * 1024) /* of texts */

struct memtable *mt_new(const struct mt_seed *seed);
void mt_free(struct memtable *m);
void mt_clear(struct memtable *m);
bool mt_full(const struct memtable *m);

/* All of these: ERR_NOMEM only. Slices are copied. */
enum err mt_add_event(struct memtable *m, const struct mt_event *e) MUST_CHECK;
/* The first slot of a subject stays. */
enum err mt_add_slot(
    struct memtable *m, struct slice subject, uint32_t slot) MUST_CHECK;
/* NULL when none is known here. */
const struct mt_slot *mt_slot(const struct memtable *m, struct slice subject);
enum err mt_add_ref(struct memtable *m, const struct mt_ref *r) MUST_CHECK;
enum err mt_add_dep(struct memtable *m, const struct mt_dep *d) MUST_CHECK;
enum err mt_add_about(
    struct memtable *m, uint64_t event, uint64_t seq) MUST_CHECK;
/* The item's new state: replaces the one of (sub, seq), if there is one here.
 */
enum err mt_put_item(struct memtable *m, const struct open_item *it,
    uint8_t state, bool born) MUST_CHECK;

/* The newest posting of that hash, and older ones; MT_NONE at the end. */
uint32_t mt_find(const struct memtable *m, uint64_t h);
uint32_t mt_older(const struct memtable *m, uint32_t post);

struct mt_item *mt_item(
    const struct memtable *m, struct slice sub, uint64_t seq);
struct mt_group *mt_group(
    const struct memtable *m, struct slice sub, struct slice subject);
/* The first place in `order` whose seq is > after. */
size_t mt_order_after(const struct memtable *m, uint64_t after);

#endif
