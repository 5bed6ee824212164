/*
 * map_run - see map_run.h. The options are made into the words of a test, so
 * that `run` and `test` see an event in the same way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/opt.h"
#include "mappings/engine/map_run.h"
#include "mappings/engine/maptest_inner.h"
#include "mappings/engine/ruleset.h"
#include "mappings/engine/source.h"

#define RUN_MEMORY ((size_t)256 * 1024 * 1024)

struct running {
	const struct map_run *r;
	struct mapfile m;
	struct faults f;
	struct arena a;
	struct arena one;  /* of the event at hand */
	struct yaml test;  /* {settings, with} */
	struct yaml whole; /* the same and the event's envelope */
};

static enum err
read_stdin(struct buf *out)
{
	ssize_t n;

	do {
		uint8_t *to = buf_room(out, 65536);

		if (to == NULL)
			return buf_check(out);
		n = read(0, to, 65536);
		if (n < 0)
			return err_errno(ERR_IO, "cannot read stdin");
		out->n += (size_t)n;
	} while (n > 0);
	return ERR_OK;
}

static struct yaml *
node_new(struct arena *a, const char *key)
{
	struct yaml *y = arena_alloc(a, sizeof(*y));
	struct yaml *k = arena_alloc(a, sizeof(*k));

	if (y == NULL || k == NULL)
		return NULL;
	k->text = slice_str(key);
	y->text = SLICE_EMPTY;
	y->key = k;
	return y;
}

static void
add(struct yaml *map, struct yaml *child)
{
	child->next = map->child;
	map->child = child;
	map->count++;
}

/* An option that is a map: the text itself or a file. */
static enum err
word_add(struct running *x, const char *key, const char *value)
{
	struct yaml *root, *y = node_new(&x->a, key);
	enum err e;

	if (value == NULL)
		return ERR_OK;
	e = value[0] == '{'
		? yaml_parse(key, slice_str(value), &x->a, &x->f, &root)
		: yaml_load(value, &x->a, &x->f, &root);
	if (e != ERR_OK)
		return e;
	if (y == NULL)
		return err_note(ERR_NOMEM, "out of memory");
	root->key = y->key;
	root->next = NULL;
	add(&x->test, root);
	return ERR_OK;
}

/* What a whole event says of itself. */
static enum err
envelope_add(struct running *x, struct slice event)
{
	static const char *const keys[] = {
	    "id", "source", "type", "subject", "time", NULL};
	struct yaml *map = node_new(&x->one, "event");

	if (map == NULL)
		return err_note(ERR_NOMEM, "out of memory");
	map->kind = YAML_MAP;
	for (size_t i = 0; keys[i] != NULL; i++) {
		struct yaml *y = node_new(&x->one, keys[i]);
		struct slice text;
		char *kept;

		if (!mp_get_str(event, keys[i], &text))
			continue;
		if (y == NULL || (kept = arena_strdup(&x->one, text)) == NULL)
			return err_note(ERR_NOMEM, "out of memory");
		y->kind = YAML_SCALAR;
		y->text = slice_of(kept, text.n);
		add(map, y);
	}
	add(&x->whole, map);
	return ERR_OK;
}

static enum err
input_read(const struct running *x, struct buf *text)
{
	enum err e = strcmp(x->r->event, "-") == 0
			 ? read_stdin(text)
			 : file_read(x->r->event, text);

	return e == ERR_OK ? e : err_wrap(e, "%s", x->r->event);
}

/* One event as it was sent: its data, and what it says of itself, if it does.
 */
static enum err
event_parse(struct running *x, struct slice text, struct slice *data)
{
	const struct schema *s = pack_schema(x->m.pack, x->m.map->from[0]);
	struct slice whole, kind;
	struct buf mp;
	enum err e;

	arena_reset(&x->one);
	x->whole = x->test;
	buf_init(&mp, MAPTEST_VALUE);
	e = source_to_mp(text, s != NULL ? &s->root : NULL, &mp);
	if (e == ERR_OK)
		e = arena_copy(&x->one, buf_all(&mp), &whole);
	buf_fini(&mp);
	if (e != ERR_OK)
		return e;
	*data = whole;
	if (mp_get_str(whole, "specversion", &kind) &&
	    mp_get_str(whole, "type", &kind) && mp_get(whole, "data", data))
		return envelope_add(x, whole);
	return ERR_OK;
}

static void
event_put(struct buf *b, const struct emitted *e)
{
	mp_put_map(b, e->refs_n > 0 ? 5 : 4);
	mp_put_cstr(b, "type");
	mp_put_str(b, e->type);
	mp_put_cstr(b, "id");
	mp_put_str(b, e->id);
	mp_put_cstr(b, "subject");
	mp_put_str(b, e->subject);
	if (e->refs_n > 0) {
		mp_put_cstr(b, "refs");
		mp_put_array(b, (uint32_t)e->refs_n);
		for (size_t i = 0; i < e->refs_n; i++)
			mp_put_str(b, e->refs[i]);
	}
	mp_put_cstr(b, "data");
	buf_slice(b, e->data);
}

