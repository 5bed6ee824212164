/*
 * zone_test - zone.h: both edges of daylight-saving time both ways, zones of
 * the southern half, of half hours and of no rule, times far beyond the table;
 * and TZif files made here that lie about themselves.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/zone.h"
#include "tests/unit/t.h"

static const struct zone *
zone(const char *name)
{
	const struct zone *z = NULL;

	CHECK_OK(zone_get(slice_str(name), &z));
	return z;
}

/* A text with or without a zone, as ISO text in UTC. */
static const char *
utc(const char *text, const char *in)
{
	static struct buf b;
	bool zoned;
	int64_t ns;
	enum err e;

	if (b.max == 0)
		buf_init(&b, 4096);
	buf_reset(&b);
	e = time_parse(
	    slice_str(text), in != NULL ? zone(in) : NULL, &ns, &zoned);
	if (e != ERR_OK)
		return err_name(e);
	time_put_iso(&b, ns);
	return buf_cstr(&b);
}

/* An instant as local time with its offset in minutes. */
static const char *
local(const char *text, const char *in)
{
	static char out[80];
	struct civil c;
	bool zoned;
	int64_t ns;

	CHECK_OK(time_parse(slice_str(text), NULL, &ns, &zoned));
	zone_civil(zone(in), ns, &c);
	snprintf(out, sizeof(out), "%04d-%02u-%02u %02u:%02u:%02u %+d", c.year,
	    c.month, c.day, c.hour, c.minute, c.second, c.offset / 60);
	return out;
}

T(helsinki)
{
	static const char hel[] = "Europe/Helsinki";

	/* 2026-03-29: 03:00 becomes 04:00. */
	CHECK_STR(
	    local("2026-03-29T00:59:59Z", hel), "2026-03-29 02:59:59 +120");
	CHECK_STR(
	    local("2026-03-29T01:00:00Z", hel), "2026-03-29 04:00:00 +180");
	CHECK_STR(utc("2026-03-29T02:59:59", hel), "2026-03-29T00:59:59Z");
	CHECK_STR(utc("2026-03-29T03:00:00", hel), "2026-03-29T01:00:00Z");
	CHECK_STR(utc("2026-03-29T03:30:00", hel), "2026-03-29T01:30:00Z");
	CHECK_STR(utc("2026-03-29T04:00:00", hel), "2026-03-29T01:00:00Z");
	/* 2026-10-25: 04:00 becomes 03:00; the earlier instant is taken. */
	CHECK_STR(
	    local("2026-10-25T00:59:59Z", hel), "2026-10-25 03:59:59 +180");
	CHECK_STR(
	    local("2026-10-25T01:00:00Z", hel), "2026-10-25 03:00:00 +120");
	CHECK_STR(utc("2026-10-25T02:59:59", hel), "2026-10-24T23:59:59Z");
	CHECK_STR(utc("2026-10-25T03:00:00", hel), "2026-10-25T00:00:00Z");
	CHECK_STR(utc("2026-10-25T03:59:59", hel), "2026-10-25T00:59:59Z");
	CHECK_STR(utc("2026-10-25T04:00:00", hel), "2026-10-25T02:00:00Z");
	/* The same by the rule behind the table. */
	CHECK_STR(
	    local("2090-07-01T12:00:00Z", hel), "2090-07-01 15:00:00 +180");
	CHECK_STR(
	    local("2090-12-01T12:00:00Z", hel), "2090-12-01 14:00:00 +120");
	CHECK_STR(utc("2090-03-26T03:30:00", hel), "2090-03-26T01:30:00Z");
	CHECK_STR(utc("2090-10-29T03:30:00", hel), "2090-10-29T00:30:00Z");
	/* Before 1921 a time of its own: +1:39:49. */
	CHECK_STR(utc("1900-01-01T00:00:00", hel), "1899-12-31T22:20:11Z");
	CHECK_STR(utc("2026-06-01", hel), "2026-05-31T21:00:00Z");
}

