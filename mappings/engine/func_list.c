/* func_list - functions over lists. Each goes through its argument once. */
#include "mappings/engine/func_impl.h"

/* ---- one out of many ---- */

struct pick {
	struct iter it;
	struct val v;
	int64_t left; /* 0: take the last */
};

static enum err
pick(struct eval *e, struct iter *it, const struct val *v)
{
	struct pick *p = (struct pick *)it;

	(void)e;
	p->v = *v;
	if (p->left > 0 && --p->left == 0)
		it->stop = true;
	return ERR_OK;
}

static enum err
pick_nth(struct eval *e, const struct expr *x, int64_t nth, struct val *out)
{
	struct pick p = {{pick, &x->args[0], false}, VAL_ABSENT, nth};

	TRY(iter_arg(e, &p.it));
	*out = p.left > 0 ? VAL_ABSENT : p.v;
	return ERR_OK;
}

enum err
func_first(struct eval *e, const struct expr *x, struct val *out)
{
	return pick_nth(e, x, 1, out);
}

enum err
func_last(struct eval *e, const struct expr *x, struct val *out)
{
	return pick_nth(e, x, 0, out);
}

enum err
func_at(struct eval *e, const struct expr *x, struct val *out)
{
	int64_t n;

	TRY(run_int(e, x->args[1].x, &n));
	if (n < 1) {
		*out = VAL_ABSENT;
		return ERR_OK;
	}
	return pick_nth(e, x, n, out);
}

/* ---- lists ---- */

struct gather {
	struct iter it;
	struct vec vec;
	const struct expr *x;
	bool splice;
};

static enum err gather(struct eval *e, struct iter *it, const struct val *v);

/* A list among the values of concat(): its items. */
static enum err
splice(struct eval *e, struct gather *g, const struct val *list)
{
	const struct type *t = g->it.arg->x->type;
	const uint8_t *p, *end, *behind;
	struct val v;
	uint32_t n, i;

	t = t->kind == K_LIST && t->item != NULL ? t->item : &type_any;
	if (list->tag == V_LIST) {
		for (i = 0; i < list->n; i++) {
			TRY(run_step(e, g->x, 1));
			TRY(vec_push(e, g->x, &g->vec, list->list[i]));
		}
		return ERR_OK;
	}
	end = list->p + list->n;
	p = scan_array(list->p, end, &n);
	for (i = 0; p != NULL && i < n; i++) {
		behind = scan_skip(p, end);
		if (behind == NULL)
			break;
		TRY(run_step(e, g->x, 1 + (uint32_t)((behind - p) >> 6)));
		TRY(val_read(e, g->x, p, (uint32_t)(behind - p), t, &v));
		TRY(vec_push(e, g->x, &g->vec, v));
		p = behind;
	}
	return ERR_OK;
}

static enum err
gather(struct eval *e, struct iter *it, const struct val *v)
{
	struct gather *g = (struct gather *)it;
	uint32_t n;

	if (g->splice &&
	    (v->tag == V_LIST ||
		(v->tag == V_RAW && scan_array(v->p, v->p + v->n, &n) != NULL)))
		return splice(e, g, v);
	if (v->tag == V_ABSENT)
		return fail_absent(e, it->arg->x, v);
	return vec_push(e, g->x, &g->vec, *v);
}

enum err
func_list(struct eval *e, const struct expr *x, struct val *out)
{
	struct gather g = {{gather, &x->args[0], false}, {0}, x, false};

	TRY(iter_arg(e, &g.it));
	*out = vec_val(&g.vec);
	return ERR_OK;
}

enum err
func_concat(struct eval *e, const struct expr *x, struct val *out)
{
	struct gather g = {{gather, NULL, false}, {0}, x, false};
	uint16_t i;

	for (i = 0; i < x->n; i++) {
		g.it.arg = &x->args[i];
		g.splice = x->args[i].loops != NULL;
		TRY(iter_arg(e, &g.it));
	}
	*out = vec_val(&g.vec);
	return ERR_OK;
}

