/*
 * batch - see batch.h. The overlay is a handful of hash tables over an arena;
 * all are emptied when the next turn begins.
 */
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/core/batch.h"

/* A name that this turn gave to a subject, or a slot it took for one. */
struct note {
	struct slice key, subject; /* a ref's subject is empty: it has none */
	uint32_t slot;
	bool decided; /* by a person, in this turn */
};

void
batch_init(struct batch *b, struct core *core)
{
	*b = (struct batch){.core = core};
	turn_init(&b->turn);
	arena_init(&b->arena, BATCH_MEMORY);
	buf_init(&b->scratch, TURN_MAX);
	table_init(&b->facts);
	table_init(&b->at);
	table_init(&b->old);
	table_init(&b->refs);
	table_init(&b->slots);
	table_init(&b->read);
}

void
batch_fini(struct batch *b)
{
	turn_fini(&b->turn);
	arena_fini(&b->arena);
	buf_fini(&b->scratch);
	table_fini(&b->facts);
	table_fini(&b->at);
	table_fini(&b->old);
	table_fini(&b->refs);
	table_fini(&b->slots);
	table_fini(&b->read);
	free(b->records);
}

void
batch_begin(struct batch *b)
{
	turn_reset(&b->turn);
	arena_reset(&b->arena);
	table_clear(&b->facts);
	table_clear(&b->at);
	table_clear(&b->old);
	table_clear(&b->refs);
	table_clear(&b->slots);
	table_clear(&b->read);
	b->first = b->last = NULL;
	b->now = clock_now();
	b->seq0 = log_next(b->core->log);
}

uint64_t
batch_next(const struct batch *b)
{
	return b->seq0 + b->turn.count;
}

bool
batch_full(const struct batch *b)
{
	return b->turn.bytes.n > BATCH_OUTPUT ||
	       b->arena.given > BATCH_MEMORY / 4;
}

static void *
must(void *p)
{
	if (p == NULL)
		err_die("a turn outgrew its memory");
	return p;
}

struct slice
batch_keep(struct batch *b, struct slice s)
{
	void *p;

	if (s.n == 0)
		return SLICE_EMPTY;
	p = must(arena_raw(&b->arena, s.n));
	memcpy(p, s.p, s.n);
	return slice_of(p, s.n);
}

/* ---- records ---- */

static void
add(struct batch *b, enum record_kind kind, struct slice body)
{
	size_t i = b->turn.count;

	if (i == b->records_cap) {
		b->records_cap = i > 0 ? 2 * i : 256;
		b->records = must(
		    realloc(b->records, b->records_cap * sizeof(*b->records)));
	}
	turn_add(&b->turn, kind, body);
	b->records[i] =
	    (struct batch_record){kind, b->turn.bytes.n - body.n, body.n};
}

void
batch_settle(struct batch *b, const struct settle *s)
{
	buf_reset(&b->scratch);
	settle_write(&b->scratch, s);
	add(b, REC_SETTLE, buf_all(&b->scratch));
	b->turn.vital = true;
}

void
batch_action(struct batch *b, const struct action *a)
{
	buf_reset(&b->scratch);
	action_write(&b->scratch, a);
	add(b, REC_ACTION, buf_all(&b->scratch));
	b->turn.vital = true;
}

void
batch_timer(struct batch *b, const struct timer *t)
{
	buf_reset(&b->scratch);
	timer_write(&b->scratch, t);
	add(b, REC_TIMER, buf_all(&b->scratch));
	b->turn.vital = true;
}

enum err
batch_store(struct batch *b)
{
	uint64_t seq0;
	enum err e;

	if (buf_check(&b->turn.bytes) != ERR_OK)
		err_die("a turn outgrew its buffer");
	e = log_append(b->core->log, &b->turn, b->now, &seq0);
	if (e == ERR_OK && seq0 != b->seq0)
		err_die("the log gave %llu where %llu was next",
		    (unsigned long long)seq0, (unsigned long long)b->seq0);
	return e;
}

