/*
 * yaml_test - yaml.h: places and styles of every node, and each thing that the
 * subset leaves out, with its line, column and words.
 */
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/yaml.h"
#include "tests/unit/t.h"

static struct arena arena;
static struct faults faults;

/* The tree of a text, or NULL; what is wrong is in `faults`. */
static struct yaml *
parse_slice(struct slice text)
{
	struct yaml *root = NULL;
	enum err e;

	arena_fini(&arena);
	faults_fini(&faults);
	arena_init(&arena, (size_t)256 << 20);
	faults_init(&faults);
	e = yaml_parse("f.yaml", text, &arena, &faults, &root);
	CHECK(e == ERR_OK || e == ERR_SYNTAX);
	CHECK((e == ERR_OK) == (root != NULL));
	CHECK((e == ERR_OK) == (faults.count == 0));
	return root;
}

static struct yaml *
parse(const char *text)
{
	return parse_slice(slice_str(text));
}

static const char *
wrong(const char *text)
{
	parse(text);
	return buf_cstr(&faults.text);
}

static bool
at(const struct yaml *y, uint32_t line, uint32_t column)
{
	if (y != NULL && y->line == line && y->column == column)
		return true;
	if (y != NULL)
		fprintf(stderr, "%u:%u\n", y->line, y->column);
	return false;
}

T(places_and_styles)
{
	struct yaml *y = parse("# a comment\n"
			       "name: plain text\n"
			       "quoted: 'single'\n"
			       "  \n"
			       "list:\n"
			       "  - one\n"
			       "  - {a: 1, b: [2, \"3\"]}\n"
			       "block: |\n"
			       "  line one\n"
			       "  line two\n"
			       "folded: >\n"
			       "  folded\n"
			       "  text\n"
			       "M\xc3\xa4ki: \xc3\xa4 # comment\n"),
		    *c;

	CHECK(y != NULL && y->kind == YAML_MAP && y->count == 6);
	if (y == NULL)
		return;
	CHECK(at(y, 2, 1));
	c = yaml_get(y, "name");
	CHECK(at(c, 2, 7) && at(c->key, 2, 1));
	CHECK(c->kind == YAML_SCALAR && c->style == YAML_PLAIN);
	CHECK(slice_is(c->text, "plain text") && c->text.p[c->text.n] == 0);
	c = yaml_get(y, "quoted");
	CHECK(at(c, 3, 9) && c->style == YAML_QUOTED);
	CHECK(slice_is(c->text, "single"));
	c = yaml_get(y, "list");
	CHECK(c->kind == YAML_LIST && c->count == 2 && at(c, 6, 3));
	CHECK(at(c->child, 6, 5) && c->child->key == NULL);
	c = c->child->next;
	CHECK(c->kind == YAML_MAP && at(c, 7, 5) && c->next == NULL);
	CHECK(at(yaml_get(c, "b"), 7, 15));
	c = yaml_get(c, "b")->child;
	CHECK(c->style == YAML_PLAIN && c->next->style == YAML_QUOTED);
	CHECK(at(c->next, 7, 19));
	c = yaml_get(y, "block");
	CHECK(c->style == YAML_BLOCK);
	CHECK(slice_is(c->text, "line one\nline two\n") && at(c, 8, 8));
	CHECK(slice_is(yaml_get(y, "folded")->text, "folded text\n"));
	/* Columns count characters. */
	CHECK(at(yaml_get(y, "M\xc3\xa4ki"), 14, 7));
	CHECK(yaml_get(y, "none") == NULL);
	CHECK(yaml_get(yaml_get(y, "name"), "x") == NULL);
	CHECK(yaml_get(NULL, "x") == NULL);
	CHECK(yaml_is(parse("yes"), "yes"));
	CHECK(!yaml_is(parse("'yes'"), "yes"));
	CHECK(!yaml_is(parse("[yes]"), "yes") && !yaml_is(NULL, "yes"));
	/* A byte order mark is no part of the text. */
	CHECK(at(yaml_get(parse("\xef\xbb\xbf"
				"a: b"),
		     "a"),
	    1, 4));
}

