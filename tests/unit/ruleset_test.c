/* ruleset: routes, scopes, requests, rows, cycles and the hash. */
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "mappings/engine/bundle.h"
#include "mappings/engine/ruleset.h"
#include "tests/unit/t.h"

static char dir[64], said[16384];

#define HAS(part)                                                         \
	do {                                                              \
		if (strstr(said, part) == NULL) {                         \
			t_bad++;                                          \
			fprintf(stderr, "%s:%d: \"%s\" is not in:\n%s\n", \
			    __FILE__, __LINE__, part, said);              \
		}                                                         \
	} while (0)
#define S(x) SLICE_LIT(x)

static const char *
path(const char *name)
{
	static char p[256];

	snprintf(p, sizeof(p), "%s/%s", dir, name);
	return p;
}

static void
put(const char *name, const char *text)
{
	char folder[256];

	snprintf(folder, sizeof(folder), "%s", path(name));
	*strrchr(folder, '/') = '\0';
	CHECK_OK(dir_make(folder));
	CHECK_OK(file_write(path(name), slice_str(text), 0600));
}

/* A shop whose orders become canonical, and books that post them. */
static void
packs(void)
{
	put("packs/canonical/order.placed.yaml",
	    "schema: order.placed/1\nsubject: {kind: order, scope: system}\n"
	    "fields: {number: text, method: text, zone_day?: date}\n");
	put("packs/canonical/stock.changed.yaml",
	    "schema: stock.changed/1\nsubject: {kind: sku, scope: house}\n"
	    "fields: {sku: text}\n");
	put("packs/shop/pack.yaml",
	    "pack: shop/1\nsettings: {key: {type: text, secret: true}, zone: "
	    "{type: zone, default: Europe/Helsinki}}\n"
	    "send: {shop.stock: {revised: never, spent: skip}}\n");
	put("packs/shop/schema/shop.order.yaml",
	    "schema: shop.order/1\nopen: true\nfields: {id: text, pay: "
	    "text}\n");
	put("packs/shop/schema/shop.stock.yaml",
	    "schema: shop.stock/1\nfields: {sku: text}\n");
	put("packs/shop/stock.map.yaml", "map: shop.stock/1\n"
					 "from: stock.changed\n"
					 "emit:\n"
					 "  - type: shop.stock\n"
					 "    id: \"{$event.id}\"\n"
					 "    data: {sku: sku}\n");
	put("packs/books/pack.yaml",
	    "pack: books/1\nsettings: {}\n"
	    "send: {books.post: {revised: reverse}}\n");
	put("packs/books/schema/books.post.yaml",
	    "schema: books.post/1\nfields: {account: text, rate: decimal, "
	    "number: text}\n");
	put("packs/books/post.map.yaml",
	    "map: books.post/1\n"
	    "from: order.placed\n"
	    "tables:\n"
	    "  account:\n"
	    "    unmatched: ask\n"
	    "    columns: {account: text, rate: decimal}\n"
	    "    rows: {card: ['1000', 1.5], cash: ['2000', 0]}\n"
	    "let:\n"
	    "  row: lookup(account, method)\n"
	    "emit:\n"
	    "  - type: books.post\n"
	    "    id: \"post\"\n"
	    "    data:\n"
	    "      account: row.account\n"
	    "      rate: row.rate\n"
	    "      number: number\n");
	put("packs/shop/order.map.yaml",
	    "map: shop.order-placed/1\n"
	    "from: shop.order\n"
	    "tables:\n"
	    "  method: {unmatched: ask, rows: {visa: card}}\n"
	    "emit:\n"
	    "  - type: order.placed\n"
	    "    id: \"placed\"\n"
	    "    subject: \"order:{id}\"\n"
	    "    refs: [\"shopid:{id}\", \"sku:{id}\"]\n"
	    "    data:\n"
	    "      number: id\n"
	    "      method: lookup(method, pay)\n"
	    "      zone_day: date(time($event.time, 'UTC'), "
	    "'Europe/Berlin')\n");
}

static const char conf[] = "broker: {packs: packs}\n"
			   "systems:\n"
			   "  main: {use: shop, key: s3cret}\n"
			   "  second: {use: shop}\n"
			   "  ledger: {use: books, of: main}\n";

