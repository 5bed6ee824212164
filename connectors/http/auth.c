/* auth - see auth.h. */
#include "connectors/http/auth.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/crypt.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "broker/base/say.h"
#include "connectors/sdk/params.h"

#define SECRET_MAX 16384
#define SCRATCH (256 * 1024)
#define EARLY_S 60
#define PAUSE_NS (30 * NS_PER_SEC)
#define REFUSED_NS (60 * NS_PER_SEC) /* a second 401 within it is an answer */

struct auth {
	const struct plan_auth *plan;
	struct slice settings;
	struct web *web;
	struct arena scratch;
	struct buf token;
	int64_t until; /* mono; the token's end */
	int64_t retry_at, refused_at;
	bool asking;
	char why[512];
};

enum err
auth_open(struct auth **out, const struct plan_auth *plan,
    struct slice settings, struct web *web)
{
	struct auth *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return err_note(ERR_NOMEM, "credentials");
	a->plan = plan;
	a->settings = settings;
	a->web = web;
	arena_init(&a->scratch, SCRATCH);
	buf_init(&a->token, SECRET_MAX);
	*out = a;
	return ERR_OK;
}

static void
wipe(struct buf *b)
{
	if (b->cap > 0)
		secret_wipe(b->p, b->cap);
	buf_fini(b);
}

void
auth_close(struct auth *a)
{
	if (a == NULL)
		return;
	wipe(&a->token);
	arena_fini(&a->scratch);
	free(a);
}

const char *
auth_why(const struct auth *a)
{
	return a->why;
}

/* A formula over the settings as text, refusing what cannot stand in a header.
 */
static enum err
secret(
    struct auth *a, const struct formula *x, const char *what, struct buf *out)
{
	const struct formula_env env = {
	    SLICE_EMPTY, a->settings, SLICE_EMPTY, 0};
	size_t from = out->n;
	enum err e;

	arena_reset(&a->scratch);
	e = formula_text(x, &env, &a->scratch, out);
	if (e == ERR_OK)
		e = buf_check(out);
	if (e != ERR_OK)
		return err_note(
		    ERR_CONFIG, "auth: %s: the setting is not there", what);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] < ' ' || out->p[i] == 0x7f)
			return err_note(ERR_CONFIG,
			    "auth: %s: it has a control character or a line's "
			    "end",
			    what);
	return ERR_OK;
}

static enum err
put_basic(struct auth *a, bool encoded, struct buf *out)
{
	struct buf pair, one;
	enum err e;

	buf_init(&pair, SECRET_MAX);
	buf_init(&one, SECRET_MAX);
	e = secret(a, a->plan->user, encoded ? "id" : "user", &one);
	if (e == ERR_OK && !encoded && memchr(one.p, ':', one.n) != NULL)
		e = err_note(ERR_CONFIG, "auth: user: it has a colon");
	if (e == ERR_OK) {
		if (encoded)
			params_escape(&pair, buf_all(&one));
		else
			buf_slice(&pair, buf_all(&one));
		buf_byte(&pair, ':');
		buf_reset(&one);
		e = secret(a, a->plan->password,
		    encoded ? "secret" : "password", &one);
	}
	if (e == ERR_OK) {
		if (encoded)
			params_escape(&pair, buf_all(&one));
		else
			buf_slice(&pair, buf_all(&one));
		buf_str(out, "Authorization: Basic ");
		base64_put(out, buf_all(&pair));
		buf_byte(out, '\0');
	}
	wipe(&pair);
	wipe(&one);
	return e == ERR_OK ? buf_check(out) : e;
}

enum err
auth_put(struct auth *a, struct buf *out)
{
	enum err e;

	switch (a->plan->scheme) {
	case AUTH_BASIC:
		return put_basic(a, false, out);
	case AUTH_BEARER:
		buf_str(out, "Authorization: Bearer ");
		e = secret(a, a->plan->token, "token", out);
		break;
	case AUTH_HEADER:
		buf_slice(out, a->plan->name);
		buf_str(out, ": ");
		e = secret(a, a->plan->token, "value", out);
		break;
	case AUTH_OAUTH2:
		buf_str(out, "Authorization: Bearer ");
		buf_slice(out, buf_all(&a->token));
		e = ERR_OK;
		break;
	case AUTH_NONE:
	default:
		return ERR_OK;
	}
	buf_byte(out, '\0');
	return e == ERR_OK ? buf_check(out) : e;
}

/* ---- OAuth2 ---- */