T(what_the_subset_leaves_out)
{
	static const char *const all[][2] = {
	    {"a: &x 1\nb: *x\n",
		"f.yaml:1:4: an anchor (&x) is not used here; write the value "
		"out where it is needed\n"
		"f.yaml:2:4: an alias (*x) is not used here; write the value "
		"out, or quote it if it is a text\n"},
	    {"a: &m\n  b: 1\nc: &l [1]\n",
		"f.yaml:1:4: an anchor (&m) is not used here; write the value "
		"out where it is needed\n"
		"f.yaml:3:4: an anchor (&l) is not used here; write the value "
		"out where it is needed\n"},
	    {"a: !!str 3\nb: !x {}\n",
		"f.yaml:1:4: a tag (tag:yaml.org,2002:str) is not used here; "
		"quote the value if it is a text that begins with !\n"
		"f.yaml:2:4: a tag (!x) is not used here; quote the value if "
		"it is a text that begins with !\n"},
	    {"a: ! b\n", "f.yaml:1:4: a tag (!) is not used here; quote the "
			 "value if it is a text that begins with !\n"},
	    {"<<: {a: 1}\n", "f.yaml:1:1: a merge key (<<) is not used here; "
			     "write the fields out\n"},
	    {"a: 1\nb: 2\n'a': 3\na: 4\n",
		"f.yaml:3:1: the key a stands here twice, first on line 1\n"
		"f.yaml:4:1: the key a stands here twice, first on line 1\n"},
	    {"a:\nb:\n  - \n  - x\n",
		"f.yaml:1:3: a value is missing; write null, \"\", [] or {}, "
		"or leave the line out\n"
		"f.yaml:3:4: a value is missing; write null, \"\", [] or {}, "
		"or leave the line out\n"},
	    {"a: {Saldo: 12,90}\nb: {c: 1, d: }\n",
		"f.yaml:1:17: a value is missing; within braces a comma ends "
		"the value before it, and quotes keep it: \"12,90\"\n"
		"f.yaml:2:14: a value is missing; write null, \"\", [] or {}, "
		"or leave the line out\n"},
	    {"a: 1\n---\nb: 2\n",
		"f.yaml:2:1: a second document begins here (---); a file "
		"holds one\n"},
	    {"%YAML 1.2\n---\na: 1\n",
		"f.yaml:1:1: a directive (%) is not used here; remove the "
		"line\n"},
	    {"a:\n\tb: 1\n",
		"f.yaml:2:1: a tab indents this line; use spaces\n"},
	    {"a: x\n \ty\n",
		"f.yaml:2:2: a tab indents this line; use spaces\n"},
	    {"a: {b: 1,\n\tc: 2}\n",
		"f.yaml:2:1: a tab indents this line; use spaces\n"},
	    {"a: 'b\n\tc'\n",
		"f.yaml:2:1: a tab indents this line; use spaces\n"},
	    {"", "f.yaml: the file is empty\n"},
	    {"# nothing\n", "f.yaml: the file is empty\n"},
	    {"{a: 1}: 2\n", "f.yaml:1:1: a map or list can not be a key; quote "
			    "it if it is a text\n"},
	    {"? [a, {b: c}]\n: 3\nd: &x 1\n",
		"f.yaml:1:3: a map or list can not be a key; quote it if it "
		"is a text\n"
		"f.yaml:3:4: an anchor (&x) is not used here; write the value "
		"out where it is needed\n"},
	    {"a: \xff\n", "f.yaml:1:4: not UTF-8; save the file in that "
			  "encoding\n"},
	    {"a: b\nc: \x01\n",
		"f.yaml:2:4: a character that YAML does not allow\n"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		CHECK_STR(wrong(all[i][0]), all[i][1]);
	/* A tab within a block text is text. */
	CHECK(parse("a: |\n  x\n  \ty\n") != NULL);
	CHECK(parse("a: b # \t comment\n") != NULL);
	/* UTF-16 is not UTF-8. */
	CHECK(parse_slice(SLICE_LIT("\xff\xfe"
				    "a\0:\0 \0b\0")) == NULL);
}

T(broken_syntax)
{
	static const char *const all[][2] = {
	    {"a: b: c\n", "f.yaml:1:5: a colon where no key can stand; quote "
			  "the text, or check the indentation\n"},
	    {"a: 1\n b: 2\n",
		"f.yaml:2:3: a colon where no key can stand; quote the text, "
		"or check the indentation\n"},
	    {" a: 1\nb: 2\n", "f.yaml:2:1: the file goes on behind its value; "
			      "check the indentation\n"},
	    {"a: \"x\n", "f.yaml:2:1: the file ends within a quoted text; a "
			 "quote is missing (while scanning a quoted scalar "
			 "from line 1)\n"},
	    {"a: [1, 2\n", "f.yaml:2:1: a comma or ] was expected (while "
			   "parsing a flow sequence from line 1)\n"},
	    {"a: {b: 1\n", "f.yaml:2:1: a comma or } was expected (while "
			   "parsing a flow mapping from line 1)\n"},
	    {"a: @x\n", "f.yaml:1:4: a text that begins with this character "
			"must be quoted\n"},
	    {"a: ]\n", "f.yaml:1:4: a value was expected\n"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *got = wrong(all[i][0]);

		CHECK(faults.count == 1);
		if (i != 7) /* libyaml's words for this one vary */
			CHECK_STR(got, all[i][1]);
	}
	/* What stands before the broken place is told as well. */
	CHECK_STR(wrong("a: &x 1\nb: @\n"),
	    "f.yaml:1:4: an anchor (&x) is not used here; write the value out "
	    "where it is needed\n"
	    "f.yaml:2:4: a text that begins with this character must be "
	    "quoted\n");
}

T(limits)
{
	struct buf b;

	buf_init(&b, (size_t)32 << 20);
	for (int i = 0; i < 32; i++)
		buf_byte(&b, '[');
	for (int i = 0; i < 32; i++)
		buf_byte(&b, ']');
	CHECK(parse_slice(buf_all(&b)) != NULL);
	buf_reset(&b);
	for (int i = 0; i < 33; i++)
		buf_byte(&b, '[');
	CHECK(parse_slice(buf_all(&b)) == NULL);
	CHECK_STR(buf_cstr(&faults.text),
	    "f.yaml:1:33: nested deeper than 32 levels\n");
	buf_reset(&b);
	for (int i = 0; i < 1000000; i++)
		buf_str(&b, "- a\n");
	CHECK(parse_slice(buf_all(&b)) == NULL);
	CHECK_STR(buf_cstr(&faults.text), "f.yaml:1000000:3: more than 1000000 "
					  "values in one file; split it\n");
	buf_reset(&b);
	while (b.n <= (size_t)16 << 20)
		buf_str(&b, "# a comment of some length, again and again\n");
	CHECK(parse_slice(buf_all(&b)) == NULL);
	CHECK_STR(
	    buf_cstr(&faults.text), "f.yaml: larger than 16 MiB; split it\n");
	/* Memory that ends. */
	{
		struct yaml *root = NULL;
		struct arena small;

		arena_init(&small, 300);
		faults_fini(&faults);
		CHECK_ERR(yaml_parse("f.yaml", SLICE_LIT("[a, b, c, d, e]"),
			      &small, &faults, &root),
		    ERR_SYNTAX);
		CHECK(root == NULL && faults.count == 1);
		arena_fini(&small);
	}
	buf_fini(&b);
}

T(many_keys)
{
	struct yaml *y;
	struct buf b;

	buf_init(&b, 1 << 24);
	for (int i = 0; i < 50000; i++)
		buf_printf(&b, "key%d: %d\n", i, i);
	y = parse_slice(buf_all(&b));
	CHECK(y != NULL && y->count == 50000);
	buf_printf(&b, "key777: 1\n");
	CHECK(parse_slice(buf_all(&b)) == NULL);
	CHECK_STR(buf_cstr(&faults.text),
	    "f.yaml:50001:1: the key key777 stands here twice, first on line "
	    "778\n");
	buf_fini(&b);
}

T(faults_in_lines)
{
	struct yaml plain = {
	    .line = 3, .column = 5, .text = SLICE_LIT("abcde")};
	struct yaml quoted = plain, block = plain, umlaut = plain;
	struct faults f;

	quoted.style = YAML_QUOTED;
	block.style = YAML_BLOCK;
	block.text = SLICE_LIT("ab\ncde\n");
	umlaut.text = SLICE_LIT("\xc3\xa4\xc3\xa4x");
	faults_init(&f);
	fault(&f, "a.yaml", &plain, "is %s", "wrong");
	fault(&f, "a.yaml", NULL, "no place");
	fault_in(&f, "a.yaml", &plain, 2, "plain");
	fault_in(&f, "a.yaml", &quoted, 2, "quoted");
	fault_in(&f, "a.yaml", &block, 4, "block");
	fault_in(&f, "a.yaml", &umlaut, 4, "umlaut");
	fault_in(&f, "a.yaml", &plain, 99, "beyond");
	fault_warn(&f, "a.yaml", &plain, "unused");
	fault(&f, "a.yaml", &plain, "bytes %s", "\x1b[1m\n\xff");
	CHECK_STR(buf_cstr(&f.text), "a.yaml:3:5: is wrong\n"
				     "a.yaml: no place\n"
				     "a.yaml:3:7: plain\n"
				     "a.yaml:3:8: quoted\n"
				     "a.yaml:5:2: block\n"
				     "a.yaml:3:7: umlaut\n"
				     "a.yaml:3:10: beyond\n"
				     "a.yaml:3:5: warning: unused\n"
				     "a.yaml:3:5: bytes ?[1m??\n");
	CHECK(f.count == 8 && f.warnings == 1);
	faults_fini(&f);
	faults_init(&f);
	for (int i = 0; i < 1234; i++)
		fault(&f, "a.yaml", &plain, "number %d", i);
	CHECK(f.count == 1234);
	CHECK(strstr(buf_cstr(&f.text), "number 199\nand 1034 more\n") != NULL);
	CHECK(strstr(buf_cstr(&f.text), "number 200") == NULL);
	faults_fini(&f);
}

T(nearest)
{
	static const char *const names[] = {
	    "status", "total", "number", "id", "line_items", "net", NULL};

	CHECK_STR(yaml_nearest(SLICE_LIT("statsu"), names), "status");
	CHECK_STR(yaml_nearest(SLICE_LIT("Status"), names), "status");
	CHECK_STR(yaml_nearest(SLICE_LIT("lineitems"), names), "line_items");
	CHECK_STR(yaml_nearest(SLICE_LIT("nmber"), names), "number");
	CHECK_STR(yaml_nearest(SLICE_LIT("ned"), names), "net");
	CHECK(yaml_nearest(SLICE_LIT("customer"), names) == NULL);
	CHECK(yaml_nearest(SLICE_LIT("x"), names) == NULL);
	CHECK(yaml_nearest(SLICE_LIT(""), names) == NULL);
	CHECK(yaml_nearest(
		  SLICE_LIT("statusstatusstatusstatusstatusstatusstatusstatus"
			    "statusstatusstatus"),
		  names) == NULL);
}

static const char *
as_json(const char *text)
{
	static struct buf mp, json;
	struct yaml *y = parse(text);

	if (mp.max == 0) {
		buf_init(&mp, 1 << 20);
		buf_init(&json, 1 << 20);
	}
	buf_reset(&mp);
	buf_reset(&json);
	if (y == NULL)
		return buf_cstr(&faults.text);
	if (yaml_to_mp(y, &mp) != ERR_OK) {
		CHECK(mp.n == 0);
		return err_last();
	}
	CHECK_OK(mp_to_json(buf_all(&mp), JSON_COMPACT, &json));
	return buf_cstr(&json);
}

T(as_msgpack)
{
	static const char *const unclear[] = {"0123", "+5", "0x1F", "0o17",
	    ".5", "5.", ".inf", "-.inf", ".nan", "-07"};
	char want[100];

	CHECK_STR(as_json("{a: 1, b: -5, c: 79.90, d: 1e5, e: '1', f: \"x\"}"),
	    "{\"a\":1,\"b\":-5,\"c\":79.90,\"d\":1e5,\"e\":\"1\",\"f\":\"x\"}");
	CHECK_STR(as_json("[null, ~, Null, true, FALSE, no, on, Yes, nULL]"),
	    "[null,null,null,true,false,\"no\",\"on\",\"Yes\",\"nULL\"]");
	CHECK_STR(as_json("[2026-01-01, 10:30, 1.2.3, -, a-1, 1 2, 1_000]"),
	    "[\"2026-01-01\",\"10:30\",\"1.2.3\",\"-\",\"a-1\",\"1 2\","
	    "\"1_000\"]");
	CHECK_STR(as_json("[18446744073709551615, 18446744073709551616, -0, "
			  "-9223372036854775808, -9223372036854775809]"),
	    "[18446744073709551615,18446744073709551616,-0,"
	    "-9223372036854775808,-9223372036854775809]");
	CHECK_STR(as_json("a: |\n  12\nb: []\nc: {}\n"),
	    "{\"a\":\"12\\n\",\"b\":[],\"c\":{}}");
	for (size_t i = 0; i < sizeof(unclear) / sizeof(unclear[0]); i++) {
		char text[40];

		snprintf(text, sizeof(text), "a: %s\n", unclear[i]);
		snprintf(want, sizeof(want),
		    "line 1, column 4: %s could be a number or a text; quote "
		    "it if it is a text",
		    unclear[i]);
		CHECK_STR(as_json(text), want);
	}
}

T(files)
{
	char path[] = "/tmp/yaml_test.XXXXXX";
	struct yaml *root = NULL;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && write(fd, "a: 1\n", 5) == 5);
	close(fd);
	parse("a"); /* fresh arena and faults */
	CHECK_OK(yaml_load(path, &arena, &faults, &root));
	CHECK(yaml_get(root, "a") != NULL);
	unlink(path);
	CHECK_ERR(yaml_load(path, &arena, &faults, &root), ERR_NOTFOUND);
	CHECK(faults.count == 1);
	CHECK(strstr(buf_cstr(&faults.text), path) != NULL);
	arena_fini(&arena);
	faults_fini(&faults);
}

T_MAIN(T_RUN(places_and_styles) T_RUN(what_the_subset_leaves_out) T_RUN(
    broken_syntax) T_RUN(limits) T_RUN(many_keys) T_RUN(faults_in_lines)
	T_RUN(nearest) T_RUN(as_msgpack) T_RUN(files))
