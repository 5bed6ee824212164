/*
 * index - what the log means, as a fold: facts, subjects, refs, open
 * deliveries, held mappings. index.db (SQLite) is written behind by its own
 * thread, only from synced turns, `applied` in the same transaction; what is
 * newer stands in a memtable that every read looks at first. Losing index.db
 * costs a rebuild and no event: index_open() replays the log from `applied` on.
 *
 * Turn thread: index_apply() and all reads below. The http thread has a
 * struct index_view of its own.
 */
#ifndef VAYLA_CORE_INDEX_H
#define VAYLA_CORE_INDEX_H

#include "broker/base/arena.h"
#include "broker/core/log.h"

struct index;

/* The table under which it is asked which subject a ref names. No mapping has
 * one of this name, and an answer holds for all of them. */
#define INDEX_NAMES SLICE_LIT("ref")

/* dir holds index.db; it is rebuilt when missing, stale or of another version.
 */
enum err index_open(
    struct index **out, const char *dir, struct log *l) MUST_CHECK;
/* The index of a journal that was opened beside a broker: read, never written;
 * what index.db does not have yet stands in memory. ERR_NOTFOUND and ERR_STATE
 * say what to do. */
enum err index_open_beside(
    struct index **out, const char *dir, struct log *l) MUST_CHECK;
/* Writes what is pending, then closes. */
void index_close(struct index *ix);

/* Fold a synced turn (also used by the replay). Never fails but by ERR_NOMEM;
 * blocks only if the index thread is two batches behind. */
enum err index_apply(struct index *ix, const struct log_record *rec) MUST_CHECK;

/* ---- facts: (source, id) ---- */
struct known {
	uint64_t seq; /* of the last revision */
	uint32_t revision;
	bool withdrawn;
	uint8_t digest[32];
};
/* ERR_NOTFOUND when never seen. Bloom filter first. */
enum err index_fact(struct index *ix, struct slice source, struct slice id,
    struct known *out) MUST_CHECK;

/* ---- subjects ---- */
/* Sequences of the last revisions (not withdrawn) of facts of `type` at
 * `subject`, ascending, as of records with seq < before; the newest max of
 * them. Only the last 20,000 records of that type there are looked at. */
enum err index_at(struct index *ix, struct slice type, struct slice subject,
    uint64_t before, uint64_t *out, size_t max, size_t *n) MUST_CHECK;
/* The subject a ref names; ERR_NOTFOUND. */
enum err index_ref(struct index *ix, struct slice ref, struct arena *a,
    struct slice *subject) MUST_CHECK;
/* Only if a person said so (an answer under INDEX_NAMES): whatever claims the
 * ref besides, it names this subject. ERR_NOTFOUND. */
enum err index_named(struct index *ix, struct slice ref, struct arena *a,
    struct slice *subject) MUST_CHECK;
/* The key slot of a subject; ERR_NOTFOUND when it has none yet. */
enum err index_slot(
    struct index *ix, struct slice subject, uint32_t *slot) MUST_CHECK;
uint32_t index_slot_max(struct index *ix);

/* Events that were mapped while reading a fact, in whatever revision: (input
 * seq, map name), ascending; for evaluating them anew. Of any revision, since
 * an evaluation that came to the same bytes left no record of what it read.
 * The newest 1,000 revisions are looked at. */
struct dependent {
	uint64_t input;
	struct slice map; /* "SYSTEM/NAME" */
};
enum err index_dependents(struct index *ix, struct slice source,
    struct slice id, struct arena *a, struct dependent **out,
    size_t *n) MUST_CHECK;

/* Sequences of the events at other subjects that were made of a fact, whatever
 * its revision; ascending; in `a`. */
enum err index_made(struct index *ix, struct slice source, struct slice id,
    struct arena *a, uint64_t **out, size_t *n) MUST_CHECK;

/* ---- open work: deliveries (sub = system) and held mappings (sub =
 * "map:SYSTEM/NAME") ---- */
enum open_state {
	OPEN_READY,  /* to be delivered */
	OPEN_RETRY,  /* again at due */
	OPEN_WAIT,   /* mapping: for another event, until due */
	OPEN_BEHIND, /* mapping: behind an earlier one of its subject */
	OPEN_ASK,    /* a question */
	OPEN_PARKED  /* an error: a person must act */
};
struct open_item {
	struct slice sub, subject;
	uint64_t seq;	 /* the event */
	uint64_t settle; /* the SETTLE record that says why, or 0 */
	enum open_state state;
	uint32_t attempt;
	int64_t due;
	struct slice wait_type, wait_key; /* OPEN_WAIT */
	bool wait_by_ref;
};
/* All open items of a sub (empty: all subs) with seq > after, ascending, at
 * most max, for filling queues; slices live in `a`. With all subs, the items of
 * the last sequence are all there, even beyond max. */
enum err index_open_items(struct index *ix, struct slice sub, uint64_t after,
    size_t max, struct arena *a, struct open_item **out, size_t *n) MUST_CHECK;
