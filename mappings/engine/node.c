/*
 * node - `data:` and what stands in it: maps, lists, each, entry and values,
 * read and checked in the order of the file, since each sees what is above it.
 *
 * Node words are plain keys; a quoted key is always a field. What a node builds
 * has a type of its own, by which $out reads it and by which it is held against
 * the schema of the emitted type.
 */
#include <stdio.h>

#include "mappings/engine/run.h"
#include "mappings/engine/words.h"

static void load_node(
    struct lang *l, const struct yaml *y, struct node *n, unsigned depth);

static bool
is_word(const struct yaml *key)
{
	size_t i;

	for (i = 0; key->style == YAML_PLAIN && words_node[i] != NULL; i++)
		if (slice_is(key->text, words_node[i]))
			return true;
	return false;
}

static const struct yaml *
word(const struct yaml *y, const char *name)
{
	for (y = y->child; y != NULL; y = y->next)
		if (y->key->style == YAML_PLAIN && slice_is(y->key->text, name))
			return y;
	return NULL;
}

/* "order.placed: lines.sku" */
static size_t
path_of(const struct node *n, char *out, size_t max)
{
	size_t at = n->parent != NULL ? path_of(n->parent, out, max) : 0;
	int k;

	if (n->name.n == 0 || at >= max)
		return at;
	k = snprintf(out + at, max - at, "%s%.*s", at > 0 ? "." : "",
	    SLICE_ARG(n->name));
	return k > 0 ? at + (size_t)k : at;
}

static uint32_t
point_of(struct lang *l, enum cover_kind kind, const struct node *n,
    const struct yaml *at)
{
	char path[256] = "", name[400];

	path_of(n, path, sizeof(path));
	snprintf(
	    name, sizeof(name), "%.*s: %s", SLICE_ARG(l->emit->type), path);
	return lang_point(l, kind, lang_copy(l, slice_str(name)), at->line);
}

static struct node *
new_node(struct lang *l, const struct yaml *y, const struct node *parent,
    struct slice name, const struct type *want)
{
	struct node *n = lang_alloc(l, sizeof(*n));

	if (++l->fields_n > LANG_FIELDS) {
		fault(l->f, l->file, y,
		    "more than %d fields in one mapping; split it",
		    LANG_FIELDS);
		longjmp(l->full, 1);
	}
	n->at = y;
	n->name = name;
	n->parent = parent;
	n->want = want;
	n->out_slot = -1;
	n->type = &type_any;
	return n;
}

void
node_lets(struct lang *l, const struct yaml *y, struct lets *out)
{
	const struct yaml *one;
	struct source *src;
	struct expr *x;
	struct var *v;
	bool joined;

	if (y == NULL)
		return;
	if (y->kind != YAML_MAP) {
		fault(l->f, l->file, y, "let is a map of names: let: {x: ..}");
		return;
	}
	out->v = lang_alloc(l, (y->count + 1) * sizeof(struct var *));
	for (one = y->child; one != NULL; one = one->next) {
		joined = l->join_read;
		l->join_read = false;
		x = check_parse(l, one);
		if (x != NULL && !check_expr(l, x))
			x = NULL;
		src = expr_source(l, one->key);
		v = check_name(l, VAR_LET, one->key->text, src, 0,
		    x != NULL ? x->type : &type_any);
		v->let = x;
		if (x == NULL)
			v->used = 1; /* one fault is enough */
		v->needs_join = l->join_read;
		l->join_read = joined;
		out->v[out->n++] = v;
	}
}

static void
load_when(struct lang *l, const struct yaml *y, struct node *n)
{
	struct expr *x;

	if (y == NULL)
		return;
	x = check_parse(l, y);
	if (x == NULL || !check_condition(l, x))
		return;
	n->when = x;
	check_facts(l, x, true);
	n->when_point = point_of(l, COVER_TRUE, n, y);
	(void)point_of(l, COVER_FALSE, n, y);
}

