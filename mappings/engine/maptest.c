/*
 * maptest - running the tests of a mapping's file; see maptest.h.
 *
 * A test has its own small journal: what was emitted, by id, with revision and
 * the value it is revised by, so that a scenario counts revisions as the broker
 * does (MAPPING.md, "emit"). Every test is run, whatever failed before it.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "broker/base/dec.h"

#include "mappings/engine/fact.h"
#include "mappings/engine/maptest_inner.h"
#include "mappings/engine/ruleset.h"
#include "mappings/engine/words.h"

#define TEST_MEMORY ((size_t)256 * 1024 * 1024)
#define EVENTS_MAX 4096

/* One event of the test's journal. */
struct got {
	struct slice type, id, subject, data, again_by, person;
	struct slice why; /* its part of the explanation, if there is one */
	size_t refs_n;
	const struct slice *refs;
	uint32_t revision;
};

/* How a text was written before it got its scope. */
struct written {
	struct slice as, stored;
};

struct run {
	const struct mapfile *m;
	struct yaml_at at;
	struct arena *a;
	struct eval *eval;
	const struct yaml *test;
	struct buf *diff; /* lines about this test */
	struct buf *why;  /* the explanation of the last input, or NULL */
	size_t bad;

	struct got got[EVENTS_MAX];
	size_t got_n;
	struct written written[EVENTS_MAX];
	size_t written_n;
	struct slice seen[EVENTS_MAX]; /* inputs: envelope id and data */
	size_t seen_n;

	/* the last verdict */
	enum verdict verdict;
	enum err err;
	struct slice path, text, table, wait_type;
	bool wait_by_ref;
};

static void PRINTF_LIKE(2, 3) differs(struct run *r, const char *fmt, ...)
{
	va_list ap;

	r->bad++;
	buf_str(r->diff, "    ");
	va_start(ap, fmt);
	buf_vprintf(r->diff, fmt, ap);
	va_end(ap);
	buf_byte(r->diff, '\n');
}

static struct slice
kept(struct run *r, struct slice s)
{
	struct slice out = SLICE_EMPTY;

	if (s.n > 0 && arena_copy(r->a, s, &out) != ERR_OK)
		differs(r, "%s", err_last());
	return out;
}

/* ---- evaluating ---- */

static enum err
resolve(void *self, struct slice written, struct buf *out)
{
	struct run *r = self;
	size_t from = out->n;
	enum err e = subject_scope(
	    r->m->vocabulary, r->m->pack->name, r->m->pack->name, written, out);

	if (e == ERR_OK && r->written_n < EVENTS_MAX) {
		struct written *w = &r->written[r->written_n++];

		w->as = kept(r, written);
		w->stored = kept(r, slice_of(out->p + from, out->n - from));
	}
	return e;
}

/* -1, 0, 1; other types than those of the last revision count as later. */
static int
again_cmp(struct slice a, struct slice b)
{
	struct mp_in x = mp_in(a), y = mp_in(b);
	struct mp v, w;
	struct dec d, e;

	if (mp_next(&x, &v) != ERR_OK || mp_next(&y, &w) != ERR_OK)
		return 1;
	if (v.type == MP_STR && w.type == MP_STR)
		return slice_cmp(v.bytes, w.bytes);
	if (v.type == MP_TIME && w.type == MP_TIME)
		return (v.i > w.i) - (v.i < w.i);
	if (v.type == MP_DECIMAL ? dec_parse(v.bytes, &d) != ERR_OK
				 : v.type != MP_INT)
		return 1;
	if (w.type == MP_DECIMAL ? dec_parse(w.bytes, &e) != ERR_OK
				 : w.type != MP_INT)
		return 1;
	if (v.type == MP_INT)
		d = dec_int(v.i);
	if (w.type == MP_INT)
		e = dec_int(w.i);
	return dec_cmp(d, e);
}

/* Of the explanation of an input, from *at on, what is about this event; *at
 * becomes what is behind its head. */
