/* intake - see intake.h. The order of steps is that of mappings/PACKS.md. */
#include "connectors/receiver/intake.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "broker/base/crypt.h"
#include "broker/base/say.h"
#include "broker/wire/frame.h"
#include "connectors/sdk/native.h"
#include "connectors/sdk/trace.h"
#include "mappings/engine/xml.h"

#define DATA_MAX (2 * DOOR_BODY_MAX) /* decoded, before it is an event */
#define PUB_FULL (FRAME_MAX - 4096)

static const char *const names[] = {
#define OUTCOME_NAME(name, text, status) text,
    OUTCOME_TABLE(OUTCOME_NAME)
#undef OUTCOME_NAME
};

static const int statuses[] = {
#define OUTCOME_STATUS(name, text, status) status,
    OUTCOME_TABLE(OUTCOME_STATUS)
#undef OUTCOME_STATUS
};

const char *
outcome_name(enum outcome o)
{
	return names[o];
}

int
outcome_status(enum outcome o)
{
	return statuses[o];
}

void
intake_init(struct intake *in)
{
	memset(in, 0, offsetof(struct intake, records));
	buf_init(&in->records, 4 * DOOR_BODY_MAX);
	arena_init(&in->item, DATA_MAX);
	in->pubs_n = 0;
	in->bad_items = 0;
}

void
intake_fini(struct intake *in)
{
	buf_fini(&in->records);
	arena_fini(&in->item);
}

/* Everything one request needs on its way. */
struct job {
	struct intake *in;
	const struct door *door;
	const struct sdk_system *system;
	struct request *q;
	int64_t now;
	struct arena *scratch;
	struct formula_env env;
	struct buf data; /* the body, decoded */
	struct buf text; /* of one formula */
	struct buf event;
};

