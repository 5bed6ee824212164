/*
 * eval - walks a checked expression. A let is computed when it is first read in
 * its scope, so one that no arm reads can fail nothing.
 */
#include <stdlib.h>

#include "mappings/engine/run.h"

enum err
run_prepare(struct eval *e, const struct program *p)
{
	void *more;

	e->p = p;
	if (p->vars_n > e->vars_cap) {
		more = realloc(e->vars, p->vars_n * sizeof(*e->vars));
		if (more == NULL)
			return err_note(ERR_NOMEM, "no memory to map");
		e->vars = more;
		more = realloc(e->bound, p->vars_n * sizeof(*e->bound));
		if (more == NULL)
			return err_note(ERR_NOMEM, "no memory to map");
		e->bound = more;
		e->vars_cap = p->vars_n;
	}
	if (p->slots_n > e->slots_cap) {
		more = realloc(e->slots, p->slots_n * sizeof(*e->slots));
		if (more == NULL)
			return err_note(ERR_NOMEM, "no memory to map");
		e->slots = more;
		e->slots_cap = p->slots_n;
	}
	if (p->out_slots > e->outs_cap) {
		more = realloc(e->outs, p->out_slots * sizeof(*e->outs));
		if (more == NULL)
			return err_note(ERR_NOMEM, "no memory to map");
		e->outs = more;
		e->outs_cap = p->out_slots;
	}
	if (p->vars_n > 0) {
		memset(e->vars, 0, p->vars_n * sizeof(*e->vars));
		memset(e->bound, 0, p->vars_n * sizeof(*e->bound));
	}
	return ERR_OK;
}

const uint8_t *
run_scan(struct eval *e, const struct var *v, const uint8_t *p,
    const uint8_t *end, bool whole)
{
	struct slot *slots = &e->slots[v->slot0];
	uint32_t i;

	for (i = 0; i < v->slots; i++)
		slots[i].p = NULL;
	return scan_fill(v->trie, p, end, whole, slots, &e->steps);
}

enum err
run_bind(
    struct eval *e, const struct expr *x, const struct var *v, struct val val)
{
	e->vars[v->id] = val;
	e->bound[v->id] = true;
	if (v->trie == NULL || val.tag != V_RAW)
		return ERR_OK;
	TRY(run_step(e, x, 1 + (val.n >> 6)));
	if (run_scan(e, v, val.p, val.p + val.n, true) == NULL)
		return fail_at(e, x, ERR_SYNTAX, "malformed msgpack");
	return ERR_OK;
}

void
run_unbind(struct eval *e, const struct lets *lets)
{
	size_t i;

	for (i = 0; i < lets->n; i++)
		e->bound[lets->v[i]->id] = false;
}

/* Each kind of expression has a frame of its own, entered by a jump from
 * run_expr(): so none pays for the others' locals. */
#define APART __attribute__((noinline))

/* ---- paths ---- */

static enum err
no_fields(struct eval *e, const struct expr *x, uint32_t i, const struct val *v)
{
	const struct step *s = &x->steps[i];

	if (s->index > 0)
		return fail_at(e, x, ERR_TYPE,
		    "[%u] wants a list, and there stands %s", s->index,
		    val_name(v));
	return fail_at(e, x, ERR_TYPE, ".%.*s wants a map, and there stands %s",
	    SLICE_ARG(s->name), val_name(v));
}

