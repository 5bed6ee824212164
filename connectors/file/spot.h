/*
 * spot - which file of a folder is complete and next: the oldest first, so that
 * states come in their order. Nothing is opened or changed here.
 */
#ifndef VAYLA_FILE_SPOT_H
#define VAYLA_FILE_SPOT_H

#include "connectors/file/pick.h"

#define SPOT_NAMES 1024 /* files of a folder that are looked at, by name */
#define SPOT_NAME 200	/* bytes of a name */

struct spot {
	const char *folder;
	const struct pick *pick;
	int64_t stable_ns;
	size_t n;
	struct spot_seen { /* PICK_STABLE: as it was when last seen */
		char name[SPOT_NAME + 1];
		int64_t size, mtime, since; /* since: mono */
	} * seen;
	char avoid[SPOT_NAME + 1]; /* taken only when nothing else is there */
	bool told;		   /* of names that are not taken */
};

void spot_init(struct spot *s, const char *folder, const struct pick *p,
    int64_t stable_ns);
void spot_fini(struct spot *s);

/* ERR_OK with its name in `out`; ERR_NOTFOUND: none is complete now. */
enum err spot_next(
    struct spot *s, int64_t mono, char out[SPOT_NAME + 1]) MUST_CHECK;

#endif
