/*
 * maptest - the tests that stand in a mapping's own file (`tests:`).
 *
 *     tests:
 *       - name: TEXT
 *         given: {file: PATH, data: {..}, at: PATH, set: {PATH: VALUE}}
 *         # or the data itself: given: {payment_id: p1, amount: "10.00"}
 *         scenario: [GIVEN, ...]      # in place of given: several in order
 *         settings: {..}  with: {JOIN: DATA or [DATA, ..]}
 *         subjects: {REF: SUBJECT}    event: {id, subject, time, type, source}
 *         exact: true
 *         expect: DATA | [DATA or {type, data, ..}, ..]
 *         events: [{type, id, subject, refs, revision, data}, ..]
 *         error: PATH | asks: TABLE | waits: JOIN | skips: true
 *
 * A file's path starts at the pack's folder; `fixture: PATH` in its place is
 * one of a real system, below VAYLA_FIXTURES: where that is not there the test
 * is not run, and is counted so. Both may be JSON, XML or EDIFACT, file: also
 * YAML. `settings with subjects event at set` may also stand within a given
 * that has file: or data:. In a scenario each input comes a second after the
 * one before, the same bytes twice are one input, and revisions are counted by
 * the mapping's own `again`.
 *
 * Comparing: a map needs only the keys that are named (all of them with exact:
 * true), a list needs every item, {} fits anything; `absent` says that a field
 * is left out, null that it is written as null; a quoted number must have these
 * very digits, a plain one this value.
 */
#ifndef VAYLA_ENGINE_MAPTEST_H
#define VAYLA_ENGINE_MAPTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "broker/base/yaml_check.h"

struct mapfile;

struct maptest {
	size_t passed, failed;
	size_t untested; /* mappings without any test */
	size_t absent;	 /* tests whose fixture is not here */
	/* Output fields, table rows and both ways of each `when`: how many the
	 * tests reached, of how many. */
	size_t reached, points;
	struct {
		size_t reached, points;
	} fields, rows, conditions; /* the same, by kind */
};

/* Run the tests of one mapping; what fails is written to `out`. Counts are
 * added. ERR_CONFIG when the mapping or its tests do not load: what is wrong
 * was written to `out` and one failure is counted. */
enum err maptest_file(const char *path, bool verbose, FILE *out,
    struct maptest *count) MUST_CHECK;

/* What is wrong with the tests as they stand, without running them: words and
 * names that do not exist, in tests and in what they give and expect. */
void maptest_check(const struct mapfile *m, const struct yaml_at *at);

#endif
