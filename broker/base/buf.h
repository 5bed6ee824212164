/*
 * buf - a growable byte buffer that cannot exist without a ceiling.
 *
 * A put beyond max, or an allocation that fails, sets `bad` and changes
 * nothing further: a caller may put many times and check once with
 * buf_check(). p is never NULL after buf_init().
 */
#ifndef VAYLA_BASE_BUF_H
#define VAYLA_BASE_BUF_H

#include <stdarg.h>

#include "broker/base/err.h"
#include "broker/base/slice.h"

struct buf {
	uint8_t *p;
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated; 0 while p is the shared empty one */
	size_t max; /* n never exceeds this */
	bool bad;   /* something did not fit */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);  /* safe on a zeroed struct; keeps nothing */
void buf_reset(struct buf *b); /* n = 0, bad = false, memory kept */

/* Room for n more bytes at the end; NULL (and bad) if there is none. Add what
 * was used to b->n. */
uint8_t *buf_room(struct buf *b, size_t n);

void buf_put(struct buf *b, const void *p, size_t n);
void buf_byte(struct buf *b, uint8_t c);
void buf_slice(struct buf *b, struct slice s);
void buf_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* The content with a NUL behind it that is not counted; "" when bad. */
const char *buf_cstr(struct buf *b);

static inline struct slice
buf_all(const struct buf *b)
{
	return slice_of(b->p, b->n);
}

/* ERR_OK, or ERR_LIMIT when anything did not fit. */
enum err buf_check(const struct buf *b) MUST_CHECK;

#endif
