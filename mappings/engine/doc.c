/* doc - see doc.h. Text is made once, as Markdown's plain subset; for HTML it
 * is escaped and its backticks become code. */
#include "broker/base/file.h"
#include "mappings/engine/doc.h"
#include "mappings/engine/mapfile.h"

struct page {
	const struct mapfile *m;
	const struct program *p;
	bool html;
	struct buf *out;
	struct buf t; /* the words at hand */
};

/* ---- writing ---- */

static void
text(struct page *g, struct slice s, bool cell)
{
	bool in = false;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!g->html) {
			if (c == '|' && cell)
				buf_byte(g->out, '\\');
			buf_byte(g->out, c == '\n' ? ' ' : c);
		} else if (c == '`') {
			buf_str(g->out, in ? "</code>" : "<code>");
			in = !in;
		} else if (c == '&' || c == '<' || c == '>') {
			buf_str(g->out, c == '&'   ? "&amp;"
					: c == '<' ? "&lt;"
						   : "&gt;");
		} else {
			buf_byte(g->out, c);
		}
	}
}

static struct buf *
words(struct page *g)
{
	buf_reset(&g->t);
	return &g->t;
}

static void
heading(struct page *g, int level, struct slice s)
{
	if (g->html) {
		buf_printf(g->out, "<h%d>", level);
		text(g, s, false);
		buf_printf(g->out, "</h%d>\n", level);
		return;
	}
	buf_printf(g->out, "%.*s ", level, "######");
	text(g, s, false);
	buf_str(g->out, "\n\n");
}

static void
paragraph(struct page *g)
{
	buf_str(g->out, g->html ? "<p>" : "");
	text(g, buf_all(&g->t), false);
	buf_str(g->out, g->html ? "</p>\n" : "\n\n");
}

static void
list_begin(struct page *g)
{
	buf_str(g->out, g->html ? "<ul>\n" : "");
}

static void
item(struct page *g)
{
	buf_str(g->out, g->html ? "<li>" : "- ");
	text(g, buf_all(&g->t), false);
	buf_str(g->out, g->html ? "</li>\n" : "\n");
}

static void
list_end(struct page *g)
{
	buf_str(g->out, g->html ? "</ul>\n" : "\n");
}

static void
cell(struct page *g, struct slice s, bool head)
{
	if (g->html)
		buf_str(g->out, head ? "<th>" : "<td>");
	else
		buf_str(g->out, " ");
	text(g, s, true);
	if (g->html)
		buf_str(g->out, head ? "</th>" : "</td>");
	else
		buf_str(g->out, " |");
}

static void
row_begin(struct page *g)
{
	buf_str(g->out, g->html ? "<tr>" : "|");
}

static void
row_end(struct page *g)
{
	buf_str(g->out, g->html ? "</tr>\n" : "\n");
}

static void
table_begin(struct page *g, const struct slice *heads, size_t n)
{
	buf_str(g->out, g->html ? "<table>\n" : "");
	row_begin(g);
	for (size_t i = 0; i < n; i++)
		cell(g, heads[i], true);
	row_end(g);
	if (g->html)
		return;
	buf_str(g->out, "|");
	for (size_t i = 0; i < n; i++)
		buf_str(g->out, "---|");
	buf_str(g->out, "\n");
}

static void
table_end(struct page *g)
{
	buf_str(g->out, g->html ? "</table>\n" : "\n");
}

/* ---- the head ---- */

/* The comment a file begins with. */
static void
comment(struct page *g)
{
	struct buf file, *b = words(g);
	const uint8_t *p, *end;

	buf_init(&file, 16 * 1024 * 1024);
	if (file_read(g->p->file, &file) == ERR_OK) {
		p = file.p;
		end = p + file.n;
		while (p < end && *p == '#') {
			const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
			const uint8_t *stop = nl != NULL ? nl : end;

			for (p++; p < stop && *p == ' '; p++)
				;
			if (b->n > 0)
				buf_byte(b, ' ');
			buf_put(b, p, (size_t)(stop - p));
			p = nl != NULL ? nl + 1 : end;
		}
	}
	buf_fini(&file);
	if (b->n > 0)
		paragraph(g);
}

static const struct schema *
schema_of(const struct page *g, struct slice type)
{
	const struct schema *s = vocabulary_find(g->m->vocabulary, type);

	return s != NULL ? s : pack_schema(g->m->pack, type);
}

