/*
 * type - what is known of a value before any event is seen: from schemas, from
 * tables, from what functions and `data` build. Types are immutable and shared;
 * a change makes a copy.
 */
#include "mappings/engine/lang.h"

#define BASIC(id, k)                    \
	const struct type type_##id = { \
	    .kind = k, .absent = k == K_ANY ? MAYBE : PRESENT}
BASIC(any, K_ANY);
BASIC(text, K_TEXT);
BASIC(int, K_INT);
BASIC(dec, K_DEC);
BASIC(bool, K_BOOL);
BASIC(time, K_TIME);
BASIC(date, K_DATE);
BASIC(null, K_NULL);

const char *
type_name(enum kind k)
{
	static const char *const names[] = {"any value", "text",
	    "a whole number", "a decimal", "true or false", "a time", "a date",
	    "a map", "a list", "null"};

	return names[k];
}

static enum kind
kind_of_schema(enum schema_type t)
{
	static const enum kind kinds[] = {
	    [SCHEMA_ANY] = K_ANY,
	    [SCHEMA_TEXT] = K_TEXT,
	    [SCHEMA_INTEGER] = K_INT,
	    [SCHEMA_DECIMAL] = K_DEC,
	    [SCHEMA_BOOL] = K_BOOL,
	    [SCHEMA_TIME] = K_TIME,
	    [SCHEMA_DATE] = K_DATE,
	    [SCHEMA_MAP] = K_MAP,
	    [SCHEMA_LIST] = K_LIST,
	};

	return kinds[t];
}

static const struct shape *
shape_of(struct lang *l, const struct schema_field *map, const char *what)
{
	struct shape *s = lang_alloc(l, sizeof(*s));
	const struct schema_field *f;
	const struct type **types;
	struct slice *names;
	size_t n = 0;

	for (f = map->fields; f != NULL; f = f->next)
		n++;
	names = lang_alloc(l, (n + 1) * sizeof(*names));
	types = lang_alloc(l, (n + 1) * sizeof(*types));
	for (n = 0, f = map->fields; f != NULL; f = f->next, n++) {
		names[n] = f->name;
		types[n] = type_of_field(l, f, what);
	}
	*s = (struct shape){n, names, types, what};
	return s;
}

const struct type *
type_of_field(struct lang *l, const struct schema_field *f, const char *what)
{
	struct type *t = lang_alloc(l, sizeof(*t));

	t->kind = kind_of_schema(f->type);
	t->absent = f->optional ? OPTIONAL : t->kind == K_ANY ? MAYBE : PRESENT;
	t->blank = f->blank_absent;
	t->zone = f->zone;
	t->enum_n = f->enum_n;
	t->enums = f->enums;
	if (t->kind == K_LIST)
		t->item = f->item != NULL ? type_of_field(l, f->item, what)
					  : &type_any;
	else if (t->kind == K_MAP)
		t->shape = shape_of(l, f, what);
	return t;
}

const struct type *
type_of_map(struct lang *l, const struct schema_field *f, const char *what)
{
	return type_absent(l, type_of_field(l, f, what), PRESENT);
}

const struct type *
type_list(struct lang *l, const struct type *item)
{
	struct type *t = lang_alloc(l, sizeof(*t));

	t->kind = K_LIST;
	t->item = item;
	return t;
}

const struct type *
type_absent(struct lang *l, const struct type *t, enum absence a)
{
	struct type *copy;

	if (t->absent == a)
		return t;
	copy = lang_alloc(l, sizeof(*copy));
	*copy = *t;
	copy->absent = a;
	if (a == PRESENT)
		copy->blank = false;
	return copy;
}

const struct type *
type_inside(struct lang *l, const struct type *t)
{
	struct type *any;

	if (!t->blank)
		return &type_any;
	any = lang_alloc(l, sizeof(*any));
	*any = type_any;
	any->blank = true;
	return any;
}

const struct type *
shape_find(const struct shape *s, struct slice name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (slice_eq(s->names[i], name))
			return s->types[i];
	return NULL;
}

const char *
shape_nearest(struct lang *l, const struct shape *s, struct slice name)
{
	const char **names = lang_alloc(l, (s->n + 1) * sizeof(*names));
	size_t i;

	for (i = 0; i < s->n; i++)
		names[i] = (const char *)lang_copy(l, s->names[i]).p;
	return yaml_nearest(name, names);
}

