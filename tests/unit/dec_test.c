/*
 * dec_test - dec.h: a table of edges, then random cases against a slow and
 * plain arithmetic of its own, digit arrays in base ten, which shares nothing
 * with dec.c.
 */
#include "broker/base/dec.h"
#include "tests/unit/t.h"

static struct dec
num(const char *text)
{
	struct dec d = {0};

	CHECK_OK(dec_parse(slice_str(text), &d));
	return d;
}

static const char *
txt(struct dec d)
{
	static char out[DEC_TEXT];

	CHECK(dec_text(d, out) == strlen(out));
	return out;
}

static const char *
or_error(enum err e, struct dec d)
{
	return e == ERR_OK ? txt(d) : err_name(e);
}

T(parsing)
{
	static const char *const same[] = {"0", "1", "-1", "0.00", "79.90",
	    "-0.05", "99999999999999999999999999999999999999",
	    "0.00000000000000000000000000000000000001",
	    "-12345678901234567890.123456789012345678", "1234567890123456789",
	    "123456789012345678.9"};
	static const char *const bad[] = {"", "-", "+1", "01", "-00", "1.",
	    ".5", "1e", "1e+", " 1", "1 ", "1,5", "1_000", "0x1", "NaN", "--1",
	    "1.2.3"};
	struct dec d;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		CHECK_STR(txt(num(same[i])), same[i]);
	CHECK_STR(txt(num("1e3")), "1000");
	CHECK_STR(txt(num("1.5E+3")), "1500");
	CHECK_STR(txt(num("1.50e1")), "15.0");
	CHECK_STR(txt(num("15e-3")), "0.015");
	CHECK_STR(txt(num("-0")), "0");
	CHECK_STR(txt(num("0e400")), "0");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(dec_parse(slice_str(bad[i]), &d), ERR_SYNTAX);
	CHECK_ERR(dec_parse(SLICE_LIT("1E400"), &d), ERR_RANGE);
	CHECK_ERR(dec_parse(SLICE_LIT("1E-400"), &d), ERR_RANGE);
	CHECK_ERR(
	    dec_parse(SLICE_LIT("1E99999999999999999999"), &d), ERR_RANGE);
	CHECK_ERR(
	    dec_parse(SLICE_LIT("100000000000000000000000000000000000000"), &d),
	    ERR_RANGE);
	CHECK_ERR(
	    dec_parse(
		SLICE_LIT("0.000000000000000000000000000000000000001"), &d),
	    ERR_RANGE);
}

T(zeros_are_kept)
{
	struct dec d;

	CHECK_OK(dec_add(num("3.00"), num("1"), &d));
	CHECK_STR(txt(d), "4.00");
	CHECK_OK(dec_mul(num("1.50"), num("2.0"), &d));
	CHECK_STR(txt(d), "3.000");
	CHECK_OK(dec_sub(num("0.30"), num("0.3"), &d));
	CHECK_STR(txt(d), "0.00");
	CHECK(dec_cmp(num("3.0"), num("3.00")) == 0);
	CHECK(dec_cmp(num("-0.0"), num("0")) == 0);
	CHECK_OK(dec_add(num("0.1"), num("0.2"), &d));
	CHECK_STR(txt(d), "0.3");
}

T(rounding)
{
	static const struct {
		const char *x;
		int places;
		const char *up, *even;
	} all[] = {{"0.5", 0, "1", "0"}, {"1.5", 0, "2", "2"},
	    {"2.5", 0, "3", "2"}, {"-0.5", 0, "-1", "0"},
	    {"-2.5", 0, "-3", "-2"}, {"0.49", 0, "0", "0"},
	    {"2.345", 2, "2.35", "2.34"}, {"2.3450001", 2, "2.35", "2.35"},
	    {"1.005", 2, "1.01", "1.00"}, {"7", 2, "7.00", "7.00"},
	    {"9.995", 2, "10.00", "10.00"}, {"-0.004", 2, "0.00", "0.00"},
	    {"0.99999999999999999999999999999999999999", 9, "1.000000000",
		"1.000000000"},
	    {"99999999999999999999999999999999999999", 0,
		"99999999999999999999999999999999999999",
		"99999999999999999999999999999999999999"}};
	struct dec d;
	enum err e;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		e = dec_round(num(all[i].x), all[i].places, DEC_HALF_UP, &d);
		CHECK_STR(or_error(e, d), all[i].up);
		e = dec_round(num(all[i].x), all[i].places, DEC_HALF_EVEN, &d);
		CHECK_STR(or_error(e, d), all[i].even);
	}
	CHECK_ERR(dec_round(num("99999999999999999999999999999999999999"), 1,
		      DEC_HALF_UP, &d),
	    ERR_RANGE);
	CHECK_ERR(dec_round(num("1"), -1, DEC_HALF_UP, &d), ERR_RANGE);
}

