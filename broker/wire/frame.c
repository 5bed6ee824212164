/*
 * frame - verbs, records in a blob, and the bodies of settlements, actions and
 * timers as tables (fields.h).
 */
#include "broker/wire/fields.h"
#include "broker/wire/frame.h"

#define MAGIC "VY1"

static const char *const verbs[VERB_COUNT] = {"HELLO", "PUB", "SUB", "ASK",
    "PING", "BYE", "WELCOME", "PUBOK", "PUBNO", "EVT", "REPLY", "PONG", "ERR"};

const char *
verb_name(enum verb v)
{
	return v < VERB_COUNT ? verbs[v] : "?";
}

enum verb
verb_read(struct slice frame)
{
	if (!slice_starts(frame, SLICE_LIT(MAGIC)))
		return VERB_COUNT;
	frame = slice_from(frame, sizeof(MAGIC) - 1);
	for (int v = 0; v < VERB_COUNT; v++)
		if (slice_is(frame, verbs[v]))
			return (enum verb)v;
	return VERB_COUNT;
}

void
verb_write(struct buf *out, enum verb v)
{
	buf_str(out, MAGIC);
	buf_str(out, verb_name(v));
}

static enum err
record_read(struct mp_in *in, enum record_kind *kind, struct slice *body)
{
	struct mp m;
	enum err e;

	e = mp_next(in, &m);
	if (e != ERR_OK)
		return e;
	if (m.type != MP_ARRAY || m.count != 2)
		return err_note(ERR_SYNTAX, "a record must be [kind, body]");
	e = mp_next(in, &m);
	if (e != ERR_OK)
		return e;
	if (m.type != MP_INT || m.i < REC_EVENT || m.i > REC_ACTION)
		return err_note(ERR_SYNTAX,
		    "a record's kind must be 1 (event), 2 (settlement) or 3 "
		    "(action)");
	*kind = (enum record_kind)m.i;
	e = mp_value(in, body);
	if (e != ERR_OK)
		return e;
	e = mp_check(*body);
	if (e != ERR_OK)
		return e;
	if ((body->p[0] & 0xf0) != 0x80 && body->p[0] != 0xde &&
	    body->p[0] != 0xdf)
		return err_note(ERR_SYNTAX, "a record's body must be a map");
	return ERR_OK;
}

bool
record_next(
    struct mp_in *in, enum record_kind *kind, struct slice *body, enum err *e)
{
	*e = ERR_OK;
	if (in->p == in->end)
		return false;
	*e = record_read(in, kind, body);
	return *e == ERR_OK;
}

void
record_write(struct buf *out, enum record_kind kind, struct slice body)
{
	mp_put_array(out, 2);
	mp_put_uint(out, kind);
	buf_slice(out, body);
}

static const char *const verdicts[] = {
    "ok", "retry", "defer", "reject", "ask", "wait", "behind", "skip"};

const char *
settle_name(enum settle_verdict v)
{
	return v <= SETTLE_SKIP ? verdicts[v] : "?";
}

enum settle_verdict
settle_by_name(struct slice name)
{
	int v;

	for (v = 0; v <= SETTLE_SKIP; v++)
		if (slice_is(name, verdicts[v]))
			break;
	return (enum settle_verdict)v;
}

#define S(member, kind, max) FIELD(struct settle, member, #member, kind, max)
static const struct field settle_rows[] = {
    S(sub, FIELD_TEXT, EVENT_TEXT),
    S(seq, FIELD_U64, 0),
    S(verdict, FIELD_OWN, 0),
    S(attempt, FIELD_U32, 0),
    S(after_ms, FIELD_MS, 0),
    S(due, FIELD_TIME, 0),
    S(parked, FIELD_BOOL, 0),
    S(text, FIELD_NOTE, SETTLE_TEXT),
    S(path, FIELD_NOTE, SETTLE_TEXT),
    S(where, FIELD_NOTE, SETTLE_TEXT),
    S(table, FIELD_TEXT, EVENT_TEXT),
    S(key, FIELD_TEXT, 0),
    S(wait_type, FIELD_TEXT, EVENT_TEXT),
    S(wait_key, FIELD_TEXT, 0),
    S(wait_by_ref, FIELD_BOOL, 0),
    S(effect, FIELD_MAP, 0),
};
#undef S

static enum err
verdict_read(const struct field *f, struct mp_in *in, void *s)
{
	struct settle *to = s;
	struct mp m;
	enum err e = mp_next(in, &m);

	(void)f;
	if (e != ERR_OK)
		return e;
	if (m.type == MP_STR)
		to->verdict = settle_by_name(m.bytes);
	if (m.type != MP_STR || to->verdict > SETTLE_SKIP)
		return err_note(ERR_TYPE,
		    "settlement: `verdict` must be ok, retry, defer, reject or "
		    "ask");
	return ERR_OK;
}

