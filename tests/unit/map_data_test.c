/* The mapping language: data, emits, tables, joins, ids: what comes out. */
#include "mappings/engine/fact.h"
#include "tests/unit/map_try.h"

#define HEAD "map: t.m/1\nfrom: t.in\n"
#define EMIT "emit:\n  - type: t.out\n    id: 'x'\n    subject: 'k:1'\n"

/* Loads HEAD + top + EMIT + rest, runs it, and compares. */
static void
one(const char *file, int line, const char *text, const char *json,
    enum verdict verdict, const char *want)
{
	const struct mapping *m = try_load(text);

	if (m != NULL && try_run(m, json)->verdict == verdict &&
	    (verdict == EVAL_OK ? strcmp(try_said, want) == 0
				: strstr(try_said, want) != NULL))
		return;
	t_bad++;
	fprintf(stderr, "%s:%d:\n  gives %s\n  not   %s\n", file, line,
	    try_said, want);
}

#define D(data, want)                                                        \
	one(__FILE__, __LINE__, HEAD EMIT "    data:\n" data, NULL, EVAL_OK, \
	    want)
#define DX(data, want)                                              \
	one(__FILE__, __LINE__, HEAD EMIT "    data:\n" data, NULL, \
	    EVAL_ERROR, want)
#define M(text, want) one(__FILE__, __LINE__, text, NULL, EVAL_OK, want)
#define MX(text, verdict, want) \
	one(__FILE__, __LINE__, text, NULL, verdict, want)
#define LF(text, part)                                   \
	do {                                             \
		CHECK(try_load(text) == NULL);           \
		try_has(__FILE__, __LINE__, text, part); \
	} while (0)

T(fields)
{
	D("      a: s\n      b?: o\n      c?: \"x {o}\"\n      d?: on + 1\n",
	    "{\"a\":\"text\"}");
	D("      a: null\n      b: []\n      c: {}\n",
	    "{\"a\":null,\"b\":[],\"c\":{}}");
	D("      'a?': s\n      \"each\": s\n      let: {q: s}\n      when2: "
	  "q\n",
	    "{\"a?\":\"text\",\"each\":\"text\",\"when2\":\"text\"}");
	D("      $Version: '3.0'\n      cbc:ID: \"{id}\"\n",
	    "{\"$Version\":\"3.0\",\"cbc:ID\":\"7\"}");
	DX("      a: s\n      b: map.none\n", "t.out: b <- map.none (");
	SAYS("m.map.yaml:9:10): is missing; send it, give a default "
	     "(map.none ?? ..) or make the field optional (name?:)");
	CHECK(try_result->err == ERR_MISSING);
	CHECK(strstr((const char *)try_result->where.p, "m.map.yaml:9:10") !=
	      NULL);
	/* need() insists even in an optional field */
	DX("      a?: upper(need(o))\n", "need() insists");
	/* a wrong type is wrong in an optional field too */
	DX("      a?: map.k1 + 1\n", "a number is wanted");
}

/* Texts that are copied as they came are what any other way would write:
 * every length around the short form's end, near the input's end and far. */
T(copied_texts)
{
	const struct mapping *m = try_load(
	    HEAD EMIT "    data:\n      a: s\n      b?: local\n      c: s\n"
		      "      city?: addr.city\n      e: upper(s)\n");
	char in[512], want[512], text[41];
	static const char *const ends[] = {
	    "", ",\"st\":\"a text that fills the rest of the input\""};

	CHECK(m != NULL);
	for (size_t n = 1; m != NULL && n <= 40; n++) {
		memset(text, 'A', n);
		text[n] = '\0';
		for (int k = 0; k < 2; k++) {
			snprintf(in, sizeof(in),
			    "{\"addr\":{\"city\":\"%s\"},\"s\":\"%s\"%s}", text,
			    text, ends[k]);
			snprintf(want, sizeof(want),
			    "{\"a\":\"%s\",\"c\":\"%s\",\"city\":\"%s\","
			    "\"e\":\"%s\"}",
			    text, text, text, text);
			CHECK(try_run(m, in)->verdict == EVAL_OK);
			CHECK(strcmp(try_said, want) == 0);
		}
	}
	/* what is no text is not copied: a number as its digits, a map where
	 * a text should stand is refused, null and a path through a text */
	CHECK(m != NULL && try_run(m, "{\"s\":17}")->verdict == EVAL_OK);
	SAYS("{\"a\":\"17\",\"c\":\"17\",\"e\":\"17\"}");
	CHECK(try_run(m, "{\"s\":{\"x\":\"y\"}}")->verdict == EVAL_ERROR);
	SAYS("t.out: a <- s (");
	CHECK(try_run(m, "{\"s\":null}")->verdict == EVAL_ERROR);
	CHECK(try_run(m, "{\"s\":\"x\",\"addr\":\"a text, and no map\"}")
		  ->verdict == EVAL_ERROR);
	SAYS("city <- addr.city (");
}

