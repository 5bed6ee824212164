/*
 * console - the web console and its API, served by one thread of the broker.
 *
 * Every screen's URL is a deep link, and the same URL with
 * "Accept: application/json" is the API:
 *
 *     /               what runs and what flows (Now)
 *     /order/WORD     one order's timeline, by any of its names
 *     /events         the last events
 *     /inbox          what is parked, waits or asks
 *     /metrics /livez /readyz   for machines, without signing in
 *
 * A person signs in with a one-time link that stands in DATA/console.link, a
 * file only the broker's user can read (`vayla console` prints it). Sessions
 * live in memory. The thread reads through its own index_view, log_reader and
 * sealer; it changes nothing.
 */
#ifndef VAYLA_CONSOLE_CONSOLE_H
#define VAYLA_CONSOLE_CONSOLE_H

#include "broker/core/query.h"

struct console_options {
	const char *url;  /* "http://127.0.0.1:7180" */
	const char *data; /* folder; console.link is written there */
	struct index *index;
	struct log *log;
	struct keys *keys;
	/* The broker's status as PROTOCOL.md's query "status" answers it;
	 * called from the console's thread. */
	enum err (*status)(void *self, struct buf *out);
	void *self;
};

struct console;

/* Starts the thread. ERR_EXISTS: the port is taken (the note says what to do);
 * ERR_CONFIG: no usable address. */
enum err console_start(
    struct console **out, const struct console_options *o) MUST_CHECK;
void console_stop(struct console *c); /* NULL is a no-op */

#endif
