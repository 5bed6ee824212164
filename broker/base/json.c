/*
 * json - the reading half of json.h: one pass, no tree, no recursion.
 *
 * The loop keeps two pointers in registers, where it reads and where it
 * writes; everything rare (escapes, texts over 31 bytes, decimals, growing the
 * output) is a call that takes and returns both. A container's head is one byte
 * until its count is known (json_close). A short text costs two 16-byte loads
 * and stores at most: that it is plain ASCII without escapes is found by the
 * same comparison that finds its end.
 */
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "broker/base/json.h"
#include "broker/base/keyset.h"
#include "broker/base/mp.h"
#include "broker/base/utf8.h"

#define TEXT_MAX ((size_t)1 << 30) /* so that places fit 31 bits */

/* An object or array that is not closed yet. */
struct frame {
	uint32_t mark; /* its head byte, from parse.base */
	uint32_t count;
	bool map;
	bool doubled; /* some key has replaced an earlier one */
	struct key_map keys;
};

struct parse {
	const uint8_t *end; /* of the text */
	struct buf *out;
	size_t before;	     /* out->n at the start */
	uint8_t *base;	     /* out->p + before; moves when out grows */
	const uint8_t *full; /* out->p + out->cap */
	const uint8_t *at;   /* what is wrong stands here */
	const char *what;
	enum err why;
	int depth;
	struct frame open[MP_DEPTH];
	struct keyset keys;
};

/* Where it reads (NULL: it failed, see parse.why) and where it writes. */
struct here {
	const uint8_t *p;
	uint8_t *to;
};

static struct here
fail(struct parse *s, const uint8_t *at, enum err why, const char *what)
{
	s->at = at;
	s->why = why;
	s->what = what;
	return (struct here){NULL, NULL};
}

/* Make sure of `need` bytes at h.to, which may move; for the rest see fail. */
static struct here
room(struct parse *s, struct here h, size_t need)
{
	struct buf *b = s->out;

	b->n = (size_t)(h.to - b->p);
	if (buf_room(b, need) == NULL)
		return fail(s, h.p,
		    b->max - b->n < need ? ERR_LIMIT : ERR_NOMEM,
		    b->max - b->n < need ? "the text is too large here"
					 : "out of memory");
	s->base = b->p + s->before;
	s->full = b->p + b->cap;
	h.to = b->p + b->n;
	return h;
}

static inline struct here
want(struct parse *s, struct here h, size_t need)
{
	return (size_t)(s->full - h.to) >= need ? h : room(s, h, need);
}

static uint8_t *
put_be(uint8_t *to, uint64_t v, size_t n)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		to[i] = (uint8_t)v;
	return to + n;
}

static size_t
text_head(size_t n)
{
	return n < 32 ? 1 : n < 256 ? 2 : n < 65536 ? 3 : 5;
}

static void
put_text_head(uint8_t *to, size_t n)
{
	switch (text_head(n)) {
	case 1:
		to[0] = (uint8_t)(0xa0 | n);
		break;
	case 2:
		to[0] = 0xd9;
		to[1] = (uint8_t)n;
		break;
	case 3:
		to[0] = 0xda;
		put_be(to + 1, n, 2);
		break;
	default:
		to[0] = 0xdb;
		put_be(to + 1, n, 4);
		break;
	}
}

/* The first quote, backslash or control character, or the end. *high is set
 * when a byte over 0x7f stands before it. */
static const uint8_t *
scan(const uint8_t *p, const uint8_t *end, bool *high)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
		      low = _mm_set1_epi8(0x1f);

	for (; end - p >= 16; p += 16) {
		const void *from = p;
		__m128i v = _mm_loadu_si128(from);
		__m128i bad =
		    _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote),
				     _mm_cmpeq_epi8(v, slash)),
			_mm_cmpeq_epi8(_mm_min_epu8(v, low), v));
		unsigned hit = (unsigned)_mm_movemask_epi8(bad);
		unsigned top = (unsigned)_mm_movemask_epi8(v);

		if (hit != 0) {
			unsigned n = (unsigned)__builtin_ctz(hit);

			*high |= (top & ((1u << n) - 1)) != 0;
			return p + n;
		}
		*high |= top != 0;
	}
