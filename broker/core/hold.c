/* hold - see hold.h. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/core/hold.h"

#define HOLD_PAGE 512

void
holds_init(struct holds *h, struct core *core)
{
	*h = (struct holds){.core = core};
	table_init(&h->lanes);
	table_init(&h->waits);
	alarms_init(&h->alarms);
}

void
holds_fini(struct holds *h)
{
	struct hold *l;
	size_t at = 0;

	alarms_fini(&h->alarms);
	while ((l = table_each(&h->lanes, &at)) != NULL) {
		if (l->wait_key.n > 0)
			free((void *)(uintptr_t)l->wait_key.p);
		free(l);
	}
	table_fini(&h->lanes);
	table_fini(&h->waits);
	h->run_first = h->run_last = NULL;
}

struct hold *
hold_find(const struct holds *h, struct slice sub, struct slice subject)
{
	uint64_t hash;
	struct hold *l;
	size_t at = 0;

	if (h->lanes.n == 0)
		return NULL;
	hash = table_hash(sub, subject);
	while ((l = table_probe(&h->lanes, hash, &at)) != NULL)
		if (slice_eq(l->sub, sub) && slice_eq(l->subject, subject))
			return l;
	return NULL;
}

static struct hold *
lane_new(struct holds *h, struct slice sub, struct slice subject, uint64_t seq)
{
	struct hold *l = calloc(1, sizeof(*l) + sub.n + subject.n);

	if (l == NULL)
		err_die("no memory for a held mapping");
	memcpy(l->bytes, sub.p, sub.n);
	memcpy(l->bytes + sub.n, subject.p, subject.n);
	l->sub = slice_of(l->bytes, sub.n);
	l->subject = slice_of(l->bytes + sub.n, subject.n);
	l->wait_type = l->wait_key = SLICE_EMPTY;
	l->head = l->last = seq;
	table_add(&h->lanes, table_hash(sub, subject), l);
	return l;
}

static uint64_t
wait_hash(struct slice key, bool by_ref)
{
	return table_hash(key, by_ref ? SLICE_LIT("ref") : SLICE_EMPTY);
}

static void
wait_clear(struct holds *h, struct hold *l)
{
	if (l->wait_key.n == 0)
		return;
	table_remove(&h->waits, wait_hash(l->wait_key, l->wait_by_ref), l);
	free((void *)(uintptr_t)l->wait_key.p);
	l->wait_key = l->wait_type = SLICE_EMPTY;
}

static void
wait_set(struct holds *h, struct hold *l, struct slice type, struct slice key,
    bool by_ref)
{
	uint8_t *p;

	if (key.n == 0)
		return;
	p = malloc(key.n + type.n);
	if (p == NULL)
		err_die("no memory for a held mapping");
	memcpy(p, key.p, key.n);
	memcpy(p + key.n, type.p, type.n);
	l->wait_key = slice_of(p, key.n);
	l->wait_type = slice_of(p + key.n, type.n);
	l->wait_by_ref = by_ref;
	table_add(&h->waits, wait_hash(key, by_ref), l);
}

static void
lane_state(struct holds *h, struct hold *l, enum open_state state, int64_t due,
    struct slice wait_type, struct slice wait_key, bool by_ref)
{
	wait_clear(h, l);
	alarm_clear(&h->alarms, &l->alarm);
	l->state = state;
	switch (state) {
	case OPEN_WAIT:
		wait_set(h, l, wait_type, wait_key, by_ref);
		/* fall through */
	case OPEN_RETRY:
		alarm_set(
		    &h->alarms, &l->alarm, clock_mono() + (due - clock_now()));
		break;
	case OPEN_READY:
	case OPEN_BEHIND:
		hold_queue(h, l);
		break;
	case OPEN_ASK:
	case OPEN_PARKED:
		break;
	}
}

static void
load_item(struct holds *h, const struct open_item *it)
{
	struct hold *l = hold_find(h, it->sub, it->subject);

	if (l != NULL) {
		l->last = it->seq;
		return;
	}
	l = lane_new(h, it->sub, it->subject, it->seq);
	l->settle = it->settle;
	lane_state(h, l, it->state, it->due, it->wait_type, it->wait_key,
	    it->wait_by_ref);
}

static enum err
load_sub(struct holds *h, struct slice sub)
{
	struct open_item *items;
	struct arena a;
	uint64_t after = 0;
	size_t n = 0;
	enum err e;

	arena_init(&a, 16 * 1024 * 1024);
	do {
		arena_reset(&a);
		e = index_open_items(
		    h->core->index, sub, after, HOLD_PAGE, &a, &items, &n);
		for (size_t i = 0; e == ERR_OK && i < n; i++) {
			load_item(h, &items[i]);
			after = items[i].seq;
		}
	} while (e == ERR_OK && n == HOLD_PAGE);
	arena_fini(&a);
	return e;
}

