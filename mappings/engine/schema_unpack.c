/*
 * schema_unpack - JSON that a source sends inside a text, as data. Only types
 * whose schema says so come here; what is not touched is copied as it is.
 */
#include "broker/base/json.h"
#include "mappings/engine/schema.h"

struct unpacking {
	struct buf *out, path;
};

static enum err unpack(struct unpacking *u, const struct schema_field *x,
    struct mp_in *in, unsigned depth);

static enum err
unpack_text(
    struct unpacking *u, const struct schema_field *x, struct slice text)
{
	struct json_at at;
	struct schema_field inner = *x;
	struct mp_in in;
	struct buf mp;
	enum err e;

	buf_init(&mp, u->out->max);
	e = json_to_mp(text, &mp, &at);
	if (e != ERR_OK) {
		e = err_wrap(
		    e, "the text in %s holds no JSON", buf_cstr(&u->path));
	} else {
		/* it may hold such texts of its own */
		inner.json = false;
		in = mp_in(buf_all(&mp));
		e = unpack(u, &inner, &in, 0);
	}
	buf_fini(&mp);
	return e;
}

static enum err
unpack(struct unpacking *u, const struct schema_field *x, struct mp_in *in,
    unsigned depth)
{
	struct mp_in from = *in;
	size_t was = u->path.n;
	struct slice whole, key;
	struct mp m, name;
	enum err e = mp_value(in, &whole);

	if (e != ERR_OK)
		return e;
	if (depth > MP_DEPTH)
		return err_note(ERR_LIMIT, "nested too deep");
	if ((e = mp_next(&from, &m)) != ERR_OK)
		return e;
	if (m.type == MP_STR && x->json && m.bytes.n > 0)
		return unpack_text(u, x, m.bytes);
	if (m.type == MP_ARRAY && x->type == SCHEMA_LIST) {
		mp_put_array(u->out, m.count);
		for (uint32_t i = 0; i < m.count; i++) {
			buf_printf(&u->path, "[%u]", i + 1);
			e = unpack(u, x->item, &from, depth + 1);
			if (e != ERR_OK)
				return e;
			u->path.n = was;
		}
		return ERR_OK;
	}
	if (m.type != MP_MAP || x->type != SCHEMA_MAP) {
		buf_slice(u->out, whole);
		return ERR_OK;
	}
	mp_put_map(u->out, m.count);
	for (uint32_t i = 0; i < m.count; i++) {
		const struct schema_field *f = NULL;
		struct mp_in at = from;

		if ((e = mp_value(&from, &key)) != ERR_OK ||
		    (e = mp_next(&at, &name)) != ERR_OK)
			return e;
		buf_slice(u->out, key);
		if (name.type == MP_STR)
			f = schema_find(x, name.bytes);
		if (f == NULL) {
			if ((e = mp_value(&from, &whole)) != ERR_OK)
				return e;
			buf_slice(u->out, whole);
			continue;
		}
		buf_printf(&u->path, "%s%.*s", was > 0 ? "." : "",
		    SLICE_ARG(name.bytes));
		if ((e = unpack(u, f, &from, depth + 1)) != ERR_OK)
			return e;
		u->path.n = was;
	}
	return ERR_OK;
}

enum err
schema_unpack(const struct schema *s, struct slice data, struct buf *out)
{
	struct unpacking u = {.out = out};
	struct mp_in in = mp_in(data);
	size_t had = out->n;
	enum err e;

	buf_init(&u.path, 64 * 1024);
	e = unpack(&u, &s->root, &in, 0);
	buf_fini(&u.path);
	if (e == ERR_OK)
		e = buf_check(out);
	/* what was within a text now nests within the event */
	if (e == ERR_OK)
		e = mp_check(slice_from(buf_all(out), had));
	if (e != ERR_OK)
		out->n = had;
	return e;
}
