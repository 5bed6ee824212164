/*
 * fields - see fields.h. A reader looks for a key behind the one it found
 * last: what we wrote ourselves comes in the table's order, so a key costs one
 * comparison or a few.
 */
#include "broker/wire/fields.h"

static enum err
wrong_type(const struct fields *t, const struct field *f, const char *want)
{
	return err_note(
	    ERR_TYPE, "%s: `%s` must be %s", t->what, f->name, want);
}

static enum err
too_long(const struct fields *t, const struct field *f, size_t n)
{
	return err_note(ERR_LIMIT, "%s: `%s` has %zu bytes; at most %u",
	    t->what, f->name, n, f->max);
}

static const struct field *
find(const struct fields *t, size_t *next, struct slice key)
{
	for (size_t i = 0, k = *next; i < t->n; i++, k++) {
		const struct field *f;

		if (k >= t->n)
			k -= t->n;
		f = &t->row[k];
		if (f->name_n == key.n && memcmp(f->name, key.p, key.n) == 0) {
			*next = k + 1;
			return f;
		}
	}
	return NULL;
}

static enum err
read_bytes(const struct fields *t, const struct field *f, const struct mp *m,
    struct slice *to)
{
	if (m->type == MP_STR && f->kind != FIELD_BIN) {
		if (f->max > 0 && m->bytes.n > f->max)
			return too_long(t, f, m->bytes.n);
		if (f->kind != FIELD_IGNORE)
			*to = m->bytes;
		return ERR_OK;
	}
	if (m->type == MP_BIN && f->kind == FIELD_BIN) {
		if (f->max > 0 && m->bytes.n != f->max)
			return err_note(ERR_TYPE,
			    "%s: `%s` has %zu bytes, not %u", t->what, f->name,
			    m->bytes.n, f->max);
		*to = m->bytes;
		return ERR_OK;
	}
	if (m->type == MP_BIN && f->kind == FIELD_EITHER && m->bytes.n == 32) {
		*to = m->bytes;
		return ERR_OK;
	}
	return wrong_type(t, f, f->kind == FIELD_BIN ? "bytes" : "text");
}

static enum err
read_number(
    const struct fields *t, const struct field *f, const struct mp *m, void *to)
{
	if (f->kind == FIELD_TIME) {
		if (m->type != MP_TIME)
			return wrong_type(t, f, "a timestamp");
		memcpy(to, &m->i, sizeof(m->i));
		return ERR_OK;
	}
	if (f->kind == FIELD_BOOL) {
		if (m->type != MP_BOOL)
			return wrong_type(t, f, "true or false");
		memcpy(to, &m->b, sizeof(m->b));
		return ERR_OK;
	}
	if (m->type != MP_INT || m->i < 0)
		return wrong_type(t, f, "a number from 0");
	if (f->kind == FIELD_U32) {
		uint32_t v = (uint32_t)m->i;

		if (m->i > UINT32_MAX)
			return wrong_type(t, f, "a number below 2^32");
		memcpy(to, &v, sizeof(v));
	} else {
		memcpy(to, &m->i, sizeof(m->i)); /* U64 and MS: same bits */
	}
	return ERR_OK;
}

static enum err
read_one(
    const struct fields *t, const struct field *f, struct mp_in *in, void *s)
{
	void *to = (char *)s + f->at;
	const uint8_t *from = in->p;
	struct mp m;
	enum err e;

	if (f->kind == FIELD_OWN)
		return t->read(f, in, s);
	if (f->kind == FIELD_VALUE)
		return mp_value(in, to);
	e = mp_next(in, &m);
	if (e != ERR_OK)
		return e;
	switch ((enum field_kind)f->kind) {
	case FIELD_TEXT:
	case FIELD_NOTE:
	case FIELD_BIN:
	case FIELD_EITHER:
	case FIELD_IGNORE:
		return read_bytes(t, f, &m, to);
	case FIELD_MAP:
		if (m.type != MP_MAP)
			return wrong_type(t, f, "a map");
		in->p = from;
		return mp_value(in, to);
	case FIELD_TIME:
	case FIELD_U64:
	case FIELD_U32:
	case FIELD_MS:
	case FIELD_BOOL:
		return read_number(t, f, &m, to);
	case FIELD_VALUE:
	case FIELD_OWN:
		break;
	}
	return ERR_OK;
}

static enum err
take_rest(struct mp_in *in, void *to)
{
	struct slice rest = slice_of(in->p, (size_t)(in->end - in->p));

	memcpy(to, &rest, sizeof(rest));
	in->p = in->end;
	return ERR_OK;
}

