/*
 * web - HTTP requests under way: libcurl's multi interface behind one epoll
 * descriptor of the caller's loop.
 *
 * What a far side may do to us is bounded: bytes of its answer and of its
 * headers, seconds to connect and in all (a slow drip does not move them),
 * three steps of redirection on its own host and none to another. An address
 * that is private is refused when the socket is made, whatever name led to it,
 * unless the system is declared local; and then only may it be plain http.
 *
 * Rejected: libcurl's own following of redirects (it would take credentials'
 * headers to a host the pack never named) and proxies from the environment.
 * One thread stays, libcurl's own for a name to be looked up.
 */
#ifndef VAYLA_HTTP_WEB_H
#define VAYLA_HTTP_WEB_H

#include "connectors/sdk/params.h"

#define WEB_HEADERS (64 * 1024) /* bytes of an answer's headers */
#define WEB_HOPS 3

struct web;

struct web_limits {
	int64_t timeout_ms, connect_ms;
	size_t answer_max;
	bool local; /* private addresses and plain http are fine */
};

struct web_request {
	const char *method;
	const char *url;
	struct slice headers; /* "Name: value" with a NUL behind each */
	struct slice body;    /* sent with POST, PUT, PATCH */
};

enum web_how {
	WEB_ANSWERED, /* there is an answer, whatever it says */
	WEB_AWAY,     /* no answer, or not all of it */
	WEB_BAD_TLS,  /* whoever answered is not who it should be */
	WEB_PRIVATE,  /* the address is private */
	WEB_LARGE,    /* the answer is larger than we read; status is there */
	WEB_URL	      /* no URL we ask for */
};

struct web_answer {
	enum web_how how;
	const char *why; /* for people, when not ANSWERED */
	int64_t status;
	struct slice body; /* as far as it was read */
	struct params headers;
	int64_t retry_ms; /* Retry-After, or 0 */
	bool elsewhere;	  /* 3xx that leads to another host */
	const char *url;  /* where it came from in the end */
};

/* Called once for each request, from web_step(); `a` lives for the call. */
typedef void web_done(void *arg, const struct web_answer *a);

enum err web_open(struct web **out, const struct web_limits *l) MUST_CHECK;
void web_close(struct web *w); /* what is under way is dropped, uncalled */

enum err web_start(struct web *w, const struct web_request *q, web_done *done,
    void *arg) MUST_CHECK;
size_t web_running(const struct web *w);

int web_fd(const struct web *w);
/* Move what can be moved; lowers *next_ms. */
enum err web_step(struct web *w, int *next_ms) MUST_CHECK;

/* `to` as it stands in an answer from `from`, made whole; NULL when it is no
 * URL. To be freed. */
char *web_resolve(const char *from, const char *to);

/* Is `to` on the same scheme, host and port as `from`? */
bool web_same_host(const char *from, const char *to);

#endif
