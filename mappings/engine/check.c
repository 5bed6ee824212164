/*
 * check - gives every part of an expression its type and every name its
 * variable, and says of each mistake where it is and what to do.
 *
 * A path reads by slots as far as it goes by names from its variable; a let
 * that is nothing but a path is another name for that path and costs nothing.
 * "May be absent" travels with the type and is a fault only where a value is
 * needed, so has(), ??, need() and name?: can deal with it first.
 */
#include <stdio.h>

#include "mappings/engine/formula.h"
#include "mappings/engine/func.h"

__attribute__((format(printf, 5, 0))) static void
fault_text(struct lang *l, const struct source *src, uint32_t at, bool warn,
    const char *fmt, va_list ap)
{
	char text[700];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (warn)
		fault_warn(l->f, l->file, src->node, "%s", text);
	else
		fault_in(l->f, l->file, src->node, at + src->shift, "%s", text);
}

void
lang_fault_at(
    struct lang *l, const struct source *src, uint32_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_text(l, src, at, false, fmt, ap);
	va_end(ap);
}

void
lang_fault(struct lang *l, const struct expr *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_text(l, x->src, x->at, false, fmt, ap);
	va_end(ap);
}

void
lang_warn(struct lang *l, const struct expr *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_text(l, x->src, x->at, true, fmt, ap);
	va_end(ap);
}

/* ---- names ---- */

static struct var *
find_name(struct lang *l, struct slice name)
{
	size_t i;

	for (i = l->scope_n; i > 0; i--)
		if (slice_eq(l->scope[i - 1]->name, name))
			return l->scope[i - 1];
	return NULL;
}

static const struct shape *
in_shape(const struct lang *l)
{
	return l->p->in != NULL ? l->p->in->type->shape : NULL;
}

struct var *
check_name(struct lang *l, enum var_kind kind, struct slice name,
    const struct source *src, uint32_t at, const struct type *type)
{
	struct var *v = lang_alloc(l, sizeof(*v)), **more;
	const struct shape *s = in_shape(l);
	struct program *p = l->p;

	v->kind = kind;
	v->name = name;
	v->src = src;
	v->at = at;
	v->type = type;
	v->id = (uint16_t)p->vars_n;
	if (p->vars_n == p->vars_max) {
		p->vars_max = p->vars_max > 0 ? p->vars_max * 2 : 16;
		more = lang_alloc(l, p->vars_max * sizeof(*more));
		if (p->vars_n > 0)
			memcpy(more, p->vars, p->vars_n * sizeof(*more));
		p->vars = more;
	}
	p->vars[p->vars_n++] = v;
	if (name.n == 0)
		return v;
	if (find_name(l, name) != NULL)
		lang_fault_at(l, src, at,
		    "the name %.*s is taken above; choose another",
		    SLICE_ARG(name));
	else if (s != NULL && shape_find(s, name) != NULL)
		lang_fault_at(l, src, at,
		    "the name %.*s is a field of %s; choose another",
		    SLICE_ARG(name), s->what);
	if (l->scope_n < LANG_SCOPE)
		l->scope[l->scope_n++] = v;
	else
		lang_fault_at(
		    l, src, at, "more than %d names in view", LANG_SCOPE);
	return v;
}

void
check_unscope(struct lang *l, size_t scope_n)
{
	while (l->scope_n > scope_n) {
		const struct var *v = l->scope[--l->scope_n];

		if (v->kind == VAR_LET && v->used == 0)
			lang_fault_at(l, v->src, v->at,
			    "%.*s is never used; remove it",
			    SLICE_ARG(v->name));
		if (v->kind == VAR_JOIN && v->used == 0)
			lang_fault_at(l, v->src, v->at,
			    "the join %.*s is never used; remove it",
			    SLICE_ARG(v->name));
	}
}

