/*
 * server - see server.h. A connection is a struct link in one list, with a
 * state and the moment by which it must have moved on; an exchange belongs to a
 * link from its head to its answer.
 */
#include "connectors/receiver/server.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/base/utf8.h"
#include "connectors/receiver/listen.h"

#define SWEEP_MS 1000
#define SPARE 32 /* exchanges kept for reuse */
#define SCRATCH (8 * 1024 * 1024)
/* A body that is too large is read and thrown away up to this many times its
 * limit, so that the sender gets to read the answer. */
#define DISCARD 4

enum link_state { LINK_IDLE, LINK_HEAD, LINK_BODY, LINK_WORK, LINK_SEND };

struct link {
	struct link *prev, *next;
	struct MHD_Connection *con;
	int fd;
	bool loopback, doomed;
	enum link_state state;
	int64_t since;	  /* in this state, monotonic */
	int64_t deadline; /* then it is cut */
	uint64_t served;
	struct job *job;
	char *uri; /* of the request under way, as it was sent */
	struct sockaddr_storage peer;
};

struct job {
	struct exchange x; /* what the handler sees */
	struct job *next;  /* among the spare ones */
	struct server *s;
	struct link *link;
	struct arena arena;
	struct buf body;
	size_t counted; /* of body.cap, in s->bodies */
	size_t came;	/* bytes of the body that came, kept or not */
	bool large, crowded, suspended, answered;
	int status;
	struct MHD_Response *response;
};

struct server {
	struct MHD_Daemon *daemon;
	struct server_handler h;
	struct buf address;
	struct slice public; /* begins the url of requests */
	struct link *links;
	size_t links_n, limit, waiting, bodies, spare_n;
	struct job *spare;
	int64_t sweep_at;
};

static void
enter(struct link *l, enum link_state state, int64_t ms)
{
	l->state = state;
	l->since = clock_mono();
	l->deadline = l->since + ms * NS_PER_MS;
}

/* The library sees the end of the stream and closes. */
static void
cut(struct link *l)
{
	if (!l->doomed)
		(void)shutdown(l->fd, SHUT_RDWR);
	l->doomed = true;
}

/* ---- exchanges ---- */

static struct job *
job_new(struct server *s, struct link *l)
{
	struct job *j = s->spare;

	if (j != NULL) {
		s->spare = j->next;
		s->spare_n--;
	} else {
		j = calloc(1, sizeof(*j));
		if (j == NULL)
			return NULL;
		arena_init(&j->arena, SCRATCH);
		buf_init(&j->body, DISCARD * 1024 * 1024);
	}
	j->s = s;
	j->link = l;
	l->job = j;
	return j;
}

static void
body_drop(struct job *j)
{
	j->s->bodies -= j->counted;
	j->counted = 0;
	buf_fini(&j->body);
	buf_init(&j->body, DISCARD * 1024 * 1024);
}

static void
job_free(struct job *j)
{
	struct server *s = j->s;
	struct arena arena;
	struct buf body;

	j->link->job = NULL;
	if (j->suspended)
		s->waiting--;
	if (j->response != NULL)
		MHD_destroy_response(j->response);
	body_drop(j);
	arena_reset(&j->arena);
	if (s->spare_n >= SPARE) {
		arena_fini(&j->arena);
		buf_fini(&j->body);
		free(j);
		return;
	}
	arena = j->arena;
	body = j->body;
	memset(j, 0, sizeof(*j));
	j->arena = arena;
	j->body = body;
	j->next = s->spare;
	s->spare = j;
	s->spare_n++;
}

