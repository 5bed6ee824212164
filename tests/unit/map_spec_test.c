/*
 * The mapping language, sentence by sentence: each row is one thing that the
 * guide or the design says of it, tried. What a row can not show alone (joins,
 * layers of tables, revisions) has tests of its own beside this.
 */
#include "tests/unit/map_try.h"

enum how {
	VALUE,	 /* the expression gives this JSON */
	NOT,	 /* the expression does not load, saying this */
	REFUSED, /* it loads, and is refused when it runs, saying this */
	WARNED,	 /* it loads, with this warning */
	FILE_OK, /* the mapping gives this */
	FILE_NOT,
	FILE_REFUSED,
	FILE_SKIPS,
	FILE_WARNED
};

struct row {
	const char *says;
	enum how how;
	const char *text, *want;
};

#define HEAD "map: t.m/1\nfrom: t.in\n"
#define EMIT "emit:\n  - type: t.out\n    id: 'x'\n    subject: 'k:1'\n"
#define DATA EMIT "    data:\n"
#define ONE HEAD DATA "      v: 1\n"

static const char thing[] = "schema: thing.made/1\n"
			    "title: a thing was made\n"
			    "subject: {kind: thing, scope: system}\n"
			    "fields:\n"
			    "  number: text\n"
			    "  price: decimal\n"
			    "  kind?: {type: text, enum: [big, small]}\n"
			    "  rows?: {items: {sku: text}}\n";

static const char level[] = "schema: level.changed/1\n"
			    "title: a level changed\n"
			    "subject: {kind: thing, scope: system}\n"
			    "fields:\n  v: integer\n";

static const char shop[] = "schema: t.shop/1\n"
			   "title: blanks and local times\n"
			   "blank: absent\n"
			   "zone: Europe/Helsinki\n"
			   "fields:\n"
			   "  s: text\n"
			   "  o?: text\n"
			   "  at: time\n"
			   "  meta?: any\n";