T(maps)
{
	D("      a: {x: s, y: {z: id}}\n",
	    "{\"a\":{\"x\":\"text\",\"y\":{\"z\":7}}}");
	D("      a?:\n        when: has(addr)\n        city: addr.city\n"
	  "      b?:\n        when: has(gone)\n        x: s\n",
	    "{\"a\":{\"city\":\"Turku\"}}");
	D("      a?: {x?: o, y?: on}\n      b: {x?: o}\n", "{\"b\":{}}");
	D("      a:\n        let: {t: n * 2, u: t + 1}\n        x: u\n",
	    "{\"a\":{\"x\":26.00}}");
	DX("      a: {x: {y: map.k3}}\n", "t.out: a.x.y <- map.k3 (");
	SAYS("is null");
	LF(HEAD EMIT "    data:\n      a:\n        when: b\n        x: s\n",
	    "a field with when: is optional; write a?:");
	LF(HEAD EMIT "    data:\n      a: s\n      a?: o\n",
	    "a stands here twice");
}

T(lists)
{
	D("      v:\n        each: l, k in lines\n        item: {n: l.name, k: "
	  "k}"
	  "\n",
	    "{\"v\":[{\"n\":\"Mug\",\"k\":1},{\"n\":\"Tea\",\"k\":2},"
	    "{\"n\":\"Bag\",\"k\":3}]}");
	D("      v:\n        each: l in lines\n        when: l.qty > 1\n"
	  "        item: l.name\n",
	    "{\"v\":[\"Mug\",\"Bag\"]}");
	D("      v:\n        each: [l in lines, t in l.tags]\n"
	  "        item: \"{l.name}{t}\"\n",
	    "{\"v\":[\"Mugx\",\"Mugy\",\"Teaz\"]}");
	D("      v:\n        each: l in lines\n        let: {g: l.net * 2}\n"
	  "        when: g > 12\n        item:\n          - g\n"
	  "          - when: l.qty = 2\n            x: g\n",
	    "{\"v\":[20.00,{\"x\":20.00},18]}");
	D("      v:\n        - s\n        - each: w in words\n          item: "
	  "w\n"
	  "        - when: not b\n          x: s\n        - [id, [n]]\n",
	    "{\"v\":[\"text\",\"pear\",\"apple\",\"fig\",[7,[12.50]]]}");
	D("      v:\n        each: l in lines\n        item:\n"
	  "          each: t in l.tags\n          item: t\n",
	    "{\"v\":[\"x\",\"y\",\"z\"]}");
	D("      v:\n        each: e in entries(map)\n"
	  "        when: has(e.value)\n"
	  "        entry: [\"n-{e.key}\", e.value]\n",
	    "{\"v\":{\"n-k1\":\"v1\",\"n-k2\":2}}");
	D("      v:\n        each: l in lines\n        entry:\n"
	  "          - l.name\n          - {q: l.qty}\n",
	    "{\"v\":{\"Mug\":{\"q\":2},\"Tea\":{\"q\":1},\"Bag\":{\"q\":3}}}");
	DX("      v:\n        each: l in lines\n        entry: ['k', l.qty]\n",
	    "t.out: v.k <- k (");
	SAYS("the key 'k' comes twice");
	D("      v?:\n        each: g in gone\n        item: g.x\n"
	  "      w:\n        each: g in gone\n        item: g.x\n",
	    "{\"w\":[]}");
	DX("      v:\n        each: l in lines\n        item:\n          n: "
	   "l.name\n          d: {z: need(l.sku)}\n",
	    "t.out: v[2].d.z <- l.sku (");
	DX("      v:\n        each: l in lines\n        when: l.qty < 3\n"
	   "        item: [s, need(l.sku)]\n",
	    "t.out: v[4] <- l.sku (");
	LF(HEAD EMIT
	    "    data:\n      v:\n        each: l in lines\n        n: s\n",
	    "each wants item: or entry:");
	LF(HEAD EMIT "    data:\n      v:\n        each: l in lines\n"
		     "        item: s\n        n: s\n",
	    "put n under item:");
	LF(HEAD EMIT "    data:\n      v:\n        each: 'l in lines'\n"
		     "        item: s\n",
	    "without quotes");
}

/* An optional list that is absent is empty; one that must be there is refused.
 */
T(absent_lists)
{
	one(__FILE__, __LINE__,
	    HEAD EMIT "    data:\n      a: count(g for g in gone)\n      b:\n"
		      "        each: l in lines\n        item: l.name\n",
	    "{\"lines\":[]}", EVAL_OK, "{\"a\":0,\"b\":[]}");
	one(__FILE__, __LINE__,
	    HEAD EMIT "    data:\n      b:\n        each: l in lines\n        "
		      "item: l.name\n",
	    "{\"id\":1}", EVAL_ERROR, "t.out: b <- lines (");
	SAYS("is missing");
	one(__FILE__, __LINE__,
	    HEAD EMIT "    data: {a: sum(l.net for l in lines)}\n",
	    "{\"lines\":null}", EVAL_ERROR, "t.out: a <- lines (");
	SAYS("is null");
}

T(many_items)
{
	/* over 15 fields and items: heads grow, $out moves along */
	char text[4096];
	int n = snprintf(text, sizeof(text),
	    HEAD EMIT "    data:\n      first: {deep: {er: id}}\n");

	for (int i = 0; i < 20; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    "      f%02d: %d\n", i, i);
	snprintf(text + n, sizeof(text) - (size_t)n,
	    "      list:\n        each: w in split('a,b,c,d,e,f,g,h,i,j,k,l,m,"
	    "n,o,p,q,r', ',')\n        item: {w: w}\n"
	    "      n: count($out.list)\n      last: last($out.list).w\n"
	    "    check:\n      - $out.first.deep.er = 7\n"
	    "      - $out.f19 = 19\n      - $out.list[18].w = 'r'\n"
	    "      - $out.n = 18\n");
	const struct mapping *m = try_load(text);

	CHECK(m != NULL);
	if (m == NULL)
		fprintf(stderr, "%s", try_said);
	else
		CHECK(try_run(m, NULL)->verdict == EVAL_OK);
	SAYS("\"n\":18,\"last\":\"r\"}");
}