static enum err
load(struct ruleset **r, const char *yaml, struct slice answers)
{
	struct config *c = NULL;
	struct faults f;
	enum err e;

	put("vayla.yaml", yaml);
	faults_init(&f);
	CHECK_OK(config_load(&c, path("vayla.yaml"), &f));
	*r = NULL;
	e = c != NULL ? ruleset_load(r, c, answers, &f) : ERR_CONFIG;
	snprintf(said, sizeof(said), "%s", buf_cstr(&f.text));
	config_free(c);
	faults_fini(&f);
	return e;
}

static struct ruleset *
good(const char *yaml, struct slice answers)
{
	struct ruleset *r;

	CHECK_OK(load(&r, yaml, answers));
	if (r == NULL) {
		fputs(said, stderr);
		exit(1);
	}
	return r;
}

T(routes)
{
	struct ruleset *r = good(conf, SLICE_EMPTY);
	const struct route *const *x;
	const struct slice *names;

	CHECK(ruleset_systems(r, &names) == 3);
	CHECK(slice_is(names[0], "main") && slice_is(names[2], "ledger"));
	/* a native event: its own system's mappings only */
	CHECK(ruleset_routes(r, S("shop.order"), S("second"), &x) == 1);
	CHECK(slice_is(x[0]->system, "second"));
	CHECK(slice_is(x[0]->map->name, "shop.order-placed"));
	CHECK(ruleset_routes(r, S("shop.order"), S("ledger"), &x) == 0);
	CHECK(ruleset_routes(r, S("shop.order"), S("nobody"), &x) == 0);
	/* a canonical one: every system that takes it, in vayla.yaml's order */
	CHECK(ruleset_routes(r, S("order.placed"), S("main"), &x) == 1);
	CHECK(slice_is(x[0]->system, "ledger"));
	CHECK(ruleset_routes(r, S("stock.changed"), S("x"), &x) == 2);
	CHECK(
	    slice_is(x[0]->system, "main") && slice_is(x[1]->system, "second"));
	CHECK(ruleset_routes(r, S("nothing.here"), S("main"), &x) == 0);
	CHECK(ruleset_routes(r, S("books.post"), S("ledger"), &x) == 0);
	/* by id and by name */
	CHECK(ruleset_routes(r, S("order.placed"), S("main"), &x) == 1);
	CHECK(ruleset_route(r, x[0]->id) == x[0]);
	CHECK(ruleset_route(r, 99) == NULL);
	CHECK(ruleset_route_find(r, S("ledger"), S("books.post")) == x[0]);
	CHECK(ruleset_route_find(r, S("main"), S("books.post")) == NULL);
	ruleset_free(r);
	ruleset_free(NULL);
}

T(types)
{
	struct ruleset *r = good(conf, SLICE_EMPTY);
	struct delivery_rule rule;
	const struct schema *s;

	s = ruleset_schema(r, S("order.placed"));
	CHECK(s != NULL && s->canonical);
	s = ruleset_schema(r, S("shop.order"));
	CHECK(s != NULL && !s->canonical && s->whole);
	CHECK(ruleset_schema(r, S("shop.other")) == NULL);
	CHECK(ruleset_schema(r, S("nodots")) == NULL);
	CHECK(ruleset_is_request(r, S("books.post"), &rule));
	CHECK(rule.revised == REVISED_REVERSE && !rule.skip_when_spent);
	CHECK(ruleset_is_request(r, S("shop.stock"), &rule));
	CHECK(rule.revised == REVISED_NEVER && rule.skip_when_spent);
	CHECK(!ruleset_is_request(r, S("shop.order"), &rule));
	CHECK(!ruleset_is_request(r, S("order.placed"), &rule));
	CHECK(ruleset_may_publish(r, S("main"), S("shop.order")));
	CHECK(ruleset_may_publish(r, S("main"), S("shop.unknown")));
	CHECK(!ruleset_may_publish(r, S("main"), S("shop.stock")));
	CHECK(!ruleset_may_publish(r, S("main"), S("books.x")));
	CHECK(!ruleset_may_publish(r, S("main"), S("order.placed")));
	CHECK(!ruleset_may_publish(r, S("nobody"), S("shop.order")));
	CHECK(slice_is(ruleset_pack(r, S("ledger"))->name, "books"));
	CHECK(ruleset_pack(r, S("nobody")) == NULL);
	CHECK(ruleset_vocabulary(r)->n == 2);
	ruleset_free(r);
}

