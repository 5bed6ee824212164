/*
 * backup - see backup.h.
 *
 * Invariant: a file under its own name in the copy was whole and synced when it
 * got the name. Only the segment that was open at the last run grows in place,
 * from the size that this run noted (file `backup`) after its sync.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/core/backup.h"
#include "broker/core/log_own.h"

#define PIECE (1024 * 1024)
#define NOTE_MAX 1024
#define TRIES 8 /* while the journal lets go of segments below us */

/* What the last run that ended said of the copy. */
struct note {
	char id[33];
	uint64_t next, first, size; /* first, size: of the open segment */
};

struct run {
	struct backup *b;
	struct note was;
	char from[PATH_MAX], to[PATH_MAX]; /* the folders log/ */
	uint8_t *piece;
	uint64_t first, size; /* of the last segment of the copy */
	bool vanished;	      /* a segment went away while we looked */
	uint8_t id[16];
};

static enum err
path_of(char out[PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	if (n < 0 || n >= PATH_MAX)
		return err_note(
		    ERR_RANGE, "the path of %s in %s is too long", name, dir);
	return ERR_OK;
}

/* ---- the note ---- */

static enum err
note_read(const char *dir, struct note *out)
{
	char path[PATH_MAX];
	struct buf b;
	enum err e = path_of(path, dir, "backup");

	*out = (struct note){.next = 0};
	buf_init(&b, NOTE_MAX);
	if (e == ERR_OK)
		e = file_read(path, &b);
	if (e == ERR_OK &&
	    sscanf(buf_cstr(&b),
		"vayla backup 1 journal %32s next %" SCNu64 " segment %" SCNu64
		" %" SCNu64,
		out->id, &out->next, &out->first, &out->size) != 4)
		e = err_note(ERR_CORRUPT,
		    "%s: is no note of a backup; back up to an empty folder",
		    path);
	buf_fini(&b);
	return e;
}

static enum err
note_write(const struct run *r)
{
	char path[PATH_MAX];
	struct buf b;
	enum err e = path_of(path, r->b->to, "backup");

	buf_init(&b, NOTE_MAX);
	buf_str(&b, "vayla backup 1\njournal ");
	hex_put(&b, slice_of(r->id, sizeof(r->id)));
	buf_printf(&b,
	    "\nnext %" PRIu64 "\nsegment %" PRIu64 " %" PRIu64
	    "\nseconds %lld\nkeys %s\n",
	    r->b->end, r->first, r->size, (long long)(clock_now() / NS_PER_SEC),
	    r->b->keys != NULL ? "apart" : "here");
	if (e == ERR_OK)
		e = file_write(path, buf_all(&b), 0600);
	buf_fini(&b);
	return e;
}

/* ---- files ---- */

/* Bytes [at, end) of one file into the other. */
static enum err
copy_bytes(struct run *r, int from, int to, uint64_t at, uint64_t end)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && at < end) {
		size_t want = end - at < PIECE ? (size_t)(end - at) : PIECE;
		ssize_t n = pread(from, r->piece, want, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(ERR_IO, "cannot read what is copied");
		e = fd_pwrite(to, slice_of(r->piece, (size_t)n), at);
		at += (uint64_t)n;
		r->b->bytes += (uint64_t)n;
	}
	return e;
}

/* A new file of the first `size` bytes of `from`, or of all that it holds. */
static enum err
copy_new(struct run *r, int from, const char *path, uint64_t size)
{
	char temp[PATH_MAX];
	struct stat st;
	enum err e;
	int fd;

	if (snprintf(temp, sizeof(temp), "%s.tmp", path) >= PATH_MAX)
		return err_note(ERR_RANGE, "%s is too long", path);
	if (size == 0 && fstat(from, &st) == 0)
		size = (uint64_t)st.st_size;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot make %s", temp);
	e = copy_bytes(r, from, fd, 0, size);
	if (e == ERR_OK && fsync(fd) != 0)
		e = err_errno(ERR_IO, "cannot sync %s", temp);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	if (e == ERR_OK && rename(temp, path) != 0)
		e = err_errno(ERR_IO, "cannot rename to %s", path);
	if (e != ERR_OK)
		unlink(temp);
	return e;
}

static enum err
copy_named(struct run *r, const char *from, const char *to)
{
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	enum err e;

	if (fd < 0)
		return err_errno(errno == ENOENT ? ERR_NOTFOUND : ERR_DENIED,
		    "cannot open %s", from);
	e = copy_new(r, fd, to, 0);
	close(fd);
	return e;
}

/* ---- segments ---- */

/* Where the frame ends that holds record `next` - 1 (0: the last good one). */
static enum err
end_of(struct run *r, int fd, const struct seg_head *h, uint64_t size,
    uint64_t *end)
{
	enum frame_state state = FRAME_OK;
	struct log_frame f;
	struct window w;
	uint64_t seq = h->first, next = r->b->next;
	enum err e = ERR_OK;

	*end = SEG_HEAD;
	window_init(&w, fd, size, PIECE);
	while (e == ERR_OK && (next == 0 || seq < next)) {
		e = frame_at(&w, h->seed, *end, true, &f, &state);
		if (e != ERR_OK || state != FRAME_OK)
			break;
		*end += frame_size(f.length);
		seq = f.first + f.count;
	}
	window_fini(&w);
	if (e == ERR_OK && seq < next)
		e = err_note(ERR_CORRUPT,
		    "%s/%020" PRIu64 ".seg, offset %" PRIu64
		    ": a damaged frame; run `vayla verify`",
		    r->from, h->first, *end);
	if (e == ERR_OK)
		r->b->end = seq;
	return e;
}

