/* bus - see bus.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/core/bus.h"

#define BUS_RCVHWM 16
#define BUS_SNDHWM 256
#define BUS_BACKLOG 256

struct bus {
	void *context, *socket;
	char *path; /* of the ipc socket, or NULL */
};

static enum err
set_int(struct bus *b, int option, int value)
{
	if (zmq_setsockopt(b->socket, option, &value, sizeof(value)) != 0)
		return err_note(
		    ERR_IO, "zmq option %d: %s", option, zmq_strerror(errno));
	return ERR_OK;
}

static enum err
set_options(struct bus *b)
{
	static const int options[][2] = {
	    {ZMQ_LINGER, 500},
	    {ZMQ_RCVHWM, BUS_RCVHWM},
	    {ZMQ_SNDHWM, BUS_SNDHWM},
	    {ZMQ_ROUTER_MANDATORY, 1},
	    {ZMQ_HANDSHAKE_IVL, 5000},
	    {ZMQ_HEARTBEAT_IVL, 5000},
	    {ZMQ_HEARTBEAT_TIMEOUT, 15000},
	    {ZMQ_HEARTBEAT_TTL, 15000},
	    {ZMQ_BACKLOG, BUS_BACKLOG},
	};
	int64_t most = FRAME_MAX_ONE;
	enum err e;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		e = set_int(b, options[i][0], options[i][1]);
		if (e != ERR_OK)
			return e;
	}
	if (zmq_setsockopt(b->socket, ZMQ_MAXMSGSIZE, &most, sizeof(most)) != 0)
		return err_note(
		    ERR_IO, "zmq: MAXMSGSIZE: %s", zmq_strerror(errno));
	return ERR_OK;
}

/* The folder of an ipc socket, made for its owner only when it is not there. */
static enum err
folder_make(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat st;
	char *dir;
	enum err e = ERR_OK;

	if (slash == NULL || slash == path)
		return ERR_OK;
	dir = strndup(path, (size_t)(slash - path));
	if (dir == NULL)
		err_die("no memory");
	if (stat(dir, &st) != 0) {
		e = dir_make(dir);
		if (e == ERR_OK && chmod(dir, 0700) != 0)
			e = err_errno(ERR_IO, "cannot chmod %s", dir);
	}
	free(dir);
	return e;
}

static bool
is_loopback(const char *address)
{
	return strncmp(address, "tcp://127.", 10) == 0 ||
	       strncmp(address, "tcp://[::1]:", 12) == 0 ||
	       strncmp(address, "tcp://localhost:", 16) == 0;
}

static enum err
bind_to(struct bus *b, const char *address)
{
	mode_t mask;
	int r, why;
	enum err e;

	if (strncmp(address, "ipc://", 6) == 0) {
		b->path = strdup(address + 6);
		if (b->path == NULL)
			err_die("no memory");
		e = folder_make(b->path);
		if (e != ERR_OK)
			return e;
	} else if (!is_loopback(address)) {
		return err_note(ERR_CONFIG,
		    "broker.bus: %s: without keys the bus may only listen on "
		    "ipc:// or on this machine (tcp://127.0.0.1:PORT)",
		    address);
	}
	mask = umask(0077);
	r = zmq_bind(b->socket, address);
	why = errno;
	umask(mask);
	if (r == 0 && zmq_bind(b->socket, BUS_INPROC) == 0)
		return ERR_OK;
	if (why == EADDRINUSE)
		return err_note(ERR_BUSY,
		    "%s is taken by another program; stop it, or give "
		    "broker.bus another address",
		    address);
	return err_note(why == EACCES ? ERR_DENIED : ERR_IO,
	    "cannot listen on %s: %s; check broker.bus and the rights of its "
	    "folder",
	    address, zmq_strerror(why));
}

enum err
bus_open(struct bus **out, const char *address)
{
	struct bus *b = calloc(1, sizeof(*b));
	enum err e;

	if (b == NULL)
		err_die("no memory");
	b->context = zmq_ctx_new();
	if (b->context == NULL)
		err_die("no zmq context: %s", zmq_strerror(errno));
	b->socket = zmq_socket(b->context, ZMQ_ROUTER);
	if (b->socket == NULL)
		e = err_note(ERR_IO, "no zmq socket: %s", zmq_strerror(errno));
	else
		e = set_options(b);
	if (e == ERR_OK)
		e = bind_to(b, address);
	if (e != ERR_OK) {
		bus_close(b);
		return e;
	}
	*out = b;
	return ERR_OK;
}

void
bus_close(struct bus *b)
{
	if (b == NULL)
		return;
	if (b->socket != NULL)
		zmq_close(b->socket);
	zmq_ctx_term(b->context);
	free(b->path);
	free(b);
}

void *
bus_context(struct bus *b)
{
	return b->context;
}

void *
bus_socket(struct bus *b)
{
	return b->socket;
}

static bool
more(zmq_msg_t *m)
{
	return zmq_msg_more(m) != 0;
}

/* The frames of one message arrive together: once the first is here, the
 * others are. */
enum err
bus_recv(struct bus *b, struct bus_msg *m)
{
	zmq_msg_t extra;
	bool go_on = true;
	int r;

	m->parts = 0;
	while (go_on && m->parts < 4) {
		zmq_msg_init(&m->part[m->parts]);
		do
			r = zmq_msg_recv(
			    &m->part[m->parts], b->socket, ZMQ_DONTWAIT);
		while (r < 0 && errno == EINTR);
		if (r < 0) {
			zmq_msg_close(&m->part[m->parts]);
			if (m->parts == 0)
				return ERR_NOTFOUND;
			break;
		}
		go_on = more(&m->part[m->parts++]);
	}
	m->whole = m->parts >= 3 && !go_on;
	while (go_on) {
		zmq_msg_init(&extra);
		r = zmq_msg_recv(&extra, b->socket, ZMQ_DONTWAIT);
		go_on = r >= 0 && more(&extra);
		zmq_msg_close(&extra);
	}
	return ERR_OK;
}

void
bus_release(struct bus_msg *m)
{
	for (int i = 0; i < m->parts; i++)
		zmq_msg_close(&m->part[i]);
	m->parts = 0;
}

static int
send_part(struct bus *b, struct slice s, int flags)
{
	int r;

	do
		r = zmq_send(b->socket, s.p, s.n, flags | ZMQ_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r;
}

enum err
bus_send(struct bus *b, struct slice peer, enum verb v, struct slice header,
    struct slice blob)
{
	struct buf head;
	enum err e = ERR_OK;

	buf_init(&head, 64);
	verb_write(&head, v);
	/* ROUTER_MANDATORY refuses at the first frame; after it was taken,
	 * the rest of the message is. */
	if (send_part(b, peer, ZMQ_SNDMORE) < 0) {
		e = errno == EAGAIN ? ERR_BUSY : ERR_CLOSED;
	} else if (send_part(b, buf_all(&head), ZMQ_SNDMORE) < 0 ||
		   send_part(b, header, blob.n > 0 ? ZMQ_SNDMORE : 0) < 0 ||
		   (blob.n > 0 && send_part(b, blob, 0) < 0)) {
		e = ERR_CLOSED;
	}
	buf_fini(&head);
	return e;
}
