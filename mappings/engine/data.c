/*
 * data - runs what node.c read: `data` of an emit, written as it goes. Order on
 * a node: each, let, when.
 */
#include "mappings/engine/run.h"

static inline void
enter(struct eval *e, struct slice name, uint32_t index)
{
	if (e->depth < RUN_FRAMES)
		e->frames[e->depth] = (struct frame){name, index};
	e->depth++;
}

static inline void
leave(struct eval *e)
{
	e->depth--;
}

static enum err run_field(
    struct eval *e, const struct node *n, uint32_t *count, uint32_t depth);
static enum err run_item(
    struct eval *e, const struct node *n, uint32_t *count, uint32_t depth);

/* The value's type was not known at load; the target's is. */
static enum err
verify(struct eval *e, const struct expr *x, const struct type *want,
    const struct val *v)
{
	uint32_t count;
	bool ok = false;
	size_t i;

	switch (want->kind) {
	case K_TEXT:
		ok = v->tag == V_TEXT;
		break;
	case K_INT:
		ok = v->tag == V_INT;
		break;
	case K_DEC:
		ok = val_is_number(v);
		break;
	case K_BOOL:
		ok = v->tag == V_BOOL;
		break;
	case K_TIME:
		ok = v->tag == V_TIME;
		break;
	case K_DATE:
		ok = v->tag == V_DATE;
		break;
	case K_MAP:
		ok = v->tag == V_REC ||
		     (v->tag == V_RAW &&
			 scan_map(v->p, v->p + v->n, &count) != NULL);
		break;
	case K_LIST:
		ok = v->tag == V_LIST ||
		     (v->tag == V_RAW &&
			 scan_array(v->p, v->p + v->n, &count) != NULL);
		break;
	default:
		ok = true;
	}
	if (!ok)
		return fail_at(e, x, ERR_TYPE,
		    "%s is wanted here, and this is %s", type_name(want->kind),
		    val_name(v));
	if (want->enum_n == 0 || v->tag != V_TEXT)
		return ERR_OK;
	for (i = 0; i < want->enum_n; i++)
		if (slice_eq(want->enums[i], val_slice(*v)))
			return ERR_OK;
	return fail_at(e, x, ERR_TYPE,
	    "'%.*s' is none of the values this field can have",
	    (int)(v->n < 60 ? v->n : 60), (const char *)v->p);
}

/* ---- parts of the input that are copied whole ---- */

static enum err put_as(struct eval *e, const struct expr *x,
    const struct val *v, const struct type *have, const struct type *want);

/* Does the target say what the parts of this value are? */
static bool
parts_known(const struct type *want)
{
	return (want->kind == K_MAP && want->shape != NULL) ||
	       (want->kind == K_LIST && want->item != NULL &&
		   want->item->kind != K_ANY);
}

/* A field of a map, read as its source says. */
static enum err
part_of(struct eval *e, const struct expr *x, const struct val *map,
    const struct type *have, struct slice name, struct val *out)
{
	const uint8_t *at, *behind;
	size_t i;

	*out = VAL_ABSENT;
	if (map->tag != V_RAW && map->tag != V_REC)
		return ERR_OK;
	if (map->tag == V_REC) {
		for (i = 0; i < map->rec->shape->n; i++)
			if (slice_eq(map->rec->shape->names[i], name))
				*out = map->rec->v[i];
		return ERR_OK;
	}
	TRY(run_step(e, x, 1 + (map->n >> 6)));
	at = scan_find(map->p, map->p + map->n, name, &behind);
	if (at == NULL)
		return ERR_OK;
	return val_read(e, x, at, (uint32_t)(behind - at), have, out);
}

static enum err
put_map(struct eval *e, const struct expr *x, const struct val *v,
    const struct type *have, const struct type *want)
{
	uint32_t count = 0;
	size_t mark, i;

	TRY(write_open(e, &mark));
	for (i = 0; i < want->shape->n; i++) {
		const struct slice name = want->shape->names[i];
		const struct type *to = want->shape->types[i], *from = NULL;
		struct val one, key = val_text(name);

		if (have->kind == K_MAP && have->shape != NULL)
			from = shape_find(have->shape, name);
		enter(e, name, 0);
		TRY(part_of(
		    e, x, v, from != NULL ? from : &type_any, name, &one));
		if (one.tag == V_TEXT && one.n == 0 && to->blank &&
		    to->absent == OPTIONAL)
			one = VAL_ABSENT; /* as in node_value() */
		if (one.tag == V_ABSENT && to->absent != OPTIONAL)
			return fail_absent(e, x, &one);
		if (one.tag != V_ABSENT) {
			TRY(write_val(e, x, &key));
			TRY(put_as(
			    e, x, &one, from != NULL ? from : &type_any, to));
			count++;
		}
		leave(e);
	}
	return write_close(e, mark, true, count);
}

