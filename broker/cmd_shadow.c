/* cmd_shadow - `vayla map shadow`: a new version of mappings, run over what the
 * journal has, before it is taken into use. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/json.h"
#include "broker/cmd_map.h"

static void
print_examples(struct slice field)
{
	struct slice list, x;
	struct cmd_iter it;

	if (!mp_get(field, "examples", &list))
		return;
	for (it = cmd_list(list); cmd_next(&it, &x);)
		printf("      event %s  %s  %s: %s -> %s\n", cmd_text(x, "seq"),
		    cmd_text(x, "subject"), cmd_text(x, "path"),
		    cmd_text(x, "old"), cmd_text(x, "new"));
}

static void
print_fields(struct slice map)
{
	struct slice list, x;
	struct cmd_iter it;
	int section = 0; /* 1 numbers, 2 others */

	if (!mp_get(map, "fields", &list))
		return;
	for (it = cmd_list(list); cmd_next(&it, &x);) {
		bool number = strcmp(cmd_text(x, "number"), "true") == 0;

		if (section != (number ? 1 : 2)) {
			section = number ? 1 : 2;
			puts(number ? "  Money and other numbers"
				    : "  Other fields");
		}
		printf("    %s: %s   %s event%s", cmd_text(x, "type"),
		    cmd_text(x, "path"), cmd_text(x, "events"),
		    strcmp(cmd_text(x, "events"), "1") == 0 ? "" : "s");
		if (cmd_text(x, "difference")[0] != '\0')
			printf("   %s -> %s  (%s%s)", cmd_text(x, "old"),
			    cmd_text(x, "new"),
			    cmd_text(x, "difference")[0] == '-' ? "" : "+",
			    cmd_text(x, "difference"));
		putchar('\n');
		print_examples(x);
	}
}

static void
print_events(struct slice map)
{
	struct slice list, x, eg, one;
	struct cmd_iter it, in;
	bool first = true;

	if (!mp_get(map, "events", &list))
		return;
	for (it = cmd_list(list); cmd_next(&it, &x); first = false) {
		if (first)
			puts("  Events");
		printf("    %s: %s more, %s fewer\n", cmd_text(x, "type"),
		    cmd_text(x, "more"), cmd_text(x, "fewer"));
		if (!mp_get(x, "examples", &eg))
			continue;
		for (in = cmd_list(eg); cmd_next(&in, &one);)
			printf("      event %s  %s  one %s\n",
			    cmd_text(one, "seq"), cmd_text(one, "subject"),
			    cmd_text(one, "what"));
	}
}

static void
print_turned(struct slice map, const char *what, const char *title)
{
	struct slice list, x;
	struct cmd_iter it;
	bool first = true;

	if (!mp_get(map, "turned", &list))
		return;
	for (it = cmd_list(list); cmd_next(&it, &x);) {
		if (strcmp(cmd_text(x, "what"), what) != 0)
			continue;
		if (first)
			printf("  %s\n", title);
		first = false;
		printf("    event %s  %s  %s\n", cmd_text(x, "seq"),
		    cmd_text(x, "subject"), cmd_text(x, "text"));
	}
}

static void
print_mapping(struct slice m)
{
	static const char *const rest[][2] = {
	    {"pending", "stand in line behind another and were not compared"},
	    {"erased", "are of erased persons and cannot be compared"},
	    {"unknown",
		"left no record, and the ruleset of then is not there"}};

	printf("%s/%s for %s: %s events; %s the same, %s differ, %s now go "
	       "through, %s would be held\n",
	    cmd_text(m, "map"), cmd_text(m, "version"), cmd_text(m, "system"),
	    cmd_text(m, "looked"), cmd_text(m, "same"), cmd_text(m, "differ"),
	    cmd_text(m, "through"), cmd_text(m, "held"));
	for (size_t i = 0; i < 3; i++)
		if (strcmp(cmd_text(m, rest[i][0]), "0") != 0)
			printf(
			    "  %s %s\n", cmd_text(m, rest[i][0]), rest[i][1]);
	print_fields(m);
	print_events(m);
	print_turned(m, "through", "Now go through; then");
	print_turned(m, "held", "Would be held; now");
}

void
shadow_print(struct slice report)
{
	struct slice list, m;
	struct cmd_iter it;
	bool any = false;

	if (strcmp(cmd_text(report, "joins"), "now") == 0)
		puts("Joins read what the journal knows NOW, not what was read "
		     "then: differences may be theirs.");
	if (!mp_get(report, "mappings", &list))
		return;
	for (it = cmd_list(list); cmd_next(&it, &m); any = true)
		print_mapping(m);
	if (!any)
		puts("no mapping that a system uses is concerned");
}

static enum err
shadow(struct cmd *c, const struct shadow_wish *w, int n, char **files,
    bool *differ)
{
	struct proposal p;
	enum err e;

	e = proposal_open(&p, c->config, n, files);
	if (e == ERR_OK)
		e = proposal_load(&p);
	if (e == ERR_OK)
		e = proposal_shadow(&p, w, &c->reply, differ);
	if (e == ERR_OK && !cmd_json(c))
		shadow_print(buf_all(&c->reply));
	proposal_close(&p);
	return e;
}

int
map_shadow(int argc, char **argv)
{
	struct cmd c = {0};
	struct shadow_wish w = {0};
	const char *joins = NULL;
	const struct opt opts[] = {CMD_OPTS(&c),
	    {.name = "since",
		.type = OPT_TEXT,
		.arg = "D",
		.help = "only events that came since: 12h, 2d, 1w, 2026-01-31 "
			"(default: all that are kept)",
		.text = &w.since},
	    {.name = "type",
		.type = OPT_TEXT,
		.arg = "T",
		.help = "only events of this type",
		.text = &w.type},
	    {.name = "joins",
		.type = OPT_TEXT,
		.arg = "now",
		.help = "let joins read what the journal knows now, in place "
			"of what was read then",
		.text = &joins},
	    {.name = "unmask",
		.type = OPT_FLAG,
		.help = "show personal data in examples",
		.flag = &w.unmask},
	    {0}};
	const struct command cmd = {"vayla map shadow [FILE...]",
	    "Runs mappings as they stand in FILE (mappings, schemas, folders "
	    "of packs; without any, all of the packs folder that differs) over "
	    "the events the journal has, and compares what comes out with what "
	    "was recorded then: differences by output field, numbers first, "
	    "with sums and examples; events that there would be more or fewer "
	    "of; events that were held and now go through, and the reverse. "
	    "Joins read what they read then. Nothing is changed, and the "
	    "broker "
	    "may run meanwhile; the journal's files are read, so it must be "
	    "the "
	    "user that runs the broker. What other mappings would make of the "
	    "differences is not followed. Exit 0 when nothing differs, 1 when "
	    "something does.",
	    opts, 0, -1};
	bool done = false, differ = false;
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	if (joins != NULL && strcmp(joins, "now") != 0 &&
	    strcmp(joins, "recorded") != 0)
		return cmd_fail(err_note(ERR_USAGE,
		    "--joins is now (or recorded, the default), not %s",
		    joins));
	w.joins_now = joins != NULL && strcmp(joins, "now") == 0;
	e = cmd_config(&c);
	if (e == ERR_OK)
		e = shadow(&c, &w, n, argv + 1, &differ);
	cmd_close(&c);
	if (e != ERR_OK)
		return cmd_fail(e);
	return differ ? EXIT_FAILED : EXIT_OK;
}
