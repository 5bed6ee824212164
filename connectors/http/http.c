/*
 * http - the connector for all that a system is asked or told over HTTP: a
 * process for each system whose pack has `poll:`, or rows of `send:` with a
 * method and a URL (mappings/PACKS.md).
 *
 * One loop: the bus, libcurl's descriptors, its timers. Sending and polling
 * share one gate, so the system's limits hold for both together.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/say.h"
#include "broker/base/yaml_check.h"
#include "connectors/http/poll.h"
#include "connectors/http/send.h"

#define PACK_BYTES (16 * 1024 * 1024)

struct http {
	struct far far;
	struct sender *sender;
	struct poller *poller;
};

static void
check_pack(const struct pack *p, struct arena *a, struct faults *f)
{
	struct plan plan;

	if (plan_load(p, a, f, &plan) != ERR_OK && f->count == 0)
		fault(f, p->file, NULL, "%s", err_last());
}

/* A system whose address is not given comes in by webhook alone: it needs no
 * process. */
static bool
needed(const struct sdk_system *x)
{
	const struct formula_env env = {SLICE_EMPTY, x->open, SLICE_EMPTY, 0};
	struct faults f;
	struct arena a;
	struct plan plan;
	bool yes;

	arena_init(&a, PACK_BYTES);
	faults_init(&f);
	/* what is wrong with it, its own process says */
	yes = plan_load(x->pack, &a, &f, &plan) != ERR_OK;
	/* to one that is live something may be waiting: its process says what
	 * is missing */
	yes = yes || (x->conf->live && plan.sends_n > 0);
	for (size_t i = 0; !yes && i < plan.sends_n; i++)
		yes = url_ready(&plan.sends[i].request.url, &env, &a);
	for (size_t i = 0; !yes && i < plan.polls_n; i++)
		yes = url_ready(&plan.polls[i].url, &env, &a);
	faults_fini(&f);
	arena_fini(&a);
	return yes;
}

/* Settings without which nothing can be sent: a warning, since a system may be
 * there only to be listened to. Polls without them rest. */
static void
check(const struct sdk *s, struct faults *f)
{
	const struct sdk_system *x = &s->systems[0];
	struct yaml_at at = {s->config->file, f};
	const struct formula_env env = {SLICE_EMPTY, x->open, SLICE_EMPTY, 0};
	struct arena scratch;
	struct doors doors;
	struct plan plan;
	bool local;

	(void)yaml_flag(&at, yaml_get(x->conf->node, "local"), "local", &local);
	if (doors_load(x->pack, s->arena, f, &doors) != ERR_OK ||
	    plan_load(x->pack, s->arena, f, &plan) != ERR_OK)
		return;
	arena_init(&scratch, 1024 * 1024);
	/* Below a setting of another name than `url` it may be meant to rest.
	 */
	for (size_t i = 0; i < plan.sends_n; i++)
		if (plan.sends[i].request.url.shown.p[0] == '/' &&
		    !url_ready(&plan.sends[i].request.url, &env, &scratch)) {
			fault_warn(f, s->config->file, x->conf->node,
			    "system %.*s: %.*s is sent below the setting "
			    "`url`, which is not there",
			    SLICE_ARG(x->conf->name),
			    SLICE_ARG(plan.sends[i].type));
			break;
		}
	arena_fini(&scratch);
}

static void
http_close(void *self)
{
	struct http *h = self;

	if (h == NULL)
		return;
	web_close(h->far.web);
	sender_close(h->sender);
	poller_close(h->poller);
	auth_close(h->far.auth);
	free(h);
}

static enum err
http_open(struct sdk *s, void **self)
{
	struct http *h = calloc(1, sizeof(*h));
	const struct sdk_system *x = &s->systems[0];
	struct yaml_at none = {s->config->file, NULL};
	struct web_limits w;
	struct faults f;
	bool local = false;
	enum err e;

	if (h == NULL)
		return err_note(ERR_NOMEM, "the connector");
	faults_init(&f);
	none.f = &f;
	(void)yaml_flag(
	    &none, yaml_get(x->conf->node, "local"), "local", &local);
	e = plan_load(x->pack, s->arena, &f, &h->far.plan);
	faults_fini(&f);
	h->far.sdk = s;
	h->far.system = x;
	gate_init(&h->far.gate, &h->far.plan.limits);
	w = (struct web_limits){.timeout_ms = h->far.plan.limits.timeout_ms,
	    .connect_ms = h->far.plan.limits.connect_ms,
	    .answer_max = (size_t)h->far.plan.limits.answer_max,
	    .local = local};
	if (e == ERR_OK)
		e = web_open(&h->far.web, &w);
	if (e == ERR_OK)
		e = auth_open(
		    &h->far.auth, &h->far.plan.auth, x->all, h->far.web);
	if (e == ERR_OK)
		e = sender_open(&h->sender, &h->far);
	if (e == ERR_OK)
		e = poller_open(&h->poller, &h->far);
	if (e != ERR_OK) {
		http_close(h);
		return e;
	}
	say(SAY_INFO, "http", "%zu kinds of requests, %zu polls%s",
	    h->far.plan.sends_n, h->far.plan.polls_n,
	    local ? ", on this network" : "");
	*self = h;
	return ERR_OK;
}

static void
http_delivery(void *self, const struct delivery *d)
{
	sender_take(((struct http *)self)->sender, d);
}

static size_t
http_fds(void *self, struct pollfd *fds)
{
	fds[0] = (struct pollfd){
	    .fd = web_fd(((struct http *)self)->far.web), .events = POLLIN};
	return 1;
}

static enum err
http_step(void *self, int *next_ms)
{
	struct http *h = self;
	size_t before;
	enum err e = web_step(h->far.web, next_ms);

	if (e != ERR_OK)
		return e;
	before = web_running(h->far.web);
	sender_step(h->sender, next_ms);
	poller_step(h->poller, next_ms);
	if (web_running(h->far.web) == before)
		return ERR_OK;
	/* what was begun now gets its first push at once */
	before = web_running(h->far.web);
	e = web_step(h->far.web, next_ms);
	if (web_running(h->far.web) < before)
		*next_ms = 0;
	return e;
}

static uint32_t
http_report(void *self, struct buf *out)
{
	struct http *h = self;
	const struct poll_counts c = poller_counts(h->poller);
	const struct {
		const char *name;
		uint64_t n;
	} all[] = {{"under_way", web_running(h->far.web)},
	    {"failures_in_a_row", (uint64_t)h->far.gate.failures},
	    {"shut", h->far.gate.open_until != 0}, {"poll_rounds", c.rounds},
	    {"poll_failed", c.failed}, {"poll_items", c.items},
	    {"poll_bad_items", c.bad}};
	const uint32_t n = sizeof(all) / sizeof(*all);

	for (uint32_t i = 0; i < n; i++) {
		mp_put_cstr(out, all[i].name);
		mp_put_uint(out, all[i].n);
	}
	return n;
}

static bool
http_drain(void *self)
{
	struct http *h = self;
	bool sent = sender_drain(h->sender);

	return poller_drain(h->poller) && sent;
}

extern const struct connector connector_http;

const struct connector connector_http = {
    .name = "http",
    .role = "connector",
    .single = true,
    .takes = plan_wanted,
    .needed = needed,
    .check_pack = check_pack,
    .window = SEND_HAND,
    .window_bytes = 4 * 1024 * 1024,
    .patience_ms = 120000,
    .check = check,
    .open = http_open,
    .on_delivery = http_delivery,
    .fds = http_fds,
    .step = http_step,
    .report = http_report,
    .drain = http_drain,
    .close = http_close,
};
