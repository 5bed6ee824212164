/*
 * server - the HTTP side of the receiver, over libmicrohttpd in the caller's
 * loop: no thread, one descriptor to poll.
 *
 * Peers are hostile. What each may hold is bounded in bytes (head, body, all
 * bodies together), in connections (of all, of one address) and in time (a
 * head, a body, an answer each have a deadline that bytes arriving slowly do
 * not move). When connections run short the one that has been silent longest
 * goes, so a thousand silent ones do not stop others.
 *
 * A request that waits for the bus is suspended: it costs its memory and no
 * work. Rejected: a thread per connection; and the library's own idle timeout
 * alone, which a byte a second keeps alive.
 */
#ifndef VAYLA_RECEIVER_SERVER_H
#define VAYLA_RECEIVER_SERVER_H

#include "connectors/sdk/recipe.h"

#define SERVER_CONNECTIONS 1024
#define SERVER_PER_ADDRESS 128 /* but for loopback: a proxy stands there */
#define SERVER_HEAD (32 * 1024)
#define SERVER_BODIES (32 * 1024 * 1024) /* of all requests together */
#define SERVER_HEAD_MS 10000
#define SERVER_BODY_MS 30000
#define SERVER_WORK_MS 10000 /* with us: then 503 */
#define SERVER_SEND_MS 30000
#define SERVER_IDLE_MS 60000 /* kept alive between two requests */

struct server;

/* One request on its way; valid until it is answered or gone. */
struct exchange {
	struct request q;     /* body only in on_request */
	struct arena *arena;  /* lives as long as the exchange */
	bool loopback;	      /* the peer is on this machine, not proxied */
	size_t max_body;      /* on_head sets it */
	void *user, *context; /* the caller's own */
};

struct server_handler {
	void *arg;
	/* The head is there. Answer at once, or return and get the body. */
	void (*on_head)(void *arg, struct exchange *x);
	/* The request is whole. Answer now or later. */
	void (*on_request)(void *arg, struct exchange *x);
	/* Its body was larger than max_body and is not there: answer. */
	void (*on_large)(void *arg, struct exchange *x);
	/* It was not answered in time (and got 503, `late`), or the sender is
	 * gone: forget x. Not called for one that was answered. */
	void (*on_gone)(void *arg, struct exchange *x, bool late);
};

/* listen: "http://127.0.0.1:7181"; port 0 takes a free one. ERR_BUSY when it is
 * taken, ERR_CONFIG when it is no such address. `public` begins the url of
 * requests, as senders write and sign it; NULL: as it listens. */
enum err server_open(struct server **out, const char *listen,
    const char *public, const struct server_handler *h) MUST_CHECK;
void server_close(struct server *s); /* NULL is a no-op */

/* "http://127.0.0.1:7181" with the port it got. */
const char *server_address(const struct server *s);
int server_fd(const struct server *s);
size_t server_connections(const struct server *s);
size_t server_waiting(const struct server *s); /* suspended exchanges */

/* Take no new connections any more. */
void server_quiesce(struct server *s);

/* Read, write, enforce deadlines; lowers *next_ms. */
enum err server_step(struct server *s, int *next_ms) MUST_CHECK;

struct answer {
	int status;
	struct slice type; /* empty: text/plain */
	struct slice body;
	const char *allow; /* of 405, or NULL */
	int64_t retry_ms;  /* Retry-After, rounded up to seconds; 0 none */
	bool close;
};

/* Once for each exchange; x is gone afterwards. */
void server_answer(
    struct server *s, struct exchange *x, const struct answer *a);

#endif
