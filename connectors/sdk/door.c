/* door - see door.h. */
#include "connectors/sdk/door.h"

#include "broker/base/yaml_check.h"

#define EVENT_ROOTS (FORMULA_IN | FORMULA_SETTINGS | FORMULA_REQUEST)

struct loader {
	struct yaml_at at;
	const struct pack *p;
	struct arena *a;
	struct door *d;
};

static const struct formula *
formula(struct loader *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in)
{
	const struct formula *x = NULL;

	if (y == NULL)
		return NULL;
	/* its faults are in f; the pack fails as a whole */
	if (formula_load(&x, l->at.file, y, roots, in, l->p->settings_all, l->a,
		l->at.f) != ERR_OK)
		return NULL;
	return x;
}

static void
load_methods(struct loader *l, const struct yaml *y)
{
	static const char *const words[] = {"GET", "POST", "PUT", NULL};
	int w;

	if (y == NULL) {
		l->d->methods = DOOR_POST;
	} else if (y->kind == YAML_LIST) {
		for (const struct yaml *c = y->child; c != NULL; c = c->next)
			if ((w = yaml_word(&l->at, c, words, "method")) >= 0)
				l->d->methods |= 1u << w;
	} else if ((w = yaml_word(&l->at, y, words, "method")) >= 0) {
		l->d->methods = 1u << w;
	}
}

/* A whole number without sign, at most `max`. */
static bool
number(struct loader *l, const struct yaml *y, const char *what, int64_t min,
    int64_t max, int64_t *out)
{
	struct slice s = yaml_text(&l->at, y, what);
	int64_t v = 0;

	for (size_t i = 0; i < s.n && i < 10; i++) {
		if (s.p[i] < '0' || s.p[i] > '9') {
			v = -1;
			break;
		}
		v = v * 10 + (s.p[i] - '0');
	}
	if (s.n == 0 || s.n > 10 || v < min || v > max) {
		fault(l->at.f, l->at.file, y,
		    "%s must be a number from %lld to %lld", what,
		    (long long)min, (long long)max);
		return false;
	}
	*out = v;
	return true;
}

static const struct schema *
schema_of(const struct pack *p, struct slice type)
{
	for (size_t i = 0; i < p->schemas_n; i++)
		if (slice_eq(p->schemas[i]->type, type))
			return p->schemas[i];
	return NULL;
}

static void
load_one(struct loader *l, const struct yaml *y, struct door_row *r)
{
	static const char *const known[] = {
	    "type", "id", "subject", "person", "time", NULL};
	static const char *const needed[] = {"type", "id", "subject"};
	const struct schema_field *in = NULL;
	const struct schema *s;

	if (!yaml_known(&l->at, y, known, "an event"))
		return;
	for (size_t i = 0; i < 3; i++)
		if (yaml_get(y, needed[i]) == NULL)
			fault(l->at.f, l->at.file, y,
			    "an event needs type, id and subject; %s is "
			    "missing",
			    needed[i]);
	r->type = yaml_text(&l->at, yaml_get(y, "type"), "type");
	if (r->type.n > 0 && (!slice_starts(r->type, l->p->name) ||
				 r->type.n <= l->p->name.n + 1 ||
				 r->type.p[l->p->name.n] != '.'))
		fault(l->at.f, l->at.file, yaml_get(y, "type"),
		    "type: events of this pack begin with \"%.*s.\"",
		    SLICE_ARG(l->p->name));
	s = schema_of(l->p, r->type);
	if (s != NULL)
		in = &s->root;
	r->id = formula(l, yaml_get(y, "id"), EVENT_ROOTS, in);
	r->subject = formula(l, yaml_get(y, "subject"), EVENT_ROOTS, in);
	r->person = formula(l, yaml_get(y, "person"), EVENT_ROOTS, in);
	r->time = formula(l, yaml_get(y, "time"), EVENT_ROOTS, in);
}

static void
load_row(struct loader *l, struct slice topic, const struct yaml *y)
{
	struct door_row *r = &l->d->rows[l->d->rows_n++];

	r->topic = topic;
	load_one(l, y, r);
}

void
door_row_load(struct door_row *out, const struct pack *p, const struct yaml *y,
    struct arena *a, struct faults *f)
{
	struct loader l = {{p->file, f}, p, a, NULL};

