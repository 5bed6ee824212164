/* retain - see retain.h. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/retain.h"

#define LOOK_SECONDS 60

enum hand { HAND_EMPTY, HAND_READY, HAND_DONE, HAND_REFUSED };

struct retain {
	struct log *log;
	struct index *index;
	char data[4096];
	int64_t seconds, bytes;
	struct index_view *view;
	struct log_reader *reader;
	pthread_t thread;
	bool runs, stop;

	/* Of one look: */
	struct log_segment *segs;
	bool *go; /* past its time, and nothing pins it (yet) */
	size_t n;
	uint64_t *kept; /* events that stay of the segment being trimmed */
	size_t kept_n, kept_cap;
	uint64_t trimming, trimming_end;
	struct event event;
	enum err failed;

	/* Under mu: a trim on its way to the turn thread, and figures. */
	pthread_mutex_t mu;
	pthread_cond_t wake;
	enum hand hand;
	struct log_trim trim;
	uint64_t trim_end;
	struct retain_stat stat;
};

/* ---- what must stay of a segment ---- */

static bool
event_stays(struct retain *r, uint64_t seq)
{
	size_t lo = 0, hi = r->kept_n;

	if (seq < r->trimming || seq >= r->trimming_end)
		return log_has(r->reader, seq);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->kept[mid] < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->kept_n && r->kept[lo] == seq;
}

static bool
keep_event(struct retain *r, uint64_t seq, struct slice body)
{
	bool yes = false;
	uint64_t *more;

	if (event_read(body, &r->event) != ERR_OK || r->event.revision < 2)
		return false;
	r->failed = index_older(r->view, &r->event, seq, &yes);
	if (!yes || r->failed != ERR_OK)
		return yes;
	if (r->kept_n == r->kept_cap) {
		r->kept_cap = r->kept_cap > 0 ? 2 * r->kept_cap : 256;
		more = realloc(r->kept, r->kept_cap * sizeof(*more));
		if (more == NULL) {
			r->failed = err_note(ERR_NOMEM, "no memory to trim");
			return true;
		}
		r->kept = more;
	}
	r->kept[r->kept_n++] = seq;
	return true;
}

/* log_keep. What can not be read stays: verify names it. */
static bool
keeps(void *arg, const struct log_record *rec)
{
	struct retain *r = arg;
	struct settle s;
	struct action a;
	struct timer t;

	if (r->failed != ERR_OK)
		return true; /* nothing will come of it */
	switch (rec->kind) {
	case REC_EVENT:
		return keep_event(r, rec->seq, rec->body);
	case REC_SETTLE:
		return settle_read(rec->body, &s) != ERR_OK ||
		       event_stays(r, s.seq);
	case REC_ACTION:
		/* which ruleset was in use, and whose files, is never forgotten
		 */
		return action_read(rec->body, &a) != ERR_OK || a.seq == 0 ||
		       action_is_ruleset(&a) || event_stays(r, a.seq);
	case REC_TIMER:
		return timer_read(rec->body, &t) != ERR_OK ||
		       event_stays(r, t.seq);
	}
	return true;
}

/* ---- one look ---- */

/* Past its time: by age, or because what is newer fills the size. */
static void
choose(struct retain *r)
{
	int64_t before = clock_now() - r->seconds * NS_PER_SEC;
	uint64_t newer = 0;

	for (size_t i = r->n; i-- > 0;) {
		const struct log_segment *s = &r->segs[i];

		newer += s->bytes;
		r->go[i] = s->until != 0 &&
			   ((r->seconds > 0 && s->until < before) ||
			       (r->bytes > 0 && newer > (uint64_t)r->bytes));
	}
}

/* index_stays: does the event that was mapped stay? */
static bool
input_stays(void *arg, uint64_t input)
{
	struct retain *r = arg;

	for (size_t i = 0; i < r->n; i++)
		if (input >= r->segs[i].first && input < r->segs[i].next)
			return !r->go[i] && log_has(r->reader, input);
	return false;
}

/* Pins of those that are to go; one that stays may pin another by what it read:
 * until nothing changes. */
