/* send - see send.h. */
#include "connectors/http/send.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/json.h"
#include "broker/base/say.h"
#include "broker/base/utf8.h"
#include "connectors/http/outcome.h"
#include "connectors/sdk/native.h"
#include "connectors/sdk/trace.h"

#define JOB_BYTES (24 * 1024 * 1024)
#define BODY_MAX (8 * 1024 * 1024)
#define ANSWER_MP (8 * 1024 * 1024)
#define HEADER_BYTES (64 * 1024)
#define REMOTE 256
#define EXTEND_NS (30 * NS_PER_SEC)
#define MEND_MS 60000  /* until a person has mended settings, perhaps */
#define BUSY_MS 5000   /* after a 429 that does not say how long */
#define SPREAD_MS 1000 /* what is put back together comes again apart */

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_OVER /* settled; freed at the end of the step */
};

struct job {
	struct sender *s;
	struct job *next;
	enum job_state state;
	bool look;    /* find before it is sent */
	bool looking; /* the request under way is find's */
	bool retried; /* with another token */
	uint64_t seq;
	uint32_t attempt;
	const struct plan_request *request;
	struct arena arena; /* holds what follows, and scratch */
	struct slice id, subject, type, data;
	uint32_t revision;
	int64_t asked_at; /* when the request was made, or 0 */
	struct slice traceparent;
	struct slice base; /* of $request: pairs without a head */
	struct slice remote;
	uint8_t digest[32];
	bool sent; /* digest is set */
	int64_t extend_at;
};

#define BASE_PAIRS 6

struct sender {
	struct far *far;
	struct job *first, **last;
	size_t n, running;
	bool draining;
};

/* ---- settling ---- */

void
far_clean(char *text)
{
	struct slice s = slice_str(text);
	bool valid = utf8_valid(s);

	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f ||
		    (!valid && (unsigned char)*p >= 0x80))
			*p = '?';
}

static void
settle(struct job *j, enum plan_verdict is, int64_t after_ms, const char *text,
    const struct web_answer *a, const struct event *answer)
{
	static const enum settle_verdict verdicts[] = {
	    SETTLE_OK, SETTLE_RETRY, SETTLE_DEFER, SETTLE_REJECT, SETTLE_ASK};
	const struct plan_request *r = j->request;
	char line[1600];
	struct settled v = {.is = verdicts[is],
	    .after_ms = after_ms,
	    .text = NULL,
	    .status = a != NULL ? a->status : 0,
	    .remote = j->remote,
	    .digest = slice_of(j->digest, j->sent ? 32 : 0),
	    .excerpt = a != NULL ? a->body : SLICE_EMPTY};

	if (text != NULL && text[0] != '\0') {
		if (r != NULL && r->method != NULL)
			(void)snprintf(line, sizeof(line), "%s %.*s: %s",
			    r->method, SLICE_ARG(r->url.shown), text);
		else
			(void)snprintf(line, sizeof(line), "%s", text);
		far_clean(line);
		v.text = line;
	}
	if (answer == NULL ||
	    sdk_answer(j->s->far->sdk, j->seq, &v, answer) != ERR_OK) {
		if (answer != NULL) {
			(void)snprintf(line, sizeof(line), "%s", err_last());
			v.text = line;
		}
		sdk_settle(j->s->far->sdk, j->seq, &v);
	}
	j->state = JOB_OVER;
}

static void
settle_err(struct job *j, enum err e)
{
	settle(j, err_class(e) == CLASS_REJECT ? VERDICT_REJECT : VERDICT_RETRY,
	    0, err_last(), NULL, NULL);
}

void
far_end(struct far *far, const struct web_answer *a, const char *where)
{
	int64_t now = clock_mono();
	enum gate_end how = outcome_failed(a) ? GATE_FAILED
			    : a->how == WEB_ANSWERED || a->how == WEB_LARGE
				? GATE_WORKED
				: GATE_ABORTED;
	bool changed = gate_end(&far->gate, now, how);

	if (a->retry_ms > 0 && (a->status == 429 || a->status == 503))
		gate_hold(&far->gate, now, a->retry_ms);
	else if (a->status == 429)
		gate_hold(&far->gate, now, BUSY_MS);
	if (a->how == WEB_PRIVATE || a->how == WEB_URL)
		gate_hold(&far->gate, now, MEND_MS);
	if (changed && how == GATE_FAILED)
		say(SAY_WARN, "http",
		    "%s: %jd failures in a row; nothing is asked of it for %jd "
		    "s",
		    where, (intmax_t)far->gate.failures,
		    (intmax_t)((far->gate.open_until - now) / NS_PER_SEC));
	else if (changed)
		say(SAY_INFO, "http", "%s: it works again", where);
}

