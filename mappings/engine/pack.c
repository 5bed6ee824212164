/*
 * pack - loading the folder of one product, and the canonical vocabulary.
 *
 * All faults of all its files are collected before anything is refused, so a
 * person mends a pack in one go. Sections that connectors read are given out as
 * they stand; their words are checked by the connector that knows them.
 * Settings are in pack_settings.c.
 */
#include <stdio.h>

#include "broker/base/file.h"
#include "broker/base/yaml_check.h"
#include "mappings/engine/lang.h"
#include "mappings/engine/pack_inner.h"
#include "mappings/engine/words.h"

#define PACK_FILES_MAX 1000

static bool
ends(const char *name, const char *with)
{
	size_t n = strlen(name), w = strlen(with);

	return n > w && strcmp(name + n - w, with) == 0;
}

/* dir/name of every file whose name ends so, sorted; NULL-terminated. */
static enum err
files_of(const char *dir, const char *with, struct arena *a,
    const char *const **out, size_t *n)
{
	const char **list;
	size_t all = 0, got = 0;
	char **names;
	enum err e;

	if ((e = dir_list(dir, &names)) != ERR_OK)
		return e;
	while (names[all] != NULL)
		all++;
	list = arena_alloc(a, (all + 1) * sizeof(*list));
	for (size_t i = 0; i < all && list != NULL; i++) {
		struct buf path;

		if (names[i][0] == '.' || !ends(names[i], with))
			continue;
		buf_init(&path, 4096);
		buf_printf(&path, "%s/%s", dir, names[i]);
		list[got] = path.bad ? NULL : arena_strdup(a, buf_all(&path));
		buf_fini(&path);
		if (list[got] == NULL)
			list = NULL;
		else
			got++;
	}
	dir_free(names);
	if (list == NULL)
		return err_note(ERR_LIMIT, "%s: no room for its names", dir);
	if (got > PACK_FILES_MAX)
		return err_note(
		    ERR_LIMIT, "%s: more than %d files", dir, PACK_FILES_MAX);
	*out = list;
	*n = got;
	return ERR_OK;
}

/* All schemas of a folder; those with faults are left out. */
static enum err
schemas_of(const char *dir, bool canonical, struct arena *a, struct faults *f,
    const struct schema *const **out, size_t *out_n)
{
	const struct schema **list;
	const char *const *files;
	size_t n, got = 0;
	enum err e;

	*out = NULL;
	*out_n = 0;
	if ((e = files_of(dir, ".yaml", a, &files, &n)) != ERR_OK)
		return e;
	if ((list = arena_alloc(a, (n + 1) * sizeof(*list))) == NULL)
		return err_note(ERR_LIMIT, "%s: no room for it", dir);
	for (size_t i = 0; i < n; i++) {
		e = schema_load(files[i], canonical, a, f, &list[got]);
		if (e == ERR_OK)
			got++;
		else if (e != ERR_SYNTAX)
			return e;
	}
	*out = list;
	*out_n = got;
	return ERR_OK;
}

static const struct schema *
schema_among(const struct schema *const *list, size_t n, struct slice type)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(list[i]->type, type))
			return list[i];
	return NULL;
}

/* ---- the vocabulary ---- */

/* Two types may share a kind of subject, but not with two scopes. */
static void
kinds_check(const struct vocabulary *v, struct faults *f)
{
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < i; k++) {
			const struct schema *x = v->schemas[i];
			const struct schema *y = v->schemas[k];

			if (!slice_eq(x->kind, y->kind) || x->house == y->house)
				continue;
			fault(f, x->file, NULL,
			    "subjects of kind \"%.*s\" are of %s scope here "
			    "and of %s scope in %s",
			    SLICE_ARG(x->kind), x->house ? "house" : "system",
			    y->house ? "house" : "system", y->file);
			return;
		}
}

