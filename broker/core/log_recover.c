/*
 * log_recover - the end of the last segment after whatever ended the writer.
 *
 * At most one frame was being written when the power went: its bytes are there
 * in part, in any order of sectors, and nobody was told that it is stored.
 * Every earlier frame had been synced. So the first place that holds no good
 * frame is the end, what stands behind it is that one frame's rest, and it is
 * overwritten with zeros. A good frame further on, or more bytes than a turn
 * may have, say that a synced frame was damaged: then nothing is touched and
 * the start is refused. (Damage to the very last frame can not be told from a
 * torn write.)
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/log_own.h"

struct tail {
	const struct log *l;
	struct segment *s;
	char name[LOG_NAME];
	int fd;
	struct window w;
	uint64_t at;   /* where no good frame is */
	uint64_t next; /* the sequence that would stand there */
};

static enum err
damaged(const struct tail *t, const char *why, uint64_t where)
{
	return err_note(ERR_CORRUPT,
	    "%s/%s, offset %llu: a damaged frame; %s at offset %llu. Nothing "
	    "was changed; restore this segment from a backup",
	    t->l->dir, t->name, (unsigned long long)t->at, why,
	    (unsigned long long)where);
}

/* One past the last byte that is not 0, or t->at. */
static enum err
last_byte(struct tail *t, uint64_t *end)
{
	const uint8_t *p;
	enum err e;

	*end = t->at;
	for (uint64_t at = t->at; at < t->w.limit;) {
		uint64_t n = t->w.limit - at;

		if (n > 65536)
			n = 65536;
		e = window_get(&t->w, at, (size_t)n, &p);
		if (e != ERR_OK)
			return e;
		for (uint64_t i = n; i > 0; i--)
			if (p[i - 1] != 0) {
				*end = at + i;
				break;
			}
		at += n;
	}
	return ERR_OK;
}

static enum err
look_for_frames(struct tail *t, uint64_t end)
{
	enum frame_state state;
	struct log_frame f;
	enum err e;

	for (uint64_t at = t->at + 8; at + FRAME_HEAD <= end; at += 8) {
		e = frame_at(&t->w, 0, at, false, &f, &state);
		if (e != ERR_OK)
			return e;
		if (state != FRAME_OK || f.first <= t->next ||
		    f.first - t->next > t->s->size)
			continue;
		e = frame_at(&t->w, t->s->head.seed, at, true, &f, &state);
		if (e != ERR_OK)
			return e;
		if (state == FRAME_OK)
			return damaged(t, "a good one follows", at);
	}
	return ERR_OK;
}

static enum err
cut(struct tail *t, uint64_t end)
{
	uint8_t *zero = calloc(1, (size_t)(end - t->at));
	enum err e;

	if (zero == NULL)
		return err_note(ERR_NOMEM, "no memory to mend a segment");
	e = fd_pwrite(t->fd, slice_of(zero, (size_t)(end - t->at)), t->at);
	free(zero);
	if (e == ERR_OK && t->l->os->fdatasync(t->fd) != 0)
		e = err_errno(ERR_SYNC, "cannot sync %s", t->name);
	if (e == ERR_OK)
		say(SAY_WARN, "log",
		    "cut a torn frame: %llu bytes at offset %llu of %s",
		    (unsigned long long)(end - t->at),
		    (unsigned long long)t->at, t->name);
	return e;
}

static enum err
mend(struct tail *t)
{
	uint64_t end;
	enum err e;

	if (t->l->beside)
		return ERR_OK; /* somebody may be writing there */
	e = last_byte(t, &end);
	if (e != ERR_OK || end == t->at)
		return e;
	if (end - t->at > frame_size(TURN_MAX))
		return damaged(t, "more than one turn's bytes follow, to", end);
	e = look_for_frames(t, end);
	return e == ERR_OK && !t->l->read_only ? cut(t, end) : e;
}

enum err
log_recover(const struct log *l, struct segment *s, int fd, uint64_t *next)
{
	struct tail t = {
	    .l = l, .s = s, .fd = fd, .at = SEG_HEAD, .next = s->first};
	enum frame_state state = FRAME_OK;
	struct log_frame f;
	enum err e;

	e = sparse_init(s);
	if (e != ERR_OK)
		return e;
	log_name(t.name, s->first, "seg");
	window_init(&t.w, fd, s->size, 1024 * 1024);
	while (e == ERR_OK && state == FRAME_OK) {
		e = frame_at(&t.w, s->head.seed, t.at, true, &f, &state);
		if (e != ERR_OK || state != FRAME_OK)
			break;
		if (f.first != t.next) {
			e = err_note(ERR_CORRUPT,
			    "%s/%s, offset %llu: sequence %llu stands where "
			    "%llu belongs; restore this segment from a backup",
			    l->dir, t.name, (unsigned long long)t.at,
			    (unsigned long long)f.first,
			    (unsigned long long)t.next);
			break;
		}
		sparse_add(s, f.first, t.at);
		sparse_add_inside(
		    s, f.first, t.at, slice_of(f.records, f.length));
		t.next += f.count;
		t.at += frame_size(f.length);
	}
	if (e == ERR_OK)
		e = mend(&t);
	window_fini(&t.w);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	s->end = t.at;
	s->trusted = true;
	*next = t.next;
	return e;
}
