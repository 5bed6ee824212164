/*
 * broker - the daemon as a whole: what is opened in which order, what the rooms
 * above (the console) get, and how it ends.
 *
 * A room runs in threads of its own. It reads the journal through an
 * index_view, a log_reader and a sealer that it makes itself, and changes
 * things only as a client of the bus (role operator) over bus/zmq below.
 */
#ifndef VAYLA_CORE_BROKER_H
#define VAYLA_CORE_BROKER_H

#include "broker/base/config.h"
#include "broker/core/index.h"
#include "broker/core/seal.h"

struct broker;

/* What a room gets; all of it lives until its stop() has returned. */
struct broker_gives {
	const struct config *config;
	struct log *log;
	struct index *index;
	struct keys *keys;
	void *zmq;	 /* zmq context, and */
	const char *bus; /* the address in it */
	struct broker *broker;
};

struct broker_room {
	enum err (*start)(const struct broker_gives *g, void **self);
	void (*stop)(void *self);
};

/* The room that is started with the broker; before broker_verb(). main.c. */
void broker_add_room(const struct broker_room *room);

/* The answer to the query "status", at most a second old. Any thread. */
enum err broker_status(struct broker *b, struct buf *out) MUST_CHECK;

#endif
