/* cmd_tail - `vayla tail`: the last events and, with -f, those that come. And
 * `vayla console`: the link to sign in with. */
#include <signal.h>
#include <stdio.h>

#include "broker/base/file.h"
#include "broker/cmd.h"

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool
stopped(void *arg)
{
	(void)arg;
	return stop != 0;
}

static void
on_event(void *arg, struct slice sub, uint64_t seq, uint32_t attempt,
    bool again, const struct event *e)
{
	(void)arg;
	(void)sub;
	(void)attempt;
	(void)again;
	printf("%8llu  %-22.*s %-28.*s %.*s%s%.*s\n", (unsigned long long)seq,
	    SLICE_ARG(e->type), SLICE_ARG(e->subject), SLICE_ARG(e->source),
	    e->target.n > 0 ? " -> " : "", SLICE_ARG(e->target));
	fflush(stdout);
}

static enum err
print_recent(struct cmd *c, const char *type, const char *subject)
{
	struct slice rows[512], v;
	struct cmd_iter it;
	size_t n = 0;
	enum err e;

	e = cmd_ask(c, "recent", "#n", "200", NULL);
	if (e != ERR_OK)
		return e;
	for (it = cmd_list(buf_all(&c->reply)); n < 512 && cmd_next(&it, &v);)
		rows[n++] = v;
	while (n-- > 0) { /* oldest first, as a log is read */
		const char *t = cmd_text(rows[n], "type");
		const char *s = cmd_text(rows[n], "subject");

		if (strncmp(t, type, strlen(type)) != 0 ||
		    strncmp(s, subject, strlen(subject)) != 0)
			continue;
		printf("%8s  %-22s %-28s %s%s%s\n", cmd_text(rows[n], "seq"), t,
		    s, cmd_text(rows[n], "source"),
		    cmd_text(rows[n], "target")[0] != '\0' ? " -> " : "",
		    cmd_text(rows[n], "target"));
	}
	return ERR_OK;
}

/* A client with the tap, beside the one that asked. */
static enum err
follow(struct cmd *c, const char *type, const char *subject)
{
	struct client_options o = {.address = c->config->bus,
	    .access = c->config->access,
	    .name = "tail",
	    .role = "operator",
	    .on_event = on_event};
	struct sigaction sa = {.sa_handler = on_signal};
	struct client *tap;
	enum err e;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	e = client_open(&tap, &o);
	if (e != ERR_OK)
		return e;
	e = client_tap(tap, slice_str(type), slice_str(subject));
	while (e == ERR_OK && !stop) {
		e = client_wait(tap, stopped, NULL, 1000);
		if (e == ERR_TIMEOUT)
			e = ERR_OK;
	}
	client_free(tap);
	return e;
}

int
tail_verb(int argc, char **argv)
{
	const char *type = "", *subject = "";
	struct cmd c = {0};
	bool f = false, done = false;
	const struct opt opts[] = {CMD_OPTS(&c),
	    {.name = "type",
		.type = OPT_TEXT,
		.arg = "T",
		.help = "types that begin so",
		.text = &type},
	    {.name = "subject",
		.type = OPT_TEXT,
		.arg = "S",
		.help = "subjects that begin so",
		.text = &subject},
	    {.name = "follow",
		.letter = 'f',
		.type = OPT_FLAG,
		.help = "go on with what comes, until Ctrl-C",
		.flag = &f},
	    {0}};
	const struct command cmd = {
	    "vayla tail", "The last events, oldest first.", opts, 0, 0};
	int words = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &words, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	e = cmd_open(&c);
	if (e == ERR_OK)
		e = print_recent(&c, type, subject);
	if (e == ERR_OK && f)
		e = follow(&c, type, subject);
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}

int
console_verb(int argc, char **argv)
{
	struct cmd c = {0};
	const struct opt opts[] = {CMD_OPTS(&c), {0}};
	const struct command cmd = {"vayla console",
	    "Print a link to sign in to the console with; it works once.", opts,
	    0, 0};
	struct buf path, link;
	bool done = false;
	int words = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &words, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	buf_init(&path, 4096);
	buf_init(&link, 4096);
	e = cmd_config(&c);
	if (e == ERR_OK) {
		buf_printf(&path, "%s/console.link", c.config->data);
		e = file_read(buf_cstr(&path), &link);
	}
	if (e == ERR_NOTFOUND)
		e = err_note(e, "%s is not there: has the broker been started?",
		    buf_cstr(&path));
	if (e == ERR_OK)
		fputs(buf_cstr(&link), stdout);
	buf_fini(&path);
	buf_fini(&link);
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
