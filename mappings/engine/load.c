/*
 * load - a mapping's file from the top: what it takes, reads, names and emits,
 * every mistake in one pass; then the tries are sealed and slots given out.
 */
#include <stdio.h>

#include "mappings/engine/lang.h"
#include "mappings/engine/words.h"
#include "broker/base/yaml_check.h"

void *
lang_alloc(struct lang *l, size_t n)
{
	void *p = arena_alloc(l->a, n > 0 ? n : 1);

	if (p == NULL) {
		fault(
		    l->f, l->file, NULL, "it needs too much memory; split it");
		longjmp(l->full, 1);
	}
	return p;
}

struct slice
lang_copy(struct lang *l, struct slice s)
{
	uint8_t *p = lang_alloc(l, s.n + 1);

	memcpy(p, s.p, s.n);
	return slice_of(p, s.n);
}

uint32_t
lang_point(
    struct lang *l, enum cover_kind kind, struct slice name, uint32_t line)
{
	struct program *p = l->p;
	struct cover_point *more;

	if (p->points_n == l->points_max) {
		l->points_max = l->points_max > 0 ? l->points_max * 2 : 32;
		more = lang_alloc(l, l->points_max * sizeof(*more));
		if (p->points_n > 0)
			memcpy(more, p->points, p->points_n * sizeof(*more));
		p->points = more;
	}
	p->points[p->points_n] = (struct cover_point){kind, name, line};
	return (uint32_t)p->points_n++;
}

void
lang_default(struct lang *l, struct expr *x)
{
	struct program *p = l->p;
	const struct expr **more;

	if (p->defaults_n == p->defaults_max) {
		p->defaults_max =
		    p->defaults_max > 0 ? p->defaults_max * 2 : 16;
		more = lang_alloc(l, p->defaults_max * sizeof(*more));
		if (p->defaults_n > 0)
			memcpy(
			    more, p->defaults, p->defaults_n * sizeof(*more));
		p->defaults = more;
	}
	x->point = (uint32_t)p->defaults_n;
	p->defaults[p->defaults_n++] = x;
}

size_t
mapping_defaults(const struct mapping *m)
{
	return m->program->defaults_n;
}

struct slice
mapping_default(const struct mapping *m, size_t i, uint32_t *line)
{
	const struct expr *x = m->program->defaults[i];

	*line = x->src->node->line;
	return expr_words(x);
}

size_t
mapping_points(const struct mapping *m, const struct cover_point **out)
{
	*out = m->program->points;
	return m->program->points_n;
}

/* The schema of a type; `own`: one that need not have any. */
static const struct schema *
find_type(struct lang *l, const struct yaml *y, struct slice type, bool own)
{
	const struct schema *s = NULL;
	const char *const *types = NULL, *near;

	if (l->schemas != NULL)
		s = l->schemas->find(l->schemas->self, type);
	if (s != NULL)
		return s;
	if (l->schemas != NULL && l->schemas->types != NULL)
		types = l->schemas->types(l->schemas->self);
	near = types != NULL ? yaml_nearest(type, types) : NULL;
	if (near != NULL)
		fault(l->f, l->file, y, "no type %.*s; did you mean %s?",
		    SLICE_ARG(type), near);
	else if (!own)
		fault(l->f, l->file, y,
		    "no type %.*s in the vocabulary or in this pack's schema "
		    "folder",
		    SLICE_ARG(type));
	else
		fault_warn(l->f, l->file, y,
		    "%.*s has no schema: its fields are not checked",
		    SLICE_ARG(type));
	return NULL;
}

static bool
own_type(const struct lang *l, struct slice type)
{
	struct slice name = l->p->map->name;
	const uint8_t *dot = memchr(name.p, '.', name.n);

	return dot != NULL &&
	       slice_starts(type, slice_of(name.p, (size_t)(dot - name.p) + 1));
}

static struct slice
scalar(struct lang *l, const struct yaml *y, const char *what)
{
	struct yaml_at at = {l->file, l->f};

	return yaml_text(&at, y, what);
}

