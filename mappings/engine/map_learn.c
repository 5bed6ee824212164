/*
 * map_learn - `vayla map learn`: a schema's first draft from samples, or
 * samples against the schema there is.
 */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/opt.h"
#include "mappings/engine/drift.h"
#include "mappings/engine/learn.h"
#include "mappings/engine/source.h"
#include "mappings/engine/verbs.h"

#define SAMPLE_MAX ((size_t)16 * 1024 * 1024)

/* What takes a sample: a draft, or a comparison; one of the two. */
struct taking {
	struct learn *l;
	struct drift *d;
	const struct schema *s; /* NULL: there is none yet */
	struct buf *mp;
};

static enum err
take(const struct taking *t, struct slice text)
{
	enum err e;

	buf_reset(t->mp);
	e = source_to_mp(text, t->s != NULL ? &t->s->root : NULL, t->mp);
	if (e != ERR_OK)
		return e;
	return t->d != NULL ? drift_add(t->d, buf_all(t->mp))
			    : learn_add(t->l, buf_all(t->mp));
}

/* A file's samples: one, or JSON lines, which begin with a line that is whole
 * and go on. */
static enum err
take_text(const struct taking *t, struct slice text)
{
	const uint8_t *end = memchr(text.p, '\n', text.n);
	size_t n = end != NULL ? (size_t)(end - text.p) + 1 : text.n;
	enum err e;

	buf_reset(t->mp);
	if (n == text.n || text.p[0] != '{' || text.p[n] != '{' ||
	    json_to_mp(slice_of(text.p, n), t->mp, NULL) != ERR_OK)
		return take(t, text);
	for (; text.n > 0; text = slice_from(text, n)) {
		end = memchr(text.p, '\n', text.n);
		n = end != NULL ? (size_t)(end - text.p) + 1 : text.n;
		if ((e = take(t, slice_of(text.p, n))) != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static enum err
take_files(const struct taking *t, char **samples)
{
	struct buf text;
	enum err e = ERR_OK;

	buf_init(&text, SAMPLE_MAX);
	for (; e == ERR_OK && *samples != NULL; samples++) {
		buf_reset(&text);
		e = file_read(*samples, &text);
		if (e == ERR_OK)
			e = take_text(t, buf_all(&text));
		if (e != ERR_OK)
			e = err_wrap(e, "%s", *samples);
	}
	buf_fini(&text);
	return e;
}

static enum err
draft(struct arena *a, const char *type, char **samples, struct buf *mp,
    struct buf *out)
{
	const struct taking t = {.l = learn_new(a), .mp = mp};
	enum err e = t.l != NULL ? take_files(&t, samples)
				 : err_note(ERR_NOMEM, "no memory to learn");

	return e == ERR_OK ? learn_write(t.l, slice_str(type), out) : e;
}

/* The schema of a type: its pack's, or the vocabulary's. */
static enum err
schema_open(const char *type, struct arena *a, struct faults *f,
    const struct schema **out)
{
	char packs[PATH_MAX], path[PATH_MAX + 600];
	const char *dot = strchr(type, '.');
	bool canonical;

	if (dot == NULL || strchr(type, '/') != NULL || strlen(type) > 200)
		return err_note(
		    ERR_TYPE, "%s is no type: shop.order, for instance", type);
	if (!config_packs(packs, sizeof(packs)))
		return err_note(ERR_NOTFOUND,
		    "no packs found; name their folder in VAYLA_PACKS");
	snprintf(path, sizeof(path), "%s/%.*s/schema/%s.yaml", packs,
	    (int)(dot - type), type, type);
	canonical = access(path, R_OK) != 0;
	if (canonical)
		snprintf(
		    path, sizeof(path), "%s/canonical/%s.yaml", packs, type);
	if (access(path, R_OK) != 0)
		return err_note(ERR_NOTFOUND,
		    "%s has no schema yet: learn one without --check", type);
	return schema_load(path, canonical, a, f, out);
}

static enum err
compare(struct arena *a, const char *type, char **samples, struct buf *mp,
    struct buf *out, size_t *differences)
{
	struct taking t = {.mp = mp};
	struct faults f;
	enum err e;

	faults_init(&f);
	e = schema_open(type, a, &f, &t.s);
	if (f.text.n > 0)
		fwrite(f.text.p, 1, f.text.n, stderr);
	faults_fini(&f);
	if (e != ERR_OK)
		return e;
	if ((t.d = drift_new(a, t.s)) == NULL)
		return err_note(ERR_NOMEM, "no memory to compare");
	e = take_files(&t, samples);
	*differences = drift_write(t.d, out);
	return e;
}

int
map_learn(int argc, char **argv)
{
	bool check = false, done;
	const struct opt opts[] = {{.name = "check",
				       .type = OPT_FLAG,
				       .help = "compare with the schema there "
					       "is: what it does not know, "
					       "what did not come, what is of "
					       "another type; exit 1 when they "
					       "differ",
				       .flag = &check},
	    {.name = NULL}};
	const struct command command = {
	    .usage = "vayla map learn TYPE SAMPLE...",
	    .help =
		"Writes a first draft of the schema of TYPE on stdout, from "
		"samples (JSON, lines of JSON, XML or EDIFACT): paths, types, "
		"what is not always there, what repeats. Look at "
		"each line before it goes to schema/TYPE.yaml.",
	    .opts = opts,
	    .min_args = 2,
	    .max_args = -1};
	size_t differences = 0;
	struct arena a;
	struct buf out, mp;
	enum err e;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK) {
		fprintf(stderr, "%s\n", err_last());
		return EXIT_USAGE;
	}
	if (done)
		return EXIT_OK;
	arena_init(&a, 256 * 1024 * 1024);
	buf_init(&out, SAMPLE_MAX);
	buf_init(&mp, SAMPLE_MAX);
	argv[1 + n] = NULL;
	e = check ? compare(&a, argv[1], argv + 2, &mp, &out, &differences)
		  : draft(&a, argv[1], argv + 2, &mp, &out);
	if (e == ERR_OK)
		e = fd_write(1, buf_all(&out));
	if (e != ERR_OK)
		fprintf(stderr, "vayla map learn: %s\n", err_last());
	arena_fini(&a);
	buf_fini(&out);
	buf_fini(&mp);
	return e == ERR_OK && differences == 0 ? EXIT_OK : EXIT_FAILED;
}
