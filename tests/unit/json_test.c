/*
 * json_test - json.h: digits are kept, the public test suite is answered as
 * it must be, and what the suite leaves open stands in json_suite.tsv.
 */
#include <dirent.h>
#include <inttypes.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "tests/unit/t.h"

#define SUITE_TABLE "tests/unit/json_suite.tsv"

/* JSON -> msgpack -> JSON, in one static buffer. */
static const char *
around(const char *text, enum json_form form)
{
	static struct buf mp, json;

	if (mp.max == 0) {
		buf_init(&mp, 1 << 20);
		buf_init(&json, 1 << 20);
	}
	buf_reset(&mp);
	buf_reset(&json);
	if (json_to_mp(slice_str(text), &mp, NULL) != ERR_OK)
		return err_last();
	CHECK_OK(mp_check(buf_all(&mp)));
	if (mp_to_json(buf_all(&mp), form, &json) != ERR_OK)
		return err_last();
	return buf_cstr(&json);
}

static void
same(const char *text)
{
	CHECK_STR(around(text, JSON_COMPACT), text);
}

T(digits_are_kept)
{
	same("79.90");
	same("1E400");
	same("1e-400");
	same("-0");
	same("-0.0");
	same("0");
	same("0.10");
	same("9007199254740993");
	same("820982911946154508");
	same("9223372036854775807");
	same("9223372036854775808");
	same("18446744073709551615");
	same("18446744073709551616");
	same("-9223372036854775808");
	same("-9223372036854775809");
	same("123456789012345678901234567890.123456789012345678901234567890");
	same("[0,1,-1,127,128,255,256,65535,65536,4294967295,4294967296]");
	same("[-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649]");
	same("[1.5,1e5,1E5,1.5E+5,12.25,1.234567,0.12345678901234]");
}

/* Each integer becomes the type and the size that msgpack has for it. */
T(integers_are_integers)
{
	static const struct {
		const char *text;
		enum mp_type type;
		size_t bytes;
	} want[] = {{"0", MP_INT, 1}, {"127", MP_INT, 1}, {"128", MP_INT, 2},
	    {"-32", MP_INT, 1}, {"-33", MP_INT, 2}, {"-128", MP_INT, 2},
	    {"-129", MP_INT, 3}, {"65536", MP_INT, 5}, {"-32769", MP_INT, 5},
	    {"4294967296", MP_INT, 9}, {"-2147483649", MP_INT, 9},
	    {"9223372036854775807", MP_INT, 9},
	    {"9223372036854775808", MP_UINT, 9},
	    {"18446744073709551615", MP_UINT, 9},
	    {"18446744073709551616", MP_DECIMAL, 23}, {"-0", MP_DECIMAL, 4},
	    {"1.0", MP_DECIMAL, 6}, {"1E5", MP_DECIMAL, 6},
	    {"12.5", MP_DECIMAL, 6}, {"79.90", MP_DECIMAL, 8}};
	struct buf mp, again;
	struct mp m;

	buf_init(&mp, 4096);
	buf_init(&again, 4096);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		/* Alone, and with so much behind it that the fast path is
		 * taken. */
		for (int spaces = 0; spaces < 2; spaces++) {
			char text[100];
			struct mp_in in;

			snprintf(text, sizeof(text), "%s%*s", want[i].text,
			    spaces * 40, "");
			buf_reset(&mp);
			CHECK_OK(json_to_mp(slice_str(text), &mp, NULL));
			CHECK(mp.n == want[i].bytes);
			in = mp_in(buf_all(&mp));
			CHECK_OK(mp_next(&in, &m));
			CHECK(m.type == want[i].type);
		}
		/* The same bytes as the packers write. */
		buf_reset(&again);
		if (m.type == MP_INT)
			mp_put_int(&again, m.i);
		else if (m.type == MP_UINT)
			mp_put_uint(&again, m.u);
		else
			mp_put_decimal(&again, slice_str(want[i].text));
		CHECK(slice_eq(buf_all(&mp), buf_all(&again)));
	}
	buf_fini(&mp);
	buf_fini(&again);
}

T(texts)
{
	same("\"\"");
	same("\"a\"");
	same("\"M\xc3\xa4kinen\"");
	same("\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\"");
	same("\"exactly fifteen\"");
	same("\"exactly sixteen.\"");
	same("\"thirty-one bytes of a text here\"");
	same("\"thirty-two bytes of a text, here\"");
	CHECK_STR(around("\"\\/\"", JSON_COMPACT), "\"/\"");
	CHECK_STR(around("\"\\u00e4\\u20ac\"", JSON_COMPACT),
	    "\"\xc3\xa4\xe2\x82\xac\"");
	CHECK_STR(
	    around("\"\\uD83D\\uDE00\"", JSON_COMPACT), "\"\xf0\x9f\x98\x80\"");
	CHECK_STR(around("\"a\\u0041b\"", JSON_COMPACT), "\"aAb\"");
}