enum err
func_reverse(struct eval *e, const struct expr *x, struct val *out)
{
	struct gather g = {{gather, &x->args[0], false}, {0}, x, false};
	uint32_t i;

	TRY(iter_arg(e, &g.it));
	for (i = 0; i < g.vec.n / 2; i++) {
		struct val v = g.vec.v[i];

		g.vec.v[i] = g.vec.v[g.vec.n - 1 - i];
		g.vec.v[g.vec.n - 1 - i] = v;
	}
	*out = vec_val(&g.vec);
	return ERR_OK;
}

/* ---- rows with a key ---- */

struct keyed {
	struct iter it;
	struct vec keys, rows;
};

static enum err
keyed(struct eval *e, struct iter *it, const struct val *v)
{
	struct keyed *k = (struct keyed *)it;

	if (v->tag == V_ABSENT)
		return fail_absent(e, it->arg->x, v);
	TRY(vec_push(e, it->arg->x, &k->keys, *v));
	return vec_push(e, it->arg->x, &k->rows, iter_row(e, it));
}

/* Stable, from runs of 1 upwards: `at` holds positions. */
static enum err
merge_sort(struct eval *e, const struct expr *x, const struct val *keys,
    uint32_t *at, uint32_t *to, uint32_t n)
{
	uint32_t width, lo, mid, hi, i, a, b, *swap;
	int c;

	for (width = 1; width < n; width *= 2) {
		for (lo = 0; lo < n; lo = hi) {
			mid = lo + width < n ? lo + width : n;
			hi = mid + width < n ? mid + width : n;
			a = lo;
			b = mid;
			for (i = lo; i < hi; i++) {
				TRY(run_step(e, x, 1));
				c = -1;
				if (a < mid && b < hi)
					TRY(val_compare(e, x, &keys[at[a]],
					    &keys[at[b]], &c));
				to[i] = a < mid && (b == hi || c <= 0)
					    ? at[a++]
					    : at[b++];
			}
		}
		swap = at;
		at = to;
		to = swap;
	}
	/* the caller looks in its own `at` */
	if (n > 1) {
		uint32_t rounds = 0;

		for (width = 1; width < n; width *= 2)
			rounds++;
		if (rounds % 2 == 1)
			memcpy(to, at, n * sizeof(*at));
	}
	return ERR_OK;
}

enum err
func_sort(struct eval *e, const struct expr *x, struct val *out)
{
	struct keyed k = {{keyed, &x->args[0], false}, {0}, {0}};
	struct val *sorted;
	uint32_t *at, i;

	TRY(iter_arg(e, &k.it));
	at = run_alloc(e, 2 * (size_t)k.keys.n * sizeof(*at) + 1);
	sorted = run_alloc(e, k.keys.n * sizeof(*sorted) + 1);
	if (at == NULL || sorted == NULL)
		return fail_scratch(e, x);
	for (i = 0; i < k.keys.n; i++)
		at[i] = i;
	TRY(merge_sort(e, x->args[0].x, k.keys.v, at, at + k.keys.n, k.keys.n));
	for (i = 0; i < k.keys.n; i++)
		sorted[i] = k.rows.v[at[i]];
	*out = (struct val){.tag = V_LIST, .n = k.keys.n, .list = sorted};
	return ERR_OK;
}

/* A record of two values. */
static enum err
pair(struct eval *e, const struct expr *x, struct val a, struct val b,
    struct val *out)
{
	struct rec *r = run_alloc(e, sizeof(*r) + 2 * sizeof(struct val));

	if (r == NULL)
		return fail_scratch(e, x);
	r->shape = x->shape;
	r->v[0] = a;
	r->v[1] = b;
	*out = (struct val){.tag = V_REC, .rec = r};
	return ERR_OK;
}

struct grouping {
	struct iter it;
	struct vec keys;
	struct vec *rows; /* one for each key */
	uint32_t cap;
};