T(other_zones)
{
	CHECK_STR(
	    local("2026-01-01T00:00:00Z", "UTC"), "2026-01-01 00:00:00 +0");
	CHECK_STR(local("2026-01-01T00:00:00Z", "Asia/Kolkata"),
	    "2026-01-01 05:30:00 +330");
	CHECK_STR(local("2026-01-01T00:00:00Z", "Australia/Sydney"),
	    "2026-01-01 11:00:00 +660");
	CHECK_STR(local("2060-01-01T00:00:00Z", "Australia/Sydney"),
	    "2060-01-01 11:00:00 +660");
	CHECK_STR(local("2060-07-01T00:00:00Z", "Australia/Sydney"),
	    "2060-07-01 10:00:00 +600");
	CHECK_STR(local("2060-07-01T00:00:00Z", "Europe/Dublin"),
	    "2060-07-01 01:00:00 +60");
	CHECK_STR(local("2060-01-01T00:00:00Z", "Europe/Dublin"),
	    "2060-01-01 00:00:00 +0");
	CHECK_STR(local("2060-07-01T00:00:00Z", "America/New_York"),
	    "2060-06-30 20:00:00 -240");
	CHECK_STR(local("2026-07-01T00:00:00Z", "Australia/Lord_Howe"),
	    "2026-07-01 10:30:00 +630");
	/* A day that Samoa never had. */
	CHECK_STR(
	    utc("2011-12-30T12:00:00", "Pacific/Apia"), "2011-12-30T22:00:00Z");
	CHECK_STR(zone_name(zone("Europe/Helsinki")), "Europe/Helsinki");
	CHECK(zone("Europe/Helsinki") == zone("Europe/Helsinki"));
	CHECK(memcmp(zone_digest(zone("Europe/Helsinki")),
		  zone_digest(zone("Europe/Stockholm")), 32) != 0);
}

/* Every hour of the years around now comes back from its local time, save the
 * second of a doubled hour, which comes back as the first. */
T(there_and_back)
{
	static const char *const names[] = {"Europe/Helsinki",
	    "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo",
	    "Africa/Casablanca", "America/St_Johns"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct zone *z = zone(names[i]);
		int doubled = 0, other = 0;

		for (int64_t t = INT64_C(1735689600); t < INT64_C(1798761600);
		     t += 1800) {
			struct civil c;
			int64_t back = 0;

			zone_civil(z, t * 1000000000 + 7, &c);
			CHECK(c.ns == 7);
			CHECK_OK(zone_instant(z, &c, &back));
			if (back == t * 1000000000 + 7)
				continue;
			doubled++;
			other += back >= t * 1000000000;
		}
		CHECK(other == 0);
		CHECK(doubled <= 8);
	}
}

T(texts)
{
	CHECK_STR(utc("2026-03-01T10:00:00Z", NULL), "2026-03-01T10:00:00Z");
	CHECK_STR(utc("2026-03-01T10:00:00z", NULL), "2026-03-01T10:00:00Z");
	CHECK_STR(utc("2026-03-01T10:00Z", NULL), "2026-03-01T10:00:00Z");
	CHECK_STR(utc("2026-03-01 10:00:00+02", NULL), "2026-03-01T08:00:00Z");
	CHECK_STR(
	    utc("2026-03-01T10:00:00-0530", NULL), "2026-03-01T15:30:00Z");
	CHECK_STR(
	    utc("2026-03-01T10:00:00+02:00", NULL), "2026-03-01T08:00:00Z");
	CHECK_STR(utc("2026-03-01+02:00", NULL), "2026-02-28T22:00:00Z");
	CHECK_STR(
	    utc("2026-03-01T10:00:00.5Z", NULL), "2026-03-01T10:00:00.500Z");
	CHECK_STR(utc("2026-03-01T10:00:00,123456Z", NULL),
	    "2026-03-01T10:00:00.123456Z");
	CHECK_STR(utc("2026-03-01T10:00:00.1234567Z", NULL),
	    "2026-03-01T10:00:00.123456700Z");
	CHECK_STR(utc("2016-12-31T23:59:60Z", NULL), "2017-01-01T00:00:00Z");
	CHECK_STR(utc("2024-02-29T00:00:00Z", NULL), "2024-02-29T00:00:00Z");
	CHECK_STR(
	    utc("1969-12-31T23:59:59.999Z", NULL), "1969-12-31T23:59:59.999Z");
	CHECK_STR(utc("2026-03-01T10:00:00", NULL), "MISSING");
	CHECK_STR(utc("2026-03-01", NULL), "MISSING");
}

