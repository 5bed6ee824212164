/* The mapping language's functions: one test table each, and the table itself.
 */
#include "broker/base/file.h"
#include "mappings/engine/format.h"
#include "mappings/engine/func.h"
#include "tests/unit/map_try.h"

T(table)
{
	const struct func *t;
	size_t n = func_table(&t);

	CHECK(n >= 40);
	for (size_t i = 0; i < n; i++) {
		/* a signature begins with its name, and help says something */
		CHECK(strncmp(t[i].sig, t[i].name, strlen(t[i].name)) == 0);
		CHECK(strlen(t[i].help) > 4);
		CHECK((t[i].check == NULL) == (t[i].result != NULL));
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(t[i].name, t[k].name) != 0);
	}
	F("rund(n, 2)", "there is no function rund; did you mean round?");
	F("round(n)", "round takes more arguments: round(x, places");
	F("abs(n, 2)", "abs takes fewer arguments");
	F("header('x')", "there is no function header");
	F("trim(x for x in words)", "no for in this argument: trim(x)");
	F("trim(id)", "trim(): text is wanted, and id is a whole number");
}

static size_t
times_in(const struct buf *text, const char *word)
{
	const uint8_t *p = text->p, *end = text->p + text->n;
	size_t n = 0, len = strlen(word);

	while ((p = memmem(p, (size_t)(end - p), word, len)) != NULL) {
		/* a name of its own, not the end of another */
		n += p == text->p ||
		     !(p[-1] == '_' || (p[-1] >= 'a' && p[-1] <= 'z'));
		p += len;
	}
	return n;
}

/* Each function stands in the guide, and is tried in these tests. */
T(guide_and_tests)
{
	static const char *const files[] = {"tests/unit/map_func_test.c",
	    "tests/unit/map_data_test.c", "tests/unit/map_formula_test.c"};
	const struct func *t;
	size_t n = func_table(&t);
	struct buf guide, tests;
	char word[64];

	buf_init(&guide, 1 << 20);
	buf_init(&tests, 4 << 20);
	CHECK_OK(file_read("mappings/README.md", &guide));
	for (size_t i = 0; i < 3; i++)
		CHECK_OK(file_read(files[i], &tests));
	for (size_t i = 0; i < n; i++) {
		snprintf(word, sizeof(word), "%s(", t[i].name);
		if (times_in(&tests, word) < 3)
			fprintf(stderr, "%s is hardly tried\n", t[i].name);
		CHECK(times_in(&tests, word) >= 3);
		if (t[i].roots == 0 && times_in(&guide, t[i].name) == 0)
			fprintf(stderr, "%s is not in the guide\n", t[i].name);
		CHECK(t[i].roots != 0 || times_in(&guide, t[i].name) > 0);
	}
	buf_fini(&guide);
	buf_fini(&tests);
}

/* The JSON Schema for editors: every word has its help, every function is
 * described. */
T(format)
{
	struct buf out, mp;
	const struct func *t;
	size_t n = func_table(&t);
	struct slice defs, one;

	buf_init(&out, 1 << 20);
	buf_init(&mp, 1 << 20);
	for (size_t i = 1; format_names[i] != NULL; i++) {
		CHECK_OK(format_write(format_names[i], &out));
		buf_reset(&out);
	}
	CHECK_OK(format_write("mapping", &out));
	CHECK_OK(json_to_mp(buf_all(&out), &mp, NULL));
	CHECK(mp_get(buf_all(&mp), "$defs", &defs));
	CHECK(mp_get(defs, "emit", &one) && mp_get(defs, "join", &one) &&
	      mp_get(defs, "table", &one) && mp_get(defs, "node", &one));
	CHECK(mp_get(defs, "expression", &one));
	for (size_t i = 0; i < n; i++)
		if (t[i].roots == 0)
			CHECK(memmem(one.p, one.n, t[i].sig,
				  strlen(t[i].sig)) != NULL);
	buf_fini(&out);
	buf_fini(&mp);
}

