/*
 * fuzz_map - a mapping and an event for it, with a zero byte between them; what
 * has none is an event for a mapping that stands here. The event is JSON, or
 * any bytes as msgpack. An evaluation ends within its budgets with a verdict
 * and a text; what it emits for a well-formed event is well-formed, and the
 * same twice.
 *
 * Seeds are cases of the differential tests (tests/diff/seeds.py), which reach
 * every function; the mutator below changes one of the two at a time, often by
 * exchanging a whole word or value, so that most of what it makes still loads.
 * Mappings alone are fuzz_load's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/json.h"
#include "mappings/engine/mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
size_t LLVMFuzzerMutate(uint8_t *p, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *p, size_t n, size_t max, unsigned seed);

static const char map_text[] =
    "map: diff.m/1\nfrom: diff.in\n"
    "tables:\n  t: {unmatched: keep, rows: {x: y}}\n"
    "let:\n  rows: concat(x for x in lines, y for y in more if has(y.cls))\n"
    "emit:\n  - type: diff.any\n    id: \"x{s1}\"\n"
    "    subject: \"thing:{s2}\"\n    refs: [\"thing:{os}\"]\n    data:\n"
    "      a?: upper(html(s1))\n      t?: t1\n      day?: add(day1, 1, "
    "months)\n"
    "      sum: sum(x.net for x in rows)\n      raw?: x1\n"
    "      avg?: round(first(x.net for x in rows) / count(lines), 3)\n"
    "      list:\n        each: x, i in sort(z.net for z in lines)\n"
    "        item: {i: i, a?: x.sku, c?: x.sub}\n"
    "      g:\n        each: g in group(x.cls ?? '' for x in rows)\n"
    "        item: {k: g.key, n: count(g.rows)}\n"
    "      parts: allocate(d1, 2, abs(x.net) + 1 for x in lines)\n"
    "      join: join(',', w for x in lines for w in x.tags)\n"
    "      m: lookup(t, s1)\n      hash: hash($in)\n"
    "      last?: last($out.list).c\n"
    "    check:\n      - count($out.list) = count(lines)\n";

static const struct schema *schemas[2];
static const struct mapping *map;
static struct eval *eval;

static const struct schema *
find(void *self, struct slice type)
{
	(void)self;
	for (size_t i = 0; i < 2; i++)
		if (slice_eq(type, schemas[i]->type))
			return schemas[i];
	return NULL;
}

static const struct schema_source source = {NULL, find, NULL};

static void
prepare(void)
{
	static struct arena arena;
	struct faults f;

	if (eval != NULL)
		return;
	arena_init(&arena, 1 << 22);
	faults_init(&f);
	if (schema_load("tests/diff/packs/diff/schema/diff.in.yaml", false,
		&arena, &f, &schemas[0]) != ERR_OK ||
	    schema_load("tests/diff/packs/canonical/diff.out.yaml", true,
		&arena, &f, &schemas[1]) != ERR_OK ||
	    mapping_parse("m", slice_str(map_text), &source, NULL, &arena, &f,
		&map) != ERR_OK) {
		fprintf(stderr, "%s\n%s\n", buf_cstr(&f.text), err_last());
		abort();
	}
	faults_fini(&f);
	eval = eval_new();
}

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static enum err
resolve(void *self, struct slice written, struct buf *out)
{
	(void)self;
	buf_slice(out, written);
	return buf_check(out);
}

static void
run(const struct mapping *m, struct slice data)
{
	static const uint8_t event[] = "\x81\xa7subject\xa3k:1";
	const struct scope scope = {NULL, resolve};
	struct input in = {.event = slice_of(event, sizeof(event) - 1),
	    .data = data,
	    .settings = SLICE_EMPTY,
	    .scope = &scope,
	    .system = SLICE_LIT("s")};
	const struct result *r = mapping_eval(eval, m, &in);
	enum verdict verdict = r->verdict;
	struct buf first;
	size_t i, at = 0;

	must(r->steps <= MAP_STEPS + (1 << 20));
	must(verdict != EVAL_ERROR || r->text.n > 0);
	must(verdict == EVAL_OK || r->n == 0);
	buf_init(&first, 64 << 20);
	for (i = 0; i < r->n; i++) {
		must(mp_check(data) != ERR_OK ||
		     mp_check(r->events[i].data) == ERR_OK);
		buf_slice(&first, r->events[i].data);
	}
	r = mapping_eval(eval, m, &in);
	must(r->verdict == verdict);
	for (i = 0; i < r->n; i++) {
		must(slice_starts(
		    slice_from(buf_all(&first), at), r->events[i].data));
		at += r->events[i].data.n;
	}
	buf_fini(&first);
}

static void
event(const struct mapping *m, struct slice s)
{
	struct buf mp;
	uint8_t *copy;

	buf_init(&mp, 1 << 24);
	if (s.n > 0 && s.p[0] == '{') {
		if (json_to_mp(s, &mp, NULL) == ERR_OK)
			s = buf_all(&mp);
	}
	/* a block of its own, so that a read beyond its end is seen */
	copy = malloc(s.n + (s.n == 0));
	memcpy(copy, s.p, s.n);
	run(m, slice_of(copy, s.n));
	free(copy);
	buf_fini(&mp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *zero = n > 0 ? memchr(p, 0, n) : NULL;
	const struct mapping *m = NULL;
	struct arena arena;
	struct faults f;

	prepare();
	if (zero == NULL) {
		event(map, slice_of(p, n));
		return 0;
	}
	arena_init(&arena, 64 << 20);
	faults_init(&f);
	if (mapping_parse("m", slice_of(p, (size_t)(zero - p)), &source, NULL,
		&arena, &f, &m) == ERR_OK)
		event(m, slice_of(zero + 1, n - (size_t)(zero + 1 - p)));
	faults_fini(&f);
	arena_fini(&arena);
	return 0;
}

