/*
 * check_call - the arguments of calls against the table of functions, and the
 * type of what a call gives.
 */
#include "mappings/engine/formula.h"
#include "mappings/engine/func.h"

static const struct type *
elem(const struct arg *a)
{
	if (a->loops != NULL)
		return a->x->type;
	if (a->x->type->kind == K_LIST && a->x->type->item != NULL)
		return a->x->type->item;
	return &type_any;
}

/* What the innermost `for` goes through. */
static const struct type *
row_type(const struct arg *a)
{
	const struct loop *lp = a->loops;

	while (lp->next != NULL)
		lp = lp->next;
	return lp->var->type;
}

const struct type *
call_elem(struct lang *l, struct expr *x)
{
	const struct type *t = elem(&x->args[0]);

	return type_absent(l, t, t->absent > MAYBE ? t->absent : MAYBE);
}

const struct type *
call_list(struct lang *l, struct expr *x)
{
	return type_list(l, type_absent(l, elem(&x->args[0]), PRESENT));
}

/* Lists among the values are joined, others appended. */
const struct type *
call_concat(struct lang *l, struct expr *x)
{
	const struct type *t = NULL, *one;
	size_t i;

	for (i = 0; i < x->n; i++) {
		one = x->args[i].loops != NULL ? elem(&x->args[i])
					       : x->args[i].x->type;
		if (one->kind == K_LIST)
			one = one->item;
		else if (one->kind == K_ANY)
			one = &type_any;
		if (one == NULL) /* [] */
			continue;
		one = type_absent(l, one, PRESENT);
		t = t == NULL ? one : type_either(l, t, one);
	}
	return type_list(l, t != NULL ? t : &type_any);
}

const struct type *
call_sort(struct lang *l, struct expr *x)
{
	return type_list(l, row_type(&x->args[0]));
}

const struct type *
call_group(struct lang *l, struct expr *x)
{
	static const char *const names[] = {"key", "rows"};
	const struct type *types[2], *t;

	types[0] = type_absent(l, x->args[0].x->type, PRESENT);
	types[1] = type_list(l, row_type(&x->args[0]));
	t = type_record(l, "a group {key, rows}", 2, names, types);
	x->shape = t->shape;
	return type_list(l, t);
}

const struct type *
call_allocate(struct lang *l, struct expr *x)
{
	static const char *const names[] = {"part", "row"};
	const struct type *types[2], *t;

	types[0] = &type_dec;
	types[1] = row_type(&x->args[2]);
	t = type_record(l, "a share {part, row}", 2, names, types);
	x->shape = t->shape;
	return type_list(l, t);
}

const struct type *
call_entries(struct lang *l, struct expr *x)
{
	static const char *const names[] = {"key", "value"};
	const struct type *types[2] = {&type_text, &type_any}, *t;

	t = type_record(l, "an entry {key, value}", 2, names, types);
	x->shape = t->shape;
	return type_list(l, t);
}

const struct type *
call_if(struct lang *l, struct expr *x)
{
	return type_either(l, x->args[1].x->type, x->args[2].x->type);
}

const struct type *
call_need(struct lang *l, struct expr *x)
{
	return type_absent(l, x->args[0].x->type, PRESENT);
}

/* sum, abs: the kind of number that goes in. */
const struct type *
call_number(struct lang *l, struct expr *x)
{
	const struct arg *a = &x->args[0];
	const struct type *t =
	    a->loops != NULL || x->func->args[0] == 'L' ? elem(a) : a->x->type;

	if (!type_number(t)) {
		lang_fault(l, a->x, "%s wants numbers, not %s", x->func->name,
		    type_name(t->kind));
		return NULL;
	}
	return t->kind == K_INT	  ? &type_int
	       : t->kind == K_DEC ? &type_dec
				  : &type_any;
}

const struct type *
call_lookup(struct lang *l, struct expr *x)
{
	const struct table *t = x->table;
	const struct type *key = x->args[1].x->type;
	size_t i, k;

	/* one that asks, reports or keeps says what becomes of the others */
	if (t->unmatched == UN_ERROR && !t->contains)
		for (i = 0; i < key->enum_n; i++) {
			for (k = 0; k < t->rows_n; k++)
				if (slice_eq(t->rows[k].key, key->enums[i]))
					break;
			if (k == t->rows_n)
				lang_fault(l, x,
				    "table %.*s has no row for '%.*s', which "
				    "this field can be; add one",
				    SLICE_ARG(t->name),
				    SLICE_ARG(key->enums[i]));
		}
	if (t->columns_n == 0 && t->unmatched == UN_KEEP)
		return &type_text;
	return t->type;
}

