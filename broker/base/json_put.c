/*
 * json_put - the writing half of json.h: msgpack to JSON text, without
 * recursion. What needs no escape is copied by the run.
 */
#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "broker/base/crypt.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "broker/base/utf8.h"
#include "broker/base/zone.h"

/* The first byte that JSON does not take as it stands, or that is not ASCII;
 * or the end. */
static const uint8_t *
scan(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
	const __m128i low = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'),
		      slash = _mm_set1_epi8('\\');

	for (; end - p >= 16; p += 16) {
		const void *from = p;
		__m128i v = _mm_loadu_si128(from);
		unsigned hit = (unsigned)_mm_movemask_epi8(
		    _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote),
				     _mm_cmpeq_epi8(v, slash)),
			_mm_cmplt_epi8(v, low)));

		if (hit != 0)
			return p + __builtin_ctz(hit);
	}
#endif
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

static void
put_escape(struct buf *out, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letter[32] = {['\b'] = 'b',
	    ['\f'] = 'f',
	    ['\n'] = 'n',
	    ['\r'] = 'r',
	    ['\t'] = 't'};
	char text[6] = "\\u00";

	if (c >= 0x20 || letter[c] != 0) {
		text[1] = c >= 0x20 ? (char)c : letter[c];
		buf_put(out, text, 2);
		return;
	}
	text[4] = hex[c >> 4];
	text[5] = hex[c & 15];
	buf_put(out, text, 6);
}

/* The rest of a text from its first byte that is not plain. */
static void __attribute__((noinline))
quote_rest(struct buf *out, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *run = p;
	size_t n;

	while (p < end) {
		p = scan(p, end);
		if (p == end)
			break;
		n = utf8_step(p, end);
		if (*p >= 0x80 && n > 0) {
			p += n;
			continue;
		}
		buf_put(out, run, (size_t)(p - run));
		if (*p >= 0x80)
			buf_put(out, "\xef\xbf\xbd", 3);
		else
			put_escape(out, *p);
		run = ++p;
	}
	buf_put(out, run, (size_t)(p - run));
}

void
json_quote(struct buf *out, struct slice text)
{
	const uint8_t *end = text.p + text.n, *p = scan(text.p, end);
	size_t plain = (size_t)(p - text.p);
	uint8_t *to = buf_room(out, plain + 2);

	if (to == NULL)
		return;
	*to = '"';
	memcpy(to + 1, text.p, plain);
	if (p == end) {
		to[plain + 1] = '"';
		out->n += plain + 2;
		return;
	}
	out->n += plain + 1;
	quote_rest(out, p, end);
	buf_byte(out, '"');
}

static void
put_u64(struct buf *out, bool negative, uint64_t v)
{
	char text[24], *p = text + sizeof(text);

	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	if (negative)
		*--p = '-';
	buf_put(out, p, (size_t)(text + sizeof(text) - p));
}

/* The fewest digits that read back as the same double. */
static enum err
put_float(struct buf *out, double f)
{
	char text[40];
	double back;

	if (f - f != 0)
		return err_note(
		    ERR_TYPE, "JSON has no infinity and no not-a-number");
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, f);
		if (sscanf(text, "%lf", &back) == 1 &&
		    memcmp(&back, &f, sizeof(f)) == 0)
			break;
	}
	buf_str(out, text);
	return ERR_OK;
}

static enum err
put_scalar(struct buf *out, const struct mp *m)
{
	switch (m->type) {
	case MP_NIL:
		buf_put(out, "null", 4);
		return ERR_OK;
	case MP_BOOL:
		buf_str(out, m->b ? "true" : "false");
		return ERR_OK;
	case MP_INT:
		put_u64(out, m->i < 0,
		    m->i < 0 ? 0 - (uint64_t)m->i : (uint64_t)m->i);
		return ERR_OK;
	case MP_UINT:
		put_u64(out, false, m->u);
		return ERR_OK;
	case MP_FLOAT:
		return put_float(out, m->f);
	case MP_BIN:
		buf_byte(out, '"');
		base64_put(out, m->bytes);
		buf_byte(out, '"');
		return ERR_OK;
	case MP_DECIMAL:
		if (!mp_is_number(m->bytes))
			return err_note(
			    ERR_SYNTAX, "a decimal in msgpack is no number");
		buf_slice(out, m->bytes);
		return ERR_OK;
	case MP_TIME:
		buf_byte(out, '"');
		time_put_iso(out, m->i);
		buf_byte(out, '"');
		return ERR_OK;
	case MP_SEALED:
		buf_str(out, "\"(sealed)\"");
		return ERR_OK;
	default:
		return err_note(ERR_TYPE,
		    "msgpack extension %d has no form in JSON", m->ext);
	}
}

/* One open container while writing. */
struct frame {
	uint64_t left; /* items to come; in a map, keys and values */
	bool map;
};

/*
 * Writing goes through `to`, which out->n does not know of until writer_sync();
 * want() makes sure of room before each item.
 */
struct writer {
	struct buf *out;
	uint8_t *to;
	const uint8_t *full; /* out->p + out->cap */
	const uint8_t *end;  /* of what is read */
	bool pretty;
	int depth;
	struct frame open[MP_DEPTH];
};

static void
writer_sync(struct writer *w)
{
	w->out->n = (size_t)(w->to - w->out->p);
}

static void
writer_load(struct writer *w)
{
	w->to = w->out->p + w->out->n;
	w->full = w->out->p + w->out->cap;
}

static bool __attribute__((noinline)) grow(struct writer *w, size_t need)
{
	uint8_t *to;

	writer_sync(w);
	to = buf_room(w->out, need);
	writer_load(w);
	return to != NULL;
}

