/* buf - see buf.h. Grows by doubling from 256 bytes, never beyond max. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/buf.h"

static uint8_t empty[1];

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.p = empty, .max = max};
}

void
buf_fini(struct buf *b)
{
	if (b->cap > 0)
		free(b->p);
	*b = (struct buf){.p = empty, .max = b->max};
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->bad = false;
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	size_t cap;
	uint8_t *p;

	if (b->bad)
		return NULL;
	if (b->cap - b->n >= n && b->cap > 0)
		return b->p + b->n; /* cap never exceeds max */
	if (n > b->max || b->n > b->max - n) {
		b->bad = true;
		return NULL;
	}
	cap = b->cap > 0 ? b->cap : 256;
	while (cap - b->n < n)
		cap = cap <= SIZE_MAX / 2 ? cap * 2 : b->n + n;
	if (cap > b->max)
		cap = b->max;
	if (cap == 0)
		return b->p;
	p = realloc(b->cap > 0 ? b->p : NULL, cap);
	if (p == NULL) {
		b->bad = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return b->p + b->n;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = buf_room(b, n);

	if (to == NULL || n == 0)
		return;
	memcpy(to, p, n);
	b->n += n;
}

void
buf_byte(struct buf *b, uint8_t c)
{
	uint8_t *to = buf_room(b, 1);

	if (to == NULL)
		return;
	*to = c;
	b->n++;
}

void
buf_slice(struct buf *b, struct slice s)
{
	buf_put(b, s.p, s.n);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	char small[512];
	va_list again;
	uint8_t *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0) {
		b->bad = true;
	} else if ((size_t)n < sizeof(small)) {
		buf_put(b, small, (size_t)n);
	} else if ((to = malloc((size_t)n + 1)) != NULL) {
		vsnprintf((char *)to, (size_t)n + 1, fmt, again);
		buf_put(b, to, (size_t)n);
		free(to);
	} else {
		b->bad = true;
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

const char *
buf_cstr(struct buf *b)
{
	uint8_t *to = buf_room(b, 1);

	if (to == NULL)
		return "";
	*to = '\0';
	return (const char *)b->p;
}

enum err
buf_check(const struct buf *b)
{
	if (b->bad)
		return err_note(
		    ERR_LIMIT, "more than %zu bytes in one buffer", b->max);
	return ERR_OK;
}
