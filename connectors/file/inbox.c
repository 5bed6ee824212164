/*
 * inbox - see inbox.h.
 *
 * A file is read whole and twice: once to know that nothing breaks it before
 * anything of it is published, and once to publish. At most PUBS_OPEN
 * publications are under way; what the broker does not take now is sent again,
 * what it never takes is a bad row like any other.
 */
#include "connectors/file/inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "connectors/file/spot.h"

#define PUBS_OPEN 2
#define PUB_ROWS 256
#define PUB_FULL (FRAME_MAX - 4096)
#define SCRATCH ((size_t)8 * 1024 * 1024)
#define KEEP ((size_t)1024 * 1024) /* a file's heading */
#define TOLD 1000		   /* bad rows that are named */
#define TELL_BYTES (TOLD * 1024)
#define AGAIN_NS (5 * NS_PER_SEC)
#define PATH_BYTES 4096
#define CHUNK ((size_t)65536)

struct inbox;

/* One publication: its records, and where each row stands in the file. */
struct pub {
	struct inbox *in; /* NULL: nobody waits for it any more */
	struct pub *next;
	bool waits; /* the broker has not got it */
	int64_t due;
	struct buf records;
	uint32_t n;
	struct pub_row {
		size_t end; /* of its record */
		uint32_t line;
		struct slice raw;
	} rows[PUB_ROWS];
};

struct inbox {
	struct sdk *sdk;
	const struct pick *pick;
	const struct pick_way *way;
	char folder[PATH_BYTES / 2];
	struct spot spot;
	enum { INBOX_WATCH, INBOX_SEND, INBOX_END } state;
	int64_t due; /* mono */
	bool draining;

	/* the file */
	char name[SPOT_NAME + 1];
	struct buf text;
	int64_t mtime;
	char id[SHEET_FILE_ID + 1]; /* of this file and no other */
	struct sheet sheet;
	struct arena keep, scratch;
	bool ended; /* all rows are read */
	size_t rows, taken, bad;
	struct sheet_ids ids;
	struct buf told, spoilt; /* lines for people; the rows themselves */
	char broken[1024];	 /* the file as a whole; empty: it is not */

	struct pub *open;
	size_t open_n;
	struct buf row, event;
};

/* ---- bad rows ---- */

static void
spoil(struct inbox *in, struct slice raw, const char *why)
{
	if (in->bad++ < TOLD) {
		buf_str(&in->told, why);
		buf_byte(&in->told, '\n');
	}
	/* of a document its whole is put there, once */
	if (in->pick->form != PICK_CSV && in->bad > 1)
		return;
	buf_slice(&in->spoilt, raw);
	if (raw.n > 0 && raw.p[raw.n - 1] != '\n' && raw.p[raw.n - 1] != '\r')
		buf_byte(&in->spoilt, '\n');
}

static void
spoil_line(struct inbox *in, uint32_t line, struct slice raw, const char *why)
{
	char text[1200];

	(void)snprintf(text, sizeof(text), "%s %u: %s",
	    in->pick->form == PICK_CSV ? "line" : "item", line, why);
	spoil(in, raw, text);
}

static void
spoil_sheet(struct inbox *in, struct slice raw)
{
	struct buf b;

	buf_init(&b, 2048);
	sheet_why(&in->sheet, &b);
	spoil(in, raw, buf_cstr(&b));
	buf_fini(&b);
}

/* ---- publishing ---- */

static void
pub_close(struct pub *p)
{
	struct pub **at = p->in != NULL ? &p->in->open : NULL;

	if (at != NULL) {
		while (*at != p)
			at = &(*at)->next;
		*at = p->next;
		p->in->open_n--;
	}
	buf_fini(&p->records);
	free(p);
}

static struct pub *
pub_new(struct inbox *in)
{
	struct pub *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	buf_init(&p->records, FRAME_MAX_ONE);
	p->in = in;
	p->next = in->open;
	p->waits = true;
	in->open = p;
	in->open_n++;
	return p;
}

static void
pub_row(struct pub *p, struct slice record, uint32_t line, struct slice raw)
{
	buf_slice(&p->records, record);
	p->rows[p->n++] =
	    (struct pub_row){.end = p->records.n, .line = line, .raw = raw};
}

/* A row that the broker refuses holds none of the others: each by itself. */
static enum err
pub_split(struct pub *p)
{
	size_t from = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		struct pub *one = pub_new(p->in);

		if (one == NULL)
			return err_note(ERR_NOMEM, "a row");
		pub_row(one,
		    slice_of(p->records.p + from, p->rows[i].end - from),
		    p->rows[i].line, p->rows[i].raw);
		from = p->rows[i].end;
	}
	return ERR_OK;
}