/* A text is a time only in a zone: its own, which only a literal shows before
 * it runs, or the one named here. */
static bool
zone_known(struct lang *l, const struct expr *x, const struct expr *a)
{
	struct slice s = check_const_text(a);
	int64_t ns;
	bool zoned;

	if (x->n > 1)
		return true;
	if (s.p != NULL && time_parse(s, NULL, &ns, &zoned) == ERR_OK)
		return true;
	lang_fault(l, x,
	    "which zone is it in, where the text names none? time(x, "
	    "'Europe/Helsinki'), or type: time and zone: in the schema");
	return false;
}

const struct type *
call_time(struct lang *l, struct expr *x)
{
	struct expr *a = x->args[0].x;
	struct type *t;

	switch (a->type->kind) {
	case K_TIME:
		/* the zone given here is how the field itself is read */
		if (x->n == 2 && x->word < 0 && a->op == X_PATH &&
		    a->read->zone == NULL) {
			t = lang_alloc(l, sizeof(*t));
			*t = *a->read;
			t->zone = x->args[1].x->zone;
			if (t->zone == NULL) /* a setting names it */
				t->kind = K_TEXT;
			a->read = t;
		}
		return &type_time;
	case K_DATE:
		if (x->n < 2) {
			lang_fault(l, x,
			    "a date becomes a time in a zone: "
			    "time(x, 'Europe/Helsinki')");
			return NULL;
		}
		return &type_time;
	case K_TEXT:
		return zone_known(l, x, a) ? &type_time : NULL;
	case K_ANY:
		return &type_time;
	case K_INT:
	case K_DEC:
		if (x->word >= 0)
			return &type_time;
		lang_fault(l, a,
		    "a number is read as seconds or milliseconds: time(x, s) "
		    "or time(x, ms)");
		return NULL;
	default:
		lang_fault(l, a, "time() reads text or a number, not %s",
		    type_name(a->type->kind));
		return NULL;
	}
}

const struct type *
call_add(struct lang *l, struct expr *x)
{
	(void)l;
	return x->args[0].x->type->kind == K_DATE   ? &type_date
	       : x->args[0].x->type->kind == K_TIME ? &type_time
						    : &type_any;
}

const struct type *
call_format(struct lang *l, struct expr *x)
{
	if (x->n < 3 && x->args[0].x->type->kind != K_DATE) {
		lang_fault(l, x,
		    "format of a time wants a zone: format(t, "
		    "pattern, 'Europe/Helsinki')");
		return NULL;
	}
	return &type_text;
}

const struct type *
call_split(struct lang *l, struct expr *x)
{
	(void)x;
	return type_list(l, &type_text);
}

const struct type *
call_header(struct lang *l, struct expr *x)
{
	(void)x;
	return type_absent(l, &type_text, MAYBE);
}

/* ---- arguments ---- */

static int
word_index(const char *words, struct slice w)
{
	int i = 0;
	const char *end;

	for (; *words != '\0'; words = *end != '\0' ? end + 1 : end, i++) {
		end = strchrnul(words, ' ');
		if (slice_eq(slice_of(words, (size_t)(end - words)), w))
			return i;
	}
	return -1;
}

/* A literal word, bare or quoted. */
static struct slice
bare_word(const struct expr *x)
{
	return x->op == X_PATH && x->steps_n == 0 ? x->root
						  : check_const_text(x);
}

static bool
arg_word(struct lang *l, struct expr *x, struct expr *a)
{
	struct slice w = bare_word(a);

	a->type = &type_text;
	x->word = w.p != NULL ? word_index(x->func->words, w) : -1;
	if (x->word >= 0) {
		a->op = X_CONST;
		a->value = val_text(w);
		return true;
	}
	lang_fault(l, a, "one of these words is wanted: %s", x->func->words);
	return false;
}

static bool
arg_zone(struct lang *l, struct expr *a)
{
	struct slice name;

	if (!check_text(l, a, "a zone", false))
		return false;
	name = check_const_text(a);
	if (name.p == NULL || zone_get(name, &a->zone) == ERR_OK)
		return true;
	if (memmem(name.p, name.n, "yy", 2) != NULL ||
	    memmem(name.p, name.n, "dd", 2) != NULL)
		lang_fault(l, a,
		    "a zone is wanted here; behind a pattern stands one too: "
		    "time(x, '%.*s', 'Europe/Helsinki')",
		    SLICE_ARG(name));
	else
		lang_fault(l, a,
		    "there is no zone '%.*s'; zones are named as "
		    "Europe/Helsinki or UTC",
		    SLICE_ARG(name));
	return false;
}