/* Nearest of all that a bare name can be. */
static const char *
nearest_name(struct lang *l, struct slice name)
{
	const struct shape *s = in_shape(l);
	const char **names;
	size_t i, n = 0;

	names = lang_alloc(
	    l, (l->scope_n + (s != NULL ? s->n : 0) + 1) * sizeof(*names));
	for (i = 0; i < l->scope_n; i++)
		names[n++] = (const char *)lang_copy(l, l->scope[i]->name).p;
	for (i = 0; s != NULL && i < s->n; i++)
		names[n++] = (const char *)lang_copy(l, s->names[i]).p;
	return yaml_nearest(name, names);
}

/* A field whose name is no word, such as checkout-amount, stands here. */
static const struct slice *
odd_field(const struct lang *l, const struct expr *x)
{
	const struct shape *s = in_shape(l);
	struct slice rest = slice_from(x->src->text, x->at);
	size_t i;

	for (i = 0; s != NULL && i < s->n; i++)
		if (s->names[i].n > x->root.n &&
		    slice_starts(rest, s->names[i]))
			return &s->names[i];
	return NULL;
}

static void
unknown_name(struct lang *l, const struct expr *x)
{
	const char *near = nearest_name(l, x->root);
	const struct shape *s = in_shape(l);
	const struct slice *odd = odd_field(l, x);

	if (odd != NULL)
		lang_fault(l, x, "the field %.*s is written $in.'%.*s'",
		    SLICE_ARG(*odd), SLICE_ARG(*odd));
	else if (table_find(l, x->root) != NULL)
		lang_fault(l, x,
		    "%.*s is a table; its row for a key is lookup(%.*s, key)",
		    SLICE_ARG(x->root), SLICE_ARG(x->root));
	else if (near != NULL)
		lang_fault(l, x, "no name %.*s here; did you mean %s?",
		    SLICE_ARG(x->root), near);
	else
		lang_fault(l, x,
		    "no name %.*s here: it is no field of %s, no let, join or "
		    "loop name; text is written in quotes",
		    SLICE_ARG(x->root), s != NULL ? s->what : "the input");
}

static struct var *
root_var(struct lang *l, struct expr *x)
{
	static const char *const names[] = {
	    "$in", "$event", "$settings", "$out", NULL};
	static const char *const formula_names[] = {
	    "$in", "$settings", "$request", "$status", NULL};
	struct program *p = l->p;
	struct var *const vars[] = {
	    p->in, p->event, p->settings, p->request, p->status};
	static const char *const of[] = {
	    "$in", "$event", "$settings", "$request", "$status"};
	const char *near;
	size_t i;

	for (i = 0; i < 5; i++) {
		if (!slice_is(x->root, of[i]))
			continue;
		if (vars[i] == NULL)
			lang_fault(l, x, "%s is not to be had here", of[i]);
		return vars[i];
	}
	near = yaml_nearest(x->root, l->roots != 0 ? formula_names : names);
	lang_fault(l, x, "there is no %.*s%s%s", SLICE_ARG(x->root),
	    near != NULL ? "; did you mean " : "", near != NULL ? near : "");
	return NULL;
}

static void
prepend(struct lang *l, struct expr *x, const struct step *steps, size_t n)
{
	struct step *all = lang_alloc(l, (n + x->steps_n + 1) * sizeof(*all));

	memcpy(all, steps, n * sizeof(*all));
	if (x->steps_n > 0)
		memcpy(all + n, x->steps, x->steps_n * sizeof(*all));
	x->steps = all;
	x->steps_n += (uint32_t)n;
}