static void
on_published(void *arg, enum err e, int64_t retry_ms)
{
	struct pub *p = arg;
	struct inbox *in = p->in;

	if (in == NULL || e == ERR_CLOSED) {
		pub_close(p);
		return;
	}
	if (e == ERR_OK) {
		in->taken += p->n;
		pub_close(p);
		return;
	}
	if (err_class(e) == CLASS_REJECT && p->n == 1) {
		spoil_line(in, p->rows[0].line, p->rows[0].raw, err_last());
		pub_close(p);
		return;
	}
	if (err_class(e) == CLASS_REJECT && pub_split(p) == ERR_OK) {
		pub_close(p);
		return;
	}
	/* out of memory in the middle of it: what was split is sent twice, and
	 * kept once */
	p->waits = true;
	p->due =
	    clock_mono() + (retry_ms > 0 ? retry_ms * NS_PER_MS : NS_PER_SEC);
}

/* Hand out what waits and is due. */
static void
pubs_send(struct inbox *in, int64_t now, int *next_ms)
{
	for (struct pub *p = in->open, *next; p != NULL; p = next) {
		enum err e;

		next = p->next;
		if (!p->waits)
			continue;
		if (now < p->due) {
			int64_t ms = (p->due - now) / NS_PER_MS + 1;

			if (ms < *next_ms)
				*next_ms = (int)ms;
			continue;
		}
		p->waits = false;
		e = client_publish(in->sdk->client, buf_all(&p->records), p->n,
		    on_published, p);
		if (e == ERR_OK)
			continue;
		p->waits = true;
		p->due = now + NS_PER_SEC / 5;
		if (*next_ms > 200)
			*next_ms = 200;
	}
}

/* ---- given up ---- */

static void
forget(struct inbox *in)
{
	/* what is still with the client ends by itself */
	for (struct pub *p = in->open, *next; p != NULL; p = next) {
		next = p->next;
		p->in = NULL;
		if (p->waits)
			pub_close(p);
	}
	in->open = NULL;
	in->open_n = 0;
	buf_fini(&in->text);
	buf_init(&in->text, (size_t)in->pick->bytes);
	buf_fini(&in->told);
	buf_init(&in->told, TELL_BYTES);
	buf_fini(&in->spoilt);
	buf_init(&in->spoilt, 2 * PICK_BYTES);
	arena_reset(&in->keep);
	arena_reset(&in->scratch);
	sheet_ids_fini(&in->ids);
	in->rows = in->taken = in->bad = 0;
	in->ended = false;
	in->broken[0] = '\0';
}

static void
later(struct inbox *in, const char *why)
{
	say(SAY_WARN, "pick", "%.*s: %s; again in %d s",
	    SLICE_ARG(in->pick->name), why, (int)(AGAIN_NS / NS_PER_SEC));
	forget(in);
	in->state = INBOX_WATCH;
	in->due = clock_mono() + AGAIN_NS;
}

/* ---- a row ---- */

/* The row in in->row as one record in in->event. */
static enum err
make_event(struct inbox *in, const struct csv_row *row)
{
	const struct sdk_system *x = &in->sdk->systems[0];
	const struct sheet_file from = {in->name, in->mtime, x->open};
	char id[EVENT_TEXT + SHEET_FILE_ID + 2];
	struct event ev;
	enum err e;

	e = sheet_event(&in->sheet, &from, row->line, buf_all(&in->row),
	    &in->ids, &in->scratch, &ev);
	if (e != ERR_OK)
		return e;
	ev.source = x->conf->name;
	(void)snprintf(id, sizeof(id), "%.*s:%s", SLICE_ARG(ev.id), in->id);
	ev.id = slice_str(id);
	buf_reset(&in->event);
	event_write(&in->event, &ev);
	if (in->event.n > EVENT_MAX || buf_check(&in->event) != ERR_OK)
		return err_note(ERR_LIMIT, "over %d bytes", EVENT_MAX);
	return ERR_OK;
}

