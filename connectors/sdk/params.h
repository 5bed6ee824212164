/*
 * params - names and values of a URL's query, of a form's body, or of headers.
 *
 * Decoded, sorted by name byte by byte (doubles in the order they came), so
 * that the same parameters in another order are the same list. Everything
 * lives in the arena it was parsed into.
 *
 * Rejected: the HTTP library's own parsing, which passes a broken escape
 * through and hides a name that comes twice.
 */
#ifndef VAYLA_SDK_PARAMS_H
#define VAYLA_SDK_PARAMS_H

#include "broker/base/arena.h"
#include "broker/base/buf.h"

#define PARAMS_MAX 256 /* names in one list */

struct param {
	struct slice name, value;
};

struct params {
	struct param *v;
	size_t n;
	bool doubled; /* a name comes twice */
};

/*
 * application/x-www-form-urlencoded. ERR_SYNTAX for a broken % escape, a NUL or
 * text that is not UTF-8, ERR_LIMIT for more than PARAMS_MAX names; the note
 * says which.
 */
enum err params_parse(
    struct slice text, struct arena *a, struct params *out) MUST_CHECK;

/* Sort what was filled in by hand and see whether a name comes twice. */
void params_sort(struct params *p);

/* How many have this name; *value is the first one's. */
size_t params_get(
    const struct params *p, struct slice name, struct slice *value);

/* As a msgpack map of texts without the name `except` (empty: all); of a name
 * that comes twice the first stands. */
void params_put(const struct params *p, struct slice except, struct buf *out);

/* One name or value, percent-encoded but for letters, digits and "-._~". */
void params_escape(struct buf *out, struct slice text);

#endif
