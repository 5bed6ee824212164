/*
 * metrics - the broker's status as Prometheus text (api.h). Base units, _total
 * for what only rises, labels that are few: systems, types, verdicts, never an
 * order or a person. deploy/README.md lists them all, and a test compares.
 */
#include <stdio.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/console/api.h"

#define VERSION "0.1"

/* One family of one value: at path `in`.`key` of the status. */
static const struct metric {
	const char *in, *key, *name, *type, *help;
} metrics[] = {
    {"journal", "records", "vayla_journal_records_total", "counter",
	"Records in the journal."},
    {"journal", "bytes", "vayla_journal_bytes", "gauge",
	"Bytes of the journal's segments."},
    {"journal", "segments", "vayla_journal_segments", "gauge",
	"Segments kept."},
    {"journal", "syncs", "vayla_journal_syncs_total", "counter",
	"Turns confirmed by the disk since the start."},
    {"journal", "unindexed", "vayla_index_pending_records", "gauge",
	"Records that are not in index.db yet."},
    {"journal", "disk_free", "vayla_disk_free_bytes", "gauge",
	"Room left where the journal is."},
    {"counts", "events", "vayla_events_total", "counter",
	"Events in the journal."},
    {"counts", "published", "vayla_published_total", "counter",
	"Events taken from publishers since the start."},
    {"counts", "refused", "vayla_refused_total", "counter",
	"Publications that were refused since the start."},
    {"counts", "duplicates", "vayla_duplicates_total", "counter",
	"Publications that were known already."},
    {"counts", "settled", "vayla_deliveries_settled_total", "counter",
	"Deliveries completed."},
    {"counts", "ready", "vayla_open_ready", "gauge",
	"Deliveries ready to go out."},
    {"counts", "retry", "vayla_open_retry", "gauge",
	"Deliveries that failed and come again later."},
    {"counts", "deferred", "vayla_open_deferred", "gauge",
	"Deliveries put off of which nothing failed: asked again and again."},
    {"counts", "wait", "vayla_open_wait", "gauge",
	"Mappings that wait for another event."},
    {"counts", "behind", "vayla_open_behind", "gauge",
	"Mappings held behind an earlier event of their subject."},
    {"counts", "ask", "vayla_open_ask", "gauge", "Open questions."},
    {"counts", "parked", "vayla_open_parked", "gauge",
	"Parked: a person must act."},
    {"drift", "events", "vayla_drift_events_total", "counter",
	"Events with a field or word their schema does not know, since the "
	"start or the last change of schemas."},
    {"drift", "places", "vayla_drift_places", "gauge",
	"Fields and words that schemas do not know."},
    {"retention", "trimmed", "vayla_retention_trimmed_segments", "gauge",
	"Segments of which little is left."},
    {"retention", "pinned", "vayla_retention_pinned_segments", "gauge",
	"Segments past their time that are still needed."},
    {"retention", "gone", "vayla_retention_records_total", "counter",
	"Records let go of since the start."},
    {"retention", "saved", "vayla_retention_freed_bytes_total", "counter",
	"Bytes given back since the start."},
    {"standby", "behind", "vayla_standby_behind_bytes", "gauge",
	"Bytes of the journal that the standby does not have."},
    {"standby", "alone", "vayla_standby_alone_turns_total", "counter",
	"Turns confirmed without the standby since the start."},
};

/* ---- writing ---- */

static void
family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
label(struct buf *b, const char *key, struct slice v)
{
	buf_printf(b, "%s=\"", key);
	for (size_t i = 0; i < v.n && i < 128; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			buf_byte(b, '\\');
		if (v.p[i] == '\n')
			buf_str(b, "\\n");
		else
			buf_byte(b, v.p[i]);
	}
	buf_byte(b, '"');
}

/* NAME{K1="V1",K2="V2"} VALUE; k2 NULL: one label. */
static void
sample(struct buf *b, const char *name, const char *k1, struct slice v1,
    const char *k2, struct slice v2, double value)
{
	buf_printf(b, "%s{", name);
	label(b, k1, v1);
	if (k2 != NULL) {
		buf_byte(b, ',');
		label(b, k2, v2);
	}
	buf_printf(b, "} %.17g\n", value);
}

