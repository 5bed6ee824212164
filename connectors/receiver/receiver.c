/*
 * receiver - the connector for all that comes in over HTTP.
 *
 * A request is answered with 2xx when the broker has it on disk with all that
 * follows from it, or when it is nothing we keep; until then its connection is
 * suspended. A request that is refused is counted and leaves no trace on disk.
 * There is no queue of our own: what the broker cannot take now, the sender is
 * asked to send again (503), because only the sender still has it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "connectors/receiver/counts.h"
#include "connectors/receiver/server.h"
#include "connectors/sdk/sdk.h"

#define REPORT_MS 1000
#define RETRY_MS 2000

struct party {
	const struct sdk_system *system;
	struct doors doors;
	struct counts *counts;
};

struct receiver {
	struct sdk *sdk;
	struct server *server;
	size_t parties_n;
	struct party *parties;
	struct counts *counts; /* one a party, and the last for strays */
	int64_t report_at;
	bool draining;
	bool published; /* in this step: the client has something to send */
};

/* Publications of one request that are not confirmed yet. */
struct pending {
	struct receiver *r;
	struct party *party;
	const struct door *door;
	struct exchange *x; /* NULL: answered already, or the sender is gone */
	uint32_t open;
	enum err err; /* the first that was not ERR_OK */
	int64_t retry_ms;
	char why[INTAKE_TEXT];
};

/* ---- answers ---- */

static void
respond(struct receiver *r, struct exchange *x, struct party *p,
    const struct door *door, enum outcome what, const char *text,
    const char *why, int64_t retry_ms)
{
	struct answer a = {.status = outcome_status(what),
	    .type = SLICE_EMPTY,
	    .body = SLICE_EMPTY};
	char line[INTAKE_TEXT + 64];

	counts_add(p != NULL ? p->counts : &r->counts[r->parties_n], what,
	    why[0] != '\0' ? why : text);
	if (a.status == 200 && door != NULL) {
		a.status = (int)door->answer_status;
		a.type = door->answer_type;
		a.body = door->answer_body;
	} else if (a.status != 401) {
		(void)snprintf(
		    line, sizeof(line), "%s: %s\n", outcome_name(what), text);
		a.body = slice_str(line);
	}
	if (what == OUT_METHOD && door != NULL)
		a.allow = door_methods(door->methods);
	if (a.status == 503)
		a.retry_ms = retry_ms > 0 ? retry_ms : RETRY_MS;
	a.close = what == OUT_LARGE || r->draining;
	server_answer(r->server, x, &a);
}

static void
plain(struct receiver *r, struct exchange *x, int status, const char *text)
{
	struct answer a = {.status = status,
	    .type = SLICE_EMPTY,
	    .body = slice_str(text),
	    .allow = status == 405 ? "GET" : NULL};

	server_answer(r->server, x, &a);
}

/* ---- for machines that watch us ---- */

static bool
watch(struct receiver *r, struct exchange *x)
{
	const struct slice path = x->q.path;
	bool metrics = slice_is(path, "/metrics");
	bool up = client_up(r->sdk->client) && !r->draining;
	struct answer a = {.status = 200, .type = SLICE_EMPTY};
	struct buf b;

	if (!metrics && !slice_is(path, "/livez") && !slice_is(path, "/readyz"))
		return false;
	if (!slice_is(x->q.method, "GET")) {
		plain(r, x, 405, "");
		return true;
	}
	if (!metrics) {
		if (slice_is(path, "/readyz") && !up)
			plain(r, x, 503, "no broker\n");
		else
			plain(r, x, 200, "ok\n");
		return true;
	}
	if (!x->loopback)
		return false;
	buf_init(&b, 256 * 1024);
	counts_metrics(r->counts, r->parties_n + 1,
	    server_connections(r->server), server_waiting(r->server), &b);
	a.type = SLICE_LIT("text/plain; version=0.0.4");
	a.body = buf_all(&b);
	server_answer(r->server, x, &a);
	buf_fini(&b);
	return true;
}

/* ---- where it is addressed to ---- */

static unsigned
method_of(struct slice m)
{
	return slice_is(m, "GET")    ? DOOR_GET
	       : slice_is(m, "POST") ? DOOR_POST
	       : slice_is(m, "PUT")  ? DOOR_PUT
				     : 0;
}

