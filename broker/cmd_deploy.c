/*
 * cmd_deploy - `vayla map deploy`, `rollback` and `versions`: mappings taken
 * into use in a running broker, whole or not at all, with who and why.
 *
 * The broker makes the new ruleset itself, of what is in force and the files
 * sent with the act; so what is checked here is only what a person should know
 * before: the tests, and the shadow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/cmd_map.h"
#include "broker/core/rules.h"
#include "mappings/engine/maptest.h"

struct deploy {
	struct cmd c;
	bool yes;
	const char *reason;
	struct shadow_wish wish;
	const char *to; /* rollback --to */
};

static void
print_hash(const char *hash)
{
	printf("%.12s", hash);
}

/* What is in force now, as the broker says. */
static enum err
say_now(struct cmd *c, const char *done)
{
	enum err e = cmd_ask(c, "versions", "#n", "1", NULL);

	if (e == ERR_OK)
		printf("%s: ruleset %s is in force\n", done,
		    cmd_text(buf_all(&c->reply), "now"));
	return e;
}

/* ---- deploy ---- */

static enum err
test_all(const struct proposal *p)
{
	struct maptest t = {0};
	enum err e = ERR_OK;

	for (size_t i = 0; i < p->named_n; i++) {
		const struct named *n = &p->named[i];
		const char *file = n->file;

		if (file == NULL || (!p->chosen && !n->differs) ||
		    strlen(file) < 9 ||
		    strcmp(file + strlen(file) - 9, ".map.yaml") != 0)
			continue;
		if (maptest_file(file, false, stdout, &t) != ERR_OK)
			e = err_note(ERR_CONFIG, "%s does not load", file);
	}
	printf("tests: %zu passed, %zu failed%s\n", t.passed, t.failed,
	    t.untested > 0 ? "; a mapping has none" : "");
	if (e == ERR_OK && t.failed > 0)
		e = err_note(ERR_CHECK,
		    "tests fail: nothing is deployed, %s stays in force",
		    "what was");
	return e;
}

static enum err
act(struct deploy *d, const struct proposal *p)
{
	struct action a;
	enum err e = cmd_connect(&d->c);

	if (e != ERR_OK)
		return e;
	action_init(&a);
	a.act = SLICE_LIT("deploy");
	a.by = slice_str(cmd_who(&d->c));
	a.reason = slice_str(d->reason);
	a.row = buf_all(&p->change);
	e = cmd_act(&d->c, &a);
	return e == ERR_OK ? say_now(&d->c, "deployed") : e;
}

static enum err
deploy(struct deploy *d, int n, char **files)
{
	struct proposal p;
	struct buf names;
	bool differ = false;
	enum err e;

	buf_init(&names, 65536);
	e = proposal_open(&p, d->c.config, n, files);
	if (e == ERR_OK && p.change_n == 0) {
		puts("nothing to deploy: these files are in force as they are");
		goto out;
	}
	if (e == ERR_OK) {
		proposal_names(&p, &names);
		printf("%zu file%s: %s\n", p.change_n,
		    p.change_n == 1 ? "" : "s", buf_cstr(&names));
		e = proposal_load(&p);
	}
	if (e == ERR_OK)
		e = test_all(&p);
	if (e == ERR_OK)
		e = proposal_shadow(&p, &d->wish, &d->c.reply, &differ);
	if (e == ERR_OK) {
		printf("Over the events %s%s:\n",
		    strcmp(d->wish.since, "0") == 0 ? "" : "since ",
		    d->wish.since);
		shadow_print(buf_all(&d->c.reply));
	}
	if (e == ERR_OK && !d->yes)
		e = err_note(ERR_USAGE,
		    "nothing was changed: add --yes to take this into use");
	if (e == ERR_OK)
		e = act(d, &p);
out:
	proposal_close(&p);
	buf_fini(&names);
	return e;
}

