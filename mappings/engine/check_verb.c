/*
 * check_verb - `vayla check`: everything that can be wrong with vayla.yaml and
 * the packs it uses, at once, before anything starts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/opt.h"
#include "mappings/engine/ruleset.h"
#include "mappings/engine/verbs.h"

static const char *
file_default(void)
{
	const char *env = getenv("VAYLA_CONFIG");

	if (env != NULL && env[0] != '\0')
		return env;
	if (access("vayla.yaml", R_OK) == 0)
		return "vayla.yaml";
	return "/etc/vayla/vayla.yaml";
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
	}
	if (f.text.n > 0)
		fwrite(f.text.p, 1, f.text.n, stderr);
	if (e != ERR_OK && f.count == 0)
		fprintf(stderr, "vayla check: %s\n", err_last());
	else if (f.count > 0)
		fprintf(stderr, "%s: %zu fault%s\n", path, f.count,
		    f.count == 1 ? "" : "s");
	else
		fine(path, r);
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
	bool done;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK) {
		fprintf(stderr, "%s\n", err_last());
		return EXIT_USAGE;
	}
	if (done)
		return EXIT_OK;
	return check(n > 0 ? argv[1] : file_default());
}