	*out = (struct door_row){.topic = SLICE_EMPTY, .type = SLICE_EMPTY};
	load_one(&l, y, out);
}

static void
load_rows(struct loader *l, const struct yaml *node)
{
	static const char *const elses[] = {"drop", "keep", NULL};
	const struct yaml *by = yaml_get(node, "by");
	const struct yaml *rows = yaml_get(node, "rows");
	const struct yaml *event = yaml_get(node, "event");
	const struct yaml *other = yaml_get(node, "else");
	size_t n = rows != NULL && rows->kind == YAML_MAP ? rows->count : 1;

	l->d->rows = arena_alloc(l->a, n * sizeof(*l->d->rows));
	if (l->d->rows == NULL) {
		fault(l->at.f, l->at.file, node, "too many rows");
		return;
	}
	if (by == NULL) {
		if (event == NULL)
			fault(l->at.f, l->at.file, node,
			    "a door needs `event`, or `by` and `rows`");
		else
			load_row(l, SLICE_EMPTY, event);
		if (rows != NULL || other != NULL)
			fault(l->at.f, l->at.file, rows != NULL ? rows : other,
			    "`rows` and `else` go with `by`");
		return;
	}
	if (event != NULL)
		fault(l->at.f, l->at.file, event,
		    "with `by`, write the events under `rows`");
	l->d->by = formula(l, by, EVENT_ROOTS, NULL);
	if (rows == NULL)
		fault(l->at.f, l->at.file, by, "`by` needs `rows`");
	else if (yaml_want(&l->at, rows, YAML_MAP, "rows"))
		for (const struct yaml *c = rows->child; c != NULL; c = c->next)
			load_row(l, c->key->text, c);
	if (other != NULL)
		l->d->keep = yaml_word(&l->at, other, elses, "else") == 1;
}

static void
load_answer(struct loader *l, const struct yaml *y)
{
	static const char *const known[] = {"status", "type", "body", NULL};
	const struct yaml *status = yaml_get(y, "status");
	const struct yaml *type = yaml_get(y, "type");

	l->d->answer_status = 200;
	l->d->answer_type = SLICE_LIT("text/plain");
	if (y == NULL || !yaml_known(&l->at, y, known, "answer"))
		return;
	if (status != NULL)
		(void)number(
		    l, status, "status", 200, 299, &l->d->answer_status);
	if (type != NULL)
		l->d->answer_type = yaml_text(&l->at, type, "type");
	l->d->answer_body = yaml_text(&l->at, yaml_get(y, "body"), "body");
}

/* Does any scalar below read the body as text? Then it is copied for it. */
static bool
reads_body(const struct yaml *y)
{
	static const char word[] = "$request.body";

	if (y->kind == YAML_SCALAR)
		return memmem(y->text.p, y->text.n, word, sizeof(word) - 1) !=
		       NULL;
	for (const struct yaml *c = y->child; c != NULL; c = c->next)
		if (reads_body(c))
			return true;
	return false;
}

static void
load_path(struct loader *l, const struct yaml *y)
{
	struct slice s = yaml_text(&l->at, y, "path");

	l->d->path = s;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' ||
			s.p[i] == '_')) {
			fault(l->at.f, l->at.file, y,
			    "path: one word of a-z, 0-9, - and _");
			return;
		}
}

/* Fields of a form or a query whose text is JSON. */
static void
load_json(struct loader *l, const struct yaml *y)
{
	struct slice *names;

	if (y == NULL || !yaml_want(&l->at, y, YAML_LIST, "json"))
		return;
	if (l->d->body == DOOR_JSON || l->d->body == DOOR_XML) {
		fault(l->at.f, l->at.file, y,
		    "json: names fields of a form or a query; a JSON body is "
		    "decoded whole");
		return;
	}
	names = arena_alloc(l->a, (y->count + 1) * sizeof(*names));
	if (names == NULL) {
		fault(l->at.f, l->at.file, y, "json: too many names");
		return;
	}
	for (const struct yaml *c = y->child; c != NULL; c = c->next)
		names[l->d->json_n++] = yaml_text(&l->at, c, "a field's name");
	l->d->json = names;
}