int
map_deploy(int argc, char **argv)
{
	struct deploy d = {.reason = "", .wish = {.since = "7d"}};
	const struct opt opts[] = {CMD_OPTS(&d.c),
	    {.name = "since",
		.type = OPT_TEXT,
		.arg = "D",
		.help = "show what would have differed since: 12h, 2d, 1w, "
			"2026-01-31 (default 7d)",
		.text = &d.wish.since},
	    {.name = "reason",
		.type = OPT_TEXT,
		.arg = "TEXT",
		.help = "why, for the record",
		.text = &d.reason},
	    {.name = "yes",
		.type = OPT_FLAG,
		.help = "take it into use; without, only show",
		.flag = &d.yes},
	    {0}};
	const struct command cmd = {"vayla map deploy [FILE...] --yes",
	    "Takes mappings and schemas into use in the running broker: FILE "
	    "is a mapping, a schema or a pack's folder; without any, all of "
	    "the packs folder that differs from what is in force. First they "
	    "are checked and tested and their shadow over the last days is "
	    "shown; a fault or a failing test refuses. With --yes the broker "
	    "loads them, with all that is in force beside them, whole or not "
	    "at all, between two events, and the journal records who and why. "
	    "From then on these files are in force, also after a restart, "
	    "whatever becomes of the packs folder, until the next deploy or "
	    "rollback, or SIGHUP, which reads the packs folder anew. What was "
	    "mapped before stays (vayla replay); what is held is tried again.",
	    opts, 0, -1};
	bool done = false;
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	e = cmd_config(&d.c);
	if (e == ERR_OK)
		e = deploy(&d, n, argv + 1);
	cmd_close(&d.c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}

/* ---- rollback ---- */

static bool
is_files_act(const char *act)
{
	return strcmp(act, "ruleset") != 0;
}

/* The version that is meant: --to a record, the beginning of a hash, or the one
 * before the last act that changed files. */
static enum err
pick(struct deploy *d, const char *word, char hash[65], char seq[32])
{
	struct slice list, v;
	struct cmd_iter it;
	bool passed = false;
	enum err e = cmd_ask(&d->c, "versions", NULL);

	hash[0] = '\0';
	if (e != ERR_OK || !mp_get(buf_all(&d->c.reply), "versions", &list))
		return e;
	for (it = cmd_list(list); cmd_next(&it, &v);) {
		const char *h = cmd_text(v, "hash"), *s = cmd_text(v, "seq");
		bool meant = d->to != NULL ? strcmp(s, d->to) == 0
			     : word != NULL
				 ? strncmp(h, word, strlen(word)) == 0
				 : passed;

		if (meant) {
			snprintf(hash, 65, "%s", h);
			snprintf(seq, 32, "%s", s);
			return ERR_OK;
		}
		passed = passed || is_files_act(cmd_text(v, "act"));
	}
	return err_note(ERR_NOTFOUND,
	    d->to != NULL || word != NULL
		? "there is no such version; `vayla map versions` lists them"
		: "there is no version before this one; `vayla map versions` "
		  "lists what was in use");
}

static enum err
rollback(struct deploy *d, const char *word)
{
	char hash[65], seq[32];
	struct action a;
	struct buf bytes;
	enum err e = cmd_connect(&d->c);

	if (e == ERR_OK && word != NULL && strlen(word) < 4)
		e = err_note(
		    ERR_USAGE, "%s: at least four digits of the hash", word);
	if (e == ERR_OK)
		e = pick(d, word, hash, seq);
	if (e != ERR_OK)
		return e;
	printf("back to the mappings and schemas of ");
	print_hash(hash);
	printf(" (record %s)\n", seq);
	if (!d->yes)
		return err_note(
		    ERR_USAGE, "nothing was changed: add --yes to go back");
	action_init(&a);
	a.act = SLICE_LIT("rollback");
	a.by = slice_str(cmd_who(&d->c));
	a.reason = slice_str(d->reason);
	buf_init(&bytes, 32);
	e = hex_get(slice_str(hash), &bytes);
	a.hash = buf_all(&bytes);
	if (e == ERR_OK)
		e = cmd_act(&d->c, &a);
	buf_fini(&bytes);
	return e == ERR_OK ? say_now(&d->c, "rolled back") : e;
}

int
map_rollback(int argc, char **argv)
{
	struct deploy d = {.reason = ""};
	const struct opt opts[] = {CMD_OPTS(&d.c),
	    {.name = "to",
		.type = OPT_TEXT,
		.arg = "RECORD",
		.help = "the version of this record of `vayla map versions`",
		.text = &d.to},
	    {.name = "reason",
		.type = OPT_TEXT,
		.arg = "TEXT",
		.help = "why, for the record",
		.text = &d.reason},
	    {.name = "yes",
		.type = OPT_FLAG,
		.help = "do it; without, only show which version is meant",
		.flag = &d.yes},
	    {0}};
	const struct command cmd = {"vayla map rollback [HASH] --yes",
	    "Takes the mappings and schemas of an earlier ruleset into use: of "
	    "the one before the last deployment, or of HASH (its first digits "
	    "do). Answers that people gave since then, settings and tables of "
	    "vayla.yaml stay as they are now, so the hash may be a new one. "
	    "Like a deployment it is recorded, whole or not at all, and holds "
	    "after a restart.",
	    opts, 0, 1};
	bool done = false;
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	e = cmd_config(&d.c);
	if (e == ERR_OK)
		e = rollback(&d, n > 0 ? argv[1] : NULL);
	cmd_close(&d.c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}

/* ---- versions ---- */

static const char *
how(const char *act)
{
	return strcmp(act, "ruleset") == 0  ? "start, setting or answer"
	       : strcmp(act, "reload") == 0 ? "packs folder read anew"
					    : act;
}

static void
print_version(struct slice v, const char *mark)
{
	struct slice files, item;
	struct cmd_iter it;
	struct mp_in in;
	struct mp m;
	int n = 0;

	printf("%s %8s  %.19s  ", mark, cmd_text(v, "seq"), cmd_text(v, "at"));
	print_hash(cmd_text(v, "hash"));
	printf("  %s by %s", how(cmd_text(v, "act")), cmd_text(v, "by"));
	if (mp_get(v, "files", &files))
		for (it = cmd_list(files); cmd_next(&it, &item) && n < 5; n++) {
			in = mp_in(item);
			if (mp_next(&in, &m) == ERR_OK && m.type == MP_STR)
				printf("%s%.*s", n == 0 ? ": " : ", ",
				    SLICE_ARG(m.bytes));
		}
	if (cmd_text(v, "reason")[0] != '\0')
		printf(" (%s)", cmd_text(v, "reason"));
	putchar('\n');
}

int
map_versions(int argc, char **argv)
{
	struct cmd c = {0};
	const struct opt opts[] = {CMD_OPTS(&c), {0}};
	const struct command cmd = {"vayla map versions",
	    "Every ruleset that was taken into use, the newest first: its "
	    "record, when (UTC), its hash, how and by whom, which files, and "
	    "why. The first one is in force. `vayla map rollback` takes a "
	    "record or a hash.",
	    opts, 0, 0};
	struct slice list, v;
	struct cmd_iter it;
	bool done = false;
	const char *mark = "*";
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	e = cmd_open(&c);
	if (e == ERR_OK)
		e = cmd_ask(&c, "versions", NULL);
	if (e == ERR_OK && !cmd_json(&c) &&
	    mp_get(buf_all(&c.reply), "versions", &list))
		for (it = cmd_list(list); cmd_next(&it, &v); mark = " ")
			print_version(v, mark);
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
