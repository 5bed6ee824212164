/*
 * map_verbs - `vayla map check|test|run`: what a person who writes a mapping
 * does with it, without a broker.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "broker/base/file.h"
#include "broker/base/opt.h"
#include "broker/base/json.h"
#include "mappings/engine/doc.h"
#include "mappings/engine/format.h"
#include "mappings/engine/map_run.h"
#include "mappings/engine/mapfile.h"
#include "mappings/engine/maptest.h"
#include "mappings/engine/sweep.h"
#include "mappings/engine/verbs.h"
#include "mappings/engine/vocab_doc.h"

static int
usage(void)
{
	fprintf(stderr, "%s\n", err_last());
	return EXIT_USAGE;
}

/* ---- every mapping of the packs folder ---- */

typedef void each_file(const char *path, void *self);

static bool
ends(const char *name, const char *with)
{
	size_t n = strlen(name), w = strlen(with);

	return n > w && strcmp(name + n - w, with) == 0;
}

static void
each_of_pack(const char *dir, each_file *f, void *self)
{
	char path[PATH_MAX + 512];
	char **names;

	if (dir_list(dir, &names) != ERR_OK)
		return; /* a file beside the packs */
	for (size_t i = 0; names[i] != NULL; i++) {
		if (!ends(names[i], ".map.yaml"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		f(path, self);
	}
	dir_free(names);
}

/* A mapping, or a pack's folder; the pages beside the packs are passed over, so
 * that a shell's list of all of them may be given. */
static void
each_named(const char *path, each_file *f, void *self)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		each_of_pack(path, f, self);
	else if (!ends(path, ".md"))
		f(path, self);
}

/* Those named; without any, all of the packs folder. */
static enum err
each_mapping(int n, char **files, each_file *f, void *self)
{
	char packs[PATH_MAX], dir[PATH_MAX + 300];
	char **names;
	enum err e;

	for (int i = 0; i < n; i++)
		each_named(files[i], f, self);
	if (n > 0)
		return ERR_OK;
	if (!config_packs(packs, sizeof(packs)))
		return err_note(ERR_NOTFOUND,
		    "no packs found; name the files, or the folder in "
		    "VAYLA_PACKS");
	if ((e = dir_list(packs, &names)) != ERR_OK)
		return e;
	for (size_t i = 0; names[i] != NULL; i++) {
		snprintf(dir, sizeof(dir), "%s/%s", packs, names[i]);
		each_of_pack(dir, f, self);
	}
	dir_free(names);
	return ERR_OK;
}

/* ---- check ---- */

struct checked {
	size_t files, bad, warnings;
};

static void
check_file(const char *path, void *self)
{
	struct checked *c = self;
	struct mapfile m;
	struct faults f;
	enum err e;

	faults_init(&f);
	e = mapfile_open(&m, path, &f);
	if (e == ERR_OK)
		maptest_check(&m, &(struct yaml_at){path, &f});
	if (e == ERR_OK && f.count > 0)
		e = err_note(ERR_CONFIG, "%s has faults", path);
	c->files++;
	c->bad += e != ERR_OK;
	c->warnings += f.warnings;
	if (f.text.n > 0)
		fwrite(f.text.p, 1, f.text.n, stderr);
	if (e != ERR_OK && f.count == 0)
		fprintf(stderr, "%s\n", err_last());
	mapfile_close(&m);
	faults_fini(&f);
}

static int
check(int argc, char **argv)
{
	static const struct opt opts[] = {{.name = NULL}};
	static const struct command command = {
	    .usage = "vayla map check [FILE or FOLDER...]",
	    .help = "Loads mappings and says everything that is wrong with "
		    "them: file, line, column, and the nearest name that "
		    "exists. Without FILE, every mapping of the packs folder.",
	    .opts = opts,
	    .min_args = 0,
	    .max_args = -1};
	struct checked c = {0};
	bool done;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK)
		return usage();
	if (done)
		return EXIT_OK;
	if (each_mapping(n, argv + 1, check_file, &c) != ERR_OK) {
		fprintf(stderr, "vayla map check: %s\n", err_last());
		return EXIT_FAILED;
	}
	printf("%zu mapping%s, %zu with faults, %zu warning%s\n", c.files,
	    c.files == 1 ? "" : "s", c.bad, c.warnings,
	    c.warnings == 1 ? "" : "s");
	return c.bad > 0 ? EXIT_FAILED : EXIT_OK;
}

