/* plan - see plan.h. */
#include "connectors/http/plan.h"

#define SEC_NS INT64_C(1000000000)
#define SEND_ROOTS (FORMULA_IN | FORMULA_SETTINGS | FORMULA_REQUEST)
#define ANSWER_ROOTS (SEND_ROOTS | FORMULA_STATUS)
#define POLL_ROOTS (FORMULA_IN | FORMULA_SETTINGS)

static const char *const verbs[] = {
    "get", "post", "put", "patch", "delete", NULL};
static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

struct loader {
	struct text_in in;
	struct plan *plan;
	struct doors doors;
};

bool
plan_wanted(const struct pack *p)
{
	if (pack_section(p, "poll") != NULL)
		return true;
	for (size_t i = 0; i < p->sends_n; i++)
		for (size_t k = 0; verbs[k] != NULL; k++)
			if (yaml_get(p->sends[i].node, verbs[k]) != NULL)
				return true;
	return false;
}

static const struct formula *
need(struct loader *l, const struct yaml *y, const char *key, unsigned roots,
    bool secrets)
{
	const struct yaml *v = yaml_get(y, key);

	if (v == NULL)
		fault(
		    l->in.at.f, l->in.at.file, y, "`%s` is missing here", key);
	return text_formula(&l->in, v, roots, NULL, secrets);
}

/* ---- auth, limits ---- */

static void
load_auth(struct loader *l, const struct yaml *y)
{
	static const char *const schemes[] = {
	    "basic", "bearer", "header", "oauth2", NULL};
	static const char *const known[][8] = {
	    {"scheme", "user", "password", NULL}, {"scheme", "token", NULL},
	    {"scheme", "name", "value", NULL},
	    {"scheme", "token_url", "id", "secret", "scope", "in", NULL}};
	static const char *const places[] = {"header", "body", NULL};
	const unsigned s = FORMULA_SETTINGS;
	struct plan_auth *a = &l->plan->auth;
	const struct yaml *scheme = yaml_get(y, "scheme");
	int w;

	a->name = SLICE_EMPTY;
	if (y == NULL || !yaml_want(&l->in.at, y, YAML_MAP, "auth"))
		return;
	if (scheme == NULL)
		fault(l->in.at.f, l->in.at.file, y,
		    "auth: scheme: basic, bearer, header or oauth2");
	w = yaml_word(&l->in.at, scheme, schemes, "scheme");
	if (w < 0 || !yaml_known(&l->in.at, y, known[w], "this scheme of auth"))
		return;
	a->scheme = (enum auth_scheme)(w + 1);
	switch (w) {
	case 0:
		a->user = need(l, y, "user", s, true);
		a->password = need(l, y, "password", s, true);
		return;
	case 1:
		a->token = need(l, y, "token", s, true);
		return;
	case 2:
		a->token = need(l, y, "value", s, true);
		a->name = yaml_text(&l->in.at, yaml_get(y, "name"), "name");
		if (a->name.n == 0)
			fault(l->in.at.f, l->in.at.file, y,
			    "auth: name: the header that carries it");
		return;
	default:
		a->token_url = need(l, y, "token_url", s, false);
		a->user = need(l, y, "id", s, true);
		a->password = need(l, y, "secret", s, true);
		a->scope =
		    text_formula(&l->in, yaml_get(y, "scope"), s, NULL, false);
		a->in_body =
		    yaml_word(&l->in.at, yaml_get(y, "in"), places, "in") == 1;
	}
}