static void
load_from(struct lang *l, const struct yaml *y, struct mapping *m)
{
	const struct type *in = NULL, *t;
	const struct yaml *one;
	struct slice *from;
	size_t n = 0;

	l->p->in = check_name(l, VAR_IN, SLICE_EMPTY, NULL, 0, &type_any);
	if (y == NULL || y->kind == YAML_MAP) {
		fault(l->f, l->file, y != NULL ? y : m->root,
		    "from: names the type it takes");
		return;
	}
	from = lang_alloc(l, (y->count + 1) * sizeof(*from));
	one = y->kind == YAML_LIST ? y->child : y;
	for (; one != NULL; one = y->kind == YAML_LIST ? one->next : NULL) {
		const struct schema *s;

		from[n] = scalar(l, one, "a type");
		s = find_type(l, one, from[n], own_type(l, from[n]));
		t = s != NULL ? type_of_map(l, &s->root,
				    (const char *)lang_copy(l, s->type).p)
			      : type_absent(l, &type_any, PRESENT);
		if (s != NULL && s->json && l->p->unpack == NULL)
			l->p->unpack = lang_alloc(
			    l, (y->count + 1) * sizeof(*l->p->unpack));
		if (s != NULL && s->json)
			l->p->unpack[n] = s;
		in = in == NULL ? t : type_either(l, in, t);
		n++;
	}
	m->from = from;
	m->from_n = n;
	if (in != NULL)
		l->p->in->type = in;
}

/* "15m" in ns, 0 when it is none. */
static int64_t
duration(struct slice s)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	int64_t n = 0;
	size_t i;

	if (s.n < 2 || s.n > 7)
		return 0;
	for (i = 0; i + 1 < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		n = n * 10 + (s.p[i] - '0');
	}
	for (i = 0; i < 4; i++)
		if (s.p[s.n - 1] == (uint8_t)units[i].unit)
			return n * units[i].seconds * INT64_C(1000000000);
	return 0;
}

/* One of `words`, where "wait" is followed by a duration. */
static int
absent_word(struct lang *l, const struct yaml *y, const char *const *words,
    int64_t *wait_ns)
{
	struct yaml_at at = {l->file, l->f};

	if (y->kind == YAML_SCALAR &&
	    slice_starts(y->text, SLICE_LIT("wait"))) {
		struct slice d = slice_from(y->text, 5);

		*wait_ns = duration(d);
		if (*wait_ns <= 0 || y->text.p[4] != ' ')
			fault(l->f, l->file, y,
			    "say how long: wait 15m (s, m, h or d)");
		for (int i = 0; words[i] != NULL; i++)
			if (strcmp(words[i], "wait") == 0)
				return i;
	}
	return yaml_word(&at, y, words, "absent");
}

static bool
is_event_subject(const struct lang *l, const struct expr *x)
{
	return x->op == X_PATH && x->var == l->p->event && x->steps_n == 1 &&
	       slice_is(x->steps[0].name, "subject");
}

static void
load_join(
    struct lang *l, const struct yaml *y, struct join *j, struct join_read *r)
{
	struct yaml_at at = {l->file, l->f};
	const struct yaml *last, *all, *subject, *ref, *absent, *only, *type;
	const struct yaml *follow;
	const struct schema *s = NULL;
	const struct type *t = &type_any;

	char part[80];

