/*
 * dec - see dec.h. Coefficients are __int128 held within 38 digits, so that
 * every result below can be computed in 128 bits or found not to fit; only a
 * quotient needs 256, which divide() does bit by bit.
 */
#include "broker/base/dec.h"

#define DIGITS 38

typedef unsigned __int128 wide;

static const uint64_t ten18 = UINT64_C(1000000000000000000);
static const uint64_t ten19 = UINT64_C(10000000000000000000);

/* 10^n, n from 0 to 38. */
static wide
pow10w(unsigned n)
{
	static const uint64_t small[20] = {UINT64_C(1), UINT64_C(10),
	    UINT64_C(100), UINT64_C(1000), UINT64_C(10000), UINT64_C(100000),
	    UINT64_C(1000000), UINT64_C(10000000), UINT64_C(100000000),
	    UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
	    UINT64_C(1000000000000), UINT64_C(10000000000000),
	    UINT64_C(100000000000000), UINT64_C(1000000000000000),
	    UINT64_C(10000000000000000), UINT64_C(100000000000000000),
	    UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)};

	return n < 20 ? small[n] : (wide)small[n - 19] * ten19;
}

static wide
magnitude(__int128 c)
{
	return c < 0 ? -(wide)c : (wide)c;
}

static bool
fits(wide m)
{
	return m < pow10w(DIGITS);
}

static enum err
too_wide(void)
{
	return err_note(
	    ERR_RANGE, "a number needs more than %d digits", DIGITS);
}

static enum err
give(bool negative, wide m, unsigned scale, struct dec *out)
{
	if (!fits(m))
		return too_wide();
	out->c = negative ? -(__int128)m : (__int128)m;
	out->scale = (uint8_t)scale;
	return ERR_OK;
}

/* m * 10^n when it keeps within 38 digits. */
static bool
shift_up(wide *m, unsigned n)
{
	if (n == 0 || *m == 0)
		return true;
	if (n < 19 && *m <= UINT32_MAX) {
		*m *= pow10w(n);
		return true;
	}
	if (n > DIGITS || *m > (pow10w(DIGITS) - 1) / pow10w(n))
		return false;
	*m *= pow10w(n);
	return true;
}