/* "5" or "0.5" a second, as the time between two. */
static void
load_rate(struct loader *l, const struct yaml *y)
{
	struct slice s = yaml_text(&l->in.at, y, "per_second");
	int64_t milli = 0, scale = 1000;
	bool point = false, bad = s.n == 0 || s.n > 7;

	if (y == NULL)
		return;
	for (size_t i = 0; i < s.n && !bad; i++) {
		if (s.p[i] == '.' && !point) {
			point = true;
		} else if (s.p[i] >= '0' && s.p[i] <= '9' && scale > 1) {
			if (point)
				scale /= 10;
			milli = milli * 10 + (s.p[i] - '0');
		} else {
			bad = true;
		}
	}
	milli *= scale;
	if (bad || milli < 10 || milli > 1000000) {
		fault(l->in.at.f, l->in.at.file, y,
		    "per_second: a number from 0.01 to 1000");
		return;
	}
	l->plan->limits.interval_ns = 1000 * SEC_NS / milli;
}

static void
load_limits(struct loader *l, const struct yaml *y)
{
	static const char *const known[] = {"per_second", "parallel", "timeout",
	    "connect", "failures", "pause", "answer", NULL};
	int64_t timeout = 30 * SEC_NS, connect = 10 * SEC_NS,
		pause = 30 * SEC_NS;
	struct plan_limits *m = &l->plan->limits;

	*m = (struct plan_limits){
	    .parallel = 4, .failures = 5, .answer_max = 4 * 1024 * 1024};
	if (y != NULL && yaml_known(&l->in.at, y, known, "limits")) {
		load_rate(l, yaml_get(y, "per_second"));
		(void)text_number(&l->in, yaml_get(y, "parallel"), "parallel",
		    1, 16, &m->parallel);
		(void)text_number(&l->in, yaml_get(y, "failures"), "failures",
		    1, 100, &m->failures);
		(void)text_number(&l->in, yaml_get(y, "answer"), "answer", 1024,
		    m->answer_max, &m->answer_max);
		(void)text_duration(
		    &l->in, yaml_get(y, "timeout"), "timeout", &timeout);
		(void)text_duration(
		    &l->in, yaml_get(y, "connect"), "connect", &connect);
		(void)text_duration(
		    &l->in, yaml_get(y, "pause"), "pause", &pause);
		if (timeout > 90 * SEC_NS)
			fault(l->in.at.f, l->in.at.file, yaml_get(y, "timeout"),
			    "timeout: at most 90s, so that a delivery is "
			    "settled within its patience");
	}
	m->timeout_ms = timeout / 1000000;
	m->connect_ms = connect / 1000000;
	m->pause_ms = pause / 1000000;
}

/* ---- send ---- */

static void
load_outcome(struct loader *l, const struct yaml *y, struct plan_request *r)
{
	static const char *const words[] = {
	    "ok", "retry", "defer", "reject", "ask", NULL};
	static const char *const row[] = {
	    "ok", "retry", "defer", "reject", "ask", "text", NULL};
	bool list = y != NULL && y->kind == YAML_LIST;

	if (y == NULL)
		return;
	if (!list && !yaml_known(&l->in.at, y, words, "outcome"))
		return;
	if (y->count > PLAN_OUTCOMES) {
		fault(l->in.at.f, l->in.at.file, y, "outcome: at most %d rows",
		    PLAN_OUTCOMES);
		return;
	}
	for (const struct yaml *c = y->child; c != NULL; c = c->next) {
		struct plan_outcome *o = &r->outcomes[r->outcomes_n];
		const struct yaml *when = c;
		int w = -1, n = 0;

		if (list) {
			if (!yaml_known(&l->in.at, c, row, "a row of outcome"))
				continue;
			o->text = text_formula(&l->in, yaml_get(c, "text"),
			    ANSWER_ROOTS, NULL, false);
			for (int i = 0; i < 5; i++)
				if (yaml_get(c, words[i]) != NULL) {
					when = yaml_get(c, words[i]);
					w = i;
					n++;
				}
			if (n != 1) {
				fault(l->in.at.f, l->in.at.file, c,
				    "a row of outcome has one of ok, retry, "
				    "defer, reject, ask");
				continue;
			}
		} else {
			w = yaml_word(&l->in.at, c->key, words, "outcome");
		}
		o->is = w > 0 ? (enum plan_verdict)w : VERDICT_OK;
		o->when = text_formula(&l->in, when, ANSWER_ROOTS, NULL, false);
		r->outcomes_n++;
	}
}

