/*
 * cmd_system - `vayla system`: which systems there are, and who may be sent to.
 * A new system is observed: everything of it is received, translated and shown,
 * and nothing is sent until `live`. Each act is an ACTION record with a name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/zone.h"
#include "broker/cmd.h"

#define DRAIN_SECONDS 120 /* a delivery's patience */

struct system_cmd {
	struct cmd c;
	const char *since, *reason;
	bool all;
};

static enum err
act_on(struct system_cmd *s, const char *act, struct slice name)
{
	struct action a = {.act = slice_str(act),
	    .by = slice_str(cmd_who(&s->c)),
	    .reason = slice_str(s->reason),
	    .since = slice_str(s->since),
	    .system = name};

	return cmd_act(&s->c, &a);
}

/* The mode of a system as `status` tells it. */
static bool
mode_is(struct slice system, const char *mode)
{
	return strcmp(cmd_text(system, "mode"), mode) == 0;
}

static enum err
list(struct system_cmd *s)
{
	struct slice systems, item, sub;
	struct cmd_iter it;
	enum err e = cmd_ask(&s->c, "status", NULL);

	if (e != ERR_OK || cmd_json(&s->c))
		return e;
	if (!mp_get(buf_all(&s->c.reply), "systems", &systems))
		return err_note(ERR_SYNTAX, "the broker's answer");
	for (it = cmd_list(systems); cmd_next(&it, &item);)
		printf("%-16s %-16s %-10s %s open\n", cmd_text(item, "name"),
		    cmd_text(item, "pack"), cmd_text(item, "mode"),
		    mp_get(item, "sub", &sub) ? cmd_text(sub, "open") : "0");
	return ERR_OK;
}

/* Pause, and wait until its connector has nothing in hand: what was under way
 * is done, and the system, or its connector, can be worked on. */
static enum err
drain(struct system_cmd *s, const char *name)
{
	struct slice systems, item, sub, mode;
	struct cmd_iter it;
	bool there = false, paused = false;
	int64_t hand = 1;
	enum err e = ERR_OK;

	if (name == NULL)
		return err_note(ERR_USAGE, "vayla system drain NAME");
	for (int i = 0; e == ERR_OK && hand > 0; i++) {
		if (i == DRAIN_SECONDS * 5)
			return err_note(ERR_TIMEOUT,
			    "%s still has %lld in hand after %d s; it stays "
			    "paused",
			    name, (long long)hand, DRAIN_SECONDS);
		if (i > 0)
			usleep(200000);
		e = cmd_ask(&s->c, "status", NULL);
		if (e != ERR_OK ||
		    !mp_get(buf_all(&s->c.reply), "systems", &systems))
			break;
		hand = 0;
		for (it = cmd_list(systems); cmd_next(&it, &item);)
			if (strcmp(cmd_text(item, "name"), name) == 0) {
				there = true;
				paused = mp_get_str(item, "mode", &mode) &&
					 !slice_is(mode, "live");
				if (mp_get(item, "sub", &sub))
					(void)mp_get_int(sub, "in_hand", &hand);
			}
		if (!there)
			return err_note(
			    ERR_NOTFOUND, "there is no system %s", name);
		if (!paused) {
			e = act_on(s, "pause", slice_str(name));
			hand = 1; /* look again */
		}
	}
	if (e == ERR_OK)
		printf("%s: nothing in hand, and nothing is sent until "
		       "`vayla system resume %s`\n",
		    name, name);
	return e;
}

/* Its polls ask again from a day on: a file for its connector, which looks when
 * its next round begins, and an act for the record. */