T(choices)
{
	V("if(b, 'y', 'n')", "\"y\"");
	V("if(id > 7, 'y', 'n')", "\"n\"");
	V("has(map.k1)", "true");
	V("has(map.k3)", "false");
	V("has(map.none)", "false");
	V("need(addr).city", "\"Turku\"");
}

T(numbers)
{
	V("abs(-2.50)", "2.50");
	V("abs(id)", "7");
	V("decimal('12.50')", "12.50");
	V("decimal(id) + 0.0", "7.0");
	R("decimal(s)", "the text 'text' is no number");
	R("decimal('1,5')", "is no number");
	V("int('42')", "42");
	V("int(4.00)", "4");
	R("int(n)", "not a whole number; round(x, 0)");
	V("minor(1999, 'EUR')", "19.99");
	V("minor(-5, 'eur')", "-0.05");
	V("minor(1999, 'JPY')", "1999");
	V("minor(1999, 'KWD')", "1.999");
	R("minor(n, 'EUR')", "minor units are whole numbers");
	R("minor(id, 'EURO')", "a currency is three letters");
	V("to_minor(19.99, 'EUR')", "1999");
	V("to_minor(12.5, 'EUR')", "1250");
	R("to_minor(1.999, 'EUR')", "round() it to 2 places");
	V("to_minor(1999, 'JPY')", "1999");
	/* the bank association's own examples of the check digits */
	V("fi_reference('123456')", "\"1234561\"");
	V("fi_reference('1234567890')", "\"12345678907\"");
	V("fi_reference(1234)", "\"12344\"");
	R("fi_reference('12')", "3 to 19 digits");
	R("fi_reference('12A4')", "digits only");
	V("rf('539007547034')", "\"RF18539007547034\"");
	V("rf('1234561')", "\"RF341234561\"");
	V("rf('ab c1')", "\"RF96ABC1\"");
	R("rf('a-1')", "letters A to Z and digits");
	F("round(n, 2, up)", "one of these words is wanted: half_up half_even");
	R("round(n, 10)", "places are 0 to 9");
}