static void
load_find(struct loader *l, const struct yaml *y, const struct schema_field *in,
    struct plan_request *r)
{
	static const char *const known[] = {"get", "as", NULL};

	if (y == NULL || !yaml_known(&l->in.at, y, known, "find"))
		return;
	r->finds = true;
	if (yaml_get(y, "get") == NULL)
		fault(l->in.at.f, l->in.at.file, y,
		    "find: get: where to look for what was sent before");
	else
		(void)url_load(
		    &l->in, yaml_get(y, "get"), SEND_ROOTS, in, &r->find_url);
	r->find_as = need(l, y, "as", ANSWER_ROOTS, false);
}

static void
load_answer(struct loader *l, const struct yaml *y, struct plan_request *r)
{
	static const char *const known[] = {
	    "type", "id", "subject", "data", NULL};
	const struct pack *p = l->in.pack;
	const struct yaml *type = yaml_get(y, "type");

	if (y == NULL || !yaml_known(&l->in.at, y, known, "answer"))
		return;
	r->answers = true;
	r->answer_type = yaml_text(&l->in.at, type, "type");
	if (type == NULL)
		fault(l->in.at.f, l->in.at.file, y, "answer: type is missing");
	else if (!pack_owns(p->name, r->answer_type))
		fault(l->in.at.f, l->in.at.file, type,
		    "type: events of this pack begin with \"%.*s.\"",
		    SLICE_ARG(p->name));
	else if (pack_sends(p, r->answer_type) != NULL)
		fault(l->in.at.f, l->in.at.file, type,
		    "\"%.*s\" is a request; an answer is an event",
		    SLICE_ARG(r->answer_type));
	r->answer_id =
	    text_formula(&l->in, yaml_get(y, "id"), ANSWER_ROOTS, NULL, false);
	r->answer_subject = text_formula(
	    &l->in, yaml_get(y, "subject"), ANSWER_ROOTS, NULL, false);
	r->answer_data = text_formula(
	    &l->in, yaml_get(y, "data"), ANSWER_ROOTS, NULL, false);
}

static void
load_repeat(struct loader *l, const struct yaml *y, struct plan_request *r)
{
	static const char *const known[] = {"every", "until", "for", NULL};
	int64_t every = 0;

	if (y == NULL || !yaml_known(&l->in.at, y, known, "repeat"))
		return;
	r->repeats = true;
	r->for_ns = 60 * 86400 * SEC_NS;
	if (yaml_get(y, "every") == NULL)
		fault(l->in.at.f, l->in.at.file, y,
		    "repeat: every: how long it is until it is asked again");
	(void)text_duration(&l->in, yaml_get(y, "every"), "every", &every);
	(void)text_duration(&l->in, yaml_get(y, "for"), "for", &r->for_ns);
	if (every > 86400 * SEC_NS)
		fault(l->in.at.f, l->in.at.file, yaml_get(y, "every"),
		    "every: at most 24h");
	r->every_ms = every / 1000000;
	r->until = need(l, y, "until", ANSWER_ROOTS, false);
	if (r->method != NULL && strcmp(r->method, "GET") != 0)
		fault(l->in.at.f, l->in.at.file, y,
		    "only a `get` is repeated: all else changes something");
}

static void
load_body(struct loader *l, const struct yaml *y, const struct schema_field *in,
    struct plan_request *r)
{
	const struct yaml *body = yaml_get(y, "body");
	const struct yaml *form = yaml_get(y, "form");