void
batch_fold(struct batch *b)
{
	struct log_record rec;

	for (size_t i = 0; i < b->turn.count; i++) {
		const struct batch_record *r = &b->records[i];

		rec = (struct log_record){.seq = b->seq0 + i,
		    .recorded = b->now,
		    .kind = r->kind,
		    .body = slice_of(b->turn.bytes.p + r->at, r->n)};
		if (index_apply(b->core->index, &rec) != ERR_OK)
			err_die("the index cannot take record %llu: %s",
			    (unsigned long long)rec.seq, err_last());
	}
}

/* ---- facts ---- */

static struct slice
seq_bytes(const uint64_t *seq)
{
	return slice_of(seq, sizeof(*seq));
}

static struct fact *
fact_in_batch(const struct batch *b, struct slice source, struct slice id)
{
	uint64_t h = table_hash(source, id);
	struct fact *f;
	size_t at = 0;

	while ((f = table_probe(&b->facts, h, &at)) != NULL)
		if (slice_eq(f->source, source) && slice_eq(f->id, id))
			return f;
	return NULL;
}

enum err
batch_known(
    struct batch *b, struct slice source, struct slice id, struct known *out)
{
	const struct fact *f = fact_in_batch(b, source, id);

	if (f == NULL)
		return index_fact(b->core->index, source, id, out);
	out->seq = f->seq;
	out->revision = f->revision;
	out->withdrawn = f->withdrawn;
	memcpy(out->digest, f->digest, 32);
	return ERR_OK;
}

static struct note *
note_find(const struct table *t, struct slice key)
{
	uint64_t h = table_hash(key, SLICE_EMPTY);
	struct note *n;
	size_t at = 0;

	while ((n = table_probe(t, h, &at)) != NULL)
		if (slice_eq(n->key, key))
			return n;
	return NULL;
}

static struct note *
note_add(struct batch *b, struct table *t, struct slice key)
{
	struct note *n = must(arena_alloc(&b->arena, sizeof(*n)));

	n->key = batch_keep(b, key);
	n->subject = SLICE_EMPTY;
	table_add(t, table_hash(key, SLICE_EMPTY), n);
	return n;
}

enum err
batch_slot(struct batch *b, struct slice subject, uint32_t *slot)
{
	struct note *n = note_find(&b->slots, subject);
	enum err e;

	if (n != NULL) {
		*slot = n->slot;
		return ERR_OK;
	}
	e = index_slot(b->core->index, subject, slot);
	if (e == ERR_NOTFOUND)
		e = keys_take(b->core->keys, slot);
	if (e != ERR_OK)
		return e;
	keys_used(b->core->keys, *slot);
	note_add(b, &b->slots, subject)->slot = *slot;
	return ERR_OK;
}

/* What the turn knows of a ref; the index is asked once. */
static enum err
ref_note(struct batch *b, struct slice ref, struct note **out)
{
	struct slice subject = SLICE_EMPTY;
	enum err e;

	*out = note_find(&b->refs, ref);
	if (*out != NULL)
		return ERR_OK;
	e = index_ref(b->core->index, ref, &b->arena, &subject);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	*out = note_add(b, &b->refs, ref);
	(*out)->subject = subject;
	return ERR_OK;
}

enum err
batch_ref(
    struct batch *b, struct slice ref, struct arena *a, struct slice *subject)
{
	struct note *n;
	enum err e = ref_note(b, ref, &n);

	if (e != ERR_OK)
		return e;
	if (n->subject.n == 0)
		return err_note(
		    ERR_NOTFOUND, "nothing is named %.*s", SLICE_ARG(ref));
	return arena_copy(a, n->subject, subject);
}

/* The first subject that claims a ref keeps it. */
static enum err
refs_add(struct batch *b, const struct event *e, struct slice subject)
{
	struct note *n;
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < e->refs_n; i++) {
		err = ref_note(b, e->refs[i], &n);
		if (err == ERR_OK && n->subject.n == 0)
			n->subject = subject;
	}
	return err;
}

enum err
batch_claim(struct batch *b, struct slice ref, struct slice subject,
    struct slice *whose, bool *decided)
{
	struct note *n;
	enum err e = ref_note(b, ref, &n);