static void
scoped(struct ruleset *r, struct slice system, struct slice written,
    const char *want)
{
	struct buf b;

	buf_init(&b, 1024);
	CHECK_OK(ruleset_scope(r, system, written, &b));
	CHECK_STR(buf_cstr(&b), want);
	buf_fini(&b);
}

T(scopes)
{
	struct ruleset *r = good(conf, SLICE_EMPTY);
	char longest[300];
	struct buf b;

	scoped(r, S("main"), S("order:1042"), "order:main/1042");
	scoped(r, S("second"), S("order:1042"), "order:second/1042");
	/* of: main */
	scoped(r, S("ledger"), S("order:1042"), "order:main/1042");
	/* unknown kinds are the system's own */
	scoped(r, S("ledger"), S("invoice:9"), "invoice:ledger/9");
	/* house */
	scoped(r, S("ledger"), S("sku:ABC"), "sku:ABC");
	/* already so */
	scoped(r, S("ledger"), S("order:main/1042"), "order:main/1042");
	scoped(r, S("second"), S("order:main/1042"), "order:second/main/1042");
	scoped(r, S("main"), S("order:main/"), "order:main/main/");
	scoped(r, S("main"), S("order:a:b c"), "order:main/a:b c");
	buf_init(&b, 1024);
	CHECK_ERR(ruleset_scope(r, S("main"), S("1042"), &b), ERR_SYNTAX);
	CHECK_ERR(ruleset_scope(r, S("main"), S(":1042"), &b), ERR_SYNTAX);
	CHECK_ERR(ruleset_scope(r, S("main"), S("order:"), &b), ERR_SYNTAX);
	CHECK_ERR(ruleset_scope(r, S("main"), S("order:1\n2"), &b), ERR_SYNTAX);
	CHECK_ERR(
	    ruleset_scope(r, S("nobody"), S("order:1"), &b), ERR_NOTFOUND);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "order:", 6);
	CHECK_ERR(ruleset_scope(r, S("main"), slice_of(longest, 257), &b),
	    ERR_SYNTAX);
	/* too long only with its scope */
	CHECK_ERR(ruleset_scope(r, S("main"), slice_of(longest, 256), &b),
	    ERR_SYNTAX);
	CHECK(b.n == 0);
	CHECK_OK(ruleset_scope(r, S("main"), slice_of(longest, 251), &b));
	CHECK(b.n == 256);
	buf_fini(&b);
	ruleset_free(r);
}

/* ---- evaluating with rows ---- */

static const char *
evaluate(
    struct ruleset *r, struct slice system, struct slice map, const char *json)
{
	static char text[4096];
	const struct route *route = ruleset_route_find(r, system, map);
	struct eval *e = eval_new();
	const struct result *x;
	struct buf event, data, out;

	buf_init(&event, 4096);
	buf_init(&data, 4096);
	buf_init(&out, 4096);
	mp_put_map(&event, 5);
	mp_put_cstr(&event, "id");
	mp_put_cstr(&event, "1");
	mp_put_cstr(&event, "source");
	mp_put_cstr(&event, "main");
	mp_put_cstr(&event, "type");
	mp_put_str(&event, route->map->from[0]);
	mp_put_cstr(&event, "subject");
	mp_put_cstr(&event, "order:main/1042");
	mp_put_cstr(&event, "time");
	mp_put_time(&event, INT64_C(1772359200000000000));
	CHECK_OK(json_to_mp(slice_str(json), &data, NULL));
	x = ruleset_eval(r, route, e, buf_all(&event), buf_all(&data), NULL);
	if (x->verdict == EVAL_ASK) {
		buf_printf(&out, "asks %.*s %.*s", SLICE_ARG(x->table),
		    SLICE_ARG(x->key));
	} else if (x->verdict != EVAL_OK || x->n != 1) {
		buf_printf(&out, "verdict %d: %.*s", (int)x->verdict,
		    SLICE_ARG(x->text));
	} else {
		buf_printf(&out, "%.*s", SLICE_ARG(x->events[0].subject));
		for (size_t i = 0; i < x->events[0].refs_n; i++)
			buf_printf(
			    &out, " %.*s", SLICE_ARG(x->events[0].refs[i]));
		buf_byte(&out, ' ');
		CHECK_OK(mp_to_json(x->events[0].data, JSON_COMPACT, &out));
	}
	snprintf(text, sizeof(text), "%s", buf_cstr(&out));
	buf_fini(&event);
	buf_fini(&data);
	buf_fini(&out);
	eval_free(e);
	return text;
}