	if (body != NULL && form != NULL)
		fault(l->in.at.f, l->in.at.file, form,
		    "`body` and `form` exclude each other");
	if (form != NULL && yaml_want(&l->in.at, form, YAML_MAP, "form")) {
		r->body = BODY_FORM;
		for (const struct yaml *c = form->child; c != NULL; c = c->next)
			(void)yaml_want(
			    &l->in.at, c, YAML_SCALAR, "a field of a form");
		(void)tree_load(&l->in, form, SEND_ROOTS, in, &r->tree);
	} else if (body != NULL && yaml_is(body, "json")) {
		r->body = BODY_DATA;
	} else if (body != NULL) {
		r->body = BODY_TREE;
		(void)tree_load(&l->in, body, SEND_ROOTS, in, &r->tree);
	}
	if (r->body != BODY_NONE && r->method != NULL &&
	    (strcmp(r->method, "GET") == 0 || strcmp(r->method, "DELETE") == 0))
		fault(l->in.at.f, l->in.at.file, body != NULL ? body : form,
		    "%s has no body", r->method);
}

static void
load_request(struct loader *l, const struct yaml *y,
    const struct schema_field *in, struct plan_request *r)
{
	static const char *const expects[] = {"json", "text", "xml", NULL};
	const struct yaml *key = yaml_get(y, "idempotency");
	size_t n = 0;
	int w;

	r->url.shown = r->idempotency = r->answer_type = SLICE_EMPTY;
	for (size_t i = 0; verbs[i] != NULL; i++) {
		const struct yaml *url = yaml_get(y, verbs[i]);

		if (url == NULL)
			continue;
		n++;
		r->method = methods[i];
		(void)url_load(&l->in, url, SEND_ROOTS, in, &r->url);
	}
	if (n != 1)
		fault(l->in.at.f, l->in.at.file, y,
		    "one of get, post, put, patch and delete says what is "
		    "asked of which URL");
	(void)headers_load(&l->in, yaml_get(y, "headers"), SEND_ROOTS, in,
	    &r->headers, &r->headers_n);
	load_body(l, y, in, r);
	w = yaml_word(&l->in.at, yaml_get(y, "expect"), expects, "expect");
	r->expect = w > 0 ? (enum plan_expect)w : EXPECT_JSON;
	r->idempotency = yaml_text(&l->in.at, key, "idempotency");
	load_outcome(l, yaml_get(y, "outcome"), r);
	r->remote = text_formula(
	    &l->in, yaml_get(y, "remote"), ANSWER_ROOTS, NULL, false);
	load_find(l, yaml_get(y, "find"), in, r);
	load_answer(l, yaml_get(y, "answer"), r);
	if (r->answers)
		r->shape = pack_schema(l->in.pack, r->answer_type);
	load_repeat(l, yaml_get(y, "repeat"), r);
}

static void
load_send(struct loader *l, const struct pack_send *from)
{
	static const char *const back[] = {"get", "post", "put", "patch",
	    "delete", "headers", "body", "form", "expect", "idempotency",
	    "outcome", "remote", NULL};
	static const char *const nothing[] = {"nothing", NULL};
	struct plan_send *s = &l->plan->sends[l->plan->sends_n];
	const struct schema *schema = pack_schema(l->in.pack, from->type);
	const struct schema_field *in = schema != NULL ? &schema->root : NULL;
	const struct yaml *w = yaml_get(from->node, "withdrawn");

	if (from->node->kind != YAML_MAP)
		return;
	if (yaml_get(from->node, "write") != NULL) {
		fault(l->in.at.f, l->in.at.file, from->node,
		    "a pack is spoken to over HTTP or writes files, not both: "
		    "`write` beside rows with get, post, put, patch or delete, "
		    "or beside `poll`");
		return;
	}
	l->plan->sends_n++;
	s->type = from->type;
	if (from->revised == SEND_REVERSE)
		fault(l->in.at.f, l->in.at.file,
		    yaml_get(from->node, "revised"),
		    "a request over HTTP is not reversed: send, ask or never");
	load_request(l, from->node, in, &s->request);
	if (w == NULL)
		return;
	s->withdrawn = w->kind == YAML_MAP ? WITHDRAWN_SEND : WITHDRAWN_NOTHING;
	if (w->kind != YAML_MAP)
		(void)yaml_word(&l->in.at, w, nothing, "withdrawn");
	else if (yaml_known(&l->in.at, w, back, "withdrawn"))
		load_request(l, w, in, &s->back);
}

