/*
 * ruleset_tables - the rows that lie over a pack's tables: the installation's
 * own and the answers people gave.
 *
 * Invariant: after sealing, a system's rows are sorted by map, table and key
 * and hold each key once, in its nearest layer, so a lookup is one binary
 * search. A row is kept in the form the engine reads: typed by the table's
 * columns.
 */
#include <stdlib.h>

#include "broker/base/dec.h"
#include "mappings/engine/lang.h"
#include "mappings/engine/ruleset_inner.h"

static int
row_cmp(const struct row *a, const struct row *b)
{
	int r;

	if ((r = slice_cmp(a->map, b->map)) != 0 ||
	    (r = slice_cmp(a->table, b->table)) != 0)
		return r;
	return slice_cmp(a->key, b->key);
}

static int
row_sort(const void *va, const void *vb)
{
	const struct row *a = va, *b = vb;
	int r = row_cmp(a, b);

	return r != 0 ? r : (a->order > b->order) - (a->order < b->order);
}

static bool
rows_find(void *self, struct slice map, struct slice table, struct slice key,
    struct slice *row, const char **layer)
{
	const struct system_rules *s = self;
	const struct row want = {.map = map, .table = table, .key = key};
	size_t lo = 0, hi = s->rows_n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = row_cmp(&s->list[mid], &want);

		if (r == 0) {
			*row = s->list[mid].value;
			*layer = s->list[mid].layer;
			return true;
		}
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

void
ruleset_rows_seal(struct system_rules *s)
{
	size_t n = 0;

	s->rows = (struct rows){s, rows_find};
	if (s->rows_n == 0)
		return;
	qsort(s->list, s->rows_n, sizeof(*s->list), row_sort);
	for (size_t i = 0; i < s->rows_n; i++)
		if (n == 0 || row_cmp(&s->list[n - 1], &s->list[i]) != 0)
			s->list[n++] = s->list[i];
	s->rows_n = n;
}

static enum err
row_add(struct ruleset *r, struct system_rules *s, const struct row *row)
{
	if (s->rows_n == s->rows_cap) {
		size_t cap = s->rows_cap > 0 ? s->rows_cap * 2 : 64;
		struct row *list = arena_alloc(&r->arena, cap * sizeof(*list));

		if (list == NULL)
			return err_note(ERR_LIMIT, "%.*s: too many table rows",
			    SLICE_ARG(s->name));
		if (s->rows_n > 0)
			memcpy(list, s->list, s->rows_n * sizeof(*list));
		s->list = list;
		s->rows_cap = cap;
	}
	s->list[s->rows_n] = *row;
	s->list[s->rows_n].order = (uint32_t)s->rows_n;
	s->rows_n++;
	return ERR_OK;
}

/* One cell by its column's kind; false with a fault. */
static bool
cell_put(const struct yaml_at *at, const struct yaml *y, enum kind kind,
    struct slice column, struct buf *out)
{
	char digits[DEC_TEXT];
	const char *must = NULL;
	struct dec d;
	int64_t i;

	if (!yaml_want(at, y, YAML_SCALAR, "a cell of a table"))
		return false;
	if (kind == K_INT &&
	    (dec_parse(y->text, &d) != ERR_OK || !dec_is_int(d, &i)))
		must = "a whole number";
	else if (kind == K_INT)
		mp_put_int(out, i);
	else if (kind == K_DEC && (dec_parse(y->text, &d) != ERR_OK ||
				      dec_store(d, &d) != ERR_OK))
		must = "a decimal number";
	else if (kind == K_DEC)
		mp_put_decimal(out, slice_of(digits, dec_text(d, digits)));
	else if (kind == K_BOOL && !slice_is(y->text, "true") &&
		 !slice_is(y->text, "false"))
		must = "true or false";
	else if (kind == K_BOOL)
		mp_put_bool(out, slice_is(y->text, "true"));
	else
		mp_put_str(out, y->text);
	if (must != NULL)
		fault(at->f, at->file, y, "column %.*s must be %s",
		    SLICE_ARG(column), must);
	return must == NULL;
}

static bool
row_put(const struct yaml_at *at, const struct yaml *y, const struct table *t,
    struct buf *out)
{
	const struct yaml *c;
	size_t i = 0;
	bool fine = true;

