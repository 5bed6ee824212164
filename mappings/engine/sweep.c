/* sweep - see sweep.h. */
#include <stdlib.h>

#include "mappings/engine/maptest_inner.h"
#include "mappings/engine/run.h"
#include "mappings/engine/ruleset.h"
#include "mappings/engine/sweep.h"

#define SWEEP_MEMORY ((size_t)64 * 1024 * 1024)
#define LEAVES 4096 /* of one sample */
#define TOLD 512    /* different failures of one mapping */

static const char *const hows[] = {"missing", "null", "\"\""};

/* A scalar of the sample: where its bytes are. */
struct leaf {
	size_t head; /* of the map it stands in; NOWHERE in a list */
	size_t key;  /* its key begins; of a list's item its value */
	size_t value, end;
	const char *path;
};
#define NOWHERE SIZE_MAX

struct event {
	struct slice type, data;
};

struct sweeping {
	const struct mapfile *m;
	struct yaml_at at;
	struct eval *eval;
	struct arena a;
	struct buf data, path;
	uint32_t *tested; /* defaults that tests take */
	uint32_t *sample; /* those the sample takes */
	uint32_t *taken;  /* those the changed one takes */
	FILE *out;
	struct sweep *s;
	size_t leaves_n, told_n;
	struct slice told[TOLD]; /* each failure is told once */
	struct arena told_in;
	struct leaf *leaves;
	size_t base_n; /* what the sample gives */
	struct event *base;
};

/* ---- leaves ---- */

static void
find_leaves(struct sweeping *w, const uint8_t *from, struct mp_in *in,
    size_t head, size_t key, unsigned depth)
{
	size_t at = (size_t)(in->p - from), was = w->path.n;
	struct mp m;

	if (depth > MP_DEPTH || mp_next(in, &m) != ERR_OK)
		return;
	if (m.type != MP_MAP && m.type != MP_ARRAY) {
		if (w->leaves_n < LEAVES)
			w->leaves[w->leaves_n++] =
			    (struct leaf){head, key != NOWHERE ? key : at, at,
				(size_t)(in->p - from),
				arena_strdup(&w->a, buf_all(&w->path))};
		return;
	}
	for (uint32_t i = 0; i < m.count; i++) {
		size_t k = (size_t)(in->p - from);
		struct mp name;

		if (m.type == MP_MAP) {
			if (mp_next(in, &name) != ERR_OK || name.type != MP_STR)
				return;
			buf_printf(&w->path, "%s%.*s", was > 0 ? "." : "",
			    SLICE_ARG(name.bytes));
			find_leaves(w, from, in, at, k, depth + 1);
		} else {
			buf_printf(&w->path, "[%u]", i + 1);
			find_leaves(w, from, in, NOWHERE, NOWHERE, depth + 1);
		}
		w->path.n = was;
	}
}

/* The sample with one leaf changed into w->data; false: not so to be changed.
 */
static bool
change(struct sweeping *w, struct slice data, const struct leaf *l, int how)
{
	uint8_t *head;
	unsigned width;

	buf_reset(&w->data);
	if (how > 0) {
		buf_put(&w->data, data.p, l->value);
		buf_byte(&w->data, how == 1 ? 0xc0 : 0xa0);
		buf_put(&w->data, data.p + l->end, data.n - l->end);
		return !w->data.bad;
	}
	if (l->head == NOWHERE)
		return false;
	buf_put(&w->data, data.p, l->key);
	buf_put(&w->data, data.p + l->end, data.n - l->end);
	if (w->data.bad)
		return false;
	head = w->data.p + l->head;
	if (*head < 0x90) {
		(*head)--;
		return true;
	}
	/* one pair fewer, in the same width */
	for (width = *head == 0xde ? 2 : 4; head[width]-- == 0 && width > 1;)
		width--;
	return true;
}

/* ---- one evaluation ---- */

static enum err
resolve(void *self, struct slice written, struct buf *out)
{
	const struct sweeping *w = self;

	return subject_scope(
	    w->m->vocabulary, w->m->pack->name, w->m->pack->name, written, out);
}

static const struct result *
run(struct sweeping *w, const struct given *g, struct slice data,
    uint32_t *defaults)
{
	struct given_reader self = {.given = g,
	    .vocabulary = w->m->vocabulary,
	    .system = w->m->pack->name};
	const struct reader reader = {&self, given_read, given_subject_of};
	const struct scope scope = {w, resolve};
	const struct input in = {.event = g->event,
	    .data = data,
	    .settings = g->settings,
	    .scope = &scope,
	    .reader = &reader,
	    .system = w->m->pack->name};

	memset(
	    defaults, 0, (mapping_defaults(w->m->map) + 1) * sizeof(*defaults));
	eval_defaults(w->eval, defaults);
	return mapping_eval(w->eval, w->m->map, &in);
}

/* ---- comparing ---- */

/*
 * Did something change that must not? Follows what the mapping builds: below an
 * optional field anything may change. *same is cleared by any change; the path
 * of the first that must not is left in w->path.
 */
