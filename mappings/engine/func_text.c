/*
 * func_text - text. Letters are those of Latin, Greek and Cyrillic; order and
 * equality are by code point, never by a locale.
 */
#include "broker/base/crypt.h"
#include "broker/base/utf8.h"
#include "mappings/engine/func_impl.h"

/* The character at p and its length; a byte that is none stands for itself. */
static uint32_t
character(const uint8_t *p, const uint8_t *end, size_t *len)
{
	size_t n = utf8_step(p, end);

	*len = n > 0 ? n : 1;
	switch (n) {
	case 2:
		return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
	case 3:
		return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 |
		       (p[2] & 0x3fu);
	case 1:
		return p[0];
	default:
		return 0xffffffff; /* kept as it is */
	}
}

/* Small letters and how far above them their capitals are. */
static const struct {
	uint16_t from, to;
	int16_t by;
} shifts[] = {{'a', 'z', 32}, {0xe0, 0xf6, 32}, {0xf8, 0xfe, 32},
    {0xff, 0xff, -121}, {0x259, 0x259, 202}, {0x3ac, 0x3ac, 38},
    {0x3ad, 0x3af, 37}, {0x3b1, 0x3c1, 32}, {0x3c3, 0x3cb, 32},
    {0x3cc, 0x3cc, 64}, {0x3cd, 0x3ce, 63}, {0x430, 0x44f, 32},
    {0x450, 0x45f, 80}};

/* Letters that stand in pairs, the capital first. */
static const struct {
	uint16_t from, to;
} pairs[] = {{0x100, 0x12f}, {0x132, 0x137}, {0x139, 0x148}, {0x14a, 0x177},
    {0x179, 0x17e}, {0x1a0, 0x1a5}, {0x1af, 0x1b0}, {0x1cd, 0x1dc},
    {0x1de, 0x1ef}, {0x1f4, 0x1f5}, {0x1f8, 0x21f}, {0x222, 0x233},
    {0x246, 0x24f}, {0x460, 0x481}, {0x48a, 0x4bf}, {0x4c1, 0x4ce},
    {0x4d0, 0x52f}, {0x1e00, 0x1e95}, {0x1ea0, 0x1eff}};

/* The pair that c is of: its capital; 0 when it is of none. */
static uint32_t
pair_of(uint32_t c)
{
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (c >= pairs[i].from && c <= pairs[i].to)
			return c - (c - pairs[i].from) % 2;
	return 0;
}

static uint32_t
to_upper(uint32_t c)
{
	size_t i;

	for (i = 0; i < sizeof(shifts) / sizeof(*shifts); i++)
		if (c >= shifts[i].from && c <= shifts[i].to)
			return (uint32_t)((int32_t)c - shifts[i].by);
	if (c == 0x131 || c == 0x17f) /* without a dot; the long s */
		return c == 0x131 ? 'I' : 'S';
	if (c == 0x3c2) /* a sigma at a word's end */
		return 0x3a3;
	return pair_of(c) != 0 ? pair_of(c) : c;
}

static uint32_t
to_lower(uint32_t c)
{
	int32_t low;
	size_t i;

	for (i = 0; i < sizeof(shifts) / sizeof(*shifts); i++) {
		low = (int32_t)c + shifts[i].by;
		if (low >= shifts[i].from && low <= shifts[i].to)
			return (uint32_t)low;
	}
	if (c == 0x130 || c == 0x1e9e) /* I with a dot; the capital sharp s */
		return c == 0x130 ? 'i' : 0xdf;
	return pair_of(c) != 0 ? pair_of(c) + 1 : c;
}

static enum err
fold(struct eval *e, const struct expr *x, uint32_t (*to)(uint32_t),
    struct val *out)
{
	const uint8_t *p, *end;
	uint8_t *start, *q;
	struct slice s;
	uint32_t c, f;
	size_t n;

	TRY(run_text(e, x->args[0].x, &s));
	TRY(run_step(e, x, (uint32_t)(s.n >> 4)));
	start = q = run_alloc(e, s.n * 2 + 4);
	if (q == NULL)
		return fail_scratch(e, x);
	end = s.p + s.n;
	for (p = s.p; p < end; p += n) {
		c = character(p, end, &n);
		f = c == 0xffffffff ? c : to(c);
		if (f == c) {
			memcpy(q, p, n);
			q += n;
		} else {
			q += utf8_put(q, f);
		}
	}
	*out = val_text(slice_of(start, (size_t)(q - start)));
	return ERR_OK;
}