T(out)
{
	D("      a: {x: id, y: $out.a.x + 1}\n      b: $out.a.y * 2\n"
	  "      c: $out.a\n      d?: o\n      e: $out.d ?? 'none'\n",
	    "{\"a\":{\"x\":7,\"y\":8},\"b\":16,\"c\":{\"x\":7,\"y\":8},"
	    "\"e\":\"none\"}");
	D("      day: day\n      at: at\n      next: add($out.day, 1, days)\n"
	  "      same: $out.at = at\n",
	    "{\"day\":\"2026-03-31\",\"at\":\"2026-03-01T10:00:00Z\","
	    "\"next\":\"2026-04-01\",\"same\":true}");
	LF(HEAD EMIT "    data:\n      a: $out.b\n      b: id\n",
	    "$out has no b above this place");
	LF(HEAD EMIT "    data:\n      a: {x: $out.a}\n",
	    "$out reads what stands above; this is not complete here");
	LF(HEAD EMIT "    data:\n      a?: o\n      b: $out.a\n",
	    "$out.a may be absent");
	LF(HEAD "let: {q: $out.a}\n" EMIT "    data:\n      a: q\n",
	    "$out is what `data` has built");
}

T(lets)
{
	/* lazily: what no arm reads can fail nothing */
	M(HEAD "let:\n  bad: need(o)\n  doubled: n * 2\n" EMIT
	       "    data:\n      a: doubled\n      b?: if(id = 1, bad, null)\n",
	    "{\"a\":25.00}");
	/* a let that is a path is that path */
	M(HEAD "let: {m: map, w: addr}\n" EMIT
	       "    data:\n      a: m.k1\n      b?: w.zip\n      c: w.city ?? "
	       "''\n",
	    "{\"a\":\"v1\",\"c\":\"Turku\"}");
	/* computed anew in each round */
	D("      v:\n        each: l in lines\n        let: {q: l.qty * 10}\n"
	  "        item: q\n",
	    "{\"v\":[20,10,30]}");
	LF(HEAD "let: {a: b2, b2: id}\n" EMIT "    data: {x: a}\n",
	    "no name b2 here");
	LF(HEAD "let: {q: id}\n" EMIT "    data: {x: id}\n",
	    "q is never used; remove it");
	LF(HEAD "let: {s: id}\n" EMIT "    data: {x: s}\n",
	    "the name s is a field of t.in; choose another");
	LF(HEAD "let: {q: id}\n" EMIT
		"    data:\n      v: {let: {q: n}, x: q}\n      w: q\n",
	    "the name q is taken above");
}

T(when)
{
	M(HEAD "when: st in ('paid', 'done')\n" EMIT "    data: {x: id}\n",
	    "{\"x\":7}");
	MX(HEAD "when: st = 'open'\n" EMIT "    data: {x: need(o)}\n",
	    EVAL_SKIP, "(skipped)");
	/* a missing field that `when` reads is refused, it does not vanish */
	one(__FILE__, __LINE__,
	    HEAD "when: st = 'open'\n" EMIT "    data: {x: id}\n", "{\"id\":1}",
	    EVAL_ERROR, "when <- st (");
	SAYS("is missing");
	/* what has() said holds below */
	M(HEAD "when: has(addr)\n" EMIT "    data: {x: addr.city}\n",
	    "{\"x\":\"Turku\"}");
	M(HEAD "emit:\n  - type: t.out\n    when: has(addr) and id > 1\n"
	       "    id: 'x'\n    subject: 'k:1'\n    data: {x: addr.city}\n"
	       "  - type: t.out\n    when: has(gone)\n    id: 'y'\n"
	       "    subject: 'k:1'\n    data: {x: count(gone)}\n",
	    "{\"x\":\"Turku\"}");
	LF(HEAD "when: s\n" EMIT "    data: {x: id}\n",
	    "true or false is wanted here, and s is text");
}

static const char table_map[] = HEAD
    "tables:\n"
    "  kind:\n    unmatched: ask\n    rows: {r: R, '7': seven, \"on\": yes}\n"
    "  rate:\n    unmatched: error\n    columns: {pct: decimal, acc: text}\n"
    "    rows: {A: [25.5, '3000'], C: [10, '3010']}\n"
    "  num:\n    unmatched: keep\n    rows: {'12.5': half, '7': seven}\n"
    "  def:\n    unmatched: {row: other}\n    rows: {a: A}\n"
    "  rep:\n    unmatched: report\n    default: unknown\n    rows: {a: A}\n"
    "  has:\n    by: contains\n    unmatched: {row: none}\n"
    "    rows: {'on its WAY': moving, way: other}\n" EMIT
    "    data:\n      a: lookup(kind, lines[1].cls ?? '')\n"
    "      b: lookup(kind, \"{id}\")\n      c: lookup(kind, 'on')\n"
    "      d: lookup(rate, lines[3].sku ?? '').pct\n"
    "      e: lookup(rate, 'A').acc\n      f: lookup(num, n)\n"
    "      g: lookup(num, id)\n      h: lookup(num, s)\n"
    "      i: lookup(def, s)\n      j: lookup(rep, s)\n"
    "      k: lookup(has, 'Parcel on ITS way home')\n"
    "      l: lookup(has, 'lost')\n      m: lookup(kind, map.k1)\n";