	snprintf(part, sizeof(part), "join %.*s", SLICE_ARG(y->key->text));
	r->part = (const char *)lang_copy(l, slice_str(part)).p;
	j->name = y->key->text;
	j->line = y->key->line;
	r->src = expr_source(l, y->key);
	if (yaml_want(&at, y, YAML_MAP, "a join") &&
	    yaml_known(&at, y, words_join, "a join")) {
		last = yaml_get(y, "last");
		all = yaml_get(y, "all");
		subject = yaml_get(y, "subject");
		ref = yaml_get(y, "ref");
		absent = yaml_get(y, "absent");
		only = yaml_get(y, "only");
		type = last != NULL ? last : all;
		if ((last == NULL) == (all == NULL))
			fault(l->f, l->file, y,
			    "a join reads last: TYPE or all: TYPE");
		if (subject != NULL && ref != NULL)
			fault(l->f, l->file, ref, "subject or ref, not both");
		j->all = all != NULL;
		j->absent = j->all ? JOIN_NONE : JOIN_ERROR;
		if (type != NULL) {
			j->type = scalar(l, type, "a type");
			s = find_type(l, type, j->type, own_type(l, j->type));
		}
		if (absent != NULL) {
			int w = absent_word(
			    l, absent, words_join_absent, &j->wait_ns);

			if (w >= 0)
				j->absent = (unsigned)w;
		}
		j->by_ref = ref != NULL;
		if (only != NULL) {
			j->only_earlier = yaml_is(only, "earlier");
			if (!j->only_earlier)
				fault(l->f, l->file, only,
				    "only: earlier, or leave it out");
		}
		follow = yaml_get(y, "follow");
		if (follow != NULL) {
			bool new = yaml_is(follow, "new");

			j->follows = new || yaml_is(follow, "all");
			j->fixed = new || yaml_is(follow, "never");
			if (!j->follows && !j->fixed)
				fault(l->f, l->file, follow,
				    "follow: all, new or never, or leave it "
				    "out");
			if (j->follows && (j->only_earlier || ref != NULL))
				fault(l->f, l->file, follow,
				    "follow: all and new go with a subject, "
				    "and not with only: earlier");
		}
		if (ref != NULL)
			subject = ref;
		if (subject != NULL) {
			r->key = check_parse(l, subject);
			if (r->key == NULL ||
			    !check_text(l, r->key, "a join's key", true))
				r->key = NULL;
			else
				r->stored = is_event_subject(l, r->key);
		} else {
			r->stored = true;
		}
		if (j->follows && !r->stored)
			fault(l->f, l->file, follow,
			    "follow: all and new read at the event's own "
			    "subject");
	}
	if (s != NULL)
		t = type_of_map(
		    l, &s->root, (const char *)lang_copy(l, s->type).p);
	t = j->all ? type_list(l, type_absent(l, t, PRESENT))
		   : type_absent(
			 l, t, j->absent == JOIN_NONE ? OPTIONAL : PRESENT);
	r->type = t;
	r->unpack = s != NULL && s->json ? s : NULL;
}

/* Keys of joins see the input only, so names come in view afterwards. */
static void
load_joins(struct lang *l, const struct yaml *y, struct mapping *m)
{
	struct yaml_at at = {l->file, l->f};
	struct join *joins;
	struct join_read *reads;
	size_t i, n = 0;

	if (y == NULL || !yaml_want(&at, y, YAML_MAP, "join"))
		return;
	joins = lang_alloc(l, (y->count + 1) * sizeof(*joins));
	reads = lang_alloc(l, (y->count + 1) * sizeof(*reads));
	for (y = y->child; y != NULL; y = y->next, n++) {
		joins[n].name = joins[n].type = SLICE_EMPTY;
		load_join(l, y, &joins[n], &reads[n]);
	}
	for (i = 0; i < n; i++)
		reads[i].var = check_name(
		    l, VAR_JOIN, joins[i].name, reads[i].src, 0, reads[i].type);
	m->joins = joins;
	m->joins_n = n;
	l->p->joins = reads;
	l->p->joins_n = n;
}

/* A key: id, subject, ref. */
static struct expr *
load_key(struct lang *l, const struct yaml *y, const char *what)
{
	struct expr *x = check_parse(l, y);

	return x != NULL && check_text(l, x, what, true) ? x : NULL;
}

static void
load_subject(struct lang *l, const struct yaml *y, struct emit *e)
{
	struct yaml_at at = {l->file, l->f};
	const struct yaml *absent;
	int w;

	e->subject_stored = y == NULL;
	if (y == NULL)
		return;
	if (y->kind == YAML_SCALAR) {
		e->subject = load_key(l, y, "a subject");
		if (e->subject != NULL)
			e->subject_stored = is_event_subject(l, e->subject);
		return;
	}
	if (!yaml_want(&at, y, YAML_MAP, "subject") ||
	    !yaml_known(&at, y, words_subject, "subject"))
		return;
	e->subject_ref = true;
	if (yaml_get(y, "ref") == NULL)
		fault(l->f, l->file, y, "subject: {ref: ..} names the ref");
	else
		e->subject = load_key(l, yaml_get(y, "ref"), "a ref");
	absent = yaml_get(y, "absent");
	if (absent == NULL)
		return;
	w = absent_word(l, absent, words_subject_absent, &e->subject_wait_ns);
	if (w >= 0)
		e->subject_absent = (unsigned)w;
}

