/* copy - see copy.h. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/copy.h"
#include "broker/core/log_own.h"

#define PIECE (64 * 1024)
#define FILE_MOST (64 * 1024 * 1024) /* a ruleset, a trimmed segment */

struct copy {
	char data[PATH_MAX], dir[PATH_MAX]; /* DATA, DATA/log */
	int lock, fd;			    /* of the last segment */
	struct log_place end;
	uint64_t next; /* sequence behind it */
};

static enum err
path_of(char out[PATH_MAX], const char *dir, const char *name)
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return err_note(ERR_RANGE, "the path of %s is too long", name);
	return ERR_OK;
}

static enum err
segment_path(const struct copy *c, uint64_t first, char out[PATH_MAX])
{
	char name[LOG_NAME];

	log_name(name, first, "seg");
	return path_of(out, c->dir, name);
}

/* ---- the journal ---- */

/* Behind the last whole frame of a segment. */
static enum err
frames_end(int fd, const char *path, uint64_t *end)
{
	enum frame_state state = FRAME_OK;
	uint8_t head[SEG_HEAD];
	struct log_frame f;
	struct seg_head h;
	struct window w;
	struct stat st;
	enum err e = ERR_OK;

	*end = 0;
	if (fstat(fd, &st) != 0)
		return err_errno(ERR_IO, "cannot look at %s", path);
	if (st.st_size < SEG_HEAD || pread(fd, head, SEG_HEAD, 0) != SEG_HEAD)
		return ERR_OK; /* it had just begun */
	e = seg_head_read(head, path, &h);
	window_init(&w, fd, (uint64_t)st.st_size, 1024 * 1024);
	for (*end = SEG_HEAD; e == ERR_OK; *end += frame_size(f.length)) {
		e = frame_at(&w, h.seed, *end, true, &f, &state);
		if (e != ERR_OK || state != FRAME_OK)
			break;
	}
	window_fini(&w);
	return e;
}

