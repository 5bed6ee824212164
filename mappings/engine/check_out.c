/*
 * check_out - what a mapping builds against what is wanted of it: paths through
 * $out, and values against the type their target's schema gives them.
 */
#include "mappings/engine/func.h"

static struct node *
kid(const struct node *n, struct slice name)
{
	size_t i;

	for (i = 0; i < n->n; i++)
		if (slice_eq(n->kids[i]->name, name))
			return n->kids[i];
	return NULL;
}

bool
check_out(struct lang *l, struct expr *x)
{
	struct node *n, *to;
	bool optional = false;
	uint32_t i;

	if (l->emit == NULL || l->emit->data == NULL) {
		lang_fault(l, x,
		    "$out is what `data` has built; it is to be "
		    "had in data and check only");
		return false;
	}
	n = l->emit->data;
	for (i = 0; i < x->steps_n && n->kind == NODE_MAP; i++) {
		to = x->steps[i].index == 0 ? kid(n, x->steps[i].name) : NULL;
		if (to == NULL) {
			lang_fault_at(l, x->src, x->steps[i].at,
			    "$out has no %.*s %s", SLICE_ARG(x->steps[i].name),
			    n->done ? "here" : "above this place");
			return false;
		}
		n = to;
		optional = optional || n->optional;
	}
	if (i == 0 || !n->done) {
		lang_fault(l, x,
		    "$out reads what stands above; this is not "
		    "complete here");
		return false;
	}
	if (n->out_slot < 0)
		n->out_slot = (int32_t)l->p->out_slots++;
	x->slot = n->out_slot;
	x->rest = i;
	return check_steps(
	    l, x, type_absent(l, n->type, optional ? OPTIONAL : PRESENT), i);
}

static bool
in_enum(const struct type *want, struct slice s)
{
	size_t i;

	for (i = 0; i < want->enum_n; i++)
		if (slice_eq(want->enums[i], s))
			return true;
	return want->enum_n == 0;
}

static bool
not_in_enum(struct lang *l, const struct expr *x, const struct type *want,
    const char *what, struct slice s)
{
	const char **names = lang_alloc(l, (want->enum_n + 1) * sizeof(*names));
	const char *near;
	size_t i;

	for (i = 0; i < want->enum_n; i++)
		names[i] = (const char *)lang_copy(l, want->enums[i]).p;
	near = yaml_nearest(s, names);
	lang_fault(l, x, "%s is never '%.*s'; %s %s", what, SLICE_ARG(s),
	    near != NULL ? "did you mean" : "its values begin with",
	    near != NULL ? near : names[0]);
	return false;
}

/* Every text this expression can give, where that is known. */
static bool
fits_enum(struct lang *l, const struct expr *x, const struct type *want,
    const char *what)
{
	struct slice s = check_const_text(x);
	size_t i;

	if (want->enum_n == 0 || x->type->kind == K_NULL)
		return true;
	if (s.p != NULL)
		return in_enum(want, s) || not_in_enum(l, x, want, what, s);
	if (x->op == X_ALT)
		return fits_enum(l, x->args[0].x, want, what) &&
		       fits_enum(l, x->args[1].x, want, what);
	if (x->op == X_CALL && x->func != NULL && x->func->check == call_if)
		return fits_enum(l, x->args[1].x, want, what) &&
		       fits_enum(l, x->args[2].x, want, what);
	if (x->op == X_CALL && x->table != NULL && x->table->columns_n == 0) {
		for (i = 0; i < x->table->rows_n; i++) {
			s = val_slice(x->table->rows[i].cells[0]);
			if (!in_enum(want, s))
				return not_in_enum(l, x, want, what, s);
		}
		if (x->table->fallback != NULL) {
			s = val_slice(x->table->fallback[0]);
			if (!in_enum(want, s))
				return not_in_enum(l, x, want, what, s);
		}
		return true;
	}
	for (i = 0; i < x->type->enum_n; i++)
		if (!in_enum(want, x->type->enums[i]))
			return not_in_enum(l, x, want, what, x->type->enums[i]);
	return true;
}

static const char *
hint(enum kind have, enum kind want)
{
	if (want == K_TEXT && have != K_MAP && have != K_LIST)
		return "; write \"{..}\"";
	if (want == K_DEC && have == K_TEXT)
		return "; decimal(..) reads one";
	if (want == K_INT && (have == K_TEXT || have == K_DEC))
		return "; int(..) makes one";
	if (want == K_TIME)
		return "; time(..) reads one";
	if (want == K_DATE && have == K_TIME)
		return "; date(t, zone) makes one";
	if (want == K_LIST)
		return "; a list is written with each: and item:, or as - "
		       "lines";
	return "";
}

static bool
type_fits(const struct type *have, const struct type *want)
{
	size_t i;
	const struct type *h;

	if (have->kind == K_ANY || want->kind == K_ANY)
		return true;
	if (have->kind != want->kind &&
	    !(have->kind == K_INT && want->kind == K_DEC))
		return false;
	if (want->kind == K_LIST)
		return have->item == NULL || want->item == NULL ||
		       type_fits(have->item, want->item);
	if (want->kind == K_MAP && want->shape != NULL && have->shape != NULL)
		for (i = 0; i < want->shape->n; i++) {
			h = shape_find(have->shape, want->shape->names[i]);
			if ((h == NULL || h->absent == OPTIONAL) &&
			    want->shape->types[i]->absent != OPTIONAL)
				return false;
			if (h != NULL && !type_fits(h, want->shape->types[i]))
				return false;
		}
	return true;
}

bool
check_fits(struct lang *l, const struct expr *x, const struct type *want,
    const char *what)
{
	const struct type *have = x->type;
	struct slice w = expr_words(x);

	if (want == NULL || want->kind == K_ANY || have->kind == K_ANY ||
	    (have->kind == K_NULL && want->absent == OPTIONAL))
		return true;
	if (have->kind == want->kind && !type_fits(have, want)) {
		lang_fault(l, x, "the parts of %.*s do not fit %s",
		    SLICE_ARG(w), what);
		return false;
	}
	if (!type_fits(have, want)) {
		lang_fault(l, x, "%s is %s, and %.*s is %s%s", what,
		    type_name(want->kind), SLICE_ARG(w), type_name(have->kind),
		    hint(have->kind, want->kind));
		return false;
	}
	return want->kind != K_TEXT || fits_enum(l, x, want, what);
}