enum err
func_upper(struct eval *e, const struct expr *x, struct val *out)
{
	return fold(e, x, to_upper, out);
}

enum err
func_lower(struct eval *e, const struct expr *x, struct val *out)
{
	return fold(e, x, to_lower, out);
}

/* White space of ASCII, and the space that does not break. */
static struct slice
trimmed(struct slice s)
{
	for (;;) {
		if (s.n > 0 && (s.p[0] == ' ' || (s.p[0] >= 9 && s.p[0] <= 13)))
			s = slice_from(s, 1);
		else if (s.n > 1 && s.p[0] == 0xc2 && s.p[1] == 0xa0)
			s = slice_from(s, 2);
		else if (s.n > 0 &&
			 (s.p[s.n - 1] == ' ' ||
			     (s.p[s.n - 1] >= 9 && s.p[s.n - 1] <= 13)))
			s.n--;
		else if (s.n > 1 && s.p[s.n - 2] == 0xc2 &&
			 s.p[s.n - 1] == 0xa0)
			s.n -= 2;
		else
			return s;
	}
}

enum err
func_trim(struct eval *e, const struct expr *x, struct val *out)
{
	struct slice s;

	TRY(run_text(e, x->args[0].x, &s));
	*out = val_text(trimmed(s));
	return ERR_OK;
}

/* Where `what` next stands in s from `from` on; s.n when nowhere. */
static size_t
find(struct slice s, struct slice what, size_t from)
{
	const uint8_t *p = memmem(s.p + from, s.n - from, what.p, what.n);

	return p != NULL ? (size_t)(p - s.p) : s.n;
}

enum err
func_replace(struct eval *e, const struct expr *x, struct val *out)
{
	struct slice s, what, by;
	size_t at, from, n = 0;
	uint8_t *p;

	TRY(run_text(e, x->args[0].x, &s));
	TRY(run_text(e, x->args[1].x, &what));
	TRY(run_text(e, x->args[2].x, &by));
	*out = val_text(s);
	if (what.n == 0)
		return fail_at(e, x->args[1].x, ERR_RANGE,
		    "there is nothing to be replaced in an empty text");
	for (from = 0; (at = find(s, what, from)) < s.n; from = at + what.n)
		n++;
	TRY(run_step(e, x, (uint32_t)(s.n >> 6) + (uint32_t)n));
	if (n == 0)
		return ERR_OK;
	if (by.n > 0 && n > RUN_SCRATCH / by.n)
		return fail_scratch(e, x);
	p = run_alloc(e, s.n - n * what.n + n * by.n + 1);
	if (p == NULL)
		return fail_scratch(e, x);
	out->p = p;
	for (from = 0;; from = at + what.n) {
		at = find(s, what, from);
		memcpy(p, s.p + from, at - from);
		p += at - from;
		if (at >= s.n)
			break;
		memcpy(p, by.p, by.n);
		p += by.n;
		if (at + what.n >= s.n)
			break;
	}
	out->n = (uint32_t)(p - out->p);
	return ERR_OK;
}

enum err
func_split(struct eval *e, const struct expr *x, struct val *out)
{
	struct vec vec = {0};
	struct slice s, by;
	size_t at, from = 0;

	TRY(run_text(e, x->args[0].x, &s));
	TRY(run_text(e, x->args[1].x, &by));
	if (by.n == 0)
		return fail_at(e, x->args[1].x, ERR_RANGE,
		    "an empty text divides nothing");
	for (;;) {
		at = find(s, by, from);
		TRY(run_step(e, x, 1 + (uint32_t)((at - from) >> 6)));
		TRY(vec_push(
		    e, x, &vec, val_text(slice_of(s.p + from, at - from))));
		if (at >= s.n)
			break;
		from = at + by.n;
	}
	*out = vec_val(&vec);
	return ERR_OK;
}

/* ---- HTML ---- */

