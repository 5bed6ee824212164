/*
 * mp - see mp.h. Writing is msgpack-c's packers with buf_put behind them;
 * reading looks each first byte up in a table that says how long the item is
 * and how many follow it.
 */
#include "broker/base/keyset.h"
#include "broker/base/mp.h"
#include "broker/base/utf8.h"

/*
 * By first byte: low byte = bytes of the item including this one, high byte =
 * items that follow as its content. 0: a length is written out, or reserved.
 */
#define R4(x) x, x, x, x
#define R16(x) R4(x), R4(x), R4(x), R4(x)
#define UP4(f, n) f(n), f((n) + 1), f((n) + 2), f((n) + 3)
#define UP16(f) UP4(f, 0), UP4(f, 4), UP4(f, 8), UP4(f, 12)
#define MAPHEAD(n) (uint16_t)((n)*2 << 8 | 1)
#define ARRHEAD(n) (uint16_t)((n) << 8 | 1)
#define STRLOW(n) (uint16_t)((n) + 1)
#define STRHIGH(n) (uint16_t)((n) + 17)
static const uint16_t shape[256] = {R16(1), R16(1), R16(1), R16(1), R16(1),
    R16(1), R16(1), R16(1), UP16(MAPHEAD), UP16(ARRHEAD), UP16(STRLOW),
    UP16(STRHIGH),
    /* c0: nil, reserved, false, true; bin; ext */
    1, 0, 1, 1, 0, 0, 0, 0, 0, 0,
    /* ca: floats, uint, int */
    5, 9, 2, 3, 5, 9, 2, 3, 5, 9,
    /* d4: fixext */
    3, 4, 6, 10, 18,
    /* d9: str, array, map with a length */
    0, 0, 0, 0, 0, 0, 0, R16(1), R16(1)};

static uint64_t
load(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static enum err
cut(void)
{
	return err_note(ERR_SYNTAX, "msgpack is cut short");
}

/* Of an item whose length is written out: bytes of its head, and what the
 * length says. 0 for a reserved byte or when the head is cut. */
static size_t
long_head(const uint8_t *p, size_t left, uint64_t *len)
{
	/* From c4: bin, ext, then str, array and map. */
	static const uint8_t width[28] = {
	    1, 2, 4, 1, 2, 4, [21] = 1, 2, 4, 2, 4, 2, 4};
	size_t w = p[0] >= 0xc4 && p[0] < 0xe0 ? width[p[0] - 0xc4] : 0;
	size_t head = 1 + w + (p[0] >= 0xc7 && p[0] <= 0xc9 ? 1 : 0);

	if (w == 0 || left < head)
		return 0;
	*len = load(p + 1, w);
	return head;
}

enum err
mp_skip_rest(struct mp_in *in)
{
	const uint8_t *p = in->p, *end = in->end;
	uint64_t todo = 1, len;
	size_t n;

	while (todo > 0) {
		size_t left = (size_t)(end - p);

		/* Each item takes a byte at least: this also ends a count that
		 * promises more than there is. */
		if (todo > left)
			return cut();
		todo--;
		/* Most items are short texts; that it is one is guessed well,
		 * and then the next item need not wait for the table. */
		if ((*p & 0xe0) == 0xa0) {
			n = 1 + (size_t)(*p & 0x1f);
			if (n > left)
				return cut();
			p += n;
			continue;
		}
		n = shape[*p] & 0xff;
		if (n > 0) {
			if (n > left)
				return cut();
			todo += shape[*p] >> 8;
			p += n;
			continue;
		}
		n = long_head(p, left, &len);
		if (n == 0)
			return *p == 0xc1 ? err_note(ERR_SYNTAX,
						"msgpack holds a reserved byte")
					  : cut();
		if (*p >= 0xdc) {
			todo += *p >= 0xde ? len * 2 : len;
			p += n;
		} else {
			if (len > left - n)
				return cut();
			p += n + len;
		}
	}
	in->p = p;
	return ERR_OK;
}

static enum err
read_time(struct slice d, struct mp *out)
{
	int64_t sec, ns;
	uint64_t v;

	if (d.n == 4) {
		sec = (int64_t)load(d.p, 4);
		v = 0;
	} else if (d.n == 8) {
		v = load(d.p, 8);
		sec = (int64_t)(v & UINT64_C(0x3ffffffff));
		v >>= 34;
	} else if (d.n == 12) {
		v = load(d.p, 4);
		sec = (int64_t)load(d.p + 4, 8);
	} else {
		return err_note(
		    ERR_SYNTAX, "msgpack timestamp of %zu bytes", d.n);
	}
	if (v > 999999999 || __builtin_mul_overflow(sec, 1000000000, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)v, &ns)) {
		/* The first second that has a start below INT64_MIN. */
		if (v > 999999999 || sec != INT64_MIN / 1000000000 - 1 ||
		    (int64_t)v < 1000000000 + INT64_MIN % 1000000000)
			return err_note(
			    ERR_SYNTAX, "msgpack timestamp out of range");
		ns = (sec + 1) * 1000000000 - (1000000000 - (int64_t)v);
	}
	out->type = MP_TIME;
	out->i = ns;
	return ERR_OK;
}

