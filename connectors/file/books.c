/*
 * books - see books.h for the format and the reasons.
 *
 * Invariant between two calls: both files are as long as b->len says and end a
 * whole batch, books.commit is empty (or holds that very batch), and
 * b->known and b->names say what stands in the files and in the batch under
 * way. Where a failure leaves the last part open, b->stale is set and the files
 * are read anew before anything else is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "connectors/file/books.h"
#include "connectors/file/books_scan.h"

#define BATCH_BYTES (1024 * 1024) /* no further fact is taken from here on */
#define BATCH_MAX (4 * 1024 * 1024)
#define INTENT_HEAD 40
static const char intent_magic[8] = "VAYLABK1";

void (*books_step)(const char *name);

enum { JOURNAL, BEANCOUNT, FILES };
static const char *const file_names[FILES] = {
    "books.journal", "books.beancount"};

struct book { /* one of the two files */
	char *path;
	int fd;
	uint64_t len;
	struct timespec mtime;
	dev_t dev;
	ino_t ino;
	bool open_line;	  /* its last line has no end */
	struct buf batch; /* what is to be appended */
};

struct books {
	char *folder, *commit_path;
	int commit_fd;
	struct book book[FILES];
	struct known known;
	struct names names;
	bool stale;
	size_t n;
	struct pending {
		char id[POSTING_ID + 1];
		uint64_t at; /* within the journal's batch */
	} pending[BOOKS_BATCH];
	struct buf read; /* a posting that is read back */
	struct arena arena;
	struct buf text;
};

static void
step(const char *name)
{
	if (books_step != NULL)
		books_step(name);
}

/* ---- looking into the journal ---- */

static enum err
read_at(struct books *b, uint64_t at, size_t most)
{
	struct book *j = &b->book[JOURNAL];
	ssize_t r;

	buf_reset(&b->read);
	if (buf_room(&b->read, most) == NULL)
		return err_note(ERR_NOMEM, "a buffer");
	do
		r = pread(j->fd, b->read.p, most, (off_t)at);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_errno(ERR_IO, "cannot read %s", j->path);
	b->read.n = (size_t)r;
	return ERR_OK;
}

/* The head of what stands at that place: a posting, or the mark of one that
 * was withdrawn before (*live false, as for a reversal). */
static enum err
head_at(struct books *b, uint64_t at, struct posting_head *h, bool *live)
{
	enum err e = read_at(b, at, 2048);

	if (e != ERR_OK)
		return e;
	*live = false;
	if (scan_parse_withdrawn(buf_all(&b->read), h) == ERR_OK)
		return ERR_OK;
	e = posting_parse_head(buf_all(&b->read), h);
	*live = e == ERR_OK && h->reverses == 0;
	return e;
}

static bool
same_id(void *arg, uint64_t at, const char *id)
{
	struct posting_head h;
	bool live;

	return head_at(arg, at, &h, &live) == ERR_OK && strcmp(h.id, id) == 0;
}

static enum err
found(void *arg, uint64_t at, const char *id)
{
	struct books *b = arg;
	struct posting_head h;
	bool live;

	/* A posting whose head was changed by hand is nobody's any more. */
	if (head_at(b, at, &h, &live) != ERR_OK || strcmp(h.id, id) != 0)
		return ERR_OK;
	return known_put(&b->known, id, at, same_id, b);
}

/* ---- opening and reading ---- */

static enum err
remember(struct book *f)
{
	struct stat st;

	if (fstat(f->fd, &st) != 0)
		return err_errno(ERR_IO, "cannot look at %s", f->path);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->mtime = st.st_mtim;
	f->len = (uint64_t)st.st_size;
	return ERR_OK;
}

/* Is the file still the one we know, as we left it? */
static bool
untouched(const struct book *f)
{
	struct stat st;

	return f->fd >= 0 && stat(f->path, &st) == 0 && st.st_dev == f->dev &&
	       st.st_ino == f->ino && (uint64_t)st.st_size == f->len &&
	       st.st_mtim.tv_sec == f->mtime.tv_sec &&
	       st.st_mtim.tv_nsec == f->mtime.tv_nsec;
}

static enum err
open_file(const char *path, int *fd)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (*fd >= 0)
		return ERR_OK;
	return err_errno(
	    errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO,
	    "cannot write %s; its folder must be there and belong to the user "
	    "Vayla runs as",
	    path);
}

