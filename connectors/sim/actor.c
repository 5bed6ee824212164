/* actor - see actor.h. */
#include "connectors/sim/actor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "broker/wire/event.h"

#define PART_MAX (1024 * 1024)

/* ---- loading ---- */

static const struct schema *
find_schema(void *self, struct slice type)
{
	const struct actors *a = self;

	for (size_t i = 0; i < a->schemas_n; i++)
		if (slice_eq(a->schemas[i]->type, type))
			return a->schemas[i];
	return NULL;
}

static const char *const *
all_types(void *self)
{
	return ((const struct actors *)self)->types;
}

static enum err
load_schemas(struct actors *a, struct faults *f)
{
	static const char *const types[] = {"sim.order", "sim.payment",
	    "sim.refund", "sim.payback", "sim.settlement", "sim.scan",
	    "sim.product", "sim.stock", "sim.request"};
	char path[4096];
	enum err e;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/sim/%s.yaml",
		    a->config->packs, types[i]);
		e = schema_load(
		    path, false, &a->arena, f, &a->schemas[a->schemas_n]);
		if (e != ERR_OK)
			return e;
		a->types[a->schemas_n++] = types[i];
	}
	return ERR_OK;
}

static enum err
load_map(
    struct actors *a, struct actor *who, const char *path, struct faults *f)
{
	struct schema_source from = {a, find_schema, all_types};

	if (who->maps_n == ACTOR_MAPS)
		return err_note(
		    ERR_LIMIT, "%s: more than %d maps", path, ACTOR_MAPS);
	return mapping_load(path, &from, who->pack->settings_open, &a->arena, f,
	    &who->maps[who->maps_n++]);
}

static bool
ends(const char *name, const char *tail)
{
	size_t n = strlen(name), t = strlen(tail);

	return n > t && strcmp(name + n - t, tail) == 0;
}

static enum err
load_maps(struct actors *a, struct actor *who, struct faults *f)
{
	char dir[4096], path[4400];
	char **names = NULL;
	enum err e;

	(void)snprintf(dir, sizeof(dir), "%s/%.*s/sim", a->config->packs,
	    SLICE_ARG(who->pack->name));
	e = dir_list(dir, &names);
	if (e != ERR_OK)
		return err_note(e,
		    "the pack %.*s has no folder sim: it cannot be played",
		    SLICE_ARG(who->pack->name));
	for (char **n = names; e == ERR_OK && *n != NULL; n++) {
		if (!ends(*n, ".map.yaml"))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, *n);
		e = load_map(a, who, path, f);
	}
	dir_free(names);
	if (e == ERR_OK && who->maps_n == 0)
		e = err_note(ERR_NOTFOUND, "%s holds no map", dir);
	return e;
}

static bool
wanted(struct slice pack, char *const *packs)
{
	for (; *packs != NULL; packs++)
		if (slice_is(pack, *packs))
			return true;
	return false;
}

static enum err
load_actor(struct actors *a, const struct vocabulary *v,
    const struct config_system *s, struct faults *f)
{
	struct actor *who = &a->v[a->n++];
	enum err e;

	who->name = s->name;
	buf_init(&who->open, PART_MAX);
	buf_init(&who->all, PART_MAX);
	e = pack_load(a->config->packs, s->pack, v, &a->arena, f, &who->pack);
	if (e == ERR_OK)
		e = pack_settings(
		    who->pack, a->config, s, f, &who->open, &who->all);
	if (e == ERR_OK)
		e = doors_load(who->pack, &a->arena, f, &who->doors);
	if (e == ERR_OK)
		e = load_maps(a, who, f);
	return e;
}

enum err
actors_load(struct actors *out, const char *config, char *const *packs,
    struct faults *f)
{
	const struct vocabulary *v;
	enum err e;