/* Every length around the sizes of msgpack's heads, plain, with an escape at
 * either end and with a character of two bytes. */
T(text_lengths)
{
	static const size_t around_sizes[] = {0, 1, 7, 8, 14, 15, 16, 17, 29,
	    30, 31, 32, 33, 47, 48, 254, 255, 256, 257, 65534, 65535, 65536,
	    65540};
	static const char *const ends[][2] = {{"", ""}, {"\\n", ""},
	    {"", "\\n"}, {"\\u0041", "\\t"}, {"\xc3\xa4", ""},
	    {"", "\xc3\xa4"}};
	char *text = malloc(200000);
	struct buf mp, want;
	struct mp_in in;
	struct mp m;

	buf_init(&mp, 1 << 20);
	buf_init(&want, 1 << 20);
	for (size_t i = 0; i < sizeof(around_sizes) / sizeof(*around_sizes);
	     i++)
		for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
			size_t n = around_sizes[i], at;

			/* In the middle of a text, and at its very end. */
			for (int far = 0; far < 2; far++) {
				at = (size_t)sprintf(text, "[\"%s", ends[k][0]);
				memset(text + at, 'x', n);
				sprintf(text + at + n, "%s\"%*s]", ends[k][1],
				    far * 60, "");
				buf_reset(&mp);
				CHECK_OK(
				    json_to_mp(slice_str(text), &mp, NULL));
				in = mp_in(buf_all(&mp));
				CHECK_OK(mp_next(&in, &m));
				CHECK_OK(mp_next(&in, &m));
				buf_reset(&want);
				mp_put_array(&want, 1);
				mp_put_str(&want, m.bytes);
				CHECK(slice_eq(buf_all(&mp), buf_all(&want)));
				CHECK(m.bytes.n >= n && m.bytes.n <= n + 4);
				if (k == 0)
					CHECK(m.bytes.n == n);
			}
		}
	free(text);
	buf_fini(&mp);
	buf_fini(&want);
}

T(containers)
{
	char *text = malloc(400000), *p;
	struct buf mp;
	struct mp_in in;
	struct mp m;

	same("{}");
	same("[]");
	same("[[],{},[{}]]");
	same("{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":true,\"e\":false}");
	CHECK_STR(around(" [ 1 ,\t2\r\n, { \"a\" : 3 } ] ", JSON_COMPACT),
	    "[1,2,{\"a\":3}]");
	CHECK_STR(
	    around("{\"a\":[],\"b\":{},\"c\":[1,{\"d\":2}]}", JSON_PRETTY),
	    "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n"
	    "      \"d\": 2\n    }\n  ]\n}");
	/* Counts around the sizes of heads; what stands before and behind
	 * must survive the head's growing. */
	buf_init(&mp, 1 << 20);
	for (int n = 1; n < 70000; n = n < 40 ? n + 1 : n * 2 - 1) {
		p = text + sprintf(text, "[\"before\",[");
		for (int i = 0; i < n; i++)
			p += sprintf(p, "%s%d", i > 0 ? "," : "", i % 10);
		sprintf(p, "],\"behind\"]");
		buf_reset(&mp);
		CHECK_OK(json_to_mp(slice_str(text), &mp, NULL));
		CHECK_OK(mp_check(buf_all(&mp)));
		in = mp_in(buf_all(&mp));
		CHECK_OK(mp_next(&in, &m));
		CHECK_OK(mp_skip(&in));
		CHECK_OK(mp_next(&in, &m));
		CHECK(m.type == MP_ARRAY && (int)m.count == n);
	}
	free(text);
	buf_fini(&mp);
}

/* An object of n keys k0..; `dup` (if not negative) is written again at the
 * end, with the value 7. */
static size_t
big_object(char *to, int n, int dup)
{
	char *p = to;

	*p++ = '{';
	for (int i = 0; i < n; i++)
		p += sprintf(p, "%s\"key number %d of many\":%d",
		    i > 0 ? "," : "", i, i % 5);
	if (dup >= 0)
		p += sprintf(p, ",\"key number %d of many\":7", dup);
	p += sprintf(p, "}");
	return (size_t)(p - to);
}