#define POST(r, method)                           \
	evaluate(r, S("ledger"), S("books.post"), \
	    "{\"number\":\"1\",\"method\":\"" method "\"}")

static const char over[] =
    "broker: {packs: packs}\n"
    "systems:\n"
    "  main: {use: shop, key: s3cret}\n"
    "  ledger:\n"
    "    use: books\n"
    "    of: main\n"
    "    tables: {account: {rows: {card: ['1325', 2.5]}}}\n";

T(evaluates)
{
	struct ruleset *r = good(conf, SLICE_EMPTY);

	CHECK_STR(evaluate(r, S("main"), S("shop.order-placed"),
		      "{\"id\":\"1042\",\"pay\":\"visa\"}"),
	    "order:main/1042 shopid:main/1042 sku:1042 {\"number\":\"1042\","
	    "\"method\":\"card\",\"zone_day\":\"2026-03-01\"}");
	CHECK_STR(POST(r, "card"),
	    "order:main/1042 {\"account\":\"1000\",\"rate\":1.5,\"number\":"
	    "\"1\"}");
	CHECK_STR(POST(r, "bitcoin"), "asks account bitcoin");
	ruleset_free(r);
}

T(rows)
{
	struct buf answers;
	struct ruleset *r;

	buf_init(&answers, 4096);
	CHECK_OK(json_to_mp(
	    S("[[\"ledger\",\"books.post\",\"account\",\"card\",[\"9\",\"9\"]]"
	      ",[\"ledger\",\"books.post\",\"account\",\"wallet\",[\"7\",\"1\""
	      "]],[\"ledger\",\"books.post\",\"account\",\"wallet\",[\"8\","
	      "\"2.0\"]],[\"gone\",\"x\",\"y\",\"z\",\"w\"],[\"ledger\","
	      "\"books.gone\",\"y\",\"z\",\"w\"]]"),
	    &answers, NULL));
	r = good(over, buf_all(&answers));
	/* installation over answer over pack; the last answer counts */
	CHECK_STR(POST(r, "card"),
	    "order:main/1042 {\"account\":\"1325\",\"rate\":2.5,\"number\":"
	    "\"1\"}");
	CHECK_STR(POST(r, "wallet"),
	    "order:main/1042 {\"account\":\"8\",\"rate\":2.0,\"number\":"
	    "\"1\"}");
	CHECK_STR(POST(r, "cash"),
	    "order:main/1042 {\"account\":\"2000\",\"rate\":0,\"number\":"
	    "\"1\"}");
	ruleset_free(r);
	/* an answer that no longer fits is no row: it asks again */
	buf_reset(&answers);
	CHECK_OK(json_to_mp(S("[[\"ledger\",\"books.post\",\"account\","
			      "\"gold\",\"5\"]]"),
	    &answers, NULL));
	r = good(over, buf_all(&answers));
	CHECK_STR(POST(r, "gold"), "asks account gold");
	ruleset_free(r);
	CHECK_ERR(load(&r, over, S("\x01")), ERR_SYNTAX);
	CHECK_ERR(load(&r, over, S("\x91\x91\xa1x")), ERR_SYNTAX);
	buf_fini(&answers);
}

static enum err
fits(struct ruleset *r, struct slice system, struct slice map,
    struct slice table, const char *row)
{
	struct buf b;
	enum err e;

	buf_init(&b, 4096);
	CHECK_OK(json_to_mp(slice_str(row), &b, NULL));
	e = ruleset_answer_check(r, system, map, table, buf_all(&b));
	buf_fini(&b);
	return e;
}

