/*
 * doc_words - an expression in words. Every operator has its phrase here, and
 * every function; one that has none is said by its line of help.
 */
#include "broker/base/clock.h"
#include "mappings/engine/doc.h"
#include "mappings/engine/func.h"

/* Backticks stand for themselves alone: a text that holds one loses it. */
static void
code(struct buf *b, struct slice s)
{
	buf_byte(b, '`');
	for (size_t i = 0; i < s.n; i++)
		buf_byte(b, s.p[i] == '`' ? '\'' : s.p[i]);
	buf_byte(b, '`');
}

static void
quoted(struct buf *b, struct slice s)
{
	buf_str(b, "“");
	for (size_t i = 0; i < s.n; i++)
		buf_byte(b, s.p[i] == '`' ? '\'' : s.p[i]);
	buf_str(b, "”");
}

void
doc_while(struct buf *b, int64_t ns)
{
	static const struct {
		int64_t s;
		const char *word;
	} units[] = {
	    {86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	int64_t s = ns / NS_PER_SEC;

	for (size_t i = 0; i < 4; i++)
		if (s % units[i].s == 0 && s >= units[i].s) {
			buf_printf(b, "%lld %s%s", (long long)(s / units[i].s),
			    units[i].word, s == units[i].s ? "" : "s");
			return;
		}
	buf_printf(b, "%lld seconds", (long long)s);
}

static void
constant(struct buf *b, const struct expr *x)
{
	switch (x->value.tag) {
	case V_TEXT:
		if (x->value.n == 0)
			buf_str(b, "an empty text");
		else
			quoted(b, val_slice(x->value));
		return;
	case V_ABSENT:
	case V_NULL:
		buf_str(b, "nothing");
		return;
	case V_LIST:
		buf_str(b, "an empty list");
		return;
	case V_BOOL:
		buf_str(b, x->value.i != 0 ? "true" : "false");
		return;
	default:
		buf_slice(b, expr_words(x));
	}
}

/* What stands behind the first name: "order.totals.net" -> "totals.net". */
static struct slice
behind(struct slice words, size_t root)
{
	if (words.n <= root)
		return SLICE_EMPTY;
	return slice_from(words, root + (words.p[root] == '.'));
}

/* "`x` of `order`", or the name alone. */
static void
part_of(struct buf *b, struct slice rest, const char *what, struct slice name)
{
	if (rest.n > 0) {
		code(b, rest);
		buf_printf(b, " of %s", what);
	}
	if (name.n > 0)
		code(b, name);
}

static void
path(struct buf *b, const struct expr *x)
{
	struct slice words = expr_words(x);
	struct slice rest = behind(words, x->root.n);

	switch (x->var != NULL ? x->var->kind : VAR_IN) {
	case VAR_IN:
		if (slice_is(words, "$in"))
			buf_str(b, "the whole event");
		else
			code(b, slice_is(x->root, "$in") ? rest : words);
		return;
	case VAR_EVENT:
		if (slice_is(rest, "subject"))
			buf_str(b, "the same subject");
		else
			part_of(b, rest, "the event's envelope", SLICE_EMPTY);
		return;
	case VAR_SETTINGS:
		buf_str(b, "the setting ");
		code(b, rest);
		return;
	case VAR_JOIN:
	case VAR_LET:
	case VAR_LOOP:
		part_of(b, rest, "", x->root);
		return;
	case VAR_COUNT:
		code(b, x->root);
		return;
	case VAR_REQUEST:
	case VAR_STATUS:
		break;
	}
	code(b, words);
}

void
doc_loops(struct buf *b, const struct loop *lp)
{
	for (; lp != NULL; lp = lp->next) {
		buf_str(b, " for each ");
		code(b, lp->name);
		if (lp->count_name.n > 0) {
			buf_str(b, " (number ");
			code(b, lp->count_name);
			buf_byte(b, ')');
		}
		buf_str(b, " of ");
		doc_part(b, lp->list);
		if (lp->cond != NULL) {
			buf_str(b, " where ");
			doc_words(b, lp->cond);
		}
	}
}

/* An argument with its loops: "X for each l of LIST". Where X is l itself, the
 * list says enough. */
static void
arg(struct buf *b, const struct arg *a)
{
	const struct loop *lp = a->loops;

	if (lp == NULL) {
		doc_part(b, a->x);
		return;
	}
	if (lp->next == NULL && slice_eq(expr_words(a->x), lp->name)) {
		doc_part(b, lp->list);
		if (lp->cond != NULL) {
			buf_str(b, " where ");
			doc_words(b, lp->cond);
			buf_str(b, " (each: ");
			code(b, lp->name);
			buf_byte(b, ')');
		}
		return;
	}
	doc_part(b, a->x);
	doc_loops(b, lp);
}

/* Phrases: %1 is the first argument, %2 the second ..; %* all of them with
 * "and" between. By the number of arguments where that matters. */
static const struct {
	const char *name;
	uint16_t n; /* 0: any */
	const char *phrase;
} phrases[] = {
    {"has", 0, "%1 is there"},
    {"need", 0, "%1 (which must be there)"},
    {"round", 2, "%1, rounded to %2 decimals"},
    {"round", 3, "%1, rounded to %2 decimals (%3)"},
    {"abs", 0, "%1 without its sign"},
    {"sum", 0, "the sum of %1"},
    {"count", 0, "the number of %1"},
    {"any", 0, "for at least one: %1"},
    {"all", 0, "without exception: %1"},
    {"first", 0, "the first %1"},
    {"last", 0, "the last %1"},
    {"at", 0, "number %2 of %1"},
    {"list", 0, "the list of %1"},
    {"concat", 0, "one list of %*"},
    {"reverse", 0, "%1, the last first"},
    {"allocate", 0,
	"%1 divided in proportion to %3, to %2 decimals, so that the parts "
	"come to exactly that"},
    {"entries", 0, "the keys and values of %1"},
    {"time", 1, "%1 as a point in time"},
    {"time", 2, "%1 as a point in time (%2)"},
    {"time", 3, "%1, written as %2, as a point in time (%3)"},
    {"date", 0, "the day of %1 (%2)"},
    {"add", 0, "%1 and %2 %3 more"},
    {"format", 2, "%1 written as %2"},
    {"format", 3, "%1 written as %2 (%3)"},
    {"upper", 0, "%1 in capitals"},
    {"lower", 0, "%1 in small letters"},
    {"trim", 0, "%1 without blanks at its ends"},
    {"replace", 0, "%1 with every %2 replaced by %3"},
    {"split", 0, "the parts of %1 between each %2"},
    {"join", 0, "%2, joined by %1"},
    {"html", 0, "the plain text of %1"},
    {"text", 1, "%1 as text"},
    {"text", 2, "%1 as text with %2 decimals"},
    {"text", 3, "%1 as text with %2 decimals behind a %3"},
    {"decimal", 0, "the number that %1 holds"},
    {"int", 0, "the whole number %1"},
    {"hash", 0, "a fingerprint of %1"},
    {"minor", 0, "%1 in the smallest unit of %2, as an amount"},
    {"to_minor", 0, "%1 as a whole number of the smallest unit of %2"},
    {"fi_reference", 0, "%1 with the check digit of a Finnish reference"},
    {"rf", 0, "%1 as an international (RF) reference"},
    {"header", 0, "the request's header %1"},
};

static void
fill(struct buf *b, const char *p, const struct expr *x)
{
	for (; *p != '\0'; p++) {
		if (*p != '%') {
			buf_byte(b, (uint8_t)*p);
			continue;
		}
		p++;
		if (*p == '*') {
			for (uint16_t i = 0; i < x->n; i++) {
				buf_str(b, i == 0	  ? ""
					   : i + 1 < x->n ? ", "
							  : " and ");
				arg(b, &x->args[i]);
			}
			continue;
		}
		if (*p - '1' < x->n)
			arg(b, &x->args[*p - '1']);
	}
}

/* sort(), group(): the list, and by what. */
static void
by_key(struct buf *b, const struct expr *x, const char *how)
{
	const struct loop *lp = x->args[0].loops;

	if (lp == NULL) {
		arg(b, &x->args[0]);
		return;
	}
	doc_part(b, lp->list);
	if (lp->cond != NULL) {
		buf_str(b, " where ");
		doc_words(b, lp->cond);
	}
	buf_printf(b, ", %s ", how);
	doc_part(b, x->args[0].x);
}

static void
call(struct buf *b, const struct expr *x)
{
	if (x->table != NULL) {
		buf_str(b, "what table ");
		code(b, x->table->name);
		buf_str(b, " says for ");
		arg(b, &x->args[1]);
		return;
	}
	if (slice_is(x->root, "if")) {
		doc_part(b, x->args[1].x);
		buf_str(b, " if ");
		doc_words(b, x->args[0].x);
		buf_str(b, ", else ");
		doc_part(b, x->args[2].x);
		return;
	}
	if (slice_is(x->root, "sort") || slice_is(x->root, "group")) {
		by_key(b, x,
		    slice_is(x->root, "sort") ? "sorted by" : "grouped by");
		return;
	}
	for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++)
		if (slice_is(x->root, phrases[i].name) &&
		    (phrases[i].n == 0 || phrases[i].n == x->n)) {
			fill(b, phrases[i].phrase, x);
			return;
		}
	/* one that is newer than this table: its help, then what it is of */
	buf_printf(b, "%.*s (%s) of ", SLICE_ARG(x->root),
	    x->func != NULL ? x->func->help : "?");
	fill(b, "%*", x);
}

static void
binary(struct buf *b, const struct expr *x, const char *word)
{
	for (uint16_t i = 0; i < x->n; i++) {
		if (i > 0)
			buf_printf(b, " %s ", word);
		doc_part(b, x->args[i].x);
	}
}

static void
among(struct buf *b, const struct expr *x)
{
	doc_part(b, x->args[0].x);
	buf_str(b, x->negated ? " is none of " : " is one of ");
	for (uint16_t i = 1; i < x->n; i++) {
		buf_str(b, i == 1 ? "" : i + 1 < x->n ? ", " : " and ");
		doc_part(b, x->args[i].x);
	}
}

static void
holes(struct buf *b, const struct expr *x)
{
	buf_str(b, "“");
	for (uint16_t i = 0; i < x->n; i++) {
		const struct expr *p = x->args[i].x;

		if (p->op == X_CONST && p->value.tag == V_TEXT) {
			buf_slice(b, val_slice(p->value));
			continue;
		}
		buf_byte(b, '[');
		doc_words(b, p);
		buf_byte(b, ']');
	}
	buf_str(b, "”");
}

static void
steps(struct buf *b, const struct expr *x)
{
	struct buf t;

	buf_init(&t, 4096);
	for (uint32_t i = 0; i < x->steps_n; i++) {
		const struct step *s = &x->steps[i];

		if (s->index > 0)
			buf_printf(&t, "[%u]", s->index);
		else
			buf_printf(
			    &t, "%s%.*s", i > 0 ? "." : "", SLICE_ARG(s->name));
	}
	code(b, buf_all(&t));
	buf_str(b, " of ");
	doc_part(b, x->args[0].x);
	buf_fini(&t);
}

void
doc_words(struct buf *b, const struct expr *x)
{
	static const char *const words[] = {[X_OR] = "or",
	    [X_AND] = "and",
	    [X_EQ] = "is",
	    [X_NE] = "is not",
	    [X_LT] = "is less than",
	    [X_LE] = "is at most",
	    [X_GT] = "is more than",
	    [X_GE] = "is at least",
	    [X_ADD] = "plus",
	    [X_SUB] = "minus",
	    [X_MUL] = "times",
	    [X_DIV] = "divided by"};

	switch (x->op) {
	case X_CONST:
		constant(b, x);
		return;
	case X_PATH:
		path(b, x);
		return;
	case X_HOLES:
		holes(b, x);
		return;
	case X_OUT:
		code(b, behind(expr_words(x), 4));
		buf_str(b, " as built above");
		return;
	case X_NOT:
		buf_str(b, "it is not so that ");
		doc_part(b, x->args[0].x);
		return;
	case X_NEG:
		buf_str(b, "minus ");
		doc_part(b, x->args[0].x);
		return;
	case X_IN:
		among(b, x);
		return;
	case X_ALT:
		doc_part(b, x->args[0].x);
		buf_str(b, ", or if that is absent, ");
		doc_part(b, x->args[1].x);
		return;
	case X_CALL:
		call(b, x);
		return;
	case X_STEPS:
		steps(b, x);
		return;
	case X_OR:
	case X_AND:
	case X_EQ:
	case X_NE:
	case X_LT:
	case X_LE:
	case X_GT:
	case X_GE:
	case X_ADD:
	case X_SUB:
	case X_MUL:
	case X_DIV:
		binary(b, x, words[x->op]);
		return;
	}
}

void
doc_part(struct buf *b, const struct expr *x)
{
	bool plain = x->op == X_CONST || x->op == X_PATH || x->op == X_HOLES ||
		     x->op == X_OUT || x->op == X_NEG;

	/* conditions read well without: "a is b and c is d" */
	if (x->op >= X_EQ && x->op <= X_IN)
		plain = true;
	if (!plain)
		buf_byte(b, '(');
	doc_words(b, x);
	if (!plain)
		buf_byte(b, ')');
}