T(the_last_of_equal_keys_counts)
{
	char *text = malloc(1 << 20), name[40];
	struct slice v;
	struct buf mp;
	struct mp_in in;
	struct mp m;

	CHECK_STR(around("{\"a\":1,\"a\":2}", JSON_COMPACT), "{\"a\":2}");
	CHECK_STR(around("{\"a\":[1,2,{\"a\":3}],\"b\":4,\"a\":{\"b\":5},"
			 "\"c\":6,\"b\":7}",
		      JSON_COMPACT),
	    "{\"a\":{\"b\":5},\"c\":6,\"b\":7}");
	CHECK_STR(around("{\"a\":1,\"\\u0061\":2,\"a\":3}", JSON_COMPACT),
	    "{\"a\":3}");
	CHECK_STR(
	    around("{\"a\":{\"x\":1,\"x\":2},\"b\":{\"x\":3}}", JSON_COMPACT),
	    "{\"a\":{\"x\":2},\"b\":{\"x\":3}}");
	CHECK_STR(around("{\"\":1,\"\":2}", JSON_COMPACT), "{\"\":2}");
	CHECK_STR(around("{\"a\":1,\"a\\u0000\":2,\"A\":3}", JSON_COMPACT),
	    "{\"a\":1,\"a\\u0000\":2,\"A\":3}");
	buf_init(&mp, 1 << 20);
	for (int n = 1; n < MP_KEYS; n += n < 70 ? 1 : 997)
		for (int dup = 0; dup < n; dup += n / 3 + 1) {
			size_t len = big_object(text, n, dup);

			buf_reset(&mp);
			CHECK_OK(json_to_mp(slice_of(text, len), &mp, NULL));
			CHECK_OK(mp_check(buf_all(&mp)));
			in = mp_in(buf_all(&mp));
			CHECK_OK(mp_next(&in, &m));
			CHECK((int)m.count == n);
			snprintf(
			    name, sizeof(name), "key number %d of many", dup);
			CHECK(mp_get(buf_all(&mp), name, &v) && v.p[0] == 7);
		}
	buf_fini(&mp);
	free(text);
}

T(limits)
{
	char *text = malloc(1 << 20), deep[200];
	struct json_at at;
	struct buf mp;
	size_t n;

	buf_init(&mp, 1 << 20);
	memset(deep, '[', 100);
	memset(deep + MP_DEPTH, ']', MP_DEPTH);
	CHECK_OK(json_to_mp(slice_of(deep, 2 * MP_DEPTH), &mp, NULL));
	CHECK_OK(mp_check(buf_all(&mp)));
	memset(deep, '[', 100);
	CHECK_ERR(json_to_mp(slice_of(deep, 100), &mp, &at), ERR_LIMIT);
	CHECK(at.offset == MP_DEPTH);
	n = big_object(text, MP_KEYS, -1);
	CHECK_OK(json_to_mp(slice_of(text, n), &mp, NULL));
	n = big_object(text, MP_KEYS + 1, -1);
	CHECK_ERR(json_to_mp(slice_of(text, n), &mp, &at), ERR_LIMIT);
	free(text);
	buf_fini(&mp);
}

/* An output that is too small by any number of bytes is ERR_LIMIT and leaves
 * the buffer as it was. */
T(output_is_bounded)
{
	static const char text[] =
	    "{\"id\":1042,\"total\":\"79.90\",\"rate\":25.5,\"big\":"
	    "18446744073709551615,\"lines\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,"
	    "15,16,17],\"note\":\"a text that is longer than thirty-one "
	    "bytes\",\"esc\":\"\\u00e4\\n\",\"none\":null,\"neg\":-70000}";
	struct buf whole, b;
	enum err e;

	buf_init(&whole, 4096);
	CHECK_OK(json_to_mp(SLICE_LIT(text), &whole, NULL));
	for (size_t max = 4; max < whole.n + 30; max++) {
		buf_init(&b, max);
		buf_str(&b, "keep");
		e = json_to_mp(SLICE_LIT(text), &b, NULL);
		/* What an escape shrinks to is not known ahead, so up to 16
		 * bytes more may be asked for than are used. */
		if (max - 4 < whole.n || (e != ERR_OK && max < whole.n + 20)) {
			CHECK(e == ERR_LIMIT);
			CHECK(b.n == 4 && !b.bad);
		} else {
			CHECK_OK(e);
			CHECK(slice_eq(
			    slice_from(buf_all(&b), 4), buf_all(&whole)));
		}
		CHECK(memcmp(b.p, "keep", 4) == 0);
		buf_fini(&b);
	}
	for (size_t max = 4; max < sizeof(text) + 8; max++) {
		buf_init(&b, max);
		buf_str(&b, "keep");
		if (mp_to_json(buf_all(&whole), JSON_COMPACT, &b) != ERR_OK)
			CHECK(b.n == 4 && !b.bad);
		CHECK(memcmp(b.p, "keep", 4) == 0);
		buf_fini(&b);
	}
	/* A number that becomes text at the last moment. */
	for (size_t max = 1; max < 23; max++) {
		buf_init(&b, max);
		CHECK_ERR(
		    json_to_mp(SLICE_LIT("99999999999999999999"), &b, NULL),
		    ERR_LIMIT);
		buf_fini(&b);
	}
	buf_fini(&whole);
}

