/*
 * cmd_inbox - `vayla inbox`: what needs a person. List and show look; the
 * others are ACTION records with the name of who did it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/cmd_inbox.h"

static bool
needs_a_person(struct slice item)
{
	const char *state = cmd_text(item, "state");

	return strcmp(state, "parked") == 0 || strcmp(state, "ask") == 0 ||
	       strcmp(state, "asks") == 0;
}

void
inbox_print(struct slice i)
{
	printf("%8s  %-7s %-34s %s\n", cmd_text(i, "seq"), cmd_text(i, "state"),
	    cmd_text(i, "sub"), cmd_text(i, "subject"));
	if (cmd_text(i, "text")[0] != '\0')
		printf("          %s\n", cmd_text(i, "text"));
	if (cmd_text(i, "table")[0] != '\0')
		printf("          vayla inbox answer %s %s %s ROW\n",
		    cmd_text(i, "sub"), cmd_text(i, "table"),
		    cmd_text(i, "key"));
}

static enum err
list(struct inbox *in, char **words)
{
	struct slice items, item;
	struct cmd_iter it;
	size_t shown = 0;
	enum err e;

	(void)words;
	e = in->all ? cmd_ask(&in->c, "open", "sub", "", "#max", "500", NULL)
		    : cmd_ask(&in->c, "open", "sub", "", "#max", "500",
			  "?people", "", NULL);
	if (e != ERR_OK || cmd_json(&in->c))
		return e;
	if (!mp_get(buf_all(&in->c.reply), "items", &items))
		items = buf_all(&in->c.reply);
	for (it = cmd_list(items); cmd_next(&it, &item);)
		if (in->all || needs_a_person(item)) {
			inbox_print(item);
			shown++;
		}
	if (shown == 0)
		puts("Nothing needs a person.");
	e = cmd_ask(&in->c, "status", NULL);
	if (e == ERR_OK)
		cmd_drift(buf_all(&in->c.reply),
		    "Drift: what came in and no schema knows (nothing is held; "
		    "vayla map learn --check)",
		    5);
	return e;
}

/* vayla inbox retry|skip SUB SEQ */
static enum err
act_on(struct inbox *in, const char *act, char **words)
{
	struct action a;
	enum err e;

	action_init(&a);
	e = inbox_words(words, act, &a);
	if (e != ERR_OK)
		return e;
	a.act = slice_str(act);
	a.by = slice_str(cmd_who(&in->c));
	a.reason = slice_str(in->reason);
	return cmd_act(&in->c, &a);
}

static enum err
retry(struct inbox *in, char **words)
{
	return act_on(in, "retry", words);
}

static enum err
skip(struct inbox *in, char **words)
{
	if (in->reason == NULL)
		return err_note(
		    ERR_USAGE, "passing something over needs --reason \"...\"");
	return act_on(in, "skip", words);
}

/* A row as the person typed it: "1325", or columns with commas. */
static void
put_row(struct buf *out, const char *text)
{
	const char *comma = strchr(text, ',');
	uint32_t n = 1;

	if (comma == NULL) {
		mp_put_cstr(out, text);
		return;
	}
	for (const char *p = text; (p = strchr(p, ',')) != NULL; p++)
		n++;
	mp_put_array(out, n);
	for (; comma != NULL; text = comma + 1, comma = strchr(text, ','))
		mp_put_str(out, slice_of(text, (size_t)(comma - text)));
	mp_put_cstr(out, text);
}

/* vayla inbox answer map:SYSTEM/NAME TABLE KEY ROW */
static enum err
answer(struct inbox *in, char **words)
{
	struct action a = {
	    .act = SLICE_LIT("answer"), .by = slice_str(cmd_who(&in->c))};
	const char *name, *slash;
	struct buf row;
	enum err e;

	if (words[0] == NULL || words[1] == NULL || words[2] == NULL ||
	    words[3] == NULL)
		return err_note(ERR_USAGE,
		    "vayla inbox answer map:SYSTEM/NAME TABLE KEY ROW; "
		    "`vayla inbox list` prints the line to complete");
	name = strncmp(words[0], "map:", 4) == 0 ? words[0] + 4 : words[0];
	slash = strchr(name, '/');
	if (slash == NULL)
		return err_note(
		    ERR_USAGE, "%s is not SYSTEM/MAPPING", words[0]);
	buf_init(&row, 16 * 1024);
	if (strcmp(words[1], "ref") == 0)
		mp_put_cstr(&row, words[3]); /* a subject may have a comma */
	else
		put_row(&row, words[3]);
	a.system = slice_of(name, (size_t)(slash - name));
	a.map = slice_str(slash + 1);
	a.table = slice_str(words[1]);
	a.key = slice_str(words[2]);
	a.row = buf_all(&row);
	a.reason = slice_str(in->reason);
	e = buf_check(&row);
	if (e == ERR_OK)
		e = cmd_act(&in->c, &a);
	buf_fini(&row);
	return e;
}

int
inbox_verb(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum err (*run)(struct inbox *, char **);
	} verbs[] = {{"list", list}, {"show", inbox_show}, {"answer", answer},
	    {"retry", retry}, {"edit", inbox_edit}, {"skip", skip},
	    {"snooze", inbox_snooze}};
	struct inbox in = {0};
	const struct opt opts[] = {CMD_OPTS(&in.c),
	    {.name = "reason",
		.type = OPT_TEXT,
		.arg = "TEXT",
		.help = "why, for the record",
		.text = &in.reason},
	    {.name = "all",
		.type = OPT_FLAG,
		.help = "list: also what goes on by itself or is put off",
		.flag = &in.all},
	    {.name = "data",
		.type = OPT_FLAG,
		.help = "show: the data alone, as JSON to be corrected; with "
			"personal data",
		.flag = &in.data},
	    {.name = "for",
		.type = OPT_TEXT,
		.arg = "TIME",
		.help = "snooze: 90m, 4h, 2d (default 1d)",
		.text = &in.for_},
	    {.name = "unmask",
		.type = OPT_FLAG,
		.help = "show: with personal data",
		.flag = &in.c.unmask},
	    {0}};
	const struct command cmd = {
	    "vayla inbox list | show SUB SEQ | answer SUB TABLE KEY ROW | "
	    "retry SUB SEQ | edit SUB SEQ FILE --reason TEXT | "
	    "skip SUB SEQ --reason TEXT | snooze SUB SEQ --for TIME",
	    "What needs a person: errors that are parked and questions. An "
	    "answer frees everything that asked the same; an edit replaces "
	    "the data of one event, keeps the original, and goes on from "
	    "there.",
	    opts, 1, 5};
	char *words[5] = {0};
	bool done = false;
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	for (int i = 2; i <= n && i < 6; i++)
		words[i - 2] = argv[i];
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(verbs[i].name, argv[1]) != 0)
			continue;
		e = cmd_open(&in.c);
		if (e == ERR_OK)
			e = verbs[i].run(&in, words);
		cmd_close(&in.c);
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	}
	return cmd_fail(err_note(ERR_USAGE,
	    "vayla inbox has list, show, answer, retry, edit, skip and snooze, "
	    "not %s",
	    argv[1]));
}