T(tables)
{
	const struct mapping *m = try_load(table_map);

	CHECK(m != NULL);
	if (m == NULL) {
		fprintf(stderr, "%s", try_said);
		return;
	}
	CHECK(try_run(m, NULL)->verdict == EVAL_ASK);
	SAYS("t.out: m <- map.k1 (");
	SAYS("m.map.yaml:42:23): no row 'v1' in table kind; add a row or "
	     "answer the question");
	CHECK(slice_is(try_result->table, "kind"));
	CHECK(slice_is(try_result->key, "v1"));
	CHECK(try_result->err == ERR_ASK);
	CHECK(try_result->n == 0);
}

struct over {
	const char *table, *key;
	struct slice row;
};

static bool
over_find(void *self, struct slice map, struct slice table, struct slice key,
    struct slice *row, const char **layer)
{
	const struct over *o = self;

	for (; o->table != NULL; o++)
		if (slice_is(map, "t.m") && slice_is(table, o->table) &&
		    slice_is(key, o->key)) {
			*row = o->row;
			*layer = "answer";
			return true;
		}
	return false;
}

T(layers)
{
	static const struct over over[] = {
	    {"kind", "v1", SLICE_LIT("\xa5given")},
	    {"kind", "r", SLICE_LIT("\xa5own-R")},
	    {"rate", "A",
		SLICE_LIT("\x92\xa2"
			  "14\xa4"
			  "9999")},
	    {NULL, NULL, {NULL, 0}}};
	static const struct over broken[] = {
	    {"rate", "A", SLICE_LIT("\x91\x01")}, {NULL, NULL, {NULL, 0}}};
	struct rows rows = {(void *)(uintptr_t)over, over_find};
	const struct mapping *m = try_load(table_map);

	CHECK(m != NULL);
	if (m == NULL)
		return;
	try_input.rows = &rows;
	CHECK(try_run(m, NULL)->verdict == EVAL_OK);
	CHECK_STR(try_said,
	    "{\"a\":\"own-R\",\"b\":\"seven\",\"c\":\"yes\",\"d\":10,\"e\":"
	    "\"9999\",\"f\":\"half\",\"g\":\"seven\",\"h\":\"text\",\"i\":"
	    "\"other\",\"j\":\"unknown\",\"k\":\"moving\",\"l\":\"none\","
	    "\"m\":\"given\"}");
	/* reported, and gone on with the default */
	CHECK(slice_is(try_result->table, "rep"));
	CHECK(slice_is(try_result->key, "text"));
	rows.self = (void *)(uintptr_t)broken;
	CHECK(try_run(m, NULL)->verdict == EVAL_ERROR);
	SAYS("has 1 cells, not 2");
	try_input.rows = NULL;
}

T(table_faults)
{
#define TABLE(rows) \
	HEAD "tables:\n  k:\n" rows EMIT "    data:\n      x: lookup(k, s)\n"
	LF(TABLE("    rows: {a: b}\n"),
	    "does not say what happens without a row");
	LF(TABLE("    unmatched: asks\n    rows: {a: b}\n"), "ask");
	LF(TABLE("    unmatched: ask\n    columns: {v: decimal}\n    rows: {a: "
		 "[x]}\n"),
	    "a decimal is wanted in this column, not x");
	LF(TABLE("    unmatched: ask\n    columns: {v: decimal, w: text}\n"
		 "    rows: {a: [1]}\n"),
	    "a row of k is a list of 2 cells");
	LF(TABLE("    unmatched: ask\n    rows: {a: 1, a: 2}\n"), "a");
	LF(TABLE("    unmatched: ask\n    by: containing\n    rows: {a: 1}\n"),
	    "contains");
	LF(HEAD "tables: {k: {unmatched: ask, rows: {a: b}}}\n" EMIT
		"    data: {x: s}\n",
	    "table k is never used; remove it");
	LF(HEAD "tables: {k: {unmatched: ask, rows: {a: b}}}\n" EMIT
		"    data:\n      x: lookup(kk, s)\n      y: lookup(k, s)\n",
	    "there is no table kk; did you mean k?");
	LF(HEAD
	    "tables: {k: {unmatched: error, rows: {open: a, paid: b}}}\n" EMIT
	    "    data:\n      x: lookup(k, st)\n",
	    "table k has no row for 'done', which this field can be");
	LF(HEAD "tables: {k: {unmatched: ask, rows: {a: b}}}\n" EMIT
		"    data:\n      x: lookup(k, o)\n",
	    "o may be absent");
#undef TABLE
}

/* ---- joins ---- */

struct journal {
	int n;
	const char *want_key;
	struct slice data[3];
	enum err err;
	int asked;
};

static enum err
journal_read(void *self, const struct join *j, struct slice key,
    struct arena *a, struct joined **out, size_t *n, size_t max)
{
	struct journal *jn = self;