	memset(out, 0, sizeof(*out));
	arena_init(&out->arena, 64 * 1024 * 1024);
	e = config_load(&out->config, config, f);
	if (e != ERR_OK)
		return e;
	out->eval = eval_new();
	out->v = calloc(out->config->systems_n + 1, sizeof(*out->v));
	if (out->v == NULL || out->eval == NULL)
		return err_note(ERR_NOMEM, "no memory for the simulator");
	e = vocabulary_load(out->config->packs, &out->arena, f, &v);
	if (e == ERR_OK)
		e = load_schemas(out, f);
	for (size_t i = 0; e == ERR_OK && i < out->config->systems_n; i++)
		if (wanted(out->config->systems[i].pack, packs))
			e = load_actor(out, v, &out->config->systems[i], f);
	if (e == ERR_OK && f->count > 0)
		e = err_note(ERR_CONFIG, "%s has faults", config);
	if (e == ERR_OK && out->n == 0)
		e = err_note(ERR_NOTFOUND,
		    "%s has no system with `use: %s`; the simulator plays "
		    "systems that are there",
		    config, packs[0] != NULL ? packs[0] : "");
	return e;
}

void
actors_free(struct actors *a)
{
	for (size_t i = 0; i < a->n; i++) {
		buf_fini(&a->v[i].open);
		buf_fini(&a->v[i].all);
	}
	free(a->v);
	eval_free(a->eval);
	config_free(a->config);
	arena_fini(&a->arena);
	memset(a, 0, sizeof(*a));
}

/* ---- playing ---- */

/* One message being put together. */
struct press {
	const struct actor *who;
	const struct door *door;
	struct arena *keep;
	struct message *m;
	struct request q;
	struct slice body;
};

static enum err print(struct arena *a, const char **out, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static enum err
print(struct arena *a, const char **out, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, PART_MAX);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	*out = buf_check(&b) == ERR_OK ? arena_strdup(a, buf_all(&b)) : NULL;
	buf_fini(&b);
	return *out != NULL ? ERR_OK : err_note(ERR_LIMIT, "too long");
}

static enum err
as_json(struct arena *a, struct slice mp, struct slice *out)
{
	struct buf b;
	enum err e;

	buf_init(&b, PART_MAX);
	e = mp_to_json(mp, JSON_COMPACT, &b);
	if (e == ERR_OK)
		e = buf_check(&b);
	if (e == ERR_OK)
		e = arena_copy(a, buf_all(&b), out);
	buf_fini(&b);
	return e;
}

/* A scalar of the map as text; what is larger, as JSON. */
static enum err
scalar(struct arena *a, struct slice v, struct slice *out)
{
	struct mp_in in = mp_in(v);
	struct mp x;
	enum err e = mp_next(&in, &x);
	const char *s;

	if (e != ERR_OK)
		return e;
	if (x.type == MP_STR || x.type == MP_DECIMAL)
		return arena_copy(a, x.bytes, out);
	if (x.type == MP_MAP || x.type == MP_ARRAY)
		return as_json(a, v, out);
	if (x.type != MP_INT)
		return err_note(
		    ERR_TYPE, "a header or parameter must be a text");
	e = print(a, &s, "%lld", (long long)x.i);
	*out = slice_str(s);
	return e;
}

/* A map of texts as params; `room` more fit in. */
static enum err
read_params(struct arena *a, struct slice map, struct params *out, size_t room)
{
	struct mp_in in = mp_in(map);
	struct mp head, key;
	struct slice v;
	enum err e;

	memset(out, 0, sizeof(*out));
	head.count = 0;
	if (map.n > 0 && ((e = mp_next(&in, &head)) != ERR_OK ||
			     head.type != MP_MAP || head.count > PARAMS_MAX))
		return err_note(ERR_TYPE, "headers, query and form are maps");
	out->v = arena_alloc(a, (head.count + room) * sizeof(*out->v));
	if (out->v == NULL)
		return err_note(ERR_LIMIT, "too many parameters");
	for (uint32_t i = 0; i < head.count; i++) {
		if ((e = mp_next(&in, &key)) != ERR_OK ||
		    (e = mp_value(&in, &v)) != ERR_OK ||
		    (e = arena_copy(a, key.bytes, &out->v[out->n].name)) !=
			ERR_OK ||
		    (e = scalar(a, v, &out->v[out->n].value)) != ERR_OK)
			return e;
		out->n++;
	}
	params_sort(out);
	return ERR_OK;
}

static void
put_params(struct buf *out, const struct params *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (i > 0)
			buf_byte(out, '&');
		params_escape(out, p->v[i].name);
		buf_byte(out, '=');
		params_escape(out, p->v[i].value);
	}
}

