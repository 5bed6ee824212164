/*
 * batch - one turn in the making: its records, and an overlay of what they mean
 * until the index knows it. Every question about facts, refs and slots is
 * asked here, so that an event sees all that came before it, this turn
 * included.
 *
 * Nothing of a batch is true until batch_store() returned ERR_OK. A batch that
 * is dropped leaves no trace but unused key slots.
 */
#ifndef VAYLA_CORE_BATCH_H
#define VAYLA_CORE_BATCH_H

#include "broker/core/core.h"
#include "broker/core/table.h"

#define BATCH_OUTPUT (4 * 1024 * 1024)	/* a turn is closed beyond this */
#define BATCH_MEMORY (64 * 1024 * 1024) /* of the arena */

/* An event as mappings see it: of this turn, or read from the log. */
struct fact {
	uint64_t seq;
	uint64_t prev; /* this turn: the revision that it replaces, or 0 */
	uint32_t revision;
	bool withdrawn;
	bool fresh;  /* of this turn */
	bool asks;   /* a request that a person must release first */
	bool erased; /* its personal data is gone */
	uint8_t digest[32];
	struct slice source, id, type, subject;
	struct slice data; /* unsealed */
	struct slice map, target, traceparent, again;
	const struct slice *refs;
	size_t refs_n;
	struct slice head; /* the envelope, for $event; empty: nobody maps it */
	uint64_t cause, root, answer_to;
	int64_t time;
	struct fact *next; /* this turn's, in order */
};

struct batch_record {
	enum record_kind kind;
	size_t at, n; /* the body in turn.bytes */
};

struct batch {
	struct core *core;
	struct turn turn;
	struct arena arena; /* all that lives as long as the turn */
	int64_t now;	    /* the turn's recorded time */
	uint64_t seq0;
	struct batch_record *records;
	size_t records_cap;
	struct fact *first, *last; /* events of this turn */
	struct table facts;	   /* (source, id) -> last fact */
	struct table at;	   /* (type, subject) -> facts */
	struct table old;	   /* sequences replaced in this turn */
	struct table refs, slots;
	struct table read; /* facts read from the log */
	struct buf scratch;
};

void batch_init(struct batch *b, struct core *core);
void batch_fini(struct batch *b);
void batch_begin(struct batch *b);
/* What the next record gets. */
uint64_t batch_next(const struct batch *b);
bool batch_full(const struct batch *b); /* over BATCH_OUTPUT */

/* Append, nothing else. ERR_FULL: the disk is full and nothing was stored.
 * ERR_SYNC: the process must end. flush.h calls it from its thread. */
enum err batch_store(struct batch *b) MUST_CHECK;
/* What was stored goes into the index. */
void batch_fold(struct batch *b);

void batch_settle(struct batch *b, const struct settle *s);
void batch_action(struct batch *b, const struct action *a);
void batch_timer(struct batch *b, const struct timer *t);

/*
 * Seal and add an event: subject and refs as stored, data as it is, `person`
 * the e-mail, revision set. prev is the sequence of the revision it replaces,
 * or 0. Sets e->digest. ERR_FULL, ERR_NOMEM: the batch must be dropped.
 */
enum err batch_event(struct batch *b, struct event *e, uint64_t prev,
    struct fact **out) MUST_CHECK;

/* The last revision of a fact; ERR_NOTFOUND. */
enum err batch_known(struct batch *b, struct slice source, struct slice id,
    struct known *out) MUST_CHECK;
/* An event by sequence, unsealed; lives as long as the turn. */
enum err batch_get(struct batch *b, uint64_t seq, struct fact **out) MUST_CHECK;
/* The same, perhaps without data, head and `erased`: for those who ask whose it
 * is, which needs no unsealing. */
enum err batch_envelope(
    struct batch *b, uint64_t seq, struct fact **out) MUST_CHECK;
/* Sequences of the last revisions of facts of a type at a subject, ascending,
 * at most max. */
enum err batch_at(struct batch *b, struct slice type, struct slice subject,
    uint64_t *out, size_t max, size_t *n) MUST_CHECK;
/* The subject that a ref names; ERR_NOTFOUND. */
enum err batch_ref(struct batch *b, struct slice ref, struct arena *a,
    struct slice *subject) MUST_CHECK;
/* Whose is a ref that `subject` claims? *whose is `subject` when it is free.
 * *decided: a person said that it is another's. */
enum err batch_claim(struct batch *b, struct slice ref, struct slice subject,
    struct slice *whose, bool *decided) MUST_CHECK;
/* A person said that the ref names this subject. */
void batch_name(struct batch *b, struct slice ref, struct slice subject);
/* The key slot of a subject, taken if it has none. */
enum err batch_slot(
    struct batch *b, struct slice subject, uint32_t *slot) MUST_CHECK;

/* Do these two sequences hold revisions of one fact? */
bool batch_same_fact(struct batch *b, uint64_t a, const struct fact *f);

/* A copy in the batch's arena; dies when that is full (it is sized so that
 * BATCH_OUTPUT and its bookkeeping fit). */
struct slice batch_keep(struct batch *b, struct slice s);

#endif