static enum err
book_open(struct book *f)
{
	char last;
	enum err e;

	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	e = open_file(f->path, &f->fd);
	if (e == ERR_OK)
		e = remember(f);
	if (e != ERR_OK)
		return e;
	f->open_line = f->len > 0 &&
		       pread(f->fd, &last, 1, (off_t)f->len - 1) == 1 &&
		       last != '\n';
	return ERR_OK;
}

/* Everything anew from the files: at the start, and after somebody else (or a
 * failure) changed them. */
static enum err
reload(struct books *b)
{
	uint64_t size[FILES];
	enum err e = ERR_OK;

	known_clear(&b->known);
	names_clear(&b->names);
	for (int i = 0; i < FILES && e == ERR_OK; i++)
		e = book_open(&b->book[i]);
	if (e == ERR_OK)
		e = scan_journal(b->book[JOURNAL].fd, b->book[JOURNAL].path,
		    &b->names, found, b, &size[JOURNAL]);
	if (e == ERR_OK)
		e = scan_beancount(b->book[BEANCOUNT].fd,
		    b->book[BEANCOUNT].path, &b->names, &size[BEANCOUNT]);
	if (e == ERR_OK)
		e = dir_sync(b->folder);
	for (int i = 0; i < FILES && e == ERR_OK; i++)
		if (size[i] != b->book[i].len)
			e = err_note(ERR_BUSY,
			    "%s is being written by another program",
			    b->book[i].path);
	b->stale = e != ERR_OK;
	return e;
}

/* ---- books.commit ---- */

