/* csv - see csv.h. */
#include "connectors/file/csv.h"

#include <stdarg.h>
#include <stdio.h>

#include "broker/base/utf8.h"

#define NUMBER_DIGITS 38

void
csv_init(struct csv *c, const struct csv_options *o, struct slice text)
{
	memset(c, 0, sizeof(*c));
	c->o = *o;
	if (c->o.columns == 0 || c->o.columns > CSV_COLUMNS)
		c->o.columns = CSV_COLUMNS;
	if (c->o.line == 0)
		c->o.line = CSV_LINE;
	c->text = text;
	c->line = 1;
	c->bad_raw = SLICE_EMPTY;
	if (slice_starts(text, SLICE_LIT("\xef\xbb\xbf"))) {
		c->at = 3;
		c->o.encoding = CSV_UTF8;
	}
}

static void PRINTF_LIKE(4, 5)
    say_why(struct csv *c, uint32_t line, size_t column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	c->bad_line = line;
	c->bad_column = (uint32_t)column;
}

/* Bytes of the line end at `at`; 0 when there is none. */
static size_t
line_end(const struct csv *c, size_t at)
{
	const uint8_t *p = c->text.p;

	if (at >= c->text.n || (p[at] != '\n' && p[at] != '\r'))
		return 0;
	return p[at] == '\r' && at + 1 < c->text.n && p[at + 1] == '\n' ? 2 : 1;
}

/* To the beginning of the next line. */
static void
skip_line(struct csv *c)
{
	while (c->at < c->text.n && line_end(c, c->at) == 0)
		c->at++;
	if (c->at < c->text.n) {
		c->at += line_end(c, c->at);
		c->line++;
	}
}

static bool
blank(const struct csv *c, uint8_t ch)
{
	return (ch == ' ' || ch == '\t') && ch != c->o.separator;
}

/* ---- one cell ---- */

static uint32_t
code_1252(uint8_t ch)
{
	static const uint16_t high[32] = {0x20ac, 0, 0x201a, 0x192, 0x201e,
	    0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0,
	    0x17d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	    0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e, 0x178};

	return ch >= 0x80 && ch < 0xa0 ? high[ch - 0x80] : ch;
}

static bool
to_utf8(
    const struct csv *c, struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *to;
	size_t n = 0, high = 0;

	for (size_t i = 0; i < in.n; i++)
		high += in.p[i] >= 0x80;
	if (high == 0) {
		*out = in;
		return true;
	}
	to = arena_alloc(a, in.n + 2 * high);
	if (to == NULL)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		uint32_t u =
		    c->o.encoding == CSV_1252 ? code_1252(in.p[i]) : in.p[i];

		if (u == 0 || (u >= 0x80 && u < 0xa0))
			return false;
		n += utf8_put(to + n, u);
	}
	*out = slice_of(to, n);
	return true;
}

/* Bytes of the blank at p: space, tab, and the no-break ones. */
static size_t
space(const uint8_t *p, size_t n)
{
	if (n > 0 && (*p == ' ' || *p == '\t'))
		return 1;
	if (n > 1 && p[0] == 0xc2 && p[1] == 0xa0)
		return 2;
	if (n > 2 && p[0] == 0xe2 && p[1] == 0x80 &&
	    (p[2] == 0xaf || p[2] == 0x89))
		return 3;
	return 0;
}

static struct slice
trim(struct slice s)
{
	size_t n;

	while ((n = space(s.p, s.n)) > 0)
		s = slice_from(s, n);
	for (;;) {
		if (s.n > 0 && space(s.p + s.n - 1, 1) == 1)
			s.n--;
		else if (s.n > 1 && space(s.p + s.n - 2, 2) == 2)
			s.n -= 2;
		else if (s.n > 2 && space(s.p + s.n - 3, 3) == 3)
			s.n -= 3;
		else
			return s;
	}
}

/* From the file's bytes to text; NULL, or what is wrong with it. */
static const char *
cell_text(struct csv *c, struct slice in, struct arena *a, struct slice *out)
{
	static const char *const words[] = {("it is not UTF-8; if umlauts look "
					     "right elsewhere, its encoding is "
					     "windows-1252"),
	    "a byte that iso-8859-1 does not have; it may be windows-1252",
	    "a byte that windows-1252 does not have; it may be UTF-8"};
	struct slice s = in;

	if (c->o.encoding == CSV_UTF8 ? !utf8_valid(in)
				      : !to_utf8(c, in, a, &s))
		return words[c->o.encoding];
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < ' ' && s.p[i] != '\t' && s.p[i] != '\n' &&
			s.p[i] != '\r') ||
		    s.p[i] == 0x7f)
			return "a control character";
	*out = trim(s);
	return NULL;
}

/* Behind the opening quote: to behind the closing one. false: none. */
static bool
quoted(struct csv *c, struct arena *a, struct slice *out)
{
	const uint8_t *p = c->text.p;
	size_t from = c->at, doubled = 0, n = 0;
	uint8_t *to;

	for (; c->at < c->text.n; c->at++) {
		size_t end = line_end(c, c->at);

		if (p[c->at] == c->o.quote) {
			if (c->at + 1 >= c->text.n ||
			    p[c->at + 1] != c->o.quote)
				break;
			doubled++;
			c->at++;
		} else if (end > 0) {
			c->line++;
			c->at += end - 1;
		}
		if (c->at - from > c->o.line)
			return false;
	}
	if (c->at >= c->text.n)
		return false;
	*out = slice_of(p + from, c->at - from);
	c->at++;
	if (doubled == 0)
		return true;
	to = arena_alloc(a, out->n);
	if (to == NULL)
		return false;
	for (size_t i = 0; i < out->n; i++) {
		to[n++] = out->p[i];
		if (out->p[i] == c->o.quote)
			i++;
	}
	*out = slice_of(to, n);
	return true;
}