/* Fields of both; one that only one side has may be absent. */
static const struct shape *
either_shape(struct lang *l, const struct shape *a, const struct shape *b)
{
	struct shape *s = lang_alloc(l, sizeof(*s));
	struct slice *names;
	const struct type **types, *t;
	size_t i, n = 0;

	names = lang_alloc(l, (a->n + b->n + 1) * sizeof(*names));
	types = lang_alloc(l, (a->n + b->n + 1) * sizeof(*types));
	for (i = 0; i < a->n; i++, n++) {
		t = shape_find(b, a->names[i]);
		names[n] = a->names[i];
		types[n] = t != NULL ? type_either(l, a->types[i], t)
				     : type_absent(l, a->types[i], OPTIONAL);
	}
	for (i = 0; i < b->n; i++) {
		if (shape_find(a, b->names[i]) != NULL)
			continue;
		names[n] = b->names[i];
		types[n++] = type_absent(l, b->types[i], OPTIONAL);
	}
	*s = (struct shape){n, names, types, a->what};
	return s;
}

const struct type *
type_either(struct lang *l, const struct type *a, const struct type *b)
{
	struct type *t;
	enum absence absent = a->absent > b->absent ? a->absent : b->absent;

	if (a == b)
		return a;
	if (a->kind == K_NULL)
		return type_absent(l, b, OPTIONAL);
	if (b->kind == K_NULL)
		return type_absent(l, a, OPTIONAL);
	if (a->kind != b->kind && !((a->kind == K_INT && b->kind == K_DEC) ||
				      (a->kind == K_DEC && b->kind == K_INT)))
		return type_absent(l, &type_any, absent);
	t = lang_alloc(l, sizeof(*t));
	*t = *a;
	t->absent = absent;
	t->enum_n = 0;
	t->enums = NULL;
	t->blank = a->blank || b->blank;
	if (t->zone == NULL)
		t->zone = b->zone;
	if (a->kind != b->kind)
		t->kind = K_DEC;
	if (a->kind == K_LIST)
		/* [] has no item type of its own */
		t->item = a->item == NULL   ? b->item
			  : b->item == NULL ? a->item
					    : type_either(l, a->item, b->item);
	if (a->kind == K_MAP)
		t->shape = a->shape == NULL || b->shape == NULL ? NULL
			   : a->shape == b->shape
			       ? a->shape
			       : either_shape(l, a->shape, b->shape);
	return t;
}

const struct type *
type_record(struct lang *l, const char *what, size_t n,
    const char *const *names, const struct type *const *types)
{
	struct type *t = lang_alloc(l, sizeof(*t));
	struct shape *s = lang_alloc(l, sizeof(*s));
	struct slice *copy = lang_alloc(l, (n + 1) * sizeof(*copy));
	const struct type **held = lang_alloc(l, (n + 1) * sizeof(*held));
	size_t i;

	for (i = 0; i < n; i++) {
		copy[i] = slice_str(names[i]);
		held[i] = types[i];
	}
	*s = (struct shape){n, copy, held, what};
	t->kind = K_MAP;
	t->shape = s;
	return t;
}

/* The envelope: what every event has, and what some have. */
const struct type *
type_event(struct lang *l)
{
	static const struct {
		const char *name;
		const struct type *type;
		bool optional;
	} fields[] = {
	    {"id", &type_text, false},
	    {"source", &type_text, false},
	    {"type", &type_text, false},
	    {"subject", &type_text, false},
	    {"time", &type_time, false},
	    {"specversion", &type_text, true},
	    {"refs", NULL, true},
	    {"revision", &type_int, true},
	    {"revisedby", &type_any, true},
	    {"withdrawn", &type_bool, true},
	    {"recordedtime", &type_time, true},
	    {"sequence", &type_int, true},
	    {"correlationid", &type_text, true},
	    {"causationid", &type_text, true},
	    {"traceparent", &type_text, true},
	    {"target", &type_text, true},
	};
	const char *names[sizeof(fields) / sizeof(*fields)];
	const struct type *types[sizeof(fields) / sizeof(*fields)];
	size_t i, n = sizeof(fields) / sizeof(*fields);

	for (i = 0; i < n; i++) {
		names[i] = fields[i].name;
		types[i] = fields[i].type != NULL ? fields[i].type
						  : type_list(l, &type_text);
		if (fields[i].optional)
			types[i] = type_absent(l, types[i], OPTIONAL);
	}
	return type_record(l, "the envelope", n, names, types);
}
