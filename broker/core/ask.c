/*
 * ask - queries of PROTOCOL.md 6, answered by query.h but for `status`, which
 * is the daemon's own.
 */
#include <stdio.h>
#include <sys/statvfs.h>

#include "broker/base/clock.h"
#include "broker/core/daemon.h"
#include "broker/core/emit.h"

#define OPEN_MAX 1000
#define OPEN_PAGES 50
#define RECENT_MAX 200
#define PLAN_RECORDS 20000 /* looked at for one answer */
#define PLAN_INPUTS 500
#define VERSIONS_MAX 1000

static void
put_uint(struct buf *b, const char *key, uint64_t v)
{
	mp_put_cstr(b, key);
	mp_put_uint(b, v);
}

static void
put_text(struct buf *b, const char *key, struct slice v)
{
	mp_put_cstr(b, key);
	mp_put_str(b, v);
}

static void
put_journal(struct daemon *d, struct buf *b)
{
	enum survives survives = log_survives(d->core.log);
	struct ship_stat ship;
	struct statvfs fs;
	struct log_stat st;

	log_stat(d->core.log, &st);
	ship_stat(d->ship, &ship);
	if (d->ship != NULL && ship.state == SHIP_TOGETHER)
		survives = SURVIVES_MACHINE;
	mp_put_cstr(b, "journal");
	mp_put_map(b, 10);
	put_uint(b, "unindexed", index_pending(d->core.index));
	put_uint(b, "disk_free",
	    statvfs(d->core.cfg->data, &fs) == 0
		? (uint64_t)fs.f_bavail * fs.f_frsize
		: 0);
	put_text(b, "survives", slice_str(survives_name(survives)));
	put_uint(b, "first", log_first(d->core.log));
	put_uint(b, "next", log_next(d->core.log));
	put_uint(b, "records", st.records);
	put_uint(b, "bytes", st.bytes);
	put_uint(b, "segments", st.segments);
	put_uint(b, "syncs", st.syncs);
	put_uint(b, "last_sync_ns", (uint64_t)st.last_sync_ns);
}

static void
put_retention(struct daemon *d, struct buf *b)
{
	struct retain_stat st;
	size_t n;

	retain_stat(d->retain, &st);
	n = st.pinned < RETAIN_PINS ? st.pinned : RETAIN_PINS;
	mp_put_cstr(b, "retention");
	mp_put_map(b, st.oldest != 0 ? 7 : 6);
	put_uint(b, "segments", st.segments);
	put_uint(b, "trimmed", st.trimmed);
	put_uint(b, "gone", st.gone);
	put_uint(b, "saved", st.saved);
	put_uint(b, "pinned", st.pinned);
	if (st.oldest != 0) {
		mp_put_cstr(b, "oldest");
		mp_put_time(b, st.oldest);
	}
	mp_put_cstr(b, "pins");
	mp_put_array(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		mp_put_map(b, 4);
		put_uint(b, "first", st.pin[i].first);
		put_uint(b, "next", st.pin[i].next);
		put_uint(b, "items", st.pin[i].items);
		mp_put_cstr(b, "reads");
		mp_put_bool(b, st.pin[i].reads);
	}
}

static void
put_standby(struct daemon *d, struct buf *b)
{
	struct ship_stat st;

	ship_stat(d->ship, &st);
	mp_put_cstr(b, "standby");
	mp_put_map(b, st.heard != 0 ? 5 : 4);
	put_text(b, "state", slice_str(ship_state_name(st.state)));
	mp_put_cstr(b, "since");
	mp_put_time(b, st.since);
	put_uint(b, "behind", st.behind);
	put_uint(b, "alone", st.alone);
	if (st.heard != 0) {
		mp_put_cstr(b, "heard");
		mp_put_time(b, st.heard);
	}
}

static void
put_counts(struct daemon *d, struct buf *b)
{
	struct index_counts c;

	index_counts(d->core.index, &c);
	mp_put_cstr(b, "counts");
	mp_put_map(b, 13);
	put_uint(b, "events", c.events);
	put_uint(b, "facts", c.facts);
	put_uint(b, "duplicates", d->core.duplicates);
	put_uint(b, "published", d->core.published);
	put_uint(b, "refused", d->core.refused);
	put_uint(b, "ready", c.ready);
	put_uint(b, "retry", c.retry);
	put_uint(b, "deferred", c.deferred);
	put_uint(b, "wait", c.wait);
	put_uint(b, "behind", c.behind);
	put_uint(b, "ask", c.ask);
	put_uint(b, "parked", c.parked);
	put_uint(b, "settled", c.settled);
}