static struct slice
section(struct slice *at, const struct emitted *e)
{
	struct slice out = SLICE_EMPTY;
	const uint8_t *p, *end;
	struct buf head;

	buf_init(&head, 4096);
	buf_printf(&head, "%.*s of %.*s, id \"", SLICE_ARG(e->type),
	    SLICE_ARG(e->subject));
	p = memmem(at->p, at->n, head.p, head.n);
	if (p != NULL) {
		*at = slice_from(*at, (size_t)(p - at->p) + head.n);
		out = *at;
		/* up to the next event's head, which is the next such line */
		end = memmem(out.p, out.n, ", id \"", 6);
		if (end != NULL)
			out.n = (size_t)(end - out.p);
	}
	buf_fini(&head);
	return out;
}

/* Put one event into the journal as the broker would. False: again: error. */
static bool
journal(struct run *r, const struct emitted *e, struct slice why)
{
	const struct got *last = NULL;
	struct slice *refs;
	struct got *g;

	for (size_t i = r->got_n; i-- > 0 && last == NULL;)
		if (slice_eq(r->got[i].id, e->id))
			last = &r->got[i];
	if (last != NULL && slice_eq(last->data, e->data))
		return true;
	if (last != NULL && e->again == AGAIN_KEEP)
		return true;
	if (last != NULL && e->again == AGAIN_ERROR)
		return false;
	if (last != NULL && again_cmp(e->again_by, last->again_by) <= 0)
		return true;
	if (r->got_n == EVENTS_MAX) {
		differs(r, "more than %d events", EVENTS_MAX);
		return true;
	}
	refs = arena_alloc(r->a, (e->refs_n + 1) * sizeof(*refs));
	g = &r->got[r->got_n++];
	*g = (struct got){.type = e->type,
	    .id = kept(r, e->id),
	    .subject = kept(r, e->subject),
	    .data = kept(r, e->data),
	    .again_by = kept(r, e->again_by),
	    .person = kept(r, e->person),
	    .why = why,
	    .refs_n = refs != NULL ? e->refs_n : 0,
	    .refs = refs,
	    .revision = last != NULL ? last->revision + 1 : 1};
	for (size_t i = 0; i < g->refs_n; i++)
		refs[i] = kept(r, e->refs[i]);
	return true;
}

static bool
is_double(struct run *r, const struct given *g)
{
	for (size_t i = 0; i + 1 < r->seen_n; i += 2)
		if (slice_eq(r->seen[i], g->id) &&
		    slice_eq(r->seen[i + 1], g->data))
			return true;
	if (r->seen_n + 2 <= EVENTS_MAX) {
		r->seen[r->seen_n++] = g->id;
		r->seen[r->seen_n++] = g->data;
	}
	return false;
}

static void
eval_one(struct run *r, const struct given *g)
{
	struct given_reader self = {.given = g,
	    .vocabulary = r->m->vocabulary,
	    .system = r->m->pack->name};
	const struct reader reader = {&self, given_read, given_subject_of};
	const struct scope scope = {r, resolve};
	const struct input in = {.event = g->event,
	    .data = g->data,
	    .settings = g->settings,
	    .scope = &scope,
	    .reader = &reader,
	    .system = r->m->pack->name};
	const struct result *x;
	struct slice why = SLICE_EMPTY;

	if (r->why != NULL)
		buf_reset(r->why);
	x = mapping_eval(r->eval, r->m->map, &in);
	if (r->why != NULL)
		why = kept(r, buf_all(r->why));
	r->verdict = x->verdict;
	r->err = x->err;
	r->path = kept(r, x->path);
	r->text = kept(r, x->text);
	r->table = kept(r, x->table);
	r->wait_type = kept(r, x->wait_type);
	r->wait_by_ref = x->wait_by_ref;
	if (x->verdict != EVAL_OK)
		return;
	for (size_t i = 0; i < x->n; i++)
		if (!journal(r, &x->events[i], section(&why, &x->events[i]))) {
			r->verdict = EVAL_ERROR;
			r->err = ERR_EXISTS;
			r->path = SLICE_LIT("again");
			r->text = SLICE_LIT("another input states the same "
					    "fact with other bytes");
		}
}

/* All inputs of the test in order; stops at the first that is refused. False:
 * the test itself is wrong. */