enum err
fields_read(const struct fields *t, struct slice mp, void *s)
{
	struct mp_in in = mp_in(mp);
	const struct field *f;
	size_t next = 0;
	struct mp m;
	enum err e;

	e = mp_next(&in, &m);
	if (e != ERR_OK)
		return err_wrap(e, "%s", t->what);
	if (m.type != MP_MAP)
		return err_note(ERR_SYNTAX, "%s: is no map", t->what);
	for (uint32_t left = m.count; left > 0; left--) {
		e = mp_next(&in, &m);
		if (e != ERR_OK)
			return err_wrap(e, "%s", t->what);
		if (m.type != MP_STR)
			return err_note(
			    ERR_SYNTAX, "%s: a key is no text", t->what);
		f = find(t, &next, m.bytes);
		if (f == NULL)
			return err_note(ERR_SYNTAX, "%s: unknown key `%.*s`",
			    t->what, m.bytes.n < 80 ? (int)m.bytes.n : 80,
			    (const char *)m.bytes.p);
		/* The map is one whole value (mp_check), so a value that comes
		 * last is all the rest: no walk through it. */
		if (left == 1 && f->kind == FIELD_VALUE && in.p < in.end)
			e = take_rest(&in, (char *)s + f->at);
		else
			e = read_one(t, f, &in, s);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static bool
there(const struct fields *t, const struct field *f, const void *s, bool head)
{
	const void *at = (const char *)s + f->at;
	struct slice bytes;
	uint64_t u;
	uint32_t v;
	bool b;

	switch ((enum field_kind)f->kind) {
	case FIELD_VALUE:
		if (head)
			return false;
		/* fall through */
	case FIELD_TEXT:
	case FIELD_NOTE:
	case FIELD_BIN:
	case FIELD_EITHER:
	case FIELD_MAP:
		if (head && f->kind == FIELD_BIN && f->max == 0)
			return false;
		memcpy(&bytes, at, sizeof(bytes));
		return bytes.n > 0;
	case FIELD_TIME:
	case FIELD_U64:
	case FIELD_MS:
		memcpy(&u, at, sizeof(u));
		return u != 0;
	case FIELD_U32:
		memcpy(&v, at, sizeof(v));
		return v != 0;
	case FIELD_BOOL:
		memcpy(&b, at, sizeof(b));
		return b;
	case FIELD_OWN:
		return t->there(f, s);
	case FIELD_IGNORE:
		break;
	}
	return false;
}

/* At most n bytes, not through the middle of a character. */
static struct slice
cut(struct slice s, size_t n)
{
	if (s.n <= n)
		return s;
	while (n > 0 && (s.p[n] & 0xc0) == 0x80)
		n--;
	return slice_of(s.p, n);
}

static void
write_one(const struct fields *t, const struct field *f, struct buf *out,
    const void *s)
{
	const void *at = (const char *)s + f->at;
	struct slice bytes;
	uint64_t u;
	uint32_t v;
	int64_t i;

	mp_put_str(out, slice_of(f->name, f->name_n));
	switch ((enum field_kind)f->kind) {
	case FIELD_TEXT:
	case FIELD_BIN:
	case FIELD_EITHER:
		memcpy(&bytes, at, sizeof(bytes));
		if (f->kind == FIELD_BIN ||
		    (f->kind == FIELD_EITHER && t->either_bin(s)))
			mp_put_bin(out, bytes);
		else
			mp_put_str(out, bytes);
		break;
	case FIELD_NOTE:
		memcpy(&bytes, at, sizeof(bytes));
		mp_put_str(out, cut(bytes, f->max));
		break;
	case FIELD_VALUE:
	case FIELD_MAP:
		memcpy(&bytes, at, sizeof(bytes));
		buf_slice(out, bytes);
		break;
	case FIELD_TIME:
		memcpy(&i, at, sizeof(i));
		mp_put_time(out, i);
		break;
	case FIELD_U64:
	case FIELD_MS:
		memcpy(&u, at, sizeof(u));
		mp_put_uint(out, u);
		break;
	case FIELD_U32:
		memcpy(&v, at, sizeof(v));
		mp_put_uint(out, v);
		break;
	case FIELD_BOOL:
		mp_put_bool(out, true);
		break;
	case FIELD_OWN:
		t->write(f, out, s);
		break;
	case FIELD_IGNORE:
		break;
	}
}

void
fields_write(const struct fields *t, struct buf *out, const void *s, bool head)
{
	uint32_t n = 0;
	size_t mark = mp_open(out);

	for (size_t i = 0; i < t->n; i++) {
		if (!there(t, &t->row[i], s, head))
			continue;
		write_one(t, &t->row[i], out, s);
		n++;
	}
	mp_close_map(out, mark, n);
}

enum err
fields_check(const struct fields *t, const void *s)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->row[i];
		struct slice bytes;

		if (f->max == 0 || f->kind > FIELD_EITHER ||
		    f->kind == FIELD_NOTE)
			continue;
		memcpy(&bytes, (const char *)s + f->at, sizeof(bytes));
		if (bytes.n > f->max)
			return too_long(t, f, bytes.n);
		if (f->kind == FIELD_BIN && bytes.n > 0 && bytes.n != f->max)
			return err_note(ERR_TYPE,
			    "%s: `%s` has %zu bytes, not %u", t->what, f->name,
			    bytes.n, f->max);
	}
	return ERR_OK;
}
