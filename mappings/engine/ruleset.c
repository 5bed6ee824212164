/*
 * ruleset - loading all packs that an installation uses, and finding routes;
 * see ruleset.h.
 *
 * Invariant: nothing changes after ruleset_load(), so any thread may ask.
 * Routes are found by one binary search over (type, system), where the system
 * is empty for canonical types, whose routes lead to many systems. Rejected: a
 * prefix tree of type patterns; nobody subscribes mappings by pattern, and the
 * exact table is what makes the check for cycles exact too.
 */
#include <stdlib.h>

#include "mappings/engine/ruleset_inner.h"

static enum err
room(const char *what)
{
	return err_note(ERR_LIMIT, "no room for %s", what);
}

/* ---- loading ---- */

static const struct pack *
pack_named(const struct ruleset *r, struct slice name)
{
	for (size_t i = 0; i < r->packs_n; i++)
		if (slice_eq(r->packs[i]->name, name))
			return r->packs[i];
	return NULL;
}

/* Each pack that some system uses, once. One whose pack.yaml cannot be read is
 * left out and its systems with it; one with other faults stays, so that the
 * settings and tables of its systems are checked in the same pass. */
static enum err
packs_load(struct ruleset *r, const struct config *c, struct faults *f)
{
	struct slice *tried;
	size_t tried_n = 0;
	enum err e;

	r->packs =
	    arena_alloc(&r->arena, (c->systems_n + 1) * sizeof(*r->packs));
	tried = arena_alloc(&r->arena, (c->systems_n + 1) * sizeof(*tried));
	if (r->packs == NULL || tried == NULL)
		return room("packs");
	for (size_t i = 0; i < c->systems_n; i++) {
		const struct config_system *s = &c->systems[i];
		bool again = s->pack.n == 0;

		for (size_t k = 0; k < tried_n; k++)
			again = again || slice_eq(tried[k], s->pack);
		if (again)
			continue;
		tried[tried_n++] = s->pack;
		if (slice_is(s->pack, "canonical") ||
		    slice_is(s->pack, "engine")) {
			fault(f, c->file, yaml_get(s->node, "use"),
			    "\"%.*s\" is no pack", SLICE_ARG(s->pack));
			continue;
		}
		e = pack_load(r->packs_dir, s->pack, r->vocabulary, &r->arena,
		    f, &r->packs[r->packs_n]);
		if (e != ERR_OK && e != ERR_CONFIG)
			return e;
		if (r->packs[r->packs_n] != NULL)
			r->packs_n++;
	}
	return ERR_OK;
}

static enum err
settings_of(struct ruleset *r, const struct config *c,
    const struct config_system *from, struct system_rules *s, struct faults *f)
{
	struct buf open, all;
	enum err e;

	buf_init(&open, 1024 * 1024);
	buf_init(&all, 1024 * 1024);
	e = pack_settings(s->pack, c, from, f, &open, &all);
	if (e == ERR_OK)
		e = arena_copy(&r->arena, buf_all(&open), &s->settings);
	if (all.n > 0)
		memset(all.p, 0, all.n);
	buf_fini(&all);
	buf_fini(&open);
	return e == ERR_CONFIG ? ERR_OK : e;
}

static enum err
systems_load(struct ruleset *r, const struct config *c, struct faults *f)
{
	enum err e;

	r->systems =
	    arena_alloc(&r->arena, (c->systems_n + 1) * sizeof(*r->systems));
	r->names =
	    arena_alloc(&r->arena, (c->systems_n + 1) * sizeof(*r->names));
	if (r->systems == NULL || r->names == NULL)
		return room("systems");
	for (size_t i = 0; i < c->systems_n; i++) {
		const struct config_system *from = &c->systems[i];
		struct system_rules *s = &r->systems[r->systems_n];

		s->pack = pack_named(r, from->pack);
		if (s->pack == NULL)
			continue; /* its faults are noted */
		s->settings = SLICE_EMPTY;
		if ((e = arena_copy(&r->arena, from->name, &s->name)) !=
			ERR_OK ||
		    (e = arena_copy(&r->arena, from->of, &s->of)) != ERR_OK ||
		    (e = settings_of(r, c, from, s, f)) != ERR_OK ||
		    (e = ruleset_tables(r, s, c->file,
			 yaml_get(from->node, "tables"), f)) != ERR_OK)
			return e;
		r->names[r->systems_n++] = s->name;
	}
	return ERR_OK;
}