static struct MHD_Response *
response(const struct answer *a)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
	    a->body.n, (void *)(uintptr_t)a->body.p, MHD_RESPMEM_MUST_COPY);
	char text[128];
	struct buf b;

	if (r == NULL)
		return NULL;
	buf_init(&b, sizeof(text));
	buf_slice(&b, a->type.n > 0 ? a->type : SLICE_LIT("text/plain"));
	if (a->body.n > 0)
		(void)MHD_add_response_header(r, "Content-Type", buf_cstr(&b));
	buf_reset(&b);
	if (a->allow != NULL)
		(void)MHD_add_response_header(r, "Allow", a->allow);
	buf_printf(&b, "%lld", (long long)((a->retry_ms + 999) / 1000));
	if (a->retry_ms > 0)
		(void)MHD_add_response_header(r, "Retry-After", buf_cstr(&b));
	if (a->close)
		(void)MHD_add_response_header(r, "Connection", "close");
	buf_fini(&b);
	return r;
}

void
server_answer(struct server *s, struct exchange *x, const struct answer *a)
{
	struct job *j = (struct job *)x;

	if (j->answered)
		return;
	j->answered = true;
	j->status = a->status;
	j->response = response(a);
	if (!j->suspended)
		return; /* the handler that called us sends it */
	j->suspended = false;
	s->waiting--;
	enter(j->link, LINK_SEND, SERVER_SEND_MS);
	MHD_resume_connection(j->link->con);
}

static enum MHD_Result
send_answer(struct job *j)
{
	enum MHD_Result r;

	if (j->response == NULL)
		return MHD_NO; /* no memory for it: close */
	enter(j->link, LINK_SEND, SERVER_SEND_MS);
	r = MHD_queue_response(
	    j->link->con, (unsigned int)j->status, j->response);
	return r;
}

static void
refuse(struct job *j, int status, const char *text, bool close)
{
	struct answer a = {
	    .status = status, .body = slice_str(text), .close = close};

	if (status == 503)
		a.retry_ms = 2000;
	server_answer(j->s, &j->x, &a);
}

/* ---- a request's head ---- */

struct gather {
	struct job *j;
	struct params *p;
	size_t cap;
	bool bad;
};

static enum MHD_Result
gather_header(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_n,
    const char *value, size_t value_n)
{
	struct gather *g = arg;
	struct slice v = slice_of(value, value_n);
	uint8_t *name;

	(void)kind;
	if (g->p->n == g->cap ||
	    (name = arena_raw(g->j->x.arena, key_n + 1)) == NULL) {
		g->bad = true;
		return MHD_NO;
	}
	if (!utf8_valid(v) || !utf8_valid(slice_of(key, key_n)))
		return MHD_YES; /* as good as absent */
	for (size_t i = 0; i < key_n; i++)
		name[i] =
		    (uint8_t)(key[i] >= 'A' && key[i] <= 'Z' ? key[i] | 0x20
							     : key[i]);
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	g->p->v[g->p->n++] = (struct param){slice_of(name, key_n), v};
	return MHD_YES;
}

static enum err
read_head(struct job *j, const char *method)
{
	struct request *q = &j->x.q;
	struct slice uri = slice_str(j->link->uri);
	const uint8_t *mark = memchr(uri.p, '?', uri.n);
	int n = MHD_get_connection_values(
	    j->link->con, MHD_HEADER_KIND, NULL, NULL);
	struct gather g = {j, &q->headers, n > 0 ? (size_t)n : 0, false};
	struct buf url;
	enum err e;

	if (n > PARAMS_MAX)
		return err_note(ERR_LIMIT, "too many header lines");
	q->method = slice_str(method);
	q->path = mark != NULL ? slice_of(uri.p, (size_t)(mark - uri.p)) : uri;
	q->body = q->mp = SLICE_EMPTY;
	if (!utf8_valid(uri))
		return err_note(ERR_SYNTAX, "the address is not UTF-8");
	g.p->v = arena_alloc(&j->arena, (g.cap + 1) * sizeof(*g.p->v));
	if (g.p->v == NULL)
		return err_note(ERR_LIMIT, "too many header lines");
	(void)MHD_get_connection_values_n(
	    j->link->con, MHD_HEADER_KIND, gather_header, &g);
	if (g.bad)
		return err_note(ERR_LIMIT, "too many header lines");
	params_sort(g.p);
	buf_init(&url, SERVER_HEAD * 2);
	buf_slice(&url, j->s->public);
	buf_slice(&url, uri);
	e = arena_copy(&j->arena, buf_all(&url), &q->url);
	buf_fini(&url);
	if (e != ERR_OK)
		return e;
	return params_parse(
	    mark != NULL ? slice_from(uri, q->path.n + 1) : SLICE_EMPTY,
	    &j->arena, &q->query);
}