T(lists)
{
	V("sum(l.net for l in lines)", "24.50");
	V("sum(l.qty * l.net for l in lines)", "52.50");
	V("sum(l.qty for l in lines)", "6");
	V("sum(x.n for x in map.none) + 1", "1");
	V("count(lines)", "3");
	V("count(l for l in lines if has(l.sku))", "2");
	V("count(gone)", "0");
	V("any(l.name = 'Tea' for l in lines)", "true");
	V("any(l.name = 'Ale' for l in lines)", "false");
	V("all(l.qty > 0 for l in lines)", "true");
	V("all(l.qty > 1 for l in lines)", "false");
	V("any(x.x = 'x' for x in gone)", "false");
	V("all(x.x = 'x' for x in gone)", "true");
	V("first(l.name for l in lines)", "\"Mug\"");
	V("last(l.name for l in lines)", "\"Bag\"");
	V("last(words)", "\"fig\"");
	V("first(l for l in lines if l.qty = 3).name", "\"Bag\"");
	V("first(l.sku for l in lines if l.qty = 1) ?? 'none'", "\"none\"");
	V("at(words, 2)", "\"apple\"");
	V("at(words, 9) ?? 'none'", "\"none\"");
	V("at(words, 0) ?? 'none'", "\"none\"");
	V("words[3]", "\"fig\"");
	V("words[4] ?? 'none'", "\"none\"");
	V("list(k for l, k in lines)", "[1,2,3]");
	V("list(l.name for l in lines if l.qty > 1)", "[\"Mug\",\"Bag\"]");
	V("list(t for l in lines for t in l.tags)", "[\"x\",\"y\",\"z\"]");
	V("list(\"{k}{t}\" for l, k in lines for t in l.tags if t != 'y')",
	    "[\"1x\",\"2z\"]");
	V("reverse(words)", "[\"fig\",\"apple\",\"pear\"]");
	V("reverse(w for w in words if w != 'apple')", "[\"fig\",\"pear\"]");
	V("count(reverse([]))", "0");
	V("concat(words, words)",
	    "[\"pear\",\"apple\",\"fig\",\"pear\",\"apple\",\"fig\"]");
	V("concat(l.tags ?? [] for l in lines, w for w in words)",
	    "[\"x\",\"y\",\"z\",\"pear\",\"apple\",\"fig\"]");
	V("sort(w for w in words)", "[\"apple\",\"fig\",\"pear\"]");
	V("list(l.name for l in sort(l.qty for l in lines))",
	    "[\"Tea\",\"Mug\",\"Bag\"]");
	V("list(l.name for l in sort(l.cls ?? '' for l in lines))",
	    "[\"Tea\",\"Mug\",\"Bag\"]");
	V("list(l.name for l in reverse(sort(l.net for l in lines)))",
	    "[\"Mug\",\"Bag\",\"Tea\"]");
	V("list(e.key for e in entries(map))", "[\"k1\",\"k2\",\"k3\"]");
	V("list(\"{e.key}={e.value ?? ''}\" for e in entries(map))",
	    "[\"k1=v1\",\"k2=2\",\"k3=\"]");
	V("join(', ', w for w in words if w != 'fig')", "\"pear, apple\"");
	V("join('', words)", "\"pearapplefig\"");
	V("join(',', w for w in words if w = 'none')", "\"\"");
	R("join(',', x.value ?? 'none' for x in map.k2)", "a list is wanted");
	F("join(words)", "join takes more arguments");
	V("split('a,b,,c', ',')", "[\"a\",\"b\",\"\",\"c\"]");
	V("count(split('', ','))", "1");
	F("first(s)", "first() wants a list, not text");
	F("sum(l.name for l in lines)", "sum wants numbers, not text");
	F("sort(words)", "goes through a list: sort(key for x in ..)");
	F("group(l for l in lines)", "wants a key that compares");
	F("list(l.sku for l in lines)", "l.sku may be absent");
	F("count(x for x in s)", "a list is wanted, and s is text");
	F("count(x for x in map.k1 for x in words)", "taken above");
	R("count(x for x in map.k1)", "a list is wanted, and this is text");
}

T(groups)
{
	V("list(\"{g.key}:{sum(l.net for l in g.rows)}\" for g in "
	  "group(l.cls ?? '-' for l in lines))",
	    "[\"r:19.00\",\"-:5.50\"]");
	V("list(count(g.rows) for g in group(l.net > 9.5 for l in lines))",
	    "[1,2]");
	/* 3.0 and 3.00 are one key */
	V("count(group(decimal(w) for w in split('3.0,3.00,3', ',')))", "1");
	V("list(a.part for a in allocate(10, 2, l.qty for l in lines))",
	    "[3.33,1.67,5.00]");
	V("list(\"{a.row.name} {a.part}\" for a in allocate(100, 0, 1 for l in "
	  "lines))",
	    "[\"Mug 34\",\"Tea 33\",\"Bag 33\"]");
	V("sum(a.part for a in allocate(-0.05, 2, 1 for l in lines))", "-0.05");
	V("list(a.part for a in allocate(-0.05, 2, 1 for l in lines))",
	    "[-0.02,-0.02,-0.01]");
	V("list(a.part for a in allocate(0, 2, 1 for l in lines))",
	    "[0.00,0.00,0.00]");
	R("list(a.part for a in allocate(1, 2, l.qty - 1 for l in lines))",
	    "weight 2 is zero; each is above zero");
	R("list(a.part for a in allocate(1, 2, l.qty - 3 for l in lines))",
	    "weight 1 is negative");
	R("list(a.part for a in allocate(1.005, 2, 1 for l in lines))",
	    "the total has more than 2 decimals");
	R("list(a.part for a in allocate(1, 2, 1 for l in lines if l.qty > 9))",
	    "nothing to allocate to");
	V("count(allocate(0, 2, 1 for l in lines if l.qty > 9))", "0");
}

