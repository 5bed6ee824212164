/*
 * t - the smallest test harness: a test file is a program of its own.
 *
 *     T(name) { CHECK(x == 1); }
 *     T_MAIN(T_RUN(name) ...)
 *
 * A failed CHECK names its place and goes on; the last line counts tests:
 * "N passed, N failed". A test that raises t_skipped (and says why) is none of
 * the two.
 */
#ifndef VAYLA_TESTS_UNIT_T_H
#define VAYLA_TESTS_UNIT_T_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/err.h"
#include "broker/base/slice.h"

static int t_bad, t_passed, t_failed, t_skipped;

#define T(name) static void t_##name(void)
#define CHECK(x)                                                         \
	do {                                                             \
		if (!(x)) {                                              \
			t_bad++;                                         \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, \
			    __LINE__, #x);                               \
		}                                                        \
	} while (0)
#define CHECK_OK(x)                                                       \
	do {                                                              \
		enum err t_e = (x);                                       \
		if (t_e != ERR_OK) {                                      \
			t_bad++;                                          \
			fprintf(stderr, "%s:%d: %s: %s (%s)\n", __FILE__, \
			    __LINE__, #x, err_name(t_e), err_last());     \
		}                                                         \
	} while (0)
#define CHECK_ERR(x, want)                                              \
	do {                                                            \
		enum err t_e = (x);                                     \
		if (t_e != (want)) {                                    \
			t_bad++;                                        \
			fprintf(stderr, "%s:%d: %s: %s, not %s (%s)\n", \
			    __FILE__, __LINE__, #x, err_name(t_e),      \
			    err_name(want), err_last());                \
		}                                                       \
	} while (0)
#define CHECK_STR(got, want)                                           \
	do {                                                           \
		const char *t_g = (got), *t_w = (want);                \
		if (strcmp(t_g, t_w) != 0) {                           \
			t_bad++;                                       \
			fprintf(stderr, "%s:%d: \"%s\", not \"%s\"\n", \
			    __FILE__, __LINE__, t_g, t_w);             \
		}                                                      \
	} while (0)
#define T_RUN(name)                                            \
	do {                                                   \
		int t_was = t_skipped;                         \
		t_bad = 0;                                     \
		t_##name();                                    \
		if (t_bad == 0)                                \
			t_passed += t_skipped == t_was;        \
		else {                                         \
			t_failed++;                            \
			fprintf(stderr, "FAILED %s\n", #name); \
		}                                              \
	} while (0);
#define T_MAIN(runs)                                                           \
	int main(void)                                                         \
	{                                                                      \
		runs;                                                          \
		printf(                                                        \
		    "%s: %d passed, %d failed", __FILE__, t_passed, t_failed); \
		if (t_skipped > 0)                                             \
			printf(", %d skipped", t_skipped);                     \
		putchar('\n');                                                 \
		return t_failed > 0;                                           \
	}

/* Where the shared fixtures are, or NULL (say it loudly, count as skipped). */
static inline const char *
t_fixtures(void)
{
	const char *dir = getenv("VAYLA_FIXTURES");

	return dir != NULL && dir[0] != '\0' ? dir : "../shared/fixtures";
}

#endif
