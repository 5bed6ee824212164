/*
 * The mapping language on the shapes that products send and take: each mapping
 * of tests/packs/sample carries its own tests, and so do the packs.
 */
#include "broker/base/file.h"
#include "mappings/engine/maptest.h"
#include "tests/unit/t.h"

static size_t files;

static void
folder(const char *dir)
{
	char path[512];
	char **names;

	CHECK_OK(dir_list(dir, &names));
	for (char **n = names; *n != NULL; n++) {
		struct maptest count = {0};

		if (strlen(*n) < 10 ||
		    strcmp(*n + strlen(*n) - 9, ".map.yaml") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, *n);
		CHECK_OK(maptest_file(path, false, stderr, &count));
		CHECK(count.passed > 0 && count.failed == 0);
		files++;
	}
	dir_free(names);
}

T(shapes)
{
	files = 0;
	folder("tests/packs/sample");
	CHECK(files >= 8);
}

T(packs)
{
	char path[512];
	char **names;

	files = 0;
	CHECK_OK(dir_list("mappings", &names));
	for (char **n = names; *n != NULL; n++) {
		struct buf b;

		snprintf(path, sizeof(path), "mappings/%s/pack.yaml", *n);
		buf_init(&b, 1 << 20);
		if (file_read(path, &b) == ERR_OK) {
			snprintf(path, sizeof(path), "mappings/%s", *n);
			folder(path);
		}
		buf_fini(&b);
	}
	dir_free(names);
	CHECK(files >= 6);
}

T_MAIN(T_RUN(shapes) T_RUN(packs))
