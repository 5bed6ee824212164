/*
 * loop - going through lists: msgpack arrays one element at a time, and lists
 * of values that functions made.
 */
#include "mappings/engine/run.h"

struct loop_run {
	const struct loop *lp;
	enum err (*fn)(struct eval *e, void *ctx);
	void *ctx;
	const bool *stop;
};

enum err
vec_push(struct eval *e, const struct expr *x, struct vec *v, struct val one)
{
	struct val *more;
	uint32_t cap;

	if (v->n == v->cap) {
		cap = v->cap > 0 ? v->cap * 2 : 8;
		more = run_alloc(e, cap * sizeof(*more));
		if (more == NULL)
			return fail_scratch(e, x);
		if (v->n > 0)
			memcpy(more, v->v, v->n * sizeof(*more));
		v->v = more;
		v->cap = cap;
	}
	v->v[v->n++] = one;
	return ERR_OK;
}

struct val
vec_val(const struct vec *v)
{
	return (struct val){.tag = V_LIST, .n = v->n, .list = v->v};
}

/* An element of a msgpack array: containers stay where they are, others are
 * taken as the list's type says. */
static enum err
element(struct eval *e, const struct expr *x, const uint8_t *p, uint32_t n,
    const struct type *t, struct val *out)
{
	if ((*p & 0xf0) == 0x80 || (*p & 0xf0) == 0x90 || *p >= 0xdc) {
		if (*p < 0xe0) {
			*out = (struct val){.tag = V_RAW, .n = n, .p = p};
			return ERR_OK;
		}
	}
	return val_read(e, x, p, n, t != NULL ? t : &type_any, out);
}

/* Calls fn with each item of a list value. */
static enum err
each_item(struct eval *e, const struct expr *x, const struct val *list,
    const struct type *t,
    enum err (*fn)(struct eval *e, void *ctx, struct val v, uint32_t i),
    void *ctx, const bool *stop)
{
	const uint8_t *p, *end, *behind;
	struct val v;
	uint32_t n, i;

	if (list->tag == V_ABSENT)
		return ERR_OK;
	if (list->tag == V_LIST) {
		for (i = 0; i < list->n && !*stop; i++) {
			TRY(run_step(e, x, 1));
			TRY(fn(e, ctx, list->list[i], i + 1));
		}
		return ERR_OK;
	}
	end = list->p + list->n;
	p = list->tag == V_RAW ? scan_array(list->p, end, &n) : NULL;
	if (p == NULL) {
		if (list->tag == V_RAW && list->n > 0 && *list->p == 0xc0)
			return ERR_OK;
		return fail_at(e, x, ERR_TYPE,
		    "a list is wanted, and this is %s", val_name(list));
	}
	for (i = 0; i < n && !*stop; i++) {
		behind = scan_skip(p, end);
		if (behind == NULL)
			return fail_at(e, x, ERR_SYNTAX, "malformed msgpack");
		TRY(run_step(e, x, 1 + (uint32_t)((behind - p) >> 6)));
		TRY(element(e, x, p, (uint32_t)(behind - p), t, &v));
		TRY(fn(e, ctx, v, i + 1));
		p = behind;
	}
	return ERR_OK;
}

static enum err
round_of(struct eval *e, void *ctx, struct val v, uint32_t i)
{
	const struct loop_run *r = ctx;
	const struct loop *lp = r->lp;
	bool yes;

	TRY(run_bind(e, lp->list, lp->var, v));
	if (lp->count != NULL)
		TRY(run_bind(e, lp->list, lp->count, val_int(i)));
	if (lp->cond != NULL) {
		TRY(run_true(e, lp->cond, &yes));
		if (!yes)
			return ERR_OK;
	}
	if (lp->next != NULL)
		return iter_loops(e, lp->next, r->fn, r->ctx, r->stop);
	return r->fn(e, r->ctx);
}

enum err
iter_loops(struct eval *e, const struct loop *lp,
    enum err (*fn)(struct eval *e, void *ctx), void *ctx, const bool *stop)
{
	struct loop_run r = {lp, fn, ctx, stop};
	struct val list;

	TRY(run_expr(e, lp->list, &list));
	return each_item(
	    e, lp->list, &list, lp->list->type->item, round_of, &r, stop);
}

static enum err
arg_round(struct eval *e, void *ctx)
{
	struct iter *it = ctx;
	struct val v;

	TRY(run_expr(e, it->arg->x, &v));
	return it->fn(e, it, &v);
}

static enum err
arg_item(struct eval *e, void *ctx, struct val v, uint32_t i)
{
	struct iter *it = ctx;

	(void)i;
	return it->fn(e, it, &v);
}

enum err
iter_arg(struct eval *e, struct iter *it)
{
	const struct arg *a = it->arg;
	struct val list;

	if (a->loops != NULL)
		return iter_loops(e, a->loops, arg_round, it, &it->stop);
	TRY(run_expr(e, a->x, &list));
	return each_item(
	    e, a->x, &list, a->x->type->item, arg_item, it, &it->stop);
}

struct val
iter_row(const struct eval *e, const struct iter *it)
{
	const struct loop *lp = it->arg->loops;

	while (lp->next != NULL)
		lp = lp->next;
	return e->vars[lp->var->id];
}
