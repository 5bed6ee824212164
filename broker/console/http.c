/*
 * http - the console's server: libmicrohttpd with one thread of its own, which
 * does everything; so nothing here is locked. GET and HEAD only: this slice of
 * the console looks and does not act.
 *
 * A page of another site must not read answers: the Host must be the one the
 * console was given (no DNS rebinding), the cookie is SameSite=Strict, and no
 * CORS header is ever sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/json.h"
#include "broker/base/say.h"
#include "broker/console/api.h"
#include "broker/console/console.h"
#include "broker/console/files.h"
#include "broker/console/signin.h"

#define COOKIE "vayla_session"
#define CONNECTIONS 64

struct console {
	struct MHD_Daemon *daemon;
	struct signin signin;
	struct api api;
	char url[256], host[256], port[8];
	char data[4096];
};

static enum MHD_Result
answer(struct MHD_Connection *conn, unsigned status, const char *type,
    struct slice body, bool copy, const char *cookie)
{
	struct MHD_Response *r;
	enum MHD_Result sent;
	char set[160];

	r = MHD_create_response_from_buffer(body.n,
	    (void *)(uintptr_t)body.p, /* not written to */
	    copy ? MHD_RESPMEM_MUST_COPY : MHD_RESPMEM_PERSISTENT);
	if (r == NULL)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(r, "Content-Security-Policy",
	    "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
	    "frame-ancestors 'none'; form-action 'self'");
	if (cookie != NULL) {
		snprintf(set, sizeof(set),
		    COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict", cookie);
		MHD_add_response_header(r, "Set-Cookie", set);
		MHD_add_response_header(r, "Location", "/");
	}
	sent = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return sent;
}

static enum MHD_Result
answer_text(struct MHD_Connection *conn, unsigned status, const char *text)
{
	return answer(conn, status, "text/plain; charset=utf-8",
	    slice_str(text), true, NULL);
}

static unsigned
http_status(enum err e)
{
	switch (e) {
	case ERR_OK:
		return MHD_HTTP_OK;
	case ERR_NOTFOUND:
		return MHD_HTTP_NOT_FOUND;
	case ERR_USAGE:
		return MHD_HTTP_BAD_REQUEST;
	case ERR_LIMIT:
		return MHD_HTTP_CONTENT_TOO_LARGE;
	default:
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

static enum MHD_Result
answer_api(struct console *c, struct MHD_Connection *conn, const char *path)
{
	struct api_request rq = {
	    .path = path,
	    .unmask = MHD_lookup_connection_value(
			  conn, MHD_GET_ARGUMENT_KIND, "unmask") != NULL,
	    .n = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, "n"),
	    .after = MHD_lookup_connection_value(
		conn, MHD_GET_ARGUMENT_KIND, "after"),
	};
	enum MHD_Result sent;
	struct buf out;
	enum err e;

	buf_init(&out, API_MAX);
	e = api_answer(&c->api, &rq, &out);
	if (e != ERR_OK) {
		buf_reset(&out);
		buf_str(&out, "{\"error\":");
		json_quote(&out,
		    slice_str(
			err_last()[0] != '\0' ? err_last() : err_text(e)));
		buf_printf(&out, ",\"code\":\"%s\"}\n", err_name(e));
		if (err_class(e) != CLASS_REJECT)
			say(SAY_WARN, "console", "%s: %s", path, err_last());
	}
	sent = answer(conn, http_status(e), "application/json", buf_all(&out),
	    true, NULL);
	buf_fini(&out);
	return sent;
}

static enum MHD_Result
answer_metrics(struct console *c, struct MHD_Connection *conn)
{
	enum MHD_Result sent;
	struct buf out;
	enum err e;

	buf_init(&out, API_MAX);
	e = api_metrics(&c->api, &out);
	sent = e == ERR_OK ? answer(conn, MHD_HTTP_OK,
				 "text/plain; version=0.0.4; charset=utf-8",
				 buf_all(&out), true, NULL)
			   : answer_text(conn, MHD_HTTP_INTERNAL_SERVER_ERROR,
				 err_last());
	buf_fini(&out);
	return sent;
}

static bool
wants_json(struct MHD_Connection *conn)
{
	const char *a =
	    MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Accept");

	return a != NULL && strstr(a, "application/json") != NULL;
}

/* Host names this server answers to: its own address with or without port, and
 * for a loopback address "localhost" too. */
static bool
host_ok(const struct console *c, struct MHD_Connection *conn)
{
	const char *h =
	    MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Host");
	const char *names[] = {c->host, "localhost"};
	char with[300];

	if (h == NULL)
		return false;
	for (size_t i = 0; i < 2; i++) {
		if (i == 1 && strncmp(c->host, "127.", 4) != 0)
			break;
		snprintf(with, sizeof(with), "%s:%s", names[i], c->port);
		if (strcasecmp(h, names[i]) == 0 || strcasecmp(h, with) == 0)
			return true;
	}
	return false;
}

static enum MHD_Result
sign_in(struct console *c, struct MHD_Connection *conn)
{
	const char *once =
	    MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, "once");
	char cookie[SIGNIN_TOKEN + 1];

	if (once == NULL || signin_use(&c->signin, once, cookie) != ERR_OK)
		return answer_text(conn, MHD_HTTP_FORBIDDEN,
		    "This link was used already or is not the newest.\n"
		    "`vayla console` prints one that works.\n");
	return answer(
	    conn, MHD_HTTP_SEE_OTHER, "text/plain", SLICE_EMPTY, true, cookie);
}