static enum err
pin(struct retain *r, struct retain_stat *st)
{
	struct index_pins p;
	bool again = true;
	enum err e;

	while (again) {
		again = false;
		for (size_t i = 0; i < r->n; i++) {
			if (!r->go[i] || r->segs[i].trimmed)
				continue;
			e = index_pinned(r->view, r->segs[i].first,
			    r->segs[i].next, input_stays, r, &p);
			if (e != ERR_OK)
				return e;
			if (p.items == 0 && !p.reads &&
			    p.applied + 1 >= r->segs[i].next)
				continue;
			r->go[i] = false;
			again = true;
			if (p.items == 0 && !p.reads)
				continue; /* the index is not there yet */
			if (st->pinned++ < RETAIN_PINS)
				st->pin[st->pinned - 1] =
				    (struct retain_pin){r->segs[i].first,
					r->segs[i].next, p.items, p.reads};
		}
	}
	return ERR_OK;
}

/* Give a trim to the turn thread and wait for what it says. */
static enum hand
hand_over(struct retain *r, const struct log_trim *t, uint64_t end)
{
	enum hand said;

	pthread_mutex_lock(&r->mu);
	r->trim = *t;
	r->trim_end = end;
	r->hand = HAND_READY;
	while (r->hand == HAND_READY && !r->stop)
		pthread_cond_wait(&r->wake, &r->mu);
	said = r->hand;
	r->hand = HAND_EMPTY;
	if (said == HAND_DONE) {
		r->stat.gone += t->gone;
		r->stat.saved += t->saved;
	}
	pthread_mutex_unlock(&r->mu);
	return said;
}

static enum err
trim_one(struct retain *r, const struct log_segment *s, bool *done)
{
	struct log_trim t;
	enum err e;

	r->kept_n = 0;
	r->trimming = s->first;
	r->trimming_end = s->next;
	r->failed = ERR_OK;
	e = log_trim_make(r->log, s->first, keeps, r, &t);
	r->trimming = r->trimming_end = 0;
	if (e == ERR_OK)
		e = r->failed;
	/* The first one may go whole; another is worth it if it loses. */
	if (e == ERR_OK && (t.gone > 0 || (t.kept == 0 && s == &r->segs[0])) &&
	    hand_over(r, &t, s->next) == HAND_DONE) {
		*done = true;
		say(SAY_INFO, "retain",
		    "records %" PRIu64 " to %" PRIu64 ": %" PRIu64
		    " let go of, %" PRIu64 " kept, %" PRIu64 " KiB freed",
		    s->first, s->next - 1, t.gone, t.kept, t.saved / 1024);
	}
	return e;
}

/* ---- rulesets ---- */

/* Every taking into use stands in rulesets.used (rules.c) as "SEQ HASH". One
 * may go when another was taken after its last one, and nothing older than that
 * is kept. */
static enum err
drop_rulesets(struct retain *r, uint64_t kept_from)
{
	char path[4200], hash[65], name[65];
	struct in_force now = {.seq = 0};
	unsigned long long seq;
	struct buf used, deployed;
	const char *at, *later;
	int n;
	enum err e;

	snprintf(path, sizeof(path), "%s/rulesets.used", r->data);
	buf_init(&used, 16 * 1024 * 1024);
	e = file_read(path, &used);
	/* its files are in force, whatever rows were added since */
	buf_init(&deployed, 128);
	(void)!index_ruleset(r->index, &now);
	hex_put(&deployed, slice_of(now.files, 32));
	for (at = buf_cstr(&used); e == ERR_OK; at = later) {
		if (sscanf(at, "%llu %64s%n", &seq, hash, &n) != 2)
			break;
		later = at + n;
		if (strlen(hash) != 64 || strstr(later, hash) != NULL ||
		    slice_is(buf_all(&deployed), hash) ||
		    sscanf(later, "%llu %64s", &seq, name) != 2 ||
		    seq > kept_from)
			continue;
		snprintf(path, sizeof(path), "%s/rulesets/%s", r->data, hash);
		if (unlink(path) == 0)
			say(SAY_INFO, "retain", "ruleset %.16s let go of",
			    hash);
	}
	buf_fini(&used);
	buf_fini(&deployed);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

/* ---- the thread ---- */

static void
figures(struct retain *r, struct retain_stat *st)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->segs[i].trimmed) {
			st->trimmed++;
			continue;
		}
		if (st->segments++ == 0 && i > 0)
			st->oldest = r->segs[i - 1].until;
	}
}

static enum err
segments(struct retain *r)
{
	enum err e;

	free(r->segs);
	free(r->go);
	r->segs = NULL;
	r->go = NULL;
	e = log_segments(r->log, &r->segs, &r->n);
	if (e != ERR_OK)
		return e;
	r->go = calloc(r->n + 1, sizeof(*r->go));
	return r->go != NULL ? ERR_OK : err_note(ERR_NOMEM, "no memory");
}