/* ---- cycles ---- */

struct walk {
	const struct ruleset *r;
	struct faults *f;
	size_t n;
	struct slice types[4096];
	struct slice names[4096]; /* the mapping that led there */
	size_t done_n;
	struct slice done[4096];
	bool found;
};

static void
cycle_fault(
    struct walk *w, size_t from, struct slice back, const struct mapping *m)
{
	struct buf b;

	buf_init(&b, 8192);
	for (size_t i = from; i < w->n; i++)
		buf_printf(&b, "%s%.*s", i > from ? " -> " : "",
		    SLICE_ARG(w->types[i]));
	buf_printf(&b, " -> %.*s", SLICE_ARG(back));
	fault(w->f, m->file, NULL,
	    "mappings go round in a circle: %s; an event would make itself "
	    "for ever",
	    buf_cstr(&b));
	buf_fini(&b);
	w->found = true;
}

static void
cycle_walk(struct walk *w, struct slice type)
{
	const struct ruleset *r = w->r;

	for (size_t i = 0; i < w->done_n; i++)
		if (slice_eq(w->done[i], type))
			return;
	if (w->n == sizeof(w->types) / sizeof(w->types[0]) ||
	    w->done_n == sizeof(w->done) / sizeof(w->done[0]))
		return;
	w->types[w->n++] = type;
	for (size_t p = 0; p < r->packs_n && !w->found; p++)
		for (size_t k = 0; k < r->packs[p]->mappings_n && !w->found;
		     k++) {
			const struct mapping *m = r->packs[p]->mappings[k];
			bool takes = false;

			for (size_t i = 0; i < m->from_n; i++)
				takes = takes || slice_eq(m->from[i], type);
			for (size_t i = 0; takes && i < m->emits_n && !w->found;
			     i++) {
				size_t at = 0;

				while (at < w->n &&
				       !slice_eq(w->types[at], m->emits[i]))
					at++;
				if (at < w->n)
					cycle_fault(w, at, m->emits[i], m);
				else
					cycle_walk(w, m->emits[i]);
			}
		}
	w->n--;
	w->done[w->done_n++] = type;
}

static enum err
graph_check(const struct ruleset *r, struct faults *f)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_note(ERR_NOMEM, "no memory to check the graph");
	w->r = r;
	w->f = f;
	for (size_t p = 0; p < r->packs_n; p++)
		for (size_t k = 0; k < r->packs[p]->mappings_n; k++) {
			const struct mapping *m = r->packs[p]->mappings[k];

			for (size_t i = 0; i < m->from_n && !w->found; i++)
				cycle_walk(w, m->from[i]);
		}
	free(w);
	return ERR_OK;
}

/* ---- routes ---- */

static int
entry_cmp(const struct entry *e, struct slice type, struct slice system)
{
	int c = slice_cmp(e->type, type);

	return c != 0 ? c : slice_cmp(e->system, system);
}

static int
entry_sort(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;

	return entry_cmp(a, b->type, b->system);
}

static struct entry *
entry_for(struct ruleset *r, struct slice type, struct slice system)
{
	if (vocabulary_find(r->vocabulary, type) != NULL)
		system = SLICE_EMPTY;
	for (size_t i = 0; i < r->entries_n; i++)
		if (entry_cmp(&r->entries[i], type, system) == 0)
			return &r->entries[i];
	r->entries[r->entries_n] =
	    (struct entry){.type = type, .system = system};
	return &r->entries[r->entries_n++];
}

