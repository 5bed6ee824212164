/*
 * The mapping language: what is found when a file loads, all of it in one pass,
 * with line and column; and what a target's schema asks.
 */
#include "tests/unit/map_try.h"

static const char canonical[] =
    "schema: thing.made/1\n"
    "title: a thing was made\n"
    "subject: {kind: thing, scope: system}\n"
    "person: who.email\n"
    "fields:\n"
    "  number: text\n"
    "  made_at: time\n"
    "  due?: date\n"
    "  count: integer\n"
    "  price: decimal\n"
    "  ok?: bool\n"
    "  kind: {type: text, enum: [big, small]}\n"
    "  who?: {fields: {email?: {type: text, personal: true}, name: text}}\n"
    "  rows: {items: {sku: text, n?: decimal}}\n"
    "  free?: any\n";

static const char changed[] = "schema: thing.changed/1\n"
			      "title: it changed\n"
			      "subject: {kind: thing, scope: system}\n"
			      "fields:\n  x: integer\n";

static const char blank[] = "schema: t.blank/1\n"
			    "title: blanks\n"
			    "blank: absent\n"
			    "zone: Europe/Helsinki\n"
			    "fields:\n"
			    "  s: text\n"
			    "  o?: text\n"
			    "  n?: decimal\n"
			    "  at?: time\n"
			    "  i?: integer\n"
			    "  m?: {fields: {a?: text}}\n"
			    "  l?: {items: {a: text}}\n";

#define HEAD "map: t.m/1\nfrom: t.in\n"
#define MADE                                                                 \
	"emit:\n  - type: thing.made\n    id: 'x'\n    subject: 'thing:1'\n" \
	"    data:\n"
#define GOOD                                                           \
	"      number: \"{id}\"\n      made_at: at\n      count: id\n" \
	"      price: n\n      kind: ('big')\n"                        \
	"      rows:\n        each: l in lines\n        item: {sku: l.name}\n"

#define LF(text, part)                                   \
	do {                                             \
		CHECK(try_load(text) == NULL);           \
		try_has(__FILE__, __LINE__, text, part); \
	} while (0)

T(target)
{
	const struct mapping *m = try_load(HEAD MADE GOOD);

	CHECK(m != NULL);
	if (m == NULL)
		fprintf(stderr, "%s", try_said);
	else
		CHECK(try_run(m, NULL)->verdict == EVAL_OK);
	SAYS("\"kind\":\"big\",\"rows\":[{\"sku\":\"Mug\"},");
	LF(HEAD MADE GOOD "      nmber: s\n",
	    "m.map.yaml:16:7: thing.made has no field nmber; did you mean "
	    "number?");
	LF(HEAD MADE "      number: s\n", "thing.made wants the field made_at");
	SAYS("thing.made wants the field rows");
	LF(HEAD MADE GOOD "      who: {email?: o}\n",
	    "thing.made wants the field name here");
	LF(HEAD MADE GOOD "      ok: id\n",
	    "ok is true or false, and id is a whole number");
	LF(HEAD MADE GOOD "      due: at\n",
	    "due is a date, and at is a time; date(t, zone) makes one");
	LF(HEAD MADE GOOD "      due: {x: s}\n", "due is a date, not a map");
	LF(HEAD MADE GOOD "      who: [s]\n", "who is a map, not a list");
	LF(HEAD MADE GOOD "      who:\n        each: l in lines\n        item: "
			  "l.name\n",
	    "who is a map, not a list");
	/* in the places of GOOD */
	LF(HEAD MADE "      number: id\n",
	    "number is text, and id is a whole number; write \"{..}\"");
	LF(HEAD MADE "      count: n\n",
	    "count is a whole number, and n is a decimal; int(..)");
	LF(HEAD MADE "      price: s\n",
	    "price is a decimal, and s is text; decimal(..)");
	LF(HEAD MADE "      made_at: local\n",
	    "made_at is a time, and local is text; time(..)");
	LF(HEAD MADE "      kind: ('bigg')\n",
	    "kind is never 'bigg'; did you mean big");
	LF(HEAD MADE "      kind: if(b, 'big', 'tiny')\n",
	    "kind is never 'tiny'");
	LF(HEAD MADE "      kind: st\n", "kind is never 'open'");
	LF(HEAD "tables: {k: {unmatched: ask, rows: {a: big, b: hge}}}\n" MADE
		"      kind: lookup(k, s)\n",
	    "kind is never 'hge'");
	LF(HEAD MADE "      number?: s\n",
	    "number is required by thing.made; it can not be optional");
	LF(HEAD MADE "      rows:\n        each: l in lines\n"
		     "        item: {sku: l.qty}\n",
	    "rows.sku is text, and l.qty is a whole number");
	LF(HEAD MADE "      rows: lines\n",
	    "the parts of lines do not fit rows");
	LF(HEAD MADE "      number: null\n",
	    "number is text, and null is null");
}