T(answers)
{
	struct ruleset *r = good(conf, SLICE_EMPTY);
	const struct slice l = S("ledger"), p = S("books.post"),
			   a = S("account"), m = S("main"),
			   o = S("shop.order-placed");

	CHECK_OK(fits(r, l, p, a, "[\"1\", 2.5]"));
	CHECK_OK(fits(r, m, o, S("method"), "\"card\""));
	CHECK_ERR(fits(r, l, p, a, "[\"1\"]"), ERR_TYPE);
	CHECK_STR(err_last(), "a row of table account has 2 columns, from "
			      "account to rate; this has 1");
	CHECK_ERR(fits(r, l, p, a, "[\"1\", 2, 3]"), ERR_TYPE);
	CHECK_ERR(fits(r, l, p, a, "[]"), ERR_TYPE);
	CHECK_ERR(fits(r, l, p, a, "\"1\""), ERR_TYPE);
	CHECK_ERR(fits(r, l, p, a, "[\"1\", {}]"), ERR_TYPE);
	CHECK_ERR(fits(r, l, p, a, "[[1], 2]"), ERR_TYPE);
	CHECK_ERR(fits(r, m, o, S("method"), "[\"card\"]"), ERR_TYPE);
	CHECK_ERR(fits(r, m, o, S("method"), "null"), ERR_TYPE);
	CHECK_ERR(fits(r, l, p, S("acount"), "1"), ERR_NOTFOUND);
	CHECK_ERR(fits(r, m, p, a, "1"), ERR_NOTFOUND);
	CHECK_ERR(fits(r, S("x"), p, a, "1"), ERR_NOTFOUND);
	ruleset_free(r);
}

T(rows_wrong)
{
	struct ruleset *r;

	CHECK_ERR(load(&r,
		      "broker: {packs: packs}\n"
		      "systems:\n"
		      "  ledger:\n"
		      "    use: books\n"
		      "    tables:\n"
		      "      acount: {rows: {card: ['1', 1]}}\n"
		      "      account: {rows: {card: ['1'], a: x, b: ['1', x]}, "
		      "row: {}}\n"
		      "      books.post.account: {}\n",
		      SLICE_EMPTY),
	    ERR_CONFIG);
	HAS(":6:7: no mapping of pack books has a table named \"acount\"; did "
	    "you mean \"account\"?");
	HAS(":7:30: a row of table account is a list of 2: [account, rate]");
	HAS("column rate must be a decimal number");
	HAS("did you mean \"rows\"?");
	HAS(":8:27: a table over the pack's needs rows");
	CHECK(r == NULL);
}

/* ---- wrong packs ---- */

T(all_faults)
{
	struct ruleset *r;

	CHECK_ERR(load(&r,
		      "broker: {packs: packs}\n"
		      "systems:\n"
		      "  a: {use: shp}\n"
		      "  b: {use: shop, kay: x}\n"
		      "  c: {use: canonical}\n",
		      SLICE_EMPTY),
	    ERR_CONFIG);
	HAS("there is no pack named \"shp\"; did you mean \"shop\"?");
	HAS("vayla.yaml:4:18: settings: no key named \"kay\"; did you mean "
	    "\"key\"?");
	HAS("\"canonical\" is no pack");
}

T(cycle)
{
	struct ruleset *r;

	put("packs/books/back.map.yaml",
	    "map: books.back/1\n"
	    "from: books.post\n"
	    "emit:\n"
	    "  - type: order.placed\n"
	    "    id: \"x\"\n"
	    "    data: {number: number, method: account}\n");
	CHECK_ERR(load(&r, conf, SLICE_EMPTY), ERR_CONFIG);
	HAS("mappings go round in a circle: ");
	HAS("order.placed -> books.post -> order.placed");
	CHECK(unlink(path("packs/books/back.map.yaml")) == 0);
}

T(stray_emit)
{
	struct ruleset *r;

	put("packs/books/schema/books.note.yaml",
	    "schema: books.note/1\nfields: {n: text}\n");
	put("packs/books/note.map.yaml",
	    "map: books.note/1\n"
	    "from: order.placed\n"
	    "emit:\n"
	    "  - {type: books.note, id: \"x\", data: {n: number}}\n");
	CHECK_ERR(load(&r, conf, SLICE_EMPTY), ERR_CONFIG);
	HAS("note.map.yaml:4:5: it emits \"books.note\", which is no request "
	    "of "
	    "this pack: name it under "
	    "send:");
	put("packs/books/note.map.yaml", "map: books.post/2\n"
					 "from: order.placed\n"
					 "emit:\n"
					 "  - {type: books.post, id: \"y\", "
					 "data: {account: number, rate: 1, "
					 "number: number}}\n");
	CHECK_ERR(load(&r, conf, SLICE_EMPTY), ERR_CONFIG);
	HAS("the mapping \"books.post\" stands in");
	CHECK(unlink(path("packs/books/note.map.yaml")) == 0);
	CHECK(unlink(path("packs/books/schema/books.note.yaml")) == 0);
}