/* ---- formulas ---- */

static struct formula_env
env_of(
    const struct job *j, struct slice in, struct slice request, int64_t status)
{
	return (struct formula_env){
	    in, j->s->far->system->open, request, status};
}

static enum err
request_of(struct job *j, const struct web_answer *a, struct slice *out)
{
	struct buf b;
	enum err e;

	buf_init(&b, ANSWER_MP);
	answer_request(j->base, BASE_PAIRS, a, &b);
	e = buf_check(&b);
	if (e == ERR_OK)
		e = arena_copy(&j->arena, buf_all(&b), out);
	buf_fini(&b);
	return e;
}

static void
take_remote(struct job *j, const struct formula_env *env)
{
	struct buf b;

	if (j->request->remote == NULL)
		return;
	buf_init(&b, REMOTE);
	if (formula_text(j->request->remote, env, &j->arena, &b) != ERR_OK ||
	    buf_check(&b) != ERR_OK || !utf8_valid(buf_all(&b)) ||
	    arena_copy(&j->arena, buf_all(&b), &j->remote) != ERR_OK)
		j->remote = SLICE_EMPTY;
	buf_fini(&b);
}

/* The event that an answer becomes. */
static enum err
fill_answer(struct job *j, const struct formula_env *env, struct event *ev)
{
	const struct plan_request *r = j->request;
	struct buf b;
	enum err e = ERR_OK;

	native_init(ev);
	ev->source = j->s->far->system->conf->name;
	ev->type = r->answer_type;
	ev->subject = j->subject;
	ev->answer_to = j->seq;
	ev->traceparent = j->traceparent;
	ev->time = clock_now();
	ev->data = env->in;
	buf_init(&b, ANSWER_MP);
	if (r->answer_data != NULL) {
		e = formula_mp(r->answer_data, env, &j->arena, &b);
		if (e == ERR_OK)
			e = arena_copy(&j->arena, buf_all(&b), &ev->data);
	}
	if (e == ERR_OK && r->answer_subject != NULL)
		e = native_text(
		    r->answer_subject, env, "subject", &j->arena, &ev->subject);
	buf_reset(&b);
	buf_printf(
	    &b, "answer:%.*s:%u", SLICE_ARG(j->id), (unsigned)j->revision);
	if (e == ERR_OK)
		e = r->answer_id != NULL
			? native_text(
			      r->answer_id, env, "id", &j->arena, &ev->id)
			: arena_copy(&j->arena, buf_all(&b), &ev->id);
	buf_fini(&b);
	return e;
}

/* Is it to be asked again later? A formula that does not say so is no reason
 * to stop. */
static bool
repeats(struct job *j, const struct formula_env *env)
{
	const struct plan_request *r = j->request;
	bool enough = false;

	if (!r->repeats ||
	    (j->asked_at != 0 && clock_now() - j->asked_at > r->for_ns))
		return false;
	return formula_true(r->until, env, &j->arena, &enough) != ERR_OK ||
	       !enough;
}

/* It is done (for now): settle it, with the answer where the pack wants it. */
static void
settle_ok(struct job *j, const struct formula_env *env,
    const struct web_answer *a, const char *text)
{
	bool later = repeats(j, env);
	enum plan_verdict is = later ? VERDICT_DEFER : VERDICT_OK;
	int64_t after_ms = later ? j->request->every_ms : 0;
	struct event ev;
	char line[600];
	enum err e;

	if (later && text == NULL)
		text = "it is asked again";
	take_remote(j, env);
	if (!j->request->answers || env->in.n == 0) {
		settle(j, is, after_ms, text, a, NULL);
		return;
	}
	e = fill_answer(j, env, &ev);
	if (e == ERR_OK) {
		settle(j, is, after_ms, text, a, &ev);
		return;
	}
	(void)snprintf(line, sizeof(line),
	    "it is done, but its answer is not kept: %s", err_last());
	settle(j, is, after_ms, line, a, NULL);
}

/* ---- answers ---- */

static void
back_to_queue(struct job *j)
{
	j->state = JOB_QUEUED;
}