/* ---- reading ---- */

struct list {
	struct mp_in in;
	uint32_t left;
};

static struct list
list_of(struct slice map, const char *key, enum mp_type type)
{
	struct list l = {.left = 0};
	struct slice v;
	struct mp head;

	if (mp_get(map, key, &v)) {
		l.in = mp_in(v);
		if (mp_next(&l.in, &head) == ERR_OK && head.type == type)
			l.left = head.count;
	}
	return l;
}

static bool
list_next(struct list *l, struct slice *out)
{
	return l->left > 0 && l->left-- > 0 && mp_value(&l->in, out) == ERR_OK;
}

static bool
pair_next(struct list *l, struct slice *key, int64_t *value)
{
	struct mp k, v;

	if (l->left == 0 || mp_next(&l->in, &k) != ERR_OK ||
	    mp_next(&l->in, &v) != ERR_OK)
		return false;
	l->left--;
	*key = k.bytes;
	*value = v.type == MP_INT ? v.i : 0;
	return true;
}

static double
seconds_at(struct slice map, const char *key)
{
	struct slice v;
	struct mp_in in;
	struct mp m;

	if (!mp_get(map, key, &v))
		return 0;
	in = mp_in(v);
	return mp_next(&in, &m) == ERR_OK && m.type == MP_TIME
		   ? (double)m.i / (double)NS_PER_SEC
		   : 0;
}

/* ---- families with labels ---- */

static void
put_histogram(struct slice pace, const char *key, const char *name,
    const char *help, struct buf *b)
{
	struct slice h, pair;
	struct list l;
	struct mp_in in;
	struct mp bound = {.i = 0}, n = {.i = 0};
	int64_t sum = 0;

	if (!mp_get(pace, key, &h) || !mp_get_int(h, "sum_ns", &sum))
		return;
	family(b, name, "histogram", help);
	for (l = list_of(h, "buckets", MP_ARRAY); list_next(&l, &pair);) {
		in = mp_in(pair);
		/* the pair's head first */
		if (mp_next(&in, &bound) != ERR_OK ||
		    mp_next(&in, &bound) != ERR_OK ||
		    mp_next(&in, &n) != ERR_OK)
			return;
		if (bound.i > 0)
			buf_printf(b, "%s_bucket{le=\"%g\"} %lld\n", name,
			    (double)bound.i / (double)NS_PER_SEC,
			    (long long)n.i);
		else
			buf_printf(b, "%s_bucket{le=\"+Inf\"} %lld\n", name,
			    (long long)n.i);
	}
	buf_printf(b, "%s_sum %.9f\n%s_count %lld\n", name,
	    (double)sum / (double)NS_PER_SEC, name, (long long)n.i);
}

/* What one family says of one system that is sent to. */
typedef void of_system(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b);

static void
say_up(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	struct slice session = SLICE_EMPTY;

	(void)sub;
	(void)all;
	(void)mp_get_str(system, "session", &session);
	sample(b, metric, "system", name, NULL, SLICE_EMPTY, session.n > 0);
}

static void
say_mode(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	static const char *const modes[] = {"live", "observe", "paused"};
	struct slice mode = SLICE_EMPTY;

	(void)sub;
	(void)all;
	(void)mp_get_str(system, "mode", &mode);
	for (size_t i = 0; i < 3; i++)
		sample(b, metric, "system", name, "mode", slice_str(modes[i]),
		    slice_is(mode, modes[i]));
}

/* A map of counts, each under its key as a label. */
static void
say_map(const char *key, const char *as, struct slice sub, struct slice name,
    const char *metric, struct buf *b)
{
	struct list l = list_of(sub, key, MP_MAP);
	struct slice k;
	int64_t v;

	while (pair_next(&l, &k, &v))
		sample(b, metric, "system", name, as, k, (double)v);
}

static void
say_open(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	(void)system;
	(void)all;
	say_map("states", "state", sub, name, metric, b);
}

static void
say_verdicts(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	(void)system;
	(void)all;
	say_map("verdicts", "outcome", sub, name, metric, b);
}

