/*
 * index_fold - what each record changes: the one place where the journal gets
 * its meaning, the same for a live turn and for a rebuild (JOURNAL.md, "The
 * fold"). Everything here depends on earlier records only, never on the clock
 * or on what has been written to index.db so far.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "broker/base/say.h"
#include "broker/core/index_own.h"

#define MAP "map:"

void
count_item(struct index *ix, uint8_t state, uint32_t attempt, int by)
{
	struct index_counts *c = &ix->counts;
	uint64_t *const of[] = {[OPEN_READY] = &c->ready,
	    [OPEN_RETRY] = attempt > 0 ? &c->retry : &c->deferred,
	    [OPEN_WAIT] = &c->wait,
	    [OPEN_BEHIND] = &c->behind,
	    [OPEN_ASK] = &c->ask,
	    [OPEN_PARKED] = &c->parked};

	if (state <= OPEN_PARKED)
		*of[state] += (uint64_t)(int64_t)by;
}

/* ---- what held mappings wait for ---- */

uint64_t
wait_hash(
    const struct index *ix, struct slice type, struct slice key, bool by_ref)
{
	return mt_hash2(&ix->seed, MT_ITEM, type, key) ^ (by_ref ? 1u : 0u);
}

static size_t
wait_place(const struct index *ix, uint64_t h)
{
	size_t lo = 0, hi = ix->waits_n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ix->waits[mid] < h)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool
wait_is(const struct index *ix, uint64_t h)
{
	size_t at = wait_place(ix, h);

	return at < ix->waits_n && ix->waits[at] == h;
}

enum err
wait_add(struct index *ix, uint64_t h)
{
	size_t at = wait_place(ix, h), cap;
	uint64_t *p;

	if (ix->waits_n == ix->waits_cap) {
		cap = ix->waits_cap > 0 ? ix->waits_cap * 2 : 64;
		p = realloc(ix->waits, cap * sizeof(*p));
		if (p == NULL)
			return err_note(ERR_NOMEM, "no memory for the index");
		ix->waits = p;
		ix->waits_cap = cap;
	}
	memmove(ix->waits + at + 1, ix->waits + at,
	    (ix->waits_n - at) * sizeof(*ix->waits));
	ix->waits[at] = h;
	ix->waits_n++;
	return ERR_OK;
}

void
wait_drop(struct index *ix, uint64_t h)
{
	size_t at = wait_place(ix, h);

	if (at == ix->waits_n || ix->waits[at] != h)
		return;
	ix->waits_n--;
	memmove(ix->waits + at, ix->waits + at + 1,
	    (ix->waits_n - at) * sizeof(*ix->waits));
}

/* ---- systems and answers ---- */

/* Copies the slices, which lie one behind the other in a struct, into one
 * block. */
static void *
copy_slices(struct slice *s, size_t n)
{
	size_t total = 1;
	uint8_t *p, *to;

	for (size_t i = 0; i < n; i++)
		total += s[i].n;
	p = to = malloc(total);
	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		memcpy(to, s[i].p, s[i].n);
		s[i].p = to;
		to += s[i].n;
	}
	return p;
}

enum err
system_set(
    struct index *ix, struct slice name, struct slice state, struct slice since)
{
	struct system_state new = {name, state, since, NULL}, *p;
	size_t i;

	new.bytes = copy_slices(&new.name, 3);
	if (new.bytes == NULL)
		return err_note(ERR_NOMEM, "no memory for the index");
	for (i = 0; i < ix->systems_n; i++)
		if (slice_eq(ix->systems[i].name, new.name))
			break;
	if (i == ix->systems_n) {
		p = realloc(ix->systems, (i + 1) * sizeof(*p));
		if (p == NULL) {
			free(new.bytes);
			return err_note(ERR_NOMEM, "no memory for the index");
		}
		ix->systems = p;
		ix->systems_n++;
	} else {
		free(ix->systems[i].bytes);
	}
	ix->systems[i] = new;
	return ERR_OK;
}

