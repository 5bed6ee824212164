/*
 * explain - where each output field came from, written down while a mapping
 * runs: value <- expression (file:line), and under it the source paths with
 * what stood there, the table's row and its layer, the default taken, the
 * branch. Nothing is paid for it when nobody asks: parts are evaluated a second
 * time, at once, while all that is bound is still as it was.
 */
#include "broker/base/json.h"
#include "mappings/engine/run.h"

#define EXPLAIN_DEPTH 12

void
eval_explain(struct eval *e, struct buf *out, enum explain_form form)
{
	e->explain = out;
	e->explain_json = form == EXPLAIN_JSON;
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
	buf_printf(b, "%s:%u:%u", x->src->file, x->src->node->line,
	    x->src->node->column + x->at + x->src->shift);
}

static void
member(struct buf *b, const char *name, const struct buf *text)
{
	buf_printf(b, ",\"%s\":", name);
	json_quote(b, buf_all(text));
}

/* One line of JSON: path, what came of it, expression, place, and the lines of
 * its parts. */
static void
tell_json(struct eval *e, const struct expr *x, const struct buf *outcome,
    bool with_parts)
{
	struct buf *out = e->explain, t;
	size_t from = 0;
	bool first = true;

	buf_init(&t, 1 << 20);
	fail_path(e, &t);
	buf_str(out, "{\"path\":");
	json_quote(out, buf_all(&t));
	member(out, "outcome", outcome);
	buf_reset(&t);
	buf_slice(&t, expr_words(x));
	member(out, "expression", &t);
	buf_reset(&t);
	place(&t, x);
	member(out, "at", &t);
	buf_str(out, ",\"parts\":[");
	buf_reset(&t);
	e->explain = &t;
	if (with_parts)
		part(e, x, 0);
	e->explain = out;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] != '\n')
			continue;
		buf_str(out, first ? "" : ",");
		json_quote(out, slice_of(t.p + from, i - from));
		first = false;
		from = i + 1;
	}
	buf_str(out, "]}\n");
	buf_fini(&t);
}

static void
tell(struct eval *e, const struct expr *x, const struct buf *outcome,
    bool with_parts)
{
	if (e->explain_json) {
		tell_json(e, x, outcome, with_parts);
		return;
	}
	fail_path(e, e->explain);
	buf_str(e->explain, ": ");
	buf_slice(e->explain, buf_all(outcome));
	buf_str(e->explain, " <- ");
	words(e->explain, x);
	buf_str(e->explain, " (");
	place(e->explain, x);
	buf_str(e->explain, ")\n");
	if (with_parts)
		part(e, x, 0);
}

void
explain_event(
    struct eval *e, struct slice type, struct slice subject, struct slice id)
{
	struct buf *b = e->explain;

	if (!e->explain_json) {
		buf_printf(b, "%.*s of %.*s, id \"%.*s\"\n", SLICE_ARG(type),
		    SLICE_ARG(subject), SLICE_ARG(id));
		return;
	}
	buf_str(b, "{\"event\":");
	json_quote(b, type);
	buf_str(b, ",\"subject\":");
	json_quote(b, subject);
	buf_str(b, ",\"id\":");
	json_quote(b, id);
	buf_str(b, "}\n");
}

void
explain_value(struct eval *e, const struct expr *x, const struct val *v)
{
	struct buf t;

	buf_init(&t, 1024);
	if (v == NULL)
		buf_str(&t, "left out");
	else
		show(&t, v);
	tell(e, x, &t, true);
	buf_fini(&t);
}

void
explain_when(struct eval *e, const struct expr *x, bool yes)
{
	struct buf t;

	buf_init(&t, 64);
	buf_printf(&t, "when is %s", yes ? "true" : "false");
	tell(e, x, &t, !yes);
	buf_fini(&t);
}
