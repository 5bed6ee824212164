/*
 * plan - the sections of a pack by which a system is asked and told things over
 * HTTP (`auth limits poll send`, mappings/PACKS.md), compiled.
 *
 * Whatever a section says is checked here, before anything is sent; what stays
 * for later is only what depends on data. Secret settings are seen by `auth`
 * alone: a URL, header or body that names one does not load.
 */
#ifndef VAYLA_HTTP_PLAN_H
#define VAYLA_HTTP_PLAN_H

#include "connectors/http/text.h"
#include "connectors/sdk/door.h"
#include "mappings/engine/pack.h"

#define PLAN_OUTCOMES 8
#define PLAN_POLLS 32
#define PLAN_PAGES 1000 /* of one round of a poll, at the most */

enum auth_scheme {
	AUTH_NONE,
	AUTH_BASIC,
	AUTH_BEARER,
	AUTH_HEADER,
	AUTH_OAUTH2
};

struct plan_auth {
	enum auth_scheme scheme;
	struct slice name;			 /* HEADER */
	const struct formula *user, *password;	 /* BASIC; OAUTH2: id, secret */
	const struct formula *token;		 /* BEARER, HEADER: value */
	const struct formula *token_url, *scope; /* OAUTH2; scope or NULL */
	bool in_body;				 /* OAUTH2: id and secret */
};

struct plan_limits {
	int64_t interval_ns; /* between two requests; 0: none */
	int64_t parallel;
	int64_t timeout_ms, connect_ms;
	int64_t failures; /* in a row, then nothing is sent for `pause` */
	int64_t pause_ms;
	int64_t answer_max; /* bytes */
};

enum plan_verdict {
	VERDICT_OK,
	VERDICT_RETRY,
	VERDICT_DEFER,
	VERDICT_REJECT,
	VERDICT_ASK
};

struct plan_outcome {
	enum plan_verdict is;
	const struct formula *when;
	const struct formula *text; /* or NULL */
};

struct plan_request {
	const char *method; /* "PUT"; NULL: nothing is sent */
	struct url_text url;
	size_t headers_n;
	struct header_text *headers;
	enum { BODY_NONE, BODY_DATA, BODY_TREE, BODY_FORM } body;
	struct tree_text tree; /* BODY_TREE, BODY_FORM */
	enum plan_expect { EXPECT_JSON, EXPECT_TEXT, EXPECT_XML } expect;
	const struct schema *shape; /* of an answer in XML, or NULL */
	struct slice idempotency;   /* header's name, or empty */
	size_t outcomes_n;
	struct plan_outcome outcomes[PLAN_OUTCOMES];
	const struct formula *remote; /* or NULL */
	/* find: */
	bool finds;
	struct url_text find_url;
	const struct formula *find_as;
	/* answer: */
	bool answers;
	struct slice answer_type;
	const struct formula *answer_id, *answer_subject, *answer_data;
	/* repeat: */
	bool repeats;
	int64_t every_ms, for_ns;
	const struct formula *until;
};

enum plan_withdrawn { WITHDRAWN_ASK, WITHDRAWN_NOTHING, WITHDRAWN_SEND };

struct plan_send {
	struct slice type;
	struct plan_request request;
	enum plan_withdrawn withdrawn;
	struct plan_request back; /* WITHDRAWN_SEND */
};

struct plan_poll {
	struct slice name;
	int64_t every_ms;
	struct url_text url;
	size_t headers_n;
	struct header_text *headers;
	const struct formula *items; /* or NULL: the answer itself */
	/* cursor */
	bool cursored;
	const struct formula *field;
	int64_t overlap_ns, start_ns;
	/* pages */
	enum { PAGES_NONE, PAGES_LINK, PAGES_PARAM } pages;
	struct slice param; /* its name in the URL */
	int64_t first, size;
	const struct door_row *row;
};

struct plan {
	struct plan_auth auth;
	struct plan_limits limits;
	size_t sends_n, polls_n;
	struct plan_send *sends;
	struct plan_poll *polls;
};

/* Has the pack anything for this connector? */
bool plan_wanted(const struct pack *p);

/* ERR_SYNTAX when `f` got a fault. */
enum err plan_load(const struct pack *p, struct arena *a, struct faults *f,
    struct plan *out) MUST_CHECK;

const struct plan_send *plan_send(const struct plan *p, struct slice type);

#endif
