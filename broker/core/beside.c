/* beside - see beside.h. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/core/beside.h"

static enum err
rights(const char *data)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/keys", data);
	if (access(path, R_OK) == 0)
		return ERR_OK;
	if (errno == ENOENT)
		return err_note(ERR_NOTFOUND,
		    "%s holds no journal; has a broker run there?", data);
	return err_errno(ERR_DENIED,
	    "%s may be read by its owner alone: do this as the user that runs "
	    "the broker",
	    path);
}

enum err
beside_open(struct beside *b, const struct config *c)
{
	struct core *o = &b->core;
	char path[4096];
	enum err e;

	*b = (struct beside){.core = {.cfg = c}};
	e = rights(c->data);
	if (e == ERR_OK)
		e = log_open_beside(&o->log, c->data);
	if (e == ERR_OK)
		e = log_reader_new(&o->reader, o->log);
	if (e == ERR_OK)
		e = index_open_beside(&o->index, c->data, o->log);
	snprintf(path, sizeof(path), "%s/keys", c->data);
	if (e == ERR_OK)
		e = keys_open_read(&o->keys, path);
	if (e == ERR_OK)
		e = sealer_new(&o->sealer, o->keys);
	if (e != ERR_OK)
		beside_close(b);
	return e;
}

void
beside_close(struct beside *b)
{
	struct core *o = &b->core;

	sealer_free(o->sealer);
	keys_close(o->keys);
	index_close(o->index);
	log_reader_free(o->reader);
	log_close(o->log);
	*b = (struct beside){.core = {.cfg = NULL}};
}
