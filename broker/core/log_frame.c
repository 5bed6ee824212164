/*
 * log_frame - segments and frames as bytes: little endian, each frame aligned
 * to 8, its CRC begun with its segment's random salt, so that nobody who may
 * only publish can write bytes that look like a frame.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/core/log_own.h"

static void
put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void
put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint64_t
get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

void
seg_head_write(uint8_t out[SEG_HEAD], const struct seg_head *h)
{
	memset(out, 0, SEG_HEAD);
	memcpy(out, SEG_MAGIC, 8);
	put32(out + 8, h->trimmed ? 2 : 1);
	put32(out + 12, SEG_HEAD);
	put64(out + 16, h->first);
	put64(out + 24, (uint64_t)h->made);
	memcpy(out + 32, h->id, 16);
	memcpy(out + 48, h->salt, 8);
	put32(out + 56, h->trimmed ? h->kept : 0);
	put32(out + 60, crc32c(0, out, 60));
}

enum err
seg_head_read(const uint8_t in[SEG_HEAD], const char *path, struct seg_head *h)
{
	if (memcmp(in, SEG_MAGIC, 8) != 0)
		return err_note(ERR_CORRUPT,
		    "%s: is no segment of a journal; restore it from a backup",
		    path);
	if (get32(in + 8) > SEG_VERSION)
		return err_note(ERR_VERSION,
		    "%s: has format %u, this program knows up to %d; start the "
		    "newer program",
		    path, get32(in + 8), SEG_VERSION);
	if (get32(in + 60) != crc32c(0, in, 60) || get32(in + 8) == 0 ||
	    get32(in + 12) != SEG_HEAD)
		return err_note(ERR_CORRUPT,
		    "%s: its head is damaged; restore it from a backup", path);
	h->first = get64(in + 16);
	h->made = (int64_t)get64(in + 24);
	memcpy(h->id, in + 32, 16);
	memcpy(h->salt, in + 48, 8);
	h->seed = crc32c(0, h->salt, 8);
	h->trimmed = get32(in + 8) == 2;
	h->kept = get32(in + 56);
	return ERR_OK;
}

void
frame_head_write(uint8_t out[FRAME_HEAD], uint32_t seed, struct slice records,
    uint32_t count, uint64_t first, int64_t recorded)
{
	put32(out, (uint32_t)records.n);
	put32(out + 4, count);
	put64(out + 8, first);
	put64(out + 16, (uint64_t)recorded);
	put32(out + 24, 0);
	put32(out + 28,
	    crc32c(crc32c(seed, out, FRAME_HEAD - 4), records.p, records.n));
}

void
window_init(struct window *w, int fd, uint64_t limit, size_t ahead)
{
	*w = (struct window){.fd = fd, .limit = limit, .ahead = ahead};
}

void
window_fini(struct window *w)
{
	free(w->p);
	w->p = NULL;
	w->n = w->cap = 0;
}

void
window_turn(struct window *w, int fd, uint64_t limit)
{
	w->fd = fd;
	w->limit = limit;
	w->n = 0;
}

static enum err
window_fill(struct window *w, uint64_t at, size_t n)
{
	while (w->n < n) {
		ssize_t r =
		    pread(w->fd, w->p + w->n, n - w->n, (off_t)(at + w->n));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(ERR_IO, "cannot read a segment");
		if (r == 0)
			return err_note(
			    ERR_IO, "a segment ends before its end");
		w->n += (size_t)r;
	}
	return ERR_OK;
}

enum err
window_get(struct window *w, uint64_t at, size_t n, const uint8_t **out)
{
	size_t want = n > w->ahead ? n : w->ahead;
	uint8_t *p;
	enum err e;

	if (at >= w->at && at - w->at <= w->n && n <= w->n - (at - w->at)) {
		*out = w->p + (at - w->at);
		return ERR_OK;
	}
	if (at > w->limit || n > w->limit - at)
		return err_note(ERR_RANGE, "beyond a segment's end");
	if (want > w->limit - at)
		want = (size_t)(w->limit - at);
	/* One large turn does not make a reader large for ever. */
	if (w->cap > 1024 * 1024 && want < w->cap / 16) {
		free(w->p);
		w->p = NULL;
		w->cap = 0;
	}
	w->n = 0;
	if (want > w->cap) {
		p = realloc(w->p, want);
		if (p == NULL)
			return err_note(
			    ERR_NOMEM, "no memory to read the journal");
		w->p = p;
		w->cap = want;
	}
	w->at = at;
	e = window_fill(w, at, want);
	if (e != ERR_OK) {
		w->n = 0;
		return e;
	}
	*out = w->p;
	return ERR_OK;
}

static bool
zeros(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

enum err
frame_at(struct window *w, uint32_t seed, uint64_t at, bool whole,
    struct log_frame *out, enum frame_state *state)
{
	const uint8_t *p;
	uint32_t crc;
	enum err e;

	*state = FRAME_END;
	if (at + FRAME_HEAD > w->limit)
		return ERR_OK;
	e = window_get(w, at, FRAME_HEAD, &p);
	if (e != ERR_OK)
		return e;
	if (zeros(p, FRAME_HEAD))
		return ERR_OK;
	*state = FRAME_BAD;
	*out = (struct log_frame){
	    .at = at,
	    .length = get32(p),
	    .count = get32(p + 4),
	    .first = get64(p + 8),
	    .recorded = (int64_t)get64(p + 16),
	};
	if (out->length > TURN_MAX || out->count == 0 || out->first == 0 ||
	    out->count > out->length / RECORD_HEAD || get32(p + 24) != 0 ||
	    frame_size(out->length) > w->limit - at)
		return ERR_OK;
	if (whole) {
		e = window_get(w, at, FRAME_HEAD + out->length, &p);
		if (e != ERR_OK)
			return e;
		crc = crc32c(seed, p, FRAME_HEAD - 4);
		crc = crc32c(crc, p + FRAME_HEAD, out->length);
		if (crc != get32(p + 28))
			return ERR_OK;
		out->records = p + FRAME_HEAD;
	}
	*state = FRAME_OK;
	return ERR_OK;
}

uint32_t
record_length(const uint8_t head[RECORD_HEAD])
{
	return get32(head + 1);
}

bool
record_at(const struct log_frame *f, size_t *off, enum record_kind *kind,
    struct slice *body)
{
	const uint8_t *p = f->records + *off;
	size_t left = f->length - *off;
	uint32_t n;

	if (left < RECORD_HEAD)
		return false;
	n = get32(p + 1);
	if (n > left - RECORD_HEAD || p[0] < REC_EVENT || p[0] > REC_TIMER)
		return false;
	*kind = (enum record_kind)p[0];
	*body = slice_of(p + RECORD_HEAD, n);
	*off += RECORD_HEAD + n;
	return true;
}

void
turn_init(struct turn *t)
{
	buf_init(&t->bytes, TURN_MAX);
	t->count = 0;
	t->vital = false;
}

void
turn_fini(struct turn *t)
{
	buf_fini(&t->bytes);
	t->count = 0;
}

void
turn_reset(struct turn *t)
{
	buf_reset(&t->bytes);
	t->count = 0;
	t->vital = false;
}

void
turn_add(struct turn *t, enum record_kind kind, struct slice body)
{
	uint8_t *p = buf_room(&t->bytes, RECORD_HEAD + body.n);

	if (p == NULL)
		return; /* log_append() says so */
	p[0] = (uint8_t)kind;
	put32(p + 1, (uint32_t)body.n);
	memcpy(p + RECORD_HEAD, body.p, body.n);
	t->bytes.n += RECORD_HEAD + body.n;
	t->count++;
}
