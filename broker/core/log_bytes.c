/*
 * log_bytes - segments as bytes, for a standby that keeps the same ones. What
 * stands before a segment's end never changes, but for a trim, which gives the
 * segment another head.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/core/log_own.h"

uint32_t
log_head_sum(const uint8_t head[SEG_HEAD])
{
	/* Not of all 64: with its own CRC at its end the sum of every head is
	 * the same number. */
	return crc32c(0, head, SEG_HEAD - 4);
}

void
log_end(const struct log *l, struct log_place *out)
{
	pthread_mutex_t *mu = (pthread_mutex_t *)(uintptr_t)&l->mu;

	pthread_mutex_lock(mu);
	out->first = l->segs[l->segs_n - 1].first;
	out->at = l->segs[l->segs_n - 1].end;
	pthread_mutex_unlock(mu);
}

struct stretch {
	struct segment s;
	bool closed;
	uint64_t next; /* first of the segment behind, when closed */
};

static enum err
differs(const struct log_place *p, const char *how)
{
	return err_note(ERR_STATE,
	    "this copy is not the beginning of the journal: segment %llu, "
	    "offset %llu: %s. It holds turns of its own: keep it elsewhere "
	    "and begin with an empty folder",
	    (unsigned long long)p->first, (unsigned long long)p->at, how);
}

/* The segment that begins with p->first; the first one when that was let go of
 * (or is none yet). */
static enum err
find(struct log *l, struct log_place *p, struct stretch *out)
{
	uint64_t oldest;
	size_t i = 0;

	pthread_mutex_lock(&l->mu);
	oldest = l->segs[0].first;
	while (i + 1 < l->segs_n && l->segs[i].first < p->first)
		i++;
	out->s = l->segs[i];
	out->closed = i + 1 < l->segs_n;
	out->next = out->closed ? l->segs[i + 1].first : 0;
	pthread_mutex_unlock(&l->mu);
	if (out->s.first != p->first && p->first > oldest)
		return differs(p, "there is no such segment");
	if (out->s.first != p->first)
		*p = (struct log_place){out->s.first, 0};
	return ERR_OK;
}

/* Where its frames end. One that was closed a moment ago is still to be cut. */
static uint64_t
end_of(const struct stretch *st)
{
	return st->s.end != 0 ? st->s.end : st->s.size;
}

static enum err
open_it(const struct log *l, uint64_t first, int *fd)
{
	char name[LOG_NAME], path[PATH_MAX];
	enum err e;

	log_name(name, first, "seg");
	e = log_path(l, name, path);
	if (e != ERR_OK)
		return e;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd >= 0 ? ERR_OK : err_errno(ERR_BUSY, "cannot open %s", path);
}

static enum err
bytes_of(int fd, uint64_t at, size_t n, struct buf *out)
{
	uint8_t piece[4096];

	while (n > 0) {
		size_t want = n < sizeof(piece) ? n : sizeof(piece);
		ssize_t r = pread(fd, piece, want, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_errno(ERR_IO, "cannot read a segment");
		buf_put(out, piece, (size_t)r);
		at += (uint64_t)r;
		n -= (size_t)r;
	}
	return buf_check(out);
}

/* Has the copy these bytes up to p->at? */
static enum err
same(int fd, const struct log_place *p, uint64_t limit, uint32_t tail)
{
	size_t n = p->at < LOG_TAIL ? (size_t)p->at : LOG_TAIL;
	struct buf b;
	enum err e = ERR_OK;
	uint32_t crc;

	buf_init(&b, LOG_TAIL);
	if (p->at <= limit)
		e = bytes_of(fd, p->at - n, n, &b);
	crc = crc32c(0, b.p, b.n);
	buf_fini(&b);
	if (e != ERR_OK || (p->at <= limit && crc == tail))
		return e;
	return differs(p, p->at > limit ? "it goes on where the journal ends"
					: "its bytes are others");
}

enum err
log_bytes(struct log *l, struct log_place *p, uint32_t head, uint32_t tail,
    size_t max, struct buf *out)
{
	uint8_t raw[SEG_HEAD];
	struct stretch st;
	uint64_t limit;
	enum err e;
	int fd;

	e = find(l, p, &st);
	if (e == ERR_OK)
		e = open_it(l, p->first, &fd);
	if (e != ERR_OK)
		return e;
	limit = end_of(&st);
	if (p->at > 0) {
		seg_head_write(raw, &st.s.head);
		if (log_head_sum(raw) == head)
			e = same(fd, p, limit, tail);
		else if (st.s.head.trimmed)
			p->at = 0;
		else
			e = err_note(ERR_STATE,
			    "this copy is of another journal: segment %llu "
			    "has another head",
			    (unsigned long long)p->first);
	}
	if (e == ERR_OK && p->at == limit && st.closed) {
		close(fd);
		*p = (struct log_place){st.next, 0};
		e = find(l, p, &st);
		limit = end_of(&st);
		if (e == ERR_OK)
			e = open_it(l, p->first, &fd);
		if (e != ERR_OK)
			return e;
	}
	if (e == ERR_OK && p->at < limit)
		e = bytes_of(fd, p->at,
		    limit - p->at < max ? (size_t)(limit - p->at) : max, out);
	close(fd);
	return e;
}
