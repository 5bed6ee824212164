/*
 * yaml - see yaml.h. libyaml's events become nodes on an explicit stack; what
 * the subset leaves out is a fault at its place, and parsing goes on, so that a
 * person sees all of it. Only what makes the rest meaningless stops: broken
 * syntax, and the limits. Rejected: libyaml's documents, which lose columns and
 * styles of what they resolve.
 */
#include <stdlib.h>
#include <yaml.h>

#include "broker/base/file.h"
#include "broker/base/utf8.h"
#include "broker/base/yaml.h"

#define DEPTH 32
#define NODES 1000000
#define BYTES ((size_t)16 << 20)

struct level {
	struct yaml *node;
	struct yaml *last; /* child */
	struct yaml *key;  /* in a map: read, its value is awaited */
};

struct reader {
	const char *file;
	struct slice text;
	struct arena *arena;
	struct faults *faults;
	struct yaml *root;
	struct level open[DEPTH];
	int depth;
	int skip; /* containers open within a key, which is refused */
	uint32_t nodes;
	uint32_t documents;
	size_t line_at;	 /* byte at which line `line` begins */
	uint32_t line;	 /* from 0 */
	uint32_t tabbed; /* last line told of, from 1 */
};

static struct yaml
spot(yaml_mark_t m)
{
	return (struct yaml){
	    .line = (uint32_t)m.line + 1, .column = (uint32_t)m.column + 1};
}

/* Lines are asked for in rising order. */
static struct slice
line_of(struct reader *r, uint32_t line)
{
	const uint8_t *p, *end = r->text.p + r->text.n, *nl;

	if (line < r->line) {
		r->line = 0;
		r->line_at = 0;
	}
	for (; r->line < line; r->line++) {
		p = r->text.p + r->line_at;
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			return SLICE_EMPTY;
		r->line_at = (size_t)(nl + 1 - r->text.p);
	}
	p = r->text.p + r->line_at;
	nl = memchr(p, '\n', (size_t)(end - p));
	return slice_of(p, (size_t)((nl != NULL ? nl : end) - p));
}

