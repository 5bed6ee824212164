/*
 * expr - from a scalar's text to a tree: the grammar of the guide, by recursive
 * descent with one token in hand. Texts are read in place of a token, because
 * the holes of a text are expressions again, quotes of the same kind included.
 *
 * Nothing here knows names or types; the checker does.
 */
#include <stdio.h>

#include "mappings/engine/lang.h"

enum token {
	T_END,
	T_NAME,
	T_ROOT, /* $in */
	T_NUMBER,
	T_TEXT, /* stands on the quote */
	T_EQ,
	T_NE,
	T_LE,
	T_GE,
	T_ALT,
	T_BAD
	/* any other: its character, from '(' up; all are above T_BAD */
};

struct parse {
	struct lang *l;
	const struct source *src;
	const uint8_t *s;
	size_t n, i; /* i: behind the token in hand */
	int tok;
	size_t at;    /* where it begins */
	size_t ended; /* where the last consumed one ended */
	unsigned depth, made;
	bool failed, silent;
};

static struct expr *parse_expr(struct parse *p);

static void PRINTF_LIKE(3, 4)
    fail(struct parse *p, size_t at, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (p->failed)
		return;
	p->failed = true;
	p->tok = T_END;
	if (p->silent)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fault_in(
	    p->l->f, p->l->file, p->src->node, at + p->src->shift, "%s", text);
}

static bool
name_start(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       c >= 0x80;
}

static bool
digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static size_t
name_end(const struct parse *p, size_t i)
{
	while (i < p->n && (name_start(p->s[i]) || digit(p->s[i])))
		i++;
	return i;
}

static void
next(struct parse *p)
{
	const uint8_t *s = p->s;
	uint8_t c, d;

	p->ended = p->i;
	if (p->failed)
		return;
	while (p->i < p->n &&
	       (s[p->i] == ' ' || s[p->i] == '\t' || s[p->i] == '\n'))
		p->i++;
	p->at = p->i;
	if (p->i >= p->n) {
		p->tok = T_END;
		return;
	}
	c = s[p->i];
	d = p->i + 1 < p->n ? s[p->i + 1] : 0;
	if (name_start(c)) {
		p->tok = T_NAME;
		p->i = name_end(p, p->i);
	} else if (digit(c)) {
		p->tok = T_NUMBER;
		while (p->i < p->n && digit(s[p->i]))
			p->i++;
		if (p->i + 1 < p->n && s[p->i] == '.' && digit(s[p->i + 1])) {
			p->i++;
			while (p->i < p->n && digit(s[p->i]))
				p->i++;
		}
	} else if (c == '$') {
		p->tok = T_ROOT;
		p->i = name_end(p, p->i + 1);
	} else if (c == '"' || c == '\'') {
		p->tok = T_TEXT;
		p->i++;
	} else if (c == '!' && d == '=') {
		p->tok = T_NE;
		p->i += 2;
	} else if (c == '<' && d == '=') {
		p->tok = T_LE;
		p->i += 2;
	} else if (c == '>' && d == '=') {
		p->tok = T_GE;
		p->i += 2;
	} else if (c == '?' && d == '?') {
		p->tok = T_ALT;
		p->i += 2;
	} else if (c == '=' && d == '=') {
		fail(p, p->at, "equality is written with one =");
	} else if (c == '=') {
		p->tok = T_EQ;
		p->i++;
	} else if (c > T_BAD && strchr("()[]{},.+-*/<>", c) != NULL) {
		p->tok = c;
		p->i++;
	} else if (c == '&' || c == '|' || c == '!') {
		fail(p, p->at, "write and, or, not in words");
	} else {
		fail(p, p->at, "'%.*s' has no meaning in an expression%s",
		    c < 0x80 ? 1 : 2, (const char *)s + p->i,
		    c == '%' ? "; percent is x / 100 under round()" : "");
	}
}

static bool
at_word(const struct parse *p, const char *word)
{
	return p->tok == T_NAME &&
	       slice_is(slice_of(p->s + p->at, p->i - p->at), word);
}

