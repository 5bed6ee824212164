/* gate - see gate.h. */
#include "connectors/http/gate.h"

#include "broker/base/clock.h"

void
gate_init(struct gate *g, const struct plan_limits *limits)
{
	*g = (struct gate){.limits = limits};
}

static int64_t
ms_until(int64_t at, int64_t now)
{
	return (at - now + NS_PER_MS - 1) / NS_PER_MS;
}

enum gate_word
gate_ask(const struct gate *g, int64_t now, int64_t *ms)
{
	if (g->open_until != 0 && (now < g->open_until || g->probing)) {
		*ms = now < g->open_until ? ms_until(g->open_until, now)
					  : g->limits->timeout_ms;
		return GATE_SHUT;
	}
	if (now < g->hold_until) {
		*ms = ms_until(g->hold_until, now);
		return GATE_SHUT;
	}
	if (g->running >= g->limits->parallel) {
		*ms = INT64_MAX;
		return GATE_WAIT;
	}
	if (now < g->next_at) {
		*ms = ms_until(g->next_at, now);
		return GATE_WAIT;
	}
	*ms = 0;
	return GATE_GO;
}

void
gate_begin(struct gate *g, int64_t now)
{
	g->running++;
	g->next_at =
	    (g->next_at > now ? g->next_at : now) + g->limits->interval_ns;
	if (g->open_until != 0)
		g->probing = true;
}

static void
shut(struct gate *g, int64_t now)
{
	int64_t times = INT64_C(1) << (g->pauses < 4 ? g->pauses : 4);

	if (times > GATE_PAUSE_MAX)
		times = GATE_PAUSE_MAX;
	g->open_until = now + g->limits->pause_ms * times * NS_PER_MS;
	g->pauses++;
	g->probing = false;
}

bool
gate_end(struct gate *g, int64_t now, enum gate_end how)
{
	bool was = g->open_until != 0;

	if (g->running > 0)
		g->running--;
	switch (how) {
	case GATE_WORKED:
		g->failures = g->pauses = 0;
		g->open_until = 0;
		g->probing = false;
		return was;
	case GATE_FAILED:
		g->failures++;
		/* one that was out when it shut says nothing new */
		if (was ? !g->probing : g->failures < g->limits->failures)
			return false;
		shut(g, now);
		return true;
	case GATE_ABORTED:
	default:
		g->probing = false;
		return false;
	}
}

void
gate_hold(struct gate *g, int64_t now, int64_t ms)
{
	int64_t until = now + ms * NS_PER_MS;

	if (until > g->hold_until)
		g->hold_until = until;
}
