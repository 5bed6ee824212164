/*
 * fuzz_load - any text as a mapping, over the schemas of every pack. It either
 * loads or has a fault, and every fault names a place; what loads can be run.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "mappings/engine/mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define SCHEMAS 400
static const struct schema *schemas[SCHEMAS];
static const char *names[SCHEMAS + 1];
static size_t schemas_n;
static struct eval *eval;

static const struct schema *
find(void *self, struct slice type)
{
	(void)self;
	for (size_t i = 0; i < schemas_n; i++)
		if (slice_eq(type, schemas[i]->type))
			return schemas[i];
	return NULL;
}

static const char *const *
types(void *self)
{
	(void)self;
	return names;
}

static void
prepare(void)
{
	static const char *const folders[] = {
	    "mappings/canonical/*.yaml", "mappings/*/schema/*.yaml"};
	static struct arena arena;
	struct faults f;
	glob_t found;

	arena_init(&arena, 1 << 26);
	faults_init(&f);
	for (size_t k = 0; k < 2; k++) {
		if (glob(folders[k], 0, NULL, &found) != 0)
			abort();
		for (size_t i = 0; i < found.gl_pathc && schemas_n < SCHEMAS;
		     i++) {
			if (schema_load(found.gl_pathv[i], k == 0, &arena, &f,
				&schemas[schemas_n]) != ERR_OK) {
				fprintf(stderr, "%s", buf_cstr(&f.text));
				abort();
			}
			names[schemas_n] =
			    arena_strdup(&arena, schemas[schemas_n]->type);
			schemas_n++;
		}
		globfree(&found);
	}
	faults_fini(&f);
	eval = eval_new();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct schema_source source = {NULL, find, types};
	static const uint8_t event[] = "\x81\xa7subject\xa3k:1";
	struct input in = {.event = slice_of(event, sizeof(event) - 1),
	    .data = SLICE_LIT("\x80"),
	    .settings = SLICE_LIT("\x80"),
	    .system = SLICE_LIT("s")};
	const struct mapping *m = NULL;
	const struct result *r;
	struct arena arena;
	struct faults f;
	enum err e;

	if (eval == NULL)
		prepare();
	arena_init(&arena, 64 << 20);
	faults_init(&f);
	e = mapping_parse(
	    "m.map.yaml", slice_of(p, n), &source, NULL, &arena, &f, &m);
	if ((e == ERR_OK) != (m != NULL) || (e == ERR_SYNTAX && f.count == 0))
		abort();
	if (f.count > 0 && strncmp(buf_cstr(&f.text), "m.map.yaml:", 11) != 0)
		abort();
	if (m != NULL) {
		r = mapping_eval(eval, m, &in);
		if (r->verdict == EVAL_ERROR && r->text.n == 0)
			abort();
	}
	faults_fini(&f);
	arena_fini(&arena);
	return 0;
}