static void
put_le(uint8_t *p, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t
get_le(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = n - 1; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static enum err
sync_fd(int fd, const char *path)
{
	if (fdatasync(fd) == 0)
		return ERR_OK;
	/* What the kernel could not write it may have forgotten: only a new
	 * process that writes it again knows more. */
	return err_errno(ERR_SYNC, "the disk did not take %s", path) == ERR_OK
		   ? ERR_OK
		   : ERR_SYNC;
}

static enum err
intent_clear(struct books *b)
{
	return fd_pwrite(b->commit_fd, slice_of("\0\0\0\0\0\0\0\0", 8), 0);
}

static enum err
intent_write(struct books *b)
{
	const struct book *j = &b->book[JOURNAL], *c = &b->book[BEANCOUNT];
	uint8_t head[INTENT_HEAD];
	uint32_t crc;
	enum err e;

	memcpy(head, intent_magic, 8);
	put_le(head + 12, j->batch.n, 4);
	put_le(head + 16, c->batch.n, 4);
	put_le(head + 20, 0, 4);
	put_le(head + 24, j->len, 8);
	put_le(head + 32, c->len, 8);
	crc = crc32c(0, head + 12, INTENT_HEAD - 12);
	crc = crc32c(crc, j->batch.p, j->batch.n);
	crc = crc32c(crc, c->batch.p, c->batch.n);
	put_le(head + 8, crc, 4);
	e = fd_pwrite(b->commit_fd, slice_of(head, sizeof(head)), 0);
	if (e == ERR_OK)
		e = fd_pwrite(b->commit_fd, buf_all(&j->batch), INTENT_HEAD);
	if (e == ERR_OK)
		e = fd_pwrite(
		    b->commit_fd, buf_all(&c->batch), INTENT_HEAD + j->batch.n);
	return e;
}

/* Is what stands in the file at `at` the beginning of these bytes, as far as it
 * goes? */
static bool
begins_so(int fd, uint64_t at, struct slice bytes)
{
	uint8_t piece[4096];
	size_t done = 0;

	while (done < bytes.n) {
		size_t want = bytes.n - done;
		ssize_t r = pread(fd, piece,
		    want < sizeof(piece) ? want : sizeof(piece),
		    (off_t)(at + done));

		if (r <= 0)
			return r == 0;
		if (memcmp(piece, bytes.p + done, (size_t)r) != 0)
			return false;
		done += (size_t)r;
	}
	return true;
}

static enum err
redo(struct books *b, int which, uint64_t at, struct slice bytes)
{
	struct book *f = &b->book[which];
	enum err e = book_open(f);

	if (e != ERR_OK)
		return e;
	if (f->len < at ||
	    (f->len > at + bytes.n && !begins_so(f->fd, at, bytes)))
		return err_note(ERR_STATE,
		    "%s was changed by hand while a batch of postings was "
		    "under way; put it back as it was, or delete %s: then the "
		    "batch is posted again from the journal, and what of it "
		    "stands in one file only has to be mended by hand",
		    f->path, b->commit_path);
	/* Also when it seems to be there: a disk that refused it once may have
	 * left it in memory only. */
	e = fd_pwrite(f->fd, bytes, at);
	return e == ERR_OK ? sync_fd(f->fd, f->path) : e;
}

/* Finish the batch that was under way when the last process ended. */
static enum err
recover(struct books *b)
{
	struct buf in;
	uint64_t n[FILES];
	enum err e;

	buf_init(&in, 2 * BATCH_MAX + INTENT_HEAD);
	e = file_read(b->commit_path, &in);
	if (e != ERR_OK) {
		buf_fini(&in);
		return e;
	}
	if (in.n >= INTENT_HEAD && memcmp(in.p, intent_magic, 8) == 0) {
		n[JOURNAL] = get_le(in.p + 12, 4);
		n[BEANCOUNT] = get_le(in.p + 16, 4);
		if (in.n - INTENT_HEAD >= n[JOURNAL] + n[BEANCOUNT] &&
		    get_le(in.p + 8, 4) ==
			crc32c(0, in.p + 12,
			    INTENT_HEAD - 12 + n[JOURNAL] + n[BEANCOUNT])) {
			say(SAY_INFO, "books",
			    "finishing a batch of postings that was under way");
			e = redo(b, JOURNAL, get_le(in.p + 24, 8),
			    slice_of(in.p + INTENT_HEAD, n[JOURNAL]));
			if (e == ERR_OK)
				e = redo(b, BEANCOUNT, get_le(in.p + 32, 8),
				    slice_of(in.p + INTENT_HEAD + n[JOURNAL],
					n[BEANCOUNT]));
		}
	}
	if (e == ERR_OK)
		e = intent_clear(b);
	if (e == ERR_OK)
		e = sync_fd(b->commit_fd, b->commit_path);
	buf_fini(&in);
	return e;
}

/* ---- a batch ---- */

static void
declare_journal(struct books *b, char kind, const char *word, struct slice name)
{
	struct buf *out = &b->book[JOURNAL].batch;

	if (names_has(&b->names, kind, name))
		return;
	buf_printf(out, "%s %.*s\n", word, SLICE_ARG(name));
	if (kind == 'c')
		buf_printf(out, "    format 1000.00 %.*s\n", SLICE_ARG(name));
	if (names_add(&b->names, kind, name) != ERR_OK)
		out->bad = true;
}

/* Accounts, commodities and tags stand before their first use: `ledger
 * --pedantic` reads from the top. */
static void
declare(struct books *b, const struct posting *p, bool reversal)
{
	struct buf *j = &b->book[JOURNAL].batch;
	struct buf *c = &b->book[BEANCOUNT].batch;
	size_t j_was, c_was;

	buf_byte(j, '\n');
	buf_byte(c, '\n');
	j_was = j->n;
	c_was = c->n;
	declare_journal(b, 't', "tag", SLICE_LIT("event"));
	declare_journal(b, 't', "tag", SLICE_LIT("revision"));
	if (reversal)
		declare_journal(b, 't', "tag", SLICE_LIT("reverses"));
	for (size_t i = 0; i < p->tags_n; i++)
		declare_journal(b, 't', "tag", p->tags[i].key);
	declare_journal(b, 'c', "commodity", slice_str(p->currency));
	for (size_t i = 0; i < p->entries_n; i++) {
		struct slice name = p->entries[i].account;

		declare_journal(b, 'a', "account", name);
		if (names_has(&b->names, 'o', name))
			continue;
		buf_printf(c, "1970-01-01 open %.*s\n", SLICE_ARG(name));
		if (names_add(&b->names, 'o', name) != ERR_OK)
			c->bad = true;
	}
	if (j->n == j_was)
		j->n--;
	if (c->n == c_was)
		c->n--;
}

static void
put(struct books *b, const struct posting *p, const struct posting_head *h)
{
	posting_journal(&b->book[JOURNAL].batch, p, h);
	posting_beancount(&b->book[BEANCOUNT].batch, p, h);
}

/* What the files need before the first posting of a batch. */
static void
begin(struct books *b)
{
	static const char top[] =
	    "; Written by Vayla, only ever at the end. To correct a posting, "
	    "post; do not edit.\n";

	for (int i = 0; i < FILES; i++) {
		struct book *f = &b->book[i];

		buf_reset(&f->batch);
		if (f->len == 0)
			buf_str(&f->batch, top);
		if (f->open_line)
			buf_byte(&f->batch, '\n');
	}
}

/* The posting that stands there, turned round, as `back` says. Its slices live
 * until the next reading. */
static enum err
reversal_of(
    struct books *b, uint64_t at, struct posting *p, struct posting_head *back)
{
	struct posting_head was;
	enum err e = read_at(b, at, POSTING_MAX);

	if (e == ERR_OK)
		e = posting_parse(buf_all(&b->read), &b->arena, p, &was);
	if (e == ERR_STATE)
		e = err_wrap(e,
		    "event %s cannot be taken back: correct it by a posting "
		    "of your own there and skip this delivery",
		    back->id);
	if (e != ERR_OK)
		return e;
	back->reverses = was.revision;
	posting_turn(p);
	buf_reset(&b->text);
	buf_printf(&b->text, "Reversal: %.*s", SLICE_ARG(p->text));
	p->text = buf_all(&b->text);
	return ERR_OK;
}

static enum err
ready(struct books *b, const char *id)
{
	enum err e;

	if (b->n == BOOKS_BATCH || b->book[JOURNAL].batch.n > BATCH_BYTES)
		return err_note(ERR_BUSY, "the batch is full");
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->pending[i].id, id) == 0)
			return err_note(ERR_BUSY, "it is in this batch");
	if (b->n > 0)
		return ERR_OK;
	if (b->stale || !untouched(&b->book[JOURNAL]) ||
	    !untouched(&b->book[BEANCOUNT])) {
		e = reload(b);
		if (e != ERR_OK)
			return e;
	}
	begin(b);
	return ERR_OK;
}