T(dividing)
{
	struct dec d;

	CHECK_OK(dec_div(num("1"), num("3"), 4, DEC_HALF_UP, &d));
	CHECK_STR(txt(d), "0.3333");
	CHECK_OK(dec_div(num("2"), num("3"), 4, DEC_HALF_UP, &d));
	CHECK_STR(txt(d), "0.6667");
	CHECK_OK(dec_div(num("-2"), num("3"), 0, DEC_HALF_UP, &d));
	CHECK_STR(txt(d), "-1");
	CHECK_OK(dec_div(num("10.00"), num("0.25"), 2, DEC_HALF_UP, &d));
	CHECK_STR(txt(d), "40.00");
	CHECK_ERR(
	    dec_div(num("1"), num("0.00"), 2, DEC_HALF_UP, &d), ERR_RANGE);
	/* Quotients of 0 or 1 whose divisor, scaled, passes 38 digits. */
	CHECK_OK(dec_div(num("0.00000000000000000000000000000000000005"),
	    num("10"), 0, DEC_HALF_UP, &d));
	CHECK_STR(txt(d), "0");
	CHECK_OK(dec_div(num("0.5"), num("1.0"), 0, DEC_HALF_EVEN, &d));
	CHECK_STR(txt(d), "0");
}

T(edges)
{
	struct dec max = num("99999999999999999999999999999999999999"), d;
	int64_t i;

	CHECK_ERR(dec_add(max, num("1"), &d), ERR_RANGE);
	CHECK_ERR(dec_sub(num("-99999999999999999999999999999999999999"),
		      num("1"), &d),
	    ERR_RANGE);
	CHECK_OK(dec_sub(max, max, &d));
	CHECK_STR(txt(d), "0");
	CHECK_ERR(dec_add(max, max, &d), ERR_RANGE);
	CHECK_ERR(dec_mul(max, max, &d), ERR_RANGE);
	CHECK_ERR(dec_add(max, num("0.1"), &d), ERR_RANGE);
	CHECK_OK(dec_store(num("9223372036854775807"), &d));
	CHECK_OK(dec_store(num("-9223372036854775808"), &d));
	CHECK_ERR(dec_store(num("9223372036854775808"), &d), ERR_RANGE);
	CHECK_OK(dec_store(num("1.12345678900"), &d));
	CHECK_STR(txt(d), "1.123456789");
	CHECK_ERR(dec_store(num("1.1234567891"), &d), ERR_RANGE);
	CHECK_OK(dec_store(num("1.10"), &d));
	CHECK_STR(txt(d), "1.10");
	CHECK(dec_is_int(num("42.000"), &i) && i == 42);
	CHECK(dec_is_int(num("-9223372036854775808"), &i) && i == INT64_MIN);
	CHECK(!dec_is_int(num("9223372036854775808"), &i));
	CHECK(!dec_is_int(num("42.5"), &i));
	CHECK(
	    dec_cmp(max, num("0.00000000000000000000000000000000000001")) > 0);
	CHECK(dec_cmp(num("-1"), num("0.5")) < 0);
	CHECK(dec_cmp(num("-1.5"), num("-1.25")) < 0);
	CHECK_STR(txt(dec_int(INT64_MIN)), "-9223372036854775808");
}

/*
 * The plain arithmetic: a number is WIDTH digits, least first. Only what a
 * child does on paper: add, subtract, compare, multiply, divide by repeated
 * subtraction.
 */
#define WIDTH 130

struct plain {
	uint8_t digit[WIDTH];
};

static struct plain
plain_of(const char *text)
{
	struct plain p = {{0}};
	size_t n = 0;

	for (const char *s = text + strlen(text); s-- > text;)
		if (*s >= '0' && *s <= '9')
			p.digit[n++] = (uint8_t)(*s - '0');
	return p;
}

static int
plain_cmp(const struct plain *a, const struct plain *x)
{
	for (size_t i = WIDTH; i-- > 0;)
		if (a->digit[i] != x->digit[i])
			return a->digit[i] < x->digit[i] ? -1 : 1;
	return 0;
}

static void
plain_shift(struct plain *a, size_t n)
{
	memmove(a->digit + n, a->digit, WIDTH - n);
	memset(a->digit, 0, n);
}

