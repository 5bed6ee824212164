/*
 * main - the roof: one program with verbs. The only file that may include any
 * room; it does nothing but find the verb.
 */
#include <stdio.h>

#include "broker/base/opt.h"
#include "broker/base/yaml.h"
#include "broker/cmd.h"
#include "broker/cmd_map.h"
#include "broker/console/console.h"
#include "broker/core/broker.h"
#include "broker/core/verbs.h"
#include "connectors/file/rows.h"
#include "connectors/sdk/verbs.h"
#include "connectors/sim/verbs.h"
#include "mappings/engine/verbs.h"

static int
map_verbs(int argc, char **argv)
{
	static const struct map_verb more[] = {
	    {"rows", rows_verb, "a CSV file as the events that it becomes"},
	    {"shadow", map_shadow, "what a new version would have done"},
	    {"deploy", map_deploy, "take mappings into use"},
	    {"rollback", map_rollback, "go back to those of before"},
	    {"versions", map_versions, "what was in use, since when, by whom"},
	    {NULL, NULL, NULL},
	};

	return map_verb(argc, argv, more);
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
    {"run", run_verb, "the broker and all connectors, supervised"},
    {"connector", connector_verb, "one connector: NAME"},
    {"check", check_verb, "everything wrong with vayla.yaml and its packs"},
    {"map", map_verbs, "check, test, try out and deploy mappings"},
    {"broker", broker_verb, "the journal, the mappings and the bus"},
    {"order", order_verb, "what happened to an order: show REF"},
    {"event", event_verb, "one record of the journal: get SEQ, explain SEQ"},
    {"status", status_verb, "what runs, what waits"},
    {"tail", tail_verb, "the last events, and those that come (-f)"},
    {"inbox", inbox_verb, "what needs a person: list, answer, retry, edit"},
    {"replay", replay_verb, "map again what was mapped: plan, run"},
    {"standby", standby_verb, "keep a copy of another machine's journal"},
    {"promote", promote_verb, "make that copy the primary"},
    {"backup", backup_verb, "copy the journal while all runs"},
    {"verify", verify_verb, "are journal and index whole? (broker stopped)"},
    {"system", system_verb, "who is sent to: list, live, pause, resume"},
    {"key", key_verb, "who may speak on the bus: new, list, revoke"},
    {"console", console_verb, "a link to sign in to the console"},
    {"sim", sim_verb, "play a shop and its payment provider against it"},
    {"demo", demo_verb, "start everything and play a day: make run"},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static enum err
status(void *self, struct buf *out)
{
	return broker_status(self, out);
}

static enum err
room_start(const struct broker_gives *g, void **self)
{
	struct console_options o = {.url = g->config->console,
	    .data = g->config->data,
	    .index = g->index,
	    .log = g->log,
	    .keys = g->keys,
	    .status = status,
	    .self = g->broker};
	struct console *c;
	enum err e = console_start(&c, &o);

	*self = e == ERR_OK ? c : NULL;
	return e;
}

static void
room_stop(void *self)
{
	console_stop(self);
}

static void
print_help(FILE *to)
{
	fputs("usage: vayla VERB ... (vayla VERB --help says more)\n\n", to);
	for (size_t i = 0; i < VERBS; i++)
		fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].help);
}

int
main(int argc, char **argv)
{
	static const struct broker_room room = {room_start, room_stop};
	const char *names[VERBS + 1], *near;

	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	broker_add_room(&room);
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
		names[i] = verbs[i].name;
	}
	names[VERBS] = NULL;
	near = yaml_nearest(slice_str(argv[1]), names);
	fprintf(stderr, "vayla: there is no verb %s%s%s%s\n", argv[1],
	    near != NULL ? "; did you mean " : "", near != NULL ? near : "",
	    near != NULL ? "?" : "; vayla --help lists them");
	return EXIT_USAGE;
}
