/*
 * The mapping language and what is large: files of ten megabytes, tables of
 * 100,000 rows, loops over 100,000 items, numbers that fit nowhere, text that
 * is none. A named error or the right result, within the budgets and soon.
 */
#include "tests/unit/map_try.h"

#define ROWS 100000

static struct buf text, data;

static const struct mapping *
load(void)
{
	const struct mapping *m = try_load(buf_cstr(&text));

	if (m == NULL && try_said[0] == '\0')
		snprintf(try_said, sizeof(try_said), "%s", err_last());
	return m;
}

#define LOADS(m)                                         \
	do {                                             \
		CHECK((m) != NULL);                      \
		if ((m) == NULL) {                       \
			fprintf(stderr, "%s", try_said); \
			return;                          \
		}                                        \
	} while (0)

#define HEAD "map: t.m/1\nfrom: t.in\n"
#define EMIT \
	"emit:\n  - type: t.out\n    id: 'x'\n    subject: 'k:1'\n    data:\n"

/* `words` with that many texts, and a number beside them. */
static void
words(size_t n)
{
	buf_reset(&data);
	buf_str(&data, "{\"id\":7,\"n\":0.01,\"words\":[");
	for (size_t i = 0; i < n; i++)
		buf_printf(&data, "%s\"w%zu\"", i > 0 ? "," : "", i);
	buf_str(&data, "]}");
}

T(tables)
{
	const struct mapping *m;

	buf_reset(&text);
	buf_str(&text, HEAD "tables:\n  k:\n    unmatched: error\n"
			    "    columns: {a: text, n: integer}\n    rows:\n");
	for (int i = 0; i < ROWS; i++)
		buf_printf(&text, "      w%d: [v%d, %d]\n", i, i, i);
	buf_str(&text, "  c:\n    by: contains\n    unmatched: {row: none}\n"
		       "    rows:\n");
	for (int i = 0; i < ROWS; i++)
		buf_printf(&text, "      has %d of it: x%d\n", i, i);
	buf_str(&text, EMIT "      sum: sum(lookup(k, w).n for w in words)\n"
			    "      last: lookup(k, 'w99999').a\n"
			    "      in: lookup(c, 'it has 99999 of it, truly')\n"
			    "      none: lookup(c, 'nothing')\n");
	m = load();
	LOADS(m);
	words(1000);
	try_run(m, buf_cstr(&data));
	CHECK_STR(try_said, "{\"sum\":499500,\"last\":\"v99999\",\"in\":"
			    "\"x99999\",\"none\":\"none\"}");
	/* each row that is looked through is a step */
	buf_reset(&text);
	buf_str(&text, HEAD "tables:\n  c:\n    by: contains\n"
			    "    unmatched: keep\n    rows:\n");
	for (int i = 0; i < ROWS; i++)
		buf_printf(&text, "      has %d of it: x%d\n", i, i);
	buf_str(&text, EMIT "      n: count(lookup(c, w) for w in words)\n");
	m = load();
	LOADS(m);
	CHECK(try_run(m, buf_cstr(&data))->err == ERR_BUDGET);
	CHECK(try_result->steps <= MAP_STEPS + 1000);
}

T(loops)
{
	static const struct {
		const char *expr, *want;
	} all[] = {{"count(words)", "100000"},
	    {"sum(n for w in words)", "1000.00"},
	    {"count(w for w in words if w = 'w99999')", "1"},
	    {"last(w for w in words)", "\"w99999\""},
	    {"words[100000]", "\"w99999\""},
	    {"any(w = 'none' for w in words)", "false"},
	    {"count(split(join(',', words), ','))", "100000"},
	    {"first(reverse(words))", "\"w99999\""},
	    {"sum(a.part for a in allocate(n, 2, 1 for w, k in words if k <= "
	     "9999))",
		"0.01"},
	    {"last(sort(w for w in words))", "\"w99999\""},
	    {"sum(k for w, k in words)", "5000050000"},
	    {"hash(words) = hash(words)", "true"}};
	char want[200];

	words(ROWS);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const struct mapping *m = try_expr(all[i].expr);

		if (m == NULL) {
			CHECK(m != NULL);
			fprintf(stderr, "%s: %s", all[i].expr, try_said);
			continue;
		}
		try_run(m, buf_cstr(&data));
		snprintf(want, sizeof(want), "{\"v\":%s}", all[i].want);
		CHECK_STR(try_said, want);
	}
	/* what has a bound of its own says so */
	const struct mapping *m =
	    try_expr("count(allocate(n, 2, 1 for w in words))");
	LOADS(m);
	CHECK(try_run(m, buf_cstr(&data))->verdict == EVAL_ERROR);
	SAYS("over 10000 shares");
}