static bool
feed(struct run *r)
{
	const struct yaml *given = yaml_get(r->test, "given");
	const struct yaml *list = yaml_get(r->test, "scenario");
	const struct yaml *y = given;
	struct given g;

	if (list != NULL && given != NULL) {
		fault(r->at.f, r->at.file, list,
		    "a test has given: or scenario:, not both");
		return false;
	}
	if (list != NULL) {
		if (!yaml_want(&r->at, list, YAML_LIST, "scenario"))
			return false;
		y = list->child;
	}
	for (unsigned step = 0; y != NULL || step == 0; step++) {
		if (y != NULL && !yaml_want(&r->at, y, YAML_MAP, "given"))
			return false;
		if (!given_make(r->m, &r->at, r->test, y, step, r->a, &g))
			return false;
		if (!is_double(r, &g))
			eval_one(r, &g);
		if (r->verdict != EVAL_OK && r->verdict != EVAL_SKIP)
			return true;
		y = list != NULL && y != NULL ? y->next : NULL;
	}
	return true;
}

/* ---- comparing ---- */

static const char *
verdict_text(const struct run *r)
{
	switch (r->verdict) {
	case EVAL_OK:
		return r->got_n > 0 ? "it emits" : "it emits nothing";
	case EVAL_SKIP:
		return "it skips";
	case EVAL_ERROR:
		return "it is refused";
	case EVAL_ASK:
		return "it asks";
	case EVAL_WAIT:
		return "it waits";
	}
	return "?";
}

/* What happened instead of what was wanted. */
static void
instead(struct run *r, const char *wanted)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_printf(&b, "expected %s; %s", wanted, verdict_text(r));
	if (r->verdict == EVAL_OK && r->got_n > 0)
		for (size_t i = 0; i < r->got_n && i < 8; i++)
			buf_printf(&b, "%s%.*s", i > 0 ? ", " : " ",
			    SLICE_ARG(r->got[i].type));
	if (r->table.n > 0)
		buf_printf(&b, ": table %.*s", SLICE_ARG(r->table));
	if (r->text.n > 0) /* names path and place */
		buf_printf(&b, ": %.*s", SLICE_ARG(r->text));
	differs(r, "%s", buf_cstr(&b));
	buf_fini(&b);
}

/* The data: of the emit that makes this type, for the places of expressions. */
static const struct yaml *
expr_of(const struct run *r, struct slice type)
{
	const struct yaml *emit = yaml_get(r->m->root, "emit");

	for (const struct yaml *y = emit != NULL ? emit->child : NULL;
	     y != NULL; y = y->next) {
		const struct yaml *t = yaml_get(y, "type");

		if (t != NULL && slice_eq(t->text, type))
			return yaml_get(y, "data");
	}
	return NULL;
}

static struct compare
compare_for(const struct run *r)
{
	bool exact = false;

	yaml_flag(&r->at, yaml_get(r->test, "exact"), "exact", &exact);
	return (struct compare){
	    .file = r->at.file, .out = r->diff, .exact = exact};
}

/* A subject or ref: as written or as stored. */
static bool
subject_fits(const struct run *r, struct slice want, struct slice got)
{
	struct buf b;
	bool same = slice_eq(want, got);

	buf_init(&b, 2 * SUBJECT_MAX);
	if (!same && subject_scope(r->m->vocabulary, r->m->pack->name,
			 r->m->pack->name, want, &b) == ERR_OK)
		same = slice_eq(buf_all(&b), got);
	buf_fini(&b);
	return same;
}

/* An id as written: that of the hash, for some way the subject was written. */
static bool
id_fits(const struct run *r, struct slice want, const struct got *g)
{
	char id[FACT_ID + 1];

	if (slice_eq(want, g->id))
		return true;
	fact_id(r->m->pack->name, g->type, g->subject, want, id);
	if (slice_is(g->id, id))
		return true;
	for (size_t i = 0; i < r->written_n; i++) {
		if (!slice_eq(r->written[i].stored, g->subject))
			continue;
		fact_id(r->m->pack->name, g->type, r->written[i].as, want, id);
		if (slice_is(g->id, id))
			return true;
	}
	return false;
}

static void
refs_compare(
    struct run *r, const char *at, const struct yaml *want, const struct got *g)
{
	size_t i = 0;

	if (!yaml_want(&r->at, want, YAML_LIST, "refs"))
		return;
	if (want->count != g->refs_n) {
		differs(r, "%s.refs: expected %u, got %zu", at, want->count,
		    g->refs_n);
		return;
	}
	for (const struct yaml *y = want->child; y != NULL; y = y->next, i++)
		if (!subject_fits(r, y->text, g->refs[i]))
			differs(r, "%s.refs[%zu]: expected %.*s, got %.*s", at,
			    i + 1, SLICE_ARG(y->text), SLICE_ARG(g->refs[i]));
}

