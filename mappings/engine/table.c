/*
 * table - `tables:` of a mapping: read, checked, and made ready for lookup.
 *
 * A row's cells are words of the file (text) unless `columns` gives them types.
 * Few rows are compared one by one, many are found by halving.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mappings/engine/lang.h"
#include "mappings/engine/words.h"
#include "broker/base/yaml_check.h"

struct table *
table_find(struct lang *l, struct slice name)
{
	size_t i;

	for (i = 0; i < l->p->tables_n; i++)
		if (slice_eq(l->p->tables[i].name, name)) {
			l->p->tables[i].used++;
			return &l->p->tables[i];
		}
	return NULL;
}

static bool
load_cell(struct lang *l, const struct yaml *y, enum kind kind, struct val *out)
{
	struct dec d;
	int64_t i;

	if (y->kind != YAML_SCALAR) {
		fault(l->f, l->file, y, "a cell is one word or number");
		return false;
	}
	switch (kind) {
	case K_DEC:
		if (dec_parse(y->text, &d) != ERR_OK ||
		    dec_store(d, &d) != ERR_OK)
			break;
		*out = (struct val){
		    .tag = V_DEC, .scale = d.scale, .i = (int64_t)d.c};
		return true;
	case K_INT:
		if (dec_parse(y->text, &d) != ERR_OK || !dec_is_int(d, &i))
			break;
		*out = val_int(i);
		return true;
	case K_BOOL:
		if (!slice_is(y->text, "true") && !slice_is(y->text, "false"))
			break;
		*out = val_bool(y->text.p[0] == 't');
		return true;
	default:
		*out = val_text(y->text);
		return true;
	}
	fault(l->f, l->file, y, "%s is wanted in this column, not %.*s",
	    type_name(kind), SLICE_ARG(y->text));
	return false;
}

/* One row's cells: a scalar, or a list in the order of the columns. */
static struct val *
load_cells(struct lang *l, const struct table *t, const struct yaml *y)
{
	size_t n = t->columns_n > 0 ? t->columns_n : 1, i = 0;
	struct val *cells = lang_alloc(l, n * sizeof(*cells));

	if (t->columns_n == 0)
		return load_cell(l, y, K_TEXT, cells) ? cells : NULL;
	if (y->kind == YAML_SCALAR && n == 1)
		return load_cell(l, y, t->kinds[0], cells) ? cells : NULL;
	if (y->kind != YAML_LIST || y->count != n) {
		fault(l->f, l->file, y,
		    "a row of %.*s is a list of %zu cells, as its columns",
		    SLICE_ARG(t->name), n);
		return NULL;
	}
	for (y = y->child; y != NULL; y = y->next, i++)
		if (!load_cell(l, y, t->kinds[i], &cells[i]))
			return NULL;
	return cells;
}

static void
load_columns(struct lang *l, struct table *t, const struct yaml *y)
{
	static const enum kind kinds[] = {K_TEXT, K_DEC, K_INT, K_BOOL};
	static const struct type *const types[] = {
	    &type_text, &type_dec, &type_int, &type_bool};
	struct yaml_at at = {l->file, l->f};
	struct slice *names;
	const struct type **col_types;
	const char **texts;
	enum kind *col;
	size_t n = 0;
	int w;

	t->type = &type_text;
	if (y == NULL || !yaml_want(&at, y, YAML_MAP, "columns"))
		return;
	names = lang_alloc(l, (y->count + 1) * sizeof(*names));
	texts = lang_alloc(l, (y->count + 1) * sizeof(*texts));
	col = lang_alloc(l, (y->count + 1) * sizeof(*col));
	col_types = lang_alloc(l, (y->count + 1) * sizeof(*col_types));
	for (y = y->child; y != NULL; y = y->next) {
		w = yaml_word(&at, y, words_column, "a column's type");
		names[n] = y->key->text;
		texts[n] = (const char *)y->key->text.p;
		col[n] = w >= 0 ? kinds[w] : K_TEXT;
		col_types[n] = w >= 0 ? types[w] : &type_text;
		n++;
	}
	t->columns_n = n;
	t->columns = names;
	t->kinds = col;
	t->type = type_record(l, (const char *)t->name.p, n, texts, col_types);
	t->shape = t->type->shape;
}