static inline bool
want(struct writer *w, size_t need)
{
	return (size_t)(w->full - w->to) >= need || grow(w, need);
}

/* A text that is more than plain ASCII, or near the end of either buffer. */
static void __attribute__((noinline))
put_text_any(struct writer *w, struct slice s)
{
	writer_sync(w);
	json_quote(w->out, s);
	writer_load(w);
}

static inline void
put_text(struct writer *w, struct slice s)
{
#ifdef __SSE2__
	const __m128i low = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'),
		      slash = _mm_set1_epi8('\\');
	const uint8_t *p = s.p, *end = s.p + s.n;
	uint8_t *to = w->to;

	/* Whole blocks are read and written, so 16 bytes more on both sides. */
	if (w->end - end < 16 || (size_t)(w->full - to) < s.n + 18) {
		put_text_any(w, s);
		return;
	}
	*to++ = '"';
	for (;; p += 16, to += 16) {
		const void *from = p;
		void *dst = to;
		__m128i v = _mm_loadu_si128(from);
		unsigned hit = (unsigned)_mm_movemask_epi8(
		    _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote),
				     _mm_cmpeq_epi8(v, slash)),
			_mm_cmplt_epi8(v, low)));

		if (end - p < 16)
			hit &= (1u << (end - p)) - 1;
		if (hit != 0) {
			put_text_any(w, s);
			return;
		}
		_mm_storeu_si128(dst, v);
		if (end - p < 16)
			break;
	}
	to += end - p;
	*to = '"';
	w->to = to + 1;
#else
	put_text_any(w, s);
#endif
}

static void
put_line(struct writer *w)
{
	*w->to = '\n';
	memset(w->to + 1, ' ', 2 * (size_t)w->depth);
	w->to += 1 + 2 * w->depth;
}

static enum err
put_open(struct writer *w, const struct mp *m)
{
	bool map = m->type == MP_MAP;

	if (m->count == 0) {
		*w->to++ = map ? '{' : '[';
		*w->to++ = map ? '}' : ']';
		return ERR_OK;
	}
	if (w->depth == MP_DEPTH)
		return err_note(
		    ERR_LIMIT, "nested deeper than %d levels", MP_DEPTH);
	*w->to++ = map ? '{' : '[';
	w->open[w->depth++] =
	    (struct frame){map ? (uint64_t)m->count * 2 : m->count, map};
	if (w->pretty)
		put_line(w);
	return ERR_OK;
}

/* Any value that is no container and no plain text. */
static enum err __attribute__((noinline))
put_rest(struct writer *w, const struct mp *m)
{
	enum err e;

	writer_sync(w);
	e = put_scalar(w->out, m);
	writer_load(w);
	return e;
}

/* Behind a whole item: a comma, or the ends of what it was the last of. Every
 * level closed takes a line at the most. */
static inline bool
put_after(struct writer *w)
{
	struct frame *f;

	while (w->depth > 0) {
		if (!want(w, 4 + 2 * MP_DEPTH))
			return false;
		f = &w->open[w->depth - 1];
		if (f->left > 0) {
			*w->to++ = ',';
			if (w->pretty)
				put_line(w);
			return true;
		}
		w->depth--;
		if (w->pretty)
			put_line(w);
		*w->to++ = f->map ? '}' : ']';
	}
	return true;
}

static inline enum err
put_key(struct writer *w, struct mp_in *in)
{
	struct mp m;
	enum err e = mp_next(in, &m);

	if (e != ERR_OK)
		return e;
	if (m.type != MP_STR)
		return err_note(ERR_TYPE, "a key in JSON must be a text");
	put_text(w, m.bytes);
	if (!want(w, 2))
		return ERR_LIMIT;
	*w->to++ = ':';
	if (w->pretty)
		*w->to++ = ' ';
	return ERR_OK;
}

static enum err
put_all(struct writer *w, struct mp_in *in)
{
	struct frame *f;
	enum err e;
	struct mp m;

	do {
		f = w->depth > 0 ? &w->open[w->depth - 1] : NULL;
		if (f != NULL && f->map) {
			f->left--;
			e = put_key(w, in);
			if (e != ERR_OK)
				return e;
		}
		if (f != NULL)
			f->left--;
		e = mp_next(in, &m);
		if (e != ERR_OK)
			return e;
		if (m.type == MP_STR) {
			put_text(w, m.bytes);
		} else if (m.type == MP_MAP || m.type == MP_ARRAY) {
			if (!want(w, 4 + 2 * MP_DEPTH))
				return ERR_LIMIT;
			e = put_open(w, &m);
			if (e != ERR_OK)
				return e;
			if (m.count > 0)
				continue;
		} else {
			e = put_rest(w, &m);
			if (e != ERR_OK)
				return e;
		}
		if (!put_after(w))
			return ERR_LIMIT;
	} while (w->depth > 0);
	return ERR_OK;
}

enum err
mp_to_json(struct slice mp, enum json_form form, struct buf *out)
{
	struct mp_in in = mp_in(mp);
	size_t before = out->n, guess = mp.n + mp.n / 2 + 64;
	struct writer w;
	enum err e;

	if (out->bad)
		return buf_check(out);
	if (guess <= out->max - out->n)
		(void)buf_room(out, guess);
	w.out = out;
	w.end = in.end;
	w.pretty = form == JSON_PRETTY;
	w.depth = 0;
	writer_load(&w);
	e = put_all(&w, &in);
	writer_sync(&w);
	if (out->bad)
		e = buf_check(out);
	if (e == ERR_OK && in.p != in.end)
		e = err_note(ERR_SYNTAX, "msgpack: %zu bytes behind the value",
		    (size_t)(in.end - in.p));
	if (e != ERR_OK) {
		out->n = before;
		out->bad = false;
	}
	return e;
}