static const char *
want_name(const struct node *n, char *out, size_t max)
{
	char path[256] = "";

	path_of(n, path, sizeof(path));
	snprintf(out, max, "%s", path[0] != '\0' ? path : "the data");
	return out;
}

static void
load_value(struct lang *l, const struct yaml *y, struct node *n)
{
	struct expr *x = check_parse(l, y);
	char name[300];
	bool soft = l->soft;

	n->kind = NODE_VALUE;
	n->point = point_of(l, COVER_FIELD, n, y);
	if (x == NULL)
		return;
	l->soft = n->optional;
	if (check_expr(l, x) && check_present(l, x)) {
		check_fits(l, x, n->want, want_name(n, name, sizeof(name)));
		n->type = x->type;
		n->value = x;
		if (x->type->kind == K_NULL) /* null alone */
			x->value = (struct val){.tag = V_NULL};
		n->verify = n->want != NULL && n->want->kind != K_ANY &&
			    x->type->kind == K_ANY;
		n->plain = x->op == X_PATH && x->slot >= 0 &&
			   x->rest == x->steps_n && x->read->kind == K_TEXT &&
			   x->var->kind != VAR_LET && !n->verify;
	}
	l->soft = soft;
}

static struct slice
key_mp(struct lang *l, struct slice name)
{
	uint8_t *p = lang_alloc(l, name.n + 5 + WRITE_PAD);
	size_t head = 1;

	if (name.n < 32) {
		p[0] = (uint8_t)(0xa0 | name.n);
	} else if (name.n < 256) {
		p[0] = 0xd9;
		p[1] = (uint8_t)name.n;
		head = 2;
	} else {
		p[0] = 0xda;
		p[1] = (uint8_t)(name.n >> 8);
		p[2] = (uint8_t)name.n;
		head = 3;
	}
	memcpy(p + head, name.p, name.n);
	return slice_of(p, name.n + head);
}

static void
unknown_field(struct lang *l, const struct yaml *key, const struct shape *s,
    struct slice name)
{
	const char *near = shape_nearest(l, s, name);

	fault(l->f, l->file, key, "%s has no field %.*s%s%s%s", s->what,
	    SLICE_ARG(name), near != NULL ? "; did you mean " : "",
	    near != NULL ? near : "", near != NULL ? "?" : "");
}

/* One field of a map. It joins the map before it is read, so that $out sees
 * what stands above within it. */
static void
load_field(struct lang *l, const struct yaml *y, struct node *n, unsigned depth)
{
	const struct type *want = NULL;
	struct slice name = y->key->text;
	struct node *k;
	bool optional = false;
	size_t i;

	if (y->key->style == YAML_PLAIN && name.n > 1 &&
	    name.p[name.n - 1] == '?') {
		optional = true;
		name = lang_copy(l, slice_of(name.p, name.n - 1));
	}
	if (name.n > 1024) {
		fault(l->f, l->file, y->key, "a name of over 1024 bytes");
		return;
	}
	for (i = 0; i < n->n; i++)
		if (slice_eq(n->kids[i]->name, name)) {
			fault(l->f, l->file, y->key, "%.*s stands here twice",
			    SLICE_ARG(name));
			return;
		}
	if (n->want != NULL && n->want->kind == K_MAP &&
	    n->want->shape != NULL) {
		want = shape_find(n->want->shape, name);
		if (want == NULL)
			unknown_field(l, y->key, n->want->shape, name);
		else if (optional && want->absent != OPTIONAL)
			fault(l->f, l->file, y->key,
			    "%.*s is required by %s; it can not be optional "
			    "(%.*s?)",
			    SLICE_ARG(name), n->want->shape->what,
			    SLICE_ARG(name));
	}
	k = new_node(l, y, n, name, want);
	k->optional = optional;
	k->key = key_mp(l, name);
	n->kids[n->n++] = k;
	load_node(l, y, k, depth + 1);
	k->done = true;
	if (k->when != NULL && k->kind == NODE_MAP && !optional)
		fault(l->f, l->file, y->key,
		    "a field with when: is optional; write %.*s?:",
		    SLICE_ARG(name));
}