static bool
accept(struct parse *p, int tok)
{
	if (p->tok != tok || p->failed)
		return false;
	next(p);
	return true;
}

static bool
accept_word(struct parse *p, const char *word)
{
	if (p->failed || !at_word(p, word))
		return false;
	next(p);
	return true;
}

static void
expect(struct parse *p, int tok, const char *what)
{
	if (accept(p, tok))
		return;
	if (p->tok == T_END)
		fail(p, p->at, "%s is missing at the end", what);
	else
		fail(p, p->at, "%s was expected, not '%.*s'", what,
		    (int)(p->i - p->at), (const char *)p->s + p->at);
}

static struct slice
tok_text(const struct parse *p)
{
	return slice_of(p->s + p->at, p->i - p->at);
}

static struct expr *
new_expr(struct parse *p, enum op op, size_t at)
{
	struct expr *x = lang_alloc(p->l, sizeof(*x));

	if (++p->made > LANG_NODES)
		fail(p, at,
		    "an expression of over %d parts; name some of "
		    "them with let",
		    LANG_NODES);
	x->op = op;
	x->at = (uint32_t)at;
	x->src = p->src;
	x->slot = -1;
	x->word = -1;
	return x;
}

static struct expr *
finish(struct parse *p, struct expr *x)
{
	x->len = p->ended > x->at ? (uint32_t)(p->ended - x->at) : 0;
	return x;
}

static struct expr *
binary(struct parse *p, enum op op, struct expr *a, struct expr *b)
{
	struct expr *x = new_expr(p, op, a->at);

	x->n = 2;
	x->args = lang_alloc(p->l, 2 * sizeof(*x->args));
	x->args[0].x = a;
	x->args[1].x = b;
	return finish(p, x);
}

static struct expr *
unary(struct parse *p, enum op op, size_t at, struct expr *a)
{
	struct expr *x = new_expr(p, op, at);

	x->n = 1;
	x->args = lang_alloc(p->l, sizeof(*x->args));
	x->args[0].x = a;
	return finish(p, x);
}

static void
add_arg(struct parse *p, struct expr *x, struct arg a)
{
	struct arg *more;

	if (x->n >= LANG_ARGS) {
		fail(p, p->at, "more than %d parts", LANG_ARGS);
		return;
	}
	if ((x->n & (x->n - 1)) == 0) { /* 0, 1, 2, 4 ...: full */
		more = lang_alloc(
		    p->l, (x->n == 0 ? 1 : x->n * 2u) * sizeof(*more));
		if (x->n > 0)
			memcpy(more, x->args, x->n * sizeof(*more));
		x->args = more;
	}
	x->args[x->n++] = a;
}

static void
add_text(struct parse *p, struct expr *x, size_t at, const uint8_t *s, size_t n)
{
	struct expr *c;
	uint8_t *copy;

	if (n == 0)
		return;
	c = new_expr(p, X_CONST, at);
	copy = lang_alloc(p->l, n);
	memcpy(copy, s, n);
	c->value = val_text(slice_of(copy, n));
	c->len = (uint32_t)n;
	add_arg(p, x, (struct arg){.x = c});
}

/*
 * A text from p->i on: to the closing quote, or to the end when quote is 0.
 * Leaves p->i behind it, without a token in hand.
 */