static void
event_compare(
    struct run *r, const char *at, const struct yaml *want, const struct got *g)
{
	struct compare c = compare_for(r);
	const struct yaml *y;
	char path[64], digits[16];

	if (!yaml_known(&r->at, want, words_event, "an event"))
		return;
	if ((y = yaml_get(want, "type")) != NULL && !slice_eq(y->text, g->type))
		differs(r, "%s.type: expected %.*s, got %.*s", at,
		    SLICE_ARG(y->text), SLICE_ARG(g->type));
	if ((y = yaml_get(want, "subject")) != NULL &&
	    !subject_fits(r, y->text, g->subject))
		differs(r, "%s.subject: expected %.*s, got %.*s", at,
		    SLICE_ARG(y->text), SLICE_ARG(g->subject));
	if ((y = yaml_get(want, "id")) != NULL && !id_fits(r, y->text, g))
		differs(r,
		    "%s.id: it is not \"%.*s\" (an id is a hash: of system, "
		    "type, subject and what the mapping writes)",
		    at, SLICE_ARG(y->text));
	if ((y = yaml_get(want, "refs")) != NULL)
		refs_compare(r, at, y, g);
	if ((y = yaml_get(want, "revision")) != NULL) {
		snprintf(digits, sizeof(digits), "%u", g->revision);
		if (!slice_is(y->text, digits))
			differs(r, "%s.revision: expected %.*s, got %s", at,
			    SLICE_ARG(y->text), digits);
	}
	if ((y = yaml_get(want, "person")) != NULL) {
		snprintf(path, sizeof(path), "%s.person", at);
		compare_text(&c, path, y, g->person);
	}
	c.why = g->why;
	c.type = g->type;
	c.before = strlen(at);
	if ((y = yaml_get(want, "data")) != NULL)
		compare_value(&c, at, y, g->data, expr_of(r, g->type));
	r->bad += c.bad;
}

static bool
succeeded(struct run *r, const char *wanted)
{
	if (r->verdict == EVAL_OK || r->verdict == EVAL_SKIP)
		return true;
	instead(r, wanted);
	return false;
}

static bool
counted(struct run *r, const char *word, const struct yaml *want)
{
	char text[64];

	if (want->count == r->got_n)
		return true;
	snprintf(text, sizeof(text), "%u event%s in %s", want->count,
	    want->count == 1 ? "" : "s", word);
	instead(r, text);
	return false;
}

static void
events_compare(struct run *r, const struct yaml *want)
{
	char at[32];
	size_t i = 0;

	if (!yaml_want(&r->at, want, YAML_LIST, "events") ||
	    !succeeded(r, "events") || !counted(r, "events", want))
		return;
	for (const struct yaml *y = want->child; y != NULL; y = y->next, i++) {
		snprintf(at, sizeof(at), "event %zu", i + 1);
		event_compare(r, at, y, &r->got[i]);
	}
}

/* {type: order.placed, data: ..} speaks of an event, anything else of data. */
static bool
is_event(const struct run *r, const struct yaml *y)
{
	const struct yaml *type = yaml_get(y, "type"), *data;

	if (type == NULL || type->kind != YAML_SCALAR)
		return false;
	for (size_t i = 0; i < r->m->map->emits_n; i++)
		if (slice_eq(r->m->map->emits[i], type->text))
			return true;
	data = yaml_get(y, "data");
	return data != NULL && data->kind == YAML_MAP;
}

static void
expect_compare(struct run *r, const struct yaml *want)
{
	struct compare c = compare_for(r);
	char at[32];
	size_t i = 0;

	if (!succeeded(r, "an event"))
		return;
	if (want->kind == YAML_MAP && r->got_n != 1) {
		instead(r, "one event; with several, expect: is a list, or "
			   "events: tells them apart");
		return;
	}
	if (want->kind == YAML_MAP) {
		c.why = r->got[0].why;
		c.type = r->got[0].type;
		compare_value(
		    &c, "", want, r->got[0].data, expr_of(r, r->got[0].type));
		r->bad += c.bad;
		return;
	}
	if (!yaml_want(&r->at, want, YAML_LIST, "expect") ||
	    !counted(r, "expect", want))
		return;
	for (const struct yaml *y = want->child; y != NULL; y = y->next, i++) {
		snprintf(at, sizeof(at), "event %zu", i + 1);
		c.why = r->got[i].why;
		c.type = r->got[i].type;
		c.before = strlen(at);
		if (is_event(r, y))
			event_compare(r, at, y, &r->got[i]);
		else
			compare_value(&c, at, y, r->got[i].data,
			    expr_of(r, r->got[i].type));
	}
	r->bad += c.bad;
}