static const struct {
	const char *name;
	uint32_t c;
} entities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'},
    {"apos", '\''}, {"nbsp", ' '}, {"auml", 0xe4}, {"Auml", 0xc4},
    {"ouml", 0xf6}, {"Ouml", 0xd6}, {"uuml", 0xfc}, {"Uuml", 0xdc},
    {"aring", 0xe5}, {"Aring", 0xc5}, {"aelig", 0xe6}, {"AElig", 0xc6},
    {"oslash", 0xf8}, {"Oslash", 0xd8}, {"eacute", 0xe9}, {"egrave", 0xe8},
    {"szlig", 0xdf}, {"euro", 0x20ac}, {"pound", 0xa3}, {"deg", 0xb0},
    {"ndash", 0x2013}, {"mdash", 0x2014}, {"hellip", 0x2026}, {"lsquo", 0x2018},
    {"rsquo", 0x2019}, {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"laquo", 0xab},
    {"raquo", 0xbb}, {"copy", 0xa9}, {"reg", 0xae}, {"trade", 0x2122},
    {"times", 0xd7}, {"frac12", 0xbd}};

/* &name; &#123; &#x1f; at s: its character and length, 0 when it is none. */
static size_t
entity(struct slice s, uint32_t *c)
{
	const uint8_t *semi = memchr(s.p, ';', s.n < 12 ? s.n : 12);
	size_t n, i;
	uint32_t v = 0;

	if (semi == NULL || (n = (size_t)(semi - s.p)) < 3)
		return 0;
	if (s.p[1] != '#') {
		struct slice name = slice_of(s.p + 1, n - 1);

		for (i = 0; i < sizeof(entities) / sizeof(*entities); i++)
			if (slice_is(name, entities[i].name)) {
				*c = entities[i].c;
				return n + 1;
			}
		return 0;
	}
	if (s.p[2] == 'x' || s.p[2] == 'X') {
		if (n < 4)
			return 0;
		for (i = 3; i < n; i++) {
			uint8_t d = s.p[i];
			uint8_t l = (uint8_t)(d | 32);

			if (d >= '0' && d <= '9')
				v = v * 16 + (uint32_t)(d - '0');
			else if (l >= 'a' && l <= 'f')
				v = v * 16 + (uint32_t)(l - 'a') + 10;
			else
				return 0;
			if (v > 0x10ffff)
				return 0;
		}
	} else {
		for (i = 2; i < n; i++) {
			if (s.p[i] < '0' || s.p[i] > '9')
				return 0;
			v = v * 10 + (uint32_t)(s.p[i] - '0');
			if (v > 0x10ffff)
				return 0;
		}
	}
	if (v < 32 || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*c = v == 0xa0 ? ' ' : v;
	return n + 1;
}

/* A tag at s ("<b>", "</p>", "<!-- -->"): its length, 0 when it is none. */
static size_t
tag(struct slice s)
{
	const uint8_t *end;

	if (s.n < 3 || (!((s.p[1] | 32) >= 'a' && (s.p[1] | 32) <= 'z') &&
			   s.p[1] != '/' && s.p[1] != '!'))
		return 0;
	end = memchr(s.p, '>', s.n < 4096 ? s.n : 4096);
	return end != NULL ? (size_t)(end - s.p) + 1 : 0;
}

/* Tags that part words: <br>, <p>, <div>, <li>, <td>, their ends too. */
static bool
parts_words(struct slice t)
{
	static const char *const names[] = {
	    "br", "p", "div", "li", "td", "tr", "ul", "ol"};
	size_t i, k, from = t.p[1] == '/' ? 2 : 1, n;

	for (n = from; n < t.n && (t.p[n] | 32) >= 'a' && (t.p[n] | 32) <= 'z';)
		n++;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) != n - from)
			continue;
		for (k = from; k < n; k++)
			if ((t.p[k] | 32) != names[i][k - from])
				break;
		if (k == n)
			return true;
	}
	return false;
}

