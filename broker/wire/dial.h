/*
 * dial - a client's ZeroMQ socket: its options, its keys, and why a handshake
 * came to nothing. What is said over it is client.c's.
 *
 * A socket monitor is there for one thing: a key that the broker refuses, which
 * no message tells. Rejected: a monitor to learn of connections (ZMQ_IMMEDIATE
 * makes a socket without one not writable, which is how we know).
 */
#ifndef VAYLA_WIRE_DIAL_H
#define VAYLA_WIRE_DIAL_H

#include "broker/wire/access.h"

struct dial {
	void *ctx, *sock, *monitor;
	char user[ACCESS_USER]; /* whose key it shows */
	int failed;		/* handshakes without a connection since */
};

/* Connects in the background. access NULL: without CURVE. */
enum err dial_open(struct dial *d, const char *address, const char *access,
    const char *user) MUST_CHECK;
void dial_close(struct dial *d); /* safe on a zeroed struct */

int dial_fd(const struct dial *d);
int dial_events(const struct dial *d); /* ZMQ_POLLIN | ZMQ_POLLOUT */

/* To be asked while there is no connection: ERR_DENIED when the broker refuses
 * the key. */
enum err dial_refused(struct dial *d) MUST_CHECK;

#endif