/* What was not known at load is looked at when it runs. */
T(target_at_run)
{
	const struct mapping *m;
	static const char *const bad[][2] = {
	    {"count: map.k1",
		"a whole number is wanted here, and this is text"},
	    {"price: map.k1", "a decimal is wanted here, and this is text"},
	    {"kind: map.k1", "'v1' is none of the values this field can have"},
	    {"made_at: map.k1", "a time is wanted here, and this is text"},
	    {"number: map.k2", "text is wanted here, and this is a whole"},
	};
	char text[2048];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char good[] = GOOD, *line;

		line = strstr(good, strchr(bad[i][0], ':') == NULL ? "" : "");
		(void)line;
		/* the bad line in place of the good one of that name */
		size_t name = strcspn(bad[i][0], ":") + 1;
		char *at = strstr(good, "      ");
		snprintf(text, sizeof(text), "%s", HEAD MADE);
		for (; at != NULL && *at != '\0';) {
			char *end = strchr(at, '\n');
			size_t n = strlen(text);

			if (strncmp(at + 6, bad[i][0], name) == 0)
				snprintf(text + n, sizeof(text) - n,
				    "      %s\n", bad[i][0]);
			else
				snprintf(text + n, sizeof(text) - n, "%.*s\n",
				    (int)(end - at), at);
			at = end + 1;
		}
		m = try_load(text);
		CHECK(m != NULL);
		if (m == NULL) {
			fprintf(stderr, "%s\n%s", text, try_said);
			continue;
		}
		CHECK(try_run(m, NULL)->verdict == EVAL_ERROR);
		SAYS(bad[i][1]);
	}
}

T(all_in_one_pass)
{
	CHECK(try_load("map: t.m\nfrom: t.in\nwhn: b\ntables:\n  k: {rows: {a: "
		       "b}}\nlet:\n  q: nme\nemit:\n  - type: thing.mad\n"
		       "    id: \"{o}\"\n    data: {a: s +, b: idd}\n"
		       "    check:\n      - 1 = 1\n      - s\n") == NULL);
	SAYS("m.map.yaml:1:6: ");
	SAYS("m.map.yaml:3:1: ");
	SAYS("does not say what happens without a row");
	SAYS("m.map.yaml:7:6: no name nme here");
	SAYS("m.map.yaml:9:11: no type thing.mad; did you mean thing.made?");
	SAYS("m.map.yaml:10:12: o may be absent");
	SAYS("the expression breaks off here");
	SAYS("no name idd here; did you mean id?");
	SAYS("this check reads nothing");
	SAYS("m.map.yaml:14:9: true or false is wanted here, and s is text");
	SAYS("table k is never used");
	CHECK(try_faults.count >= 11);
}