/* "`order.placed` (What a customer bought)" */
static void
type_words(struct page *g, struct buf *b, struct slice type)
{
	const struct schema *s = schema_of(g, type);

	buf_printf(b, "`%.*s`", SLICE_ARG(type));
	if (s != NULL && s->title.n > 0 && !slice_eq(s->title, type))
		buf_printf(b, " (%.*s)", SLICE_ARG(s->title));
}

static void
takes(struct page *g)
{
	const struct mapping *m = g->m->map;
	struct buf *b = words(g);

	buf_str(b, "Takes ");
	for (size_t i = 0; i < m->from_n; i++) {
		buf_str(b, i > 0 ? ", and " : "");
		type_words(g, b, m->from[i]);
	}
	if (g->p->when != NULL) {
		buf_str(b, ", when ");
		doc_words(b, g->p->when);
		buf_str(b, "; else nothing comes out");
	}
	buf_byte(b, '.');
	paragraph(g);
}

static void
join_absent(struct buf *b, const struct join *j)
{
	switch (j->absent) {
	case JOIN_NONE:
		buf_str(b, j->all ? "may be none"
				  : "when there is none, it is absent");
		return;
	case JOIN_WAIT:
		buf_str(b, "when there is none, it waits ");
		doc_while(b, j->wait_ns);
		buf_str(b, ", then a person is told");
		return;
	case JOIN_ASK:
		buf_str(b, "when there is none, a person is asked");
		return;
	case JOIN_ERROR:
		buf_str(b, "when there is none, the event is refused");
		return;
	case JOIN_SKIP:
		buf_str(b, "when there is none, nothing comes out");
		return;
	}
}

static void
joins(struct page *g)
{
	if (g->p->joins_n == 0)
		return;
	heading(g, 2, SLICE_LIT("What it looks up in the journal"));
	list_begin(g);
	for (size_t i = 0; i < g->p->joins_n; i++) {
		const struct join *j = &g->m->map->joins[i];
		struct buf *b = words(g);

		buf_printf(b, "`%.*s`: %s ", SLICE_ARG(j->name),
		    j->all ? "every" : "the last");
		type_words(g, b, j->type);
		buf_str(b, j->by_ref ? " of whom is known as " : " of ");
		if (g->p->joins[i].key != NULL)
			doc_words(b, g->p->joins[i].key);
		else
			buf_str(b, "the same subject");
		if (j->only_earlier)
			buf_str(b, ", only what came before the event");
		if (j->follows)
			buf_str(b, ", as it stands; one that appears later is "
				   "seen too");
		else if (j->fixed)
			buf_str(b, ", as it stood then");
		buf_str(b, "; ");
		join_absent(b, j);
		buf_byte(b, '.');
		item(g);
	}
	list_end(g);
}

static void
let_items(struct page *g, const struct lets *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct buf *b = words(g);

		buf_printf(b, "`%.*s` is ", SLICE_ARG(l->v[i]->name));
		doc_words(b, l->v[i]->let);
		buf_byte(b, '.');
		item(g);
	}
}

/* ---- what comes out ---- */

struct field_at {
	struct buf path;
	const struct schema_field *field; /* of the target's schema, or NULL */
};

static void
field_row(struct page *g, const struct field_at *at, bool optional)
{
	struct buf name;

	buf_init(&name, 4096);
	buf_printf(&name, "`%.*s%s`", SLICE_ARG(buf_all(&at->path)),
	    optional ? "?" : "");
	row_begin(g);
	cell(g, buf_all(&name), false);
	cell(g, buf_all(&g->t), false);
	cell(g, at->field != NULL ? at->field->title : SLICE_EMPTY, false);
	row_end(g);
	buf_fini(&name);
}

static void node(struct page *g, const struct node *n, struct field_at *at);

/* Rows of a node's own words: each, let, when. */
static void
node_head(struct page *g, const struct node *n, struct field_at *at)
{
	const char *sep = "";
	struct buf *b = words(g);

	if (n->each != NULL) {
		buf_str(b, "one");
		doc_loops(b, n->each);
		sep = "; ";
	}
	for (size_t i = 0; i < n->lets.n; i++) {
		buf_printf(
		    b, "%s`%.*s` is ", sep, SLICE_ARG(n->lets.v[i]->name));
		doc_words(b, n->lets.v[i]->let);
		sep = "; ";
	}
	if (n->when != NULL && n->value == NULL) {
		buf_printf(b, "%sonly when ", sep);
		doc_words(b, n->when);
	}
	if (b->n > 0)
		field_row(g, at, n->optional);
}

