/*
 * func - the functions of the language: one table from which calls are checked,
 * evaluated and described.
 */
#ifndef VAYLA_ENGINE_FUNC_H
#define VAYLA_ENGINE_FUNC_H

#include "mappings/engine/lang.h"

struct eval;

/*
 * `args`, a letter each:
 *   t text   n number   i whole number   b condition   T time   D time or date
 *   a any value, present   o any value, may be absent   m map
 *   l a list, or x for ..   f x for .. only   k a table's name
 *   w one of `words`, bare or quoted   z a zone   p a time pattern
 * What follows '|' may be left out; '*' repeats the last.
 */
struct func {
	const char *name, *sig, *help;
	const char *args;
	const char *words; /* for w: "half_up half_even" */
	/* The result's type, once the arguments are checked; NULL: result. */
	const struct type *(*check)(struct lang *l, struct expr *x);
	const struct type *result;
	enum err (*eval)(
	    struct eval *e, const struct expr *x, struct val *out) MUST_CHECK;
	unsigned roots; /* FORMULA_*: only where this root is */
};

const struct func *func_find(struct slice name);
/* NULL-terminated, for "did you mean" and the guide's table. */
const char *const *func_names(void);
size_t func_table(const struct func **out);

/* check_call.c: results that depend on the arguments. */
const struct type *call_elem(struct lang *l, struct expr *x);
const struct type *call_list(struct lang *l, struct expr *x);
const struct type *call_concat(struct lang *l, struct expr *x);
const struct type *call_sort(struct lang *l, struct expr *x);
const struct type *call_group(struct lang *l, struct expr *x);
const struct type *call_allocate(struct lang *l, struct expr *x);
const struct type *call_entries(struct lang *l, struct expr *x);
const struct type *call_if(struct lang *l, struct expr *x);
const struct type *call_need(struct lang *l, struct expr *x);
const struct type *call_number(struct lang *l, struct expr *x);
const struct type *call_lookup(struct lang *l, struct expr *x);
const struct type *call_time(struct lang *l, struct expr *x);
const struct type *call_add(struct lang *l, struct expr *x);
const struct type *call_format(struct lang *l, struct expr *x);
const struct type *call_split(struct lang *l, struct expr *x);
const struct type *call_header(struct lang *l, struct expr *x);

#endif