static void
error_compare(struct run *r, const struct yaml *want)
{
	struct slice word = yaml_text(&r->at, want, "error");
	bool fits;

	if (word.n == 0)
		return;
	if (r->verdict != EVAL_ERROR) {
		instead(r, "an error");
		return;
	}
	fits = (slice_is(word, "check") && r->err == ERR_CHECK) ||
	       memmem(r->path.p, r->path.n, word.p, word.n) != NULL ||
	       memmem(r->text.p, r->text.n, word.p, word.n) != NULL;
	if (!fits)
		instead(r, "an error that names another path");
}

static void
waits_compare(struct run *r, const struct yaml *want)
{
	struct slice word = yaml_text(&r->at, want, "waits");
	const struct mapping *m = r->m->map;

	if (word.n == 0)
		return;
	if (r->verdict == EVAL_WAIT && slice_is(word, "subject") &&
	    r->wait_by_ref && r->wait_type.n == 0)
		return;
	for (size_t i = 0; i < m->joins_n; i++)
		if (r->verdict == EVAL_WAIT &&
		    slice_eq(m->joins[i].name, word) &&
		    slice_eq(m->joins[i].type, r->wait_type))
			return;
	instead(r, "a wait for that join");
}

static void
asks_compare(struct run *r, const struct yaml *want)
{
	struct slice word = yaml_text(&r->at, want, "asks");

	/* `unmatched: report` asks and goes on. */
	if (word.n > 0 && (!(r->verdict == EVAL_ASK || r->verdict == EVAL_OK) ||
			      !slice_eq(r->table, word)))
		instead(r, "a question to that table");
}

static void
outcomes_compare(struct run *r)
{
	static const char *const words[] = {
	    "expect", "events", "error", "asks", "waits", "skips", NULL};
	const struct yaml *y;
	bool any = false, skips = false;

	for (size_t i = 0; words[i] != NULL; i++)
		any = any || yaml_get(r->test, words[i]) != NULL;
	if (!any)
		fault(r->at.f, r->at.file, r->test,
		    "this test expects nothing: say expect, events, error, "
		    "asks, waits or skips");
	if ((y = yaml_get(r->test, "error")) != NULL)
		error_compare(r, y);
	if ((y = yaml_get(r->test, "asks")) != NULL)
		asks_compare(r, y);
	if ((y = yaml_get(r->test, "waits")) != NULL)
		waits_compare(r, y);
	if ((y = yaml_get(r->test, "events")) != NULL)
		events_compare(r, y);
	if ((y = yaml_get(r->test, "expect")) != NULL)
		expect_compare(r, y);
	yaml_flag(&r->at, yaml_get(r->test, "skips"), "skips", &skips);
	if (skips && (r->got_n > 0 ||
			 (r->verdict != EVAL_SKIP && r->verdict != EVAL_OK)))
		instead(r, "nothing to be emitted");
}

/* ---- a file ---- */

static void
attempt(struct run *r)
{
	size_t had = r->at.f->count;

	r->bad = 0;
	r->got_n = r->written_n = r->seen_n = 0;
	r->verdict = EVAL_OK;
	r->path = r->text = r->table = r->wait_type = SLICE_EMPTY;
	buf_reset(r->diff);
	if (yaml_known(&r->at, r->test, words_test, "a test") && feed(r))
		outcomes_compare(r);
	if (r->at.f->count != had) {
		buf_printf(r->diff, "%s", buf_cstr(&r->at.f->text));
		buf_reset(&r->at.f->text);
		r->bad++;
	}
}

/* A test that fails is run once more, now with the explanation of what differs;
 * one that passes pays nothing for it. */