/* ---- the hash ---- */

static void
hash_of(const char *yaml, struct slice answers, uint8_t out[32])
{
	struct ruleset *r = good(yaml, answers);

	memcpy(out, ruleset_hash(r), 32);
	ruleset_free(r);
}

T(hash)
{
	uint8_t a[32], b[32];
	struct ruleset *r;
	struct buf bundle, json;
	char cmd[256];

	hash_of(conf, SLICE_EMPTY, a);
	hash_of(conf, SLICE_EMPTY, b);
	CHECK(memcmp(a, b, 32) == 0);
	/* a secret decides nothing, and stands nowhere */
	hash_of("broker: {packs: packs}\n"
		"systems:\n"
		"  main: {use: shop, key: other, mode: live}\n"
		"  second: {use: shop}\n"
		"  ledger: {use: books, of: main}\n",
	    SLICE_EMPTY, b);
	CHECK(memcmp(a, b, 32) == 0);
	/* an open setting does */
	hash_of("broker: {packs: packs}\n"
		"systems:\n"
		"  main: {use: shop, key: s3cret, zone: UTC}\n"
		"  second: {use: shop}\n"
		"  ledger: {use: books, of: main}\n",
	    SLICE_EMPTY, b);
	CHECK(memcmp(a, b, 32) != 0);
	/* so do an answer and a changed file */
	hash_of(over, SLICE_EMPTY, a);
	hash_of(over,
	    S("\x91\x95\xa6ledger\xaa"
	      "books.post\xa7"
	      "account\xa1x\x92\xa1"
	      "1\xa1"
	      "2"),
	    b);
	CHECK(memcmp(a, b, 32) != 0);
	put("packs/shop/schema/shop.stock.yaml",
	    "schema: shop.stock/1\nfields: {sku: text}  # a remark\n");
	hash_of(over, SLICE_EMPTY, b);
	CHECK(memcmp(a, b, 32) != 0);
	/* the same files at another place: the same hash */
	snprintf(cmd, sizeof(cmd), "mkdir %s/shop && cp -r %s/packs %s/shop/",
	    dir, dir, dir);
	CHECK(system(cmd) == 0);
	snprintf(cmd, sizeof(cmd), "%s",
	    "broker: {packs: shop/packs}\nsystems:\n  main: {use: shop, key: "
	    "k}\n  ledger:\n    use: books\n    of: main\n    tables: "
	    "{account: {rows: {card: ['1325', 2.5]}}}\n");
	hash_of(cmd, SLICE_EMPTY, a);
	CHECK(memcmp(a, b, 32) == 0);
	/* the bundle holds the files and the zones, and no secret */
	r = good(conf, SLICE_EMPTY);
	buf_init(&bundle, 1 << 20);
	buf_init(&json, 1 << 22);
	CHECK_OK(ruleset_bundle(r, &bundle));
	CHECK_OK(mp_check(buf_all(&bundle)));
	CHECK_OK(mp_to_json(buf_all(&bundle), JSON_COMPACT, &json));
	CHECK(strstr(buf_cstr(&json), "\"shop/order.map.yaml\"") != NULL);
	CHECK(
	    strstr(buf_cstr(&json), "\"canonical/order.placed.yaml\"") != NULL);
	CHECK(strstr(buf_cstr(&json), "\"Europe/Helsinki\"") != NULL);
	CHECK(strstr(buf_cstr(&json), "\"Europe/Berlin\"") != NULL);
	CHECK(memmem(bundle.p, bundle.n, "s3cret", 6) == NULL);
	buf_fini(&bundle);
	buf_fini(&json);
	ruleset_free(r);
}

static void
prepare(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vayla-ruleset-XXXXXX");
	if (mkdtemp(dir) == NULL)
		exit(1);
	packs();
}

static void
clean(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		exit(1);
}