static void
map_type(struct lang *l, struct node *n)
{
	struct type *t = lang_alloc(l, sizeof(*t));
	struct shape *s = lang_alloc(l, sizeof(*s));
	struct slice *names = lang_alloc(l, (n->n + 1) * sizeof(*names));
	const struct type **types = lang_alloc(l, (n->n + 1) * sizeof(*types));
	size_t i;

	for (i = 0; i < n->n; i++) {
		names[i] = n->kids[i]->name;
		types[i] = type_absent(l, n->kids[i]->type,
		    n->kids[i]->optional	      ? OPTIONAL
		    : n->kids[i]->type->kind == K_ANY ? MAYBE
						      : PRESENT);
	}
	*s = (struct shape){n->n, names, types, "what is built here"};
	t->kind = K_MAP;
	t->shape = s;
	n->type = t;
}

static void
load_map(struct lang *l, const struct yaml *y, struct node *n, unsigned depth)
{
	const struct shape *s;
	const struct yaml *one;
	size_t i, k;

	n->kind = NODE_MAP;
	if (y->count > MP_KEYS) {
		fault(l->f, l->file, y,
		    "more than %d fields in one map; "
		    "no event can hold them",
		    MP_KEYS);
		return;
	}
	n->kids = lang_alloc(l, (y->count + 1) * sizeof(struct node *));
	for (one = y->child; one != NULL; one = one->next)
		if (!is_word(one->key))
			load_field(l, one, n, depth);
	map_type(l, n);
	if (n->want == NULL || n->want->kind != K_MAP || n->want->shape == NULL)
		return;
	s = n->want->shape;
	for (i = 0; i < s->n; i++) {
		if (s->types[i]->absent == OPTIONAL)
			continue;
		for (k = 0; k < n->n; k++)
			if (slice_eq(n->kids[k]->name, s->names[i]))
				break;
		if (k == n->n && s->types[i]->kind != K_ANY)
			fault(l->f, l->file, y, "%s wants the field %.*s here",
			    s->what, SLICE_ARG(s->names[i]));
	}
}

/* What an item of a list is: of an each, what it splices in. */
static const struct type *
item_type(const struct node *n)
{
	if (n->kind == NODE_EACH)
		return n->type->item != NULL ? n->type->item : &type_any;
	return n->type;
}

static void
list_type(struct lang *l, struct node *n)
{
	const struct type *t = NULL;
	size_t i;

	for (i = 0; i < n->n; i++)
		t = t == NULL ? item_type(n->kids[i])
			      : type_either(l, t, item_type(n->kids[i]));
	n->type = type_list(l, t);
}

static void
load_items(struct lang *l, const struct yaml *y, struct node *n, unsigned depth)
{
	const struct type *want =
	    n->want != NULL && n->want->kind == K_LIST ? n->want->item : NULL;
	const struct yaml *one = y->kind == YAML_LIST ? y->child : y;
	size_t max = y->kind == YAML_LIST ? y->count : 1;

	n->kids = lang_alloc(l, (max + 1) * sizeof(struct node *));
	for (; one != NULL; one = y->kind == YAML_LIST ? one->next : NULL) {
		struct node *k = new_node(l, one, n, SLICE_EMPTY, want);

		/* an each in a list splices into this very list */
		if (one->kind == YAML_MAP &&
		    (word(one, "item") != NULL || word(one, "each") != NULL) &&
		    word(one, "entry") == NULL)
			k->want = n->want;
		load_node(l, one, k, depth + 1);
		k->done = true;
		n->kids[n->n++] = k;
	}
	list_type(l, n);
}

