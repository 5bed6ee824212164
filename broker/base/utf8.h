/*
 * utf8 - is this UTF-8, and where not? Strict: no overlong forms, no
 * surrogates, nothing above U+10FFFF.
 */
#ifndef VAYLA_BASE_UTF8_H
#define VAYLA_BASE_UTF8_H

#include "broker/base/slice.h"

/* Bytes of the well-formed character at p (p < end): 1 to 4; 0 when there is
 * none. */
size_t utf8_step(const uint8_t *p, const uint8_t *end);

/* How many bytes at the start are well-formed: s.n when all are. */
size_t utf8_span(struct slice s);

static inline bool
utf8_valid(struct slice s)
{
	return utf8_span(s) == s.n;
}

/* A code point (no surrogate, at most 0x10ffff) as 1 to 4 bytes at `to`. */
size_t utf8_put(uint8_t *to, uint32_t c);

#endif