/* However the total and the weights fall, the parts sum to the total. */
T(allocate_sums)
{
	const struct mapping *m =
	    try_expr("sum(a.part for a in allocate(n, 2, w for w in words2))");
	unsigned seed = 20261122;
	char json[1024], want[64];

	CHECK(m == NULL);
	m = try_expr("sum(a.part for a in allocate(n, 2, decimal(w) for w in "
		     "words))");
	CHECK(m != NULL);
	for (int i = 0; m != NULL && i < 300; i++) {
		int n, at;
		long cents = (long)(rand_r(&seed) % 200000) - 100000;

		at = snprintf(json, sizeof(json),
		    "{\"n\":%s%ld.%02ld,\"words\":[", cents < 0 ? "-" : "",
		    labs(cents) / 100, labs(cents) % 100);
		n = 1 + (int)(rand_r(&seed) % 9);
		for (int k = 0; k < n; k++)
			at += snprintf(json + at, sizeof(json) - (size_t)at,
			    "%s\"%u.%02u\"", k > 0 ? "," : "",
			    rand_r(&seed) % 90, 1 + rand_r(&seed) % 99);
		snprintf(json + at, sizeof(json) - (size_t)at, "]}");
		try_run(m, json);
		snprintf(want, sizeof(want), "{\"v\":%s%ld.%02ld}",
		    cents < 0 ? "-" : "", labs(cents) / 100, labs(cents) % 100);
		if (cents == 0)
			snprintf(want, sizeof(want), "{\"v\":0.00}");
		CHECK_STR(try_said, want);
	}
}

T(text)
{
	V("upper('äö-é ß ж')", "\"ÄÖ-É ß Ж\"");
	V("lower('ÄÖ-É Ω')", "\"äö-é ω\"");
	V("upper('ț ș ế ά ώ ү ſ')", "\"Ț Ș Ế Ά Ώ Ү S\"");
	V("lower('ȚȘ ẞ ΌΣ Ԥ İ')", "\"țș ß όσ ԥ i\"");
	V("upper('ßŉ') = lower('ßŉ')", "true");
	V("trim(' \xc2\xa0 a b \\t')", "\"a b \\\\t\"");
	V("trim('   ')", "\"\"");
	V("replace('a-b-c', '-', '')", "\"abc\"");
	V("replace('aaa', 'a', 'bb')", "\"bbbbbb\"");
	V("replace('abc', 'x', 'y')", "\"abc\"");
	R("replace(s, '', 'y')", "nothing to be replaced in an empty text");
	V("html('Tea &amp; <b>caf&eacute;</b> &#8364;&#x41;')",
	    "\"Tea & café €A\"");
	V("html('one<br/>two<p>three</p>')", "\"one two three\"");
	V("html('1 < 2 & 3 &nope; x')", "\"1 < 2 & 3 &nope; x\"");
	V("text(n)", "\"12.50\"");
	V("text(n, 1)", "\"12.5\"");
	V("text(n, 3, ',')", "\"12,500\"");
	V("text(id, 2)", "\"7.00\"");
	R("text(1.005, 2)", "does not fit 2 decimals; round() it");
	V("text(b)", "\"true\"");
	V("hash('abc')", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb4"
			 "10ff61f20015ad\"");
	V("hash(map) = hash(map)", "true");
	V("hash(map) = hash(words)", "false");
	R("hash(split('a', 'b'))", "hash() takes text or a part of the input");
}