static void failed(struct auth *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void
failed(struct auth *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->why, sizeof(a->why), fmt, ap);
	va_end(ap);
	a->retry_at = clock_mono() + PAUSE_NS;
	say(SAY_WARN, "auth", "%s", a->why);
}

static bool
token_fine(struct slice t)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f)
			return false;
	return t.n > 0 && t.n < SECRET_MAX;
}

static void
on_token(void *arg, const struct web_answer *w)
{
	struct auth *a = arg;
	struct slice token = SLICE_EMPTY;
	int64_t lasts = 3600;
	struct buf mp;

	a->asking = false;
	if (w->how != WEB_ANSWERED) {
		failed(a, "no token: %s", w->why);
		return;
	}
	if (w->status != 200) {
		failed(a,
		    "no token: the token endpoint answers %jd; are id and "
		    "secret right?",
		    (intmax_t)w->status);
		return;
	}
	buf_init(&mp, 1024 * 1024);
	if (json_to_mp(w->body, &mp, NULL) != ERR_OK ||
	    !mp_get_str(buf_all(&mp), "access_token", &token) ||
	    !token_fine(token)) {
		failed(a, "no token: the token endpoint's answer has none");
	} else {
		(void)mp_get_int(buf_all(&mp), "expires_in", &lasts);
		if (lasts < 1 || lasts > 86400 * 365)
			lasts = 3600;
		lasts -= lasts > 2 * EARLY_S ? EARLY_S : lasts / 2;
		buf_reset(&a->token);
		buf_slice(&a->token, token);
		a->until = clock_mono() + lasts * NS_PER_SEC;
		a->why[0] = '\0';
	}
	wipe(&mp);
}

static void
form_field(struct buf *body, const char *name, struct slice value)
{
	if (body->n > 0)
		buf_byte(body, '&');
	buf_str(body, name);
	buf_byte(body, '=');
	params_escape(body, value);
}

static enum err
token_start(struct auth *a)
{
	struct web_request q = {.method = "POST"};
	struct buf url, headers, body, one;
	enum err e;

	buf_init(&url, URL_MAX);
	buf_init(&headers, SECRET_MAX);
	buf_init(&body, 4 * SECRET_MAX);
	buf_init(&one, SECRET_MAX);
	form_field(&body, "grant_type", SLICE_LIT("client_credentials"));
	buf_str(&headers, "Content-Type: application/x-www-form-urlencoded");
	buf_byte(&headers, '\0');
	buf_str(&headers, "Accept: application/json");
	buf_byte(&headers, '\0');
	e = secret(a, a->plan->token_url, "token_url", &url);
	if (e == ERR_OK && a->plan->scope != NULL) {
		e = secret(a, a->plan->scope, "scope", &one);
		form_field(&body, "scope", buf_all(&one));
	}
	if (e == ERR_OK && !a->plan->in_body) {
		e = put_basic(a, true, &headers);
	} else if (e == ERR_OK) {
		buf_reset(&one);
		e = secret(a, a->plan->user, "id", &one);
		form_field(&body, "client_id", buf_all(&one));
		buf_reset(&one);
		if (e == ERR_OK)
			e = secret(a, a->plan->password, "secret", &one);
		form_field(&body, "client_secret", buf_all(&one));
	}
	if (e == ERR_OK)
		e = buf_check(&body);
	if (e == ERR_OK) {
		q.url = buf_cstr(&url);
		q.headers = buf_all(&headers);
		q.body = buf_all(&body);
		e = web_start(a->web, &q, on_token, a);
	}
	buf_fini(&url);
	wipe(&headers);
	wipe(&body);
	wipe(&one);
	return e;
}

enum auth_word
auth_ask(struct auth *a, int64_t now, int64_t *ms)
{
	*ms = 0;
	if (a->plan->scheme != AUTH_OAUTH2 ||
	    (a->token.n > 0 && now < a->until))
		return AUTH_READY;
	if (a->asking)
		return AUTH_WAITS;
	if (now < a->retry_at) {
		*ms = (a->retry_at - now) / NS_PER_MS + 1;
		return AUTH_FAILS;
	}
	if (token_start(a) != ERR_OK) {
		failed(a, "no token: %s", err_last());
		*ms = PAUSE_NS / NS_PER_MS;
		return AUTH_FAILS;
	}
	a->asking = true;
	return AUTH_WAITS;
}

bool
auth_refused(struct auth *a, int64_t now)
{
	if (a->plan->scheme != AUTH_OAUTH2 ||
	    (a->refused_at != 0 && now - a->refused_at < REFUSED_NS))
		return false;
	a->refused_at = now;
	buf_reset(&a->token);
	return true;
}