/* The variable a path begins at; its steps become those from there on. */
static struct var *
resolve(struct lang *l, struct expr *x)
{
	struct var *v;
	struct step first;

	if (x->root.p[0] == '$') {
		v = root_var(l, x);
	} else {
		v = find_name(l, x->root);
		if (v == NULL && l->p->in != NULL) {
			const struct shape *s = in_shape(l);

			if ((s == NULL && l->p->in->type->kind == K_ANY) ||
			    (s != NULL && shape_find(s, x->root) != NULL)) {
				first =
				    (struct step){.name = x->root, .at = x->at};
				prepend(l, x, &first, 1);
				v = l->p->in;
			}
		}
		if (v == NULL)
			unknown_name(l, x);
	}
	if (v == NULL)
		return NULL;
	v->used++;
	if (v->kind == VAR_LET && v->let != NULL && v->let->op == X_PATH &&
	    v->let->var != NULL) {
		prepend(l, x, v->let->steps, v->let->steps_n);
		v = v->let->var;
	}
	if (v->kind == VAR_JOIN || v->needs_join)
		l->join_read = true;
	if (v->kind == VAR_EVENT && x->steps_n == 1 &&
	    slice_is(x->steps[0].name, "id"))
		l->event_id = true;
	l->read = true;
	return v;
}

/* ---- facts: what has() said ---- */

static bool
same_steps(const struct step *a, const struct step *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (a[i].index != b[i].index || !slice_eq(a[i].name, b[i].name))
			return false;
	return true;
}

/* Is the path of `n` steps known to be there? */
static bool
known(const struct lang *l, const struct var *v, const struct step *s, size_t n)
{
	size_t i;

	for (i = 0; i < l->facts_n; i++)
		if (l->facts[i].var == v && l->facts[i].n >= n &&
		    same_steps(l->facts[i].steps, s, n))
			return true;
	return false;
}

/* need(x), which has been evaluated when the condition was. */
static void
fact_need(struct lang *l, const struct expr *x)
{
	const struct expr *a;

	if (x->op != X_CALL || x->n != 1 || !slice_is(x->root, "need"))
		return;
	a = x->args[0].x;
	if (a->op == X_PATH && a->var != NULL && l->facts_n < LANG_FACTS)
		l->facts[l->facts_n++] =
		    (struct fact){a->var, a->steps, a->steps_n};
}

void
check_facts(struct lang *l, const struct expr *cond, bool truth)
{
	const struct expr *a;

	if (cond == NULL)
		return;
	/* what was compared was there, with need() or as it is */
	if (cond->op >= X_EQ && cond->op <= X_GE) {
		fact_need(l, cond->args[0].x);
		fact_need(l, cond->args[1].x);
	} else if (cond->op == X_IN) {
		fact_need(l, cond->args[0].x);
	}
	if (cond->op == X_NOT) {
		check_facts(l, cond->args[0].x, !truth);
	} else if (cond->op == (truth ? X_AND : X_OR)) {
		check_facts(l, cond->args[0].x, truth);
		check_facts(l, cond->args[1].x, truth);
	} else if (truth && cond->op == X_CALL && cond->n == 1 &&
		   slice_is(cond->root, "has")) {
		a = cond->args[0].x;
		if (a->op == X_PATH && a->var != NULL &&
		    l->facts_n < LANG_FACTS)
			l->facts[l->facts_n++] =
			    (struct fact){a->var, a->steps, a->steps_n};
	}
}

/* ---- paths ---- */

static enum absence
worse(enum absence a, enum absence b)
{
	return a > b ? a : b;
}

/* The type behind one more step; NULL after a fault. */
static const struct type *
step_type(struct lang *l, const struct expr *x, const struct type *t,
    const struct step *s)
{
	const struct type *to;
	const char *near;

	if (t->kind == K_ANY)
		return type_absent(
		    l, type_inside(l, t), worse(MAYBE, t->absent));
	if (s->index > 0) {
		if (t->kind != K_LIST) {
			lang_fault_at(l, x->src, s->at,
			    "[%u] wants a list, not %s", s->index,
			    type_name(t->kind));
			return NULL;
		}
		to = t->item != NULL ? t->item : &type_any;
		return type_absent(l, to, worse(MAYBE, to->absent));
	}
	if (t->kind == K_LIST) {
		lang_fault_at(l, x->src, s->at,
		    ".%.*s wants a map, not a list; go through it with for, or "
		    "take one: first(..), list[1]",
		    SLICE_ARG(s->name));
		return NULL;
	}
	if (t->kind != K_MAP) {
		lang_fault_at(l, x->src, s->at, "%s has no field %.*s",
		    type_name(t->kind), SLICE_ARG(s->name));
		return NULL;
	}
	if (t->shape == NULL)
		return type_absent(
		    l, type_inside(l, t), worse(MAYBE, t->absent));
	to = shape_find(t->shape, s->name);
	if (to == NULL) {
		near = shape_nearest(l, t->shape, s->name);
		lang_fault_at(l, x->src, s->at,
		    "%s has no field %.*s here%s%s%s", t->shape->what,
		    SLICE_ARG(s->name), near != NULL ? "; did you mean " : "",
		    near != NULL ? near : "", near != NULL ? "?" : "");
		return NULL;
	}
	return to;
}

