/*
 * schema - loading a schema file and finding fields in it. What data must look
 * like is checked in schema_check.c, personal fields are taken out and put back
 * in schema_seal.c.
 *
 * Invariant: a loaded schema never changes, and its names and texts live in the
 * arena it was loaded into. Fields are linked in the file's order, which is
 * also the order of documentation. Rejected: a hash of fields; the widest
 * native schema has about a hundred, and paths are resolved when a mapping
 * loads, not when an event comes.
 */
#include "broker/base/yaml_check.h"
#include "mappings/engine/schema.h"
#include "mappings/engine/words.h"

struct load {
	struct yaml_at at;
	struct arena *a;
	bool blank; /* what fields inherit */
	const struct zone *zone;
	bool json; /* a field says json: true */
	bool nomem;
};

static bool field_load(
    struct load *l, const struct yaml *y, struct schema_field *out);

static void *
take(struct load *l, size_t n)
{
	void *p = arena_alloc(l->a, n);

	if (p == NULL)
		l->nomem = true;
	return p;
}

static struct slice
keep(struct load *l, struct slice s)
{
	struct slice out = SLICE_EMPTY;

	if (s.n > 0 && arena_copy(l->a, s, &out) != ERR_OK)
		l->nomem = true;
	return out;
}

static struct schema_field *
field_new(struct load *l, uint32_t line)
{
	struct schema_field *x = take(l, sizeof(*x));

	if (x != NULL) {
		x->name = x->title = SLICE_EMPTY;
		x->line = line;
	}
	return x;
}

static const struct zone *
zone_load(struct load *l, const struct yaml *y, const struct zone *otherwise)
{
	const struct zone *z;

	if (y == NULL || !yaml_want(&l->at, y, YAML_SCALAR, "zone"))
		return otherwise;
	if (zone_get(y->text, &z) == ERR_OK)
		return z;
	fault(l->at.f, l->at.file, y, "%s", err_last());
	return otherwise;
}

static bool
blank_load(struct load *l, const struct yaml *y, bool otherwise)
{
	int i = yaml_word(&l->at, y, words_blank, "blank");

	return i < 0 ? otherwise : i == 1;
}

static void
enum_load(struct load *l, const struct yaml *y, struct schema_field *out)
{
	struct slice *list;
	size_t n = 0;

	if (y == NULL || !yaml_want(&l->at, y, YAML_LIST, "enum"))
		return;
	list = take(l, (y->count + 1) * sizeof(*list));
	if (list == NULL)
		return;
	for (const struct yaml *c = y->child; c != NULL; c = c->next) {
		struct slice word = yaml_text(&l->at, c, "a word of enum");

		for (size_t i = 0; i < n; i++)
			if (slice_eq(list[i], word))
				fault(l->at.f, l->at.file, c,
				    "\"%.*s\" stands in enum twice",
				    SLICE_ARG(word));
		list[n++] = keep(l, word);
	}
	if (n == 0)
		fault(l->at.f, l->at.file, y,
		    "enum must name at least one "
		    "word");
	out->enums = list;
	out->enum_n = n;
}

/* The fields of a map, as a linked list in the file's order. */
static bool
fields_load(
    struct load *l, const struct yaml *y, const struct schema_field **out)
{
	struct schema_field *first = NULL, *last = NULL;
	bool fine = true;

	*out = NULL;
	if (!yaml_want(&l->at, y, YAML_MAP, "fields"))
		return false;
	for (const struct yaml *c = y->child; c != NULL; c = c->next) {
		struct schema_field *x = field_new(l, c->key->line);
		struct slice name = c->key->text;

		if (x == NULL)
			return false;
		if (c->key->style == YAML_PLAIN && name.n > 1 &&
		    name.p[name.n - 1] == '?') {
			x->optional = true;
			name.n--;
		}
		x->name = keep(l, name);
		for (const struct schema_field *o = first; o != NULL;
		     o = o->next)
			if (slice_eq(o->name, name)) {
				fault(l->at.f, l->at.file, c->key,
				    "field \"%.*s\" stands here twice, first "
				    "on line %u",
				    SLICE_ARG(name), o->line);
				fine = false;
			}
		if (!field_load(l, c, x))
			fine = false;
		if (last != NULL)
			last->next = x;
		else
			first = x;
		last = x;
	}
	*out = first;
	return fine;
}

/* items: {id: text}, items: text, list: text, list: {fields: ...} */
static bool
item_load(
    struct load *l, const struct yaml *y, bool fields, struct schema_field *out)
{
	struct schema_field *item = field_new(l, y->line);

	if (item == NULL)
		return false;
	item->blank_absent = out->blank_absent;
	item->zone = out->zone;
	out->type = SCHEMA_LIST;
	out->item = item;
	if (fields && y->kind == YAML_MAP) {
		item->type = SCHEMA_MAP;
		return fields_load(l, y, &item->fields);
	}
	return field_load(l, y, item);
}

