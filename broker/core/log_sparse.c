/*
 * log_sparse - where in a segment a sequence is, to within 64 KiB: one entry
 * for each 64 KiB, kept for the open segment while it is written (also inside
 * frames), and for a closed one read from FIRST.idx beside it on first need
 * (frames only: what this process did not write is read by whole frames). That
 * file is a hint, unsynced and with a CRC of its own: whatever is wrong with
 * it, the segment's frames are walked again and it is written anew.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/core/log_own.h"

/* In native byte order and layout: a foreign one fails its CRC and is made
 * anew. */
struct side_head {
	char magic[8];
	uint8_t salt[8]; /* of the segment it belongs to */
	uint64_t next, end;
	uint32_t n, crc; /* crc: of everything else */
};
#define SIDE_MAGIC "VAYLAIX1"

enum err
sparse_init(struct segment *s)
{
	s->sparse_cap = (size_t)(s->size / SPARSE_STEP) + 2;
	s->sparse_n = 0;
	s->sparse = calloc(s->sparse_cap, sizeof(*s->sparse));
	if (s->sparse == NULL)
		return err_note(ERR_NOMEM, "no memory for a segment's index");
	return ERR_OK;
}

static void
add(struct segment *s, uint64_t seq, uint64_t at, uint64_t frame)
{
	if (s->sparse_n > 0 && at - s->sparse[s->sparse_n - 1].at < SPARSE_STEP)
		return;
	if (s->sparse_n < s->sparse_cap)
		s->sparse[s->sparse_n++] = (struct sparse){seq, at, frame};
}

void
sparse_add(struct segment *s, uint64_t seq, uint64_t at)
{
	add(s, seq, at, at);
}

void
sparse_add_inside(
    struct segment *s, uint64_t seq, uint64_t frame, struct slice records)
{
	struct log_frame f = {
	    .records = records.p, .length = (uint32_t)records.n};
	enum record_kind kind;
	struct slice body;
	size_t off = 0;

	if (records.n <= SPARSE_STEP)
		return;
	while (record_at(&f, &off, &kind, &body))
		if (off < records.n)
			add(s, ++seq, frame + FRAME_HEAD + off, frame);
}

struct sparse
sparse_find(const struct segment *s, uint64_t seq)
{
	size_t lo = 0, hi = s->sparse_n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->sparse[mid].seq <= seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 ? s->sparse[lo - 1]
		      : (struct sparse){s->first, SEG_HEAD, SEG_HEAD};
}

/* An entry as it stands in FIRST.idx, which knows frames only. */
struct side_entry {
	uint64_t seq, at;
};

static uint32_t
side_crc(const struct side_head *h, const struct side_entry *entries)
{
	uint32_t crc = crc32c(0, h, offsetof(struct side_head, crc));

	return crc32c(crc, entries, h->n * sizeof(*entries));
}

static bool
side_fits(const struct segment *s, const struct side_head *h,
    const struct side_entry *entries, uint64_t next)
{
	if (memcmp(h->magic, SIDE_MAGIC, 8) != 0 ||
	    memcmp(h->salt, s->head.salt, 8) != 0 || h->next != next ||
	    h->end > s->size || h->n > s->sparse_cap ||
	    h->crc != side_crc(h, entries))
		return false;
	for (uint32_t i = 0; i < h->n; i++)
		if (entries[i].seq < s->first || entries[i].seq >= next ||
		    entries[i].at < SEG_HEAD || entries[i].at >= h->end)
			return false;
	return true;
}

