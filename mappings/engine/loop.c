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

static enum err round_of(struct eval *e, struct loop_run *r, uint32_t i);

/* An item of a list value goes to a loop's variable, or to fn. */
static enum err
item(struct eval *e, const struct expr *x, struct loop_run *r, struct iter *it,
    const struct val *v, uint32_t i)
{
	if (it != NULL)
		return it->fn(e, it, v);
	TRY(run_bind(e, x, r->lp->var, *v));
	return round_of(e, r, i);
}

/*
 * Goes through a list value; one of r and it is given. A map in a msgpack list
 * is scanned for its variable at once, which also tells where it ends.
 */
static enum err
each_item(struct eval *e, const struct expr *x, const struct val *list,
    struct loop_run *r, struct iter *it)
{
	const struct var *var = r != NULL ? r->lp->var : NULL;
	const struct type *t =
	    x->type->item != NULL ? x->type->item : &type_any;
	const bool *stop = r != NULL ? r->stop : &it->stop;
	const bool maps = t->kind == K_MAP || t->kind == K_ANY;
	const uint8_t *p, *end, *behind;
	struct val v;
	uint32_t n, i;

	/* an optional list that is absent is empty; one that must be there
	 * is refused by name, or an order without lines would be a small one */
	if (list->tag == V_ABSENT)
		return x->type->absent == PRESENT ? fail_absent(e, x, list)
						  : ERR_OK;
	if (list->tag == V_LIST) {
		for (i = 0; i < list->n && !*stop; i++) {
			TRY(run_step(e, x, 1));
			TRY(item(e, x, r, it, &list->list[i], i + 1));
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
		bool map = p < end &&
			   ((*p & 0xf0) == 0x80 || *p == 0xde || *p == 0xdf);

		if (map && var != NULL && var->trie != NULL)
			behind = run_scan(e, var, p, end, false);
		else
			behind = scan_skip(p, end);
		if (behind == NULL)
			return fail_at(e, x, ERR_SYNTAX, "malformed msgpack");
		TRY(run_step(e, x, 1 + (uint32_t)((behind - p) >> 6)));
		if (map && maps && var != NULL) {
			e->vars[var->id] = (struct val){
			    .tag = V_RAW, .n = (uint32_t)(behind - p), .p = p};
			TRY(round_of(e, r, i + 1));
		} else {
			TRY(val_read(e, x, p, (uint32_t)(behind - p), t, &v));
			TRY(item(e, x, r, it, &v, i + 1));
		}
		p = behind;
	}
	return ERR_OK;
}

/* The loop's variable has its value. */
static enum err
round_of(struct eval *e, struct loop_run *r, uint32_t i)
{
	const struct loop *lp = r->lp;
	bool yes;

	if (lp->count != NULL)
		e->vars[lp->count->id] = val_int(i);
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
	return each_item(e, lp->list, &list, &r, NULL);
}

static enum err
arg_round(struct eval *e, void *ctx)
{
	struct iter *it = ctx;
	struct val v;

	TRY(run_expr(e, it->arg->x, &v));
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
	return each_item(e, a->x, &list, NULL, it);
}

struct val
iter_row(const struct eval *e, const struct iter *it)
{
	const struct loop *lp = it->arg->loops;

	while (lp->next != NULL)
		lp = lp->next;
	return e->vars[lp->var->id];
}