static enum err
put_list(struct eval *e, const struct expr *x, const struct val *v,
    const struct type *have, const struct type *want)
{
	const struct type *from =
	    have->kind == K_LIST && have->item != NULL ? have->item : &type_any;
	const uint8_t *p = NULL, *end = NULL, *behind;
	uint32_t n = v->n, i;
	struct val one;
	size_t mark;

	if (v->tag == V_RAW) {
		end = v->p + v->n;
		p = scan_array(v->p, end, &n);
	}
	TRY(write_open(e, &mark));
	for (i = 0; i < n; i++) {
		enter(e, SLICE_EMPTY, i + 1);
		if (v->tag == V_RAW) {
			behind = p != NULL ? scan_skip(p, end) : NULL;
			if (behind == NULL)
				return fail_at(
				    e, x, ERR_SYNTAX, "malformed msgpack");
			TRY(run_step(e, x, 1));
			TRY(val_read(
			    e, x, p, (uint32_t)(behind - p), from, &one));
			p = behind;
		} else {
			one = v->list[i];
		}
		if (one.tag == V_ABSENT)
			return fail_absent(e, x, &one);
		TRY(put_as(e, x, &one, from, want->item));
		leave(e);
	}
	return write_close(e, mark, false, n);
}

/*
 * What is copied whole is taken as if each part stood there alone: read as its
 * source says, checked against the target, which gets the fields that it has
 * and no others. Bytes that nobody declared would stay open for good.
 */
static enum err
put_as(struct eval *e, const struct expr *x, const struct val *v,
    const struct type *have, const struct type *want)
{
	/* a map without fields, as PHP writes it */
	if (want->kind == K_MAP && v->tag == V_RAW && *v->p == 0x90)
		return put_map(e, x, &VAL_ABSENT, have, want);
	TRY(verify(e, x, want, v));
	if (!parts_known(want))
		return write_val(e, x, v);
	return want->kind == K_MAP ? put_map(e, x, v, have, want)
				   : put_list(e, x, v, have, want);
}

static inline enum err
put(struct eval *e, const struct node *n, const struct val *v)
{
	if (v->tag < V_RAW || n->want == NULL || !parts_known(n->want))
		return write_val(e, n->value, v);
	return put_as(e, n->value, v, n->value->type, n->want);
}

/* The value of a VALUE node; *there is false when it is to be left out. */
static enum err
node_value(struct eval *e, const struct node *n, struct val *v, bool *there)
{
	enum err err = run_expr(e, n->value, v);

	*there = true;
	if (err == ERR_MISSING && n->optional && e->fail.absent) {
		fail_clear(e);
		*there = false;
		if (e->explain != NULL)
			explain_value(e, n->value, NULL);
		return ERR_OK;
	}
	TRY(err);
	/* where the target's "" is absent, an optional field is left out; a
	 * required one keeps what stands there: nobody waits for a name */
	if (v->tag == V_TEXT && v->n == 0 && n->optional && n->want != NULL &&
	    n->want->blank)
		*v = (struct val){.tag = V_ABSENT, .scale = WHY_BLANK};
	if (v->tag == V_ABSENT) {
		*there = false;
		if (e->explain != NULL && n->optional)
			explain_value(e, n->value, NULL);
		return n->optional ? ERR_OK : fail_absent(e, n->value, v);
	}
	if (n->verify)
		TRY(verify(e, n->value, n->want, v));
	run_hit(e, n->point);
	if (e->explain != NULL)
		explain_value(e, n->value, v);
	return ERR_OK;
}

static enum err
run_when(struct eval *e, const struct node *n, bool *yes)
{
	*yes = true;
	if (n->when == NULL)
		return ERR_OK;
	TRY(run_true(e, n->when, yes));
	run_hit(e, n->when_point + (*yes ? 0 : 1));
	if (e->explain != NULL)
		explain_when(e, n->when, *yes);
	return ERR_OK;
}