/* What was described is what the list's items are. */
static bool
many_make(struct load *l, struct schema_field *out)
{
	struct schema_field *item = field_new(l, out->line);

	if (item == NULL)
		return false;
	*item = *out;
	item->name = item->title = SLICE_EMPTY;
	item->optional = item->json = false;
	item->next = NULL;
	out->type = SCHEMA_LIST;
	out->item = item;
	out->fields = NULL;
	out->enum_n = 0;
	out->enums = NULL;
	return true;
}

static bool
type_load(struct load *l, const struct yaml *y, struct schema_field *out)
{
	static const enum schema_type types[] = {SCHEMA_ANY, SCHEMA_TEXT,
	    SCHEMA_INTEGER, SCHEMA_DECIMAL, SCHEMA_BOOL, SCHEMA_TIME,
	    SCHEMA_DATE};
	int i = yaml_word(&l->at, y, words_type, "type");

	if (i < 0)
		return false;
	out->type = types[i];
	return true;
}

static bool
field_load(struct load *l, const struct yaml *y, struct schema_field *out)
{
	const struct yaml *type, *fields, *items, *list;
	bool was_blank = l->blank, fine, many = false;
	const struct zone *was_zone = l->zone;

	out->blank_absent = l->blank;
	out->zone = l->zone;
	if (y->kind == YAML_SCALAR)
		return type_load(l, y, out);
	if (y->kind == YAML_LIST) {
		fault(l->at.f, l->at.file, y,
		    "a field is a type word or a map; a list is written "
		    "{list: TYPE} or {items: {FIELD: TYPE}}");
		return false;
	}
	fine = yaml_known(&l->at, y, words_field, "a field");
	type = yaml_get(y, "type");
	fields = yaml_get(y, "fields");
	items = yaml_get(y, "items");
	list = yaml_get(y, "list");
	if ((type != NULL) + (fields != NULL) + (items != NULL) +
		(list != NULL) !=
	    1) {
		fault(l->at.f, l->at.file, y,
		    "a field needs exactly one of type, fields, items, list");
		return false;
	}
	yaml_flag(&l->at, yaml_get(y, "personal"), "personal", &out->personal);
	yaml_flag(&l->at, yaml_get(y, "optional"), "optional", &out->optional);
	yaml_flag(&l->at, yaml_get(y, "json"), "json", &out->json);
	l->json = l->json || out->json;
	yaml_flag(&l->at, yaml_get(y, "many"), "many", &many);
	if (many && items != NULL)
		fault(l->at.f, l->at.file, yaml_get(y, "many"),
		    "items: is a list already; many stands beside type, fields "
		    "or list");
	out->title = keep(l, yaml_text(&l->at, yaml_get(y, "title"), "title"));
	out->blank_absent = blank_load(l, yaml_get(y, "blank"), l->blank);
	out->zone = zone_load(l, yaml_get(y, "zone"), l->zone);
	l->blank = out->blank_absent;
	l->zone = out->zone;
	if (fields != NULL) {
		out->type = SCHEMA_MAP;
		fine = fields_load(l, fields, &out->fields) && fine;
	} else if (items != NULL) {
		fine = item_load(l, items, true, out) && fine;
	} else if (list != NULL) {
		fine = item_load(l, list, false, out) && fine;
	} else {
		fine = type_load(l, type, out) && fine;
		enum_load(l, yaml_get(y, "enum"), out);
	}
	l->blank = was_blank;
	l->zone = was_zone;
	return many && items == NULL ? many_make(l, out) && fine : fine;
}

/* "buyer.email" must lead to a text field of this schema. */
static void
person_check(struct load *l, const struct yaml *y, const struct schema *s)
{
	const struct schema_field *at = &s->root;
	struct slice rest = s->person;

	while (rest.n > 0 && at != NULL) {
		const uint8_t *dot = memchr(rest.p, '.', rest.n);
		size_t n = dot != NULL ? (size_t)(dot - rest.p) : rest.n;

		if (at->type == SCHEMA_ANY)
			return;
		at = schema_find(at, slice_of(rest.p, n));
		rest = slice_from(rest, dot != NULL ? n + 1 : n);
	}
	if (at == NULL)
		fault(l->at.f, l->at.file, y,
		    "person: there is no field \"%.*s\" in this schema",
		    SLICE_ARG(s->person));
	else if (at->type != SCHEMA_TEXT && at->type != SCHEMA_ANY)
		fault(l->at.f, l->at.file, y,
		    "person: \"%.*s\" must be a text field",
		    SLICE_ARG(s->person));
}

static void
subject_load(struct load *l, const struct yaml *y, struct schema *s)
{
	const struct yaml *kind, *scope;

	if (y == NULL || !yaml_known(&l->at, y, words_subject_of, "subject"))
		return;
	kind = yaml_get(y, "kind");
	scope = yaml_get(y, "scope");
	if (kind == NULL || scope == NULL) {
		fault(l->at.f, l->at.file, y,
		    "subject needs kind and scope: {kind: order, scope: "
		    "system}");
		return;
	}
	s->kind = keep(l, yaml_text(&l->at, kind, "kind"));
	if (memchr(s->kind.p, ':', s->kind.n) != NULL)
		fault(l->at.f, l->at.file, kind,
		    "a subject's kind is a word without a colon");
	s->house = yaml_word(&l->at, scope, words_scope, "scope") == 1;
}

