/*
 * dec - exact decimals. There are no floats in this program.
 *
 * A number is c * 10^-scale. Stored and written numbers have |c| within int64
 * and a scale of 0 to 9 (dec_store checks); inside one expression c has up to
 * 38 digits and scale up to 38. Every operation that would lose a digit or
 * overflow is ERR_RANGE, never a wrong number. Trailing zeros are kept:
 * 3.00 + 1 = 4.00; 3.0 and 3.00 compare equal.
 */
#ifndef VAYLA_BASE_DEC_H
#define VAYLA_BASE_DEC_H

#include "broker/base/buf.h"

struct dec {
	__int128 c;
	uint8_t scale;
};

enum dec_round { DEC_HALF_UP, DEC_HALF_EVEN }; /* half_up: away from zero */

static inline struct dec
dec_int(int64_t i)
{
	return (struct dec){i, 0};
}

/* "[-]digits[.digits][(e|E)[+-]digits]", as JSON; nothing around it. A negative
 * exponent adds scale, a positive one appends zeros. */
enum err dec_parse(struct slice text, struct dec *out) MUST_CHECK;

enum err dec_add(struct dec a, struct dec b, struct dec *out) MUST_CHECK;
enum err dec_sub(struct dec a, struct dec b, struct dec *out) MUST_CHECK;
enum err dec_mul(struct dec a, struct dec b, struct dec *out) MUST_CHECK;
/* a / b rounded once to `places`; b = 0 is ERR_RANGE. */
enum err dec_div(struct dec a, struct dec b, int places, enum dec_round how,
    struct dec *out) MUST_CHECK;
/* Exactly `places` decimals (0 to 9). */
enum err dec_round(
    struct dec a, int places, enum dec_round how, struct dec *out) MUST_CHECK;
int dec_cmp(struct dec a, struct dec b);
bool dec_is_int(struct dec a, int64_t *out); /* a whole number within int64? */

/* ERR_RANGE unless it can be stored: int64 coefficient, scale <= 9. A scale
 * over 9 whose extra digits are zeros is cut to 9. */
enum err dec_store(struct dec a, struct dec *out) MUST_CHECK;

#define DEC_TEXT 48
/* "-0.05" with all of scale's digits; returns the length, NUL at the end. */
size_t dec_text(struct dec a, char out[DEC_TEXT]);

#endif