/* XML is read by the schema of what it becomes, before `by` can choose. */
static void
load_shape(struct loader *l, const struct yaml *node)
{
	struct door *d = l->d;

	for (size_t i = 1; i < d->rows_n; i++)
		if (!slice_eq(d->rows[i].type, d->rows[0].type))
			fault(l->at.f, l->at.file, node,
			    "with body: xml all rows are of one type, whose "
			    "schema says what repeats");
	if (d->rows_n > 0)
		d->schema = pack_schema(l->p, d->rows[0].type);
}

static void
load_door(struct loader *l, const struct yaml *node)
{
	static const char *const known[] = {"path", "method", "body",
	    "max_body", "verify", "ignore", "json", "items", "by", "rows",
	    "event", "else", "answer", NULL};
	static const char *const bodies[] = {
	    "json", "form", "query", "xml", NULL};
	const struct yaml *body = yaml_get(node, "body");
	const struct yaml *max = yaml_get(node, "max_body");
	const struct yaml *verify = yaml_get(node, "verify");
	struct door *d = l->d;
	int64_t v = DOOR_BODY_MAX;
	int w;

	if (!yaml_known(&l->at, node, known, "a door"))
		return;
	load_path(l, yaml_get(node, "path"));
	load_methods(l, yaml_get(node, "method"));
	w = body != NULL ? yaml_word(&l->at, body, bodies, "body") : 0;
	d->body = w > 0 ? (enum door_body)w : DOOR_JSON;
	if (max != NULL)
		(void)number(l, max, "max_body", 1, DOOR_BODY_MAX, &v);
	d->max_body = (size_t)v;
	d->wants_body = reads_body(node);
	if (verify == NULL)
		fault(l->at.f, l->at.file, node,
		    "a door needs `verify`: how the sender proves who it is");
	else if (recipe_load(&d->verify, l->at.file, verify, l->p->settings_all,
		     l->a, l->at.f) != ERR_OK)
		d->verify = NULL; /* its faults are in f */
	load_json(l, yaml_get(node, "json"));
	d->ignore = formula(l, yaml_get(node, "ignore"),
	    FORMULA_REQUEST | FORMULA_SETTINGS, NULL);
	d->items = formula(l, yaml_get(node, "items"), EVENT_ROOTS, NULL);
	load_rows(l, node);
	if (d->body == DOOR_XML)
		load_shape(l, node);
	load_answer(l, yaml_get(node, "answer"));
}

enum err
doors_load(
    const struct pack *p, struct arena *a, struct faults *f, struct doors *out)
{
	const struct yaml *y = pack_section(p, "receive");
	struct loader l = {{p->file, f}, p, a, NULL};
	size_t before = f->count;

	*out = (struct doors){0, NULL};
	if (y == NULL)
		return ERR_OK;
	if (!yaml_want(&l.at, y, YAML_LIST, "receive"))
		return err_note(ERR_SYNTAX, "%s has faults", p->file);
	if (y->count == 0 || y->count > DOORS_MAX)
		fault(f, p->file, y, "receive: 1 to %d doors", DOORS_MAX);
	out->v = arena_alloc(a, (y->count + 1) * sizeof(*out->v));
	if (out->v == NULL)
		return err_note(ERR_LIMIT, "%s is too large", p->file);
	for (const struct yaml *c = y->child; c != NULL && out->n < DOORS_MAX;
	     c = c->next) {
		l.d = &out->v[out->n];
		l.d->answer_body = l.d->path = SLICE_EMPTY;
		load_door(&l, c);
		if (doors_find(out, l.d->path) != NULL)
			fault(f, p->file, c, "two doors with one path");
		out->n++;
	}
	return f->count == before
		   ? ERR_OK
		   : err_note(ERR_SYNTAX, "%s has faults", p->file);
}

const struct door *
doors_find(const struct doors *d, struct slice path)
{
	for (size_t i = 0; i < d->n; i++)
		if (slice_eq(d->v[i].path, path))
			return &d->v[i];
	return NULL;
}

const struct door_row *
door_row(const struct door *d, struct slice topic)
{
	for (size_t i = 0; i < d->rows_n; i++)
		if (d->by == NULL || slice_eq(d->rows[i].topic, topic))
			return &d->rows[i];
	return NULL;
}

const char *
door_methods(unsigned methods)
{
	static const char *const text[] = {"", "GET", "POST", "GET, POST",
	    "PUT", "GET, PUT", "POST, PUT", "GET, POST, PUT"};

	return text[methods & 7];
}
