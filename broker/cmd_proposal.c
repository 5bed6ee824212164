/* cmd_proposal - see cmd_map.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/zone.h"
#include "broker/cmd_map.h"
#include "broker/core/rules.h"

#define PROPOSAL_MEMORY ((size_t)256 * 1024 * 1024)
#define PROPOSAL_FILES 2000

/* ---- which files ---- */

static bool
ends(const char *name, const char *with)
{
	size_t n = strlen(name), w = strlen(with);

	return n > w && strcmp(name + n - w, with) == 0;
}

static struct named *
find(struct proposal *p, struct slice path)
{
	for (size_t i = 0; i < p->named_n; i++)
		if (slice_eq(p->named[i].path, path))
			return &p->named[i];
	return NULL;
}

/* file NULL: it is in force and not there any more. */
static enum err
add(struct proposal *p, const char *path, const char *file)
{
	const struct bundle_file *was =
	    bundle_find(p->files, p->files_n, slice_str(path));
	struct named *n;
	struct buf b;
	enum err e = ERR_OK;

	if (find(p, slice_str(path)) != NULL)
		return ERR_OK;
	if (p->named_n == p->named_cap)
		return err_note(ERR_LIMIT, "more than %zu files", p->named_cap);
	n = &p->named[p->named_n];
	*n = (struct named){.bytes = SLICE_EMPTY};
	e = arena_copy(&p->a, slice_str(path), &n->path);
	buf_init(&b, 16 * 1024 * 1024);
	if (e == ERR_OK && file != NULL) {
		n->file = arena_strdup(&p->a, slice_str(file));
		e = n->file == NULL ? err_note(ERR_NOMEM, "no memory")
				    : file_read(file, &b);
		if (e == ERR_OK)
			e = arena_copy(&p->a, buf_all(&b), &n->bytes);
	}
	buf_fini(&b);
	n->differs = file == NULL
			 ? was != NULL
			 : was == NULL || !slice_eq(was->bytes, n->bytes);
	if (e == ERR_OK)
		p->named_n++;
	return e;
}

/* Files of packs/folder that end so. */
static enum err
add_folder(
    struct proposal *p, const char *packs, const char *folder, const char *with)
{
	char full[PATH_MAX], path[PATH_MAX];
	char **names;
	enum err e;

	if (snprintf(full, sizeof(full), "%s/%s", packs, folder) >=
	    (int)sizeof(full))
		return err_note(ERR_RANGE, "the path of %s is long", folder);
	e = dir_list(full, &names);
	if (e != ERR_OK)
		return e == ERR_NOTFOUND ? ERR_OK : e;
	for (size_t i = 0; e == ERR_OK && names[i] != NULL; i++) {
		if (names[i][0] == '.' || !ends(names[i], with))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (snprintf(full, sizeof(full), "%s/%s", packs, path) >=
		    (int)sizeof(full))
			continue;
		e = add(p, path, full);
	}
	dir_free(names);
	return e;
}

/* A whole pack, and what of it is in force but no longer there. */
static enum err
add_pack(struct proposal *p, const char *packs, const char *pack)
{
	char folder[PATH_MAX], path[PATH_MAX];
	bool canonical = strcmp(pack, "canonical") == 0;
	enum err e;

	e = add_folder(p, packs, pack, canonical ? ".yaml" : ".map.yaml");
	snprintf(folder, sizeof(folder), "%s/schema", pack);
	if (e == ERR_OK && !canonical)
		e = add_folder(p, packs, folder, ".yaml");
	for (size_t i = 0; e == ERR_OK && i < p->files_n; i++) {
		struct slice f = p->files[i].path;
		size_t n = strlen(pack);

		if (f.n <= n || memcmp(f.p, pack, n) != 0 || f.p[n] != '/' ||
		    !change_allowed(f) || find(p, f) != NULL)
			continue;
		snprintf(path, sizeof(path), "%.*s", SLICE_ARG(f));
		e = add(p, path, NULL);
	}
	return e;
}