static void
load_entry(struct lang *l, const struct yaml *y, struct node *n, unsigned depth)
{
	const struct yaml *value;
	struct node *k;
	struct type *t;

	n->kind = NODE_ENTRY;
	n->kids = lang_alloc(l, sizeof(struct node *));
	if (y->kind != YAML_LIST || y->count != 2 ||
	    y->child->kind != YAML_SCALAR) {
		fault(l->f, l->file, y, "entry is [key, value]");
		return;
	}
	n->entry_key = check_parse(l, y->child);
	if (n->entry_key != NULL && !check_text(l, n->entry_key, "a key", true))
		n->entry_key = NULL;
	value = y->child->next;
	k = new_node(l, value, n, SLICE_EMPTY, NULL);
	load_node(l, value, k, depth + 1);
	n->kids[n->n++] = k;
	t = lang_alloc(l, sizeof(*t));
	t->kind = K_MAP;
	n->type = t;
}

static void
load_words(struct lang *l, const struct yaml *y, struct node *n, unsigned depth)
{
	const struct yaml *each = word(y, "each"), *item = word(y, "item"),
			  *entry = word(y, "entry"), *one;

	n->kind = NODE_EACH;
	if (each != NULL) {
		n->each = expr_parse_each(l, each);
		if (n->each != NULL && !check_loops(l, n->each))
			n->each = NULL;
	}
	node_lets(l, word(y, "let"), &n->lets);
	load_when(l, word(y, "when"), n);
	for (one = y->child; one != NULL; one = one->next)
		if (!is_word(one->key))
			fault(l->f, l->file, one->key,
			    "beside each, item or entry there are no fields; "
			    "put %.*s under item:",
			    SLICE_ARG(one->key->text));
	if (entry != NULL && item != NULL)
		fault(l->f, l->file, entry, "item or entry, not both");
	if (entry != NULL)
		load_entry(l, entry, n, depth);
	else if (item != NULL)
		load_items(l, item, n, depth);
	else
		fault(l->f, l->file, y, "each wants item: or entry:");
}

/* A map or list where the schema wants another thing. */
static bool
kind_fits(
    struct lang *l, const struct yaml *y, const struct node *n, enum kind have)
{
	char name[300];

	if (n->want == NULL || n->want->kind == K_ANY || n->want->kind == have)
		return true;
	fault(l->f, l->file, y, "%s is %s, not %s",
	    want_name(n, name, sizeof(name)), type_name(n->want->kind),
	    type_name(have));
	return false;
}

static void
load_node(struct lang *l, const struct yaml *y, struct node *n, unsigned depth)
{
	size_t scope = l->scope_n, facts = l->facts_n;
	bool soft = l->soft;

	if (depth > LANG_DEPTH) {
		fault(l->f, l->file, y, "nested deeper than %d", LANG_DEPTH);
		return;
	}
	l->soft = false;
	if (y->kind == YAML_SCALAR) {
		load_value(l, y, n);
	} else if (y->kind == YAML_LIST) {
		n->kind = NODE_LIST;
		if (!kind_fits(l, y, n, K_LIST))
			n->want = NULL;
		load_items(l, y, n, depth);
	} else if (word(y, "each") != NULL || word(y, "item") != NULL ||
		   word(y, "entry") != NULL) {
		if (!kind_fits(
			l, y, n, word(y, "entry") != NULL ? K_MAP : K_LIST))
			n->want = NULL;
		load_words(l, y, n, depth);
	} else {
		if (!kind_fits(l, y, n, K_MAP))
			n->want = NULL;
		node_lets(l, word(y, "let"), &n->lets);
		load_when(l, word(y, "when"), n);
		load_map(l, y, n, depth);
	}
	check_unscope(l, scope);
	l->facts_n = facts;
	l->soft = soft;
}

void
node_root(struct lang *l, const struct yaml *y, struct emit *e,
    const struct type *want)
{
	e->data = new_node(l, y, NULL, SLICE_EMPTY, want);
	/* $out walks the maps from here while they are being built */
	e->data->kind = NODE_MAP;
	load_node(l, y, e->data, 0);
	e->data->done = true;
	if (e->data->kind != NODE_MAP && e->data->kind != NODE_ENTRY)
		fault(l->f, l->file, y, "data is a map of fields");
	if (e->data->when != NULL)
		fault(l->f, l->file, y,
		    "when: stands beside type:, not in data itself");
}
