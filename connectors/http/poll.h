/*
 * poll - what a system knows, asked for regularly: `poll:` at work.
 *
 * Invariant: a cursor moves only when everything up to it is on disk in the
 * broker, and a round asks again from `overlap` before it: what was written
 * late or out of order there is seen still, and the journal drops what it has.
 * Items become events by the rows of `receive:`, so a fact that came by webhook
 * is the same event.
 *
 * The cursor is kept in a file of its own, DATA/connectors/SYSTEM.json, and not
 * in the journal: it is no fact of anybody's business, only how far this
 * connector has asked. Lost or older, it costs asking again and nothing else.
 */
#ifndef VAYLA_HTTP_POLL_H
#define VAYLA_HTTP_POLL_H

#include "connectors/http/send.h"

struct poller;

enum err poller_open(struct poller **out, struct far *far) MUST_CHECK;
void poller_close(struct poller *p); /* NULL is a no-op */
void poller_step(struct poller *p, int *next_ms);

/* Counters of what polls did. */
struct poll_counts {
	uint64_t rounds, failed, items, bad;
};
struct poll_counts poller_counts(const struct poller *p);

/* Begin nothing more; true when nothing is under way. */
bool poller_drain(struct poller *p);

#endif
