/*
 * yaml - a YAML file as a checked tree in which every node knows its place and
 * its style, over libyaml's events.
 *
 * The subset: one document, no anchors, aliases, tags, merge keys, duplicate
 * keys, empty scalars, no tabs as indentation, UTF-8 only, depth 32, at most
 * 16 MiB and 1,000,000 nodes; map keys are scalars. All errors of the file that
 * can be found are collected, not only the first.
 */
#ifndef VAYLA_BASE_YAML_H
#define VAYLA_BASE_YAML_H

#include "broker/base/arena.h"
#include "broker/base/buf.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };
enum yaml_style { YAML_PLAIN, YAML_QUOTED, YAML_BLOCK }; /* block: | or > */

struct yaml {
	enum yaml_kind kind;
	enum yaml_style style;
	uint32_t line, column; /* from 1, of the node's first character; a
				  quoted scalar's column is its quote's */
	struct slice text;     /* scalar: NUL-terminated behind n */
	struct yaml *key;      /* in a map: the scalar that names this node */
	struct yaml *child;    /* first of a map's values or a list's items */
	struct yaml *next;     /* sibling, in the file's order */
	uint32_t count;	       /* children */
};

/*
 * What is wrong with files, collected so that a person sees all of it at once.
 * Sorted by nothing: in the order found. At most 200 are kept, then "and N
 * more".
 */
struct faults {
	struct buf text; /* "file:line:column: what; what to do\n" each */
	size_t count, warnings;
};

void faults_init(struct faults *f);
void faults_fini(struct faults *f);
void fault(struct faults *f, const char *file, const struct yaml *at,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A column inside a scalar: `into` bytes after its first character. */
void fault_in(struct faults *f, const char *file, const struct yaml *at,
    size_t into, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* "warning: ..."; does not make a file unusable. */
void fault_warn(struct faults *f, const char *file, const struct yaml *at,
    const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Parse text; nodes and copies live in `a`. NULL root is never returned with
 * ERR_OK; ERR_SYNTAX when `f` got at least one fault. */
enum err yaml_parse(const char *file, struct slice text, struct arena *a,
    struct faults *f, struct yaml **root) MUST_CHECK;
enum err yaml_load(const char *path, struct arena *a, struct faults *f,
    struct yaml **root) MUST_CHECK;

/* The value at a key of a map, NULL when there is none or `y` is no map. */
struct yaml *yaml_get(const struct yaml *y, const char *key);

/* true for a plain scalar that is exactly this word */
bool yaml_is(const struct yaml *y, const char *word);

/* The nearest of `names` (NULL-terminated) to a misspelt word by edit distance,
 * NULL when none is near: for "did you mean". */
const char *yaml_nearest(struct slice word, const char *const *names);

/*
 * The tree as msgpack, for inline test data and samples. Plain scalars follow
 * YAML 1.2's core schema (null true false integers; other numbers become
 * decimals), quoted ones are text, always.
 */
enum err yaml_to_mp(const struct yaml *y, struct buf *out) MUST_CHECK;

#endif
