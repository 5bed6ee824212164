/*
 * date - the parts of zone.h that read no zone file: civil dates by arithmetic,
 * times as text and from text. The calendar is the proleptic Gregorian one;
 * years are counted from March so that the leap day is the last of them.
 */
#include "broker/base/clock.h"
#include "broker/base/zone.h"

int64_t
date_days(int32_t year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t in_era = y - era * 400;
	int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 +
	       in_year + day - 1 - 719468;
}

void
date_civil(int64_t days, int32_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t d = z - era * 146097;
	int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	int64_t in_year = d - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * in_year + 2) / 153;

	*day = (unsigned)(in_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = (int32_t)(y + era * 400 + (*month <= 2));
}

static char *
put_digits(char *to, unsigned v, int n)
{
	for (int i = n; i-- > 0; v /= 10)
		to[i] = (char)('0' + v % 10);
	return to + n;
}

void
time_put_iso(struct buf *out, int64_t ns)
{
	int64_t sec = ns / NS_PER_SEC, rest = ns % NS_PER_SEC, days;
	char text[40], *p = text;
	unsigned month, day, s;
	int32_t year;

	if (rest < 0) {
		rest += NS_PER_SEC;
		sec--;
	}
	days = sec / 86400 - (sec % 86400 < 0);
	s = (unsigned)(sec - days * 86400);
	date_civil(days, &year, &month, &day);
	/* int64 nanoseconds reach from 1677 to 2262. */
	p = put_digits(p, (unsigned)year, 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	p = put_digits(p, day, 2);
	*p++ = 'T';
	p = put_digits(p, s / 3600, 2);
	*p++ = ':';
	p = put_digits(p, s / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, s % 60, 2);
	if (rest != 0) {
		unsigned n = (unsigned)rest;

		*p++ = '.';
		if (n % 1000000 == 0)
			p = put_digits(p, n / 1000000, 3);
		else if (n % 1000 == 0)
			p = put_digits(p, n / 1000, 6);
		else
			p = put_digits(p, n, 9);
	}
	*p++ = 'Z';
	buf_put(out, text, (size_t)(p - text));
}

enum err
civil_seconds(const struct civil *c, int64_t *out)
{
	static const uint8_t days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap =
	    c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);

	if (c->month < 1 || c->month > 12 || c->day < 1 ||
	    c->day > days[c->month - 1] + (c->month == 2 && leap))
		return err_note(ERR_RANGE, "there is no day %04d-%02u-%02u",
		    c->year, c->month, c->day);
	if (c->hour > 23 || c->minute > 59 || c->second > 60 ||
	    c->ns > 999999999)
		return err_note(ERR_RANGE, "there is no time %02u:%02u:%02u",
		    c->hour, c->minute, c->second);
	*out = date_days(c->year, c->month, c->day) * 86400 + c->hour * 3600 +
	       c->minute * 60 + c->second;
	return ERR_OK;
}

enum err
time_from_seconds(int64_t sec, uint32_t ns, int64_t *out)
{
	int64_t v;

	if (__builtin_mul_overflow(sec, NS_PER_SEC, &v) ||
	    __builtin_add_overflow(v, (int64_t)ns, &v))
		return err_note(ERR_RANGE, "a time before 1677 or after 2262");
	*out = v;
	return ERR_OK;
}

/* Exactly n digits. */
static bool
take(struct slice *s, size_t n, unsigned *out)
{
	unsigned v = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s->p[i] - '0');
	}
	*s = slice_from(*s, n);
	*out = v;
	return true;
}

static bool
take_char(struct slice *s, char c)
{
	if (s->n == 0 || s->p[0] != (uint8_t)c)
		return false;
	*s = slice_from(*s, 1);
	return true;
}

static bool
take_date(struct slice *s, struct civil *c)
{
	unsigned y, m, d;

	if (!take(s, 4, &y) || !take_char(s, '-') || !take(s, 2, &m) ||
	    !take_char(s, '-') || !take(s, 2, &d))
		return false;
	c->year = (int32_t)y;
	c->month = (uint8_t)m;
	c->day = (uint8_t)d;
	return true;
}

/* HH:mm[:ss[.fraction]] */
static bool
take_clock(struct slice *s, struct civil *c)
{
	unsigned h, m, sec = 0, digit, ns = 0, n = 0;

	if (!take(s, 2, &h) || !take_char(s, ':') || !take(s, 2, &m))
		return false;
	if (take_char(s, ':')) {
		if (!take(s, 2, &sec))
			return false;
		if (take_char(s, '.') || take_char(s, ',')) {
			for (; n < 9 && take(s, 1, &digit); n++)
				ns = ns * 10 + digit;
			if (n == 0)
				return false;
			for (; n < 9; n++)
				ns *= 10;
		}
	}
	c->hour = (uint8_t)h;
	c->minute = (uint8_t)m;
	c->second = (uint8_t)sec;
	c->ns = ns;
	return true;
}