static void
load_refs(struct lang *l, const struct yaml *y, struct emit *e)
{
	struct yaml_at at = {l->file, l->f};

	if (y == NULL || !yaml_want(&at, y, YAML_LIST, "refs"))
		return;
	e->refs = lang_alloc(l, (y->count + 1) * sizeof(struct expr *));
	l->soft = true; /* one that may be absent is left out */
	for (y = y->child; y != NULL; y = y->next) {
		struct expr *x = load_key(l, y, "a ref");

		if (x != NULL)
			e->refs[e->refs_n++] = x;
	}
	l->soft = false;
}

static void
load_again(struct lang *l, const struct yaml *y, struct emit *e)
{
	if (y == NULL)
		return;
	if (y->kind == YAML_SCALAR && slice_is(y->text, "keep")) {
		e->again = AGAIN_KEEP;
	} else if (y->kind == YAML_SCALAR && slice_is(y->text, "error")) {
		e->again = AGAIN_ERROR;
	} else if (y->kind == YAML_SCALAR &&
		   slice_starts(y->text, SLICE_LIT("revise by "))) {
		e->again = AGAIN_REVISE;
		e->again_by = expr_parse_from(l, y, 10);
		if (e->again_by == NULL || !check_expr(l, e->again_by) ||
		    !check_present(l, e->again_by))
			e->again_by = NULL;
		else if (e->again_by->type->kind >= K_MAP)
			lang_fault(l, e->again_by,
			    "revise by wants a time, a number or text");
	} else {
		fault(l->f, l->file, y,
		    "again is keep, error, or revise by EXPRESSION");
	}
}

static void
load_checks(struct lang *l, const struct yaml *y, struct emit *e)
{
	struct yaml_at at = {l->file, l->f};

	if (y == NULL || !yaml_want(&at, y, YAML_LIST, "check"))
		return;
	e->checks = lang_alloc(l, (y->count + 1) * sizeof(struct expr *));
	for (y = y->child; y != NULL; y = y->next) {
		struct expr *x = check_parse(l, y);
		bool read = l->read;

		l->read = false;
		if (x != NULL && check_condition(l, x)) {
			e->checks[e->checks_n++] = x;
			if (!l->read)
				lang_fault(l, x,
				    "this check reads nothing; "
				    "it is always the same");
		}
		l->read = read;
	}
}

/* A fact that can return to an earlier state needs more than its name, unless a
 * later word of the source is its next revision. */
static void
check_id(struct lang *l, const struct emit *e)
{
	static const struct slice changed = {(const uint8_t *)"changed", 7};
	size_t i;

	if (e->type.n < changed.n ||
	    !slice_eq(slice_from(e->type, e->type.n - changed.n), changed) ||
	    l->event_id || e->again == AGAIN_REVISE)
		return;
	for (i = 0; i < e->id->n; i++) {
		enum kind k = e->id->args[i].x->type->kind;

		if (k == K_TIME || k == K_INT || k == K_DATE)
			return;
	}
	lang_warn(l, e->id,
	    "what has changed can change back, and the second time would be "
	    "taken for the first; say which is newer (again: revise by TIME), "
	    "or let the id hold $event.id, a time or a version of the source");
}

static void
load_person(struct lang *l, struct emit *e)
{
	struct slice p = e->schema->person;
	struct step *steps;
	size_t n = 0, i, from = 0;

	if (p.n == 0)
		return;
	steps = lang_alloc(l, (p.n / 2 + 2) * sizeof(*steps));
	for (i = 0; i <= p.n; i++)
		if (i == p.n || p.p[i] == '.') {
			if (i > from)
				steps[n++].name =
				    slice_of(p.p + from, i - from);
			from = i + 1;
		}
	e->person = steps;
	e->person_n = n;
}

