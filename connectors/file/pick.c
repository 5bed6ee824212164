/* pick - see pick.h. */
#include "connectors/file/pick.h"

#include <strings.h>

#include "broker/base/clock.h"
#include "broker/base/yaml_check.h"

#define STABLE_NS (5 * NS_PER_SEC)

struct loader {
	struct yaml_at at;
	const struct pack *p;
	struct arena *a;
};

bool
pick_wanted(const struct pack *p)
{
	return pack_section(p, "pick") != NULL;
}

/* A word, a quoted text, or `$settings.name`: whatever is plain and no setting
 * is the word itself. */
static const struct formula *
option(struct loader *l, const struct yaml *y)
{
	const struct formula *x = NULL;
	struct yaml *word;

	if (y == NULL || !yaml_want(&l->at, y, YAML_SCALAR, "an option"))
		return NULL;
	word = arena_alloc(l->a, sizeof(*word)); /* the formula points at it */
	if (word == NULL) {
		fault(l->at.f, l->at.file, y, "no room for an option");
		return NULL;
	}
	*word = *y;
	if (!slice_starts(y->text, SLICE_LIT("$settings")))
		word->style = YAML_QUOTED;
	if (formula_load(&x, l->at.file, word, FORMULA_SETTINGS, NULL,
		l->p->settings_open, l->a, l->at.f) != ERR_OK)
		return NULL;
	return x;
}

static void
number(struct loader *l, const struct yaml *y, const char *what, int64_t max,
    int64_t *out)
{
	struct slice s = yaml_text(&l->at, y, what);
	int64_t v = 0;

	if (y == NULL)
		return;
	for (size_t i = 0; i < s.n && i < 10 && v >= 0; i++)
		v = s.p[i] < '0' || s.p[i] > '9' ? -1 : v * 10 + (s.p[i] - '0');
	if (s.n == 0 || s.n > 10 || v < 1 || v > max)
		fault(l->at.f, l->at.file, y,
		    "%s must be a number from 1 to %lld", what, (long long)max);
	else
		*out = v;
}

/* "90s", "5m" in ns; 0 when it is none. */
static int64_t
duration(struct slice s)
{
	static const char units[] = "smh";
	static const int64_t secs[] = {1, 60, 3600};
	const char *u =
	    s.n > 1 && s.n <= 6 ? strchr(units, s.p[s.n - 1]) : NULL;
	int64_t v = 0;

	for (size_t i = 0; u != NULL && i + 1 < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		v = v * 10 + (s.p[i] - '0');
	}
	return u != NULL && *u != '\0' ? v * secs[u - units] * NS_PER_SEC : 0;
}

/* ---- the section ---- */

static void
load_complete(struct loader *l, const struct yaml *y, struct pick *p)
{
	static const char *const known[] = {"stable", "marker", NULL};
	static const char *const words[] = {"rename", NULL};
	const struct yaml *marker = yaml_get(y, "marker");

	p->complete = PICK_STABLE;
	if (y == NULL)
		return;
	if (y->kind == YAML_SCALAR) {
		if (yaml_word(&l->at, y, words, "complete") == 0)
			p->complete = PICK_RENAME;
		return;
	}
	if (!yaml_known(&l->at, y, known, "complete"))
		return;
	p->stable = option(l, yaml_get(y, "stable"));
	if ((p->stable != NULL) == (marker != NULL)) {
		fault(l->at.f, l->at.file, y,
		    "complete: rename, {stable: 5s} or {marker: .ready}");
	} else if (marker != NULL) {
		struct slice s = yaml_text(&l->at, marker, "marker");

		p->complete = PICK_MARKER;
		p->marker = arena_strdup(l->a, s);
		if (s.n == 0 || s.n > 32 || memchr(s.p, '/', s.n) != NULL)
			fault(l->at.f, l->at.file, marker,
			    "marker: what is put behind the file's name, as "
			    ".ready");
	}
}

static void
load_column(struct loader *l, const struct yaml *y, struct pick *p)
{
	struct pick_column *c = &p->column[p->columns_n];

	c->field = y->key->text;
	if (c->field.n > 0 && c->field.p[c->field.n - 1] == '?') {
		c->optional = true;
		c->field.n--;
	}
	if (p->fields != NULL && schema_find(p->fields, c->field) == NULL)
		fault(l->at.f, l->at.file, y->key,
		    "columns: the event has no field \"%.*s\"",
		    SLICE_ARG(c->field));
	p->columns_n++;
	if (y->kind == YAML_SCALAR) {
		c->names[c->names_n++] = option(l, y);
		return;
	}
	if (!yaml_want(&l->at, y, YAML_LIST, "a column's headings"))
		return;
	if (y->count == 0 || y->count > PICK_NAMES) {
		fault(l->at.f, l->at.file, y, "1 to %d headings of a column",
		    PICK_NAMES);
		return;
	}
	for (const struct yaml *n = y->child; n != NULL; n = n->next)
		c->names[c->names_n++] = option(l, n);
}

