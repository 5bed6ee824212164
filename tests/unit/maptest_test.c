/* maptest: tests in a mapping's own file, those that pass and those that must
 * not; paths into values; `vayla map run`. */
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "mappings/engine/fact.h"
#include "mappings/engine/mapfile.h"
#include "mappings/engine/maptest.h"
#include "mappings/engine/mp_edit.h"
#include "tests/unit/t.h"

static char dir[64];
static char *said;

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

static void
packs(void)
{
	put("p/canonical/order.placed.yaml",
	    "schema: order.placed/1\nsubject: {kind: order, scope: system}\n"
	    "person: email\n"
	    "fields: {number: text, at: time, total: decimal, email?: {type: "
	    "text, personal: true}, lines: {items: {sku: text, n: integer, "
	    "net?: decimal}}, note?: text, paid?: bool}\n");
	put("p/canonical/payment.captured.yaml",
	    "schema: payment.captured/1\nsubject: {kind: order, scope: "
	    "system}\nfields: {amount: decimal}\n");
	put("p/shop/pack.yaml",
	    "pack: shop/1\nsettings: {bonus: {type: integer, default: 1}}\n"
	    "send: {shop.tell: {revised: send}}\n");
	put("p/shop/schema/shop.order.yaml",
	    "schema: shop.order/1\nopen: true\nblank: absent\n"
	    "fields: {id: text, at: text, total: decimal, status: text, "
	    "note?: text, email?: text, changed: text, lines: {items: {sku: "
	    "text, n: integer, net?: decimal}}}\n");
	put("p/shop/schema/shop.tell.yaml",
	    "schema: shop.tell/1\nfields: {sum: decimal, n: integer}\n");
	put("p/shop/samples/order.json",
	    "{\"orders\":[{\"id\":\"1042\",\"at\":\"2026-03-01T10:00:00Z\","
	    "\"total\":12.50,\"status\":\"new\",\"note\":\"\",\"email\":"
	    "\"a@b.fi\",\"changed\":\"1\",\"lines\":[{\"sku\":\"A\",\"n\":1,"
	    "\"net\":2.50},{\"sku\":\"B\",\"n\":2}]}]}");
}

static const char order[] = "map: shop.order/1\n"
			    "from: shop.order\n"
			    "when: status != 'draft'\n"
			    "tables:\n"
			    "  kind: {unmatched: ask, rows: {new: 'yes', old: "
			    "'no'}}\n"
			    "let:\n"
			    "  k: lookup(kind, status)\n"
			    "emit:\n"
			    "  - type: order.placed\n"
			    "    id: \"placed\"\n"
			    "    again: revise by changed\n"
			    "    subject: \"order:{id}\"\n"
			    "    refs: [\"shopid:{id}\"]\n"
			    "    data:\n"
			    "      number: id\n"
			    "      at: time(at, 'UTC')\n"
			    "      total: total\n"
			    "      email?: email\n"
			    "      lines:\n"
			    "        each: l in lines\n"
			    "        item:\n"
			    "          sku: l.sku\n"
			    "          n: l.n + $settings.bonus - 1\n"
			    "          net?: l.net\n"
			    "      note?: note\n"
			    "      paid: k = 'yes'\n"
			    "    check:\n"
			    "      - total > 0\n";

static const char tell[] =
    "map: shop.tell/1\n"
    "from: order.placed\n"
    "join:\n"
    "  parts: {all: payment.captured, subject: "
    "$event.subject}\n"
    "  last: {last: payment.captured, subject: "
    "$event.subject, absent: wait 5m}\n"
    "emit:\n"
    "  - type: shop.tell\n"
    "    id: \"tell\"\n"
    "    data:\n"
    "      sum: sum(p.amount for p in parts) + last.amount\n"
    "      n: count(parts)\n";

/* Run a mapping with these tests; what is printed is in `said`. */
static struct maptest
run(const char *map, const char *tests, bool verbose, enum err want)
{
	struct maptest n = {0};
	size_t size;
	char all[16384];
	FILE *out;

	free(said);
	said = NULL;
	snprintf(all, sizeof(all), "%s%s", map, tests);
	put("p/shop/x.map.yaml", all);
	out = open_memstream(&said, &size);
	CHECK_ERR(
	    maptest_file(path("p/shop/x.map.yaml"), verbose, out, &n), want);
	fclose(out);
	return n;
}

