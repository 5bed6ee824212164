/*
 * err - the table of codes and the thread's note. The note is one fixed buffer
 * a thread, so noting an error cannot fail.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/err.h"

static _Thread_local char note[1024];

static const struct {
	const char *name;
	enum err_class class;
	const char *text;
} table[] = {
#define ERR_ROW(name, class, text) {#name, CLASS_##class, text},
    ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

enum err_class
err_class(enum err e)
{
	return e < ERR_COUNT ? table[e].class : CLASS_FATAL;
}

const char *
err_text(enum err e)
{
	return e < ERR_COUNT ? table[e].text : "unknown error";
}

const char *
err_name(enum err e)
{
	return e < ERR_COUNT ? table[e].name : "UNKNOWN";
}

enum err
err_from_name(const char *name)
{
	for (int i = 0; i < ERR_COUNT; i++)
		if (strcmp(table[i].name, name) == 0)
			return (enum err)i;
	return ERR_COUNT;
}

const char *
err_class_name(enum err_class c)
{
	static const char *const names[] = {
	    "OK", "RETRY", "DEFER", "REJECT", "ASK", "FATAL"};

	return c <= CLASS_FATAL ? names[c] : "FATAL";
}

enum err
err_note(enum err e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(note, sizeof(note), fmt, ap);
	va_end(ap);
	return e;
}

enum err
err_wrap(enum err e, const char *fmt, ...)
{
	char was[sizeof(note)];
	size_t from, more;
	va_list ap;
	int n;

	memcpy(was, note, sizeof(was));
	if (was[0] == '\0')
		snprintf(was, sizeof(was), "%s", err_text(e));
	va_start(ap, fmt);
	n = vsnprintf(note, sizeof(note), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 2 >= sizeof(note))
		return e;
	from = (size_t)n + 2;
	more = strlen(was);
	if (more > sizeof(note) - 1 - from)
		more = sizeof(note) - 1 - from;
	memcpy(note + n, ": ", 2);
	memcpy(note + from, was, more);
	note[from + more] = '\0';
	return e;
}

enum err
err_errno(enum err e, const char *fmt, ...)
{
	int was = errno;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(note, sizeof(note), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(note))
		snprintf(
		    note + n, sizeof(note) - (size_t)n, ": %s", strerror(was));
	return was == ENOSPC || was == EDQUOT ? ERR_FULL : e;
}

const char *
err_last(void)
{
	return note;
}

_Noreturn void
err_die(const char *fmt, ...)
{
	va_list ap;

	fputs("vayla: internal error: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
