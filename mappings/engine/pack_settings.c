/*
 * pack_settings - the settings a pack declares, and a system's values for them.
 *
 * Invariant: a secret value is written to `all` alone and stands in no fault.
 * Values are written in the pack's order whatever vayla.yaml's, so equal
 * settings are equal bytes (the ruleset's hash rests on it).
 */
#include "broker/base/crypt.h"
#include "broker/base/dec.h"
#include "mappings/engine/pack_inner.h"
#include "mappings/engine/words.h"

#define SETTINGS_MAX 200

/* Keys of a system that are vayla.yaml's own. */

static bool
is_own(struct slice key)
{
	for (size_t i = 0; words_system[i] != NULL; i++)
		if (slice_is(key, words_system[i]))
			return true;
	return false;
}

static bool
date_fits(struct slice s)
{
	int64_t ns;
	bool zoned;
	const struct zone *utc;

	return s.n == 10 && zone_get(SLICE_LIT("UTC"), &utc) == ERR_OK &&
	       time_parse(s, utc, &ns, &zoned) == ERR_OK;
}

static bool
url_fits(struct slice s)
{
	const uint8_t *colon = memchr(s.p, ':', s.n);
	struct slice rest;

	if (colon == NULL || colon == s.p)
		return false;
	rest = slice_from(s, (size_t)(colon - s.p));
	return rest.n > 3 && slice_starts(rest, SLICE_LIT("://"));
}

/* One value as msgpack; false with a fault. `c` gives the folder that relative
 * paths start from; NULL (in tests): they stay. */
static bool
value_put(const struct yaml_at *at, const struct pack_setting *s,
    const struct yaml *y, const struct config *c, struct buf *out)
{
	const struct zone *z;
	struct dec d;
	int64_t i;
	const char *must = NULL;
	char digits[DEC_TEXT];
	struct buf path;
	size_t n;

	if (!yaml_want(at, y, YAML_SCALAR, "a setting"))
		return false;
	switch (s->type) {
	case SETTING_TEXT:
		mp_put_str(out, y->text);
		break;
	case SETTING_URL:
		must = url_fits(y->text)
			   ? NULL
			   : "a URL such as https://shop.example.fi";
		mp_put_str(out, y->text);
		break;
	case SETTING_PATH:
		if (c == NULL) {
			mp_put_str(out, y->text);
			break;
		}
		buf_init(&path, 4096);
		config_path(c, y->text, &path);
		if (path.bad)
			must = "a path of at most 4,096 bytes";
		else
			mp_put_str(out, buf_all(&path));
		buf_fini(&path);
		break;
	case SETTING_ZONE:
		must = zone_get(y->text, &z) == ERR_OK
			   ? NULL
			   : "a time zone such as Europe/Helsinki";
		mp_put_str(out, y->text);
		break;
	case SETTING_INTEGER:
		if (dec_parse(y->text, &d) == ERR_OK && dec_is_int(d, &i))
			mp_put_int(out, i);
		else
			must = "a whole number";
		break;
	case SETTING_DECIMAL:
		if (dec_parse(y->text, &d) == ERR_OK &&
		    dec_store(d, &d) == ERR_OK) {
			n = dec_text(d, digits);
			mp_put_decimal(out, slice_of(digits, n));
		} else {
			must = "a decimal number";
		}
		break;
	case SETTING_BOOL:
		if (slice_is(y->text, "true") || slice_is(y->text, "false"))
			mp_put_bool(out, slice_is(y->text, "true"));
		else
			must = "true or false";
		break;
	case SETTING_DATE:
		must = date_fits(y->text) ? NULL : "a date as 2026-03-31";
		mp_put_str(out, y->text);
		break;
	}
	if (must != NULL)
		fault(at->f, at->file, y, "%.*s must be %s", SLICE_ARG(s->name),
		    must);
	return must == NULL;
}

