/*
 * listen - an address as vayla.yaml writes it, bound; and what is told about
 * the peers that come.
 */
#ifndef VAYLA_RECEIVER_LISTEN_H
#define VAYLA_RECEIVER_LISTEN_H

#include <sys/socket.h>

#include "broker/base/buf.h"

/*
 * Bind and listen at "http://HOST:PORT" (HOST in brackets for IPv6). The
 * address with the port that was got is appended to `shown`. ERR_BUSY: the port
 * is taken; ERR_CONFIG: no such address; the note is a line for a person.
 */
enum err listen_open(
    int *fd, const char *address, struct buf *shown) MUST_CHECK;

bool peer_loopback(const struct sockaddr *a);
bool peer_same(const struct sockaddr *a, const struct sockaddr *b);

/* Let this process hold `want` descriptors, as far as it may. Returns how many
 * it may now. */
size_t files_want(size_t want);

#endif