static enum err
read_ext(int8_t type, struct slice d, struct mp *out)
{
	struct mp_in in = mp_in(d);

	out->ext = type;
	if (type == -1)
		return read_time(d, out);
	if (type == MP_EXT_SEALED) {
		if (mp_next(&in, out) != ERR_OK || in.p != in.end ||
		    out->type != MP_INT || out->i < 0 || out->i > UINT32_MAX)
			return err_note(ERR_SYNTAX,
			    "msgpack: a sealed value's place is no number");
		out->type = MP_SEALED;
		out->ext = type;
		return ERR_OK;
	}
	out->type = type == MP_EXT_DECIMAL ? MP_DECIMAL : MP_EXT;
	out->bytes = d;
	return ERR_OK;
}

static void
read_fixed(const uint8_t *p, struct mp *out)
{
	uint64_t v;
	uint32_t v4;
	float f;

	switch (p[0]) {
	case 0xc0:
		out->type = MP_NIL;
		return;
	case 0xc2:
	case 0xc3:
		out->type = MP_BOOL;
		out->b = p[0] == 0xc3;
		return;
	case 0xca:
		out->type = MP_FLOAT;
		v4 = (uint32_t)load(p + 1, 4);
		memcpy(&f, &v4, 4);
		out->f = (double)f;
		return;
	case 0xcb:
		out->type = MP_FLOAT;
		v = load(p + 1, 8);
		memcpy(&out->f, &v, 8);
		return;
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		out->u = load(p + 1, (size_t)1 << (p[0] - 0xcc));
		out->type = out->u > INT64_MAX ? MP_UINT : MP_INT;
		return;
	case 0xd0:
		out->i = (int8_t)p[1];
		break;
	case 0xd1:
		out->i = (int16_t)load(p + 1, 2);
		break;
	case 0xd2:
		out->i = (int32_t)load(p + 1, 4);
		break;
	case 0xd3:
		out->i = (int64_t)load(p + 1, 8);
		break;
	default: /* 00-7f, e0-ff */
		out->i = (int8_t)p[0];
		break;
	}
	out->type = MP_INT;
}

enum err
mp_next_rest(struct mp_in *in, struct mp *out)
{
	const uint8_t *p = in->p;
	size_t left = (size_t)(in->end - p), n;
	uint64_t len;
	enum err e;

	if (left == 0)
		return cut();
	n = shape[*p] & 0xff;
	if (n > 0) {
		if (n > left)
			return cut();
		if (*p >= 0xd4 && *p <= 0xd8) {
			e = read_ext((int8_t)p[1], slice_of(p + 2, n - 2), out);
			if (e != ERR_OK)
				return e;
		} else if (*p >= 0x80 && *p < 0xa0) {
			out->type = *p < 0x90 ? MP_MAP : MP_ARRAY;
			out->count = *p & 15;
		} else if ((*p & 0xe0) == 0xa0) {
			out->type = MP_STR;
			out->bytes = slice_of(p + 1, n - 1);
		} else {
			read_fixed(p, out);
		}
		in->p = p + n;
		return ERR_OK;
	}
	n = long_head(p, left, &len);
	if (n == 0)
		return *p == 0xc1
			   ? err_note(ERR_SYNTAX, "msgpack: reserved byte")
			   : cut();
	if (*p >= 0xdc) {
		out->type = *p >= 0xde ? MP_MAP : MP_ARRAY;
		out->count = (uint32_t)len;
		in->p = p + n;
		return ERR_OK;
	}
	if (len > left - n)
		return cut();
	if (*p >= 0xc7 && *p <= 0xc9) {
		e = read_ext((int8_t)p[n - 1], slice_of(p + n, len), out);
		if (e != ERR_OK)
			return e;
	} else {
		out->type = *p <= 0xc6 ? MP_BIN : MP_STR;
		out->bytes = slice_of(p + n, len);
	}
	in->p = p + n + len;
	return ERR_OK;
}