enum err
func_html(struct eval *e, const struct expr *x, struct val *out)
{
	struct slice s, rest;
	uint8_t *start, *q;
	uint32_t c;
	size_t i, n;

	TRY(run_text(e, x->args[0].x, &s));
	if (memchr(s.p, '<', s.n) == NULL && memchr(s.p, '&', s.n) == NULL) {
		*out = val_text(trimmed(s));
		return ERR_OK;
	}
	TRY(run_step(e, x, (uint32_t)(s.n >> 2)));
	start = q = run_alloc(e, s.n + 1);
	if (q == NULL)
		return fail_scratch(e, x);
	for (i = 0; i < s.n; i += n) {
		rest = slice_of(s.p + i, s.n - i);
		n = 1;
		if (s.p[i] == '<' && (n = tag(rest)) > 0) {
			if (parts_words(slice_of(rest.p, n)) && q > start &&
			    q[-1] != ' ')
				*q++ = ' ';
		} else if (s.p[i] == '&' && (n = entity(rest, &c)) > 0) {
			q += utf8_put(q, c);
		} else {
			*q++ = s.p[i];
			n = 1;
		}
	}
	*out = val_text(trimmed(slice_of(start, (size_t)(q - start))));
	return ERR_OK;
}

/* ---- numbers as text, digests, headers ---- */

enum err
func_text(struct eval *e, const struct expr *x, struct val *out)
{
	struct slice s, mark = SLICE_LIT(".");
	struct dec d, r;
	struct val v;
	int64_t places;
	uint8_t *p;
	size_t i, n = 0;

	TRY(run_need(e, x->args[0].x, &v));
	if (x->n > 1) {
		TRY(run_int(e, x->args[1].x, &places));
		TRY(val_dec(e, x->args[0].x, &v, &d));
		if (places < 0 || places > 9 ||
		    dec_round(d, (int)places, DEC_HALF_UP, &r) != ERR_OK ||
		    dec_cmp(d, r) != 0)
			return fail_at(e, x->args[0].x, ERR_RANGE,
			    "the number does not fit %d decimals; round() it "
			    "first",
			    (int)places);
		TRY(val_of_dec(e, x, r, &v));
	}
	TRY(val_to_text(e, x->args[0].x, &v, &s));
	*out = val_text(s);
	if (x->n < 3)
		return ERR_OK;
	TRY(run_text(e, x->args[2].x, &mark));
	p = run_alloc(e, s.n + mark.n + 1);
	if (p == NULL)
		return fail_scratch(e, x);
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '.') {
			memcpy(p + n, mark.p, mark.n);
			n += mark.n;
		} else {
			p[n++] = s.p[i];
		}
	}
	*out = val_text(slice_of(p, n));
	return ERR_OK;
}

enum err
func_hash(struct eval *e, const struct expr *x, struct val *out)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t sum[32], *p;
	struct slice s;
	struct val v;
	size_t i;

	TRY(run_need(e, x->args[0].x, &v));
	if (v.tag == V_LIST || v.tag == V_REC)
		return fail_at(e, x->args[0].x, ERR_TYPE,
		    "hash() takes text or a part of the input, not what a "
		    "function made");
	if (v.tag == V_RAW)
		s = val_slice(v);
	else
		TRY(val_to_text(e, x->args[0].x, &v, &s));
	TRY(run_step(e, x, (uint32_t)(s.n >> 5)));
	sha256(s, sum);
	p = run_alloc(e, 64);
	if (p == NULL)
		return fail_scratch(e, x);
	for (i = 0; i < 32; i++) {
		p[i * 2] = (uint8_t)hex[sum[i] >> 4];
		p[i * 2 + 1] = (uint8_t)hex[sum[i] & 15];
	}
	*out = val_text(slice_of(p, 64));
	return ERR_OK;
}

/* Names of headers compare without case; the request has them in lower case. */
enum err
func_header(struct eval *e, const struct expr *x, struct val *out)
{
	const struct val *request = &e->vars[e->p->request->id];
	const uint8_t *at, *behind;
	struct slice name;
	uint8_t low[128];
	size_t i;

	TRY(run_text(e, x->args[0].x, &name));
	*out = VAL_ABSENT;
	if (request->tag != V_RAW || name.n > sizeof(low))
		return ERR_OK;
	for (i = 0; i < name.n; i++)
		low[i] = name.p[i] >= 'A' && name.p[i] <= 'Z'
			     ? (uint8_t)(name.p[i] + 32)
			     : name.p[i];
	at = scan_find(
	    request->p, request->p + request->n, SLICE_LIT("headers"), &behind);
	if (at != NULL)
		at = scan_find(at, behind, slice_of(low, name.n), &behind);
	if (at != NULL)
		return val_read(
		    e, x, at, (uint32_t)(behind - at), &type_text, out);
	return ERR_OK;
}