static bool
is_digit(const uint8_t *p, const uint8_t *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

static enum err
no_number(struct slice s)
{
	return err_note(ERR_SYNTAX, "\"%.*s\" is no number",
	    s.n < 60 ? (int)s.n : 60, (const char *)s.p);
}

/* "[+-]digits" after an e; kept within +-10^6, which is beyond any use. */
static const uint8_t *
parse_exp(const uint8_t *p, const uint8_t *end, int *exp)
{
	bool negative = false;
	int v = 0;

	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	if (!is_digit(p, end))
		return NULL;
	for (; is_digit(p, end); p++)
		if (v < 1000000)
			v = v * 10 + (*p - '0');
	*exp = negative ? -v : v;
	return p;
}

/* Digits so far: the first 18 in 64 bits, which is all that most have. */
struct digits {
	unsigned n;
	uint64_t small;
	wide all; /* once n > 18 */
	bool lost;
};

static const uint8_t *
parse_digits(const uint8_t *p, const uint8_t *end, struct digits *d)
{
	for (; is_digit(p, end); p++) {
		if (d->n < 18) {
			d->small = d->small * 10 + (uint64_t)(*p - '0');
			d->n++;
			continue;
		}
		if (d->n++ == 18)
			d->all = d->small;
		if (d->n > 1000)
			d->n = 1000;
		if (d->all >= pow10w(DIGITS - 1))
			d->lost = true;
		else
			d->all = d->all * 10 + (unsigned)(*p - '0');
	}
	return p;
}

enum err
dec_parse(struct slice text, struct dec *out)
{
	const uint8_t *p = text.p, *end = p + text.n, *first;
	struct digits d = {0};
	bool negative = false;
	int64_t scale = 0;
	int exp = 0;
	wide m;

	if (p < end && *p == '-') {
		negative = true;
		p++;
	}
	first = p;
	p = parse_digits(p, end, &d);
	if (p == first || (*first == '0' && p - first > 1))
		return no_number(text);
	if (p < end && *p == '.') {
		first = ++p;
		p = parse_digits(p, end, &d);
		scale = p - first;
		if (scale == 0)
			return no_number(text);
	}
	m = d.n > 18 ? d.all : d.small;
	if (p < end && (*p == 'e' || *p == 'E')) {
		p = parse_exp(p + 1, end, &exp);
		if (p == NULL)
			return no_number(text);
	}
	if (p != end)
		return no_number(text);
	scale -= exp;
	if (d.lost || scale > DIGITS)
		return too_wide();
	if (scale < 0) {
		if (!shift_up(&m, scale < -1000 ? 1000 : (unsigned)-scale))
			return too_wide();
		scale = 0;
	}
	return give(negative, m, (unsigned)scale, out);
}

enum err
dec_add(struct dec a, struct dec b, struct dec *out)
{
	unsigned scale = a.scale > b.scale ? a.scale : b.scale;
	wide x = magnitude(a.c), y = magnitude(b.c);

	if (!shift_up(&x, scale - a.scale) || !shift_up(&y, scale - b.scale))
		return too_wide();
	/* Both are below 10^38, so their sum fits in 128 bits without a sign
	 * but not with one. */
	if ((a.c < 0) == (b.c < 0))
		return give(a.c < 0, x + y, scale, out);
	if (x >= y)
		return give(a.c < 0 && x > y, x - y, scale, out);
	return give(b.c < 0, y - x, scale, out);
}

enum err
dec_sub(struct dec a, struct dec b, struct dec *out)
{
	b.c = -b.c;
	return dec_add(a, b, out);
}

enum err
dec_mul(struct dec a, struct dec b, struct dec *out)
{
	wide x = magnitude(a.c), y = magnitude(b.c), m;
	unsigned scale = (unsigned)a.scale + b.scale;

	if (__builtin_mul_overflow(x, y, &m))
		return too_wide();
	/* The sum of two scales may pass 38 where the number does not. */
	while (scale > DIGITS && m % 10 == 0) {
		m /= 10;
		scale--;
	}
	if (scale > DIGITS)
		return too_wide();
	return give((a.c < 0) != (b.c < 0), m, scale, out);
}

/* Does a remainder r of dividing by d lift the quotient q by one? */
static bool
lifts(wide q, wide r, wide d, enum dec_round how)
{
	/* r >= d - r is 2r >= d without the overflow. */
	if (r > d - r)
		return true;
	if (r < d - r)
		return false;
	return how == DEC_HALF_UP || (q & 1) != 0;
}

/* (x * 10^n) / d as quotient and remainder, digit by digit so that x * 10^n
 * itself need not fit; false when the quotient is over 38 digits. d < 2^127. */
static bool
divide(wide x, unsigned n, wide d, wide *q, wide *r)
{
	wide rest, digit, up = x;

	if (shift_up(&up, n)) {
		if (up <= UINT64_MAX && d <= UINT64_MAX) {
			*q = (uint64_t)up / (uint64_t)d;
			*r = (uint64_t)up % (uint64_t)d;
		} else {
			*q = up / d;
			*r = up % d;
		}
		return true;
	}
	rest = x % d;
	*q = x / d;
	for (; n > 0; n--) {
		if (*q >= pow10w(DIGITS - 1))
			return false;
		/* rest * 10 may pass 128 bits: take it in steps of one. */
		digit = 0;
		if (rest <= (~(wide)0) / 10) {
			digit = rest * 10 / d;
			rest = rest * 10 % d;
		} else {
			wide acc = 0;

			for (int i = 0; i < 10; i++) {
				acc += rest; /* both below d < 2^127 */
				if (acc >= d) {
					acc -= d;
					digit++;
				}
			}
			rest = acc;
		}
		*q = *q * 10 + digit;
	}
	*r = rest;
	return true;
}

/*
 * x / (d * 10^n), rounded, where that divisor is over 38 digits and so over x:
 * the result is 0 or 1, and twice x against the divisor decides. As that
 * divisor need not fit, x is split at 10^n instead.
 */
static wide
half_of_wide(wide x, unsigned n, wide d, enum dec_round how)
{
	wide high, low, want;

	if (n > DIGITS)
		return 0;
	high = x / pow10w(n);
	low = x % pow10w(n);
	want = (d & 1) != 0 ? pow10w(n) / 2 : 0;
	if (high != d / 2)
		return high > d / 2;
	if (low != want)
		return low > want;
	return how == DEC_HALF_UP;
}

enum err
dec_div(
    struct dec a, struct dec b, int places, enum dec_round how, struct dec *out)
{
	wide x = magnitude(a.c), d = magnitude(b.c), q, r;
	int shift = places + b.scale - a.scale;

	if (places < 0 || places > DIGITS)
		return err_note(ERR_RANGE, "%d decimals", places);
	if (d == 0)
		return err_note(ERR_RANGE, "division by zero");
	if (shift >= 0) {
		if (!divide(x, (unsigned)shift, d, &q, &r))
			return too_wide();
	} else if (shift_up(&d, (unsigned)-shift)) {
		q = x / d;
		r = x % d;
	} else {
		q = half_of_wide(x, (unsigned)-shift, d, how);
		return give((a.c < 0) != (b.c < 0), q, (unsigned)places, out);
	}
	if (lifts(q, r, d, how))
		q++;
	return give((a.c < 0) != (b.c < 0), q, (unsigned)places, out);
}

enum err
dec_round(struct dec a, int places, enum dec_round how, struct dec *out)
{
	if (places < 0 || places > DIGITS)
		return err_note(ERR_RANGE, "%d decimals", places);
	return dec_div(a, dec_int(1), places, how, out);
}

int
dec_cmp(struct dec a, struct dec b)
{
	wide x, y, xi, yi;
	int sign = (a.c > 0) - (a.c < 0), other = (b.c > 0) - (b.c < 0);
	int r;

	if (sign != other)
		return sign < other ? -1 : 1;
	if (a.scale == b.scale)
		return (a.c > b.c) - (a.c < b.c);
	x = magnitude(a.c);
	y = magnitude(b.c);
	/* Whole parts first; then the fractions at the wider scale, which fit
	 * as each is below 10^38. */
	xi = x / pow10w(a.scale);
	yi = y / pow10w(b.scale);
	if (xi == yi) {
		unsigned scale = a.scale > b.scale ? a.scale : b.scale;

		xi = x % pow10w(a.scale) * pow10w(scale - a.scale);
		yi = y % pow10w(b.scale) * pow10w(scale - b.scale);
	}
	r = (xi > yi) - (xi < yi);
	return sign < 0 ? -r : r;
}

bool
dec_is_int(struct dec a, int64_t *out)
{
	__int128 unit = (__int128)pow10w(a.scale), whole = a.c / unit;

	if (a.c % unit != 0 || whole < INT64_MIN || whole > INT64_MAX)
		return false;
	*out = (int64_t)whole;
	return true;
}

enum err
dec_store(struct dec a, struct dec *out)
{
	while (a.scale > 9 && a.c % 10 == 0) {
		a.c /= 10;
		a.scale--;
	}
	if (a.scale > 9)
		return err_note(ERR_RANGE,
		    "a number has %d decimals; at most 9 can be stored, round "
		    "it",
		    a.scale);
	if (a.c < INT64_MIN || a.c > INT64_MAX)
		return err_note(ERR_RANGE,
		    "a number is too large to be stored (18 digits in all)");
	*out = a;
	return ERR_OK;
}

size_t
dec_text(struct dec a, char out[DEC_TEXT])
{
	char back[DEC_TEXT];
	size_t n = 0, to = 0;
	wide m = magnitude(a.c);

	while (m > 0 || n <= a.scale) {
		/* 18 digits at a time, as 128-bit division is slow. */
		uint64_t part = (uint64_t)(m % ten18);
		bool last = m < ten18;

		m /= ten18;
		for (int i = 0; i < 18; i++, n++) {
			if (last && part == 0 && n > a.scale)
				break;
			if (n == a.scale && a.scale > 0)
				back[to++] = '.';
			back[to++] = (char)('0' + (int)(part % 10));
			part /= 10;
		}
	}
	if (a.c < 0)
		back[to++] = '-';
	for (size_t i = 0; i < to; i++)
		out[i] = back[to - 1 - i];
	out[to] = '\0';
	return to;
}