enum err
vocabulary_load(const char *packs_dir, struct arena *a, struct faults *f,
    const struct vocabulary **out)
{
	size_t had = f->count;
	struct vocabulary *v = arena_alloc(a, sizeof(*v));
	struct buf dir;
	enum err e;

	if (v == NULL)
		return err_note(ERR_LIMIT, "no room for the vocabulary");
	buf_init(&dir, 4096);
	buf_printf(&dir, "%s/canonical", packs_dir);
	e = schemas_of(buf_cstr(&dir), true, a, f, &v->schemas, &v->n);
	if (e == ERR_NOTFOUND)
		fault(f, buf_cstr(&dir), NULL,
		    "there is no canonical vocabulary here; is %s the folder "
		    "of the packs?",
		    packs_dir);
	buf_fini(&dir);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	kinds_check(v, f);
	if (f->count != had)
		return err_note(ERR_CONFIG, "the vocabulary has %zu faults",
		    f->count - had);
	*out = v;
	return ERR_OK;
}

const struct schema *
vocabulary_find(const struct vocabulary *v, struct slice type)
{
	return schema_among(v->schemas, v->n, type);
}

/* ---- a pack ---- */

const struct schema *
pack_schema(const struct pack *p, struct slice type)
{
	return schema_among(p->schemas, p->schemas_n, type);
}

const struct pack_send *
pack_sends(const struct pack *p, struct slice type)
{
	for (size_t i = 0; i < p->sends_n; i++)
		if (slice_eq(p->sends[i].type, type))
			return &p->sends[i];
	return NULL;
}

bool
pack_owns(struct slice pack, struct slice type)
{
	return type.n > pack.n + 1 && slice_starts(type, pack) &&
	       type.p[pack.n] == '.';
}

/* The types a mapping of the pack may name: its own and the vocabulary's. */
struct types {
	const struct pack *p;
	const struct vocabulary *v;
	const char **names;
};

static const struct schema *
types_find(void *self, struct slice type)
{
	struct types *t = self;
	const struct schema *s = pack_schema(t->p, type);

	return s != NULL ? s : vocabulary_find(t->v, type);
}

static const char *const *
types_names(void *self)
{
	return ((struct types *)self)->names;
}

/* Canonical types and the pack's own requests; nothing else has a receiver. */
static void
emits_check(const struct pack *p, const struct vocabulary *v,
    const struct mapping *m, struct faults *f)
{
	for (size_t i = 0; i < m->program->emits_n; i++) {
		const struct emit *e = &m->program->emits[i];

		if (vocabulary_find(v, e->type) != NULL ||
		    pack_sends(p, e->type) != NULL)
			continue;
		if (pack_owns(p->name, e->type))
			fault(f, m->file, e->at,
			    "it emits \"%.*s\", which is no request of this "
			    "pack: name it under send: in %s",
			    SLICE_ARG(e->type), p->file);
		else
			fault(f, m->file, e->at,
			    "it emits \"%.*s\", which is neither canonical "
			    "nor a request of its own pack %.*s",
			    SLICE_ARG(e->type), SLICE_ARG(p->name));
	}
}

enum err
pack_map(const struct pack *p, const struct vocabulary *v, const char *path,
    struct arena *a, struct faults *f, const struct mapping **out)
{
	struct types *t = arena_alloc(a, sizeof(*t));
	struct schema_source *from = arena_alloc(a, sizeof(*from));
	size_t n = 0;
	enum err e;

	if (t == NULL || from == NULL)
		return err_note(ERR_LIMIT, "%s: no room for it", path);
	t->p = p;
	t->v = v;
	t->names =
	    arena_alloc(a, (p->schemas_n + v->n + 1) * sizeof(*t->names));
	if (t->names == NULL)
		return err_note(ERR_LIMIT, "%s: no room for it", path);
	for (size_t i = 0; i < p->schemas_n + v->n; i++) {
		const struct schema *s = i < p->schemas_n
					     ? p->schemas[i]
					     : v->schemas[i - p->schemas_n];

		if ((t->names[n] = arena_strdup(a, s->type)) != NULL)
			n++;
	}
	*from = (struct schema_source){t, types_find, types_names};
	e = mapping_load(path, from, p->settings_open, a, f, out);
	if (e == ERR_OK)
		emits_check(p, v, *out, f);
	return e;
}

static bool
name_fine(struct slice s)
{
	if (s.n == 0 || s.n > 64 || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' ||
			s.p[i] == '-'))
			return false;
	return true;
}

static void
send_load(struct yaml_at *at, const struct pack *p, const struct yaml *y,
    struct pack_send *s)
{
	/* All but revised and spent is its connector's to understand. */
	int i;

