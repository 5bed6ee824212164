/*
 * explain - where each output field came from, written down while a mapping
 * runs: value <- expression (file:line), and under it the source paths with
 * what stood there, the table's row and its layer, the default taken, the
 * branch. Nothing is paid for it when nobody asks: parts are evaluated a second
 * time, at once, while all that is bound is still as it was.
 */
#include "mappings/engine/run.h"

#define EXPLAIN_DEPTH 12

void
eval_explain(struct eval *e, struct buf *out)
{
	e->explain = out;
}

static void
words(struct buf *b, const struct expr *x)
{
	struct slice w = expr_words(x);

	buf_printf(b, "%.*s%s", (int)(w.n < 160 ? w.n : 160), (const char *)w.p,
	    w.n < 160 ? "" : "..");
}

static void
show(struct buf *b, const struct val *v)
{
	uint32_t n;

	if (v->tag == V_LIST)
		buf_printf(b, "a list of %u", v->n);
	else if (v->tag == V_RAW && scan_array(v->p, v->p + v->n, &n) != NULL)
		buf_printf(b, "a list of %u", n);
	else
		val_show(v, b);
}

/* Evaluate a part again; false when it fails, which leaves no trace. */
static bool
again(struct eval *e, const struct expr *x, struct val *v)
{
	if (run_expr(e, x, v) == ERR_OK)
		return true;
	fail_clear(e);
	return false;
}

static void part(struct eval *e, const struct expr *x, unsigned depth);

static void
indent(struct buf *b, unsigned depth)
{
	buf_printf(b, "%*s", (int)(depth * 2 + 2), "");
}

static void
path(struct eval *e, const struct expr *x, unsigned depth)
{
	const struct var *v = x->var;
	struct val val;

	if (!again(e, x, &val))
		return;
	indent(e->explain, depth);
	words(e->explain, x);
	buf_str(e->explain, " = ");
	show(e->explain, &val);
	if (v != NULL && v->kind == VAR_LET && v->let != NULL) {
		buf_str(e->explain, " <- ");
		words(e->explain, v->let);
		buf_printf(e->explain, " (line %u)", v->let->src->node->line);
	}
	buf_byte(e->explain, '\n');
	if (v != NULL && v->kind == VAR_LET && v->let != NULL)
		part(e, v->let, depth + 1);
}

static void
alternative(struct eval *e, const struct expr *x, unsigned depth)
{
	struct val v;

	if (!again(e, x->args[0].x, &v))
		return;
	if (v.tag != V_ABSENT) {
		part(e, x->args[0].x, depth);
		return;
	}
	indent(e->explain, depth);
	words(e->explain, x->args[0].x);
	buf_printf(e->explain, " is %s: default ", val_name(&v));
	words(e->explain, x->args[1].x);
	buf_byte(e->explain, '\n');
	part(e, x->args[1].x, depth);
}

static void
row(struct eval *e, const struct expr *x, unsigned depth)
{
	struct val key, v;

	part(e, x->args[1].x, depth);
	if (!again(e, x->args[1].x, &key) || !again(e, x, &v))
		return;
	indent(e->explain, depth);
	buf_printf(e->explain, "table %.*s, row ", SLICE_ARG(x->table->name));
	show(e->explain, &key);
	buf_str(e->explain, " = ");
	show(e->explain, &v);
	buf_printf(e->explain, " (%s)\n", e->layer != NULL ? e->layer : "?");
}

static void
branch(struct eval *e, const struct expr *x, unsigned depth)
{
	struct val yes;

	if (!again(e, x->args[0].x, &yes))
		return;
	indent(e->explain, depth);
	words(e->explain, x->args[0].x);
	buf_printf(e->explain, " is %s\n", yes.i != 0 ? "true" : "false");
	part(e, x->args[yes.i != 0 ? 1 : 2].x, depth);
}

static void
part(struct eval *e, const struct expr *x, unsigned depth)
{
	uint16_t i;

	if (depth > EXPLAIN_DEPTH)
		return;
	switch (x->op) {
	case X_CONST:
		return;
	case X_PATH:
	case X_OUT:
		path(e, x, depth);
		return;
	case X_ALT:
		alternative(e, x, depth);
		return;
	case X_CALL:
		if (x->table != NULL) {
			row(e, x, depth);
			return;
		}
		if (slice_is(x->root, "if")) {
			branch(e, x, depth);
			return;
		}
		break;
	default:
		break;
	}
	for (i = 0; i < x->n; i++) {
		const struct loop *lp = x->args[i].loops;

		/* of a loop, what it goes through; its rounds are over */
		if (lp == NULL)
			part(e, x->args[i].x, depth);
		else
			part(e, lp->list, depth);
	}
}

static void
place(struct buf *b, const struct expr *x)
{
	buf_str(b, " <- ");
	words(b, x);
	buf_printf(b, " (%s:%u:%u)\n", x->src->file, x->src->node->line,
	    x->src->node->column + x->at + x->src->shift);
}

void
explain_value(struct eval *e, const struct expr *x, const struct val *v)
{
	struct buf *b = e->explain;

	fail_path(e, b);
	if (v == NULL) {
		buf_str(b, ": left out");
	} else {
		buf_str(b, ": ");
		show(b, v);
	}
	place(b, x);
	part(e, x, 0);
}

void
explain_when(struct eval *e, const struct expr *x, bool yes)
{
	struct buf *b = e->explain;

	fail_path(e, b);
	buf_printf(b, ": when is %s", yes ? "true" : "false");
	place(b, x);
	if (!yes)
		part(e, x, 0);
}