/* "/in/shop" or "/in/shop/word". */
static const struct door *
route(struct receiver *r, struct slice path, struct party **out)
{
	static const char lead[] = "/in/";
	struct slice name, word = SLICE_EMPTY;
	const uint8_t *cut;

	if (!slice_starts(path, SLICE_LIT(lead)))
		return NULL;
	name = slice_from(path, sizeof(lead) - 1);
	cut = memchr(name.p, '/', name.n);
	if (cut != NULL) {
		word = slice_from(name, (size_t)(cut - name.p) + 1);
		name.n = (size_t)(cut - name.p);
		if (word.n == 0)
			return NULL;
	}
	for (size_t i = 0; i < r->parties_n; i++) {
		struct party *p = &r->parties[i];

		if (slice_eq(p->system->conf->name, name)) {
			*out = p;
			return doors_find(&p->doors, word);
		}
	}
	return NULL;
}

static void
on_head(void *arg, struct exchange *x)
{
	struct receiver *r = arg;
	struct party *p = NULL;
	const struct door *door;

	x->user = NULL;
	x->context = NULL;
	if (watch(r, x))
		return;
	door = route(r, x->q.path, &p);
	if (door == NULL) {
		r->counts[r->parties_n].of[OUT_UNKNOWN]++;
		plain(r, x, 404, "404: nobody has this address\n");
		return;
	}
	if ((door->methods & method_of(x->q.method)) == 0) {
		respond(r, x, p, door, OUT_METHOD, door_methods(door->methods),
		    "", 0);
		return;
	}
	x->max_body = door->max_body;
	x->user = p;
	x->context = (void *)(uintptr_t)door;
}

static void
on_large(void *arg, struct exchange *x)
{
	const struct door *door = x->context;
	char text[64];

	(void)snprintf(text, sizeof(text), "more than %zu bytes",
	    door != NULL ? door->max_body : 0);
	respond(arg, x, x->user, door, OUT_LARGE, text, "", 0);
}

/* ---- publishing ---- */

static void
finish(struct pending *w)
{
	struct exchange *x = w->x;
	enum err_class c = err_class(w->err);

	if (x != NULL) {
		x->user = NULL;
		if (w->err == ERR_OK)
			respond(
			    w->r, x, w->party, w->door, OUT_STORED, "", "", 0);
		else if (c == CLASS_REJECT || c == CLASS_ASK)
			respond(w->r, x, w->party, w->door, OUT_REFUSED, w->why,
			    "", 0);
		else
			respond(w->r, x, w->party, w->door, OUT_AWAY,
			    "try again later", w->why, w->retry_ms);
	}
	free(w);
}

static void
on_published(void *arg, enum err e, int64_t retry_ms)
{
	struct pending *w = arg;

	if (e != ERR_OK && w->err == ERR_OK) {
		w->err = e;
		w->retry_ms = retry_ms;
		(void)snprintf(
		    w->why, sizeof(w->why), "%s: %s", err_text(e), err_last());
	}
	if (--w->open == 0)
		finish(w);
}

static void
publish(struct receiver *r, struct exchange *x, struct party *p,
    const struct door *door, const struct intake *in)
{
	struct pending *w = calloc(1, sizeof(*w));

	if (w == NULL || !client_up(r->sdk->client) || r->draining) {
		free(w);
		respond(r, x, p, door, OUT_AWAY, "try again later",
		    "the broker is away", 0);
		return;
	}
	*w = (struct pending){
	    .r = r, .party = p, .door = door, .x = x, .open = 1};
	x->user = w;
	x->context = w; /* on_gone knows by it that there is one */
	r->published = true;
	for (size_t i = 0; i < in->pubs_n; i++) {
		const struct intake_pub *pub = &in->pubs[i];
		enum err e = client_publish(r->sdk->client,
		    slice_of(in->records.p + pub->from, pub->to - pub->from),
		    pub->count, on_published, w);

		w->open++;
		if (e != ERR_OK) {
			on_published(w, e, 0);
			break;
		}
	}
	on_published(w, ERR_OK, 0); /* our own hold on it */
}

static void
on_request(void *arg, struct exchange *x)
{
	struct receiver *r = arg;
	struct party *p = x->user;
	const struct door *door = x->context;
	struct intake in;

	intake_init(&in);
	intake_take(&in, door, p->system, &x->q, clock_now(), x->arena);
	p->counts->of[OUT_ITEM] += in.bad_items;
	if (in.what == OUT_STORED)
		publish(r, x, p, door, &in);
	else
		respond(r, x, p, door, in.what, in.text, in.why, 0);
	intake_fini(&in);
}

static void
on_gone(void *arg, struct exchange *x, bool late)
{
	struct pending *w = x->context;

	(void)arg;
	if (w == NULL || x->user != w)
		return; /* its body never came */
	counts_add(w->party->counts, late ? OUT_LATE : OUT_GONE,
	    late ? "no word from the broker" : "the sender went away");
	w->x = NULL;
}

/* ---- the connector ---- */

static bool
takes(const struct pack *p)
{
	return pack_section(p, "receive") != NULL;
}

