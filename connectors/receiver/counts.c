/* counts - see counts.h. */
#include "connectors/receiver/counts.h"

#include <stdio.h>

#include "broker/base/clock.h"
#include "broker/base/mp.h"
#include "broker/base/say.h"

#define REPORT_MAX 62 /* beside the two gauges */
#define LINES_PER_SECOND 10

void
counts_report(const struct counts *c, size_t n, uint64_t connections,
    uint64_t waiting, struct buf *out)
{
	size_t mark = mp_open(out);
	uint32_t put = 2;
	char key[64];

	mp_put_cstr(out, "connections");
	mp_put_uint(out, connections);
	mp_put_cstr(out, "waiting");
	mp_put_uint(out, waiting);
	for (size_t i = 0; i < n; i++)
		for (int o = 0; o < OUT_COUNT && put < REPORT_MAX; o++) {
			if (c[i].of[o] == 0)
				continue;
			(void)snprintf(key, sizeof(key), "%.*s.%s",
			    SLICE_ARG(c[i].system),
			    outcome_name((enum outcome)o));
			mp_put_cstr(out, key);
			mp_put_uint(out, c[i].of[o]);
			put++;
		}
	mp_close_map(out, mark, put);
}

void
counts_metrics(const struct counts *c, size_t n, uint64_t connections,
    uint64_t waiting, struct buf *out)
{
	buf_str(out, "# HELP vayla_receiver_requests_total Requests by what "
		     "became of them.\n"
		     "# TYPE vayla_receiver_requests_total counter\n");
	for (size_t i = 0; i < n; i++)
		for (int o = 0; o < OUT_COUNT; o++)
			buf_printf(out,
			    "vayla_receiver_requests_total{system=\"%.*s\","
			    "outcome=\"%s\"} %llu\n",
			    SLICE_ARG(c[i].system),
			    outcome_name((enum outcome)o),
			    (unsigned long long)c[i].of[o]);
	buf_printf(out,
	    "# TYPE vayla_receiver_connections gauge\n"
	    "vayla_receiver_connections %llu\n"
	    "# TYPE vayla_receiver_waiting gauge\n"
	    "vayla_receiver_waiting %llu\n",
	    (unsigned long long)connections, (unsigned long long)waiting);
}

void
counts_add(struct counts *c, enum outcome what, const char *why)
{
	static int64_t second;
	static int lines;
	int64_t now = clock_mono() / NS_PER_SEC;
	char system[64];

	c->of[what]++;
	if (what == OUT_STORED || what == OUT_IGNORED || what == OUT_DROPPED)
		return;
	if (now != second) {
		second = now;
		lines = 0;
	}
	/* a flood of refusals must not become a flood of log */
	if (lines++ >= LINES_PER_SECOND)
		return;
	(void)snprintf(system, sizeof(system), "%.*s", SLICE_ARG(c->system));
	say_kv(SAY_WARN, "receiver", "a request is refused", "system", system,
	    "outcome", outcome_name(what), "why", why, NULL);
}