	if (t->columns_n == 0) {
		if (y->kind == YAML_SCALAR)
			return cell_put(at, y, K_TEXT, t->name, out);
		fault(at->f, at->file, y,
		    "table %.*s has no columns: a row is one word",
		    SLICE_ARG(t->name));
		return false;
	}
	if (y->kind == YAML_SCALAR && t->columns_n == 1) {
		mp_put_array(out, 1);
		return cell_put(at, y, t->kinds[0], t->columns[0], out);
	}
	if (y->kind != YAML_LIST || y->count != t->columns_n) {
		struct buf names;

		buf_init(&names, 1024);
		for (i = 0; i < t->columns_n; i++)
			buf_printf(&names, "%s%.*s", i > 0 ? ", " : "",
			    SLICE_ARG(t->columns[i]));
		fault(at->f, at->file, y,
		    "a row of table %.*s is a list of %zu: [%s]",
		    SLICE_ARG(t->name), t->columns_n, buf_cstr(&names));
		buf_fini(&names);
		return false;
	}
	mp_put_array(out, (uint32_t)t->columns_n);
	for (c = y->child; c != NULL; c = c->next, i++)
		fine = cell_put(at, c, t->kinds[i], t->columns[i], out) && fine;
	return fine;
}

static enum err
rows_over(struct ruleset *r, struct system_rules *s, const struct yaml_at *at,
    const struct mapping *m, const struct table *t, const struct yaml *rows)
{
	struct buf value;
	enum err e = ERR_OK;

	buf_init(&value, 64 * 1024);
	for (const struct yaml *y = rows->child; y != NULL && e == ERR_OK;
	     y = y->next) {
		struct row row = {
		    .map = m->name, .table = t->name, .layer = "installation"};

		buf_reset(&value);
		if (!row_put(at, y, t, &value))
			continue;
		if ((e = buf_check(&value)) != ERR_OK)
			break;
		if ((e = arena_copy(&r->arena, y->key->text, &row.key)) ==
			ERR_OK &&
		    (e = arena_copy(&r->arena, buf_all(&value), &row.value)) ==
			ERR_OK)
			e = row_add(r, s, &row);
	}
	buf_fini(&value);
	return e;
}

/* Does the key of `tables:` mean this table? "vat", or "MAP.vat" for one
 * mapping alone. */
static bool
names_table(struct slice key, const struct mapping *m, const struct table *t)
{
	if (slice_eq(key, t->name))
		return true;
	return key.n == m->name.n + 1 + t->name.n &&
	       slice_starts(key, m->name) && key.p[m->name.n] == '.' &&
	       slice_eq(slice_from(key, m->name.n + 1), t->name);
}

static void
no_table(struct ruleset *r, const struct system_rules *s,
    const struct yaml_at *at, const struct yaml *key)
{
	const char **names;
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < s->pack->mappings_n; i++)
		n += s->pack->mappings[i]->program->tables_n;
	names = arena_alloc(&r->arena, (n + 1) * sizeof(*names));
	n = 0;
	for (size_t i = 0; i < s->pack->mappings_n && names != NULL; i++) {
		const struct program *p = s->pack->mappings[i]->program;

		for (size_t k = 0; k < p->tables_n; k++) {
			names[n] = arena_strdup(&r->arena, p->tables[k].name);
			if (names[n] != NULL)
				n++;
		}
	}
	near = names != NULL ? yaml_nearest(key->text, names) : NULL;
	fault(at->f, at->file, key,
	    "no mapping of pack %.*s has a table named \"%.*s\"%s%s%s",
	    SLICE_ARG(s->pack->name), SLICE_ARG(key->text),
	    near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
	    near != NULL ? "\"?" : "");
}