static int
print(const struct map_run *r, const struct result *x)
{
	bool msgpack = r->form != NULL && strcmp(r->form, "msgpack") == 0;
	enum json_form form =
	    r->form == NULL && isatty(1) ? JSON_PRETTY : JSON_COMPACT;
	struct buf mp, out;
	enum err e = ERR_OK;

	buf_init(&mp, MAPTEST_VALUE);
	buf_init(&out, 4 * MAPTEST_VALUE);
	if (msgpack)
		mp_put_array(&out, (uint32_t)x->n);
	for (size_t i = 0; i < x->n && e == ERR_OK; i++) {
		buf_reset(&mp);
		event_put(&mp, &x->events[i]);
		if ((e = buf_check(&mp)) != ERR_OK)
			break;
		if (msgpack)
			buf_slice(&out, buf_all(&mp));
		else
			e = mp_to_json(buf_all(&mp), form, &out);
		if (!msgpack)
			buf_byte(&out, '\n');
	}
	if (e == ERR_OK && (e = buf_check(&out)) == ERR_OK)
		e = fd_write(1, buf_all(&out));
	if (e != ERR_OK)
		fprintf(stderr, "vayla map run: %s\n", err_last());
	buf_fini(&mp);
	buf_fini(&out);
	return e == ERR_OK ? EXIT_OK : EXIT_FAILED;
}

/* What keeps it from emitting; the text names path, place and what to do. */
static int
refused(const struct result *x)
{
	const char *how = x->verdict == EVAL_ERROR ? "refused"
			  : x->verdict == EVAL_ASK ? "asks"
						   : "waits";

	fprintf(stderr, "%s: ", how);
	fprintf(stderr, "%.*s\n", SLICE_ARG(x->text));
	return EXIT_FAILED;
}

static enum err
resolve(void *self, struct slice written, struct buf *out)
{
	const struct running *x = self;

	return subject_scope(
	    x->m.vocabulary, x->m.pack->name, x->m.pack->name, written, out);
}

static struct input
input_of(const struct running *x, const struct given *g,
    const struct scope *scope, const struct reader *reader)
{
	return (struct input){.event = g->event,
	    .data = g->data,
	    .settings = g->settings,
	    .scope = scope,
	    .reader = reader,
	    .system = x->m.pack->name};
}

static int
eval(struct running *x, struct eval *e, const struct given *g)
{
	struct given_reader self = {.given = g,
	    .vocabulary = x->m.vocabulary,
	    .system = x->m.pack->name};
	const struct reader reader = {&self, given_read, given_subject_of};
	const struct scope scope = {x, resolve};
	const struct input in = input_of(x, g, &scope, &reader);
	const struct result *out;
	struct buf why;

	buf_init(&why, 16 * MAPTEST_VALUE);
	if (x->r->explain)
		eval_explain(e, &why,
		    x->r->form != NULL && strcmp(x->r->form, "json") == 0
			? EXPLAIN_JSON
			: EXPLAIN_TEXT);
	out = mapping_eval(e, x->m.map, &in);
	if (x->r->explain)
		fwrite(why.p, 1, why.n, stdout);
	buf_fini(&why);
	if (out->verdict == EVAL_SKIP)
		fprintf(stderr, "skipped: it emits nothing for this event\n");
	return out->verdict == EVAL_OK || out->verdict == EVAL_SKIP
		   ? x->r->explain ? EXIT_OK : print(x->r, out)
		   : refused(out);
}

/* ---- a line for each event, for programs ---- */

static void
word_put(struct buf *mp, const char *key, struct slice value)
{
	mp_put_cstr(mp, key);
	mp_put_str(mp, value);
}

static void
answer_put(struct buf *mp, const struct result *r)
{
	static const char *const names[] = {
	    [EVAL_ERROR] = "error", [EVAL_ASK] = "ask", [EVAL_WAIT] = "wait"};

	if (r->verdict == EVAL_OK) {
		mp_put_map(mp, 2);
		word_put(mp, "verdict", SLICE_LIT("ok"));
		mp_put_cstr(mp, "events");
		mp_put_array(mp, (uint32_t)r->n);
		for (size_t i = 0; i < r->n; i++)
			event_put(mp, &r->events[i]);
		return;
	}
	if (r->verdict == EVAL_SKIP) {
		mp_put_map(mp, 1);
		word_put(mp, "verdict", SLICE_LIT("skip"));
		return;
	}
	mp_put_map(mp, r->verdict == EVAL_ASK	 ? 7
		       : r->verdict == EVAL_WAIT ? 6
						 : 5);
	word_put(mp, "verdict", slice_str(names[r->verdict]));
	word_put(mp, "error", slice_str(err_name(r->err)));
	word_put(mp, "path", r->path);
	word_put(mp, "where", r->where);
	word_put(mp, "text", r->text);
	if (r->verdict == EVAL_ASK) {
		word_put(mp, "table", r->table);
		word_put(mp, "key", r->key);
	} else if (r->verdict == EVAL_WAIT) {
		mp_put_cstr(mp, "seconds");
		mp_put_int(mp, r->wait_ns / INT64_C(1000000000));
	}
}

