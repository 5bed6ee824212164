/* web - see web.h. */
#include "connectors/http/web.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "broker/base/clock.h"

#define EVENTS 32
#define RETRY_MAX_MS (INT64_C(24) * 3600 * 1000)

struct call {
	struct web *web;
	struct call *next, *prev;
	CURL *easy;
	struct curl_slist *list;
	web_done *done;
	void *arg;
	struct buf sent, in, head;
	struct arena arena; /* the answer's headers, in the end */
	char *url;
	const char *method;
	unsigned hops;
	bool large, private, finished;
	char error[CURL_ERROR_SIZE];
};

struct web {
	struct web_limits limits;
	CURLM *multi;
	int epoll;
	int64_t timer_at; /* mono; 0: none */
	struct call *calls;
	size_t n;
};

/* ---- which addresses are private ---- */

static bool
private4(uint32_t a)
{
	static const struct {
		uint32_t net;
		int bits;
	} nets[] = {{0x00000000, 8}, {0x0a000000, 8}, {0x64400000, 10},
	    {0x7f000000, 8}, {0xa9fe0000, 16}, {0xac100000, 12},
	    {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
	    {0xe0000000, 3}};

	for (size_t i = 0; i < sizeof(nets) / sizeof(*nets); i++)
		if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return true;
	return false;
}

static bool
private6(const uint8_t a[16])
{
	static const uint8_t zero[15],
	    mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
	uint32_t four;

	if (memcmp(a, zero, 15) == 0 && a[15] <= 1)
		return true;
	four = (uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 |
	       (uint32_t)a[14] << 8 | a[15];
	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0 ||
	    memcmp(a, zero, 12) == 0)
		return private4(four);
	return (a[0] & 0xfe) == 0xfc || a[0] == 0xff ||
	       (a[0] == 0xfe && (a[1] & 0x80) != 0);
}

static bool
is_private(const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		return private4(ntohl(in.sin_addr.s_addr));
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		return private6(in6.sin6_addr.s6_addr);
	}
	return true;
}

static curl_socket_t
on_socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct call *c = arg;

	(void)purpose;
	if (!c->web->limits.local && is_private(&a->addr)) {
		c->private = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* ---- what comes in ---- */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	(void)size;
	buf_put(&c->in, p, n);
	if (!c->in.bad)
		return n;
	c->large = true;
	return 0;
}

/* Lines of the last answer's head, each with a NUL behind: those of an interim
 * one (100) are forgotten when the next begins. */
static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct call *c = arg;
	size_t end = n;

	(void)size;
	if (n > 5 && strncasecmp(p, "HTTP/", 5) == 0) {
		buf_reset(&c->head);
		return n;
	}
	while (end > 0 && (p[end - 1] == '\r' || p[end - 1] == '\n'))
		end--;
	if (end == 0 || memchr(p, '\0', end) != NULL ||
	    memchr(p, ':', end) == NULL)
		return n;
	buf_put(&c->head, p, end);
	buf_byte(&c->head, '\0');
	if (!c->head.bad)
		return n;
	c->large = true;
	return 0;
}

/* c->head as names in small letters and values; those beyond PARAMS_MAX are
 * left out. */
static void
read_headers(struct call *c, struct params *out)
{
	uint8_t *p = c->head.p, *end = p + c->head.n;

	*out = (struct params){.v = NULL};
	out->v = arena_alloc(&c->arena, PARAMS_MAX * sizeof(*out->v));
	if (out->v == NULL)
		return;
	while (p < end && out->n < PARAMS_MAX) {
		size_t n = strlen((char *)p), k;
		uint8_t *v = memchr(p, ':', n);

		for (k = 0; p + k < v; k++)
			if (p[k] >= 'A' && p[k] <= 'Z')
				p[k] |= 0x20;
		out->v[out->n].name = slice_of(p, k);
		for (v++; *v == ' ' || *v == '\t'; v++)
			;
		out->v[out->n].value = slice_str((char *)v);
		out->n++;
		p += n + 1;
	}
	params_sort(out);
}

/* ---- one request ---- */

static void
call_free(struct call *c)
{
	struct web *w = c->web;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else if (w->calls == c)
		w->calls = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->easy != NULL) {
		(void)curl_multi_remove_handle(w->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->list);
	if (c->sent.cap > 0)
		memset(c->sent.p, 0, c->sent.cap);
	buf_fini(&c->sent);
	buf_fini(&c->in);
	buf_fini(&c->head);
	arena_fini(&c->arena);
	free(c->url);
	free(c);
	w->n--;
}

static bool
is_http(const struct web *w, const char *url)
{
	return strncasecmp(url, "https://", 8) == 0 ||
	       (w->limits.local && strncasecmp(url, "http://", 7) == 0);
}

static bool
add_headers(struct call *c, struct slice headers)
{
	const char *p = (const char *)headers.p, *end = p + headers.n;

	for (; p < end; p += strlen(p) + 1) {
		struct curl_slist *more = curl_slist_append(c->list, p);

		if (more == NULL)
			return false;
		c->list = more;
	}
	/* libcurl would wait a second for a leave to send */
	c->list = curl_slist_append(c->list, "Expect:");
	return c->list != NULL;
}

