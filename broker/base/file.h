/*
 * file - small helpers over files and folders that every room needs. All paths
 * are C strings; notes name the path.
 */
#ifndef VAYLA_BASE_FILE_H
#define VAYLA_BASE_FILE_H

#include "broker/base/buf.h"

/* Append a whole file; ERR_NOTFOUND, ERR_IO, ERR_LIMIT over out->max. */
enum err file_read(const char *path, struct buf *out) MUST_CHECK;

/* Write by temporary name, fsync, rename, fsync of the folder. */
enum err file_write(
    const char *path, struct slice data, unsigned mode) MUST_CHECK;

/* Make a folder and its parents (mode 0750 for new ones); fine if there. */
enum err dir_make(const char *path) MUST_CHECK;
/* A new folder of our own (mode 0700) in $TMPDIR or /tmp; its path in out. */
enum err dir_temp(const char *name, char *out, size_t n) MUST_CHECK;
enum err dir_sync(const char *path) MUST_CHECK;

/* pwrite/write all of it, going on after short writes and EINTR. */
enum err fd_write(int fd, struct slice data) MUST_CHECK;
enum err fd_pwrite(int fd, struct slice data, uint64_t at) MUST_CHECK;

/* Names of a folder's entries (no . and ..), sorted, in an array that ends with
 * NULL; free with dir_free. */
enum err dir_list(const char *path, char ***out) MUST_CHECK;
void dir_free(char **names);

#endif