/* One step from a msgpack value; p of *v NULL: nothing there. */
static enum err
raw_step(struct eval *e, const struct expr *x, uint32_t i, struct val *v)
{
	const struct step *s = &x->steps[i];
	const uint8_t *p = v->p, *end = v->p + v->n, *behind, *at;
	struct val odd;
	uint32_t n;

	TRY(run_step(e, x, 1 + (v->n >> 6)));
	if (*p == 0xc0 || *p == 0xa0 || (*p == 0x90 && s->index == 0)) {
		*v = VAL_ABSENT; /* nil, "", [] */
		return ERR_OK;
	}
	if (s->index == 0) {
		if (scan_map(p, end, &n) == NULL)
			goto odd;
		at = scan_find(p, end, s->name, &behind);
		if (at == NULL) {
			*v = VAL_ABSENT;
			return ERR_OK;
		}
	} else {
		at = scan_array(p, end, &n);
		if (at == NULL)
			goto odd;
		if (s->index > n) {
			*v = VAL_ABSENT;
			return ERR_OK;
		}
		for (n = 1; at != NULL && n < s->index; n++)
			at = scan_skip(at, end);
		behind = at != NULL ? scan_skip(at, end) : NULL;
		if (behind == NULL)
			return fail_at(e, x, ERR_SYNTAX, "malformed msgpack");
	}
	*v = (struct val){.tag = V_RAW, .n = (uint32_t)(behind - at), .p = at};
	return ERR_OK;
odd:
	TRY(val_read(e, x, p, v->n, &type_any, &odd));
	return no_fields(e, x, i, &odd);
}

static enum err
value_step(struct eval *e, const struct expr *x, uint32_t i, struct val *v)
{
	const struct step *s = &x->steps[i];
	size_t k;

	if (s->index > 0 && v->tag == V_LIST) {
		if (s->index <= v->n)
			*v = v->list[s->index - 1];
		else
			*v = VAL_ABSENT;
		return ERR_OK;
	}
	if (s->index > 0 || v->tag != V_REC)
		return no_fields(e, x, i, v);
	for (k = 0; k < v->rec->shape->n; k++)
		if (slice_eq(v->rec->shape->names[k], s->name)) {
			*v = v->rec->v[k];
			return ERR_OK;
		}
	*v = VAL_ABSENT;
	return ERR_OK;
}

static enum err
run_steps(struct eval *e, const struct expr *x, struct val v, uint32_t from,
    struct val *out)
{
	uint32_t i;

	for (i = from; i < x->steps_n; i++) {
		if (v.tag == V_ABSENT)
			break;
		if (v.tag == V_RAW)
			TRY(raw_step(e, x, i, &v));
		else
			TRY(value_step(e, x, i, &v));
	}
	if (v.tag == V_RAW)
		return val_read(e, x, v.p, v.n, x->read, out);
	*out = v;
	return ERR_OK;
}

APART static enum err
run_let(struct eval *e, const struct var *v)
{
	struct val val;

	TRY(run_expr(e, v->let, &val));
	return run_bind(e, v->let, v, val);
}

APART static enum err
run_path(struct eval *e, const struct expr *x, struct val *out)
{
	const struct var *v = x->var;
	const struct slot *s;
	const struct val *base = &e->vars[v->id];
	uint8_t c;

	if (v->kind == VAR_LET && !e->bound[v->id])
		TRY(run_let(e, v));
	if (x->slot < 0 || base->tag != V_RAW)
		return run_steps(e, x, *base, 0, out);
	c = *base->p;
	if ((c & 0xf0) != 0x80 && c != 0xde && c != 0xdf)
		return run_steps(e, x, *base, 0, out);
	s = &e->slots[v->slot0 + (uint32_t)x->slot];
	if (s->p == NULL) {
		*out = VAL_ABSENT;
		return ERR_OK;
	}
	if (s->n == SLOT_ODD) /* step by step, for which part it is */
		return run_steps(e, x, *base, 0, out);
	if (x->rest == x->steps_n)
		return val_read(e, x, s->p, s->n, x->read, out);
	return run_steps(e, x, (struct val){.tag = V_RAW, .n = s->n, .p = s->p},
	    x->rest, out);
}

APART static enum err
run_out(struct eval *e, const struct expr *x, struct val *out)
{
	const struct out_slot *s = &e->outs[x->slot];

	if (s->n == 0) {
		*out = VAL_ABSENT;
		return ERR_OK;
	}
	return run_steps(e, x,
	    (struct val){.tag = V_RAW, .n = s->n, .p = e->out + s->at}, x->rest,
	    out);
}