T(heads)
{
	LF("from: t.in\n" MADE GOOD, "map: NAME/VERSION is missing");
	LF("map: t.m/1\n" MADE GOOD, "from: names the type it takes");
	LF("map: t.m/1\nfrom: t.inn\n" MADE GOOD,
	    "no type t.inn; did you mean t.in?");
	LF("map: t.m/1\nfrom: nowhere.at_all\n" MADE GOOD,
	    "no type nowhere.at_all");
	LF(HEAD, "emit: is a list of what comes out");
	LF(HEAD "emit:\n  - id: 'x'\n", "type: is missing");
	LF(HEAD "emit:\n  - type: t.out\n    data: {x: id}\n",
	    "id: is missing: what this fact is");
	LF(HEAD "emit:\n  - type: t.out\n    id: 'x'\n", "data: is a map");
	LF(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    dta: {x: id}\n",
	    "data");
	LF(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    data: {x: id}\n"
		"    again: revise at\n",
	    "again is keep, error, or revise by EXPRESSION");
	LF(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    data: {x: id}\n"
		"    again: revise by nope\n",
	    "m.map.yaml:7:22: no name nope here");
	LF(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    data: {x: id}\n"
		"    subject: {rf: s}\n",
	    "ref");
	LF(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    data: {x: id}\n"
		"  - type: t.out\n    id: 'x'\n    data: {x: n}\n",
	    "two emits of t.out with one id");
	/* facts that can return to an earlier state */
	CHECK(try_load(HEAD "emit:\n  - type: thing.changed\n    id: 'c'\n"
			    "    data: {x: id}\n") != NULL);
	SAYS("warning: what has changed can change back");
	CHECK(try_load(HEAD
		  "emit:\n  - type: thing.changed\n"
		  "    id: \"c:{$event.id}\"\n    data: {x: id}\n") != NULL);
	CHECK(strstr(try_said, "warning") == NULL);
}

T(several_inputs)
{
	const struct mapping *m;

	/* a field that only one of them has may be absent */
	LF("map: t.m/1\nfrom: [t.in, t.blank]\nemit:\n  - type: t.out\n    id: "
	   "'x'\n    data: {x: id}\n",
	    "id may be absent");
	m = try_load("map: t.m/1\nfrom: [t.in, t.blank]\nemit:\n  - type: "
		     "t.out\n    id: 'x'\n    data: {x: s, y?: id}\n");
	CHECK(m != NULL && m->from_n == 2);
	if (m != NULL)
		try_run(m, NULL);
	SAYS("{\"x\":\"text\",\"y\":7}");
}

T(blanks)
{
	const struct mapping *m = try_load(
	    "map: t.m/1\nfrom: t.blank\nemit:\n  - type: t.out\n    id: 'x'\n"
	    "    data:\n      s: s\n      o: o ?? 'none'\n      n?: n + 1\n"
	    "      at?: at\n      i?: i\n      a?: m.a\n"
	    "      c: count(l)\n      h: has(s)\n");

	CHECK(m != NULL);
	if (m == NULL)
		return;
	try_run(m, "{\"s\":\"x\",\"o\":\"\",\"n\":\"\",\"at\":\"\",\"i\":\"\","
		   "\"m\":\"\",\"l\":\"\"}");
	CHECK_STR(try_said, "{\"s\":\"x\",\"o\":\"none\",\"c\":0,\"h\":true}");
	/* as PHP sends an empty map */
	try_run(m, "{\"s\":\"x\",\"m\":[],\"l\":[]}");
	CHECK_STR(try_said, "{\"s\":\"x\",\"o\":\"none\",\"c\":0,\"h\":true}");
	try_run(m, "{\"s\":12.50,\"o\":1,\"n\":\"2.50\",\"i\":\"3\",\"at\":"
		   "\"2026-03-01T10:00:00\"}");
	CHECK_STR(try_said,
	    "{\"s\":\"12.50\",\"o\":\"1\",\"n\":3.50,\"at\":\"2026-03-01T08:00:"
	    "00Z\",\"i\":3,\"c\":0,\"h\":true}");
	CHECK(try_run(m, "{\"s\":\"\"}")->verdict == EVAL_ERROR);
	SAYS("t.out: s <- s (");
	SAYS("is blank");
	CHECK(try_run(m, "{\"s\":\"x\",\"n\":\"1,5\"}")->verdict == EVAL_ERROR);
	SAYS("a decimal is wanted, and this is the text '1,5'");
	CHECK(try_run(m, "{\"s\":\"x\",\"m\":\"y\"}")->verdict == EVAL_ERROR);
	SAYS(".a wants a map, and there stands text");
	CHECK(try_run(m, "{\"s\":\"x\",\"m\":[1]}")->verdict == EVAL_ERROR);
	CHECK(try_run(m, "{\"s\":\"x\",\"l\":{}}")->verdict == EVAL_ERROR);
	SAYS("a list is wanted, and this is a map");
	CHECK(try_run(m, "{\"s\":true}")->verdict == EVAL_ERROR);
	SAYS("text is wanted, and this is true or false");
}

