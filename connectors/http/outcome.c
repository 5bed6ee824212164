/* outcome - see outcome.h. */
#include "connectors/http/outcome.h"

#include <stdio.h>

#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "broker/base/utf8.h"
#include "mappings/engine/xml.h"

#define MISMATCH_MS 60000 /* what a person has to mend is tried so often */

enum err
answer_decode(const struct web_answer *a, enum plan_expect expect,
    const struct schema *shape, struct buf *out, bool *odd)
{
	struct slice s = a->body;
	enum err e;

	*odd = false;
	while (s.n > 0 && (s.p[0] == ' ' || (s.p[0] >= '\t' && s.p[0] <= '\r')))
		s = slice_from(s, 1);
	if (s.n == 0)
		return ERR_OK;
	if (expect == EXPECT_TEXT) {
		if (utf8_valid(a->body))
			mp_put_str(out, a->body);
		else
			*odd = true;
		return buf_check(out);
	}
	e = expect == EXPECT_XML
		? xml_to_mp(s, shape != NULL ? &shape->root : NULL, false, out)
		: json_to_mp(s, out, NULL);
	if (e != ERR_OK && err_class(e) == CLASS_REJECT) {
		*odd = true;
		return ERR_OK;
	}
	return e;
}

void
answer_request(struct slice base, uint32_t pairs, const struct web_answer *a,
    struct buf *out)
{
	mp_put_map(out, pairs + 1);
	buf_slice(out, base);
	mp_put_cstr(out, "headers");
	if (a != NULL)
		params_put(&a->headers, SLICE_EMPTY, out);
	else
		mp_put_map(out, 0);
}

bool
outcome_failed(const struct web_answer *a)
{
	if (a->how == WEB_AWAY || a->how == WEB_BAD_TLS)
		return true;
	return (a->how == WEB_ANSWERED || a->how == WEB_LARGE) &&
	       (a->status >= 500 || a->status == 408);
}

static void say_it(struct outcome *o, enum plan_verdict is, const char *fmt,
    ...) PRINTF_LIKE(3, 4);

static void
say_it(struct outcome *o, enum plan_verdict is, const char *fmt, ...)
{
	va_list ap;

	o->is = is;
	va_start(ap, fmt);
	(void)vsnprintf(o->text, sizeof(o->text), fmt, ap);
	va_end(ap);
}

static void
by_status(const struct web_answer *a, struct outcome *o)
{
	const intmax_t s = (intmax_t)a->status;

	if (a->status >= 200 && a->status < 300)
		say_it(o, VERDICT_OK, "%s", "");
	else if (a->status == 408 || a->status >= 500)
		say_it(o, VERDICT_RETRY, "it answered %jd", s);
	else if (a->status == 429)
		say_it(o, VERDICT_DEFER, "it answered 429: too many requests");
	else if (a->elsewhere)
		say_it(o, VERDICT_REJECT,
		    "it answered %jd, which leads to another host; that is not "
		    "followed: if it has moved, mend its address",
		    s);
	else if (a->status == 401 || a->status == 403)
		say_it(o, VERDICT_REJECT,
		    "it answered %jd: are its credentials in vayla.yaml right, "
		    "and may they do this? Retry it afterwards",
		    s);
	else
		say_it(o, VERDICT_REJECT, "it answered %jd", s);
}

static void
unanswered(const struct web_answer *a, struct outcome *o)
{
	switch (a->how) {
	case WEB_PRIVATE:
	case WEB_URL:
		/* a person's to mend: it costs no attempt */
		say_it(o, VERDICT_DEFER, "nothing was sent: %s", a->why);
		o->after_ms = MISMATCH_MS;
		return;
	case WEB_LARGE:
		by_status(a, o);
		if (o->is == VERDICT_OK)
			say_it(o, VERDICT_REJECT,
			    "it answered %jd with more than we read, so what "
			    "became of the request is not known: look there, "
			    "then skip or retry it",
			    (intmax_t)a->status);
		return;
	case WEB_BAD_TLS:
		say_it(o, VERDICT_RETRY, "nothing was sent: %s", a->why);
		return;
	case WEB_AWAY:
	case WEB_ANSWERED:
	default:
		say_it(o, VERDICT_RETRY, "no answer: %s", a->why);
		return;
	}
}

/* The first row that fits. True when one did, or one cannot be told. */
static bool
by_rows(const struct plan_request *r, const struct formula_env *env,
    struct arena *scratch, struct outcome *o, int64_t status)
{
	struct buf text;
	bool yes;
	enum err e;

	for (size_t i = 0; i < r->outcomes_n; i++) {
		const struct plan_outcome *row = &r->outcomes[i];

		yes = false;
		e = formula_true(row->when, env, scratch, &yes);
		if (e != ERR_OK && e != ERR_MISSING) {
			say_it(o, VERDICT_REJECT,
			    "it answered %jd, and what that means cannot be "
			    "told: %s",
			    (intmax_t)status, err_last());
			return true;
		}
		if (e == ERR_MISSING || !yes)
			continue;
		say_it(o, row->is, "it answered %jd", (intmax_t)status);
		buf_init(&text, sizeof(o->text) - 1);
		if (row->text != NULL &&
		    formula_text(row->text, env, scratch, &text) == ERR_OK &&
		    text.n > 0)
			say_it(o, row->is, "it answered %jd: %.*s",
			    (intmax_t)status, SLICE_ARG(buf_all(&text)));
		buf_fini(&text);
		if (row->is == VERDICT_OK)
			o->text[0] = '\0';
		return true;
	}
	return false;
}

void
outcome_of(const struct plan_request *r, const struct web_answer *a, bool odd,
    const struct formula_env *env, struct arena *scratch, struct outcome *out)
{
	struct slice type = SLICE_EMPTY;

	*out = (struct outcome){.is = VERDICT_OK};
	if (a->how != WEB_ANSWERED) {
		unanswered(a, out);
	} else if (odd && a->status >= 200 && a->status < 300) {
		(void)params_get(&a->headers, SLICE_LIT("content-type"), &type);
		say_it(out, VERDICT_RETRY,
		    "it answered %jd with %.*s%s, which is no %s: is the "
		    "address right, or is a proxy between?",
		    (intmax_t)a->status, SLICE_ARG(type),
		    type.n == 0 ? "something" : "",
		    r->expect == EXPECT_TEXT  ? "text in UTF-8"
		    : r->expect == EXPECT_XML ? "XML"
					      : "JSON");
	} else if (!by_rows(r, env, scratch, out, a->status)) {
		by_status(a, out);
	}
	if (a->retry_ms > 0 &&
	    (out->is == VERDICT_RETRY || out->is == VERDICT_DEFER))
		out->after_ms = a->retry_ms;
}