/* Twice over all routes: count, then fill; so lists are exact. */
static enum err
entries_fill(struct ruleset *r)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < r->routes_n; i++) {
			const struct route *x = &r->routes[i];

			for (size_t k = 0; k < x->map->from_n; k++) {
				struct entry *e =
				    entry_for(r, x->map->from[k], x->system);

				if (pass == 1)
					e->routes[e->n] = x;
				e->n++;
			}
		}
		for (size_t i = 0; pass == 0 && i < r->entries_n; i++) {
			struct entry *e = &r->entries[i];

			e->routes = arena_alloc(
			    &r->arena, (e->n + 1) * sizeof(*e->routes));
			if (e->routes == NULL)
				return room("routes");
			e->n = 0;
		}
	}
	return ERR_OK;
}

static enum err
followers_fill(struct ruleset *r)
{
	r->followers =
	    arena_alloc(&r->arena, (r->routes_n + 1) * sizeof(*r->followers));
	if (r->followers == NULL)
		return room("routes");
	for (size_t i = 0; i < r->routes_n; i++) {
		const struct mapping *m = r->routes[i].map;
		bool follows = false;

		for (size_t k = 0; k < m->joins_n; k++)
			follows |= m->joins[k].follows;
		if (follows)
			r->followers[r->followers_n++] = &r->routes[i];
	}
	return ERR_OK;
}

static enum err
routes_make(struct ruleset *r)
{
	size_t routes = 0, entries = 0;
	enum err e;

	for (size_t i = 0; i < r->systems_n; i++) {
		const struct pack *p = r->systems[i].pack;

		routes += p->mappings_n;
		for (size_t k = 0; k < p->mappings_n; k++)
			entries += p->mappings[k]->from_n;
	}
	r->routes = arena_alloc(&r->arena, (routes + 1) * sizeof(*r->routes));
	r->entries =
	    arena_alloc(&r->arena, (entries + 1) * sizeof(*r->entries));
	if (r->routes == NULL || r->entries == NULL)
		return room("routes");
	for (size_t i = 0; i < r->systems_n; i++) {
		const struct system_rules *s = &r->systems[i];

		for (size_t k = 0; k < s->pack->mappings_n; k++) {
			struct route *x = &r->routes[r->routes_n];

			x->id = (uint32_t)r->routes_n++;
			x->system = s->name;
			x->map = s->pack->mappings[k];
			x->sys = s;
		}
	}
	if ((e = followers_fill(r)) != ERR_OK ||
	    (e = entries_fill(r)) != ERR_OK)
		return e;
	if (r->entries_n > 0)
		qsort(
		    r->entries, r->entries_n, sizeof(*r->entries), entry_sort);
	return ERR_OK;
}

static enum err
load(struct ruleset *r, const struct config *c, struct slice answers,
    struct faults *f)
{
	size_t had = f->count;
	enum err e;

	r->packs_dir = arena_strdup(&r->arena, slice_str(c->packs));
	if (r->packs_dir == NULL)
		return room("a path");
	e = vocabulary_load(r->packs_dir, &r->arena, f, &r->vocabulary);
	if (e != ERR_OK)
		return e;
	if ((e = packs_load(r, c, f)) != ERR_OK ||
	    (e = systems_load(r, c, f)) != ERR_OK ||
	    (e = graph_check(r, f)) != ERR_OK)
		return e;
	if (f->count != had)
		return err_note(ERR_CONFIG, "%zu faults", f->count - had);
	if ((e = routes_make(r)) != ERR_OK ||
	    (e = ruleset_answers(r, answers)) != ERR_OK)
		return e;
	for (size_t i = 0; i < r->systems_n; i++)
		ruleset_rows_seal(&r->systems[i]);
	return ruleset_bundle_make(r);
}

static struct ruleset *
ruleset_new(void)
{
	struct ruleset *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	arena_init(&r->arena, RULESET_MEMORY);
	buf_init(&r->bundle, RULESET_MEMORY);
	return r;
}

