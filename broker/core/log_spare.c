/*
 * log_spare - the next segment, made ahead of need by a thread of its own, and
 * the reserve.
 *
 * A spare is written full of zeros: an fdatasync into blocks that were only set
 * aside must also change the file's map of blocks and takes up to twice as
 * long. The reserve is set aside only; it is seldom used. Both get their names
 * when they are whole and synced, so a name means zeros from end to end (but
 * for a head that a crash left in a spare).
 *
 * Rejected: making the segment in the turn that needs it (a stall of 40 to 150
 * ms every 64 MiB); recycling old ones (they are kept).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/core/log_own.h"

#define CHUNK (1024 * 1024)

/* Is there room for so much, with a quarter of it to spare for the index? A
 * file system that is filled to the brim by us would take it down as well. */
static enum err
room_for(const struct log *l, uint64_t bytes)
{
	struct statvfs fs;
	uint64_t free_bytes;

	if (statvfs(l->dir, &fs) != 0)
		return err_errno(ERR_IO, "cannot look at %s", l->dir);
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes < bytes + bytes / 4)
		return err_note(ERR_FULL,
		    "disk full: %s has %llu MiB left; the journal needs %llu "
		    "MiB for its next segment",
		    l->dir, (unsigned long long)(free_bytes >> 20),
		    (unsigned long long)((bytes + bytes / 4 + CHUNK - 1) >>
					 20));
	return ERR_OK;
}

static enum err
write_zeros(int fd, uint64_t bytes)
{
	uint8_t *zero = calloc(1, CHUNK);
	enum err e = ERR_OK;

	if (zero == NULL)
		return err_note(ERR_NOMEM, "no memory for a segment");
	for (uint64_t at = 0; at < bytes && e == ERR_OK; at += CHUNK) {
		uint64_t n = bytes - at < CHUNK ? bytes - at : CHUNK;

		e = fd_pwrite(fd, slice_of(zero, (size_t)n), at);
		/* Bit by bit: what waits in the cache at once delays the turns'
		 * own syncs. */
		(void)!sync_file_range(fd, (off_t)at, (off_t)n,
		    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
	}
	free(zero);
	return e;
}

static enum err
fill(const struct log *l, const char *path, uint64_t bytes, bool written)
{
	enum err e = ERR_OK;
	int fd, r;

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot make %s", path);
	r = posix_fallocate(fd, 0, (off_t)bytes);
	if (r != 0) {
		errno = r;
		e = err_errno(ERR_IO, "cannot set aside %llu MiB in %s",
		    (unsigned long long)(bytes >> 20), l->dir);
	}
	if (e == ERR_OK && written)
		e = write_zeros(fd, bytes);
	if (e == ERR_OK && fsync(fd) != 0)
		e = err_errno(ERR_IO, "cannot sync %s", path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return e;
}

enum err
zeros_make(const struct log *l, const char *name, uint64_t bytes, bool written)
{
	char path[PATH_MAX], temp[PATH_MAX], temp_name[LOG_NAME];
	enum err e;

	snprintf(temp_name, sizeof(temp_name), "%s.tmp", name);
	e = log_path(l, name, path);
	if (e == ERR_OK)
		e = log_path(l, temp_name, temp);
	if (e == ERR_OK)
		e = room_for(l, bytes);
	if (e != ERR_OK)
		return e;
	e = fill(l, temp, bytes, written);
	if (e == ERR_OK && rename(temp, path) != 0)
		e = err_errno(ERR_IO, "cannot rename to %s", path);
	if (e != ERR_OK) {
		unlink(temp);
		return e;
	}
	return dir_sync(l->dir);
}

static void *
spare_main(void *arg)
{
	struct log *l = arg;
	enum err e;

	pthread_mutex_lock(&l->spare_mu);
	while (!l->spare_stop) {
		if (l->spare != SPARE_WANTED) {
			pthread_cond_wait(&l->spare_cond, &l->spare_mu);
			continue;
		}
		pthread_mutex_unlock(&l->spare_mu);
		e = zeros_make(l, "spare", l->seg_bytes, true);
		pthread_mutex_lock(&l->spare_mu);
		l->spare = e == ERR_OK ? SPARE_READY : SPARE_FAILED;
		l->spare_err = e;
		snprintf(l->spare_text, sizeof(l->spare_text), "%s",
		    e == ERR_OK ? "" : err_last());
		pthread_cond_broadcast(&l->spare_cond);
	}
	pthread_mutex_unlock(&l->spare_mu);
	return NULL;
}

enum err
spare_start(struct log *l)
{
	if (pthread_create(&l->spare_thread, NULL, spare_main, l) != 0)
		return err_note(ERR_NOMEM, "cannot start the log's thread");
	l->spare_runs = true;
	return ERR_OK;
}

void
spare_stop(struct log *l)
{
	if (!l->spare_runs)
		return;
	pthread_mutex_lock(&l->spare_mu);
	l->spare_stop = true;
	pthread_cond_broadcast(&l->spare_cond);
	pthread_mutex_unlock(&l->spare_mu);
	pthread_join(l->spare_thread, NULL);
	l->spare_runs = false;
}

void
spare_want(struct log *l)
{
	pthread_mutex_lock(&l->spare_mu);
	if (l->spare == SPARE_NONE) {
		l->spare = SPARE_WANTED;
		pthread_cond_broadcast(&l->spare_cond);
	}
	pthread_mutex_unlock(&l->spare_mu);
}

enum err
spare_take(struct log *l, int *fd)
{
	char path[PATH_MAX];
	enum err e = ERR_OK;

	pthread_mutex_lock(&l->spare_mu);
	/* What failed when nobody waited is tried once more now. */
	if (l->spare != SPARE_READY) {
		l->spare = SPARE_WANTED;
		pthread_cond_broadcast(&l->spare_cond);
	}
	while (l->spare == SPARE_WANTED)
		pthread_cond_wait(&l->spare_cond, &l->spare_mu);
	if (l->spare == SPARE_FAILED)
		e = err_note(l->spare_err, "%s", l->spare_text);
	l->spare = SPARE_NONE;
	pthread_mutex_unlock(&l->spare_mu);
	if (e == ERR_OK)
		e = log_path(l, "spare", path);
	if (e != ERR_OK)
		return e;
	*fd = open(path, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(ERR_IO, "cannot open %s", path);
	return ERR_OK;
}