static bool done(struct job *j, enum outcome what, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* The request goes no further; false, for "return done(...)". */
static bool
done(struct job *j, enum outcome what, const char *fmt, ...)
{
	va_list ap;

	j->in->what = what;
	va_start(ap, fmt);
	(void)vsnprintf(j->in->text, sizeof(j->in->text), fmt, ap);
	va_end(ap);
	return false;
}

/* An error that is none of the sender's: memory, mostly. */
static bool
ours(struct job *j, enum err e)
{
	(void)snprintf(
	    j->in->why, sizeof(j->in->why), "%s: %s", err_text(e), err_last());
	return done(j, OUT_AWAY, "try again later");
}

static bool
passing(enum err e)
{
	return err_class(e) == CLASS_RETRY || err_class(e) == CLASS_FATAL;
}

/* ---- before the body ---- */

static bool
ask_ignore(struct job *j)
{
	bool yes = false;
	enum err e;

	if (j->door->ignore == NULL)
		return true;
	e = formula_true(j->door->ignore, &j->env, j->scratch, &yes);
	if (e != ERR_OK && passing(e))
		return ours(j, e);
	/* absent or odd counts as false: it must prove who it is then */
	return e == ERR_OK && yes ? done(j, OUT_IGNORED, "%s", "") : true;
}

static bool
ask_signature(struct job *j)
{
	enum err e = recipe_verify(
	    j->door->verify, j->q, j->system->all, j->now, j->scratch);

	if (e == ERR_OK)
		return true;
	if (passing(e))
		return ours(j, e);
	(void)snprintf(j->in->why, sizeof(j->in->why), "%s", err_last());
	return done(j, OUT_UNSIGNED, "%s", "");
}

/* The media type without parameters, trimmed. */
static struct slice
media_type(const struct request *q)
{
	struct slice s = SLICE_EMPTY;
	const uint8_t *semi;

	if (params_get(&q->headers, SLICE_LIT("content-type"), &s) == 0)
		return SLICE_EMPTY;
	semi = memchr(s.p, ';', s.n);
	if (semi != NULL)
		s.n = (size_t)(semi - s.p);
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_from(s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool
same_word(struct slice s, const char *word)
{
	return s.n == strlen(word) &&
	       strncasecmp((const char *)s.p, word, s.n) == 0;
}

static bool
ask_type(struct job *j)
{
	struct slice t = media_type(j->q);

	switch (j->door->body) {
	case DOOR_JSON:
		/* many small senders name no type at all */
		if (t.n == 0 || same_word(t, "application/json") ||
		    (t.n > 5 && same_word(slice_from(t, t.n - 5), "+json")))
			return true;
		return done(j, OUT_TYPE, "expected application/json");
	case DOOR_FORM:
		if (same_word(t, "application/x-www-form-urlencoded"))
			return true;
		return done(
		    j, OUT_TYPE, "expected application/x-www-form-urlencoded");
	case DOOR_XML:
		if (t.n == 0 || same_word(t, "application/xml") ||
		    same_word(t, "text/xml") ||
		    (t.n > 4 && same_word(slice_from(t, t.n - 4), "+xml")))
			return true;
		return done(j, OUT_TYPE, "expected application/xml");
	case DOOR_QUERY:
	default:
		return true;
	}
}

/* ---- the body ---- */

static bool
decode_params(struct job *j, const struct params *p, enum recipe_place place)
{
	struct slice name;

	if (p->doubled)
		return done(j, OUT_BROKEN, "a parameter comes twice");
	if (recipe_place(j->door->verify, &name) != place)
		name = SLICE_EMPTY;
	params_put(p, name, &j->data);
	return true;
}

static bool
holds_json(const struct door *d, struct slice name)
{
	for (size_t i = 0; i < d->json_n; i++)
		if (slice_eq(d->json[i], name))
			return true;
	return false;
}

/* The door's `json:` fields become what their text says. */
static bool
decode_fields(struct job *j)
{
	struct buf *to = &j->event; /* not in use yet */
	struct mp_in in = mp_in(buf_all(&j->data));
	struct slice key, value;
	struct mp head, text;
	struct mp_in one;
	uint32_t left;
	enum err e = mp_next(&in, &head);

	buf_reset(to);
	left = e == ERR_OK ? head.count : 0;
	mp_put_map(to, left);
	for (; e == ERR_OK && left > 0; left--) {
		e = mp_value(&in, &key);
		if (e == ERR_OK)
			e = mp_value(&in, &value);
		if (e != ERR_OK)
			break;
		buf_slice(to, key);
		one = mp_in(key);
		e = mp_next(&one, &text);
		if (e != ERR_OK || !holds_json(j->door, text.bytes)) {
			buf_slice(to, value);
			continue;
		}
		key = text.bytes;
		one = mp_in(value);
		e = mp_next(&one, &text);
		if (e == ERR_OK)
			e = json_to_mp(text.bytes, to, NULL);
		if (e != ERR_OK && !passing(e))
			return done(j, e == ERR_LIMIT ? OUT_UNFIT : OUT_BROKEN,
			    "%.*s: %s", SLICE_ARG(key), err_last());
	}
	if (e == ERR_OK)
		e = buf_check(to);
	if (e != ERR_OK)
		return ours(j, e);
	buf_reset(&j->data);
	buf_slice(&j->data, buf_all(to));
	return true;
}

static bool
decode(struct job *j)
{
	struct mp_in in;
	struct mp top;
	enum err e = ERR_OK;

	switch (j->door->body) {
	case DOOR_JSON:
		e = json_to_mp(j->q->body, &j->data, NULL);
		break;
	case DOOR_XML:
		e = xml_to_mp(j->q->body,
		    j->door->schema != NULL ? &j->door->schema->root : NULL,
		    false, &j->data);
		break;
	case DOOR_FORM:
		if (!decode_params(j, &j->q->form, RECIPE_FIELD))
			return false;
		break;
	case DOOR_QUERY:
		if (!decode_params(j, &j->q->query, RECIPE_PARAM))
			return false;
		break;
	}
	if (e == ERR_OK)
		e = buf_check(&j->data);
	if (e != ERR_OK && passing(e))
		return ours(j, e);
	if (e == ERR_LIMIT)
		return done(j, OUT_UNFIT, "%s", err_last());
	if (e != ERR_OK)
		return done(j, OUT_BROKEN, "broken %s: %s",
		    j->door->body == DOOR_XML ? "XML" : "JSON", err_last());
	if (j->door->json_n > 0 && !decode_fields(j))
		return false;
	in = mp_in(buf_all(&j->data));
	e = mp_next(&in, &top);
	if (e != ERR_OK)
		return ours(j, e);
	if (top.type != MP_MAP && !(top.type == MP_ARRAY && j->door->items))
		return done(j, OUT_BROKEN, "at the top, an object is expected");
	j->env.in = buf_all(&j->data);
	return true;
}

/* Which row, by `by`; *row is NULL when it is to be kept as unknown. */
static bool
choose(struct job *j, const struct door_row **row)
{
	enum err e;

	*row = door_row(j->door, SLICE_EMPTY);
	if (j->door->by == NULL)
		return true;
	buf_reset(&j->text);
	e = formula_text(j->door->by, &j->env, j->scratch, &j->text);
	if (e == ERR_OK)
		e = buf_check(&j->text);
	if (e != ERR_OK && passing(e))
		return ours(j, e);
	if (e != ERR_OK || j->text.n == 0)
		return done(j, OUT_BROKEN, "what it is about is missing");
	*row = door_row(j->door, buf_all(&j->text));
	if (*row == NULL && !j->door->keep)
		return done(j, OUT_DROPPED, "%s", "");
	return true;
}

/* ---- one event ---- */

static enum err
fill_unknown(struct job *j, struct event *ev)
{
	uint8_t sum[32];
	struct buf b;
	enum err e;

	buf_init(&b, EVENT_TEXT);
	sha256(ev->data, sum);
	hex_put(&b, slice_of(sum, 16));
	e = arena_copy(j->scratch, buf_all(&b), &ev->id);
	buf_reset(&b);
	buf_printf(&b, "%.*s.unknown", SLICE_ARG(j->system->pack->name));
	if (e == ERR_OK)
		e = arena_copy(j->scratch, buf_all(&b), &ev->type);
	buf_reset(&b);
	buf_printf(&b, "%.*s:unknown", SLICE_ARG(j->system->pack->name));
	if (e == ERR_OK)
		e = arena_copy(j->scratch, buf_all(&b), &ev->subject);
	buf_fini(&b);
	return e;
}

/* Append one event to the records, in a further PUB where the last is full. */
static enum err
add(struct job *j, const struct event *ev)
{
	struct intake *in = j->in;
	struct intake_pub *p =
	    in->pubs_n > 0 ? &in->pubs[in->pubs_n - 1] : NULL;
	enum err e;

	buf_reset(&j->event);
	event_write(&j->event, ev);
	e = buf_check(&j->event);
	if (e != ERR_OK || j->event.n > EVENT_MAX)
		return err_note(ERR_LIMIT, "over %d bytes", EVENT_MAX);
	if (p == NULL || p->count == FRAME_RECORDS ||
	    p->to - p->from + j->event.n > PUB_FULL) {
		if (in->pubs_n == INTAKE_PUBS)
			return err_note(ERR_LIMIT, "the batch is too large");
		p = &in->pubs[in->pubs_n++];
		*p = (struct intake_pub){in->records.n, in->records.n, 0};
	}
	record_write(&in->records, REC_EVENT, buf_all(&j->event));
	p->to = in->records.n;
	p->count++;
	return buf_check(&in->records);
}

static enum err
take_one(struct job *j, const struct door_row *row, struct slice data)
{
	struct arena *scratch = &j->in->item;
	struct event ev;
	enum err e;

	arena_reset(scratch);

	native_init(&ev);
	ev.source = j->system->conf->name;
	ev.data = data;
	ev.time = j->now;
	j->env.in = data;
	(void)params_get(
	    &j->q->headers, SLICE_LIT("traceparent"), &ev.traceparent);
	e = trace_take(ev.traceparent, scratch, &ev.traceparent);
	if (e != ERR_OK)
		return e;
	e = row != NULL ? native_fill(row, &j->env, j->now, scratch, &ev)
			: fill_unknown(j, &ev);
	return e == ERR_OK ? add(j, &ev) : e;
}

static void
say_item(const struct job *j, uint32_t at)
{
	char place[16];
	char name[64];

	(void)snprintf(place, sizeof(place), "%u", at);
	(void)snprintf(
	    name, sizeof(name), "%.*s", SLICE_ARG(j->system->conf->name));
	say_kv(SAY_WARN, "receiver", "an item of a batch is left out", "system",
	    name, "item", place, "why", err_last(), NULL);
}

static bool
take_items(struct job *j, const struct door_row *row)
{
	struct buf list;
	struct mp_in in;
	struct mp v;
	struct slice item;
	uint32_t n = 0;
	enum err e;

	buf_init(&list, DATA_MAX);
	e = formula_mp(j->door->items, &j->env, j->scratch, &list);
	in = mp_in(buf_all(&list));
	if (e == ERR_OK)
		e = mp_next(&in, &v);
	/* a map stands for a list of one */
	if (e == ERR_OK && v.type == MP_MAP)
		in = mp_in(buf_all(&list));
	else if (e == ERR_OK && v.type != MP_ARRAY)
		e = err_note(ERR_TYPE, "items: it is neither a list nor a map");
	if (e == ERR_OK)
		n = v.type == MP_MAP ? 1 : v.count;
	for (uint32_t i = 0; e == ERR_OK && i < n; i++) {
		e = mp_value(&in, &item);
		if (e == ERR_OK)
			e = take_one(j, row, item);
		if (e != ERR_OK && !passing(e)) {
			say_item(j, i + 1);
			j->in->bad_items++;
			e = ERR_OK;
		}
	}
	buf_fini(&list);
	if (e != ERR_OK)
		return passing(e) ? ours(j, e)
				  : done(j, OUT_UNFIT, "%s", err_last());
	if (n == 0) /* an empty batch: heard, and nothing to keep */
		return done(j, OUT_DROPPED, "%s", "");
	if (j->in->pubs_n == 0)
		return done(j, OUT_UNFIT, "no item can be taken");
	return true;
}

static void
steps(struct job *j)
{
	const struct door_row *row;
	enum err e;

	if (j->door->body == DOOR_FORM) {
		e = params_parse(j->q->body, j->scratch, &j->q->form);
		if (e != ERR_OK) {
			(void)done(j, OUT_BROKEN, "%s", err_last());
			return;
		}
	}
	request_mp(j->q, j->door->wants_body, &j->event);
	if (buf_check(&j->event) != ERR_OK ||
	    arena_copy(j->scratch, buf_all(&j->event), &j->q->mp) != ERR_OK) {
		(void)ours(j, ERR_NOMEM);
		return;
	}
	j->env.request = j->q->mp;
	if (!ask_ignore(j) || !ask_signature(j) || !ask_type(j) || !decode(j) ||
	    !choose(j, &row))
		return;
	if (j->door->items != NULL) {
		(void)take_items(j, row);
		return;
	}
	e = take_one(j, row, buf_all(&j->data));
	if (e != ERR_OK)
		(void)(passing(e) ? ours(j, e)
				  : done(j, OUT_UNFIT, "%s", err_last()));
}

void
intake_take(struct intake *in, const struct door *door,
    const struct sdk_system *system, struct request *q, int64_t now,
    struct arena *scratch)
{
	struct job j = {.in = in,
	    .door = door,
	    .system = system,
	    .q = q,
	    .now = now,
	    .scratch = scratch};

	in->what = OUT_STORED;
	j.env = (struct formula_env){SLICE_EMPTY, system->all, SLICE_EMPTY, 0};
	buf_init(&j.data, DATA_MAX);
	buf_init(&j.text, 65536);
	buf_init(&j.event, DATA_MAX);
	steps(&j);
	buf_fini(&j.data);
	buf_fini(&j.text);
	buf_fini(&j.event);
}