/* Every pack of the bundle, as the packs folder has it. */
static enum err
add_all(struct proposal *p)
{
	char pack[256];
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < p->files_n; i++) {
		struct slice f = p->files[i].path;
		const uint8_t *slash = memchr(f.p, '/', f.n);

		if (slash == NULL || (size_t)(slash - f.p) >= sizeof(pack))
			continue;
		snprintf(pack, sizeof(pack), "%.*s", (int)(slash - f.p),
		    (const char *)f.p);
		/* the first of its pack: the bundle is in their order */
		if (i > 0 && p->files[i - 1].path.n > strlen(pack) &&
		    memcmp(p->files[i - 1].path.p, pack, strlen(pack)) == 0 &&
		    p->files[i - 1].path.p[strlen(pack)] == '/')
			continue;
		e = add_pack(p, p->config->packs, pack);
	}
	return e;
}

static bool
has_pack_yaml(const char *dir)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/pack.yaml", dir);
	return access(path, R_OK) == 0;
}

/* One that a person named: a mapping, a schema, or a pack's folder. */
static enum err
add_named(struct proposal *p, const char *file)
{
	char full[PATH_MAX], packs[PATH_MAX];
	struct stat st;
	char *cut;
	int up = 2;

	if (realpath(file, full) == NULL || stat(full, &st) != 0)
		return err_errno(ERR_NOTFOUND, "cannot read %s", file);
	if (S_ISDIR(st.st_mode)) {
		cut = strrchr(full, '/');
		if (cut == NULL || cut == full ||
		    (!has_pack_yaml(full) && strcmp(cut, "/canonical") != 0))
			return err_note(ERR_USAGE,
			    "%s is no pack: there is no pack.yaml in it", file);
		*cut = '\0';
		return add_pack(p, full, cut + 1);
	}
	strcpy(packs, full);
	cut = strrchr(packs, '/');
	if (cut != NULL && ends(packs, ".yaml")) {
		*cut = '\0';
		if (ends(packs, "/schema"))
			up = 3;
		strcpy(packs, full);
	}
	for (int i = 0; i < up; i++) {
		cut = strrchr(packs, '/');
		if (cut == NULL || cut == packs)
			return err_note(
			    ERR_USAGE, "%s stands in no pack", file);
		*cut = '\0';
	}
	if (!change_allowed(slice_str(full + strlen(packs) + 1)))
		return err_note(ERR_USAGE,
		    "%s: a mapping (PACK/NAME.map.yaml), a schema "
		    "(PACK/schema/TYPE.yaml) or a pack's folder is wanted",
		    file);
	return add(p, full + strlen(packs) + 1, full);
}

/* ---- the proposal ---- */

static enum err
open_now(struct proposal *p)
{
	enum err e = beside_open(&p->beside, p->config);

	if (e == ERR_OK)
		e = index_ruleset(p->beside.core.index, &p->now);
	if (e == ERR_OK)
		e = rules_bundle(&p->beside.core, p->now.hash, &p->bundle);
	if (e == ERR_OK)
		e = bundle_files(
		    buf_all(&p->bundle), &p->a, &p->files, &p->files_n);
	return e;
}

static enum err
make_change(struct proposal *p)
{
	size_t mark = mp_open(&p->change);

	for (size_t i = 0; i < p->named_n; i++) {
		const struct named *n = &p->named[i];

		if (!n->differs)
			continue;
		p->change_n++;
		mp_put_array(&p->change, 2);
		mp_put_str(&p->change, n->path);
		if (n->file != NULL)
			mp_put_bin(&p->change, n->bytes);
		else
			mp_put_nil(&p->change);
	}
	mp_close_array(&p->change, mark, (uint32_t)p->change_n);
	return buf_check(&p->change);
}

