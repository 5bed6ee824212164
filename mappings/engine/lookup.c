/*
 * lookup - a table's row for a key, nearest layer first: what lies over the
 * file's own rows (the installation's, answers), then the file's.
 *
 * A decimal key is looked up with its digits as they are and then without
 * trailing zeros, since 25.5 and 25.50 are one rate.
 */
#include "mappings/engine/run.h"

static const struct table_row *
find_row(const struct table *t, struct slice key)
{
	size_t i, lo, hi;

	if (t->by_key == NULL) {
		for (i = 0; i < t->rows_n; i++)
			if (slice_eq(t->rows[i].key, key))
				return &t->rows[i];
		return NULL;
	}
	lo = 0;
	hi = t->rows_n;
	while (lo < hi) {
		int c;

		i = lo + (hi - lo) / 2;
		c = slice_cmp(key, t->by_key[i]->key);
		if (c == 0)
			return t->by_key[i];
		if (c < 0)
			hi = i;
		else
			lo = i + 1;
	}
	return NULL;
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool
contains(struct slice s, struct slice part)
{
	size_t i, k;

	for (i = 0; i + part.n <= s.n; i++) {
		for (k = 0; k < part.n; k++)
			if (lower(s.p[i + k]) != lower(part.p[k]))
				break;
		if (k == part.n)
			return true;
	}
	return false;
}

static enum err
find_contained(struct eval *e, const struct expr *x, const struct table *t,
    struct slice key, const struct table_row **out)
{
	size_t i;

	*out = NULL;
	for (i = 0; i < t->rows_n && *out == NULL; i++) {
		TRY(run_step(e, x, 1 + (uint32_t)(key.n >> 4)));
		if (contains(key, t->rows[i].key))
			*out = &t->rows[i];
	}
	return ERR_OK;
}

/* A row's cells as the value of lookup(). */
static enum err
row_val(struct eval *e, const struct expr *x, const struct table *t,
    const struct val *cells, struct val *out)
{
	struct rec *r;

	if (t->columns_n == 0) {
		*out = cells[0];
		return ERR_OK;
	}
	r = run_alloc(e, sizeof(*r) + t->columns_n * sizeof(*cells));
	if (r == NULL)
		return fail_scratch(e, x);
	r->shape = t->shape;
	memcpy(r->v, cells, t->columns_n * sizeof(*cells));
	*out = (struct val){.tag = V_REC, .rec = r};
	return ERR_OK;
}

/* A row from outside: msgpack, a scalar or an array in the columns' order. */
static enum err
outer_val(struct eval *e, const struct expr *x, const struct table *t,
    struct slice row, struct slice key, struct val *out)
{
	const uint8_t *p = row.p, *end = row.p + row.n, *behind;
	struct val cells[LANG_ARGS];
	uint32_t n = 1, i;

	if (t->columns_n > 0 && scan_array(p, end, &n) != NULL)
		p = scan_array(p, end, &n);
	if (n != (t->columns_n > 0 ? t->columns_n : 1) || n > LANG_ARGS)
		return fail_at(e, x, ERR_CONFIG,
		    "the row '%.*s' given to table %.*s has %u cells, not %zu",
		    SLICE_ARG(key), SLICE_ARG(t->name), n, t->columns_n);
	for (i = 0; i < n; i++) {
		behind = p < end ? scan_skip(p, end) : NULL;
		if (behind == NULL)
			return fail_at(e, x, ERR_SYNTAX,
			    "the row '%.*s' given to table %.*s is malformed",
			    SLICE_ARG(key), SLICE_ARG(t->name));
		TRY(val_read(e, x, p, (uint32_t)(behind - p),
		    t->columns_n > 0 ? t->shape->types[i] : &type_text,
		    &cells[i]));
		p = behind;
	}
	return row_val(e, x, t, cells, out);
}

/* Once each: a list of lines may ask the same for every one. */
static void
report(struct eval *e, struct slice table, struct slice key)
{
	struct result *r = &e->result;

	for (size_t i = 0; i < r->reports_n; i++)
		if (slice_eq(e->reports[i].table, table) &&
		    slice_eq(e->reports[i].key, key))
			return;
	if (r->reports_n == RESULT_REPORTS)
		return;
	e->reports[r->reports_n++] = (struct reported){table, key};
	r->reports = e->reports;
	r->table = e->reports[0].table;
	r->key = e->reports[0].key;
}

static enum err
unmatched(struct eval *e, const struct expr *x, const struct table *t,
    struct slice key, struct val *out)
{
	const struct expr *k = x->args[1].x;

	e->layer = "no row; unmatched";
	switch (t->unmatched) {
	case UN_KEEP:
		*out = val_text(key);
		return ERR_OK;
	case UN_ROW:
		return row_val(e, x, t, t->fallback, out);
	case UN_REPORT:
		report(e, t->name, key);
		if (t->fallback != NULL)
			return row_val(e, x, t, t->fallback, out);
		*out = val_text(key);
		return ERR_OK;
	case UN_ASK:
		fail_at(e, k, ERR_ASK,
		    "no row '%.*s' in table %.*s; add a row or answer the "
		    "question",
		    (int)(key.n < 80 ? key.n : 80), (const char *)key.p,
		    SLICE_ARG(t->name));
		e->fail.verdict = EVAL_ASK;
		e->result.table = t->name;
		e->result.key = key;
		return ERR_ASK;
	case UN_ERROR:
		break;
	}
	return fail_at(e, k, ERR_NOTFOUND,
	    "no row '%.*s' in table %.*s; add a row",
	    (int)(key.n < 80 ? key.n : 80), (const char *)key.p,
	    SLICE_ARG(t->name));
}

/* The key without zeros that say nothing: "25.50" as "25.5". */
static struct slice
plain_number(struct slice key)
{
	if (memchr(key.p, '.', key.n) == NULL)
		return key;
	while (key.n > 0 && key.p[key.n - 1] == '0')
		key.n--;
	if (key.n > 0 && key.p[key.n - 1] == '.')
		key.n--;
	return key;
}

enum err
run_lookup(struct eval *e, const struct expr *x, struct val *out)
{
	const struct table *t = x->table;
	const struct table_row *row;
	struct slice key, given;
	struct val v;
	int tries;

	TRY(run_need(e, x->args[1].x, &v));
	TRY(val_to_text(e, x->args[1].x, &v, &key));
	for (tries = 0; tries < 2; tries++) {
		const struct rows *over = e->in != NULL ? e->in->rows : NULL;

		if (over != NULL && over->find(over->self, e->map->name,
					t->name, key, &given, &e->layer))
			return outer_val(e, x, t, given, key, out);
		if (t->contains)
			TRY(find_contained(e, x, t, key, &row));
		else
			row = find_row(t, key);
		if (row != NULL) {
			run_hit(e, row->point);
			e->layer = "pack";
			return row_val(e, x, t, row->cells, out);
		}
		if (!val_is_number(&v) || plain_number(key).n == key.n)
			break;
		key = plain_number(key);
	}
	return unmatched(e, x, t, key, out);
}