/* Every text cut short anywhere is refused, never read beyond (the address
 * sanitizer sees to that: the copy ends where the text does). */
T(cut_short)
{
	static const char text[] =
	    "{\"a\":[1,-2.50e+3,\"x\\ud83d\\ude00\\u00e4\",true,false,null],"
	    "\"a longer key than sixteen\":{\"M\xc3\xa4kinen\":\"a value of "
	    "more than thirty-two characters\"}}";
	struct buf mp;

	buf_init(&mp, 4096);
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = malloc(n > 0 ? n : 1);

		memcpy(copy, text, n);
		CHECK_ERR(json_to_mp(slice_of(copy, n), &mp, NULL), ERR_SYNTAX);
		CHECK(mp.n == 0);
		free(copy);
	}
	CHECK_OK(json_to_mp(SLICE_LIT(text), &mp, NULL));
	buf_fini(&mp);
}

T(places)
{
	static const struct {
		const char *text, *note;
	} bad[] = {
	    {"", "line 1, column 1: the text ends where a value was expected"},
	    {"{\"a\":1\n \"b\":2}",
		"line 2, column 2: a comma or } was expected"},
	    {"[1,\n2,\n 3 4]", "line 3, column 4: a comma or ] was expected"},
	    {"{a:1}", "line 1, column 2: a key in double quotes was expected"},
	    {"{\"a\" 1}", "line 1, column 6: a colon was expected"},
	    {"{\"a\":1,}",
		"line 1, column 8: a key in double quotes was expected"},
	    {"[1,]", "line 1, column 4: a value was expected"},
	    {"[01]", "line 1, column 2: a number does not begin with 0"},
	    {"[1.]", "line 1, column 4: a digit was expected after the point"},
	    {"[1e]", "line 1, column 4: an exponent has no digits"},
	    {"[-]", "line 1, column 2: a digit was expected after -"},
	    {"1 2", "line 1, column 3: the value has ended here, but not the "
		    "text"},
	    {"[\"\xff\"]", "line 1, column 3: a byte that is not UTF-8"},
	    {"[\"a\tb\"]", "line 1, column 4: a control character within a "
			   "string; write it as an escape"},
	    {"[\"\\x\"]",
		"line 1, column 3: an escape that is none of \\\" \\\\ "
		"\\/ \\b \\f \\n \\r \\t \\u"},
	    {"[\"\\ud800\"]", "line 1, column 3: the first half of a \\u pair "
			      "without its second"},
	    {"[nul]", "line 1, column 2: a value was expected"},
	};
	struct json_at at;
	struct buf mp;

	buf_init(&mp, 4096);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERR(
		    json_to_mp(slice_str(bad[i].text), &mp, &at), ERR_SYNTAX);
		CHECK_STR(err_last(), bad[i].note);
		CHECK(at.offset <= strlen(bad[i].text) && at.line > 0);
	}
	buf_fini(&mp);
}

T(what_json_lacks)
{
	struct buf mp, json;

	buf_init(&mp, 4096);
	buf_init(&json, 4096);
	mp_put_array(&mp, 4);
	mp_put_bin(&mp, SLICE_LIT("\x00\xff\x10"));
	mp_put_time(&mp, INT64_C(1770000000123000000));
	mp_put_sealed(&mp, 3);
	buf_put(&mp, "\xcb\x3f\xf8\0\0\0\0\0\0", 9);
	CHECK_OK(mp_to_json(buf_all(&mp), JSON_COMPACT, &json));
	CHECK_STR(buf_cstr(&json),
	    "[\"AP8Q\",\"2026-02-02T02:40:00.123Z\",\"(sealed)\",1.5]");
	/* An infinity, a key that is no text, an unknown extension, a decimal
	 * that is no number, bytes behind, cut. */
	buf_reset(&json);
	CHECK_ERR(mp_to_json(slice_of("\xcb\x7f\xf0\0\0\0\0\0\0", 9),
		      JSON_COMPACT, &json),
	    ERR_TYPE);
	CHECK_ERR(mp_to_json(SLICE_LIT("\x81\x01\x02"), JSON_COMPACT, &json),
	    ERR_TYPE);
	CHECK_ERR(mp_to_json(SLICE_LIT("\xd4\x05\x02"), JSON_COMPACT, &json),
	    ERR_TYPE);
	CHECK_ERR(mp_to_json(SLICE_LIT("\xd4\x44-"), JSON_COMPACT, &json),
	    ERR_SYNTAX);
	CHECK_ERR(
	    mp_to_json(SLICE_LIT("\x01\x01"), JSON_COMPACT, &json), ERR_SYNTAX);
	CHECK_ERR(
	    mp_to_json(SLICE_LIT("\x92\x01"), JSON_COMPACT, &json), ERR_SYNTAX);
	CHECK(json.n == 0);
	buf_fini(&mp);
	buf_fini(&json);
}