static bool
proxied(const struct request *q)
{
	struct slice v;

	return params_get(&q->headers, SLICE_LIT("x-forwarded-for"), &v) > 0 ||
	       params_get(&q->headers, SLICE_LIT("forwarded"), &v) > 0;
}

/* What the sender says will come; 0 when it does not say. */
static uint64_t
announced(const struct request *q)
{
	struct slice v;
	uint64_t n = 0;

	if (params_get(&q->headers, SLICE_LIT("content-length"), &v) == 0)
		return 0;
	for (size_t i = 0; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++) {
		if (n > UINT64_MAX / 16)
			return n;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	return n;
}

static enum MHD_Result
on_head(struct server *s, struct link *l, const char *method, void **own)
{
	struct job *j = job_new(s, l);
	uint64_t length;

	if (j == NULL)
		return MHD_NO;
	*own = j;
	enter(l, LINK_BODY, SERVER_BODY_MS);
	j->x.arena = &j->arena;
	j->x.max_body = 0;
	if (read_head(j, method) != ERR_OK) {
		refuse(j, 400, err_last(), true);
	} else {
		j->x.loopback = l->loopback && !proxied(&j->x.q);
		s->h.on_head(s->h.arg, &j->x);
	}
	length = announced(&j->x.q);
	if (length > j->x.max_body)
		j->large = true;
	/* a small body is read first even when the answer is known, so that
	 * the sender is not cut off before it has read it */
	if (length <= DISCARD * 1024 * 1024)
		return MHD_YES;
	if (!j->answered)
		s->h.on_large(s->h.arg, &j->x);
	return send_answer(j);
}

/* ---- its body ---- */

static enum MHD_Result
on_data(struct job *j, const char *data, size_t n)
{
	struct server *s = j->s;

	j->came += n;
	if (j->came > DISCARD * 1024 * 1024)
		return MHD_NO;
	if (j->came > j->x.max_body)
		j->large = true;
	if (j->large || j->answered || j->crowded) {
		body_drop(j);
		return MHD_YES;
	}
	buf_put(&j->body, data, n);
	s->bodies += j->body.cap - j->counted;
	j->counted = j->body.cap;
	if (buf_check(&j->body) != ERR_OK || s->bodies > SERVER_BODIES) {
		j->crowded = true;
		body_drop(j);
	}
	return MHD_YES;
}

static enum MHD_Result
on_whole(struct job *j)
{
	struct server *s = j->s;

	if (!j->answered) {
		if (j->large)
			s->h.on_large(s->h.arg, &j->x);
		else if (j->crowded)
			refuse(j, 503, "busy", false);
		else {
			j->x.q.body = buf_all(&j->body);
			s->h.on_request(s->h.arg, &j->x);
		}
	}
	if (j->answered)
		return send_answer(j);
	enter(j->link, LINK_WORK, SERVER_WORK_MS);
	j->suspended = true;
	s->waiting++;
	MHD_suspend_connection(j->link->con);
	return MHD_YES;
}

/* ---- what the library calls ---- */

static struct link *
link_of(struct MHD_Connection *con)
{
	const union MHD_ConnectionInfo *i =
	    MHD_get_connection_info(con, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i != NULL ? i->socket_context : NULL;
}

static void *
on_uri(void *arg, const char *uri, struct MHD_Connection *con)
{
	struct link *l = link_of(con);

	(void)arg;
	if (l != NULL) {
		free(l->uri);
		l->uri = strdup(uri);
		/* the rest of the head may take as long as a whole one */
		enter(l, LINK_HEAD, SERVER_HEAD_MS);
	}
	return NULL;
}

static enum MHD_Result
on_access(void *arg, struct MHD_Connection *con, const char *url,
    const char *method, const char *version, const char *data, size_t *data_n,
    void **own)
{
	struct server *s = arg;
	struct link *l = link_of(con);
	struct job *j = *own;
	enum MHD_Result r;

	(void)url;
	(void)version;
	if (l == NULL || l->uri == NULL)
		return MHD_NO;
	if (j == NULL)
		return on_head(s, l, method, own);
	if (*data_n > 0) {
		r = on_data(j, data, *data_n);
		*data_n = 0;
		return r;
	}
	return on_whole(j);
}

static void
on_done(void *arg, struct MHD_Connection *con, void **own,
    enum MHD_RequestTerminationCode code)
{
	struct server *s = arg;
	struct job *j = *own;

	(void)con;
	(void)code;
	if (j == NULL)
		return;
	if (!j->answered)
		s->h.on_gone(s->h.arg, &j->x, false);
	j->link->served++;
	free(j->link->uri);
	j->link->uri = NULL;
	enter(j->link, LINK_IDLE, SERVER_IDLE_MS);
	job_free(j);
	*own = NULL;
}

/* The silent one to go when connections run short: rather one that never asked
 * anything, and of those the oldest. */
static void
evict(struct server *s)
{
	struct link *worst = NULL;

	for (struct link *l = s->links; l != NULL; l = l->next) {
		if (l->doomed ||
		    (l->state != LINK_IDLE && l->state != LINK_HEAD))
			continue;
		if (worst == NULL || (l->served > 0) < (worst->served > 0) ||
		    ((l->served > 0) == (worst->served > 0) &&
			l->since < worst->since))
			worst = l;
	}
	if (worst != NULL)
		cut(worst);
}

static void
link_new(struct server *s, struct MHD_Connection *con, void **own)
{
	const union MHD_ConnectionInfo *fd =
	    MHD_get_connection_info(con, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct link *l = calloc(1, sizeof(*l));
	socklen_t n = sizeof(l->peer);

	if (l == NULL)
		return; /* its requests are refused */
	l->con = con;
	l->fd = fd->connect_fd;
	if (getpeername(l->fd, (struct sockaddr *)(void *)&l->peer, &n) == 0)
		l->loopback =
		    peer_loopback((struct sockaddr *)(void *)&l->peer);
	enter(l, LINK_IDLE, SERVER_HEAD_MS);
	l->next = s->links;
	if (l->next != NULL)
		l->next->prev = l;
	s->links = l;
	s->links_n++;
	*own = l;
	if (s->links_n > s->limit - s->limit / 8)
		evict(s);
}

static void
on_link(void *arg, struct MHD_Connection *con, void **own,
    enum MHD_ConnectionNotificationCode code)
{
	struct server *s = arg;
	struct link *l = *own;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		link_new(s, con, own);
		return;
	}
	if (l == NULL)
		return;
	*own = NULL;
	if (l->next != NULL)
		l->next->prev = l->prev;
	if (l->prev != NULL)
		l->prev->next = l->next;
	else
		s->links = l->next;
	s->links_n--;
	free(l->uri);
	free(l);
}

static enum MHD_Result
on_accept(void *arg, const struct sockaddr *peer, socklen_t n)
{
	struct server *s = arg;
	size_t same = 0;

	(void)n;
	if (peer_loopback(peer))
		return MHD_YES;
	for (struct link *l = s->links; l != NULL; l = l->next)
		same += peer_same(
		    peer, (const struct sockaddr *)(const void *)&l->peer);
	return same < SERVER_PER_ADDRESS ? MHD_YES : MHD_NO;
}

__attribute__((format(printf, 2, 0))) static void
on_log(void *arg, const char *fmt, va_list ap)
{
	struct buf b;

	(void)arg;
	buf_init(&b, 512);
	buf_vprintf(&b, fmt, ap);
	say(SAY_DEBUG, "http", "%s", buf_cstr(&b));
	buf_fini(&b);
}

/* ---- the whole ---- */

static enum err
start(struct server *s, int fd)
{
	unsigned flags =
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	s->daemon = MHD_start_daemon(flags, 0, on_accept, s, on_access, s,
	    MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
	    fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)s->limit,
	    MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned int)(SERVER_IDLE_MS / 1000),
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_HEAD,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
	    on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_done, s,
	    MHD_OPTION_NOTIFY_CONNECTION, on_link, s, MHD_OPTION_END);
	if (s->daemon == NULL) {
		(void)close(fd);
		return err_note(ERR_IO, "the HTTP server does not start");
	}
	return ERR_OK;
}