static bool
spoiled(struct sweeping *w, struct slice a, struct slice b,
    const struct type *t, bool *same)
{
	struct mp_in ia = mp_in(a), ib = mp_in(b);
	const struct type *item;
	size_t was = w->path.n;
	struct slice va, vb;
	struct mp ma, mb;

	if (slice_eq(a, b))
		return false;
	*same = false;
	if (mp_next(&ia, &ma) != ERR_OK || mp_next(&ib, &mb) != ERR_OK ||
	    ma.type != mb.type)
		return true;
	if (ma.type == MP_ARRAY && ma.count == mb.count) {
		item = t != NULL && t->kind == K_LIST ? t->item : NULL;
		for (uint32_t i = 0; i < ma.count; i++) {
			if (mp_value(&ia, &va) != ERR_OK ||
			    mp_value(&ib, &vb) != ERR_OK)
				return true;
			buf_printf(&w->path, "[%u]", i + 1);
			if (spoiled(w, va, vb, item, same))
				return true;
			w->path.n = was;
		}
		return false;
	}
	if (ma.type != MP_MAP)
		return true;
	for (uint32_t i = 0; i < ma.count; i++) {
		const uint8_t *behind = NULL, *at;
		const struct type *ft = NULL;
		struct mp key;

		if (mp_next(&ia, &key) != ERR_OK || key.type != MP_STR ||
		    mp_value(&ia, &va) != ERR_OK)
			return true;
		if (t != NULL && t->kind == K_MAP && t->shape != NULL)
			ft = shape_find(t->shape, key.bytes);
		at = scan_find(b.p, b.p + b.n, key.bytes, &behind);
		if (at != NULL &&
		    slice_eq(va, slice_of(at, (size_t)(behind - at))))
			continue;
		if (ft != NULL && ft->absent == OPTIONAL)
			continue;
		buf_printf(&w->path, "%s%.*s", was > 0 ? "." : "",
		    SLICE_ARG(key.bytes));
		if (at == NULL ||
		    spoiled(
			w, va, slice_of(at, (size_t)(behind - at)), ft, same))
			return true;
		w->path.n = was;
	}
	return false;
}

static const struct type *
built_type(const struct sweeping *w, struct slice type)
{
	const struct program *p = w->m->map->program;

	for (size_t i = 0; i < p->emits_n; i++)
		if (slice_eq(p->emits[i].type, type) &&
		    p->emits[i].data != NULL)
			return p->emits[i].data->type;
	return NULL;
}

/* A default that this change made the mapping take: 0 none, 1 all of them are
 * taken by tests, -1 *which is not. */
static int
defaults_taken(const struct sweeping *w, size_t *which)
{
	size_t n = mapping_defaults(w->m->map);
	int found = 0;

	for (size_t i = 0; i < n; i++) {
		if (w->taken[i] <= w->sample[i])
			continue;
		if (w->tested[i] == 0) {
			*which = i;
			return -1;
		}
		found = 1;
	}
	return found;
}

/* The same default or the same output field fails once, with the first leaf
 * that showed it. */
static void
failed(struct sweeping *w, const struct leaf *l, int how, struct slice what)
{
	for (size_t i = 0; i < w->told_n; i++)
		if (slice_eq(w->told[i], what))
			return;
	if (w->told_n == TOLD ||
	    arena_copy(&w->told_in, what, &w->told[w->told_n]) != ERR_OK)
		return;
	w->told_n++;
	w->s->failed++;
	fprintf(w->out, "SWEEP %s: %s %s: %.*s\n", w->at.file, l->path,
	    hows[how], SLICE_ARG(what));
}

/* An output path without the numbers of items. */
static size_t
without_items(char *out, size_t max, struct slice path)
{
	size_t n = 0;
	bool in = false;

	for (size_t i = 0; i < path.n && n + 1 < max; i++) {
		in = in || path.p[i] == '[';
		if (!in)
			out[n++] = (char)path.p[i];
		in = in && path.p[i] != ']';
	}
	out[n] = '\0';
	return n;
}

static void
judge(struct sweeping *w, const struct leaf *l, int how, const struct result *r)
{
	bool same = true, bad = r->n != w->base_n;
	char text[512], path[256];
	uint32_t line;
	size_t which = 0;
	int took;

	w->s->tried++;
	if (r->verdict != EVAL_OK && r->verdict != EVAL_SKIP) {
		w->s->refused++;
		return;
	}
	buf_reset(&w->path);
	for (size_t i = 0; !bad && i < r->n; i++)
		bad = !slice_eq(r->events[i].type, w->base[i].type) ||
		      spoiled(w, w->base[i].data, r->events[i].data,
			  built_type(w, w->base[i].type), &same);
	if (!bad) {
		if (same)
			w->s->irrelevant++;
		else
			w->s->optional++;
		return;
	}
	took = defaults_taken(w, &which);
	if (took > 0) {
		w->s->defaulted++;
		return;
	}
	if (took < 0) {
		struct slice x = mapping_default(w->m->map, which, &line);

		snprintf(text, sizeof(text),
		    "line %u: no test takes the default in %.*s", line,
		    (int)(x.n < 100 ? x.n : 100), (const char *)x.p);
	} else if (r->n != w->base_n) {
		snprintf(text, sizeof(text),
		    "%zu events in place of %zu, and nothing was said", r->n,
		    w->base_n);
	} else {
		without_items(path, sizeof(path), buf_all(&w->path));
		snprintf(text, sizeof(text), "%s changes, and nothing was said",
		    path);
	}
	failed(w, l, how, slice_str(text));
}

