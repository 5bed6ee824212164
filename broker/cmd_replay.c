/*
 * cmd_replay - `vayla replay`: evaluate what was mapped before once more, by a
 * mapping as it is now. A plan first; run asks for --yes and then writes one
 * ACTION an event that would change, with the name of who did it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/cmd.h"

#define SHOWN 50 /* events that a plan prints one by one */

struct replay {
	struct cmd c;
	bool yes, all;
	const char *reason;
	uint64_t *seqs;
	size_t n, cap;
	uint64_t looked, same, held, blocked;
};

static enum err
keep(struct replay *r, uint64_t seq)
{
	uint64_t *more;

	if (r->n == r->cap) {
		r->cap = r->cap > 0 ? r->cap * 2 : 256;
		more = realloc(r->seqs, r->cap * sizeof(*more));
		if (more == NULL)
			return err_note(ERR_NOMEM, "too many events to replay");
		r->seqs = more;
	}
	r->seqs[r->n++] = seq;
	return ERR_OK;
}

static bool
is_blocked(struct slice i)
{
	return strtoull(cmd_text(i, "blocked"), NULL, 10) > 0;
}

static void
print_item(const struct replay *r, struct slice i)
{
	if (!r->all && r->n + r->held > SHOWN)
		return;
	if (cmd_text(i, "held")[0] != '\0')
		printf("%8s  %-30s would be held: %s\n", cmd_text(i, "seq"),
		    cmd_text(i, "subject"), cmd_text(i, "text"));
	else
		printf("%8s  %-30s %s new, %s revised, %s withdrawn%s\n",
		    cmd_text(i, "seq"), cmd_text(i, "subject"),
		    cmd_text(i, "new"), cmd_text(i, "next"),
		    cmd_text(i, "withdrawn"),
		    is_blocked(i) ? "; blocked: it was sent before" : "");
}

/* One page of the plan; *next is where to go on, 0 at the end. */
static enum err
page(struct replay *r, const char *sub, uint64_t after, uint64_t *next)
{
	struct slice items, item;
	struct cmd_iter it;
	char from[32];
	enum err e;

	snprintf(from, sizeof(from), "%llu", (unsigned long long)after);
	e = cmd_ask(&r->c, "plan", "sub", sub, "#after", from, NULL);
	if (e != ERR_OK)
		return e;
	if (!mp_get(buf_all(&r->c.reply), "items", &items))
		return err_note(ERR_SYNTAX, "the broker's plan has no items");
	for (it = cmd_list(items); e == ERR_OK && cmd_next(&it, &item);) {
		if (cmd_text(item, "held")[0] != '\0')
			r->held++;
		else
			e = keep(r, strtoull(cmd_text(item, "seq"), NULL, 10));
		r->blocked += is_blocked(item);
		print_item(r, item);
	}
	r->looked +=
	    strtoull(cmd_text(buf_all(&r->c.reply), "looked"), NULL, 10);
	r->same += strtoull(cmd_text(buf_all(&r->c.reply), "same"), NULL, 10);
	*next = strtoull(cmd_text(buf_all(&r->c.reply), "next"), NULL, 10);
	return e;
}

static enum err
plan(struct replay *r, const char *sub)
{
	uint64_t next = 0;
	enum err e;

	do
		e = page(r, sub, next, &next);
	while (e == ERR_OK && next != 0);
	if (e == ERR_OK)
		printf("%llu events: %llu the same, %zu would change, %llu "
		       "would be held\n",
		    (unsigned long long)r->looked, (unsigned long long)r->same,
		    r->n, (unsigned long long)r->held);
	if (e == ERR_OK && r->blocked > 0)
		printf("%llu of them are blocked: sent before, and their pack "
		       "has a person asked, or nothing sent\n",
		    (unsigned long long)r->blocked);
	return e;
}

static enum err
run(struct replay *r, const char *sub)
{
	struct action a;
	enum err e = ERR_OK;

	action_init(&a);
	a.act = SLICE_LIT("replay");
	a.by = slice_str(cmd_who(&r->c));
	a.reason = slice_str(r->reason);
	a.sub = slice_str(sub);
	for (size_t i = 0; e == ERR_OK && i < r->n; i++) {
		a.seq = r->seqs[i];
		e = cmd_act(&r->c, &a);
		if (e == ERR_STATE)
			e = ERR_OK; /* revised since the plan: nothing to do */
	}
	if (e == ERR_OK)
		printf("%zu events replayed\n", r->n);
	return e;
}

int
replay_verb(int argc, char **argv)
{
	struct replay r = {0};
	const struct opt opts[] = {CMD_OPTS(&r.c),
	    {.name = "reason",
		.type = OPT_TEXT,
		.arg = "TEXT",
		.help = "why, for the record",
		.text = &r.reason},
	    {.name = "all",
		.type = OPT_FLAG,
		.help = "print every event of the plan",
		.flag = &r.all},
	    {.name = "yes",
		.type = OPT_FLAG,
		.help = "run: carry out what the plan shows",
		.flag = &r.yes},
	    {0}};
	const struct command cmd = {"vayla replay plan|run SYSTEM/MAPPING",
	    "Evaluate the events that a mapping took once more, as it is now: "
	    "after it was corrected, or an answer was. plan shows what would "
	    "change and changes nothing.",
	    opts, 2, 2};
	bool done = false, runs;
	char sub[512];
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	runs = strcmp(argv[1], "run") == 0;
	if (!runs && strcmp(argv[1], "plan") != 0)
		return cmd_fail(err_note(ERR_USAGE,
		    "vayla replay has plan and run, not %s", argv[1]));
	snprintf(sub, sizeof(sub), "%s%s",
	    strncmp(argv[2], "map:", 4) == 0 ? "" : "map:", argv[2]);
	e = cmd_open(&r.c);
	if (e == ERR_OK)
		e = plan(&r, sub);
	if (e == ERR_OK && runs && r.n > 0)
		e = r.yes ? run(&r, sub)
			  : err_note(ERR_USAGE,
				"nothing was changed: add --yes to carry "
				"this out");
	free(r.seqs);
	cmd_close(&r.c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