static enum err
look(struct retain *r)
{
	struct retain_stat st = {.segments = 0};
	uint64_t kept_from = UINT64_MAX;
	bool done = false, stop = false;
	enum err e = segments(r);

	if (e == ERR_OK) {
		choose(r);
		e = pin(r, &st);
	}
	for (size_t i = 0; e == ERR_OK && i < r->n && !stop; i++) {
		/* One trimmed before can lose more only if another did. */
		if (r->go[i] && (!r->segs[i].trimmed || done))
			e = trim_one(r, &r->segs[i], &done);
		stop = __atomic_load_n(&r->stop, __ATOMIC_RELAXED);
	}
	if (e == ERR_OK && done && !stop)
		e = index_forget(r->index, &r->stop);
	if (e == ERR_OK)
		e = segments(r);
	for (size_t i = 0; e == ERR_OK && i < r->n; i++)
		if (!r->segs[i].trimmed && r->segs[i].first < kept_from)
			kept_from = r->segs[i].first;
	if (e == ERR_OK && !stop)
		e = drop_rulesets(r, kept_from);
	if (e != ERR_OK)
		return e;
	figures(r, &st);
	pthread_mutex_lock(&r->mu);
	st.gone = r->stat.gone;
	st.saved = r->stat.saved;
	r->stat = st;
	pthread_mutex_unlock(&r->mu);
	return ERR_OK;
}

static void *
work(void *arg)
{
	struct retain *r = arg;
	struct timespec until;
	bool said = false;

	pthread_mutex_lock(&r->mu);
	while (!r->stop) {
		pthread_mutex_unlock(&r->mu);
		if (look(r) == ERR_OK) {
			said = false;
		} else if (!said) {
			said = true;
			say(SAY_ERROR, "retain",
			    "nothing is let go of: %s; tried again",
			    err_last());
		}
		pthread_mutex_lock(&r->mu);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOOK_SECONDS;
		while (!r->stop &&
		       pthread_cond_timedwait(&r->wake, &r->mu, &until) == 0)
			;
	}
	pthread_mutex_unlock(&r->mu);
	return NULL;
}

enum err
retain_start(struct retain **out, const struct core *core)
{
	pthread_condattr_t attr;
	struct retain *r;
	enum err e;

	*out = NULL;
	if (core->cfg->keep_seconds == 0 && core->cfg->keep_bytes == 0)
		return ERR_OK;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_note(ERR_NOMEM, "no memory");
	r->log = core->log;
	r->index = core->index;
	r->seconds = core->cfg->keep_seconds;
	r->bytes = core->cfg->keep_bytes;
	snprintf(r->data, sizeof(r->data), "%s", core->cfg->data);
	pthread_mutex_init(&r->mu, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	e = index_view_new(&r->view, core->index);
	if (e == ERR_OK)
		e = log_reader_new(&r->reader, core->log);
	if (e == ERR_OK && pthread_create(&r->thread, NULL, work, r) != 0)
		e = err_note(ERR_NOMEM, "cannot start the thread of retention");
	r->runs = e == ERR_OK;
	if (e != ERR_OK)
		retain_stop(r);
	else
		*out = r;
	return e;
}

void
retain_stop(struct retain *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->mu);
	r->stop = true;
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->mu);
	if (r->runs)
		pthread_join(r->thread, NULL);
	index_view_free(r->view);
	log_reader_free(r->reader);
	free(r->segs);
	free(r->go);
	free(r->kept);
	pthread_mutex_destroy(&r->mu);
	pthread_cond_destroy(&r->wake);
	free(r);
}

enum err
retain_step(struct retain *r)
{
	enum err e = ERR_OK;

	if (r == NULL)
		return ERR_OK;
	pthread_mutex_lock(&r->mu);
	if (r->hand == HAND_READY) {
		r->hand = HAND_REFUSED;
		if (!index_pinned_now(r->index, r->trim.first, r->trim_end)) {
			e = log_trim_done(r->log, &r->trim);
			if (e == ERR_OK)
				r->hand = HAND_DONE;
		}
		pthread_cond_broadcast(&r->wake);
	}
	pthread_mutex_unlock(&r->mu);
	return e;
}

void
retain_stat(struct retain *r, struct retain_stat *out)
{
	*out = (struct retain_stat){.segments = 0};
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->mu);
	*out = r->stat;
	pthread_mutex_unlock(&r->mu);
}