static enum err
grouping(struct eval *e, struct iter *it, const struct val *v)
{
	struct grouping *g = (struct grouping *)it;
	const struct expr *x = it->arg->x;
	struct vec *more;
	uint32_t i;
	int c = 1;

	if (v->tag == V_ABSENT)
		return fail_absent(e, x, v);
	for (i = 0; i < g->keys.n && c != 0; i++) {
		TRY(run_step(e, x, 1));
		TRY(val_compare(e, x, v, &g->keys.v[i], &c));
	}
	if (c == 0)
		return vec_push(e, x, &g->rows[i - 1], iter_row(e, it));
	if (g->keys.n == 0 && v->tag >= V_RAW)
		return fail_at(e, x, ERR_TYPE,
		    "a key is text, a number or a time, not %s", val_name(v));
	if (g->keys.n == g->cap) {
		g->cap = g->cap > 0 ? g->cap * 2 : 8;
		more = run_alloc(e, g->cap * sizeof(*more));
		if (more == NULL)
			return fail_scratch(e, x);
		if (g->keys.n > 0)
			memcpy(more, g->rows, g->keys.n * sizeof(*more));
		g->rows = more;
	}
	g->rows[g->keys.n] = (struct vec){0};
	TRY(vec_push(e, x, &g->rows[g->keys.n], iter_row(e, it)));
	return vec_push(e, x, &g->keys, *v);
}

enum err
func_group(struct eval *e, const struct expr *x, struct val *out)
{
	struct grouping g = {{grouping, &x->args[0], false}, {0}, NULL, 0};
	uint32_t i;

	TRY(iter_arg(e, &g.it));
	for (i = 0; i < g.keys.n; i++)
		TRY(pair(e, x, g.keys.v[i], vec_val(&g.rows[i]), &g.keys.v[i]));
	*out = vec_val(&g.keys);
	return ERR_OK;
}

/* ---- shares ---- */

#define SHARES 10000

struct share {
	__int128 part, left; /* left: the remainder, for who gets the rest */
};

/*
 * Parts of `total` units in proportion to the weights: rounded towards zero,
 * the units that remain go to the largest remainders, the first among equals.
 */
static enum err
share_out(struct eval *e, const struct expr *x, const __int128 *weights,
    uint32_t n, __int128 sum, __int128 total, struct share *s)
{
	__int128 size = total < 0 ? -total : total, rest = size, product;
	uint32_t i, k;

	for (i = 0; i < n; i++) {
		if (__builtin_mul_overflow(size, weights[i], &product))
			return fail_at(e, x, ERR_RANGE,
			    "total and weights are too large to divide");
		s[i].part = product / sum;
		s[i].left = product % sum;
		rest -= s[i].part;
	}
	for (; rest > 0; rest--) {
		for (k = 0, i = 1; i < n; i++)
			if (s[i].left > s[k].left)
				k = i;
		TRY(run_step(e, x, n));
		s[k].part++;
		s[k].left = -1;
	}
	if (total < 0)
		for (i = 0; i < n; i++)
			s[i].part = -s[i].part;
	return ERR_OK;
}

/* The weights as whole numbers of one scale; refuses what has no share. */
static enum err
read_weights(struct eval *e, const struct expr *x, const struct vec *keys,
    __int128 *weights, __int128 *sum)
{
	uint8_t scale = 0;
	struct dec d;
	uint32_t i;

	for (i = 0; i < keys->n; i++) {
		TRY(val_dec(e, x, &keys->v[i], &d));
		if (d.c <= 0)
			return fail_at(e, x, ERR_RANGE,
			    "weight %u is %s; each is above zero (leave others "
			    "out with if)",
			    i + 1, d.c == 0 ? "zero" : "negative");
		if (d.scale > scale)
			scale = d.scale;
	}
	*sum = 0;
	for (i = 0; i < keys->n; i++) {
		TRY(val_dec(e, x, &keys->v[i], &d));
		weights[i] = d.c;
		for (; d.scale < scale; d.scale++)
			if (__builtin_mul_overflow(weights[i], 10, &weights[i]))
				return fail_at(e, x, ERR_RANGE,
				    "a weight has too many digits");
		if (__builtin_add_overflow(*sum, weights[i], sum))
			return fail_at(
			    e, x, ERR_RANGE, "the weights are too large");
	}
	return ERR_OK;
}