static void
found_or_not(struct job *j, const struct formula_env *env,
    const struct web_answer *a, bool odd)
{
	static const struct plan_request none = {.outcomes_n = 0};
	struct formula_env there = *env;
	struct outcome o;
	struct buf b;
	enum err e;

	outcome_of(&none, a, odd, env, &j->arena, &o);
	if (a->how == WEB_ANSWERED && a->status == 404) {
		j->look = false;
		back_to_queue(j);
		return;
	}
	if (o.is != VERDICT_OK) {
		char line[1200];

		(void)snprintf(line, sizeof(line),
		    "looking whether it was done before: %s", o.text);
		settle(j, o.is == VERDICT_REJECT ? VERDICT_RETRY : o.is,
		    o.after_ms, line, a, NULL);
		return;
	}
	buf_init(&b, ANSWER_MP);
	e = formula_mp(j->request->find_as, env, &j->arena, &b);
	if (e == ERR_OK)
		e = arena_copy(&j->arena, buf_all(&b), &there.in);
	buf_fini(&b);
	if (e == ERR_MISSING ||
	    (e == ERR_OK && (there.in.n == 0 || there.in.p[0] == 0xc0 ||
				there.in.p[0] == 0xc2))) {
		j->look = false; /* absent, null or false: it is not there */
		back_to_queue(j);
	} else if (e != ERR_OK) {
		settle_err(j, e);
	} else {
		settle_ok(j, &there, a, "it was done before; nothing is sent");
	}
}

static void
decide(struct job *j, const struct web_answer *a)
{
	struct slice in = SLICE_EMPTY, request = SLICE_EMPTY;
	struct formula_env env;
	struct outcome o;
	struct buf mp;
	bool odd = false;
	enum err e;

	buf_init(&mp, ANSWER_MP);
	e = answer_decode(a, j->looking ? EXPECT_JSON : j->request->expect,
	    j->request->shape, &mp, &odd);
	if (e == ERR_OK)
		e = arena_copy(&j->arena, buf_all(&mp), &in);
	if (e == ERR_OK)
		e = request_of(j, a, &request);
	buf_fini(&mp);
	if (e != ERR_OK) {
		settle_err(j, e);
		return;
	}
	env = env_of(j, in, request, a->status);
	if (j->looking) {
		found_or_not(j, &env, a, odd);
		return;
	}
	outcome_of(j->request, a, odd, &env, &j->arena, &o);
	if (j->request->repeats && o.is == VERDICT_DEFER && o.after_ms == 0)
		o.after_ms = j->request->every_ms;
	if (o.is == VERDICT_OK)
		settle_ok(j, &env, a, NULL);
	else
		settle(j, o.is, o.after_ms, o.text, a, NULL);
}

static void
on_answer(void *arg, const struct web_answer *a)
{
	struct job *j = arg;
	struct far *far = j->s->far;

	j->s->running--;
	far_end(far, a, (const char *)far->system->conf->name.p);
	if (a->how == WEB_ANSWERED && a->status == 401 && !j->retried &&
	    auth_refused(far->auth, clock_mono())) {
		j->retried = true;
		back_to_queue(j);
		return;
	}
	decide(j, a);
}

/* ---- sending ---- */

static enum err
put_body(struct job *j, const struct formula_env *env, struct buf *out,
    const char **type)
{
	const struct plan_request *r = j->request;
	struct buf mp;
	enum err e = ERR_OK;

	*type = "application/json";
	switch (r->body) {
	case BODY_DATA:
		return mp_to_json(j->data, JSON_COMPACT, out);
	case BODY_TREE:
		buf_init(&mp, BODY_MAX);
		e = tree_put(&r->tree, env, &j->arena, &mp);
		if (e == ERR_OK)
			e = mp_to_json(buf_all(&mp), JSON_COMPACT, out);
		buf_fini(&mp);
		return e;
	case BODY_FORM:
		*type = "application/x-www-form-urlencoded";
		return tree_form(&r->tree, env, &j->arena, out);
	case BODY_NONE:
	default:
		*type = NULL;
		return ERR_OK;
	}
}

static void
put_line(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s: %s", name, value);
	buf_byte(out, '\0');
}

static void
digest_of(struct job *j, const char *method, struct buf *url, struct slice body)
{
	struct buf b;

	buf_init(&b, BODY_MAX + URL_MAX + 64);
	buf_printf(&b, "%s %s\n", method, buf_cstr(url));
	buf_slice(&b, body);
	sha256(buf_all(&b), j->digest);
	j->sent = buf_check(&b) == ERR_OK;
	buf_fini(&b);
}

static enum err
put_request(struct job *j, struct web_request *q, struct buf *url,
    struct buf *headers, struct buf *body)
{
	const struct plan_request *r = j->request;
	const char *type = NULL;
	struct slice request;
	struct formula_env env;
	enum err e = request_of(j, NULL, &request);

