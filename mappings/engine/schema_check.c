/*
 * schema_check - does a whole value fit its schema?
 *
 * Used for what a peer publishes as canonical and for samples; a mapping reads
 * only what it needs and checks that itself. The path in a note is kept as a
 * chain on the stack and written only when something is wrong.
 */
#include "mappings/engine/schema.h"

#include "broker/base/dec.h"
#include "broker/base/json.h"

struct step {
	const struct step *up;
	struct slice name; /* of a map's field */
	uint32_t item;	   /* from 1, of a list's item; 0 for a field */
};

static void
path_put(struct buf *b, const struct step *s)
{
	if (s == NULL)
		return;
	path_put(b, s->up);
	if (s->item > 0)
		buf_printf(b, "[%u]", s->item);
	else
		buf_printf(
		    b, "%s%.*s", b->n > 0 ? "." : "", SLICE_ARG(s->name));
}

static enum err
refuse(enum err e, const struct step *at, const char *what)
{
	struct buf b;

	buf_init(&b, 2048);
	path_put(&b, at);
	e = err_note(
	    e, "%s: %s", b.n > 0 ? buf_cstr(&b) : "the whole event", what);
	buf_fini(&b);
	return e;
}

static bool
is_absent(const struct schema_field *x, const struct mp *v)
{
	return v->type == MP_NIL ||
	       (v->type == MP_STR && v->bytes.n == 0 && x->blank_absent);
}

static bool
enum_fits(const struct schema_field *x, const struct mp *v)
{
	struct buf text;
	struct slice word = v->bytes;
	bool found = false;

	buf_init(&text, 64);
	if (v->type == MP_INT)
		buf_printf(&text, "%lld", (long long)v->i);
	else if (v->type == MP_UINT)
		buf_printf(&text, "%llu", (unsigned long long)v->u);
	if (v->type == MP_INT || v->type == MP_UINT)
		word = buf_all(&text);
	for (size_t i = 0; i < x->enum_n && !found; i++)
		found = slice_eq(x->enums[i], word);
	buf_fini(&text);
	return found;
}

static bool
date_fits(struct slice s)
{
	static const char like[] = "dddd-dd-dd";

	if (s.n != sizeof(like) - 1)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (like[i] == 'd' ? s.p[i] < '0' || s.p[i] > '9'
				   : s.p[i] != '-')
			return false;
	return true;
}

/* Why a scalar does not fit, NULL when it does. */
static const char *
scalar_misfit(const struct schema_field *x, const struct mp *v)
{
	bool digits = v->type == MP_STR || v->type == MP_DECIMAL;
	bool whole = v->type == MP_INT || v->type == MP_UINT;
	bool zoned;
	struct dec d;
	int64_t i;

	if (v->type == MP_FLOAT)
		return "a binary float, whose digits are not exact; send a "
		       "decimal";
	switch (x->type) {
	case SCHEMA_TEXT:
		return digits || whole ? NULL : "must be a text";
	case SCHEMA_INTEGER:
		if (whole)
			return NULL;
		return digits && dec_parse(v->bytes, &d) == ERR_OK &&
			       dec_is_int(d, &i)
			   ? NULL
			   : "must be a whole number";
	case SCHEMA_DECIMAL:
		if (whole)
			return NULL;
		return digits && dec_parse(v->bytes, &d) == ERR_OK
			   ? NULL
			   : "must be a decimal number";
	case SCHEMA_BOOL:
		return v->type == MP_BOOL ? NULL : "must be true or false";
	case SCHEMA_TIME:
		if (v->type == MP_TIME)
			return NULL;
		if (v->type != MP_STR || x->zone != NULL)
			return v->type == MP_STR &&
				       time_parse(v->bytes, x->zone, &i,
					   &zoned) == ERR_OK
				   ? NULL
				   : "must be a time";
		/* Without a zone of its own the mapping names one; what is
		 * asked here is whether it is a time at all. */
		return time_parse(v->bytes, NULL, &i, &zoned) == ERR_SYNTAX
			   ? "must be a time"
			   : NULL;
	case SCHEMA_DATE:
		return v->type == MP_STR && date_fits(v->bytes)
			   ? NULL
			   : "must be a date as 2026-03-31";
	case SCHEMA_ANY:
	case SCHEMA_MAP:
	case SCHEMA_LIST:
		break;
	}
	return NULL;
}