static enum err
add_header(struct press *p, struct slice name, struct slice value)
{
	struct message *m = p->m;

	if (m->headers_n == sizeof(m->headers) / sizeof(m->headers[0]))
		return err_note(ERR_LIMIT, "too many headers");
	return print(p->keep, &m->headers[m->headers_n++], "%.*s: %.*s",
	    SLICE_ARG(name), SLICE_ARG(value));
}

/* Headers as written for sending, and in lower case for signing. */
static enum err
take_headers(struct press *p, struct slice map)
{
	enum err e = read_params(p->keep, map, &p->q.headers, RECIPE_ADDED);

	for (size_t i = 0; e == ERR_OK && i < p->q.headers.n; i++) {
		struct param *h = &p->q.headers.v[i];
		uint8_t *low;

		e = add_header(p, h->name, h->value);
		low = arena_raw(p->keep, h->name.n + 1);
		if (low == NULL)
			return err_note(ERR_LIMIT, "too many headers");
		for (size_t c = 0; c < h->name.n; c++)
			low[c] = h->name.p[c] >= 'A' && h->name.p[c] <= 'Z'
				     ? h->name.p[c] | 0x20
				     : h->name.p[c];
		h->name = slice_of(low, h->name.n);
	}
	params_sort(&p->q.headers);
	return e;
}

static enum err
take_body(struct press *p, struct slice body)
{
	struct buf b;
	enum err e;

	if (p->door->body == DOOR_JSON)
		return as_json(p->keep, body, &p->q.body);
	buf_init(&b, PART_MAX);
	if (p->door->body == DOOR_FORM)
		put_params(&b, &p->q.form);
	e = buf_check(&b);
	if (e == ERR_OK)
		e = arena_copy(p->keep, buf_all(&b), &p->q.body);
	buf_fini(&b);
	return e;
}

/* Sign, and put what that adds to its place. */
static enum err
sign(struct press *p, int64_t now)
{
	struct recipe_added added[RECIPE_ADDED];
	struct buf mp;
	size_t n = 0;
	enum err e;

	buf_init(&mp, 4 * PART_MAX);
	request_mp(&p->q, true, &mp);
	e = buf_check(&mp);
	p->q.mp = buf_all(&mp);
	if (e == ERR_OK)
		e = recipe_sign(p->door->verify, &p->q, buf_all(&p->who->all),
		    now, p->keep, added, &n);
	p->q.mp = SLICE_EMPTY;
	buf_fini(&mp);
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		struct params *to =
		    added[i].place == RECIPE_FIELD ? &p->q.form : &p->q.query;

		if (added[i].place == RECIPE_HEADER) {
			e = add_header(p, added[i].name, added[i].value);
			continue;
		}
		to->v[to->n++] = (struct param){added[i].name, added[i].value};
		if (added[i].place == RECIPE_FIELD)
			e = take_body(p, SLICE_EMPTY);
	}
	return e;
}

static enum err
finish(struct press *p, const char *base)
{
	struct buf b;
	enum err e;

	buf_init(&b, PART_MAX);
	buf_printf(&b, "%s%.*s", base, SLICE_ARG(p->q.path));
	if (p->q.query.n > 0) {
		buf_byte(&b, '?');
		put_params(&b, &p->q.query);
	}
	e = buf_check(&b);
	if (e == ERR_OK)
		p->m->url = arena_strdup(p->keep, buf_all(&b));
	buf_fini(&b);
	if (e == ERR_OK && p->m->url == NULL)
		e = err_note(ERR_LIMIT, "too long");
	p->m->body = p->q.body;
	p->m->from = p->who;
	return e;
}

static enum err
take_listed(struct press *p, struct slice map)
{
	static const char *const names[] = {
	    "path", "id", "after", "page", "size"};
	struct listed *l = &p->m->listed;
	struct slice *to[] = {&l->path, &l->id, &l->after, &l->page, &l->size};
	struct slice v;
	struct mp_in in;
	struct mp x;
	enum err e = ERR_OK;

	for (size_t i = 0; i < 5; i++)
		*to[i] = SLICE_EMPTY;
	if (map.n == 0)
		return ERR_OK;
	for (size_t i = 0; e == ERR_OK && i < 5; i++)
		if (mp_get(map, names[i], &v))
			e = scalar(p->keep, v, to[i]);
	if (e == ERR_OK && mp_get(map, "at", &v)) {
		in = mp_in(v);
		e = mp_next(&in, &x);
		l->at = e == ERR_OK && x.type == MP_TIME ? x.i : 0;
	}
	return e;
}

