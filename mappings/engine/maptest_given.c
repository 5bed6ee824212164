/*
 * maptest_given - the input of a test: its data from a sample or inline, what
 * is set in it, its envelope and settings, and what its joins read.
 *
 * The envelope has fixed values unless the test names others, so a test gives
 * the same result every day: time 2026-03-01T10:00:00Z and a second more for
 * each input of a scenario, an id from the data's hash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "mappings/engine/maptest_inner.h"
#include "mappings/engine/mp_edit.h"
#include "mappings/engine/ruleset.h"
#include "mappings/engine/source.h"
#include "mappings/engine/words.h"

#define FIRST_TIME INT64_C(1772359200000000000) /* 2026-03-01T10:00:00Z */

struct make {
	const struct mapfile *m;
	struct yaml_at at;
	const struct yaml *test, *y; /* y: the given itself or NULL */
	bool described;		     /* y has file: or data:, not data */
	struct arena *a;
};

/* A word of the given, or of the test when the given does not say it. */
static const struct yaml *
word(const struct make *k, const char *name)
{
	const struct yaml *y = NULL;

	if (k->described)
		y = yaml_get(k->y, name);
	return y != NULL ? y : yaml_get(k->test, name);
}

static bool
keep(const struct make *k, const struct yaml *y, struct buf *b,
    struct slice *out)
{
	if (buf_check(b) == ERR_OK &&
	    arena_copy(k->a, buf_all(b), out) == ERR_OK)
		return true;
	fault(k->at.f, k->at.file, y, "%s", err_last());
	return false;
}

static bool
ends(struct slice s, const char *with)
{
	size_t n = strlen(with);

	return s.n > n && memcmp(s.p + s.n - n, with, n) == 0;
}

/* What the mapping's input is like: its first type's fields, if known. */
static const struct schema_field *
input_root(const struct make *k)
{
	struct slice type = k->m->map->from[0];
	const struct schema *s = pack_schema(k->m->pack, type);

	if (s == NULL)
		s = vocabulary_find(k->m->vocabulary, type);
	return s != NULL ? &s->root : NULL;
}

static enum err
sample(const struct make *k, const char *path, struct buf *out)
{
	struct yaml *root;
	struct buf text;
	enum err e;

	if (ends(slice_str(path), ".yaml")) {
		if ((e = yaml_load(path, k->a, k->at.f, &root)) != ERR_OK)
			return e;
		return yaml_to_mp(root, out);
	}
	buf_init(&text, MAPTEST_VALUE);
	e = file_read(path, &text);
	if (e == ERR_OK &&
	    (e = source_to_mp(buf_all(&text), input_root(k), out)) != ERR_OK)
		e = err_wrap(e, "%s", path);
	buf_fini(&text);
	return e;
}

const char *
maptest_fixtures(void)
{
	const char *dir = getenv("VAYLA_FIXTURES");

	return dir != NULL && dir[0] != '\0' ? dir : "../shared/fixtures";
}

bool
given_absent(const struct yaml *test)
{
	const struct yaml *list = yaml_get(test, "scenario"), *y;
	struct buf path;
	bool absent = false;

	y = list != NULL ? list->child : yaml_get(test, "given");
	for (; y != NULL && !absent; y = list != NULL ? y->next : NULL) {
		const struct yaml *f = yaml_get(y, "fixture");

		/* a path that is refused is said when the test runs */
		if (f == NULL || f->kind != YAML_SCALAR ||
		    memmem(f->text.p, f->text.n, "..", 2) != NULL)
			continue;
		buf_init(&path, 4096);
		buf_printf(
		    &path, "%s/%.*s", maptest_fixtures(), SLICE_ARG(f->text));
		absent = access(buf_cstr(&path), R_OK) != 0;
		buf_fini(&path);
	}
	return absent;
}