static struct expr *
parse_text(struct parse *p, uint8_t quote, size_t at)
{
	struct expr *x = new_expr(p, X_HOLES, at);
	uint8_t *lit = lang_alloc(p->l, p->n - p->i + 1);
	size_t lit_n = 0, lit_at = p->i;
	bool closed = quote == 0;

	while (p->i < p->n && !p->failed) {
		uint8_t c = p->s[p->i];
		bool twice = p->i + 1 < p->n && p->s[p->i + 1] == c;

		if (quote != 0 && c == quote && !twice) {
			p->i++;
			closed = true;
			break;
		}
		if (((c == '{' || c == '}') || (quote != 0 && c == quote)) &&
		    twice) {
			lit[lit_n++] = c;
			p->i += 2;
		} else if (c == '}') {
			fail(p, p->i, "a } in text is written }}");
		} else if (c == '{') {
			struct expr *hole;

			add_text(p, x, lit_at, lit, lit_n);
			lit_n = 0;
			p->i++;
			next(p);
			hole = parse_expr(p);
			if (p->failed)
				return NULL;
			if (p->tok != '}') {
				fail(p, p->at,
				    "the } that ends the {hole} is missing");
				return NULL;
			}
			add_arg(p, x, (struct arg){.x = hole});
			lit_at = p->i;
		} else {
			lit[lit_n++] = c;
			p->i++;
		}
	}
	if (p->failed)
		return NULL;
	if (!closed) {
		fail(p, at, "the quote that ends this text is missing");
		return NULL;
	}
	add_text(p, x, lit_at, lit, lit_n);
	p->ended = p->i;
	if (x->n == 0 || (x->n == 1 && x->args[0].x->op == X_CONST)) {
		struct val v =
		    x->n == 0 ? val_text(SLICE_EMPTY) : x->args[0].x->value;

		x->op = X_CONST;
		x->n = 0;
		x->value = v;
	}
	return finish(p, x);
}

/* {"." (name | text) | "[" int "]"}; appends to x. */
static void
parse_steps(struct parse *p, struct expr *x)
{
	struct step steps[LANG_DEPTH];
	size_t n = 0;

	while (!p->failed && (p->tok == '.' || p->tok == '[')) {
		struct step *t = &steps[n];

		if (n == LANG_DEPTH) {
			fail(p, p->at, "a path of over %d steps", LANG_DEPTH);
			return;
		}
		*t = (struct step){.name = SLICE_EMPTY};
		t->at = (uint32_t)p->at;
		if (p->tok == '[') {
			struct dec d;
			int64_t i = 0;

			next(p);
			if (p->tok != T_NUMBER ||
			    dec_parse(tok_text(p), &d) != ERR_OK ||
			    !dec_is_int(d, &i) || i < 1 || i > UINT32_MAX) {
				fail(p, p->at,
				    "an index is a whole number from 1; for "
				    "others use at(list, n)");
				return;
			}
			next(p);
			expect(p, ']', "]");
			t->index = (uint32_t)i;
		} else if (p->i < p->n &&
			   (p->s[p->i] == '\'' || p->s[p->i] == '"')) {
			struct expr *name;
			size_t at = p->i++;

			name = parse_text(p, p->s[at], at);
			if (name == NULL)
				return;
			if (name->op != X_CONST) {
				fail(p, at, "a field's name has no {holes}");
				return;
			}
			t->name = val_slice(name->value);
			next(p);
		} else {
			size_t from = p->i;

			if (from < p->n && p->s[from] == '$')
				p->i++;
			p->i = name_end(p, p->i);
			if (p->i == from) {
				fail(p, from,
				    "a field's name is missing after the dot");
				return;
			}
			t->name = slice_of(p->s + from, p->i - from);
			next(p);
		}
		n++;
	}
	if (n == 0)
		return;
	x->steps = lang_alloc(p->l, n * sizeof(*steps));
	memcpy(x->steps, steps, n * sizeof(*steps));
	x->steps_n = (uint32_t)n;
	finish(p, x);
}

static const char *const keywords[] = {
    "or", "and", "not", "in", "for", "true", "false", "null", NULL};

static bool
keyword(struct slice s)
{
	size_t i;

	for (i = 0; keywords[i] != NULL; i++)
		if (slice_is(s, keywords[i]))
			return true;
	return false;
}