static enum err
run_map(struct eval *e, const struct node *n, uint32_t *count, uint32_t depth)
{
	size_t mark, i;

	TRY(write_open(e, &mark));
	*count = 0;
	for (i = 0; i < n->n; i++)
		TRY(run_field(e, n->kids[i], count, depth + 1));
	return write_close(e, mark, true, *count);
}

struct items_run {
	const struct node *n;
	uint32_t *count;
	uint32_t depth;
};

/* What an each makes in one round, into the list (or map) around it. */
static enum err
run_round(struct eval *e, void *ctx)
{
	const struct items_run *r = ctx;
	const struct node *n = r->n;
	bool yes;
	size_t i;

	run_unbind(e, &n->lets);
	TRY(run_when(e, n, &yes));
	if (!yes)
		return ERR_OK;
	for (i = 0; i < n->n; i++)
		TRY(run_item(e, n->kids[i], r->count, r->depth + 1));
	return ERR_OK;
}

static enum err
run_rounds(struct eval *e, const struct node *n, uint32_t *count,
    uint32_t depth, enum err (*fn)(struct eval *e, void *ctx))
{
	struct items_run r = {n, count, depth};
	bool stop = false;

	if (n->each == NULL)
		return fn(e, &r);
	return iter_loops(e, n->each, fn, &r, &stop);
}

static bool
has_key(const uint8_t *from, const uint8_t *end, struct slice key)
{
	while (from < end) {
		const uint8_t *next = scan_skip(from, end);

		if (next == NULL)
			return true;
		if ((size_t)(next - from) == key.n &&
		    memcmp(from, key.p, key.n) == 0)
			return true;
		from = scan_skip(next, end);
		if (from == NULL)
			return true;
	}
	return false;
}

struct entry_run {
	struct items_run items;
	size_t mark;
};

static enum err
entry_round(struct eval *e, void *ctx)
{
	struct entry_run *r = ctx;
	const struct node *n = r->items.n, *k = n->kids[0];
	struct slice key;
	struct val v;
	size_t at = e->out_n;
	bool yes, there;
	uint32_t inner;

	run_unbind(e, &n->lets);
	TRY(run_when(e, n, &yes));
	if (!yes)
		return ERR_OK;
	TRY(run_text(e, n->entry_key, &key));
	enter(e, key, 0);
	v = val_text(key);
	TRY(write_val(e, n->entry_key, &v));
	TRY(run_step(e, n->entry_key, 1 + (uint32_t)((at - r->mark) >> 4)));
	if (has_key(e->out + r->mark + 1, e->out + at,
		slice_of(e->out + at, e->out_n - at)))
		return fail_at(e, n->entry_key, ERR_EXISTS,
		    "the key '%.*s' comes twice", SLICE_ARG(key));
	if (k->kind == NODE_VALUE) {
		TRY(node_value(e, k, &v, &there));
		TRY(put(e, k, &v));
	} else {
		inner = 0;
		if (k->kind == NODE_MAP) {
			run_unbind(e, &k->lets);
			TRY(run_map(e, k, &inner, r->items.depth + 1));
		} else {
			size_t mark;

			TRY(write_open(e, &mark));
			TRY(run_item(e, k, &inner, r->items.depth + 1));
			TRY(write_close(e, mark, false, inner));
		}
	}
	(*r->items.count)++;
	leave(e);
	return ERR_OK;
}

/* One item of a list: an each splices in what it makes. */
static enum err
run_item(struct eval *e, const struct node *n, uint32_t *count, uint32_t depth)
{
	struct val v;
	bool yes, there;
	uint32_t inner = 0;
	size_t mark, i;

	if (n->kind == NODE_EACH)
		return run_rounds(e, n, count, depth, run_round);
	enter(e, SLICE_EMPTY, *count + 1);
	switch (n->kind) {
	case NODE_VALUE:
		TRY(node_value(e, n, &v, &there));
		TRY(put(e, n, &v));
		break;
	case NODE_MAP:
		run_unbind(e, &n->lets);
		TRY(run_when(e, n, &yes));
		if (!yes) {
			leave(e);
			return ERR_OK;
		}
		TRY(run_map(e, n, &inner, depth));
		break;
	case NODE_ENTRY: {
		struct entry_run r = {{n, &inner, depth}, e->out_n};

		TRY(write_open(e, &mark));
		if (n->each == NULL) {
			TRY(entry_round(e, &r));
		} else {
			bool stop = false;

			TRY(iter_loops(e, n->each, entry_round, &r, &stop));
		}
		TRY(write_close(e, mark, true, inner));
		break;
	}
	case NODE_LIST:
	case NODE_EACH:
		TRY(write_open(e, &mark));
		for (i = 0; i < n->n; i++)
			TRY(run_item(e, n->kids[i], &inner, depth + 1));
		TRY(write_close(e, mark, false, inner));
		break;
	}
	(*count)++;
	leave(e);
	return ERR_OK;
}

