/*
 * auth - what proves to a system who we are: the `auth:` section at work. A
 * token of OAuth2 client credentials is kept in memory, asked for anew a minute
 * before it ends, and once when the system refuses it.
 *
 * Secrets are written into the request's headers (or the token request's body)
 * and nowhere else; the memory they were in is wiped.
 */
#ifndef VAYLA_HTTP_AUTH_H
#define VAYLA_HTTP_AUTH_H

#include "connectors/http/plan.h"
#include "connectors/http/web.h"

struct auth;

enum err auth_open(struct auth **out, const struct plan_auth *plan,
    struct slice settings, struct web *web) MUST_CHECK;
void auth_close(struct auth *a); /* NULL is a no-op */

enum auth_word {
	AUTH_READY,
	AUTH_WAITS, /* a token is on its way */
	AUTH_FAILS  /* auth_why() says why; again in `*ms` */
};

/* Begins to get a token where one is needed. */
enum auth_word auth_ask(struct auth *a, int64_t now, int64_t *ms);
const char *auth_why(const struct auth *a);

/* The headers, as web_request wants them. */
enum err auth_put(struct auth *a, struct buf *headers) MUST_CHECK;

/* The system answered 401. True when another token may help. */
bool auth_refused(struct auth *a, int64_t now);

#endif