	if (e != ERR_OK)
		return e;
	*decided = false;
	*whose = n->subject.n > 0 ? n->subject : subject;
	if (slice_eq(*whose, subject))
		return ERR_OK;
	*decided = n->decided;
	if (!*decided) {
		e = index_named(b->core->index, ref, &b->arena, &n->subject);
		*decided = e == ERR_OK;
	}
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

void
batch_name(struct batch *b, struct slice ref, struct slice subject)
{
	struct note *n = note_find(&b->refs, ref);

	if (n == NULL)
		n = note_add(b, &b->refs, ref);
	n->subject = batch_keep(b, subject);
	n->decided = true;
}

static void
fact_add(struct batch *b, struct fact *f)
{
	struct fact *was = fact_in_batch(b, f->source, f->id);
	uint64_t h = table_hash(f->source, f->id);

	if (was != NULL)
		table_remove(&b->facts, h, was);
	table_add(&b->facts, h, f);
	table_add(&b->at, table_hash(f->type, f->subject), f);
	table_add(&b->read, table_hash(seq_bytes(&f->seq), SLICE_EMPTY), f);
	if (f->prev != 0)
		table_add(
		    &b->old, table_hash(seq_bytes(&f->prev), SLICE_EMPTY), f);
	if (b->last != NULL)
		b->last->next = f;
	else
		b->first = f;
	b->last = f;
}

static struct fact *
fact_new(struct batch *b, const struct event *e, bool mapped)
{
	struct fact *f = must(arena_alloc(&b->arena, sizeof(*f)));

	f->seq = e->sequence;
	f->revision = e->revision;
	f->withdrawn = e->withdrawn;
	if (e->digest.n == 32)
		memcpy(f->digest, e->digest.p, 32);
	f->source = batch_keep(b, e->source);
	f->id = batch_keep(b, e->id);
	f->type = batch_keep(b, e->type);
	f->subject = batch_keep(b, e->subject);
	f->data = batch_keep(b, e->data);
	f->map = batch_keep(b, e->map);
	f->target = batch_keep(b, e->target);
	f->traceparent = batch_keep(b, e->traceparent);
	f->again = batch_keep(b, e->again);
	f->refs_n = e->refs_n;
	if (e->refs_n > 0) {
		struct slice *refs =
		    must(arena_alloc(&b->arena, e->refs_n * sizeof(*refs)));

		for (size_t i = 0; i < e->refs_n; i++)
			refs[i] = batch_keep(b, e->refs[i]);
		f->refs = refs;
	}
	f->cause = e->causationid;
	f->root = e->correlationid;
	f->answer_to = e->answer_to;
	f->time = e->time;
	f->head = SLICE_EMPTY;
	if (mapped) {
		buf_reset(&b->scratch);
		event_write_head(&b->scratch, e);
		f->head = batch_keep(b, buf_all(&b->scratch));
	}
	return f;
}

enum err
batch_event(struct batch *b, struct event *e, uint64_t prev, struct fact **out)
{
	struct sealer *sealer = b->core->sealer;
	const struct route *const *routes;
	uint8_t digest[32], person[32];
	struct fact *f;
	bool personal;
	uint32_t slot;
	enum err err;

	/* Of a corrected one it was made before. */
	if (e->person.n > 0 && e->revisedby.n == 0) {
		keys_person(b->core->keys, e->person, person);
		e->person = slice_of(person, sizeof(person));
	}
	keys_digest(b->core->keys, e->data, digest);
	e->digest = slice_of(digest, sizeof(digest));
	e->sequence = batch_next(b);
	e->recordedtime = b->now;
	f = fact_new(b, e,
	    ruleset_routes(b->core->rules, e->type, e->source, &routes) > 0);
	f->prev = prev;
	f->fresh = true;

	/* Where it stands, and when it was written, is the frame's to say. */
	e->sequence = 0;
	e->recordedtime = 0;
	err = sealer_split(
	    sealer, ruleset_schema(b->core->rules, e->type), e, &personal);
	if (err == ERR_OK && personal)
		err = batch_slot(b, e->subject, &slot);
	if (err == ERR_OK && personal)
		err = sealer_seal(sealer, slot, e);
	if (err == ERR_OK) {
		buf_reset(&b->scratch);
		event_write(&b->scratch, e);
		err = buf_check(&b->scratch);
	}
	if (err == ERR_OK) {
		add(b, REC_EVENT, buf_all(&b->scratch));
		fact_add(b, f);
		err = refs_add(b, e, f->subject);
	}
	sealer_reset(sealer);
	e->digest = slice_of(f->digest, 32);
	e->person = SLICE_EMPTY;
	e->data = f->data;
	e->sealed = SLICE_EMPTY;
	*out = f;
	return err;
}

/* The event as it is stored, `e` its parts; f when the turn has it already. */
static enum err
read_event(struct batch *b, uint64_t seq, struct event *e, struct fact **f)
{
	uint64_t h = table_hash(seq_bytes(&seq), SLICE_EMPTY);
	struct log_record rec;
	size_t at = 0;
	enum err err;

	while ((*f = table_probe(&b->read, h, &at)) != NULL)
		if ((*f)->seq == seq)
			return ERR_OK;
	if (seq >= b->seq0)
		return err_note(
		    ERR_NOTFOUND, "no event %llu", (unsigned long long)seq);
	err = log_read(b->core->reader, seq, &rec);
	if (err != ERR_OK)
		return err;
	if (rec.kind != REC_EVENT)
		return err_note(ERR_NOTFOUND, "record %llu is no event",
		    (unsigned long long)seq);
	err = event_read(rec.body, e);
	e->sequence = seq;
	e->recordedtime = rec.recorded;
	return err;
}

enum err
batch_get(struct batch *b, uint64_t seq, struct fact **out)
{
	struct event e;
	struct fact *f;
	bool erased;
	enum err err;

	err = read_event(b, seq, &e, &f);
	if (err == ERR_OK && f != NULL) {
		*out = f;
		return ERR_OK;
	}
	if (err == ERR_OK)
		err = sealer_open(b->core->sealer, &e, &erased);
	if (err != ERR_OK)
		return err;
	e.sealed = SLICE_EMPTY;
	f = fact_new(b, &e, true);
	f->erased = erased;
	sealer_reset(b->core->sealer);
	table_add(&b->read, table_hash(seq_bytes(&seq), SLICE_EMPTY), f);
	*out = f;
	return ERR_OK;
}

enum err
batch_envelope(struct batch *b, uint64_t seq, struct fact **out)
{
	struct event e;
	struct fact *f;
	enum err err;

	err = read_event(b, seq, &e, &f);
	if (err != ERR_OK)
		return err;
	if (f == NULL) {
		e.data = e.sealed = SLICE_EMPTY;
		f = fact_new(b, &e, false);
	}
	*out = f;
	return ERR_OK;
}

static bool
replaced(const struct batch *b, uint64_t seq)
{
	uint64_t h = table_hash(seq_bytes(&seq), SLICE_EMPTY);
	const struct fact *f;
	size_t at = 0;

	while ((f = table_probe(&b->old, h, &at)) != NULL)
		if (f->prev == seq)
			return true;
	return false;
}

static int
by_seq(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

enum err
batch_at(struct batch *b, struct slice type, struct slice subject,
    uint64_t *out, size_t max, size_t *n)
{
	uint64_t h = table_hash(type, subject);
	const struct fact *f;
	size_t at = 0, kept = 0;
	enum err e;

	e = index_at(b->core->index, type, subject, b->seq0, out, max, n);
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < *n; i++)
		if (!replaced(b, out[i]))
			out[kept++] = out[i];
	*n = kept;
	while (*n < max && (f = table_probe(&b->at, h, &at)) != NULL)
		if (slice_eq(f->type, type) && slice_eq(f->subject, subject) &&
		    !f->withdrawn && !replaced(b, f->seq))
			out[(*n)++] = f->seq;
	if (*n > kept)
		qsort(out, *n, sizeof(*out), by_seq);
	return ERR_OK;
}

bool
batch_same_fact(struct batch *b, uint64_t a, const struct fact *f)
{
	struct fact *g;

	if (a == f->seq)
		return true;
	return a != 0 && batch_get(b, a, &g) == ERR_OK &&
	       slice_eq(g->source, f->source) && slice_eq(g->id, f->id);
}