static void
plain(struct csv *c, struct slice *out)
{
	size_t from = c->at;

	while (c->at < c->text.n && c->text.p[c->at] != c->o.separator &&
	       line_end(c, c->at) == 0)
		c->at++;
	*out = slice_of(c->text.p + from, c->at - from);
}

/* ---- one row ---- */

/* The cells of the row at c->at, up to its line end. */
static enum csv_got
cells(struct csv *c, struct arena *a, struct csv_row *r)
{
	const size_t start = c->at;

	for (;;) {
		uint32_t line = c->line;
		const char *why;
		struct slice raw;
		size_t at = c->at;

		if (r->n == c->o.columns) {
			say_why(
			    c, line, 0, "more than %zu columns", c->o.columns);
			return CSV_BAD;
		}
		while (at < c->text.n && blank(c, c->text.p[at]))
			at++;
		if (c->o.quote != 0 && at < c->text.n &&
		    c->text.p[at] == c->o.quote) {
			c->at = at + 1;
			if (!quoted(c, a, &raw)) {
				say_why(c, line, r->n + 1,
				    "a quoted cell begins here and does not "
				    "end%s",
				    c->at < c->text.n ? " within the longest "
							"row there may be"
						      : "");
				return CSV_BROKEN;
			}
			while (c->at < c->text.n && blank(c, c->text.p[c->at]))
				c->at++;
			if (c->at < c->text.n && line_end(c, c->at) == 0 &&
			    c->text.p[c->at] != c->o.separator) {
				say_why(c, c->line, r->n + 1,
				    "text behind the closing quote; a quote "
				    "inside a quoted cell is written twice");
				return CSV_BAD;
			}
		} else {
			plain(c, &raw);
		}
		if (c->at - start > c->o.line) {
			say_why(c, line, r->n + 1,
			    "a row of more than %zu bytes", c->o.line);
			return CSV_BAD;
		}
		why = cell_text(c, raw, a, &c->cells[r->n]);
		if (why != NULL) {
			say_why(c, line, r->n + 1, "%s", why);
			return CSV_BAD;
		}
		r->n++;
		if (c->at >= c->text.n || line_end(c, c->at) > 0)
			return CSV_ROW;
		c->at++; /* the separator */
	}
}

static bool
empty(const struct csv_row *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->cells[i].n > 0)
			return false;
	return true;
}

enum csv_got
csv_next(struct csv *c, struct arena *a, struct csv_row *out)
{
	if (c->at == 0 && (slice_starts(c->text, SLICE_LIT("\xff\xfe")) ||
			      slice_starts(c->text, SLICE_LIT("\xfe\xff")))) {
		say_why(c, 1, 0, "it is UTF-16; save it as CSV in UTF-8");
		*out = (struct csv_row){
		    .raw = c->text, .line = 1, .cells = c->cells};
		c->at = c->text.n;
		return CSV_BROKEN;
	}
	while (c->at < c->text.n) {
		size_t from = c->at;
		enum csv_got got;

		*out = (struct csv_row){.line = c->line, .cells = c->cells};
		got = cells(c, a, out);
		/* to the next line, also behind a row that is fine */
		if (got == CSV_BROKEN)
			c->at = c->text.n;
		else
			skip_line(c);
		out->raw = slice_of(c->text.p + from, c->at - from);
		c->bad_raw = out->raw;
		if (got != CSV_ROW || !empty(out))
			return got;
	}
	return CSV_END;
}

/* ---- numbers ---- */

bool
csv_number(struct slice s, uint8_t decimal, uint8_t thousands, struct buf *out)
{
	char digits[NUMBER_DIGITS + 4];
	size_t i = 0, n = 0, group = 0, groups = 0, whole, skip = 0;
	bool minus = false;

	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
		minus = s.p[0] == '-';
		i = 1;
	}
	for (; i < s.n; i++) {
		size_t gap = thousands == ' ' ? space(s.p + i, s.n - i)
					      : s.p[i] == thousands;

		if (s.p[i] >= '0' && s.p[i] <= '9') {
			if (n >= NUMBER_DIGITS)
				return false;
			digits[n++] = (char)s.p[i];
			group++;
			continue;
		}
		if (thousands == 0 || gap == 0)
			break;
		if (group == 0 || group > 3 || (groups > 0 && group != 3))
			return false;
		groups++;
		group = 0;
		i += gap - 1;
	}
	if (groups > 0 && group != 3)
		return false;
	whole = n;
	if (i < s.n) {
		if (s.p[i] != decimal)
			return false;
		for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
			if (n >= NUMBER_DIGITS)
				return false;
			digits[n++] = (char)s.p[i];
		}
		if (i < s.n || n == whole)
			return false;
	}
	if (n == 0)
		return false;
	while (skip + 1 < whole && digits[skip] == '0')
		skip++;
	if (minus)
		buf_byte(out, '-');
	if (whole == 0)
		buf_byte(out, '0');
	buf_put(out, digits + skip, whole - skip);
	if (n > whole) {
		buf_byte(out, '.');
		buf_put(out, digits + whole, n - whole);
	}
	return buf_check(out) == ERR_OK;
}
