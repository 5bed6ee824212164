/*
 * say - see say.h. A line is put together in one fixed buffer on the stack, so
 * a logger can neither fail nor allocate; what does not fit is cut and marked.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/base/utf8.h"

#define LINE_MAX_BYTES 4096

struct line {
	size_t n;
	bool cut;
	char text[LINE_MAX_BYTES];
};

static _Atomic int least = SAY_INFO;
static char speaker[64];

void
say_level(enum say_level to)
{
	atomic_store_explicit(&least, (int)to, memory_order_relaxed);
}

void
say_name(const char *name)
{
	snprintf(speaker, sizeof(speaker), "%s", name);
}

/* Room is kept for a closing quote, the mark of a cut and the newline. */
static void
add(struct line *l, const char *p, size_t n)
{
	if (l->cut || n > sizeof(l->text) - 16 - l->n) {
		l->cut = true;
		return;
	}
	memcpy(l->text + l->n, p, n);
	l->n += n;
}

static void
add_str(struct line *l, const char *s)
{
	add(l, s, strlen(s));
}

static bool
bare(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' ||
		    *s == 0x7f || (unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Characters C1 (0x80 to 0x9f as code points) move terminals too. */
static size_t
printable(const uint8_t *p, const uint8_t *end)
{
	size_t n;

	if (*p < 0x20 || *p == 0x7f)
		return 0;
	n = utf8_step(p, end);
	return n == 2 && p[0] == 0xc2 && p[1] < 0xa0 ? 0 : n;
}

static void
add_quoted(struct line *l, const char *s)
{
	const uint8_t *p = (const uint8_t *)s, *end = p + strlen(s);
	char hex[8];
	size_t n;

	add(l, "\"", 1);
	while (p < end && !l->cut) {
		n = printable(p, end);
		if (*p == '"' || *p == '\\') {
			add(l, (char[]){'\\', (char)*p}, 2);
			n = 1;
		} else if (*p == '\n') {
			add(l, "\\n", 2);
			n = 1;
		} else if (n == 0) {
			snprintf(hex, sizeof(hex), "\\x%02x", *p);
			add(l, hex, 4);
			n = 1;
		} else {
			add(l, (const char *)p, n);
		}
		p += n;
	}
	/* The quote fits in the room that add() leaves. */
	l->text[l->n++] = '"';
}

static void
add_value(struct line *l, const char *s)
{
	if (bare(s))
		add_str(l, s);
	else
		add_quoted(l, s);
}

static void
begin(struct line *l, enum say_level level, const char *at)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	char time[32];

	l->n = 0;
	l->cut = false;
	add_str(l, "time=");
	add_str(l, clock_text(clock_now(), time));
	add_str(l, " level=");
	add_str(l, level <= SAY_ERROR ? names[level] : "error");
	if (speaker[0] != '\0') {
		add_str(l, " by=");
		add_value(l, speaker);
	}
	add_str(l, " at=");
	add_value(l, at);
	add_str(l, " msg=");
}

static void
end(struct line *l)
{
	const char *p = l->text;
	ssize_t r;

	if (l->cut) {
		memcpy(l->text + l->n, " cut=1", 6);
		l->n += 6;
	}
	l->text[l->n++] = '\n';
	while (l->n > 0) {
		r = write(STDERR_FILENO, p, l->n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break; /* nobody to tell */
		p += r;
		l->n -= (size_t)r;
	}
}

static bool
wanted(enum say_level level)
{
	return (int)level >= atomic_load_explicit(&least, memory_order_relaxed);
}

void
say(enum say_level level, const char *at, const char *fmt, ...)
{
	int was = errno;
	char msg[LINE_MAX_BYTES];
	struct line l;
	va_list ap;

	if (!wanted(level))
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	begin(&l, level, at);
	add_quoted(&l, msg);
	end(&l);
	errno = was;
}

void
say_kv(enum say_level level, const char *at, const char *msg, ...)
{
	int was = errno;
	const char *key, *value;
	struct line l;
	va_list ap;

	if (!wanted(level))
		return;
	begin(&l, level, at);
	add_quoted(&l, msg);
	va_start(ap, msg);
	while ((key = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		if (value == NULL)
			break;
		if (l.cut || strlen(key) + 3 > sizeof(l.text) - 16 - l.n) {
			l.cut = true;
			break;
		}
		add_str(&l, " ");
		add_str(&l, key);
		add_str(&l, "=");
		add_value(&l, value);
	}
	va_end(ap);
	end(&l);
	errno = was;
}
