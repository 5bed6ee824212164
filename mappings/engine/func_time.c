/*
 * func_time - times and dates. No function knows what time it is now.
 */
#include "mappings/engine/func_impl.h"

#define NS INT64_C(1000000000)
#define DAY_NS (86400 * NS)

/* The zone of an argument: known since load, or named by a setting. */
static enum err
zone_of(struct eval *e, const struct expr *x, const struct zone **out)
{
	struct slice name;

	if (x->zone != NULL) {
		*out = x->zone;
		return ERR_OK;
	}
	TRY(run_text(e, x, &name));
	if (zone_get(name, out) != ERR_OK)
		return fail_at(e, x, ERR_NOTFOUND,
		    "there is no zone '%.*s'; zones are named as "
		    "Europe/Helsinki or UTC",
		    (int)(name.n < 64 ? name.n : 64), (const char *)name.p);
	return ERR_OK;
}

static enum err
bad_time(struct eval *e, const struct expr *x, struct slice s)
{
	return fail_at(e, x, ERR_TYPE,
	    "the text '%.*s' is no time such as "
	    "2026-03-01T10:00:00Z",
	    (int)(s.n < 40 ? s.n : 40), (const char *)s.p);
}

/* Seconds or milliseconds since 1970. */
static enum err
from_epoch(struct eval *e, const struct expr *x, int64_t unit, struct val *out)
{
	struct dec d, r;
	struct val v;
	int64_t ns;

	TRY(run_need(e, x, &v));
	if (v.tag == V_TEXT && !val_parse(val_slice(v), &v))
		return fail_at(e, x, ERR_TYPE, "a number is wanted");
	TRY(val_dec(e, x, &v, &d));
	if (dec_mul(d, dec_int(unit), &r) != ERR_OK ||
	    dec_round(r, 0, DEC_HALF_UP, &r) != ERR_OK || !dec_is_int(r, &ns))
		return fail_at(
		    e, x, ERR_RANGE, "out of the range of times (1678..2262)");
	*out = (struct val){.tag = V_TIME, .i = ns};
	return ERR_OK;
}

static enum err
by_pattern(struct eval *e, const struct expr *x, struct val *out)
{
	const struct zone *z;
	struct slice s, pattern;
	int64_t ns;

	TRY(run_text(e, x->args[0].x, &s));
	TRY(run_text(e, x->args[1].x, &pattern));
	TRY(zone_of(e, x->args[2].x, &z));
	if (time_parse_pattern(s, pattern, z, &ns) != ERR_OK)
		return fail_at(e, x->args[0].x, ERR_TYPE,
		    "the text '%.*s' does not follow the pattern '%.*s'",
		    (int)(s.n < 40 ? s.n : 40), (const char *)s.p,
		    (int)(pattern.n < 40 ? pattern.n : 40),
		    (const char *)pattern.p);
	*out = (struct val){.tag = V_TIME, .i = ns};
	return ERR_OK;
}

/* The instant a date begins in a zone. */
static enum err
day_start(struct eval *e, const struct expr *x, int64_t days,
    const struct zone *z, int64_t *ns)
{
	struct civil c = {0};
	unsigned m, d;

	date_civil(days, &c.year, &m, &d);
	c.month = (uint8_t)m;
	c.day = (uint8_t)d;
	if (zone_instant(z, &c, ns) != ERR_OK)
		return fail_at(
		    e, x, ERR_RANGE, "out of the range of times (1678..2262)");
	return ERR_OK;
}

enum err
func_time(struct eval *e, const struct expr *x, struct val *out)
{
	const struct expr *a = x->args[0].x;
	const struct zone *z = NULL;
	struct val v;
	int64_t ns;
	bool zoned;
	enum err err;

	if (x->n == 3)
		return by_pattern(e, x, out);
	if (x->word >= 0)
		return from_epoch(e, a, x->word == 0 ? NS : NS / 1000, out);
	TRY(run_need(e, a, &v));
	if (v.tag == V_TIME) {
		*out = v;
		return ERR_OK;
	}
	if (x->n == 2)
		TRY(zone_of(e, x->args[1].x, &z));
	if (v.tag == V_DATE && z != NULL) {
		TRY(day_start(e, a, v.i, z, &ns));
	} else {
		if (v.tag != V_TEXT)
			return fail_at(e, a, ERR_TYPE,
			    "a time's text is wanted, and this is %s; seconds "
			    "are read with time(x, s)",
			    val_name(&v));
		err = time_parse(val_slice(v), z, &ns, &zoned);
		if (err == ERR_MISSING)
			return fail_at(e, a, ERR_TYPE,
			    "the time '%.*s' names no zone; say which: time(x, "
			    "'Europe/Helsinki')",
			    (int)(v.n < 40 ? v.n : 40), (const char *)v.p);
		if (err != ERR_OK)
			return bad_time(e, a, val_slice(v));
	}
	*out = (struct val){.tag = V_TIME, .i = ns};
	return ERR_OK;
}