enum err
func_allocate(struct eval *e, const struct expr *x, struct val *out)
{
	struct keyed k = {{keyed, &x->args[2], false}, {0}, {0}};
	struct val total, part;
	struct share *shares;
	__int128 *weights, sum = 1;
	struct dec d, r;
	int64_t places;
	uint32_t i;

	TRY(run_number(e, x->args[0].x, &total));
	TRY(val_dec(e, x, &total, &d));
	TRY(run_int(e, x->args[1].x, &places));
	if (places < 0 || places > 9)
		return fail_at(e, x->args[1].x, ERR_RANGE, "places are 0 to 9");
	if (dec_round(d, (int)places, DEC_HALF_UP, &r) != ERR_OK ||
	    dec_cmp(d, r) != 0)
		return fail_at(e, x->args[0].x, ERR_RANGE,
		    "the total has more than %d decimals; round() it first",
		    (int)places);
	TRY(iter_arg(e, &k.it));
	if (k.keys.n == 0) {
		if (r.c != 0)
			return fail_at(e, x, ERR_RANGE,
			    "nothing to allocate to, and the total is not 0");
		*out = vec_val(&k.keys);
		return ERR_OK;
	}
	if (k.keys.n > SHARES)
		return fail_at(e, x, ERR_BUDGET, "over %d shares", SHARES);
	weights = run_alloc(e, k.keys.n * sizeof(*weights));
	shares = run_alloc(e, k.keys.n * sizeof(*shares));
	if (weights == NULL || shares == NULL)
		return fail_scratch(e, x);
	TRY(read_weights(e, x->args[2].x, &k.keys, weights, &sum));
	TRY(share_out(e, x, weights, k.keys.n, sum, r.c, shares));
	for (i = 0; i < k.keys.n; i++) {
		TRY(val_of_dec(e, x,
		    (struct dec){shares[i].part, (uint8_t)places}, &part));
		TRY(pair(e, x, part, k.rows.v[i], &k.keys.v[i]));
	}
	*out = vec_val(&k.keys);
	return ERR_OK;
}

enum err
func_entries(struct eval *e, const struct expr *x, struct val *out)
{
	struct vec vec = {0};
	struct val m, key, v;
	const uint8_t *p, *end, *at;
	uint32_t n = 0;
	size_t i;

	TRY(run_need(e, x->args[0].x, &m));
	if (m.tag == V_REC) {
		for (i = 0; i < m.rec->shape->n; i++) {
			if (m.rec->v[i].tag == V_ABSENT)
				continue;
			TRY(pair(e, x, val_text(m.rec->shape->names[i]),
			    m.rec->v[i], &v));
			TRY(vec_push(e, x, &vec, v));
		}
		*out = vec_val(&vec);
		return ERR_OK;
	}
	end = m.p + m.n;
	p = m.tag == V_RAW ? scan_map(m.p, end, &n) : NULL;
	if (p == NULL && !(m.tag == V_RAW && *m.p == 0x90))
		return fail_at(e, x->args[0].x, ERR_TYPE,
		    "a map is wanted, and this is %s", val_name(&m));
	while (p != NULL && n-- > 0) {
		at = p;
		if ((p = scan_skip(p, end)) == NULL)
			break;
		TRY(val_read(e, x, at, (uint32_t)(p - at), &type_text, &key));
		at = p;
		if ((p = scan_skip(p, end)) == NULL)
			break;
		TRY(run_step(e, x, 1 + (uint32_t)((p - at) >> 6)));
		TRY(val_read(e, x, at, (uint32_t)(p - at), &type_any, &v));
		TRY(pair(e, x, key, v, &v));
		TRY(vec_push(e, x, &vec, v));
	}
	*out = vec_val(&vec);
	return ERR_OK;
}

/* ---- one number, one truth ---- */

struct total {
	struct iter it;
	struct val sum;
	int64_t n;
	bool truth;
};

