/*
 * sweep - the tests nobody writes: every leaf of every sample that a mapping's
 * tests give is made missing, null and blank in turn. Each such event must be
 * refused, or change only optional output, or take a default (??, has()) that
 * some test takes too, or change nothing. A required field that silently gets
 * another value is a failure.
 */
#ifndef VAYLA_ENGINE_SWEEP_H
#define VAYLA_ENGINE_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "broker/base/err.h"

struct sweep {
	size_t tried;
	size_t refused;	   /* with a reason: error, question, wait */
	size_t optional;   /* only optional output changed */
	size_t defaulted;  /* a default that a test takes too */
	size_t irrelevant; /* the same output */
	size_t failed;
};

/* Sweep one mapping; failures are written to `out`, counts are added. */
enum err sweep_file(
    const char *path, bool verbose, FILE *out, struct sweep *s) MUST_CHECK;

#endif