/* ---- mutation ---- */

static const char *const words[] = {"lines", "more", "words", "nums", "d1",
    "d2", "i1", "s1", "os", "od", "x1", "x2", "map", "st", "t1", "t2", "day1",
    "first", "last", "at", "list", "sum", "count", "any", "all", "concat",
    "reverse", "sort", "group", "allocate", "entries", "if", "has", "need",
    "lookup", "round", "abs", "text", "decimal", "int", "hash", "html", "split",
    "join", "replace", "upper", "lower", "trim", "time", "date", "add",
    "format", "minor", "to_minor", "rf", "fi_reference", "and", "or", "not",
    "in", "for", "null", "true", "0", "9", "99999999999999999", "0.000000001",
    "$in", "$out.v", "$event.time", "days", "months", "half_even", "v?", "each",
    "item", "when", "let", "entry"};
static const char *const values[] = {"null", "\"\"", "[]", "{}", "0", "-1",
    "9223372036854775807", "-9223372036854775808", "18446744073709551615",
    "0.000000001", "1e38", "99999999999999999999999999999999999999",
    "1.00000000000000000000000000000000000001", "-0", "\"x\"", "\"12.50\"",
    "\"2026-03-29T03:30:00\"", "\"2262-04-11T23:47:16.854775807Z\"",
    "\"1677-09-21T00:12:43Z\"", "\"\xc3\xa4\"", "true", "[1,\"a\",null]",
    "[[[]]]", "{\"a\":{\"b\":1}}", "\"2026-02-29\"", "\"&#x10ffff;<b\""};

static bool
of_word(uint8_t c, bool mapping)
{
	return mapping ? (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '_' || c == '$'
		       : strchr("{}[],:", c) == NULL;
}

/* Another word in place of the one around a random place of p[from, to). */
static size_t
exchange(uint8_t *p, size_t n, size_t max, size_t from, size_t to,
    unsigned *seed, bool mapping)
{
	size_t at = from + (size_t)rand_r(seed) % (to - from), end, len;
	const char *by =
	    mapping
		? words[(size_t)rand_r(seed) % (sizeof(words) / sizeof(*words))]
		: values[(size_t)rand_r(seed) %
			 (sizeof(values) / sizeof(*values))];

	while (at < to && !of_word(p[at], mapping))
		at++;
	for (end = at; end < to && of_word(p[end], mapping); end++)
		;
	while (at > from && at < end && of_word(p[at - 1], mapping))
		at--;
	len = strlen(by);
	if (n - (end - at) + len > max)
		return n;
	memmove(p + at + len, p + end, n - end);
	memcpy(p + at, by, len);
	return n - (end - at) + len;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *p, size_t n, size_t max, unsigned seed)
{
	uint8_t *zero = n > 0 ? memchr(p, 0, n) : NULL, *data;
	size_t head, body, rest;
	unsigned how = seed % 8;

	if (zero == NULL || how == 0)
		return LLVMFuzzerMutate(p, n, max);
	head = (size_t)(zero - p);
	rest = n - head - 1;
	if (how < 3 && rest > 0) /* the event's bytes */
		return head + 1 +
		       LLVMFuzzerMutate(zero + 1, rest, max - head - 1);
	if (how < 5 && rest > 0) /* a value of the event */
		return exchange(p, n, max, head + 1, n, &seed, false);
	/* within data: of the mapping, so that what is above it stays */
	data = memmem(p, head, "data:", 5);
	body = data != NULL ? (size_t)(data - p) + 5 : 0;
	if (head > body)
		return exchange(p, n, max, body, head, &seed, true);
	return LLVMFuzzerMutate(p, n, max);
}
