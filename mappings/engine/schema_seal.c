/*
 * schema_seal - taking personal values out of an event's data and putting them
 * back.
 *
 * Invariant: merge(split(data)) is data, byte for byte, whatever forms its
 * heads are written in: bytes outside the personal values are copied, never
 * written anew. Places are numbered in the order of the data, so merging walks
 * the list of values once beside the data and needs no table of them.
 */
#include "mappings/engine/schema.h"

struct split {
	struct buf *open, *sealed;
	uint32_t count;
};

/* Copy what `in` has passed since `from`. */
static void
copied(struct buf *to, const struct mp_in *from, const struct mp_in *in)
{
	buf_put(to, from->p, (size_t)(in->p - from->p));
}

static enum err
take(struct split *s, struct mp_in *in)
{
	struct slice value;
	enum err e = mp_value(in, &value);

	if (e != ERR_OK)
		return e;
	mp_put_sealed(s->open, s->count++);
	buf_slice(s->sealed, value);
	return ERR_OK;
}

/* x = NULL: a value the schema does not know; it stays open. */
static enum err
split(
    struct split *s, const struct schema_field *x, struct mp_in *in, int depth)
{
	struct mp_in from = *in;
	struct mp v, key;
	enum err e;

	if (depth > MP_DEPTH)
		return err_note(ERR_LIMIT, "data is nested too deep");
	if ((e = mp_next(in, &v)) != ERR_OK)
		return e;
	if (v.type == MP_SEALED)
		return err_note(
		    ERR_TYPE, "data holds a sealed place of its own");
	if (x != NULL && x->personal && v.type != MP_NIL) {
		*in = from;
		return take(s, in);
	}
	copied(s->open, &from, in);
	if (v.type == MP_ARRAY) {
		if (x != NULL)
			x = x->type == SCHEMA_LIST ? x->item : NULL;
		for (uint32_t i = 0; i < v.count; i++)
			if ((e = split(s, x, in, depth + 1)) != ERR_OK)
				return e;
		return ERR_OK;
	}
	if (v.type != MP_MAP)
		return ERR_OK;
	for (uint32_t i = 0; i < v.count; i++) {
		const struct schema_field *y = NULL;

		from = *in;
		if ((e = mp_next(in, &key)) != ERR_OK)
			return e;
		if (key.type != MP_STR)
			return err_note(ERR_TYPE, "a map's key is no text");
		copied(s->open, &from, in);
		if (x != NULL && x->type == SCHEMA_MAP)
			y = schema_find(x, key.bytes);
		if ((e = split(s, y, in, depth + 1)) != ERR_OK)
			return e;
	}
	return ERR_OK;
}

enum err
schema_split(const struct schema *s, struct slice data, struct buf *open,
    struct buf *sealed, uint32_t *count)
{
	struct split to = {.open = open, .sealed = sealed};
	size_t open_was = open->n, sealed_was = sealed->n;
	struct mp_in in = mp_in(data);
	size_t mark = mp_open(sealed);
	enum err e;

	if (s == NULL || s->whole)
		e = take(&to, &in);
	else
		e = split(&to, &s->root, &in, 0);
	if (e == ERR_OK && in.p != in.end)
		e = err_note(ERR_SYNTAX, "bytes after the data");
	if (e == ERR_OK && to.count > 0)
		mp_close_array(sealed, mark, to.count);
	if (e == ERR_OK && to.count == 0)
		sealed->n = sealed_was;
	if (e == ERR_OK)
		e = buf_check(open);
	if (e == ERR_OK)
		e = buf_check(sealed);
	if (e != ERR_OK) {
		open->n = open_was;
		sealed->n = sealed_was;
		return e;
	}
	*count = to.count;
	return ERR_OK;
}

struct merge {
	struct mp_in values;
	uint64_t count, next;
	struct buf *out;
};