enum err
answer_set(struct index *ix, const struct answer *a)
{
	struct answer new = *a, *p, *was;
	size_t i;

	new.bytes = copy_slices(&new.system, 5);
	if (new.bytes == NULL)
		return err_note(ERR_NOMEM, "no memory for the index");
	for (i = 0; i < ix->answers_n; i++) {
		was = &ix->answers[i];
		if (slice_eq(was->key, new.key) &&
		    slice_eq(was->table, new.table) &&
		    slice_eq(was->map, new.map) &&
		    slice_eq(was->system, new.system))
			break;
	}
	if (i == ix->answers_n) {
		p = realloc(ix->answers, (i + 1) * sizeof(*p));
		if (p == NULL) {
			free(new.bytes);
			return err_note(ERR_NOMEM, "no memory for the index");
		}
		ix->answers = p;
		ix->answers_n++;
	} else {
		free(ix->answers[i].bytes);
	}
	ix->answers[i] = new;
	return ERR_OK;
}

/* ---- events ---- */

static uint32_t
slot_of(struct slice sealed)
{
	return sealed.n < 4
		   ? 0
		   : (uint32_t)sealed.p[0] | (uint32_t)sealed.p[1] << 8 |
			 (uint32_t)sealed.p[2] << 16 |
			 (uint32_t)sealed.p[3] << 24;
}

/* What is sealed names the slot of its subject. */
static enum err
fold_slot(struct index *ix, struct slice subject, struct slice sealed)
{
	uint32_t slot = slot_of(sealed);

	if (slot == 0)
		return ERR_OK;
	if (slot > ix->slot_max)
		ix->slot_max = slot;
	return subject.n > 0 ? mt_add_slot(ix->active, subject, slot) : ERR_OK;
}

/* "books/ledger.payment-captured/1" without the version: which mapping it was
 * outlives its versions. */
static struct slice
map_name(struct slice map)
{
	size_t n = map.n;

	while (n > 0 && map.p[n - 1] >= '0' && map.p[n - 1] <= '9')
		n--;
	return n > 0 && n < map.n && map.p[n - 1] == '/'
		   ? slice_of(map.p, n - 1)
		   : map;
}

static enum err
fold_deps(struct index *ix, const struct event *ev)
{
	enum err e = ERR_OK;

	if (ev->causationid == 0 || ev->map.n == 0)
		return ERR_OK;
	for (size_t i = 0; i < ev->reads_n && e == ERR_OK; i++) {
		struct mt_dep d = {
		    ev->reads[i], ev->causationid, map_name(ev->map)};

		e = mt_add_dep(ix->active, &d);
	}
	return e;
}

static enum err subject_of(
    struct index *ix, uint64_t seq, struct slice *subject);

/* An event at another subject than its cause's: a `dep` without a map leads to
 * it, since nothing at the cause's subject does. */
static enum err
fold_made(struct index *ix, uint64_t seq, uint64_t cause, struct slice subject)
{
	struct mt_dep d = {cause, seq, SLICE_EMPTY};
	uint8_t own[EVENT_TEXT];
	struct slice of;
	size_t n = subject.n < sizeof(own) ? subject.n : sizeof(own);
	enum err e;

	/* the look may read the log, over this event */
	memcpy(own, subject.p, n);
	e = subject_of(ix, cause, &of);
	if (e == ERR_NOTFOUND)
		return ERR_OK; /* its segment is gone */
	return e != ERR_OK || slice_eq(of, slice_of(own, n))
		   ? e
		   : mt_add_dep(ix->active, &d);
}