bool
check_steps(struct lang *l, struct expr *x, const struct type *t, uint32_t from)
{
	enum absence absent = t->absent;
	bool blank = t->blank;
	size_t i;

	if (x->var != NULL && known(l, x->var, x->steps, 0)) {
		absent = PRESENT;
		blank = false;
	}
	for (i = from; i < x->steps_n; i++) {
		t = step_type(l, x, t, &x->steps[i]);
		if (t == NULL)
			return false;
		absent = worse(absent, t->absent);
		blank = t->blank;
		if (x->var != NULL && known(l, x->var, x->steps, i + 1)) {
			absent = PRESENT;
			blank = false;
		}
	}
	x->type = type_absent(l, t, absent);
	if (x->type->blank && !blank) {
		struct type *copy = lang_alloc(l, sizeof(*copy));

		*copy = *x->type;
		copy->blank = false;
		x->type = copy;
	}
	/* what is read is judged by the schema's type, blanks included */
	x->read = t;
	return true;
}

static bool
check_path(struct lang *l, struct expr *x)
{
	uint32_t n = 0;

	if (slice_is(x->root, "$out")) {
		x->op = X_OUT;
		l->read = true;
		return check_out(l, x);
	}
	x->var = resolve(l, x);
	if (x->var == NULL || !check_steps(l, x, x->var->type, 0))
		return false;
	while (n < x->steps_n && x->steps[n].index == 0)
		n++;
	x->rest = n;
	if (n > 0)
		x->slot = trie_add(l, x->var, x->steps, n);
	return true;
}

/* ---- operators ---- */

bool
check_present(struct lang *l, const struct expr *x)
{
	struct slice w = expr_words(x);

	if (x->type->absent != OPTIONAL || l->soft)
		return true;
	lang_fault(l, x,
	    "%.*s may be absent; give a default (%.*s ?? ..), insist "
	    "(need(%.*s)), test has() first, or make the field optional "
	    "(name?:)",
	    SLICE_ARG(w), SLICE_ARG(w), SLICE_ARG(w));
	return false;
}

/* Checked, and a value of one of two kinds that is there. */
static bool
operand(struct lang *l, struct expr *x, enum kind a, enum kind b)
{
	struct slice w;

	if (!check_expr(l, x) || !check_present(l, x))
		return false;
	if (x->type->kind == K_ANY || x->type->kind == a || x->type->kind == b)
		return true;
	w = expr_words(x);
	lang_fault(l, x, "%s is wanted here, and %.*s is %s%s", type_name(a),
	    SLICE_ARG(w), type_name(x->type->kind),
	    x->type->kind == K_TEXT && a == K_DEC ? "; decimal(..) reads one, "
						    "and texts are joined as "
						    "\"{a} {b}\""
						  : "");
	return false;
}

bool
check_condition(struct lang *l, struct expr *x)
{
	return operand(l, x, K_BOOL, K_BOOL);
}

static bool
key_decimal(struct lang *l, const struct expr *x, const char *what)
{
	lang_fault(l, x,
	    "no decimals in %s: 3.0 and 3.00 would be two; write text(.., "
	    "places)",
	    what);
	return false;
}