static void
passes(const char *map, size_t count, const char *tests)
{
	struct maptest n = run(map, tests, false, ERR_OK);

	CHECK(n.passed == count && n.failed == 0);
	CHECK_STR(said, "");
}

static void
fails(const char *map, const char *tests)
{
	struct maptest n = run(map, tests, false, ERR_OK);

	CHECK(n.passed == 0 && n.failed == 1);
}

#define GIVEN "given: {file: samples/order.json, at: \"orders[1]\"}\n"
#define SET(x) \
	"given: {file: samples/order.json, at: \"orders[1]\", set: {" x "}}\n"

/* YAML stands in lines of its own. */
/* clang-format off */
T(expectations)
{
	passes(order, 5,
	    "tests:\n"
	    "  - name: partial\n"
	    "    " GIVEN
	    "    expect: {number: \"1042\", total: \"12.50\", note: absent, paid: true, at: \"2026-03-01T10:00:00Z\"}\n"
	    "  - name: plain numbers by value, quoted by digits\n"
	    "    " GIVEN
	    "    expect: {total: 12.5, lines: [{n: 1}, {n: \"2\", net: absent}]}\n"
	    "  - name: anything\n"
	    "    " GIVEN
	    "    expect: {lines: [{}, {sku: B}]}\n"
	    "  - name: exact\n"
	    "    exact: true\n"
	    "    " GIVEN
	    "    expect: {number: \"1042\", total: \"12.50\", email: a@b.fi, paid: true, at: \"2026-03-01T10:00:00Z\", lines: [{sku: A, n: 1, net: \"2.50\"}, {sku: B, n: 2}]}\n"
	    "  - name: set, add and leave out\n"
	    "    " SET("\"lines[2].net\": 3.00, \"lines[1].net\": absent, note: hello, 'status': old, \"lines[3]\": {sku: C, n: 9}")
	    "    expect: {note: hello, paid: false, lines: [{net: absent}, {net: \"3.00\"}, {sku: C}]}\n");
}

T(givens)
{
	passes(order, 4,
	    "tests:\n"
	    "  - name: settings\n"
	    "    settings: {bonus: 5}\n"
	    "    " GIVEN
	    "    expect: {lines: [{n: 5}, {n: 6}]}\n"
	    "  - name: settings within\n"
	    "    given: {file: samples/order.json, at: \"orders[1]\", settings: {bonus: 2}}\n"
	    "    expect: {lines: [{n: 2}, {n: 3}]}\n"
	    "  - name: inline data, as a list\n"
	    "    given: {id: x, at: \"2026-01-01\", total: \"1\", status: new, changed: \"1\", lines: []}\n"
	    "    expect: [{number: x, total: \"1\", lines: []}]\n"
	    "  - name: data and event\n"
	    "    given:\n"
	    "      data: {id: x, at: \"2026-01-01\", total: \"1\", status: new, changed: \"1\", lines: []}\n"
	    "      event: {id: e1, subject: \"order:5\"}\n"
	    "    expect: [{type: order.placed, subject: \"order:x\", data: {number: x}}]\n");
}

T(outcomes)
{
	passes(order, 6,
	    "tests:\n"
	    "  - name: events\n"
	    "    " GIVEN
	    "    events: [{type: order.placed, id: placed, subject: \"order:1042\", refs: [\"shopid:1042\"], revision: 1, person: a@b.fi, data: {number: \"1042\"}}]\n"
	    "  - name: stored forms\n"
	    "    " GIVEN
	    "    events: [{subject: \"order:shop/1042\", refs: [\"shopid:shop/1042\"]}]\n"
	    "  - name: asks\n"
	    "    " SET("status: odd")
	    "    asks: kind\n"
	    "  - name: skips\n"
	    "    " SET("status: draft")
	    "    skips: true\n"
	    "  - name: refused by name\n"
	    "    " SET("\"lines[2].sku\": null")
	    "    error: lines[2].sku\n"
	    "  - name: refused by a check\n"
	    "    " SET("total: 0")
	    "    error: check\n");
}

