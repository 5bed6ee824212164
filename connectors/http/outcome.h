/*
 * outcome - what an answer means for the request it answers: pure, from the
 * row of `send:`, the answer and the request.
 *
 * The rows of `outcome:` are tried in order; without one that fits, 2xx is ok,
 * 408 and 5xx retry, 429 defer, all else reject. An answer that is no JSON
 * where JSON is expected is never ok: a proxy's page with status 200 says
 * nothing of what became of the request.
 */
#ifndef VAYLA_HTTP_OUTCOME_H
#define VAYLA_HTTP_OUTCOME_H

#include "connectors/http/plan.h"
#include "connectors/http/web.h"

struct outcome {
	enum plan_verdict is;
	int64_t after_ms;
	char text[1024]; /* for people; empty when ok */
};

/* The answer's body as one msgpack value for $in: appended to `out`, nothing
 * when it is empty or not what is expected; *odd is that last case. `shape`: of
 * XML, the schema that says what repeats, or NULL. */
enum err answer_decode(const struct web_answer *a, enum plan_expect expect,
    const struct schema *shape, struct buf *out, bool *odd) MUST_CHECK;

/* $request: `base` (a map's content of `pairs` pairs) and the answer's headers.
 */
void answer_request(struct slice base, uint32_t pairs,
    const struct web_answer *a, struct buf *out);

/* `env` holds $in, $request, $settings and $status of this answer. */
void outcome_of(const struct plan_request *r, const struct web_answer *a,
    bool odd, const struct formula_env *env, struct arena *scratch,
    struct outcome *out);

/* Did the far side fail, in the breaker's sense? */
bool outcome_failed(const struct web_answer *a);

#endif
