/*
 * say - the program's own log: logfmt lines on stderr.
 *
 *     time=2026-11-22T10:00:00.123Z level=info at=turn msg="..." key=value ...
 *
 * Untrusted bytes are escaped, a line is at most 4 KiB, and no secret is ever
 * passed here. Thread-safe: one write(2) a line.
 */
#ifndef VAYLA_BASE_SAY_H
#define VAYLA_BASE_SAY_H

#include "broker/base/err.h"

enum say_level { SAY_DEBUG, SAY_INFO, SAY_WARN, SAY_ERROR };

/* The least level that is written; INFO until told. */
void say_level(enum say_level least);

/* Who speaks: "broker", "connector books". Once, before threads. */
void say_name(const char *name);

/*
 * `at` is the room ("turn"), the rest is printf to a text of logfmt pairs
 * ("msg=\"...\"" is added around it). Keys beyond the message go through
 * say_kv: pairs of char* key, char* value, closed by NULL.
 */
void say(enum say_level level, const char *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void say_kv(enum say_level level, const char *at, const char *msg, ...)
    __attribute__((sentinel));

#endif