	CHECK(max == 200);
	jn->asked++;
	if (jn->want_key != NULL && !slice_is(key, jn->want_key)) {
		t_bad++;
		fprintf(stderr, "key %.*s\n", SLICE_ARG(key));
	}
	(void)j;
	if (jn->err != ERR_OK)
		return jn->err;
	*out = arena_alloc(a, 3 * sizeof(**out));
	for (int i = 0; i < jn->n; i++)
		(*out)[i] = (struct joined){(uint64_t)(90 - i), jn->data[i]};
	*n = (size_t)jn->n;
	return ERR_OK;
}

static enum err
journal_subject(
    void *self, struct slice ref, struct arena *a, struct slice *subject)
{
	struct journal *jn = self;

	(void)a;
	if (jn->n == 0 || !slice_is(ref, "woo:shop/7"))
		return ERR_NOTFOUND;
	*subject = SLICE_LIT("order:shop/99");
	return ERR_OK;
}

static enum err
scope_resolve(void *self, struct slice written, struct buf *out)
{
	const uint8_t *colon = memchr(written.p, ':', written.n);

	(void)self;
	if (colon == NULL)
		return err_note(ERR_SYNTAX, "'%.*s' names no kind: order:1042",
		    SLICE_ARG(written));
	buf_put(out, written.p, (size_t)(colon - written.p) + 1);
	buf_str(out, "shop/");
	buf_slice(out, slice_from(written, (size_t)(colon - written.p) + 1));
	return ERR_OK;
}

#define JOIN(lines) HEAD "join:\n" lines EMIT

T(joins)
{
	struct journal jn = {.n = 2,
	    .want_key = "order:shop/1042",
	    .data = {SLICE_LIT("\x82\xa2id\x01\xa1s\xa3one"),
		SLICE_LIT("\x82\xa2id\x02\xa1s\xa3two")}};
	const struct reader reader = {&jn, journal_read, journal_subject};
	const struct scope scope = {NULL, scope_resolve};

	try_input.reader = &reader;
	try_input.scope = &scope;
	M(JOIN(
	      "  j: {last: t.in, subject: $event.subject}\n") "    data: {x: "
							      "j.s, y: j.id}\n",
	    "{\"x\":\"two\",\"y\":2}");
	CHECK(try_result->reads_n == 1 && try_result->reads[0] == 89);
	M(JOIN("  j: {all: t.in}\n") "    data: {x: sum(k.id for k in j), y: "
				     "count(j)}\n",
	    "{\"x\":3,\"y\":2}");
	CHECK(try_result->reads_n == 2 && try_result->reads[0] == 89 &&
	      try_result->reads[1] == 90);
	jn.want_key = "woo:shop/7";
	M(JOIN("  j: {last: t.in, ref: \"woo:{id}\", absent: none}\n") "    "
								       "data: "
								       "{x: "
								       "j.s ?? "
								       "'none'}"
								       "\n",
	    "{\"x\":\"two\"}");
	jn.n = 0;
	M(JOIN("  j: {last: t.in, ref: \"woo:{id}\", absent: none}\n") "    "
								       "data: "
								       "{x: "
								       "j.s ?? "
								       "'none'}"
								       "\n",
	    "{\"x\":\"none\"}");
	M(JOIN("  j: {all: t.in, ref: \"woo:{id}\"}\n") "    data: {x: "
							"count(j)}\n",
	    "{\"x\":0}");
	MX(JOIN(
	       "  j: {last: t.in, ref: \"woo:{id}\", absent: wait 15m}\n") "   "
									   " da"
									   "ta:"
									   " {"
									   "x: "
									   "j."
									   "s}"
									   "\n",
	    EVAL_WAIT, "waits for t.in of woo:shop/7");
	CHECK(slice_is(try_result->wait_type, "t.in"));
	CHECK(slice_is(try_result->wait_key, "woo:shop/7"));
	CHECK(try_result->wait_by_ref);
	CHECK(try_result->wait_ns == INT64_C(900000000000));
	MX(JOIN("  j: {last: t.in, ref: \"woo:{id}\", absent: ask}\n") "    "
								       "data: "
								       "{x: "
								       "j.s}\n",
	    EVAL_ASK, "there is no t.in of woo:shop/7");
	MX(JOIN(
	       "  j: {last: t.in, ref: \"woo:{id}\"}\n") "    data: {x: j.s}\n",
	    EVAL_ERROR, "publish it first, or say absent:");
	MX(JOIN(
	       "  j: {last: t.in, ref: \"woo:{id}\", absent: skip}\n") "    "
								       "data: "
								       "{x: "
								       "j.s}\n",
	    EVAL_SKIP, "(skipped)");
	/* a `when` that reads no join is asked before any is read */
	jn.asked = 0;
	MX(HEAD "when: st = 'open'\njoin:\n  j: {last: t.in, ref: "
		"\"woo:{id}\", absent: wait 1h}\n" EMIT "    data: {x: j.s}\n",
	    EVAL_SKIP, "(skipped)");
	CHECK(jn.asked == 0);
	jn.err = ERR_LIMIT;
	MX(JOIN("  j: {all: t.in, ref: \"woo:{id}\"}\n") "    data: {x: "
							 "count(j)}\n",
	    EVAL_ERROR, "more than 200 of t.in at woo:shop/7");
	SAYS("join j (");
	jn.err = ERR_OK;
	LF(JOIN("  j: {last: t.inn, absent: none}\n") "    data: {x: j.s}\n",
	    "no type t.inn; did you mean t.in?");
	LF(JOIN("  j: {last: t.in, absent: none}\n") "    data: {x: j.s}\n",
	    "j.s may be absent");
	LF(JOIN("  j: {last: t.in, absent: wait}\n") "    data: {x: j.s}\n",
	    "say how long: wait 15m");
	LF(JOIN("  j: {last: t.in, al: t.in}\n") "    data: {x: j.s}\n", "al");
	LF(JOIN("  j: {last: t.in}\n") "    data: {x: s}\n",
	    "the join j is never used");
	try_input.reader = NULL;
	try_input.scope = NULL;
}