static void
say_oldest(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	double at = seconds_at(sub, "oldest_at"), now = seconds_at(all, "now");

	(void)system;
	sample(b, metric, "system", name, NULL, SLICE_EMPTY,
	    at > 0 && now > at ? now - at : 0);
}

static void
say_lag(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	int64_t oldest = 0, next = 0;
	struct slice journal;

	(void)system;
	if (mp_get(all, "journal", &journal))
		(void)mp_get_int(journal, "next", &next);
	(void)mp_get_int(sub, "oldest", &oldest);
	sample(b, metric, "system", name, NULL, SLICE_EMPTY,
	    oldest > 0 ? (double)(next - oldest) : 0);
}

static void
say_number(const char *key, struct slice sub, struct slice name,
    const char *metric, struct buf *b)
{
	int64_t v = 0;

	(void)mp_get_int(sub, key, &v);
	sample(b, metric, "system", name, NULL, SLICE_EMPTY, (double)v);
}

static void
say_hand(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	(void)system;
	(void)all;
	say_number("in_hand", sub, name, metric, b);
}

static void
say_sent(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	(void)system;
	(void)all;
	say_number("sent", sub, name, metric, b);
}

static void
say_lost(struct slice system, struct slice sub, struct slice name,
    struct slice all, const char *metric, struct buf *b)
{
	(void)system;
	(void)all;
	say_number("lost", sub, name, metric, b);
}

static const struct {
	const char *name, *type, *help;
	of_system *say;
} of_systems[] = {
    {"vayla_system_up", "gauge", "Is its connector there?", say_up},
    {"vayla_system_mode", "gauge", "1 for the mode it is in.", say_mode},
    {"vayla_system_open", "gauge",
	"Open deliveries by state, the first 1000 counted.", say_open},
    {"vayla_system_oldest_seconds", "gauge",
	"How long its oldest open delivery has been waiting.", say_oldest},
    {"vayla_system_lag_records", "gauge",
	"Records written since its oldest open delivery.", say_lag},
    {"vayla_system_in_hand", "gauge", "Deliveries its connector has now.",
	say_hand},
    {"vayla_system_attempts_total", "counter",
	"Deliveries handed to its connector since the start.", say_sent},
    {"vayla_system_lost_total", "counter",
	"Deliveries lost with a session or their patience.", say_lost},
    {"vayla_system_effects_total", "counter",
	"What its connector said of deliveries since the start.", say_verdicts},
};

static void
put_systems(struct slice all, struct buf *b)
{
	struct slice system, sub, name;
	struct list l;

	for (size_t i = 0; i < sizeof(of_systems) / sizeof(of_systems[0]);
	     i++) {
		family(b, of_systems[i].name, of_systems[i].type,
		    of_systems[i].help);
		for (l = list_of(all, "systems", MP_ARRAY);
		     list_next(&l, &system);)
			if (mp_get(system, "sub", &sub) &&
			    mp_get_str(system, "name", &name))
				of_systems[i].say(system, sub, name, all,
				    of_systems[i].name, b);
	}
}

static void
put_types(struct slice all, struct buf *b)
{
	struct list l = list_of(all, "types", MP_MAP);
	struct slice type;
	int64_t n;

	family(b, "vayla_stored_total", "counter",
	    "Events stored since the start, by type.");
	while (pair_next(&l, &type, &n))
		sample(b, "vayla_stored_total", "type", type, NULL, SLICE_EMPTY,
		    (double)n);
}