/* ---- poll ---- */

static void
load_cursor(struct loader *l, const struct yaml *y, struct plan_poll *p)
{
	static const char *const known[] = {"field", "overlap", "start", NULL};

	p->overlap_ns = 120 * SEC_NS;
	p->start_ns = 86400 * SEC_NS;
	if (y == NULL || !yaml_known(&l->in.at, y, known, "cursor"))
		return;
	p->cursored = true;
	p->field = need(l, y, "field", SEND_ROOTS, true);
	(void)text_duration(
	    &l->in, yaml_get(y, "overlap"), "overlap", &p->overlap_ns);
	(void)text_duration(
	    &l->in, yaml_get(y, "start"), "start", &p->start_ns);
}

static void
load_pages(struct loader *l, const struct yaml *y, struct plan_poll *p)
{
	static const char *const known[] = {"param", "first", "size", NULL};
	static const char *const words[] = {"link", NULL};

	p->param = SLICE_EMPTY;
	p->first = 1;
	if (y == NULL)
		return;
	if (y->kind == YAML_SCALAR) {
		if (yaml_word(&l->in.at, y, words, "pages") == 0)
			p->pages = PAGES_LINK;
		return;
	}
	if (!yaml_known(&l->in.at, y, known, "pages"))
		return;
	p->pages = PAGES_PARAM;
	p->param = yaml_text(&l->in.at, yaml_get(y, "param"), "param");
	if (p->param.n == 0 || yaml_get(y, "size") == NULL)
		fault(l->in.at.f, l->in.at.file, y,
		    "pages: `link`, or {param: NAME, size: how many items a "
		    "full page has}");
	(void)text_number(
	    &l->in, yaml_get(y, "first"), "first", 0, 1, &p->first);
	(void)text_number(
	    &l->in, yaml_get(y, "size"), "size", 1, 10000, &p->size);
}

/* "as" names a row of `receive`; `event` is one of the poll's own. */
static void
load_event(struct loader *l, const struct yaml *y, struct plan_poll *p)
{
	const struct yaml *as = yaml_get(y, "as");
	const struct yaml *event = yaml_get(y, "event");
	const char *near = NULL;
	struct slice topic;

	if ((as == NULL) == (event == NULL)) {
		fault(l->in.at.f, l->in.at.file, y,
		    "a poll says what its items are: `as` a row of receive, "
		    "or an `event` of its own");
		return;
	}
	if (event != NULL) {
		struct door_row *row = arena_alloc(l->in.a, sizeof(*row));

		if (row == NULL)
			return;
		door_row_load(row, l->in.pack, event, l->in.a, l->in.at.f);
		p->row = row;
		return;
	}
	topic = yaml_text(&l->in.at, as, "as");
	for (size_t i = 0; i < l->doors.n; i++) {
		const struct door *d = &l->doors.v[i];

		for (size_t k = 0; k < d->rows_n; k++) {
			const char *names[] = {
			    (const char *)d->rows[k].topic.p, NULL};

			if (slice_eq(d->rows[k].topic, topic) && p->row == NULL)
				p->row = &d->rows[k];
			else if (near == NULL && d->rows[k].topic.n > 0)
				near = yaml_nearest(topic, names);
		}
	}
	if (p->row == NULL)
		fault(l->in.at.f, l->in.at.file, as,
		    "no row of receive is called \"%.*s\"%s%s%s",
		    SLICE_ARG(topic), near != NULL ? "; did you mean \"" : "",
		    near != NULL ? near : "", near != NULL ? "\"?" : "");
}