enum err
mp_value(struct mp_in *in, struct slice *out)
{
	const uint8_t *from = in->p;
	enum err e = mp_skip(in);

	if (e == ERR_OK)
		*out = slice_of(from, (size_t)(in->p - from));
	return e;
}

bool
mp_is_number(struct slice s)
{
	const uint8_t *p = s.p, *end = s.p + s.n, *was;

#define DIGITS                                            \
	for (was = p; p < end && *p >= '0' && *p <= '9';) \
		p++;                                      \
	if (p == was)                                     \
		return false;
	if (p < end && *p == '-')
		p++;
	DIGITS
	if (*was == '0' && p - was > 1)
		return false;
	if (p < end && *p == '.') {
		p++;
		DIGITS
	}
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		DIGITS
	}
#undef DIGITS
	return p == end;
}

/* mp_check: one level of what is open; the lowest holds the value itself. */
struct level {
	uint64_t left; /* items to come; in a map, keys and values */
	bool map;
	struct key_map keys;
};

struct check {
	struct slice all;
	struct level *top;
	struct level open[MP_DEPTH + 1];
	struct keyset keys;
};

/* Is a text plain ASCII? By eight bytes, the last eight twice if need be. */
static inline bool
is_ascii(const uint8_t *p, size_t n, const uint8_t *end)
{
	uint64_t all = 0, w;

	if (n < 8) {
		if (end - p < 8 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
			return false; /* by the long way, then */
		memcpy(&w, p, 8);
		all = w & ((UINT64_C(1) << (8 * n)) - 1);
	} else {
		const uint8_t *last = p + n - 8;

		for (; p < last; p += 8) {
			memcpy(&w, p, 8);
			all |= w;
		}
		memcpy(&w, last, 8);
		all |= w;
	}
	return (all & UINT64_C(0x8080808080808080)) == 0;
}

static enum err
doubled(struct slice key)
{
	return err_note(ERR_SYNTAX, "msgpack: the key %.*s twice",
	    key.n < 80 ? (int)key.n : 80, (const char *)key.p);
}

static inline enum err
check_key(struct check *c, const uint8_t *p, size_t n)
{
	uint32_t at = (uint32_t)(p - c->all.p), was;

	was = keyset_add(&c->keys, &c->top->keys, c->all.p,
	    keyset_tag(p, n, c->all.n - at), at, (uint32_t)n);
	if (was == KEYSET_NONE)
		return ERR_OK;
	if (was == KEYSET_NOMEM)
		return err_note(ERR_NOMEM, "no memory for a map's keys");
	return doubled(slice_of(p, n));
}

static enum err
check_open(struct check *c, const struct mp *m)
{
	struct level *l;

	if (c->top == c->open + MP_DEPTH)
		return err_note(
		    ERR_LIMIT, "nested deeper than %d levels", MP_DEPTH);
	if (m->type == MP_MAP && m->count > MP_KEYS)
		return err_note(
		    ERR_LIMIT, "more than %d keys in one map", MP_KEYS);
	l = ++c->top;
	l->map = m->type == MP_MAP;
	l->left = l->map ? (uint64_t)m->count * 2 : m->count;
	keyset_open(&c->keys, &l->keys);
	return ERR_OK;
}

/* Any item that the loop of check_all does not know at sight. */
static enum err __attribute__((noinline))
check_item(struct check *c, const uint8_t **p, bool key)
{
	struct mp_in in = {*p, c->all.p + c->all.n};
	struct mp m;
	enum err e;

	e = mp_next(&in, &m);
	if (e != ERR_OK)
		return e;
	*p = in.p;
	if (m.type == MP_STR && !utf8_valid(m.bytes))
		return err_note(ERR_SYNTAX, "msgpack: a text is not UTF-8");
	if (m.type == MP_DECIMAL && !mp_is_number(m.bytes))
		return err_note(ERR_SYNTAX, "msgpack: a decimal is no number");
	if (key && m.type != MP_STR)
		return err_note(ERR_SYNTAX, "msgpack: a map key is no text");
	if (key)
		return check_key(c, m.bytes.p, m.bytes.n);
	return m.type == MP_MAP || m.type == MP_ARRAY ? check_open(c, &m)
						      : ERR_OK;
}

static enum err
check_all(struct check *c, const uint8_t **out)
{
	const uint8_t *p = c->all.p, *end = p + c->all.n;
	size_t n;
	enum err e = ERR_OK;
	bool key;

	while (e == ERR_OK) {
		while (c->top->left == 0) {
			if (c->top == c->open) {
				*out = p;
				return ERR_OK;
			}
			keyset_close(&c->keys, &c->top->keys);
			c->top--;
		}
		key = c->top->map && c->top->left % 2 == 0;
		c->top->left--;
		if (p < end && (*p & 0xe0) == 0xa0) {
			n = *p & 0x1f;
			if (n < (size_t)(end - p) && is_ascii(p + 1, n, end)) {
				if (key)
					e = check_key(c, p + 1, n);
				p += 1 + n;
				continue;
			}
		} else if (p < end && *p < 0x80 && !key) {
			p++;
			continue;
		}
		e = check_item(c, &p, key);
	}
	return e;
}

enum err
mp_check(struct slice s)
{
	const uint8_t *p = s.p;
	struct check c;
	enum err e;

	if (s.n > KEYSET_GONE / 2)
		return err_note(ERR_LIMIT, "%zu bytes of msgpack", s.n);
	c.all = s;
	c.top = c.open;
	c.open[0].left = 1;
	c.open[0].map = false;
	keyset_init(&c.keys);
	e = check_all(&c, &p);
	for (; c.top > c.open; c.top--)
		keyset_close(&c.keys, &c.top->keys);
	keyset_fini(&c.keys);
	if (e == ERR_OK && p != s.p + s.n)
		e = err_note(ERR_SYNTAX, "msgpack: %zu bytes behind the value",
		    (size_t)(s.p + s.n - p));
	return e;
}

bool
mp_get(struct slice s, const char *key, struct slice *out)
{
	struct mp_in in = mp_in(s);
	size_t n = strlen(key);
	struct mp m;

	if (mp_next(&in, &m) != ERR_OK || m.type != MP_MAP)
		return false;
	for (uint32_t left = m.count; left > 0; left--) {
		if (mp_next(&in, &m) != ERR_OK)
			return false;
		if (m.type == MP_STR && m.bytes.n == n &&
		    memcmp(m.bytes.p, key, n) == 0)
			return mp_value(&in, out) == ERR_OK;
		if (m.type != MP_STR)
			return false;
		if (mp_skip(&in) != ERR_OK)
			return false;
	}
	return false;
}

static bool
get_typed(struct slice s, const char *key, enum mp_type type, struct mp *m)
{
	struct slice v;
	struct mp_in in;

	if (!mp_get(s, key, &v))
		return false;
	in = mp_in(v);
	return mp_next(&in, m) == ERR_OK && m->type == type;
}

bool
mp_get_str(struct slice s, const char *key, struct slice *out)
{
	struct mp m;

	if (!get_typed(s, key, MP_STR, &m))
		return false;
	*out = m.bytes;
	return true;
}

bool
mp_get_bin(struct slice s, const char *key, struct slice *out)
{
	struct mp m;

	if (!get_typed(s, key, MP_BIN, &m))
		return false;
	*out = m.bytes;
	return true;
}

bool
mp_get_int(struct slice s, const char *key, int64_t *out)
{
	struct mp m;

	if (!get_typed(s, key, MP_INT, &m))
		return false;
	*out = m.i;
	return true;
}

bool
mp_get_bool(struct slice s, const char *key, bool *out)
{
	struct mp m;

	if (!get_typed(s, key, MP_BOOL, &m))
		return false;
	*out = m.b;
	return true;
}

bool
mp_get_time(struct slice s, const char *key, int64_t *out)
{
	struct mp m;

	if (!get_typed(s, key, MP_TIME, &m))
		return false;
	*out = m.i;
	return true;
}
