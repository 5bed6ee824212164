/*
 * maptest_check - a mapping's tests as they stand: every word and name in them
 * that does not exist, with the nearest that does. What a test expects is held
 * against what the mapping builds, what it gives against the input's schema,
 * unless that is open. Rejected: leaving it to running them; a misspelt
 * `absent` field would pass for ever.
 */
#include <stdio.h>

#include "mappings/engine/lang.h"
#include "mappings/engine/maptest_inner.h"
#include "mappings/engine/words.h"

#define SHAPES 32 /* what a value may be: one for each emit */

struct checking {
	const struct mapfile *m;
	struct yaml_at at;
	struct arena a;
};

/* What something may be; n = 0: nobody knows. */
struct shapes {
	size_t n;
	const struct type *t[SHAPES];
};

static const char *
nearest(struct checking *c, const struct shapes *s, struct slice name)
{
	const char *names[257];
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->t[i]->shape->n && n < 256; k++)
			if ((names[n] = arena_strdup(
				 &c->a, s->t[i]->shape->names[k])) != NULL)
				n++;
	names[n] = NULL;
	return yaml_nearest(name, names);
}

static void
unknown(struct checking *c, const struct shapes *s, const struct yaml *at,
    struct slice name, const char *what)
{
	const char *near = nearest(c, s, name);

	fault(c->at.f, c->at.file, at, "%s has no field %.*s%s%s%s", what,
	    SLICE_ARG(name), near != NULL ? "; did you mean " : "",
	    near != NULL ? near : "", near != NULL ? "?" : "");
}

/* One step down by name. False: none of them has it. */
static bool
field(const struct shapes *s, struct slice name, struct shapes *out)
{
	bool found = s->n == 0, any = false;

	*out = (struct shapes){0};
	for (size_t i = 0; i < s->n; i++) {
		const struct type *t = s->t[i];

		if (t->kind != K_MAP || t->shape == NULL) {
			found = any = true;
			continue;
		}
		t = shape_find(t->shape, name);
		if (t == NULL)
			continue;
		found = true;
		if (t->kind == K_ANY)
			any = true;
		else
			out->t[out->n++] = t;
	}
	if (any)
		out->n = 0;
	return found;
}

static void
item(const struct shapes *s, struct shapes *out)
{
	*out = (struct shapes){0};
	for (size_t i = 0; i < s->n; i++)
		if (s->t[i]->kind == K_LIST && s->t[i]->item != NULL &&
		    s->t[i]->item->kind != K_ANY)
			out->t[out->n++] = s->t[i]->item;
		else {
			out->n = 0;
			return;
		}
}

static bool
all_maps(const struct shapes *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->t[i]->kind != K_MAP || s->t[i]->shape == NULL)
			return false;
	return s->n > 0;
}

static void
data_check(struct checking *c, const struct yaml *y, const struct shapes *s,
    const char *what)
{
	struct shapes in;

	if (s->n == 0)
		return;
	if (y->kind == YAML_LIST) {
		item(s, &in);
		for (y = y->child; y != NULL; y = y->next)
			data_check(c, y, &in, what);
		return;
	}
	if (y->kind != YAML_MAP || !all_maps(s))
		return;
	for (y = y->child; y != NULL; y = y->next)
		if (!field(s, y->key->text, &in))
			unknown(c, s, y->key, y->key->text, what);
		else
			data_check(c, y, &in, what);
}

/* "lines[2].sku"; what is more than names and numbers is left to running. */
static void
path_check(struct checking *c, const struct yaml *y, const struct shapes *in,
    const char *what)
{
	struct slice rest = y->text;
	struct shapes s = *in, next;

	while (rest.n > 0 && s.n > 0) {
		size_t n = 0;

		if (rest.p[0] == '[') {
			while (n < rest.n && rest.p[n] != ']')
				n++;
			item(&s, &next);
			s = next;
			rest = slice_from(rest, n < rest.n ? n + 1 : n);
			continue;
		}
		if (rest.p[0] == '.') {
			rest = slice_from(rest, 1);
			continue;
		}
		while (n < rest.n && rest.p[n] != '.' && rest.p[n] != '[')
			n++;
		if (memchr(rest.p, '\'', n) != NULL || !all_maps(&s))
			return;
		if (!field(&s, slice_of(rest.p, n), &next)) {
			unknown(c, &s, y, slice_of(rest.p, n), what);
			return;
		}
		s = next;
		rest = slice_from(rest, n);
	}
}

/* What the mapping builds: of one type, or of all. */
static struct shapes
built(const struct checking *c, const struct yaml *type)
{
	const struct program *p = c->m->map->program;
	struct shapes s = {0};

	for (size_t i = 0; i < p->emits_n && s.n < SHAPES; i++) {
		const struct emit *e = &p->emits[i];

		if (type != NULL && !slice_eq(type->text, e->type))
			continue;
		if (e->data == NULL || e->data->type == NULL ||
		    e->data->type->kind != K_MAP)
			return (struct shapes){0};
		s.t[s.n++] = e->data->type;
	}
	return s;
}

