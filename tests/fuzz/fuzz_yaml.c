/*
 * fuzz_yaml - any bytes as a YAML file. A tree that is accepted is whole: every
 * node has a place, values of maps have keys, counts are right, texts end in
 * NUL; what is refused has at least one fault and every fault is one line.
 */
#include <stdlib.h>

#include "broker/base/mp.h"
#include "broker/base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
whole(const struct yaml *y)
{
	uint32_t count = 0;

	must(y->line >= 1 && y->column >= 1);
	if (y->kind == YAML_SCALAR) {
		must(y->text.p[y->text.n] == 0 && y->child == NULL);
		must(y->text.n > 0 || y->style != YAML_PLAIN);
		return;
	}
	for (const struct yaml *c = y->child; c != NULL; c = c->next, count++) {
		must((c->key != NULL) == (y->kind == YAML_MAP));
		if (c->key != NULL) {
			must(c->key->kind == YAML_SCALAR);
			must(c->key->text.p[c->key->text.n] == 0);
		}
		whole(c);
	}
	must(count == y->count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct yaml *root = NULL;
	struct faults f;
	struct arena a;
	struct buf mp;
	size_t lines = 0;

	arena_init(&a, 1 << 24);
	faults_init(&f);
	if (yaml_parse("fuzz.yaml", slice_of(p, n), &a, &f, &root) == ERR_OK) {
		must(root != NULL && f.count == 0);
		whole(root);
		buf_init(&mp, 1 << 24);
		if (yaml_to_mp(root, &mp) == ERR_OK)
			must(mp_check(buf_all(&mp)) != ERR_SYNTAX);
		buf_fini(&mp);
	} else {
		must(f.count > 0);
		for (size_t i = 0; i < f.text.n; i++)
			lines += f.text.p[i] == '\n';
		must(f.count > 200 ? lines == 201 : lines == f.count);
	}
	faults_fini(&f);
	arena_fini(&a);
	return 0;
}