static void
load_emit(struct lang *l, const struct yaml *y, struct emit *e)
{
	struct yaml_at at = {l->file, l->f};
	size_t scope = l->scope_n, facts = l->facts_n;
	const struct yaml *data, *one;
	const struct type *want = NULL;
	char name[300];

	e->at = y;
	e->type = SLICE_EMPTY;
	if (!yaml_want(&at, y, YAML_MAP, "what is emitted"))
		return;
	(void)yaml_known(&at, y, words_emit, "an emit");
	one = yaml_get(y, "type");
	if (one == NULL) {
		fault(l->f, l->file, y, "type: is missing");
		return;
	}
	e->type = scalar(l, one, "type");
	e->src = expr_source(l, one);
	e->schema = find_type(l, one, e->type, own_type(l, e->type));
	if (yaml_get(y, "each") != NULL) {
		e->each = expr_parse_each(l, yaml_get(y, "each"));
		if (e->each != NULL && !check_loops(l, e->each))
			e->each = NULL;
	}
	node_lets(l, yaml_get(y, "let"), &e->lets);
	snprintf(name, sizeof(name), "%.*s", SLICE_ARG(e->type));
	one = yaml_get(y, "when");
	if (one != NULL) {
		e->when = check_parse(l, one);
		if (e->when != NULL && check_condition(l, e->when))
			check_facts(l, e->when, true);
		e->when_point = lang_point(
		    l, COVER_TRUE, lang_copy(l, slice_str(name)), one->line);
		lang_point(
		    l, COVER_FALSE, lang_copy(l, slice_str(name)), one->line);
	}
	l->event_id = false;
	one = yaml_get(y, "id");
	if (one == NULL)
		fault(l->f, l->file, y,
		    "id: is missing: what this fact is, "
		    "once, for its subject");
	else
		e->id = load_key(l, one, "an id");
	load_again(l, yaml_get(y, "again"), e);
	if (e->id != NULL)
		check_id(l, e);
	load_subject(l, yaml_get(y, "subject"), e);
	load_refs(l, yaml_get(y, "refs"), e);
	data = yaml_get(y, "data");
	if (data == NULL || data->kind != YAML_MAP) {
		fault(l->f, l->file, data != NULL ? data : y,
		    "data: is a map of fields");
	} else {
		if (e->schema != NULL) {
			want = type_of_map(l, &e->schema->root,
			    (const char *)lang_copy(l, e->schema->type).p);
			load_person(l, e);
		}
		l->emit = e;
		node_root(l, data, e, want);
		load_checks(l, yaml_get(y, "check"), e);
		l->emit = NULL;
	}
	check_unscope(l, scope);
	l->facts_n = facts;
}

/* Two that say the same of the same subject are one. */
static void
check_twice(struct lang *l, const struct program *p)
{
	size_t i, k;

	for (i = 0; i < p->emits_n; i++)
		for (k = 0; k < i; k++) {
			const struct emit *a = &p->emits[k], *b = &p->emits[i];

			if (a->id == NULL || b->id == NULL ||
			    !slice_eq(a->type, b->type) ||
			    !slice_eq(a->id->src->text, b->id->src->text) ||
			    (a->subject == NULL) != (b->subject == NULL))
				continue;
			if (a->subject != NULL &&
			    !slice_eq(
				a->subject->src->text, b->subject->src->text))
				continue;
			lang_fault(l, b->id,
			    "two emits of %.*s with one id; give each its own",
			    SLICE_ARG(a->type));
		}
}

static void
load_emits(struct lang *l, const struct yaml *y, struct mapping *m)
{
	struct program *p = l->p;
	struct slice *types;
	size_t i, n = 0;

	if (y == NULL || y->kind != YAML_LIST) {
		fault(l->f, l->file, y != NULL ? y : m->root,
		    "emit: is a list of what comes out");
		return;
	}
	p->emits = lang_alloc(l, (y->count + 1) * sizeof(*p->emits));
	types = lang_alloc(l, (y->count + 1) * sizeof(*types));
	for (y = y->child; y != NULL; y = y->next) {
		struct emit *e = &p->emits[p->emits_n++];

		load_emit(l, y, e);
		for (i = 0; i < n; i++)
			if (slice_eq(types[i], e->type))
				break;
		if (i == n && e->type.n > 0)
			types[n++] = e->type;
	}
	m->emits = types;
	m->emits_n = n;
	check_twice(l, p);
}

void
lang_seal(struct lang *l)
{
	struct program *p = l->p;
	uint32_t slots = 0;
	size_t i;

	for (i = 0; i < p->vars_n; i++) {
		p->vars[i]->slot0 = slots;
		slots += p->vars[i]->slots;
		trie_seal(l, p->vars[i]->trie);
	}
	p->slots_n = slots;
	if (p->vars_n > 4096)
		fault(l->f, l->file, NULL, "over 4096 names in one file");
}