static enum err
rewind_to(struct system_cmd *s, const char *name)
{
	const struct config *c = s->c.config;
	const struct zone *utc;
	struct buf path;
	int64_t at;
	bool zoned;
	enum err e;

	if (name == NULL || s->since == NULL || s->since[0] == '\0')
		return err_note(
		    ERR_USAGE, "vayla system rewind NAME --since DATE");
	if (config_system(c, slice_str(name)) == NULL)
		return err_note(ERR_NOTFOUND, "there is no system %s", name);
	e = zone_get(SLICE_LIT("UTC"), &utc);
	if (e == ERR_OK &&
	    time_parse(slice_str(s->since), utc, &at, &zoned) != ERR_OK)
		e = err_note(ERR_USAGE,
		    "--since %s is no date: 2026-11-22 or "
		    "2026-11-22T10:00:00Z",
		    s->since);
	if (e == ERR_OK)
		e = act_on(s, "rewind", slice_str(name));
	buf_init(&path, 4200);
	buf_printf(&path, "%s/connectors", c->data);
	if (e == ERR_OK)
		e = dir_make(buf_cstr(&path));
	buf_printf(&path, "/%s.rewind", name);
	if (e == ERR_OK)
		e = file_write(buf_cstr(&path), slice_str(s->since), 0640);
	buf_fini(&path);
	if (e == ERR_OK)
		printf("%s: its polls ask again from %s on, at the next "
		       "round; what is known already changes nothing\n",
		    name, s->since);
	return e;
}

/* One system, or with --all every one that can be: pausing all stops all
 * sending, resuming all goes on with those that were live. */
static enum err
act(struct system_cmd *s, const char *verb, const char *name)
{
	const char *from = strcmp(verb, "pause") == 0 ? "live" : "paused";
	struct slice systems, item, names[256];
	struct cmd_iter it;
	size_t n = 0;
	enum err e;

	if (name != NULL)
		return act_on(s, verb, slice_str(name));
	if (!s->all || strcmp(verb, "live") == 0)
		return err_note(ERR_USAGE,
		    "vayla system %s NAME%s; `vayla system list` names them",
		    verb, strcmp(verb, "live") == 0 ? "" : " or --all");
	e = cmd_ask(&s->c, "status", NULL);
	if (e == ERR_OK && mp_get(buf_all(&s->c.reply), "systems", &systems))
		for (it = cmd_list(systems); n < 256 && cmd_next(&it, &item);)
			if (mode_is(item, from) &&
			    mp_get_str(item, "name", &names[n]))
				n++;
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		e = act_on(s, verb, names[i]);
		if (e == ERR_OK)
			printf("%s: %.*s\n", verb, SLICE_ARG(names[i]));
	}
	if (e == ERR_OK && n == 0)
		printf("No system is %s.\n", from);
	return e;
}

int
system_verb(int argc, char **argv)
{
	static const char *const acts[] = {"live", "pause", "resume"};
	struct system_cmd s = {0};
	const struct opt opts[] = {CMD_OPTS(&s.c),
	    {.name = "since",
		.type = OPT_TEXT,
		.arg = "DATE",
		.help = "live: requests for facts before it are not sent; "
			"rewind: ask again from there",
		.text = &s.since},
	    {.name = "all",
		.type = OPT_FLAG,
		.help = "pause, resume: every system",
		.flag = &s.all},
	    {.name = "reason",
		.type = OPT_TEXT,
		.arg = "TEXT",
		.help = "why, for the record",
		.text = &s.reason},
	    {0}};
	const struct command cmd = {
	    "vayla system list | live NAME --since DATE | pause NAME | "
	    "resume NAME | drain NAME | rewind NAME --since DATE",
	    "Systems and whether they are sent to. A new one is observed: "
	    "nothing is sent until `live`. `pause --all` stops all sending "
	    "at once; what waits goes out after `resume`. drain pauses and "
	    "waits until nothing is in hand. rewind, on the machine of its "
	    "connector, has everything since DATE asked for again.",
	    opts, 1, 2};
	bool done = false, known = false;
	const char *name;
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	name = n > 1 ? argv[2] : NULL;
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		known |= strcmp(argv[1], acts[i]) == 0;
	if (!known && strcmp(argv[1], "list") != 0 &&
	    strcmp(argv[1], "drain") != 0 && strcmp(argv[1], "rewind") != 0)
		return cmd_fail(err_note(ERR_USAGE,
		    "vayla system has list, live, pause, resume, drain and "
		    "rewind, not %s",
		    argv[1]));
	e = cmd_open(&s.c);
	if (e == ERR_OK)
		e = known			     ? act(&s, argv[1], name)
		    : strcmp(argv[1], "drain") == 0  ? drain(&s, name)
		    : strcmp(argv[1], "rewind") == 0 ? rewind_to(&s, name)
						     : list(&s);
	cmd_close(&s.c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
