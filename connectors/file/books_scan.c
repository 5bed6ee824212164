/*
 * books_scan - see books_scan.h. One pass in pieces; a line longer than a piece
 * is nobody's of ours and is passed over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/file/books_scan.h"

#define PIECE (256 * 1024)
#define WITHDRAWN "; withdrawn before it was posted: "

struct lines {
	int fd;
	const char *path;
	uint8_t *buf;
	size_t from, n; /* what of buf is not given out yet */
	uint64_t at;	/* place in the file of buf[from] */
	bool end;
};

/* The next line without its end; false at the file's end or on an error. */
static bool
line_next(struct lines *l, struct slice *line, uint64_t *at, enum err *e)
{
	bool skip = false;

	*e = ERR_OK;
	for (;;) {
		uint8_t *p = l->buf + l->from;
		uint8_t *nl = memchr(p, '\n', l->n);
		ssize_t r;

		if (nl != NULL || (l->end && l->n > 0)) {
			size_t n = nl != NULL ? (size_t)(nl - p) : l->n;
			size_t step = n + (nl != NULL);

			*line = slice_of(p, n);
			*at = l->at;
			l->from += step;
			l->n -= step;
			l->at += step;
			if (!skip)
				return true;
			skip = false;
			continue;
		}
		if (l->end)
			return false;
		if (l->n == PIECE) {
			skip = true;
			l->at += l->n;
			l->n = 0;
		}
		memmove(l->buf, l->buf + l->from, l->n);
		l->from = 0;
		do
			r = pread(l->fd, l->buf + l->n, PIECE - l->n,
			    (off_t)(l->at + l->n));
		while (r < 0 && errno == EINTR);
		if (r < 0) {
			*e = err_errno(ERR_IO, "cannot read %s", l->path);
			return false;
		}
		l->end = r == 0;
		l->n += (size_t)r;
	}
}

static enum err
lines_init(struct lines *l, int fd, const char *path)
{
	*l = (struct lines){.fd = fd, .path = path};
	l->buf = malloc(PIECE);
	return l->buf != NULL ? ERR_OK : err_note(ERR_NOMEM, "a buffer");
}

/* The name behind a directive: up to two spaces, a tab or a comment. */
static struct slice
name_after(struct slice line, size_t skip)
{
	struct slice s = slice_from(line, skip);
	size_t n = 0;

	while (n < s.n && s.p[n] != '\t' && s.p[n] != ';' && s.p[n] != '\r' &&
	       !(s.p[n] == ' ' && (n + 1 == s.n || s.p[n + 1] == ' ')))
		n++;
	while (n > 0 && s.p[n - 1] == ' ')
		n--;
	return slice_of(s.p, n);
}

static enum err
declared(struct names *names, struct slice line)
{
	static const struct {
		const char *word;
		char kind;
	} words[] = {{"account ", 'a'}, {"commodity ", 'c'}, {"tag ", 't'}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_starts(line, slice_str(words[i].word)))
			return names_add(names, words[i].kind,
			    name_after(line, strlen(words[i].word)));
	return ERR_OK;
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

void
scan_put_withdrawn(struct buf *out, const struct posting_head *h)
{
	buf_printf(out, "\n" WITHDRAWN "%s revision %u\n", h->id, h->revision);
}

enum err
scan_parse_withdrawn(struct slice text, struct posting_head *h)
{
	char line[POSTING_ID + 80];
	size_t n = text.n < sizeof(line) - 1 ? text.n : sizeof(line) - 1;
	int used = 0;

	memset(h, 0, sizeof(*h));
	memcpy(line, text.p, n);
	line[n] = '\0';
	_Static_assert(POSTING_ID == 64, "the width below");
	if (sscanf(line, WITHDRAWN "%64s revision %9u%n", h->id, &h->revision,
		&used) != 2 ||
	    used == 0 || h->revision == 0)
		return err_note(ERR_NOTFOUND, "no mark of a withdrawn event");
	return ERR_OK;
}

enum err
scan_journal(int fd, const char *path, struct names *names, scan_posting *found,
    void *arg, uint64_t *size)
{
	struct slice line, event = SLICE_LIT("    ; event: ");
	uint64_t at, begins = 0;
	struct posting_head head;
	bool fresh = false; /* the line above was a posting's first */
	struct lines l;
	enum err e = lines_init(&l, fd, path), e2 = ERR_OK;

	if (e != ERR_OK)
		return e;
	while (e == ERR_OK && line_next(&l, &line, &at, &e2)) {
		if (line.n == 0)
			continue;
		if (is_digit(line.p[0])) {
			begins = at;
			fresh = true;
			continue;
		}
		if (fresh && slice_starts(line, event)) {
			line = slice_from(line, event.n);
			if (line.n <= POSTING_ID) {
				char id[POSTING_ID + 1];

				memcpy(id, line.p, line.n);
				id[line.n] = '\0';
				e = found(arg, begins, id);
			}
		} else if (line.p[0] == ';') {
			if (scan_parse_withdrawn(line, &head) == ERR_OK)
				e = found(arg, at, head.id);
		} else if (line.p[0] >= 'a' && line.p[0] <= 'z') {
			e = declared(names, line);
		}
		fresh = false;
	}
	*size = l.at;
	free(l.buf);
	return e != ERR_OK ? e : e2;
}

enum err
scan_beancount(int fd, const char *path, struct names *names, uint64_t *size)
{
	struct slice line, open = SLICE_LIT(" open ");
	struct lines l;
	uint64_t at;
	enum err e = lines_init(&l, fd, path), e2 = ERR_OK;

	if (e != ERR_OK)
		return e;
	while (e == ERR_OK && line_next(&l, &line, &at, &e2)) {
		struct slice name;
		size_t n = 0;

		if (line.n < 16 || !is_digit(line.p[0]) ||
		    !slice_starts(slice_from(line, 10), open))
			continue;
		name = slice_from(line, 16);
		while (n < name.n && name.p[n] > ' ' && name.p[n] != ';')
			n++;
		e = names_add(names, 'o', slice_of(name.p, n));
	}
	*size = l.at;
	free(l.buf);
	return e != ERR_OK ? e : e2;
}
