/*
 * maptest_inner - what the files of the test runner share; nobody else includes
 * it.
 */
#ifndef VAYLA_ENGINE_MAPTEST_INNER_H
#define VAYLA_ENGINE_MAPTEST_INNER_H

#include "broker/base/yaml_check.h"
#include "mappings/engine/mapfile.h"
#include "mappings/engine/maptest.h"

#define MAPTEST_VALUE ((size_t)16 * 1024 * 1024)

/* One input of a test, made ready. */
struct given {
	struct slice data, event, settings; /* msgpack */
	struct slice id, subject;
	const struct yaml *with, *subjects;
};

/* Files of real systems stand outside the pack: VAYLA_FIXTURES, or
 * ../shared/fixtures. */
const char *maptest_fixtures(void);
/* Does the test name a fixture that is not there? */
bool given_absent(const struct yaml *test);

/* Build input number `step` (from 0) of the test `test`; `y` is the given
 * itself, NULL for none. False with faults at `at`. */
bool given_make(const struct mapfile *m, const struct yaml_at *at,
    const struct yaml *test, const struct yaml *y, unsigned step,
    struct arena *a, struct given *out);

/* The same for data from elsewhere; `test` gives settings, with and event. */
bool given_of_data(const struct mapfile *m, const struct yaml_at *at,
    const struct yaml *test, struct slice data, struct arena *a,
    struct given *out);

/* What joins and refs find: `with:` and `subjects:` of an input. A ref by which
 * a join found something is a name of the input's subject, unless `subjects:`
 * says otherwise. */
struct given_reader {
	const struct given *given;
	const struct vocabulary *vocabulary;
	struct slice system;
	size_t refs_n;
	struct slice refs[32];
};
enum err given_read(void *self, const struct join *j, struct slice key,
    struct arena *a, struct joined **out, size_t *n, size_t max);
enum err given_subject_of(
    void *self, struct slice ref, struct arena *a, struct slice *subject);

/* Comparing one emitted data with what is wanted; each difference is a line in
 * `out`. */
struct compare {
	const char *file;
	struct buf *out;
	size_t bad;
	bool exact;
	/* How the event came about, as explain tells it, or empty; its type;
	 * and how much of a path stands before the data's own ("event 2"). */
	struct slice why, type;
	size_t before;
};

/* got.n = 0: there is nothing. `expr`: where the mapping makes it, or NULL. */
void compare_value(struct compare *c, const char *path, const struct yaml *want,
    struct slice got, const struct yaml *expr);
/* One plain text against a wanted scalar: a type, an id. */
void compare_text(struct compare *c, const char *path, const struct yaml *want,
    struct slice got);

#endif
