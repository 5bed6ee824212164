/*
 * value - 16-byte values: from msgpack as a schema's type says, as numbers, as
 * text, and compared. A number keeps its digits: 3.00 stays 3.00.
 */
#include "mappings/engine/run.h"

const char *
val_name(const struct val *v)
{
	uint32_t n;

	switch ((enum tag)v->tag) {
	case V_ABSENT:
		return v->scale == WHY_NULL    ? "null"
		       : v->scale == WHY_BLANK ? "blank"
					       : "missing";
	case V_NULL:
		return "null";
	case V_BOOL:
		return "true or false";
	case V_INT:
		return "a whole number";
	case V_DEC:
	case V_WIDE:
		return "a decimal";
	case V_TEXT:
		return "text";
	case V_TIME:
		return "a time";
	case V_DATE:
		return "a date";
	case V_REC:
		return "a map";
	case V_LIST:
		return "a list";
	case V_RAW:
		if (scan_map(v->p, v->p + v->n, &n) != NULL)
			return "a map";
		if (scan_array(v->p, v->p + v->n, &n) != NULL)
			return "a list";
		return "binary";
	}
	return "unknown";
}

/* ---- numbers ---- */

/* The usual text of a number: [-]d[.d], at most 18 digits. */
static bool
parse_simple(const uint8_t *p, size_t n, struct val *out)
{
	const uint8_t *first, *end = p + n, *point = NULL;
	bool minus = n > 0 && *p == '-';
	uint64_t c = 0;

	p += minus;
	first = p;
	if (p == end || end - p > 19)
		return false;
	/* 007 is no number; 0.7 is */
	if (p[0] == '0' && end - p > 1 && p[1] != '.')
		return false;
	for (; p < end; p++) {
		unsigned d = *p - (unsigned)'0';

		if (d <= 9)
			c = c * 10 + d;
		else if (*p == '.' && point == NULL && p > first)
			point = p;
		else
			return false;
	}
	if (end - first - (point != NULL) > 18 || point == end - 1 ||
	    (minus && c == 0))
		return false;
	out->tag = V_DEC;
	out->scale = (uint8_t)(point != NULL ? end - point - 1 : 0);
	out->n = 0;
	out->i = minus ? -(int64_t)c : (int64_t)c;
	return true;
}

bool
val_parse(struct slice s, struct val *out)
{
	struct dec d;

	if (parse_simple(s.p, s.n, out))
		return true;
	/* what remains are exponents, -0 and very long numbers */
	if (dec_parse(s, &d) != ERR_OK || d.c > INT64_MAX || d.c < INT64_MIN)
		return false;
	*out = (struct val){.tag = V_DEC, .scale = d.scale, .i = (int64_t)d.c};
	return true;
}

enum err
val_dec(
    struct eval *e, const struct expr *x, const struct val *v, struct dec *out)
{
	switch ((enum tag)v->tag) {
	case V_INT:
		*out = dec_int(v->i);
		return ERR_OK;
	case V_DEC:
		*out = (struct dec){v->i, v->scale};
		return ERR_OK;
	case V_WIDE:
		*out = *v->wide;
		return ERR_OK;
	case V_ABSENT:
		return fail_absent(e, x, v);
	case V_TEXT:
		return fail_at(e, x, ERR_TYPE,
		    "a number is wanted, and this is the text '%.*s'; "
		    "decimal(..) reads one",
		    (int)(v->n < 40 ? v->n : 40), (const char *)v->p);
	default:
		return fail_at(e, x, ERR_TYPE,
		    "a number is wanted, and this is %s", val_name(v));
	}
}

enum err
val_of_dec(struct eval *e, const struct expr *x, struct dec d, struct val *out)
{
	struct dec *wide;

	if (d.c <= INT64_MAX && d.c >= INT64_MIN) {
		*out = (struct val){
		    .tag = V_DEC, .scale = d.scale, .i = (int64_t)d.c};
		return ERR_OK;
	}
	wide = run_alloc(e, sizeof(*wide));
	if (wide == NULL)
		return fail_scratch(e, x);
	*wide = d;
	*out = (struct val){.tag = V_WIDE, .wide = wide};
	return ERR_OK;
}

/* ---- reading msgpack ---- */