/* ---- needs ---- */

enum err
run_need(struct eval *e, const struct expr *x, struct val *out)
{
	TRY(run_expr(e, x, out));
	if (out->tag == V_ABSENT)
		return fail_absent(e, x, out);
	return ERR_OK;
}

enum err
run_true(struct eval *e, const struct expr *x, bool *out)
{
	struct val v;

	TRY(run_need(e, x, &v));
	if (v.tag != V_BOOL)
		return fail_at(e, x, ERR_TYPE,
		    "a condition is wanted, and this is %s", val_name(&v));
	*out = v.i != 0;
	return ERR_OK;
}

enum err
run_text(struct eval *e, const struct expr *x, struct slice *out)
{
	struct val v;

	TRY(run_expr(e, x, &v));
	return val_to_text(e, x, &v, out);
}

enum err
run_number(struct eval *e, const struct expr *x, struct val *out)
{
	struct dec d;

	TRY(run_expr(e, x, out));
	if (val_is_number(out))
		return ERR_OK;
	return val_dec(e, x, out, &d);
}

enum err
run_int(struct eval *e, const struct expr *x, int64_t *out)
{
	struct val v;
	struct dec d;

	TRY(run_number(e, x, &v));
	TRY(val_dec(e, x, &v, &d));
	if (!dec_is_int(d, out))
		return fail_at(e, x, ERR_RANGE, "a whole number is wanted");
	return ERR_OK;
}

/* ---- operators ---- */

static enum err
too_wide(struct eval *e, const struct expr *x)
{
	return fail_at(e, x, ERR_RANGE, "%s",
	    "more than 38 digits; round() the parts first");
}

APART static enum err
run_arith(struct eval *e, const struct expr *x, struct val *out)
{
	struct val a, b;
	struct dec da, db, r;
	int64_t i = 0;
	bool over, same;
	enum err err;

	TRY(run_number(e, x->args[0].x, &a));
	TRY(run_number(e, x->args[1].x, &b));
	if (a.tag != V_WIDE && b.tag != V_WIDE) {
		uint8_t sa = a.tag == V_INT ? 0 : a.scale;
		uint8_t sb = b.tag == V_INT ? 0 : b.scale;
		bool ints = a.tag == V_INT && b.tag == V_INT;

		same = sa == sb;
		if (x->op == X_MUL) {
			over = sa + sb > 38 ||
			       __builtin_mul_overflow(a.i, b.i, &i);
			sa = (uint8_t)(sa + sb);
		} else {
			over = !same ||
			       (x->op == X_ADD
				       ? __builtin_add_overflow(a.i, b.i, &i)
				       : __builtin_sub_overflow(a.i, b.i, &i));
		}
		if (!over) {
			*out = (struct val){.tag = ints ? V_INT : V_DEC,
			    .scale = ints ? 0 : sa,
			    .i = i};
			return ERR_OK;
		}
	}
	TRY(val_dec(e, x, &a, &da));
	TRY(val_dec(e, x, &b, &db));
	err = x->op == X_ADD   ? dec_add(da, db, &r)
	      : x->op == X_SUB ? dec_sub(da, db, &r)
			       : dec_mul(da, db, &r);
	if (err != ERR_OK)
		return too_wide(e, x);
	return val_of_dec(e, x, r, out);
}

APART static enum err
run_neg(struct eval *e, const struct expr *x, struct val *out)
{
	struct dec d;

	TRY(run_number(e, x->args[0].x, out));
	if (out->tag != V_WIDE && out->i != INT64_MIN) {
		out->i = -out->i;
		return ERR_OK;
	}
	TRY(val_dec(e, x, out, &d));
	if (dec_sub(dec_int(0), d, &d) != ERR_OK)
		return too_wide(e, x);
	return val_of_dec(e, x, d, out);
}