static bool
name_fine(struct slice s)
{
	if (s.n == 0 || s.n > 64 || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
			return false;
	return true;
}

static void
setting_load(struct yaml_at *at, const struct yaml *y, struct pack_setting *s)
{
	const struct yaml *type = y;
	struct buf scratch;
	int i;

	s->name = y->key->text;
	if (!name_fine(s->name) || is_own(s->name))
		fault(at->f, at->file, y->key,
		    "\"%.*s\" can not name a setting: small letters, digits "
		    "and _, and none of use, of, mode, since, tables",
		    SLICE_ARG(s->name));
	if (y->kind == YAML_MAP) {
		(void)yaml_known(at, y, words_setting, "a setting");
		if ((type = yaml_get(y, "type")) == NULL)
			fault(at->f, at->file, y,
			    "a setting needs a type: text, url, path, zone, "
			    "integer, decimal, bool or date");
		yaml_flag(
		    at, yaml_get(y, "required"), "required", &s->required);
		yaml_flag(at, yaml_get(y, "secret"), "secret", &s->secret);
		s->fallback = yaml_get(y, "default");
	}
	i = yaml_word(at, type, words_setting_type, "a setting's type");
	s->type = i > 0 ? (unsigned)i : SETTING_TEXT;
	if (s->fallback == NULL)
		return;
	if (s->required)
		fault(at->f, at->file, s->fallback,
		    "a required setting has no default");
	if (s->secret)
		fault(at->f, at->file, s->fallback,
		    "a secret has no default: it would be everyone's");
	buf_init(&scratch, 64 * 1024);
	(void)value_put(at, s, s->fallback, NULL, &scratch);
	buf_fini(&scratch);
}

/* Beside what the pack declares: the system's own name, for a mapping that
 * takes only what came from it. */
#define OWN_NAME SLICE_LIT("system")

/* The settings as a schema: what $settings.x may name. */
static enum err
schema_make(struct pack *p, bool secrets, struct arena *a,
    const struct schema_field **out)
{
	static const enum schema_type types[] = {SCHEMA_TEXT, SCHEMA_TEXT,
	    SCHEMA_TEXT, SCHEMA_TEXT, SCHEMA_INTEGER, SCHEMA_DECIMAL,
	    SCHEMA_BOOL, SCHEMA_DATE};
	struct schema_field *map = arena_alloc(a, sizeof(*map)), *last = NULL;

	if (map == NULL)
		return err_note(ERR_LIMIT, "%s: no room for it", p->file);
	map->type = SCHEMA_MAP;
	map->name = SLICE_LIT("$settings");
	map->title = SLICE_EMPTY;
	last = arena_alloc(a, sizeof(*last));
	if (last == NULL)
		return err_note(ERR_LIMIT, "%s: no room for it", p->file);
	last->name = OWN_NAME;
	last->title = SLICE_EMPTY;
	last->type = SCHEMA_TEXT;
	map->fields = last;
	for (size_t i = 0; i < p->settings_n; i++) {
		const struct pack_setting *s = &p->settings[i];
		struct schema_field *x;

		if (s->secret && !secrets)
			continue;
		if ((x = arena_alloc(a, sizeof(*x))) == NULL)
			return err_note(
			    ERR_LIMIT, "%s: no room for it", p->file);
		x->name = s->name;
		x->title = SLICE_EMPTY;
		x->type = types[s->type];
		x->optional = !s->required && s->fallback == NULL;
		last->next = x;
		last = x;
	}
	*out = map;
	return ERR_OK;
}

enum err
pack_settings_load(struct pack *p, struct yaml_at *at, struct arena *a)
{
	const struct yaml *y = yaml_get(p->root, "settings");
	struct pack_setting *list = NULL;
	enum err e;

	if (y != NULL && y->count > SETTINGS_MAX) {
		fault(
		    at->f, at->file, y, "more than %d settings", SETTINGS_MAX);
	} else if (y != NULL && yaml_want(at, y, YAML_MAP, "settings")) {
		list = arena_alloc(a, (y->count + 1) * sizeof(*list));
		if (list == NULL)
			return err_note(
			    ERR_LIMIT, "%s: no room for it", p->file);
		for (const struct yaml *c = y->child; c != NULL; c = c->next)
			setting_load(at, c, &list[p->settings_n++]);
	}
	p->settings = list;
	if ((e = schema_make(p, false, a, &p->settings_open)) != ERR_OK)
		return e;
	return schema_make(p, true, a, &p->settings_all);
}

/* Every key of a system (or of a test's settings) is a setting or own. */
static void
keys_check(const struct pack *p, const struct yaml_at *at,
    const struct yaml *node, bool system)
{
	const char *names[SETTINGS_MAX + 8];
	size_t n = 0;

	/* A setting's name is a YAML key, which ends with a NUL. */
	for (; n < p->settings_n; n++)
		names[n] = (const char *)p->settings[n].name.p;
	for (size_t i = 0; system && words_system[i] != NULL; i++)
		names[n++] = words_system[i];
	names[n] = NULL;
	(void)yaml_known(at, node, names, "settings");
}

/* The values of `node` and the defaults; counts what each map holds. */
static void
values_put(const struct pack *p, const struct yaml_at *at,
    const struct yaml *node, const struct config *c, struct slice system,
    bool demand, struct buf *open, struct buf *all)
{
	size_t mark_open = mp_open(open), mark_all = mp_open(all);
	uint32_t n_open = 1, n_all = 1;
	struct buf value;

	mp_put_str(open, OWN_NAME);
	mp_put_str(open, system);
	mp_put_str(all, OWN_NAME);
	mp_put_str(all, system);
	buf_init(&value, 256 * 1024);
	for (size_t i = 0; i < p->settings_n; i++) {
		const struct pack_setting *s = &p->settings[i];
		struct yaml_at where = *at;
		const struct yaml *y = NULL;

		for (const struct yaml *k = node != NULL ? node->child : NULL;
		     k != NULL; k = k->next)
			if (slice_eq(k->key->text, s->name))
				y = k;
		if (y != NULL && y->kind == YAML_SCALAR && y->text.n == 0 &&
		    (s->required || s->type != SETTING_TEXT))
			y = NULL;
		if (y == NULL && (y = s->fallback) != NULL)
			where.file = p->file;
		if (y == NULL) {
			if (s->required && demand)
				fault(at->f, at->file, node,
				    "pack %.*s needs %.*s here",
				    SLICE_ARG(p->name), SLICE_ARG(s->name));
			continue;
		}
		buf_reset(&value);
		if (!value_put(&where, s, y, c, &value))
			continue;
		mp_put_str(all, s->name);
		buf_slice(all, buf_all(&value));
		n_all++;
		if (s->secret)
			continue;
		mp_put_str(open, s->name);
		buf_slice(open, buf_all(&value));
		n_open++;
	}
	if (value.cap > 0)
		secret_wipe(value.p, value.cap);
	buf_fini(&value);
	mp_close_map(open, mark_open, n_open);
	mp_close_map(all, mark_all, n_all);
}

enum err
pack_settings(const struct pack *p, const struct config *c,
    const struct config_system *s, struct faults *f, struct buf *open,
    struct buf *all)
{
	struct yaml_at at = {c->file, f};
	size_t had = f->count;
	enum err e;

	if (s->node->kind != YAML_MAP)
		return err_note(
		    ERR_CONFIG, "system %.*s is no map", SLICE_ARG(s->name));
	keys_check(p, &at, s->node, true);
	values_put(p, &at, s->node, c, s->name, true, open, all);
	if (f->count != had)
		return err_note(ERR_CONFIG,
		    "the settings of %.*s have %zu faults", SLICE_ARG(s->name),
		    f->count - had);
	if ((e = buf_check(open)) != ERR_OK)
		return e;
	return buf_check(all);
}

enum err
pack_defaults(const struct pack *p, const char *file, const struct yaml *over,
    struct faults *f, struct buf *out)
{
	struct yaml_at at = {file, f};
	size_t had = f->count;
	struct buf all;

	if (over != NULL && over->kind != YAML_MAP) {
		(void)yaml_want(&at, over, YAML_MAP, "settings");
		return err_note(ERR_CONFIG, "settings are no map");
	}
	if (over != NULL)
		keys_check(p, &at, over, false);
	buf_init(&all, out->max);
	values_put(p, &at, over, NULL, p->name, false, out, &all);
	buf_fini(&all);
	if (f->count != had)
		return err_note(ERR_CONFIG, "settings have faults");
	return buf_check(out);
}
