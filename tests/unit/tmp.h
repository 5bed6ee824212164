/*
 * tmp - a folder for one test, and stderr put aside while a test provokes what
 * is logged.
 */
#ifndef VAYLA_TESTS_UNIT_TMP_H
#define VAYLA_TESTS_UNIT_TMP_H

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2))) static inline int
tmp_run(const char *fmt, ...)
{
	char cmd[4 * PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

static inline char *
tmp_make(void)
{
	const char *base = getenv("TMPDIR");
	char path[PATH_MAX], *made;

	snprintf(path, sizeof(path), "%s/vayla-test-XXXXXX",
	    base != NULL ? base : "/tmp");
	made = mkdtemp(path);
	if (made == NULL) {
		perror("mkdtemp");
		exit(1);
	}
	return strdup(made);
}

static inline void
tmp_free(char *dir)
{
	if (strstr(dir, "/vayla-test-") != NULL)
		tmp_run("rm -rf '%s'", dir);
	free(dir);
}

/* stderr to nowhere; give the result to tmp_loud. VAYLA_LOUD keeps it. */
static inline int
tmp_quiet(void)
{
	int keep = dup(2), null = open("/dev/null", O_WRONLY);

	fflush(stderr);
	if (getenv("VAYLA_LOUD") == NULL)
		dup2(null, 2);
	close(null);
	return keep;
}

static inline void
tmp_loud(int keep)
{
	fflush(stderr);
	dup2(keep, 2);
	close(keep);
}

#endif