APART static enum err
run_compare(struct eval *e, const struct expr *x, struct val *out)
{
	struct val a, b;
	int c;

	TRY(run_need(e, x->args[0].x, &a));
	TRY(run_need(e, x->args[1].x, &b));
	TRY(val_compare(e, x, &a, &b, &c));
	*out = val_bool(x->op == X_EQ	? c == 0
			: x->op == X_NE ? c != 0
			: x->op == X_LT ? c < 0
			: x->op == X_LE ? c <= 0
			: x->op == X_GT ? c > 0
					: c >= 0);
	return ERR_OK;
}

APART static enum err
run_in(struct eval *e, const struct expr *x, struct val *out)
{
	struct val a, b;
	uint16_t i;
	int c;

	TRY(run_need(e, x->args[0].x, &a));
	for (i = 1; i < x->n; i++) {
		TRY(run_need(e, x->args[i].x, &b));
		TRY(val_compare(e, x, &a, &b, &c));
		if (c == 0) {
			*out = val_bool(!x->negated);
			return ERR_OK;
		}
	}
	*out = val_bool(x->negated);
	return ERR_OK;
}

APART static enum err
run_holes(struct eval *e, const struct expr *x, struct val *out)
{
	struct slice parts[LANG_ARGS];
	size_t n = 0;
	uint8_t *p;
	uint16_t i;

	for (i = 0; i < x->n; i++) {
		TRY(run_text(e, x->args[i].x, &parts[i]));
		n += parts[i].n;
	}
	TRY(run_step(e, x, (uint32_t)(n >> 6)));
	p = run_alloc(e, n);
	if (p == NULL)
		return fail_scratch(e, x);
	*out = val_text(slice_of(p, n));
	for (i = 0; i < x->n; i++) {
		memcpy(p, parts[i].p, parts[i].n);
		p += parts[i].n;
	}
	return ERR_OK;
}

APART static enum err
run_logic(struct eval *e, const struct expr *x, struct val *out)
{
	bool a;

	TRY(run_true(e, x->args[0].x, &a));
	if (x->op == X_NOT)
		a = !a;
	else if (a == (x->op == X_AND))
		TRY(run_true(e, x->args[1].x, &a));
	*out = val_bool(a);
	return ERR_OK;
}

APART static enum err
run_alt(struct eval *e, const struct expr *x, struct val *out)
{
	TRY(run_expr(e, x->args[0].x, out));
	if (out->tag != V_ABSENT)
		return ERR_OK;
	if (e->defaults != NULL)
		e->defaults[x->point]++;
	return run_expr(e, x->args[1].x, out);
}

APART static enum err
run_call(struct eval *e, const struct expr *x, struct val *out)
{
	TRY(run_step(e, x, 1));
	return x->func->eval(e, x, out);
}

APART static enum err
run_beyond(struct eval *e, const struct expr *x, struct val *out)
{
	struct val base;

	TRY(run_expr(e, x->args[0].x, &base));
	return run_steps(e, x, base, 0, out);
}

enum err
run_expr(struct eval *e, const struct expr *x, struct val *out)
{
	switch (x->op) {
	case X_CONST:
		*out = x->value;
		return ERR_OK;
	case X_PATH:
		return run_path(e, x, out);
	case X_OUT:
		return run_out(e, x, out);
	case X_HOLES:
		return run_holes(e, x, out);
	case X_OR:
	case X_AND:
	case X_NOT:
		return run_logic(e, x, out);
	case X_EQ:
	case X_NE:
	case X_LT:
	case X_LE:
	case X_GT:
	case X_GE:
		return run_compare(e, x, out);
	case X_IN:
		return run_in(e, x, out);
	case X_ADD:
	case X_SUB:
	case X_MUL:
		return run_arith(e, x, out);
	case X_NEG:
		return run_neg(e, x, out);
	case X_ALT:
		return run_alt(e, x, out);
	case X_CALL:
		return run_call(e, x, out);
	case X_STEPS:
		return run_beyond(e, x, out);
	case X_DIV: /* round() takes it apart; it loads nowhere else */
		break;
	}
	return fail_at(e, x, ERR_STATE, "a division outside round()");
}