/* Sessions by role; and what connectors count of themselves. */
static void
put_sessions(struct slice all, struct buf *b)
{
	static const char *const roles[] = {
	    "connector", "receiver", "operator"};
	struct slice session, role, name, key;
	struct list l, report;
	int64_t v;

	family(b, "vayla_sessions", "gauge", "Sessions on the bus, by role.");
	for (size_t i = 0; i < 3; i++) {
		unsigned n = 0;

		for (l = list_of(all, "sessions", MP_ARRAY);
		     list_next(&l, &session);)
			n += mp_get_str(session, "role", &role) &&
			     slice_is(role, roles[i]);
		sample(b, "vayla_sessions", "role", slice_str(roles[i]), NULL,
		    SLICE_EMPTY, n);
	}
	family(b, "vayla_system_breaker_open", "gauge",
	    "1 while nothing is sent because the far side fails.");
	for (l = list_of(all, "sessions", MP_ARRAY); list_next(&l, &session);)
		if (mp_get(session, "report", &key) &&
		    mp_get_int(key, "shut", &v) &&
		    mp_get_str(session, "name", &name))
			sample(b, "vayla_system_breaker_open", "system", name,
			    NULL, SLICE_EMPTY, (double)v);
	family(b, "vayla_connector_reported", "gauge",
	    "What connectors and the receiver count of themselves.");
	for (l = list_of(all, "sessions", MP_ARRAY); list_next(&l, &session);) {
		if (!mp_get_str(session, "role", &role) ||
		    slice_is(role, "operator") ||
		    !mp_get_str(session, "name", &name))
			continue;
		for (report = list_of(session, "report", MP_MAP);
		     pair_next(&report, &key, &v);)
			sample(b, "vayla_connector_reported", "connector", name,
			    "what", key, (double)v);
	}
}

static void
put_standby(struct slice all, struct buf *b)
{
	static const char *const states[] = {"together", "held", "alone"};
	struct slice standby, state = SLICE_EMPTY;

	if (!mp_get(all, "standby", &standby))
		return;
	(void)mp_get_str(standby, "state", &state);
	family(b, "vayla_standby_state", "gauge",
	    "1 for the state the pair is in.");
	for (size_t i = 0; i < 3; i++)
		sample(b, "vayla_standby_state", "state", slice_str(states[i]),
		    NULL, SLICE_EMPTY, slice_is(state, states[i]));
}

static void
put_process(struct slice all, struct buf *b)
{
	unsigned long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	int64_t epoch = 0;

	family(b, "vayla_build_info", "gauge", "1, with the version.");
	sample(b, "vayla_build_info", "version", SLICE_LIT(VERSION), NULL,
	    SLICE_EMPTY, 1);
	family(b, "vayla_start_time_seconds", "gauge",
	    "When the broker started, since 1970.");
	buf_printf(
	    b, "vayla_start_time_seconds %.3f\n", seconds_at(all, "started"));
	(void)mp_get_int(all, "epoch", &epoch);
	family(b, "vayla_epoch", "gauge",
	    "Rises with each start, by 2^32 with each promotion.");
	buf_printf(b, "vayla_epoch %lld\n", (long long)epoch);
	if (f == NULL)
		return;
	if (fscanf(f, "%lu %lu", &pages, &resident) == 2) {
		family(b, "process_resident_memory_bytes", "gauge",
		    "Memory of the broker.");
		buf_printf(b, "process_resident_memory_bytes %llu\n",
		    (unsigned long long)resident *
			(unsigned long long)sysconf(_SC_PAGESIZE));
	}
	(void)fclose(f);
}

enum err
api_metrics(struct api *a, struct buf *text)
{
	struct slice in, all;
	struct buf mp;
	int64_t v;
	enum err e;

	buf_init(&mp, API_MAX);
	e = a->status(a->self, &mp);
	all = buf_all(&mp);
	for (size_t i = 0;
	     e == ERR_OK && i < sizeof(metrics) / sizeof(*metrics); i++) {
		const struct metric *m = &metrics[i];

		if (!mp_get(all, m->in, &in) || !mp_get_int(in, m->key, &v))
			continue;
		family(text, m->name, m->type, m->help);
		buf_printf(text, "%s %lld\n", m->name, (long long)v);
	}
	if (e == ERR_OK) {
		if (mp_get(all, "pace", &in)) {
			put_histogram(in, "turns", "vayla_turn_seconds",
			    "How long a turn took, from its first record to "
			    "the last thing that followed.",
			    text);
			put_histogram(in, "flushes", "vayla_flush_seconds",
			    "How long the disk took to confirm a turn.", text);
		}
		put_systems(all, text);
		put_types(all, text);
		put_sessions(all, text);
		put_standby(all, text);
		put_process(all, text);
	}
	buf_fini(&mp);
	return e == ERR_OK ? buf_check(text) : e;
}