static void
plain_add(struct plain *a, const struct plain *x)
{
	uint8_t carry = 0;

	for (size_t i = 0; i < WIDTH; i++) {
		carry = (uint8_t)(carry + a->digit[i] + x->digit[i]);
		a->digit[i] = carry % 10;
		carry /= 10;
	}
}

static void
plain_sub(struct plain *a, const struct plain *x)
{
	int borrow = 0;

	for (size_t i = 0; i < WIDTH; i++) {
		int v = a->digit[i] - x->digit[i] - borrow;

		borrow = v < 0;
		a->digit[i] = (uint8_t)(v + 10 * borrow);
	}
}

static struct plain
plain_mul(const struct plain *a, const struct plain *x)
{
	struct plain sum = {{0}}, part = *a;

	for (size_t i = 0; i < WIDTH / 2; i++) {
		for (int k = 0; k < x->digit[i]; k++)
			plain_add(&sum, &part);
		plain_shift(&part, 1);
	}
	return sum;
}

static size_t
plain_length(const struct plain *a)
{
	size_t n = WIDTH;

	while (n > 0 && a->digit[n - 1] == 0)
		n--;
	return n;
}

/* a / x; the remainder stays in *a. */
static struct plain
plain_div(struct plain *a, const struct plain *x)
{
	struct plain q = {{0}};
	size_t an = plain_length(a), xn = plain_length(x);

	for (size_t i = an >= xn ? an - xn + 1 : 0; i-- > 0;) {
		struct plain step = *x;

		plain_shift(&step, i);
		while (plain_cmp(a, &step) >= 0) {
			plain_sub(a, &step);
			q.digit[i]++;
		}
	}
	return q;
}

/* As dec_text would, or "RANGE" over 38 digits. */
static const char *
plain_text(const struct plain *p, bool negative, unsigned scale)
{
	static char out[2 * WIDTH];
	size_t n = plain_length(p), to = 0;

	if (n > 38 || scale > 38)
		return "RANGE";
	if (negative && n > 0)
		out[to++] = '-';
	if (n < scale + 1)
		n = scale + 1;
	while (n-- > 0) {
		out[to++] = (char)('0' + p->digit[n]);
		if (n == scale && n > 0)
			out[to++] = '.';
	}
	out[to] = '\0';
	return out;
}

static uint64_t state = 88172645463325252u;

static unsigned
below(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state % n);
}

/* A random number as text: lengths, scales and digits that find edges. */
static void
random_text(char out[64], unsigned *scale)
{
	static const unsigned lengths[] = {
	    1, 2, 3, 5, 9, 18, 19, 20, 30, 37, 38};
	unsigned n = lengths[below(11)], kind = below(8);
	char *p = out;

	*scale = below(3) > 0 ? below(n < 10 ? n : 10) : below(n);
	if (below(3) == 0)
		*p++ = '-';
	for (unsigned i = 0; i < n; i++) {
		char c = kind == 0   ? '9'
			 : kind == 1 ? (i == 0 ? '5' : '0')
			 : kind == 2 ? (i == 0 ? '1' : '0')
				     : (char)('0' + below(10));

		if (i == 0 && c == '0' && n - *scale > 1)
			c = '1';
		*p++ = c;
		if (n - i - 1 == *scale && *scale > 0)
			*p++ = '.';
	}
	*p = '\0';
}

struct sample {
	char text[2][64];
	unsigned scale[2];
	struct plain value[2];
	bool negative[2];
	struct dec d[2];
};

static void
same(const struct sample *s, const char *op, enum err e, struct dec got,
    const char *want)
{
	if (strcmp(or_error(e, got), want) == 0)
		return;
	t_bad++;
	fprintf(stderr, "%s %s %s: %s, not %s\n", s->text[0], op, s->text[1],
	    or_error(e, got), want);
}

/* Both at the wider scale; "RANGE" if one passes 38 digits by that. */
static bool
aligned(const struct sample *s, struct plain v[2], unsigned *scale)
{
	*scale = s->scale[0] > s->scale[1] ? s->scale[0] : s->scale[1];
	for (int i = 0; i < 2; i++) {
		v[i] = s->value[i];
		plain_shift(&v[i], *scale - s->scale[i]);
		if (strcmp(plain_text(&v[i], false, 0), "RANGE") == 0)
			return false;
	}
	return true;
}

static void
check_sum(const struct sample *s)
{
	struct plain v[2];
	bool fits, negative = s->negative[0];
	unsigned scale;
	struct dec d;
	enum err e;

	fits = aligned(s, v, &scale);
	if (s->negative[0] == s->negative[1]) {
		plain_add(&v[0], &v[1]);
	} else if (plain_cmp(&v[0], &v[1]) >= 0) {
		plain_sub(&v[0], &v[1]);
	} else {
		plain_sub(&v[1], &v[0]);
		v[0] = v[1];
		negative = s->negative[1];
	}
	e = dec_add(s->d[0], s->d[1], &d);
	same(s, "+", e, d, fits ? plain_text(&v[0], negative, scale) : "RANGE");
}