static enum err
fold_event(struct index *ix, const struct log_record *rec)
{
	struct event *ev = &ix->event;
	struct mt_event row;
	enum err e = event_read(rec->body, ev);

	if (e != ERR_OK)
		return e;
	row = (struct mt_event){
	    .seq = rec->seq,
	    .fact = mt_hash2(&ix->seed, MT_FACT, ev->source, ev->id),
	    .proof = mt_hash2(&ix->seed, MT_PROOF, ev->source, ev->id),
	    .subject = ev->subject,
	    .type = ev->type,
	    .revision = ev->revision,
	    .withdrawn = ev->withdrawn,
	};
	if (ev->digest.n == sizeof(row.digest))
		memcpy(row.digest, ev->digest.p, sizeof(row.digest));
	ix->counts.events++;
	if (ev->revision <= 1)
		ix->counts.facts++;
	e = fold_slot(ix, ev->subject, ev->sealed);
	if (e == ERR_OK)
		e = mt_add_event(ix->active, &row);
	for (size_t i = 0; i < ev->refs_n && e == ERR_OK; i++) {
		struct mt_ref r = {ev->refs[i], ev->subject, rec->seq};

		if (ev->subject.n > 0)
			e = mt_add_ref(ix->active, &r);
	}
	if (e == ERR_OK)
		e = fold_deps(ix, ev);
	if (e == ERR_OK && ev->target.n > 0) {
		struct open_item it = {.sub = ev->target,
		    .subject = ev->subject,
		    .seq = rec->seq,
		    .wait_type = SLICE_EMPTY,
		    .wait_key = SLICE_EMPTY};

		count_item(ix, OPEN_READY, 0, 1);
		e = mt_put_item(ix->active, &it, OPEN_READY, true);
	}
	if (e == ERR_OK && ev->causationid != 0 && ev->map.n > 0)
		e = fold_made(ix, rec->seq, ev->causationid, ev->subject);
	return e;
}

/* ---- open work ---- */

/* The subject of an event, in memory that lives until the next such look. */
static enum err
subject_of(struct index *ix, uint64_t seq, struct slice *subject)
{
	struct memtable *const tables[] = {ix->active, ix->sealed};
	struct log_record rec;
	enum err e;

	for (int t = 0; t < 2; t++) {
		const struct memtable *m = tables[t];
		size_t lo = 0, hi = m != NULL ? m->event_n : 0;

		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;

			if (m->event[mid].seq < seq)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (m != NULL && lo < m->event_n && m->event[lo].seq == seq) {
			*subject = m->event[lo].subject;
			return ERR_OK;
		}
	}
	e = log_read(ix->reader, seq, &rec);
	if (e == ERR_OK && rec.kind != REC_EVENT)
		e = err_note(
		    ERR_NOTFOUND, "record %" PRIu64 " is no event", seq);
	if (e == ERR_OK)
		e = event_read(rec.body, &ix->event);
	if (e != ERR_OK)
		return e;
	arena_reset(&ix->scratch);
	return arena_copy(&ix->scratch, ix->event.subject, subject);
}

struct was {
	struct open_item it;
	uint8_t state; /* MT_GONE: there was none */
};

/* The item, or an empty one. */
static enum err
item_was(struct index *ix, struct slice sub, uint64_t seq, struct was *w)
{
	enum err e = item_get(ix, sub, seq, &w->it);

	w->state = (uint8_t)w->it.state;
	if (e != ERR_NOTFOUND)
		return e;
	w->state = MT_GONE;
	w->it = (struct open_item){.sub = sub,
	    .seq = seq,
	    .subject = SLICE_EMPTY,
	    .wait_type = SLICE_EMPTY,
	    .wait_key = SLICE_EMPTY};
	return ERR_OK;
}

/* From what it was to what it becomes. */
static enum err
item_set(
    struct index *ix, const struct was *w, struct open_item *it, uint8_t state)
{
	enum err e = ERR_OK;