bool
check_text(struct lang *l, struct expr *x, const char *what, bool key)
{
	struct slice w = expr_words(x);
	size_t i;

	if (!check_expr(l, x) || !check_present(l, x))
		return false;
	for (i = 0; key && x->op == X_HOLES && i < x->n; i++)
		if (x->args[i].x->type->kind == K_DEC)
			return key_decimal(l, x->args[i].x, what);
	switch (x->type->kind) {
	case K_MAP:
	case K_LIST:
	case K_NULL:
		lang_fault(l, x, "%s is text, and %.*s is %s", what,
		    SLICE_ARG(w), type_name(x->type->kind));
		return false;
	case K_DEC:
		return !key || key_decimal(l, x, what);
	default:
		return true;
	}
}

struct slice
check_const_text(const struct expr *x)
{
	return x->op == X_CONST && x->value.tag == V_TEXT
		   ? val_slice(x->value)
		   : (struct slice){NULL, 0};
}

/* A literal that a field's enum does not hold never compares equal. */
static bool
check_enum(struct lang *l, const struct expr *field, const struct expr *lit)
{
	struct slice s = check_const_text(lit), w = expr_words(field);
	const struct type *t = field->type;
	const char **names, *near;
	size_t i;

	if (s.p == NULL || t->enum_n == 0)
		return true;
	names = lang_alloc(l, (t->enum_n + 1) * sizeof(*names));
	for (i = 0; i < t->enum_n; i++) {
		if (slice_eq(t->enums[i], s))
			return true;
		names[i] = (const char *)lang_copy(l, t->enums[i]).p;
	}
	if (s.n == 0 && field->op == X_ALT)
		return true;
	near = yaml_nearest(s, names);
	lang_fault(l, lit, "%.*s is never '%.*s'%s%s%s", SLICE_ARG(w),
	    SLICE_ARG(s), near != NULL ? "; did you mean '" : "",
	    near != NULL ? near : "", near != NULL ? "'?" : "");
	return false;
}

static bool
comparable(
    struct lang *l, const struct expr *a, const struct expr *b, bool order)
{
	enum kind ka = a->type->kind, kb = b->type->kind;
	const struct expr *odd = b;

	if (ka == K_NULL || kb == K_NULL) {
		lang_fault(l, ka == K_NULL ? a : b,
		    "nothing compares with null; has(x) tests whether x is "
		    "there");
		return false;
	}
	if (ka == K_MAP || ka == K_LIST || kb == K_MAP || kb == K_LIST) {
		odd = ka == K_MAP || ka == K_LIST ? a : b;
		lang_fault(
		    l, odd, "%s does not compare", type_name(odd->type->kind));
		return false;
	}
	if (order && (ka == K_BOOL || kb == K_BOOL)) {
		lang_fault(
		    l, ka == K_BOOL ? a : b, "true and false have no order");
		return false;
	}
	if (ka == K_ANY || kb == K_ANY || ka == kb ||
	    (type_number(a->type) && type_number(b->type)))
		return check_enum(l, a, b) && check_enum(l, b, a);
	lang_fault(l, odd, "%s and %s do not compare%s", type_name(ka),
	    type_name(kb),
	    (ka == K_TEXT && type_number(b->type)) ||
		    (kb == K_TEXT && type_number(a->type))
		? "; a text's number is decimal(..), a number's text \"{..}\""
	    : ka == K_TIME || kb == K_TIME ? "; time(..) reads a time"
					   : "");
	return false;
}

static bool
check_compare(struct lang *l, struct expr *x)
{
	struct expr *a = x->args[0].x, *b = x->args[1].x;
	bool ok = check_expr(l, a) && check_present(l, a);

	ok = check_expr(l, b) && check_present(l, b) && ok;
	x->type = &type_bool;
	return ok && comparable(l, a, b, x->op != X_EQ && x->op != X_NE);
}

