/*
 * cursor - how far each poll of a system has asked, in one small file that is
 * replaced as a whole: {"polls": {"orders": "2026-11-22T10:00:00Z"}}.
 */
#ifndef VAYLA_HTTP_CURSOR_H
#define VAYLA_HTTP_CURSOR_H

#include <stdint.h>

#include "broker/base/buf.h"

#define CURSORS 32

struct cursors {
	char *path;
	size_t n;
	struct {
		struct slice name; /* borrowed */
		int64_t at;	   /* ns; INT64_MIN: none yet */
	} v[CURSORS];
};

/* The file of that system below the data folder; its names are read later. */
enum err cursors_open(
    struct cursors *c, const char *data, struct slice system) MUST_CHECK;
void cursors_close(struct cursors *c);

/* A poll's place in `v`; at most CURSORS. What the file says of it stands
 * there, and a file that cannot be read says nothing. */
size_t cursors_add(struct cursors *c, struct slice name);

/* A person wants what was polled asked for again (`vayla system rewind`): the
 * moment in the file SYSTEM.rewind beside ours. All cursors go back to it, are
 * saved, and the file is removed; true then. */
bool cursors_rewind(struct cursors *c);

/* Written and synced, or the note says why not. */
enum err cursors_save(struct cursors *c) MUST_CHECK;

#endif