/* ---- test ---- */

#define SWEPT_PACKS 256

/* What the sweep found in one pack: its folder's name. */
struct swept_pack {
	char name[80];
	struct sweep s;
};

struct tested {
	struct maptest count;
	size_t packs_n;
	struct swept_pack packs[SWEPT_PACKS];
	bool verbose, broken, sweep;
};

/* The row of the pack whose folder the file stands in. */
static struct sweep *
swept_of(struct tested *t, const char *path)
{
	char full[PATH_MAX], *end;
	const char *name = "?";

	if (realpath(path, full) != NULL &&
	    (end = strrchr(full, '/')) != NULL) {
		*end = '\0';
		end = strrchr(full, '/');
		name = end != NULL ? end + 1 : full;
	}
	for (size_t i = 0; i < t->packs_n; i++)
		if (strncmp(t->packs[i].name, name, 79) == 0)
			return &t->packs[i].s;
	if (t->packs_n < SWEPT_PACKS)
		t->packs_n++;
	snprintf(t->packs[t->packs_n - 1].name, 80, "%.79s", name);
	return &t->packs[t->packs_n - 1].s;
}

static void
swept_row(const char *name, const struct sweep *s)
{
	printf("%-16s %7zu %7zu %8zu %8zu %10zu %6zu\n", name, s->tried,
	    s->refused, s->optional, s->defaulted, s->irrelevant, s->failed);
}

/* The table, and how many were silent in all. */
static size_t
swept_table(const struct tested *t)
{
	struct sweep all = {0};

	printf("%-16s %7s %7s %8s %8s %10s %6s\n", "sweep", "changes",
	    "refused", "optional", "default", "irrelevant", "silent");
	for (size_t i = 0; i < t->packs_n; i++) {
		const struct sweep *s = &t->packs[i].s;

		swept_row(t->packs[i].name, s);
		all.tried += s->tried;
		all.refused += s->refused;
		all.optional += s->optional;
		all.defaulted += s->defaulted;
		all.irrelevant += s->irrelevant;
		all.failed += s->failed;
	}
	if (t->packs_n > 1)
		swept_row("all", &all);
	return all.failed;
}

static void
test_file(const char *path, void *self)
{
	struct tested *t = self;
	size_t untested = t->count.untested;

	if (maptest_file(path, t->verbose, stdout, &t->count) != ERR_OK)
		t->broken = true;
	else if (t->count.untested > untested)
		printf("%s: has no tests\n", path);
	else if (t->sweep && sweep_file(path, t->verbose, stdout,
				 swept_of(t, path)) != ERR_OK)
		t->broken = true;
}

static int
test(int argc, char **argv)
{
	static struct tested t; /* large; one verb a process */
	size_t silent = 0;
	const struct opt opts[] = {
	    {.name = "verbose",
		.letter = 'v',
		.type = OPT_FLAG,
		.help = "name the tests that pass, and what no "
			"test reaches",
		.flag = &t.verbose},
	    {.name = "sweep",
		.type = OPT_FLAG,
		.help = "also take every leaf of every sample away: missing, "
			"null and blank must be refused, change only what is "
			"optional, or take a default that a test takes",
		.flag = &t.sweep},
	    {.name = NULL}};
	const struct command command = {
	    .usage = "vayla map test [FILE or FOLDER...]",
	    .help = "Runs the tests that stand in mappings. What differs is "
		    "printed field by field, with the place of the expression. "
		    "Without FILE, every mapping of the packs folder.",
	    .opts = opts,
	    .min_args = 0,
	    .max_args = -1};
	bool done;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK)
		return usage();
	if (done)
		return EXIT_OK;
	if (each_mapping(n, argv + 1, test_file, &t) != ERR_OK) {
		fprintf(stderr, "vayla map test: %s\n", err_last());
		return EXIT_FAILED;
	}
	if (t.count.points > 0)
		printf("reached %zu of %zu fields, %zu of %zu rows of tables, "
		       "%zu of %zu ways of conditions%s\n",
		    t.count.fields.reached, t.count.fields.points,
		    t.count.rows.reached, t.count.rows.points,
		    t.count.conditions.reached, t.count.conditions.points,
		    t.count.reached < t.count.points && !t.verbose
			? " (-v names the others)"
			: "");
	if (t.sweep)
		silent = swept_table(&t);
	if (t.count.absent > 0)
		printf(
		    "%zu not run: their fixtures are not here; VAYLA_FIXTURES "
		    "names the folder\n",
		    t.count.absent);
	printf("%zu passed, %zu failed\n", t.count.passed,
	    t.count.failed + silent);
	return t.count.failed > 0 || silent > 0 || t.broken ? EXIT_FAILED
							    : EXIT_OK;
}

