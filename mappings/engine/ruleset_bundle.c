/*
 * ruleset_bundle - everything that decides what an event becomes, as one
 * msgpack value, and its hash.
 *
 * The bundle holds the files themselves, so that a ruleset named by an old
 * event can be read years later. Invariant: the same files, systems, settings,
 * rows and zone data give the same bytes; so lists are in the order of names
 * (files, zones) or of vayla.yaml (systems), and rows are sorted.
 *
 *     {format: 1, engine: N,
 *      files: [[path in the packs folder, bytes], ...],
 *      systems: [[name, pack, of, settings, [[map, table, key, row, layer]]]],
 *      zones: [[name, sha256], ...]}
 */
#include <stdlib.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "mappings/engine/ruleset_inner.h"

#define ZONES_MAX 64

struct zones {
	size_t n;
	const struct zone *list[ZONES_MAX];
};

static void
zone_add(struct zones *z, const struct zone *x)
{
	if (x == NULL || z->n == ZONES_MAX)
		return;
	for (size_t i = 0; i < z->n; i++)
		if (strcmp(zone_name(z->list[i]), zone_name(x)) == 0)
			return;
	z->list[z->n++] = x;
}

static void
zones_of_field(struct zones *z, const struct schema_field *x)
{
	for (; x != NULL; x = x->next) {
		zone_add(z, x->zone);
		zones_of_field(z, x->fields);
		zones_of_field(z, x->item);
	}
}

static bool
zone_letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' ||
	       c == '+';
}

/* Zones that a mapping names in quotes: 'Europe/Helsinki', 'UTC'. Any quoted
 * word that is a zone counts; one too many does no harm. */
static void
zones_of_text(struct zones *z, struct slice text)
{
	const struct zone *x;

	for (size_t i = 0; i + 1 < text.n; i++) {
		struct slice word;
		size_t n = 0;

		if (text.p[i] != '\'' && text.p[i] != '"')
			continue;
		while (i + 1 + n < text.n && zone_letter(text.p[i + 1 + n]))
			n++;
		if (n < 3 || n > 64 || i + 1 + n == text.n ||
		    text.p[i + 1 + n] != text.p[i])
			continue;
		word = slice_of(text.p + i + 1, n);
		if ((slice_is(word, "UTC") ||
			memchr(word.p, '/', word.n) != NULL) &&
		    zone_get(word, &x) == ERR_OK)
			zone_add(z, x);
	}
}

static void
zones_of_settings(struct zones *z, const struct system_rules *s)
{
	const struct zone *x;

	for (size_t i = 0; i < s->pack->settings_n; i++) {
		const struct pack_setting *p = &s->pack->settings[i];
		struct slice text;

		if (p->type == SETTING_ZONE &&
		    mp_get_str(s->settings, (const char *)p->name.p, &text) &&
		    zone_get(text, &x) == ERR_OK)
			zone_add(z, x);
	}
}

/* One file: its path from the packs folder (every path begins with it), its
 * bytes. */
static enum err
file_put(struct ruleset *r, struct zones *z, const char *path, uint32_t *n)
{
	size_t skip = strlen(r->packs_dir) + 1;
	struct buf text;
	enum err e;

	buf_init(&text, 16 * 1024 * 1024);
	e = file_read(path, &text);
	if (e == ERR_OK) {
		mp_put_array(&r->bundle, 2);
		mp_put_cstr(&r->bundle, path + skip);
		mp_put_bin(&r->bundle, buf_all(&text));
		zones_of_text(z, buf_all(&text));
		(*n)++;
	}
	buf_fini(&text);
	return e;
}

static enum err
schemas_put(struct ruleset *r, struct zones *z,
    const struct schema *const *list, size_t count, uint32_t *n)
{
	enum err e;

	for (size_t i = 0; i < count; i++) {
		e = file_put(r, z, list[i]->file, n);
		if (e != ERR_OK)
			return e;
		zone_add(z, list[i]->root.zone);
		zones_of_field(z, list[i]->root.fields);
	}
	return ERR_OK;
}

static int
pack_sort(const void *a, const void *b)
{
	const struct pack *const *x = a, *const *y = b;

	return slice_cmp((*x)->name, (*y)->name);
}

static enum err
files_put(struct ruleset *r, struct zones *z, uint32_t *n)
{
	enum err e;

	e = schemas_put(r, z, r->vocabulary->schemas, r->vocabulary->n, n);
	if (e != ERR_OK)
		return e;
	if (r->packs_n > 0)
		qsort(r->packs, r->packs_n, sizeof(*r->packs), pack_sort);
	for (size_t i = 0; i < r->packs_n; i++) {
		const struct pack *p = r->packs[i];

		if ((e = file_put(r, z, p->file, n)) != ERR_OK ||
		    (e = schemas_put(r, z, p->schemas, p->schemas_n, n)) !=
			ERR_OK)
			return e;
		for (size_t k = 0; k < p->mappings_n; k++) {
			e = file_put(r, z, p->mappings[k]->file, n);
			if (e != ERR_OK)
				return e;
		}
	}
	return ERR_OK;
}

static void
system_put(struct buf *b, const struct system_rules *s)
{
	mp_put_array(b, 5);
	mp_put_str(b, s->name);
	mp_put_str(b, s->pack->name);
	mp_put_str(b, s->of);
	buf_slice(b, s->settings);
	mp_put_array(b, (uint32_t)s->rows_n);
	for (size_t i = 0; i < s->rows_n; i++) {
		const struct row *row = &s->list[i];

		mp_put_array(b, 5);
		mp_put_str(b, row->map);
		mp_put_str(b, row->table);
		mp_put_str(b, row->key);
		buf_slice(b, row->value);
		mp_put_cstr(b, row->layer);
	}
}

static int
zone_sort(const void *a, const void *b)
{
	const struct zone *const *x = a, *const *y = b;

	return strcmp(zone_name(*x), zone_name(*y));
}

enum err
ruleset_bundle_make(struct ruleset *r)
{
	struct zones z = {.n = 0};
	uint32_t files = 0;
	size_t mark;
	enum err e;

	buf_reset(&r->bundle);
	mp_put_map(&r->bundle, 5);
	mp_put_cstr(&r->bundle, "format");
	mp_put_int(&r->bundle, 1);
	mp_put_cstr(&r->bundle, "engine");
	mp_put_int(&r->bundle, ENGINE_VERSION);
	mp_put_cstr(&r->bundle, "files");
	mark = mp_open(&r->bundle);
	if ((e = files_put(r, &z, &files)) != ERR_OK)
		return e;
	mp_close_array(&r->bundle, mark, files);
	mp_put_cstr(&r->bundle, "systems");
	mp_put_array(&r->bundle, (uint32_t)r->systems_n);
	for (size_t i = 0; i < r->systems_n; i++) {
		zones_of_settings(&z, &r->systems[i]);
		system_put(&r->bundle, &r->systems[i]);
	}
	mp_put_cstr(&r->bundle, "zones");
	if (z.n > 0)
		qsort(z.list, z.n, sizeof(z.list[0]), zone_sort);
	mp_put_array(&r->bundle, (uint32_t)z.n);
	for (size_t i = 0; i < z.n; i++) {
		mp_put_array(&r->bundle, 2);
		mp_put_cstr(&r->bundle, zone_name(z.list[i]));
		mp_put_bin(&r->bundle, slice_of(zone_digest(z.list[i]), 32));
	}
	if ((e = buf_check(&r->bundle)) != ERR_OK)
		return err_wrap(e, "the ruleset");
	sha256(buf_all(&r->bundle), r->hash);
	return ERR_OK;
}
