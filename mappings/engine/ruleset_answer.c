/*
 * ruleset_answer - does a person's answer fit the table it was asked for? Cells
 * may come as texts (from a command line or a form); they leave typed by the
 * table's columns, as a lookup reads them.
 */
#include "broker/base/dec.h"
#include "mappings/engine/lang.h"
#include "mappings/engine/ruleset_inner.h"

static const struct table *
table_of(const struct ruleset *r, struct slice system, struct slice map,
    struct slice table)
{
	const struct pack *p = ruleset_pack(r, system);

	for (size_t i = 0; p != NULL && i < p->mappings_n; i++) {
		const struct program *g = p->mappings[i]->program;

		if (!slice_eq(p->mappings[i]->name, map))
			continue;
		for (size_t k = 0; k < g->tables_n; k++)
			if (slice_eq(g->tables[k].name, table))
				return &g->tables[k];
	}
	return NULL;
}

static enum err
cell_fit(
    const struct mp *m, enum kind kind, struct slice column, struct buf *out)
{
	bool text = m->type == MP_STR;
	struct slice digits =
	    text || m->type == MP_DECIMAL ? m->bytes : SLICE_EMPTY;
	char made[DEC_TEXT];
	struct dec d;
	int64_t i = 0;
	bool number;

	if (kind == K_TEXT && text) {
		mp_put_str(out, m->bytes);
		return ERR_OK;
	}
	if (kind == K_BOOL && (m->type == MP_BOOL || slice_is(digits, "true") ||
				  slice_is(digits, "false"))) {
		mp_put_bool(
		    out, m->type == MP_BOOL ? m->b : slice_is(digits, "true"));
		return ERR_OK;
	}
	d = dec_int(m->type == MP_INT ? m->i : 0);
	number = m->type == MP_INT || (dec_parse(digits, &d) == ERR_OK &&
					  dec_store(d, &d) == ERR_OK);
	if (kind == K_INT && number && dec_is_int(d, &i)) {
		mp_put_int(out, i);
		return ERR_OK;
	}
	if (kind == K_DEC && number) {
		mp_put_decimal(out, slice_of(made, dec_text(d, made)));
		return ERR_OK;
	}
	return err_note(ERR_TYPE, "%.*s must be %s", SLICE_ARG(column),
	    kind == K_INT    ? "a whole number"
	    : kind == K_DEC  ? "a decimal number"
	    : kind == K_BOOL ? "true or false"
			     : "a text");
}

enum err
ruleset_answer_fit(const struct ruleset *r, struct slice system,
    struct slice map, struct slice table, struct slice row, struct buf *out)
{
	const struct table *t = table_of(r, system, map, table);
	struct mp_in in = mp_in(row);
	struct mp m;
	enum err e;

	if (t == NULL)
		return err_note(ERR_NOTFOUND,
		    "%.*s has no table %.*s in a mapping %.*s",
		    SLICE_ARG(system), SLICE_ARG(table), SLICE_ARG(map));
	e = mp_next(&in, &m);
	if (e != ERR_OK)
		return e;
	if (t->columns_n == 0)
		return cell_fit(&m, K_TEXT, t->name, out);
	if (m.type != MP_ARRAY && t->columns_n == 1) {
		mp_put_array(out, 1);
		return cell_fit(&m, t->kinds[0], t->columns[0], out);
	}
	if (m.type != MP_ARRAY || m.count != t->columns_n)
		return err_note(ERR_TYPE,
		    "a row of table %.*s is a list of %zu, from %.*s to %.*s",
		    SLICE_ARG(t->name), t->columns_n, SLICE_ARG(t->columns[0]),
		    SLICE_ARG(t->columns[t->columns_n - 1]));
	mp_put_array(out, m.count);
	for (size_t i = 0; e == ERR_OK && i < t->columns_n; i++) {
		e = mp_next(&in, &m);
		if (e == ERR_OK)
			e = cell_fit(&m, t->kinds[i], t->columns[i], out);
	}
	return e == ERR_OK ? buf_check(out) : e;
}