/* How many of the segment's bytes the copy has already, synced. */
static uint64_t
have(const struct run *r, const char *path, const uint8_t head[SEG_HEAD],
    uint64_t first, uint64_t want)
{
	uint8_t there[SEG_HEAD];
	struct stat st;
	uint64_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && pread(fd, there, SEG_HEAD, 0) == SEG_HEAD &&
	    memcmp(there, head, SEG_HEAD) == 0) {
		n = (uint64_t)st.st_size;
		if (first == r->was.first)
			n = n < r->was.size ? n : r->was.size;
		else if (n < want)
			n = 0; /* of a run that did not end */
	}
	close(fd);
	return n;
}

static enum err
extend(struct run *r, int from, const char *path, uint64_t at, uint64_t want)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	enum err e;

	if (fd < 0)
		return err_errno(ERR_IO, "cannot open %s", path);
	e = ftruncate(fd, (off_t)at) == 0
		? copy_bytes(r, from, fd, at, want)
		: err_errno(ERR_IO, "cannot cut %s", path);
	if (e == ERR_OK && fsync(fd) != 0)
		e = err_errno(ERR_IO, "cannot sync %s", path);
	close(fd);
	return e;
}

static enum err
same_journal(struct run *r, const struct seg_head *h)
{
	struct buf hex;
	enum err e = ERR_OK;

	memcpy(r->id, h->id, sizeof(r->id));
	buf_init(&hex, sizeof(r->was.id));
	hex_put(&hex, slice_of(h->id, sizeof(h->id)));
	if (r->was.id[0] != '\0' && strcmp(r->was.id, buf_cstr(&hex)) != 0)
		e = err_note(ERR_STATE,
		    "%s holds the backup of another journal; back up to an "
		    "empty folder",
		    r->b->to);
	buf_fini(&hex);
	return e;
}

static enum err
copy_segment(struct run *r, uint64_t first, bool last)
{
	char name[LOG_NAME], from[PATH_MAX], to[PATH_MAX];
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	struct stat st;
	uint64_t want = 0, got;
	enum err e;
	int fd;

	log_name(name, first, "seg");
	e = path_of(from, r->from, name);
	if (e == ERR_OK)
		e = path_of(to, r->to, name);
	if (e != ERR_OK)
		return e;
	fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		r->vanished = true;
	if (fd < 0)
		return err_errno(ERR_DENIED, "cannot open %s", from);
	if (fstat(fd, &st) != 0 || pread(fd, head, SEG_HEAD, 0) != SEG_HEAD)
		e = err_note(ERR_CORRUPT, "%s: is cut short", from);
	else
		e = seg_head_read(head, from, &h);
	want = e == ERR_OK ? (uint64_t)st.st_size : 0;
	if (e == ERR_OK)
		e = same_journal(r, &h);
	if (e == ERR_OK && last)
		e = end_of(r, fd, &h, (uint64_t)st.st_size, &want);
	if (e == ERR_OK) {
		got = have(r, to, head, first, want);
		if (got < want) {
			r->b->fresh++;
			e = got > 0 ? extend(r, fd, to, got, want)
				    : copy_new(r, fd, to, want);
		}
		r->b->segments++;
		r->first = first;
		r->size = want;
	}
	close(fd);
	return e;
}

/* What the journal has let go of, the copy lets go of too. */
static enum err
forget(struct run *r, const uint64_t *firsts, size_t n)
{
	char name[LOG_NAME], path[PATH_MAX];
	uint64_t *there;
	size_t there_n, i = 0;
	enum err e = log_list(r->to, true, &there, &there_n);

	if (e != ERR_OK)
		return e;
	for (size_t k = 0; k < there_n && e == ERR_OK; k++) {
		while (i < n && firsts[i] < there[k])
			i++;
		if (i < n && firsts[i] == there[k])
			continue;
		log_name(name, there[k], "seg");
		e = path_of(path, r->to, name);
		if (e == ERR_OK && unlink(path) != 0)
			e = err_errno(ERR_IO, "cannot remove %s", path);
	}
	free(there);
	return e;
}

static enum err
copy_segments(struct run *r)
{
	uint64_t *firsts = NULL;
	size_t n = 0;
	enum err e = log_list(r->from, false, &firsts, &n);

	r->b->segments = 0;
	/* One that begins where the copy ends has nothing for it. */
	while (r->b->next != 0 && n > 1 && firsts[n - 1] >= r->b->next)
		n--;
	if (e == ERR_OK && n == 0)
		e = err_note(ERR_NOTFOUND, "%s holds no journal", r->from);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		e = copy_segment(r, firsts[i], i + 1 == n);
	if (e == ERR_OK)
		e = forget(r, firsts, n);
	if (e == ERR_OK)
		e = dir_sync(r->to);
	free(firsts);
	return e;
}