enum err
ruleset_load(struct ruleset **out, const struct config *c, struct slice answers,
    struct faults *f)
{
	struct ruleset *r = ruleset_new();
	enum err e;

	if (r == NULL)
		return err_note(ERR_NOMEM, "no memory for a ruleset");
	if ((e = load(r, c, answers, f)) != ERR_OK) {
		ruleset_free(r);
		return e;
	}
	*out = r;
	return ERR_OK;
}

/* ---- of a bundle ---- */

/* [name, pack, of, settings, rows] */
static enum err
system_read(struct ruleset *r, struct mp_in *in, struct faults *f)
{
	struct system_rules *s = &r->systems[r->systems_n];
	struct slice pack;
	struct mp m;
	enum err e = mp_next(in, &m);

	if (e != ERR_OK || m.type != MP_ARRAY || m.count != 5)
		return err_note(ERR_SYNTAX, "a system of a ruleset is damaged");
	for (int i = 0; i < 3; i++) {
		struct slice *const to[] = {&s->name, &pack, &s->of};

		if (mp_next(in, &m) != ERR_OK || m.type != MP_STR)
			return err_note(
			    ERR_SYNTAX, "a system of a ruleset is damaged");
		if ((e = arena_copy(&r->arena, m.bytes, to[i])) != ERR_OK)
			return e;
	}
	if ((e = mp_value(in, &s->settings)) != ERR_OK ||
	    (e = arena_copy(&r->arena, s->settings, &s->settings)) != ERR_OK)
		return e;
	s->pack = pack_named(r, pack);
	if (s->pack == NULL) {
		e = pack_load(r->packs_dir, pack, r->vocabulary, &r->arena, f,
		    &r->packs[r->packs_n]);
		if (e != ERR_OK)
			return e;
		s->pack = r->packs[r->packs_n++];
	}
	r->names[r->systems_n++] = s->name;
	if ((e = mp_next(in, &m)) != ERR_OK || m.type != MP_ARRAY)
		return err_note(ERR_SYNTAX, "a ruleset's rows are damaged");
	for (uint32_t i = 0; e == ERR_OK && i < m.count; i++)
		e = ruleset_row_read(r, s, in);
	ruleset_rows_seal(s);
	return e;
}

static enum err
bundle_read(
    struct ruleset *r, struct slice bundle, const char *packs, struct faults *f)
{
	struct slice systems;
	struct mp_in in;
	struct mp m;
	enum err e;

	if ((e = mp_check(bundle)) != ERR_OK)
		return e;
	r->packs_dir = arena_strdup(&r->arena, slice_str(packs));
	if (r->packs_dir == NULL)
		return room("a path");
	if (!mp_get(bundle, "systems", &systems))
		return err_note(ERR_SYNTAX, "a ruleset without systems");
	in = mp_in(systems);
	if (mp_next(&in, &m) != ERR_OK || m.type != MP_ARRAY ||
	    m.count > systems.n)
		return err_note(ERR_SYNTAX, "a ruleset without systems");
	r->packs = arena_alloc(&r->arena, (m.count + 1) * sizeof(*r->packs));
	r->systems =
	    arena_alloc(&r->arena, (m.count + 1) * sizeof(*r->systems));
	r->names = arena_alloc(&r->arena, (m.count + 1) * sizeof(*r->names));
	if (r->packs == NULL || r->systems == NULL || r->names == NULL)
		return room("systems");
	e = vocabulary_load(r->packs_dir, &r->arena, f, &r->vocabulary);
	for (uint32_t i = 0; e == ERR_OK && i < m.count; i++)
		e = system_read(r, &in, f);
	if (e == ERR_OK)
		e = routes_make(r);
	return e == ERR_OK ? ruleset_bundle_make(r) : e;
}

enum err
ruleset_of_bundle(struct ruleset **out, struct slice bundle, const char *packs,
    struct faults *f)
{
	struct ruleset *r = ruleset_new();
	enum err e;