static bool
arg_pattern(struct lang *l, struct expr *a)
{
	struct slice s;
	size_t i;

	if (!check_text(l, a, "a pattern", false))
		return false;
	s = check_const_text(a);
	for (i = 0; s.p != NULL && i < s.n; i++)
		if (strchr("YDhaA", s.p[i]) != NULL && s.p[i] != '\0') {
			lang_fault(l, a,
			    "a pattern is made of yyyy MM dd HH mm ss and "
			    "other characters; %c is none of them",
			    s.p[i]);
			return false;
		}
	return true;
}

static bool
arg_table(struct lang *l, struct expr *x, struct expr *a)
{
	struct slice w = bare_word(a);

	a->type = &type_text;
	if (w.p == NULL) {
		lang_fault(l, a, "the name of a table is wanted here");
		return false;
	}
	x->table = table_find(l, w);
	if (x->table == NULL) {
		const char **names =
		    lang_alloc(l, (l->p->tables_n + 1) * sizeof(*names));
		const char *near;
		size_t i;

		for (i = 0; i < l->p->tables_n; i++)
			names[i] =
			    (const char *)lang_copy(l, l->p->tables[i].name).p;
		near = yaml_nearest(w, names);
		lang_fault(l, a, "there is no table %.*s%s%s%s", SLICE_ARG(w),
		    near != NULL ? "; did you mean " : "",
		    near != NULL ? near : "", near != NULL ? "?" : "");
		return false;
	}
	return true;
}

static bool
arg_kind(struct lang *l, struct expr *x, struct expr *a, const char *wanted,
    unsigned kinds)
{
	struct slice w = expr_words(a);

	if (!check_present(l, a))
		return false;
	if (a->type->kind == K_ANY || (kinds >> a->type->kind & 1) != 0)
		return true;
	lang_fault(l, a, "%s(): %s is wanted, and %.*s is %s", x->func->name,
	    wanted, SLICE_ARG(w), type_name(a->type->kind));
	return false;
}

static bool
arg_visit(struct lang *l, struct arg *a)
{
	size_t scope = l->scope_n, facts = l->facts_n;
	bool ok = check_loops(l, a->loops);

	ok = check_expr(l, a->x) && ok;
	l->scope_n = scope;
	l->facts_n = facts;
	return ok;
}

/* A list, or `x for ..`. */
static bool
arg_list(struct lang *l, struct expr *x, struct arg *a, char letter)
{
	const struct type *t;

	if (!arg_visit(l, a))
		return false;
	if (a->loops == NULL) {
		if (letter == 'f') {
			lang_fault(l, a->x, "%s() goes through a list: %s",
			    x->func->name, x->func->sig);
			return false;
		}
		if (a->x->type->kind == K_LIST || a->x->type->kind == K_ANY)
			return letter != 'B' || elem(a)->kind == K_BOOL ||
			       elem(a)->kind == K_ANY;
		lang_fault(l, a->x, "%s() wants a list, not %s: %s",
		    x->func->name, type_name(a->x->type->kind), x->func->sig);
		return false;
	}
	t = a->x->type;
	if (letter == 'B' && t->kind != K_BOOL && t->kind != K_ANY) {
		lang_fault(l, a->x, "%s() wants a condition, not %s",
		    x->func->name, type_name(t->kind));
		return false;
	}
	if (letter == 'f' && x->func->check != call_allocate &&
	    (t->kind == K_MAP || t->kind == K_LIST)) {
		lang_fault(l, a->x, "%s() wants a key that compares, not %s",
		    x->func->name, type_name(t->kind));
		return false;
	}
	if (x->func->check == call_allocate && !type_number(t)) {
		lang_fault(l, a->x, "a weight is a number, not %s",
		    type_name(t->kind));
		return false;
	}
	return letter == 'l' || check_present(l, a->x);
}

#define BIT(k) (1u << (k))

