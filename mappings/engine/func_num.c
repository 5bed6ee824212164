/* func_num - numbers, minor units, reference numbers. */
#include "mappings/engine/func_impl.h"

enum err
func_round(struct eval *e, const struct expr *x, struct val *out)
{
	enum dec_round how = x->word == 1 ? DEC_HALF_EVEN : DEC_HALF_UP;
	const struct expr *a = x->args[0].x;
	struct dec n, d, r;
	struct val v;
	int64_t places;
	enum err err;

	TRY(run_int(e, x->args[1].x, &places));
	if (places < 0 || places > 9)
		return fail_at(e, x->args[1].x, ERR_RANGE, "places are 0 to 9");
	if (a->op == X_DIV) {
		TRY(run_number(e, a->args[0].x, &v));
		TRY(val_dec(e, a->args[0].x, &v, &n));
		TRY(run_number(e, a->args[1].x, &v));
		TRY(val_dec(e, a->args[1].x, &v, &d));
		if (d.c == 0)
			return fail_at(e, a, ERR_RANGE, "division by zero");
		err = dec_div(n, d, (int)places, how, &r);
	} else {
		TRY(run_number(e, a, &v));
		TRY(val_dec(e, a, &v, &n));
		err = dec_round(n, (int)places, how, &r);
	}
	if (err != ERR_OK)
		return fail_at(e, a, ERR_RANGE,
		    "the number is too large to round to %d places",
		    (int)places);
	return val_of_dec(e, x, r, out);
}

enum err
func_abs(struct eval *e, const struct expr *x, struct val *out)
{
	struct dec d;

	TRY(run_number(e, x->args[0].x, out));
	TRY(val_dec(e, x, out, &d));
	if (d.c >= 0)
		return ERR_OK;
	if (out->tag != V_WIDE && out->i != INT64_MIN) {
		out->i = -out->i;
		return ERR_OK;
	}
	d.c = -d.c;
	return val_of_dec(e, x, d, out);
}

/* The number a text holds, or the number itself. */
static enum err
number_in(struct eval *e, const struct expr *x, struct val *out)
{
	struct dec d;

	TRY(run_need(e, x, out));
	if (val_is_number(out))
		return ERR_OK;
	if (out->tag == V_TEXT) {
		struct slice s = val_slice(*out);

		if (val_parse(s, out))
			return ERR_OK;
		return fail_at(e, x, ERR_TYPE,
		    "the text '%.*s' is no number (digits, at most one point)",
		    (int)(s.n < 40 ? s.n : 40), (const char *)s.p);
	}
	return val_dec(e, x, out, &d);
}

enum err
func_decimal(struct eval *e, const struct expr *x, struct val *out)
{
	TRY(number_in(e, x->args[0].x, out));
	if (out->tag == V_INT)
		*out = (struct val){.tag = V_DEC, .i = out->i};
	return ERR_OK;
}

enum err
func_int(struct eval *e, const struct expr *x, struct val *out)
{
	struct dec d;
	int64_t i;

	TRY(number_in(e, x->args[0].x, out));
	TRY(val_dec(e, x, out, &d));
	if (!dec_is_int(d, &i))
		return fail_at(e, x->args[0].x, ERR_RANGE,
		    "not a whole number; round(x, 0) makes one");
	*out = val_int(i);
	return ERR_OK;
}

/* ---- minor units: ISO 4217, those that have not two ---- */

static enum err
currency_places(struct eval *e, const struct expr *x, unsigned *places)
{
	static const char none[] =
	    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF "
	    "XPF ";
	static const char three[] = "BHD IQD JOD KWD LYD OMR TND ";
	static const char four[] = "CLF UYW ";
	char code[5] = "    ";
	struct slice s;
	size_t i;

	TRY(run_text(e, x, &s));
	if (s.n != 3)
		return fail_at(e, x, ERR_RANGE,
		    "a currency is three letters, not '%.*s'",
		    (int)(s.n < 20 ? s.n : 20), (const char *)s.p);
	for (i = 0; i < 3; i++) {
		uint8_t c = s.p[i];

		if (c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 32);
		if (c < 'A' || c > 'Z')
			return fail_at(e, x, ERR_RANGE,
			    "a currency is three letters, not '%.*s'",
			    SLICE_ARG(s));
		code[i] = (char)c;
	}
	*places = strstr(none, code) != NULL	? 0
		  : strstr(three, code) != NULL ? 3
		  : strstr(four, code) != NULL	? 4
						: 2;
	return ERR_OK;
}