static bool
from_file(const struct make *k, const struct yaml *file, struct buf *out)
{
	struct slice name = yaml_text(&k->at, file, "file");
	bool fixture = slice_is(file->key->text, "fixture");
	struct buf path;
	enum err e;

	if (name.n == 0 || name.p[0] == '/' ||
	    memmem(name.p, name.n, "..", 2) != NULL) {
		fault(k->at.f, k->at.file, file,
		    fixture ? "a fixture's path starts at the folder that "
			      "VAYLA_FIXTURES names"
			    : "a sample's path starts at the pack's folder: "
			      "samples/order.json");
		return false;
	}
	buf_init(&path, 4096);
	buf_printf(&path, "%s/%.*s",
	    fixture ? maptest_fixtures() : k->m->pack->dir, SLICE_ARG(name));
	e = sample(k, buf_cstr(&path), out);
	buf_fini(&path);
	if (e != ERR_OK)
		fault(k->at.f, k->at.file, file, "%s", err_last());
	return e == ERR_OK;
}

/* data, or file with at:, before set: is applied. */
static bool
base_make(const struct make *k, struct slice *out)
{
	const struct yaml *file = NULL, *data = k->y, *at;
	struct buf b;
	bool fine = true;

	if (k->described) {
		file = yaml_get(k->y, "file");
		if (file == NULL)
			file = yaml_get(k->y, "fixture");
		data = yaml_get(k->y, "data");
	}
	buf_init(&b, MAPTEST_VALUE);
	if (file != NULL) {
		fine = from_file(k, file, &b);
	} else if (data == NULL) {
		mp_put_map(&b, 0);
	} else if (yaml_to_mp(data, &b) != ERR_OK) {
		fault(k->at.f, k->at.file, data, "%s", err_last());
		fine = false;
	}
	fine = fine && keep(k, k->test, &b, out);
	buf_fini(&b);
	at = k->described ? yaml_get(k->y, "at") : NULL;
	if (!fine || at == NULL)
		return fine;
	if (mp_at(*out, yaml_text(&k->at, at, "at"), out) == ERR_OK)
		return true;
	fault(k->at.f, k->at.file, at, "%s", err_last());
	return false;
}

static bool
set_all(const struct make *k, struct slice *data)
{
	const struct yaml *set = k->described ? yaml_get(k->y, "set") : NULL;
	bool fine = true;

	if (set == NULL)
		return true;
	if (!yaml_want(&k->at, set, YAML_MAP, "set"))
		return false;
	for (const struct yaml *y = set->child; y != NULL && fine;
	     y = y->next) {
		struct buf with, out;
		enum err e = ERR_OK;

		buf_init(&with, MAPTEST_VALUE);
		buf_init(&out, MAPTEST_VALUE);
		if (!yaml_is(y, "absent"))
			e = yaml_to_mp(y, &with);
		if (e == ERR_OK)
			e = mp_set(*data, y->key->text, buf_all(&with), &out);
		if (e != ERR_OK) {
			fault(k->at.f, k->at.file, y->key, "%s", err_last());
			fine = false;
		} else {
			fine = keep(k, y, &out, data);
		}
		buf_fini(&with);
		buf_fini(&out);
	}
	return fine;
}

static void
put_text(struct buf *b, const struct yaml *event, const char *name,
    struct slice otherwise)
{
	const struct yaml *y = yaml_get(event, name);

	mp_put_cstr(b, name);
	mp_put_str(b, y != NULL ? y->text : otherwise);
}

/* The subject an event of this type would have, where the test names none. */
static struct slice
subject_default(const struct make *k, struct slice type)
{
	const struct schema *s = vocabulary_find(k->m->vocabulary, type);
	struct slice out = SLICE_LIT("order:1");
	struct buf b;

	if (s == NULL)
		return out;
	buf_init(&b, SUBJECT_MAX);
	buf_printf(&b, "%.*s:1", SLICE_ARG(s->kind));
	if (!keep(k, k->test, &b, &out))
		out = SLICE_LIT("order:1");
	buf_fini(&b);
	return out;
}

static bool
subject_make(const struct make *k, const struct yaml *event, struct slice type,
    struct given *out)
{
	const struct yaml *y = yaml_get(event, "subject");
	struct slice written = y != NULL ? y->text : subject_default(k, type);
	struct buf b;
	bool fine;