	if (e != ERR_OK)
		return e;
	env = env_of(j, j->data, request, 0);
	q->method = j->looking ? "GET" : r->method;
	e = url_put(j->looking ? &r->find_url : &r->url, &env, &j->arena, url);
	put_line(headers, "Accept",
	    j->looking || r->expect == EXPECT_JSON ? "application/json"
	    : r->expect == EXPECT_XML		   ? "application/xml, text/xml"
						   : "*/*");
	if (e == ERR_OK)
		e = headers_put(
		    r->headers, r->headers_n, &env, &j->arena, headers);
	if (e == ERR_OK && !j->looking)
		e = put_body(j, &env, body, &type);
	if (e != ERR_OK)
		return e;
	if (type != NULL)
		put_line(headers, "Content-Type", type);
	if (j->traceparent.n > 0) {
		buf_str(headers, "traceparent: ");
		buf_slice(headers, j->traceparent);
		buf_byte(headers, '\0');
	}
	if (r->idempotency.n > 0 && !j->looking) {
		buf_printf(headers, "%.*s: %.*s:%u", SLICE_ARG(r->idempotency),
		    SLICE_ARG(j->id), (unsigned)j->revision);
		buf_byte(headers, '\0');
	}
	e = buf_check(url);
	return e == ERR_OK ? buf_check(body) : e;
}

static enum err
start(struct job *j)
{
	struct far *far = j->s->far;
	struct web_request q = {.method = NULL};
	struct buf url, headers, body;
	enum err e;

	buf_init(&url, URL_MAX);
	buf_init(&headers, HEADER_BYTES);
	buf_init(&body, BODY_MAX);
	j->looking = j->look;
	e = put_request(j, &q, &url, &headers, &body);
	if (e == ERR_OK && !j->looking)
		digest_of(j, q.method, &url, buf_all(&body));
	if (e == ERR_OK)
		e = auth_put(far->auth, &headers);
	if (e == ERR_OK) {
		q.url = buf_cstr(&url);
		q.headers = buf_all(&headers);
		q.body = buf_all(&body);
		e = web_start(far->web, &q, on_answer, j);
	}
	if (headers.cap > 0)
		secret_wipe(headers.p, headers.cap);
	buf_fini(&url);
	buf_fini(&headers);
	buf_fini(&body);
	return e;
}

/* ---- taking ---- */

static void
job_free(struct job *j)
{
	arena_fini(&j->arena);
	free(j);
}

static enum err
keep(struct job *j, const struct event *e)
{
	struct buf b;
	enum err err;

	buf_init(&b, ANSWER_MP);
	mp_put_cstr(&b, "id");
	mp_put_str(&b, e->id);
	mp_put_cstr(&b, "type");
	mp_put_str(&b, e->type);
	mp_put_cstr(&b, "subject");
	mp_put_str(&b, e->subject);
	mp_put_cstr(&b, "revision");
	mp_put_uint(&b, j->revision);
	mp_put_cstr(&b, "time");
	if (e->time != 0)
		mp_put_time(&b, e->time);
	else
		mp_put_nil(&b);
	mp_put_cstr(&b, "data");
	if (e->data.n > 0)
		buf_slice(&b, e->data);
	else
		mp_put_nil(&b);
	err = buf_check(&b);
	if (err == ERR_OK)
		err = arena_copy(&j->arena, buf_all(&b), &j->base);
	buf_fini(&b);
	if (err == ERR_OK)
		err = arena_copy(&j->arena, e->id, &j->id);
	if (err == ERR_OK)
		err = arena_copy(&j->arena, e->type, &j->type);
	if (err == ERR_OK)
		err = arena_copy(&j->arena, e->subject, &j->subject);
	if (err == ERR_OK)
		err = arena_copy(&j->arena, e->data, &j->data);
	if (err == ERR_OK && trace_ok(e->traceparent))
		err = arena_copy(&j->arena, e->traceparent, &j->traceparent);
	return err;
}

static void
put_back(struct job *j, int64_t ms, const char *why)
{
	settle(j, VERDICT_DEFER, ms + (int64_t)(j->seq % 16) * SPREAD_MS / 16,
	    why, NULL, NULL);
}

/* Which request it is; settled at once when there is none to make. */
static void
choose(struct job *j, const struct delivery *d)
{
	const struct plan_send *row = plan_send(&j->s->far->plan, j->type);

	if (row == NULL) {
		settle(j, VERDICT_REJECT, 0,
		    "the pack says nothing of requests of this type", NULL,
		    NULL);
		return;
	}
	j->request = &row->request;
	if (d->event->withdrawn) {
		if (row->withdrawn == WITHDRAWN_NOTHING)
			settle(j, VERDICT_OK, 0,
			    "it was withdrawn; nothing is sent", NULL, NULL);
		else if (row->withdrawn == WITHDRAWN_ASK)
			settle(j, VERDICT_ASK, 0,
			    "it was withdrawn, and the pack does not say how "
			    "that is told (withdrawn:); take it back there by "
			    "hand, then skip this",
			    NULL, NULL);
		else
			j->request = &row->back;
	}
	j->look = j->request->finds && (d->again || d->attempt > 1);
}

