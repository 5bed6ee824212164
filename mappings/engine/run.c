/*
 * run - one event through one mapping: when, joins, then each emit in order.
 *
 * Order of things that can hold an event: a `when` that reads no join is asked
 * first, so an order that is not meant waits for nothing; then all joins are
 * read; then the rest. A fact's id is hash(system, type, subject as written,
 * id).
 */
#include <stdlib.h>

#include "mappings/engine/fact.h"
#include "mappings/engine/run.h"

#define KEY_MAX 256 /* a subject, a ref, an id: bytes as written */

struct eval *
eval_new(void)
{
	struct eval *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	arena_init(&e->own, RUN_SCRATCH);
	e->arena = &e->own;
	buf_init(&e->tmp, 64 * 1024);
	e->out = malloc(MAP_OUTPUT);
	if (e->out == NULL) {
		eval_free(e);
		return NULL;
	}
	return e;
}

void
eval_free(struct eval *e)
{
	if (e == NULL)
		return;
	arena_fini(&e->own);
	buf_fini(&e->tmp);
	free(e->out);
	free(e->vars);
	free(e->bound);
	free(e->slots);
	free(e->outs);
	free(e);
}

void
eval_cover(struct eval *e, uint32_t *hits)
{
	e->hits = hits;
}

void
eval_defaults(struct eval *e, uint32_t *hits)
{
	e->defaults = hits;
}

/* ---- keys ---- */

/* "order:1042" as it is stored: by the installation's scopes. */
static enum err
stored(struct eval *e, const struct expr *x, struct slice written,
    struct slice *out)
{
	const struct scope *s = e->in->scope;

	if (s == NULL) {
		*out = written;
		return ERR_OK;
	}
	buf_reset(&e->tmp);
	if (s->resolve(s->self, written, &e->tmp) != ERR_OK)
		return fail_at(e, x, ERR_SYNTAX, "%s", err_last());
	if (arena_copy(e->arena, buf_all(&e->tmp), out) != ERR_OK)
		return fail_scratch(e, x);
	return ERR_OK;
}

/* A decimal whose type was not known at load. */
static enum err
no_decimal(struct eval *e, const struct expr *x)
{
	struct val v;

	if (x->type->kind != K_ANY)
		return ERR_OK;
	TRY(run_expr(e, x, &v));
	if (v.tag == V_DEC || v.tag == V_WIDE)
		return fail_at(e, x, ERR_TYPE,
		    "no decimals in a key: 3.0 and 3.00 would be two; write "
		    "text(.., places)");
	return ERR_OK;
}

/* A key's text: no decimals, not empty, not long. */
static enum err
key_text(struct eval *e, const struct expr *x, struct slice *out)
{
	uint16_t i;

	TRY(no_decimal(e, x));
	for (i = 0; x->op == X_HOLES && i < x->n; i++)
		TRY(no_decimal(e, x->args[i].x));
	TRY(run_text(e, x, out));
	if (out->n == 0)
		return fail_at(e, x, ERR_RANGE, "this is empty");
	if (out->n > KEY_MAX)
		return fail_at(
		    e, x, ERR_RANGE, "over %d bytes as a key", KEY_MAX);
	return ERR_OK;
}

/* ---- JSON within texts ---- */

static enum err
unpack(struct eval *e, const struct schema *s, struct slice *data)
{
	struct buf b;
	enum err err;

	if (s == NULL || data->n == 0)
		return ERR_OK;
	buf_init(&b, RUN_SCRATCH);
	err = schema_unpack(s, *data, &b);
	if (err == ERR_OK)
		err = arena_copy(e->arena, buf_all(&b), data);
	buf_fini(&b);
	return err;
}

/* The input's data as its type's schema reads it. */
static enum err
input_data(struct eval *e, struct slice *data)
{
	const struct program *p = e->p;
	struct slice type;
	enum err err;

	*data = e->in->data;
	if (p->unpack == NULL)
		return ERR_OK;
	for (size_t i = 0; i < e->map->from_n; i++) {
		if (e->map->from_n > 1 &&
		    (!mp_get_str(e->in->event, "type", &type) ||
			!slice_eq(type, e->map->from[i])))
			continue;
		err = unpack(e, p->unpack[i], data);
		return err == ERR_OK ? err
				     : fail_src(e, NULL, err, "%s", err_last());
	}
	return ERR_OK;
}

/* ---- joins ---- */

