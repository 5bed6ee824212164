/*
 * cmd_check - `vayla check`: everything that can be wrong with vayla.yaml, the
 * packs it uses, their mappings and their doors, at once, before anything
 * starts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/cmd_map.h"
#include "connectors/sdk/door.h"
#include "connectors/sdk/sdk.h"
#include "mappings/engine/ruleset.h"

#define CHECK_MEMORY ((size_t)64 * 1024 * 1024)

/* The doors of one pack. What is wrong with the pack itself the ruleset says;
 * here only what its connectors read counts. */
static enum err
doors_check(const char *packs, struct slice name, struct faults *f)
{
	struct pack *p = NULL;
	struct doors doors;
	struct arena a;
	struct faults said;
	enum err e;

	arena_init(&a, CHECK_MEMORY);
	faults_init(&said);
	e = pack_open(packs, name, &a, &said, &p);
	if (p != NULL && p->settings_all != NULL) {
		e = doors_load(p, &a, f, &doors);
		for (size_t i = 0; connector_table[i] != NULL; i++) {
			const struct connector *c = connector_table[i];

			if (c->check_pack != NULL && c->takes(p))
				c->check_pack(p, &a, f);
		}
	}
	faults_fini(&said);
	arena_fini(&a);
	return e == ERR_CONFIG || e == ERR_SYNTAX ? ERR_OK : e;
}

static enum err
all_doors_check(const struct config *c, struct faults *f)
{
	enum err e;

	for (size_t i = 0; i < c->systems_n; i++) {
		bool again = c->systems[i].pack.n == 0;

		for (size_t k = 0; k < i; k++)
			again = again || slice_eq(c->systems[k].pack,
					     c->systems[i].pack);
		if (again)
			continue;
		e = doors_check(c->packs, c->systems[i].pack, f);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static void
fine(const char *path, const struct ruleset *r)
{
	const struct slice *names;
	size_t n = ruleset_systems(r, &names), routes = 0;
	const uint8_t *hash = ruleset_hash(r);

	while (ruleset_route(r, (uint32_t)routes) != NULL)
		routes++;
	printf("%s: nothing is wrong; %zu systems, %zu mappings in use, "
	       "ruleset ",
	    path, n, routes);
	for (int i = 0; i < 8; i++)
		printf("%02x", hash[i]);
	putchar('\n');
}

static int
check(const char *path)
{
	struct ruleset *r = NULL;
	struct config *c = NULL;
	struct faults f;
	enum err e, later;

	faults_init(&f);
	e = config_check(&c, path, &f);
	if (c != NULL && c->packs != NULL && c->packs[0] != '\0') {
		later = ruleset_load(&r, c, SLICE_EMPTY, &f);
		e = e == ERR_OK ? later : e;
		later = all_doors_check(c, &f);
		e = e == ERR_OK ? later : e;
	}
	if (e == ERR_OK && f.count > 0)
		e = ERR_CONFIG;
	if (f.text.n > 0)
		fwrite(f.text.p, 1, f.text.n, stderr);
	if (e != ERR_OK && f.count == 0)
		fprintf(stderr, "vayla check: %s\n", err_last());
	else if (f.count > 0)
		fprintf(stderr, "%s: %zu fault%s\n", path, f.count,
		    f.count == 1 ? "" : "s");
	else {
		fine(path, r);
		proposal_say(c, "");
	}
	ruleset_free(r);
	config_free(c);
	faults_fini(&f);
	if (e == ERR_CONFIG || e == ERR_SYNTAX)
		return EXIT_USAGE;
	return exit_status(e);
}

int
check_verb(int argc, char **argv)
{
	static const struct opt opts[] = {{.name = NULL}};
	static const struct command command = {
	    .usage = "vayla check [vayla.yaml]",
	    .help = "Reads vayla.yaml, every pack it uses and all their "
		    "mappings, and says everything that is wrong with them, "
		    "each with its place. Exit 0 when nothing is, 2 when "
		    "something is. Without a file: $VAYLA_CONFIG, "
		    "./vayla.yaml or /etc/vayla/vayla.yaml.",
	    .opts = opts,
	    .min_args = 0,
	    .max_args = 1};
	const struct cmd none = {.config_file = NULL};
	bool done;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK) {
		fprintf(stderr, "%s\n", err_last());
		return EXIT_USAGE;
	}
	if (done)
		return EXIT_OK;
	return check(n > 0 ? argv[1] : cmd_config_file(&none));
}
