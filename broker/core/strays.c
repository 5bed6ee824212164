/* strays - see strays.h. */
#include <stdlib.h>

#include "broker/base/arena.h"
#include "broker/base/clock.h"
#include "broker/core/strays.h"
#include "mappings/engine/drift.h"

#define STRAYS_SHOWN 50
#define STRAYS_MEMORY ((size_t)1024 * 1024)
#define STRAYS_TEXT 120

struct place {
	struct slice type, source, path, value;
	bool word;
	uint64_t events, last_event;
	int64_t first, last;
};

/* How many of a type were looked at in this second. */
struct pace {
	struct slice type;
	int64_t second;
	uint32_t looked;
};

struct strays {
	struct arena arena;
	struct place *places[STRAYS_PLACES];
	size_t n;
	struct pace pace[STRAYS_TYPES];
	size_t pace_n;
	uint64_t events, looked;
	/* at hand */
	struct slice type, source;
	int64_t now;
	bool drifts;
};

struct strays *
strays_new(void)
{
	struct strays *d = calloc(1, sizeof(*d));

	if (d != NULL)
		arena_init(&d->arena, STRAYS_MEMORY);
	return d;
}

void
strays_free(struct strays *d)
{
	if (d == NULL)
		return;
	arena_fini(&d->arena);
	free(d);
}

void
strays_forget(struct strays *d)
{
	arena_reset(&d->arena);
	d->n = d->pace_n = 0;
	d->events = 0;
}

static bool
may_look(struct strays *d, struct slice type)
{
	int64_t second = clock_mono() / NS_PER_SEC;
	struct pace *p = NULL;

	for (size_t i = 0; i < d->pace_n && p == NULL; i++)
		if (slice_eq(d->pace[i].type, type))
			p = &d->pace[i];
	if (p == NULL) {
		if (d->pace_n == STRAYS_TYPES)
			return false;
		p = &d->pace[d->pace_n];
		*p = (struct pace){.second = second};
		if (arena_copy(&d->arena, type, &p->type) != ERR_OK)
			return false;
		d->pace_n++;
	}
	if (p->second != second) {
		p->second = second;
		p->looked = 0;
	}
	return p->looked++ < STRAYS_RATE;
}

/* A key may be data: an address is not shown. */
static struct slice
path_shown(struct slice path)
{
	if (memchr(path.p, '@', path.n) != NULL)
		return SLICE_LIT("(a key that holds an address)");
	return slice_of(path.p, path.n < STRAYS_TEXT ? path.n : STRAYS_TEXT);
}

static struct place *
place_of(struct strays *d, struct slice path, bool word, struct slice value)
{
	struct place *p;

	for (size_t i = 0; i < d->n; i++) {
		p = d->places[i];
		if (p->word == word && slice_eq(p->path, path) &&
		    slice_eq(p->value, value) && slice_eq(p->type, d->type) &&
		    slice_eq(p->source, d->source))
			return p;
	}
	if (d->n == STRAYS_PLACES ||
	    (p = arena_alloc(&d->arena, sizeof(*p))) == NULL)
		return NULL;
	p->word = word;
	p->value = SLICE_EMPTY;
	p->first = d->now;
	if (arena_copy(&d->arena, path, &p->path) != ERR_OK ||
	    arena_copy(&d->arena, d->type, &p->type) != ERR_OK ||
	    arena_copy(&d->arena, d->source, &p->source) != ERR_OK ||
	    (value.n > 0 && arena_copy(&d->arena, value, &p->value) != ERR_OK))
		return NULL;
	d->places[d->n++] = p;
	return p;
}

static enum err
found(void *self, struct slice path, enum drift_kind kind, const char *what,
    const struct schema_field *x, const struct mp *v)
{
	struct strays *d = self;
	bool word = kind == DRIFT_VALUE && x->enum_n > 0 && v->type == MP_STR;
	struct slice value = SLICE_EMPTY;
	struct place *p;

	(void)what;
	if (kind != DRIFT_FIELD && !word)
		return ERR_OK;
	d->drifts = true;
	if (word)
		value = slice_of(v->bytes.p,
		    v->bytes.n < STRAYS_TEXT ? v->bytes.n : STRAYS_TEXT);
	p = place_of(d, path_shown(path), word, value);
	if (p == NULL)
		return ERR_OK;
	p->last = d->now;
	if (p->last_event != d->looked) {
		p->last_event = d->looked;
		p->events++;
	}
	return ERR_OK;
}

void
strays_look(struct strays *d, const struct schema *s, struct slice type,
    struct slice source, struct slice data, int64_t now)
{
	if (s == NULL || !may_look(d, type))
		return;
	d->type = type;
	d->source = source;
	d->now = now;
	d->drifts = false;
	d->looked++;
	(void)!drift_walk(s, data, found, d); /* as far as it goes */
	d->events += d->drifts;
}

static void
put_str(struct buf *b, const char *key, struct slice v)
{
	mp_put_cstr(b, key);
	mp_put_str(b, v);
}

static void
put_uint(struct buf *b, const char *key, uint64_t v)
{
	mp_put_cstr(b, key);
	mp_put_uint(b, v);
}

static void
put_place(struct buf *b, const struct place *p)
{
	mp_put_map(b, 8);
	put_str(b, "type", p->type);
	put_str(b, "source", p->source);
	put_str(b, "what", p->word ? SLICE_LIT("word") : SLICE_LIT("field"));
	put_str(b, "path", p->path);
	put_str(b, "value", p->value);
	put_uint(b, "events", p->events);
	mp_put_cstr(b, "first");
	mp_put_time(b, p->first);
	mp_put_cstr(b, "last");
	mp_put_time(b, p->last);
}

/* Words first: a mapping meets them sooner. Then by how many events. */
static bool
before(const struct place *a, const struct place *b)
{
	if (a->word != b->word)
		return a->word;
	if (a->events != b->events)
		return a->events > b->events;
	return a < b;
}

void
strays_write(const struct strays *d, struct buf *out)
{
	const struct place *last = NULL, *next;
	size_t n = d->n < STRAYS_SHOWN ? d->n : STRAYS_SHOWN;

	mp_put_map(out, 3);
	put_uint(out, "events", d->events);
	put_uint(out, "places", d->n);
	mp_put_cstr(out, "list");
	mp_put_array(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++, last = next) {
		next = NULL;
		for (size_t k = 0; k < d->n; k++)
			if ((last == NULL || before(last, d->places[k])) &&
			    (next == NULL || before(d->places[k], next)))
				next = d->places[k];
		put_place(out, next);
	}
}