static bool
check_in(struct lang *l, struct expr *x)
{
	struct expr *a = x->args[0].x;
	bool ok = check_expr(l, a) && check_present(l, a);
	size_t i;

	for (i = 1; i < x->n; i++) {
		struct expr *b = x->args[i].x;

		ok = check_expr(l, b) && check_present(l, b) && ok &&
		     comparable(l, a, b, false);
	}
	x->type = &type_bool;
	return ok;
}

static bool
check_logic(struct lang *l, struct expr *x)
{
	size_t facts = l->facts_n;
	bool ok = check_condition(l, x->args[0].x);

	x->type = &type_bool;
	if (x->op == X_NOT)
		return ok;
	if (ok)
		check_facts(l, x->args[0].x, x->op == X_AND);
	ok = check_condition(l, x->args[1].x) && ok;
	l->facts_n = facts;
	return ok;
}

static bool
check_arith(struct lang *l, struct expr *x)
{
	struct expr *a = x->args[0].x, *b;
	bool ok = operand(l, a, K_DEC, K_INT);

	x->type = &type_any;
	if (x->op == X_NEG) {
		if (ok)
			x->type = type_absent(l, a->type,
			    a->type->absent == OPTIONAL ? MAYBE
							: a->type->absent);
		return ok;
	}
	b = x->args[1].x;
	ok = operand(l, b, K_DEC, K_INT) && ok;
	if (!ok)
		return false;
	if (a->type->kind == K_ANY || b->type->kind == K_ANY)
		x->type = &type_any;
	else if (a->type->kind == K_INT && b->type->kind == K_INT)
		x->type = &type_int;
	else
		x->type = &type_dec;
	if (x->op == X_DIV && !x->under_round) {
		lang_fault(l, x,
		    "a division stands directly under round: round(a / b, "
		    "places)");
		return false;
	}
	return true;
}

static bool
check_alt(struct lang *l, struct expr *x)
{
	struct expr *a = x->args[0].x, *b = x->args[1].x;
	bool ok = check_expr(l, a);
	struct slice w = expr_words(a);
	enum kind ka, kb;

	ok = check_expr(l, b) && ok;
	x->type = &type_any;
	lang_default(l, x);
	if (!ok)
		return false;
	ka = a->type->kind;
	kb = b->type->kind;
	if (a->type->absent == PRESENT && !a->type->blank && ka != K_ANY)
		lang_warn(l, a, "%.*s is always there; its ?? is not needed",
		    SLICE_ARG(w));
	if (ka != kb && ka != K_ANY && kb != K_ANY && kb != K_NULL &&
	    !(type_number(a->type) && type_number(b->type))) {
		w = expr_words(b);
		lang_fault(l, b, "%s is wanted behind ??, and %.*s is %s",
		    type_name(ka), SLICE_ARG(w), type_name(kb));
		return false;
	}
	x->type = type_absent(l,
	    type_either(l, type_absent(l, a->type, PRESENT), b->type),
	    b->type->absent);
	return true;
}

static bool
check_holes(struct lang *l, struct expr *x)
{
	bool ok = true;
	size_t i;

	for (i = 0; i < x->n; i++)
		ok = check_text(l, x->args[i].x, "a hole", false) && ok;
	x->type = &type_text;
	return ok;
}

/* null is an absent value; alone as a field's whole value it is written, which
 * node.c sees to. */
static bool
check_const(struct expr *x)
{
	static const struct type empty_list = {.kind = K_LIST};

	switch ((enum tag)x->value.tag) {
	case V_INT:
		x->type = &type_int;
		break;
	case V_DEC:
		x->type = &type_dec;
		break;
	case V_BOOL:
		x->type = &type_bool;
		break;
	case V_LIST:
		x->type = &empty_list;
		break;
	case V_NULL:
	case V_ABSENT:
		x->value = (struct val){.tag = V_ABSENT, .scale = WHY_NULL};
		x->type = &type_null;
		break;
	default:
		x->type = &type_text;
	}
	return true;
}