/* The file is named after its type, so that a person finds it. */
static void
file_check(struct load *l, const struct yaml *y, const struct schema *s)
{
	const char *base = strrchr(s->file, '/');

	base = base != NULL ? base + 1 : s->file;
	if (s->type.n == 0 || (strlen(base) == s->type.n + 5 &&
				  memcmp(base, s->type.p, s->type.n) == 0))
		return;
	fault(l->at.f, l->at.file, y,
	    "this file describes \"%.*s\" and so must be named %.*s.yaml",
	    SLICE_ARG(s->type), SLICE_ARG(s->type));
}

static void
head_load(struct load *l, const struct yaml *root, struct schema *s)
{
	const struct yaml *y = yaml_get(root, "schema");
	struct slice name = SLICE_EMPTY;
	int i;

	s->type = s->title = s->person = s->kind = SLICE_EMPTY;
	if (y == NULL)
		fault(l->at.f, l->at.file, root,
		    "the first line must say what this describes: "
		    "schema: TYPE/1");
	else if (yaml_versioned(&l->at, y, "schema", &name, &s->version)) {
		s->type = keep(l, name);
		file_check(l, y, s);
		if (memchr(name.p, '.', name.n) == NULL)
			fault(l->at.f, l->at.file, y,
			    "a type has a dot in its name: order.placed");
	}
	s->title = keep(l, yaml_text(&l->at, yaml_get(root, "title"), "title"));
	s->person =
	    keep(l, yaml_text(&l->at, yaml_get(root, "person"), "person"));
	yaml_flag(&l->at, yaml_get(root, "open"), "open", &s->open);
	y = yaml_get(root, "subject");
	if (s->canonical && y == NULL)
		fault(l->at.f, l->at.file, root,
		    "a canonical type declares its subject: {kind: order, "
		    "scope: system}");
	subject_load(l, y, s);
	i = yaml_word(&l->at, yaml_get(root, "seal"), words_seal, "seal");
	s->whole = i < 0 ? !s->canonical : i == 0;
}

enum err
schema_load(const char *path, bool canonical, struct arena *a, struct faults *f,
    const struct schema **out)
{
	struct load l = {.at = {NULL, f}, .a = a};
	size_t had = f->count;
	struct schema *s;
	struct yaml *root;
	const struct yaml *y;
	enum err e;

	s = take(&l, sizeof(*s));
	l.at.file = arena_strdup(a, slice_str(path));
	if (s == NULL || l.at.file == NULL)
		return err_note(ERR_LIMIT, "%s: no room to load it", path);
	if ((e = yaml_load(l.at.file, a, f, &root)) != ERR_OK)
		return e;
	s->file = l.at.file;
	s->canonical = canonical;
	s->root.type = SCHEMA_MAP;
	s->root.name = s->root.title = SLICE_EMPTY;
	(void)yaml_known(&l.at, root, words_schema, "a schema");
	if (root->kind == YAML_MAP) {
		head_load(&l, root, s);
		l.blank = blank_load(&l, yaml_get(root, "blank"), false);
		l.zone = zone_load(&l, yaml_get(root, "zone"), NULL);
		s->root.blank_absent = l.blank;
		s->root.zone = l.zone;
		y = yaml_get(root, "fields");
		if (y == NULL)
			fault(f, l.at.file, root,
			    "a schema needs fields: what the event holds");
		else if (fields_load(&l, y, &s->root.fields) && s->person.n > 0)
			person_check(&l, yaml_get(root, "person"), s);
		s->json = l.json;
		if (l.json && !s->whole)
			fault(f, l.at.file, root,
			    "json: true stands in the schema of a native type "
			    "that is sealed whole; an event that we make holds "
			    "the fields themselves");
	}
	if (l.nomem)
		return err_note(ERR_LIMIT, "%s: no room to load it", path);
	if (f->count != had)
		return err_note(
		    ERR_SYNTAX, "%s has %zu faults", path, f->count - had);
	*out = s;
	return ERR_OK;
}

const struct schema_field *
schema_find(const struct schema_field *map, struct slice name)
{
	const struct schema_field *x;

	for (x = map->fields; x != NULL; x = x->next)
		if (slice_eq(x->name, name))
			return x;
	return NULL;
}

const char *const *
schema_names(const struct schema_field *map, struct arena *a)
{
	static const char *const none[] = {NULL};
	const struct schema_field *x;
	const char **list;
	size_t n = 0;

	for (x = map->fields; x != NULL; x = x->next)
		n++;
	list = arena_alloc(a, (n + 1) * sizeof(*list));
	if (list == NULL)
		return none;
	n = 0;
	for (x = map->fields; x != NULL; x = x->next)
		if ((list[n] = arena_strdup(a, x->name)) != NULL)
			n++;
	list[n] = NULL;
	return list;
}