static enum err
merge(struct merge *m, struct mp_in *in, int depth)
{
	struct mp_in from = *in;
	struct slice value;
	uint64_t inner;
	struct mp v;
	enum err e;

	if (depth > MP_DEPTH)
		return err_note(ERR_LIMIT, "data is nested too deep");
	if ((e = mp_next(in, &v)) != ERR_OK)
		return e;
	if (v.type == MP_SEALED) {
		if (v.u != m->next || m->next == m->count)
			return err_note(ERR_SYNTAX,
			    "sealed place %llu where %llu of %llu was due",
			    (unsigned long long)v.u,
			    (unsigned long long)m->next,
			    (unsigned long long)m->count);
		m->next++;
		if ((e = mp_value(&m->values, &value)) != ERR_OK)
			return e;
		buf_slice(m->out, value);
		return ERR_OK;
	}
	copied(m->out, &from, in);
	inner = v.type == MP_ARRAY ? v.count
		: v.type == MP_MAP ? (uint64_t)v.count * 2
				   : 0;
	while (inner-- > 0)
		if ((e = merge(m, in, depth + 1)) != ERR_OK)
			return e;
	return ERR_OK;
}

enum err
schema_merge(struct slice open, struct slice sealed, struct buf *out)
{
	struct merge m = {.out = out, .values = mp_in(sealed)};
	struct mp_in in = mp_in(open);
	size_t was = out->n;
	struct mp head;
	enum err e;

	if (sealed.n > 0) {
		if ((e = mp_next(&m.values, &head)) != ERR_OK)
			return e;
		if (head.type != MP_ARRAY)
			return err_note(
			    ERR_SYNTAX, "sealed values are no list");
		m.count = head.count;
	}
	e = merge(&m, &in, 0);
	if (e == ERR_OK &&
	    (in.p != in.end || m.next != m.count || m.values.p != m.values.end))
		e = err_note(ERR_SYNTAX, "data and sealed values do not fit "
					 "together");
	if (e == ERR_OK)
		e = buf_check(out);
	if (e != ERR_OK)
		out->n = was;
	return e;
}

/* What is left of one value, *gone when it is nothing. */
static enum err
erased(struct mp_in *in, struct buf *out, int depth, bool *gone)
{
	struct mp_in from = *in;
	uint32_t left = 0;
	struct mp v, key;
	size_t mark, was;
	enum err e;

	*gone = false;
	if (depth > MP_DEPTH)
		return err_note(ERR_LIMIT, "data is nested too deep");
	if ((e = mp_next(in, &v)) != ERR_OK)
		return e;
	if (v.type == MP_SEALED) {
		*gone = true;
		return ERR_OK;
	}
	if (v.type != MP_ARRAY && v.type != MP_MAP) {
		copied(out, &from, in);
		return ERR_OK;
	}
	mark = mp_open(out);
	for (uint32_t i = 0; i < v.count; i++) {
		bool none;

		was = out->n;
		from = *in;
		if (v.type == MP_MAP) {
			if ((e = mp_next(in, &key)) != ERR_OK)
				return e;
			copied(out, &from, in);
		}
		if ((e = erased(in, out, depth + 1, &none)) != ERR_OK)
			return e;
		if (none)
			out->n = was;
		else
			left++;
	}
	if (v.type == MP_MAP)
		mp_close_map(out, mark, left);
	else
		mp_close_array(out, mark, left);
	return ERR_OK;
}

enum err
schema_merge_erased(struct slice open, struct buf *out)
{
	struct mp_in in = mp_in(open);
	size_t was = out->n;
	bool gone;
	enum err e = erased(&in, out, 0, &gone);

	if (e == ERR_OK && in.p != in.end)
		e = err_note(ERR_SYNTAX, "bytes after the data");
	if (e == ERR_OK && gone)
		mp_put_map(out, 0);
	if (e == ERR_OK)
		e = buf_check(out);
	if (e != ERR_OK)
		out->n = was;
	return e;
}
