/*
 * bus - the ROUTER socket: binding, one message in, one message out. What a
 * message means is not known here.
 *
 * Peers are hostile: nothing here blocks, trusts a length or asserts on their
 * bytes, and what a peer can make us hold is bounded by the socket's options
 * (PROTOCOL.md, "Limits").
 */
#ifndef VAYLA_CORE_BUS_H
#define VAYLA_CORE_BUS_H

#include <zmq.h>

#include "broker/wire/frame.h"

struct bus;

/* The address clients in this process connect to, with bus_context(). */
#define BUS_INPROC "inproc://vayla"

/*
 * Every address speaks CURVE with this secret key, and each handshake waits for
 * bus_admit(); inproc needs neither. ipc: the socket's folder is made (0700)
 * when it is not there, and the socket is for its owner only.
 */
enum err bus_open(struct bus **out, const char *const *addresses, size_t n,
    const char *secret) MUST_CHECK;
void bus_close(struct bus *b);
void *bus_context(struct bus *b);
void *bus_socket(struct bus *b); /* for zmq_poll */
void *bus_door(struct bus *b);	 /* for zmq_poll: somebody knocks */

/* A handshake that waits: its public key as Z85. False: nobody knocks. Each is
 * answered by bus_admit() before the next. */
#define BUS_KEY 41
bool bus_knock(struct bus *b, char key[BUS_KEY]);
void bus_admit(struct bus *b, const char *key, bool yes);

/* A message as it came. `peer` is the connection. */
struct bus_msg {
	zmq_msg_t part[4]; /* peer, verb, header, blob */
	int parts;	   /* how many of them were filled */
	bool whole;	   /* neither too few nor too many frames */
};
static inline struct slice
bus_part(const struct bus_msg *m, int i)
{
	zmq_msg_t *p = (zmq_msg_t *)(uintptr_t)&m->part[i];

	return i < m->parts ? slice_of(zmq_msg_data(p), zmq_msg_size(p))
			    : SLICE_EMPTY;
}
static inline struct slice
bus_peer(const struct bus_msg *m)
{
	return bus_part(m, 0);
}

/* Whose key the connection has shown, NULL when it came from this process.
 * Lives as long as the message. */
const char *bus_user(const struct bus_msg *m);

/* ERR_NOTFOUND: nothing waits. Release what ERR_OK gave. */
enum err bus_recv(struct bus *b, struct bus_msg *m) MUST_CHECK;
void bus_release(struct bus_msg *m);

/* ERR_BUSY: this peer's queue is full. ERR_CLOSED: it is gone. */
enum err bus_send(struct bus *b, struct slice peer, enum verb v,
    struct slice header, struct slice blob) MUST_CHECK;

#endif