/* ---- a sample ---- */

static bool
keep_base(struct sweeping *w, const struct result *r)
{
	w->base_n = r->n;
	w->base = arena_alloc(&w->a, (r->n + 1) * sizeof(*w->base));
	for (size_t i = 0; w->base != NULL && i < r->n; i++)
		if (arena_copy(&w->a, r->events[i].type, &w->base[i].type) !=
			ERR_OK ||
		    arena_copy(&w->a, r->events[i].data, &w->base[i].data) !=
			ERR_OK)
			return false;
	return w->base != NULL;
}

static void
sweep_sample(struct sweeping *w, const struct given *g)
{
	const struct result *r = run(w, g, g->data, w->sample);
	struct mp_in in = mp_in(g->data);

	if (r->verdict != EVAL_OK || r->n == 0 || !keep_base(w, r))
		return;
	w->leaves_n = 0;
	buf_reset(&w->path);
	find_leaves(w, g->data.p, &in, NOWHERE, NOWHERE, 0);
	for (size_t i = 0; i < w->leaves_n; i++)
		for (int how = 0; how < 3; how++) {
			if (!change(w, g->data, &w->leaves[i], how))
				continue;
			r = run(w, g, buf_all(&w->data), w->taken);
			judge(w, &w->leaves[i], how, r);
		}
}

/* Each input of each test: first to see which defaults tests take, then to be
 * swept. */
static void
each_given(struct sweeping *w, const struct yaml *tests,
    void (*fn)(struct sweeping *w, const struct given *g))
{
	for (const struct yaml *t = tests != NULL ? tests->child : NULL;
	     t != NULL; t = t->next) {
		const struct yaml *y = yaml_get(t, "given"), *list;
		struct given g;

		if (given_absent(t))
			continue;
		list = yaml_get(t, "scenario");
		if (list != NULL)
			y = list->child;
		for (unsigned step = 0; y != NULL; step++) {
			if (given_make(w->m, &w->at, t, y, step, &w->a, &g))
				fn(w, &g);
			y = list != NULL ? y->next : NULL;
		}
		arena_reset(&w->a);
	}
}

static void
note_defaults(struct sweeping *w, const struct given *g)
{
	size_t n = mapping_defaults(w->m->map);

	(void)run(w, g, g->data, w->taken);
	for (size_t i = 0; i < n; i++)
		w->tested[i] += w->taken[i];
}

enum err
sweep_file(const char *path, bool verbose, FILE *out, struct sweep *s)
{
	static struct sweeping w; /* large; the runner has one thread */
	struct mapfile m;
	struct faults f;
	size_t n, had = s->failed;
	enum err e;

	memset(&w, 0, sizeof(w));
	w.out = out;
	w.s = s;
	faults_init(&f);
	e = mapfile_open(&m, path, &f);
	if (e != ERR_OK)
		goto end;
	n = mapping_defaults(m.map) + 1;
	w.m = &m;
	w.at = (struct yaml_at){path, &f};
	w.eval = eval_new();
	w.tested = calloc(n, sizeof(*w.tested));
	w.sample = calloc(n, sizeof(*w.sample));
	w.taken = calloc(n, sizeof(*w.taken));
	w.leaves = calloc(LEAVES, sizeof(*w.leaves));
	arena_init(&w.a, SWEEP_MEMORY);
	arena_init(&w.told_in, SWEEP_MEMORY);
	buf_init(&w.data, MAPTEST_VALUE);
	buf_init(&w.path, 4096);
	if (w.eval == NULL || w.tested == NULL || w.sample == NULL ||
	    w.taken == NULL || w.leaves == NULL) {
		e = err_note(ERR_NOMEM, "no memory to sweep");
	} else {
		const struct yaml *tests = yaml_get(m.root, "tests");

		each_given(&w, tests, note_defaults);
		each_given(&w, tests, sweep_sample);
	}
	if (verbose && s->failed == had)
		fprintf(out, "ok   %s: swept\n", path);
	eval_free(w.eval);
	free(w.tested);
	free(w.sample);
	free(w.taken);
	free(w.leaves);
	arena_fini(&w.a);
	arena_fini(&w.told_in);
	buf_fini(&w.data);
	buf_fini(&w.path);
end:
	mapfile_close(&m);
	faults_fini(&f);
	return e;
}