T(no_times)
{
	static const char *const syntax[] = {"", "2026", "2026-3-1",
	    "2026-03-01T", "2026-03-01T10", "2026-03-01T10:00:00.Z",
	    "2026-03-01T10:00:00.1234567890Z", "2026-03-01T10:00:00+2",
	    "2026-03-01T10:00:00+02:", "2026-03-01T10:00:00+0",
	    "2026-03-01T10:00:00Zx", "2026-03-01T10:00:00 Z", "01.03.2026",
	    "2026-03-01T10:00:00+24:00", "20260301", "-026-03-01",
	    "2026-03-01T1O:00:00Z", " 2026-03-01T10:00:00Z"};
	static const char *const range[] = {"2026-13-01T00:00:00Z",
	    "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
	    "2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
	    "2026-03-01T24:00:00Z", "2026-03-01T10:60:00Z",
	    "2026-03-01T10:00:61Z", "1600-01-01T00:00:00Z",
	    "2300-01-01T00:00:00Z"};

	for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++)
		CHECK_STR(utc(syntax[i], "UTC"), "SYNTAX");
	for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++)
		CHECK_STR(utc(range[i], NULL), "RANGE");
}

T(patterns)
{
	const struct zone *z = zone("Europe/Helsinki");
	struct buf b;
	int64_t ns;

	buf_init(&b, 100);
	CHECK_OK(time_parse_pattern(SLICE_LIT("01.07.2026 12:30"),
	    SLICE_LIT("dd.MM.yyyy HH:mm"), z, &ns));
	time_put_iso(&b, ns);
	CHECK_STR(buf_cstr(&b), "2026-07-01T09:30:00Z");
	buf_reset(&b);
	CHECK_OK(time_put(&b, ns, SLICE_LIT("yyyyMMddTHHmmss.SSS"), z));
	CHECK_STR(buf_cstr(&b), "20260701T123000.000");
	buf_reset(&b);
	/* A single d is none of the fields. */
	CHECK_ERR(time_put(&b, ns, SLICE_LIT("yyyy-MM-d"), z), ERR_CONFIG);
	CHECK(b.n == 0);
	CHECK_OK(time_parse_pattern(SLICE_LIT("20260701123000123"),
	    SLICE_LIT("yyyyMMddHHmmssSSS"), z, &ns));
	CHECK(ns % 1000000000 == 123000000);
	CHECK_ERR(time_parse_pattern(
		      SLICE_LIT("1.7.2026"), SLICE_LIT("dd.MM.yyyy"), z, &ns),
	    ERR_SYNTAX);
	CHECK_ERR(time_parse_pattern(SLICE_LIT("01.07.2026x"),
		      SLICE_LIT("dd.MM.yyyy"), z, &ns),
	    ERR_SYNTAX);
	CHECK_ERR(time_parse_pattern(SLICE_LIT("01.07.2026"),
		      SLICE_LIT("dd.MM.yyyy HH"), z, &ns),
	    ERR_SYNTAX);
	CHECK_ERR(time_parse_pattern(
		      SLICE_LIT("31.06.2026"), SLICE_LIT("dd.MM.yyyy"), z, &ns),
	    ERR_RANGE);
	CHECK_ERR(
	    time_parse_pattern(SLICE_LIT("01.07"), SLICE_LIT("dd.MM"), z, &ns),
	    ERR_CONFIG);
	CHECK_ERR(time_parse_pattern(SLICE_LIT("26"), SLICE_LIT("yy"), z, &ns),
	    ERR_CONFIG);
	buf_fini(&b);
}

