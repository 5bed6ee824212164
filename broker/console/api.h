/*
 * api - the console's answers as JSON: queries of the journal and the broker's
 * status. The console's thread only.
 */
#ifndef VAYLA_CONSOLE_API_H
#define VAYLA_CONSOLE_API_H

#include "broker/console/console.h"

#define API_MAX (32 * 1024 * 1024)

struct api {
	struct query query;
	enum err (*status)(void *self, struct buf *out);
	void *self;
};

enum err api_open(struct api *a, const struct console_options *o) MUST_CHECK;
void api_close(struct api *a); /* safe on a zeroed struct */

struct api_request {
	const char *path; /* decoded */
	bool unmask;
	const char *n, *after; /* query arguments or NULL */
};

/* Is there a screen at this path? */
bool api_page(const char *path);

/* The JSON of a screen. ERR_NOTFOUND: no such screen or order. */
enum err api_answer(
    struct api *a, const struct api_request *rq, struct buf *json) MUST_CHECK;

/* Prometheus text of the same figures. metrics.c */
enum err api_metrics(struct api *a, struct buf *text) MUST_CHECK;

/* Does the broker answer, and can it write? */
bool api_ready(struct api *a);

#endif