static void
load_all(struct lang *l, struct mapping *m, const struct schema_field *settings)
{
	const struct yaml *root = m->root, *y;
	struct yaml_at at = {l->file, l->f};
	struct program *p = l->p;
	size_t i;

	if (!yaml_want(&at, root, YAML_MAP, "a mapping"))
		return;
	(void)yaml_known(&at, root, words_mapping, "a mapping");
	y = yaml_get(root, "map");
	if (y == NULL)
		fault(l->f, l->file, root, "map: NAME/VERSION is missing");
	else
		(void)yaml_versioned(&at, y, "map", &m->name, &m->version);
	load_from(l, yaml_get(root, "from"), m);
	p->event =
	    check_name(l, VAR_EVENT, SLICE_EMPTY, NULL, 0, type_event(l));
	p->settings = check_name(l, VAR_SETTINGS, SLICE_EMPTY, NULL, 0,
	    settings != NULL ? type_of_map(l, settings, "the pack's settings")
			     : type_absent(l, &type_any, PRESENT));
	table_load_all(l, yaml_get(root, "tables"));
	load_joins(l, yaml_get(root, "join"), m);
	node_lets(l, yaml_get(root, "let"), &p->lets);
	y = yaml_get(root, "when");
	if (y != NULL) {
		l->join_read = false;
		p->when = check_parse(l, y);
		if (p->when != NULL && check_condition(l, p->when))
			check_facts(l, p->when, true);
		p->when_first = !l->join_read;
		p->when_point =
		    lang_point(l, COVER_TRUE, SLICE_LIT("when"), y->line);
		lang_point(l, COVER_FALSE, SLICE_LIT("when"), y->line);
	}
	load_emits(l, yaml_get(root, "emit"), m);
	check_unscope(l, 0);
	for (i = 0; i < p->tables_n; i++)
		if (p->tables[i].used == 0)
			fault(l->f, l->file, p->tables[i].at->key,
			    "table %.*s is never used; remove it",
			    SLICE_ARG(p->tables[i].name));
}

static enum err
load_root(const char *path, struct yaml *root,
    const struct schema_source *schemas, const struct schema_field *settings,
    struct arena *a, struct faults *f, size_t had, const struct mapping **out)
{
	struct mapping *m = arena_alloc(a, sizeof(*m));
	struct lang *l = arena_alloc(a, sizeof(*l));

	if (m == NULL || l == NULL)
		return err_note(ERR_NOMEM, "%s: no memory", path);
	l->file = path;
	l->a = a;
	l->f = f;
	l->schemas = schemas;
	if (setjmp(l->full) != 0)
		return err_note(ERR_LIMIT, "%s is too large", path);
	l->file = (const char *)lang_copy(l, slice_str(path)).p;
	l->p = lang_alloc(l, sizeof(*l->p));
	l->p->file = l->file;
	l->p->map = m;
	m->file = l->file;
	m->program = l->p;
	m->root = root;
	m->name = SLICE_EMPTY;
	load_all(l, m, settings);
	lang_seal(l);
	if (f->count > had)
		return err_note(
		    ERR_SYNTAX, "%s: %zu faults", path, f->count - had);
	*out = m;
	return ERR_OK;
}

enum err
mapping_load(const char *path, const struct schema_source *schemas,
    const struct schema_field *settings, struct arena *a, struct faults *f,
    const struct mapping **out)
{
	size_t had = f->count;
	struct yaml *root;
	enum err err = yaml_load(path, a, f, &root);

	if (err != ERR_OK)
		return err;
	return load_root(path, root, schemas, settings, a, f, had, out);
}

enum err
mapping_parse(const char *name, struct slice text,
    const struct schema_source *schemas, const struct schema_field *settings,
    struct arena *a, struct faults *f, const struct mapping **out)
{
	size_t had = f->count;
	struct yaml *root;
	enum err err = yaml_parse(name, text, a, f, &root);

	if (err != ERR_OK)
		return err;
	return load_root(name, root, schemas, settings, a, f, had, out);
}
