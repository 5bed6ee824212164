/*
 * base_test - the smallest things: errors, slices, buffers, arenas, the clock
 * and the log line.
 */
#include <errno.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "tests/unit/t.h"

T(errors)
{
	char longer[3000];

	CHECK(err_class(ERR_OK) == CLASS_OK);
	CHECK(err_class(ERR_FULL) == CLASS_RETRY);
	CHECK(err_class(ERR_COUNT) == CLASS_FATAL);
	CHECK_STR(err_name(ERR_FULL), "FULL");
	CHECK_STR(err_text(ERR_FULL), "disk full");
	CHECK_STR(err_class_name(CLASS_DEFER), "DEFER");
	for (int e = 0; e < ERR_COUNT; e++)
		CHECK(err_from_name(err_name((enum err)e)) == (enum err)e);
	CHECK(err_from_name("NO SUCH") == ERR_COUNT);
	CHECK_ERR(err_note(ERR_TYPE, "a %d", 1), ERR_TYPE);
	CHECK_STR(err_last(), "a 1");
	CHECK_ERR(err_wrap(ERR_TYPE, "books"), ERR_TYPE);
	CHECK_STR(err_last(), "books: a 1");
	(void)err_note(ERR_TYPE, "%s", "");
	(void)err_wrap(ERR_TYPE, "books");
	CHECK_STR(err_last(), "books: wrong type");
	errno = ENOSPC;
	CHECK_ERR(err_errno(ERR_IO, "cannot"), ERR_FULL);
	errno = EIO;
	CHECK_ERR(err_errno(ERR_IO, "cannot"), ERR_IO);
	CHECK_STR(err_last(), "cannot: Input/output error");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	(void)err_note(ERR_IO, "%s", longer);
	CHECK(strlen(err_last()) == 1023);
	(void)err_wrap(ERR_IO, "short");
	CHECK(strlen(err_last()) == 1023);
	CHECK(strncmp(err_last(), "short: xxx", 10) == 0);
	(void)err_wrap(ERR_IO, "%s", longer);
	CHECK(strlen(err_last()) == 1023);
}

T(slices)
{
	CHECK(slice_of(NULL, 5).n == 0 && slice_of(NULL, 5).p != NULL);
	CHECK(slice_str(NULL).n == 0);
	CHECK(slice_eq(SLICE_LIT("ab"), slice_str("ab")));
	CHECK(!slice_eq(SLICE_LIT("ab"), SLICE_LIT("abc")));
	CHECK(
	    slice_is(SLICE_LIT("ab"), "ab") && !slice_is(SLICE_LIT("ab"), "a"));
	CHECK(slice_cmp(SLICE_LIT("a"), SLICE_LIT("ab")) < 0);
	CHECK(slice_cmp(SLICE_LIT("b"), SLICE_LIT("ab")) > 0);
	CHECK(slice_cmp(SLICE_LIT("\xc3\xa4"), SLICE_LIT("z")) > 0);
	CHECK(slice_starts(SLICE_LIT("order:1"), SLICE_LIT("order:")));
	CHECK(!slice_starts(SLICE_LIT("or"), SLICE_LIT("order:")));
	CHECK(slice_from(SLICE_LIT("abc"), 1).n == 2);
	CHECK(slice_from(SLICE_LIT("abc"), 3).n == 0);
	CHECK(slice_from(SLICE_LIT("abc"), 9).n == 0);
}

T(buffers)
{
	struct buf b;
	char longer[2000];

	buf_init(&b, 1000);
	CHECK(b.p != NULL && buf_all(&b).n == 0);
	CHECK_STR(buf_cstr(&b), "");
	buf_str(&b, "abc");
	buf_printf(&b, "%d-%s", 5, "x");
	buf_byte(&b, '!');
	CHECK_STR(buf_cstr(&b), "abc5-x!");
	CHECK(b.n == 7);
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	longer[900] = '\0';
	buf_printf(&b, "%s", longer);
	CHECK_OK(buf_check(&b));
	CHECK(b.n == 907);
	buf_printf(&b, "%s", longer);
	CHECK_ERR(buf_check(&b), ERR_LIMIT);
	CHECK(b.n == 907);
	buf_byte(&b, 'z'); /* bad stays bad */
	CHECK(b.n == 907);
	CHECK_STR(buf_cstr(&b), "");
	buf_reset(&b);
	CHECK(buf_room(&b, 1001) == NULL && b.bad);
	buf_reset(&b);
	CHECK(buf_room(&b, 1000) != NULL && !b.bad);
	b.n = 1000;
	buf_put(&b, "", 0);
	CHECK_OK(buf_check(&b));
	CHECK(buf_room(&b, SIZE_MAX) == NULL);
	buf_fini(&b);
	buf_fini(&b);
	buf_init(&b, 0);
	buf_byte(&b, 'a');
	CHECK_ERR(buf_check(&b), ERR_LIMIT);
	buf_fini(&b);
}