static void
load_csv(struct loader *l, const struct yaml *y, struct pick *p)
{
	static const char *const known[] = {"encoding", "separator", "decimal",
	    "thousands", "quote", "columns", NULL};
	const struct yaml *columns = yaml_get(y, "columns");

	if (y == NULL) {
		fault(l->at.f, l->at.file, p->at,
		    "a pick needs `csv`: how its files are written, or "
		    "`document`");
		return;
	}
	if (!yaml_known(&l->at, y, known, "csv"))
		return;
	p->encoding = option(l, yaml_get(y, "encoding"));
	p->separator = option(l, yaml_get(y, "separator"));
	p->decimal = option(l, yaml_get(y, "decimal"));
	p->thousands = option(l, yaml_get(y, "thousands"));
	p->quote = option(l, yaml_get(y, "quote"));
	if (columns == NULL || !yaml_want(&l->at, columns, YAML_MAP, "columns"))
		return;
	if (columns->count > CSV_COLUMNS) {
		fault(l->at.f, l->at.file, columns, "at most %d columns",
		    CSV_COLUMNS);
		return;
	}
	p->column = arena_alloc(l->a, columns->count * sizeof(*p->column));
	if (p->column == NULL)
		fault(l->at.f, l->at.file, columns, "no memory for it");
	for (const struct yaml *c = columns->child;
	     c != NULL && p->column != NULL; c = c->next)
		load_column(l, c, p);
}

static void
load_one(struct loader *l, const struct yaml *y, struct pick *p)
{
	static const char *const known[] = {"name", "folder", "match",
	    "complete", "every", "csv", "document", "limits", "event", NULL};
	static const char *const forms[] = {"json", "xml", "edifact", NULL};
	static const char *const matches[] = {
	    "*.csv", "*.json", "*.xml", "*.edi"};
	const struct yaml *document = yaml_get(y, "document");
	static const char *const limits[] = {
	    "bytes", "rows", "line", "columns", NULL};
	const struct yaml *event = yaml_get(y, "event");
	const struct yaml *match = yaml_get(y, "match");
	const struct yaml *every = yaml_get(y, "every");
	const struct yaml *limit = yaml_get(y, "limits");
	const struct schema *s;

	p->at = y;
	if (!yaml_known(&l->at, y, known, "a pick"))
		return;
	p->name = yaml_text(&l->at, yaml_get(y, "name"), "name");
	if (p->name.n == 0 || p->name.n > 32)
		fault(l->at.f, l->at.file, y,
		    "a pick needs a name of at most 32 bytes");
	p->folder = option(l, yaml_get(y, "folder"));
	if (p->folder == NULL)
		fault(l->at.f, l->at.file, y,
		    "a pick needs `folder`, as folder: $settings.folder");
	if (document != NULL) {
		int w = yaml_word(&l->at, document, forms, "document");

		p->form = w == 0 ? PICK_JSON : w == 1 ? PICK_XML : PICK_EDIFACT;
		if (yaml_get(y, "csv") != NULL)
			fault(l->at.f, l->at.file, document,
			    "csv or document, not both");
	}
	p->match = match == NULL
		       ? matches[p->form]
		       : arena_strdup(l->a, yaml_text(&l->at, match, "match"));
	if (p->match == NULL || strchr(p->match, '/') != NULL)
		fault(l->at.f, l->at.file, match,
		    "match: a pattern of names, without folders");
	load_complete(l, yaml_get(y, "complete"), p);
	p->every_ms = 2000;
	if (every != NULL) {
		p->every_ms =
		    duration(yaml_text(&l->at, every, "every")) / NS_PER_MS;
		if (p->every_ms == 0)
			fault(l->at.f, l->at.file, every,
			    "every: a number and s, m or h, as 5s");
	}
	p->bytes = 16 * 1024 * 1024;
	p->rows = 100000;
	p->line = CSV_LINE;
	p->columns = CSV_COLUMNS;
	if (limit != NULL && yaml_known(&l->at, limit, limits, "limits")) {
		number(l, yaml_get(limit, "bytes"), "bytes", PICK_BYTES,
		    &p->bytes);
		number(l, yaml_get(limit, "rows"), "rows", PICK_ROWS, &p->rows);
		number(l, yaml_get(limit, "line"), "line", CSV_LINE, &p->line);
		number(l, yaml_get(limit, "columns"), "columns", CSV_COLUMNS,
		    &p->columns);
	}
	if (event == NULL) {
		fault(l->at.f, l->at.file, y,
		    "a pick needs `event`: what a row becomes");
	} else {
		door_row_load(&p->event, l->p, event, l->a, l->at.f);
		s = pack_schema(l->p, p->event.type);
		if (s != NULL)
			p->fields = &s->root;
	}
	if (p->form == PICK_CSV)
		load_csv(l, yaml_get(y, "csv"), p);
}