/* Where the system's own folder is: its setting of that name. */
static enum err
folder_of(const struct actors *a, const struct actor *who, struct arena *keep,
    const char **out)
{
	struct slice text = SLICE_EMPTY;
	struct buf b;

	(void)mp_get_str(buf_all(&who->open), "folder", &text);
	if (text.n == 0)
		return err_note(ERR_CONFIG, "%.*s has no setting folder",
		    SLICE_ARG(who->name));
	buf_init(&b, 4096);
	config_path(a->config, text, &b);
	*out = buf_check(&b) == ERR_OK ? arena_strdup(keep, buf_all(&b)) : NULL;
	buf_fini(&b);
	return *out != NULL ? ERR_OK : err_note(ERR_LIMIT, "too long");
}

/* A file's lines, each with its end. */
static enum err
press_file(const struct actors *a, const struct actor *who, struct slice file,
    struct arena *keep, struct message *out)
{
	struct slice lines = SLICE_EMPTY;
	struct mp_in in;
	struct mp head = {.count = 0}, line;
	struct buf b;
	enum err e;

	memset(out, 0, sizeof(*out));
	out->from = who;
	out->url = "";
	if (!mp_get_str(file, "name", &out->file) ||
	    !mp_get_time(file, "at", &out->file_at) ||
	    !mp_get(file, "lines", &lines))
		return err_note(ERR_TYPE, "a file has a name, at and lines");
	e = arena_copy(keep, out->file, &out->file);
	if (e == ERR_OK)
		e = folder_of(a, who, keep, &out->folder);
	buf_init(&b, PART_MAX);
	in = mp_in(lines);
	if (e == ERR_OK)
		e = mp_next(&in, &head);
	for (uint32_t i = 0; e == ERR_OK && i < head.count; i++) {
		e = mp_next(&in, &line);
		buf_slice(&b, line.bytes);
		buf_byte(&b, '\n');
	}
	if (e == ERR_OK)
		e = buf_check(&b);
	if (e == ERR_OK)
		e = arena_copy(keep, buf_all(&b), &out->body);
	buf_fini(&b);
	return e;
}

enum err
message_drop(const struct message *m)
{
	char part[4400], path[4400];
	struct timespec at[2];
	enum err e;

	(void)snprintf(
	    part, sizeof(part), "%s/.%.*s.part", m->folder, SLICE_ARG(m->file));
	(void)snprintf(
	    path, sizeof(path), "%s/%.*s", m->folder, SLICE_ARG(m->file));
	at[0].tv_sec = at[1].tv_sec = (time_t)(m->file_at / NS_PER_SEC);
	at[0].tv_nsec = at[1].tv_nsec = (long)(m->file_at % NS_PER_SEC);
	e = dir_make(m->folder);
	if (e == ERR_OK)
		e = file_write(part, m->body, 0640);
	if (e != ERR_OK)
		return e;
	if (utimensat(AT_FDCWD, part, at, 0) != 0 || rename(part, path) != 0)
		return err_errno(ERR_IO, "cannot put %s", path);
	return ERR_OK;
}

static enum err
press(const struct actor *who, struct slice data, const char *base, int64_t now,
    struct arena *keep, struct message *out)
{
	struct press p = {.who = who, .keep = keep, .m = out};
	struct slice path = SLICE_EMPTY, part = SLICE_EMPTY;
	const char *s;
	enum err e;