/* The content of a field that is a container; *count: how much came. */
static enum err
run_container(
    struct eval *e, const struct node *n, uint32_t *count, uint32_t depth)
{
	size_t mark, i;

	*count = 0;
	if (n->kind == NODE_MAP)
		return run_map(e, n, count, depth);
	if (n->kind == NODE_ENTRY) {
		struct entry_run r = {{n, count, depth}, e->out_n};
		bool stop = false;

		TRY(write_open(e, &mark));
		if (n->each == NULL)
			TRY(entry_round(e, &r));
		else
			TRY(iter_loops(e, n->each, entry_round, &r, &stop));
		return write_close(e, mark, true, *count);
	}
	TRY(write_open(e, &mark));
	if (n->kind == NODE_EACH)
		TRY(run_rounds(e, n, count, depth, run_round));
	else
		for (i = 0; i < n->n; i++)
			TRY(run_item(e, n->kids[i], count, depth + 1));
	return write_close(e, mark, false, *count);
}

/*
 * Most fields are a short text as the scan found it. Its msgpack is what is to
 * be written, so key and text are moved in one go each and no value is made.
 * False: it is something else, or close to an end, and goes the usual way.
 */
static inline bool
copy_field(struct eval *e, const struct node *n)
{
	const struct expr *x = n->value;
	const struct var *v = x->var;
	const struct val *base = &e->vars[v->id];
	const struct slot *s = &e->slots[v->slot0 + (uint32_t)x->slot];
	uint8_t *to = e->out + e->out_n;

	if (base->tag != V_RAW || s->p == NULL || s->n == SLOT_ODD ||
	    *s->p <= 0xa0 || *s->p > 0xbf || n->key.n > WRITE_PAD ||
	    base->p + base->n - s->p < WRITE_PAD ||
	    MAP_OUTPUT - e->out_n < 2 * WRITE_PAD)
		return false;
	memcpy(to, n->key.p, WRITE_PAD);
	memcpy(to + n->key.n, s->p, WRITE_PAD);
	e->out_n += n->key.n + s->n;
	run_hit(e, n->point);
	return true;
}

static enum err
run_field(struct eval *e, const struct node *n, uint32_t *count, uint32_t depth)
{
	size_t start = e->out_n, at;
	bool yes = true, there;
	uint32_t inner = 0;
	struct val v;

	if (n->plain && e->explain == NULL && n->out_slot < 0 &&
	    copy_field(e, n)) {
		(*count)++;
		return ERR_OK;
	}
	enter(e, n->name, 0);
	if (n->kind == NODE_VALUE) {
		TRY(node_value(e, n, &v, &there));
		if (!there) {
			leave(e);
			return ERR_OK;
		}
		TRY(write_key(e, n->key));
		at = e->out_n;
		TRY(put(e, n, &v));
	} else {
		if (n->kind == NODE_MAP) {
			run_unbind(e, &n->lets);
			TRY(run_when(e, n, &yes));
		}
		if (yes) {
			TRY(write_key(e, n->key));
			at = e->out_n;
			TRY(run_container(e, n, &inner, depth));
		}
		/* an optional one that is empty says nothing */
		if (!yes || (n->optional && inner == 0)) {
			write_back(e, start);
			leave(e);
			return ERR_OK;
		}
	}
	if (n->out_slot >= 0)
		e->outs[n->out_slot] =
		    (struct out_slot){(uint32_t)at, (uint32_t)(e->out_n - at)};
	(*count)++;
	leave(e);
	return ERR_OK;
}

enum err
run_data(struct eval *e, const struct emit *em)
{
	uint32_t count;

	if (e->p->out_slots > 0)
		memset(e->outs, 0, e->p->out_slots * sizeof(*e->outs));
	e->depth = 0;
	run_unbind(e, &em->data->lets);
	return run_container(e, em->data, &count, 0);
}
