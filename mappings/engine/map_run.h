/*
 * map_run - events through one mapping, for `vayla map run`.
 *
 * With `lines`, for programs: each line of the input is an event as JSON, and
 * each is answered by one line, in order, whatever becomes of it:
 *
 *     {"verdict":"ok","events":[{type, id, subject, refs?, data}, ...]}
 *     {"verdict":"skip"}
 *     {"verdict":"error","error":CODE,"path":P,"where":W,"text":T}
 *     {"verdict":"ask", the same, "table":TABLE,"key":KEY}
 *     {"verdict":"wait", the same, "seconds":N}
 *
 * CODE is an error's name of err.h (MISSING, TYPE, RANGE ...).
 */
#ifndef VAYLA_ENGINE_MAP_RUN_H
#define VAYLA_ENGINE_MAP_RUN_H

#include <stdbool.h>

struct map_run {
	const char *mapping;	     /* its file */
	const char *event;	     /* JSON file, "-" for stdin */
	const char *settings, *with; /* "{...}" or a file, or NULL */
	const char *form;	     /* "json", "msgpack" or NULL */
	bool lines;		     /* see above */
	bool explain; /* where each field came from, in place of the events */
};

/* An exit status; what is wrong was said on stderr. */
int map_run(const struct map_run *r);

#endif