	if (r == NULL)
		return err_note(ERR_NOMEM, "no memory for a ruleset");
	e = bundle_read(r, bundle, packs, f);
	if (e != ERR_OK) {
		ruleset_free(r);
		return e;
	}
	*out = r;
	return ERR_OK;
}

void
ruleset_free(struct ruleset *r)
{
	if (r == NULL)
		return;
	buf_fini(&r->bundle);
	arena_fini(&r->arena);
	free(r);
}

/* ---- asking ---- */

const uint8_t *
ruleset_hash(const struct ruleset *r)
{
	return r->hash;
}

enum err
ruleset_bundle(const struct ruleset *r, struct buf *out)
{
	buf_slice(out, buf_all(&r->bundle));
	return buf_check(out);
}

const struct vocabulary *
ruleset_vocabulary(const struct ruleset *r)
{
	return r->vocabulary;
}

static const struct system_rules *
system_named(const struct ruleset *r, struct slice name)
{
	for (size_t i = 0; i < r->systems_n; i++)
		if (slice_eq(r->systems[i].name, name))
			return &r->systems[i];
	return NULL;
}

const struct pack *
ruleset_pack(const struct ruleset *r, struct slice system)
{
	const struct system_rules *s = system_named(r, system);

	return s != NULL ? s->pack : NULL;
}

size_t
ruleset_systems(const struct ruleset *r, const struct slice **names)
{
	*names = r->names;
	return r->systems_n;
}

/* The pack a native type belongs to: what stands before the first dot. */
static const struct pack *
pack_of(const struct ruleset *r, struct slice type)
{
	const uint8_t *dot = memchr(type.p, '.', type.n);

	if (dot == NULL)
		return NULL;
	return pack_named(r, slice_of(type.p, (size_t)(dot - type.p)));
}

const struct schema *
ruleset_schema(const struct ruleset *r, struct slice type)
{
	const struct schema *s = vocabulary_find(r->vocabulary, type);
	const struct pack *p;

	if (s != NULL)
		return s;
	p = pack_of(r, type);
	return p != NULL ? pack_schema(p, type) : NULL;
}

bool
ruleset_may_publish(
    const struct ruleset *r, struct slice system, struct slice type)
{
	const struct system_rules *s = system_named(r, system);

	return s != NULL && pack_owns(s->pack->name, type) &&
	       pack_sends(s->pack, type) == NULL;
}

