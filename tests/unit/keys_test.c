/* The file of keys: what is given out is on disk, what is erased is gone. */
#include <sys/stat.h>

#include "broker/core/keys.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

static char path[PATH_MAX];

T(take_and_reopen)
{
	char *dir = tmp_make();
	uint8_t a[32], b[32], d1[32], d2[32];
	struct keys *k;
	uint32_t slot;
	struct stat st;

	snprintf(path, sizeof(path), "%s/keys", dir);
	CHECK_OK(keys_open(&k, path));
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	for (uint32_t i = 1; i <= 3000; i++) {
		CHECK_OK(keys_take(k, &slot));
		CHECK(slot == i);
	}
	CHECK_OK(keys_get(k, 1, a));
	CHECK_OK(keys_get(k, 2, b));
	CHECK(memcmp(a, b, 32) != 0);
	keys_digest(k, SLICE_LIT("x"), d1);
	keys_close(k);
	CHECK_OK(keys_open(&k, path));
	CHECK_OK(keys_get(k, 1, b));
	CHECK(memcmp(a, b, 32) == 0);
	CHECK_OK(keys_get(k, 2999, b));
	keys_digest(k, SLICE_LIT("x"), d2);
	CHECK(memcmp(d1, d2, 32) == 0);
	keys_used(k, 2500);
	CHECK_OK(keys_take(k, &slot));
	CHECK(slot == 2501);
	keys_close(k);
	keys_close(NULL);
	tmp_free(dir);
}

T(erase)
{
	char *dir = tmp_make();
	uint8_t key[32], *file;
	struct keys *k;
	uint32_t slot[3], epoch, zero = 0;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/keys", dir);
	CHECK_OK(keys_open(&k, path));
	for (int i = 0; i < 3; i++)
		CHECK_OK(keys_take(k, &slot[i]));
	CHECK_OK(keys_get(k, slot[1], key));
	epoch = keys_epoch(k);
	CHECK_OK(keys_erase(k, &slot[1], 1));
	CHECK(keys_epoch(k) != epoch);
	CHECK_ERR(keys_erase(k, &zero, 1), ERR_DENIED);
	f = fopen(path, "r");
	file = malloc(1 << 20);
	n = fread(file, 1, 1 << 20, f);
	fclose(f);
	CHECK(n > 1000 && memmem(file, n, key, 32) == NULL);
	free(file);
	CHECK_ERR(keys_get(k, slot[1], key), ERR_ERASED);
	CHECK_OK(keys_get(k, slot[0], key));
	CHECK_OK(keys_get(k, slot[2], key));
	keys_close(k);
	CHECK_OK(keys_open(&k, path));
	CHECK_ERR(keys_get(k, slot[1], key), ERR_ERASED);
	/* An erased slot is never given out again. */
	CHECK_OK(keys_take(k, &slot[0]));
	CHECK_OK(keys_take(k, &slot[1]));
	CHECK(slot[0] == 1 && slot[1] == 3);
	CHECK_ERR(keys_get(k, 4000000, key), ERR_ERASED);
	keys_close(k);
	tmp_free(dir);
}

/* keys from a backup that is older than the journal */
T(older_than_journal)
{
	char *dir = tmp_make();
	uint8_t key[32];
	struct keys *k;
	uint32_t slot;
	int hidden;

	snprintf(path, sizeof(path), "%s/keys", dir);
	CHECK_OK(keys_open(&k, path));
	hidden = tmp_quiet();
	keys_used(k, 5000);
	tmp_loud(hidden);
	CHECK_OK(keys_take(k, &slot));
	CHECK(slot == 5001);
	CHECK_OK(keys_get(k, 5001, key));
	CHECK_ERR(keys_get(k, 4500, key), ERR_ERASED);
	CHECK_ERR(keys_get(k, 5000, key), ERR_ERASED);
	keys_close(k);
	tmp_free(dir);
}

static void
damage(long at, int c)
{
	FILE *f = fopen(path, "r+");

	fseek(f, at, SEEK_SET);
	fputc(c, f);
	fclose(f);
}

T(damaged)
{
	char *dir = tmp_make();
	struct keys *k;

	snprintf(path, sizeof(path), "%s/keys", dir);
	CHECK_OK(keys_open(&k, path));
	keys_close(k);
	damage(20, 1);
	damage(21, 2);
	CHECK_ERR(keys_open(&k, path), ERR_CORRUPT);
	damage(8, 9);
	CHECK_ERR(keys_open(&k, path), ERR_VERSION);
	damage(0, 'x');
	CHECK_ERR(keys_open(&k, path), ERR_CORRUPT);
	CHECK(truncate(path, 0) == 0);
	CHECK_ERR(keys_open(&k, path), ERR_CORRUPT);
	CHECK(unlink(path) == 0);
	CHECK_OK(keys_open(&k, path));
	keys_close(k);
	for (long i = 0; i < 32; i++)
		damage(64 + i, 0);
	CHECK_ERR(keys_open(&k, path), ERR_CORRUPT);
	snprintf(path, sizeof(path), "%s/none/keys", dir);
	CHECK(keys_open(&k, path) != ERR_OK);
	tmp_free(dir);
}

T(person)
{
	char *dir = tmp_make();
	uint8_t a[32], b[32];
	struct keys *k;

	snprintf(path, sizeof(path), "%s/keys", dir);
	CHECK_OK(keys_open(&k, path));
	keys_person(k, SLICE_LIT(" Maija@Example.FI\n"), a);
	keys_person(k, SLICE_LIT("maija@example.fi"), b);
	CHECK(memcmp(a, b, 32) == 0);
	keys_person(k, SLICE_LIT("maija@example.fo"), b);
	CHECK(memcmp(a, b, 32) != 0);
	keys_person(k, SLICE_EMPTY, b);
	keys_close(k);
	tmp_free(dir);
}

T_MAIN(T_RUN(take_and_reopen) T_RUN(erase) T_RUN(older_than_journal)
	T_RUN(damaged) T_RUN(person))
