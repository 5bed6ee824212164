/*
 * connector - the verb `vayla connector NAME`: NAME is a system of vayla.yaml,
 * or a connector that speaks for all of them ("receiver").
 */
#include <stdio.h>

#include "broker/base/opt.h"
#include "broker/base/say.h"
#include "connectors/sdk/loop.h"
#include "connectors/sdk/setup.h"
#include "connectors/sdk/verbs.h"

/* Which connector is meant by the name, and which systems are its. */
static enum err
choose(struct sdk *s, const struct setup *set, const char *name)
{
	struct sdk_system *list;
	enum err e = ERR_OK;

	s->name = name;
	list = arena_alloc(s->arena, (set->n + 1) * sizeof(*list));
	if (list == NULL)
		return err_note(ERR_NOMEM, "%zu systems", set->n);
	s->systems = list;
	for (size_t i = 0; connector_table[i] != NULL; i++)
		if (!connector_table[i]->single &&
		    strcmp(connector_table[i]->name, name) == 0)
			s->kind = connector_table[i];
	for (size_t i = 0; i < set->n; i++) {
		const struct sdk_system *x = &set->systems[i];

		if (s->kind != NULL && !s->kind->single) {
			if (s->kind->takes(x->pack))
				list[s->systems_n++] = *x;
		} else if (slice_is(x->conf->name, name)) {
			list[s->systems_n++] = *x;
			s->kind = connector_for(x->pack, true);
			if (s->kind == NULL)
				e = err_note(ERR_CONFIG,
				    "system %s: nothing is sent to %.*s (no "
				    "`send:` in its pack), so it needs no "
				    "connector of its own",
				    name, SLICE_ARG(x->pack->name));
			break;
		}
	}
	if (e == ERR_OK && s->kind == NULL)
		e = err_note(ERR_NOTFOUND, "there is no system %s in %s", name,
		    set->config->file);
	return e;
}

static enum err
run(const char *name, const char *file, struct faults *f)
{
	struct setup set;
	struct sdk s = {0};
	enum err e = setup_open(&set, file, f);

	s.config = set.config;
	s.arena = &set.arena;
	if (e == ERR_OK)
		e = choose(&s, &set, name);
	if (e == ERR_OK && s.kind->check != NULL) {
		s.kind->check(&s, f);
		if (f->count > 0)
			e = err_note(ERR_CONFIG, "%s cannot be used", file);
	}
	if (e == ERR_OK)
		e = loop_run(&s);
	setup_close(&set);
	return e;
}

int
connector_verb(int argc, char **argv)
{
	static const struct command cmd = {
	    .usage = "vayla connector NAME [vayla.yaml]",
	    .help = "Runs the connector of one system, or `receiver`: what "
		    "comes in over HTTP for all of them. It waits for the "
		    "broker and outlives its restarts.",
	    .min_args = 1,
	    .max_args = 2};
	struct faults f;
	char who[48];
	bool done = false;
	int n;
	enum err e = opt_parse(&cmd, argc, argv, &n, &done);

	if (e != ERR_OK) {
		fprintf(stderr, "%s\n", err_last());
		return EXIT_USAGE;
	}
	if (done)
		return EXIT_OK;
	snprintf(who, sizeof(who), "%s", argv[1]);
	say_name(who);
	faults_init(&f);
	e = run(argv[1], setup_file(n > 1 ? argv[2] : NULL), &f);
	if (f.count > 0)
		fputs(buf_cstr(&f.text), stderr);
	if (e != ERR_OK)
		say(SAY_ERROR, "connector", "%s", err_last());
	faults_fini(&f);
	return exit_status(e);
}