static bool
side_read(const struct log *l, struct segment *s, uint64_t next)
{
	char name[LOG_NAME], path[PATH_MAX];
	struct side_entry *entries;
	struct side_head h;
	bool good = false;
	struct buf b;

	log_name(name, s->first, "idx");
	if (log_path(l, name, path) != ERR_OK)
		return false;
	buf_init(&b, sizeof(h) + s->sparse_cap * sizeof(*entries));
	if (file_read(path, &b) == ERR_OK && b.n >= sizeof(h)) {
		memcpy(&h, b.p, sizeof(h));
		entries = (void *)(b.p + sizeof(h)); /* 40 bytes: aligned */
		good = h.n <= s->sparse_cap &&
		       b.n == sizeof(h) + h.n * sizeof(*entries) &&
		       side_fits(s, &h, entries, next);
		for (uint32_t i = 0; good && i < h.n; i++)
			s->sparse[i] = (struct sparse){
			    entries[i].seq, entries[i].at, entries[i].at};
	}
	if (good) {
		s->sparse_n = h.n;
		s->end = h.end;
	}
	buf_fini(&b);
	return good;
}

enum err
sparse_save(const struct log *l, const struct segment *s)
{
	struct side_entry *entries = calloc(s->sparse_n + 1, sizeof(*entries));
	char name[LOG_NAME], path[PATH_MAX];
	struct side_head h = {.end = s->end, .next = s->next};
	enum err e;
	int fd = -1;

	if (entries == NULL)
		return err_note(ERR_NOMEM, "no memory for a hint");
	for (size_t i = 0; i < s->sparse_n; i++)
		if (s->sparse[i].at == s->sparse[i].frame)
			entries[h.n++] = (struct side_entry){
			    s->sparse[i].seq, s->sparse[i].at};
	memcpy(h.magic, SIDE_MAGIC, 8);
	memcpy(h.salt, s->head.salt, 8);
	h.crc = side_crc(&h, entries);
	log_name(name, s->first, "idx");
	e = log_path(l, name, path);
	if (e == ERR_OK) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			e = err_errno(ERR_IO, "cannot make %s", path);
	}
	if (e == ERR_OK)
		e = fd_write(fd, slice_of(&h, sizeof(h)));
	if (e == ERR_OK)
		e = fd_write(fd, slice_of(entries, h.n * sizeof(*entries)));
	if (fd >= 0)
		close(fd);
	free(entries);
	return e;
}

static enum err
walk(const struct log *l, struct segment *s, int fd, uint64_t next)
{
	char name[LOG_NAME];
	enum frame_state state;
	struct log_frame f;
	uint64_t at = SEG_HEAD, seq = s->first, count = 0;
	struct window w;
	enum err e = ERR_OK;

	log_name(name, s->first, "seg");
	window_init(&w, fd, s->size, 1024 * 1024);
	s->sparse_n = 0;
	while (seq < next) {
		e = frame_at(&w, s->head.seed, at, false, &f, &state);
		if (e != ERR_OK || (state == FRAME_END && s->head.trimmed))
			break;
		if (state != FRAME_OK ||
		    (s->head.trimmed ? f.first < seq : f.first != seq)) {
			e = err_note(ERR_CORRUPT,
			    "%s/%s, offset %llu: a damaged frame; sequence "
			    "%llu was to be here",
			    l->dir, name, (unsigned long long)at,
			    (unsigned long long)seq);
			break;
		}
		sparse_add(s, f.first, at);
		seq = f.first + f.count;
		count += f.count;
		at += frame_size(f.length);
	}
	window_fini(&w);
	if (e == ERR_OK && s->head.trimmed && count != s->head.kept)
		e = err_note(ERR_CORRUPT,
		    "%s/%s: holds %llu records, its head says %u; restore it "
		    "from a backup",
		    l->dir, name, (unsigned long long)count, s->head.kept);
	s->end = at;
	return e;
}

enum err
sparse_load(const struct log *l, struct segment *s, int fd, uint64_t next)
{
	enum err e;

	s->next = next;
	e = sparse_init(s);
	if (e != ERR_OK)
		return e;
	if (side_read(l, s, next))
		return ERR_OK;
	e = walk(l, s, fd, next);
	if (e == ERR_OK) {
		if (!l->beside)
			(void)!sparse_save(l, s); /* a hint, no more */
		return ERR_OK;
	}
	free(s->sparse);
	s->sparse = NULL;
	return e;
}