static enum MHD_Result
handle(void *cls, struct MHD_Connection *conn, const char *path,
    const char *method, const char *version, const char *upload,
    size_t *upload_n, void **state)
{
	static int begun;
	struct console *c = cls;
	struct slice body;
	const char *type;

	(void)version;
	(void)upload;
	if (*state == NULL) { /* the head: answer when the body is through */
		*state = &begun;
		return MHD_YES;
	}
	if (*upload_n > 0) {
		*upload_n = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer_text(
		    conn, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
	if (strcmp(path, "/livez") == 0)
		return answer_text(conn, MHD_HTTP_OK, "ok\n");
	if (!host_ok(c, conn))
		return answer_text(conn, MHD_HTTP_MISDIRECTED_REQUEST,
		    "this console is served under another name; "
		    "see broker.console in vayla.yaml\n");
	if (strcmp(path, "/readyz") == 0)
		return api_ready(&c->api)
			   ? answer_text(conn, MHD_HTTP_OK, "ok\n")
			   : answer_text(conn, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "the journal is not writable\n");
	if (strcmp(path, "/metrics") == 0)
		return answer_metrics(c, conn);
	if (strcmp(path, "/signin") == 0)
		return sign_in(c, conn);
	if (console_file(path, &body, &type))
		return answer(conn, MHD_HTTP_OK, type, body, false, NULL);
	if (!signin_valid(&c->signin,
		MHD_lookup_connection_value(conn, MHD_COOKIE_KIND, COOKIE)))
		return wants_json(conn)
			   ? answer(conn, MHD_HTTP_UNAUTHORIZED,
				 "application/json",
				 SLICE_LIT("{\"error\":\"sign in first\","
					   "\"code\":\"DENIED\"}\n"),
				 true, NULL)
			   : answer_text(conn, MHD_HTTP_UNAUTHORIZED,
				 "Sign in with a link: `vayla console` prints "
				 "it.\n");
	if (wants_json(conn))
		return answer_api(c, conn, path);
	if (!api_page(path))
		return answer_text(conn, MHD_HTTP_NOT_FOUND, "not found\n");
	(void)console_file("/index.html", &body, &type);
	return answer(conn, MHD_HTTP_OK, type, body, false, NULL);
}

/* "http://HOST:PORT" into its parts; the console speaks plain HTTP and is put
 * behind a proxy for more. */
static enum err
url_split(struct console *c, const char *url)
{
	const char *h = url + 7, *colon;

	if (strncmp(url, "http://", 7) != 0)
		goto bad;
	colon = strrchr(h, ':');
	if (colon == NULL || colon == h ||
	    (size_t)(colon - h) >= sizeof(c->host) || strlen(colon + 1) > 5 ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1))
		goto bad;
	snprintf(c->url, sizeof(c->url), "%s", url);
	snprintf(c->host, sizeof(c->host), "%.*s", (int)(colon - h), h);
	snprintf(c->port, sizeof(c->port), "%s", colon + 1);
	return ERR_OK;
bad:
	return err_note(ERR_CONFIG,
	    "broker.console: \"%s\" is not http://ADDRESS:PORT", url);
}

/* libmicrohttpd's own messages. */
__attribute__((format(printf, 2, 0))) static void
log_line(void *cls, const char *fmt, va_list ap)
{
	char text[512];

	(void)cls;
	vsnprintf(text, sizeof(text), fmt, ap);
	say(SAY_DEBUG, "console", "%s", text);
}

static enum err
listen_on(struct console *c)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
	struct addrinfo *ai;

	if (getaddrinfo(c->host, c->port, &hints, &ai) != 0)
		return err_note(ERR_CONFIG,
		    "broker.console: \"%s\" is no address of this machine",
		    c->host);
	errno = 0;
	c->daemon = MHD_start_daemon(
	    MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG,
	    (uint16_t)atoi(c->port), NULL, NULL, handle, c,
	    MHD_OPTION_EXTERNAL_LOGGER, log_line, NULL, MHD_OPTION_SOCK_ADDR,
	    ai->ai_addr, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
	    MHD_OPTION_CONNECTION_TIMEOUT, 15u,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
	    MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
	freeaddrinfo(ai);
	if (c->daemon == NULL)
		return err_note(errno == EADDRINUSE ? ERR_EXISTS : ERR_IO,
		    "the console cannot listen on %s: %s; end the program "
		    "that has the port (`ss -ltnp`) or change broker.console",
		    c->url, strerror(errno));
	return ERR_OK;
}

enum err
console_start(struct console **out, const struct console_options *o)
{
	struct console *c = calloc(1, sizeof(*c));
	enum err e;

	if (c == NULL)
		return ERR_NOMEM;
	snprintf(c->data, sizeof(c->data), "%s", o->data);
	e = url_split(c, o->url);
	if (e == ERR_OK)
		e = api_open(&c->api, o);
	if (e == ERR_OK)
		e = listen_on(c);
	if (e == ERR_OK)
		e = signin_init(&c->signin, c->url, c->data);
	if (e != ERR_OK) {
		console_stop(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void
console_stop(struct console *c)
{
	if (c == NULL)
		return;
	if (c->daemon != NULL)
		MHD_stop_daemon(c->daemon);
	api_close(&c->api);
	free(c);
}