static enum err
join_absent(struct eval *e, const struct join *j, const struct join_read *r,
    struct slice key, struct val *out)
{
	*out = VAL_ABSENT;
	switch (j->absent) {
	case JOIN_NONE:
		if (j->all)
			*out = (struct val){.tag = V_LIST};
		return ERR_OK;
	case JOIN_SKIP:
		e->fail.verdict = EVAL_SKIP;
		e->fail.err = ERR_NOTFOUND;
		return ERR_NOTFOUND;
	case JOIN_WAIT:
		fail_src(e, r->src, ERR_WAIT,
		    "waits for %.*s of %.*s; it comes, or its time runs out",
		    SLICE_ARG(j->type), SLICE_ARG(key));
		e->fail.verdict = EVAL_WAIT;
		e->result.wait_type = j->type;
		e->result.wait_key = key;
		e->result.wait_by_ref = j->by_ref;
		e->result.wait_ns = j->wait_ns;
		return ERR_WAIT;
	case JOIN_ASK:
		fail_src(e, r->src, ERR_ASK,
		    "there is no %.*s of %.*s; which one is it?",
		    SLICE_ARG(j->type), SLICE_ARG(key));
		e->fail.verdict = EVAL_ASK;
		e->result.table = j->name;
		e->result.key = key;
		return ERR_ASK;
	case JOIN_ERROR:
		break;
	}
	return fail_src(e, r->src, ERR_NOTFOUND,
	    "there is no %.*s of %.*s; publish it first, or say absent: wait "
	    "15m, none, skip or ask",
	    SLICE_ARG(j->type), SLICE_ARG(key));
}

static enum err
join_key(struct eval *e, const struct join_read *r, struct slice *key)
{
	struct slice written;

	if (r->key == NULL) {
		*key = e->subject;
		return ERR_OK;
	}
	TRY(key_text(e, r->key, &written));
	if (r->stored) {
		*key = written;
		return ERR_OK;
	}
	return stored(e, r->key, written, key);
}

static void
keep_read(struct eval *e, uint64_t seq)
{
	size_t i = e->reads_n, k;

	while (i > 0 && e->reads[i - 1] > seq)
		i--;
	if (i > 0 && e->reads[i - 1] == seq)
		return;
	for (k = e->reads_n++; k > i; k--)
		e->reads[k] = e->reads[k - 1];
	e->reads[i] = seq;
}

static enum err
run_join(struct eval *e, const struct join *j, const struct join_read *r)
{
	const struct reader *rd = e->in->reader;
	struct joined *got = NULL;
	struct val v, *list;
	struct slice key;
	size_t n = 0, i;
	enum err err;

	TRY(join_key(e, r, &key));
	err = rd == NULL ? ERR_NOTFOUND
			 : rd->read(rd->self, j, key, e->arena, &got, &n,
			       LANG_JOIN_MAX);
	if (err == ERR_LIMIT)
		return fail_src(e, r->src, ERR_LIMIT,
		    "more than %d of %.*s at %.*s: too many for one join",
		    LANG_JOIN_MAX, SLICE_ARG(j->type), SLICE_ARG(key));
	if (err != ERR_OK && err != ERR_NOTFOUND)
		return fail_src(e, r->src, err, "%s", err_last());
	if (err != ERR_OK)
		n = 0;
	if (n == 0) {
		TRY(join_absent(e, j, r, key, &v));
		return run_bind(e, NULL, r->var, v);
	}
	if (e->reads == NULL) {
		e->reads = run_alloc(
		    e, e->p->joins_n * LANG_JOIN_MAX * sizeof(*e->reads));
		if (e->reads == NULL)
			return fail_scratch(e, NULL);
	}
	if (!j->all && n > 1) {
		got += n - 1;
		n = 1;
	}
	list = run_alloc(e, n * sizeof(*list));
	if (list == NULL || n > LANG_JOIN_MAX)
		return fail_scratch(e, NULL);
	for (i = 0; i < n; i++) {
		keep_read(e, got[i].seq);
		if (got[i].data.n == 0)
			return fail_src(
			    e, r->src, ERR_SYNTAX, "an event without data");
		if ((err = unpack(e, r->unpack, &got[i].data)) != ERR_OK)
			return fail_src(e, r->src, err, "%s", err_last());
		list[i] = (struct val){.tag = V_RAW,
		    .n = (uint32_t)got[i].data.n,
		    .p = got[i].data.p};
	}
	return run_bind(e, NULL, r->var,
	    j->all ? (struct val){.tag = V_LIST, .n = (uint32_t)n, .list = list}
		   : list[0]);
}

/* ---- emits ---- */