static bool
tab_indents(struct slice s, uint32_t *column)
{
	for (size_t i = 0; i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'); i++)
		if (s.p[i] == '\t') {
			*column = (uint32_t)i + 1;
			return true;
		}
	return false;
}

/* Tabs before the first character of the lines that an event spans; in a block
 * scalar they are content. */
static void
check_tabs(struct reader *r, yaml_mark_t from, yaml_mark_t to, bool block)
{
	struct yaml at = {0};
	uint32_t last = block ? (uint32_t)from.line : (uint32_t)to.line;

	for (uint32_t i = (uint32_t)from.line; i <= last; i++) {
		if (i + 1 <= r->tabbed ||
		    !tab_indents(line_of(r, i), &at.column))
			continue;
		at.line = r->tabbed = i + 1;
		fault(r->faults, r->file, &at,
		    "a tab indents this line; use spaces");
	}
}

static struct yaml *
node_new(struct reader *r, enum yaml_kind kind, yaml_mark_t at)
{
	struct yaml *y;

	if (++r->nodes > NODES) {
		struct yaml here = spot(at);

		fault(r->faults, r->file, &here,
		    "more than %d values in one file; split it", NODES);
		return NULL;
	}
	y = arena_alloc(r->arena, sizeof(*y));
	if (y == NULL) {
		fault(
		    r->faults, r->file, NULL, "the file needs too much memory");
		return NULL;
	}
	*y = spot(at);
	y->kind = kind;
	y->text = SLICE_EMPTY;
	return y;
}

/* Put a node where it belongs: root, key, value of a key or item. */
static void
node_place(struct reader *r, struct yaml *y)
{
	struct level *l;

	if (r->depth == 0) {
		r->root = y;
		return;
	}
	l = &r->open[r->depth - 1];
	if (l->node->kind == YAML_MAP) {
		if (l->key == NULL) {
			l->key = y;
			return;
		}
		y->key = l->key;
		l->key = NULL;
	}
	if (l->last != NULL)
		l->last->next = y;
	else
		l->node->child = y;
	l->last = y;
	l->node->count++;
}

static bool
awaits_key(const struct reader *r)
{
	const struct level *l;

	if (r->depth == 0)
		return false;
	l = &r->open[r->depth - 1];
	return l->node->kind == YAML_MAP && l->key == NULL;
}

static int
by_key(const void *a, const void *b)
{
	const struct yaml *x = *(const struct yaml *const *)a;
	const struct yaml *y = *(const struct yaml *const *)b;
	int c = slice_cmp(x->key->text, y->key->text);

	if (c != 0)
		return c;
	if (x->key->line != y->key->line)
		return x->key->line < y->key->line ? -1 : 1;
	return (x->key->column > y->key->column) -
	       (x->key->column < y->key->column);
}

static bool
check_keys(struct reader *r, const struct yaml *map)
{
	const struct yaml **all, *y, *first;
	size_t n = 0;

	if (map->count < 2)
		return true;
	all = malloc(map->count * sizeof(*all));
	if (all == NULL)
		return false;
	for (y = map->child; y != NULL; y = y->next)
		all[n++] = y;
	qsort(all, n, sizeof(*all), by_key);
	first = all[0];
	for (size_t i = 1; i < n; i++) {
		if (!slice_eq(first->key->text, all[i]->key->text)) {
			first = all[i];
			continue;
		}
		/* An empty one has been told of: it stood for what can not
		 * be a key. */
		if (all[i]->key->text.n > 0)
			fault(r->faults, r->file, all[i]->key,
			    "the key %.*s stands here twice, first on line %u",
			    SLICE_ARG(all[i]->key->text), first->key->line);
	}
	free(all);
	return true;
}

static void
refuse_marks(struct reader *r, yaml_mark_t at, const yaml_char_t *anchor,
    const yaml_char_t *tag)
{
	struct yaml here = spot(at);

	if (anchor != NULL)
		fault(r->faults, r->file, &here,
		    "an anchor (&%s) is not used here; write the value out "
		    "where it is needed",
		    (const char *)anchor);
	if (tag != NULL)
		fault(r->faults, r->file, &here,
		    "a tag (%s) is not used here; quote the value if it is a "
		    "text that begins with !",
		    (const char *)tag);
}

/* Is this empty value that of a key behind a comma, without a colon? As in
 * {saldo: 12,90}. */
static bool
comma_ended(const struct reader *r, yaml_mark_t at)
{
	const struct level *l = r->depth > 0 ? &r->open[r->depth - 1] : NULL;
	size_t end;

	if (l == NULL || l->node->kind != YAML_MAP || l->key == NULL ||
	    l->last == NULL || l->last->kind != YAML_SCALAR)
		return false;
	end = l->key->column - 1; /* in characters, as libyaml counts */
	for (size_t i = 0; i < l->key->text.n; i++)
		end += (l->key->text.p[i] & 0xc0) != 0x80;
	return l->key->style == YAML_PLAIN && l->key->line == at.line + 1 &&
	       end == at.column;
}

static bool
on_scalar(struct reader *r, const yaml_event_t *e)
{
	yaml_scalar_style_t style = e->data.scalar.style;
	struct slice text =
	    slice_of(e->data.scalar.value, e->data.scalar.length);
	bool key = awaits_key(r);
	struct yaml *y;
	char *copy;

	refuse_marks(
	    r, e->start_mark, e->data.scalar.anchor, e->data.scalar.tag);
	y = node_new(r, YAML_SCALAR, e->start_mark);
	if (y == NULL)
		return false;
	y->style = style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
			   style == YAML_DOUBLE_QUOTED_SCALAR_STYLE
		       ? YAML_QUOTED
		   : style == YAML_LITERAL_SCALAR_STYLE ||
			   style == YAML_FOLDED_SCALAR_STYLE
		       ? YAML_BLOCK
		       : YAML_PLAIN;
	check_tabs(r, e->start_mark, e->end_mark, y->style == YAML_BLOCK);
	copy = arena_strdup(r->arena, text);
	if (copy == NULL) {
		fault(r->faults, r->file, y, "the file needs too much memory");
		return false;
	}
	y->text = slice_of(copy, text.n);
	if (y->style == YAML_PLAIN && text.n == 0 && !key &&
	    comma_ended(r, e->start_mark))
		fault(r->faults, r->file, y,
		    "a value is missing; within braces a comma ends the value "
		    "before it, and quotes keep it: \"12,90\"");
	else if (y->style == YAML_PLAIN && text.n == 0)
		fault(r->faults, r->file, y,
		    key ? "a key is missing before the colon"
			: "a value is missing; write null, \"\", [] or {}, or "
			  "leave the line out");
	else if (key && y->style == YAML_PLAIN && slice_is(text, "<<"))
		fault(r->faults, r->file, y,
		    "a merge key (<<) is not used here; write the fields out");
	node_place(r, y);
	return true;
}

/* What can not be a key is left out, with an empty key in its place. */
static bool
refuse_key(struct reader *r, yaml_mark_t at)
{
	struct yaml *y = node_new(r, YAML_SCALAR, at);

	if (y == NULL)
		return false;
	fault(r->faults, r->file, y,
	    "a map or list can not be a key; quote it if it is a text");
	node_place(r, y);
	r->skip = 1;
	return true;
}

static bool
on_open(struct reader *r, const yaml_event_t *e, enum yaml_kind kind)
{
	struct yaml *y;

	if (kind == YAML_MAP)
		refuse_marks(r, e->start_mark, e->data.mapping_start.anchor,
		    e->data.mapping_start.tag);
	else
		refuse_marks(r, e->start_mark, e->data.sequence_start.anchor,
		    e->data.sequence_start.tag);
	check_tabs(r, e->start_mark, e->start_mark, false);
	if (awaits_key(r))
		return refuse_key(r, e->start_mark);
	y = node_new(r, kind, e->start_mark);
	if (y == NULL)
		return false;
	if (r->depth == DEPTH) {
		fault(r->faults, r->file, y, "nested deeper than %d levels",
		    DEPTH);
		return false;
	}
	node_place(r, y);
	r->open[r->depth++] = (struct level){.node = y};
	return true;
}

static bool
on_alias(struct reader *r, const yaml_event_t *e)
{
	struct yaml *y = node_new(r, YAML_SCALAR, e->start_mark);

	if (y == NULL)
		return false;
	fault(r->faults, r->file, y,
	    "an alias (*%s) is not used here; write the value out, or quote "
	    "it if it is a text",
	    (const char *)e->data.alias.anchor);
	node_place(r, y);
	return true;
}

static bool
on_document(struct reader *r, const yaml_event_t *e)
{
	struct yaml at = spot(e->start_mark);

	if (r->documents++ > 0) {
		fault(r->faults, r->file, &at,
		    "a second document begins here (---); a file holds one");
		return false;
	}
	if (e->data.document_start.version_directive != NULL ||
	    e->data.document_start.tag_directives.start !=
		e->data.document_start.tag_directives.end)
		fault(r->faults, r->file, &at,
		    "a directive (%%) is not used here; remove the line");
	return true;
}

/* false stops. */
static bool
on_event(struct reader *r, const yaml_event_t *e)
{
	if (r->skip > 0) {
		/* Within what can not be a key. */
		if (e->type == YAML_MAPPING_START_EVENT ||
		    e->type == YAML_SEQUENCE_START_EVENT)
			r->skip++;
		else if (e->type == YAML_MAPPING_END_EVENT ||
			 e->type == YAML_SEQUENCE_END_EVENT)
			r->skip--;
		return true;
	}
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_document(r, e);
	case YAML_SCALAR_EVENT:
		return on_scalar(r, e);
	case YAML_ALIAS_EVENT:
		return on_alias(r, e);
	case YAML_MAPPING_START_EVENT:
		return on_open(r, e, YAML_MAP);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(r, e, YAML_LIST);
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return check_keys(r, r->open[r->depth].node);
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		return true;
	default:
		return true;
	}
}