	s->type = y->key->text;
	s->node = y;
	if (!pack_owns(p->name, s->type))
		fault(at->f, at->file, y->key,
		    "a request of this pack has a type that begins with "
		    "\"%.*s.\"",
		    SLICE_ARG(p->name));
	else if (pack_schema(p, s->type) == NULL)
		fault(at->f, at->file, y->key,
		    "\"%.*s\" has no schema; write schema/%.*s.yaml",
		    SLICE_ARG(s->type), SLICE_ARG(s->type));
	if (!yaml_known(at, y, words_send, "a row of send") &&
	    y->kind != YAML_MAP)
		return;
	(void)yaml_text(at, yaml_get(y, "write"), "write");
	if (yaml_get(y, "revised") == NULL)
		fault(at->f, at->file, y,
		    "what does a later revision do there? revised: send, "
		    "reverse, ask or never");
	i = yaml_word(at, yaml_get(y, "revised"), words_revised, "revised");
	s->revised = i == 1   ? SEND_REVERSE
		     : i == 2 ? SEND_ASK
		     : i == 3 ? SEND_NEVER
			      : SEND_AGAIN;
	s->reads = yaml_get(y, "get") != NULL;
	s->skip_when_spent =
	    yaml_word(at, yaml_get(y, "spent"), words_spent, "spent") == 1;
}

static enum err
sends_load(struct yaml_at *at, struct pack *p, struct arena *a)
{
	const struct yaml *send = yaml_get(p->root, "send");
	struct pack_send *list;

	if (send == NULL || !yaml_want(at, send, YAML_MAP, "send"))
		return ERR_OK;
	list = arena_alloc(a, (send->count + 1) * sizeof(*list));
	if (list == NULL)
		return err_note(ERR_LIMIT, "%s: no room for it", p->file);
	for (const struct yaml *y = send->child; y != NULL; y = y->next)
		send_load(at, p, y, &list[p->sends_n++]);
	p->sends = list;
	return ERR_OK;
}

static void
head_load(struct yaml_at *at, struct pack *p, struct slice folder)
{
	const struct yaml *y = yaml_get(p->root, "pack");
	struct slice name;

	(void)yaml_known(at, p->root, words_pack, "a pack");
	p->title = yaml_text(at, yaml_get(p->root, "title"), "title");
	if (y == NULL)
		fault(at->f, at->file, p->root,
		    "the first line must name the pack: pack: %.*s/1",
		    SLICE_ARG(folder));
	else if (yaml_versioned(at, y, "pack", &name, &p->version) &&
		 !slice_eq(name, folder))
		fault(at->f, at->file, y,
		    "pack \"%.*s\" stands in the folder \"%.*s\"; the two "
		    "must agree",
		    SLICE_ARG(name), SLICE_ARG(folder));
}

static void
natives_check(struct pack *p, struct faults *f)
{
	for (size_t i = 0; i < p->schemas_n; i++)
		if (!pack_owns(p->name, p->schemas[i]->type))
			fault(f, p->schemas[i]->file, NULL,
			    "a type of this pack begins with \"%.*s.\", not "
			    "\"%.*s\"",
			    SLICE_ARG(p->name), SLICE_ARG(p->schemas[i]->type));
}

/* "no pack named x; did you mean y?" over the folders that are there. */
static void
no_pack(const char *packs_dir, struct slice name, struct faults *f)
{
	const char *near = NULL;
	char **names;

	if (dir_list(packs_dir, &names) == ERR_OK) {
		near = yaml_nearest(name, (const char *const *)names);
		fault(f, packs_dir, NULL,
		    "there is no pack named \"%.*s\"%s%s%s", SLICE_ARG(name),
		    near != NULL ? "; did you mean \"" : "",
		    near != NULL ? near : "", near != NULL ? "\"?" : "");
		dir_free(names);
	} else {
		fault(f, packs_dir, NULL, "%s", err_last());
	}
}