static enum err
emit_subject(struct eval *e, const struct emit *em, struct slice *written,
    struct slice *subject)
{
	const struct reader *rd = e->in->reader;
	struct slice ref;
	enum err err;

	e->part = "subject";
	if (em->subject == NULL) {
		*written = *subject = e->subject;
		if (e->subject.n == 0)
			return fail_src(e, em->src, ERR_MISSING,
			    "the input has no subject; say subject:");
		return ERR_OK;
	}
	TRY(key_text(e, em->subject, written));
	if (em->subject_stored) {
		*subject = *written;
		return ERR_OK;
	}
	if (!em->subject_ref)
		return stored(e, em->subject, *written, subject);
	TRY(stored(e, em->subject, *written, &ref));
	err = rd == NULL ? ERR_NOTFOUND
			 : rd->subject_of(rd->self, ref, e->arena, subject);
	if (err == ERR_OK)
		return ERR_OK;
	if (err != ERR_NOTFOUND)
		return fail_at(e, em->subject, err, "%s", err_last());
	switch (em->subject_absent) {
	case SUBJECT_SKIP:
		e->fail.verdict = EVAL_SKIP;
		e->fail.err = ERR_NOTFOUND;
		return ERR_NOTFOUND;
	case SUBJECT_WAIT:
		fail_at(e, em->subject, ERR_WAIT, "waits until %.*s is known",
		    SLICE_ARG(ref));
		e->fail.verdict = EVAL_WAIT;
		e->result.wait_type = SLICE_EMPTY;
		e->result.wait_key = ref;
		e->result.wait_by_ref = true;
		e->result.wait_ns = em->subject_wait_ns;
		return ERR_WAIT;
	case SUBJECT_ASK:
		break;
	}
	fail_at(e, em->subject, ERR_ASK,
	    "nothing is known by the name %.*s; whose is it?", SLICE_ARG(ref));
	e->fail.verdict = EVAL_ASK;
	e->result.table = SLICE_LIT("subject");
	e->result.key = ref;
	return ERR_ASK;
}

/* Does it read what the schema calls optional? Then it may be left out; a
 * required field that is missing refuses the event here as anywhere. */
static bool
ref_optional(const struct expr *x)
{
	if (x->op != X_HOLES)
		return x->type->absent == OPTIONAL;
	for (uint16_t i = 0; i < x->n; i++)
		if (x->args[i].x->type->absent == OPTIONAL)
			return true;
	return false;
}

static enum err
emit_refs(struct eval *e, const struct emit *em, struct emitted *ev)
{
	struct slice *refs, written;
	size_t i, n = 0;
	enum err err;

	e->part = "refs";
	if (em->refs_n == 0)
		return ERR_OK;
	refs = run_alloc(e, em->refs_n * sizeof(*refs));
	if (refs == NULL)
		return fail_scratch(e, NULL);
	for (i = 0; i < em->refs_n; i++) {
		err = key_text(e, em->refs[i], &written);
		if (err == ERR_MISSING && e->fail.absent &&
		    ref_optional(em->refs[i])) {
			fail_clear(e);
			continue;
		}
		TRY(err);
		TRY(stored(e, em->refs[i], written, &refs[n++]));
	}
	ev->refs = refs;
	ev->refs_n = n;
	return ERR_OK;
}

static enum err
emit_again(struct eval *e, const struct emit *em, struct emitted *ev)
{
	size_t at = e->out_n;
	struct val v;

	ev->again = em->again;
	if (em->again_by == NULL)
		return ERR_OK;
	e->part = "again";
	TRY(run_need(e, em->again_by, &v));
	if (v.tag == V_RAW || v.tag == V_LIST || v.tag == V_REC)
		return fail_at(e, em->again_by, ERR_TYPE,
		    "revise by wants a time, a number or text, not %s",
		    val_name(&v));
	TRY(write_val(e, em->again_by, &v));
	if (arena_copy(e->arena, slice_of(e->out + at, e->out_n - at),
		&ev->again_by) != ERR_OK)
		return fail_scratch(e, em->again_by);
	e->out_n = at;
	return ERR_OK;
}