T(joins)
{
	passes(tell, 4,
	    "tests:\n"
	    "  - name: one and many\n"
	    "    given: {number: \"1\"}\n"
	    "    with: {parts: [{amount: \"1.00\"}, {amount: \"2.50\"}], last: {amount: \"0.25\"}}\n"
	    "    expect: {sum: \"3.75\", n: 2}\n"
	    "  - name: of a list the last is the last\n"
	    "    given: {data: {number: \"1\"}, with: {parts: [], last: [{amount: \"1\"}, {amount: \"2\"}]}}\n"
	    "    expect: {sum: \"2\", n: 0}\n"
	    "  - name: waits\n"
	    "    given: {number: \"1\"}\n"
	    "    waits: last\n"
	    "  - name: the input's subject\n"
	    "    given: {number: \"1\"}\n"
	    "    event: {subject: \"order:77\"}\n"
	    "    with: {last: {amount: 1}}\n"
	    "    events: [{subject: \"order:77\", id: tell}]\n");
}

T(scenarios)
{
	passes(order, 4,
	    "tests:\n"
	    "  - name: the same bytes twice\n"
	    "    scenario: [{file: samples/order.json, at: \"orders[1]\"}, {file: samples/order.json, at: \"orders[1]\"}]\n"
	    "    events: [{revision: 1}]\n"
	    "  - name: later, then earlier\n"
	    "    scenario:\n"
	    "      - {file: samples/order.json, at: \"orders[1]\"}\n"
	    "      - {file: samples/order.json, at: \"orders[1]\", set: {changed: \"3\", note: x}}\n"
	    "      - {file: samples/order.json, at: \"orders[1]\", set: {changed: \"2\", note: y}}\n"
	    "    events: [{revision: 1}, {revision: 2, data: {note: x}}]\n"
	    "  - name: other bytes, same result\n"
	    "    scenario:\n"
	    "      - {file: samples/order.json, at: \"orders[1]\"}\n"
	    "      - {file: samples/order.json, at: \"orders[1]\", set: {more: 1, changed: \"2\"}}\n"
	    "    events: [{revision: 1}]\n"
	    "  - name: two orders\n"
	    "    scenario:\n"
	    "      - {file: samples/order.json, at: \"orders[1]\"}\n"
	    "      - {file: samples/order.json, at: \"orders[1]\", set: {id: \"7\"}}\n"
	    "    events: [{subject: \"order:1042\", revision: 1}, {subject: \"order:7\", revision: 1}]\n");
}

T(differences)
{
	fails(order,
	    "tests:\n"
	    "  - name: a wrong one\n"
	    "    " GIVEN
	    "    expect: {number: \"1043\", total: \"12.5\", note: hello, lines: [{net: absent}, {n: 3}], paid: false, at: \"2026-03-01T11:00:00Z\"}\n");
	HAS("x.map.yaml:30: a wrong one\n");
	HAS("    number: expected \"1043\", got \"1042\"  (");
	HAS("x.map.yaml:15:15)");
	HAS("    total: expected \"12.5\", got 12.50  (");
	HAS("    note: expected hello, got nothing  (");
	HAS("    lines[1].net: expected absent, got 2.50  (");
	HAS("    lines[2].n: expected 3, got 2  (");
	HAS("x.map.yaml:23:14)");
	HAS("    paid: expected false, got true  (");
	HAS("    at: expected \"2026-03-01T11:00:00Z\", got \"2026-03-01T10");
	/* and where it came from: the expression, and what its parts were */
	HAS("x.map.yaml:23:14)\n      <- l.n + $settings.bonus - 1\n        l.n = 2\n        $settings.bonus = 1\n");
	HAS("      <- k = 'yes'\n");
	HAS("table kind, row 'new' = 'yes' (pack)");
	fails(order,
	    "tests:\n"
	    "  - name: of the second of two, told apart by their order\n"
	    "    scenario: [{file: samples/order.json, at: \"orders[1]\"}, {file: samples/order.json, at: \"orders[1]\", set: {changed: \"2\", total: 7}}]\n"
	    "    events: [{data: {total: \"12.50\"}}, {data: {total: 8}}]\n");
	HAS("    event 2.total: expected 8, got 7  (");
	HAS("      <- total\n        total = 7\n");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    exact: true\n"
	    "    " GIVEN
	    "    expect: {lines: [{sku: A}]}\n");
	HAS("    number: not expected, got \"1042\"");
	HAS("    lines: expected 1 items, got 2: ");
	HAS("    lines[1].net: not expected, got 2.50");
	fails(order,
	    "tests:\n"
	    "  - name: n\n"
	    "    " GIVEN
	    "    events: [{type: order.paid, id: plcd, subject: \"order:1\", refs: [], revision: 2, person: x}]\n");
	HAS("event 1.type: expected order.paid, got order.placed");
	HAS("event 1.id: it is not \"plcd\"");
	HAS("event 1.subject: expected order:1, got order:shop/1042");
	HAS("event 1.refs: expected 0, got 1");
	HAS("event 1.revision: expected 2, got 1");
	HAS("event 1.person: expected x, got \"a@b.fi\"");
}