	if (w->state == OPEN_WAIT)
		wait_drop(ix, wait_hash(ix, w->it.wait_type, w->it.wait_key,
				  w->it.wait_by_ref));
	count_item(ix, w->state, w->it.attempt, -1);
	count_item(ix, state, it->attempt, 1);
	it->state = state == MT_GONE ? OPEN_READY : (enum open_state)state;
	if (state == OPEN_WAIT) {
		e = wait_add(ix, wait_hash(ix, it->wait_type, it->wait_key,
				     it->wait_by_ref));
	} else {
		it->wait_type = it->wait_key = SLICE_EMPTY;
		it->wait_by_ref = false;
	}
	if (state != OPEN_WAIT && state != OPEN_RETRY)
		it->due = 0;
	/* Born: it was in no place, or closed in the newest that knew it. Then
	 * index.db does not have it once what is sealed has been written. */
	return e == ERR_OK
		   ? mt_put_item(ix->active, it, state, w->state == MT_GONE)
		   : e;
}

static uint8_t
state_after(const struct settle *s)
{
	switch (s->verdict) {
	case SETTLE_OK:
	case SETTLE_SKIP:
		return MT_GONE;
	case SETTLE_REJECT:
		return OPEN_PARKED;
	case SETTLE_ASK:
		return OPEN_ASK;
	case SETTLE_RETRY:
	case SETTLE_DEFER:
		return s->parked ? OPEN_PARKED : OPEN_RETRY;
	case SETTLE_WAIT:
		return s->parked ? OPEN_PARKED : OPEN_WAIT;
	case SETTLE_BEHIND:
		return s->parked ? OPEN_PARKED : OPEN_BEHIND;
	}
	return OPEN_PARKED;
}

static enum err
fold_settle(struct index *ix, const struct log_record *rec)
{
	struct settle s;
	struct open_item it;
	struct slice subject, excerpt;
	struct was w;
	uint8_t state;
	bool map;
	enum err e = settle_read(rec->body, &s);

	if (e == ERR_OK)
		e = mt_add_about(ix->active, s.seq, rec->seq);
	if (e == ERR_OK)
		e = item_was(ix, s.sub, s.seq, &w);
	if (e != ERR_OK)
		return e;
	map = slice_starts(s.sub, SLICE_LIT(MAP));
	state = state_after(&s);
	if (s.effect.n > 0 && mp_get_bin(s.effect, "excerpt", &excerpt))
		e = fold_slot(ix, w.it.subject, excerpt);
	if (e != ERR_OK)
		return e;
	if (w.state == MT_GONE) {
		/* Settled before, or a mapping's first trouble. */
		if (!map || state == MT_GONE)
			return ERR_OK;
		e = subject_of(ix, s.seq, &subject);
		if (e != ERR_OK)
			return e;
		w.it.subject = subject;
	}
	if (s.verdict == SETTLE_OK && !map)
		ix->counts.settled++;
	it = w.it;
	it.settle = rec->seq;
	it.attempt = s.attempt;
	it.due = s.due;
	it.wait_type = s.wait_type;
	it.wait_key = s.wait_key;
	it.wait_by_ref = s.wait_by_ref;
	return item_set(ix, &w, &it, state);
}

static enum err
fold_timer(struct index *ix, const struct log_record *rec)
{
	struct timer t;
	struct open_item it;
	struct was w;
	enum err e = timer_read(rec->body, &t);

	if (e == ERR_OK)
		e = mt_add_about(ix->active, t.seq, rec->seq);
	if (e == ERR_OK)
		e = item_was(ix, t.sub, t.seq, &w);
	if (e != ERR_OK || w.state != OPEN_WAIT)
		return e; /* it went on before its time was over */
	it = w.it;
	return item_set(ix, &w, &it, OPEN_PARKED);
}

/* ---- actions ---- */

static enum err
act_on_item(struct index *ix, const struct action *a, uint8_t state)
{
	struct open_item it;
	struct slice subject;
	struct was w;
	enum err e = item_was(ix, a->sub, a->seq, &w);

	if (e != ERR_OK)
		return e;
	if (w.state == MT_GONE) {
		if (state == MT_GONE)
			return ERR_OK;
		/* A delivery that was over is to be made again. */
		e = subject_of(ix, a->seq, &subject);
		if (e != ERR_OK)
			return e;
		w.it.subject = subject;
	}
	it = w.it;
	it.attempt = 0;
	it.settle = 0;
	return item_set(ix, &w, &it, state);
}