static void
put_types(const struct daemon *d, struct buf *b)
{
	mp_put_cstr(b, "types");
	mp_put_map(b, (uint32_t)d->types_n);
	for (size_t i = 0; i < d->types_n; i++)
		put_uint(b, d->types[i].name, d->types[i].n);
}

/* How much of a subscription is open: counted in memory, and when there is more
 * than memory holds, at least that. */
static void
put_sub(struct daemon *d, const struct sub *s, struct buf *b)
{
	struct open_item *items;
	struct arena a;
	int64_t next = 0, now = clock_mono();
	const struct lane *l;
	uint64_t oldest = 0, open = 0, states[OPEN_PARKED + 1] = {0};
	struct log_record rec = {.recorded = 0};
	size_t at = 0, n = 0;

	while ((l = table_each(&s->lanes, &at)) != NULL)
		if (l->state == LANE_LATER &&
		    (next == 0 || l->alarm.due < next))
			next = l->alarm.due;
	arena_init(&a, 1024 * 1024);
	if (index_open_items(d->core.index, slice_str(s->name), 0, OPEN_MAX, &a,
		&items, &n) == ERR_OK &&
	    n > 0) {
		oldest = items[0].seq;
		open = n;
		for (size_t i = 0; i < n; i++)
			states[items[i].state]++;
		if (log_read(d->core.reader, oldest, &rec) != ERR_OK)
			rec.recorded = 0;
	}
	arena_fini(&a);
	mp_put_cstr(b, "sub");
	mp_put_map(b, 11);
	put_uint(b, "open", open);
	mp_put_cstr(b, "more");
	mp_put_bool(b, open == OPEN_MAX);
	put_uint(b, "in_hand", s->in_hand);
	put_uint(b, "oldest", oldest);
	put_uint(b, "retry_next_ms",
	    next > now ? (uint64_t)((next - now) / NS_PER_MS) : 0);
	put_uint(b, "sent", s->sent);
	put_uint(b, "settled", s->settled);
	put_uint(b, "lost", s->lost);
	mp_put_cstr(b, "oldest_at");
	if (rec.recorded != 0)
		mp_put_time(b, rec.recorded);
	else
		mp_put_nil(b);
	mp_put_cstr(b, "states");
	mp_put_map(b, 4);
	put_uint(b, "ready", states[OPEN_READY]);
	put_uint(b, "retry", states[OPEN_RETRY]);
	put_uint(b, "ask", states[OPEN_ASK]);
	put_uint(b, "parked", states[OPEN_PARKED]);
	mp_put_cstr(b, "verdicts");
	mp_put_map(b, SETTLE_ASK + 1);
	for (int v = SETTLE_OK; v <= SETTLE_ASK; v++)
		put_uint(
		    b, settle_name((enum settle_verdict)v), s->verdicts[v]);
}

static void
put_systems(struct daemon *d, struct buf *b)
{
	const struct config *c = d->core.cfg;

	mp_put_cstr(b, "systems");
	mp_put_array(b, (uint32_t)d->delivery.subs_n);
	for (size_t i = 0; i < d->delivery.subs_n; i++) {
		const struct sub *s = &d->delivery.subs[i];
		const struct pack *p =
		    ruleset_pack(d->core.rules, slice_str(s->name));
		bool takes = p != NULL && pack_section(p, "send") != NULL;

		mp_put_map(b, takes ? 6 : 5);
		put_text(b, "name", slice_str(s->name));
		put_text(b, "pack", c->systems[i].pack);
		put_text(b, "mode",
		    s->paused ? SLICE_LIT("paused")
		    : s->live ? SLICE_LIT("live")
			      : SLICE_LIT("observe"));
		mp_put_cstr(b, "takes");
		mp_put_bool(b, takes);
		put_text(b, "session",
		    s->session != NULL ? session_name(s->session)
				       : SLICE_EMPTY);
		if (takes)
			put_sub(d, s, b);
	}
}