/* Rows until a publication is full. */
static void
read_rows(struct inbox *in)
{
	struct pub *p = pub_new(in);

	if (p == NULL) {
		later(in, "out of memory");
		return;
	}
	while (p->n < PUB_ROWS && p->records.n < PUB_FULL / 2 && !in->ended) {
		struct csv_row row;
		enum csv_got got;
		enum err e;

		arena_reset(&in->scratch);
		buf_reset(&in->row);
		got = sheet_next(&in->sheet, &in->scratch, &row, &in->row);
		if (got == CSV_END || got == CSV_BROKEN) {
			in->ended = true;
			break;
		}
		if (got == CSV_BAD) {
			spoil_sheet(in, row.raw);
			continue;
		}
		e = make_event(in, &row);
		if (e != ERR_OK) {
			spoil_line(in, row.line, row.raw, err_last());
			continue;
		}
		buf_reset(&in->row);
		record_write(&in->row, REC_EVENT, buf_all(&in->event));
		if (p->n > 0 && p->records.n + in->row.n > PUB_FULL) {
			struct pub *more = pub_new(in);

			if (more == NULL) { /* from the beginning, then */
				later(in, "out of memory");
				return;
			}
			p = more;
		}
		pub_row(p, buf_all(&in->row), row.line, row.raw);
	}
	if (p->n == 0)
		pub_close(p);
}

/* ---- the file ---- */

static int64_t
mtime_of(const struct stat *st)
{
	return st->st_mtim.tv_sec * NS_PER_SEC + st->st_mtim.tv_nsec;
}

/* Its whole content, if nobody wrote to it meanwhile. */
static enum err
read_fd(struct inbox *in, int fd)
{
	struct stat st, after;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return err_errno(ERR_IO, "cannot look at %s", in->name);
	in->mtime = mtime_of(&st);
	if (st.st_size > in->pick->bytes) {
		(void)snprintf(in->broken, sizeof(in->broken),
		    "it has %jd bytes, at most %jd are taken; divide it, or "
		    "raise `limits` of the pick",
		    (intmax_t)st.st_size, (intmax_t)in->pick->bytes);
		return ERR_OK;
	}
	for (;;) {
		size_t left = in->text.max - in->text.n;
		size_t some = left < CHUNK ? left : CHUNK;
		uint8_t *to = some > 0 ? buf_room(&in->text, some) : NULL;

		if (some == 0)
			break;
		if (to == NULL)
			return err_note(ERR_NOMEM, "%s", in->name);
		n = read(fd, to, some);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(ERR_IO, "cannot read %s", in->name);
		if (n == 0)
			break;
		in->text.n += (size_t)n;
	}
	if (fstat(fd, &after) != 0 || after.st_size != st.st_size ||
	    mtime_of(&after) != in->mtime || (off_t)in->text.n != after.st_size)
		return err_note(
		    ERR_BUSY, "%s was written to while it was read", in->name);
	return ERR_OK;
}

static void
identify(struct inbox *in)
{
	uint8_t content[32], sum[32];
	struct buf b;

	sha256(buf_all(&in->text), content);
	buf_init(&b, 4096);
	buf_slice(&b, in->pick->name);
	buf_printf(&b, "/%s/%jd/", in->name, (intmax_t)in->mtime);
	hex_put(&b, slice_of(content, 32));
	sha256(buf_all(&b), sum);
	buf_reset(&b);
	hex_put(&b, slice_of(sum, SHEET_FILE_ID / 2));
	memcpy(in->id, buf_cstr(&b), SHEET_FILE_ID + 1);
	buf_fini(&b);
}

/* The first reading: is it whole, and how many rows has it? */
static void
look_through(struct inbox *in)
{
	struct csv_row row;
	enum csv_got got;
	struct buf why;

	buf_init(&why, sizeof(in->broken));
	got = sheet_open(
	    &in->sheet, in->pick, in->way, buf_all(&in->text), &in->keep);
	while (got == CSV_ROW || got == CSV_BAD) {
		arena_reset(&in->scratch);
		buf_reset(&in->row);
		got = sheet_next(&in->sheet, &in->scratch, &row, &in->row);
		in->rows += got == CSV_ROW || got == CSV_BAD;
		if (in->rows > (size_t)in->pick->rows)
			break;
	}
	if (in->rows > (size_t)in->pick->rows)
		buf_printf(&why,
		    "it has more than %jd rows; divide it, or raise `limits` "
		    "of the pick",
		    (intmax_t)in->pick->rows);
	else if (got == CSV_BROKEN)
		sheet_why(&in->sheet, &why);
	(void)snprintf(in->broken, sizeof(in->broken), "%s", buf_cstr(&why));
	buf_fini(&why);
}

static enum err
load(struct inbox *in)
{
	char path[PATH_BYTES];
	enum err e;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", in->folder, in->name);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot open %s", path);
	e = read_fd(in, fd);
	close(fd);
	if (e != ERR_OK)
		return e;
	identify(in);
	if (in->broken[0] == '\0')
		look_through(in);
	if (in->broken[0] != '\0')
		return ERR_OK;
	e = sheet_ids_init(&in->ids, in->rows);
	if (e != ERR_OK)
		return e;
	arena_reset(&in->keep);
	if (sheet_open(&in->sheet, in->pick, in->way, buf_all(&in->text),
		&in->keep) != CSV_ROW)
		return err_note(ERR_NOMEM, "%s", in->name);
	return ERR_OK;
}