static enum err
need_time(struct eval *e, const struct expr *x, struct val *out)
{
	TRY(run_need(e, x, out));
	if (out->tag != V_TIME)
		return fail_at(e, x, ERR_TYPE,
		    "a time is wanted, and this is %s; time(..) reads one",
		    val_name(out));
	return ERR_OK;
}

enum err
func_date(struct eval *e, const struct expr *x, struct val *out)
{
	const struct zone *z;
	struct civil c;
	struct val t;

	TRY(need_time(e, x->args[0].x, &t));
	TRY(zone_of(e, x->args[1].x, &z));
	zone_civil(z, t.i, &c);
	*out =
	    (struct val){.tag = V_DATE, .i = date_days(c.year, c.month, c.day)};
	return ERR_OK;
}

/* The same day n months on; a month too short for it ends there. */
static bool
add_months(int64_t days, int64_t n, int64_t *out)
{
	int32_t y, to_y;
	unsigned m, d, to_m, to_d;
	int64_t months;

	date_civil(days, &y, &m, &d);
	months = (int64_t)y * 12 + (m - 1) + n;
	if (months < 12 || months >= 9999 * 12)
		return false;
	y = (int32_t)(months / 12);
	m = (unsigned)(months % 12) + 1;
	for (;; d--) {
		*out = date_days(y, m, d);
		date_civil(*out, &to_y, &to_m, &to_d);
		if (to_m == m && to_d == d)
			return true;
	}
}

enum err
func_add(struct eval *e, const struct expr *x, struct val *out)
{
	struct val v;
	int64_t n, days, rest = 0, ns;
	bool ok;

	TRY(run_need(e, x->args[0].x, &v));
	TRY(run_int(e, x->args[1].x, &n));
	if (v.tag == V_TIME) {
		days = v.i / DAY_NS;
		rest = v.i % DAY_NS;
		if (rest < 0) {
			rest += DAY_NS;
			days--;
		}
	} else if (v.tag == V_DATE) {
		days = v.i;
	} else {
		return fail_at(e, x->args[0].x, ERR_TYPE,
		    "a time or a date is wanted, and this is %s", val_name(&v));
	}
	ok = n > -4000000 && n < 4000000;
	if (ok && x->word == 0)
		days += n;
	else if (ok)
		ok = add_months(days, n, &days);
	if (ok && v.tag == V_TIME)
		ok = !__builtin_mul_overflow(days, DAY_NS, &ns) &&
		     !__builtin_add_overflow(ns, rest, &v.i);
	else if (ok)
		v.i = days;
	if (!ok)
		return fail_at(
		    e, x, ERR_RANGE, "out of the range of times (1678..2262)");
	*out = v;
	return ERR_OK;
}

enum err
func_format(struct eval *e, const struct expr *x, struct val *out)
{
	const struct zone *z;
	struct slice pattern, s;
	struct val v;
	int64_t ns;

	TRY(run_need(e, x->args[0].x, &v));
	TRY(run_text(e, x->args[1].x, &pattern));
	if (v.tag == V_DATE) {
		if (zone_get(SLICE_LIT("UTC"), &z) != ERR_OK)
			return fail_at(
			    e, x, ERR_NOTFOUND, "no zone data for UTC");
		if (__builtin_mul_overflow(v.i, DAY_NS, &ns))
			return fail_at(e, x, ERR_RANGE,
			    "out of the range of times (1678..2262)");
	} else {
		if (v.tag != V_TIME)
			return fail_at(e, x->args[0].x, ERR_TYPE,
			    "a time or a date is wanted, and this is %s",
			    val_name(&v));
		if (x->n < 3)
			return fail_at(
			    e, x, ERR_TYPE, "format of a time wants a zone");
		TRY(zone_of(e, x->args[2].x, &z));
		ns = v.i;
	}
	buf_reset(&e->tmp);
	if (time_put(&e->tmp, ns, pattern, z) != ERR_OK)
		return fail_at(e, x->args[1].x, ERR_SYNTAX,
		    "'%.*s' is no pattern of yyyy MM dd HH mm ss",
		    (int)(pattern.n < 40 ? pattern.n : 40),
		    (const char *)pattern.p);
	s = SLICE_EMPTY;
	if (arena_copy(e->arena, buf_all(&e->tmp), &s) != ERR_OK)
		return fail_scratch(e, x);
	*out = val_text(s);
	return ERR_OK;
}