static enum err
table_over(struct ruleset *r, struct system_rules *s, const struct yaml_at *at,
    const struct yaml *y)
{
	static const char *const keys[] = {"rows", NULL};
	const struct yaml *rows;
	bool found = false;
	enum err e;

	(void)yaml_known(at, y, keys, "a table");
	rows = yaml_get(y, "rows");
	if (rows == NULL || !yaml_want(at, rows, YAML_MAP, "rows")) {
		if (y->kind == YAML_MAP && rows == NULL)
			fault(at->f, at->file, y,
			    "a table over the pack's needs rows: {KEY: ROW}");
		return ERR_OK;
	}
	for (size_t i = 0; i < s->pack->mappings_n; i++) {
		const struct mapping *m = s->pack->mappings[i];

		for (size_t k = 0; k < m->program->tables_n; k++) {
			const struct table *t = &m->program->tables[k];

			if (!names_table(y->key->text, m, t))
				continue;
			found = true;
			if ((e = rows_over(r, s, at, m, t, rows)) != ERR_OK)
				return e;
		}
	}
	if (!found)
		no_table(r, s, at, y->key);
	return ERR_OK;
}

enum err
ruleset_tables(struct ruleset *r, struct system_rules *s, const char *file,
    const struct yaml *tables, struct faults *f)
{
	const struct yaml_at at = {file, f};
	enum err e;

	if (tables == NULL || tables->kind != YAML_MAP)
		return ERR_OK;
	/* "MAP.table" is nearer than "table": it goes in first. */
	for (int plain = 0; plain < 2; plain++)
		for (const struct yaml *y = tables->child; y != NULL;
		     y = y->next) {
			struct slice k = y->key->text;

			if ((memchr(k.p, '.', k.n) == NULL) != (plain == 1))
				continue;
			if ((e = table_over(r, s, &at, y)) != ERR_OK)
				return e;
		}
	return ERR_OK;
}

static bool
text_next(struct mp_in *in, struct slice *out)
{
	struct mp v;

	if (mp_next(in, &v) != ERR_OK || v.type != MP_STR)
		return false;
	*out = v.bytes;
	return true;
}

/* A scalar, or as many of them as the table has columns. */
static enum err
row_check(const struct table *t, struct slice row)
{
	size_t want = t->columns_n > 0 ? t->columns_n : 1, count = 1;
	struct mp_in in = mp_in(row);
	struct mp v;
	enum err e;

	if ((e = mp_next(&in, &v)) != ERR_OK)
		return e;
	if (t->columns_n > 0 && v.type == MP_ARRAY) {
		count = v.count;
		if (count > 0 && count <= want &&
		    (e = mp_next(&in, &v)) != ERR_OK)
			return e;
	}
	for (size_t i = 0; count == want; i++) {
		if (v.type != MP_STR && v.type != MP_INT && v.type != MP_UINT &&
		    v.type != MP_DECIMAL && v.type != MP_BOOL)
			return err_note(ERR_TYPE,
			    "a row of table %.*s holds words and numbers only",
			    SLICE_ARG(t->name));
		if (i + 1 == want)
			return ERR_OK;
		if ((e = mp_next(&in, &v)) != ERR_OK)
			return e;
	}
	if (t->columns_n == 0)
		return err_note(ERR_TYPE, "a row of table %.*s is one word",
		    SLICE_ARG(t->name));
	return err_note(ERR_TYPE,
	    "a row of table %.*s has %zu columns, from %.*s to %.*s; this has "
	    "%zu",
	    SLICE_ARG(t->name), want, SLICE_ARG(t->columns[0]),
	    SLICE_ARG(t->columns[want - 1]), count);
}

enum err
ruleset_answer_check(const struct ruleset *r, struct slice system,
    struct slice map, struct slice table, struct slice row)
{
	const struct route *route = ruleset_route_find(r, system, map);
	const struct program *p;

