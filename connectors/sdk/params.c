/* params - see params.h. */
#include "connectors/sdk/params.h"

#include "broker/base/mp.h"
#include "broker/base/utf8.h"

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One name or value without its escapes; never longer than what it was. */
static enum err
decode(struct slice s, struct arena *a, struct slice *out)
{
	uint8_t *to = arena_raw(a, s.n + 1);
	size_t n = 0;

	if (to == NULL)
		return err_note(ERR_LIMIT, "parameters are too large");
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int hi = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
			int lo = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return err_note(ERR_SYNTAX,
				    "a %% in the parameters is not followed by "
				    "two hexadecimal digits");
			c = (uint8_t)(hi << 4 | lo);
			i += 2;
		}
		if (c == 0)
			return err_note(
			    ERR_SYNTAX, "a NUL byte in the parameters");
		to[n++] = c;
	}
	to[n] = 0;
	*out = slice_of(to, n);
	if (!utf8_valid(*out))
		return err_note(ERR_SYNTAX, "a parameter is not UTF-8");
	return ERR_OK;
}

static size_t
find(struct slice s, uint8_t c)
{
	const uint8_t *at = memchr(s.p, c, s.n);

	return at != NULL ? (size_t)(at - s.p) : s.n;
}

enum err
params_parse(struct slice text, struct arena *a, struct params *out)
{
	struct slice left = text;
	size_t max = text.n > 0 ? 1 : 0;
	enum err e;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < text.n; i++)
		max += text.p[i] == '&';
	if (max > PARAMS_MAX)
		return err_note(
		    ERR_LIMIT, "more than %d parameters", PARAMS_MAX);
	out->v = arena_alloc(a, (max + 1) * sizeof(*out->v));
	if (out->v == NULL)
		return err_note(ERR_LIMIT, "parameters are too large");
	while (left.n > 0) {
		size_t n = find(left, '&');
		struct slice pair = slice_of(left.p, n);
		size_t eq = find(pair, '=');
		struct param *v = &out->v[out->n];

		left = slice_from(left, n + 1);
		if (pair.n == 0)
			continue;
		e = decode(slice_of(pair.p, eq), a, &v->name);
		if (e == ERR_OK)
			e = decode(slice_from(pair, eq + 1), a, &v->value);
		if (e != ERR_OK)
			return e;
		out->n++;
	}
	params_sort(out);
	return ERR_OK;
}

/* By insertion: the lists are short, mostly sorted, and must stay stable. */
void
params_sort(struct params *p)
{
	p->doubled = false;
	for (size_t i = 1; i < p->n; i++) {
		struct param x = p->v[i];
		size_t at = i;

		while (at > 0 && slice_cmp(p->v[at - 1].name, x.name) > 0) {
			p->v[at] = p->v[at - 1];
			at--;
		}
		p->v[at] = x;
		if (at > 0 && slice_eq(p->v[at - 1].name, x.name))
			p->doubled = true;
	}
}

size_t
params_get(const struct params *p, struct slice name, struct slice *value)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (!slice_eq(p->v[i].name, name))
			continue;
		if (n++ == 0)
			*value = p->v[i].value;
	}
	return n;
}

void
params_put(const struct params *p, struct slice except, struct buf *out)
{
	uint32_t n = 0;
	size_t mark = mp_open(out);

	for (size_t i = 0; i < p->n; i++) {
		if (except.n > 0 && slice_eq(p->v[i].name, except))
			continue;
		if (i > 0 && slice_eq(p->v[i].name, p->v[i - 1].name))
			continue;
		mp_put_str(out, p->v[i].name);
		mp_put_str(out, p->v[i].value);
		n++;
	}
	mp_close_map(out, mark, n);
}

void
params_escape(struct buf *out, struct slice text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
		    c == '_' || c == '~') {
			buf_byte(out, c);
			continue;
		}
		buf_byte(out, '%');
		buf_byte(out, (uint8_t)digits[c >> 4]);
		buf_byte(out, (uint8_t)digits[c & 15]);
	}
}