const char *
schema_misfit(const struct schema_field *x, const struct mp *v)
{
	const char *why;

	switch (x->type) {
	case SCHEMA_ANY:
		return NULL;
	case SCHEMA_MAP:
		return v->type == MP_MAP ? NULL : "must be a map";
	case SCHEMA_LIST:
		return v->type == MP_ARRAY ? NULL : "must be a list";
	default:
		break;
	}
	why = scalar_misfit(x, v);
	if (why == NULL && x->enum_n > 0 && !enum_fits(x, v))
		why = "is none of the words its schema lists";
	return why;
}

static enum err check(const struct schema *s, const struct schema_field *x,
    struct mp_in *in, const struct step *at, int depth);

static enum err
check_map(const struct schema *s, const struct schema_field *x,
    struct mp_in *in, uint32_t count, const struct step *at, int depth)
{
	struct slice whole = slice_of(in->p, (size_t)(in->end - in->p));
	const struct schema_field *y;
	enum err e;

	for (uint32_t i = 0; i < count; i++) {
		struct step here = {.up = at};
		struct mp key;

		if ((e = mp_next(in, &key)) != ERR_OK)
			return e;
		if (key.type != MP_STR)
			return refuse(ERR_TYPE, at, "a key that is no text");
		here.name = key.bytes;
		if ((y = schema_find(x, key.bytes)) == NULL) {
			if (!s->open)
				return refuse(
				    ERR_TYPE, &here, "an unknown field");
			if ((e = mp_skip(in)) != ERR_OK)
				return e;
		} else if ((e = check(s, y, in, &here, depth)) != ERR_OK) {
			return e;
		}
	}
	/* Required fields that no key named. */
	for (y = x->fields; y != NULL; y = y->next) {
		struct mp_in again = mp_in(whole);
		struct step here = {.up = at, .name = y->name};
		bool found = false;

		if (y->optional)
			continue;
		for (uint32_t i = 0; i < count && !found; i++) {
			struct mp key;

			if ((e = mp_next(&again, &key)) != ERR_OK ||
			    (e = mp_skip(&again)) != ERR_OK)
				return e;
			found = slice_eq(key.bytes, y->name);
		}
		if (!found)
			return refuse(ERR_MISSING, &here, "is missing");
	}
	return ERR_OK;
}

/* What a text holds, as the field that describes it says. */
static enum err
check_json(const struct schema *s, const struct schema_field *x,
    struct slice text, const struct step *at, int depth)
{
	struct schema_field inner = *x;
	struct mp_in in;
	struct buf mp;
	enum err e;

	inner.json = false;
	buf_init(&mp, 16 * 1024 * 1024);
	if (json_to_mp(text, &mp, NULL) != ERR_OK) {
		e = refuse(ERR_TYPE, at, "must be a text that holds JSON");
	} else {
		in = mp_in(buf_all(&mp));
		e = check(s, &inner, &in, at, depth);
	}
	buf_fini(&mp);
	return e;
}

static enum err
check(const struct schema *s, const struct schema_field *x, struct mp_in *in,
    const struct step *at, int depth)
{
	struct mp_in from = *in;
	const char *misfit;
	struct mp v;
	enum err e;

	if (depth > MP_DEPTH)
		return refuse(ERR_LIMIT, at, "is nested too deep");
	if ((e = mp_next(in, &v)) != ERR_OK)
		return e;
	if (is_absent(x, &v))
		return x->optional ? ERR_OK
				   : refuse(ERR_MISSING, at, "is missing");
	if (x->json && v.type == MP_STR)
		return check_json(s, x, v.bytes, at, depth + 1);
	if (x->type == SCHEMA_ANY) {
		*in = from;
		return mp_skip(in);
	}
	if ((misfit = schema_misfit(x, &v)) != NULL)
		return refuse(ERR_TYPE, at, misfit);
	if (x->type == SCHEMA_MAP)
		return check_map(s, x, in, v.count, at, depth + 1);
	if (x->type == SCHEMA_LIST) {
		for (uint32_t i = 0; i < v.count; i++) {
			struct step here = {.up = at, .item = i + 1};

			e = check(s, x->item, in, &here, depth + 1);
			if (e != ERR_OK)
				return e;
		}
		return ERR_OK;
	}
	return ERR_OK;
}

enum err
schema_check(const struct schema *s, struct slice data)
{
	struct mp_in in = mp_in(data);
	enum err e = check(s, &s->root, &in, NULL, 0);

	if (e != ERR_OK)
		return err_wrap(e, "%.*s", SLICE_ARG(s->type));
	if (in.p != in.end)
		return err_note(ERR_SYNTAX, "%.*s: bytes after the value",
		    SLICE_ARG(s->type));
	return ERR_OK;
}