static void
begin(struct inbox *in)
{
	enum err e = load(in);

	if (e != ERR_OK) {
		/* others first, the next time */
		memcpy(in->spot.avoid, in->name, sizeof(in->name));
		later(in, err_last());
		return;
	}
	in->spot.avoid[0] = '\0';
	in->state = in->broken[0] != '\0' ? INBOX_END : INBOX_SEND;
	in->due = 0;
}

/* ---- its end ---- */

/* A path in a folder of ours for this very file: NAME, or with its id before
 * the ending when another file of that name is there. */
static void
place(const struct inbox *in, const char *sub, char out[PATH_BYTES])
{
	const char *dot = strrchr(in->name, '.');
	char reason[PATH_BYTES];
	struct buf was;
	bool ours;

	if (dot == NULL || dot == in->name)
		dot = in->name + strlen(in->name);
	(void)snprintf(out, PATH_BYTES, "%s/%s/%s", in->folder, sub, in->name);
	if (access(out, F_OK) != 0)
		return;
	/* written before a crash, by us, for this file? */
	(void)snprintf(reason, sizeof(reason), "%s/%s/%s.reason.txt",
	    in->folder, sub, in->name);
	buf_init(&was, 2 * TELL_BYTES);
	ours = file_read(reason, &was) == ERR_OK &&
	       memmem(was.p, was.n, in->id, SHEET_FILE_ID) != NULL;
	buf_fini(&was);
	if (!ours)
		(void)snprintf(out, PATH_BYTES, "%s/%s/%.*s.%.8s%s", in->folder,
		    sub, (int)(dot - in->name), in->name, in->id, dot);
}

static void
reason_put(const struct inbox *in, bool whole, struct buf *out)
{
	if (whole && in->broken[0] != '\0')
		buf_printf(out, "%s was not taken: nothing of it.\n\n%s\n",
		    in->name, in->broken);
	else if (whole)
		buf_printf(out,
		    "%s was not taken: none of its %zu rows can "
		    "be.\n",
		    in->name, in->bad);
	else
		buf_printf(out,
		    "%zu of the %zu rows of %s were not taken; the others are "
		    "in.\n",
		    in->bad, in->bad + in->taken, in->name);
	buf_printf(out,
	    "\nWhat to do: mend %s beside this text%s, put it back into the "
	    "folder that is\nwatched, and delete this text. When all files are "
	    "like that, it is the pack's section\n`pick` or the system's "
	    "settings (separator, encoding, decimal) that must change.\n\n",
	    whole ? "the file" : "the file of that name",
	    whole ? "" : " (the heading, and these rows alone)");
	buf_slice(out, buf_all(&in->told));
	if (in->bad > TOLD)
		buf_printf(out, "and %zu more\n", in->bad - TOLD);
	buf_printf(out, "\nfile %s\n", in->id);
}

/* The reason, and for a file of which some was taken its other rows. */
static enum err
refuse(struct inbox *in, bool whole)
{
	char at[PATH_BYTES], reason[PATH_BYTES + 16];
	struct buf b;
	enum err e;

	place(in, "refused", at);
	(void)snprintf(reason, sizeof(reason), "%s.reason.txt", at);
	buf_init(&b, 2 * PICK_BYTES + TELL_BYTES);
	reason_put(in, whole, &b);
	e = buf_check(&b);
	if (e == ERR_OK)
		e = file_write(reason, buf_all(&b), 0640);
	if (e == ERR_OK && !whole) {
		buf_reset(&b);
		buf_slice(&b, in->sheet.head);
		if (b.n > 0 && b.p[b.n - 1] != '\n' && b.p[b.n - 1] != '\r')
			buf_byte(&b, '\n');
		buf_slice(&b, buf_all(&in->spoilt));
		e = buf_check(&b);
		if (e == ERR_OK)
			e = file_write(at, buf_all(&b), 0640);
	}
	buf_fini(&b);
	return e;
}

static enum err
move(const struct inbox *in, const char *sub)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	enum err e;

	(void)snprintf(from, sizeof(from), "%s/%s", in->folder, in->name);
	place(in, sub, to);
	if (rename(from, to) != 0 && errno != ENOENT)
		return err_errno(ERR_IO, "cannot move %s to %s", from, to);
	(void)snprintf(to, sizeof(to), "%s/%s", in->folder, sub);
	e = dir_sync(to);
	if (e == ERR_OK)
		e = dir_sync(in->folder);
	if (in->pick->complete == PICK_MARKER) {
		(void)snprintf(to, sizeof(to), "%s%s", from, in->pick->marker);
		(void)unlink(to);
	}
	return e;
}