/* ---- run ---- */

static int
run_as(int argc, char **argv, bool explain)
{
	struct map_run r = {.explain = explain};
	const struct opt opts[] = {{.name = "settings",
				       .type = OPT_TEXT,
				       .arg = "MAP",
				       .help = "the system's settings: a YAML "
					       "or JSON file, or {...}",
				       .text = &r.settings},
	    {.name = "with",
		.type = OPT_TEXT,
		.arg = "MAP",
		.help = "what the joins read: {NAME: DATA or [DATA, ...]}",
		.text = &r.with},
	    {.name = "output",
		.letter = 'o',
		.type = OPT_TEXT,
		.arg = explain ? "text|json" : "json|msgpack",
		.help = explain ? "text (default), or json: a line for each "
				  "field"
				: "json: a line for each event (default); "
				  "msgpack: a list of them",
		.text = &r.form},
	    {.name = explain ? NULL : "lines",
		.type = OPT_FLAG,
		.help = "for programs: each line of stdin is an event, each "
			"is answered by one line of JSON: {verdict: ok | skip "
			"| error | ask | wait, events, error, path, text}",
		.flag = &r.lines},
	    {.name = NULL}};
	const struct command command = {
	    .usage = explain ? "vayla map explain FILE [EVENT.json]"
			     : "vayla map run FILE [EVENT.json]",
	    .help =
		explain
		    ? "Runs one event through a mapping and prints, for each "
		      "field, its value, the expression and where that stands, "
		      "and "
		      "what the parts of it were: source paths, table rows and "
		      "their layer, defaults and branches taken; with -o json "
		      "a "
		      "line of JSON for each. EVENT.json as "
		      "for "
		      "run."
		    : "Runs one event through a mapping and prints what it "
		      "emits. EVENT.json (or stdin) is the event's data, or a "
		      "whole event: an object with specversion, type and data. "
		      "What refuses it is said on stderr, with exit 1.",
	    .opts = opts,
	    .min_args = 1,
	    .max_args = 2};
	bool done;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK)
		return usage();
	if (done)
		return EXIT_OK;
	if (r.form != NULL && strcmp(r.form, "json") != 0 &&
	    strcmp(r.form, explain ? "text" : "msgpack") != 0) {
		fputs(explain ? "vayla map explain: -o is text or json\n"
			      : "vayla map run: -o is json or msgpack\n",
		    stderr);
		return EXIT_USAGE;
	}
	r.mapping = argv[1];
	r.event = n > 1 ? argv[2] : "-";
	return map_run(&r);
}

static int
run(int argc, char **argv)
{
	return run_as(argc, argv, false);
}

static int
explain(int argc, char **argv)
{
	return run_as(argc, argv, true);
}

/* ---- format ---- */