static enum err
summing(struct eval *e, struct iter *it, const struct val *v)
{
	struct total *t = (struct total *)it;
	struct dec a, b;
	int64_t i;

	if (v->tag == t->sum.tag && v->tag != V_WIDE &&
	    v->scale == t->sum.scale && val_is_number(v) &&
	    !__builtin_add_overflow(v->i, t->sum.i, &i)) {
		t->sum.i = i;
		t->n = 1;
		return ERR_OK;
	}
	if (t->n++ == 0 && val_is_number(v)) {
		t->sum = *v;
		return ERR_OK;
	}
	TRY(val_dec(e, it->arg->x, v, &b));
	TRY(val_dec(e, it->arg->x, &t->sum, &a));
	if (dec_add(a, b, &a) != ERR_OK)
		return fail_at(e, it->arg->x, ERR_RANGE,
		    "the sum has more than 38 digits");
	return val_of_dec(e, it->arg->x, a, &t->sum);
}

enum err
func_sum(struct eval *e, const struct expr *x, struct val *out)
{
	struct total t = {{summing, &x->args[0], false}, val_int(0), 0, false};

	TRY(iter_arg(e, &t.it));
	*out = t.sum;
	return ERR_OK;
}

static enum err
counting(struct eval *e, struct iter *it, const struct val *v)
{
	(void)e;
	(void)v;
	((struct total *)it)->n++;
	return ERR_OK;
}

enum err
func_count(struct eval *e, const struct expr *x, struct val *out)
{
	struct total t = {{counting, &x->args[0], false}, val_int(0), 0, false};

	TRY(iter_arg(e, &t.it));
	*out = val_int(t.n);
	return ERR_OK;
}

static enum err
testing(struct eval *e, struct iter *it, const struct val *v)
{
	struct total *t = (struct total *)it;

	if (v->tag == V_ABSENT)
		return fail_absent(e, it->arg->x, v);
	if (v->tag != V_BOOL)
		return fail_at(e, it->arg->x, ERR_TYPE,
		    "a condition is wanted, and this is %s", val_name(v));
	if ((v->i != 0) == t->truth) {
		t->n = 1;
		it->stop = true;
	}
	return ERR_OK;
}

enum err
func_any(struct eval *e, const struct expr *x, struct val *out)
{
	struct total t = {{testing, &x->args[0], false}, val_int(0), 0, true};

	TRY(iter_arg(e, &t.it));
	*out = val_bool(t.n > 0);
	return ERR_OK;
}

enum err
func_all(struct eval *e, const struct expr *x, struct val *out)
{
	struct total t = {{testing, &x->args[0], false}, val_int(0), 0, false};

	TRY(iter_arg(e, &t.it));
	*out = val_bool(t.n == 0);
	return ERR_OK;
}

struct joining {
	struct iter it;
	struct vec parts; /* texts */
	size_t n;
};

static enum err
joining(struct eval *e, struct iter *it, const struct val *v)
{
	struct joining *j = (struct joining *)it;
	struct slice s;

	TRY(val_to_text(e, it->arg->x, v, &s));
	j->n += s.n;
	TRY(run_step(e, it->arg->x, (uint32_t)(s.n >> 6)));
	return vec_push(e, it->arg->x, &j->parts, val_text(s));
}

enum err
func_join(struct eval *e, const struct expr *x, struct val *out)
{
	struct joining j = {{joining, &x->args[1], false}, {0}, 0};
	struct slice by;
	uint8_t *p;
	uint32_t i;

	TRY(run_text(e, x->args[0].x, &by));
	TRY(iter_arg(e, &j.it));
	j.n += j.parts.n * by.n;
	p = run_alloc(e, j.n + 1);
	if (p == NULL || j.n > UINT32_MAX)
		return fail_scratch(e, x);
	*out = (struct val){.tag = V_TEXT, .p = p};
	for (i = 0; i < j.parts.n; i++) {
		if (i > 0) {
			memcpy(p, by.p, by.n);
			p += by.n;
		}
		memcpy(p, j.parts.v[i].p, j.parts.v[i].n);
		p += j.parts.v[i].n;
	}
	out->n = (uint32_t)(p - out->p);
	return ERR_OK;
}