bool
check_loops(struct lang *l, struct loop *lp)
{
	const struct type *t, *item;
	bool ok = true;

	for (; lp != NULL; lp = lp->next) {
		item = &type_any;
		if (lp->list == NULL || !check_expr(l, lp->list)) {
			ok = false;
		} else {
			t = lp->list->type;
			item = type_inside(l, t);
			if (t->kind == K_LIST && t->item != NULL) {
				item = t->item;
			} else if (t->kind != K_LIST && t->kind != K_ANY) {
				struct slice w = expr_words(lp->list);

				lang_fault(l, lp->list,
				    "a list is wanted, and %.*s is %s%s",
				    SLICE_ARG(w), type_name(t->kind),
				    t->kind == K_MAP
					? "; entries(..) lists a map's fields"
					: "");
				ok = false;
			}
		}
		lp->var =
		    check_name(l, VAR_LOOP, lp->name, lp->src, lp->at, item);
		if (lp->count_name.n > 0)
			lp->count = check_name(l, VAR_COUNT, lp->count_name,
			    lp->src, lp->count_at, &type_int);
		if (lp->cond != NULL) {
			if (check_condition(l, lp->cond))
				check_facts(l, lp->cond, true);
			else
				ok = false;
		}
	}
	return ok;
}

bool
check_expr(struct lang *l, struct expr *x)
{
	bool ok = false;

	if (x == NULL)
		return false;
	x->type = &type_any;
	switch (x->op) {
	case X_CONST:
		return check_const(x);
	case X_PATH:
	case X_OUT:
		ok = check_path(l, x);
		break;
	case X_HOLES:
		return check_holes(l, x);
	case X_OR:
	case X_AND:
	case X_NOT:
		return check_logic(l, x);
	case X_EQ:
	case X_NE:
	case X_LT:
	case X_LE:
	case X_GT:
	case X_GE:
		return check_compare(l, x);
	case X_IN:
		return check_in(l, x);
	case X_ADD:
	case X_SUB:
	case X_MUL:
	case X_DIV:
	case X_NEG:
		return check_arith(l, x);
	case X_ALT:
		return check_alt(l, x);
	case X_CALL:
		ok = check_call(l, x);
		break;
	case X_STEPS:
		ok = check_expr(l, x->args[0].x) &&
		     check_steps(l, x, x->args[0].x->type, 0);
		break;
	}
	if (x->type == NULL)
		x->type = &type_any;
	return ok;
}

/* Does every step of this path exist? Without a fault, and only of types that
 * are known. */
static bool
path_exists(struct lang *l, const struct expr *x)
{
	const struct type *t;
	const struct var *v;
	size_t i;

	if (x->root.p[0] == '$') {
		static const char *const roots[] = {"$in", "$event",
		    "$settings", "$out", "$request", "$status", NULL};

		for (i = 0; roots[i] != NULL; i++)
			if (slice_is(x->root, roots[i]))
				return true;
		return false;
	}
	v = find_name(l, x->root);
	t = v != NULL		  ? v->type
	    : in_shape(l) != NULL ? shape_find(in_shape(l), x->root)
				  : NULL;
	for (i = 0; t != NULL && i < x->steps_n; i++) {
		if (x->steps[i].index > 0)
			t = t->kind == K_LIST ? t->item : NULL;
		else
			t = t->kind == K_MAP && t->shape != NULL
				? shape_find(t->shape, x->steps[i].name)
				: NULL;
	}
	return t != NULL;
}

struct expr *
check_parse(struct lang *l, const struct yaml *y)
{
	struct expr *x = expr_parse(l, y), *code;

	if (x == NULL || y->style != YAML_QUOTED || x->op != X_CONST)
		return x;
	code = expr_try(l, y);
	if (code == NULL)
		return x;
	if ((code->op == X_CALL && func_find(code->root) != NULL) ||
	    (code->op == X_PATH && path_exists(l, code))) {
		lang_fault(l, x,
		    "this is text; unquote it to compute it, or write ('..') "
		    "if the text itself is meant");
		return NULL;
	}
	return x;
}