T(other_outcomes)
{
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " GIVEN
	    "    asks: kind\n");
	HAS("expected a question to that table; it emits order.placed");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " SET("status: odd")
	    "    expect: {}\n");
	HAS("expected an event; it asks");
	HAS("table kind");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " SET("status: odd")
	    "    asks: other\n");
	HAS("expected a question to that table; it asks");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " GIVEN
	    "    error: total\n");
	HAS("expected an error; it emits");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " SET("total: 0")
	    "    error: nowhere\n");
	HAS("expected an error that names another path; it is refused");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " GIVEN
	    "    skips: true\n");
	HAS("expected nothing to be emitted; it emits order.placed");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " SET("status: draft")
	    "    expect: {}\n");
	HAS("expected one event");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " GIVEN
	    "    events: []\n");
	HAS("expected 0 events in events; it emits order.placed");
	fails(tell, "tests:\n"
	    "  - name: n\n"
	    "    given: {number: x}\n"
	    "    with: {last: {amount: 1}}\n"
	    "    waits: last\n");
	HAS("expected a wait for that join; it emits");
}

T(faulty_tests)
{
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " GIVEN
	    "    expec: {}\n");
	HAS("no key named \"expec\"; did you mean \"expect\"?");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " GIVEN);
	HAS("this test expects nothing");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    given: {file: nowhere.json}\n"
	    "    expect: {}\n");
	HAS("nowhere.json");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    given: {file: ../x.json}\n"
	    "    expect: {}\n");
	HAS("starts at the pack's folder");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " SET("\"lines[x]\": 1")
	    "    expect: {}\n");
	HAS("is no path");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    " SET("\"lines[9].n\": 1")
	    "    expect: {}\n");
	HAS("there are 2 items, so the next is [3]");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    settings: {bonsu: 1}\n"
	    "    " GIVEN
	    "    expect: {}\n");
	HAS("did you mean \"bonus\"?");
	fails(tell, "tests:\n"
	    "  - name: n\n"
	    "    given: {number: x}\n"
	    "    with: {lsat: {amount: 1}}\n"
	    "    waits: last\n");
	HAS("did you mean \"last\"?");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    given: {file: samples/order.json, at: orders.x}\n"
	    "    expect: {}\n");
	HAS("there is no \"x\"");
	fails(order, "tests:\n"
	    "  - name: n\n"
	    "    scenario: []\n"
	    "    " GIVEN
	    "    expect: {}\n");
	HAS("given: or scenario:, not both");
}

/* The faults of `map check` in these tests. */
static void
check(const char *map, const char *tests)
{
	char all[16384];
	struct mapfile m;
	struct faults f;

	snprintf(all, sizeof(all), "%s%s", map, tests);
	put("p/shop/x.map.yaml", all);
	faults_init(&f);
	CHECK_OK(mapfile_open(&m, path("p/shop/x.map.yaml"), &f));
	maptest_check(&m, &(struct yaml_at){"x.map.yaml", &f});
	free(said);
	said = strdup(buf_cstr(&f.text));
	mapfile_close(&m);
	faults_fini(&f);
}

