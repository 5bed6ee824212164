/*
 * users - who may come to the bus: the public keys of broker.access, looked at
 * anew once a second when the folder has changed, so that a key that is made or
 * revoked there counts at once, for sessions that are there as well.
 *
 * Turn thread only. Users move in memory when users_look() says true.
 */
#ifndef VAYLA_CORE_USERS_H
#define VAYLA_CORE_USERS_H

#include <time.h>

#include "broker/wire/access.h"

struct users {
	const char *dir;
	struct access_user *list, *old;
	size_t n;
	int64_t looked; /* monotonic */
	struct timespec changed;
};

/* Makes this machine's own keys where there are none, reads all of them and the
 * broker's own. */
enum err users_open(struct users *u, const struct config *c,
    struct access_keys *broker) MUST_CHECK;
void users_close(struct users *u);

/* True when the list is another: whoever holds users finds them anew, then
 * calls users_looked(). */
bool users_look(struct users *u);
void users_looked(struct users *u);

/* The user of that key, NULL: unknown or revoked. NULL is this process. */
const struct access_user *users_find(const struct users *u, const char *key);

#endif