static uint64_t
load(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static enum err
bad_type(struct eval *e, const struct expr *x, const struct val *v,
    const struct type *t)
{
	if (v->tag == V_TEXT)
		return fail_at(e, x, ERR_TYPE,
		    "%s is wanted, and this is the text '%.*s'",
		    type_name(t->kind), (int)(v->n < 40 ? v->n : 40),
		    (const char *)v->p);
	return fail_at(e, x, ERR_TYPE, "%s is wanted, and this is %s",
	    type_name(t->kind), val_name(v));
}

static enum err
read_date(struct eval *e, const struct expr *x, const struct val *v,
    const struct type *t, struct val *out)
{
	int64_t y = 0, m = 0, d = 0, days;
	int32_t cy;
	unsigned cm, cd;
	size_t i;

	if (v->tag != V_TEXT || v->n != 10 || v->p[4] != '-' || v->p[7] != '-')
		return bad_type(e, x, v, t);
	for (i = 0; i < 10; i++) {
		int64_t c = v->p[i] - '0';

		if (i == 4 || i == 7)
			continue;
		if (c < 0 || c > 9)
			return bad_type(e, x, v, t);
		if (i < 4)
			y = y * 10 + c;
		else if (i < 7)
			m = m * 10 + c;
		else
			d = d * 10 + c;
	}
	if (m < 1 || m > 12 || d < 1 || d > 31)
		return bad_type(e, x, v, t);
	days = date_days((int32_t)y, (unsigned)m, (unsigned)d);
	date_civil(days, &cy, &cm, &cd);
	if (cm != (unsigned)m || cd != (unsigned)d)
		return bad_type(e, x, v, t);
	*out = (struct val){.tag = V_DATE, .i = days};
	return ERR_OK;
}

static enum err
read_time(struct eval *e, const struct expr *x, const struct val *v,
    const struct type *t, struct val *out)
{
	int64_t ns;
	bool zoned;
	enum err err;

	if (v->tag != V_TEXT)
		return bad_type(e, x, v, t);
	err = time_parse(val_slice(*v), t->zone, &ns, &zoned);
	if (err == ERR_MISSING)
		return fail_at(e, x, ERR_TYPE,
		    "the time '%.*s' names no zone; say which: time(x, "
		    "'Europe/Helsinki'), or zone: in the schema",
		    (int)(v->n < 40 ? v->n : 40), (const char *)v->p);
	if (err != ERR_OK)
		return bad_type(e, x, v, t);
	*out = (struct val){.tag = V_TIME, .i = ns};
	return ERR_OK;
}

/* A number's digits as text. */
static enum err
digits(
    struct eval *e, const struct expr *x, const struct val *v, struct val *out)
{
	struct slice s;

	TRY(val_to_text(e, x, v, &s));
	*out = val_text(s);
	return ERR_OK;
}

/* A word that the source's schema has never seen: what it means, nobody has
 * said, so nothing is made of it. */
static enum err
known_word(struct eval *e, const struct expr *x, const struct val *v,
    const struct type *t)
{
	size_t i;

	for (i = 0; i < t->enum_n; i++)
		if (slice_eq(t->enums[i], val_slice(*v)))
			return ERR_OK;
	return fail_at(e, x, ERR_TYPE,
	    "'%.*s' is none of the values that the schema lists for it; add "
	    "it there once it is known what it means",
	    (int)(v->n < 60 ? v->n : 60), (const char *)v->p);
}

static enum err
coerce(
    struct eval *e, const struct expr *x, const struct type *t, struct val *v)
{
	struct dec d;
	struct val num;
	int64_t i;
	uint32_t n;

	if (v->tag == V_TEXT && v->n == 0 && t->blank) {
		*v = (struct val){.tag = V_ABSENT, .scale = WHY_BLANK};
		return ERR_OK;
	}
	switch (t->kind) {
	case K_ANY:
	case K_NULL:
		return ERR_OK;
	case K_TEXT:
		if (val_is_number(v) || v->tag == V_TIME)
			TRY(digits(e, x, v, v));
		if (v->tag != V_TEXT)
			return bad_type(e, x, v, t);
		return t->enum_n == 0 ? ERR_OK : known_word(e, x, v, t);
	case K_DEC:
		if (val_is_number(v))
			return ERR_OK;
		if (v->tag == V_TEXT && val_parse(val_slice(*v), &num)) {
			*v = num;
			return ERR_OK;
		}
		return bad_type(e, x, v, t);
	case K_INT:
		if (v->tag == V_INT)
			return ERR_OK;
		num = *v;
		if (v->tag == V_TEXT && !val_parse(val_slice(*v), &num))
			return bad_type(e, x, v, t);
		if (!val_is_number(&num) || val_dec(e, x, &num, &d) != ERR_OK ||
		    !dec_is_int(d, &i))
			return bad_type(e, x, v, t);
		*v = val_int(i);
		return ERR_OK;
	case K_BOOL:
		return v->tag == V_BOOL ? ERR_OK : bad_type(e, x, v, t);
	case K_TIME:
		return v->tag == V_TIME ? ERR_OK : read_time(e, x, v, t, v);
	case K_DATE:
		return v->tag == V_DATE ? ERR_OK : read_date(e, x, v, t, v);
	case K_MAP:
		if (v->tag == V_REC ||
		    (v->tag == V_RAW &&
			(v->p[0] == 0x90 ||
			    scan_map(v->p, v->p + v->n, &n) != NULL)))
			return ERR_OK;
		return bad_type(e, x, v, t);
	case K_LIST:
		if (v->tag == V_LIST ||
		    (v->tag == V_RAW &&
			scan_array(v->p, v->p + v->n, &n) != NULL))
			return ERR_OK;
		return bad_type(e, x, v, t);
	}
	return ERR_OK;
}

/* Ext types and the odd ones. */
static enum err
read_rare(struct eval *e, const struct expr *x, const uint8_t *p, uint32_t n,
    const struct type *t, struct val *out)
{
	struct mp_in in = mp_in(slice_of(p, n));
	struct mp m;

	if (mp_next(&in, &m) != ERR_OK)
		return fail_at(e, x, ERR_SYNTAX, "malformed msgpack");
	switch (m.type) {
	case MP_TIME:
		*out = (struct val){.tag = V_TIME, .i = m.i};
		return ERR_OK;
	case MP_DECIMAL:
		if (t->kind == K_TEXT || !val_parse(m.bytes, out))
			*out = val_text(m.bytes);
		if (t->kind != K_TEXT && out->tag == V_TEXT) {
			struct dec d;

			if (dec_parse(m.bytes, &d) != ERR_OK)
				return fail_at(e, x, ERR_RANGE,
				    "the number %.*s is too long",
				    (int)(m.bytes.n < 60 ? m.bytes.n : 60),
				    (const char *)m.bytes.p);
			return val_of_dec(e, x, d, out);
		}
		return ERR_OK;
	case MP_INT: /* written as uint64 */
		*out = val_int(m.i);
		return ERR_OK;
	case MP_UINT:
		return val_of_dec(e, x, (struct dec){(__int128)m.u, 0}, out);
	case MP_FLOAT:
		return fail_at(e, x, ERR_TYPE,
		    "a binary fraction (float) stands here; numbers are sent "
		    "as digits");
	case MP_SEALED:
		return fail_at(e, x, ERR_ERASED, "this value is sealed");
	default:
		*out = (struct val){.tag = V_RAW, .n = n, .p = p};
		return ERR_OK;
	}
}

enum err
val_read(struct eval *e, const struct expr *x, const uint8_t *p, uint32_t n,
    const struct type *t, struct val *out)
{
	uint8_t c = *p;

	if ((c & 0xe0) == 0xa0) {
		*out = (struct val){.tag = V_TEXT, .n = c & 31u, .p = p + 1};
		if (t->kind == K_TEXT && c != 0xa0 && t->enum_n == 0)
			return ERR_OK;
		if (t->kind == K_DEC && parse_simple(p + 1, c & 31u, out))
			return ERR_OK;
	} else if (c < 0x80) {
		*out = val_int(c);
	} else if (c >= 0xe0) {
		*out = val_int((int8_t)c);
	} else if (c == 0xc0) {
		*out = (struct val){.tag = V_ABSENT, .scale = WHY_NULL};
		return ERR_OK;
	} else if (c == 0xc2 || c == 0xc3) {
		*out = val_bool(c == 0xc3);
	} else if (c < 0xa0 || (c >= 0xdc && c <= 0xdf)) {
		*out = (struct val){.tag = V_RAW, .n = n, .p = p};
	} else if (c >= 0xd9 && c <= 0xdb) {
		uint32_t head = c == 0xd9 ? 2 : c == 0xda ? 3 : 5;

		*out =
		    (struct val){.tag = V_TEXT, .n = n - head, .p = p + head};
	} else if (c >= 0xcc && c <= 0xce) {
		*out = val_int((int64_t)load(p + 1, 1u << (c - 0xcc)));
	} else if (c == 0xd0) {
		*out = val_int((int8_t)p[1]);
	} else if (c == 0xd1) {
		*out = val_int((int16_t)load(p + 1, 2));
	} else if (c == 0xd2) {
		*out = val_int((int32_t)load(p + 1, 4));
	} else if (c == 0xd3) {
		*out = val_int((int64_t)load(p + 1, 8));
	} else {
		TRY(read_rare(e, x, p, n, t, out));
	}
	return coerce(e, x, t, out);
}

/* ---- text ---- */

static struct slice
int_text(uint8_t *end, int64_t i)
{
	uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
	uint8_t *p = end;

	do
		*--p = (uint8_t)('0' + u % 10);
	while ((u /= 10) > 0);
	if (i < 0)
		*--p = '-';
	return slice_of(p, (size_t)(end - p));
}

enum err
val_to_text(struct eval *e, const struct expr *x, const struct val *v,
    struct slice *out)
{
	char digits_text[DEC_TEXT];
	int32_t y;
	unsigned m, day;
	uint8_t *p;
	struct dec d;

	switch ((enum tag)v->tag) {
	case V_TEXT:
		*out = val_slice(*v);
		return ERR_OK;
	case V_INT:
		p = run_alloc(e, 24);
		if (p == NULL)
			return fail_scratch(e, x);
		*out = int_text(p + 24, v->i);
		return ERR_OK;
	case V_DEC:
	case V_WIDE:
		TRY(val_dec(e, x, v, &d));
		*out = slice_of(digits_text, dec_text(d, digits_text));
		break;
	case V_BOOL:
		*out = v->i != 0 ? SLICE_LIT("true") : SLICE_LIT("false");
		return ERR_OK;
	case V_TIME:
		buf_reset(&e->tmp);
		time_put_iso(&e->tmp, v->i);
		*out = buf_all(&e->tmp);
		break;
	case V_DATE:
		date_civil(v->i, &y, &m, &day);
		buf_reset(&e->tmp);
		buf_printf(&e->tmp, "%04d-%02u-%02u", (int)y, m, day);
		*out = buf_all(&e->tmp);
		break;
	case V_ABSENT:
		return fail_absent(e, x, v);
	default:
		return fail_at(e, x, ERR_TYPE, "text is wanted, and this is %s",
		    val_name(v));
	}
	p = run_alloc(e, out->n + 1);
	if (p == NULL)
		return fail_scratch(e, x);
	memcpy(p, out->p, out->n);
	*out = slice_of(p, out->n);
	return ERR_OK;
}

void
val_show(const struct val *v, struct buf *out)
{
	char text[DEC_TEXT];
	int32_t y;
	unsigned m, d;

	switch ((enum tag)v->tag) {
	case V_TEXT:
		buf_printf(out, "'%.*s'%s", (int)(v->n < 60 ? v->n : 60),
		    (const char *)v->p, v->n < 60 ? "" : "..");
		return;
	case V_INT:
		buf_printf(out, "%lld", (long long)v->i);
		return;
	case V_DEC:
		dec_text((struct dec){v->i, v->scale}, text);
		buf_str(out, text);
		return;
	case V_WIDE:
		dec_text(*v->wide, text);
		buf_str(out, text);
		return;
	case V_BOOL:
		buf_str(out, v->i != 0 ? "true" : "false");
		return;
	case V_TIME:
		time_put_iso(out, v->i);
		return;
	case V_DATE:
		date_civil(v->i, &y, &m, &d);
		buf_printf(out, "%04d-%02u-%02u", (int)y, m, d);
		return;
	default:
		buf_str(out, val_name(v));
	}
}

/* ---- order ---- */

enum err
val_compare(struct eval *e, const struct expr *x, const struct val *a,
    const struct val *b, int *out)
{
	struct dec da, db;

	if (a->tag == V_TEXT && b->tag == V_TEXT) {
		*out = slice_cmp(val_slice(*a), val_slice(*b));
		return ERR_OK;
	}
	if (val_is_number(a) && val_is_number(b)) {
		if (a->tag != V_WIDE && b->tag != V_WIDE &&
		    (a->tag == V_INT ? 0 : a->scale) ==
			(b->tag == V_INT ? 0 : b->scale)) {
			*out = (a->i > b->i) - (a->i < b->i);
			return ERR_OK;
		}
		TRY(val_dec(e, x, a, &da));
		TRY(val_dec(e, x, b, &db));
		*out = dec_cmp(da, db);
		return ERR_OK;
	}
	if (a->tag == b->tag &&
	    (a->tag == V_BOOL || a->tag == V_TIME || a->tag == V_DATE)) {
		*out = (a->i > b->i) - (a->i < b->i);
		return ERR_OK;
	}
	return fail_at(e, x, ERR_TYPE, "%s and %s do not compare%s",
	    val_name(a), val_name(b),
	    (a->tag == V_TEXT && val_is_number(b)) ||
		    (b->tag == V_TEXT && val_is_number(a))
		? "; a text's number is decimal(..), a number's text \"{..}\""
		: "");
}