static bool
verdict_there(const struct field *f, const void *s)
{
	(void)f;
	(void)s;
	return true;
}

static void
verdict_write(const struct field *f, struct buf *out, const void *s)
{
	const struct settle *from = s;

	(void)f;
	mp_put_cstr(out, settle_name(from->verdict));
}

static const struct fields settle_table = {
    .what = "settlement",
    .row = settle_rows,
    .n = sizeof(settle_rows) / sizeof(settle_rows[0]),
    .read = verdict_read,
    .there = verdict_there,
    .write = verdict_write,
};

void
settle_init(struct settle *s)
{
	memset(s, 0, sizeof(*s));
	s->sub = s->text = s->path = s->where = SLICE_EMPTY;
	s->table = s->key = s->wait_type = s->wait_key = SLICE_EMPTY;
	s->effect = SLICE_EMPTY;
}

enum err
settle_read(struct slice mp, struct settle *out)
{
	enum err e;

	settle_init(out);
	out->verdict = (enum settle_verdict)(SETTLE_SKIP + 1); /* none yet */
	e = fields_read(&settle_table, mp, out);
	if (e != ERR_OK)
		return e;
	if (out->sub.n == 0 || out->seq == 0 || out->verdict > SETTLE_SKIP)
		return err_note(ERR_MISSING, "settlement: `%s` is missing",
		    out->sub.n == 0 ? "sub"
		    : out->seq == 0 ? "seq"
				    : "verdict");
	return ERR_OK;
}

void
settle_write(struct buf *out, const struct settle *s)
{
	fields_write(&settle_table, out, s, false);
}

#define A(member, kind, max) FIELD(struct action, member, #member, kind, max)
static const struct field action_rows[] = {
    A(act, FIELD_TEXT, EVENT_TEXT),
    A(by, FIELD_TEXT, EVENT_TEXT),
    A(reason, FIELD_NOTE, SETTLE_TEXT),
    A(sub, FIELD_TEXT, EVENT_TEXT),
    A(seq, FIELD_U64, 0),
    A(system, FIELD_TEXT, EVENT_TEXT),
    A(map, FIELD_TEXT, EVENT_TEXT),
    A(table, FIELD_TEXT, EVENT_TEXT),
    A(key, FIELD_TEXT, 0),
    A(row, FIELD_VALUE, 0),
    A(hash, FIELD_BIN, 32),
    A(since, FIELD_TEXT, EVENT_TEXT),
    A(until, FIELD_TIME, 0),
    A(data, FIELD_VALUE, 0),
};
#undef A

static const struct fields action_table = {
    .what = "action",
    .row = action_rows,
    .n = sizeof(action_rows) / sizeof(action_rows[0]),
};

void
action_init(struct action *a)
{
	memset(a, 0, sizeof(*a));
	a->act = a->by = a->reason = a->sub = SLICE_EMPTY;
	a->system = a->map = a->table = a->key = a->row = SLICE_EMPTY;
	a->hash = a->since = a->data = SLICE_EMPTY;
}

enum err
action_read(struct slice mp, struct action *out)
{
	enum err e;

	action_init(out);
	e = fields_read(&action_table, mp, out);
	if (e == ERR_OK && out->act.n == 0)
		return err_note(ERR_MISSING, "action: `act` is missing");
	return e;
}

void
action_write(struct buf *out, const struct action *a)
{
	fields_write(&action_table, out, a, false);
}

bool
action_is_ruleset(const struct action *a)
{
	return a->hash.n == 32 &&
	       (slice_is(a->act, "ruleset") || slice_is(a->act, "reload") ||
		   slice_is(a->act, "deploy") || slice_is(a->act, "rollback"));
}

static const struct field timer_rows[] = {
    FIELD(struct timer, sub, "sub", FIELD_TEXT, EVENT_TEXT),
    FIELD(struct timer, seq, "seq", FIELD_U64, 0),
    FIELD(struct timer, what, "what", FIELD_TEXT, EVENT_TEXT),
};

static const struct fields timer_table = {
    .what = "timer",
    .row = timer_rows,
    .n = sizeof(timer_rows) / sizeof(timer_rows[0]),
};

enum err
timer_read(struct slice mp, struct timer *out)
{
	enum err e;

	*out = (struct timer){.sub = SLICE_EMPTY, .what = SLICE_EMPTY};
	e = fields_read(&timer_table, mp, out);
	if (e == ERR_OK && (out->sub.n == 0 || out->seq == 0))
		return err_note(ERR_MISSING, "timer: `%s` is missing",
		    out->sub.n == 0 ? "sub" : "seq");
	return e;
}

void
timer_write(struct buf *out, const struct timer *t)
{
	fields_write(&timer_table, out, t, false);
}
