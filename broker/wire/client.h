/*
 * client - our end of the bus for connectors and the command line: a DEALER
 * with a session, an outbox that is resent until confirmed, and subscriptions.
 *
 * One thread owns a client. Nothing blocks but client_open() and client_wait();
 * the socket's descriptor goes into the caller's poll. After a broker's restart
 * the session is renewed and unconfirmed publications are sent again; storing
 * them twice is the broker's to prevent (source, id, digest).
 */
#ifndef VAYLA_WIRE_CLIENT_H
#define VAYLA_WIRE_CLIENT_H

#include "broker/wire/frame.h"

struct client;

/* What became of a publication; called from client_step(). `e` is ERR_OK when
 * it is on disk; else the broker's code, with its text in err_last(). */
typedef void client_done(void *arg, enum err e, int64_t retry_ms);

/* A delivery, or what a tap shows (attempt 0). Slices live for the call. Settle
 * a delivery later by publishing a REC_SETTLE record. */
typedef void client_event(void *arg, struct slice sub, uint64_t seq,
    uint32_t attempt, bool again, const struct event *e);

struct client_options {
	const char *address; /* "ipc://..." */
	const char *access;  /* the folder of keys; NULL: a bus without CURVE,
				within one process */
	const char *name;    /* who: system's name, "receiver", "cli" */
	const char *role;    /* "connector", "receiver", "operator" */
	size_t outbox_max;   /* bytes kept unconfirmed, 0 = 8 MiB */
	client_event *on_event;
	void *arg;
};

/* Connects in the background; the first session comes up in client_step(). An
 * operator shows the key that $VAYLA_KEY names, or this machine's, and others
 * that of their name; with a person's key the name is that person's. */
enum err client_open(
    struct client **out, const struct client_options *o) MUST_CHECK;
void client_free(struct client *c);

int client_fd(struct client *c);	/* readable: call client_step() */
bool client_up(const struct client *c); /* is there a session? */
uint64_t client_epoch(const struct client *c);
const char *client_name(const struct client *c); /* as the broker knows us */

/* Read what came, send what waits, keep the heartbeat. Returns in *next_ms when
 * it wants to be called again at the latest. To be called once in every turn of
 * a loop, whatever poll() said: the socket's descriptor speaks only on a
 * change. An error is the broker's refusal of this name, role or subscription:
 * trying again is useless. */
enum err client_step(struct client *c, int *next_ms) MUST_CHECK;

/* Close in good order: what was not settled is delivered again at once.
 * client_free() does it too. */
void client_bye(struct client *c);

/* Publications not yet answered. */
size_t client_waiting(const struct client *c);

/*
 * Publish: `records` is a blob as record_write() makes it; all of it is stored
 * in one turn. done() is called exactly once, also when the client is freed
 * (with ERR_CLOSED; it must not publish then). ERR_BUSY when the outbox is
 * full, ERR_LIMIT when the blob can never be sent. A refusal of class RETRY is
 * handed to done() as well: to publish the same again after retry_ms is its
 * caller's business; what was lost with a session is sent again here.
 */
enum err client_publish(struct client *c, struct slice records, uint32_t count,
    client_done *done, void *arg) MUST_CHECK;

/* A durable subscription to the requests for a system. Renewed with the
 * session. window: deliveries in hand at once. At most CLIENT_SUBS with taps.
 */
#define CLIENT_SUBS 4
enum err client_subscribe(struct client *c, struct slice sub, uint32_t window,
    uint32_t bytes, int64_t patience_ms) MUST_CHECK;

/* The lossy tap: events whose type and subject begin so (empty: all). */
enum err client_tap(
    struct client *c, struct slice type, struct slice subject) MUST_CHECK;

/* Still at it: keeps a delivery's patience from running out. */
void client_extend(struct client *c, uint64_t seq);

/* Counters for the broker's `status`: a msgpack map of at most 64, at most 3
 * KiB (more is left out), sent along with the heartbeat. */
void client_report(struct client *c, struct slice map);

/* Ask and wait (for the command line and tests): the reply's msgpack value is
 * appended to out. ERR_TIMEOUT, or the broker's code. */
enum err client_ask(struct client *c, struct slice query, int timeout_ms,
    struct buf *out) MUST_CHECK;

/* Step until done or timeout: for the command line. ERR_TIMEOUT. */
enum err client_wait(struct client *c, bool (*done)(void *), void *arg,
    int timeout_ms) MUST_CHECK;

#endif