	buf_init(&b, 2 * SUBJECT_MAX);
	fine = subject_scope(k->m->vocabulary, k->m->pack->name,
		   k->m->pack->name, written, &b) == ERR_OK;
	if (!fine)
		fault(k->at.f, k->at.file, y != NULL ? y : k->test, "%s",
		    err_last());
	fine = fine && keep(k, k->test, &b, &out->subject);
	buf_fini(&b);
	return fine;
}

static bool
event_make(const struct make *k, unsigned step, struct given *out)
{
	const struct yaml *event = word(k, "event"), *y;
	struct slice type = k->m->map->from[0], id;
	int64_t time = FIRST_TIME + (int64_t)step * 1000000000;
	uint8_t digest[32];
	struct buf b, hex;
	bool fine = true, zoned;

	if (event != NULL &&
	    !yaml_known(&k->at, event, words_envelope, "event"))
		return false;
	for (y = event != NULL ? event->child : NULL; y != NULL; y = y->next)
		if (!slice_is(y->key->text, "refs") &&
		    !yaml_want(&k->at, y, YAML_SCALAR, "an event's field"))
			return false;
	if ((y = yaml_get(event, "type")) != NULL)
		type = y->text;
	if ((y = yaml_get(event, "time")) != NULL &&
	    time_parse(y->text, NULL, &time, &zoned) != ERR_OK) {
		fault(k->at.f, k->at.file, y, "%s", err_last());
		return false;
	}
	if (!subject_make(k, event, type, out))
		return false;
	buf_init(&hex, 128);
	buf_init(&b, 64 * 1024);
	sha256(out->data, digest);
	hex_put(&hex, slice_of(digest, 16));
	y = yaml_get(event, "id");
	id = y != NULL ? y->text : buf_all(&hex);
	fine = arena_copy(k->a, id, &out->id) == ERR_OK;
	y = yaml_get(event, "refs");
	mp_put_map(&b, y != NULL ? 7 : 6);
	mp_put_cstr(&b, "specversion");
	mp_put_cstr(&b, "1.0");
	mp_put_cstr(&b, "id");
	mp_put_str(&b, id);
	put_text(&b, event, "source", k->m->pack->name);
	mp_put_cstr(&b, "type");
	mp_put_str(&b, type);
	mp_put_cstr(&b, "subject");
	mp_put_str(&b, out->subject);
	mp_put_cstr(&b, "time");
	mp_put_time(&b, time);
	if (y != NULL) {
		mp_put_cstr(&b, "refs");
		fine = yaml_to_mp(y, &b) == ERR_OK && fine;
	}
	fine = fine && keep(k, k->test, &b, &out->event);
	buf_fini(&hex);
	buf_fini(&b);
	return fine;
}

static bool
settings_make(const struct make *k, struct given *out)
{
	struct buf b;
	bool fine;

	buf_init(&b, MAPTEST_VALUE);
	fine = pack_defaults(k->m->pack, k->at.file, word(k, "settings"),
		   k->at.f, &b) == ERR_OK &&
	       keep(k, k->test, &b, &out->settings);
	buf_fini(&b);
	return fine;
}

/* Every name in with: is a join of this mapping. */
static bool
with_check(const struct make *k, const struct yaml *with)
{
	const char *names[65];
	size_t n = 0;

	if (with == NULL)
		return true;
	for (; n < k->m->map->joins_n && n < 64; n++)
		names[n] = arena_strdup(k->a, k->m->map->joins[n].name);
	names[n] = NULL;
	return yaml_known(&k->at, with, names, "with");
}

bool
given_make(const struct mapfile *m, const struct yaml_at *at,
    const struct yaml *test, const struct yaml *y, unsigned step,
    struct arena *a, struct given *out)
{
	struct make k = {.m = m, .at = *at, .test = test, .y = y, .a = a};

