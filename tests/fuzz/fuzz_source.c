/*
 * fuzz_source - any bytes as what a system sends: JSON, XML or EDIFACT, without
 * a schema and by one. What is taken is well-formed, and the same twice; of it
 * a schema can be learnt; what is refused has a note and leaves nothing behind.
 */
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "mappings/engine/learn.h"
#include "mappings/engine/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char text[] =
    "schema: a.b/1\n"
    "open: true\n"
    "fields:\n"
    "  Doc?: {fields: {Id?: text, Amt?: {many: true, fields: {$Ccy?: text,"
    " $?: decimal}}, Row?: {items: {Id?: text, Sum?: decimal, On?: date}},"
    " Note?: {many: true, type: text}}}\n"
    "  UNB?: any\n"
    "  UNH?: any\n"
    "  BGM?: {list: {list: text}}\n"
    "  CNI?: {items: {CNI: {list: {list: text}},"
    " STS?: {many: true, list: {list: text}},"
    " DTM?: {many: true, list: {list: text}}}}\n"
    "  more?: {type: text, json: true}\n";

static const struct schema *
schema(void)
{
	static const struct schema *s;
	static struct arena arena;
	char dir[] = "/tmp/vayla-fuzz-XXXXXX", path[64];
	struct faults f;

	if (s != NULL)
		return s;
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/a.b.yaml", dir);
	arena_init(&arena, 1 << 20);
	faults_init(&f);
	if (file_write(path, slice_str(text), 0600) != ERR_OK ||
	    schema_load(path, false, &arena, &f, &s) != ERR_OK) {
		fprintf(stderr, "%s", buf_cstr(&f.text));
		abort();
	}
	faults_fini(&f);
	unlink(path);
	rmdir(dir);
	return s;
}

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
learnt(struct slice data)
{
	struct arena a;
	struct learn *l;
	struct buf out;

	arena_init(&a, 64 << 20);
	buf_init(&out, 1 << 24);
	l = learn_new(&a);
	if (l != NULL && learn_add(l, data) == ERR_OK &&
	    learn_write(l, SLICE_LIT("a.b"), &out) == ERR_OK)
		must(out.n > 0);
	buf_fini(&out);
	arena_fini(&a);
}

static void
take(struct slice s, const struct schema_field *root)
{
	struct buf one, two;
	enum err e;

	buf_init(&one, 1 << 24);
	buf_init(&two, 1 << 24);
	buf_str(&two, "x");
	e = source_to_mp(s, root, &one);
	must(source_to_mp(s, root, &two) == e);
	if (e == ERR_OK) {
		must(mp_check(buf_all(&one)) == ERR_OK);
		must(slice_eq(slice_from(buf_all(&two), 1), buf_all(&one)));
		if (root == NULL)
			learnt(buf_all(&one));
	} else {
		must(err_last()[0] != '\0' && two.n == 1);
	}
	buf_fini(&one);
	buf_fini(&two);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n + (n == 0));

	/* a block of its own, so that a read beyond its end is seen */
	memcpy(copy, p, n);
	take(slice_of(copy, n), NULL);
	take(slice_of(copy, n), &schema()->root);
	free(copy);
	return 0;
}
