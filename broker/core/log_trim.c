/*
 * log_trim - retention: a segment that is old enough is written anew with the
 * few records that must stay (what people did, and settlements of what is kept
 * elsewhere), in frames that leave holes between their sequences.
 *
 * Rejected: removing the file. The settlement of a delivery that is kept in an
 * older, pinned segment would go with it, and a fold made anew would deliver it
 * again; pinning the successors too would keep everything behind one parked
 * order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/core/log_own.h"

#define FRAME_MOST (1024 * 1024)

struct trim {
	struct log *l;
	struct log_trim *out;
	log_keep *keep;
	void *arg;
	struct seg_head head;
	uint64_t end; /* of the segment: its sequences are below */
	int fd;
	uint64_t at; /* where the next frame goes */
	struct turn frame;
	uint64_t first; /* of its first record */
	int64_t recorded;
};

static enum err
flush(struct trim *t)
{
	static const uint8_t zero[8];
	uint8_t head[FRAME_HEAD];
	struct slice records = buf_all(&t->frame.bytes);
	uint64_t size = frame_size(records.n);
	enum err e = buf_check(&t->frame.bytes);

	if (t->frame.count == 0 || e != ERR_OK)
		return e;
	frame_head_write(
	    head, t->head.seed, records, t->frame.count, t->first, t->recorded);
	e = fd_write(t->fd, slice_of(head, FRAME_HEAD));
	if (e == ERR_OK)
		e = fd_write(t->fd, records);
	if (e == ERR_OK)
		e = fd_write(t->fd,
		    slice_of(zero, (size_t)(size - FRAME_HEAD - records.n)));
	t->at += size;
	turn_reset(&t->frame);
	return e;
}

static enum err
one(void *arg, const struct log_record *rec)
{
	struct trim *t = arg;
	enum err e = ERR_OK;

	if (rec->seq >= t->end)
		return ERR_CLOSED; /* that was all */
	if (!t->keep(t->arg, rec)) {
		t->out->gone++;
		return ERR_OK;
	}
	if (rec->recorded != t->recorded ||
	    rec->seq != t->first + t->frame.count ||
	    t->frame.bytes.n > FRAME_MOST)
		e = flush(t);
	if (t->frame.count == 0) {
		t->first = rec->seq;
		t->recorded = rec->recorded;
	}
	turn_add(&t->frame, rec->kind, rec->body);
	t->out->kept++;
	return e;
}

/* Only the temporary file is written to. */
static enum err
write_kept(struct trim *t, const char *temp)
{
	struct log_reader *r;
	enum err e;

	t->fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return err_errno(ERR_IO, "cannot make %s", temp);
	seg_head_write(t->out->head, &t->head);
	e = fd_write(t->fd, slice_of(t->out->head, SEG_HEAD));
	if (e == ERR_OK)
		e = log_reader_new(&r, t->l);
	if (e == ERR_OK) {
		e = log_scan(r, t->head.first, one, t);
		log_reader_free(r);
	}
	if (e == ERR_CLOSED || e == ERR_OK)
		e = flush(t);
	/* Where it ends can be told by nothing else. */
	t->head.kept = (uint32_t)t->out->kept;
	seg_head_write(t->out->head, &t->head);
	if (e == ERR_OK)
		e = fd_pwrite(t->fd, slice_of(t->out->head, SEG_HEAD), 0);
	if (e == ERR_OK && fsync(t->fd) != 0)
		e = err_errno(ERR_IO, "cannot sync %s", temp);
	close(t->fd);
	if (e != ERR_OK)
		unlink(temp);
	return e;
}

static enum err
paths(const struct log *l, uint64_t first, char temp[PATH_MAX],
    char path[PATH_MAX])
{
	char name[LOG_NAME + 8];
	enum err e;

	log_name(name, first, "seg");
	e = log_path(l, name, path);
	strcat(name, ".tmp");
	return e == ERR_OK ? log_path(l, name, temp) : e;
}

