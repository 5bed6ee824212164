/* func - the one table of functions; see func.h for the letters. */
#include "mappings/engine/formula.h"
#include "mappings/engine/func_impl.h"

enum err
func_if(struct eval *e, const struct expr *x, struct val *out)
{
	bool yes;

	TRY(run_true(e, x->args[0].x, &yes));
	return run_expr(e, x->args[yes ? 1 : 2].x, out);
}

enum err
func_has(struct eval *e, const struct expr *x, struct val *out)
{
	struct val v;

	TRY(run_expr(e, x->args[0].x, &v));
	*out = val_bool(v.tag != V_ABSENT && v.tag != V_NULL);
	if (e->defaults != NULL && out->i == 0)
		e->defaults[x->point]++;
	return ERR_OK;
}

enum err
func_need(struct eval *e, const struct expr *x, struct val *out)
{
	TRY(run_expr(e, x->args[0].x, out));
	if (out->tag != V_ABSENT)
		return ERR_OK;
	return fail_at(e, x->args[0].x, ERR_MISSING,
	    "%s, and need() insists on it; send it",
	    out->scale == WHY_NULL    ? "is null"
	    : out->scale == WHY_BLANK ? "is blank"
				      : "is missing");
}

#define ROW(name, sig, help, args, words, check, result, roots)            \
	{                                                                  \
#name, sig, help, args, words, check, result, func_##name, \
		    roots                                                  \
	}

static const struct func table[] = {
    ROW(if, "if(c, x, y)", "x when c is true, else y", "boo", NULL, call_if,
	NULL, 0),
    ROW(has, "has(x)", "is x there, and neither null nor blank?", "o", NULL,
	NULL, &type_bool, 0),
    ROW(need, "need(x)", "x; the event is refused by name without it", "o",
	NULL, call_need, NULL, 0),
    {"lookup", "lookup(table, key)", "the row of a table", "ky", NULL,
	call_lookup, NULL, run_lookup, 0},
    ROW(round, "round(x, places[, half_up|half_even])",
	"x with so many decimals; the one place for /", "ni|w",
	"half_up half_even", NULL, &type_dec, 0),
    ROW(abs, "abs(x)", "x without its sign", "n", NULL, call_number, NULL, 0),
    ROW(sum, "sum(x for ..)", "the sum; 0 of nothing", "L", NULL, call_number,
	NULL, 0),
    ROW(count, "count(x for ..)", "how many", "l", NULL, NULL, &type_int, 0),
    ROW(any, "any(c for ..)", "is c true for one?", "B", NULL, NULL, &type_bool,
	0),
    ROW(all, "all(c for ..)", "is c true for each?", "B", NULL, NULL,
	&type_bool, 0),
    ROW(first, "first(x for ..)", "the first, absent of nothing", "l", NULL,
	call_elem, NULL, 0),
    ROW(last, "last(x for ..)", "the last, absent of nothing", "l", NULL,
	call_elem, NULL, 0),
    ROW(at, "at(list, n)", "the nth from 1; absent when there is none", "li",
	NULL, call_elem, NULL, 0),
    ROW(list, "list(x for ..)", "a list of them", "L", NULL, call_list, NULL,
	0),
    ROW(concat, "concat(x for .., y for ..)",
	"one list; lists among them are joined in", "L*", NULL, call_concat,
	NULL, 0),
    ROW(reverse, "reverse(x for ..)", "the last first", "L", NULL, call_list,
	NULL, 0),
    ROW(sort, "sort(key for x in ..)", "the x, by key, stable", "f", NULL,
	call_sort, NULL, 0),
    ROW(group, "group(key for x in ..)",
	"a list of {key, rows}, in the order the keys appear", "f", NULL,
	call_group, NULL, 0),
    ROW(allocate, "allocate(total, places, weight for x in ..)",
	"a list of {part, row}: shares that sum to the total", "nif", NULL,
	call_allocate, NULL, 0),
    ROW(entries, "entries(map)", "a list of {key, value}", "m", NULL,
	call_entries, NULL, 0),
    ROW(time, "time(x[, zone|s|ms]) or time(x, pattern, zone)",
	"a time from text, or from seconds or milliseconds", "a|qz", "s ms",
	call_time, NULL, 0),
    ROW(date, "date(t, zone)", "the day it is then in that zone", "Tz", NULL,
	NULL, &type_date, 0),
    ROW(add, "add(t, n, days|months)",
	"later by n; a month's end stays within the month", "Diw",
	"days months", call_add, NULL, 0),
    ROW(format, "format(t, pattern, zone)",
	"a time or a date as text: yyyy MM dd HH mm ss", "Dp|z", NULL,
	call_format, NULL, 0),
    ROW(upper, "upper(x)", "in capitals", "t", NULL, NULL, &type_text, 0),
    ROW(lower, "lower(x)", "in small letters", "t", NULL, NULL, &type_text, 0),
    ROW(trim, "trim(x)", "without white space at its ends", "t", NULL, NULL,
	&type_text, 0),
    ROW(replace, "replace(x, what, by)", "every `what` replaced", "ttt", NULL,
	NULL, &type_text, 0),
    ROW(split, "split(x, by)", "a list of the parts", "tt", NULL, call_split,
	NULL, 0),
    ROW(join, "join(by, x for ..)", "one text, `by` between the parts", "tL",
	NULL, NULL, &type_text, 0),
    ROW(html, "html(x)", "HTML as plain text: no tags, &amp; as &", "t", NULL,
	NULL, &type_text, 0),
    ROW(text, "text(x[, places[, ',']])",
	"a number as text, with so many decimals", "a|it", NULL, NULL,
	&type_text, 0),
    ROW(decimal, "decimal(x)", "the number a text holds", "a", NULL, NULL,
	&type_dec, 0),
    ROW(int, "int(x)", "a whole number; refuses a fraction", "a", NULL, NULL,
	&type_int, 0),
    ROW(hash, "hash(x)", "SHA-256 of a text or of any value, in hex", "a", NULL,
	NULL, &type_text, 0),
    ROW(minor, "minor(int, currency)", "1999 'EUR' is 19.99", "nt", NULL, NULL,
	&type_dec, 0),
    ROW(to_minor, "to_minor(x, currency)", "19.99 'EUR' is 1999", "nt", NULL,
	NULL, &type_int, 0),
    ROW(fi_reference, "fi_reference(x)",
	"a Finnish reference number: x and its check digit", "a", NULL, NULL,
	&type_text, 0),
    ROW(rf, "rf(x)", "an ISO 11649 reference: RF, check digits, x", "a", NULL,
	NULL, &type_text, 0),
    ROW(header, "header(name)", "a header of the request", "t", NULL,
	call_header, NULL, FORMULA_REQUEST),
};
#define ROWS (sizeof(table) / sizeof(*table))

const struct func *
func_find(struct slice name)
{
	size_t i;

	for (i = 0; i < ROWS; i++)
		if (slice_is(name, table[i].name))
			return &table[i];
	return NULL;
}

const char *const *
func_names(void)
{
	static const char *names[ROWS + 1];
	size_t i;

	for (i = 0; i < ROWS; i++)
		names[i] = table[i].name;
	return names;
}

size_t
func_table(const struct func **out)
{
	*out = table;
	return ROWS;
}