enum err
books_add(struct books *b, const struct books_fact *f, struct slice *text)
{
	struct buf *j = &b->book[JOURNAL].batch;
	struct pending *pend = &b->pending[b->n % BOOKS_BATCH];
	struct posting_head h = {.seq = f->seq, .revision = f->revision};
	struct posting_head was, back;
	struct posting old;
	bool live = false;
	uint64_t at = 0;
	size_t from;
	enum err e;

	*text = SLICE_EMPTY;
	posting_id(f->id, h.id);
	e = ready(b, h.id);
	if (e != ERR_OK)
		return e;
	arena_reset(&b->arena);
	if (known_find(&b->known, h.id, same_id, b, &at)) {
		e = head_at(b, at, &was, &live);
		if (e != ERR_OK || was.revision >= f->revision)
			return e;
	}
	back = h;
	if (live) {
		e = reversal_of(b, at, &old, &back);
		if (e != ERR_OK)
			return e;
		declare(b, &old, true);
	}
	if (f->posting != NULL)
		declare(b, f->posting, false);
	from = pend->at = j->n;
	if (live)
		put(b, &old, &back);
	if (f->posting != NULL) {
		pend->at = j->n;
		put(b, f->posting, &h);
	} else if (!live) {
		scan_put_withdrawn(j, &h);
	}
	if (buf_check(j) != ERR_OK ||
	    buf_check(&b->book[BEANCOUNT].batch) != ERR_OK) {
		books_drop(b);
		return err_note(ERR_NOMEM, "a batch of postings");
	}
	memcpy(pend->id, h.id, sizeof(h.id));
	b->n++;
	*text = slice_from(buf_all(j), from);
	return ERR_OK;
}

/* Both files back to where the batch began. */
static enum err
take_out(struct books *b, enum err why)
{
	char note[512];

	snprintf(note, sizeof(note), "%s", err_last());
	for (int i = 0; i < FILES; i++)
		if (ftruncate(b->book[i].fd, (off_t)b->book[i].len) != 0) {
			(void)err_errno(ERR_SYNC, "%s; and %s cannot be cut",
			    note, b->book[i].path);
			return ERR_SYNC;
		}
	if (intent_clear(b) != ERR_OK)
		return err_note(ERR_SYNC, "%s; and %s cannot be emptied", note,
		    b->commit_path);
	books_drop(b);
	return err_note(why, "%s%s", note,
	    why == ERR_FULL ? ": free some space; nothing of these postings "
			      "was written, they are tried again"
			    : "");
}