static const struct row scalars[] = {
    {"plain is an expression", VALUE, "s", "\"text\""},
    {"quoted is text with holes", VALUE, "\"a {s}\"", "\"a text\""},
    {"either quote means the same", VALUE, "'a {s}'", "\"a text\""},
    {"{{ and }} are braces", VALUE, "'{{s}}'", "\"{s}\""},
    {"| blocks are text as it stands", VALUE, "|\n        {s}\n", "\"{s}\\n\""},
    {"> blocks are text as it stands", VALUE, ">\n        {s}\n        {s}\n",
	"\"{s} {s}\\n\""},
    {"an expression that begins with a quote stands in parentheses", VALUE,
	"('a')", "\"a\""},
    {"or a bracket", VALUE, "([])", "[]"},
    {"text that holds ': ' is written quoted", VALUE, "\"a: b\"", "\"a: b\""},
    {"text that parses as a call is refused", NOT, "'trim(s)'",
	"this is text; unquote it"},
    {"text that parses as a path of known names is refused", NOT, "'addr.city'",
	"this is text; unquote it"},
    {"text of names that are not known stays text", VALUE, "'addr.town'",
	"\"addr.town\""},
    {"NO is not guessed at", NOT, "NO", "no name NO here"},
    {"on is not guessed at", NOT, "off", "no name off here"},
    {"0123 is not guessed at", NOT, "0123", "does not begin with 0"},
    {"a bare name is a field of the input", VALUE, "$in.s", "\"text\""},
    {"names that are no words", VALUE, "$in.'checkout-amount'", "4200"},
    {"$event is the envelope", VALUE, "$event.subject", "\"order:shop/1042\""},
    {"?? binds tightest", VALUE, "on ?? 0 > 0", "false"},
    {"?? takes a minus", VALUE, "on ?? -1", "-1"},
    {"not binds weaker than =", VALUE, "not id = 7", "false"},
    {"in lists its values", VALUE, "id in (1, 7)", "true"},
    {"not in", VALUE, "id not in (1, 7)", "false"},
    {"for walks a list", VALUE, "list(l.name for l in lines)",
	"[\"Mug\",\"Tea\",\"Bag\"]"},
    {"its second name counts from 1", VALUE, "list(k for l, k in lines)",
	"[1,2,3]"},
    {"it may choose", VALUE, "count(l for l in lines if l.qty > 1)", "2"},
    {"and nest", VALUE, "count(t for l in lines for t in l.tags ?? [])", "3"},
    {"a step by number", VALUE, "lines[2].name", "\"Tea\""},
    {"a step into what a call gives", VALUE, "first(l for l in lines).name",
	"\"Mug\""},
    {"sort is by code point", VALUE, "sort(w for w in split('z,ä,Z,a,é', ','))",
	"[\"Z\",\"a\",\"z\",\"ä\",\"é\"]"},
    {"and stable", VALUE,
	"list(l.name for l in sort(l.qty > 0 for l in lines))",
	"[\"Mug\",\"Tea\",\"Bag\"]"},
    {"hash is SHA-256", VALUE, "hash('')",
	"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""},
    {"no lambda", NOT, "list(x -> x)", "a value was expected, not '>'"},
    {"no this", NOT, "this", "no name this here"},
    {"$out is what has been built above", FILE_OK,
	HEAD DATA "      a: 1\n      b: $out.a + 1\n", "{\"a\":1,\"b\":2}"},
    {"and not below", FILE_NOT, HEAD DATA "      b: $out.a\n      a: 1\n",
	"$out has no a above"},
    {"shadowing is an error: a let and a field", FILE_NOT,
	HEAD "let: {s: 1}\n" DATA "      v: s\n",
	"the name s is a field of t.in"},
    {"a loop and a let", FILE_NOT,
	HEAD "let: {q: 1}\n" DATA "      v: q + count(q for q in lines)\n",
	"the name q is taken above"},
    {"a quoted key is always a field", FILE_OK,
	HEAD DATA "      'when': 1\n      \"item\": 2\n",
	"{\"when\":1,\"item\":2}"},
    {"name? is an optional field", FILE_OK,
	HEAD DATA "      v: 1\n      w?: o\n", "{\"v\":1}"},
    {"entry: computes a key", FILE_OK,
	HEAD DATA "      v:\n        each: l in lines\n"
		  "        entry: [l.name, l.qty]\n",
	"{\"v\":{\"Mug\":2,\"Tea\":1,\"Bag\":3}}"},
    {"each may be a list, nested", FILE_OK,
	HEAD DATA "      v:\n        each: [l in lines, t in l.tags]\n"
		  "        item: t\n",
	"{\"v\":[\"x\",\"y\",\"z\"]}"},
    {"item may be a list, spliced in", FILE_OK,
	HEAD DATA "      v:\n        each: w in words\n        item: [w, 1]\n",
	"{\"v\":[\"pear\",1,\"apple\",1,\"fig\",1]}"},
    {"let sees what is above it", FILE_OK,
	HEAD "let: {a: id, c: a + 1}\n" DATA "      v: c\n", "{\"v\":8}"},
    {"order on a node: each, let, when", FILE_OK,
	HEAD DATA "      v:\n        each: l in lines\n"
		  "        let: {q: l.qty * 2}\n        when: q > 3\n"
		  "        item: q\n",
	"{\"v\":[4,6]}"},
    {"no anchors", FILE_NOT, HEAD "let: &a {q: 1}\n" DATA "      v: q\n",
	"anchor"},
    {"no aliases", FILE_NOT, HEAD DATA "      v: *a\n", "lias"},
    {"no tags", FILE_NOT, HEAD DATA "      v: !x 1\n", "tag"},
    {"no merge keys", FILE_NOT, HEAD DATA "      <<: {v: 1}\n", "<<"},
    {"no duplicate keys", FILE_NOT, HEAD DATA "      v: 1\n      v: 2\n",
	"twice"},
    {"no second documents", FILE_NOT, ONE "---\na: b\n", "document"},
    {"no empty scalars", FILE_NOT, HEAD DATA "      v:\n",
	"a value is missing; write null"},
};

static const struct row absence[] = {
    {"missing and null are both absent", VALUE,
	"\"{has(map.k3)} {has(map.none)}\"", "\"false false\""},
    {"?? supplies", VALUE, "o ?? 'x'", "\"x\""},
    {"for null too", VALUE, "map.k3 ?? 'x'", "\"x\""},
    {"need() refuses by name", REFUSED, "need(o)", "v <- o ("},
    {"and says whether it is missing", REFUSED, "need(o)", "is missing"},
    {"or null", REFUSED, "need(map.k3)", "is null"},
    {"inside when: has(x) x is present", FILE_OK,
	HEAD DATA "      v: 1\n      a?:\n        when: has(addr)\n"
		  "        c: addr.city\n",
	"{\"v\":1,\"a\":{\"c\":\"Turku\"}}"},
    {"an unneeded ?? is a warning", WARNED, "s ?? 'x'",
	"warning: s is always there"},
    {"an unneeded has() too", WARNED, "if(has(s), 1, 2)",
	"warning: s is always there"},
    {"what when reads is checked first", FILE_REFUSED,
	HEAD "when: map.none = 'a'\n" DATA "      v: map.gone\n",
	"when <- map.none"},
    {"then when", FILE_SKIPS,
	HEAD "when: st = 'open'\n" DATA "      v: map.none\n", "(skipped)"},
    {"then the required fields", FILE_REFUSED,
	HEAD "when: st = 'paid'\n" DATA "      v: map.none\n",
	"t.out: v <- map.none"},
    {"of the arms that run", FILE_OK,
	HEAD DATA "      v: 1\n      a?:\n        when: st = 'open'\n"
		  "        b: map.none\n",
	"{\"v\":1}"},
    {"field?: with absence anywhere in it is left out", FILE_OK,
	HEAD DATA "      v: 1\n      a?: upper(\"{o} {s}\")\n", "{\"v\":1}"},
    {"field: null writes null", VALUE, "null", "null"},
    {"field: [] an empty list", VALUE, "[]", "[]"},
    {"a path through an absent value is absent", VALUE,
	"map.none.deep.deeper ?? 1", "1"},
    {"an absent optional list is empty in for", VALUE, "count(g for g in gone)",
	"0"},
    {"and in each", FILE_OK,
	HEAD DATA "      v:\n        each: g in gone\n        item: g.x\n",
	"{\"v\":[]}"},
    {"absence in arithmetic is an error", REFUSED, "map.none + 1",
	"is missing"},
    {"in text", REFUSED, "\"{map.none}\"", "is missing"},
    {"in a condition", REFUSED, "if(map.none = 1, 1, 2)", "is missing"},
    {"blank: absent is the schema's", FILE_OK,
	"map: t.m/1\nfrom: t.shop\n" DATA "      v: o ?? 'none'\n",
	"{\"v\":\"none\"}"},
    {"within what has no schema too", FILE_OK,
	"map: t.m/1\nfrom: t.shop\n" DATA
	"      v: meta.a ?? 'none'\n      w: count(x for x in meta.l if "
	"has(x.y))\n",
	"{\"v\":\"none\",\"w\":1}"},
    {"a target's too: what comes out blank is left out", FILE_OK,
	HEAD "emit:\n  - type: t.shop\n    id: 'x'\n    subject: 'k:1'\n"
	     "    data: {s: s, o?: trim(' '), at: at}\n",
	"{\"s\":\"text\",\"at\":\"2026-03-01T10:00:00Z\"}"},
    {"but what must be there stays as it is", FILE_OK,
	HEAD "emit:\n  - type: t.shop\n    id: 'x'\n    subject: 'k:1'\n"
	     "    data: {s: trim(' '), at: at}\n",
	"{\"s\":\"\",\"at\":\"2026-03-01T10:00:00Z\"}"},
    {"blank: absent does not make a field optional", FILE_REFUSED,
	"map: t.m/1\nfrom: t.shop\n" DATA "      v: s\n", "is blank"},
};

static const struct row numbers[] = {
    {"numbers keep their digits", VALUE, "n", "12.50"},
    {"a text's too", VALUE, "lines[1].net", "10.00"},
    {"text takes a number's digits", VALUE, "\"{n}\"", "\"12.50\""},
    {"trailing zeros are kept", VALUE, "1.10 + 1.20", "2.30"},
    {"3.0 = 3.00", VALUE, "3.0 = 3.00", "true"},
    {"/ directly under round", VALUE, "round(1 / 3, 2)", "0.33"},
    {"and nowhere else", NOT, "1 / 3", "stands directly under round"},
    {"not even within round", NOT, "round(1 + 1 / 3, 2)",
	"stands directly under round"},
    {"38 digits inside", VALUE,
	"round(123456789012345678 * 1234567890.12 / 123456789012345678, 2)",
	"1234567890.12"},
    {"wider than int64 only under round", REFUSED,
	"9000000000000 * 9000000000000 * 1.5", "more digits than can be kept"},
    {"overflow is an error", REFUSED,
	"999999999999999999 * 999999999999999999 * 999999999999999999",
	"more than 38 digits"},
    {"scale 0 to 9", REFUSED, "0.00001 * 0.000001",
	"more digits than can be kept"},
    {"division by zero is an error", REFUSED, "round(1 / (id - 7), 2)",
	"division by zero"},
    {"allocate sums to the total", VALUE,
	"list(a.part for a in allocate(10, 2, 1 for l in lines))",
	"[3.34,3.33,3.33]"},
    {"refuses zero weights", REFUSED,
	"count(allocate(1, 2, l.qty - 1 for l in lines))", "is zero"},
    {"and negative ones", REFUSED,
	"count(allocate(1, 2, l.qty - 2 for l in lines))", "weight 1 is zero"},
    {"no decimals in id", FILE_NOT,
	HEAD "emit:\n  - type: t.out\n    id: \"{n}\"\n    data: {v: 1}\n",
	"no decimals in an id"},
    {"in subject", FILE_NOT,
	HEAD "emit:\n  - type: t.out\n    id: 'x'\n    subject: \"k:{n}\"\n"
	     "    data: {v: 1}\n",
	"no decimals in a subject"},
    {"in refs", FILE_NOT,
	HEAD "emit:\n  - type: t.out\n    id: 'x'\n    refs: [\"k:{n}\"]\n"
	     "    data: {v: 1}\n",
	"no decimals in a ref"},
    {"nor where the type is not known", FILE_REFUSED,
	HEAD "emit:\n  - type: t.out\n    id: \"{map.k2 + 0.5}\"\n"
	     "    subject: 'k:1'\n    data: {v: 1}\n",
	"no decimals in a key"},
};

static const struct row times[] = {
    {"a zoneless time does not load without a zone", NOT, "time(local)",
	"which zone is it in"},
    {"an argument", VALUE, "time(local, 'Europe/Helsinki')",
	"\"2026-03-01T08:00:00Z\""},
    {"or the source schema's zone:", FILE_OK,
	"map: t.m/1\nfrom: t.shop\n" DATA "      v: at\n",
	"{\"v\":\"2026-03-01T08:00:00Z\"}"},
    {"a text's own zone counts", VALUE,
	"time('2026-03-01T10:00:00+05:00', 'UTC')", "\"2026-03-01T05:00:00Z\""},
    {"date always takes one", NOT, "date(at)", "date takes more arguments"},
    {"a zone that does not exist", NOT, "date(at, 'Mars/Olympus')",
	"there is no zone"},
    {"the hour that is skipped", VALUE,
	"time('2026-03-29 03:30', 'Europe/Helsinki')",
	"\"2026-03-29T01:30:00Z\""},
    {"the hour that comes twice", VALUE,
	"time('2026-10-25 03:30', 'Europe/Helsinki')",
	"\"2026-10-25T00:30:00Z\""},
    {"the day in that zone", VALUE,
	"date(time('2026-03-31T21:30:00Z'), 'Europe/Helsinki')",
	"\"2026-04-01\""},
    {"times compare", VALUE, "at < time('2026-03-01T10:00:01Z')", "true"},
    {"dates compare", VALUE, "day > date(at, 'UTC')", "true"},
    {"but not with each other", NOT, "day > at", "do not compare"},
};

static const struct row emits[] = {
    {"when skips", FILE_OK,
	HEAD "emit:\n  - type: t.out\n    when: not b\n    id: 'x'\n"
	     "    data: {v: 1}\n  - type: t.out\n    id: 'y'\n"
	     "    data: {v: 2}\n",
	"{\"v\":2}"},
    {"each splits", FILE_OK,
	HEAD "emit:\n  - type: t.out\n    each: w in words\n    id: w\n"
	     "    data: {v: w}\n",
	"{\"v\":\"pear\"}\n{\"v\":\"apple\"}\n{\"v\":\"fig\"}"},
    {"one id and equal data are one event", FILE_OK,
	HEAD "emit:\n  - type: t.out\n    each: w in words\n    id: 'x'\n"
	     "    data: {v: 1}\n",
	"{\"v\":1}"},
    {"else an error", FILE_REFUSED,
	HEAD "emit:\n  - type: t.out\n    each: w in words\n    id: 'x'\n"
	     "    data: {v: w}\n",
	"two events with this id and different data"},
    {"an id that can return to an earlier state warns", FILE_WARNED,
	HEAD "emit:\n  - type: level.changed\n    id: 'x'\n    data: {v: id}\n",
	"what has changed can change back"},
    {"unless it holds $event.id", FILE_WARNED,
	HEAD "emit:\n  - type: level.changed\n    id: \"{$event.id}\"\n"
	     "    data: {v: id}\n",
	""},
    {"again: keep, error or revise by", FILE_NOT,
	HEAD "emit:\n  - type: t.out\n    id: 'x'\n    again: revise\n"
	     "    data: {v: 1}\n",
	"again is keep, error, or revise by"},
    {"a check that fails refuses with both sides", FILE_REFUSED,
	ONE "    check:\n      - $out.v = id\n",
	"this does not hold: 1 on the left, 7 on the right"},
};

/* The items of the static checks, in their order. */
static const struct row checks[] = {
    {"unknown source path", NOT, "adr.city", "did you mean addr?"},
    {"deeper", NOT, "addr.citty ?? ''", "did you mean city?"},
    {"unknown target path", FILE_NOT,
	HEAD "emit:\n  - type: thing.made\n    id: 'x'\n    data: {number: s, "
	     "price: n, knd: s}\n",
	"thing.made has no field knd; did you mean kind?"},
    {"missing required target field", FILE_NOT,
	HEAD "emit:\n  - type: thing.made\n    id: 'x'\n    data: {number: "
	     "s}\n",
	"thing.made wants the field price"},
    {"within a list too", FILE_NOT,
	HEAD "emit:\n  - type: thing.made\n    id: 'x'\n    data: {number: s, "
	     "price: n, rows: [{}]}\n",
	"wants the field sku"},
    {"type clash", FILE_NOT,
	HEAD "emit:\n  - type: thing.made\n    id: 'x'\n    data: {number: s, "
	     "price: s}\n",
	"price is a decimal, and s is text"},
    {"a word the target's enum does not have", FILE_NOT,
	HEAD "emit:\n  - type: thing.made\n    id: 'x'\n    data: {number: s, "
	     "price: n, kind: ('bigg')}\n",
	"kind is never 'bigg'"},
    {"optional read without ??, has, need or field?", NOT, "upper(o)",
	"o may be absent; give a default"},
    {"of a join that may find nothing", FILE_NOT,
	HEAD "join: {j: {last: t.in, absent: none}}\n" DATA "      v: j.s\n",
	"j.s may be absent"},
    {"what a join follows is all, new or never", FILE_NOT,
	HEAD "join: {j: {all: t.in, follow: some}}\n" DATA "      v: 1\n",
	"follow: all, new or never"},
    {"a state stands at the event's own subject", FILE_NOT,
	HEAD "join: {j: {all: t.in, subject: \"x:1\", follow: all}}\n" DATA
	     "      v: count(j)\n",
	"follow: all and new read at the event's own subject"},
    {"and is no history", FILE_NOT,
	HEAD "join: {j: {all: t.in, only: earlier, follow: new}}\n" DATA
	     "      v: count(j)\n",
	"and not with only: earlier"},
    {"a table is not named ref", FILE_NOT,
	HEAD "tables: {ref: {unmatched: error, rows: {a: b}}}\n" DATA
	     "      v: lookup(ref, s)\n",
	"`ref` is no name for a table"},
    {"/ outside round", NOT, "id / 2", "stands directly under round"},
    {"zoneless time", NOT, "time(local)", "which zone is it in"},
    {"table cell type", FILE_NOT,
	HEAD "tables: {k: {unmatched: ask, columns: {v: decimal}, rows: {a: "
	     "[x]}}}\n" DATA "      v: lookup(k, s).v\n",
	"a decimal is wanted in this column"},
    {"duplicate row", FILE_NOT,
	HEAD "tables: {k: {unmatched: ask, rows: {a: 1, a: 2}}}\n" DATA
	     "      v: lookup(k, s)\n",
	"twice"},
    {"enum value that a table does not cover", FILE_NOT,
	HEAD "tables: {k: {unmatched: error, rows: {open: 1, paid: 2}}}\n" DATA
	     "      v: lookup(k, st)\n",
	"table k has no row for 'done'"},
    {"enum value that a field never has", NOT, "st = 'payd'",
	"did you mean 'paid'?"},
    {"unmatched must be stated", FILE_NOT,
	HEAD "tables: {k: {rows: {a: 1}}}\n" DATA "      v: lookup(k, s)\n",
	"does not say what happens without a row"},
    {"shadowing", FILE_NOT, HEAD "let: {id: 1}\n" DATA "      v: id\n",
	"is a field of t.in"},
    {"unused let", FILE_NOT, HEAD "let: {q: 1}\n" DATA "      v: 1\n",
	"q is never used; remove it"},
    {"unused join", FILE_NOT,
	HEAD "join: {j: {all: t.in}}\n" DATA "      v: 1\n",
	"the join j is never used"},
    {"unused table", FILE_NOT,
	HEAD "tables: {k: {unmatched: ask, rows: {a: 1}}}\n" DATA
	     "      v: 1\n",
	"table k is never used"},
    {"two emits with one id", FILE_NOT,
	ONE "  - type: t.out\n    id: 'x'\n    subject: 'k:1'\n"
	    "    data: {v: 2}\n",
	"two emits of t.out with one id"},
    {"a constant check", FILE_NOT, ONE "    check:\n      - 1 = 1\n",
	"this check reads nothing"},
    {"a function that does not exist", NOT, "uper(s)", "did you mean upper?"},
    {"a word of the file that does not exist", FILE_NOT,
	HEAD "whn: b\n" DATA "      v: 1\n", "did you mean \"when\"?"},
};

/* Told by a row: its kind of text made a mapping. */
static bool
holds(const struct row *r)
{
	static const char blank[] =
	    "{\"s\":\"\",\"o\":\"\",\"at\":\"2026-03-01T10:00:00\","
	    "\"meta\":{\"a\":\"\",\"l\":[{\"y\":\"\"},{\"y\":\"z\"}]}}";
	bool file = r->how >= FILE_OK;
	const struct mapping *m = file ? try_load(r->text) : try_expr(r->text);
	char want[1024];
	enum verdict v;

	if (r->how == NOT || r->how == FILE_NOT)
		return m == NULL && strstr(try_said, r->want) != NULL;
	if (m == NULL)
		return false;
	if (r->how == WARNED || r->how == FILE_WARNED)
		return r->want[0] == '\0' ? try_said[0] == '\0'
					  : strstr(try_said, r->want) != NULL;
	v = try_run(m, strstr(r->text, "from: t.shop") != NULL ? blank : NULL)
		->verdict;
	snprintf(want, sizeof(want), file ? "%s" : "{\"v\":%s}", r->want);
	if (r->how == VALUE || r->how == FILE_OK)
		return v == EVAL_OK && strcmp(try_said, want) == 0;
	return v == (r->how == FILE_SKIPS ? EVAL_SKIP : EVAL_ERROR) &&
	       strstr(try_said, r->want) != NULL;
}

static size_t rows_n;

static void
section(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!holds(&rows[i])) {
			t_bad++;
			fprintf(stderr, "%s\n%s\n  says %s\n  not  %s\n",
			    rows[i].says, rows[i].text, try_said, rows[i].want);
		}
		rows_n++;
	}
}

#define SECTION(rows) section(rows, sizeof(rows) / sizeof(*rows))

T(of_scalars)
{
	SECTION(scalars);
}
T(of_absence)
{
	SECTION(absence);
}
T(of_numbers)
{
	SECTION(numbers);
}
T(of_times)
{
	SECTION(times);
}
T(of_emits)
{
	SECTION(emits);
}
T(of_static_checks)
{
	SECTION(checks);
}

T_MAIN(try_begin(); try_schema(thing, true); try_schema(level, true);
       try_schema(shop, false); T_RUN(of_scalars) T_RUN(of_absence)
	   T_RUN(of_numbers) T_RUN(of_times) T_RUN(of_emits)
	       T_RUN(of_static_checks) printf("%zu sentences\n", rows_n);
       try_end())