/* What one line gives; a line that is no event is an error of its own. */
static void
line_eval(struct running *x, struct eval *e, struct slice json, struct buf *mp)
{
	struct yaml_at at = {x->r->mapping, &x->f};
	struct result none = {
	    .verdict = EVAL_ERROR, .path = SLICE_EMPTY, .where = SLICE_EMPTY};
	struct given_reader self = {
	    .vocabulary = x->m.vocabulary, .system = x->m.pack->name};
	const struct reader reader = {&self, given_read, given_subject_of};
	const struct scope scope = {x, resolve};
	struct input in;
	struct slice data;
	struct given g;

	none.err = event_parse(x, json, &data);
	if (none.err == ERR_OK &&
	    !given_of_data(&x->m, &at, &x->whole, data, &x->one, &g))
		none.err = err_note(ERR_CONFIG, "the event has faults");
	if (none.err != ERR_OK) {
		none.text = slice_str(err_last());
		answer_put(mp, &none);
		return;
	}
	self.given = &g;
	in = input_of(x, &g, &scope, &reader);
	answer_put(mp, mapping_eval(e, x->m.map, &in));
}

static int
lines(struct running *x, struct eval *e)
{
	char *line = NULL;
	size_t room = 0;
	struct buf mp, out;
	enum err err = ERR_OK;
	ssize_t n;

	buf_init(&mp, 2 * MAPTEST_VALUE);
	buf_init(&out, 8 * MAPTEST_VALUE);
	while (err == ERR_OK && (n = getline(&line, &room, stdin)) > 0) {
		buf_reset(&mp);
		buf_reset(&out);
		line_eval(x, e, slice_of(line, (size_t)n), &mp);
		err = buf_check(&mp);
		if (err == ERR_OK)
			err = mp_to_json(buf_all(&mp), JSON_COMPACT, &out);
		buf_byte(&out, '\n');
		if (err == ERR_OK && (err = buf_check(&out)) == ERR_OK &&
		    fwrite(out.p, 1, out.n, stdout) != out.n)
			err = err_errno(ERR_IO, "cannot write");
	}
	if (err != ERR_OK)
		fprintf(stderr, "vayla map run: %s\n", err_last());
	free(line);
	buf_fini(&mp);
	buf_fini(&out);
	return err == ERR_OK ? EXIT_OK : EXIT_FAILED;
}

static enum err
open_all(struct running *x)
{
	enum err e = mapfile_open(&x->m, x->r->mapping, &x->f);

	if (e == ERR_OK)
		e = word_add(x, "settings", x->r->settings);
	if (e == ERR_OK)
		e = word_add(x, "with", x->r->with);
	return e;
}

static int
run(struct running *x, struct eval *e)
{
	struct yaml_at at = {x->r->mapping, &x->f};
	enum err err = open_all(x);
	struct slice data;
	struct given g;
	struct buf text;

	if (err == ERR_OK && x->r->lines)
		return lines(x, e);
	buf_init(&text, MAPTEST_VALUE);
	if (err == ERR_OK)
		err = input_read(x, &text);
	if (err == ERR_OK &&
	    (err = event_parse(x, buf_all(&text), &data)) != ERR_OK)
		err = err_wrap(err, "%s", x->r->event);
	buf_fini(&text);
	if (err == ERR_OK &&
	    !given_of_data(&x->m, &at, &x->whole, data, &x->one, &g))
		err = err_note(ERR_CONFIG, "the options have faults");
	if (x->f.count > 0)
		fwrite(x->f.text.p, 1, x->f.text.n, stderr);
	else if (err != ERR_OK)
		fprintf(stderr, "vayla map run: %s\n", err_last());
	return err == ERR_OK ? eval(x, e, &g) : EXIT_FAILED;
}

int
map_run(const struct map_run *r)
{
	struct running x = {.r = r};
	struct eval *e = eval_new();
	int status = EXIT_FAILED;

	x.test.kind = YAML_MAP;
	faults_init(&x.f);
	arena_init(&x.a, RUN_MEMORY);
	arena_init(&x.one, RUN_MEMORY);
	if (e != NULL)
		status = run(&x, e);
	eval_free(e);
	mapfile_close(&x.m);
	arena_fini(&x.one);
	arena_fini(&x.a);
	faults_fini(&x.f);
	return status;
}