enum err
books_commit(struct books *b)
{
	enum err e;

	if (b->n == 0)
		return ERR_OK;
	if (!untouched(&b->book[JOURNAL]) || !untouched(&b->book[BEANCOUNT])) {
		books_drop(b);
		return err_note(ERR_BUSY,
		    "the books in %s were changed by another program just "
		    "now; they are read again",
		    b->folder);
	}
	step("begin");
	e = intent_write(b);
	if (e == ERR_OK) {
		step("intent written");
		e = sync_fd(b->commit_fd, b->commit_path);
	}
	if (e == ERR_SYNC)
		return e;
	if (e != ERR_OK)
		return take_out(b, e);
	step("intent synced");
	for (int i = 0; i < FILES && e == ERR_OK; i++) {
		e = fd_pwrite(
		    b->book[i].fd, buf_all(&b->book[i].batch), b->book[i].len);
		step(file_names[i]);
	}
	if (e != ERR_OK)
		return take_out(b, e);
	for (int i = 0; i < FILES && e == ERR_OK; i++)
		e = sync_fd(b->book[i].fd, b->book[i].path);
	if (e != ERR_OK)
		return e;
	step("synced");
	/* Not synced: finding the batch once more does no harm. */
	if (intent_clear(b) != ERR_OK)
		b->stale = true;
	for (size_t i = 0; i < b->n; i++) {
		uint64_t at = b->book[JOURNAL].len + b->pending[i].at;

		/* A posting begins after its empty line. */
		if (known_put(&b->known, b->pending[i].id, at + 1, same_id,
			b) != ERR_OK)
			b->stale = true;
	}
	for (int i = 0; i < FILES; i++) {
		if (remember(&b->book[i]) != ERR_OK)
			b->stale = true;
		b->book[i].open_line = false;
		buf_reset(&b->book[i].batch);
	}
	b->n = 0;
	step("end");
	return ERR_OK;
}

void
books_drop(struct books *b)
{
	if (b->n > 0 || b->book[JOURNAL].batch.n > 0)
		b->stale = true; /* names of the batch are in b->names */
	b->n = 0;
	for (int i = 0; i < FILES; i++)
		buf_reset(&b->book[i].batch);
}

size_t
books_count(const struct books *b)
{
	return b->known.n;
}

/* ---- opening, closing ---- */

static char *
join_path(const char *folder, const char *name)
{
	char *out = NULL;

	if (asprintf(&out, "%s/%s", folder, name) < 0)
		err_die("out of memory");
	return out;
}

static enum err
lock(struct books *b)
{
	enum err e = open_file(b->commit_path, &b->commit_fd);

	if (e != ERR_OK)
		return e;
	if (flock(b->commit_fd, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK;
	if (errno == EWOULDBLOCK)
		return err_note(ERR_BUSY,
		    "another process writes the books in %s; end it, or give "
		    "this system a folder of its own",
		    b->folder);
	return err_errno(ERR_IO, "cannot lock %s", b->commit_path);
}

enum err
books_open(struct books **out, const char *folder)
{
	struct books *b = calloc(1, sizeof(*b));
	enum err e;

	if (b == NULL)
		return err_note(ERR_NOMEM, "the books");
	b->commit_fd = -1;
	b->folder = strdup(folder);
	if (b->folder == NULL)
		err_die("out of memory");
	b->commit_path = join_path(folder, "books.commit");
	for (int i = 0; i < FILES; i++) {
		b->book[i].fd = -1;
		b->book[i].path = join_path(folder, file_names[i]);
		buf_init(&b->book[i].batch, BATCH_MAX);
	}
	buf_init(&b->read, POSTING_MAX);
	buf_init(&b->text, 4096);
	arena_init(&b->arena, 1024 * 1024);
	known_init(&b->known);
	names_init(&b->names);
	e = dir_make(folder);
	if (e == ERR_OK)
		e = lock(b);
	if (e == ERR_OK)
		e = recover(b);
	if (e == ERR_OK)
		e = reload(b);
	if (e != ERR_OK) {
		books_close(b);
		return e;
	}
	*out = b;
	return ERR_OK;
}

void
books_close(struct books *b)
{
	if (b == NULL)
		return;
	for (int i = 0; i < FILES; i++) {
		if (b->book[i].fd >= 0)
			close(b->book[i].fd);
		free(b->book[i].path);
		buf_fini(&b->book[i].batch);
	}
	if (b->commit_fd >= 0)
		close(b->commit_fd);
	free(b->commit_path);
	free(b->folder);
	known_fini(&b->known);
	names_fini(&b->names);
	buf_fini(&b->read);
	buf_fini(&b->text);
	arena_fini(&b->arena);
	free(b);
}