/* name "for" is in hand */
static struct loop *
parse_names(struct parse *p)
{
	struct loop *lp = lang_alloc(p->l, sizeof(*lp));
	int i;

	lp->name = lp->count_name = SLICE_EMPTY;
	lp->src = p->src;
	for (i = 0; i < 2; i++) {
		struct slice s = tok_text(p);

		if (p->tok != T_NAME || keyword(s) || slice_is(s, "if")) {
			fail(p, p->at,
			    "a name for %s was expected: name in list",
			    i == 0 ? "each item" : "the count");
			return lp;
		}
		if (i == 0) {
			lp->name = s;
			lp->at = (uint32_t)p->at;
		} else {
			lp->count_name = s;
			lp->count_at = (uint32_t)p->at;
		}
		next(p);
		if (!accept(p, ','))
			break;
	}
	if (!accept_word(p, "in"))
		fail(p, p->at, "the word in was expected: name in list");
	return lp;
}

static struct expr *parse_alt(struct parse *p);

static struct arg
parse_arg(struct parse *p)
{
	struct arg a = {0};
	struct loop **tail = &a.loops;

	a.x = parse_expr(p);
	while (!p->failed && accept_word(p, "for")) {
		struct loop *lp = parse_names(p);

		lp->list = parse_alt(p);
		if (accept_word(p, "if"))
			lp->cond = parse_expr(p);
		*tail = lp;
		tail = &lp->next;
	}
	return a;
}

static struct expr *
parse_call(struct parse *p, struct slice name, size_t at)
{
	struct expr *x = new_expr(p, X_CALL, at);

	x->root = name;
	next(p); /* ( */
	if (!accept(p, ')')) {
		do
			add_arg(p, x, parse_arg(p));
		while (!p->failed && accept(p, ','));
		expect(p, ')', "a comma or )");
	}
	return finish(p, x);
}

static struct expr *
parse_number(struct parse *p)
{
	struct expr *x = new_expr(p, X_CONST, p->at);
	struct slice s = tok_text(p);
	struct dec d;
	int64_t i;

	if (dec_parse(s, &d) != ERR_OK || dec_store(d, &d) != ERR_OK) {
		fail(p, p->at,
		    "a number has at most 18 digits, 9 of them "
		    "behind the point");
		return x;
	}
	if (memchr(s.p, '.', s.n) == NULL && dec_is_int(d, &i))
		x->value = val_int(i);
	else
		x->value = (struct val){
		    .tag = V_DEC, .scale = d.scale, .i = (int64_t)d.c};
	next(p);
	return finish(p, x);
}

static struct expr *
parse_prim(struct parse *p)
{
	size_t at = p->at;
	struct slice s = tok_text(p);
	struct expr *x = NULL, *base;

	switch (p->tok) {
	case T_NUMBER:
		return parse_number(p);
	case T_TEXT:
		x = parse_text(p, p->s[at], at);
		next(p);
		break;
	case '[':
		next(p);
		expect(p, ']', "], for only the empty list is written so,");
		x = new_expr(p, X_CONST, at);
		x->value = (struct val){.tag = V_LIST};
		return finish(p, x);
	case '(':
		next(p);
		x = parse_expr(p);
		expect(p, ')', ")");
		break;
	case T_ROOT:
		next(p);
		x = finish(p, new_expr(p, X_PATH, at));
		x->root = s;
		break;
	case T_NAME:
		if (slice_is(s, "true") || slice_is(s, "false") ||
		    slice_is(s, "null")) {
			next(p);
			x = finish(p, new_expr(p, X_CONST, at));
			x->value = s.p[0] == 'n' ? (struct val){.tag = V_NULL}
						 : val_bool(s.p[0] == 't');
			return x;
		}
		if (keyword(s)) {
			fail(p, at,
			    "a value was expected, not the word %.*s; a field "
			    "of that name is written $in.%.*s",
			    SLICE_ARG(s), SLICE_ARG(s));
			return NULL;
		}
		next(p);
		if (p->tok == '(') {
			x = parse_call(p, s, at);
			break;
		}
		x = finish(p, new_expr(p, X_PATH, at));
		x->root = s;
		break;
	case T_END:
		fail(p, at,
		    p->n == 0 ? "an expression is missing"
			      : "the expression breaks off here");
		return NULL;
	default:
		fail(p, at, "a value was expected, not '%.*s'", SLICE_ARG(s));
		return NULL;
	}
	if (p->failed || (p->tok != '.' && p->tok != '['))
		return x;
	if (x->op == X_PATH && x->steps_n == 0) {
		parse_steps(p, x);
		return x;
	}
	base = x;
	x = unary(p, X_STEPS, at, base);
	parse_steps(p, x);
	return x;
}