void
sender_take(struct sender *s, const struct delivery *d)
{
	struct job *j = calloc(1, sizeof(*j));
	int64_t now = clock_mono();
	struct settled v = {.is = SETTLE_RETRY,
	    .text = "no memory for it",
	    .remote = SLICE_EMPTY,
	    .digest = SLICE_EMPTY,
	    .excerpt = SLICE_EMPTY};
	enum err e;

	if (j == NULL) {
		sdk_settle(s->far->sdk, d->seq, &v);
		return;
	}
	j->s = s;
	j->seq = d->seq;
	j->attempt = d->attempt;
	j->revision = d->event->revision > 0 ? d->event->revision : 1;
	j->asked_at = d->event->recordedtime != 0 ? d->event->recordedtime
						  : d->event->time;
	j->traceparent = SLICE_EMPTY;
	j->remote = SLICE_EMPTY;
	j->extend_at = now + EXTEND_NS;
	arena_init(&j->arena, JOB_BYTES);
	e = keep(j, d->event);
	if (e != ERR_OK)
		settle_err(j, e);
	else
		choose(j, d);
	if (j->state == JOB_QUEUED && s->draining)
		put_back(j, SPREAD_MS, "the connector ends");
	if (j->state == JOB_OVER) {
		job_free(j);
		return;
	}
	*s->last = j;
	s->last = &j->next;
	s->n++;
}

/* ---- the step ---- */

/* False: nothing further can begin now. */
static bool
begin(struct sender *s, struct job *j, int64_t now, int *next_ms)
{
	struct far *far = s->far;
	int64_t ms = 0;
	enum err e;

	switch (gate_ask(&far->gate, now, &ms)) {
	case GATE_SHUT:
	case GATE_WAIT:
		if (ms < *next_ms)
			*next_ms = (int)ms;
		return false;
	case GATE_GO:
		break;
	}
	switch (auth_ask(far->auth, now, &ms)) {
	case AUTH_WAITS:
		return false;
	case AUTH_FAILS:
		put_back(j, ms, auth_why(far->auth));
		gate_hold(&far->gate, now, ms);
		return true;
	case AUTH_READY:
		break;
	}
	e = start(j);
	if (e == ERR_CONFIG) {
		char why[600];

		(void)snprintf(why, sizeof(why), "%s", err_last());
		put_back(j, MEND_MS, why);
		gate_hold(&far->gate, now, MEND_MS);
	} else if (e != ERR_OK) {
		settle_err(j, e);
	} else {
		gate_begin(&far->gate, now);
		j->state = JOB_RUNNING;
		s->running++;
	}
	return true;
}

static void
sweep(struct sender *s)
{
	struct job **at = &s->first;

	while (*at != NULL) {
		struct job *j = *at;

		if (j->state != JOB_OVER) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		s->n--;
		job_free(j);
	}
	s->last = at;
}

void
sender_step(struct sender *s, int *next_ms)
{
	int64_t now = clock_mono();
	bool go = true;

	for (struct job *j = s->first; j != NULL; j = j->next) {
		if (go && j->state == JOB_QUEUED)
			go = begin(s, j, now, next_ms);
		if (j->state != JOB_OVER && now >= j->extend_at) {
			sdk_extend(s->far->sdk, j->seq);
			j->extend_at = now + EXTEND_NS;
		}
	}
	sweep(s);
}

bool
sender_drain(struct sender *s)
{
	s->draining = true;
	for (struct job *j = s->first; j != NULL; j = j->next)
		if (j->state == JOB_QUEUED)
			put_back(j, SPREAD_MS, "the connector ends");
	sweep(s);
	return s->n == 0;
}

enum err
sender_open(struct sender **out, struct far *far)
{
	struct sender *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_note(ERR_NOMEM, "the connector");
	s->far = far;
	s->last = &s->first;
	*out = s;
	return ERR_OK;
}

void
sender_close(struct sender *s)
{
	struct job *next;

	if (s == NULL)
		return;
	for (struct job *j = s->first; j != NULL; j = next) {
		next = j->next;
		job_free(j);
	}
	free(s);
}