static int
format(int argc, char **argv)
{
	static const struct opt opts[] = {{.name = NULL}};
	static const struct command command = {
	    .usage = "vayla map format [mapping|schema|pack|config]",
	    .help = "Prints the form of a mapping's file (or a schema's, a "
		    "pack.yaml's, vayla.yaml's) as a JSON Schema, for editors "
		    "that complete and check YAML by one.",
	    .opts = opts,
	    .max_args = 1};
	struct buf out, mp, pretty;
	const char *name;
	bool done;
	int n, i = 0;
	enum err e;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK)
		return usage();
	if (done)
		return EXIT_OK;
	name = n > 0 ? argv[1] : format_names[0];
	while (format_names[i] != NULL && strcmp(format_names[i], name) != 0)
		i++;
	if (format_names[i] == NULL) {
		fprintf(stderr,
		    "vayla map format: %s is none of mapping, schema, pack, "
		    "config\n",
		    name);
		return EXIT_USAGE;
	}
	buf_init(&out, 1024 * 1024);
	buf_init(&mp, 1024 * 1024);
	buf_init(&pretty, 4 * 1024 * 1024);
	e = format_write(name, &out);
	if (e == ERR_OK)
		e = json_to_mp(buf_all(&out), &mp, NULL);
	if (e == ERR_OK)
		e = mp_to_json(buf_all(&mp), JSON_PRETTY, &pretty);
	if (e == ERR_OK)
		e = fd_write(1, buf_all(&pretty));
	if (e != ERR_OK)
		fprintf(stderr, "vayla map format: %s\n", err_last());
	buf_fini(&out);
	buf_fini(&mp);
	buf_fini(&pretty);
	return e == ERR_OK ? EXIT_OK : EXIT_FAILED;
}

/* ---- vocabulary ---- */

static int
vocabulary(int argc, char **argv)
{
	static const struct opt opts[] = {{.name = NULL}};
	static const struct command command = {.usage = "vayla map vocabulary",
	    .help = "Prints the canonical vocabulary as a page (Markdown): "
		    "each type with its fields, from the schemas in "
		    "canonical/ of the packs folder.",
	    .opts = opts};
	const struct vocabulary *v;
	char packs[PATH_MAX];
	struct faults f;
	struct arena a;
	struct buf out;
	bool done;
	int n;
	enum err e;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK)
		return usage();
	if (done)
		return EXIT_OK;
	faults_init(&f);
	arena_init(&a, 64 * 1024 * 1024);
	buf_init(&out, 4 * 1024 * 1024);
	e = config_packs(packs, sizeof(packs))
		? vocabulary_load(packs, &a, &f, &v)
		: err_note(ERR_NOTFOUND,
		      "no packs found; name their folder in VAYLA_PACKS");
	if (e == ERR_OK)
		e = vocab_doc(v, &out);
	if (e == ERR_OK)
		e = fd_write(1, buf_all(&out));
	if (f.text.n > 0)
		fwrite(f.text.p, 1, f.text.n, stderr);
	if (e != ERR_OK)
		fprintf(stderr, "vayla map vocabulary: %s\n", err_last());
	faults_fini(&f);
	arena_fini(&a);
	buf_fini(&out);
	return e == ERR_OK ? EXIT_OK : EXIT_FAILED;
}

/* ---- doc ---- */

struct documented {
	struct buf out;
	bool html;
	enum err e;
};

static void
doc_file(const char *path, void *self)
{
	struct documented *d = self;
	struct mapfile m;
	struct faults f;
	enum err e;

	faults_init(&f);
	e = mapfile_open(&m, path, &f);
	if (e == ERR_OK)
		e = doc_mapping(&m, d->html, &d->out);
	else if (f.text.n > 0)
		fwrite(f.text.p, 1, f.text.n, stderr);
	else
		fprintf(stderr, "vayla map doc: %s\n", err_last());
	if (e != ERR_OK)
		d->e = e;
	mapfile_close(&m);
	faults_fini(&f);
}

