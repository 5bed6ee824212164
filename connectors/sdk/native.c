/* native - see native.h. */
#include "connectors/sdk/native.h"

#include "broker/base/utf8.h"
#include "broker/base/zone.h"
#include "connectors/sdk/trace.h"

#define TEXT_MAX 65536

void
native_init(struct event *ev)
{
	event_init(ev);
}

static bool
passing(enum err e)
{
	return err_class(e) == CLASS_RETRY || err_class(e) == CLASS_FATAL;
}

static enum err
text_of(struct slice text, const char *what, struct arena *scratch,
    struct slice *out)
{
	if (text.n == 0)
		return err_note(ERR_MISSING, "%s: it is blank", what);
	if (text.n > EVENT_TEXT)
		return err_note(
		    ERR_LIMIT, "%s: longer than %d bytes", what, EVENT_TEXT);
	if (!utf8_valid(text))
		return err_note(ERR_SYNTAX, "%s: not UTF-8", what);
	return arena_copy(scratch, text, out);
}

enum err
native_text(const struct formula *x, const struct formula_env *env,
    const char *what, struct arena *scratch, struct slice *out)
{
	struct buf b;
	enum err e;

	buf_init(&b, TEXT_MAX);
	e = formula_text(x, env, scratch, &b);
	if (e == ERR_LIMIT && b.bad)
		e = err_note(ERR_LIMIT, "longer than %d bytes", EVENT_TEXT);
	if (e != ERR_OK && !passing(e))
		e = err_wrap(e, "%s", what);
	if (e == ERR_OK)
		e = text_of(buf_all(&b), what, scratch, out);
	buf_fini(&b);
	return e;
}

static enum err
moment_of(struct slice mp, int64_t now, int64_t *out)
{
	struct mp_in in = mp_in(mp);
	struct mp v;
	bool zoned;
	enum err e = mp_next(&in, &v);

	if (e != ERR_OK)
		return e;
	*out = now;
	if (v.type == MP_TIME)
		*out = v.i;
	else if (v.type == MP_STR)
		e = time_parse(v.bytes, NULL, out, &zoned);
	else if (v.type != MP_NIL)
		return err_note(ERR_TYPE, "time: it is no moment");
	return e == ERR_OK ? e : err_wrap(e, "time");
}

static enum err
moment(const struct formula *x, const struct formula_env *env, int64_t now,
    struct arena *scratch, int64_t *out)
{
	struct buf b;
	enum err e;

	*out = now;
	if (x == NULL)
		return ERR_OK;
	buf_init(&b, TEXT_MAX);
	e = formula_mp(x, env, scratch, &b);
	if (e == ERR_OK)
		e = moment_of(buf_all(&b), now, out);
	else if (e != ERR_MISSING && !passing(e))
		e = err_wrap(e, "time");
	buf_fini(&b);
	return e == ERR_MISSING ? ERR_OK : e;
}

enum err
native_fill(const struct door_row *row, const struct formula_env *env,
    int64_t now, struct arena *scratch, struct event *ev)
{
	enum err e;

	ev->type = row->type;
	if ((e = native_text(row->id, env, "id", scratch, &ev->id)) != ERR_OK ||
	    (e = native_text(row->subject, env, "subject", scratch,
		 &ev->subject)) != ERR_OK ||
	    (e = moment(row->time, env, now, scratch, &ev->time)) != ERR_OK)
		return e;
	if (memchr(ev->subject.p, ':', ev->subject.n) == NULL)
		return err_note(ERR_SYNTAX, "subject: it has no kind");
	e = trace_take(ev->traceparent, scratch, &ev->traceparent);
	if (e != ERR_OK)
		return e;
	if (row->person == NULL)
		return ERR_OK;
	e = native_text(row->person, env, "person", scratch, &ev->person);
	if (e == ERR_OK || passing(e))
		return e;
	/* a guest without an address, or no address at all */
	ev->person = SLICE_EMPTY;
	return ERR_OK;
}