	*out = (struct given){.with = NULL};
	k.described = yaml_get(y, "file") != NULL ||
		      yaml_get(y, "fixture") != NULL ||
		      yaml_get(y, "data") != NULL || (step > 0 && y == NULL);
	if (k.described && y != NULL &&
	    !yaml_known(at, y, words_given, "given"))
		return false;
	out->with = word(&k, "with");
	out->subjects = word(&k, "subjects");
	if (!with_check(&k, out->with))
		return false;
	if (out->subjects != NULL &&
	    !yaml_want(at, out->subjects, YAML_MAP, "subjects"))
		return false;
	return base_make(&k, &out->data) && set_all(&k, &out->data) &&
	       settings_make(&k, out) && event_make(&k, step, out);
}

bool
given_of_data(const struct mapfile *m, const struct yaml_at *at,
    const struct yaml *test, struct slice data, struct arena *a,
    struct given *out)
{
	struct make k = {.m = m, .at = *at, .test = test, .a = a};

	*out = (struct given){.data = data,
	    .with = yaml_get(test, "with"),
	    .subjects = yaml_get(test, "subjects")};
	return with_check(&k, out->with) && settings_make(&k, out) &&
	       event_make(&k, 0, out);
}

/* ---- what joins read ---- */

static enum err
joined_put(
    const struct yaml *y, uint64_t seq, struct arena *a, struct joined *out)
{
	struct buf b;
	enum err e;

	buf_init(&b, MAPTEST_VALUE);
	e = yaml_to_mp(y, &b);
	if (e == ERR_OK)
		e = arena_copy(a, buf_all(&b), &out->data);
	out->seq = seq;
	buf_fini(&b);
	return e;
}

enum err
given_read(void *self, const struct join *j, struct slice key, struct arena *a,
    struct joined **out, size_t *n, size_t max)
{
	struct given_reader *r = self;
	const struct yaml *y = NULL, *c;
	size_t count;
	enum err e;

	*n = 0;
	*out = NULL;
	if (r->given->with != NULL)
		for (c = r->given->with->child; c != NULL; c = c->next)
			if (slice_eq(c->key->text, j->name))
				y = c;
	if (y == NULL || yaml_is(y, "absent") || yaml_is(y, "null"))
		return ERR_OK;
	count = y->kind == YAML_LIST ? y->count : 1;
	if (count == 0)
		return ERR_OK;
	if (j->by_ref && r->refs_n < sizeof(r->refs) / sizeof(r->refs[0]) &&
	    arena_copy(a, key, &r->refs[r->refs_n]) == ERR_OK)
		r->refs_n++;
	if (j->all && count > max)
		return err_note(ERR_LIMIT, "more than %zu events", max);
	c = y->kind == YAML_LIST ? y->child : y;
	if (!j->all)
		for (; c->next != NULL && y->kind == YAML_LIST; c = c->next)
			;
	count = j->all ? count : 1;
	if ((*out = arena_alloc(a, count * sizeof(**out))) == NULL)
		return err_note(ERR_LIMIT, "no room for what a join reads");
	for (; *n < count; c = c->next, ++*n)
		if ((e = joined_put(c, *n + 1, a, &(*out)[*n])) != ERR_OK)
			return e;
	return ERR_OK;
}

enum err
given_subject_of(
    void *self, struct slice ref, struct arena *a, struct slice *subject)
{
	const struct given_reader *r = self;
	const struct yaml *c =
	    r->given->subjects != NULL ? r->given->subjects->child : NULL;
	struct buf b;
	enum err e;

	buf_init(&b, 2 * SUBJECT_MAX);
	for (; c != NULL; c = c->next) {
		buf_reset(&b);
		e = subject_scope(
		    r->vocabulary, r->system, r->system, c->key->text, &b);
		if (e == ERR_OK && slice_eq(buf_all(&b), ref)) {
			buf_reset(&b);
			e = subject_scope(
			    r->vocabulary, r->system, r->system, c->text, &b);
			if (e == ERR_OK)
				e = arena_copy(a, buf_all(&b), subject);
			buf_fini(&b);
			return e;
		}
	}
	buf_fini(&b);
	for (size_t i = 0; i < r->refs_n; i++)
		if (slice_eq(r->refs[i], ref)) {
			*subject = r->given->subject;
			return ERR_OK;
		}
	return err_note(ERR_NOTFOUND, "nothing is called %.*s", SLICE_ARG(ref));
}
