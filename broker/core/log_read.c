/*
 * log_read - records by sequence, for any thread that has a reader.
 *
 * Bytes before a segment's end never change, so a reader needs the log's mutex
 * only to learn where they are. It keeps its place: reading on within a frame,
 * and into the next, costs no search.
 *
 * In a segment that this process wrote, or whose CRCs it checked when it was
 * opened, a record is read without the rest of its frame, which may be
 * megabytes; in any other, its whole frame is read and checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/core/log_own.h"

#define AHEAD_READ (64 * 1024)
#define AHEAD_SCAN (1024 * 1024)

struct log_reader {
	struct log *l;
	struct window w;
	uint64_t seg; /* first sequence of the segment that is open; 0 none */
	bool closed;  /* and nobody appends to it */
	bool scans;
	bool trusted;
	bool trimmed;	/* a sequence that is not there is no damage */
	uint32_t trims; /* as they were when it was entered */
	uint64_t after; /* the next sequence that may be there */
	uint32_t seed;
	struct log_frame f; /* count 0: none; its records are not kept */
	uint64_t at;	    /* in the segment: of record at_seq */
	uint64_t at_seq;
};

enum err
log_reader_new(struct log_reader **out, struct log *l)
{
	struct log_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_note(ERR_NOMEM, "no memory for a reader");
	r->l = l;
	window_init(&r->w, -1, 0, AHEAD_READ);
	*out = r;
	return ERR_OK;
}

static void
leave_segment(struct log_reader *r)
{
	if (r->w.fd >= 0) {
		if (r->scans)
			posix_fadvise(r->w.fd, 0, 0, POSIX_FADV_DONTNEED);
		close(r->w.fd);
	}
	window_turn(&r->w, -1, 0);
	r->seg = 0;
	r->f.count = 0;
}

void
log_reader_free(struct log_reader *r)
{
	if (r == NULL)
		return;
	leave_segment(r);
	window_fini(&r->w);
	free(r);
}

static enum err
enter_segment(struct log_reader *r, const struct segment *s, bool closed)
{
	char name[LOG_NAME], path[PATH_MAX];
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	enum err e;
	int fd;

	leave_segment(r);
	log_name(name, s->first, "seg");
	e = log_path(r->l, name, path);
	if (e != ERR_OK)
		return e;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(errno == ENOENT ? ERR_BUSY : ERR_IO,
		    "cannot open %s", path);
	/* It may have been trimmed since `s` was looked at. */
	if (pread(fd, head, SEG_HEAD, 0) != SEG_HEAD ||
	    seg_head_read(head, path, &h) != ERR_OK) {
		close(fd);
		return err_note(ERR_CORRUPT,
		    "%s: its head is damaged; restore it from a backup", path);
	}
	if (memcmp(h.salt, s->head.salt, sizeof(h.salt)) != 0) {
		close(fd);
		return err_note(ERR_BUSY, "%s was trimmed meanwhile", path);
	}
	window_turn(&r->w, fd, s->end);
	r->seg = s->first;
	r->closed = closed;
	r->trusted = s->trusted;
	r->trimmed = s->head.trimmed;
	r->trims = s->trims;
	r->seed = s->head.seed;
	return ERR_OK;
}

bool
log_segment_of(const struct log *l, uint64_t seq, size_t *i)
{
	size_t lo = 0, hi = l->segs_n;

	if (seq < l->segs[0].first || seq >= l->next)
		return false;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->segs[mid].first <= seq)
			lo = mid;
		else
			hi = mid;
	}
	*i = lo;
	return true;
}

/* Look into a closed segment for the first time since the start. The walk is
 * done outside mu; another thread may have been quicker. */