enum err
pick_load(
    const struct pack *p, struct arena *a, struct faults *f, struct picks *out)
{
	const struct yaml *y = pack_section(p, "pick");
	struct loader l = {{p->file, f}, p, a};
	size_t before = f->count;

	memset(out, 0, sizeof(*out));
	if (y == NULL)
		return ERR_OK;
	if (yaml_want(&l.at, y, YAML_LIST, "pick") &&
	    (y->count == 0 || y->count > PICKS_MAX))
		fault(f, p->file, y, "pick: 1 to %d of them", PICKS_MAX);
	else if (y->kind == YAML_LIST)
		for (const struct yaml *c = y->child; c != NULL; c = c->next)
			load_one(&l, c, &out->v[out->n++]);
	return f->count == before
		   ? ERR_OK
		   : err_note(ERR_SYNTAX, "%s has faults", p->file);
}

/* ---- what the settings make of it ---- */

struct resolver {
	const struct pick *p;
	struct slice settings;
	struct arena *a;
	const char *file;
	const struct yaml *at;
	struct faults *f;
	bool bad;
};

/* Its text; `otherwise` where it is not said. */
static struct slice
said(struct resolver *r, const struct formula *x, const char *otherwise)
{
	const struct formula_env env = {
	    SLICE_EMPTY, r->settings, SLICE_EMPTY, 0};
	struct slice out = slice_str(otherwise);
	struct buf b;
	enum err e;

	if (x == NULL)
		return out;
	buf_init(&b, 4096);
	e = formula_text(x, &env, r->a, &b);
	if (e == ERR_OK)
		e = arena_copy(r->a, buf_all(&b), &out);
	if (e != ERR_OK && e != ERR_MISSING) {
		fault(r->f, r->file, r->at, "%s", err_last());
		r->bad = true;
	}
	buf_fini(&b);
	return out;
}

/* One character: itself, or a word for it. */
static uint8_t
character(struct resolver *r, const struct formula *x, const char *what,
    const char *otherwise)
{
	static const struct {
		const char *word;
		uint8_t is;
	} words[] = {{"none", 0}, {"tab", '\t'}, {"space", ' '}, {"comma", ','},
	    {"semicolon", ';'}, {"point", '.'}};
	struct slice s = said(r, x, otherwise);

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (slice_is(s, words[i].word))
			return words[i].is;
	if (s.n == 1 && s.p[0] < 0x80 && s.p[0] != '\n' && s.p[0] != '\r' &&
	    s.p[0] != 0 && (s.p[0] < '0' || s.p[0] > '9'))
		return s.p[0];
	fault(r->f, r->file, r->at,
	    "%s: \"%.*s\" is no single character that can stand there (or one "
	    "of tab, space, comma, semicolon, point, none)",
	    what, SLICE_ARG(s));
	r->bad = true;
	return 0;
}

static void
resolve_csv(struct resolver *r, struct pick_way *w)
{
	static const char *const names[] = {"utf-8", "UTF-8", "iso-8859-1",
	    "latin-1", "windows-1252", "cp1252", NULL};
	struct slice e = said(r, r->p->encoding, "utf-8");
	size_t i = 0;

	while (names[i] != NULL && !slice_is(e, names[i]))
		i++;
	w->csv.encoding = (enum csv_encoding)(i / 2);
	if (names[i] == NULL) {
		fault(r->f, r->file, r->at,
		    "encoding: \"%.*s\" is not known; utf-8, windows-1252 or "
		    "iso-8859-1",
		    SLICE_ARG(e));
		r->bad = true;
	}
	w->csv.separator = character(r, r->p->separator, "separator", ",");
	w->csv.quote = character(r, r->p->quote, "quote", "\"");
	w->decimal = character(r, r->p->decimal, "decimal", ".");
	w->thousands = character(r, r->p->thousands, "thousands", "none");
	w->csv.columns = (size_t)r->p->columns;
	w->csv.line = (size_t)r->p->line;
	if (!r->bad &&
	    (w->csv.separator == 0 || w->csv.separator == w->csv.quote ||
		w->decimal == 0 || w->decimal == w->thousands)) {
		fault(r->f, r->file, r->at,
		    "separator and quote, and the decimal and thousands marks, "
		    "must differ, and separator and decimal mark be there");
		r->bad = true;
	}
}

bool
pick_resolve(const struct pick *p, struct slice settings, struct arena *a,
    const char *file, const struct yaml *at, struct faults *f,
    struct pick_way *w)
{
	struct resolver r = {p, settings, a, file, at, f, false};

	memset(w, 0, sizeof(*w));
	w->folder = said(&r, p->folder, "");
	if (w->folder.n == 0 || w->folder.n > 3000) {
		fault(f, file, at, "pick %.*s: its folder is not said",
		    SLICE_ARG(p->name));
		r.bad = true;
	}
	resolve_csv(&r, w);
	w->stable_ns = STABLE_NS;
	if (p->stable != NULL)
		w->stable_ns = duration(said(&r, p->stable, "5s"));
	if (w->stable_ns == 0) {
		fault(f, file, at, "stable: a number and s, m or h, as 5s");
		r.bad = true;
	}
	for (size_t i = 0; i < p->columns_n; i++)
		for (size_t k = 0; k < PICK_NAMES; k++)
			w->names[i][k] =
			    k < p->column[i].names_n
				? said(&r, p->column[i].names[k], "")
				: SLICE_EMPTY;
	return !r.bad;
}