/* What a bundle was made of comes back out of it, rows and settings too. */
T(bundle)
{
	static const char other[] =
	    "broker: {packs: packs}\n"
	    "systems:\n"
	    "  main: {use: shop, key: s3cret, zone: UTC}\n"
	    "  ledger: {use: books, of: main, tables: {account: {rows: {card: "
	    "['1500', 2]}}}}\n";
	struct ruleset *a, *b = NULL;
	struct buf one, two, answers;
	struct faults f;

	buf_init(&one, BUNDLE_MAX);
	buf_init(&two, BUNDLE_MAX);
	buf_init(&answers, 4096);
	CHECK_OK(
	    json_to_mp(S("[[\"ledger\", \"books.post\", \"account\", \"gold\", "
			 "[\"1600\", \"3\"]]]"),
		&answers, NULL));
	a = good(other, buf_all(&answers));
	CHECK_OK(ruleset_bundle(a, &one));
	CHECK_OK(
	    bundle_unpack(buf_all(&one), SLICE_EMPTY, NULL, path("unpacked")));
	faults_init(&f);
	CHECK_OK(ruleset_of_bundle(&b, buf_all(&one), path("unpacked"), &f));
	CHECK(b != NULL && memcmp(ruleset_hash(a), ruleset_hash(b), 32) == 0);
	if (b != NULL)
		CHECK_OK(ruleset_bundle(b, &two));
	CHECK(slice_eq(buf_all(&one), buf_all(&two)));
	/* cut short anywhere it is refused, and nothing is made of it */
	for (size_t n = 0; n < one.n; n += 1 + one.n / 200) {
		struct ruleset *c = NULL;

		CHECK(ruleset_of_bundle(&c, slice_of(one.p, n),
			  path("unpacked"), &f) != ERR_OK);
		CHECK(c == NULL);
	}
	bundle_remove(path("unpacked"));
	CHECK(access(path("unpacked"), F_OK) != 0);
	faults_fini(&f);
	ruleset_free(a);
	ruleset_free(b);
	buf_fini(&one);
	buf_fini(&two);
	buf_fini(&answers);
}

T(changes)
{
	static const char *const may[] = {"shop/a.map.yaml",
	    "shop-1/schema/shop.order.yaml", "canonical/order.placed.yaml",
	    "a/b.c.map.yaml"};
	static const char *const may_not[] = {"", "/", "shop/pack.yaml",
	    "shop/.map.yaml", "shop/a.yaml", "a.map.yaml", "/a.map.yaml",
	    "../a.map.yaml", "shop/../a.map.yaml", "shop/x/a.map.yaml",
	    "shop/schema/../a.yaml", "shop/schema/.yaml", "./a.map.yaml",
	    "shop/schema/x/a.yaml", "canonical/.x.yaml", "canonical/a.map",
	    "shop//a.map.yaml", "shop/a b.map.yaml", "shop/a\n.map.yaml"};
	struct bundle_file *files;
	struct arena a;
	struct buf mp;
	size_t n;

	for (size_t i = 0; i < sizeof(may) / sizeof(*may); i++)
		CHECK(change_allowed(slice_str(may[i])));
	for (size_t i = 0; i < sizeof(may_not) / sizeof(*may_not); i++)
		CHECK(!change_allowed(slice_str(may_not[i])));
	arena_init(&a, 1 << 20);
	buf_init(&mp, 1 << 16);
	mp_put_array(&mp, 2);
	mp_put_array(&mp, 2);
	mp_put_cstr(&mp, "shop/a.map.yaml");
	mp_put_bin(&mp, S("map: a"));
	mp_put_array(&mp, 2);
	mp_put_cstr(&mp, "shop/b.map.yaml");
	mp_put_nil(&mp);
	CHECK_OK(change_read(buf_all(&mp), &a, &files, &n));
	CHECK(n == 2 && !files[0].gone && files[1].gone);
	CHECK(slice_is(files[0].bytes, "map: a"));
	CHECK(bundle_find(files, n, S("shop/b.map.yaml")) == &files[1]);
	CHECK(bundle_find(files, n, S("shop/c.map.yaml")) == NULL);
	for (size_t i = 0; i < mp.n; i++)
		CHECK(change_read(slice_of(mp.p, i), &a, &files, &n) != ERR_OK);
	CHECK_ERR(
	    change_read(S("\xdd\xff\xff\xff\xff"), &a, &files, &n), ERR_SYNTAX);
	arena_fini(&a);
	buf_fini(&mp);
}

T_MAIN(prepare(); T_RUN(routes) T_RUN(types) T_RUN(scopes) T_RUN(evaluates)
	   T_RUN(rows) T_RUN(answers) T_RUN(rows_wrong) T_RUN(all_faults)
	       T_RUN(cycle) T_RUN(stray_emit) T_RUN(hash) T_RUN(bundle)
		   T_RUN(changes) clean())