#define SET(option, value)                                                \
	do {                                                              \
		if (curl_easy_setopt(c->easy, CURLOPT_##option, value) != \
		    CURLE_OK)                                             \
			return false;                                     \
	} while (0)

static bool
set_up(struct call *c)
{
	const struct web_limits *m = &c->web->limits;
	bool body =
	    strcmp(c->method, "GET") != 0 && strcmp(c->method, "DELETE") != 0;

	SET(URL, c->url);
	SET(PROTOCOLS_STR, "http,https");
	SET(FOLLOWLOCATION, 0L);
	SET(PATH_AS_IS, 1L);
	SET(PROXY, "");
	SET(NETRC, (long)CURL_NETRC_IGNORED);
	SET(NOSIGNAL, 1L);
	SET(SSL_VERIFYPEER, 1L);
	SET(SSL_VERIFYHOST, 2L);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(ACCEPT_ENCODING, "gzip");
	SET(TIMEOUT_MS, (long)m->timeout_ms);
	SET(CONNECTTIMEOUT_MS, (long)m->connect_ms);
	SET(HTTPHEADER, c->list);
	SET(USERAGENT, "vayla");
	SET(OPENSOCKETFUNCTION, on_socket_open);
	SET(OPENSOCKETDATA, c);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, c);
	SET(HEADERFUNCTION, on_header);
	SET(HEADERDATA, c);
	SET(ERRORBUFFER, c->error);
	SET(PRIVATE, c);
	if (body) {
		SET(POST, 1L);
		SET(POSTFIELDSIZE_LARGE, (curl_off_t)c->sent.n);
		SET(POSTFIELDS, (char *)c->sent.p);
	} else {
		SET(HTTPGET, 1L);
	}
	if (strcmp(c->method, "GET") != 0 && strcmp(c->method, "POST") != 0)
		SET(CUSTOMREQUEST, c->method);
	return true;
}

enum err
web_start(struct web *w, const struct web_request *q, web_done *done, void *arg)
{
	struct call *c;
	bool fine;

	if (!is_http(w, q->url))
		return err_note(ERR_CONFIG,
		    "its URL is no https:// (plain http:// is for systems that "
		    "vayla.yaml calls `local: true`)");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_note(ERR_NOMEM, "an HTTP request");
	c->web = w;
	c->done = done;
	c->arg = arg;
	c->method = q->method;
	buf_init(&c->sent, q->body.n + 1);
	buf_init(&c->in, w->limits.answer_max);
	buf_init(&c->head, WEB_HEADERS);
	arena_init(&c->arena, 2 * WEB_HEADERS);
	c->next = w->calls;
	if (c->next != NULL)
		c->next->prev = c;
	w->calls = c;
	w->n++;
	buf_slice(&c->sent, q->body);
	c->url = strdup(q->url);
	c->easy = curl_easy_init();
	fine = c->url != NULL && c->easy != NULL && !c->sent.bad &&
	       add_headers(c, q->headers) && set_up(c) &&
	       curl_multi_add_handle(w->multi, c->easy) == CURLM_OK;
	if (!fine) {
		call_free(c);
		return err_note(ERR_NOMEM, "an HTTP request");
	}
	return ERR_OK;
}

/* ---- redirects ---- */

static bool
part_same(CURLU *a, CURLU *b, CURLUPart part)
{
	char *x = NULL, *y = NULL;
	bool same =
	    curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    strcasecmp(x, y) == 0;

	curl_free(x);
	curl_free(y);
	return same;
}

bool
web_same_host(const char *from, const char *to)
{
	CURLU *a = curl_url(), *b = curl_url();
	char *user = NULL;
	bool same = a != NULL && b != NULL &&
		    curl_url_set(a, CURLUPART_URL, from, 0) == CURLUE_OK &&
		    curl_url_set(b, CURLUPART_URL, to, 0) == CURLUE_OK &&
		    part_same(a, b, CURLUPART_SCHEME) &&
		    part_same(a, b, CURLUPART_HOST) &&
		    part_same(a, b, CURLUPART_PORT);

	/* a name and password in it would be somebody else's */
	if (same && curl_url_get(b, CURLUPART_USER, &user, 0) == CURLUE_OK)
		same = false;
	curl_free(user);
	curl_url_cleanup(a);
	curl_url_cleanup(b);
	return same;
}

char *
web_resolve(const char *from, const char *to)
{
	CURLU *u = curl_url();
	char *text = NULL, *out = NULL;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, from, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_URL, to, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK)
		out = strdup(text);
	curl_free(text);
	curl_url_cleanup(u);
	return out;
}