/* What fits nowhere is refused by name; what fits keeps its digits. */
T(numbers)
{
	static const char *const too_large[] = {"1e400", "-1e400",
	    "99999999999999999999", "18446744073709551616",
	    "0.00000000000000000001", "1234567890123456789.5"};
	const struct mapping *m = try_expr("n + 1"), *copy = try_expr("map");
	char json[512];

	LOADS(m);
	LOADS(copy);
	for (size_t i = 0; i < sizeof(too_large) / sizeof(*too_large); i++) {
		snprintf(json, sizeof(json), "{\"n\":%s}", too_large[i]);
		CHECK(try_run(m, json)->verdict == EVAL_ERROR);
		SAYS("t.out: v <- n");
		/* passed on untouched it is as it was */
		snprintf(
		    json, sizeof(json), "{\"map\":{\"x\":%s}}", too_large[i]);
		CHECK(try_run(copy, json)->verdict == EVAL_OK);
		SAYS(too_large[i]);
	}
	CHECK(try_run(m, "{\"n\":9223372036854775807}")->verdict == EVAL_ERROR);
	SAYS("more digits than can be kept");
	try_run(m, "{\"n\":9223372036854775806}");
	CHECK_STR(try_said, "{\"v\":9223372036854775807}");
	m = try_expr("round(n / (n - n), 2)");
	LOADS(m);
	CHECK(try_run(m, "{\"n\":5}")->verdict == EVAL_ERROR);
	SAYS("division by zero");
	m = try_expr("add(at, id, days)");
	LOADS(m);
	CHECK(try_run(m, "{\"at\":\"2026-03-01T10:00:00Z\",\"id\":"
			 "9223372036854775807}")
		  ->verdict == EVAL_ERROR);
	SAYS("out of the range of times");
	m = try_expr("to_minor(n, 'EUR')");
	LOADS(m);
	CHECK(try_run(m, "{\"n\":9223372036854775807}")->verdict == EVAL_ERROR);
}

/* Text that is no UTF-8 in an event, as no broker lets it in. */
T(not_utf8)
{
	static const char *const exprs[] = {"upper(s)", "lower(s)", "trim(s)",
	    "html(s)", "replace(s, 'a', 'b')", "split(s, ',')", "\"{s}!\"",
	    "hash(s)", "s", "map", "text(s)", "time(s, 'UTC')", "decimal(s)",
	    "rf(s)", "join('-', words)", "sort(w for w in words)"};
	struct input in = {.settings = SLICE_EMPTY,
	    .system = SLICE_LIT("shop"),
	    .event = SLICE_LIT("\x81\xa7subject\xa7order:1")};
	static const char bad[] = "\xc3\x28\xff\xfe\xed\xa0\x80 a,\xf8\x88";
	struct buf mp;

	buf_init(&mp, 4096);
	mp_put_map(&mp, 3);
	mp_put_cstr(&mp, "s");
	mp_put_str(&mp, slice_str(bad));
	mp_put_cstr(&mp, "map");
	mp_put_map(&mp, 1);
	mp_put_cstr(&mp, "x");
	mp_put_str(&mp, slice_str(bad));
	mp_put_cstr(&mp, "words");
	mp_put_array(&mp, 2);
	mp_put_str(&mp, slice_str(bad));
	mp_put_str(&mp, slice_str("\xe2\x82"));
	in.data = buf_all(&mp);
	if (try_eval == NULL)
		try_eval = eval_new();
	for (size_t i = 0; i < sizeof(exprs) / sizeof(*exprs); i++) {
		const struct mapping *m = try_expr(exprs[i]);
		const struct result *r;

		LOADS(m);
		r = mapping_eval(try_eval, m, &in);
		CHECK(r->verdict == EVAL_OK || r->text.n > 0);
	}
	buf_fini(&mp);
}