T(checked)
{
	check(tell,
	    "tests:\n"
	    "  - name: a\n"
	    "    givn: {number: \"1\"}\n"
	    "    given: {data: {nmber: \"1\", lines: [{skw: A}]}}\n"
	    "    expct: {}\n"
	    "  - name: b\n"
	    "    given: {file: x.json, set: {\"lines[2].skuu\": 1, totl: 2, \"lines[1].sku\": 3, at: absent}, sat: {}}\n"
	    "    with: {part: []}\n"
	    "    asks: kindd\n"
	    "    waits: lst\n"
	    "    events: [{typ: shop.tell}, {type: shop.tel}, {type: shop.tell, data: {summ: 1}}]\n"
	    "  - name: c\n"
	    "    scenario: [{number: \"1\"}, {numbr: \"1\"}]\n"
	    "    expect: [{n: 1}, {m: absent}]\n");
	HAS(":14:5: a test: no key named \"givn\"");
	HAS(":16:5: a test: no key named \"expct\"");
	HAS(":15:20: the input has no field nmber; did you mean number?");
	HAS(":15:41: the input has no field skw; did you mean sku?");
	HAS(":18:33: the input has no field skuu; did you mean sku?");
	HAS(":18:53: the input has no field totl; did you mean total?");
	HAS("given: no key named \"sat\"");
	HAS("with: no key named \"part\"; did you mean \"parts\"?");
	HAS(":20:11: this mapping has no table kindd");
	HAS(":21:12: this mapping has no join lst; did you mean last?");
	HAS("an event: no key named \"typ\"; did you mean \"type\"?");
	HAS("this mapping emits no shop.tel");
	HAS("what is built has no field summ; did you mean sum?");
	HAS("the input has no field numbr; did you mean number?");
	HAS(":25:23: what is built has no field m");
	/* of an open type anything may come */
	check(order, "tests:\n  - name: a\n    given: {anything: 1}\n"
		     "    expect: {lines: [{sku: A, nn: 1}], email: absent}\n");
	CHECK(strstr(said, "anything") == NULL);
	HAS("what is built has no field nn; did you mean n?");
}

/* A test whose fixture is not here is counted as not run. */
T(of_real_systems)
{
	static const char tests[] =
	    "tests:\n"
	    "  - name: a fixture\n"
	    "    given: {fixture: shop/order.json, at: \"orders[1]\"}\n"
	    "    expect: {number: \"1042\"}\n"
	    "  - name: no fixture\n"
	    "    " GIVEN
	    "    expect: {number: \"1042\"}\n";
	struct maptest n;

	setenv("VAYLA_FIXTURES", path("nowhere"), 1);
	n = run(order, tests, false, ERR_OK);
	CHECK(n.passed == 1 && n.failed == 0 && n.absent == 1);
	CHECK_OK(dir_make(path("fixtures/shop")));
	put("fixtures/shop/order.json",
	    "{\"orders\":[{\"id\":\"1042\",\"at\":\"2026-03-01\",\"total\":1,"
	    "\"status\":\"new\",\"changed\":\"1\",\"lines\":[]}]}");
	setenv("VAYLA_FIXTURES", path("fixtures"), 1);
	n = run(order, tests, false, ERR_OK);
	CHECK(n.passed == 2 && n.absent == 0);
	fails(order, "tests:\n  - name: up\n    given: {fixture: ../x.json}\n"
		     "    expect: {}\n");
}

T(broken_mapping)
{
	struct maptest n = run("map: shop.x/1\n"
	    "from: shop.oder\n"
	    "emit: []\n",
	    "", false, ERR_CONFIG);

	CHECK(n.passed == 0 && n.failed == 1);
	HAS("x.map.yaml:2:7: ");
	HAS("shop.order");
	n = run(order, "", false, ERR_OK);
	CHECK(n.passed == 0 && n.failed == 0 && n.untested == 1);
	n = run(order,
	    "tests:\n"
	    "  - name: good\n"
	    "    " GIVEN
	    "    expect: {}\n",
	    true, ERR_OK);
	CHECK(n.passed == 1);
	CHECK(n.points > 10 && n.reached > 5 && n.reached < n.points);
	HAS("x.map.yaml:5: kind: old is never looked up\n");
	HAS("ok   ");
	HAS("x.map.yaml:30: good\n");
}
/* clang-format on */

/* ---- paths ---- */

static void
edited(const char *json, const char *at, const char *with, const char *want)
{
	struct buf v, w, out, text;

	buf_init(&v, 4096);
	buf_init(&w, 4096);
	buf_init(&out, 4096);
	buf_init(&text, 4096);
	CHECK_OK(json_to_mp(slice_str(json), &v, NULL));
	if (with != NULL)
		CHECK_OK(json_to_mp(slice_str(with), &w, NULL));
	CHECK_OK(mp_set(buf_all(&v), slice_str(at), buf_all(&w), &out));
	CHECK_OK(mp_check(buf_all(&out)));
	CHECK_OK(mp_to_json(buf_all(&out), JSON_COMPACT, &text));
	CHECK_STR(buf_cstr(&text), want);
	buf_fini(&v);
	buf_fini(&w);
	buf_fini(&out);
	buf_fini(&text);
}

