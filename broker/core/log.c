/*
 * log - opening, appending, rotating. See log.h for the promises, log_own.h for
 * the other files, JOURNAL.md for the bytes.
 *
 * Invariant: l->next and the last segment's end move together, under mu, after
 * fdatasync; nothing behind that end counts. A failed write leaves bytes there
 * that the next one overwrites; a failed sync makes the log dead, because what
 * the disk has is then unknown and a second fdatasync would say "fine".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/fail.h"
#include "broker/core/log_own.h"

#define KEEP_CACHED (UINT64_C(8) * 1024 * 1024)

static ssize_t
os_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return pwritev(fd, v, n, at);
}

static int
os_fdatasync(int fd)
{
	return fdatasync(fd);
}

static const struct log_os os_real = {os_pwritev, os_fdatasync};

void
log_name(char out[LOG_NAME], uint64_t first, const char *ext)
{
	snprintf(out, LOG_NAME, "%020" PRIu64 ".%s", first, ext);
}

static enum err
join(const char *dir, const char *name, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	if (n < 0 || n >= PATH_MAX)
		return err_note(
		    ERR_RANGE, "the path of %s in %s is too long", name, dir);
	return ERR_OK;
}

enum err
log_path(const struct log *l, const char *name, char out[PATH_MAX])
{
	return join(l->dir, name, out);
}

enum err
log_lock(const char *data, bool make, int *fd)
{
	char path[PATH_MAX], text[32] = "";
	enum err e = join(data, "lock", path);

	if (e != ERR_OK)
		return e;
	*fd = open(path, make ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY, 0600);
	if (*fd < 0 && !make && errno == ENOENT)
		return ERR_OK;
	if (*fd < 0)
		return err_errno(ERR_DENIED, "cannot open %s", path);
	if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		ssize_t n = pread(*fd, text, sizeof(text) - 1, 0);

		close(*fd);
		*fd = -1;
		text[n > 0 ? strspn(text, "0123456789") : 0] = '\0';
		return err_note(ERR_EXISTS,
		    "%s is in use by process %s; stop it first", data,
		    text[0] != '\0' ? text : "(unknown)");
	}
	if (make) {
		int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

		if (ftruncate(*fd, 0) == 0)
			(void)!pwrite(*fd, text, (size_t)n, 0);
	}
	return ERR_OK;
}

static bool
segment_name(const char *name, uint64_t *first)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < 20; i++) {
		if (name[i] < '0' || name[i] > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(name[i] - '0');
	}
	*first = v;
	return strcmp(name + 20, ".seg") == 0 && v > 0;
}

enum err
log_list(const char *dir, bool clean, uint64_t **firsts, size_t *n)
{
	char path[PATH_MAX], **names;
	size_t count = 0, len;
	enum err e = dir_list(dir, &names);

	if (e != ERR_OK)
		return e;
	while (names[count] != NULL)
		count++;
	*n = 0;
	*firsts = calloc(count + 1, sizeof(**firsts));
	if (*firsts == NULL) {
		dir_free(names);
		return err_note(ERR_NOMEM, "no memory for a folder");
	}
	for (size_t i = 0; i < count; i++) {
		len = strlen(names[i]);
		if (segment_name(names[i], &(*firsts)[*n]))
			(*n)++;
		else if (clean && len > 4 &&
			 strcmp(names[i] + len - 4, ".tmp") == 0 &&
			 join(dir, names[i], path) == ERR_OK)
			unlink(path);
	}
	dir_free(names);
	return ERR_OK;
}

/* ---- opening ---- */