static struct expr *
parse_alt(struct parse *p)
{
	struct expr *x = parse_prim(p), *b;

	while (!p->failed && accept(p, T_ALT)) {
		size_t at = p->at;

		if (accept(p, '-'))
			b = unary(p, X_NEG, at, parse_prim(p));
		else
			b = parse_prim(p);
		if (p->failed)
			return NULL;
		x = binary(p, X_ALT, x, b);
	}
	return x;
}

static struct expr *
parse_unary(struct parse *p)
{
	size_t at = p->at;

	if (accept(p, '-')) {
		struct expr *x = parse_alt(p);

		return p->failed ? NULL : unary(p, X_NEG, at, x);
	}
	return parse_alt(p);
}

static struct expr *
parse_mul(struct parse *p)
{
	struct expr *x = parse_unary(p), *b;

	while (!p->failed && (p->tok == '*' || p->tok == '/')) {
		enum op op = p->tok == '*' ? X_MUL : X_DIV;

		next(p);
		b = parse_unary(p);
		if (p->failed)
			return NULL;
		x = binary(p, op, x, b);
	}
	return x;
}

static struct expr *
parse_add(struct parse *p)
{
	struct expr *x = parse_mul(p), *b;

	while (!p->failed && (p->tok == '+' || p->tok == '-')) {
		enum op op = p->tok == '+' ? X_ADD : X_SUB;

		next(p);
		b = parse_mul(p);
		if (p->failed)
			return NULL;
		x = binary(p, op, x, b);
	}
	return x;
}

static int
compare_op(const struct parse *p)
{
	switch (p->tok) {
	case T_EQ:
		return X_EQ;
	case T_NE:
		return X_NE;
	case '<':
		return X_LT;
	case T_LE:
		return X_LE;
	case '>':
		return X_GT;
	case T_GE:
		return X_GE;
	default:
		return -1;
	}
}

static struct expr *
parse_in(struct parse *p, struct expr *a, bool negated)
{
	struct expr *x = new_expr(p, X_IN, a->at);

	x->negated = negated;
	add_arg(p, x, (struct arg){.x = a});
	if (p->tok != '(') {
		fail(p, p->at,
		    "in wants its values in parentheses: x in "
		    "('a', 'b'); for a list use any(i = x for i in "
		    "list)");
		return NULL;
	}
	next(p);
	do
		add_arg(p, x, (struct arg){.x = parse_expr(p)});
	while (!p->failed && accept(p, ','));
	expect(p, ')', "a comma or )");
	return finish(p, x);
}

static struct expr *
parse_cmp(struct parse *p)
{
	struct expr *x = parse_add(p), *b;
	size_t i, at;
	int op;

	if (p->failed)
		return NULL;
	if ((op = compare_op(p)) >= 0) {
		next(p);
		b = parse_add(p);
		if (p->failed)
			return NULL;
		x = binary(p, (enum op)op, x, b);
		if (compare_op(p) >= 0)
			fail(p, p->at,
			    "comparisons do not chain; join them with and");
		return x;
	}
	if (accept_word(p, "in"))
		return parse_in(p, x, false);
	if (at_word(p, "not")) {
		i = p->i;
		at = p->at;
		next(p);
		if (accept_word(p, "in"))
			return parse_in(p, x, true);
		p->i = i;
		p->at = at;
		p->tok = T_NAME;
	}
	return x;
}

static struct expr *
parse_not(struct parse *p)
{
	size_t at = p->at;
	struct expr *x;

	if (!accept_word(p, "not"))
		return parse_cmp(p);
	x = parse_cmp(p);
	return p->failed ? NULL : unary(p, X_NOT, at, x);
}