size_t
ruleset_routes(const struct ruleset *r, struct slice type, struct slice source,
    const struct route *const **out)
{
	size_t lo = 0, hi = r->entries_n;

	*out = NULL;
	if (r->entries_n == 0)
		return 0;
	/* A canonical entry has no system and so sorts first of its type;
	 * a type has entries of one sort only. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct entry *e = &r->entries[mid];
		int c = slice_cmp(e->type, type);

		if (c == 0 && e->system.n > 0)
			c = slice_cmp(e->system, source);
		if (c == 0) {
			*out = e->routes;
			return e->n;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

const struct route *
ruleset_route(const struct ruleset *r, uint32_t id)
{
	return id < r->routes_n ? &r->routes[id] : NULL;
}

const struct route *
ruleset_route_find(
    const struct ruleset *r, struct slice system, struct slice map)
{
	for (size_t i = 0; i < r->routes_n; i++)
		if (slice_eq(r->routes[i].system, system) &&
		    slice_eq(r->routes[i].map->name, map))
			return &r->routes[i];
	return NULL;
}

const struct route *
ruleset_follower(const struct ruleset *r, size_t i)
{
	return i < r->followers_n ? r->followers[i] : NULL;
}

bool
ruleset_followed(const struct ruleset *r, struct slice type)
{
	for (size_t i = 0; i < r->followers_n; i++) {
		const struct mapping *m = r->followers[i]->map;

		for (size_t k = 0; k < m->joins_n; k++)
			if (m->joins[k].follows &&
			    slice_eq(m->joins[k].type, type))
				return true;
	}
	return false;
}

bool
ruleset_is_request(
    const struct ruleset *r, struct slice type, struct delivery_rule *rule)
{
	const struct pack *p = pack_of(r, type);
	const struct pack_send *s = p != NULL ? pack_sends(p, type) : NULL;

	if (s == NULL)
		return false;
	rule->skip_when_spent = s->skip_when_spent;
	rule->reads = s->reads;
	switch (s->revised) {
	case SEND_AGAIN:
		rule->revised = REVISED_SEND;
		break;
	case SEND_REVERSE:
		rule->revised = REVISED_REVERSE;
		break;
	case SEND_ASK:
		rule->revised = REVISED_ASK;
		break;
	case SEND_NEVER:
		rule->revised = REVISED_NEVER;
		break;
	}
	return true;
}

/* ---- subjects ---- */

static enum err
subject_check(struct slice s)
{
	const uint8_t *colon = memchr(s.p, ':', s.n);

	if (colon == NULL || colon == s.p || colon == s.p + s.n - 1)
		return err_note(ERR_SYNTAX,
		    "\"%.*s\" is no subject: write kind:value, as order:1042",
		    SLICE_ARG(s));
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return err_note(
			    ERR_SYNTAX, "a subject holds a control character");
	return ERR_OK;
}

enum err
subject_scope(const struct vocabulary *v, struct slice system, struct slice of,
    struct slice written, struct buf *out)
{
	size_t at = out->n, kind_n;
	struct slice owner = system, rest;
	enum err e;

	if (written.n > SUBJECT_MAX)
		return err_note(ERR_SYNTAX,
		    "a subject of %zu bytes; %d are allowed", written.n,
		    SUBJECT_MAX);
	if ((e = subject_check(written)) != ERR_OK)
		return e;
	kind_n = (size_t)((const uint8_t *)memchr(written.p, ':', written.n) -
			  written.p);
	rest = slice_from(written, kind_n + 1);
	for (size_t i = 0; i < v->n; i++) {
		const struct schema *s = v->schemas[i];

		if (!slice_eq(s->kind, slice_of(written.p, kind_n)))
			continue;
		owner = s->house ? SLICE_EMPTY : of;
		break;
	}
	buf_put(out, written.p, kind_n + 1);
	if (owner.n > 0 &&
	    !(rest.n > owner.n + 1 && slice_starts(rest, owner) &&
		rest.p[owner.n] == '/')) {
		buf_slice(out, owner);
		buf_byte(out, '/');
	}
	buf_slice(out, rest);
	if (out->n - at > SUBJECT_MAX) {
		out->n = at;
		return err_note(ERR_SYNTAX,
		    "\"%.*s\" is a subject of more than %d bytes",
		    SLICE_ARG(written), SUBJECT_MAX);
	}
	return buf_check(out);
}

enum err
ruleset_scope(const struct ruleset *r, struct slice system,
    struct slice written, struct buf *out)
{
	const struct system_rules *s = system_named(r, system);

	if (s == NULL)
		return err_note(
		    ERR_NOTFOUND, "there is no system %.*s", SLICE_ARG(system));
	return subject_scope(r->vocabulary, s->name, s->of, written, out);
}

/* ---- evaluating ---- */

struct scoping {
	const struct ruleset *r;
	const struct system_rules *s;
};

static enum err
scope_resolve(void *self, struct slice written, struct buf *out)
{
	const struct scoping *x = self;

	return subject_scope(
	    x->r->vocabulary, x->s->name, x->s->of, written, out);
}

const struct result *
ruleset_eval(const struct ruleset *r, const struct route *route, struct eval *e,
    struct slice envelope, struct slice data, const struct reader *reader)
{
	struct scoping self = {r, route->sys};
	const struct scope scope = {&self, scope_resolve};
	const struct input in = {
	    .event = envelope,
	    .data = data,
	    .settings = route->sys->settings,
	    .scope = &scope,
	    .reader = reader,
	    .rows = &route->sys->rows,
	    .system = route->system,
	};

	return mapping_eval(e, route->map, &in);
}
