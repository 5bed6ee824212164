/*
 * file - the connector for systems that are files in a folder. A pack chooses
 * it by `write:` in a row of `send:`, which names the format (now there is one:
 * `ledger`, plain-text accounting, books.h), or by `pick:`, files that are
 * taken from a folder (inbox.h).
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
#include "connectors/file/inbox.h"
#include "connectors/sdk/sdk.h"

#define POSTING_BYTES (4 * 1024 * 1024)
#define EXCERPT 1024

struct file {
	struct sdk *sdk;
	struct books *books; /* NULL: nothing is written */
	struct picks picks;
	struct pick_way *ways;
	struct inbox *inboxes[PICKS_MAX];
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
writes(const struct pack *p)
{
	for (size_t i = 0; i < p->sends_n; i++)
		if (yaml_get(p->sends[i].node, "write") != NULL)
			return true;
	return false;
}

static bool
takes(const struct pack *p)
{
	return pick_wanted(p) || writes(p);
}

static void
check_pack(const struct pack *p, struct arena *a, struct faults *f)
{
	static const char *const formats[] = {"ledger", NULL};
	struct yaml_at at = {p->file, f};
	struct picks picks;

	for (size_t i = 0; i < p->sends_n; i++) {
		const struct yaml *w = yaml_get(p->sends[i].node, "write");

		if (w != NULL)
			(void)yaml_word(&at, w, formats, "write");
		else if (pick_wanted(p))
			fault(f, p->file, p->sends[i].node,
			    "a pack that picks up files writes files: `write` "
			    "is missing in this row of send");
	}
	if (pick_wanted(p) && pack_section(p, "poll") != NULL)
		fault(f, p->file, pack_section(p, "poll"),
		    "a pack picks up files or is spoken to over HTTP, not "
		    "both: `poll` beside `pick`");
	if (pick_load(p, a, f, &picks) != ERR_OK && f->count == 0)
		fault(f, p->file, NULL, "%s", err_last());
}

static void
check(const struct sdk *s, struct faults *f)
{
	const struct sdk_system *x = &s->systems[0];
	struct slice folder;
	struct picks picks;
	struct pick_way *w;

	check_pack(x->pack, s->arena, f);
	if (f->count > 0)
		return;
	if (writes(x->pack) &&
	    (!mp_get_str(x->all, "folder", &folder) || folder.n == 0))
		fault(f, x->pack->file, NULL,
		    "a pack with `write:` needs a setting `folder` of type "
		    "path");
	w = arena_alloc(s->arena, sizeof(*w));
	if (w == NULL || pick_load(x->pack, s->arena, f, &picks) != ERR_OK)
		return;
	for (size_t i = 0; i < picks.n; i++)
		(void)pick_resolve(&picks.v[i], x->open, s->arena,
		    s->config->file, x->conf->node, f, w);
}

static void
file_close(void *self)
{
	struct file *x = self;

	if (x == NULL)
		return;
	for (size_t i = 0; i < PICKS_MAX; i++)
		inbox_close(x->inboxes[i]);
	books_close(x->books);
	arena_fini(&x->arena);
	free(x);
}

static enum err
open_books(struct file *x, const struct sdk_system *system)
{
	struct slice folder = SLICE_EMPTY;
	char path[4096];
	enum err e;

	(void)mp_get_str(system->all, "folder", &folder);
	snprintf(path, sizeof(path), "%.*s", SLICE_ARG(folder));
	e = books_open(&x->books, path);
	if (e == ERR_OK)
		say(SAY_INFO, "books", "%zu postings stand in %s",
		    books_count(x->books), path);
	return e;
}

static enum err
open_inboxes(struct file *x, struct sdk *s)
{
	const struct sdk_system *system = &s->systems[0];
	struct faults f;
	enum err e;

	faults_init(&f);
	e = pick_load(system->pack, s->arena, &f, &x->picks);
	if (e == ERR_OK)
		x->ways =
		    arena_alloc(s->arena, (x->picks.n + 1) * sizeof(*x->ways));
	if (e == ERR_OK && x->ways == NULL)
		e = err_note(ERR_NOMEM, "the pack's picks");
	for (size_t i = 0; e == ERR_OK && i < x->picks.n; i++) {
		const struct pick *p = &x->picks.v[i];

		if (!pick_resolve(p, system->open, s->arena, s->config->file,
			system->conf->node, &f, &x->ways[i]))
			e = err_note(ERR_CONFIG, "%s", buf_cstr(&f.text));
		else
			e = inbox_open(&x->inboxes[i], s, p, &x->ways[i]);
		if (e == ERR_OK)
			say(SAY_INFO, "pick", "%.*s: %s in %.*s",
			    SLICE_ARG(p->name), p->match,
			    SLICE_ARG(x->ways[i].folder));
	}
	faults_fini(&f);
	return e;
}

static enum err
file_open(struct sdk *s, void **self)
{
	struct file *x = calloc(1, sizeof(*x));
	enum err e = ERR_OK;

	if (x == NULL)
		return err_note(ERR_NOMEM, "the connector");
	x->sdk = s;
	arena_init(&x->arena, POSTING_BYTES);
	if (writes(s->systems[0].pack))
		e = open_books(x, &s->systems[0]);
	if (e == ERR_OK)
		e = open_inboxes(x, s);
	if (e != ERR_OK) {
		file_close(x);
		return e;
	}
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

	if (x->books == NULL) {
		/* of a time when its pack had other rows */
		settle_error(x, d->seq,
		    err_note(
			ERR_STATE, "nothing is written for this system now"));
		return;
	}
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
	struct file *x = self;

	for (size_t i = 0; i < x->picks.n; i++)
		inbox_step(x->inboxes[i], next_ms);
	return x->books != NULL ? commit(x) : ERR_OK;
}

static bool
file_drain(void *self)
{
	struct file *x = self;
	bool done = x->n == 0;

	for (size_t i = 0; i < x->picks.n; i++)
		if (!inbox_drain(x->inboxes[i]))
			done = false;
	return done;
}

extern const struct connector connector_file;

const struct connector connector_file = {
    .name = "file",
    .role = "connector",
    .single = true,
    .takes = takes,
    .check_pack = check_pack,
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