/* A file that is larger than anyone writes: a fault, soon, and the process
 * lives on. */
T(large_files)
{
	const struct mapping *m;

	/* ten megabytes of fields */
	buf_reset(&text);
	buf_str(&text, HEAD EMIT);
	for (int i = 0; text.n < 10 << 20; i++)
		buf_printf(&text, "      f%d: \"{id} and {n} and {s}\"\n", i);
	CHECK(load() == NULL);
	SAYS("more than 4096 fields in one map");
	/* 4,000 are fine */
	buf_reset(&text);
	buf_str(&text, HEAD EMIT);
	for (int i = 0; i < 4000; i++)
		buf_printf(&text, "      f%d: id\n", i);
	m = load();
	LOADS(m);
	CHECK(try_run(m, NULL)->verdict == EVAL_OK);
	/* many small maps */
	buf_reset(&text);
	buf_str(&text, HEAD EMIT "      x:\n");
	for (int i = 0; i < 12000; i++)
		buf_str(&text, "        - {a: 1}\n");
	CHECK(load() == NULL);
	SAYS("more than 10000 fields in one mapping; split it");
	/* keys that are computed */
	m = try_load(HEAD EMIT "      x:\n        each: w in words\n"
			       "        entry: [w, 1]\n");
	LOADS(m);
	words(5000);
	CHECK(try_run(m, buf_cstr(&data))->verdict == EVAL_ERROR);
	CHECK(try_result->err == ERR_BUDGET || try_result->err == ERR_LIMIT);
	/* lets, emits, checks, errors */
	buf_reset(&text);
	buf_str(&text, HEAD "let:\n");
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "  q%d: id\n", i);
	buf_str(&text, EMIT "      x: 1\n");
	CHECK(load() == NULL);
	SAYS("more than 128 names in view");
	buf_reset(&text);
	buf_str(&text, HEAD "emit:\n");
	for (int i = 0; i < 100000; i++)
		buf_printf(
		    &text, "  - {type: t.out, id: 'c%d', data: {x: 1}}\n", i);
	CHECK(load() == NULL);
	CHECK(try_faults.count >= 1);
	buf_reset(&text);
	buf_str(&text, HEAD EMIT "      x: 1\n    check:\n");
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "      - nope%d = 1\n", i);
	CHECK(load() == NULL);
	CHECK(try_faults.count == 100000);
	SAYS("and 99801 more");
	/* items that each have another shape: their union outgrows memory */
	buf_reset(&text);
	buf_str(&text, HEAD EMIT "      x:\n");
	for (int i = 0; i < 9000; i++)
		buf_printf(&text, "        - {k%d: 1}\n", i);
	CHECK(load() == NULL);
	SAYS("split it");
	/* a table may be as large as a file */
	buf_reset(&text);
	buf_str(&text, HEAD "tables:\n  k:\n    unmatched: error\n    rows:\n");
	for (int i = 0; text.n < 10 << 20; i++)
		buf_printf(
		    &text, "      a rather long key of a row %d: %d\n", i, i);
	buf_str(&text, EMIT "      x: lookup(k, 'a rather long key of a row "
			    "7')\n");
	m = load();
	LOADS(m);
	try_run(m, NULL);
	CHECK_STR(try_said, "{\"x\":\"7\"}");
}

T_MAIN(buf_init(&text, 64 << 20); buf_init(&data, 64 << 20); try_begin();
       T_RUN(tables) arena_reset(&try_arena); try_again();
       T_RUN(loops) T_RUN(numbers) T_RUN(not_utf8) T_RUN(large_files) try_end();
       buf_fini(&text); buf_fini(&data))
