/*
 * log_verify - every frame and every record of a journal that nobody has open.
 * It goes on behind what is damaged, so that one run tells all of it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/core/log_own.h"

struct verify {
	const char *dir; /* DATA/log */
	struct buf *report;
	uint64_t records, faults;
	bool has_id;
	uint8_t id[16];
	char name[LOG_NAME];
	struct seg_head head;
	struct window w;
	uint64_t next; /* the sequence to come */
	struct event event;
};

static void fault_at(struct verify *v, uint64_t at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static void
fault_at(struct verify *v, uint64_t at, const char *fmt, ...)
{
	va_list ap;

	v->faults++;
	buf_printf(v->report, "log/%s, offset %" PRIu64 ": ", v->name, at);
	va_start(ap, fmt);
	buf_vprintf(v->report, fmt, ap);
	va_end(ap);
	buf_byte(v->report, '\n');
}

static enum err
check_record(struct verify *v, enum record_kind kind, struct slice body)
{
	struct settle settle;
	struct action action;
	struct timer timer;
	enum err e = mp_check(body);

	if (e != ERR_OK)
		return e;
	switch (kind) {
	case REC_EVENT:
		return event_read(body, &v->event);
	case REC_SETTLE:
		return settle_read(body, &settle);
	case REC_ACTION:
		return action_read(body, &action);
	case REC_TIMER:
		return timer_read(body, &timer);
	}
	return err_note(ERR_SYNTAX, "a record of kind %d", (int)kind);
}

static void
check_frame(struct verify *v, const struct log_frame *f)
{
	enum record_kind kind;
	struct slice body;
	size_t off = 0;
	enum err e;

	if (v->head.trimmed ? f->first < v->next : f->first != v->next)
		fault_at(v, f->at,
		    "sequence %" PRIu64 " stands where %" PRIu64 " belongs",
		    f->first, v->next);
	for (uint32_t i = 0; i < f->count; i++) {
		if (!record_at(f, &off, &kind, &body)) {
			fault_at(v, f->at,
			    "the frame's records do not fit its length");
			break;
		}
		v->records++;
		e = check_record(v, kind, body);
		if (e != ERR_OK)
			fault_at(v, f->at, "record %" PRIu64 ": %s",
			    f->first + i, err_last());
	}
	if (off != f->length)
		fault_at(v, f->at, "bytes behind the frame's last record");
	v->next = f->first + f->count;
}

/* The next good frame behind a damaged place; 0 when there is none. */
static enum err
resume(struct verify *v, uint64_t at, uint64_t *found)
{
	enum frame_state state;
	struct log_frame f;
	enum err e;

	*found = 0;
	for (at += 8; at + FRAME_HEAD <= v->w.limit; at += 8) {
		e = frame_at(&v->w, 0, at, false, &f, &state);
		if (e != ERR_OK)
			return e;
		if (state != FRAME_OK || f.first < v->next)
			continue;
		e = frame_at(&v->w, v->head.seed, at, true, &f, &state);
		if (e != ERR_OK)
			return e;
		if (state == FRAME_OK) {
			*found = at;
			return ERR_OK;
		}
	}
	return ERR_OK;
}

/* next: first sequence of the segment behind, or 0 for the last one. */
static enum err
check_frames(struct verify *v, uint64_t next)
{
	uint64_t had = v->records;
	enum frame_state state;
	uint64_t at = SEG_HEAD, found;
	struct log_frame f;
	enum err e;

	while (next == 0 || v->next < next) {
		e = frame_at(&v->w, v->head.seed, at, true, &f, &state);
		if (e != ERR_OK)
			return e;
		if (state == FRAME_OK) {
			check_frame(v, &f);
			at += frame_size(f.length);
			continue;
		}
		if (state == FRAME_END && v->head.trimmed)
			break; /* what is behind it was let go of */
		e = resume(v, at, &found);
		if (e != ERR_OK)
			return e;
		if (found == 0 && next == 0 && state == FRAME_BAD)
			buf_printf(v->report,
			    "log/%s, offset %" PRIu64 ": a torn frame, not "
			    "confirmed to anyone; the next start cuts it\n",
			    v->name, at);
		if (found == 0)
			break;
		fault_at(
		    v, at, "a damaged frame, up to offset %" PRIu64, found);
		at = found;
	}
	if (v->head.trimmed && v->records - had != v->head.kept)
		fault_at(v, at,
		    "%" PRIu64 " records, %" PRIu32 " were left when it was "
		    "trimmed",
		    v->records - had, v->head.kept);
	if (next != 0 && v->next < next && !v->head.trimmed)
		fault_at(v, at,
		    "sequences %" PRIu64 " to %" PRIu64 " are missing", v->next,
		    next - 1);
	return ERR_OK;
}

static enum err
check_segment(struct verify *v, uint64_t first, uint64_t next)
{
	uint8_t head[SEG_HEAD];
	char path[PATH_MAX];
	struct stat st;
	enum err e = ERR_OK;
	int fd;

	log_name(v->name, first, "seg");
	snprintf(path, sizeof(path), "%s/%s", v->dir, v->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot open %s", path);
	if (fstat(fd, &st) != 0 || pread(fd, head, SEG_HEAD, 0) != SEG_HEAD) {
		fault_at(v, 0, "is cut short");
	} else if (seg_head_read(head, path, &v->head) != ERR_OK) {
		fault_at(v, 0, "%s", err_last());
	} else if (v->head.first != first ||
		   (v->has_id && memcmp(v->head.id, v->id, 16) != 0)) {
		fault_at(v, 0, "has the head of another segment");
	} else {
		memcpy(v->id, v->head.id, 16);
		v->has_id = true;
		if (v->next == 0)
			v->next = first;
		window_turn(&v->w, fd, (uint64_t)st.st_size);
		e = check_frames(v, next);
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	if (next != 0)
		v->next = next;
	return e;
}

enum err
log_verify(const char *dir, struct buf *report, uint64_t *records)
{
	struct verify *v = calloc(1, sizeof(*v));
	char path[PATH_MAX];
	uint64_t *firsts = NULL;
	int lock = -1;
	size_t n = 0;
	enum err e;

	*records = 0;
	if (v == NULL)
		return err_note(ERR_NOMEM, "no memory to verify");
	snprintf(path, sizeof(path), "%s/log", dir);
	v->dir = path;
	v->report = report;
	window_init(&v->w, -1, 0, 1024 * 1024);
	e = log_lock(dir, false, &lock);
	if (e == ERR_OK)
		e = log_list(path, false, &firsts, &n);
	if (e == ERR_OK && n == 0)
		e = err_note(ERR_NOTFOUND, "%s holds no segment", path);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		e = check_segment(v, firsts[i], i + 1 < n ? firsts[i + 1] : 0);
	*records = v->records;
	if (e == ERR_OK && v->faults > 0)
		e = err_note(ERR_CORRUPT, "%" PRIu64 " faults in the journal",
		    v->faults);
	if (lock >= 0)
		close(lock);
	free(firsts);
	window_fini(&v->w);
	free(v);
	return e;
}
