/*
 * cmd_backup - `vayla backup DIR`: a copy of DATA while the broker runs. What
 * is confirmed when it begins is in it; nothing waits for it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "broker/cmd.h"
#include "broker/core/backup.h"

/* What a running broker has confirmed. */
static enum err
committed(struct cmd *c, uint64_t *next)
{
	struct slice journal;
	int64_t n = 0;
	enum err e = cmd_connect(c);

	if (e == ERR_OK)
		e = cmd_ask(c, "status", NULL);
	if (e == ERR_OK && (!mp_get(buf_all(&c->reply), "journal", &journal) ||
			       !mp_get_int(journal, "next", &n) || n < 1))
		e = err_note(ERR_SYNTAX, "the broker's answer");
	*next = (uint64_t)n;
	return e;
}

int
backup_verb(int argc, char **argv)
{
	struct cmd c = {0};
	struct backup b = {0};
	const struct opt opts[] = {CMD_OPTS(&c),
	    {.name = "keys",
		.type = OPT_TEXT,
		.arg = "FOLDER",
		.help = "copy `keys` there, to be kept for another time than "
			"the journal",
		.text = &b.keys},
	    {0}};
	const struct command cmd = {"vayla backup FOLDER",
	    "Copy the journal, its rulesets and its keys while the broker "
	    "runs. Again into the same FOLDER, only what is new is copied. "
	    "`vayla verify FOLDER` proves the copy; a restore is a start "
	    "with it as broker.data.",
	    opts, 1, 1};
	bool done = false;
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	e = cmd_config(&c);
	if (e == ERR_OK && backup_busy(c.config->data))
		e = committed(&c, &b.next);
	if (e == ERR_OK) {
		b.data = c.config->data;
		b.to = argv[1];
		e = backup_run(&b);
	}
	if (e == ERR_OK)
		printf("%s: up to record %" PRIu64 ", %" PRIu64
		       " segments, %" PRIu64 " of them written to, %" PRIu64
		       " KiB copied; keys are in %s\n",
		    b.to, b.end - 1, b.segments, b.fresh, b.bytes / 1024,
		    b.keys != NULL ? b.keys : b.to);
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