	memset(out, 0, sizeof(*out));
	(void)mp_get_str(data, "path", &path);
	p.door = doors_find(&who->doors, path);
	if (p.door == NULL)
		return err_note(ERR_NOTFOUND,
		    "%.*s: the pack has no door \"%.*s\"",
		    SLICE_ARG(who->pack->name), SLICE_ARG(path));
	out->method = p.door->body == DOOR_QUERY ? "GET" : "POST";
	p.q.method = slice_str(out->method);
	p.q.body = p.q.mp = SLICE_EMPTY;
	e = print(keep, &s, "/in/%.*s%s%.*s", SLICE_ARG(who->name),
	    path.n > 0 ? "/" : "", SLICE_ARG(path));
	if (e != ERR_OK)
		return e;
	p.q.path = slice_str(s);
	e = print(keep, &s, "%s%.*s", base, SLICE_ARG(p.q.path));
	p.q.url = slice_str(s);
	(void)mp_get(data, "headers", &part);
	if (e == ERR_OK)
		e = take_headers(&p, part);
	part = SLICE_EMPTY;
	(void)mp_get(data, "query", &part);
	if (e == ERR_OK)
		e = read_params(keep, part, &p.q.query, RECIPE_ADDED);
	part = SLICE_EMPTY;
	(void)mp_get(data, "form", &part);
	if (e == ERR_OK)
		e = read_params(keep, part, &p.q.form, RECIPE_ADDED);
	part = SLICE_EMPTY;
	(void)mp_get(data, "body", &part);
	if (e == ERR_OK)
		e = take_body(&p, part);
	part = SLICE_EMPTY;
	(void)mp_get(data, "listed", &part);
	if (e == ERR_OK)
		e = take_listed(&p, part);
	if (e == ERR_OK)
		e = sign(&p, now);
	return e == ERR_OK ? finish(&p, base) : e;
}

static enum err
same_scope(void *self, struct slice written, struct buf *out)
{
	(void)self;
	buf_slice(out, written);
	return ERR_OK;
}

static bool
takes(const struct mapping *m, struct slice type)
{
	for (size_t i = 0; i < m->from_n; i++)
		if (slice_eq(m->from[i], type))
			return true;
	return false;
}

static enum err
play_map(struct actors *a, const struct actor *who, const struct mapping *m,
    const struct input *in, const char *base, int64_t now, struct arena *keep,
    struct message *out, size_t *n, size_t max)
{
	const struct result *r = mapping_eval(a->eval, m, in);
	struct slice part;
	enum err e = ERR_OK;

	if (r->verdict == EVAL_SKIP)
		return ERR_OK;
	if (r->verdict != EVAL_OK)
		return err_note(ERR_CHECK, "%.*s: %.*s", SLICE_ARG(r->where),
		    SLICE_ARG(r->text));
	for (size_t i = 0; e == ERR_OK && i < r->n; i++) {
		if (*n == max)
			return err_note(ERR_LIMIT, "too many requests");
		part = SLICE_EMPTY;
		if (mp_get(r->events[i].data, "file", &part))
			e = press_file(a, who, part, keep, &out[*n]);
		else
			e = press(
			    who, r->events[i].data, base, now, keep, &out[*n]);
		*n += e == ERR_OK;
	}
	return e;
}

enum err
actors_play(struct actors *a, struct slice type, struct slice data,
    const char *base, int64_t now, struct arena *keep, struct message *out,
    size_t *n, size_t max)
{
	struct scope scope = {NULL, same_scope};
	struct event ev = {.id = SLICE_LIT("sim"),
	    .source = SLICE_LIT("sim"),
	    .type = type,
	    .subject = SLICE_LIT("sim:sim"),
	    .data = SLICE_EMPTY,
	    .person = SLICE_EMPTY,
	    .traceparent = SLICE_EMPTY,
	    .time = now,
	    .map = SLICE_EMPTY,
	    .ruleset = SLICE_EMPTY,
	    .digest = SLICE_EMPTY,
	    .sealed = SLICE_EMPTY,
	    .target = SLICE_EMPTY};
	struct buf head;
	enum err e;

	buf_init(&head, 4096);
	event_write_head(&head, &ev);
	e = buf_check(&head);
	for (size_t i = 0; e == ERR_OK && i < a->n; i++) {
		const struct actor *who = &a->v[i];
		struct input in = {buf_all(&head), data, buf_all(&who->open),
		    &scope, NULL, NULL, who->name};

		for (size_t k = 0; e == ERR_OK && k < who->maps_n; k++)
			if (takes(who->maps[k], type))
				e = play_map(a, who, who->maps[k], &in, base,
				    now, keep, out, n, max);
	}
	buf_fini(&head);
	return e;
}