/* Says both sides of a comparison that failed. */
static enum err
check_failed(struct eval *e, const struct expr *x)
{
	struct val a, b;
	struct buf t;
	enum err err;

	if (x->op == X_AND) {
		bool first;

		TRY(run_true(e, x->args[0].x, &first));
		return check_failed(e, x->args[first ? 1 : 0].x);
	}
	if (x->op < X_EQ || x->op > X_GE)
		return fail_at(e, x, ERR_CHECK, "this does not hold");
	TRY(run_expr(e, x->args[0].x, &a));
	TRY(run_expr(e, x->args[1].x, &b));
	buf_init(&t, 1024);
	val_show(&a, &t);
	buf_str(&t, " on the left, ");
	val_show(&b, &t);
	buf_str(&t, " on the right");
	err = fail_at(e, x, ERR_CHECK, "this does not hold: %s", buf_cstr(&t));
	buf_fini(&t);
	return err;
}

static enum err
emit_checks(struct eval *e, const struct emit *em)
{
	size_t i;
	bool yes;

	e->part = "check";
	for (i = 0; i < em->checks_n; i++) {
		TRY(run_true(e, em->checks[i], &yes));
		if (!yes)
			return check_failed(e, em->checks[i]);
	}
	return ERR_OK;
}

static void
emit_person(const struct emit *em, struct emitted *ev)
{
	const uint8_t *p = ev->data.p, *end = p + ev->data.n, *behind;
	struct mp_in in;
	struct mp m;
	size_t i;

	ev->person = SLICE_EMPTY;
	if (em->person_n == 0)
		return;
	for (i = 0; i < em->person_n; i++) {
		p = scan_find(p, end, em->person[i].name, &behind);
		if (p == NULL)
			return;
		end = behind;
	}
	in = mp_in(slice_of(p, (size_t)(end - p)));
	if (mp_next(&in, &m) == ERR_OK && m.type == MP_STR)
		ev->person = m.bytes;
}

/* One id twice: the same data are one event, others a mistake. */
static enum err
emit_add(struct eval *e, const struct emit *em, const struct emitted *ev,
    size_t out_at)
{
	struct emitted *more;
	size_t i, cap;

	for (i = 0; i < e->events_n; i++) {
		if (!slice_eq(e->events[i].id, ev->id))
			continue;
		if (slice_eq(e->events[i].data, ev->data)) {
			e->out_n = out_at;
			return ERR_OK;
		}
		e->part = "id";
		return fail_at(e, em->id, ERR_EXISTS,
		    "two events with this id and different data; let the id "
		    "say what tells them apart");
	}
	if (e->events_n >= MAP_EVENTS) {
		e->part = "each";
		return fail_src(e, em->src, ERR_BUDGET,
		    "more than %d events from one", MAP_EVENTS);
	}
	if (e->events_n == e->events_cap) {
		cap = e->events_cap > 0 ? e->events_cap * 2 : 4;
		more = run_alloc(e, cap * sizeof(*more));
		if (more == NULL)
			return fail_scratch(e, NULL);
		if (e->events_n > 0)
			memcpy(more, e->events, e->events_n * sizeof(*more));
		e->events = more;
		e->events_cap = cap;
	}
	e->events[e->events_n++] = *ev;
	return ERR_OK;
}

static enum err
run_emit_once(struct eval *e, void *ctx)
{
	const struct emit *em = ctx;
	struct emitted ev = {
	    .type = em->type, .refs = NULL, .again_by = SLICE_EMPTY};
	struct slice written, id;
	char *hex;
	size_t at = e->out_n;
	enum err err;
	bool yes;

	run_unbind(e, &em->lets);
	e->part = "when";
	if (em->when != NULL) {
		TRY(run_true(e, em->when, &yes));
		run_hit(e, em->when_point + (yes ? 0 : 1));
		if (e->explain != NULL)
			explain_when(e, em->when, yes);
		if (!yes)
			return ERR_OK;
	}
	err = emit_subject(e, em, &written, &ev.subject);
	if (err != ERR_OK && e->fail.verdict == EVAL_SKIP) {
		fail_clear(e); /* this event only */
		e->skipped = true;
		return ERR_OK;
	}
	TRY(err);
	e->part = "id";
	TRY(key_text(e, em->id, &id));
	hex = run_alloc(e, FACT_ID + 1);
	if (hex == NULL)
		return fail_scratch(e, em->id);
	fact_id(e->in->system, em->type, written, id, hex);
	ev.id = slice_of(hex, FACT_ID);
	TRY(emit_refs(e, em, &ev));
	TRY(emit_again(e, em, &ev));
	e->part = NULL;
	e->copied = false;
	if (e->explain != NULL)
		explain_event(e, em->type, ev.subject, id);
	TRY(run_data(e, em));
	ev.data = slice_of(e->out + at, e->out_n - at);
	/* what was copied may nest deeper here than it did in the input */
	if (e->copied && mp_check(ev.data) != ERR_OK) {
		e->part = "data";
		return fail_src(e, em->src, ERR_LIMIT, "%s", err_last());
	}
	TRY(emit_checks(e, em));
	emit_person(em, &ev);
	TRY(emit_add(e, em, &ev, at));
	e->part = "each";
	return ERR_OK;
}

