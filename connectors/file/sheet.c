/* sheet - see sheet.h. */
#include "connectors/file/sheet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "broker/base/crypt.h"
#include "broker/base/dec.h"
#include "broker/base/json.h"
#include "connectors/sdk/native.h"
#include "mappings/engine/edifact.h"
#include "mappings/engine/xml.h"

#define SHOWN 40 /* bytes of a cell that are quoted */

static enum csv_got PRINTF_LIKE(5, 6) wrong(struct sheet *r, enum csv_got got,
    uint32_t line, size_t column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->csv.why, sizeof(r->csv.why), fmt, ap);
	va_end(ap);
	r->csv.bad_line = line;
	r->csv.bad_column = (uint32_t)column;
	return got;
}

/* Cut for showing, never inside a character. */
static struct slice
shown(struct slice s)
{
	if (s.n <= SHOWN)
		return s;
	s.n = SHOWN;
	while (s.n > 0 && (s.p[s.n] & 0xc0) == 0x80)
		s.n--;
	return s;
}

static bool
same(struct slice a, struct slice b)
{
	return a.n == b.n &&
	       strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

/* The column whose heading is one of a field's names, nearest name first. */
static bool
find(
    const struct sheet *r, const struct csv_row *head, size_t field, size_t *at)
{
	for (size_t k = 0; k < PICK_NAMES; k++) {
		struct slice name = r->way->names[field][k];

		for (size_t i = 0; name.n > 0 && i < head->n; i++)
			if (same(head->cells[i], name)) {
				*at = i;
				return true;
			}
	}
	return false;
}

static enum csv_got
missing(struct sheet *r, const struct csv_row *head, size_t field)
{
	struct buf b;
	enum csv_got got;

	buf_init(&b, CSV_WHY / 2);
	for (size_t k = 0; k < PICK_NAMES; k++)
		if (r->way->names[field][k].n > 0)
			buf_printf(&b, "%s\"%.*s\"", b.n > 0 ? " or " : "",
			    SLICE_ARG(shown(r->way->names[field][k])));
	got = wrong(r, CSV_BROKEN, head->line, 0,
	    "the heading has no column %s%s", buf_cstr(&b),
	    head->n == 1 ? "; it has one column: is the separator right?" : "");
	buf_fini(&b);
	return got;
}

static void
type_column(struct sheet *r, struct sheet_column *c)
{
	const struct schema_field *f =
	    r->pick->fields != NULL ? schema_find(r->pick->fields, c->name)
				    : NULL;

	c->is = f == NULL		    ? SHEET_TEXT
		: f->type == SCHEMA_DECIMAL ? SHEET_DECIMAL
		: f->type == SCHEMA_INTEGER ? SHEET_INTEGER
					    : SHEET_TEXT;
}

static enum csv_got
heading(struct sheet *r, const struct csv_row *head, struct arena *a)
{
	size_t at;

	r->head_line = head->line;
	r->n = head->n;
	/* trailing separators, as a title above the heading has them too */
	while (r->n > 1 && head->cells[r->n - 1].n == 0)
		r->n--;
	r->column = arena_alloc(a, r->n * sizeof(*r->column));
	if (r->column == NULL)
		return wrong(r, CSV_BROKEN, head->line, 0, "no memory for it");
	for (size_t i = 0; i < r->n; i++) {
		r->column[i].name = SLICE_EMPTY;
		if (arena_copy(a, head->cells[i], &r->column[i].name) != ERR_OK)
			return wrong(
			    r, CSV_BROKEN, head->line, 0, "no memory for it");
	}
	for (size_t f = 0; f < r->pick->columns_n; f++) {
		if (find(r, head, f, &at))
			r->column[at].name = r->pick->column[f].field;
		else if (!r->pick->column[f].optional)
			return missing(r, head, f);
	}
	for (size_t i = 0; i < r->n; i++) {
		type_column(r, &r->column[i]);
		for (size_t k = 0; k < i; k++)
			if (r->column[i].name.n > 0 &&
			    slice_eq(r->column[i].name, r->column[k].name))
				return wrong(r, CSV_BROKEN, head->line, i + 1,
				    "the heading has two columns \"%.*s\"",
				    SLICE_ARG(shown(r->column[i].name)));
	}
	return CSV_ROW;
}

/* ---- documents ---- */

static enum csv_got
document(struct sheet *r, struct slice text, struct arena *a)
{
	const struct schema_field *root = r->pick->fields;
	struct slice kept = SLICE_EMPTY;
	struct buf mp;
	struct mp top;
	enum err e;

	buf_init(&mp, 4 * (size_t)r->pick->bytes);
	e = r->pick->form == PICK_JSON	? json_to_mp(text, &mp, NULL)
	    : r->pick->form == PICK_XML ? xml_to_mp(text, root, true, &mp)
					: edifact_to_mp(text, root, &mp);
	if (e == ERR_OK)
		e = arena_copy(a, buf_all(&mp), &kept);
	buf_fini(&mp);
	if (e != ERR_OK)
		return wrong(r, CSV_BROKEN, 0, 0, "%s", err_last());
	r->docs = mp_in(kept);
	r->docs_n = 1;
	if (mp_next(&r->docs, &top) == ERR_OK && top.type == MP_ARRAY)
		r->docs_n = top.count;
	else
		r->docs = mp_in(kept);
	return CSV_ROW;
}

static enum csv_got
next_document(struct sheet *r, struct csv_row *at, struct buf *mp)
{
	struct slice one;
	struct mp head;
	struct mp_in in;

	if (r->docs_n == 0 || mp_value(&r->docs, &one) != ERR_OK)
		return CSV_END;
	r->docs_n--;
	*at = (struct csv_row){.raw = r->text, .line = ++r->row};
	in = mp_in(one);
	if (mp_next(&in, &head) != ERR_OK || head.type != MP_MAP)
		return wrong(r, CSV_BAD, 0, 0, "item %u is no object", r->row);
	buf_slice(mp, one);
	return CSV_ROW;
}

enum csv_got
sheet_open(struct sheet *r, const struct pick *p, const struct pick_way *w,
    struct slice text, struct arena *a)
{
	struct csv_row head;
	enum csv_got got;

	memset(r, 0, sizeof(*r));
	r->pick = p;
	r->way = w;
	r->head = SLICE_EMPTY;
	r->text = text;
	if (p->form != PICK_CSV)
		return document(r, text, a);
	csv_init(&r->csv, &w->csv, text);
	got = csv_next(&r->csv, a, &head);
	if (got == CSV_END)
		return wrong(r, CSV_BROKEN, 1, 0, "it is empty: no heading");
	if (got != CSV_ROW)
		return CSV_BROKEN;
	r->head = slice_of(text.p, r->csv.at);
	return heading(r, &head, a);
}

/* A cell's value; NULL, or what is wrong with it. */
static const char *
value(struct sheet *r, const struct sheet_column *c, struct slice cell,
    struct buf *mp)
{
	const char *why = NULL;
	struct dec d;
	struct buf b;
	int64_t whole;

	if (c->is == SHEET_TEXT) {
		mp_put_str(mp, cell);
		return NULL;
	}
	buf_init(&b, 128);
	if (!csv_number(cell, r->way->decimal, r->way->thousands, &b))
		why = csv_number(cell, r->way->decimal, ' ', &b)
			  ? "is no number; when a blank parts the thousands, "
			    "say thousands: space under csv:"
			  : "is no number";
	else if (dec_parse(buf_all(&b), &d) != ERR_OK ||
		 dec_store(d, &d) != ERR_OK)
		why = "is too large or too fine a number";
	else if (dec_is_int(d, &whole) &&
		 (c->is == SHEET_INTEGER || d.scale == 0))
		mp_put_int(mp, whole);
	else if (c->is == SHEET_INTEGER)
		why = "is no whole number";
	else
		mp_put_decimal(mp, buf_all(&b));
	buf_fini(&b);
	return why;
}

static enum csv_got
put(struct sheet *r, const struct csv_row *row, struct buf *mp)
{
	size_t before = mp->n, mark = mp_open(mp);
	uint32_t pairs = 0;

	if (row->n < r->n)
		return wrong(r, CSV_BAD, row->line, 0,
		    "it has %zu columns, the heading %zu", row->n, r->n);
	for (size_t i = 0; i < row->n; i++) {
		struct slice cell = row->cells[i];
		const char *why;

		if (cell.n == 0 || (i < r->n && r->column[i].name.n == 0))
			continue;
		if (i >= r->n) {
			mp->n = before;
			return wrong(r, CSV_BAD, row->line, i + 1,
			    "it has %zu columns, the heading (line %u) has "
			    "%zu; when that line is a title, delete it, else "
			    "give each column its heading",
			    row->n, r->head_line, r->n);
		}
		mp_put_str(mp, r->column[i].name);
		why = value(r, &r->column[i], cell, mp);
		if (why != NULL) {
			mp->n = before;
			return wrong(r, CSV_BAD, row->line, i + 1,
			    "\"%.*s\" %s", SLICE_ARG(shown(cell)), why);
		}
		pairs++;
	}
	mp_close_map(mp, mark, pairs);
	return CSV_ROW;
}

enum csv_got
sheet_next(
    struct sheet *r, struct arena *scratch, struct csv_row *at, struct buf *mp)
{
	enum csv_got got;
	size_t before = mp->n;

	if (r->pick->form != PICK_CSV)
		return next_document(r, at, mp);
	got = csv_next(&r->csv, scratch, at);

	if (got == CSV_ROW || got == CSV_BAD)
		r->row++;
	if (got == CSV_ROW) {
		got = put(r, at, mp);
		if (got != CSV_ROW)
			mp->n = before;
	}
	return got;
}

void
sheet_why(const struct sheet *r, struct buf *out)
{
	uint32_t k = r->csv.bad_column;

	if (r->pick->form != PICK_CSV) {
		buf_str(out, r->csv.why);
		return;
	}
	buf_printf(out, "line %u", r->csv.bad_line);
	if (k > 0)
		buf_printf(out, ", column %u", k);
	if (k > 0 && k <= r->n && r->column[k - 1].name.n > 0)
		buf_printf(
		    out, " (%.*s)", SLICE_ARG(shown(r->column[k - 1].name)));
	buf_printf(out, ": %s", r->csv.why);
}

/* ---- events ---- */

enum err
sheet_ids_init(struct sheet_ids *ids, size_t rows)
{
	for (ids->cap = 64; ids->cap < 2 * rows;)
		ids->cap *= 2;
	ids->v = calloc(ids->cap, sizeof(*ids->v));
	return ids->v != NULL ? ERR_OK : err_note(ERR_NOMEM, "%zu rows", rows);
}

void
sheet_ids_fini(struct sheet_ids *ids)
{
	free(ids->v);
	ids->v = NULL;
}

/* Was this id there before in this file? Its hash stands for it: 64 bits. */
static bool
doubled(struct sheet_ids *ids, struct slice id)
{
	uint8_t sum[32];
	uint64_t h;

	sha256(id, sum);
	memcpy(&h, sum, sizeof(h));
	if (h == 0)
		h = 1;
	for (size_t i = h & (ids->cap - 1);; i = (i + 1) & (ids->cap - 1)) {
		if (ids->v[i] == h)
			return true;
		if (ids->v[i] == 0) {
			ids->v[i] = h;
			return false;
		}
	}
}

static enum err
request_put(const struct sheet *r, const struct sheet_file *from, uint32_t line,
    struct slice *out, struct arena *a)
{
	struct buf b;
	enum err e;

	buf_init(&b, 4096);
	mp_put_map(&b, 4);
	mp_put_cstr(&b, "file");
	mp_put_cstr(&b, from->name);
	mp_put_cstr(&b, "line");
	mp_put_int(&b, line);
	mp_put_cstr(&b, "modified");
	mp_put_time(&b, from->modified);
	mp_put_cstr(&b, "row");
	mp_put_int(&b, r->row);
	e = buf_check(&b) == ERR_OK ? arena_copy(a, buf_all(&b), out)
				    : ERR_LIMIT;
	buf_fini(&b);
	return e;
}

enum err
sheet_event(const struct sheet *r, const struct sheet_file *from, uint32_t line,
    struct slice row, struct sheet_ids *ids, struct arena *scratch,
    struct event *ev)
{
	struct formula_env env = {row, from->settings, SLICE_EMPTY, 0};
	enum err e;

	native_init(ev);
	ev->data = row;
	e = request_put(r, from, line, &env.request, scratch);
	if (e == ERR_OK)
		e = native_fill(
		    &r->pick->event, &env, from->modified, scratch, ev);
	if (e != ERR_OK)
		return e;
	if (ev->id.n + 1 + SHEET_FILE_ID > EVENT_TEXT)
		return err_note(ERR_LIMIT, "id: longer than %d bytes",
		    EVENT_TEXT - 1 - SHEET_FILE_ID);
	if (doubled(ids, ev->id))
		return err_note(ERR_EXISTS,
		    "\"%.*s\" stands in this file before; the first one counts "
		    "(rows that are not the same need more in the id of the "
		    "pack's pick)",
		    SLICE_ARG(ev->id));
	return ERR_OK;
}