static void
put_sessions(const struct daemon *d, struct buf *b)
{
	int64_t ago;

	mp_put_cstr(b, "sessions");
	mp_put_array(b, (uint32_t)d->sessions.n);
	for (size_t i = 0; i < d->sessions.n; i++) {
		const struct session *s = d->sessions.all[i];

		ago = (clock_mono() - s->heard) / NS_PER_MS;
		mp_put_map(b, s->report.n > 0 ? 5 : 4);
		put_text(b, "name", session_name(s));
		put_text(b, "role", slice_str(role_name(s->role)));
		mp_put_cstr(b, "since");
		mp_put_time(b, s->since);
		put_uint(b, "silent_ms", ago > 0 ? (uint64_t)ago : 0);
		if (s->report.n > 0) {
			mp_put_cstr(b, "report");
			buf_slice(b, buf_all(&s->report));
		}
	}
}

static void
put_hex(struct buf *b, const char *key, const uint8_t hash[32])
{
	char hex[65];

	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	put_text(b, key, slice_str(hex));
}

/* One record that took a ruleset into use; *prev: the one before it. */
static enum err
put_version(struct daemon *d, uint64_t seq, struct buf *b, uint64_t *prev)
{
	struct log_record rec;
	struct action a;
	enum err e = log_read(d->query.reader, seq, &rec);

	*prev = 0;
	if (e == ERR_OK && rec.kind == REC_ACTION)
		e = action_read(rec.body, &a);
	if (e != ERR_OK || rec.kind != REC_ACTION || !action_is_ruleset(&a))
		return ERR_NOTFOUND;
	mp_put_map(b, a.row.n > 0 ? 7 : 6);
	put_uint(b, "seq", seq);
	mp_put_cstr(b, "at");
	mp_put_time(b, rec.recorded);
	put_text(b, "act", a.act);
	put_text(b, "by", a.by);
	put_text(b, "reason", a.reason);
	put_hex(b, "hash", a.hash.p);
	if (a.row.n > 0) {
		mp_put_cstr(b, "files");
		buf_slice(b, a.row);
	}
	*prev = a.seq < seq ? a.seq : 0;
	return ERR_OK;
}

/* {now: what is in force, deployed, packs, versions: newest first} */
static enum err
versions(struct daemon *d, struct slice query, struct buf *b)
{
	struct in_force now = {.seq = 0};
	int64_t max = VERSIONS_MAX;
	uint64_t seq, prev;
	uint32_t n = 0;
	size_t mark;
	enum err e = ERR_OK;

	(void)mp_get_int(query, "n", &max);
	(void)!index_ruleset(d->core.index, &now); /* none: an empty list */
	mp_put_map(b, 4);
	put_hex(b, "now", ruleset_hash(d->core.rules));
	mp_put_cstr(b, "deployed");
	mp_put_bool(b, now.deployed);
	put_text(b, "packs", slice_str(d->core.cfg->packs));
	mp_put_cstr(b, "versions");
	mark = mp_open(b);
	for (seq = now.seq; seq != 0 && n < max && n < VERSIONS_MAX;
	     seq = prev) {
		e = put_version(d, seq, b, &prev);
		if (e != ERR_OK)
			break; /* its segment was dropped */
		n++;
	}
	mp_close_array(b, mark, n);
	return buf_check(b);
}

/* The record that says whose files are used. Answers since then changed rows
 * alone. */
static enum err
versions_last(struct daemon *d, struct buf *b)
{
	struct in_force now;
	uint64_t prev;

	return index_ruleset(d->core.index, &now) == ERR_OK
		   ? put_version(d, now.files_seq, b, &prev)
		   : ERR_NOTFOUND;
}

/* Which ruleset, since when and by whom: a short "versions" of one. */
static void
put_rules(struct daemon *d, struct buf *b)
{
	struct buf one;

	buf_init(&one, QUERY_MAX);
	mp_put_cstr(b, "rules");
	if (versions_last(d, &one) == ERR_OK)
		buf_slice(b, buf_all(&one));
	else
		mp_put_nil(b);
	buf_fini(&one);
}

enum err
ask_status(struct daemon *d, struct buf *b)
{
	char hex[65];

	mp_put_map(b, 12u + (d->retain != NULL) + (d->ship != NULL));
	put_uint(b, "epoch", d->core.epoch);
	mp_put_cstr(b, "now");
	mp_put_time(b, clock_now());
	mp_put_cstr(b, "started");
	mp_put_time(b, d->core.started);
	put_journal(d, b);
	if (d->retain != NULL)
		put_retention(d, b);
	if (d->ship != NULL)
		put_standby(d, b);
	mp_put_cstr(b, "pace");
	mp_put_map(b, 2);
	mp_put_cstr(b, "turns");
	histo_write(&d->turns, b);
	mp_put_cstr(b, "flushes");
	histo_write(&d->flushes, b);
	put_counts(d, b);
	put_types(d, b);
	for (int i = 0; i < 32; i++)
		snprintf(
		    hex + 2 * i, 3, "%02x", ruleset_hash(d->core.rules)[i]);
	put_text(b, "ruleset", slice_str(hex));
	put_rules(d, b);
	mp_put_cstr(b, "drift");
	strays_write(d->strays, b);
	put_systems(d, b);
	put_sessions(d, b);
	return buf_check(b);
}