static enum err
run_emit(struct eval *e, const struct emit *em)
{
	bool stop = false;

	e->emit = em;
	e->part = "each";
	if (em->each == NULL)
		return run_emit_once(e, (void *)(uintptr_t)em);
	return iter_loops(
	    e, em->each, run_emit_once, (void *)(uintptr_t)em, &stop);
}

/* ---- the whole ---- */

static struct val
raw(struct slice s)
{
	return s.n > 0
		   ? (struct val){.tag = V_RAW, .n = (uint32_t)s.n, .p = s.p}
		   : VAL_ABSENT;
}

static enum err
run_when(struct eval *e, bool *go)
{
	const struct program *p = e->p;

	*go = true;
	if (p->when == NULL)
		return ERR_OK;
	e->part = "when";
	TRY(run_true(e, p->when, go));
	run_hit(e, p->when_point + (*go ? 0 : 1));
	if (e->explain != NULL)
		explain_when(e, p->when, *go);
	return ERR_OK;
}

static enum err
run_all(struct eval *e, bool *go)
{
	const struct program *p = e->p;
	struct slice data;
	size_t i;

	*go = true;
	TRY(input_data(e, &data));
	TRY(run_bind(e, NULL, p->in, raw(data)));
	TRY(run_bind(e, NULL, p->event, raw(e->in->event)));
	TRY(run_bind(e, NULL, p->settings, raw(e->in->settings)));
	if (p->when_first)
		TRY(run_when(e, go));
	if (!*go)
		return ERR_OK;
	for (i = 0; i < p->joins_n; i++) {
		e->part = p->joins[i].part;
		TRY(run_join(e, &e->map->joins[i], &p->joins[i]));
	}
	if (!p->when_first)
		TRY(run_when(e, go));
	for (i = 0; *go && i < p->emits_n; i++)
		TRY(run_emit(e, &p->emits[i]));
	return ERR_OK;
}

static void
input_subject(struct eval *e)
{
	const struct slice ev = e->in->event;
	const uint8_t *at = NULL, *behind;
	struct mp_in in;
	struct mp m;

	e->subject = SLICE_EMPTY;
	if (ev.n > 0)
		at =
		    scan_find(ev.p, ev.p + ev.n, SLICE_LIT("subject"), &behind);
	if (at == NULL)
		return;
	in = mp_in(slice_of(at, (size_t)(behind - at)));
	if (mp_next(&in, &m) == ERR_OK && m.type == MP_STR)
		e->subject = m.bytes;
}

const struct result *
mapping_eval(struct eval *e, const struct mapping *m, const struct input *in)
{
	struct result *r = &e->result;
	bool go = true;
	enum err err;

	arena_reset(&e->own);
	e->map = m;
	e->in = in;
	e->out_n = 0;
	e->steps = 0;
	e->emit = NULL;
	e->part = NULL;
	e->depth = 0;
	e->events = NULL;
	e->events_n = e->events_cap = 0;
	e->reads = NULL;
	e->reads_n = 0;
	e->skipped = false;
	fail_clear(e);
	*r = (struct result){.text = SLICE_EMPTY,
	    .path = SLICE_EMPTY,
	    .where = SLICE_EMPTY,
	    .table = SLICE_EMPTY,
	    .key = SLICE_EMPTY,
	    .wait_type = SLICE_EMPTY,
	    .wait_key = SLICE_EMPTY};
	err = run_prepare(e, m->program);
	if (err == ERR_OK) {
		input_subject(e);
		err = run_all(e, &go);
	}
	r->steps = e->steps;
	r->reads = e->reads;
	r->reads_n = e->reads_n;
	if (err == ERR_OK) {
		if (e->skipped && e->events_n == 0)
			go = false;
		r->verdict = go ? EVAL_OK : EVAL_SKIP;
		r->n = go ? e->events_n : 0;
		r->events = e->events;
	} else if (e->fail.err == ERR_OK) {
		r->verdict = EVAL_ERROR;
		r->err = err;
		r->text = slice_str(err_last());
	} else if (e->fail.verdict == EVAL_SKIP) {
		r->verdict = EVAL_SKIP;
	} else {
		fail_tell(e);
	}
	return r;
}
