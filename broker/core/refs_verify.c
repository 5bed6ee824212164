/*
 * refs_verify - what the journal's records name: causes, reads, the deliveries
 * that settlements are about, rulesets, key slots. Each must be there, or have
 * been let go of (broker.retention). One pass; a bit a record says which are
 * events.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/core/backup.h"
#include "broker/core/log_own.h"

#define PREFIXES 4096 /* rulesets looked at */
#define KEYS_HEAD 64  /* JOURNAL.md, "keys" */
#define KEYS_SLOT 32

struct refs {
	const char *dir;
	struct buf *report;
	struct log *log;
	struct log_reader *reader, *other;
	uint64_t first, next, faults;
	uint8_t *events; /* a bit for each record from `first` on */
	uint8_t rulesets[PREFIXES][8];
	size_t rulesets_n;
	uint64_t slots; /* in `keys`; 0: it is not here */
	struct event event;
};

static void fault(struct refs *r, uint64_t seq, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static void
fault(struct refs *r, uint64_t seq, const char *fmt, ...)
{
	uint64_t segment, at;
	va_list ap;

	log_reader_at(r->reader, &segment, &at);
	r->faults++;
	buf_printf(r->report,
	    "log/%020" PRIu64 ".seg, offset %" PRIu64 ": record %" PRIu64 ": ",
	    segment, at, seq);
	va_start(ap, fmt);
	buf_vprintf(r->report, fmt, ap);
	va_end(ap);
	buf_byte(r->report, '\n');
}

static bool
is_event(const struct refs *r, uint64_t seq)
{
	uint64_t i = seq - r->first;

	return seq >= r->first && seq < r->next &&
	       (r->events[i / 8] & 1 << i % 8) != 0;
}

/* `to` must be an earlier event, or one that was let go of. */
static void
check(struct refs *r, uint64_t seq, uint64_t to, const char *what)
{
	if (to == 0 || is_event(r, to))
		return;
	if (to < seq && !log_has(r->other, to))
		return;
	fault(r, seq, "its %s is record %" PRIu64 ", which is %s", what, to,
	    to >= seq ? "no earlier one" : "no event");
}

static void
check_ruleset(struct refs *r, uint64_t seq, struct slice prefix)
{
	char path[PATH_MAX], hex[17];
	uint8_t hash[32];
	struct buf b;
	char **names;
	enum err e = ERR_NOTFOUND;

	for (size_t i = 0; i < r->rulesets_n; i++)
		if (memcmp(r->rulesets[i], prefix.p, 8) == 0)
			return;
	if (r->rulesets_n < PREFIXES)
		memcpy(r->rulesets[r->rulesets_n++], prefix.p, 8);
	for (int i = 0; i < 8; i++)
		snprintf(hex + 2 * i, 3, "%02x", prefix.p[i]);
	snprintf(path, sizeof(path), "%s/rulesets", r->dir);
	if (dir_list(path, &names) != ERR_OK)
		names = NULL;
	buf_init(&b, 256 * 1024 * 1024);
	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		if (strncmp(names[i], hex, 16) != 0 || strlen(names[i]) != 64)
			continue;
		snprintf(
		    path, sizeof(path), "%s/rulesets/%s", r->dir, names[i]);
		e = file_read(path, &b);
		sha256(buf_all(&b), hash);
		if (e == ERR_OK && memcmp(hash, prefix.p, 8) != 0) {
			r->faults++;
			buf_printf(r->report,
			    "rulesets/%s: its content is another than its "
			    "name says; restore it from a backup\n",
			    names[i]);
		}
		break;
	}
	if (e != ERR_OK)
		fault(r, seq, "its ruleset %s is not in rulesets/", hex);
	buf_fini(&b);
	dir_free(names);
}

static void
check_slot(struct refs *r, uint64_t seq, struct slice sealed)
{
	uint32_t slot;

	if (sealed.n < 4 || r->slots == 0)
		return;
	slot = (uint32_t)sealed.p[0] | (uint32_t)sealed.p[1] << 8 |
	       (uint32_t)sealed.p[2] << 16 | (uint32_t)sealed.p[3] << 24;
	if (slot == 0 || slot >= r->slots)
		fault(r, seq,
		    "it is sealed under slot %" PRIu32 ", keys has %" PRIu64
		    ": it is older than the journal",
		    slot, r->slots);
}

static enum err
one(void *arg, const struct log_record *rec)
{
	struct refs *r = arg;
	struct event *e = &r->event;
	uint64_t i = rec->seq - r->first;
	struct settle s;
	struct action a;
	struct timer t;

	switch (rec->kind) {
	case REC_EVENT:
		if (event_read(rec->body, e) != ERR_OK)
			break;
		r->events[i / 8] |= (uint8_t)(1 << i % 8);
		check(r, rec->seq, e->causationid, "cause");
		check(r, rec->seq,
		    e->correlationid == rec->seq ? 0 : e->correlationid,
		    "root");
		for (size_t k = 0; k < e->reads_n; k++)
			check(r, rec->seq, e->reads[k], "reading");
		if (e->ruleset.n == 8)
			check_ruleset(r, rec->seq, e->ruleset);
		check_slot(r, rec->seq, e->sealed);
		break;
	case REC_SETTLE:
		if (settle_read(rec->body, &s) == ERR_OK)
			check(r, rec->seq, s.seq, "delivery");
		break;
	case REC_ACTION:
		/* a ruleset's seq is the number of its version */
		if (action_read(rec->body, &a) == ERR_OK &&
		    !action_is_ruleset(&a))
			check(r, rec->seq, a.seq, "event");
		break;
	case REC_TIMER:
		if (timer_read(rec->body, &t) == ERR_OK)
			check(r, rec->seq, t.seq, "event");
		break;
	}
	return ERR_OK;
}

static void
look_at_keys(struct refs *r)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/keys", r->dir);
	if (stat(path, &st) == 0 && st.st_size > KEYS_HEAD)
		r->slots = ((uint64_t)st.st_size - KEYS_HEAD) / KEYS_SLOT;
	else
		buf_str(r->report,
		    "keys: there is none here; what is sealed under it can "
		    "not be read without it\n");
}

enum err
refs_verify(const char *dir, struct buf *report)
{
	struct refs *r = calloc(1, sizeof(*r));
	enum err e;

	if (r == NULL)
		return err_note(ERR_NOMEM, "no memory to verify");
	r->dir = dir;
	r->report = report;
	e = log_open_read(&r->log, dir);
	if (e == ERR_OK)
		e = log_reader_new(&r->reader, r->log);
	if (e == ERR_OK)
		e = log_reader_new(&r->other, r->log);
	if (e == ERR_OK) {
		r->first = log_first(r->log);
		r->next = log_next(r->log);
		r->events = calloc(1, (size_t)((r->next - r->first) / 8 + 1));
		if (r->events == NULL)
			e = err_note(ERR_NOMEM, "no memory to verify");
	}
	if (e == ERR_OK) {
		look_at_keys(r);
		e = log_scan(r->reader, r->first, one, r);
	}
	/* A copy must reach as far as the backup said. */
	if (e == ERR_OK)
		e = backup_verify(dir, r->next, report);
	if (e == ERR_OK && r->faults > 0)
		e = err_note(ERR_CORRUPT,
		    "%" PRIu64 " records name what is not there", r->faults);
	log_reader_free(r->reader);
	log_reader_free(r->other);
	log_close(r->log);
	free(r->events);
	free(r);
	return e;
}