/* ---- emits ---- */

T(ids)
{
	const struct scope scope = {NULL, scope_resolve};
	char want[FACT_ID + 1];

	try_input.scope = &scope;
	M(HEAD
	    "emit:\n  - type: t.out\n    id: \"n:{id}\"\n"
	    "    subject: \"order:{id}\"\n    refs: [\"woo:{id}\", \"k:{s}\"]\n"
	    "    again: revise by at\n    data: {x: 1}\n",
	    "{\"x\":1}");
	fact_id(SLICE_LIT("shop"), SLICE_LIT("t.out"), SLICE_LIT("order:7"),
	    SLICE_LIT("n:7"), want);
	CHECK(slice_is(try_result->events[0].id, want));
	CHECK(slice_is(try_result->events[0].subject, "order:shop/7"));
	CHECK(try_result->events[0].refs_n == 2);
	CHECK(slice_is(try_result->events[0].refs[1], "k:shop/text"));
	CHECK(try_result->events[0].again == AGAIN_REVISE);
	CHECK(try_result->events[0].again_by.n == 6); /* a timestamp of 4 */
	CHECK(slice_is(try_result->events[0].type, "t.out"));
	/* left out: the input's, as it is stored */
	M(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    again: error\n"
	       "    data: {x: 1}\n",
	    "{\"x\":1}");
	CHECK(slice_is(try_result->events[0].subject, "order:shop/1042"));
	CHECK(try_result->events[0].again == AGAIN_ERROR);
	MX(HEAD "emit:\n  - type: t.out\n    id: 'x'\n    subject: 'nokind'\n"
		"    data: {x: 1}\n",
	    EVAL_ERROR, "t.out: subject <- nokind");
	SAYS("names no kind");
	/* one id twice */
	M(HEAD "emit:\n  - type: t.out\n    each: l in lines\n    id: 'same'\n"
	       "    data: {x: id}\n",
	    "{\"x\":7}");
	MX(HEAD "emit:\n  - type: t.out\n    each: l in lines\n"
		"    id: 'same'\n    data: {x: l.qty}\n",
	    EVAL_ERROR, "two events with this id and different data");
	M(HEAD "emit:\n  - type: t.out\n    each: l, k in lines\n"
	       "    let: {d: l.qty * 2}\n    when: d > 2\n"
	       "    id: \"l:{k}\"\n    data: {x: d}\n",
	    "{\"x\":4}\n{\"x\":6}");
	/* decimals are no keys, known at load or not */
	LF(HEAD "emit:\n  - type: t.out\n    id: \"n:{n}\"\n    data: {x: 1}\n",
	    "no decimals in an id");
	one(__FILE__, __LINE__,
	    HEAD "emit:\n  - type: t.out\n    id: \"n:{map.n}\"\n    data: {x: "
		 "1}\n",
	    "{\"map\":{\"n\":1.5}}", EVAL_ERROR, "no decimals in a key");
	one(__FILE__, __LINE__,
	    HEAD "emit:\n  - type: t.out\n    id: map.n\n    data: {x: 1}\n",
	    "{\"map\":{\"n\":1.5}}", EVAL_ERROR, "no decimals in a key");
	MX(HEAD
	    "emit:\n  - type: t.out\n    id: trim('  ')\n    data: {x: 1}\n",
	    EVAL_ERROR, "this is empty");
	try_input.scope = NULL;
}

T(subject_by_ref)
{
	struct journal jn = {.n = 1};
	const struct reader reader = {&jn, journal_read, journal_subject};
	const struct scope scope = {NULL, scope_resolve};

	try_input.reader = &reader;
	try_input.scope = &scope;
#define BY_REF(absent)                                                  \
	HEAD "emit:\n  - type: t.out\n    id: 'x'\n    subject: {ref: " \
	     "\"woo:{id}\"" absent "}\n    data: {x: 1}\n"
	M(BY_REF(""), "{\"x\":1}");
	CHECK(slice_is(try_result->events[0].subject, "order:shop/99"));
	jn.n = 0;
	MX(BY_REF(""), EVAL_ASK, "nothing is known by the name woo:shop/7");
	CHECK(slice_is(try_result->table, "subject"));
	CHECK(slice_is(try_result->key, "woo:shop/7"));
	MX(BY_REF(", absent: wait 2h"), EVAL_WAIT,
	    "waits until woo:shop/7 is known");
	CHECK(try_result->wait_by_ref &&
	      try_result->wait_ns == INT64_C(7200000000000));
	MX(BY_REF(", absent: skip"), EVAL_SKIP, "(skipped)");
	LF(BY_REF(", absent: none"), "ask");
#undef BY_REF
	try_input.reader = NULL;
	try_input.scope = NULL;
}