static void
check_order(const struct sample *s)
{
	struct plain v[2] = {s->value[0], s->value[1]}, zero = {{0}};
	int want, sign[2];

	plain_shift(&v[0], s->scale[1]);
	plain_shift(&v[1], s->scale[0]);
	for (int i = 0; i < 2; i++)
		sign[i] = plain_cmp(&v[i], &zero) == 0 ? 0
			  : s->negative[i]	       ? -1
						       : 1;
	want = sign[0] != sign[1] ? (sign[0] < sign[1] ? -1 : 1)
				  : sign[0] * plain_cmp(&v[0], &v[1]);
	if (dec_cmp(s->d[0], s->d[1]) != want) {
		t_bad++;
		fprintf(stderr, "%s cmp %s: not %d\n", s->text[0], s->text[1],
		    want);
	}
}

static void
check_product(const struct sample *s)
{
	struct plain p = plain_mul(&s->value[0], &s->value[1]);
	unsigned scale = s->scale[0] + s->scale[1];
	struct dec d;
	enum err e = dec_mul(s->d[0], s->d[1], &d);
	const char *want;

	/* A scale over 38 is cut where only zeros go; where dec_mul gives up
	 * though they could, it is in range of neither. */
	while (scale > 38 && p.digit[0] == 0) {
		memmove(p.digit, p.digit + 1, WIDTH - 1);
		scale--;
	}
	want = plain_text(&p, s->negative[0] != s->negative[1], scale);
	if (e == ERR_OK || strcmp(want, "RANGE") == 0 ||
	    s->scale[0] + s->scale[1] <= 38)
		same(s, "*", e, d, want);
}

static void
check_quotient(const struct sample *s, unsigned places, enum dec_round how)
{
	struct plain a = s->value[0], x = s->value[1], q, twice;
	static const struct plain zero, one = {{1}};
	bool negative = s->negative[0] != s->negative[1];
	struct dec d;
	enum err e = dec_div(s->d[0], s->d[1], (int)places, how, &d);
	int half;

	if (plain_cmp(&x, &zero) == 0) {
		CHECK(e == ERR_RANGE);
		return;
	}
	plain_shift(&a, places + s->scale[1]);
	plain_shift(&x, s->scale[0]);
	q = plain_div(&a, &x);
	twice = a;
	plain_add(&twice, &a);
	half = plain_cmp(&twice, &x);
	if (half > 0 ||
	    (half == 0 && (how == DEC_HALF_UP || q.digit[0] % 2 == 1)))
		plain_add(&q, &one);
	same(s, how == DEC_HALF_UP ? "/ (up)" : "/ (even)", e, d,
	    plain_text(&q, negative, places));
}

T(against_paper)
{
	struct sample s;

	for (int round = 0; round < 4000 && t_bad < 20; round++) {
		for (int i = 0; i < 2; i++) {
			random_text(s.text[i], &s.scale[i]);
			s.value[i] = plain_of(s.text[i]);
			s.negative[i] = s.text[i][0] == '-';
			s.d[i] = num(s.text[i]);
			CHECK(s.d[i].scale == s.scale[i]);
		}
		check_sum(&s);
		check_order(&s);
		check_product(&s);
		check_quotient(&s, below(10), DEC_HALF_UP);
		check_quotient(&s, below(10), DEC_HALF_EVEN);
	}
}

/* Every amount of two decimals split by every small divisor, as postings do:
 * rounded parts are within half a cent of the whole. */
T(cents)
{
	struct dec part, back, diff, half = num("0.005");

	for (int cents = 0; cents < 3000; cents += 7)
		for (int n = 1; n < 30; n++) {
			struct dec whole = {cents, 2};

			CHECK_OK(
			    dec_div(whole, dec_int(n), 2, DEC_HALF_UP, &part));
			CHECK_OK(dec_mul(part, dec_int(n), &back));
			CHECK_OK(dec_sub(back, whole, &diff));
			if (diff.c < 0)
				diff.c = -diff.c;
			CHECK_OK(dec_mul(half, dec_int(n), &back));
			CHECK(dec_cmp(diff, back) <= 0);
		}
}

T_MAIN(T_RUN(parsing) T_RUN(zeros_are_kept) T_RUN(rounding) T_RUN(dividing)
	T_RUN(edges) T_RUN(against_paper) T_RUN(cents))