T(paths)
{
	struct buf v, out;
	struct slice x;

	edited("{\"a\":1,\"b\":[1,2]}", "a", "2", "{\"a\":2,\"b\":[1,2]}");
	edited("{\"a\":1,\"b\":[1,2]}", "b[2]", "\"x\"",
	    "{\"a\":1,\"b\":[1,\"x\"]}");
	edited("{\"a\":1,\"b\":[1,2]}", "b[3]", "3", "{\"a\":1,\"b\":[1,2,3]}");
	edited("{\"a\":1,\"b\":[1,2]}", "b[1]", NULL, "{\"a\":1,\"b\":[2]}");
	edited("{\"a\":1,\"b\":[1,2]}", "a", NULL, "{\"b\":[1,2]}");
	edited("{\"a\":1}", "no.such", NULL, "{\"a\":1}");
	edited("{}", "a.b[1].c", "1", "{\"a\":{\"b\":[{\"c\":1}]}}");
	edited("{\"x.y\":{\"z\":1}}", "'x.y'.z", "2", "{\"x.y\":{\"z\":2}}");
	edited("[[1,2],[3]]", "[1][2]", "9", "[[1,9],[3]]");
	buf_init(&v, 4096);
	buf_init(&out, 4096);
	CHECK_OK(json_to_mp(S("{\"a\":[{\"b\":7}]}"), &v, NULL));
	CHECK_OK(mp_at(buf_all(&v), S("a[1].b"), &x));
	CHECK(x.n == 1 && x.p[0] == 7);
	CHECK_ERR(mp_at(buf_all(&v), S("a[2]"), &x), ERR_NOTFOUND);
	CHECK_ERR(mp_at(buf_all(&v), S("a.b"), &x), ERR_NOTFOUND);
	CHECK_ERR(mp_at(buf_all(&v), S("a["), &x), ERR_SYNTAX);
	CHECK_ERR(mp_at(buf_all(&v), S("a[0]"), &x), ERR_SYNTAX);
	CHECK_ERR(mp_at(buf_all(&v), S("a..b"), &x), ERR_SYNTAX);
	CHECK_ERR(mp_at(buf_all(&v), S(""), &x), ERR_SYNTAX);
	CHECK_ERR(mp_at(buf_all(&v), S("'a"), &x), ERR_SYNTAX);
	CHECK_ERR(mp_set(buf_all(&v), S("a.b"), S("\x01"), &out), ERR_TYPE);
	CHECK_ERR(
	    mp_set(buf_all(&v), S("a[3]"), S("\x01"), &out), ERR_NOTFOUND);
	CHECK(out.n == 0);
	buf_fini(&v);
	buf_fini(&out);
}

T(facts)
{
	char a[FACT_ID + 1], b[FACT_ID + 1];

	fact_id(S("s"), S("t"), S("u"), S("i"), a);
	CHECK(strlen(a) == FACT_ID);
	fact_id(S("s"), S("t"), S("u"), S("i"), b);
	CHECK_STR(a, b);
	fact_id(S("s"), S("t"), S("ui"), S(""), b);
	CHECK(strcmp(a, b) != 0);
	fact_id(S("s"), S("t"), S("u"), S("j"), b);
	CHECK(strcmp(a, b) != 0);
}

static void
prepare(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vayla-maptest-XXXXXX");
	if (mkdtemp(dir) == NULL)
		exit(1);
	packs();
}

static void
clean(void)
{
	char cmd[128];

	free(said);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		exit(1);
}

T_MAIN(prepare(); T_RUN(paths) T_RUN(facts) T_RUN(expectations) T_RUN(givens)
	   T_RUN(outcomes) T_RUN(joins) T_RUN(scenarios) T_RUN(differences)
	       T_RUN(other_outcomes) T_RUN(faulty_tests) T_RUN(checked)
		   T_RUN(of_real_systems) T_RUN(broken_mapping) clean())