static enum err
look_into(struct log_reader *r, struct segment s, uint64_t next)
{
	struct log *l = r->l;
	struct segment *mine;
	enum err e;
	size_t i;

	s.end = s.size;
	e = enter_segment(r, &s, true);
	if (e == ERR_OK)
		e = sparse_load(l, &s, r->w.fd, next);
	leave_segment(r);
	if (e != ERR_OK)
		return e;
	pthread_mutex_lock(&l->mu);
	if (log_segment_of(l, s.first, &i) && l->segs[i].sparse == NULL &&
	    l->segs[i].trims == s.trims) {
		mine = &l->segs[i];
		mine->sparse = s.sparse;
		mine->sparse_n = s.sparse_n;
		mine->sparse_cap = s.sparse_cap;
		mine->end = s.end;
		s.sparse = NULL;
	}
	pthread_mutex_unlock(&l->mu);
	free(s.sparse);
	return ERR_OK;
}

/* Turn the window to the segment that holds seq; *from: begin there. ERR_BUSY:
 * it was trimmed meanwhile. */
static enum err
locate_once(struct log_reader *r, uint64_t seq, struct sparse *from)
{
	struct log *l = r->l;
	struct segment s;
	uint64_t next = 0;
	bool found, closed = false;
	size_t i = 0;
	enum err e;

	for (int tries = 0;; tries++) {
		pthread_mutex_lock(&l->mu);
		found = log_segment_of(l, seq, &i);
		if (found) {
			s = l->segs[i];
			closed = i + 1 < l->segs_n;
			next = closed ? l->segs[i + 1].first : 0;
			if (s.sparse != NULL)
				*from = sparse_find(&s, seq);
		}
		pthread_mutex_unlock(&l->mu);
		if (!found)
			return err_note(ERR_NOTFOUND,
			    "the journal has no record %llu",
			    (unsigned long long)seq);
		if (s.sparse != NULL)
			break;
		e = tries == 0 ? look_into(r, s, next) : ERR_BUSY;
		if (e != ERR_OK)
			return e;
	}
	r->after = next;
	if (r->seg != s.first || r->trims != s.trims)
		return enter_segment(r, &s, closed);
	r->closed = closed;
	r->w.limit = s.end;
	return ERR_OK;
}

static enum err
locate(struct log_reader *r, uint64_t seq, struct sparse *from)
{
	enum err e = ERR_BUSY;

	for (int i = 0; i < 8 && e == ERR_BUSY; i++)
		e = locate_once(r, seq, from);
	return e;
}

static enum err
damaged(const struct log_reader *r, uint64_t at)
{
	char name[LOG_NAME];

	log_name(name, r->seg, "seg");
	return err_note(ERR_CORRUPT,
	    "%s/%s, offset %llu: a damaged frame; stop the broker, run `vayla "
	    "verify` and restore this segment from a backup",
	    r->l->dir, name, (unsigned long long)at);
}

/* The frame that holds seq, from there on. */
static enum err
find_frame(struct log_reader *r, struct sparse from, uint64_t seq)
{
	enum frame_state state;
	struct log_frame f;
	uint64_t at = from.frame;
	enum err e;

	r->f.count = 0;
	for (;;) {
		e = frame_at(&r->w, r->seed, at, false, &f, &state);
		if (e != ERR_OK)
			return e;
		if (r->trimmed && (state == FRAME_END ||
				      (state == FRAME_OK && f.first > seq))) {
			if (state == FRAME_OK)
				r->after = f.first;
			return err_note(ERR_NOTFOUND,
			    "record %llu was let go of (broker.retention)",
			    (unsigned long long)seq);
		}
		if (state != FRAME_OK || f.first > seq)
			return damaged(r, at);
		if (seq - f.first < f.count)
			break;
		at += frame_size(f.length);
	}
	if (!r->trusted) {
		e = frame_at(&r->w, r->seed, at, true, &f, &state);
		if (e != ERR_OK)
			return e;
		if (state != FRAME_OK)
			return damaged(r, at);
	}
	r->f = f;
	r->at = at == from.frame && from.at > at ? from.at : at + FRAME_HEAD;
	r->at_seq = r->at == from.at ? from.seq : f.first;
	return ERR_OK;
}