enum err
holds_load(struct holds *h)
{
	struct core *core = h->core;
	const struct route *r;
	char sub[HOLD_SUB];
	enum err e = ERR_OK;
	int n;

	holds_fini(h);
	holds_init(h, core);
	for (uint32_t i = 0;
	     e == ERR_OK && (r = ruleset_route(core->rules, i)) != NULL; i++) {
		n = snprintf(sub, sizeof(sub), "map:%.*s/%.*s",
		    SLICE_ARG(r->system), SLICE_ARG(r->map->name));
		e = load_sub(h, slice_of(sub, (size_t)n));
	}
	return e;
}

void
holds_rerun(struct holds *h, struct slice sub)
{
	struct hold *l;
	size_t at = 0;

	while ((l = table_each(&h->lanes, &at)) != NULL)
		if (sub.n == 0 ||
		    (slice_eq(l->sub, sub) && l->state == OPEN_ASK))
			hold_queue(h, l);
}

void
holds_asked(struct holds *h)
{
	struct hold *l;
	size_t at = 0;

	while ((l = table_each(&h->lanes, &at)) != NULL)
		if (l->state == OPEN_ASK)
			hold_queue(h, l);
}

uint64_t
hold_trouble(const struct settle *s)
{
	uint8_t v = (uint8_t)s->verdict;
	uint64_t h[4];

	h[0] = table_hash(slice_of(&v, 1), s->text);
	h[1] = table_hash(s->path, s->where);
	h[2] = table_hash(s->table, s->key);
	h[3] = table_hash(s->wait_type, s->wait_key);
	return table_hash(slice_of(h, sizeof(h)), SLICE_EMPTY);
}

static enum open_state
state_of(const struct settle *s)
{
	switch (s->verdict) {
	case SETTLE_RETRY:
		return OPEN_RETRY;
	case SETTLE_WAIT:
		return OPEN_WAIT;
	case SETTLE_ASK:
		return OPEN_ASK;
	case SETTLE_BEHIND:
		return OPEN_BEHIND;
	case SETTLE_OK:
	case SETTLE_DEFER:
	case SETTLE_REJECT:
	case SETTLE_SKIP:
		break;
	}
	return OPEN_PARKED;
}

void
hold_put(struct holds *h, struct batch *b, struct slice subject,
    const struct settle *s)
{
	struct hold *l = hold_find(h, s->sub, subject);

	if (l == NULL)
		l = lane_new(h, s->sub, subject, s->seq);
	l->settle = batch_next(b);
	l->trouble = hold_trouble(s);
	batch_settle(b, s);
	lane_state(h, l, state_of(s), s->due, s->wait_type, s->wait_key,
	    s->wait_by_ref);
}

void
hold_behind(struct holds *h, struct batch *b, struct hold *l, uint64_t seq)
{
	struct settle s;

	(void)h;
	settle_init(&s);
	s.sub = l->sub;
	s.seq = seq;
	s.verdict = SETTLE_BEHIND;
	batch_settle(b, &s);
	if (seq > l->last)
		l->last = seq;
}

void
hold_done(struct hold *l)
{
	l->done = l->head;
	l->settle = l->trouble = 0;
}

void
hold_free(struct holds *h, struct hold *l)
{
	struct hold **p = &h->run_first, *prev = NULL;

	if (l->queued) {
		while (*p != l) {
			prev = *p;
			p = &(*p)->next;
		}
		*p = l->next;
		if (h->run_last == l)
			h->run_last = prev;
	}
	wait_clear(h, l);
	alarm_clear(&h->alarms, &l->alarm);
	table_remove(&h->lanes, table_hash(l->sub, l->subject), l);
	free(l);
}

void
hold_queue(struct holds *h, struct hold *l)
{
	if (l->queued)
		return;
	l->queued = true;
	l->next = NULL;
	if (h->run_last != NULL)
		h->run_last->next = l;
	else
		h->run_first = l;
	h->run_last = l;
}

struct hold *
hold_next(struct holds *h)
{
	struct hold *l = h->run_first;

	if (l == NULL)
		return NULL;
	h->run_first = l->next;
	if (h->run_first == NULL)
		h->run_last = NULL;
	l->queued = false;
	return l;
}

void
hold_wake(struct holds *h, struct slice type, struct slice subject)
{
	uint64_t hash;
	struct hold *l;
	size_t at = 0;

	if (h->waits.n == 0)
		return;
	hash = wait_hash(subject, false);
	while ((l = table_probe(&h->waits, hash, &at)) != NULL)
		if (!l->wait_by_ref && slice_eq(l->wait_key, subject) &&
		    slice_eq(l->wait_type, type))
			hold_queue(h, l);
}

void
hold_wake_ref(struct holds *h, struct slice ref)
{
	uint64_t hash;
	struct hold *l;
	size_t at = 0;

	if (h->waits.n == 0)
		return;
	hash = wait_hash(ref, true);
	while ((l = table_probe(&h->waits, hash, &at)) != NULL)
		if (l->wait_by_ref && slice_eq(l->wait_key, ref))
			hold_queue(h, l);
}