/* Z, +02, +0200 or +02:00; *there says whether there was one. */
static bool
take_offset(struct slice *s, bool *there, int32_t *out)
{
	unsigned h, m = 0;
	bool west;

	*there = false;
	if (s->n == 0)
		return true;
	*there = true;
	*out = 0;
	if (take_char(s, 'Z') || take_char(s, 'z'))
		return true;
	west = s->p[0] == '-';
	if (!take_char(s, '+') && !take_char(s, '-'))
		return false;
	if (!take(s, 2, &h))
		return false;
	if (s->n > 0) {
		take_char(s, ':');
		if (!take(s, 2, &m))
			return false;
	}
	if (h > 23 || m > 59)
		return false;
	*out = (int32_t)(h * 3600 + m * 60) * (west ? -1 : 1);
	return true;
}

static enum err
no_time(struct slice text, const char *like)
{
	return err_note(ERR_SYNTAX, "\"%.*s\" is no time such as %s",
	    text.n < 60 ? (int)text.n : 60, (const char *)text.p, like);
}

enum err
time_parse(struct slice text, const struct zone *z, int64_t *out, bool *zoned)
{
	static const char like[] = "2026-03-01T10:00:00Z";
	struct civil c = {0};
	struct slice s = text;
	int64_t sec;
	enum err e;

	if (!take_date(&s, &c))
		return no_time(text, like);
	if (take_char(&s, 'T') || take_char(&s, ' ') || take_char(&s, 't')) {
		if (!take_clock(&s, &c))
			return no_time(text, like);
	}
	if (!take_offset(&s, zoned, &c.offset) || s.n > 0)
		return no_time(text, like);
	if (*zoned) {
		e = civil_seconds(&c, &sec);
		if (e != ERR_OK)
			return e;
		return time_from_seconds(sec - c.offset, c.ns, out);
	}
	if (z == NULL)
		return err_note(ERR_MISSING,
		    "\"%.*s\" names no zone, and none was given",
		    SLICE_ARG(text));
	return zone_instant(z, &c, out);
}

/* The next run of one letter in a pattern that stands for a field, or one
 * literal character. */
static bool
field(struct slice *pattern, char *letter, size_t *n)
{
	*letter = (char)pattern->p[0];
	*n = 1;
	if (strchr("yMdHmsS", *letter) == NULL || *letter == '\0') {
		*pattern = slice_from(*pattern, 1);
		return false;
	}
	while (*n < pattern->n && pattern->p[*n] == (uint8_t)*letter)
		++*n;
	*pattern = slice_from(*pattern, *n);
	return true;
}

static enum err
check_field(char letter, size_t n)
{
	if (n == (letter == 'y' ? 4u : letter == 'S' ? 3u : 2u))
		return ERR_OK;
	return err_note(ERR_CONFIG,
	    "a time pattern has %zu times %c; it knows yyyy MM dd HH mm ss SSS",
	    n, letter);
}

enum err
time_parse_pattern(
    struct slice text, struct slice pattern, const struct zone *z, int64_t *out)
{
	struct civil c = {.year = -1, .month = 1, .day = 1};
	struct slice s = text, rest = pattern;
	unsigned v;
	char letter;
	size_t n;
	enum err e;

	while (rest.n > 0) {
		if (!field(&rest, &letter, &n)) {
			if (!take_char(&s, letter))
				goto differs;
			continue;
		}
		e = check_field(letter, n);
		if (e != ERR_OK)
			return e;
		if (!take(&s, n, &v))
			goto differs;
		switch (letter) {
		case 'y':
			c.year = (int32_t)v;
			break;
		case 'M':
			c.month = (uint8_t)v;
			break;
		case 'd':
			c.day = (uint8_t)v;
			break;
		case 'H':
			c.hour = (uint8_t)v;
			break;
		case 'm':
			c.minute = (uint8_t)v;
			break;
		case 's':
			c.second = (uint8_t)v;
			break;
		default:
			c.ns = v * 1000000;
			break;
		}
	}
	if (c.year < 0)
		return err_note(ERR_CONFIG, "a time pattern without yyyy");
	if (s.n == 0)
		return zone_instant(z, &c, out);
differs:
	return err_note(ERR_SYNTAX, "\"%.*s\" is not of the form %.*s",
	    text.n < 60 ? (int)text.n : 60, (const char *)text.p,
	    SLICE_ARG(pattern));
}

enum err
time_put(
    struct buf *out, int64_t ns, struct slice pattern, const struct zone *z)
{
	size_t before = out->n, n;
	struct civil c;
	char text[8], letter;
	unsigned v;
	enum err e;

	zone_civil(z, ns, &c);
	while (pattern.n > 0) {
		if (!field(&pattern, &letter, &n)) {
			buf_byte(out, (uint8_t)letter);
			continue;
		}
		e = check_field(letter, n);
		if (e != ERR_OK) {
			out->n = before;
			return e;
		}
		v = letter == 'y'   ? (unsigned)c.year
		    : letter == 'M' ? c.month
		    : letter == 'd' ? c.day
		    : letter == 'H' ? c.hour
		    : letter == 'm' ? c.minute
		    : letter == 's' ? c.second
				    : c.ns / 1000000;
		put_digits(text, v, (int)n);
		buf_put(out, text, n);
	}
	return buf_check(out);
}
