/*
 * http: a pack's sections for it, what answers mean, when the gate is open, the
 * cursor's file. Over the wire it is tests/e2e/test_http.py.
 */
#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/json.h"
#include "connectors/http/cursor.h"
#include "connectors/http/gate.h"
#include "connectors/http/outcome.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

#define MS NS_PER_MS

static char *dir;
static struct arena arena;
static struct faults faults;
static char said[8192];

static const char head[] = "pack: far/1\n"
			   "title: A system\n"
			   "settings:\n"
			   "  url: {type: url}\n"
			   "  key: {type: text, secret: true}\n"
			   "  shop: {type: text, default: main}\n";

static const char order[] = "schema: far.order/1\n"
			    "title: An order\n"
			    "fields:\n"
			    "  number: text\n"
			    "  total: decimal\n"
			    "  note?: text\n"
			    "  lines:\n"
			    "    items: {sku: text}\n";

static void
put(const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (file_write(path, slice_str(text), 0600) != ERR_OK)
		exit(1);
}

/* The plan of a pack of `head` and these sections; what is wrong, in `said`. */
static enum err
load(const char *sections, struct plan *plan)
{
	struct pack *p = NULL;
	char text[8192], path[512];
	enum err e;

	memset(plan, 0, sizeof(*plan));
	dir = tmp_make();
	snprintf(path, sizeof(path), "%s/far/schema", dir);
	if (dir_make(path) != ERR_OK)
		exit(1);
	snprintf(text, sizeof(text), "%s%s", head, sections);
	put("far/pack.yaml", text);
	put("far/schema/far.order.yaml", order);
	arena_init(&arena, (size_t)16 << 20);
	faults_init(&faults);
	e = pack_open(dir, SLICE_LIT("far"), &arena, &faults, &p);
	if (e == ERR_OK)
		e = plan_load(p, &arena, &faults, plan);
	snprintf(said, sizeof(said), "%s", buf_cstr(&faults.text));
	faults_fini(&faults);
	return e;
}

static void
drop(void)
{
	arena_fini(&arena);
	tmp_free(dir);
}

static struct slice
mp_of(const char *json, struct buf *b)
{
	buf_init(b, 65536);
	CHECK_OK(json_to_mp(slice_str(json), b, NULL));
	return buf_all(b);
}

/* ---- sections ---- */

T(sections_load)
{
	struct plan p;
	const struct plan_send *s;

	CHECK_OK(
	    load("auth: {scheme: basic, user: $settings.shop, password: "
		 "$settings.key}\n"
		 "limits: {per_second: 0.5, parallel: 2, pause: 2m}\n"
		 "send:\n"
		 "  far.order:\n"
		 "    post: \"/orders/{number}?shop={$settings.shop}\"\n"
		 "    body: {n: number, 'note?': note}\n"
		 "    outcome: {reject: status = 'FAILED', ok: $status = 200}\n"
		 "    revised: ask\n"
		 "    withdrawn: nothing\n"
		 "poll:\n"
		 "  - name: orders\n"
		 "    get: \"https://far.example/orders?since={cursor}\"\n"
		 "    cursor: {field: changed}\n"
		 "    pages: link\n"
		 "    event: {type: far.thing, id: \"{id}\", subject: "
		 "\"thing:{id}\"}\n",
		&p));
	CHECK_STR(said, "");
	CHECK(p.auth.scheme == AUTH_BASIC && p.auth.user != NULL);
	CHECK(p.limits.interval_ns == 2 * NS_PER_SEC);
	CHECK(p.limits.parallel == 2 && p.limits.pause_ms == 120000);
	CHECK(p.limits.failures == 5 && p.limits.timeout_ms == 30000);
	s = plan_send(&p, SLICE_LIT("far.order"));
	CHECK(s != NULL && plan_send(&p, SLICE_LIT("far.orders")) == NULL);
	if (s != NULL) {
		CHECK_STR(s->request.method, "POST");
		CHECK(s->request.outcomes_n == 2 &&
		      s->request.outcomes[0].is == VERDICT_REJECT);
		CHECK(s->request.body == BODY_TREE && !s->request.finds);
		CHECK(s->withdrawn == WITHDRAWN_NOTHING);
	}
	CHECK(p.polls_n == 1 && p.polls[0].pages == PAGES_LINK);
	CHECK(p.polls[0].every_ms == 300000 && p.polls[0].cursored);
	CHECK(p.polls[0].overlap_ns == 120 * NS_PER_SEC);
	drop();
}