static enum err
open_segment(const struct log *l, struct segment *s, int flags, int *fd)
{
	char name[LOG_NAME], path[PATH_MAX];
	uint8_t head[SEG_HEAD];
	struct stat st;
	enum err e;

	log_name(name, s->first, "seg");
	e = log_path(l, name, path);
	if (e != ERR_OK)
		return e;
	*fd = open(path, flags | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(ERR_DENIED, "cannot open %s", path);
	if (fstat(*fd, &st) != 0 || pread(*fd, head, SEG_HEAD, 0) != SEG_HEAD)
		e = err_note(ERR_CORRUPT,
		    "%s: is cut short; restore it from a backup", path);
	else
		e = seg_head_read(head, path, &s->head);
	if (e == ERR_OK && s->head.first != s->first)
		e = err_note(ERR_CORRUPT,
		    "%s: begins with sequence %llu by its head; was it "
		    "renamed?",
		    path, (unsigned long long)s->head.first);
	if (e == ERR_OK && memcmp(s->head.id, l->segs[0].head.id, 16) != 0)
		e = err_note(ERR_CORRUPT,
		    "%s: belongs to another journal than %020" PRIu64 ".seg",
		    path, l->segs[0].first);
	if (e != ERR_OK) {
		close(*fd);
		*fd = -1;
		return e;
	}
	s->size = (uint64_t)st.st_size;
	return ERR_OK;
}

static enum err
grow(struct log *l)
{
	size_t cap = l->segs_cap > 0 ? l->segs_cap * 2 : 16;
	struct segment *p;

	if (l->segs_n < l->segs_cap)
		return ERR_OK;
	p = realloc(l->segs, cap * sizeof(*p));
	if (p == NULL)
		return err_note(ERR_NOMEM, "no memory for a segment");
	l->segs = p;
	l->segs_cap = cap;
	return ERR_OK;
}

static void
new_head(const struct log *l, struct seg_head *h)
{
	*h = (struct seg_head){.first = l->next, .made = clock_now()};
	random_bytes(h->salt, sizeof(h->salt));
	h->seed = crc32c(0, h->salt, sizeof(h->salt));
	if (l->segs_n > 0)
		memcpy(h->id, l->segs[0].head.id, sizeof(h->id));
	else
		random_bytes(h->id, sizeof(h->id));
}

/* Give the file its head and its name as the last segment. Once it has the name
 * there is no way back: it is ERR_SYNC if that can not be made to last. */
static enum err
name_segment(const struct log *l, const char *from, int fd,
    const struct seg_head *h, uint64_t *size)
{
	char name[LOG_NAME], path[PATH_MAX], was[PATH_MAX];
	uint8_t head[SEG_HEAD];
	struct stat st;
	enum err e;

	seg_head_write(head, h);
	log_name(name, h->first, "seg");
	e = log_path(l, name, path);
	if (e == ERR_OK)
		e = log_path(l, from, was);
	if (e == ERR_OK)
		e = fd_pwrite(fd, slice_of(head, SEG_HEAD), 0);
	if (e != ERR_OK)
		return e;
	if (fstat(fd, &st) != 0 || l->os->fdatasync(fd) != 0)
		return err_errno(ERR_IO, "cannot sync %s", was);
	*size = (uint64_t)st.st_size;
	if (rename(was, path) != 0)
		return err_errno(ERR_IO, "cannot rename %s to %s", was, path);
	return dir_sync(l->dir) == ERR_OK ? ERR_OK : ERR_SYNC;
}

/* Make the file `from`, open as fd, the new last segment. */
static enum err
begin_segment(struct log *l, const char *from, int fd)
{
	struct segment s = {.first = l->next,
	    .end = SEG_HEAD,
	    .size = l->seg_bytes,
	    .trusted = true};
	enum err e;

	pthread_mutex_lock(&l->mu);
	e = grow(l);
	pthread_mutex_unlock(&l->mu);
	if (e == ERR_OK)
		e = sparse_init(&s);
	if (e != ERR_OK)
		return e;
	new_head(l, &s.head);
	e = name_segment(l, from, fd, &s.head, &s.size);
	if (e != ERR_OK) {
		free(s.sparse);
		return e;
	}
	pthread_mutex_lock(&l->mu);
	l->segs[l->segs_n++] = s;
	l->stat.segments++;
	pthread_mutex_unlock(&l->mu);
	l->fd = fd;
	l->dropped = 0;
	return ERR_OK;
}

/* A crash between a segment's end and its cutting: as if it had been cut, so
 * that its bytes are the same everywhere. */
static enum err
cut_closed(struct log *l, struct segment *s, uint64_t next)
{
	char name[LOG_NAME], path[PATH_MAX];
	enum err e;
	int fd;

	if (s->size < l->seg_bytes)
		return ERR_OK;
	log_name(name, s->first, "seg");
	e = log_path(l, name, path);
	if (e != ERR_OK)
		return e;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(ERR_DENIED, "cannot open %s", path);
	/* One that is damaged is left to whoever reads it. */
	if (sparse_load(l, s, fd, next) == ERR_OK &&
	    ftruncate(fd, (off_t)s->end) == 0) {
		l->stat.bytes -= s->size - s->end;
		s->size = s->end;
	}
	close(fd);
	return ERR_OK;
}

static enum err
load_segments(struct log *l, const uint64_t *firsts, size_t n)
{
	struct segment *s;
	enum err e;
	int fd;

	for (size_t i = 0; i < n; i++) {
		e = grow(l);
		if (e != ERR_OK)
			return e;
		s = &l->segs[i];
		*s = (struct segment){.first = firsts[i]};
		if (i == 0)
			l->segs_n = 1; /* whose id the others must have */
		e = open_segment(
		    l, s, i + 1 < n || l->read_only ? O_RDONLY : O_RDWR, &fd);
		if (e != ERR_OK)
			return e;
		l->segs_n = i + 1;
		l->stat.bytes += s->size;
		if (i + 1 < n)
			close(fd);
		else
			l->fd = fd;
	}
	for (size_t i = 0; i + 1 < n && !l->read_only; i++) {
		e = cut_closed(l, &l->segs[i], firsts[i + 1]);
		if (e != ERR_OK)
			return e;
	}
	s = &l->segs[n - 1];
	l->stat.bytes -= s->size;
	e = log_recover(l, s, l->fd, &l->next);
	l->stat.bytes += s->end;
	l->stat.segments = n;
	return e;
}

static enum err
first_segment(struct log *l)
{
	char path[PATH_MAX];
	enum err e;
	int fd;

	l->next = 1;
	e = zeros_make(l, "spare", l->seg_bytes, true);
	if (e == ERR_OK)
		e = log_path(l, "spare", path);
	if (e != ERR_OK)
		return e;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot open %s", path);
	e = begin_segment(l, "spare", fd);
	if (e != ERR_OK)
		close(fd);
	return e;
}

/* Is there a file of that name and size already? */
static bool
have(const struct log *l, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (log_path(l, name, path) != ERR_OK || stat(path, &st) != 0)
		return false;
	if ((uint64_t)st.st_size == l->seg_bytes)
		return true;
	unlink(path);
	return false;
}

static enum err
start(struct log *l)
{
	uint64_t *firsts;
	size_t n;
	enum err e;

	e = l->read_only ? ERR_OK : dir_make(l->dir);
	if (e == ERR_OK)
		e = log_list(l->dir, !l->read_only, &firsts, &n);
	if (e != ERR_OK)
		return e;
	if (n == 0 && l->read_only) {
		free(firsts);
		return err_note(ERR_NOTFOUND, "%s holds no journal", l->dir);
	}
	e = n > 0 ? load_segments(l, firsts, n) : first_segment(l);
	free(firsts);
	if (e != ERR_OK || l->read_only)
		return e;
	l->reserve = have(l, "reserve");
	if (!l->reserve) {
		/* A full disk does not stop the start: see log_append(). */
		e = zeros_make(l, "reserve", l->seg_bytes, false);
		if (e != ERR_OK && e != ERR_FULL)
			return e;
		l->reserve = e == ERR_OK;
	}
	if (have(l, "spare"))
		l->spare = SPARE_READY;
	return spare_start(l);
}

const char *
survives_name(enum survives s)
{
	static const char *const names[] = {"crash", "power loss", "machine"};

	return names[s];
}

enum survives
log_survives(const struct log *l)
{
	return l->survives;
}

/* fdatasync is believed, but for a file system that has no disk. */
static enum err
prove(struct log *l, enum survives need)
{
	struct statfs fs;

	if (statfs(l->dir, &fs) != 0)
		return err_errno(ERR_IO, "cannot look at %s", l->dir);
	l->survives = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC
			  ? SURVIVES_CRASH
			  : SURVIVES_POWER_LOSS;
	if (need <= l->survives)
		return ERR_OK;
	return err_note(ERR_STATE,
	    "the journal in %s survives a %s, not what is asked of it (%s)",
	    l->dir, survives_name(l->survives), survives_name(need));
}

static enum err
open_with(struct log **out, const char *dir, uint64_t seg_bytes, bool read_only,
    bool beside, enum survives need)
{
	struct log *l;
	enum err e;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_note(ERR_NOMEM, "no memory for the log");
	l->os = &os_real;
	l->fd = l->lock_fd = -1;
	l->seg_bytes = seg_bytes;
	l->read_only = read_only;
	l->beside = beside;
	pthread_mutex_init(&l->mu, NULL);
	pthread_mutex_init(&l->spare_mu, NULL);
	pthread_cond_init(&l->spare_cond, NULL);
	e = join(dir, "log", l->dir);
	if (e == ERR_OK && !beside)
		e = log_lock(dir, !read_only, &l->lock_fd);
	if (e == ERR_OK)
		e = start(l);
	if (e == ERR_OK)
		e = prove(l, need);
	if (e != ERR_OK) {
		log_close(l);
		return e;
	}
	*out = l;
	return ERR_OK;
}

enum err
log_open_sized(
    struct log **out, const char *dir, enum survives need, uint64_t seg_bytes)
{
	if (need > SURVIVES_POWER_LOSS)
		return err_note(ERR_STATE,
		    "segments on one disk do not survive the loss of the "
		    "machine");
	return open_with(out, dir, seg_bytes, false, false, need);
}

enum err
log_open(struct log **out, const char *dir, enum survives need)
{
	return log_open_sized(out, dir, need, SEG_BYTES);
}

enum err
log_open_read(struct log **out, const char *dir)
{
	return open_with(out, dir, SEG_BYTES, true, false, SURVIVES_CRASH);
}

enum err
log_open_beside(struct log **out, const char *dir)
{
	return open_with(out, dir, SEG_BYTES, true, true, SURVIVES_CRASH);
}

const uint8_t *
log_id(const struct log *l)
{
	return l->segs[0].head.id;
}

void
log_close(struct log *l)
{
	if (l == NULL)
		return;
	spare_stop(l);
	if (l->fd >= 0)
		close(l->fd);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	for (size_t i = 0; i < l->segs_n; i++)
		free(l->segs[i].sparse);
	free(l->segs);
	pthread_mutex_destroy(&l->mu);
	pthread_mutex_destroy(&l->spare_mu);
	pthread_cond_destroy(&l->spare_cond);
	free(l);
}

/* ---- appending ---- */

/* Without a reserve an event might take the room that a settlement will need:
 * make it first. Not more often than five times a second. */
static enum err
renew_reserve(struct log *l)
{
	int64_t now = clock_mono();
	enum err e;

	if (l->tried_ns != 0 && now - l->tried_ns < 200 * NS_PER_MS)
		return err_note(ERR_FULL,
		    "disk full: make room in %s; settlements and actions are "
		    "still taken",
		    l->dir);
	e = zeros_make(l, "reserve", l->seg_bytes, false);
	l->tried_ns = e == ERR_OK ? 0 : now;
	l->reserve = e == ERR_OK;
	return e;
}

/* The old segment's rest is given back, its places are kept for readers. */
static void
close_segment(struct log *l, size_t i, int fd)
{
	struct segment s = l->segs[i];

	s.next = l->next;
	(void)!sparse_save(l, &s); /* a hint */
	if (ftruncate(fd, (off_t)s.end) != 0)
		return; /* zeros remain; they mean nothing */
	pthread_mutex_lock(&l->mu);
	l->segs[i].size = s.end;
	pthread_mutex_unlock(&l->mu);
}

static enum err
rotate(struct log *l, bool vital)
{
	const char *from = "spare";
	char path[PATH_MAX];
	int fd = -1, was;
	enum err e;

	e = spare_take(l, &fd);
	if (e == ERR_FULL && vital && l->reserve) {
		from = "reserve";
		e = log_path(l, from, path);
		if (e != ERR_OK)
			return e;
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return err_errno(ERR_IO, "cannot open %s", path);
		l->reserve = false;
		l->tried_ns = clock_mono();
		say(SAY_WARN, "log",
		    "disk full: the reserve is in use; events are refused");
	}
	if (e != ERR_OK)
		return e;
	was = l->fd;
	e = begin_segment(l, from, fd);
	if (e != ERR_OK) {
		close(fd);
		l->dead = e == ERR_SYNC;
		return e;
	}
	close_segment(l, l->segs_n - 2, was);
	close(was);
	return ERR_OK;
}

static enum err
write_frame(struct log *l, const uint8_t head[FRAME_HEAD], struct slice records)
{
	static const uint8_t zero[8];
	struct segment *s = &l->segs[l->segs_n - 1];
	uint64_t size = frame_size(records.n);
	size_t pad = (size_t)(size - FRAME_HEAD - records.n), done = 0;
	struct iovec v[3] = {{(void *)(uintptr_t)head, FRAME_HEAD},
	    {(void *)(uintptr_t)records.p, records.n},
	    {(void *)(uintptr_t)zero, pad}};
	int i = 0;

	while (done < size) {
		ssize_t r =
		    l->os->pwritev(l->fd, v + i, 3 - i, (off_t)(s->end + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(ERR_IO, "cannot write to the journal");
		done += (size_t)r;
		while (i < 3 && (size_t)r >= v[i].iov_len)
			r -= (ssize_t)v[i++].iov_len;
		if (i < 3) {
			v[i].iov_base = (char *)v[i].iov_base + r;
			v[i].iov_len -= (size_t)r;
		}
	}
	return ERR_OK;
}

static enum err
sync_frame(struct log *l, int64_t *took)
{
	int64_t from = clock_mono();

	if (l->os->fdatasync(l->fd) != 0) {
		l->dead = true;
		(void)!err_errno(ERR_IO,
		    "the disk did not confirm the journal's last write in %s",
		    l->dir);
		return ERR_SYNC;
	}
	*took = clock_mono() - from;
	return ERR_OK;
}

static void
commit(struct log *l, const struct turn *t, int64_t took)
{
	struct segment *s = &l->segs[l->segs_n - 1];
	uint64_t size = frame_size(t->bytes.n);

	pthread_mutex_lock(&l->mu);
	sparse_add(s, l->next, s->end);
	sparse_add_inside(s, l->next, s->end, buf_all(&t->bytes));
	s->end += size;
	l->next += t->count;
	l->stat.bytes += size;
	l->stat.syncs++;
	l->stat.last_sync_ns = took;
	pthread_mutex_unlock(&l->mu);
}

/* What was written a while ago need not stand in the page cache. */
static void
drop_behind(struct log *l)
{
	uint64_t end = l->segs[l->segs_n - 1].end & ~UINT64_C(4095);

	if (end < l->dropped + 2 * KEEP_CACHED)
		return;
	posix_fadvise(l->fd, (off_t)l->dropped,
	    (off_t)(end - KEEP_CACHED - l->dropped), POSIX_FADV_DONTNEED);
	l->dropped = end - KEEP_CACHED;
}

enum err
log_append(struct log *l, const struct turn *t, int64_t now, uint64_t *seq0)
{
	uint64_t size = frame_size(t->bytes.n);
	uint8_t head[FRAME_HEAD];
	struct segment *s;
	int64_t took = 0;
	enum err e;

	if (l->dead)
		return err_note(ERR_SYNC,
		    "the journal ended with a write the disk did not confirm");
	if (t->bytes.bad || size > l->seg_bytes - SEG_HEAD)
		return err_note(
		    ERR_LIMIT, "a turn has more than %d bytes", TURN_MAX);
	if (t->count == 0 || l->read_only)
		return err_note(ERR_STATE, "%s",
		    l->read_only ? "the journal was opened to be read"
				 : "a turn without records");
	if (!l->reserve && !t->vital) {
		e = renew_reserve(l);
		if (e != ERR_OK)
			return e;
	}
	s = &l->segs[l->segs_n - 1];
	if (size > s->size - s->end) {
		e = rotate(l, t->vital);
		if (e != ERR_OK)
			return e;
		s = &l->segs[l->segs_n - 1];
	}
	frame_head_write(
	    head, s->head.seed, buf_all(&t->bytes), t->count, l->next, now);
	e = write_frame(l, head, buf_all(&t->bytes));
	FAIL_POINT("log_written");
	if (e == ERR_OK)
		e = sync_frame(l, &took);
	if (e != ERR_OK)
		return e;
	FAIL_POINT("log_synced");
	*seq0 = l->next;
	commit(l, t, took);
	drop_behind(l);
	if (s->end > s->size / 2)
		spare_want(l);
	return ERR_OK;
}

/* The mutex of a log that is otherwise only looked at. */
static pthread_mutex_t *
mutex(const struct log *l)
{
	return (pthread_mutex_t *)(uintptr_t)&l->mu;
}

uint64_t
log_first(const struct log *l)
{
	uint64_t first;

	pthread_mutex_lock(mutex(l));
	first = l->segs[0].first;
	pthread_mutex_unlock(mutex(l));
	return first;
}

uint64_t
log_next(const struct log *l)
{
	uint64_t next;

	pthread_mutex_lock(mutex(l));
	next = l->next;
	pthread_mutex_unlock(mutex(l));
	return next;
}

void
log_stat(const struct log *l, struct log_stat *out)
{
	pthread_mutex_lock(mutex(l));
	*out = l->stat;
	out->records = l->next - l->segs[0].first;
	pthread_mutex_unlock(mutex(l));
}