/* The record at r->at, and on to the next. */
static enum err
one_record(struct log_reader *r, struct log_record *out, bool want)
{
	uint64_t end = r->f.at + FRAME_HEAD + r->f.length;
	struct log_frame one = {.length = RECORD_HEAD};
	size_t off = 0;
	uint32_t n;
	enum err e;

	if (end - r->at < RECORD_HEAD)
		return damaged(r, r->f.at);
	e = window_get(&r->w, r->at, RECORD_HEAD, &one.records);
	if (e != ERR_OK)
		return e;
	n = record_length(one.records);
	if (n > end - r->at - RECORD_HEAD)
		return damaged(r, r->f.at);
	if (want) {
		one.length = RECORD_HEAD + n;
		e = window_get(&r->w, r->at, one.length, &one.records);
		if (e != ERR_OK)
			return e;
		if (!record_at(&one, &off, &out->kind, &out->body))
			return damaged(r, r->f.at);
	}
	r->at += RECORD_HEAD + n;
	r->at_seq++;
	return ERR_OK;
}

static enum err
record_in(struct log_reader *r, uint64_t seq, struct log_record *out)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && r->at_seq < seq)
		e = one_record(r, out, false);
	if (e == ERR_OK)
		e = one_record(r, out, true);
	if (e != ERR_OK)
		r->f.count = 0;
	out->seq = seq;
	out->recorded = r->f.recorded;
	return e;
}

/* Is it to be found by walking in the frame where the reader stands? One that
 * was read whole is there whole; in another, far places are in the index. */
static bool
near(const struct log_reader *r, uint64_t seq)
{
	if (r->f.count == 0 || seq < r->f.first ||
	    seq - r->f.first >= r->f.count)
		return false;
	return !r->trusted || r->f.length <= AHEAD_READ ||
	       (seq >= r->at_seq && seq - r->at_seq < 64);
}

enum err
log_read(struct log_reader *r, uint64_t seq, struct log_record *out)
{
	struct sparse from = {0};
	enum err e;

	if (near(r, seq)) {
		if (seq < r->at_seq) {
			r->at = r->f.at + FRAME_HEAD;
			r->at_seq = r->f.first;
		}
		return record_in(r, seq, out);
	}
	if (r->f.count > 0 && !r->trimmed && seq == r->f.first + r->f.count)
		from.frame = r->f.at + frame_size(r->f.length);
	if (from.frame == 0 || from.frame >= r->w.limit) {
		e = locate(r, seq, &from);
		if (e != ERR_OK)
			return e;
	}
	e = find_frame(r, from, seq);
	return e == ERR_OK ? record_in(r, seq, out) : e;
}

enum err
log_scan(struct log_reader *r, uint64_t from, log_each *each, void *arg)
{
	uint64_t first = log_first(r->l), next = log_next(r->l);
	struct log_record rec;
	enum err e = ERR_OK;

	if (from < first)
		from = first;
	r->w.ahead = AHEAD_SCAN;
	r->scans = true;
	for (uint64_t seq = from; e == ERR_OK; seq++) {
		if (seq >= next && seq >= (next = log_next(r->l)))
			break;
		e = log_read(r, seq, &rec);
		if (e == ERR_OK)
			e = each(arg, &rec);
		else if (e == ERR_NOTFOUND && r->trimmed && r->after > seq) {
			seq = r->after - 1;
			e = ERR_OK;
		}
	}
	r->w.ahead = AHEAD_READ;
	r->scans = false;
	return e;
}

bool
log_has(struct log_reader *r, uint64_t seq)
{
	struct log *l = r->l;
	struct log_record rec;
	bool found, trimmed;
	size_t i = 0;

	pthread_mutex_lock(&l->mu);
	found = log_segment_of(l, seq, &i);
	trimmed = found && l->segs[i].head.trimmed;
	pthread_mutex_unlock(&l->mu);
	return found && (!trimmed || log_read(r, seq, &rec) == ERR_OK);
}

void
log_reader_at(const struct log_reader *r, uint64_t *segment, uint64_t *offset)
{
	*segment = r->seg;
	*offset = r->f.at;
}