/* JSON's digits are those that come out. */
T(digits)
{
	const struct mapping *m = try_load(
	    "map: t.m/1\nfrom: t.in\nemit:\n  - type: t.out\n    id: 'x'\n"
	    "    data: {a: n, b: map, c: \"{id}\", d: map.x}\n");

	CHECK(m != NULL);
	if (m == NULL)
		return;
	try_run(m, "{\"n\":79.90,\"id\":9007199254740993,\"map\":{\"x\":1.10,"
		   "\"y\":1E5}}");
	CHECK_STR(try_said, "{\"a\":79.90,\"b\":{\"x\":1.10,\"y\":1E5},\"c\":"
			    "\"9007199254740993\",\"d\":1.10}");
	try_run(m, "{\"n\":\"0.000000001\",\"id\":\"7\",\"map\":{\"x\":"
		   "922337203685477580.7}}");
	CHECK_STR(try_said,
	    "{\"a\":0.000000001,\"b\":{\"x\":922337203685477580.7},\"c\":\"7\","
	    "\"d\":922337203685477580.7}");
	CHECK(try_run(m, "{\"n\":0.0000000001,\"id\":1,\"map\":{\"x\":1}}")
		  ->verdict == EVAL_ERROR);
	SAYS("more digits than can be kept");
	CHECK(try_run(m, "{\"n\":18446744073709551616,\"id\":1,\"map\":{}}")
		  ->verdict == EVAL_ERROR);
}

T(from_a_file)
{
	const struct schema_source source = {NULL, try_find, try_types};
	const struct mapping *m = NULL;
	enum err e;

	try_put("x.map.yaml", HEAD MADE GOOD);
	CHECK_OK(mapping_load(try_path("x.map.yaml"), &source, NULL, &try_arena,
	    &try_faults, &m));
	CHECK(m != NULL && slice_is(m->name, "t.m") && m->version == 1);
	CHECK(m != NULL && strstr(m->file, "/x.map.yaml") != NULL);
	CHECK(m != NULL && m->from_n == 1 && slice_is(m->from[0], "t.in"));
	CHECK(m != NULL && slice_is(m->emits[0], "thing.made"));
	e = mapping_load(try_path("none.map.yaml"), &source, NULL, &try_arena,
	    &try_faults, &m);
	CHECK(e != ERR_OK);
}

/* What is copied may not nest deeper than a message may. */
T(too_deep)
{
	const struct mapping *m =
	    try_load(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    data: {a: "
			  "{b: {c: {d: map}}}}\n");
	char json[512], *p = json;

	CHECK(m != NULL);
	if (m == NULL)
		return;
	p += sprintf(p, "{\"map\":");
	for (int i = 0; i < 62; i++)
		*p++ = '[';
	for (int i = 0; i < 62; i++)
		*p++ = ']';
	strcpy(p, "}");
	CHECK(try_run(m, json)->verdict == EVAL_ERROR);
	CHECK(try_result->err == ERR_LIMIT);
}

T(person)
{
	const struct mapping *m =
	    try_load(HEAD MADE GOOD "      who: {email: s, name: s}\n");

	CHECK(m != NULL);
	if (m != NULL)
		CHECK(try_run(m, NULL)->verdict == EVAL_OK);
	CHECK(slice_is(try_result->events[0].person, "text"));
	m = try_load(HEAD MADE GOOD);
	CHECK(m != NULL && m->emits_n == 1);
	if (m != NULL)
		CHECK(try_run(m, NULL)->events[0].person.n == 0);
}

T_MAIN(try_begin(); try_schema(canonical, true); try_schema(changed, true);
       try_schema(blank, false);
       T_RUN(target) T_RUN(target_at_run) T_RUN(all_in_one_pass) T_RUN(heads)
	   T_RUN(several_inputs) T_RUN(blanks) T_RUN(digits) T_RUN(person)
	       T_RUN(from_a_file) T_RUN(too_deep) try_end())
