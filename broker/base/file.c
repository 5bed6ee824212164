/*
 * file - see file.h. Rejected: stdio, which hides short writes and the error
 * of the last of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/file.h"

static int
open_retry(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static enum err
open_failed(const char *what, const char *path)
{
	enum err e = errno == ENOENT ? ERR_NOTFOUND
		     : errno == EACCES || errno == EPERM || errno == EROFS
			 ? ERR_DENIED
			 : ERR_IO;

	return err_errno(e, "cannot %s %s", what, path);
}

enum err
file_read(const char *path, struct buf *out)
{
	size_t was = out->n;
	enum err e = ERR_OK;
	struct stat st;
	uint8_t *to, one;
	ssize_t r;
	int fd;

	fd = open_retry(path, O_RDONLY, 0);
	if (fd < 0)
		return open_failed("open", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    (uint64_t)st.st_size <= out->max - out->n)
		(void)buf_room(out, (size_t)st.st_size);
	for (;;) {
		if (out->cap == out->n && out->n < out->max)
			(void)buf_room(out, out->max - out->n < 4096
						? out->max - out->n
						: 4096);
		if (out->bad) {
			e = err_note(ERR_LIMIT, "no room to read %s", path);
			break;
		}
		to = out->cap > out->n ? out->p + out->n : &one;
		r = read(fd, to, to == &one ? 1 : out->cap - out->n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			e = err_errno(ERR_IO, "cannot read %s", path);
		else if (r > 0 && to == &one)
			e = err_note(ERR_LIMIT, "%s is larger than %zu bytes",
			    path, out->max - was);
		if (r <= 0 || e != ERR_OK)
			break;
		out->n += (size_t)r;
	}
	close(fd);
	if (e != ERR_OK)
		out->n = was;
	return e;
}

enum err
fd_write(int fd, struct slice data)
{
	while (data.n > 0) {
		ssize_t r = write(fd, data.p, data.n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(ERR_IO, "cannot write");
		data = slice_from(data, (size_t)r);
	}
	return ERR_OK;
}

enum err
fd_pwrite(int fd, struct slice data, uint64_t at)
{
	if (at > INT64_MAX || data.n > INT64_MAX - at)
		return err_note(ERR_RANGE, "a file has no byte %llu",
		    (unsigned long long)at);
	while (data.n > 0) {
		ssize_t r = pwrite(fd, data.p, data.n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(ERR_IO, "cannot write");
		data = slice_from(data, (size_t)r);
		at += (uint64_t)r;
	}
	return ERR_OK;
}

/* The folder a path lies in, into out. */
static enum err
parent(const char *path, char out[PATH_MAX])
{
	size_t n = strlen(path);

	if (n == 0 || n >= PATH_MAX)
		return err_note(ERR_RANGE, "a path of %zu bytes", n);
	memcpy(out, path, n + 1);
	while (n > 1 && out[n - 1] == '/')
		n--;
	while (n > 0 && out[n - 1] != '/')
		n--;
	while (n > 1 && out[n - 1] == '/')
		n--;
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	return ERR_OK;
}

enum err
dir_temp(const char *name, char *out, size_t n)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL || tmp[0] == '\0')
		tmp = "/tmp";
	if ((size_t)snprintf(out, n, "%s/vayla-%s-XXXXXX", tmp, name) >= n)
		return err_note(ERR_RANGE, "the path of %s is too long", tmp);
	if (mkdtemp(out) == NULL)
		return err_errno(ERR_IO, "cannot make a folder in %s", tmp);
	return ERR_OK;
}

enum err
dir_sync(const char *path)
{
	enum err e = ERR_OK;
	int fd = open_retry(path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return open_failed("open the folder", path);
	if (fsync(fd) != 0)
		e = err_errno(ERR_SYNC, "cannot sync the folder %s", path);
	close(fd);
	return e;
}

static enum err
write_temp(int fd, const char *path, struct slice data, unsigned mode)
{
	enum err e = fd_write(fd, data);

	if (e != ERR_OK)
		return err_wrap(e, "%s", path);
	if (fchmod(fd, (mode_t)mode) != 0)
		return err_errno(ERR_IO, "cannot set the mode of %s", path);
	if (fsync(fd) != 0)
		return err_errno(ERR_SYNC, "cannot sync %s", path);
	return ERR_OK;
}

enum err
file_write(const char *path, struct slice data, unsigned mode)
{
	char dir[PATH_MAX], temp[PATH_MAX];
	enum err e;
	int fd, n;

	e = parent(path, dir);
	if (e != ERR_OK)
		return e;
	n = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(temp))
		return err_note(ERR_RANGE, "a path of %zu bytes", strlen(path));
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return open_failed("create a file beside", path);
	e = write_temp(fd, path, data, mode);
	/* close() reports what a network file system found out late. */
	if (close(fd) != 0 && e == ERR_OK)
		e = err_errno(ERR_IO, "cannot close %s", path);
	if (e == ERR_OK && rename(temp, path) != 0)
		e = err_errno(ERR_IO, "cannot rename to %s", path);
	if (e != ERR_OK) {
		unlink(temp);
		return e;
	}
	return dir_sync(dir);
}

static enum err
make_one(const char *path)
{
	struct stat st;

	if (mkdir(path, 0750) == 0)
		return ERR_OK;
	if (errno == EEXIST || errno == EISDIR || errno == EROFS) {
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return ERR_OK;
		if (errno != EROFS)
			errno = ENOTDIR;
	}
	return open_failed("make the folder", path);
}

enum err
dir_make(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	enum err e;

	if (n == 0 || n >= sizeof(part))
		return err_note(ERR_RANGE, "a path of %zu bytes", n);
	memcpy(part, path, n + 1);
	for (size_t i = 1; i < n; i++) {
		if (part[i] != '/' || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		e = make_one(part);
		if (e != ERR_OK)
			return e;
		part[i] = '/';
	}
	return make_one(part);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
dir_free(char **names)
{
	if (names == NULL)
		return;
	for (size_t i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
}

static enum err
list_add(char ***names, size_t *n, const char *name)
{
	char **more = *names;

	/* Grows at every power of two from 16 on. */
	if (*n == 0 || (*n >= 16 && (*n & (*n - 1)) == 0)) {
		more = realloc(
		    more, ((*n < 16 ? 16 : *n * 2) + 1) * sizeof(*more));
		if (more == NULL)
			return err_note(ERR_NOMEM, "no memory for a folder");
		*names = more;
	}
	more[*n] = strdup(name);
	if (more[*n] == NULL)
		return err_note(ERR_NOMEM, "no memory for a folder");
	more[++*n] = NULL;
	return ERR_OK;
}

enum err
dir_list(const char *path, char ***out)
{
	char **names = calloc(1, sizeof(*names));
	enum err e = ERR_OK;
	struct dirent *d;
	size_t n = 0;
	DIR *dir;

	if (names == NULL)
		return err_note(ERR_NOMEM, "no memory for a folder");
	dir = opendir(path);
	if (dir == NULL) {
		free(names);
		return open_failed("open the folder", path);
	}
	for (errno = 0; e == ERR_OK && (d = readdir(dir)) != NULL; errno = 0)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			e = list_add(&names, &n, d->d_name);
	if (e == ERR_OK && errno != 0)
		e = err_errno(ERR_IO, "cannot read the folder %s", path);
	closedir(dir);
	if (e != ERR_OK) {
		dir_free(names);
		return e;
	}
	qsort(names, n, sizeof(*names), by_name);
	*out = names;
	return ERR_OK;
}