enum err
func_minor(struct eval *e, const struct expr *x, struct val *out)
{
	unsigned places;
	struct val v;
	struct dec d;
	int64_t i;

	TRY(run_number(e, x->args[0].x, &v));
	TRY(val_dec(e, x, &v, &d));
	TRY(currency_places(e, x->args[1].x, &places));
	if (!dec_is_int(d, &i))
		return fail_at(e, x->args[0].x, ERR_RANGE,
		    "minor units are whole numbers");
	*out = (struct val){.tag = V_DEC, .scale = (uint8_t)places, .i = i};
	return ERR_OK;
}

enum err
func_to_minor(struct eval *e, const struct expr *x, struct val *out)
{
	unsigned places, k;
	struct val v;
	struct dec d;
	int64_t i;

	TRY(run_number(e, x->args[0].x, &v));
	TRY(val_dec(e, x, &v, &d));
	TRY(currency_places(e, x->args[1].x, &places));
	for (k = 0; k < places; k++)
		if (dec_mul(d, dec_int(10), &d) != ERR_OK)
			return fail_at(e, x, ERR_RANGE, "too large");
	if (!dec_is_int(d, &i))
		return fail_at(e, x->args[0].x, ERR_RANGE,
		    "not a whole number of minor units; round() it to %u "
		    "places",
		    places);
	*out = val_int(i);
	return ERR_OK;
}

/* ---- reference numbers ---- */

/* Weights 7, 3, 1 from the right; the check digit makes a full ten. */
enum err
func_fi_reference(struct eval *e, const struct expr *x, struct val *out)
{
	static const unsigned weights[] = {7, 3, 1};
	struct slice s;
	unsigned sum = 0;
	uint8_t *p;
	size_t i;

	TRY(run_text(e, x->args[0].x, &s));
	while (s.n > 1 && s.p[0] == '0')
		s = slice_from(s, 1);
	if (s.n < 3 || s.n > 19)
		return fail_at(e, x->args[0].x, ERR_RANGE,
		    "a Finnish reference is made of 3 to 19 digits, not %zu",
		    s.n);
	for (i = 0; i < s.n; i++) {
		uint8_t c = s.p[s.n - 1 - i];

		if (c < '0' || c > '9')
			return fail_at(e, x->args[0].x, ERR_TYPE,
			    "a Finnish reference is made of digits only");
		sum += (unsigned)(c - '0') * weights[i % 3];
	}
	p = run_alloc(e, s.n + 1);
	if (p == NULL)
		return fail_scratch(e, x);
	memcpy(p, s.p, s.n);
	p[s.n] = (uint8_t)('0' + (10 - sum % 10) % 10);
	*out = val_text(slice_of(p, s.n + 1));
	return ERR_OK;
}

/* The rest of the digits by 97, letters as 10 to 35. */
static unsigned
mod97(unsigned rest, uint8_t c)
{
	if (c >= '0' && c <= '9')
		return (rest * 10 + (unsigned)(c - '0')) % 97;
	return (rest * 100 + (unsigned)(c - 'A') + 10) % 97;
}

enum err
func_rf(struct eval *e, const struct expr *x, struct val *out)
{
	struct slice s;
	unsigned rest = 0;
	uint8_t *p;
	size_t i, n = 4;

	TRY(run_text(e, x->args[0].x, &s));
	p = run_alloc(e, s.n + 4);
	if (p == NULL)
		return fail_scratch(e, x);
	for (i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == ' ')
			continue;
		if (c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 32);
		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z'))
			return fail_at(e, x->args[0].x, ERR_TYPE,
			    "an RF reference is made of letters A to Z and "
			    "digits");
		p[n++] = c;
		rest = mod97(rest, c);
	}
	if (n == 4 || n > 25)
		return fail_at(e, x->args[0].x, ERR_RANGE,
		    "an RF reference is made of 1 to 21 characters");
	rest = mod97(mod97(rest, 'R'), 'F');
	rest = 98 - rest * 100 % 97;
	p[0] = 'R';
	p[1] = 'F';
	p[2] = (uint8_t)('0' + rest / 10);
	p[3] = (uint8_t)('0' + rest % 10);
	*out = val_text(slice_of(p, n));
	return ERR_OK;
}