static void
load_poll(struct loader *l, const struct yaml *y)
{
	static const char *const known[] = {"name", "every", "get", "headers",
	    "items", "cursor", "pages", "as", "event", NULL};
	struct plan_poll *p = &l->plan->polls[l->plan->polls_n];
	const struct yaml *cursor = yaml_get(y, "cursor");
	const struct yaml *get = yaml_get(y, "get");
	int64_t every = 300 * SEC_NS;
	bool reads = false;

	if (!yaml_known(&l->in.at, y, known, "a poll"))
		return;
	l->plan->polls_n++;
	p->name = yaml_text(&l->in.at, yaml_get(y, "name"), "name");
	if (p->name.n == 0 || p->name.n > 64)
		fault(l->in.at.f, l->in.at.file, y,
		    "a poll needs a name of at most 64 bytes");
	for (size_t i = 0; i + 1 < l->plan->polls_n; i++)
		if (slice_eq(l->plan->polls[i].name, p->name))
			fault(l->in.at.f, l->in.at.file, yaml_get(y, "name"),
			    "two polls with one name");
	(void)text_duration(&l->in, yaml_get(y, "every"), "every", &every);
	p->every_ms = every / 1000000;
	p->url.shown = SLICE_EMPTY;
	if (get == NULL)
		fault(l->in.at.f, l->in.at.file, y, "a poll needs `get`");
	else
		(void)url_load(&l->in, get, POLL_ROOTS, NULL, &p->url);
	reads = memmem(p->url.shown.p, p->url.shown.n, "cursor", 6) != NULL;
	(void)headers_load(&l->in, yaml_get(y, "headers"), POLL_ROOTS, NULL,
	    &p->headers, &p->headers_n);
	p->items =
	    text_formula(&l->in, yaml_get(y, "items"), SEND_ROOTS, NULL, false);
	load_cursor(l, cursor, p);
	if (reads != (cursor != NULL) && get != NULL)
		fault(l->in.at.f, l->in.at.file, cursor != NULL ? cursor : get,
		    reads ? "`get` asks since {cursor}: say cursor: {field: "
			    "...}"
			  : "`get` does not ask since {cursor}");
	load_pages(l, yaml_get(y, "pages"), p);
	load_event(l, y, p);
}

static void
load_polls(struct loader *l, const struct yaml *y)
{
	if (y == NULL || !yaml_want(&l->in.at, y, YAML_LIST, "poll"))
		return;
	if (y->count > PLAN_POLLS)
		fault(l->in.at.f, l->in.at.file, y, "poll: at most %d",
		    PLAN_POLLS);
	else
		for (const struct yaml *c = y->child; c != NULL; c = c->next)
			load_poll(l, c);
}

enum err
plan_load(
    const struct pack *p, struct arena *a, struct faults *f, struct plan *out)
{
	struct loader l = {.in = {{p->file, f}, p, a}, .plan = out};
	struct faults said;
	size_t before = f->count;

	memset(out, 0, sizeof(*out));
	out->sends = arena_alloc(a, (p->sends_n + 1) * sizeof(*out->sends));
	out->polls = arena_alloc(a, PLAN_POLLS * sizeof(*out->polls));
	if (out->sends == NULL || out->polls == NULL)
		return err_note(ERR_LIMIT, "%s is too large", p->file);
	load_auth(&l, pack_section(p, "auth"));
	load_limits(&l, pack_section(p, "limits"));
	for (size_t i = 0; i < p->sends_n; i++)
		load_send(&l, &p->sends[i]);
	/* what is wrong with receive: is said by who checks doors */
	faults_init(&said);
	if (doors_load(p, a, &said, &l.doors) != ERR_OK && said.count == 0)
		fault(f, p->file, NULL, "%s", err_last());
	faults_fini(&said);
	load_polls(&l, pack_section(p, "poll"));
	return f->count == before
		   ? ERR_OK
		   : err_note(ERR_SYNTAX, "%s has faults", p->file);
}

const struct plan_send *
plan_send(const struct plan *p, struct slice type)
{
	for (size_t i = 0; i < p->sends_n; i++)
		if (slice_eq(p->sends[i].type, type))
			return &p->sends[i];
	return NULL;
}