/* A mapping, a pack's folder, or a pack's name in the packs folder. */
static void
doc_named(const char *word, struct documented *d)
{
	char packs[PATH_MAX], dir[2 * PATH_MAX];
	size_t before = d->out.n;

	if (ends(word, ".yaml")) {
		doc_file(word, d);
		return;
	}
	each_of_pack(word, doc_file, d);
	if (d->out.n == before && strchr(word, '/') == NULL &&
	    config_packs(packs, sizeof(packs))) {
		snprintf(dir, sizeof(dir), "%s/%s", packs, word);
		each_of_pack(dir, doc_file, d);
	}
	if (d->out.n == before && d->e == ERR_OK) {
		d->e = ERR_NOTFOUND;
		fprintf(stderr, "vayla map doc: %s: no mappings there\n", word);
	}
}

static int
doc(int argc, char **argv)
{
	const char *form = NULL;
	const struct opt opts[] = {{.name = "output",
				       .letter = 'o',
				       .type = OPT_TEXT,
				       .arg = "markdown|html",
				       .help = "markdown (default), or one "
					       "page of HTML",
				       .text = &form},
	    {.name = NULL}};
	const struct command command = {
	    .usage = "vayla map doc FILE...|PACK...",
	    .help = "Prints mappings as pages for people who keep books, not "
		    "programs: what each takes and when, what comes out, where "
		    "every field comes from in words, its tables, conditions, "
		    "waits and questions, and its tests as examples. FILE is a "
		    "mapping, PACK a pack's folder or its name.",
	    .opts = opts,
	    .min_args = 1,
	    .max_args = -1};
	struct documented d = {.e = ERR_OK};
	bool done;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK)
		return usage();
	if (done)
		return EXIT_OK;
	if (form != NULL && strcmp(form, "markdown") != 0 &&
	    strcmp(form, "html") != 0) {
		fprintf(stderr, "vayla map doc: -o is markdown or html\n");
		return EXIT_USAGE;
	}
	d.html = form != NULL && strcmp(form, "html") == 0;
	buf_init(&d.out, 64 * 1024 * 1024);
	doc_begin(d.html, "Mappings", &d.out);
	for (int i = 0; i < n; i++)
		doc_named(argv[1 + i], &d);
	doc_end(d.html, &d.out);
	if (d.e == ERR_OK)
		d.e = fd_write(1, buf_all(&d.out));
	buf_fini(&d.out);
	return d.e == ERR_OK ? EXIT_OK : exit_status(d.e);
}

static void
print_verbs(const struct map_verb *v, FILE *to)
{
	for (; v->name != NULL; v++)
		fprintf(to, "  %-10s %s\n", v->name, v->help);
}

static const struct map_verb *
verb_named(const struct map_verb *v, const char *name)
{
	for (; v->name != NULL; v++)
		if (strcmp(name, v->name) == 0)
			return v;
	return NULL;
}

int
map_verb(int argc, char **argv, const struct map_verb *more)
{
	static const struct map_verb verbs[] = {
	    {"check", check, "everything that is wrong with a mapping"},
	    {"test", test, "run the tests that stand in mappings"},
	    {"run", run, "one event through a mapping"},
	    {"explain", explain, "where each field of the outcome came from"},
	    {"doc", doc, "a mapping in words, as a page"},
	    {"learn", map_learn, "a first draft of a schema, from samples"},
	    {"format", format,
		"the forms of files as JSON Schemas, for editors"},
	    {"vocabulary", vocabulary, "the canonical types, as a page"},
	    {NULL, NULL, NULL},
	};
	bool help = argc >= 2 && (strcmp(argv[1], "--help") == 0 ||
				     strcmp(argv[1], "-h") == 0);
	const struct map_verb *v = NULL;
	FILE *to = help ? stdout : stderr;

	if (argc >= 2 && (v = verb_named(verbs, argv[1])) == NULL)
		v = verb_named(more, argv[1]);
	if (v != NULL)
		return v->run(argc - 1, argv + 1);
	if (argc >= 2 && !help)
		fprintf(stderr, "vayla map: there is no verb %s\n", argv[1]);
	fputs("usage: vayla map VERB ... (vayla map VERB --help says more)\n\n"
	      "With the files alone:\n",
	    to);
	print_verbs(verbs, to);
	fputs("\nIn an installation (vayla.yaml):\n", to);
	print_verbs(more, to);
	return help ? EXIT_OK : EXIT_USAGE;
}
