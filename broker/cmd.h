/*
 * cmd - what the verbs that look at a running broker share: which vayla.yaml,
 * a client of the bus in the role operator, queries and acts, and reading what
 * came back. Each verb is a file cmd_*.c with one function below.
 */
#ifndef VAYLA_CMD_H
#define VAYLA_CMD_H

#include "broker/base/config.h"
#include "broker/base/opt.h"
#include "broker/wire/client.h"

int order_verb(int argc, char **argv);	 /* show REF */
int event_verb(int argc, char **argv);	 /* get SEQ */
int status_verb(int argc, char **argv);	 /* what runs, what waits */
int tail_verb(int argc, char **argv);	 /* the last events, -f */
int inbox_verb(int argc, char **argv);	 /* what needs a person */
int replay_verb(int argc, char **argv);	 /* plan|run SYSTEM/MAPPING */
int console_verb(int argc, char **argv); /* print a sign-in link */
int system_verb(int argc, char **argv);	 /* list, live, pause, resume */
int key_verb(int argc, char **argv);	 /* new, list, revoke */
int check_verb(int argc, char **argv);	 /* vayla.yaml and its packs */
int backup_verb(int argc, char **argv);	 /* copy DATA while all runs */

/* Options every such verb has. */
struct cmd {
	const char *config_file; /* --config */
	const char *output;	 /* -o table|json */
	bool unmask;		 /* --unmask */
	struct config *config;
	struct client *client;
	struct buf reply; /* of the last query: one msgpack value */
};
#define CMD_OPTS(c)                                                          \
	{.name = "config",                                                   \
	    .type = OPT_TEXT,                                                \
	    .arg = "FILE",                                                   \
	    .help = "vayla.yaml (default: $VAYLA_CONFIG, ./vayla.yaml, "     \
		    "/etc/vayla/vayla.yaml)",                                \
	    .text = &(c)->config_file},                                      \
	{                                                                    \
		.name = "output", .letter = 'o', .type = OPT_TEXT,           \
		.arg = "table|json", .help = "how to print (default table)", \
		.text = &(c)->output                                         \
	}

/* Which vayla.yaml: named, $VAYLA_CONFIG, ./vayla.yaml, /etc/vayla. */
const char *cmd_config_file(const struct cmd *c);

/* Loads the configuration alone; faults go to stderr. */
enum err cmd_config(struct cmd *c) MUST_CHECK;
enum err cmd_connect(struct cmd *c) MUST_CHECK; /* after cmd_config() */
/* Loads the configuration and connects. */
enum err cmd_open(struct cmd *c) MUST_CHECK;
void cmd_close(struct cmd *c); /* safe on a zeroed struct */

/* Who acts: as the broker knows us once connected, else $USER. */
const char *cmd_who(const struct cmd *c);

/* Ask {query: name, key: value ...}; the reply is in c->reply. Pairs of const
 * char *: key, text value; closed by NULL. A key that begins with "#" has a
 * number as its text, one with "?" a truth. */
enum err cmd_ask(struct cmd *c, const char *query, ...)
    __attribute__((sentinel)) MUST_CHECK;

/* Publish one ACTION and wait until it is on disk. */
enum err cmd_act(struct cmd *c, const struct action *a) MUST_CHECK;

/* Says what failed on stderr; returns the exit status. */
int cmd_fail(enum err e);

/* Prints c->reply as JSON when -o json was given: true. */
bool cmd_json(const struct cmd *c);

/* Reading a reply: the text at a key, "" when absent; numbers and times as
 * text too. The result lives in one of 16 rotating buffers, cut at 255 bytes,
 * with control characters as "?". */
const char *cmd_text(struct slice map, const char *key);
/* What a status says of drift: a line each, at most `max`; nothing when there
 * is none. */
void cmd_drift(struct slice status, const char *title, int max);
/* The next value of an array: false at its end. Begin with *in = cmd_list(). */
struct cmd_iter {
	struct mp_in in;
	uint32_t left;
};
struct cmd_iter cmd_list(struct slice array);
bool cmd_next(struct cmd_iter *it, struct slice *value);
/* The next pair of a map. */
struct cmd_iter cmd_map(struct slice map);
bool cmd_pair(struct cmd_iter *it, struct slice *key, struct slice *value);

#endif