static void
load_unmatched(struct lang *l, struct table *t, const struct yaml *map)
{
	static const enum unmatched values[] = {
	    UN_ASK, UN_REPORT, UN_ERROR, UN_KEEP};
	struct yaml_at at = {l->file, l->f};
	const struct yaml *y = yaml_get(map, "unmatched"), *row;
	int w;

	if (y == NULL) {
		fault(l->f, l->file, map,
		    "table %.*s does not say what happens without a row; add "
		    "unmatched: ask, report, error, keep or {row: ..}",
		    SLICE_ARG(t->name));
		return;
	}
	if (y->kind == YAML_MAP) {
		row = yaml_get(y, "row");
		if (row == NULL || y->count != 1)
			fault(l->f, l->file, y,
			    "unmatched: {row: ..} gives "
			    "the row to use");
		else
			t->fallback = load_cells(l, t, row);
		t->unmatched = UN_ROW;
		if (t->fallback == NULL)
			t->unmatched = UN_ERROR;
		return;
	}
	w = yaml_word(&at, y, words_unmatched, "unmatched");
	if (w < 0)
		return;
	t->unmatched = values[w];
	row = yaml_get(map, "default");
	if (row != NULL && t->unmatched != UN_REPORT)
		fault(l->f, l->file, row,
		    "default goes with unmatched: report; elsewhere write "
		    "unmatched: {row: ..}");
	else if (row != NULL)
		t->fallback = load_cells(l, t, row);
	else if (t->unmatched == UN_REPORT && t->columns_n > 0)
		fault(l->f, l->file, y,
		    "report goes on with a row; give it as "
		    "default: [..]");
	if (t->unmatched == UN_KEEP && t->columns_n > 0)
		fault(l->f, l->file, y,
		    "keep gives the key itself, so it goes "
		    "with a table without columns");
}

static int
by_key(const void *a, const void *b)
{
	const struct table_row *const *x = a, *const *y = b;

	return slice_cmp((*x)->key, (*y)->key);
}

static void
load_rows(struct lang *l, struct table *t, const struct yaml *y)
{
	struct yaml_at at = {l->file, l->f};
	struct table_row *r;
	char name[160];
	size_t i;

	if (y == NULL) /* all rows come from the installation */
		return;
	if (!yaml_want(&at, y, YAML_MAP, "rows"))
		return;
	t->rows = lang_alloc(l, (y->count + 1) * sizeof(*t->rows));
	for (y = y->child; y != NULL; y = y->next) {
		r = &t->rows[t->rows_n];
		r->key = y->key->text;
		r->at = y;
		r->cells = load_cells(l, t, y);
		if (r->cells == NULL)
			continue;
		snprintf(name, sizeof(name), "%.*s: %.*s", SLICE_ARG(t->name),
		    SLICE_ARG(r->key));
		r->point = lang_point(
		    l, COVER_ROW, lang_copy(l, slice_str(name)), y->line);
		t->rows_n++;
	}
	if (t->contains || t->rows_n <= 8)
		return;
	t->by_key = lang_alloc(l, t->rows_n * sizeof(struct table_row *));
	for (i = 0; i < t->rows_n; i++)
		t->by_key[i] = &t->rows[i];
	qsort(t->by_key, t->rows_n, sizeof(struct table_row *), by_key);
}

void
table_load_all(struct lang *l, const struct yaml *y)
{
	struct yaml_at at = {l->file, l->f};
	struct table *t;

	if (y == NULL || !yaml_want(&at, y, YAML_MAP, "tables"))
		return;
	l->p->tables = lang_alloc(l, (y->count + 1) * sizeof(*t));
	for (y = y->child; y != NULL; y = y->next) {
		t = &l->p->tables[l->p->tables_n++];
		t->name = y->key->text;
		t->at = y;
		t->type = &type_text;
		if (slice_is(t->name, "ref"))
			fault(l->f, l->file, y->key,
			    "`ref` is no name for a table: questions about "
			    "names of subjects are asked under it");
		if (!yaml_want(&at, y, YAML_MAP, "a table"))
			continue;
		(void)yaml_known(&at, y, words_table, "a table");
		if (yaml_get(y, "by") != NULL)
			t->contains = yaml_word(&at, yaml_get(y, "by"),
					  words_by, "by") == 1;
		load_columns(l, t, yaml_get(y, "columns"));
		load_unmatched(l, t, y);
		load_rows(l, t, yaml_get(y, "rows"));
	}
}