static void
finish(struct inbox *in)
{
	bool whole = in->broken[0] != '\0' || (in->bad > 0 && in->taken == 0);
	enum err e = ERR_OK;

	if (whole || in->bad > 0)
		e = refuse(in, whole);
	if (e == ERR_OK)
		e = move(in, whole ? "refused" : "done");
	if (e != ERR_OK) {
		/* the rows are in; only this is done again */
		say(SAY_WARN, "pick", "%.*s: %s; again in %d s",
		    SLICE_ARG(in->pick->name), err_last(),
		    (int)(AGAIN_NS / NS_PER_SEC));
		in->due = clock_mono() + AGAIN_NS;
		return;
	}
	if (in->broken[0] != '\0')
		say(SAY_WARN, "pick", "%s is refused: %s", in->name,
		    in->broken);
	else
		say(in->bad > 0 ? SAY_WARN : SAY_INFO, "pick",
		    "%s: %zu rows taken, %zu not", in->name, in->taken,
		    in->bad);
	forget(in);
	in->state = INBOX_WATCH;
	in->due = 0;
}

/* ---- the whole ---- */

static void
watch(struct inbox *in, int64_t now)
{
	enum err e;

	if (in->draining || now < in->due || !client_up(in->sdk->client))
		return;
	e = spot_next(&in->spot, now, in->name);
	in->due = now + in->pick->every_ms * NS_PER_MS;
	if (e == ERR_OK)
		begin(in);
	else if (e != ERR_NOTFOUND)
		later(in, err_last());
}

void
inbox_step(struct inbox *in, int *next_ms)
{
	int64_t now = clock_mono(), ms;

	if (in->state == INBOX_WATCH)
		watch(in, now);
	if (in->state == INBOX_SEND) {
		while (!in->draining && !in->ended && in->open_n < PUBS_OPEN &&
		       in->state == INBOX_SEND)
			read_rows(in);
		pubs_send(in, now, next_ms);
		if (in->ended && in->open_n == 0)
			in->state = INBOX_END;
	}
	if (in->state == INBOX_END && now >= in->due) {
		finish(in);
		if (in->state == INBOX_WATCH)
			*next_ms = 0;
	}
	if (in->state == INBOX_SEND)
		return;
	ms = in->due > now ? (in->due - now) / NS_PER_MS + 1 : 0;
	if (!client_up(in->sdk->client) && ms < 100)
		ms = 100;
	if (in->state == INBOX_WATCH && in->draining)
		return;
	if (ms < *next_ms)
		*next_ms = (int)ms;
}

bool
inbox_drain(struct inbox *in)
{
	in->draining = true;
	return in->open_n == 0;
}

static enum err
folders(const char *folder)
{
	static const char *const subs[] = {"done", "refused"};
	char path[PATH_BYTES];
	enum err e = dir_make(folder);

	for (size_t i = 0; e == ERR_OK && i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, subs[i]);
		e = dir_make(path);
	}
	return e;
}

enum err
inbox_open(struct inbox **out, struct sdk *s, const struct pick *p,
    const struct pick_way *w)
{
	struct inbox *in = calloc(1, sizeof(*in));
	enum err e;

	if (in == NULL)
		return err_note(ERR_NOMEM, "the connector");
	in->sdk = s;
	in->pick = p;
	in->way = w;
	if (w->folder.n >= sizeof(in->folder)) {
		free(in);
		return err_note(ERR_LIMIT, "the folder's path is too long");
	}
	memcpy(in->folder, w->folder.p, w->folder.n);
	spot_init(&in->spot, in->folder, p, w->stable_ns);
	arena_init(&in->keep, KEEP);
	arena_init(&in->scratch, SCRATCH);
	buf_init(&in->row, 2 * EVENT_MAX);
	buf_init(&in->event, 2 * EVENT_MAX);
	forget(in);
	e = folders(in->folder);
	if (e != ERR_OK) {
		inbox_close(in);
		return e;
	}
	*out = in;
	return ERR_OK;
}

void
inbox_close(struct inbox *in)
{
	if (in == NULL)
		return;
	forget(in);
	spot_fini(&in->spot);
	arena_fini(&in->keep);
	arena_fini(&in->scratch);
	buf_fini(&in->text);
	buf_fini(&in->told);
	buf_fini(&in->spoilt);
	buf_fini(&in->row);
	buf_fini(&in->event);
	free(in);
}