/* Another ruleset is in force. Whose files are used changes only when a person
 * deployed or went back, or had the packs folder read anew: an answer, or a
 * setting of vayla.yaml, leaves that as it was. */
static void
fold_ruleset(struct in_force *r, const struct action *a, uint64_t seq)
{
	memcpy(r->hash, a->hash.p, 32);
	r->seq = seq;
	if (r->files_seq == 0)
		r->files_seq = seq;
	if (slice_is(a->act, "ruleset"))
		return;
	r->files_seq = seq;
	r->deployed = !slice_is(a->act, "reload");
	memset(r->files, 0, 32);
	if (r->deployed)
		memcpy(r->files, a->hash.p, 32);
}

static enum err
fold_action(struct index *ix, const struct log_record *rec)
{
	struct action a;
	enum err e = action_read(rec->body, &a);

	/* a ruleset's seq is the number of its version, and about no event */
	if (e == ERR_OK && a.seq != 0 && !action_is_ruleset(&a))
		e = mt_add_about(ix->active, a.seq, rec->seq);
	if (e != ERR_OK)
		return e;
	if (slice_is(a.act, "retry") || slice_is(a.act, "skip"))
		return a.sub.n == 0 || a.seq == 0
			   ? ERR_OK
			   : act_on_item(ix, &a,
				 slice_is(a.act, "skip") ? MT_GONE
							 : OPEN_READY);
	if (action_is_ruleset(&a)) {
		fold_ruleset(&ix->rules, &a, rec->seq);
		return ERR_OK;
	}
	if (slice_is(a.act, "answer")) {
		struct answer v = {
		    a.system, a.map, a.table, a.key, a.row, NULL};
		struct mp_in in = mp_in(a.row);
		struct mp m;

		if (slice_eq(a.table, INDEX_NAMES)) {
			/* whose a name is holds for every mapping */
			v.system = v.map = SLICE_EMPTY;
			e = mp_next(&in, &m);
			if (e != ERR_OK || m.type != MP_STR)
				return ERR_TYPE;
			v.row = m.bytes;
		}
		ix->settings = true;
		return answer_set(ix, &v);
	}
	if (a.system.n > 0 &&
	    (slice_is(a.act, "pause") || slice_is(a.act, "resume") ||
		slice_is(a.act, "live"))) {
		struct slice since = a.since;

		/* Pausing does not forget since when it is live. */
		for (size_t i = 0; i < ix->systems_n && since.n == 0; i++)
			if (slice_eq(ix->systems[i].name, a.system))
				since = ix->systems[i].since;
		ix->settings = true;
		return system_set(ix, a.system,
		    slice_is(a.act, "pause") ? SLICE_LIT("paused")
					     : SLICE_LIT("live"),
		    since);
	}
	return ERR_OK; /* an act of a newer program, or without effect here */
}

enum err
fold(struct index *ix, const struct log_record *rec)
{
	struct memtable *m = ix->active;
	enum err e = ERR_OK;

	switch (rec->kind) {
	case REC_EVENT:
		e = fold_event(ix, rec);
		break;
	case REC_SETTLE:
		e = fold_settle(ix, rec);
		break;
	case REC_ACTION:
		e = fold_action(ix, rec);
		break;
	case REC_TIMER:
		e = fold_timer(ix, rec);
		break;
	}
	if (e != ERR_OK && err_class(e) == CLASS_REJECT) {
		/* It is in the journal for ever: passing over it is the only
		 * fold that is the same each time. */
		say(SAY_WARN, "index", "record %" PRIu64 " has no meaning: %s",
		    rec->seq, err_last());
		e = ERR_OK;
	}
	if (e == ERR_OK) {
		m->upto = rec->seq;
		m->records++;
	}
	return e;
}