static bool
test_one(struct run *r, bool verbose, FILE *out)
{
	const struct yaml *name = yaml_get(r->test, "name");
	size_t had = r->at.f->count;
	struct buf why;

	r->why = NULL;
	attempt(r);
	if (r->bad > 0 && r->at.f->count == had) {
		buf_init(&why, 16 * MAPTEST_VALUE);
		r->why = &why;
		eval_explain(r->eval, &why, EXPLAIN_TEXT);
		attempt(r);
		eval_explain(r->eval, NULL, EXPLAIN_TEXT);
		r->why = NULL;
		buf_fini(&why);
	}
	if (r->bad > 0)
		fprintf(out, "FAIL %s:%u: %.*s\n%s", r->at.file, r->test->line,
		    name != NULL ? (int)name->text.n : 7,
		    name != NULL ? (const char *)name->text.p : "no name",
		    buf_cstr(r->diff));
	else if (verbose)
		fprintf(out, "ok   %s:%u: %.*s\n", r->at.file, r->test->line,
		    name != NULL ? (int)name->text.n : 7,
		    name != NULL ? (const char *)name->text.p : "no name");
	return r->bad == 0;
}

/* What no test reached: named with verbose, else only counted. */
static void
coverage(const struct mapfile *m, const char *path, const uint32_t *hits,
    bool verbose, FILE *out, struct maptest *count)
{
	static const char *const words[] = {[COVER_FIELD] = "is never written",
	    [COVER_ROW] = "is never looked up",
	    [COVER_TRUE] = "is never true",
	    [COVER_FALSE] = "is never false"};
	const struct cover_point *points;
	size_t n = mapping_points(m->map, &points);

	count->points += n;
	for (size_t i = 0; i < n; i++) {
		count->reached += hits[i] > 0;
		if (points[i].kind == COVER_FIELD) {
			count->fields.points++;
			count->fields.reached += hits[i] > 0;
		} else if (points[i].kind == COVER_ROW) {
			count->rows.points++;
			count->rows.reached += hits[i] > 0;
		} else {
			count->conditions.points++;
			count->conditions.reached += hits[i] > 0;
		}
		if (hits[i] == 0 && verbose)
			fprintf(out, "     %s:%u: %.*s %s\n", path,
			    points[i].line, SLICE_ARG(points[i].name),
			    words[points[i].kind]);
	}
}

static enum err
tests_run(const struct mapfile *m, const char *path, bool verbose, FILE *out,
    struct faults *f, struct maptest *count)
{
	const struct yaml *tests = yaml_get(m->root, "tests");
	struct run *r = calloc(1, sizeof(*r));
	const struct cover_point *points;
	uint32_t *hits =
	    calloc(mapping_points(m->map, &points) + 1, sizeof(*hits));
	struct arena a;
	struct buf diff;

	if (r == NULL || hits == NULL || (r->eval = eval_new()) == NULL) {
		free(r);
		free(hits);
		return err_note(ERR_NOMEM, "no memory for tests");
	}
	eval_cover(r->eval, hits);
	r->m = m;
	r->at = (struct yaml_at){path, f};
	r->a = &a;
	r->diff = &diff;
	arena_init(&a, TEST_MEMORY);
	buf_init(&diff, 1024 * 1024);
	for (const struct yaml *y = tests != NULL ? tests->child : NULL;
	     y != NULL; y = y->next) {
		r->test = y;
		if (given_absent(y))
			count->absent++;
		else if (test_one(r, verbose, out))
			count->passed++;
		else
			count->failed++;
		arena_reset(&a);
	}
	if (tests == NULL || tests->count == 0)
		count->untested++;
	coverage(m, path, hits, verbose, out, count);
	buf_fini(&diff);
	arena_fini(&a);
	eval_free(r->eval);
	free(hits);
	free(r);
	return ERR_OK;
}

enum err
maptest_file(const char *path, bool verbose, FILE *out, struct maptest *count)
{
	struct mapfile m;
	struct faults f;
	enum err e;

	faults_init(&f);
	e = mapfile_open(&m, path, &f);
	if (e == ERR_OK) {
		buf_reset(&f.text); /* warnings are for `map check` */
		e = tests_run(&m, path, verbose, out, &f, count);
	} else {
		count->failed++;
		fprintf(out, "FAIL %s\n%s", path,
		    f.count > 0 ? buf_cstr(&f.text) : "");
		if (f.count == 0)
			fprintf(out, "    %s\n", err_last());
	}
	mapfile_close(&m);
	faults_fini(&f);
	return e;
}