static void
check(const struct sdk *s, struct faults *f)
{
	struct doors d;
	size_t before = f->count;

	if (s->systems_n > 0 && s->config->listen == NULL)
		fault(f, s->config->file, s->config->root,
		    "systems that are sent to us need the section receiver: "
		    "{listen: http://127.0.0.1:7181}");
	for (size_t i = 0; i < s->systems_n; i++)
		if (doors_load(s->systems[i].pack, s->arena, f, &d) != ERR_OK &&
		    f->count == before)
			fault(f, s->systems[i].pack->file, NULL, "%s",
			    err_last());
}

static enum err
load_parties(struct receiver *r)
{
	struct sdk *s = r->sdk;
	struct faults f;
	enum err e = ERR_OK;

	r->parties = calloc(s->systems_n + 1, sizeof(*r->parties));
	r->counts = calloc(s->systems_n + 1, sizeof(*r->counts));
	if (r->parties == NULL || r->counts == NULL)
		return err_note(ERR_NOMEM, "no memory for the receiver");
	faults_init(&f);
	for (size_t i = 0; e == ERR_OK && i < s->systems_n; i++) {
		struct party *p = &r->parties[r->parties_n++];

		p->system = &s->systems[i];
		p->counts = &r->counts[i];
		p->counts->system = p->system->conf->name;
		e = doors_load(p->system->pack, s->arena, &f, &p->doors);
		if (e != ERR_OK)
			(void)err_note(e, "%s", buf_cstr(&f.text));
	}
	r->counts[s->systems_n].system = SLICE_LIT("?");
	faults_fini(&f);
	return e;
}

static void
receiver_close(void *self)
{
	struct receiver *r = self;

	if (r == NULL)
		return;
	server_close(r->server);
	free(r->parties);
	free(r->counts);
	free(r);
}

static void
say_addresses(const struct receiver *r)
{
	char name[64], url[768];

	say_kv(SAY_INFO, "receiver", "listening", "url",
	    server_address(r->server), NULL);
	for (size_t i = 0; i < r->parties_n; i++)
		for (size_t d = 0; d < r->parties[i].doors.n; d++) {
			const struct door *o = &r->parties[i].doors.v[d];

			(void)snprintf(name, sizeof(name), "%.*s",
			    SLICE_ARG(r->parties[i].system->conf->name));
			(void)snprintf(url, sizeof(url), "%s/in/%s%s%.*s",
			    server_address(r->server), name,
			    o->path.n > 0 ? "/" : "", SLICE_ARG(o->path));
			say_kv(SAY_INFO, "receiver", "takes", "system", name,
			    "method", door_methods(o->methods), "url", url,
			    NULL);
		}
}

static enum err
receiver_open(struct sdk *s, void **self)
{
	struct receiver *r = calloc(1, sizeof(*r));
	struct server_handler h = {r, on_head, on_request, on_large, on_gone};
	enum err e;

	if (r == NULL)
		return err_note(ERR_NOMEM, "no memory for the receiver");
	r->sdk = s;
	e = load_parties(r);
	if (e == ERR_OK)
		e = server_open(
		    &r->server, s->config->listen, s->config->public, &h);
	if (e != ERR_OK) {
		receiver_close(r);
		return e;
	}
	say_addresses(r);
	*self = r;
	return ERR_OK;
}

static size_t
receiver_fds(void *self, struct pollfd *fds)
{
	struct receiver *r = self;

	fds[0] = (struct pollfd){server_fd(r->server), POLLIN, 0};
	return 1;
}

static enum err
receiver_step(void *self, int *next_ms)
{
	struct receiver *r = self;
	int64_t now = clock_mono();
	struct buf b;
	enum err e;

	if (now >= r->report_at) {
		r->report_at = now + REPORT_MS * NS_PER_MS;
		buf_init(&b, 4096);
		counts_report(r->counts, r->parties_n + 1,
		    server_connections(r->server), server_waiting(r->server),
		    &b);
		if (buf_check(&b) == ERR_OK)
			client_report(r->sdk->client, buf_all(&b));
		buf_fini(&b);
	}
	r->published = false;
	e = server_step(r->server, next_ms);
	if (r->published)
		*next_ms = 0; /* the client sends it in its next step */
	return e;
}

static bool
receiver_drain(void *self)
{
	struct receiver *r = self;

	if (!r->draining)
		server_quiesce(r->server);
	r->draining = true;
	return server_waiting(r->server) == 0;
}

extern const struct connector connector_receiver;

const struct connector connector_receiver = {
    .name = "receiver",
    .role = "receiver",
    .takes = takes,
    .check = check,
    .open = receiver_open,
    .fds = receiver_fds,
    .step = receiver_step,
    .drain = receiver_drain,
    .close = receiver_close,
};
