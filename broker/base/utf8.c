/*
 * utf8 - see utf8.h. Plain ASCII goes eight bytes a step; the rest character
 * by character, after the table of well-formed sequences in Unicode's chapter
 * 3.9 (D92).
 */
#include "broker/base/utf8.h"

static bool
tail(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

size_t
utf8_step(const uint8_t *p, const uint8_t *end)
{
	size_t left = (size_t)(end - p);
	uint8_t c = p[0], lo = 0x80, hi = 0xbf;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4 || left < 2)
		return 0;
	if (c < 0xe0)
		return tail(p[1]) ? 2 : 0;
	/* The second byte's range shuts out overlong forms, surrogates and
	 * what lies above U+10FFFF. */
	if (c == 0xe0)
		lo = 0xa0;
	else if (c == 0xed)
		hi = 0x9f;
	else if (c == 0xf0)
		lo = 0x90;
	else if (c == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi || left < 3 || !tail(p[2]))
		return 0;
	if (c < 0xf0)
		return 3;
	return left >= 4 && tail(p[3]) ? 4 : 0;
}

size_t
utf8_span(struct slice s)
{
	const uint8_t *p = s.p, *end = s.p + s.n;
	uint64_t w;
	size_t n;

	while (p < end) {
		while (end - p >= 8) {
			memcpy(&w, p, 8);
			if ((w & UINT64_C(0x8080808080808080)) != 0)
				break;
			p += 8;
		}
		if (p == end)
			break;
		n = utf8_step(p, end);
		if (n == 0)
			break;
		p += n;
	}
	return (size_t)(p - s.p);
}

size_t
utf8_put(uint8_t *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (uint8_t)(0xc0 | c >> 6);
		to[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (uint8_t)(0xe0 | c >> 12);
		to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		to[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (uint8_t)(0xf0 | c >> 18);
	to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	to[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}
