/*
 * fuzz_schema - dividing personal values and putting them back, over any bytes:
 * what was divided comes back byte for byte, what an erasure leaves is a
 * well-formed value, and no bytes of a peer do harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "mappings/engine/schema.h"

static const char text[] =
    "schema: a.b/1\n"
    "subject: {kind: k, scope: house}\n"
    "open: true\n"
    "fields:\n"
    "  a?: {type: text, personal: true}\n"
    "  b?: {items: {a?: {type: any, personal: true}, c?: decimal}}\n"
    "  c?: {list: {type: text, personal: true}}\n"
    "  d?: {fields: {a?: time, b?: {fields: {c?: any}, personal: true}}}\n";

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
	    schema_load(path, true, &arena, &f, &s) != ERR_OK)
		abort();
	faults_fini(&f);
	unlink(path);
	rmdir(dir);
	return s;
}

static void
divide(const struct schema *s, struct slice data)
{
	struct buf open, sealed, again;
	uint32_t count;

	buf_init(&open, 1 << 20);
	buf_init(&sealed, 1 << 20);
	buf_init(&again, 1 << 20);
	if (schema_split(s, data, &open, &sealed, &count) == ERR_OK) {
		if (schema_merge(buf_all(&open), buf_all(&sealed), &again) !=
			ERR_OK ||
		    !slice_eq(buf_all(&again), data))
			abort();
		buf_reset(&again);
		if (schema_merge_erased(buf_all(&open), &again) != ERR_OK)
			abort();
		if (mp_check(data) == ERR_OK &&
		    mp_check(buf_all(&again)) != ERR_OK)
			abort();
	}
	buf_fini(&open);
	buf_fini(&sealed);
	buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice data = slice_of(p, n);
	size_t half = n > 0 ? p[0] % n : 0;
	struct buf out;

	divide(schema(), data);
	divide(NULL, data);
	(void)!schema_check(schema(), data);
	buf_init(&out, 1 << 20);
	/* Halves that never belonged together. */
	(void)!schema_merge(
	    slice_of(p, half), slice_of(p + half, n - half), &out);
	(void)!schema_merge_erased(data, &out);
	buf_fini(&out);
	return 0;
}