struct open_page {
	struct slice sub;
	uint64_t after;
	size_t max;
	bool people; /* only what needs a person */
};

/* Asked or parked, and not put off. */
static bool
needs_person(struct daemon *d, struct slice item)
{
	struct slice state, sub, subject;
	int64_t seq;

	if (mp_get_str(item, "state", &state) && !slice_is(state, "ask") &&
	    !slice_is(state, "parked"))
		return false;
	return !mp_get_str(item, "sub", &sub) ||
	       !mp_get_str(item, "subject", &subject) ||
	       !mp_get_int(item, "seq", &seq) ||
	       !query_snoozed(
		   &d->query, sub, subject, (uint64_t)seq, clock_now());
}

/* One list of query_open's into `out`; *last is the last item looked at, *more
 * whether there may be others behind it. */
static enum err
open_some(struct daemon *d, const struct open_page *p, uint64_t after,
    struct buf *out, uint32_t *n, uint64_t *last, bool *more)
{
	struct slice item;
	struct buf list;
	struct mp_in in;
	struct mp head;
	int64_t seq;
	enum err e;

	buf_init(&list, QUERY_MAX);
	e = query_open(&d->query, p->sub, after, p->max, &list);
	in = mp_in(buf_all(&list));
	if (e == ERR_OK)
		e = mp_next(&in, &head);
	*more = e == ERR_OK && head.count >= p->max;
	for (uint32_t i = 0; e == ERR_OK && i < head.count; i++) {
		e = mp_value(&in, &item);
		if (e != ERR_OK)
			break;
		if (mp_get_int(item, "seq", &seq))
			*last = (uint64_t)seq;
		if (p->people && !needs_person(d, item))
			continue;
		buf_slice(out, item);
		(*n)++;
	}
	buf_fini(&list);
	return e;
}

/* {items: list, next}: of what needs a person at most OPEN_PAGES pages are
 * looked through for one answer. */
static enum err
open_page(struct daemon *d, struct slice query, struct buf *out)
{
	struct open_page p = {.sub = SLICE_EMPTY};
	int64_t after = 0, max = 200;
	uint64_t last;
	uint32_t n = 0;
	bool more = true;
	size_t mark;
	enum err e = ERR_OK;

	(void)mp_get_str(query, "sub", &p.sub);
	(void)mp_get_int(query, "after", &after);
	(void)mp_get_int(query, "max", &max);
	(void)mp_get_bool(query, "people", &p.people);
	if (after < 0 || max < 1 || max > OPEN_MAX)
		return err_note(ERR_RANGE, "open: max is 1 to %d", OPEN_MAX);
	p.max = (size_t)max;
	last = (uint64_t)after;
	mp_put_map(out, 2);
	mp_put_cstr(out, "items");
	mark = mp_open(out);
	for (int i = 0; e == ERR_OK && more && n < p.max &&
			(i == 0 || (p.people && i < OPEN_PAGES));
	     i++)
		e = open_some(d, &p, last, out, &n, &last, &more);
	mp_close_array(out, mark, n);
	put_uint(out, "next", more ? last : 0);
	return e;
}

static void
put_fates(struct buf *b, uint64_t seq, struct slice subject,
    const struct fates *f, enum err e)
{
	mp_put_map(b, e == ERR_OK ? 7 : 4);
	put_uint(b, "seq", seq);
	put_text(b, "subject", subject);
	if (e != ERR_OK) {
		put_text(b, "held", slice_str(err_name(e)));
		put_text(b, "text", slice_str(err_last()));
		return;
	}
	put_uint(b, "new", f->new);
	put_uint(b, "next", f->next);
	put_uint(b, "withdrawn", f->withdrawn);
	put_uint(b, "kept", f->kept);
	put_uint(b, "blocked", f->blocked);
}

/* A replay as a plan: what evaluating anew by one mapping would change, without
 * changing it. The turn before is over, so its batch is free to read with. */