static struct shapes
taken(const struct checking *c)
{
	const struct mapping *m = c->m->map;
	struct shapes s = {0};

	for (size_t i = 0; i < m->from_n; i++) {
		const struct schema *x = pack_schema(c->m->pack, m->from[i]);

		if (x == NULL)
			x = vocabulary_find(c->m->vocabulary, m->from[i]);
		if (x == NULL || x->open)
			return s;
	}
	s.t[s.n++] = m->program->in->type;
	return s;
}

static bool
is_type(const struct checking *c, const struct yaml *type)
{
	const struct mapping *m = c->m->map;

	for (size_t i = 0; type != NULL && i < m->emits_n; i++)
		if (type->kind == YAML_SCALAR &&
		    slice_eq(m->emits[i], type->text))
			return true;
	return false;
}

static void
event_check(struct checking *c, const struct yaml *y)
{
	const struct yaml *type = yaml_get(y, "type"),
			  *data = yaml_get(y, "data");
	struct shapes s;

	if (!yaml_known(&c->at, y, words_event, "an event"))
		return;
	if (type != NULL && !is_type(c, type)) {
		fault(c->at.f, c->at.file, type, "this mapping emits no %.*s",
		    SLICE_ARG(type->text));
		return;
	}
	s = built(c, type);
	if (data != NULL)
		data_check(c, data, &s, "what is built");
}

static void
expect_check(struct checking *c, const struct yaml *y)
{
	struct shapes all = built(c, NULL);
	const struct yaml *one = y;

	if (y->kind == YAML_LIST)
		one = y->child;
	for (; one != NULL; one = y->kind == YAML_LIST ? one->next : NULL)
		if (y->kind == YAML_LIST && is_type(c, yaml_get(one, "type")))
			event_check(c, one);
		else
			data_check(c, one, &all, "what is built");
}

static void
given_check(struct checking *c, const struct yaml *y)
{
	const struct yaml *set = yaml_get(y, "set"), *data;
	struct shapes in = taken(c);
	bool described;

	if (y->kind != YAML_MAP)
		return;
	data = yaml_get(y, "data");
	described = data != NULL || yaml_get(y, "file") != NULL ||
		    yaml_get(y, "fixture") != NULL;
	if (!described) {
		data_check(c, y, &in, "the input");
		return;
	}
	(void)yaml_known(&c->at, y, words_given, "given");
	if (data != NULL)
		data_check(c, data, &in, "the input");
	if (set != NULL && set->kind == YAML_MAP)
		for (set = set->child; set != NULL; set = set->next)
			path_check(c, set->key, &in, "the input");
}

static void
name_check(struct checking *c, const struct yaml *y, const char *const *names,
    const char *what)
{
	const char *near;

	if (y == NULL || y->kind != YAML_SCALAR)
		return;
	for (size_t i = 0; names[i] != NULL; i++)
		if (slice_is(y->text, names[i]))
			return;
	near = yaml_nearest(y->text, names);
	fault(c->at.f, c->at.file, y, "this mapping has no %s %.*s%s%s%s", what,
	    SLICE_ARG(y->text), near != NULL ? "; did you mean " : "",
	    near != NULL ? near : "", near != NULL ? "?" : "");
}

static void
test_check(struct checking *c, const struct yaml *t)
{
	const struct program *p = c->m->map->program;
	const char *names[130];
	const struct yaml *y;
	size_t joins = 0, n;

	if (!yaml_want(&c->at, t, YAML_MAP, "a test"))
		return;
	(void)yaml_known(&c->at, t, words_test, "a test");
	for (; joins < c->m->map->joins_n && joins < 64; joins++)
		names[joins] =
		    arena_strdup(&c->a, c->m->map->joins[joins].name);
	names[joins] = NULL;
	if ((y = yaml_get(t, "with")) != NULL)
		(void)yaml_known(&c->at, y, names, "with");
	/* a subject's ref that nobody knows waits under no join's name */
	names[joins] = "subject";
	names[joins + 1] = NULL;
	name_check(c, yaml_get(t, "waits"), names, "join");
	n = joins + 1;
	for (size_t i = 0; i < p->tables_n && n < 129; i++)
		names[n++] = arena_strdup(&c->a, p->tables[i].name);
	names[n] = NULL;
	name_check(c, yaml_get(t, "asks"), names, "table");
	if ((y = yaml_get(t, "given")) != NULL)
		given_check(c, y);
	if ((y = yaml_get(t, "scenario")) != NULL)
		for (y = y->child; y != NULL; y = y->next)
			given_check(c, y);
	if ((y = yaml_get(t, "expect")) != NULL)
		expect_check(c, y);
	if ((y = yaml_get(t, "events")) != NULL)
		for (y = y->child; y != NULL; y = y->next)
			event_check(c, y);
}

void
maptest_check(const struct mapfile *m, const struct yaml_at *at)
{
	const struct yaml *tests = yaml_get(m->root, "tests");
	struct checking c = {.m = m, .at = *at};

	if (tests == NULL || !yaml_want(at, tests, YAML_LIST, "tests"))
		return;
	arena_init(&c.a, 1024 * 1024);
	for (const struct yaml *t = tests->child; t != NULL; t = t->next) {
		test_check(&c, t);
		arena_reset(&c.a);
	}
	arena_fini(&c.a);
}
