/*
 * map_run - one event through one mapping, for `vayla map run`.
 */
#ifndef VAYLA_ENGINE_MAP_RUN_H
#define VAYLA_ENGINE_MAP_RUN_H

#include <stdbool.h>

struct map_run {
	const char *mapping;	     /* its file */
	const char *event;	     /* JSON file, "-" for stdin */
	const char *settings, *with; /* "{...}" or a file, or NULL */
	const char *form;	     /* "json", "msgpack" or NULL */
	bool explain; /* where each field came from, in place of the events */
};

/* An exit status; what is wrong was said on stderr. */
int map_run(const struct map_run *r);

#endif