T(quoting_what_is_not_utf8)
{
	struct buf b;

	buf_init(&b, 4096);
	json_quote(&b, SLICE_LIT("ok \xff\xc3\xa4 \xe2\x82 \"end\"\x7f"));
	CHECK_STR(buf_cstr(&b), "\"ok \xef\xbf\xbd\xc3\xa4 \xef\xbf\xbd"
				"\xef\xbf\xbd \\\"end\\\"\x7f\"");
	buf_fini(&b);
}

/* --- the public test suite */

static int
suite_names(const struct dirent *d)
{
	return strchr("yni", d->d_name[0]) != NULL && d->d_name[1] == '_';
}

/* "accepted" or "refused", as the committed table says of an i_ file. */
static bool
table_says(struct slice table, const char *name, const char *what)
{
	char line[300];

	snprintf(line, sizeof(line), "\n%s\t%s\n", name, what);
	return memmem(table.p, table.n, line, strlen(line)) != NULL;
}

static void
suite_file(const char *dir, const char *name, struct slice table)
{
	struct buf text, mp, json, again;
	char path[2000];
	bool accepted;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	buf_init(&text, 1 << 20);
	buf_init(&mp, 1 << 20);
	buf_init(&json, 1 << 20);
	buf_init(&again, 1 << 20);
	CHECK_OK(file_read(path, &text));
	accepted = json_to_mp(buf_all(&text), &mp, NULL) == ERR_OK;
	if (name[0] == 'i'
		? !table_says(table, name, accepted ? "accepted" : "refused")
		: accepted != (name[0] == 'y')) {
		t_bad++;
		fprintf(stderr, "%s: %s %s\n", name,
		    accepted ? "accepted" : "refused",
		    accepted ? "" : err_last());
	}
	if (accepted) {
		CHECK_OK(mp_check(buf_all(&mp)));
		CHECK_OK(mp_to_json(buf_all(&mp), JSON_PRETTY, &json));
		CHECK_OK(json_to_mp(buf_all(&json), &again, NULL));
		CHECK(slice_eq(buf_all(&mp), buf_all(&again)));
	}
	buf_fini(&text);
	buf_fini(&mp);
	buf_fini(&json);
	buf_fini(&again);
}

T(the_public_suite)
{
	struct dirent **names;
	struct buf table;
	char dir[900];
	int n, each[3] = {0};

	snprintf(dir, sizeof(dir), "%s/json-test-suite", t_fixtures());
	n = scandir(dir, &names, suite_names, alphasort);
	if (n <= 0) {
		t_skipped++;
		fprintf(stderr,
		    "SKIPPED: no JSON test suite in %s "
		    "(VAYLA_FIXTURES names another folder)\n",
		    dir);
		return;
	}
	buf_init(&table, 1 << 20);
	CHECK_OK(file_read(SUITE_TABLE, &table));
	for (int i = 0; i < n; i++) {
		each[names[i]->d_name[0] == 'y'	  ? 0
		     : names[i]->d_name[0] == 'n' ? 1
						  : 2]++;
		suite_file(dir, names[i]->d_name, buf_all(&table));
		free(names[i]);
	}
	free(names);
	buf_fini(&table);
	printf("json test suite: %d y_, %d n_, %d i_ files\n", each[0], each[1],
	    each[2]);
	CHECK(each[0] >= 95 && each[1] >= 188 && each[2] >= 35);
}

T_MAIN(T_RUN(digits_are_kept) T_RUN(integers_are_integers) T_RUN(texts) T_RUN(
    text_lengths) T_RUN(containers) T_RUN(the_last_of_equal_keys_counts)
	T_RUN(limits) T_RUN(output_is_bounded) T_RUN(cut_short) T_RUN(places)
	    T_RUN(what_json_lacks) T_RUN(quoting_what_is_not_utf8)
		T_RUN(the_public_suite))
