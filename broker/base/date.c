/*
 * date - the parts of zone.h that need no zone: civil dates by arithmetic, and
 * times as ISO text. The calendar is the proleptic Gregorian one; years are
 * counted from March so that the leap day is the last of them.
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
