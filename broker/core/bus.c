/* bus - see bus.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/core/bus.h"

#define BUS_RCVHWM 16
#define BUS_SNDHWM 256
#define BUS_BACKLOG 256
#define BUS_SEALED 64 /* what CURVE adds to a frame, and some */

#define BUS_ZAP "inproc://zeromq.zap.01" /* libzmq asks there */
#define BUS_DOMAIN "vayla"
#define BUS_FILES 16384 /* connections cost a descriptor each */

struct bus {
	void *context, *socket, *door;
	zmq_msg_t knock; /* the request's number */
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
	int64_t most = FRAME_MAX_ONE + BUS_SEALED;
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

static enum err
bind_to(struct bus *b, const char *address)
{
	mode_t mask;
	int r, why;
	enum err e;

	if (strncmp(address, "ipc://", 6) == 0) {
		e = folder_make(address + 6);
		if (e != ERR_OK)
			return e;
	}
	mask = umask(0077);
	r = zmq_bind(b->socket, address);
	why = errno;
	umask(mask);
	if (r == 0)
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

/* Who comes in is asked of us before any frame of theirs is read. The door
 * stands before the first address is bound: libzmq lets everyone in while there
 * is none. */
static enum err
lock_door(struct bus *b, const char *secret)
{
	b->door = zmq_socket(b->context, ZMQ_REP);
	if (b->door == NULL || zmq_bind(b->door, BUS_ZAP) != 0)
		return err_note(ERR_IO, "zmq: %s", zmq_strerror(errno));
	if (zmq_setsockopt(b->socket, ZMQ_ZAP_DOMAIN, BUS_DOMAIN,
		sizeof(BUS_DOMAIN) - 1) != 0 ||
	    zmq_setsockopt(b->socket, ZMQ_CURVE_SECRETKEY, secret, BUS_KEY) !=
		0)
		return err_note(
		    ERR_IO, "zmq: no CURVE: %s", zmq_strerror(errno));
	return set_int(b, ZMQ_CURVE_SERVER, 1);
}

/* Silent connections must not take the journal's descriptors. */
static void
raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= BUS_FILES)
		return;
	l.rlim_cur = l.rlim_max < BUS_FILES ? l.rlim_max : BUS_FILES;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

enum err
bus_open(struct bus **out, const char *const *addresses, size_t n,
    const char *secret)
{
	struct bus *b = calloc(1, sizeof(*b));
	enum err e;

	if (b == NULL)
		err_die("no memory");
	raise_files();
	zmq_msg_init(&b->knock);
	b->context = zmq_ctx_new();
	if (b->context == NULL)
		err_die("no zmq context: %s", zmq_strerror(errno));
	b->socket = zmq_socket(b->context, ZMQ_ROUTER);
	if (b->socket == NULL)
		e = err_note(ERR_IO, "no zmq socket: %s", zmq_strerror(errno));
	else
		e = set_options(b);
	if (e == ERR_OK)
		e = lock_door(b, secret);
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		e = bind_to(b, addresses[i]);
	if (e == ERR_OK)
		e = bind_to(b, BUS_INPROC);
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
	if (b->door != NULL)
		zmq_close(b->door);
	zmq_msg_close(&b->knock);
	zmq_ctx_term(b->context);
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

void *
bus_door(struct bus *b)
{
	return b->door;
}

/* Every frame off a wire has it; the first, which libzmq makes of the routing
 * id, only sometimes. */
const char *
bus_user(const struct bus_msg *m)
{
	const char *user = NULL;

	for (int i = 1; i < m->parts && user == NULL; i++)
		user = zmq_msg_gets(&m->part[i], "User-Id");
	return user;
}

/* ---- the door: RFC 27, ZAP ---- */

bool
bus_knock(struct bus *b, char key[BUS_KEY])
{
	zmq_msg_t part;
	bool curve = false, go_on = true;

	key[0] = '\0';
	/* version, number, domain, address, identity, mechanism, credentials */
	for (int i = 0; go_on; i++) {
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, b->door, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&part);
			return false;
		}
		go_on = zmq_msg_more(&part) != 0;
		if (i == 1)
			zmq_msg_copy(&b->knock, &part);
		else if (i == 5)
			curve = zmq_msg_size(&part) == 5 &&
				memcmp(zmq_msg_data(&part), "CURVE", 5) == 0;
		else if (i == 6 && curve && zmq_msg_size(&part) == 32)
			zmq_z85_encode(key, zmq_msg_data(&part), 32);
		zmq_msg_close(&part);
	}
	return true;
}

void
bus_admit(struct bus *b, const char *key, bool yes)
{
	const struct slice parts[] = {SLICE_LIT("1.0"),
	    slice_of(zmq_msg_data(&b->knock), zmq_msg_size(&b->knock)),
	    slice_str(yes ? "200" : "400"), slice_str(yes ? "" : "unknown key"),
	    slice_str(yes ? key : ""), SLICE_EMPTY};

	for (size_t i = 0; i < 6; i++)
		(void)!zmq_send(b->door, parts[i].p, parts[i].n,
		    ZMQ_DONTWAIT | (i < 5 ? ZMQ_SNDMORE : 0));
}

/* ---- messages ---- */

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