static void
value(struct page *g, const struct node *n, struct field_at *at)
{
	struct buf *b = words(g);

	if (n->entry_key != NULL) {
		buf_str(b, "under the key ");
		doc_words(b, n->entry_key);
		buf_str(b, ": ");
	}
	doc_words(b, n->value);
	if (n->when != NULL) {
		buf_str(b, "; only when ");
		doc_words(b, n->when);
	}
	if (n->optional)
		buf_str(b, "; left out when absent");
	field_row(g, at, n->optional);
}

static void
kids(struct page *g, const struct node *n, struct field_at *at)
{
	const struct schema_field *field = at->field;
	size_t mark = at->path.n;

	for (size_t i = 0; i < n->n; i++) {
		const struct node *k = n->kids[i];

		at->path.n = mark;
		at->field = field;
		if (n->kind == NODE_MAP) {
			if (mark > 0)
				buf_byte(&at->path, '.');
			buf_slice(&at->path, k->name);
			at->field = field != NULL && field->type == SCHEMA_MAP
					? schema_find(field, k->name)
					: NULL;
		} else if (n->kind == NODE_LIST) {
			if (n->n > 1)
				buf_printf(&at->path, "[%zu]", i + 1);
			else
				buf_str(&at->path, "[]");
			at->field = field != NULL && field->type == SCHEMA_LIST
					? field->item
					: NULL;
		} else if (n->kind == NODE_EACH && n->n > 1) {
			buf_printf(&at->path, "(%zu)", i + 1);
		}
		node(g, k, at);
	}
	at->path.n = mark;
	at->field = field;
}

static void
node(struct page *g, const struct node *n, struct field_at *at)
{
	size_t mark = at->path.n;
	const struct schema_field *field = at->field;

	/* a list that `each` fills: its items are the list's */
	if (n->kind == NODE_EACH &&
	    (mark == 0 || at->path.p[mark - 1] != ']')) {
		buf_str(&at->path, "[]");
		if (field != NULL)
			at->field =
			    field->type == SCHEMA_LIST ? field->item : NULL;
	}
	node_head(g, n, at);
	if (n->value != NULL)
		value(g, n, at);
	else
		kids(g, n, at);
	at->path.n = mark;
	at->field = field;
}

static void
subject_words(struct buf *b, const struct emit *e)
{
	if (e->subject == NULL) {
		buf_str(b, "the subject of the event it takes");
		return;
	}
	if (e->subject_ref)
		buf_str(b, "whoever is known as ");
	doc_words(b, e->subject);
	if (!e->subject_ref)
		return;
	buf_str(b, "; when nobody is, ");
	if (e->subject_absent == SUBJECT_WAIT) {
		buf_str(b, "it waits ");
		doc_while(b, e->subject_wait_ns);
		buf_str(b, ", then a person is told");
	} else {
		buf_str(b, e->subject_absent == SUBJECT_SKIP
			       ? "nothing comes out"
			       : "a person is asked");
	}
}

static void
again_words(struct buf *b, const struct emit *e)
{
	switch (e->again) {
	case AGAIN_KEEP:
		buf_str(b, "the first stands");
		return;
	case AGAIN_ERROR:
		buf_str(b, "that is refused");
		return;
	case AGAIN_REVISE:
		buf_str(b, "it becomes the next revision if ");
		doc_words(b, e->again_by);
		buf_str(b, " is later or greater than before; else the first "
			   "stands");
		return;
	}
}

static void
emit_items(struct page *g, const struct emit *e)
{
	struct buf *b;

	list_begin(g);
	b = words(g);
	buf_str(b, e->each != NULL ? "One" : "Comes out ");
	if (e->each != NULL) {
		doc_loops(b, e->each);
		buf_str(b, e->when != NULL ? ", " : ".");
	}
	if (e->when != NULL) {
		buf_str(b, "when ");
		doc_words(b, e->when);
		buf_byte(b, '.');
	} else if (e->each == NULL) {
		buf_str(b, "always.");
	}
	item(g);
	b = words(g);
	buf_str(b, "It is about ");
	subject_words(b, e);
	buf_byte(b, '.');
	item(g);
	for (size_t i = 0; i < e->refs_n; i++) {
		b = words(g);
		buf_str(b, "That is also known as ");
		doc_words(b, e->refs[i]);
		buf_byte(b, '.');
		item(g);
	}
	b = words(g);
	buf_str(b, "As a fact it is named ");
	doc_words(b, e->id);
	buf_str(b, ". When another event says it with other content, ");
	again_words(b, e);
	buf_byte(b, '.');
	item(g);
	let_items(g, &e->lets);
	list_end(g);
}

