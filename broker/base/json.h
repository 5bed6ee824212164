/*
 * json - one strict pass from JSON (RFC 8259) to msgpack that keeps every
 * digit, and back.
 *
 * Numbers: an integer without fraction or exponent that fits int64 or uint64
 * becomes a msgpack integer ("-0" does not: it would lose its sign), all others
 * MP_EXT_DECIMAL with their text as written. So JSON -> msgpack -> JSON gives
 * the same digits. Text must be UTF-8; a lone surrogate escape, a control
 * character, bytes after the value: refused. Of a key that stands twice in one
 * object the last one counts, as JavaScript, PHP and Python have it (and the
 * public test suite demands); the msgpack has it once.
 */
#ifndef VAYLA_BASE_JSON_H
#define VAYLA_BASE_JSON_H

#include "broker/base/buf.h"

struct json_at {
	size_t offset;	       /* bytes from the start */
	uint32_t line, column; /* from 1; column in bytes */
};

/*
 * Parse one JSON value and append it as msgpack. On failure *at tells where,
 * the note says what ("line 3, column 7: a comma or } was expected"), and `out`
 * is as before. ERR_SYNTAX malformed, ERR_LIMIT depth over MP_DEPTH, keys over
 * MP_KEYS or out->max reached. `at` may be NULL.
 */
enum err json_to_mp(
    struct slice text, struct buf *out, struct json_at *at) MUST_CHECK;

enum json_form { JSON_COMPACT, JSON_PRETTY };

/*
 * One msgpack value as JSON. BIN becomes base64 text, TIME an ISO text
 * ("2026-11-22T10:00:00Z" with as many of 3, 6 or 9 fraction digits as needed),
 * a decimal its digits as a number, SEALED the text "(sealed)".
 */
enum err mp_to_json(
    struct slice mp, enum json_form form, struct buf *out) MUST_CHECK;

/* A text as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void json_quote(struct buf *out, struct slice text);

#endif