static struct expr *
parse_and(struct parse *p)
{
	struct expr *x = parse_not(p), *b;

	while (!p->failed && accept_word(p, "and")) {
		b = parse_not(p);
		if (p->failed)
			return NULL;
		x = binary(p, X_AND, x, b);
	}
	return x;
}

static struct expr *
parse_expr(struct parse *p)
{
	struct expr *x, *b;

	if (++p->depth > LANG_DEPTH) {
		fail(p, p->at, "nested deeper than %d", LANG_DEPTH);
		return NULL;
	}
	x = parse_and(p);
	while (!p->failed && accept_word(p, "or")) {
		b = parse_and(p);
		if (p->failed)
			return NULL;
		x = binary(p, X_OR, x, b);
	}
	p->depth--;
	return p->failed ? NULL : x;
}

static void
end(struct parse *p)
{
	struct slice s = tok_text(p);

	if (p->failed || p->tok == T_END)
		return;
	if (p->tok == T_NAME && slice_is(s, "for"))
		fail(p, p->at, "for stands inside a call: list(x for x in ..)");
	else if (p->tok == T_NAME && slice_is(s, "if"))
		fail(p, p->at, "a choice is written if(condition, then, else)");
	else if (p->tok == ',')
		fail(p, p->at,
		    "one expression was expected; a comma stands "
		    "only inside a call");
	else
		fail(p, p->at,
		    "the end or an operator was expected, not '%.*s'",
		    SLICE_ARG(s));
}

struct source *
expr_source(struct lang *l, const struct yaml *node)
{
	struct source *src = lang_alloc(l, sizeof(*src));

	src->file = l->file;
	src->node = node;
	src->text = node->text;
	src->shift = node->style == YAML_QUOTED;
	return src;
}

static struct parse
parse_of(struct lang *l, const struct source *src, size_t from)
{
	return (struct parse){.l = l,
	    .src = src,
	    .s = src->text.p,
	    .n = src->text.n,
	    .i = from,
	    .tok = T_END};
}

struct expr *
expr_parse(struct lang *l, const struct yaml *node)
{
	struct source *src;
	struct parse p;
	struct expr *x;

	if (node->kind != YAML_SCALAR) {
		fault(l->f, l->file, node,
		    "an expression was expected here, "
		    "not a %s",
		    node->kind == YAML_MAP ? "map" : "list");
		return NULL;
	}
	src = expr_source(l, node);
	p = parse_of(l, src, 0);
	if (node->style == YAML_BLOCK) {
		x = new_expr(&p, X_CONST, 0);
		x->value = val_text(node->text);
		x->len = (uint32_t)node->text.n;
		return x;
	}
	if (node->style == YAML_QUOTED) {
		x = parse_text(&p, 0, 0);
		return p.failed ? NULL : x;
	}
	next(&p);
	x = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : x;
}

struct expr *
expr_parse_from(struct lang *l, const struct yaml *node, size_t from)
{
	struct parse p = parse_of(l, expr_source(l, node), from);
	struct expr *x;

	next(&p);
	x = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : x;
}

struct loop *
expr_parse_each(struct lang *l, const struct yaml *node)
{
	struct loop *lp = NULL, *first = NULL, **tail = &first;
	const struct yaml *item;
	struct parse p;

	if (node->kind == YAML_LIST) {
		for (item = node->child; item != NULL; item = item->next) {
			lp = item->kind == YAML_SCALAR
				 ? expr_parse_each(l, item)
				 : NULL;
			if (lp == NULL)
				return NULL;
			*tail = lp;
			tail = &lp->next;
		}
		return first;
	}
	if (node->kind != YAML_SCALAR || node->style != YAML_PLAIN) {
		fault(l->f, l->file, node,
		    "each wants: name in list, without quotes");
		return NULL;
	}
	p = parse_of(l, expr_source(l, node), 0);
	next(&p);
	lp = parse_names(&p);
	lp->list = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : lp;
}

struct expr *
expr_try(struct lang *l, const struct yaml *node)
{
	struct parse p = parse_of(l, expr_source(l, node), 0);
	struct expr *x;

	p.silent = true;
	next(&p);
	x = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : x;
}
