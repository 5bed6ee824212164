/* dial - see dial.h. */
#include <errno.h>
#include <zmq.h>

#include "broker/base/say.h"
#include "broker/wire/dial.h"

#define MONITOR "inproc://handshake"
#define MESSAGE_MAX (16 * 1024 * 1024)
#define FAILED_SAY 20 /* handshakes that fail are no chance any more */

static bool
set_options(void *sock)
{
	static const struct {
		int option, value;
	} ints[] = {
	    {ZMQ_IMMEDIATE, 1},
	    {ZMQ_LINGER, 500},
	    /* Beyond any window, so that "not writable" means "no broker". */
	    {ZMQ_SNDHWM, 4096},
	    {ZMQ_RCVHWM, 1100},
	    {ZMQ_RECONNECT_IVL, 20},
	    {ZMQ_RECONNECT_IVL_MAX, 200},
	    {ZMQ_HEARTBEAT_IVL, 5000},
	    {ZMQ_HEARTBEAT_TIMEOUT, 15000},
	    {ZMQ_HEARTBEAT_TTL, 15000},
	    {ZMQ_HANDSHAKE_IVL, 5000},
	};
	int64_t most = MESSAGE_MAX;

	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
		if (zmq_setsockopt(sock, ints[i].option, &ints[i].value,
			sizeof(ints[i].value)) != 0)
			return false;
	return zmq_setsockopt(sock, ZMQ_MAXMSGSIZE, &most, sizeof(most)) == 0;
}

static enum err
show_keys(struct dial *d, const char *access, const char *user)
{
	struct access_keys k;
	enum err e = access_client(access, user, &k);

	if (e != ERR_OK)
		return e;
	memcpy(d->user, k.user, sizeof(d->user));
	e = access_set(d->sock, &k);
	access_wipe(&k);
	if (e != ERR_OK || zmq_socket_monitor(d->sock, MONITOR,
			       ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
				   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
				   ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0)
		return e;
	d->monitor = zmq_socket(d->ctx, ZMQ_PAIR);
	if (d->monitor != NULL && zmq_connect(d->monitor, MONITOR) != 0) {
		zmq_close(d->monitor);
		d->monitor = NULL;
	}
	return ERR_OK;
}

enum err
dial_open(
    struct dial *d, const char *address, const char *access, const char *user)
{
	enum err e = ERR_OK;

	d->ctx = zmq_ctx_new();
	if (d->ctx != NULL)
		d->sock = zmq_socket(d->ctx, ZMQ_DEALER);
	if (d->sock == NULL || !set_options(d->sock))
		return err_note(
		    ERR_NOMEM, "a ZeroMQ socket: %s", zmq_strerror(errno));
	if (access != NULL)
		e = show_keys(d, access, user);
	if (e == ERR_OK && zmq_connect(d->sock, address) != 0)
		e = err_note(ERR_CONFIG,
		    "broker.bus is \"%s\": %s; write ipc://PATH or "
		    "tcp://HOST:PORT",
		    address, zmq_strerror(errno));
	return e;
}

void
dial_close(struct dial *d)
{
	if (d->monitor != NULL)
		zmq_close(d->monitor);
	if (d->sock != NULL)
		zmq_close(d->sock);
	if (d->ctx != NULL)
		zmq_ctx_term(d->ctx);
	*d = (struct dial){0};
}

int
dial_fd(const struct dial *d)
{
	int fd = -1;
	size_t n = sizeof(fd);

	(void)zmq_getsockopt(d->sock, ZMQ_FD, &fd, &n);
	return fd;
}

int
dial_events(const struct dial *d)
{
	int ev = 0;
	size_t n = sizeof(ev);

	(void)zmq_getsockopt(d->sock, ZMQ_EVENTS, &ev, &n);
	return ev;
}

enum err
dial_refused(struct dial *d)
{
	uint8_t event[6], where[256];
	uint16_t what = 0;

	if (d->monitor == NULL)
		return ERR_OK;
	while (zmq_recv(d->monitor, event, sizeof(event), ZMQ_DONTWAIT) >= 0) {
		(void)zmq_recv(d->monitor, where, sizeof(where), ZMQ_DONTWAIT);
		memcpy(&what, event, sizeof(what));
		if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
			return err_note(ERR_DENIED,
			    "the broker does not take the key of %s: it is "
			    "revoked, or of another installation; `vayla key "
			    "list` names those it takes",
			    d->user);
		if (++d->failed == FAILED_SAY)
			say(SAY_WARN, "client",
			    "no handshake with the broker: is %s.pub in "
			    "broker.access the key of this one?",
			    ACCESS_BROKER);
	}
	return ERR_OK;
}