/* ---- the rest ---- */

/* The files of a folder of DATA. once: a file that is there is the same. */
static enum err
copy_folder(struct run *r, const char *name, const char *to_dir, bool once)
{
	char from[PATH_MAX], to[PATH_MAX], one[PATH_MAX], copy[PATH_MAX];
	char **names = NULL;
	enum err e;

	e = path_of(from, r->b->data, name);
	if (e == ERR_OK)
		e = path_of(to, to_dir, name);
	if (e != ERR_OK || access(from, F_OK) != 0)
		return e;
	e = dir_make(to);
	if (e == ERR_OK)
		e = dir_list(from, &names);
	for (size_t i = 0; e == ERR_OK && names[i] != NULL; i++) {
		if (strstr(names[i], ".tmp") != NULL)
			continue; /* half made */
		e = path_of(one, from, names[i]);
		if (e == ERR_OK)
			e = path_of(copy, to, names[i]);
		if (e == ERR_OK && (!once || access(copy, F_OK) != 0))
			e = copy_named(r, one, copy);
		if (e == ERR_NOTFOUND)
			e = ERR_OK; /* gone since it was listed */
	}
	dir_free(names);
	return e == ERR_OK ? dir_sync(to) : e;
}

static enum err
copy_file(struct run *r, const char *to_dir, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX];
	enum err e;

	e = path_of(from, r->b->data, name);
	if (e == ERR_OK)
		e = path_of(to, to_dir, name);
	if (e == ERR_OK)
		e = copy_named(r, from, to);
	return e == ERR_OK ? dir_sync(to_dir) : e;
}

static enum err
same_place(const char *a, const char *b)
{
	struct stat x, y;

	if (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	    x.st_ino == y.st_ino)
		return err_note(
		    ERR_USAGE, "%s is the journal itself: name another", b);
	return ERR_OK;
}

static enum err
copy_all(struct run *r)
{
	const char *secret = r->b->keys != NULL ? r->b->keys : r->b->to;
	enum err e = ERR_OK;

	for (int i = 0; i < TRIES; i++) {
		r->vanished = false;
		e = copy_segments(r);
		if (e == ERR_OK || !r->vanished)
			break;
	}
	if (e == ERR_OK)
		e = copy_folder(r, "rulesets", r->b->to, true);
	for (int i = 0; i < 2 && e == ERR_OK; i++) {
		e = copy_file(r, r->b->to, i == 0 ? "epoch" : "rulesets.used");
		if (e == ERR_NOTFOUND)
			e = ERR_OK;
	}
	/* Who may come to the bus; and last, when every slot that a copied
	 * record names is filled: */
	if (e == ERR_OK)
		e = copy_folder(r, "access", secret, false);
	if (e == ERR_OK)
		e = copy_file(r, secret, "keys");
	return e == ERR_OK ? note_write(r) : e;
}

bool
backup_busy(const char *data)
{
	int lock = -1;
	enum err e = log_lock(data, false, &lock);

	if (lock >= 0)
		close(lock);
	return e == ERR_EXISTS;
}

enum err
backup_run(struct backup *b)
{
	struct run r = {.b = b};
	int lock = -1, own = -1;
	enum err e;

	e = path_of(r.from, b->data, "log");
	if (e == ERR_OK)
		e = path_of(r.to, b->to, "log");
	if (e == ERR_OK)
		e = dir_make(r.to);
	if (e == ERR_OK && b->keys != NULL)
		e = dir_make(b->keys);
	if (e == ERR_OK)
		e = same_place(b->data, b->to);
	if (e == ERR_OK && b->keys != NULL)
		e = same_place(b->data, b->keys);
	if (e == ERR_OK)
		e = log_lock(b->to, true, &lock);
	if (e == ERR_OK && b->next == 0)
		e = log_lock(b->data, false, &own);
	if (e == ERR_OK) {
		e = note_read(b->to, &r.was);
		if (e == ERR_NOTFOUND)
			e = ERR_OK;
	}
	r.piece = malloc(PIECE);
	if (e == ERR_OK && r.piece == NULL)
		e = err_note(ERR_NOMEM, "no memory to copy");
	if (e == ERR_OK)
		e = copy_all(&r);
	free(r.piece);
	if (own >= 0)
		close(own);
	if (lock >= 0)
		close(lock);
	return e;
}

enum err
backup_verify(const char *dir, uint64_t next, struct buf *report)
{
	struct note n;
	enum err e = note_read(dir, &n);

	if (e == ERR_NOTFOUND)
		return ERR_OK;
	if (e == ERR_CORRUPT)
		buf_printf(report, "%s\n", err_last());
	if (e != ERR_OK || next >= n.next)
		return e;
	buf_printf(report,
	    "backup: records %" PRIu64 " to %" PRIu64
	    " were backed up and are not there\n",
	    next, n.next - 1);
	return err_note(ERR_CORRUPT, "the copy ends too early");
}
