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
	case MP_STR:
		json_quote(out, m->bytes);
		return ERR_OK;
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

struct writer {
	struct buf *out;
	bool pretty;
	int depth;
	struct frame open[MP_DEPTH];
};

static void
put_line(const struct writer *w)
{
	uint8_t *to = buf_room(w->out, 1 + 2 * (size_t)w->depth);

	if (to == NULL)
		return;
	to[0] = '\n';
	memset(to + 1, ' ', 2 * (size_t)w->depth);
	w->out->n += 1 + 2 * (size_t)w->depth;
}

static enum err
put_open(struct writer *w, const struct mp *m)
{
	bool map = m->type == MP_MAP;

	if (m->count == 0) {
		buf_str(w->out, map ? "{}" : "[]");
		return ERR_OK;
	}
	if (w->depth == MP_DEPTH)
		return err_note(
		    ERR_LIMIT, "nested deeper than %d levels", MP_DEPTH);
	buf_byte(w->out, map ? '{' : '[');
	w->open[w->depth++] =
	    (struct frame){map ? (uint64_t)m->count * 2 : m->count, map};
	if (w->pretty)
		put_line(w);
	return ERR_OK;
}

/* Behind a whole item: a comma, or the ends of what it was the last of. */
static void
put_after(struct writer *w)
{
	struct frame *f;

	while (w->depth > 0) {
		f = &w->open[w->depth - 1];
		if (f->left > 0) {
			buf_byte(w->out, ',');
			if (w->pretty)
				put_line(w);
			return;
		}
		w->depth--;
		if (w->pretty)
			put_line(w);
		buf_byte(w->out, f->map ? '}' : ']');
	}
}

static enum err
put_one(struct writer *w, struct mp_in *in)
{
	struct frame *f = w->depth > 0 ? &w->open[w->depth - 1] : NULL;
	struct mp m;
	enum err e;

	if (f != NULL && f->map) {
		e = mp_next(in, &m);
		if (e != ERR_OK)
			return e;
		if (m.type != MP_STR)
			return err_note(
			    ERR_TYPE, "a key in JSON must be a text");
		json_quote(w->out, m.bytes);
		buf_put(w->out, ": ", w->pretty ? 2 : 1);
		f->left--;
	}
	e = mp_next(in, &m);
	if (e != ERR_OK)
		return e;
	if (f != NULL)
		f->left--;
	if (m.type != MP_MAP && m.type != MP_ARRAY) {
		e = put_scalar(w->out, &m);
	} else {
		e = put_open(w, &m);
		if (m.count > 0)
			return e;
	}
	put_after(w);
	return e;
}

enum err
mp_to_json(struct slice mp, enum json_form form, struct buf *out)
{
	struct mp_in in = mp_in(mp);
	size_t before = out->n;
	struct writer w;
	enum err e;

	w.out = out;
	w.pretty = form == JSON_PRETTY;
	w.depth = 0;
	do
		e = put_one(&w, &in);
	while (e == ERR_OK && w.depth > 0 && !out->bad);
	if (e == ERR_OK)
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