T(arenas)
{
	struct arena a;
	struct slice s;
	uint8_t *p[100];

	arena_init(&a, 100000);
	for (size_t i = 0; i < 100; i++) {
		p[i] = arena_alloc(&a, i * 13);
		CHECK(p[i] != NULL && (uintptr_t)p[i] % 16 == 0);
		for (size_t k = 0; k < i * 13; k++)
			CHECK(p[i][k] == 0);
		memset(p[i], (int)i, i * 13);
	}
	for (size_t i = 1; i < 100; i++)
		CHECK(p[i][0] == i && p[i][i * 13 - 1] == i);
	CHECK(arena_alloc(&a, 50000) == NULL);
	CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
	CHECK_ERR(arena_copy(&a, slice_of(p[99], 50000), &s), ERR_LIMIT);
	arena_reset(&a);
	CHECK_OK(arena_copy(&a, SLICE_LIT("abc"), &s));
	CHECK(slice_is(s, "abc"));
	CHECK_STR(arena_strdup(&a, s), "abc");
	CHECK_OK(arena_copy(&a, SLICE_EMPTY, &s));
	CHECK(s.n == 0 && s.p != NULL);
	arena_fini(&a);
	arena_fini(&a);
}

T(clocks)
{
	char out[32];
	int64_t now = clock_now(), mono = clock_mono();

	CHECK_STR(clock_text(0, out), "1970-01-01T00:00:00.000Z");
	CHECK_STR(clock_text(INT64_C(1770000000123456789), out),
	    "2026-02-02T02:40:00.123Z");
	CHECK_STR(clock_text(-1, out), "1969-12-31T23:59:59.999Z");
	CHECK(now > INT64_C(1700000000) * NS_PER_SEC);
	CHECK(clock_mono() >= mono);
	clock_fake(3600 * NS_PER_SEC);
	CHECK(clock_now() - now >= 3600 * NS_PER_SEC);
	CHECK(clock_mono() - mono >= 3600 * NS_PER_SEC);
	clock_fake(0);
}

/* What one call writes on stderr, without its time. */
static const char *
said(void (*speak)(void))
{
	static char text[10000];
	FILE *out = tmpfile();
	int was = dup(STDERR_FILENO);
	const char *p;
	size_t n;

	fflush(stderr);
	dup2(fileno(out), STDERR_FILENO);
	speak();
	dup2(was, STDERR_FILENO);
	close(was);
	rewind(out);
	n = fread(text, 1, sizeof(text) - 1, out);
	text[n] = '\0';
	fclose(out);
	p = strchr(text, ' ');
	CHECK(n == 0 || (strncmp(text, "time=20", 7) == 0 && p != NULL));
	return n == 0 ? "" : p + 1;
}

static void
plainly(void)
{
	say(SAY_INFO, "turn", "took %d events", 3);
}

static void
untrusted(void)
{
	say(SAY_WARN, "in", "%s",
	    "a \"b\" \\ \n\x1b[2J\xff \xc3\xa4 \xc2\x9b end");
}

static void
pairs(void)
{
	say_kv(SAY_ERROR, "send", "refused", "system", "books", "code", "422",
	    "text", "no such account\r\n", "empty", "", "eq", "a=b", NULL);
}

static void
quietly(void)
{
	say(SAY_DEBUG, "turn", "nothing to see");
	say_kv(SAY_DEBUG, "turn", "nothing to see", "a", "b", NULL);
}

static void
at_length(void)
{
	static char longer[9000];

	memset(longer, '\x01', sizeof(longer) - 1);
	say(SAY_INFO, "turn", "%s", longer);
}

static void
at_length_kv(void)
{
	static char longer[9000];

	memset(longer, '"', sizeof(longer) - 1);
	say_kv(SAY_INFO, "turn", "short", "key", longer, "more", "x", NULL);
}

T(log_lines)
{
	const char *line;

	CHECK_STR(said(plainly), "level=info at=turn msg=\"took 3 events\"\n");
	CHECK_STR(said(untrusted),
	    "level=warn at=in msg=\"a \\\"b\\\" \\\\ \\n\\x1b[2J\\xff \xc3\xa4 "
	    "\\xc2\\x9b end\"\n");
	CHECK_STR(said(pairs),
	    "level=error at=send msg=\"refused\" system=books code=422 "
	    "text=\"no such account\\x0d\\n\" empty=\"\" eq=\"a=b\"\n");
	CHECK_STR(said(quietly), "");
	say_level(SAY_DEBUG);
	CHECK(strlen(said(quietly)) > 0);
	say_level(SAY_INFO);
	line = said(at_length);
	CHECK(strlen(line) < 4096 && strlen(line) > 3900);
	CHECK(strcmp(line + strlen(line) - 8, "\" cut=1\n") == 0);
	line = said(at_length_kv);
	CHECK(strlen(line) < 4096);
	CHECK(strcmp(line + strlen(line) - 8, "\" cut=1\n") == 0);
	say_name("connector books");
	CHECK_STR(said(plainly), "level=info by=\"connector books\" at=turn "
				 "msg=\"took 3 events\"\n");
}

T_MAIN(T_RUN(errors) T_RUN(slices) T_RUN(buffers) T_RUN(arenas) T_RUN(clocks)
	T_RUN(log_lines))