static void
emits(struct page *g)
{
	static const struct slice heads[] = {{(const uint8_t *)"Field", 5},
	    {(const uint8_t *)"Where it comes from", 19},
	    {(const uint8_t *)"What it is", 10}};

	for (size_t i = 0; i < g->p->emits_n; i++) {
		const struct emit *e = &g->p->emits[i];
		struct field_at at = {.field = NULL};
		struct buf *b = words(g);

		buf_str(b, "Makes ");
		type_words(g, b, e->type);
		heading(g, 2, buf_all(b));
		emit_items(g, e);
		if (e->data != NULL) {
			buf_init(&at.path, 4096);
			if (e->schema != NULL)
				at.field = &e->schema->root;
			table_begin(g, heads, 3);
			node(g, e->data, &at);
			table_end(g);
			buf_fini(&at.path);
		}
		if (e->checks_n == 0)
			continue;
		b = words(g);
		buf_str(b, "The event is refused unless");
		paragraph(g);
		list_begin(g);
		for (size_t k = 0; k < e->checks_n; k++) {
			doc_words(words(g), e->checks[k]);
			buf_byte(&g->t, '.');
			item(g);
		}
		list_end(g);
	}
}

/* ---- tables ---- */

static void
cell_val(struct buf *b, const struct val *v)
{
	char digits[DEC_TEXT];

	switch (v->tag) {
	case V_TEXT:
		buf_slice(b, val_slice(*v));
		return;
	case V_INT:
		buf_printf(b, "%lld", (long long)v->i);
		return;
	case V_DEC:
		dec_text((struct dec){v->i, v->scale}, digits);
		buf_str(b, digits);
		return;
	case V_BOOL:
		buf_str(b, v->i != 0 ? "true" : "false");
		return;
	default:
		buf_str(b, "-");
	}
}

static void
unmatched(struct page *g, const struct table *t)
{
	struct buf *b = words(g);

	if (t->contains)
		buf_str(b, "The first row whose key stands anywhere in the "
			   "text counts. ");
	buf_str(b, "What has no row: ");
	switch (t->unmatched) {
	case UN_ASK:
		buf_str(b, "the event waits and a person is asked; the answer "
			   "becomes a row.");
		break;
	case UN_REPORT:
		buf_str(b, "the default is taken, and a person is asked "
			   "without the event waiting.");
		break;
	case UN_ERROR:
		buf_str(b, "the event is refused.");
		break;
	case UN_KEEP:
		buf_str(b, "it is kept as it is.");
		break;
	case UN_ROW:
		buf_str(b, "the default is taken.");
		break;
	}
	if (t->fallback != NULL) {
		buf_str(b, " The default is ");
		for (size_t i = 0; i == 0 || i < t->columns_n; i++) {
			buf_str(b, i > 0 ? ", " : "");
			cell_val(b, &t->fallback[i]);
		}
		buf_byte(b, '.');
	}
	paragraph(g);
}

static void
table(struct page *g, const struct table *t)
{
	struct slice heads[LANG_ARGS + 2];
	size_t n = 0;
	struct buf one;

	buf_init(&one, 65536);
	buf_printf(words(g), "Table `%.*s`", SLICE_ARG(t->name));
	heading(g, 2, buf_all(&g->t));
	unmatched(g, t);
	heads[n++] = SLICE_LIT("For");
	for (size_t i = 0; i < t->columns_n && n < LANG_ARGS; i++)
		heads[n++] = t->columns[i];
	if (t->columns_n == 0)
		heads[n++] = SLICE_LIT("it says");
	heads[n++] = SLICE_LIT("Layer");
	table_begin(g, heads, n);
	for (size_t i = 0; i < t->rows_n; i++) {
		row_begin(g);
		cell(g, t->rows[i].key, false);
		for (size_t k = 0; k + 2 < n; k++) {
			buf_reset(&one);
			cell_val(&one, &t->rows[i].cells[k]);
			cell(g, buf_all(&one), false);
		}
		cell(g, SLICE_LIT("pack"), false);
		row_end(g);
	}
	table_end(g);
	buf_fini(&one);
}

