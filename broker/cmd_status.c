/* cmd_status - `vayla status`: what runs, what waits. */
#include <stdio.h>

#include "broker/cmd.h"

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

int
status_verb(int argc, char **argv)
{
	static const char *const rows[][2] = {{"events", "in the journal"},
	    {"duplicates", "known already"}, {"settled", "delivered"},
	    {"ready", "to be delivered"}, {"retry", "come again later"},
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
		puts("Systems");
		if (mp_get(all, "systems", &v))
			for (it = cmd_list(v); cmd_next(&it, &item);)
				print_system(item);
		puts("What connectors count");
		if (mp_get(all, "sessions", &v))
			for (it = cmd_list(v); cmd_next(&it, &item);)
				print_report(item);
	}
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
