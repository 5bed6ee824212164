/* users - see users.h. */
#include <stdlib.h>
#include <sys/stat.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/core/users.h"

#define LOOK_NS NS_PER_SEC

static const struct access_user ourselves = {
    .name = "local", .any_name = true, .all = true};

static enum err
load(struct users *u)
{
	struct access_user *list;
	struct stat st;
	size_t n;
	enum err e;

	/* The time first: what changes while we read is read again. */
	if (stat(u->dir, &st) != 0)
		return err_errno(ERR_IO, "cannot look at %s", u->dir);
	e = access_list(u->dir, &list, &n);
	if (e != ERR_OK)
		return e;
	u->changed = st.st_mtim;
	free(u->old);
	u->old = u->list;
	u->list = list;
	u->n = n;
	return ERR_OK;
}

enum err
users_open(struct users *u, const struct config *c, struct access_keys *broker)
{
	enum err e;

	u->dir = c->access;
	e = access_make_own(c);
	if (e == ERR_OK)
		e = access_server(u->dir, broker);
	return e == ERR_OK ? load(u) : e;
}

void
users_close(struct users *u)
{
	free(u->list);
	free(u->old);
	*u = (struct users){0};
}

/* Within the clock tick of its last change a folder may change again and look
 * the same. */
static bool
is_fresh(const struct timespec *t)
{
	return clock_now() - (t->tv_sec * NS_PER_SEC + t->tv_nsec) <
	       2 * LOOK_NS;
}

bool
users_look(struct users *u)
{
	int64_t now = clock_mono();
	struct stat st;

	if (now - u->looked < LOOK_NS)
		return false;
	u->looked = now;
	if (stat(u->dir, &st) != 0 ||
	    (st.st_mtim.tv_sec == u->changed.tv_sec &&
		st.st_mtim.tv_nsec == u->changed.tv_nsec &&
		!is_fresh(&u->changed)))
		return false;
	if (load(u) == ERR_OK)
		return true;
	say(SAY_ERROR, "access", "the keys stay as they were: %s", err_last());
	return false;
}

void
users_looked(struct users *u)
{
	free(u->old);
	u->old = NULL;
}

const struct access_user *
users_find(const struct users *u, const char *key)
{
	if (key == NULL)
		return &ourselves;
	for (size_t i = 0; i < u->n; i++)
		if (!u->list[i].revoked && strcmp(u->list[i].key, key) == 0)
			return &u->list[i];
	return NULL;
}