static void
tables(struct page *g)
{
	struct buf *b;

	for (size_t i = 0; i < g->p->tables_n; i++)
		table(g, &g->p->tables[i]);
	if (g->p->tables_n == 0)
		return;
	b = words(g);
	buf_str(b, "These are the pack's own rows. An installation may lay "
		   "rows of its own over them (`tables:` in vayla.yaml), and "
		   "answers to questions lie between the two.");
	paragraph(g);
}

/* ---- tests ---- */

static void
scalars(struct buf *b, const struct yaml *map, unsigned max)
{
	unsigned n = 0;

	for (const struct yaml *y = map != NULL ? map->child : NULL; y != NULL;
	     y = y->next) {
		if (y->kind != YAML_SCALAR || y->key == NULL)
			continue;
		if (n++ == max) {
			buf_str(b, ", ..");
			return;
		}
		buf_printf(b, "%s`%.*s` %.*s", n > 1 ? ", " : "",
		    SLICE_ARG(y->key->text), SLICE_ARG(y->text));
	}
}

static void
outcome(struct buf *b, const struct yaml *t)
{
	static const struct {
		const char *key, *words;
	} outcomes[] = {{"error", "it is refused, naming "},
	    {"asks", "it asks: table "}, {"waits", "it waits for "}};
	const struct yaml *y;
	size_t at;

	for (size_t i = 0; i < 3; i++)
		if ((y = yaml_get(t, outcomes[i].key)) != NULL) {
			buf_printf(b, "; %s`%.*s`", outcomes[i].words,
			    SLICE_ARG(y->text));
			return;
		}
	if (yaml_get(t, "skips") != NULL)
		buf_str(b, "; nothing comes out");
	if ((y = yaml_get(t, "expect")) != NULL && y->kind == YAML_MAP) {
		at = b->n;
		buf_str(b, "; comes out with ");
		scalars(b, y, 6);
		if (b->n == at + strlen("; comes out with "))
			b->n = at;
	}
	if ((y = yaml_get(t, "events")) != NULL) {
		buf_printf(
		    b, "; %u event%s", y->count, y->count == 1 ? "" : "s");
		for (y = y->child; y != NULL; y = y->next) {
			const struct yaml *type = yaml_get(y, "type");

			if (type != NULL)
				buf_printf(b, " `%.*s`", SLICE_ARG(type->text));
		}
	}
}

static void
examples(struct page *g)
{
	const struct yaml *tests = yaml_get(g->m->root, "tests"), *y, *set;

	if (tests == NULL || tests->child == NULL)
		return;
	heading(g, 2, SLICE_LIT("Examples, tested"));
	list_begin(g);
	for (const struct yaml *t = tests->child; t != NULL; t = t->next) {
		struct buf *b = words(g);

		y = yaml_get(t, "name");
		if (y != NULL)
			buf_slice(b, y->text);
		y = yaml_get(t, "given");
		set = y != NULL ? yaml_get(y, "set") : NULL;
		if (set != NULL && set->count > 0) {
			buf_str(b, ": with ");
			scalars(b, set, 6);
		}
		outcome(b, t);
		buf_byte(b, '.');
		item(g);
	}
	list_end(g);
}

/* ---- the page ---- */

enum err
doc_mapping(const struct mapfile *m, bool html, struct buf *out)
{
	struct page g = {
	    .m = m, .p = m->map->program, .html = html, .out = out};

	buf_init(&g.t, 1024 * 1024);
	buf_printf(
	    &g.t, "%.*s, version %d", SLICE_ARG(m->map->name), m->map->version);
	heading(&g, 1, buf_all(&g.t));
	comment(&g);
	takes(&g);
	joins(&g);
	if (g.p->lets.n > 0) {
		heading(&g, 2, SLICE_LIT("Names for what is worked out first"));
		list_begin(&g);
		let_items(&g, &g.p->lets);
		list_end(&g);
	}
	emits(&g);
	tables(&g);
	examples(&g);
	buf_fini(&g.t);
	return buf_check(out);
}

void
doc_begin(bool html, const char *title, struct buf *out)
{
	if (html)
		buf_printf(out,
		    "<!doctype html>\n<html lang=\"en\">\n<meta "
		    "charset=\"utf-8\">\n<title>%s</title>\n<style>\nbody "
		    "{font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em "
		    "auto; padding: 0 1em}\ntable {border-collapse: "
		    "collapse}\nth, td {border: 1px solid #999; padding: .2em "
		    ".5em; text-align: left; vertical-align: top}\n</style>\n",
		    title);
}

void
doc_end(bool html, struct buf *out)
{
	if (html)
		buf_str(out, "</html>\n");
}