static enum err
plan_page(struct daemon *d, struct slice query, struct buf *out)
{
	uint64_t looked = 0, same = 0, seq, next = 0;
	struct slice sub, subject = SLICE_EMPTY;
	const struct route *rt;
	int64_t after = 0;
	struct fates f;
	uint32_t items = 0;
	size_t mark;
	enum err e;

	(void)mp_get_int(query, "after", &after);
	if (!mp_get_str(query, "sub", &sub) || after < 0)
		return err_note(ERR_MISSING, "plan: sub is missing");
	rt = accept_route(d, sub);
	if (rt == NULL)
		return err_note(ERR_NOTFOUND,
		    "there is no mapping %.*s: SYSTEM/NAME", SLICE_ARG(sub));
	batch_begin(&d->batch);
	mp_put_map(out, 4);
	mp_put_cstr(out, "items");
	mark = mp_open(out);
	seq = (uint64_t)after + 1;
	if (seq < log_first(d->core.log))
		seq = log_first(d->core.log);
	for (; seq < log_next(d->core.log); seq++) {
		if (seq > (uint64_t)after + PLAN_RECORDS ||
		    looked == PLAN_INPUTS || batch_full(&d->batch)) {
			next = seq - 1;
			break;
		}
		e = route_plan(&d->router, rt, seq, &subject, &f);
		if (e == ERR_NOTFOUND)
			continue;
		looked++;
		if (e == ERR_OK && f.new + f.next + f.withdrawn == 0) {
			same++;
			continue;
		}
		put_fates(out, seq, subject, &f, e);
		items++;
	}
	mp_close_array(out, mark, items);
	put_uint(out, "looked", looked);
	put_uint(out, "same", same);
	put_uint(out, "next", next);
	return ERR_OK;
}

static enum err
answer(struct daemon *d, struct slice query, struct buf *out)
{
	struct slice what, text = SLICE_EMPTY;
	bool unseal = false;
	int64_t n = 0;

	if (!mp_get_str(query, "query", &what))
		return err_note(ERR_SYNTAX, "a query is a map with `query`");
	(void)mp_get_bool(query, "unseal", &unseal);
	if (slice_is(what, "status"))
		return ask_status(d, out);
	if (slice_is(what, "open"))
		return open_page(d, query, out);
	if (slice_is(what, "plan"))
		return plan_page(d, query, out);
	if (slice_is(what, "versions"))
		return versions(d, query, out);
	if (slice_is(what, "find")) {
		if (!mp_get_str(query, "word", &text))
			return err_note(ERR_MISSING, "find: word is missing");
		return query_find(&d->query, text, out);
	}
	if (slice_is(what, "timeline")) {
		if (!mp_get_str(query, "subject", &text))
			return err_note(
			    ERR_MISSING, "timeline: subject is missing");
		return query_timeline(&d->query, text, unseal, out);
	}
	if (slice_is(what, "event")) {
		if (!mp_get_int(query, "seq", &n) || n < 1)
			return err_note(ERR_MISSING, "event: seq is missing");
		return query_record(&d->query, (uint64_t)n, unseal, out);
	}
	if (slice_is(what, "recent")) {
		(void)mp_get_int(query, "n", &n);
		return query_recent(&d->query,
		    n < 1	     ? 20
		    : n > RECENT_MAX ? RECENT_MAX
				     : (size_t)n,
		    out);
	}
	return err_note(ERR_NOTFOUND,
	    "there is no query %.*s: status, find, timeline, event, open, "
	    "recent, plan, versions",
	    what.n < 40 ? (int)what.n : 40, (const char *)what.p);
}

void
ask_answer(struct daemon *d, struct session *s, uint64_t id, struct slice query)
{
	struct buf out, header;
	enum err e;

	buf_init(&out, QUERY_MAX);
	e = answer(d, query, &out);
	if (e == ERR_OK)
		e = buf_check(&out);
	if (e != ERR_OK) {
		peers_error(d, session_peer(s), e,
		    err_last()[0] != '\0' ? err_last() : err_text(e), id);
	} else {
		buf_init(&header, FRAME_HEADER);
		mp_put_map(&header, 1);
		put_uint(&header, "id", id);
		if (bus_send(d->bus, session_peer(s), VERB_REPLY,
			buf_all(&header), buf_all(&out)) != ERR_OK)
			s->over = true;
		buf_fini(&header);
	}
	buf_fini(&out);
}