	if (route == NULL)
		return err_note(ERR_NOTFOUND, "system %.*s has no mapping %.*s",
		    SLICE_ARG(system), SLICE_ARG(map));
	p = route->map->program;
	for (size_t i = 0; i < p->tables_n; i++)
		if (slice_eq(p->tables[i].name, table))
			return row_check(&p->tables[i], row);
	return err_note(ERR_NOTFOUND, "mapping %.*s has no table %.*s",
	    SLICE_ARG(map), SLICE_ARG(table));
}

static enum err
answer_add(struct ruleset *r, struct mp_in *in)
{
	struct row row = {.layer = "answer"};
	struct slice system, map, table, key, value;
	struct mp head;
	enum err e;

	if ((e = mp_next(in, &head)) != ERR_OK)
		return e;
	if (head.type != MP_ARRAY || head.count != 5 ||
	    !text_next(in, &system) || !text_next(in, &map) ||
	    !text_next(in, &table) || !text_next(in, &key) ||
	    mp_value(in, &value) != ERR_OK)
		return err_note(ERR_SYNTAX,
		    "an answer must be [system, map, table, key, row]");
	if (ruleset_answer_check(r, system, map, table, value) != ERR_OK)
		return ERR_OK; /* its table changed, or is gone: it asks */
	for (size_t i = 0; i < r->systems_n; i++) {
		if (!slice_eq(r->systems[i].name, system))
			continue;
		if ((e = arena_copy(&r->arena, map, &row.map)) != ERR_OK ||
		    (e = arena_copy(&r->arena, table, &row.table)) != ERR_OK ||
		    (e = arena_copy(&r->arena, key, &row.key)) != ERR_OK ||
		    (e = arena_copy(&r->arena, value, &row.value)) != ERR_OK)
			return e;
		return row_add(r, &r->systems[i], &row);
	}
	return ERR_OK;
}

/* A later answer to the same question replaces an earlier one, so they are
 * added last to first: among rows of one layer the first added wins. */
enum err
ruleset_answers(struct ruleset *r, struct slice answers)
{
	struct mp_in in = mp_in(answers);
	struct slice *each;
	struct mp head;
	enum err e;

	if (answers.n == 0)
		return ERR_OK;
	if ((e = mp_next(&in, &head)) != ERR_OK)
		return e;
	if (head.type != MP_ARRAY)
		return err_note(ERR_SYNTAX, "answers must be a list");
	if (head.count > answers.n)
		return err_note(ERR_SYNTAX, "answers are cut short");
	each = arena_alloc(&r->arena, ((size_t)head.count + 1) * sizeof(*each));
	if (each == NULL)
		return err_note(ERR_LIMIT, "too many answers");
	for (uint32_t i = 0; i < head.count; i++)
		if ((e = mp_value(&in, &each[i])) != ERR_OK)
			return e;
	for (uint32_t i = head.count; i-- > 0;) {
		in = mp_in(each[i]);
		if ((e = answer_add(r, &in)) != ERR_OK)
			return e;
	}
	return ERR_OK;
}

enum err
ruleset_row_read(struct ruleset *r, struct system_rules *s, struct mp_in *in)
{
	struct row row = {.layer = "installation"};
	struct slice *const texts[] = {&row.map, &row.table, &row.key};
	struct mp m;
	enum err e = mp_next(in, &m);

	if (e != ERR_OK || m.type != MP_ARRAY || m.count != 5)
		return err_note(ERR_SYNTAX, "a row of a table is damaged");
	for (size_t i = 0; i < 3; i++) {
		if (mp_next(in, &m) != ERR_OK || m.type != MP_STR)
			return err_note(
			    ERR_SYNTAX, "a row of a table is damaged");
		if ((e = arena_copy(&r->arena, m.bytes, texts[i])) != ERR_OK)
			return e;
	}
	if ((e = mp_value(in, &row.value)) != ERR_OK ||
	    (e = arena_copy(&r->arena, row.value, &row.value)) != ERR_OK ||
	    (e = mp_next(in, &m)) != ERR_OK)
		return e;
	if (m.type == MP_STR && slice_is(m.bytes, "answer"))
		row.layer = "answer";
	return row_add(r, s, &row);
}
