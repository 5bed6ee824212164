/*
 * yaml_check - the questions every reader of a YAML file asks of a node, each
 * with a fault that names the place and the nearest right word.
 *
 * All take NULL nodes ("absent") silently: whether absence is wrong is the
 * reader's business.
 */
#ifndef VAYLA_BASE_YAML_CHECK_H
#define VAYLA_BASE_YAML_CHECK_H

#include "broker/base/yaml.h"

/* Where faults go and which file they are in. */
struct yaml_at {
	const char *file;
	struct faults *f;
};

/* Is `y` of this kind? Otherwise a fault: "`what` must be a map". */
bool yaml_want(const struct yaml_at *at, const struct yaml *y,
    enum yaml_kind kind, const char *what);

/* Every key of the map `y` stands in `known` (NULL-terminated); a fault for
 * each that does not. False when there was one, or `y` is no map. */
bool yaml_known(const struct yaml_at *at, const struct yaml *y,
    const char *const *known, const char *what);

/* The position of a scalar in `words`; -1 with a fault when it is none. */
int yaml_word(const struct yaml_at *at, const struct yaml *y,
    const char *const *words, const char *what);

/* A plain true or false into *out, which is left alone otherwise. */
bool yaml_flag(const struct yaml_at *at, const struct yaml *y, const char *what,
    bool *out);

/* A scalar's text, SLICE_EMPTY with a fault when `y` is no scalar. */
struct slice yaml_text(
    const struct yaml_at *at, const struct yaml *y, const char *what);

/* "name/3" into its parts; false with a fault when it is not that. */
bool yaml_versioned(const struct yaml_at *at, const struct yaml *y,
    const char *what, struct slice *name, int *version);

#endif
