/*
 * mp - msgpack as this program uses it.
 *
 * Writing goes through msgpack-c's packers into a buf, always in the shortest
 * form, so equal values are equal bytes (digests rest on it). Reading is our
 * own cursor: bounded, without copies or a tree, because mappings touch a few
 * fields of a message and must pay for no more.
 *
 * Ext types: -1 timestamp (msgpack spec), MP_EXT_DECIMAL (68) a number as its
 * ASCII text exactly as the source wrote it ("79.90", "1E5"),
 * MP_EXT_SEALED (69) the place of a sealed value: a msgpack uint, its position
 * in the event's `sealed` list.
 */
#ifndef VAYLA_BASE_MP_H
#define VAYLA_BASE_MP_H

#include "broker/base/buf.h"

#define MP_EXT_DECIMAL 68
#define MP_EXT_SEALED 69
#define MP_DEPTH 64  /* containers within containers, at the most */
#define MP_KEYS 4096 /* keys in one map, at the most (mp_check) */

enum mp_type {
	MP_NIL,
	MP_BOOL,
	MP_INT,	  /* fits int64 */
	MP_UINT,  /* only above INT64_MAX */
	MP_FLOAT, /* float32/64; refused by everything that handles money */
	MP_STR,
	MP_BIN,
	MP_ARRAY,
	MP_MAP,
	MP_DECIMAL, /* bytes = ASCII digits */
	MP_TIME,    /* i = ns since the epoch */
	MP_SEALED,  /* u = position */
	MP_EXT	    /* any other ext: ext = its type, bytes = its data */
};

struct mp {
	enum mp_type type;
	int8_t ext;
	union {
		bool b;
		int64_t i;
		uint64_t u;
		double f;
		uint32_t count;	    /* ARRAY items, MAP pairs */
		struct slice bytes; /* STR BIN DECIMAL EXT */
	};
};

/* Where a reader stands; [p, end) is what is left. */
struct mp_in {
	const uint8_t *p, *end;
};

static inline struct mp_in
mp_in(struct slice s)
{
	return (struct mp_in){s.p, s.p + s.n};
}

/* mp_next for everything that its inline part leaves alone. */
enum err mp_next_rest(struct mp_in *in, struct mp *out) MUST_CHECK;

/* Read one item. For a container only its head: its items follow. Cut short,
 * reserved byte or timestamp out of range: ERR_SYNTAX, and `in` has not moved.
 * Inline for what messages are made of: short texts, small containers and
 * small numbers. */
MUST_CHECK static inline enum err
mp_next(struct mp_in *in, struct mp *out)
{
	const uint8_t *p = in->p;
	size_t left = (size_t)(in->end - p), n;

	if (left == 0)
		return mp_next_rest(in, out);
	if ((*p & 0xe0) == 0xa0) {
		n = *p & 0x1f;
		if (n >= left)
			return mp_next_rest(in, out);
		out->type = MP_STR;
		out->bytes = (struct slice){p + 1, n};
		in->p = p + 1 + n;
	} else if (*p < 0x80) {
		out->type = MP_INT;
		out->i = *p;
		in->p = p + 1;
	} else if (*p < 0xa0) {
		out->type = *p < 0x90 ? MP_MAP : MP_ARRAY;
		out->count = *p & 0x0f;
		in->p = p + 1;
	} else {
		return mp_next_rest(in, out);
	}
	return ERR_OK;
}

/* mp_skip for everything that its inline part leaves alone. */
enum err mp_skip_rest(struct mp_in *in) MUST_CHECK;

/* Step over one whole value, however deep: it counts what is still to come
 * instead of recursing. `in` has not moved when ERR_SYNTAX. */
MUST_CHECK static inline enum err
mp_skip(struct mp_in *in)
{
	size_t left = (size_t)(in->end - in->p), n;

	if (left > 0 && (*in->p & 0xe0) == 0xa0) {
		n = 1 + (size_t)(*in->p & 0x1f);
		if (n <= left) {
			in->p += n;
			return ERR_OK;
		}
	} else if (left > 0 && *in->p < 0x80) {
		in->p++;
		return ERR_OK;
	}
	return mp_skip_rest(in);
}

/* One whole value as bytes, stepping over it. */
enum err mp_value(struct mp_in *in, struct slice *out) MUST_CHECK;

/* Is this exactly one well-formed value: depth, key counts, UTF-8 in str,
 * text keys without doubles, decimals that
 * are numbers, no bytes behind it? For what a peer sent. */
enum err mp_check(struct slice s) MUST_CHECK;

/* Is this a number as JSON writes one? What MP_EXT_DECIMAL must hold. */
bool mp_is_number(struct slice s);

/* The value at a text key of the map `s`; false when s is no map or has no
 * such key. *out is the value's bytes. `s` should have passed mp_check: bytes
 * that have not are read safely, but may say false. */
bool mp_get(struct slice s, const char *key, struct slice *out);

/* mp_get, then read: false also when the type is another. mp_get_str accepts
 * STR; _int MP_INT; _bool BOOL; _time TIME; _bin BIN. */
bool mp_get_str(struct slice s, const char *key, struct slice *out);
bool mp_get_bin(struct slice s, const char *key, struct slice *out);
bool mp_get_int(struct slice s, const char *key, int64_t *out);
bool mp_get_bool(struct slice s, const char *key, bool *out);
bool mp_get_time(struct slice s, const char *key, int64_t *out);

void mp_put_nil(struct buf *b);
void mp_put_bool(struct buf *b, bool v);
void mp_put_int(struct buf *b, int64_t v);
void mp_put_uint(struct buf *b, uint64_t v);
void mp_put_str(struct buf *b, struct slice s);
void mp_put_cstr(struct buf *b, const char *s);
void mp_put_bin(struct buf *b, struct slice s);
void mp_put_array(struct buf *b, uint32_t count);
void mp_put_map(struct buf *b, uint32_t pairs);
void mp_put_time(struct buf *b, int64_t ns);
void mp_put_decimal(struct buf *b, struct slice digits);
void mp_put_sealed(struct buf *b, uint32_t place);

/*
 * A container whose count is known only at the end: mp_open_*() returns a mark,
 * mp_close_*() writes the count in the shortest form (moving what was written
 * in between when it has to).
 */
size_t mp_open(struct buf *b);
void mp_close_array(struct buf *b, size_t mark, uint32_t count);
void mp_close_map(struct buf *b, size_t mark, uint32_t pairs);

#endif