static enum err
open_last(struct copy *c)
{
	char path[PATH_MAX];
	uint64_t *firsts = NULL;
	size_t n = 0;
	enum err e = log_list(c->dir, true, &firsts, &n);

	if (e == ERR_OK && n > 0) {
		c->end.first = firsts[n - 1];
		e = segment_path(c, c->end.first, path);
	}
	free(firsts);
	if (e != ERR_OK || n == 0)
		return e;
	c->fd = open(path, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		return err_errno(ERR_DENIED, "cannot open %s", path);
	e = frames_end(c->fd, path, &c->end.at);
	if (e == ERR_OK &&
	    (ftruncate(c->fd, (off_t)c->end.at) != 0 || fsync(c->fd) != 0))
		e = err_errno(ERR_IO, "cannot cut %s", path);
	return e;
}

enum err
copy_open(struct copy **out, const char *data)
{
	struct copy *c = calloc(1, sizeof(*c));
	enum err e;

	if (c == NULL)
		return err_note(ERR_NOMEM, "no memory");
	c->lock = c->fd = -1;
	snprintf(c->data, sizeof(c->data), "%s", data);
	e = path_of(c->dir, data, "log");
	if (e == ERR_OK)
		e = dir_make(c->dir);
	if (e == ERR_OK)
		e = log_lock(data, true, &c->lock);
	if (e == ERR_OK)
		e = open_last(c);
	if (e != ERR_OK) {
		copy_close(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void
copy_close(struct copy *c)
{
	if (c == NULL)
		return;
	if (c->fd >= 0)
		close(c->fd);
	if (c->lock >= 0)
		close(c->lock);
	free(c);
}

static enum err
crc_at(int fd, uint64_t at, size_t n, uint32_t *crc)
{
	uint8_t b[LOG_TAIL];

	if (pread(fd, b, n, (off_t)at) != (ssize_t)n)
		return err_errno(ERR_IO, "cannot read the copy");
	*crc = crc32c(0, b, n);
	return ERR_OK;
}

enum err
copy_place(struct copy *c, struct log_place *p, uint32_t *head, uint32_t *tail)
{
	size_t n = c->end.at < LOG_TAIL ? (size_t)c->end.at : LOG_TAIL;
	uint8_t raw[SEG_HEAD];

	*p = c->end;
	*head = *tail = 0;
	if (p->at == 0)
		return ERR_OK;
	if (pread(c->fd, raw, SEG_HEAD, 0) != SEG_HEAD)
		return err_errno(ERR_IO, "cannot read the copy");
	*head = log_head_sum(raw);
	return crc_at(c->fd, c->end.at - n, n, tail);
}

static enum err
begin(struct copy *c, uint64_t first)
{
	char path[PATH_MAX];
	enum err e = segment_path(c, first, path);
	int fd;

	if (e != ERR_OK)
		return e;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot make %s", path);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = fd;
	c->end = (struct log_place){first, 0};
	return dir_sync(c->dir);
}

enum err
copy_write(struct copy *c, struct log_place p, struct slice bytes)
{
	enum err e = ERR_OK;

	if (p.at == 0 && p.first >= c->end.first)
		e = begin(c, p.first);
	else if (p.first != c->end.first || p.at != c->end.at)
		e = err_note(ERR_STATE, "bytes for another place");
	if (e == ERR_OK)
		e = fd_pwrite(c->fd, bytes, p.at);
	if (e == ERR_OK && fdatasync(c->fd) != 0)
		e = err_errno(ERR_SYNC, "cannot sync the copy");
	if (e == ERR_OK)
		c->end.at = p.at + bytes.n;
	return e;
}

enum err
copy_drop(struct copy *c, uint64_t first)
{
	char path[PATH_MAX];
	uint64_t *firsts = NULL;
	size_t n = 0;
	enum err e = log_list(c->dir, false, &firsts, &n);

	for (size_t i = 0; e == ERR_OK && i < n && firsts[i] < first; i++) {
		e = segment_path(c, firsts[i], path);
		if (e == ERR_OK && unlink(path) != 0)
			e = err_errno(ERR_IO, "cannot remove %s", path);
	}
	free(firsts);
	return e;
}

/* ---- files beside it ---- */

static bool
all_of(const char *s, size_t n, int (*is)(int))
{
	for (size_t i = 0; i < n; i++)
		if (!is((unsigned char)s[i]))
			return false;
	return strlen(s) >= n;
}

bool
copy_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (strcmp(name, "keys") == 0 || strcmp(name, "rulesets.used") == 0)
		return true;
	if (strncmp(name, "rulesets/", 9) == 0)
		return n == 9 + 64 && all_of(name + 9, 64, isxdigit);
	if (strncmp(name, "log/", 4) == 0)
		return n == 4 + 24 && all_of(name + 4, 20, isdigit) &&
		       strcmp(name + 24, ".seg") == 0;
	return strncmp(name, "access/", 7) == 0 && n > 7 && n < 64 &&
	       name[7] != '.' && strstr(name, ".tmp") == NULL &&
	       strspn(name + 7, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
				"RSTUVWXYZ0123456789._-") == n - 7;
}

enum err
copy_read(const char *data, const char *name, uint64_t at, uint64_t n,
    struct buf *out)
{
	uint8_t piece[PIECE];
	char path[PATH_MAX];
	enum err e;
	int fd;

	if (!copy_name_ok(name))
		return err_note(ERR_DENIED, "this file is not for copying");
	e = path_of(path, data, name);
	if (e != ERR_OK)
		return e;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(ERR_NOTFOUND, "cannot open %s", path);
	while (e == ERR_OK && n > 0) {
		size_t want = n < PIECE ? (size_t)n : PIECE;
		ssize_t r = pread(fd, piece, want, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			e = err_note(ERR_NOTFOUND, "%s ends before", path);
			break;
		}
		buf_put(out, piece, (size_t)r);
		at += (uint64_t)r;
		n -= (uint64_t)r;
	}
	close(fd);
	secret_wipe(piece, sizeof(piece));
	return e == ERR_OK ? buf_check(out) : e;
}

uint64_t
copy_sum(const char *data, const char *name, uint64_t at, uint64_t n)
{
	uint8_t hash[32];
	struct buf b;
	uint64_t sum = 0;

	buf_init(&b, FILE_MOST);
	if (copy_read(data, name, at, n, &b) == ERR_OK) {
		sha256(buf_all(&b), hash);
		memcpy(&sum, hash, sizeof(sum));
		sum = (sum & INT64_MAX) | 1;
	}
	if (b.n > 0)
		secret_wipe(b.p, b.n);
	buf_fini(&b);
	return sum;
}

static void
put_file(const char *data, const char *name, struct buf *out, uint32_t *count)
{
	uint64_t step = strcmp(name, "keys") == 0 ? PIECE : FILE_MOST, size;
	char path[PATH_MAX];
	struct stat st;

	if (!copy_name_ok(name) || path_of(path, data, name) != ERR_OK ||
	    stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	size = (uint64_t)st.st_size;
	for (uint64_t at = 0; at < size; at += step) {
		uint64_t n = size - at < step ? size - at : step;

		mp_put_array(out, 4);
		mp_put_cstr(out, name);
		mp_put_uint(out, at);
		mp_put_uint(out, n);
		mp_put_uint(out, copy_sum(data, name, at, n));
		(*count)++;
	}
}

static void
put_folder(
    const char *data, const char *folder, struct buf *out, uint32_t *count)
{
	char path[PATH_MAX], name[512];
	char **names;

	if (path_of(path, data, folder) != ERR_OK ||
	    dir_list(path, &names) != ERR_OK)
		return;
	for (size_t i = 0; names[i] != NULL; i++)
		if ((size_t)snprintf(name, sizeof(name), "%s/%s", folder,
			names[i]) < sizeof(name))
			put_file(data, name, out, count);
	dir_free(names);
}

enum err
copy_list(const char *data, const struct log *l, struct buf *out)
{
	size_t mark = mp_open(out), segs_n;
	char name[LOG_NAME + 4];
	struct log_segment *segs;
	uint32_t n = 0;
	enum err e = log_segments(l, &segs, &segs_n);

	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < segs_n; i++) {
		strcpy(name, "log/");
		log_name(name + 4, segs[i].first, "seg");
		if (segs[i].trimmed)
			put_file(data, name, out, &n);
	}
	free(segs);
	put_folder(data, "rulesets", out, &n);
	put_folder(data, "access", out, &n);
	put_file(data, "rulesets.used", out, &n);
	put_file(data, "keys", out, &n);
	mp_close_array(out, mark, n);
	return buf_check(out);
}

static enum err
put_at(const char *path, uint64_t at, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	enum err e;

	if (fd < 0)
		return err_errno(ERR_IO, "cannot open %s", path);
	e = fd_pwrite(fd, bytes, at);
	if (e == ERR_OK && fdatasync(fd) != 0)
		e = err_errno(ERR_SYNC, "cannot sync %s", path);
	close(fd);
	return e;
}

enum err
copy_put(struct copy *c, const char *name, uint64_t at, struct slice bytes)
{
	char path[PATH_MAX], *slash;
	enum err e;

	if (!copy_name_ok(name))
		return err_note(ERR_DENIED, "this file is not for copying");
	e = path_of(path, c->data, name);
	if (e != ERR_OK)
		return e;
	if (strcmp(name, "keys") == 0)
		return put_at(path, at, bytes);
	if (strchr(name, '/') != NULL) {
		slash = strrchr(path, '/');
		*slash = '\0';
		e = dir_make(path);
		*slash = '/';
	}
	return e == ERR_OK ? file_write(path, bytes, 0600) : e;
}

uint64_t
copy_stamp(const char *data)
{
	static const char *const watched[] = {
	    "keys", "rulesets", "access", "log", "rulesets.used"};
	char path[PATH_MAX];
	uint64_t stamp = 1;
	struct stat st;

	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		if (path_of(path, data, watched[i]) != ERR_OK ||
		    stat(path, &st) != 0)
			continue;
		stamp = stamp * 1000003 + (uint64_t)st.st_mtim.tv_sec;
		stamp = stamp * 1000003 + (uint64_t)st.st_mtim.tv_nsec;
		stamp = stamp * 1000003 + (uint64_t)st.st_size;
	}
	return stamp & INT64_MAX;
}