/* Go where it points when that is on the same host; *elsewhere when not. */
static bool
follow(struct call *c, int64_t status, bool *elsewhere)
{
	const char *to = NULL;
	bool get = strcmp(c->method, "GET") == 0;

	if (status < 301 || status > 308 || status == 304 ||
	    curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &to) !=
		CURLE_OK ||
	    to == NULL)
		return false;
	if (!web_same_host(c->url, to)) {
		*elsewhere = true;
		return false;
	}
	/* 301 to 303 make a GET of anything else: not what was meant */
	if (c->hops == WEB_HOPS || (!get && status != 307 && status != 308))
		return false;
	c->hops++;
	free(c->url);
	c->url = strdup(to);
	if (c->url == NULL)
		return false;
	(void)curl_multi_remove_handle(c->web->multi, c->easy);
	buf_reset(&c->in);
	buf_reset(&c->head);
	return curl_easy_setopt(c->easy, CURLOPT_URL, c->url) == CURLE_OK &&
	       curl_multi_add_handle(c->web->multi, c->easy) == CURLM_OK;
}

/* ---- the end of one ---- */

static enum web_how
how_of(const struct call *c, CURLcode code, int64_t status)
{
	if (code == CURLE_OK)
		return WEB_ANSWERED;
	if (c->private)
		return WEB_PRIVATE;
	if (c->large && status > 0)
		return WEB_LARGE;
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return WEB_BAD_TLS;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return WEB_URL;
	default:
		return WEB_AWAY;
	}
}

static void
finish(struct call *c, CURLcode code)
{
	struct web_answer a = {.url = ""};
	curl_off_t wait = 0;
	long status = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	a.status = status;
	if (code == CURLE_OK && follow(c, status, &a.elsewhere))
		return;
	a.url = c->url != NULL ? c->url : "";
	a.how = how_of(c, code, status);
	a.why = c->error[0] != '\0' ? c->error : curl_easy_strerror(code);
	if (a.how == WEB_PRIVATE)
		a.why = "its address is a private one; where that is meant, "
			"write `local: true` at the system in vayla.yaml";
	else if (a.how == WEB_LARGE)
		a.why = "its answer is larger than is read";
	a.body = buf_all(&c->in);
	if (curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &wait) ==
		CURLE_OK &&
	    wait > 0)
		a.retry_ms = wait < RETRY_MAX_MS / 1000 ? (int64_t)wait * 1000
							: RETRY_MAX_MS;
	read_headers(c, &a.headers);
	c->finished = true;
	c->done(c->arg, &a);
	call_free(c);
}

/* ---- the loop ---- */

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct web *w = arg;
	struct epoll_event ev = {.events = 0, .data = {.fd = fd}};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		ev.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(w->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		fd, &ev) != 0)
		(void)epoll_ctl(w->epoll,
		    known != NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
	(void)curl_multi_assign(w->multi, fd, w);
	return 0;
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct web *w = arg;

	(void)multi;
	w->timer_at = ms < 0 ? 0 : clock_mono() + ms * NS_PER_MS + 1;
	return 0;
}

enum err
web_open(struct web **out, const struct web_limits *l)
{
	struct web *w = calloc(1, sizeof(*w));

	if (w == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(w);
		return err_note(ERR_NOMEM, "libcurl");
	}
	w->limits = *l;
	w->multi = curl_multi_init();
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->multi == NULL || w->epoll < 0) {
		web_close(w);
		return err_note(ERR_NOMEM, "libcurl");
	}
	(void)curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	(void)curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	(void)curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	(void)curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, 16L);
	*out = w;
	return ERR_OK;
}

void
web_close(struct web *w)
{
	if (w == NULL)
		return;
	while (w->calls != NULL)
		call_free(w->calls);
	if (w->multi != NULL)
		(void)curl_multi_cleanup(w->multi);
	if (w->epoll >= 0)
		(void)close(w->epoll);
	free(w);
}

size_t
web_running(const struct web *w)
{
	return w->n;
}

int
web_fd(const struct web *w)
{
	return w->epoll;
}

enum err
web_step(struct web *w, int *next_ms)
{
	struct epoll_event ev[EVENTS];
	int n, running, left;
	int64_t now, ms;
	CURLMsg *m;

	n = epoll_wait(w->epoll, ev, EVENTS, 0);
	for (int i = 0; i < n; i++) {
		int mask =
		    ((ev[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
		    ((ev[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
		    ((ev[i].events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR
							    : 0);

		if (curl_multi_socket_action(
			w->multi, ev[i].data.fd, mask, &running) != CURLM_OK)
			return err_note(ERR_IO, "libcurl cannot go on");
	}
	now = clock_mono();
	if (w->timer_at != 0 && now >= w->timer_at) {
		w->timer_at = 0;
		if (curl_multi_socket_action(
			w->multi, CURL_SOCKET_TIMEOUT, 0, &running) != CURLM_OK)
			return err_note(ERR_IO, "libcurl cannot go on");
	}
	while ((m = curl_multi_info_read(w->multi, &left)) != NULL) {
		struct call *c = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE,
			(char **)&c) != CURLE_OK)
			continue;
		finish(c, code);
	}
	if (n == EVENTS)
		*next_ms = 0;
	if (w->timer_at != 0) {
		now = clock_mono();
		ms =
		    w->timer_at > now ? (w->timer_at - now) / NS_PER_MS + 1 : 0;
		if (ms < *next_ms)
			*next_ms = (int)ms;
	}
	return ERR_OK;
}