enum err
proposal_open(struct proposal *p, const struct config *c, int n, char **files)
{
	enum err e;

	*p = (struct proposal){
	    .config = c, .named_cap = PROPOSAL_FILES, .chosen = n > 0};
	arena_init(&p->a, PROPOSAL_MEMORY);
	buf_init(&p->bundle, BUNDLE_MAX);
	buf_init(&p->change, BUNDLE_MAX);
	p->named = arena_alloc(&p->a, PROPOSAL_FILES * sizeof(*p->named));
	if (p->named == NULL)
		return err_note(ERR_NOMEM, "no memory");
	e = open_now(p);
	for (int i = 0; e == ERR_OK && i < n; i++)
		e = add_named(p, files[i]);
	if (e == ERR_OK && n == 0)
		e = add_all(p);
	return e == ERR_OK ? make_change(p) : e;
}

void
proposal_close(struct proposal *p)
{
	ruleset_free(p->rules);
	if (p->dir[0] != '\0')
		bundle_remove(p->dir);
	beside_close(&p->beside);
	buf_fini(&p->bundle);
	buf_fini(&p->change);
	arena_fini(&p->a);
}

void
proposal_names(const struct proposal *p, struct buf *out)
{
	size_t shown = 0;

	for (size_t i = 0; i < p->named_n; i++) {
		const struct named *n = &p->named[i];

		if (!n->differs)
			continue;
		if (shown++ == 5) {
			buf_printf(
			    out, " and %zu more", p->change_n - shown + 1);
			return;
		}
		buf_printf(out, "%s%.*s%s", shown > 1 ? ", " : "",
		    SLICE_ARG(n->path), n->file == NULL ? " (gone)" : "");
	}
}

static void
say_force(const struct proposal *p, const char *indent)
{
	char when[32];
	struct log_record rec;
	struct action a;
	struct buf names;

	if (log_read(p->beside.core.reader, p->now.files_seq, &rec) != ERR_OK ||
	    rec.kind != REC_ACTION || action_read(rec.body, &a) != ERR_OK)
		return;
	printf("%sin force: ruleset ", indent);
	for (int i = 0; i < 6; i++)
		printf("%02x", p->now.hash[i]);
	printf("; its mappings %s by %.*s on %.10s%s%.*s%s\n",
	    slice_is(a.act, "deploy")	  ? "deployed"
	    : slice_is(a.act, "rollback") ? "rolled back"
					  : "read from the packs folder",
	    SLICE_ARG(a.by), clock_text(rec.recorded, when),
	    a.reason.n > 0 ? " (" : "", SLICE_ARG(a.reason),
	    a.reason.n > 0 ? ")" : "");
	if (p->change_n == 0)
		return;
	buf_init(&names, 65536);
	proposal_names(p, &names);
	printf("%s%s differs from it: %s\n%s", indent, p->config->packs,
	    buf_cstr(&names), indent);
	puts(p->now.deployed
		 ? "  a restart leaves that so; `vayla map deploy` or SIGHUP "
		   "takes the files into use"
		 : "  `vayla map deploy`, SIGHUP or the next start takes the "
		   "files into use");
	buf_fini(&names);
}

void
proposal_say(const struct config *c, const char *indent)
{
	struct proposal p;

	if (proposal_open(&p, c, 0, NULL) == ERR_OK)
		say_force(&p, indent);
	proposal_close(&p);
}

/* Faults name files by where they were unpacked; a person knows them by their
 * place in the packs folder. */
static void
print_faults(const struct proposal *p, struct buf *text)
{
	const char *all = buf_cstr(text), *at;
	size_t n;
	char prefix[PATH_MAX];

	n = (size_t)snprintf(prefix, sizeof(prefix), "%s/packs/", p->dir);
	while ((at = strstr(all, prefix)) != NULL) {
		fwrite(all, 1, (size_t)(at - all), stderr);
		all = at + n;
	}
	fputs(all, stderr);
}