enum err
server_open(struct server **out, const char *listen, const char *public,
    const struct server_handler *h)
{
	struct server *s = calloc(1, sizeof(*s));
	size_t files = files_want(SERVER_CONNECTIONS + 64);
	int fd = -1;
	enum err e;

	if (s == NULL)
		return err_note(ERR_NOMEM, "no memory for the HTTP server");
	s->h = *h;
	buf_init(&s->address, 512);
	s->limit = files > SERVER_CONNECTIONS + 48 ? SERVER_CONNECTIONS
		   : files > 96			   ? files - 48
						   : 48;
	e = listen_open(&fd, listen, &s->address);
	(void)buf_cstr(&s->address);
	s->public = public != NULL ? slice_str(public) : buf_all(&s->address);
	if (e == ERR_OK)
		e = start(s, fd);
	if (e != ERR_OK) {
		server_close(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

const char *
server_address(const struct server *s)
{
	return (const char *)s->address.p;
}

int
server_fd(const struct server *s)
{
	return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)
	    ->epoll_fd;
}

size_t
server_connections(const struct server *s)
{
	return s->links_n;
}

size_t
server_waiting(const struct server *s)
{
	return s->waiting;
}

void
server_quiesce(struct server *s)
{
	int fd = MHD_quiesce_daemon(s->daemon);

	if (fd >= 0)
		(void)close(fd);
}

static void
sweep(struct server *s, int64_t now)
{
	struct link *next;

	for (struct link *l = s->links; l != NULL; l = next) {
		next = l->next;
		if (l->doomed || now < l->deadline)
			continue;
		if (l->state == LINK_WORK && l->job != NULL &&
		    l->job->suspended) {
			s->h.on_gone(s->h.arg, &l->job->x, true);
			refuse(l->job, 503, "the bus did not answer in time",
			    false);
			continue;
		}
		cut(l);
	}
}

enum err
server_step(struct server *s, int *next_ms)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int64_t now = clock_mono();

	if (now >= s->sweep_at) {
		s->sweep_at = now + SWEEP_MS * NS_PER_MS;
		sweep(s, now);
	}
	if (MHD_run(s->daemon) != MHD_YES)
		return err_note(ERR_IO, "the HTTP server stopped");
	if (s->links_n > 0 && *next_ms > SWEEP_MS)
		*next_ms = SWEEP_MS;
	if (MHD_get_timeout(s->daemon, &ms) == MHD_YES &&
	    ms < (MHD_UNSIGNED_LONG_LONG)*next_ms)
		*next_ms = (int)ms;
	return ERR_OK;
}

void
server_close(struct server *s)
{
	struct job *j, *next;

	if (s == NULL)
		return;
	if (s->daemon != NULL) {
		/* the library wants nothing suspended when it stops */
		for (struct link *l = s->links; l != NULL; l = l->next)
			if (l->job != NULL && l->job->suspended)
				refuse(l->job, 503, "stopping", true);
		(void)MHD_run(s->daemon);
		MHD_stop_daemon(s->daemon);
	}
	for (j = s->spare; j != NULL; j = next) {
		next = j->next;
		arena_fini(&j->arena);
		buf_fini(&j->body);
		free(j);
	}
	buf_fini(&s->address);
	free(s);
}