T(times)
{
	V("time(local, 'UTC')", "\"2026-03-01T10:00:00Z\"");
	V("time(local, 'Europe/Helsinki')", "\"2026-03-01T08:00:00Z\"");
	F("time(local)", "which zone is it in, where the text names none?");
	V("time('2026-03-01T10:00:00+02:00')", "\"2026-03-01T08:00:00Z\"");
	V("time(at)", "\"2026-03-01T10:00:00Z\"");
	R("time(s, 'UTC')", "the text 'text' is no time");
	F("time(local, 'Europe/Helsinky')", "there is no zone");
	F("time(local, 'dd.MM.yyyy')", "behind a pattern stands one too");
	V("time(1772359200, s)", "\"2026-03-01T10:00:00Z\"");
	V("time(1772359200123, 'ms')", "\"2026-03-01T10:00:00.123Z\"");
	V("time(1772359200.5, s)", "\"2026-03-01T10:00:00.500Z\"");
	F("time(id)", "a number is read as seconds or milliseconds");
	V("time('01.03.2026 12:00', 'dd.MM.yyyy HH:mm', 'Europe/Helsinki')",
	    "\"2026-03-01T10:00:00Z\"");
	R("time(s, 'dd.MM.yyyy', 'UTC')", "does not follow the pattern");
	F("time(s, 'DD.MM.YYYY', 'UTC')", "a pattern is made of yyyy MM dd");
	V("time(day, 'Europe/Helsinki')", "\"2026-03-30T21:00:00Z\"");
	F("time(day)", "a date becomes a time in a zone");
	/* both edges of daylight saving in Helsinki, 2026 */
	V("time('2026-03-29T03:30:00', 'Europe/Helsinki')",
	    "\"2026-03-29T01:30:00Z\"");
	V("time('2026-10-25T03:30:00', 'Europe/Helsinki')",
	    "\"2026-10-25T00:30:00Z\"");
	V("date(time('2026-03-31T22:30:00Z'), 'Europe/Helsinki')",
	    "\"2026-04-01\"");
	V("date(at, 'UTC') < day", "true");
	F("date(local, 'UTC')", "a time (time(..) reads one) is wanted");
	F("date(at)", "date takes more arguments");
	V("add(day, 14, days)", "\"2026-04-14\"");
	V("add(day, -1, months)", "\"2026-02-28\"");
	V("add(at, 1, days)", "\"2026-03-02T10:00:00Z\"");
	V("add(at, 12, 'months')", "\"2027-03-01T10:00:00Z\"");
	F("add(day, 1, weeks)", "one of these words is wanted: days months");
	R("add(day, 99999999, days)", "out of the range of times");
	V("format(at, 'dd.MM.yyyy HH:mm', 'Europe/Helsinki')",
	    "\"01.03.2026 12:00\"");
	V("format(day, 'yyyyMMdd')", "\"20260331\"");
	F("format(at, 'yyyyMMdd')", "format of a time wants a zone");
}

/* What a list holds is taken by the list's own type, however it is gone
 * through. */
T(elements)
{
	static const char odd[] = "{\"words\":[7,{\"a\":1}]}";
	const struct mapping *m = try_expr("first(words)");

	CHECK(m != NULL);
	try_run(m, odd);
	CHECK_STR(try_said, "{\"v\":\"7\"}");
	m = try_expr("last(words)");
	try_run(m, odd);
	SAYS("text is wanted, and this is a map");
	m = try_expr("count(w for w in words)");
	try_run(m, odd);
	SAYS("text is wanted, and this is a map");
	m = try_expr("concat(l.tags ?? [] for l in lines)");
	CHECK(m != NULL);
	try_run(m, "{\"lines\":[{\"tags\":[12,\"x\"]}]}");
	CHECK_STR(try_said, "{\"v\":[\"12\",\"x\"]}");
	try_run(m, "{\"lines\":[{\"tags\":[[]]}]}");
	SAYS("text is wanted, and this is a list");
}

T_MAIN(try_begin(); T_RUN(table) T_RUN(guide_and_tests) T_RUN(format) T_RUN(
    choices) T_RUN(numbers) T_RUN(lists) T_RUN(groups) T_RUN(allocate_sums)
	   T_RUN(text) T_RUN(times) T_RUN(elements) try_end())
