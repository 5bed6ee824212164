/*
 * slice - bytes borrowed for the length of a call, or as long as the owner
 * named beside them lives. p is never NULL, so memcmp and memcpy are safe at
 * n = 0; the empty slice is SLICE_EMPTY.
 */
#ifndef VAYLA_BASE_SLICE_H
#define VAYLA_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *p;
	size_t n;
};

#define SLICE_EMPTY ((struct slice){(const uint8_t *)"", 0})
#define SLICE_LIT(s) ((struct slice){(const uint8_t *)(s), sizeof(s) - 1})

/* For printf("%.*s"): the length as int, then the bytes. */
#define SLICE_ARG(s) ((int)(s).n), ((const char *)(s).p)

static inline struct slice
slice_of(const void *p, size_t n)
{
	return p != NULL ? (struct slice){p, n} : SLICE_EMPTY;
}

/* The bytes of a C string without its NUL; NULL gives the empty slice. */
static inline struct slice
slice_str(const char *s)
{
	return s != NULL ? (struct slice){(const uint8_t *)s, strlen(s)}
			 : SLICE_EMPTY;
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static inline bool
slice_is(struct slice a, const char *s)
{
	size_t n = strlen(s);

	return a.n == n && memcmp(a.p, s, n) == 0;
}

/* By bytes, which for UTF-8 is by code point; a prefix sorts first. */
static inline int
slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = memcmp(a.p, b.p, n);

	return r != 0 ? r : (a.n > b.n) - (a.n < b.n);
}

static inline bool
slice_starts(struct slice a, struct slice prefix)
{
	return a.n >= prefix.n && memcmp(a.p, prefix.p, prefix.n) == 0;
}

static inline struct slice
slice_from(struct slice a, size_t skip)
{
	return skip < a.n ? (struct slice){a.p + skip, a.n - skip}
			  : SLICE_EMPTY;
}

#endif
