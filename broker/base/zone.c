/*
 * zone - see zone.h. Our own reader of TZif version 2 and later, because
 * libc's (tzset, localtime) is one zone for the whole process, changes under
 * the feet of threads and says nothing about its data. Leap-second files
 * ("right/") are refused: their times are not POSIX times.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/zone.h"

#define FILE_BYTES ((size_t)1 << 20)
#define FOLDER "/usr/share/zoneinfo"

/* "M3.5.0/3", "J60" or "59": when a rule of the footer changes the clock. */
struct turn_rule {
	char kind;	      /* 'M', 'J' or '0' */
	int month, week, day; /* M; for the others only day */
	int32_t second;	      /* of local time, may be negative or > 1 day */
};

struct zone {
	struct zone *next;
	char name[65];
	uint8_t digest[32];
	size_t count; /* transitions */
	int64_t *at;  /* seconds, rising */
	uint8_t *type;
	int32_t offset[256]; /* by type */
	/* From the last transition on: */
	bool ruled, has_dst;
	int32_t std, dst;
	struct turn_rule start, end; /* of daylight-saving time */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct zone *zones;

/* --- the rule behind the table: POSIX TZ, "EET-2EEST,M3.5.0/3,M10.5.0/4" */

static bool
read_int(const char **s, int max, int *out)
{
	int v = 0;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s) {
		v = v * 10 + (**s - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

static bool
read_name(const char **s)
{
	const char *from = *s;

	if (*from == '<') {
		*s = strchr(from, '>');
		if (*s == NULL)
			return false;
		++*s;
		return true;
	}
	while ((**s >= 'a' && **s <= 'z') || (**s >= 'A' && **s <= 'Z'))
		++*s;
	return *s - from >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool
read_hms(const char **s, int max_hours, int32_t *out)
{
	int sign = 1, h, m = 0, sec = 0;

	if (**s == '+' || **s == '-')
		sign = *(*s)++ == '-' ? -1 : 1;
	if (!read_int(s, max_hours, &h))
		return false;
	if (**s == ':') {
		++*s;
		if (!read_int(s, 59, &m))
			return false;
		if (**s == ':') {
			++*s;
			if (!read_int(s, 59, &sec))
				return false;
		}
	}
	*out = sign * (h * 3600 + m * 60 + sec);
	return true;
}

static bool
read_turn(const char **s, struct turn_rule *r)
{
	if (*(*s)++ != ',')
		return false;
	r->second = 7200;
	if (**s == 'M') {
		++*s;
		r->kind = 'M';
		if (!read_int(s, 12, &r->month) || *(*s)++ != '.' ||
		    !read_int(s, 5, &r->week) || *(*s)++ != '.' ||
		    !read_int(s, 6, &r->day) || r->month == 0 || r->week == 0)
			return false;
	} else if (**s == 'J') {
		++*s;
		r->kind = 'J';
		if (!read_int(s, 365, &r->day) || r->day == 0)
			return false;
	} else {
		r->kind = '0';
		if (!read_int(s, 365, &r->day))
			return false;
	}
	if (**s != '/')
		return true;
	++*s;
	return read_hms(s, 167, &r->second);
}

static bool
read_rule(struct zone *z, const char *s)
{
	if (!read_name(&s) || !read_hms(&s, 24, &z->std))
		return false;
	z->std = -z->std; /* POSIX counts west */
	z->ruled = true;
	if (*s == '\0')
		return true;
	z->has_dst = true;
	z->dst = z->std + 3600;
	if (!read_name(&s))
		return false;
	if (*s != ',') {
		if (!read_hms(&s, 24, &z->dst))
			return false;
		z->dst = -z->dst;
	}
	return read_turn(&s, &z->start) && read_turn(&s, &z->end) && *s == '\0';
}

static bool
is_leap(int32_t y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* Seconds since the epoch, read as local time, of a rule in a year. */
static int64_t
turn_in(const struct turn_rule *r, int32_t year)
{
	int64_t day, first;
	int32_t y;
	unsigned m, d;
	int weekday;

	if (r->kind == 'M') {
		first = date_days(year, (unsigned)r->month, 1);
		/* The epoch was a Thursday. */
		weekday = (int)(((first + 4) % 7 + 7) % 7);
		day = first + (r->day - weekday + 7) % 7 + (r->week - 1) * 7;
		date_civil(day, &y, &m, &d);
		if (m != (unsigned)r->month)
			day -= 7; /* week 5 is the last one */
	} else {
		day = date_days(year, 1, 1) + r->day;
		if (r->kind == 'J')
			day -= 1 - (is_leap(year) && r->day >= 60);
	}
	return day * 86400 + r->second;
}

static int32_t
rule_offset(const struct zone *z, int64_t sec)
{
	int64_t local = sec + z->std, start, end;
	int64_t days = local / 86400 - (local % 86400 < 0);
	unsigned m, d;
	int32_t year;
	bool dst;

	if (!z->has_dst)
		return z->std;
	date_civil(days, &year, &m, &d);
	start = turn_in(&z->start, year) - z->std;
	end = turn_in(&z->end, year) - z->dst;
	dst =
	    start < end ? sec >= start && sec < end : sec >= start || sec < end;
	return dst ? z->dst : z->std;
}

static int32_t
offset_at(const struct zone *z, int64_t sec)
{
	size_t low = 0, high = z->count, mid;

	if (z->count == 0 || sec < z->at[0])
		return z->count == 0 && z->ruled ? rule_offset(z, sec)
						 : z->offset[0];
	if (sec >= z->at[z->count - 1])
		return z->ruled ? rule_offset(z, sec)
				: z->offset[z->type[z->count - 1]];
	/* The last transition that is not after sec. */
	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (z->at[mid] <= sec)
			low = mid;
		else
			high = mid;
	}
	return z->offset[z->type[low]];
}

/* --- the file */

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static int64_t
be64(const uint8_t *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* The counts of a head, in the file's order. */
struct head {
	uint64_t isut, isstd, leap, times, types, chars;
};

static bool
read_head(struct slice s, struct head *h)
{
	if (s.n < 44 || memcmp(s.p, "TZif", 4) != 0)
		return false;
	h->isut = be32(s.p + 20);
	h->isstd = be32(s.p + 24);
	h->leap = be32(s.p + 28);
	h->times = be32(s.p + 32);
	h->types = be32(s.p + 36);
	h->chars = be32(s.p + 40);
	return true;
}

static uint64_t
body_size(const struct head *h, unsigned width)
{
	return h->times * (width + 1) + h->types * 6 + h->chars +
	       h->leap * (width + 4) + h->isstd + h->isut;
}

static bool
read_footer(struct zone *z, struct slice s)
{
	char text[256];

	if (s.n < 2 || s.p[0] != '\n' || s.p[s.n - 1] != '\n' ||
	    s.n - 2 >= sizeof(text))
		return false;
	memcpy(text, s.p + 1, s.n - 2);
	text[s.n - 2] = '\0';
	return text[0] == '\0' || read_rule(z, text);
}

static bool
read_table(struct zone *z, struct slice s, const struct head *h)
{
	const uint8_t *types = s.p + h->times * 8;
	const uint8_t *offsets = types + h->times;

	z->count = h->times;
	z->at = calloc(h->times + 1, sizeof(*z->at));
	z->type = calloc(h->times + 1, sizeof(*z->type));
	if (z->at == NULL || z->type == NULL)
		return false;
	for (size_t i = 0; i < h->types; i++) {
		z->offset[i] = (int32_t)be32(offsets + i * 6);
		if (z->offset[i] < -93599 || z->offset[i] > 93599)
			return false;
	}
	for (size_t i = 0; i < h->times; i++) {
		z->at[i] = be64(s.p + i * 8);
		z->type[i] = types[i];
		if (types[i] >= h->types || (i > 0 && z->at[i] <= z->at[i - 1]))
			return false;
	}
	return true;
}

static bool
read_tzif(struct zone *z, struct slice s)
{
	struct head h;
	uint64_t n;

	if (!read_head(s, &h) || s.p[4] < '2')
		return false;
	n = 44 + body_size(&h, 4);
	if (n > s.n)
		return false;
	s = slice_from(s, n);
	if (!read_head(s, &h) || h.leap > 0 || h.types == 0 || h.types > 256)
		return false;
	s = slice_from(s, 44);
	n = body_size(&h, 8);
	return n <= s.n && read_table(z, s, &h) &&
	       read_footer(z, slice_from(s, n));
}

static void
zone_free(struct zone *z)
{
	free(z->at);
	free(z->type);
	free(z);
}

static bool
name_fits(struct slice s)
{
	if (s.n == 0 || s.n > 64 || s.p[0] == '/' || s.p[s.n - 1] == '/')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '_' && c != '-' &&
		    c != '+' && c != '/')
			return false;
	}
	return true; /* without dots there is no ".." */
}

static enum err
load(struct slice name, struct zone **out)
{
	const char *folder = getenv("VAYLA_ZONEINFO");
	struct zone *z = calloc(1, sizeof(*z));
	char path[4096];
	struct buf b;
	enum err e;

	if (z == NULL)
		return err_note(ERR_NOMEM, "no memory for a time zone");
	memcpy(z->name, name.p, name.n);
	snprintf(path, sizeof(path), "%s/%s",
	    folder != NULL && folder[0] != '\0' ? folder : FOLDER, z->name);
	buf_init(&b, FILE_BYTES);
	e = file_read(path, &b);
	if (e != ERR_OK) {
		e = err_note(ERR_NOTFOUND,
		    "no time zone %s in %s; names are such as Europe/Helsinki",
		    z->name, folder != NULL ? folder : FOLDER);
	} else if (!read_tzif(z, buf_all(&b))) {
		e = err_note(ERR_NOTFOUND, "%s is no time zone file", path);
	} else {
		sha256(buf_all(&b), z->digest);
	}
	buf_fini(&b);
	if (e == ERR_OK)
		*out = z;
	else
		zone_free(z);
	return e;
}

enum err
zone_get(struct slice name, const struct zone **out)
{
	enum err e = ERR_OK;
	struct zone *z;

	if (!name_fits(name))
		return err_note(ERR_NOTFOUND, "\"%.*s\" can be no time zone",
		    name.n < 80 ? (int)name.n : 80, (const char *)name.p);
	pthread_mutex_lock(&lock);
	for (z = zones; z != NULL; z = z->next)
		if (slice_is(name, z->name))
			break;
	if (z == NULL) {
		e = load(name, &z);
		if (e == ERR_OK) {
			z->next = zones;
			zones = z;
		}
	}
	pthread_mutex_unlock(&lock);
	if (e == ERR_OK)
		*out = z;
	return e;
}

const char *
zone_name(const struct zone *z)
{
	return z->name;
}

const uint8_t *
zone_digest(const struct zone *z)
{
	return z->digest;
}

/* --- instants and civil times */

void
zone_civil(const struct zone *z, int64_t ns, struct civil *out)
{
	int64_t sec = ns / NS_PER_SEC, rest = ns % NS_PER_SEC, days;
	unsigned month, day, s;

	if (rest < 0) {
		rest += NS_PER_SEC;
		sec--;
	}
	out->offset = offset_at(z, sec);
	sec += out->offset;
	days = sec / 86400 - (sec % 86400 < 0);
	s = (unsigned)(sec - days * 86400);
	date_civil(days, &out->year, &month, &day);
	out->month = (uint8_t)month;
	out->day = (uint8_t)day;
	out->hour = (uint8_t)(s / 3600);
	out->minute = (uint8_t)(s / 60 % 60);
	out->second = (uint8_t)(s % 60);
	out->ns = (uint32_t)rest;
}

enum err
zone_instant(const struct zone *z, const struct civil *c, int64_t *out)
{
	int32_t before, after;
	int64_t local, a, b, sec;
	enum err e;

	e = civil_seconds(c, &local);
	if (e != ERR_OK)
		return e;
	/* No zone is further than a day from UTC, so these two stand on either
	 * side of any change that concerns this local time. */
	before = offset_at(z, local - 86400);
	after = offset_at(z, local + 86400);
	a = local - before;
	b = local - after;
	if (offset_at(z, a) == before) {
		sec = a;
		if (offset_at(z, b) == after && b < a)
			sec = b;
	} else if (offset_at(z, b) == after) {
		sec = b;
	} else {
		sec = a; /* in a gap: as if the clock had not changed yet */
	}
	return time_from_seconds(sec, c->ns, out);
}