/* libyaml's words for what people get wrong most, and ours. */
static const char *
plainer(const char *problem)
{
	static const char *const words[][2] = {
	    {"mapping values are not allowed in this context",
		"a colon where no key can stand; quote the text, or check the "
		"indentation"},
	    {"did not find expected key",
		"a key was expected; check the indentation, quotes and "
		"brackets above; what goes on behind a quote is put in "
		"parentheses"},
	    {"did not find expected '-' indicator",
		"an item (-) was expected; check the indentation"},
	    {"could not find expected ':'",
		"a colon was expected; a key needs \": \" behind it"},
	    {"found character that cannot start any token",
		"a text that begins with this character must be quoted"},
	    {"found unexpected end of stream",
		"the file ends within a quoted text; a quote is missing"},
	    {"did not find expected ',' or ']'", "a comma or ] was expected"},
	    {"did not find expected ',' or '}'", "a comma or } was expected"},
	    {"did not find expected <document start>",
		"the file goes on behind its value; check the indentation"},
	    {"did not find expected node content", "a value was expected"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(problem, words[i][0]) == 0)
			return words[i][1];
	return problem;
}

static struct yaml
spot_of_byte(struct slice text, size_t at)
{
	struct yaml y = {.line = 1, .column = 1};

	for (size_t i = 0; i < at && i < text.n; i++) {
		if (text.p[i] == '\n') {
			y.line++;
			y.column = 1;
		} else if ((text.p[i] & 0xc0) != 0x80) {
			y.column++;
		}
	}
	return y;
}

static void
syntax_fault(struct reader *r, const yaml_parser_t *p)
{
	const char *problem = p->problem != NULL ? p->problem : "malformed";
	struct yaml at = spot(p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR) {
		fault(
		    r->faults, r->file, NULL, "the file needs too much memory");
		return;
	}
	if (p->error == YAML_READER_ERROR) {
		at = spot_of_byte(r->text, p->problem_offset);
		fault(r->faults, r->file, &at,
		    "a character that YAML does not allow");
		return;
	}
	/* A tab is what libyaml stumbles over without naming it. */
	if (tab_indents(
		line_of(r, (uint32_t)p->problem_mark.line), &at.column)) {
		if (at.line > r->tabbed)
			fault(r->faults, r->file, &at,
			    "a tab indents this line; use spaces");
		return;
	}
	if (p->context != NULL && p->context_mark.line != p->problem_mark.line)
		fault(r->faults, r->file, &at, "%s (%s from line %zu)",
		    plainer(problem), p->context, p->context_mark.line + 1);
	else
		fault(r->faults, r->file, &at, "%s", plainer(problem));
}

static void
read_events(struct reader *r, yaml_parser_t *p)
{
	yaml_event_t e;
	bool on = true;

	while (on) {
		if (yaml_parser_parse(p, &e) == 0) {
			syntax_fault(r, p);
			return;
		}
		on = e.type != YAML_STREAM_END_EVENT && on_event(r, &e);
		yaml_event_delete(&e);
	}
}

static bool
check_text(struct reader *r)
{
	struct yaml at;
	size_t ok;

	if (r->text.n > BYTES) {
		fault(r->faults, r->file, NULL, "larger than %zu MiB; split it",
		    BYTES >> 20);
		return false;
	}
	ok = utf8_span(r->text);
	if (ok < r->text.n) {
		at = spot_of_byte(r->text, ok);
		fault(r->faults, r->file, &at,
		    "not UTF-8; save the file in that encoding");
		return false;
	}
	return true;
}

enum err
yaml_parse(const char *file, struct slice text, struct arena *a,
    struct faults *f, struct yaml **root)
{
	struct reader r = {.file = file, .arena = a, .faults = f};
	size_t before = f->count;
	yaml_parser_t p;

	if (slice_starts(text, SLICE_LIT("\xef\xbb\xbf")))
		text = slice_from(text, 3);
	r.text = text;
	if (check_text(&r)) {
		if (yaml_parser_initialize(&p) == 0)
			return err_note(
			    ERR_NOMEM, "no memory to read %s", file);
		yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&p, text.p, text.n);
		read_events(&r, &p);
		yaml_parser_delete(&p);
		if (r.root == NULL && f->count == before)
			fault(f, file, NULL, "the file is empty");
	}
	if (f->count > before)
		return err_note(ERR_SYNTAX, "%s: %zu mistake%s", file,
		    f->count - before, f->count - before == 1 ? "" : "s");
	*root = r.root;
	return ERR_OK;
}

enum err
yaml_load(
    const char *path, struct arena *a, struct faults *f, struct yaml **root)
{
	struct buf text;
	enum err e;

	buf_init(&text, BYTES + 1);
	e = file_read(path, &text);
	if (e == ERR_OK)
		e = yaml_parse(path, buf_all(&text), a, f, root);
	else
		fault(f, path, NULL, "%s", err_last());
	buf_fini(&text);
	return e;
}
