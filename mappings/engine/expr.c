/*
 * expr - from a scalar's text to a tree: the grammar of the guide, by recursive
 * descent with one token in hand. Texts are read in place of a token, because
 * the holes of a text are expressions again, quotes of the same kind included.
 *
 * Nothing here knows names or types; the checker does.
 */
#include "mappings/engine/lex.h"

static struct expr *parse_expr(struct lex *p);

static struct expr *
new_expr(struct lex *p, enum op op, size_t at)
{
	struct expr *x = lang_alloc(p->l, sizeof(*x));

	if (++p->made > LANG_NODES)
		lex_fail(p, at,
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
finish(struct lex *p, struct expr *x)
{
	x->len = p->ended > x->at ? (uint32_t)(p->ended - x->at) : 0;
	return x;
}

static struct expr *
binary(struct lex *p, enum op op, struct expr *a, struct expr *b)
{
	struct expr *x = new_expr(p, op, a->at);

	x->n = 2;
	x->args = lang_alloc(p->l, 2 * sizeof(*x->args));
	x->args[0].x = a;
	x->args[1].x = b;
	return finish(p, x);
}

static struct expr *
unary(struct lex *p, enum op op, size_t at, struct expr *a)
{
	struct expr *x = new_expr(p, op, at);

	x->n = 1;
	x->args = lang_alloc(p->l, sizeof(*x->args));
	x->args[0].x = a;
	return finish(p, x);
}

static void
add_arg(struct lex *p, struct expr *x, struct arg a)
{
	struct arg *more;

	if (x->n >= LANG_ARGS) {
		lex_fail(p, p->at, "more than %d parts", LANG_ARGS);
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
add_text(struct lex *p, struct expr *x, size_t at, const uint8_t *s, size_t n)
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
parse_text(struct lex *p, uint8_t quote, size_t at)
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
			lex_fail(p, p->i, "a } in text is written }}");
		} else if (c == '{') {
			struct expr *hole;

			add_text(p, x, lit_at, lit, lit_n);
			lit_n = 0;
			p->i++;
			lex_next(p);
			hole = parse_expr(p);
			if (p->failed)
				return NULL;
			if (p->tok != '}') {
				lex_fail(p, p->at,
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
		lex_fail(p, at, "the quote that ends this text is missing");
		return NULL;
	}
	add_text(p, x, lit_at, lit, lit_n);
	p->ended = p->i;
	/* '{8.4}' is a text all the same */
	if (x->n == 0 || (x->n == 1 && x->args[0].x->op == X_CONST &&
			     x->args[0].x->value.tag == V_TEXT)) {
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
parse_steps(struct lex *p, struct expr *x)
{
	struct step steps[LANG_DEPTH];
	size_t n = 0;

	while (!p->failed && (p->tok == '.' || p->tok == '[')) {
		struct step *t = &steps[n];

		if (n == LANG_DEPTH) {
			lex_fail(
			    p, p->at, "a path of over %d steps", LANG_DEPTH);
			return;
		}
		*t = (struct step){.name = SLICE_EMPTY};
		t->at = (uint32_t)p->at;
		if (p->tok == '[') {
			struct dec d;
			int64_t i = 0;

			lex_next(p);
			if (p->tok != T_NUMBER ||
			    dec_parse(lex_text(p), &d) != ERR_OK ||
			    !dec_is_int(d, &i) || i < 1 || i > UINT32_MAX) {
				lex_fail(p, p->at,
				    "an index is a whole number from 1; for "
				    "others use at(list, n)");
				return;
			}
			lex_next(p);
			lex_expect(p, ']', "]");
			t->index = (uint32_t)i;
		} else if (p->i < p->n &&
			   (p->s[p->i] == '\'' || p->s[p->i] == '"')) {
			struct expr *name;
			size_t at = p->i++;

			name = parse_text(p, p->s[at], at);
			if (name == NULL)
				return;
			if (name->op != X_CONST) {
				lex_fail(
				    p, at, "a field's name has no {holes}");
				return;
			}
			t->name = val_slice(name->value);
			lex_next(p);
		} else {
			size_t from = p->i;

			if (from < p->n && p->s[from] == '$')
				p->i++;
			p->i = lex_name_end(p, p->i);
			if (p->i == from) {
				lex_fail(p, from,
				    "a field's name is missing after the dot");
				return;
			}
			t->name = slice_of(p->s + from, p->i - from);
			lex_next(p);
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
parse_names(struct lex *p)
{
	struct loop *lp = lang_alloc(p->l, sizeof(*lp));
	int i;

	lp->name = lp->count_name = SLICE_EMPTY;
	lp->src = p->src;
	for (i = 0; i < 2; i++) {
		struct slice s = lex_text(p);

		if (p->tok != T_NAME || keyword(s) || slice_is(s, "if")) {
			lex_fail(p, p->at,
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
		lex_next(p);
		if (!lex_accept(p, ','))
			break;
	}
	if (!lex_word(p, "in"))
		lex_fail(p, p->at, "the word in was expected: name in list");
	return lp;
}

static struct expr *parse_alt(struct lex *p);

static struct arg
parse_arg(struct lex *p)
{
	struct arg a = {0};
	struct loop **tail = &a.loops;

	a.x = parse_expr(p);
	while (!p->failed && lex_word(p, "for")) {
		struct loop *lp = parse_names(p);

		lp->list = parse_alt(p);
		if (lex_word(p, "if"))
			lp->cond = parse_expr(p);
		*tail = lp;
		tail = &lp->next;
	}
	return a;
}

static struct expr *
parse_call(struct lex *p, struct slice name, size_t at)
{
	struct expr *x = new_expr(p, X_CALL, at);

	x->root = name;
	lex_next(p); /* ( */
	if (!lex_accept(p, ')')) {
		do
			add_arg(p, x, parse_arg(p));
		while (!p->failed && lex_accept(p, ','));
		lex_expect(p, ')', "a comma or )");
	}
	return finish(p, x);
}

static struct expr *
parse_number(struct lex *p)
{
	struct expr *x = new_expr(p, X_CONST, p->at);
	struct slice s = lex_text(p);
	struct dec d;
	int64_t i;

	if (s.n > 1 && s.p[0] == '0' && s.p[1] != '.') {
		lex_fail(p, p->at,
		    "a number does not begin with 0; the text "
		    "is written '%.*s'",
		    SLICE_ARG(s));
		return x;
	}
	if (dec_parse(s, &d) != ERR_OK || dec_store(d, &d) != ERR_OK) {
		lex_fail(p, p->at,
		    "a number has at most 18 digits, 9 of them "
		    "behind the point");
		return x;
	}
	if (memchr(s.p, '.', s.n) == NULL && dec_is_int(d, &i))
		x->value = val_int(i);
	else
		x->value = (struct val){
		    .tag = V_DEC, .scale = d.scale, .i = (int64_t)d.c};
	lex_next(p);
	return finish(p, x);
}

static struct expr *
parse_prim(struct lex *p)
{
	size_t at = p->at;
	struct slice s = lex_text(p);
	struct expr *x = NULL, *base;

	switch (p->tok) {
	case T_NUMBER:
		return parse_number(p);
	case T_TEXT:
		x = parse_text(p, p->s[at], at);
		lex_next(p);
		break;
	case '[':
		lex_next(p);
		lex_expect(p, ']', "], for only the empty list is written so,");
		x = new_expr(p, X_CONST, at);
		x->value = (struct val){.tag = V_LIST};
		return finish(p, x);
	case '(':
		lex_next(p);
		x = parse_expr(p);
		lex_expect(p, ')', ")");
		break;
	case T_ROOT:
		lex_next(p);
		x = finish(p, new_expr(p, X_PATH, at));
		x->root = s;
		break;
	case T_NAME:
		if (slice_is(s, "true") || slice_is(s, "false") ||
		    slice_is(s, "null")) {
			lex_next(p);
			x = finish(p, new_expr(p, X_CONST, at));
			x->value = s.p[0] == 'n' ? (struct val){.tag = V_NULL}
						 : val_bool(s.p[0] == 't');
			return x;
		}
		if (keyword(s)) {
			lex_fail(p, at,
			    "a value was expected, not the word %.*s; a field "
			    "of that name is written $in.%.*s",
			    SLICE_ARG(s), SLICE_ARG(s));
			return NULL;
		}
		lex_next(p);
		if (p->tok == '(') {
			x = parse_call(p, s, at);
			break;
		}
		x = finish(p, new_expr(p, X_PATH, at));
		x->root = s;
		break;
	case T_END:
		lex_fail(p, at,
		    p->n == 0 ? "an expression is missing"
			      : "the expression breaks off here");
		return NULL;
	default:
		lex_fail(
		    p, at, "a value was expected, not '%.*s'", SLICE_ARG(s));
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
parse_alt(struct lex *p)
{
	struct expr *x = parse_prim(p), *b;

	while (!p->failed && lex_accept(p, T_ALT)) {
		size_t at = p->at;

		if (lex_accept(p, '-'))
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
parse_unary(struct lex *p)
{
	size_t at = p->at;

	if (lex_accept(p, '-')) {
		struct expr *x = parse_alt(p);

		return p->failed ? NULL : unary(p, X_NEG, at, x);
	}
	return parse_alt(p);
}

static struct expr *
parse_mul(struct lex *p)
{
	struct expr *x = parse_unary(p), *b;

	while (!p->failed && (p->tok == '*' || p->tok == '/')) {
		enum op op = p->tok == '*' ? X_MUL : X_DIV;

		lex_next(p);
		b = parse_unary(p);
		if (p->failed)
			return NULL;
		x = binary(p, op, x, b);
	}
	return x;
}

static struct expr *
parse_add(struct lex *p)
{
	struct expr *x = parse_mul(p), *b;

	while (!p->failed && (p->tok == '+' || p->tok == '-')) {
		enum op op = p->tok == '+' ? X_ADD : X_SUB;

		lex_next(p);
		b = parse_mul(p);
		if (p->failed)
			return NULL;
		x = binary(p, op, x, b);
	}
	return x;
}

static int
compare_op(const struct lex *p)
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
parse_in(struct lex *p, struct expr *a, bool negated)
{
	struct expr *x = new_expr(p, X_IN, a->at);

	x->negated = negated;
	add_arg(p, x, (struct arg){.x = a});
	if (p->tok != '(') {
		lex_fail(p, p->at,
		    "in wants its values in parentheses: x in "
		    "('a', 'b'); for a list use any(i = x for i in "
		    "list)");
		return NULL;
	}
	lex_next(p);
	do
		add_arg(p, x, (struct arg){.x = parse_expr(p)});
	while (!p->failed && lex_accept(p, ','));
	lex_expect(p, ')', "a comma or )");
	return finish(p, x);
}

static struct expr *
parse_cmp(struct lex *p)
{
	struct expr *x = parse_add(p), *b;
	size_t i, at;
	int op;

	if (p->failed)
		return NULL;
	if ((op = compare_op(p)) >= 0) {
		lex_next(p);
		b = parse_add(p);
		if (p->failed)
			return NULL;
		x = binary(p, (enum op)op, x, b);
		if (compare_op(p) >= 0)
			lex_fail(p, p->at,
			    "comparisons do not chain; join them with and");
		return x;
	}
	if (lex_word(p, "in"))
		return parse_in(p, x, false);
	if (lex_is(p, "not")) {
		i = p->i;
		at = p->at;
		lex_next(p);
		if (lex_word(p, "in"))
			return parse_in(p, x, true);
		p->i = i;
		p->at = at;
		p->tok = T_NAME;
	}
	return x;
}

static struct expr *
parse_not(struct lex *p)
{
	size_t at = p->at;
	struct expr *x;

	if (!lex_word(p, "not"))
		return parse_cmp(p);
	x = parse_cmp(p);
	return p->failed ? NULL : unary(p, X_NOT, at, x);
}

static struct expr *
parse_and(struct lex *p)
{
	struct expr *x = parse_not(p), *b;

	while (!p->failed && lex_word(p, "and")) {
		b = parse_not(p);
		if (p->failed)
			return NULL;
		x = binary(p, X_AND, x, b);
	}
	return x;
}

static struct expr *
parse_expr(struct lex *p)
{
	struct expr *x, *b;

	if (++p->depth > LANG_DEPTH) {
		lex_fail(p, p->at, "nested deeper than %d", LANG_DEPTH);
		return NULL;
	}
	x = parse_and(p);
	while (!p->failed && lex_word(p, "or")) {
		b = parse_and(p);
		if (p->failed)
			return NULL;
		x = binary(p, X_OR, x, b);
	}
	p->depth--;
	return p->failed ? NULL : x;
}

static void
end(struct lex *p)
{
	struct slice s = lex_text(p);

	if (p->failed || p->tok == T_END)
		return;
	if (p->tok == T_NAME && slice_is(s, "for"))
		lex_fail(
		    p, p->at, "for stands inside a call: list(x for x in ..)");
	else if ((p->tok == T_NAME && slice_is(s, "if")) ||
		 (p->n > 3 && memcmp(p->s, "if ", 3) == 0))
		lex_fail(
		    p, p->at, "a choice is written if(condition, then, else)");
	else if (p->tok == ',')
		lex_fail(p, p->at,
		    "one expression was expected; a comma stands "
		    "only inside a call");
	else
		lex_fail(p, p->at,
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

static struct lex
parse_of(struct lang *l, const struct source *src, size_t from)
{
	return (struct lex){.l = l,
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
	struct lex p;
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
	lex_next(&p);
	x = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : x;
}

struct expr *
expr_parse_from(struct lang *l, const struct yaml *node, size_t from)
{
	struct lex p = parse_of(l, expr_source(l, node), from);
	struct expr *x;

	lex_next(&p);
	x = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : x;
}

struct loop *
expr_parse_each(struct lang *l, const struct yaml *node)
{
	struct loop *lp = NULL, *first = NULL, **tail = &first;
	const struct yaml *item;
	struct lex p;

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
	lex_next(&p);
	lp = parse_names(&p);
	lp->list = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : lp;
}

struct expr *
expr_try(struct lang *l, const struct yaml *node)
{
	struct lex p = parse_of(l, expr_source(l, node), 0);
	struct expr *x;

	p.silent = true;
	lex_next(&p);
	x = parse_expr(&p);
	end(&p);
	return p.failed ? NULL : x;
}