/* The open items of one sub and subject, ascending. */
enum err index_open_at(struct index *ix, struct slice sub, struct slice subject,
    size_t max, struct arena *a, struct open_item **out, size_t *n) MUST_CHECK;
/* Held mappings that wait for (type, key as stored). */
enum err index_waiting(struct index *ix, struct slice type, struct slice key,
    bool by_ref, struct arena *a, struct open_item **out, size_t *n) MUST_CHECK;

struct index_counts {
	uint64_t events, facts, duplicates;
	uint64_t ready, retry, wait, behind, ask, parked; /* open items */
	/* of those that come again, the ones of which nothing failed: what is
	 * asked again and again, and pauses that were asked for */
	uint64_t deferred;
	uint64_t settled; /* deliveries completed ok */
};
/* Any thread. `duplicates` counts index_duplicate() since the start. */
void index_counts(struct index *ix, struct index_counts *out);
void index_duplicate(struct index *ix);
/* Records that are folded and not in index.db yet. Any thread. */
uint64_t index_pending(struct index *ix);

/* ---- the last state of systems and rules, from ACTION records ---- */
/* "live", "paused" or "" for a system nobody acted on. */
enum err index_system_state(struct index *ix, struct slice system,
    struct arena *a, struct slice *state, struct slice *since) MUST_CHECK;
/* Answers as ruleset_load() wants them: msgpack array of arrays. */
enum err index_answers(struct index *ix, struct buf *out) MUST_CHECK;
/* The ruleset in force; ERR_NOTFOUND. Any thread. */
struct in_force {
	uint8_t hash[32];
	uint64_t seq; /* the ACTION that took it into use */
	/* The files of mappings and schemas are those of this ruleset, which a
	 * person deployed or went back to; else those of the packs folder. */
	bool deployed;
	uint8_t files[32];
	uint64_t files_seq; /* the ACTION that said so, or the first of all */
};
enum err index_ruleset(struct index *ix, struct in_force *out) MUST_CHECK;

/* ---- views for people: another thread's own read-only connection ---- */
struct index_view;
enum err index_view_new(struct index_view **out, struct index *ix) MUST_CHECK;
void index_view_free(struct index_view *v);
/* Subjects a person may mean by a word: a subject, a ref, or the part of either
 * behind its kind and system ("1042" finds order:shop/1042). */
enum err index_view_find(struct index_view *v, struct slice word,
    struct arena *a, struct slice **subjects, size_t *n) MUST_CHECK;
/* The subject that has this ref, written as it is stored; ERR_NOTFOUND. */
enum err index_view_ref(struct index_view *v, struct slice ref, struct arena *a,
    struct slice *subject) MUST_CHECK;
/* Sequences of all records about a subject: its events, and the SETTLE, ACTION
 * and TIMER records about those; ascending; at most max. */
enum err index_view_timeline(struct index_view *v, struct slice subject,
    uint64_t *out, size_t max, size_t *n) MUST_CHECK;
enum err index_view_open(struct index_view *v, struct slice sub, uint64_t after,
    size_t max, struct arena *a, struct open_item **out, size_t *n) MUST_CHECK;
/* The open items of one subject, over all subs. */
enum err index_view_open_at(struct index_view *v, struct slice subject,
    uint64_t after, size_t max, struct arena *a, struct open_item **out,
    size_t *n) MUST_CHECK;
/* The last n events' sequences, descending. */
enum err index_view_recent(
    struct index_view *v, uint64_t *out, size_t max, size_t *n) MUST_CHECK;

/* ---- retention: any thread with a view of its own, but for
 * index_pinned_now() ---- */

/* What keeps records [a, b) from being let go of, as of record *applied:
 * `items` open work whose event or last settlement stands there, and `reads`:
 * an event that stays (stays(input)) was mapped while reading one of them. */
struct index_pins {
	uint64_t items, applied;
	bool reads;
};
typedef bool index_stays(void *arg, uint64_t input);
enum err index_pinned(struct index_view *v, uint64_t a, uint64_t b,
    index_stays *stays, void *arg, struct index_pins *out) MUST_CHECK;
/* Turn thread: has something younger than a view sees opened or read a record
 * in [a, b)? */
bool index_pinned_now(struct index *ix, uint64_t a, uint64_t b);
/* Is an older revision of the fact, whose record is at seq, still there? It
 * would be taken for the last one. */
enum err index_older(struct index_view *v, const struct event *e, uint64_t seq,
    bool *yes) MUST_CHECK;
/* Remove rows about records that the journal let go of, in small transactions.
 * Refs and slots stay. *stop ends it early. */
enum err index_forget(struct index *ix, const bool *stop) MUST_CHECK;

/* Compare index.db with a fold of the log made anew; differences a line each.
 * For `vayla verify` and tests; nobody has the journal open. */
enum err index_verify(const char *dir, struct buf *report) MUST_CHECK;

#endif
