/* file_test - file.h in a folder of its own: sizes, limits, what is in the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "tests/unit/t.h"

static char dir[] = "/tmp/file_test.XXXXXX";

static const char *
in(const char *name)
{
	static char path[4][300];
	static int k;

	k = (k + 1) % 4;
	snprintf(path[k], sizeof(path[k]), "%s/%s", dir, name);
	return path[k];
}

T(read_and_write)
{
	static const size_t sizes[] = {
	    0, 1, 255, 256, 257, 4095, 4096, 4097, 100000};
	struct buf b, got;
	struct stat st;
	char **names;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		buf_reset(&b);
		while (b.n < sizes[i])
			buf_byte(&b, (uint8_t)(b.n * 31));
		CHECK_OK(file_write(in("f"), buf_all(&b), 0640));
		CHECK(stat(in("f"), &st) == 0 && (st.st_mode & 07777) == 0640);
		buf_init(&got, 1 << 20);
		buf_str(&got, "x");
		CHECK_OK(file_read(in("f"), &got));
		CHECK(slice_eq(slice_from(buf_all(&got), 1), buf_all(&b)));
		buf_fini(&got);
		/* Exactly as large as allowed, and one less. */
		buf_init(&got, sizes[i]);
		CHECK_OK(file_read(in("f"), &got));
		CHECK(slice_eq(buf_all(&got), buf_all(&b)));
		buf_fini(&got);
		if (sizes[i] > 0) {
			buf_init(&got, sizes[i] - 1);
			CHECK_ERR(file_read(in("f"), &got), ERR_LIMIT);
			CHECK(got.n == 0);
			buf_fini(&got);
		}
	}
	/* No temporary file is left. */
	CHECK_OK(dir_list(dir, &names));
	CHECK(names[0] != NULL && names[1] == NULL);
	dir_free(names);
	buf_fini(&b);
}

T(what_is_in_the_way)
{
	struct buf b;
	char **names;

	buf_init(&b, 100);
	CHECK_ERR(file_read(in("none"), &b), ERR_NOTFOUND);
	CHECK(strstr(err_last(), in("none")) != NULL);
	CHECK_ERR(file_read(dir, &b), ERR_IO);
	CHECK_ERR(file_write(in("none/f"), SLICE_LIT("x"), 0600), ERR_NOTFOUND);
	CHECK_OK(dir_make(in("sub")));
	CHECK_ERR(file_write(in("sub"), SLICE_LIT("x"), 0600), ERR_IO);
	CHECK_OK(file_write(in("plain"), SLICE_LIT("x"), 0600));
	CHECK(dir_make(in("plain/sub")) != ERR_OK);
	CHECK(dir_make(in("plain")) != ERR_OK);
	CHECK_ERR(dir_make(""), ERR_RANGE);
	CHECK_ERR(dir_list(in("none"), &names), ERR_NOTFOUND);
	CHECK_ERR(dir_sync(in("none")), ERR_NOTFOUND);
	/* The failed ones have left nothing behind. */
	CHECK_OK(dir_list(dir, &names));
	CHECK_STR(names[0], "f");
	CHECK_STR(names[1], "plain");
	CHECK_STR(names[2], "sub");
	CHECK(names[3] == NULL);
	dir_free(names);
	dir_free(NULL);
	buf_fini(&b);
}

T(folders)
{
	struct stat st;
	char **names;

	CHECK_OK(dir_make(in("a/b//c/")));
	CHECK_OK(dir_make(in("a/b/c")));
	CHECK(stat(in("a/b/c"), &st) == 0 && S_ISDIR(st.st_mode));
	CHECK_OK(dir_sync(in("a")));
	for (int i = 0; i < 70; i++) {
		char name[20];

		snprintf(name, sizeof(name), "a/b/c/%02d", 69 - i);
		CHECK_OK(file_write(in(name), SLICE_EMPTY, 0600));
	}
	CHECK_OK(dir_list(in("a/b/c"), &names));
	for (int i = 0; i < 70; i++)
		CHECK(names[i] != NULL && atoi(names[i]) == i);
	CHECK(names[70] == NULL);
	dir_free(names);
	CHECK_OK(dir_make(in("empty")));
	CHECK_OK(dir_list(in("empty"), &names));
	CHECK(names[0] == NULL);
	dir_free(names);
}

T(descriptors)
{
	int fd = open(in("fd"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct buf b;
	int p[2];

	CHECK(fd >= 0);
	CHECK_OK(fd_write(fd, SLICE_LIT("hello ")));
	CHECK_OK(fd_pwrite(fd, SLICE_LIT("world"), 6));
	CHECK_OK(fd_pwrite(fd, SLICE_LIT("J"), 0));
	CHECK_OK(fd_write(fd, SLICE_EMPTY));
	CHECK_ERR(fd_pwrite(fd, SLICE_LIT("x"), UINT64_MAX), ERR_RANGE);
	buf_init(&b, 100);
	CHECK_OK(file_read(in("fd"), &b));
	CHECK_STR(buf_cstr(&b), "Jello world");
	close(fd);
	CHECK_ERR(fd_write(fd, SLICE_LIT("x")), ERR_IO);
	CHECK_ERR(fd_pwrite(-1, SLICE_LIT("x"), 0), ERR_IO);
	/* A full device says so by its own code. */
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	CHECK_ERR(fd_write(fd, SLICE_LIT("x")), ERR_FULL);
	close(fd);
	/* From a pipe, which has no size, in several pieces. */
	CHECK(pipe(p) == 0);
	CHECK_OK(fd_write(p[1], SLICE_LIT("from a pipe")));
	close(p[1]);
	{
		char path[40];

		snprintf(path, sizeof(path), "/dev/fd/%d", p[0]);
		buf_reset(&b);
		CHECK_OK(file_read(path, &b));
		CHECK_STR(buf_cstr(&b), "from a pipe");
	}
	close(p[0]);
	buf_fini(&b);
}

T(clean_up)
{
	char rm[64];

	snprintf(rm, sizeof(rm), "rm -rf %s", dir);
	CHECK(system(rm) == 0);
}

T_MAIN(CHECK(mkdtemp(dir) != NULL); T_RUN(read_and_write) T_RUN(
    what_is_in_the_way) T_RUN(folders) T_RUN(descriptors) T_RUN(clean_up))
