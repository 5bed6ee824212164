/*
 * send - requests from the broker carried out over HTTP: `send:` at work.
 *
 * Invariant: a delivery is settled exactly once, after its answer, and what was
 * answered goes into the same PUB. Before one that may have been done already
 * (`again`, or a further attempt) is sent once more, `find` looks whether it
 * was. While the gate is shut what is in hand stays in hand, and the window
 * keeps the rest with the broker: putting each back would write a record for
 * every request that waits, at every pause.
 */
#ifndef VAYLA_HTTP_SEND_H
#define VAYLA_HTTP_SEND_H

#include "connectors/http/auth.h"
#include "connectors/http/gate.h"
#include "connectors/sdk/sdk.h"

#define SEND_HAND 32 /* deliveries in hand */

struct far { /* the system we speak to, as send and poll share it */
	struct sdk *sdk;
	const struct sdk_system *system;
	struct plan plan;
	struct web *web;
	struct auth *auth;
	struct gate gate;
};

struct sender;

enum err sender_open(struct sender **out, struct far *far) MUST_CHECK;
void sender_close(struct sender *s); /* NULL is a no-op */
void sender_take(struct sender *s, const struct delivery *d);
void sender_step(struct sender *s, int *next_ms);

/* Put back what has not begun; true when nothing is under way. */
bool sender_drain(struct sender *s);

/* A text for people from whatever bytes: UTF-8 without control characters. */
void far_clean(char *text);

/* What became of a request, told to the gate and to the log when the breaker
 * changed. */
void far_end(struct far *far, const struct web_answer *a, const char *where);

#endif