T(checks)
{
	M(HEAD EMIT
	    "    data: {x: n, y: n}\n    check:\n      - $out.x = $out.y\n"
	    "      - abs($out.x - n) <= 0.02\n",
	    "{\"x\":12.50,\"y\":12.50}");
	MX(HEAD EMIT "    data: {x: n}\n    check:\n      - id = 7\n"
		     "      - $out.x + 1 = id\n",
	    EVAL_ERROR, "t.out: check <- $out.x + 1 = id (");
	SAYS("this does not hold: 13.50 on the left, 7 on the right");
	CHECK(try_result->err == ERR_CHECK);
	MX(HEAD EMIT
	    "    data: {x: n}\n    check:\n      - id = 7 and s = 'z'\n",
	    EVAL_ERROR, "'text' on the left, 'z' on the right");
	LF(HEAD EMIT "    data: {x: n}\n    check:\n      - 1 = 1\n",
	    "this check reads nothing");
}

T(settings)
{
	static struct schema_field fee = {.name = SLICE_LIT("fee"),
				       .type = SCHEMA_DECIMAL},
				   zone = {.name = SLICE_LIT("zone"),
				       .type = SCHEMA_TEXT,
				       .next = &fee};
	static struct schema_field all = {
	    .name = SLICE_LIT("settings"), .type = SCHEMA_MAP, .fields = &zone};

	try_settings = &all;
	try_input.settings = SLICE_LIT("\x82\xa4zone\xaf"
				       "Europe/Helsinki\xa3"
				       "fee\xa4\x31\x2e\x32\x35");
	M(HEAD EMIT "    data:\n      x: date(at, $settings.zone)\n      y: "
		    "$settings.fee * 2\n",
	    "{\"x\":\"2026-03-01\",\"y\":2.50}");
	LF(HEAD EMIT "    data: {x: $settings.zon}\n",
	    "the pack's settings has no field zon here; did you mean zone?");
	try_input.settings = SLICE_LIT("\x81\xa4zone\xa4Mars");
	MX(HEAD EMIT "    data:\n      x: date(at, $settings.zone)\n",
	    EVAL_ERROR, "there is no zone 'Mars'");
	try_settings = NULL;
	try_input.settings = SLICE_EMPTY;
}

T(coverage)
{
	const struct mapping *m = try_load(table_map);
	const struct cover_point *pts;
	uint32_t hits[64] = {0};
	size_t n, rows = 0, fields = 0;

	CHECK(m != NULL);
	if (m == NULL)
		return;
	n = mapping_points(m, &pts);
	CHECK(n > 20 && n < 64);
	try_run(m, NULL);
	eval_cover(try_eval, hits);
	try_run(m, NULL);
	eval_cover(try_eval, NULL);
	for (size_t i = 0; i < n; i++) {
		if (slice_is(pts[i].name, "kind: r"))
			CHECK(pts[i].kind == COVER_ROW && hits[i] == 1);
		if (slice_is(pts[i].name, "rate: C"))
			CHECK(hits[i] == 1);
		if (slice_is(pts[i].name, "t.out: a"))
			CHECK(pts[i].kind == COVER_FIELD && hits[i] == 1);
		if (slice_is(pts[i].name, "t.out: m"))
			CHECK(hits[i] == 0);
		rows += pts[i].kind == COVER_ROW;
		fields += pts[i].kind == COVER_FIELD;
	}
	CHECK(fields == 13 && rows == 11);
}

T(explain)
{
	const struct mapping *m = try_load(HEAD
	    "when: id > 1\n"
	    "tables: {k: {unmatched: {row: other}, rows: {paid: done}}}\n"
	    "let:\n  twice: n * 2\n" EMIT
	    "    data:\n      a: lookup(k, st)\n      b: o ?? 'none'\n"
	    "      c?: addr.zip\n      d:\n        e: if(id = 7, twice, n)\n"
	    "      f:\n        each: l in lines\n        when: l.qty > 2\n"
	    "        item: l.name\n      g: sum(l.net for l in lines)\n"
	    "      h: lookup(k, s)\n");
	struct buf why;

	CHECK(m != NULL);
	if (m == NULL) {
		fprintf(stderr, "%s", try_said);
		return;
	}
	try_run(m, NULL);
	buf_init(&why, 1 << 16);
	eval_explain(try_eval, &why, EXPLAIN_TEXT);
	CHECK(try_run(m, NULL)->verdict == EVAL_OK);
	eval_explain(try_eval, NULL, EXPLAIN_TEXT);
	snprintf(try_said, sizeof(try_said), "%s", buf_cstr(&why));
	buf_fini(&why);
	SAYS("when: when is true <- id > 1 (m.map.yaml:3:7)\n");
	SAYS("t.out of k:1, id \"x\"\n");
	SAYS("t.out: a: 'done' <- lookup(k, st) (m.map.yaml:12:10)\n"
	     "  st = 'paid'\n  table k, row 'paid' = 'done' (pack)\n");
	SAYS("t.out: b: 'none' <- o ?? 'none' (m.map.yaml:13:10)\n"
	     "  o is missing: default 'none'\n");
	SAYS("t.out: c: left out <- addr.zip (m.map.yaml:14:11)\n"
	     "  addr.zip = missing\n");
	SAYS("t.out: d.e: 25.00 <- if(id = 7, twice, n) (m.map.yaml:16:12)\n"
	     "  id = 7 is true\n"
	     "  twice = 25.00 <- n * 2 (line 6)\n    n = 12.50\n");
	SAYS("t.out: f: when is false <- l.qty > 2 (m.map.yaml:19:15)\n"
	     "  l.qty = 2\n");
	SAYS("t.out: f[1]: 'Bag' <- l.name");
	SAYS("t.out: g: 24.50 <- sum(l.net for l in lines)");
	SAYS("  lines = a list of 3\n");
	SAYS("table k, row 'text' = 'other' (no row; unmatched)\n");
	/* as JSON: each line is one object */
	buf_init(&why, 1 << 16);
	eval_explain(try_eval, &why, EXPLAIN_JSON);
	CHECK(try_run(m, NULL)->verdict == EVAL_OK);
	eval_explain(try_eval, NULL, EXPLAIN_TEXT);
	snprintf(try_said, sizeof(try_said), "%s", buf_cstr(&why));
	SAYS("{\"event\":\"t.out\",\"subject\":\"k:1\",\"id\":\"x\"}\n");
	SAYS("{\"path\":\"t.out: a\",\"outcome\":\"'done'\",\"expression\":"
	     "\"lookup(k, st)\",\"at\":\"m.map.yaml:12:10\",\"parts\":[\"  st "
	     "= 'paid'\",\"  table k, row 'paid' = 'done' (pack)\"]}\n");
	for (size_t i = 0, from = 0; i < why.n; i++) {
		struct buf mp;

		if (why.p[i] != '\n')
			continue;
		buf_init(&mp, 1 << 16);
		CHECK_OK(
		    json_to_mp(slice_of(why.p + from, i - from), &mp, NULL));
		buf_fini(&mp);
		from = i + 1;
	}
	buf_fini(&why);
	/* nobody asks: nothing is written down */
	try_run(m, NULL);
	CHECK(try_result->verdict == EVAL_OK);
}