T(calendar)
{
	int64_t last = date_days(1600, 12, 31), d;
	unsigned month, day;
	int32_t year;

	CHECK(date_days(1970, 1, 1) == 0);
	CHECK(date_days(2000, 3, 1) == 11017);
	CHECK(date_days(1969, 12, 31) == -1);
	for (int32_t y = 1601; y < 2400; y++)
		for (unsigned m = 1; m <= 12; m++)
			for (unsigned n = 1; n <= 28; n += 27) {
				d = date_days(y, m, n);
				CHECK(d > last && d <= last + 31);
				last = d;
				date_civil(d, &year, &month, &day);
				CHECK(year == y && month == m && day == n);
			}
}

T(names)
{
	static const char *const bad[] = {"", "/etc/passwd", "../zoneinfo/UTC",
	    "Europe/../UTC", "Europe", "Europe/", "Europe/Nowhere", "zone.tab",
	    "Europe/Helsinki\n",
	    "Europe/Helsinkiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"};
	const struct zone *z;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(zone_get(slice_str(bad[i]), &z), ERR_NOTFOUND);
	CHECK_ERR(zone_get(SLICE_LIT("Europe/Nowhere"), &z), ERR_NOTFOUND);
	CHECK(strstr(err_last(), "Europe/Nowhere") != NULL);
}

/* --- files made here */

static void
put32(struct buf *b, uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		buf_byte(b, (uint8_t)(v >> i));
}

static void
put_head(struct buf *b, char version, uint32_t times, uint32_t types)
{
	uint8_t zeros[15] = {0};

	buf_str(b, "TZif");
	buf_byte(b, (uint8_t)version);
	buf_put(b, zeros, 15);
	put32(b, 0);
	put32(b, 0);
	put32(b, 0);
	put32(b, times);
	put32(b, types);
	put32(b, 4);
}

/* Two changes, at 1,000 to type 1 and at 2,000 back to 0, and a footer. */
static void
make_zone(struct buf *b, const char *footer)
{
	buf_reset(b);
	put_head(b, '2', 0, 1);
	put32(b, 0);
	buf_put(b, "\0\0UTC\0", 6);
	put_head(b, '2', 2, 2);
	put32(b, 0);
	put32(b, 1000);
	put32(b, 0);
	put32(b, 2000);
	buf_put(b, "\1\0", 2);
	put32(b, 3600);
	buf_put(b, "\0\0", 2);
	put32(b, 7200);
	buf_put(b, "\1\0", 2);
	buf_put(b, "ABC\0", 4);
	buf_byte(b, '\n');
	buf_str(b, footer);
	buf_byte(b, '\n');
}

static enum err
load_made(const char *dir, struct slice bytes, const struct zone **z)
{
	static int number;
	char name[32], path[300];

	/* Names are cached, so each is used once. */
	snprintf(name, sizeof(name), "Made%d", ++number);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK_OK(file_write(path, bytes, 0600));
	*z = NULL;
	return zone_get(slice_str(name), z);
}

static int32_t
offset(const struct zone *z, int64_t sec)
{
	struct civil c;

	zone_civil(z, sec * 1000000000, &c);
	return c.offset;
}

