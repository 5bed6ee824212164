/* cmd_status - `vayla status`: what runs, what waits. */
#include <stdio.h>
#include <string.h>

#include "broker/cmd_map.h"

static void
print_system(struct slice s)
{
	struct slice sub, session;
	bool up = mp_get(s, "session", &session) && session.n > 0 &&
		  session.p[0] != 0xc0 && session.p[0] != 0xc2;

	printf("  %-14s %-16s %-8s", cmd_text(s, "name"), cmd_text(s, "pack"),
	    cmd_text(s, "mode"));
	if (mp_get(s, "sub", &sub) && cmd_text(sub, "open")[0] != '\0') {
		printf(" %s delivered, %s open", cmd_text(sub, "settled"),
		    cmd_text(sub, "open"));
		if (!up)
			fputs("; its connector is away", stdout);
	}
	putchar('\n');
}

/* What connectors count of themselves: "receiver: shop.stored 413, ...". */
static void
print_report(struct slice session)
{
	struct slice report, key, value;
	struct mp_in in;
	struct cmd_iter it;
	struct mp n;
	bool any = false;

	if (!mp_get(session, "report", &report))
		return;
	for (it = cmd_map(report); cmd_pair(&it, &key, &value);) {
		in = mp_in(value);
		if (mp_next(&in, &n) != ERR_OK || n.type != MP_INT || n.i == 0)
			continue;
		if (any)
			printf(", ");
		else
			printf("  %-14s ", cmd_text(session, "name"));
		printf("%.*s %lld", SLICE_ARG(key), (long long)n.i);
		any = true;
	}
	if (any)
		putchar('\n');
}

/* What is kept of the journal, and what keeps old segments from going. */
static void
print_journal(struct slice all)
{
	struct slice j, r, pins, p;
	struct cmd_iter it;

	if (mp_get(all, "journal", &j))
		printf("Journal: records %s to %s, %s segments, %s bytes\n",
		    cmd_text(j, "first"), cmd_text(j, "next"),
		    cmd_text(j, "segments"), cmd_text(j, "bytes"));
	if (mp_get(all, "standby", &r))
		printf("  Standby: %s since %s, %s bytes behind, %s turns "
		       "confirmed without it\n",
		    cmd_text(r, "state"), cmd_text(r, "since"),
		    cmd_text(r, "behind"), cmd_text(r, "alone"));
	if (!mp_get(all, "retention", &r))
		return;
	printf("  %s segments whole", cmd_text(r, "segments"));
	if (cmd_text(r, "oldest")[0] != '\0')
		printf(" (from %s)", cmd_text(r, "oldest"));
	printf(", %s trimmed; %s past their time are pinned\n",
	    cmd_text(r, "trimmed"), cmd_text(r, "pinned"));
	if (mp_get(r, "pins", &pins))
		for (it = cmd_list(pins); cmd_next(&it, &p);)
			printf("    %s to %s: %s open%s\n",
			    cmd_text(p, "first"), cmd_text(p, "next"),
			    cmd_text(p, "items"),
			    strcmp(cmd_text(p, "reads"), "true") == 0
				? ", and read by a mapping of what is kept"
				: "");
}

void
cmd_drift(struct slice status, const char *title, int max)
{
	struct slice drift, list, x;
	struct cmd_iter it;
	int n = 0;

	if (!mp_get(status, "drift", &drift) || !mp_get(drift, "list", &list))
		return;
	for (it = cmd_list(list); cmd_next(&it, &x); n++) {
		if (n == 0)
			puts(title);
		if (n == max) {
			printf("  .. %s places in all (-o json)\n",
			    cmd_text(drift, "places"));
			return;
		}
		printf("  %s of %s: %s %s%s%s in %s event%s since %.10s\n",
		    cmd_text(x, "type"), cmd_text(x, "source"),
		    strcmp(cmd_text(x, "what"), "word") == 0 ? "a new word in"
							     : "a new field",
		    cmd_text(x, "path"), cmd_text(x, "value")[0] ? ": " : "",
		    cmd_text(x, "value"), cmd_text(x, "events"),
		    strcmp(cmd_text(x, "events"), "1") == 0 ? "" : "s",
		    cmd_text(x, "first"));
	}
}

int
status_verb(int argc, char **argv)
{
	static const char *const rows[][2] = {{"events", "in the journal"},
	    {"duplicates", "known already"}, {"settled", "delivered"},
	    {"ready", "to be delivered"},
	    {"retry", "failed, and come again later"},
	    {"deferred", "put off, nothing failed"},
	    {"wait", "wait for another event"}, {"ask", "ask a question"},
	    {"parked", "parked: a person must act (vayla inbox list)"}};
	struct cmd c = {0};
	const struct opt opts[] = {CMD_OPTS(&c), {0}};
	const struct command cmd = {"vayla status",
	    "What runs, what came in, what went out, what waits.", opts, 0, 0};
	struct slice all, v, item;
	struct cmd_iter it;
	bool done = false;
	int words = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &words, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	e = cmd_open(&c);
	if (e == ERR_OK)
		e = cmd_ask(&c, "status", NULL);
	if (e == ERR_OK && !cmd_json(&c)) {
		all = buf_all(&c.reply);
		printf("Broker running since %s, console %s\n",
		    cmd_text(all, "started"), c.config->console);
		if (mp_get(all, "counts", &v))
			for (size_t i = 0; i < sizeof(rows) / sizeof(*rows);
			     i++)
				printf("  %10s  %s\n", cmd_text(v, rows[i][0]),
				    rows[i][1]);
		print_journal(all);
		puts("Rules");
		proposal_say(c.config, "  ");
		puts("Systems");
		if (mp_get(all, "systems", &v))
			for (it = cmd_list(v); cmd_next(&it, &item);)
				print_system(item);
		cmd_drift(all, "Drift: what schemas do not know", 10);
		puts("What connectors count");
		if (mp_get(all, "sessions", &v))
			for (it = cmd_list(v); cmd_next(&it, &item);)
				print_report(item);
	}
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
