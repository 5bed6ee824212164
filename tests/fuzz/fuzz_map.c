/*
 * fuzz_map - any bytes as an event through a mapping that reads much of it, and
 * any text as a mapping. The first byte chooses. An evaluation ends within its
 * budgets with a verdict and a text; what it emits for a well-formed event is
 * well-formed. A text either loads or has a fault; what loads can be run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "mappings/engine/mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char schema_text[] =
    "schema: a.b/1\n"
    "blank: absent\n"
    "zone: Europe/Helsinki\n"
    "fields:\n"
    "  a?: text\n"
    "  b?: {items: {a?: decimal, b?: {list: text}, c?: any}}\n"
    "  c?: {list: integer}\n"
    "  d?: {fields: {a?: time, b?: date, c?: any}}\n";

static const char map_text[] =
    "map: a.m/1\nfrom: a.b\n"
    "tables:\n  t: {unmatched: keep, rows: {x: y}}\n"
    "let:\n  rows: concat(x for x in b, y for y in b if has(y.a))\n"
    "emit:\n  - type: a.c\n    id: \"x{a ?? ''}\"\n    data:\n"
    "      a?: upper(html(a))\n      t?: d.a\n      day?: add(d.b, 1, months)\n"
    "      sum: sum(x.a ?? 0 for x in rows)\n      raw?: d.c\n"
    "      avg?: round(first(x.a for x in b) / count(b), 3)\n"
    "      list:\n        each: x, i in sort(z.a ?? 0 for z in b)\n"
    "        item: {i: i, a?: x.a, c?: x.c}\n"
    "      g:\n        each: g in group(x.a ?? 0 for x in rows)\n"
    "        item: {k: g.key, n: count(g.rows)}\n"
    "      join: join(',', w for x in b for w in x.b)\n"
    "      m: lookup(t, a ?? 'x')\n      hash: hash($in)\n"
    "      last?: last($out.list).c\n"
    "    check:\n      - count($out.list) = count(b)\n";

static const struct schema *schema;
static const struct mapping *map;
static struct eval *eval;

static const struct schema *
find(void *self, struct slice type)
{
	(void)self;
	return slice_eq(type, schema->type) ? schema : NULL;
}

static const struct schema_source source = {NULL, find, NULL};

static void
prepare(void)
{
	static struct arena arena;
	char dir[] = "/tmp/vayla-fuzz-XXXXXX", path[64];
	struct faults f;

	if (eval != NULL)
		return;
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/a.b.yaml", dir);
	arena_init(&arena, 1 << 22);
	faults_init(&f);
	if (file_write(path, slice_str(schema_text), 0600) != ERR_OK ||
	    schema_load(path, false, &arena, &f, &schema) != ERR_OK ||
	    mapping_parse("m", slice_str(map_text), &source, NULL, &arena, &f,
		&map) != ERR_OK) {
		fprintf(stderr, "%s\n%s\n", buf_cstr(&f.text), err_last());
		abort();
	}
	faults_fini(&f);
	unlink(path);
	rmdir(dir);
	eval = eval_new();
}

static void
run(const struct mapping *m, struct slice data)
{
	static const uint8_t event[] = "\x81\xa7subject\xa3k:1";
	struct input in = {.event = slice_of(event, sizeof(event) - 1),
	    .data = data,
	    .settings = SLICE_EMPTY,
	    .system = SLICE_LIT("s")};
	const struct result *r = mapping_eval(eval, m, &in);
	size_t i;

	if (r->steps > MAP_STEPS + (1 << 20) ||
	    (r->verdict == EVAL_ERROR && r->text.n == 0) ||
	    (r->verdict != EVAL_OK && r->n > 0))
		abort();
	for (i = 0; mp_check(data) == ERR_OK && i < r->n; i++)
		if (mp_check(r->events[i].data) != ERR_OK)
			abort();
}

static void
text(struct slice s)
{
	const struct mapping *m = NULL;
	struct arena arena;
	struct faults f;
	enum err e;

	arena_init(&arena, 64 << 20);
	faults_init(&f);
	e = mapping_parse("m", s, &source, NULL, &arena, &f, &m);
	if ((e == ERR_OK) != (m != NULL) || (e == ERR_SYNTAX && f.count == 0))
		abort();
	if (m != NULL)
		run(m, SLICE_LIT("\x82\xa1"
				 "a\xa1x\xa1"
				 "b\x91\x81\xa1"
				 "a\x05"));
	faults_fini(&f);
	arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *copy;

	prepare();
	if (n == 0)
		return 0;
	/* a block of its own, so that a read beyond its end is seen */
	copy = malloc(n);
	memcpy(copy, p + 1, n - 1);
	if (p[0] % 2 == 0)
		run(map, slice_of(copy, n - 1));
	else
		text(slice_of(copy, n - 1));
	free(copy);
	return 0;
}
