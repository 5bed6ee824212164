/* encode - bytes as text and back: the part of crypt.h that needs no
 * libcrypto. */
#include "broker/base/crypt.h"

void
hex_put(struct buf *out, struct slice bytes)
{
	static const char digit[] = "0123456789abcdef";
	uint8_t *to;

	if (bytes.n > SIZE_MAX / 2) {
		out->bad = true;
		return;
	}
	to = buf_room(out, bytes.n * 2);
	if (to == NULL)
		return;
	for (size_t i = 0; i < bytes.n; i++) {
		*to++ = (uint8_t)digit[bytes.p[i] >> 4];
		*to++ = (uint8_t)digit[bytes.p[i] & 15];
	}
	out->n += bytes.n * 2;
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err
hex_get(struct slice text, struct buf *out)
{
	size_t before = out->n;

	if (text.n % 2 != 0)
		return err_note(
		    ERR_SYNTAX, "an odd number of hexadecimal digits");
	for (size_t i = 0; i < text.n; i += 2) {
		int high = hex_value(text.p[i]), low = hex_value(text.p[i + 1]);

		if (high < 0 || low < 0) {
			out->n = before;
			return err_note(
			    ERR_SYNTAX, "no hexadecimal digit at byte %zu", i);
		}
		buf_byte(out, (uint8_t)(high << 4 | low));
	}
	return buf_check(out);
}

static const char base64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_put(struct buf *out, struct slice s)
{
	size_t n = s.n / 3 * 4 + (s.n % 3 != 0 ? 4 : 0), i;
	uint8_t *to = buf_room(out, n);
	uint32_t v;

	if (to == NULL)
		return;
	for (i = 0; i + 3 <= s.n; i += 3) {
		v = (uint32_t)s.p[i] << 16 | (uint32_t)s.p[i + 1] << 8 |
		    s.p[i + 2];
		*to++ = (uint8_t)base64[v >> 18];
		*to++ = (uint8_t)base64[v >> 12 & 63];
		*to++ = (uint8_t)base64[v >> 6 & 63];
		*to++ = (uint8_t)base64[v & 63];
	}
	if (i < s.n) {
		v = (uint32_t)s.p[i] << 16;
		if (i + 1 < s.n)
			v |= (uint32_t)s.p[i + 1] << 8;
		*to++ = (uint8_t)base64[v >> 18];
		*to++ = (uint8_t)base64[v >> 12 & 63];
		*to++ = (uint8_t)(i + 1 < s.n ? base64[v >> 6 & 63] : '=');
		*to++ = '=';
	}
	out->n += n;
}

static int
base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict: padded to four, standard alphabet, no spare bits set, so that one
 * value has one text (signatures are compared as bytes, but keys are not). */
enum err
base64_get(struct slice text, struct buf *out)
{
	size_t before = out->n, n = text.n, pad = 0;

	if (n % 4 != 0)
		return err_note(
		    ERR_SYNTAX, "base64 of %zu characters is not padded", n);
	while (pad < 2 && pad < n && text.p[n - 1 - pad] == '=')
		pad++;
	n -= pad;
	for (size_t i = 0; i < n; i += 4) {
		uint32_t v = 0, count = n - i < 4 ? (uint32_t)(n - i) : 4;

		for (uint32_t k = 0; k < 4; k++) {
			int d = k < count ? base64_value(text.p[i + k]) : 0;

			if (d < 0) {
				out->n = before;
				return err_note(ERR_SYNTAX,
				    "no base64 character at byte %zu", i + k);
			}
			v = v << 6 | (uint32_t)d;
		}
		if ((count == 2 && (v & 0xffff) != 0) ||
		    (count == 3 && (v & 0xff) != 0)) {
			out->n = before;
			return err_note(
			    ERR_SYNTAX, "base64 ends with spare bits set");
		}
		buf_byte(out, (uint8_t)(v >> 16));
		if (count > 2)
			buf_byte(out, (uint8_t)(v >> 8));
		if (count > 3)
			buf_byte(out, (uint8_t)v);
	}
	return buf_check(out);
}