static enum err
paths_set(struct pack *p, const char *packs_dir, struct arena *a)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_printf(&b, "%s/%.*s", packs_dir, SLICE_ARG(p->name));
	p->dir = b.bad ? NULL : arena_strdup(a, buf_all(&b));
	buf_str(&b, "/pack.yaml");
	p->file = b.bad ? NULL : arena_strdup(a, buf_all(&b));
	buf_fini(&b);
	return p->dir != NULL && p->file != NULL
		   ? ERR_OK
		   : err_note(ERR_LIMIT, "no room for a pack's paths");
}

static enum err
open_files(struct pack *p, struct yaml_at *at, struct arena *a)
{
	struct buf dir;
	enum err e;

	head_load(at, p, p->name);
	if ((e = pack_settings_load(p, at, a)) != ERR_OK)
		return e;
	buf_init(&dir, 4096);
	buf_printf(&dir, "%s/schema", p->dir);
	e = schemas_of(
	    buf_cstr(&dir), false, a, at->f, &p->schemas, &p->schemas_n);
	buf_fini(&dir);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	natives_check(p, at->f);
	return sends_load(at, p, a);
}

enum err
pack_open(const char *packs_dir, struct slice name, struct arena *a,
    struct faults *f, struct pack **out)
{
	struct pack *p = arena_alloc(a, sizeof(*p));
	size_t had = f->count;
	struct yaml_at at;
	struct yaml *root;
	enum err e;

	if (p == NULL || arena_copy(a, name, &p->name) != ERR_OK)
		return err_note(ERR_LIMIT, "no room for a pack");
	p->title = SLICE_EMPTY;
	if (!name_fine(name)) {
		no_pack(packs_dir, name, f);
		return err_note(
		    ERR_CONFIG, "no pack named %.*s", SLICE_ARG(name));
	}
	if ((e = paths_set(p, packs_dir, a)) != ERR_OK)
		return e;
	at = (struct yaml_at){p->file, f};
	e = yaml_load(p->file, a, f, &root);
	if (e == ERR_NOTFOUND) {
		no_pack(packs_dir, name, f);
		return err_note(
		    ERR_CONFIG, "no pack named %.*s", SLICE_ARG(name));
	}
	if (e != ERR_OK)
		return e == ERR_SYNTAX ? ERR_CONFIG : e;
	p->root = root;
	if ((e = open_files(p, &at, a)) != ERR_OK)
		return e;
	*out = p;
	if (f->count != had)
		return err_note(ERR_CONFIG, "pack %.*s has %zu faults",
		    SLICE_ARG(name), f->count - had);
	return ERR_OK;
}

/* One name, one mapping: derived events and parked ones are found by it. */
static void
names_check(const struct mapping *const *maps, size_t n, struct faults *f)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (slice_eq(maps[i]->name, maps[k]->name))
				fault(f, maps[i]->file, NULL,
				    "the mapping \"%.*s\" stands in %s too; "
				    "a name stands for one mapping",
				    SLICE_ARG(maps[i]->name), maps[k]->file);
}

enum err
pack_load(const char *packs_dir, struct slice name, const struct vocabulary *v,
    struct arena *a, struct faults *f, const struct pack **out)
{
	const struct mapping **maps;
	const char *const *files;
	size_t had = f->count, n;
	struct pack *p = NULL;
	enum err e;

	e = pack_open(packs_dir, name, a, f, &p);
	if (e != ERR_OK && (e != ERR_CONFIG || p == NULL))
		return e;
	if ((e = files_of(p->dir, ".map.yaml", a, &files, &n)) != ERR_OK)
		return e;
	if ((maps = arena_alloc(a, (n + 1) * sizeof(*maps))) == NULL)
		return err_note(ERR_LIMIT, "%s: no room for it", p->dir);
	for (size_t i = 0; i < n; i++) {
		size_t before = f->count;

		e = pack_map(p, v, files[i], a, f, &maps[p->mappings_n]);
		if (e == ERR_OK)
			p->mappings_n++;
		else if (f->count == before)
			return e;
	}
	names_check(maps, p->mappings_n, f);
	p->mappings = maps;
	*out = p;
	if (f->count != had)
		return err_note(ERR_CONFIG, "pack %.*s has %zu faults",
		    SLICE_ARG(name), f->count - had);
	return ERR_OK;
}

const struct yaml *
pack_section(const struct pack *p, const char *name)
{
	return yaml_get(p->root, name);
}