static bool
check_arg(struct lang *l, struct expr *x, size_t i, char letter)
{
	struct arg *a = &x->args[i];

	if (letter != '\0' && strchr("lLBf", letter) != NULL)
		return arg_list(l, x, a, letter);
	if (a->loops != NULL) {
		lang_fault(
		    l, a->x, "no for in this argument: %s", x->func->sig);
		return false;
	}
	switch (letter) {
	case 'w':
		return arg_word(l, x, a->x);
	case 'q': /* time()'s second */
		if (x->n == 3)
			return arg_pattern(l, a->x);
		if (bare_word(a->x).p != NULL &&
		    word_index(x->func->words, bare_word(a->x)) >= 0)
			return arg_word(l, x, a->x);
		return arg_zone(l, a->x);
	case 'k':
		return arg_table(l, x, a->x);
	case 'z':
		return arg_zone(l, a->x);
	case 'p':
		return arg_pattern(l, a->x);
	default:
		break;
	}
	if (a->x->op == X_DIV && slice_is(x->root, "round") && i == 0)
		a->x->under_round = true;
	if (!check_expr(l, a->x))
		return false;
	switch (letter) {
	case 'o':
		return true;
	case 't':
		return arg_kind(l, x, a->x, "text", BIT(K_TEXT));
	case 'n':
		return arg_kind(
		    l, x, a->x, "a number", BIT(K_INT) | BIT(K_DEC));
	case 'i':
		return arg_kind(l, x, a->x, "a whole number", BIT(K_INT));
	case 'b':
		return arg_kind(l, x, a->x, "a condition", BIT(K_BOOL));
	case 'T':
		return arg_kind(
		    l, x, a->x, "a time (time(..) reads one)", BIT(K_TIME));
	case 'D':
		return arg_kind(
		    l, x, a->x, "a time or a date", BIT(K_TIME) | BIT(K_DATE));
	case 'm':
		return arg_kind(l, x, a->x, "a map", BIT(K_MAP));
	case 'y': /* a table's key */
		return arg_kind(l, x, a->x, "text",
		    BIT(K_TEXT) | BIT(K_INT) | BIT(K_DEC) | BIT(K_BOOL));
	default:
		return check_present(l, a->x);
	}
}

static bool
check_if(struct lang *l, struct expr *x)
{
	size_t facts = l->facts_n;
	bool ok = check_arg(l, x, 0, 'b');

	if (ok)
		check_facts(l, x->args[0].x, true);
	ok = check_arg(l, x, 1, 'o') && ok;
	l->facts_n = facts;
	if (ok)
		check_facts(l, x->args[0].x, false);
	ok = check_arg(l, x, 2, 'o') && ok;
	l->facts_n = facts;
	return ok;
}

static bool
check_count(struct lang *l, const struct expr *x)
{
	const char *letters = x->func->args, *bar = strchr(letters, '|');
	size_t most = strlen(letters), least = most;

	if (bar != NULL) {
		least = (size_t)(bar - letters);
		most--;
	}
	if (most > 0 && letters[strlen(letters) - 1] == '*') {
		most = LANG_ARGS;
		least--;
	}
	if (x->n >= least && x->n <= most)
		return true;
	lang_fault(l, x, "%s takes %s arguments: %s", x->func->name,
	    x->n < least ? "more" : "fewer", x->func->sig);
	return false;
}

/* The letter of argument i. */
static char
letter_of(const char *letters, size_t i)
{
	char was = '\0';

	for (; *letters != '\0'; letters++) {
		if (*letters == '|')
			continue;
		if (*letters == '*')
			return was;
		was = *letters;
		if (i-- == 0)
			return was;
	}
	return was;
}

bool
check_call(struct lang *l, struct expr *x)
{
	const struct type *t;
	const char *near;
	bool ok = true;
	size_t i;

	x->func = func_find(x->root);
	if (x->func != NULL && (x->func->roots & ~l->roots) != 0)
		x->func = NULL;
	if (x->func == NULL) {
		near = yaml_nearest(x->root, func_names());
		lang_fault(l, x, "there is no function %.*s%s%s%s",
		    SLICE_ARG(x->root), near != NULL ? "; did you mean " : "",
		    near != NULL ? near : "", near != NULL ? "?" : "");
		for (i = 0; i < x->n; i++)
			arg_visit(l, &x->args[i]);
		return false;
	}
	if (!check_count(l, x))
		return false;
	if (x->func->check == call_if) {
		ok = check_if(l, x);
	} else {
		for (i = 0; i < x->n; i++)
			ok = check_arg(l, x, i, letter_of(x->func->args, i)) &&
			     ok;
	}
	if (slice_is(x->root, "header"))
		l->read = true;
	if (slice_is(x->root, "has"))
		lang_default(l, x);
	if (!ok)
		return false;
	if (slice_is(x->root, "has") && x->args[0].x->type->absent == PRESENT &&
	    !x->args[0].x->type->blank && x->args[0].x->type->kind != K_ANY) {
		struct slice w = expr_words(x->args[0].x);

		lang_warn(l, x, "%.*s is always there", SLICE_ARG(w));
	}
	t = x->func->check != NULL ? x->func->check(l, x) : x->func->result;
	if (t == NULL)
		return false;
	x->type = t;
	return true;
}
