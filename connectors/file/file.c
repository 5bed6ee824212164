/*
 * file - the connector for systems that are files in a folder. A pack chooses
 * it by `write:` in a row of `send:`, which names the format. Now there is one:
 * `ledger`, plain-text accounting (books.h).
 *
 * Deliveries that are at hand are put into one batch, committed with one round
 * of syncs in step(), and settled then.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/crypt.h"
#include "broker/base/say.h"
#include "broker/base/yaml_check.h"
#include "connectors/file/books.h"
#include "connectors/sdk/sdk.h"

#define POSTING_BYTES (4 * 1024 * 1024)
#define EXCERPT 1024

struct file {
	struct sdk *sdk;
	struct books *books;
	struct arena arena; /* one delivery's */
	bool lost;	    /* the disk did not confirm: end */
	size_t n;
	struct wait { /* in the batch, to be settled after the commit */
		uint64_t seq;
		bool known; /* nothing was to be written */
		uint8_t digest[32];
		size_t excerpt_n;
		char excerpt[EXCERPT], remote[24];
	} wait[BOOKS_BATCH];
};

static bool
takes(const struct pack *p)
{
	for (size_t i = 0; i < p->sends_n; i++)
		if (yaml_get(p->sends[i].node, "write") != NULL)
			return true;
	return false;
}

static void
check(const struct sdk *s, struct faults *f)
{
	static const char *const formats[] = {"ledger", NULL};
	const struct sdk_system *x = &s->systems[0];
	struct yaml_at at = {x->pack->file, f};
	struct slice folder;

	for (size_t i = 0; i < x->pack->sends_n; i++) {
		const struct yaml *w =
		    yaml_get(x->pack->sends[i].node, "write");

		if (w != NULL)
			(void)yaml_word(&at, w, formats, "write");
	}
	if (!mp_get_str(x->all, "folder", &folder) || folder.n == 0)
		fault(f, x->pack->file, NULL,
		    "a pack with `write:` needs a setting `folder` of type "
		    "path");
}

static void
file_close(void *self)
{
	struct file *x = self;

	if (x == NULL)
		return;
	books_close(x->books);
	arena_fini(&x->arena);
	free(x);
}

static enum err
file_open(struct sdk *s, void **self)
{
	struct file *x = calloc(1, sizeof(*x));
	struct slice folder = SLICE_EMPTY;
	char path[4096];
	enum err e;

	if (x == NULL)
		return err_note(ERR_NOMEM, "the connector");
	x->sdk = s;
	arena_init(&x->arena, POSTING_BYTES);
	(void)mp_get_str(s->systems[0].all, "folder", &folder);
	snprintf(path, sizeof(path), "%.*s", SLICE_ARG(folder));
	e = books_open(&x->books, path);
	if (e != ERR_OK) {
		file_close(x);
		return e;
	}
	say(SAY_INFO, "books", "%zu postings stand in %s",
	    books_count(x->books), path);
	*self = x;
	return ERR_OK;
}

static void
settle_error(struct file *x, uint64_t seq, enum err e)
{
	struct settled v = {
	    .is = err_class(e) == CLASS_REJECT ? SETTLE_REJECT : SETTLE_RETRY,
	    .text = err_last(),
	    .remote = SLICE_EMPTY,
	    .digest = SLICE_EMPTY,
	    .excerpt = SLICE_EMPTY};

	sdk_settle(x->sdk, seq, &v);
}

/* Commit what is in the batch and settle it. ERR_SYNC alone is returned: then
 * nothing is known, and the next process finds out. */
static enum err
commit(struct file *x)
{
	enum err e = x->lost ? ERR_SYNC : books_commit(x->books);

	if (e == ERR_SYNC) {
		x->lost = true;
		return e;
	}
	for (size_t i = 0; i < x->n; i++) {
		struct wait *w = &x->wait[i];
		struct settled v = {.is = SETTLE_OK,
		    .text = w->known ? "it stood in the books already" : NULL,
		    .remote = slice_str(w->remote),
		    .digest = slice_of(w->digest, w->known ? 0 : 32),
		    .excerpt = slice_of(w->excerpt, w->excerpt_n)};

		if (e == ERR_OK)
			sdk_settle(x->sdk, w->seq, &v);
		else
			settle_error(x, w->seq, e);
	}
	x->n = 0;
	return ERR_OK;
}

static enum err
take(struct file *x, const struct delivery *d, struct slice *text)
{
	struct books_fact f = {.id = d->event->id,
	    .seq = d->seq,
	    .revision = d->event->revision > 0 ? d->event->revision : 1};
	struct posting p;
	enum err e = ERR_OK;

	arena_reset(&x->arena);
	if (!d->event->withdrawn) {
		e = posting_read(d->event->data, &x->arena, &p);
		if (e != ERR_OK)
			return e;
		f.posting = &p;
	}
	e = books_add(x->books, &f, text);
	if (e == ERR_BUSY && x->n > 0) {
		e = commit(x);
		if (e == ERR_OK)
			e = books_add(x->books, &f, text);
	}
	return e;
}

static void
file_delivery(void *self, const struct delivery *d)
{
	struct file *x = self;
	struct slice text = SLICE_EMPTY;
	struct wait *w;
	enum err e = ERR_OK;

	if (x->n == BOOKS_BATCH)
		e = commit(x);
	if (e == ERR_OK)
		e = take(x, d, &text);
	if (x->lost)
		return; /* step() says so */
	if (e != ERR_OK) {
		settle_error(x, d->seq, e);
		return;
	}
	w = &x->wait[x->n++];
	w->seq = d->seq;
	w->known = text.n == 0;
	snprintf(w->remote, sizeof(w->remote), "%ju", (uintmax_t)d->seq);
	sha256(text, w->digest);
	w->excerpt_n = text.n < EXCERPT ? text.n : EXCERPT;
	memcpy(w->excerpt, text.p, w->excerpt_n);
}

static enum err
file_step(void *self, int *next_ms)
{
	(void)next_ms;
	return commit(self);
}

static bool
file_drain(void *self)
{
	return ((struct file *)self)->n == 0;
}

extern const struct connector connector_file;

const struct connector connector_file = {
    .name = "file",
    .role = "connector",
    .single = true,
    .takes = takes,
    .window = BOOKS_BATCH,
    .window_bytes = 4 * 1024 * 1024,
    .patience_ms = 120000,
    .check = check,
    .open = file_open,
    .on_delivery = file_delivery,
    .step = file_step,
    .drain = file_drain,
    .close = file_close,
};