/* A part of the input that is copied whole gives the target's fields and no
 * others, each as if it stood there alone. */
static const char made[] = "schema: t.made/1\n"
			   "subject: {kind: k, scope: system}\n"
			   "blank: absent\n"
			   "fields:\n"
			   "  addr?: {fields: {city: text, zip?: text}}\n"
			   "  lines?: {items: {name: text, net: decimal,\n"
			   "    tags?: {list: text}}}\n"
			   "  words?: {list: text}\n";
#define COPY(name)                                                       \
	"map: t.m/1\nfrom: t.in\nemit:\n  - type: t.made\n    id: 'x'\n" \
	"    subject: 'k:1'\n    data:\n      " name "\n"

T(copied_whole)
{
	static const char map[] = COPY("addr?: addr");
	static const char list[] = COPY("lines?: lines");

	one(__FILE__, __LINE__, map,
	    "{\"addr\":{\"phone\":\"1\",\"zip\":20100,\"city\":\"T\"}}",
	    EVAL_OK, "{\"addr\":{\"city\":\"T\",\"zip\":\"20100\"}}");
	one(__FILE__, __LINE__, map, "{\"addr\":{\"city\":null}}", EVAL_ERROR,
	    "t.made: addr.city <- addr (");
	one(__FILE__, __LINE__, map, "{\"addr\":{\"city\":[1]}}", EVAL_ERROR,
	    "text is wanted, and this is a list");
	one(__FILE__, __LINE__, map, "{}", EVAL_OK, "{}");
	one(__FILE__, __LINE__, map, "{\"addr\":{\"city\":\"T\",\"zip\":\"\"}}",
	    EVAL_OK, "{\"addr\":{\"city\":\"T\"}}");
	one(__FILE__, __LINE__, list,
	    "{\"lines\":[{\"name\":\"A\",\"net\":\"1.50\",\"qty\":1,"
	    "\"tags\":[1,\"b\"]}]}",
	    EVAL_OK,
	    "{\"lines\":[{\"name\":\"A\",\"net\":1.50,\"tags\":[\"1\","
	    "\"b\"]}]}");
	one(__FILE__, __LINE__, list,
	    "{\"lines\":[{\"name\":\"A\",\"net\":1},"
	    "{\"name\":\"B\",\"net\":\"x\"}]}",
	    EVAL_ERROR, "t.made: lines[2].net <- lines (");
	one(__FILE__, __LINE__,
	    COPY("lines?: sort(l.net for l in lines if l.net > 1)"),
	    "{\"lines\":[{\"name\":\"A\",\"net\":3},{\"name\":\"B\","
	    "\"net\":\"2.0\",\"more\":{}}]}",
	    EVAL_OK,
	    "{\"lines\":[{\"name\":\"B\",\"net\":2.0},{\"name\":\"A\","
	    "\"net\":3}]}");
	one(__FILE__, __LINE__, COPY("words?: words"),
	    "{\"words\":[\"a\",null]}", EVAL_ERROR, "t.made: words[2] <- ");
}

T_MAIN(try_begin(); try_schema(made, true);
       T_RUN(copied_whole) T_RUN(fields) T_RUN(copied_texts) T_RUN(maps) T_RUN(
	   lists) T_RUN(absent_lists) T_RUN(many_items) T_RUN(out) T_RUN(lets)
	   T_RUN(when) T_RUN(tables) T_RUN(layers) T_RUN(table_faults)
	       T_RUN(joins) T_RUN(ids) T_RUN(subject_by_ref) T_RUN(checks)
		   T_RUN(settings) T_RUN(coverage) T_RUN(explain) try_end())