enum err
log_trim_make(struct log *l, uint64_t first, log_keep *keep, void *arg,
    struct log_trim *out)
{
	struct trim t = {
	    .l = l, .out = out, .keep = keep, .arg = arg, .at = SEG_HEAD};
	char temp[PATH_MAX], path[PATH_MAX];
	bool found;
	size_t i;
	enum err e;

	*out = (struct log_trim){.first = first};
	pthread_mutex_lock(&l->mu);
	found = log_segment_of(l, first, &i) && i + 1 < l->segs_n &&
		l->segs[i].first == first;
	if (found) {
		t.head = l->segs[i].head;
		t.end = l->segs[i + 1].first;
		out->bytes = l->segs[i].size;
	}
	pthread_mutex_unlock(&l->mu);
	if (!found)
		return err_note(
		    ERR_STATE, "only a closed segment can be trimmed");
	t.head.trimmed = true;
	random_bytes(t.head.salt, sizeof(t.head.salt));
	t.head.seed = crc32c(0, t.head.salt, sizeof(t.head.salt));
	e = paths(l, first, temp, path);
	if (e != ERR_OK)
		return e;
	turn_init(&t.frame);
	e = write_kept(&t, temp);
	turn_fini(&t.frame);
	out->saved = out->bytes > t.at ? out->bytes - t.at : 0;
	return e;
}

/* Under mu. */
static void
replace(struct log *l, size_t i, const struct log_trim *t, bool whole)
{
	struct segment *s = &l->segs[i];

	free(s->sparse);
	l->stat.bytes -= whole ? t->bytes : t->saved;
	if (whole) {
		l->stat.segments--;
		memmove(s, s + 1, (--l->segs_n - i) * sizeof(*s));
		return;
	}
	s->sparse = NULL;
	s->sparse_n = s->sparse_cap = 0;
	s->end = 0;
	s->size = t->bytes - t->saved;
	s->trusted = false;
	s->trims++;
}

enum err
log_trim_done(struct log *l, const struct log_trim *t)
{
	char temp[PATH_MAX], path[PATH_MAX];
	struct seg_head h;
	bool whole, found;
	size_t i;
	enum err e = paths(l, t->first, temp, path);

	if (e == ERR_OK)
		e = seg_head_read(t->head, temp, &h);
	if (e != ERR_OK)
		return e;
	pthread_mutex_lock(&l->mu);
	found = log_segment_of(l, t->first, &i) && i + 1 < l->segs_n &&
		l->segs[i].first == t->first;
	whole = found && i == 0 && t->kept == 0;
	if (!found)
		e = err_note(ERR_STATE, "there is no such segment");
	else if ((whole ? unlink(path) : rename(temp, path)) != 0)
		e = err_errno(ERR_IO, "cannot replace %s", path);
	if (e == ERR_OK) {
		replace(l, i, t, whole);
		if (!whole)
			l->segs[i].head = h;
	}
	pthread_mutex_unlock(&l->mu);
	if (whole)
		unlink(temp);
	return e == ERR_OK ? dir_sync(l->dir) : e;
}

static pthread_mutex_t *
mutex(const struct log *l)
{
	return (pthread_mutex_t *)(uintptr_t)&l->mu;
}

enum err
log_segments(const struct log *l, struct log_segment **out, size_t *n)
{
	struct log_segment *list;

	pthread_mutex_lock(mutex(l));
	*n = l->segs_n;
	list = calloc(l->segs_n + 1, sizeof(*list));
	for (size_t i = 0; list != NULL && i < l->segs_n; i++) {
		const struct segment *s = &l->segs[i];
		bool open = i + 1 == l->segs_n;

		list[i] = (struct log_segment){.first = s->first,
		    .next = open ? l->next : s[1].first,
		    .bytes = open ? s->end : s->size,
		    .until = open ? 0 : s[1].head.made,
		    .trimmed = s->head.trimmed};
	}
	pthread_mutex_unlock(mutex(l));
	*out = list;
	return list != NULL ? ERR_OK : err_note(ERR_NOMEM, "no memory");
}