T(sections_with_faults)
{
	static const char *const bad[][2] = {
	    {"limits: {per_second: 0}\n", "pack.yaml:7:22: per_second"},
	    {"limits: {timeout: 5m}\n", "at most 90s"},
	    {"limits: {parallel: 0}\n", "from 1 to 16"},
	    {"limits: {answer: 99999999}\n", "answer must be"},
	    {"auth: {user: $settings.shop}\n", "scheme"},
	    {"auth: {scheme: basic, user: $settings.shop}\n", "`password`"},
	    {"auth: {scheme: header, value: $settings.key}\n", "name"},
	    {"send:\n  far.order: {post: \"/o\", put: \"/o\", revised: send}\n",
		"one of get, post"},
	    {"send:\n  far.order: {get: \"/o\", body: json, revised: send}\n",
		"GET has no body"},
	    {"send:\n  far.order: {put: \"http:///x\", revised: send}\n",
		"a URL begins"},
	    {"send:\n  far.order: {put: \"ftp://far.example/\", revised: "
	     "send}\n",
		"a URL begins"},
	    {"send:\n  far.order: {put: \"/a b\", revised: send}\n",
		"percent-encoded"},
	    {"send:\n  far.order: {put: \"/o\", headers: {X-K: "
	     "$settings.key}, revised: send}\n",
		"key"},
	    {"send:\n  far.order: {put: \"/o\", body: {k: $settings.key}, "
	     "revised: send}\n",
		"key"},
	    {"send:\n  far.order: {put: \"/o\", find: {as: $in}, revised: "
	     "send}\n",
		"find: get"},
	    {"send:\n  far.order: {put: \"/o\", answer: {type: far.order}, "
	     "revised: send}\n",
		"is a request"},
	    {"send:\n  far.order: {put: \"/o\", outcome: [{text: \"x\"}], "
	     "revised: send}\n",
		"has one of ok"},
	    {"send:\n  far.order: {put: \"/o\", withdrawn: no, revised: "
	     "send}\n",
		"nothing"},
	    {"poll:\n  - {name: a, get: \"/x\"}\n", "`as` a row of receive"},
	    {"poll:\n  - {name: a, get: \"/x\", as: orders}\n",
		"no row of receive is called \"orders\""},
	    {"poll:\n  - {get: \"/x\", event: {type: far.t, id: id, subject: "
	     "\"t:{id}\"}}\n",
		"needs a name"},
	    {"poll:\n  - {name: a, get: \"/x?s={cursor}\", event: {type: "
	     "far.t, id: id, subject: \"t:{id}\"}}\n",
		"say cursor:"},
	    {"poll:\n  - {name: a, get: \"/x\", pages: {param: p}, event: "
	     "{type: far.t, id: id, subject: \"t:{id}\"}}\n",
		"size"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct plan p;

		CHECK(load(bad[i][0], &p) != ERR_OK);
		CHECK(strstr(said, bad[i][1]) != NULL);
		if (strstr(said, bad[i][1]) == NULL)
			fprintf(stderr, "%s -> %s", bad[i][0], said);
		drop();
	}
}

/* ---- putting together ---- */

static enum err
url_of(const char *text, const char *settings, const char *in, char out[512])
{
	char section[600];
	struct buf s, d, url;
	struct plan p;
	enum err e;

	snprintf(section, sizeof(section),
	    "send:\n  far.order: {delete: \"%s\", revised: send}\n", text);
	e = load(section, &p);
	CHECK_STR(said, "");
	out[0] = '\0';
	if (e == ERR_OK) {
		struct formula_env env = {
		    mp_of(in, &d), mp_of(settings, &s), SLICE_EMPTY, 0};

		buf_init(&url, URL_MAX);
		e = url_put(&p.sends[0].request.url, &env, &arena, &url);
		snprintf(out, 512, "%s", buf_cstr(&url));
		buf_fini(&url);
		buf_fini(&s);
		buf_fini(&d);
	}
	drop();
	return e;
}

T(urls)
{
	static const char at[] = "{\"url\": \"https://far.example/v1//\", "
				 "\"shop\": \"main\"}";
	char out[512];

	CHECK_OK(url_of("/o/{number}?q={note}", at,
	    "{\"number\": \"a/b?c#d\", \"note\": \"x&y=z ä\"}", out));
	CHECK_STR(out, "https://far.example/v1/o/"
		       "a%2Fb%3Fc%23d?q=x%26y%3Dz%20%C3%A4");
	CHECK_OK(url_of("{$settings.url}/o?a={$settings.shop}", at,
	    "{\"number\": \"1\"}", out));
	CHECK_STR(out, "https://far.example/v1/o?a=main");
	CHECK_OK(url_of("https://other.example/{if(has(note), 'a}}b', 'x')}",
	    at, "{\"number\": \"1\", \"note\": \"n\"}", out));
	CHECK_STR(out, "https://other.example/a%7Db");
	CHECK_OK(
	    url_of("{$settings.url}", "{\"url\": \"https://f.example/a/?b=c\"}",
		"{\"number\": \"1\"}", out));
	CHECK_STR(out, "https://f.example/a/?b=c");
	CHECK(url_of("/o/{number}", at, "{\"number\": \"\"}", out) != ERR_OK);
	CHECK(
	    url_of("/o/{number}/x", at, "{\"number\": \"..\"}", out) != ERR_OK);
	CHECK_OK(url_of("/o?n={number}", at, "{\"number\": \"..\"}", out));
	CHECK_ERR(url_of("/o/{number}", at, "{\"x\": 1}", out), ERR_MISSING);
	CHECK(url_of("/o/{number}", "{\"shop\": \"a\"}", "{\"number\": \"1\"}",
		  out) != ERR_OK);
	CHECK_ERR(url_of("/o/{number}",
		      "{\"url\": \"https://me:secret@far.example\"}",
		      "{\"number\": \"1\"}", out),
	    ERR_CONFIG);
	CHECK_ERR(
	    url_of("/o/{number}", "{\"url\": \"https://far.example/?a=\"}",
		"{\"number\": \"1\"}", out),
	    ERR_CONFIG);
}

T(headers_and_bodies)
{
	static const char in[] = "{\"number\": \"7\", \"total\": 79.90, "
				 "\"lines\": [{\"sku\": \"A\"}]}";
	struct buf d, b, json;
	struct plan p;

	CHECK_OK(load("send:\n"
		      "  far.order:\n"
		      "    post: \"/o\"\n"
		      "    headers: {X-N: number, X-Note: note}\n"
		      "    body:\n"
		      "      n: number\n"
		      "      total: total\n"
		      "      note?: note\n"
		      "      all: [number, {skus: \"{count(l for l in "
		      "lines)}\"}]\n"
		      "    revised: send\n",
	    &p));
	CHECK_STR(said, "");
	if (p.sends_n == 1) {
		struct plan_request *r = &p.sends[0].request;
		struct formula_env env = {
		    mp_of(in, &d), SLICE_EMPTY, SLICE_EMPTY, 0};

		buf_init(&b, 4096);
		buf_init(&json, 4096);
		CHECK_OK(
		    headers_put(r->headers, r->headers_n, &env, &arena, &b));
		CHECK(slice_eq(buf_all(&b), SLICE_LIT("X-N: 7\0")));
		buf_reset(&b);
		CHECK_OK(tree_put(&r->tree, &env, &arena, &b));
		CHECK_OK(mp_to_json(buf_all(&b), JSON_COMPACT, &json));
		CHECK_STR(buf_cstr(&json), "{\"n\":\"7\",\"total\":79.90,"
					   "\"all\":[\"7\",{\"skus\":\"1\"}]}");
		buf_fini(&d);
		d.n = 0;
		env.in = mp_of("{\"number\": \"a\\r\\nX-Evil: 1\"}", &d);
		buf_reset(&b);
		CHECK_ERR(
		    headers_put(r->headers, r->headers_n, &env, &arena, &b),
		    ERR_SYNTAX);
		buf_fini(&d);
		buf_fini(&b);
		buf_fini(&json);
	}
	drop();
}

/* ---- outcomes ---- */

static struct outcome
outcome(const char *rows, int64_t status, const char *body, enum web_how how,
    int64_t retry_ms)
{
	char section[600];
	struct web_answer a = {.how = how,
	    .why = "it is so",
	    .status = status,
	    .body = slice_str(body),
	    .retry_ms = retry_ms,
	    .url = ""};
	struct outcome o = {.is = VERDICT_ASK};
	struct buf in, request;
	struct plan p;
	bool odd = false;

	snprintf(section, sizeof(section),
	    "send:\n  far.order: {post: \"/o\", outcome: %s, revised: send}\n",
	    rows);
	CHECK_OK(load(section, &p));
	CHECK_STR(said, "");
	buf_init(&in, 65536);
	buf_init(&request, 65536);
	CHECK_OK(answer_decode(&a, EXPECT_JSON, NULL, &in, &odd));
	answer_request(SLICE_EMPTY, 0, &a, &request);
	if (p.sends_n == 1) {
		struct formula_env env = {
		    buf_all(&in), SLICE_EMPTY, buf_all(&request), status};

		outcome_of(&p.sends[0].request, &a, odd, &env, &arena, &o);
	}
	buf_fini(&in);
	buf_fini(&request);
	drop();
	return o;
}

T(outcomes_by_status)
{
	static const struct {
		int64_t status;
		enum plan_verdict is;
	} all[] = {{200, VERDICT_OK}, {201, VERDICT_OK}, {204, VERDICT_OK},
	    {301, VERDICT_REJECT}, {304, VERDICT_REJECT}, {400, VERDICT_REJECT},
	    {401, VERDICT_REJECT}, {404, VERDICT_REJECT}, {408, VERDICT_RETRY},
	    {409, VERDICT_REJECT}, {422, VERDICT_REJECT}, {429, VERDICT_DEFER},
	    {500, VERDICT_RETRY}, {503, VERDICT_RETRY}, {599, VERDICT_RETRY}};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		CHECK(
		    outcome("{ask: false}", all[i].status, "", WEB_ANSWERED, 0)
			.is == all[i].is);
	CHECK(outcome("{ask: false}", 429, "", WEB_ANSWERED, 7000).after_ms ==
	      7000);
	CHECK(outcome("{ask: false}", 503, "", WEB_ANSWERED, 7000).after_ms ==
	      7000);
	CHECK(
	    outcome("{ask: false}", 404, "", WEB_ANSWERED, 7000).after_ms == 0);
}

T(outcomes_by_rows)
{
	static const char rows[] =
	    "[{reject: status = 'FAILED', text: \"{why}\"}, {ask: $status = "
	    "409}, {ok: $status = 404}]";
	struct outcome o;

	o = outcome(rows, 200, "{\"status\": \"FAILED\", \"why\": \"none\"}",
	    WEB_ANSWERED, 0);
	CHECK(o.is == VERDICT_REJECT && strstr(o.text, "none") != NULL);
	/* the reason is absent: still a refusal */
	o = outcome(rows, 200, "{\"status\": \"FAILED\"}", WEB_ANSWERED, 0);
	CHECK(o.is == VERDICT_REJECT && strstr(o.text, "200") != NULL);
	CHECK(
	    outcome(rows, 200, "{\"status\": \"DONE\"}", WEB_ANSWERED, 0).is ==
	    VERDICT_OK);
	CHECK(outcome(rows, 200, "{}", WEB_ANSWERED, 0).is == VERDICT_OK);
	CHECK(outcome(rows, 409, "<html>", WEB_ANSWERED, 0).is == VERDICT_ASK);
	o = outcome(rows, 404, "", WEB_ANSWERED, 0);
	CHECK(o.is == VERDICT_OK && o.text[0] == '\0');
	/* 2xx that is no JSON is never ok, whatever the rows say */
	CHECK(outcome("{ok: true}", 200, "<html>", WEB_ANSWERED, 0).is ==
	      VERDICT_RETRY);
	/* what cannot be told is not taken for done */
	o = outcome("{reject: int(status) > 1}", 200, "{\"status\": \"x\"}",
	    WEB_ANSWERED, 0);
	CHECK(
	    o.is == VERDICT_REJECT && strstr(o.text, "cannot be told") != NULL);
}

T(outcomes_without_an_answer)
{
	CHECK(outcome("{ok: true}", 0, "", WEB_AWAY, 0).is == VERDICT_RETRY);
	CHECK(outcome("{ok: true}", 0, "", WEB_BAD_TLS, 0).is == VERDICT_RETRY);
	CHECK(outcome("{ok: true}", 0, "", WEB_PRIVATE, 0).is == VERDICT_DEFER);
	CHECK(
	    outcome("{ok: true}", 200, "", WEB_LARGE, 0).is == VERDICT_REJECT);
	CHECK(outcome("{ok: true}", 500, "", WEB_LARGE, 0).is == VERDICT_RETRY);
}

/* ---- the gate ---- */

static const struct plan_limits limits = {.interval_ns = 100 * MS,
    .parallel = 2,
    .timeout_ms = 1000,
    .failures = 3,
    .pause_ms = 5000};

T(gate_rate_and_parallel)
{
	struct gate g;
	int64_t ms, now = NS_PER_SEC;

	gate_init(&g, &limits);
	CHECK(gate_ask(&g, now, &ms) == GATE_GO);
	gate_begin(&g, now);
	CHECK(gate_ask(&g, now, &ms) == GATE_WAIT && ms == 100);
	now += 100 * MS;
	CHECK(gate_ask(&g, now, &ms) == GATE_GO);
	gate_begin(&g, now);
	now += 500 * MS;
	CHECK(gate_ask(&g, now, &ms) == GATE_WAIT && ms == INT64_MAX);
	CHECK(!gate_end(&g, now, GATE_WORKED));
	CHECK(gate_ask(&g, now, &ms) == GATE_GO);
	gate_hold(&g, now, 2000);
	CHECK(gate_ask(&g, now, &ms) == GATE_SHUT && ms == 2000);
	CHECK(gate_ask(&g, now + 2000 * MS, &ms) == GATE_GO);
}

static void
fail(struct gate *g, int64_t now)
{
	gate_begin(g, now);
	(void)gate_end(g, now, GATE_FAILED);
}

T(gate_breaker)
{
	struct gate g;
	int64_t ms, now = NS_PER_SEC;

	gate_init(&g, &limits);
	fail(&g, now);
	fail(&g, now);
	gate_begin(&g, now);
	CHECK(!gate_end(&g, now, GATE_WORKED)); /* in a row, not in all */
	fail(&g, now);
	fail(&g, now);
	CHECK(g.open_until == 0);
	gate_begin(&g, now);
	gate_begin(&g, now); /* one more is out when it shuts */
	CHECK(gate_end(&g, now, GATE_FAILED));
	CHECK(gate_ask(&g, now, &ms) == GATE_SHUT && ms == 5000);
	CHECK(!gate_end(&g, now, GATE_FAILED));
	CHECK(g.pauses == 1);
	now += 5000 * MS;
	CHECK(gate_ask(&g, now, &ms) == GATE_GO);
	gate_begin(&g, now);
	now += 200 * MS;
	CHECK(gate_ask(&g, now, &ms) == GATE_SHUT); /* one is enough */
	CHECK(gate_end(&g, now, GATE_FAILED));
	CHECK(gate_ask(&g, now, &ms) == GATE_SHUT && ms == 10000);
	now += 10000 * MS;
	gate_begin(&g, now);
	(void)gate_end(&g, now, GATE_ABORTED); /* says nothing: another one */
	now += 200 * MS;
	CHECK(gate_ask(&g, now, &ms) == GATE_GO);
	gate_begin(&g, now);
	CHECK(gate_end(&g, now, GATE_WORKED));
	now += 200 * MS;
	CHECK(gate_ask(&g, now, &ms) == GATE_GO);
	CHECK(g.running == 0);
}

/* ---- the rest ---- */

T(same_host)
{
	static const struct {
		const char *from, *to;
		bool same;
	} all[] = {
	    {"https://a.example/x", "https://a.example/y?z", true},
	    {"https://a.example/x", "https://A.EXAMPLE:443/y", true},
	    {"https://a.example/x", "http://a.example/y", false},
	    {"https://a.example/x", "https://a.example:444/y", false},
	    {"https://a.example/x", "https://a.example.evil/y", false},
	    {"https://a.example/x", "https://a.example@evil/y", false},
	    {"https://a.example/x", "https://u:p@a.example/y", false},
	    {"https://a.example/x", "file:///etc/passwd", false},
	    {"https://a.example/x", "nonsense", false},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		CHECK(web_same_host(all[i].from, all[i].to) == all[i].same);
}

T(resolved)
{
	static const char *const all[][2] = {
	    {"/b?p=2", "https://a.example/b?p=2"},
	    {"?p=2", "https://a.example/x/y?p=2"},
	    {"//b.example/", "https://b.example/"},
	    {"https://a.example/z", "https://a.example/z"}};
	char *got;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		got = web_resolve("https://a.example/x/y?q=1", all[i][0]);
		CHECK_STR(got != NULL ? got : "", all[i][1]);
		free(got);
	}
}

T(cursor_file)
{
	char *folder = tmp_make(), path[512];
	struct cursors c;
	int keep;

	CHECK_OK(cursors_open(&c, folder, SLICE_LIT("shop")));
	CHECK(cursors_add(&c, SLICE_LIT("orders")) == 0);
	CHECK(cursors_add(&c, SLICE_LIT("it's \"odd\"")) == 1);
	CHECK(c.v[0].at == INT64_MIN);
	c.v[0].at = INT64_C(1767225600) * NS_PER_SEC + 250 * MS;
	CHECK_OK(cursors_save(&c));
	c.v[1].at = INT64_C(1767225601) * NS_PER_SEC;
	CHECK_OK(cursors_save(&c));
	cursors_close(&c);
	CHECK_OK(cursors_open(&c, folder, SLICE_LIT("shop")));
	(void)cursors_add(&c, SLICE_LIT("it's \"odd\""));
	(void)cursors_add(&c, SLICE_LIT("orders"));
	(void)cursors_add(&c, SLICE_LIT("new"));
	CHECK(c.v[0].at == INT64_C(1767225601) * NS_PER_SEC);
	CHECK(c.v[1].at == INT64_C(1767225600) * NS_PER_SEC + 250 * MS);
	CHECK(c.v[2].at == INT64_MIN);
	cursors_close(&c);
	snprintf(path, sizeof(path), "%s/connectors/shop.json", folder);
	CHECK_OK(file_write(path, SLICE_LIT("{\"polls\": {\"or"), 0600));
	keep = tmp_quiet();
	CHECK_OK(cursors_open(&c, folder, SLICE_LIT("shop")));
	(void)cursors_add(&c, SLICE_LIT("orders"));
	tmp_loud(keep);
	CHECK(c.v[0].at == INT64_MIN);
	cursors_close(&c);
	tmp_free(folder);
}

T_MAIN(T_RUN(sections_load) T_RUN(sections_with_faults) T_RUN(urls)
	T_RUN(headers_and_bodies) T_RUN(outcomes_by_status)
	    T_RUN(outcomes_by_rows) T_RUN(outcomes_without_an_answer)
		T_RUN(gate_rate_and_parallel) T_RUN(gate_breaker)
		    T_RUN(same_host) T_RUN(resolved) T_RUN(cursor_file))