T(made_files)
{
	static const char *const footers[] = {"X", "AB1", "ABC", "ABC25",
	    "ABC1DEF", "ABC1DEF,", "ABC1DEF,M3.5.0", "ABC1DEF,M3.5.0,M13.1.0",
	    "ABC1DEF,M3.6.0,M10.1.0", "ABC1DEF,J0,J5", "ABC1DEF,J366,J5",
	    "ABC1DEF,M3.5.0/168,M10.5.0", "ABC1DEF,M3.5.0,M10.5.0x", "<ABC1",
	    "ABC1DEF,M3.5.0/,M10.5.0"};
	char dir[] = "/tmp/zone_test.XXXXXX", rm[64];
	const struct zone *z;
	struct buf b;

	CHECK(mkdtemp(dir) != NULL);
	CHECK(setenv("VAYLA_ZONEINFO", dir, 1) == 0);
	buf_init(&b, 4096);
	make_zone(&b, "");
	CHECK_OK(load_made(dir, buf_all(&b), &z));
	if (z != NULL) {
		CHECK(offset(z, 0) == 3600 && offset(z, 999) == 3600);
		CHECK(offset(z, 1000) == 7200 && offset(z, 1999) == 7200);
		CHECK(offset(z, 2000) == 3600);
		CHECK(offset(z, INT64_C(9000000000)) == 3600);
	}
	/* Julian days: 60 is March 1st in leap years too; day 59 from zero is
	 * the 29th of February there. All-year summer time; negative hours. */
	make_zone(&b, "<-03>3<-02>,J60/0,59/0:30:15");
	CHECK_OK(load_made(dir, buf_all(&b), &z));
	make_zone(&b, "ABC0DEF,J60/0,J300/0");
	CHECK_OK(load_made(dir, buf_all(&b), &z));
	if (z != NULL) {
		CHECK(offset(z, date_days(2024, 2, 29) * 86400) == 0);
		CHECK(offset(z, date_days(2024, 3, 1) * 86400) == 3600);
		CHECK(offset(z, date_days(2025, 2, 28) * 86400) == 0);
		CHECK(offset(z, date_days(2025, 3, 1) * 86400) == 3600);
	}
	make_zone(&b, "EST5EDT,0/0,J365/25");
	CHECK_OK(load_made(dir, buf_all(&b), &z));
	for (int64_t d = 0; z != NULL && d < 800; d++)
		CHECK(offset(z, (20000 + d) * 86400) == -4 * 3600);
	make_zone(&b, "<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
	CHECK_OK(load_made(dir, buf_all(&b), &z));
	if (z != NULL) {
		/* Saturday 23:00 -02 before the last Sunday of March 2026. */
		int64_t t = date_days(2026, 3, 29) * 86400 + 3600;

		CHECK(offset(z, t - 1) == -7200 && offset(z, t) == -3600);
	}
	for (size_t i = 0; i < sizeof(footers) / sizeof(footers[0]); i++) {
		make_zone(&b, footers[i]);
		CHECK_ERR(load_made(dir, buf_all(&b), &z), ERR_NOTFOUND);
	}
	make_zone(&b, "ABC1");
	for (size_t n = 0; n < b.n; n++)
		CHECK_ERR(load_made(dir, slice_of(b.p, n), &z), ERR_NOTFOUND);
	/* Any byte changed: refused or read, never a crash. */
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 0xff;
		if (load_made(dir, buf_all(&b), &z) == ERR_OK)
			(void)offset(z, INT64_C(1770000000));
		b.p[i] ^= 0xff;
	}
	buf_fini(&b);
	unsetenv("VAYLA_ZONEINFO");
	snprintf(rm, sizeof(rm), "rm -rf %s", dir);
	CHECK(system(rm) == 0);
}

/* All ask for the same zones at once; each is loaded once. */
static void *
ask(void *out)
{
	static const char *const names[] = {
	    "Asia/Tokyo", "Europe/Oslo", "Europe/Tallinn", "America/Lima"};
	const struct zone **z = out;

	for (int i = 0; i < 4; i++)
		if (zone_get(slice_str(names[i]), &z[i]) == ERR_OK)
			(void)offset(z[i], INT64_C(1770000000));
	return NULL;
}

T(threads)
{
	const struct zone *z[4][4] = {{NULL}};
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, ask, z[i]) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	for (int i = 1; i < 4; i++)
		CHECK(memcmp(z[0], z[i], sizeof(z[0])) == 0 && z[i][0] != NULL);
}

T_MAIN(T_RUN(helsinki) T_RUN(other_zones) T_RUN(there_and_back) T_RUN(texts)
	T_RUN(no_times) T_RUN(patterns) T_RUN(calendar) T_RUN(names)
	    T_RUN(made_files) T_RUN(threads))