#endif
	for (; p < end && *p != '"' && *p != '\\' && *p >= 0x20; p++)
		*high |= *p >= 0x80;
	return p;
}

/* Four hexadecimal digits; -1 when there are none. */
static int32_t
hex4(const uint8_t *p, const uint8_t *end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		uint8_t c = p[i], d;

		if (c >= '0' && c <= '9')
			d = (uint8_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (uint8_t)((c | 0x20) - 'a' + 10);
		else
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* h.p is at a backslash; the character it stands for goes to h.to, which has
 * room for it: six bytes read write at most three. */
static struct here
escape(struct parse *s, struct here h)
{
	static const uint8_t plain[256] = {['"'] = '"',
	    ['\\'] = '\\',
	    ['/'] = '/',
	    ['b'] = '\b',
	    ['f'] = '\f',
	    ['n'] = '\n',
	    ['r'] = '\r',
	    ['t'] = '\t'};
	const uint8_t *p = h.p;
	int32_t c, low;

	if (s->end - p < 2)
		return fail(s, p, ERR_SYNTAX, "the text ends within a string");
	if (plain[p[1]] != 0) {
		*h.to = plain[p[1]];
		return (struct here){p + 2, h.to + 1};
	}
	if (p[1] != 'u')
		return fail(s, p, ERR_SYNTAX,
		    "an escape that is none of \\\" \\\\ \\/ \\b \\f \\n \\r "
		    "\\t \\u");
	c = hex4(p + 2, s->end);
	if (c < 0)
		return fail(
		    s, p, ERR_SYNTAX, "\\u takes four hexadecimal digits");
	p += 6;
	if (c >= 0xdc00 && c <= 0xdfff)
		return fail(s, h.p, ERR_SYNTAX,
		    "the second half of a \\u pair without its first");
	if (c >= 0xd800 && c <= 0xdbff) {
		low = s->end - p >= 6 && p[0] == '\\' && p[1] == 'u'
			  ? hex4(p + 2, s->end)
			  : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(s, h.p, ERR_SYNTAX,
			    "the first half of a \\u pair without its second");
		p += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	return (struct here){p, h.to + utf8_put(h.to, (uint32_t)c)};
}

/* The closing quote of the string at p, or NULL after fail(). */
static const uint8_t *
string_end(struct parse *s, const uint8_t *p, bool *high, bool *escaped)
{
	for (;;) {
		p = scan(p, s->end, high);
		if (p == s->end) {
			fail(s, p, ERR_SYNTAX, "the text ends within a string");
			return NULL;
		}
		if (*p == '"')
			return p;
		if (*p != '\\') {
			fail(s, p, ERR_SYNTAX,
			    "a control character within a string; write it as "
			    "an escape");
			return NULL;
		}
		*escaped = true;
		p = s->end - p >= 2 ? p + 2 : s->end;
	}
}

/* Any string, h.p behind its opening quote. */
static struct here __attribute__((noinline))
string_any(struct parse *s, struct here h)
{
	bool high = false, escaped = false, ignored = false;
	const uint8_t *stop = string_end(s, h.p, &high, &escaped), *run;
	size_t raw, head, n, ok;
	uint8_t *first;

	if (stop == NULL)
		return (struct here){NULL, NULL};
	raw = (size_t)(stop - h.p);
	if (high && (ok = utf8_span(slice_of(h.p, raw))) < raw)
		return fail(
		    s, h.p + ok, ERR_SYNTAX, "a byte that is not UTF-8");
	h = want(s, h, raw + 5);
	if (h.p == NULL)
		return h;
	first = h.to;
	head = text_head(raw);
	h.to += head;
	if (!escaped) {
		memcpy(h.to, h.p, raw);
		put_text_head(first, raw);
		return (struct here){stop + 1, h.to + raw};
	}
	while (h.p < stop) {
		run = scan(h.p, stop, &ignored);
		memcpy(h.to, h.p, (size_t)(run - h.p));
		h.to += run - h.p;
		h.p = run;
		if (run < stop) {
			h = escape(s, h);
			if (h.p == NULL)
				return h;
		}
	}
	/* Escapes make it shorter: its head may be, too. */
	n = (size_t)(h.to - first) - head;
	if (text_head(n) < head)
		memmove(first + text_head(n), first + head, n);
	put_text_head(first, n);
	return (struct here){stop + 1, first + text_head(n) + n};
}

static inline struct here
string(struct parse *s, struct here h)
{
#ifdef __SSE2__
	if (s->end - h.p >= 32 && s->full - h.to >= 40) {
		/* Signed, a byte over 0x7f is below 0x20 as well. */
		const __m128i low = _mm_set1_epi8(0x20),
			      quote = _mm_set1_epi8('"'),
			      slash = _mm_set1_epi8('\\');

#define STOPS(v)                                                  \
	(unsigned)_mm_movemask_epi8(                              \
	    _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8((v), quote), \
			     _mm_cmpeq_epi8((v), slash)),         \
		_mm_cmplt_epi8((v), low)))
		const void *from = h.p;
		void *to = h.to + 1;
		__m128i v = _mm_loadu_si128(from);
		unsigned hit = STOPS(v), n;

		_mm_storeu_si128(to, v);
		if (hit != 0) {
			n = (unsigned)__builtin_ctz(hit);
		} else {
			from = h.p + 16;
			to = h.to + 17;
			v = _mm_loadu_si128(from);
			hit = STOPS(v);
			_mm_storeu_si128(to, v);
			/* A bit beyond, so that there is one. */
			n = 16 + (unsigned)__builtin_ctz(hit | 0x8000);
		}
#undef STOPS
		if (h.p[n] == '"') {
			*h.to = (uint8_t)(0xa0 | n);
			return (struct here){h.p + n + 1, h.to + n + 1};
		}
	}
#endif
	return string_any(s, h);
}

static uint8_t *
put_uint(uint8_t *to, uint64_t v)
{
	if (v < 0x80) {
		*to = (uint8_t)v;
		return to + 1;
	}
	if (v < 0x100) {
		*to = 0xcc;
		return put_be(to + 1, v, 1);
	}
	if (v < 0x10000) {
		*to = 0xcd;
		return put_be(to + 1, v, 2);
	}
	if (v <= UINT32_MAX) {
		*to = 0xce;
		return put_be(to + 1, v, 4);
	}
	*to = 0xcf;
	return put_be(to + 1, v, 8);
}

static uint8_t *
put_negative(uint8_t *to, int64_t v)
{
	if (v >= -32) {
		*to = (uint8_t)v;
		return to + 1;
	}
	if (v >= INT8_MIN) {
		*to = 0xd0;
		return put_be(to + 1, (uint64_t)v, 1);
	}
	if (v >= INT16_MIN) {
		*to = 0xd1;
		return put_be(to + 1, (uint64_t)v, 2);
	}
	if (v >= INT32_MIN) {
		*to = 0xd2;
		return put_be(to + 1, (uint64_t)v, 4);
	}
	*to = 0xd3;
	return put_be(to + 1, (uint64_t)v, 8);
}

static uint8_t *
put_decimal(uint8_t *to, const uint8_t *p, size_t n)
{
	if (n == 2 || n == 4 || n == 8 || n == 16) {
		*to++ = (uint8_t)(0xd4 + __builtin_ctzll(n));
	} else if (n < 256) {
		*to++ = 0xc7;
		*to++ = (uint8_t)n;
	} else if (n < 65536) {
		*to++ = 0xc8;
		to = put_be(to, n, 2);
	} else {
		*to++ = 0xc9;
		to = put_be(to, n, 4);
	}
	*to++ = MP_EXT_DECIMAL;
	memcpy(to, p, n);
	return to + n;
}

static const uint8_t *
digits(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* An integer's digits as 64 bits; false when they do not fit, or would lose
 * the sign of -0. */
static bool
small_int(const uint8_t *p, const uint8_t *end, bool negative, uint64_t *out)
{
	uint64_t v = 0;

	for (; p < end; p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (negative && (v == 0 || v > (uint64_t)INT64_MAX + 1))
		return false;
	*out = v;
	return true;
}

/* Any number, or what should have been a value. */
static struct here __attribute__((noinline))
number_any(struct parse *s, struct here h)
{
	const uint8_t *p = h.p, *first;
	bool negative = *p == '-', whole = true;
	uint64_t v = 0;

	p += negative;
	first = p;
	p = digits(p, s->end);
	if (p == first)
		return fail(s, h.p, ERR_SYNTAX,
		    negative ? "a digit was expected after -"
			     : "a value was expected");
	if (*first == '0' && p - first > 1)
		return fail(
		    s, h.p, ERR_SYNTAX, "a number does not begin with 0");
	if (p < s->end && *p == '.') {
		whole = false;
		first = ++p;
		p = digits(p, s->end);
		if (p == first)
			return fail(s, p, ERR_SYNTAX,
			    "a digit was expected after the point");
	}
	if (p < s->end && (*p | 0x20) == 'e') {
		whole = false;
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		first = p;
		p = digits(p, s->end);
		if (p == first)
			return fail(
			    s, p, ERR_SYNTAX, "an exponent has no digits");
	}
	whole = whole && small_int(first, p, negative, &v);
	h = want(s, h, whole ? 9 : (size_t)(p - h.p) + 6);
	if (h.p == NULL)
		return h;
	if (!whole)
		h.to = put_decimal(h.to, h.p, (size_t)(p - h.p));
	else if (negative)
		h.to = put_negative(h.to, (int64_t)(0 - v));
	else
		h.to = put_uint(h.to, v);
	return (struct here){p, h.to};
}

static inline struct here
number(struct parse *s, struct here h)
{
	const uint8_t *p = h.p, *first;
	bool negative = *p == '-';
	uint64_t v = 0;

	if (s->end - p >= 24 && s->full - h.to >= 16) {
		p += negative;
		first = p;
		for (; *p >= '0' && *p <= '9' && p - first < 18; p++)
			v = v * 10 + (uint64_t)(*p - '0');
		/* Anything but a plain integer of 1 to 18 digits, without a
		 * leading zero, goes the long way. */
		if (p > first &&
		    (*first != '0' || (p - first == 1 && !negative)) &&
		    *p != '.' && (*p | 0x20) != 'e' && (*p < '0' || *p > '9'))
			return (struct here){
			    p, negative ? put_negative(h.to, -(int64_t)v)
					: put_uint(h.to, v)};
	}
	return number_any(s, h);
}

static struct here
word(struct parse *s, struct here h)
{
	static const struct {
		const char *text;
		size_t n;
		uint8_t code;
	} words[] = {{"null", 4, 0xc0}, {"true", 4, 0xc3}, {"false", 5, 0xc2}};

	for (size_t i = 0; i < 3; i++)
		if ((size_t)(s->end - h.p) >= words[i].n &&
		    memcmp(h.p, words[i].text, words[i].n) == 0) {
			h = want(s, h, 1);
			if (h.p == NULL)
				return h;
			*h.to = words[i].code;
			return (struct here){h.p + words[i].n, h.to + 1};
		}
	return fail(s, h.p, ERR_SYNTAX, "a value was expected");
}

static inline const uint8_t *
space(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p <= ' ' &&
	       (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

static inline struct here
open_one(struct parse *s, struct here h, bool map)
{
	struct frame *f;

	if (s->depth == MP_DEPTH)
		return fail(s, h.p, ERR_LIMIT, "nested deeper than 64 levels");
	h = want(s, h, 1);
	if (h.p == NULL)
		return h;
	f = &s->open[s->depth++];
	f->mark = (uint32_t)(h.to - s->base);
	f->count = 0;
	f->map = map;
	f->doubled = false;
	keyset_open(&s->keys, &f->keys);
	*h.to = 0x80;
	return (struct here){h.p + 1, h.to + 1};
}

/* Take out the pairs whose key came again, moving each kept one once. */
static uint8_t *
drop_doubles(struct parse *s, struct frame *f, uint8_t *to)
{
	uint8_t *dst = s->base + f->mark + 1, *from = dst, *next;
	const struct key_ref *r = s->keys.ref;
	uint32_t n = s->keys.n;

	for (uint32_t i = f->keys.first; i < n; i++, from = next) {
		next = to;
		if (i + 1 < n) {
			size_t len = r[i + 1].n & ~KEYSET_GONE;

			next = s->base + r[i + 1].at - text_head(len);
		}
		if ((r[i].n & KEYSET_GONE) != 0) {
			f->count--;
			continue;
		}
		memmove(dst, from, (size_t)(next - from));
		dst += next - from;
	}
	return dst;
}

/* Write the count of the innermost container into its head. */
static struct here
close_one(struct parse *s, struct here h)
{
	struct frame *f = &s->open[s->depth - 1];
	size_t extra, body;
	uint8_t *p;

	if (f->doubled)
		h.to = drop_doubles(s, f, h.to);
	keyset_close(&s->keys, &f->keys);
	s->depth--;
	if (f->count < 16) {
		s->base[f->mark] =
		    (uint8_t)((f->map ? 0x80 : 0x90) | (uint8_t)f->count);
		return h;
	}
	extra = f->count < 65536 ? 2 : 4;
	h = want(s, h, extra);
	if (h.p == NULL)
		return h;
	p = s->base + f->mark;
	body = (size_t)(h.to - p) - 1;
	memmove(p + 1 + extra, p + 1, body);
	*p = (uint8_t)((f->map ? 0xde : 0xdc) + (extra == 4));
	put_be(p + 1, f->count, extra);
	h.to += extra;
	return h;
}

/* The key that was written at `from` (its head) up to `to`: known already? */
static inline bool
key(struct parse *s, const uint8_t *at, const uint8_t *from, const uint8_t *to)
{
	struct frame *f = &s->open[s->depth - 1];
	uint32_t head = *from < 0xc0	? 1
			: *from == 0xd9 ? 2
			: *from == 0xda ? 3
					: 5;
	uint32_t n = (uint32_t)(to - from) - head, was;

	if (f->count == MP_KEYS) {
		fail(s, at, ERR_LIMIT, "more than 4096 keys in one object");
		return false;
	}
	from += head;
	was = keyset_add(&s->keys, &f->keys, s->base,
	    keyset_tag(from, n, (size_t)(s->full - from)),
	    (uint32_t)(from - s->base), n);
	f->count++;
	if (was == KEYSET_NONE)
		return true;
	if (was == KEYSET_NOMEM) {
		fail(s, at, ERR_NOMEM, "out of memory");
		return false;
	}
	keyset_drop(&s->keys, was);
	f->doubled = true;
	return true;
}

/* A value with all that is in it; h.p stands on its first character. */
static struct here
value(struct parse *s, struct here h)
{
	const uint8_t *at;
	size_t from;

item:
	h.p = space(h.p, s->end);
	if (h.p == s->end)
		return fail(s, h.p, ERR_SYNTAX,
		    "the text ends where a value was expected");
	switch (*h.p) {
	case '"':
		h.p++;
		h = string(s, h);
		break;
	case '{':
	case '[':
		h = open_one(s, h, *h.p == '{');
		if (h.p == NULL)
			return h;
		h.p = space(h.p, s->end);
		if (h.p < s->end &&
		    *h.p == (s->open[s->depth - 1].map ? '}' : ']'))
			goto close;
		if (s->open[s->depth - 1].map)
			goto pair;
		goto item;
	case 'n':
	case 't':
	case 'f':
		h = word(s, h);
		break;
	default:
		h = number(s, h);
		break;
	}
	if (h.p == NULL)
		return h;
after:
	if (s->depth == 0)
		return h;
	h.p = space(h.p, s->end);
	if (h.p == s->end)
		return fail(s, h.p, ERR_SYNTAX,
		    s->open[s->depth - 1].map
			? "the text ends within an object"
			: "the text ends within an array");
	if (!s->open[s->depth - 1].map) {
		s->open[s->depth - 1].count++;
		if (*h.p == ',') {
			h.p++;
			goto item;
		}
		if (*h.p == ']')
			goto close;
		return fail(s, h.p, ERR_SYNTAX, "a comma or ] was expected");
	}
	if (*h.p == '}')
		goto close;
	if (*h.p != ',')
		return fail(s, h.p, ERR_SYNTAX, "a comma or } was expected");
	h.p = space(h.p + 1, s->end);
pair:
	at = h.p;
	if (at == s->end || *at != '"')
		return fail(
		    s, at, ERR_SYNTAX, "a key in double quotes was expected");
	from = (size_t)(h.to - s->base);
	h.p++;
	h = string(s, h);
	if (h.p == NULL || !key(s, at, s->base + from, h.to))
		return (struct here){NULL, NULL};
	h.p = space(h.p, s->end);
	if (h.p == s->end || *h.p != ':')
		return fail(s, h.p, ERR_SYNTAX, "a colon was expected");
	h.p++;
	goto item;
close:
	h.p++;
	h = close_one(s, h);
	if (h.p == NULL)
		return h;
	goto after;
}

static void
locate(struct slice text, const uint8_t *p, struct json_at *at)
{
	at->offset = (size_t)(p - text.p);
	at->line = 1;
	at->column = (uint32_t)at->offset + 1;
	for (size_t i = 0; i < at->offset; i++)
		if (text.p[i] == '\n') {
			at->line++;
			at->column = (uint32_t)(at->offset - i);
		}
}

static enum err
refused(const struct parse *s, struct slice text, struct json_at *at)
{
	struct json_at here;

	locate(text, s->at, &here);
	if (at != NULL)
		*at = here;
	return err_note(
	    s->why, "line %u, column %u: %s", here.line, here.column, s->what);
}

enum err
json_to_mp(struct slice text, struct buf *out, struct json_at *at)
{
	struct parse s;
	struct here h;
	size_t guess = text.n + text.n / 2 + 64;

	if (at != NULL)
		*at = (struct json_at){0, 1, 1};
	if (text.n > TEXT_MAX)
		return err_note(ERR_LIMIT, "%zu bytes of JSON", text.n);
	if (out->bad)
		return buf_check(out);
	if (guess > out->max - out->n)
		guess = out->max - out->n;
	if (buf_room(out, guess) == NULL) {
		out->bad = false;
		return err_note(ERR_NOMEM, "no memory for %zu bytes", guess);
	}
	s.end = text.p + text.n;
	s.out = out;
	s.before = out->n;
	s.base = out->p + out->n;
	s.full = out->p + out->cap;
	s.depth = 0;
	keyset_init(&s.keys);
	h = value(&s, (struct here){text.p, s.base});
	if (h.p != NULL) {
		h.p = space(h.p, s.end);
		if (h.p != s.end)
			h = fail(&s, h.p, ERR_SYNTAX,
			    "the value has ended here, but not the text");
	}
	while (s.depth > 0)
		keyset_close(&s.keys, &s.open[--s.depth].keys);
	keyset_fini(&s.keys);
	if (h.p == NULL) {
		out->n = s.before;
		out->bad = false;
		return refused(&s, text, at);
	}
	out->n = (size_t)(h.to - out->p);
	return ERR_OK;
}