enum err
proposal_load(struct proposal *p)
{
	struct config at = *p->config;
	struct buf answers;
	struct faults f;
	char packs[PATH_MAX];
	enum err e;

	e = dir_temp("map", p->dir, sizeof(p->dir));
	if (e != ERR_OK) {
		p->dir[0] = '\0';
		return e;
	}
	snprintf(packs, sizeof(packs), "%s/packs", p->dir);
	at.packs = packs;
	faults_init(&f);
	buf_init(&answers, 16 * 1024 * 1024);
	e = bundle_unpack(
	    buf_all(&p->bundle), buf_all(&p->change), p->config->packs, packs);
	if (e == ERR_OK)
		e = index_answers(p->beside.core.index, &answers);
	if (e == ERR_OK)
		e = ruleset_load(&p->rules, &at, buf_all(&answers), &f);
	if (f.count > 0) {
		print_faults(p, &f.text);
		e = err_note(e, "%zu fault%s", f.count, f.count > 1 ? "s" : "");
	}
	p->beside.core.rules = p->rules;
	buf_fini(&answers);
	faults_fini(&f);
	return e;
}

/* ---- its shadow ---- */

/* "2d", "12h", "30m", "1w", or a day. */
static enum err
since_read(const char *text, int64_t *out)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	const struct zone *utc;
	bool zoned;
	char *end;
	long long n = strtoll(text, &end, 10);

	for (size_t i = 0; i < 4; i++)
		if (end != text && end[0] == units[i].unit && end[1] == '\0' &&
		    n > 0 && n < 1000000) {
			*out = clock_now() - n * units[i].s * NS_PER_SEC;
			return ERR_OK;
		}
	if (zone_get(SLICE_LIT("UTC"), &utc) == ERR_OK &&
	    time_parse(slice_str(text), utc, out, &zoned) == ERR_OK)
		return ERR_OK;
	return err_note(ERR_USAGE,
	    "--since takes 30m, 12h, 2d, 1w, or a day as 2026-01-31; not %s",
	    text);
}

static void
progress(void *self, uint64_t done, uint64_t all)
{
	(void)self;
	fprintf(stderr, "\r%llu of %llu events ", (unsigned long long)done,
	    (unsigned long long)all);
}

/* Does a file that was named say what this mapping gives? */
static bool
concerns(const struct proposal *p, const struct mapping *m, bool named)
{
	const char *file = m->file + strlen(p->dir) + strlen("/packs/");
	const char *slash = strchr(file, '/');
	size_t pack = slash != NULL ? (size_t)(slash - file) : 0;

	for (size_t i = 0; i < p->named_n; i++) {
		const struct named *n = &p->named[i];

		if (!named && !n->differs)
			continue;
		if (slice_is(n->path, file))
			return true;
		/* a schema concerns its pack, the vocabulary everybody */
		if (n->differs && pack > 0 &&
		    (slice_starts(n->path, SLICE_LIT("canonical/")) ||
			(n->path.n > pack + 8 &&
			    memcmp(n->path.p, file, pack) == 0 &&
			    memcmp(n->path.p + pack, "/schema/", 8) == 0)))
			return true;
	}
	return false;
}

enum err
proposal_shadow(struct proposal *p, const struct shadow_wish *w,
    struct buf *report, bool *differ)
{
	struct shadow_ask ask = {.rules = p->rules,
	    .type = w->type != NULL ? slice_str(w->type) : SLICE_EMPTY,
	    .joins_now = w->joins_now,
	    .unmask = w->unmask,
	    .progress = isatty(2) ? progress : NULL};
	const struct route *rt;
	struct slice *maps;
	uint32_t routes = 0;
	size_t n = 0;
	enum err e = ERR_OK;

	if (w->since != NULL)
		e = since_read(w->since, &ask.since);
	while (ruleset_route(p->rules, routes) != NULL)
		routes++;
	maps = arena_alloc(&p->a, (routes + 1) * sizeof(*maps));
	if (maps == NULL)
		return err_note(ERR_NOMEM, "no memory");
	for (uint32_t i = 0; i < routes; i++) {
		rt = ruleset_route(p->rules, i);
		if (concerns(p, rt->map, p->chosen))
			maps[n++] = rt->map->name;
	}
	ask.maps = maps;
	ask.maps_n = n;
	if (e == ERR_OK)
		e = shadow_run(&p->beside, &ask, report, differ);
	if (ask.progress != NULL)
		fputs("\r\x1b[K", stderr);
	return e;
}
