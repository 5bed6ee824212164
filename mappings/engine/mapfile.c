/*
 * mapfile - see mapfile.h. A mapping outside a pack's folder is refused: it
 * would have no types of its own and no settings, and would pass here only to
 * fail where it is used.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mappings/engine/mapfile.h"

#define MAPFILE_MEMORY ((size_t)256 * 1024 * 1024)

/* "packs/ledger/a.map.yaml" -> "packs" and "ledger"; false without both. */
static bool
split(const char *path, char *packs, struct slice *name)
{
	char *slash;

	if (realpath(path, packs) == NULL)
		return false;
	if ((slash = strrchr(packs, '/')) == NULL || slash == packs)
		return false;
	*slash = '\0';
	if ((slash = strrchr(packs, '/')) == NULL || slash == packs)
		return false;
	*slash = '\0';
	*name = slice_str(slash + 1);
	return true;
}

/* Paths in messages stay as the person wrote them. */
static void
shorten(char *packs, const char *path)
{
	char mine[PATH_MAX];
	size_t n = strlen(path);
	int up = 0;

	if (path[0] == '/' || n >= sizeof(mine))
		return;
	memcpy(mine, path, n + 1);
	for (size_t i = n; i-- > 0 && up < 2;)
		if (mine[i] == '/') {
			mine[i] = '\0';
			up++;
		}
	if (up == 2 && strstr(mine, "..") == NULL)
		strcpy(packs, mine);
}

enum err
mapfile_open(struct mapfile *m, const char *path, struct faults *f)
{
	char packs[PATH_MAX], manifest[PATH_MAX + 16];
	size_t had = f->count;
	struct slice name;
	enum err e;

	*m = (struct mapfile){.pack = NULL};
	arena_init(&m->arena, MAPFILE_MEMORY);
	if (access(path, R_OK) != 0)
		return err_errno(ERR_NOTFOUND, "cannot read %s", path);
	if (!split(path, packs, &name))
		return err_note(ERR_CONFIG, "%s stands in no pack", path);
	snprintf(manifest, sizeof(manifest), "%s/%.*s/pack.yaml", packs,
	    SLICE_ARG(name));
	if (access(manifest, R_OK) != 0) {
		fault(f, path, NULL,
		    "there is no pack.yaml beside it; a mapping stands in the "
		    "folder of its pack");
		return err_note(ERR_CONFIG, "%s stands in no pack", path);
	}
	if (arena_copy(&m->arena, name, &name) != ERR_OK)
		return err_note(ERR_NOMEM, "no memory for %s", path);
	shorten(packs, path);
	e = vocabulary_load(packs, &m->arena, f, &m->vocabulary);
	if (e != ERR_OK)
		return e;
	e = pack_open(packs, name, &m->arena, f, &m->pack);
	if (m->pack == NULL)
		return e;
	e = pack_map(m->pack, m->vocabulary, path, &m->arena, f, &m->map);
	if (e != ERR_OK && f->count == had)
		return e;
	if (f->count != had)
		return err_note(ERR_CONFIG, "%s has faults", path);
	return yaml_load(path, &m->arena, f, &m->root);
}

void
mapfile_close(struct mapfile *m)
{
	arena_fini(&m->arena);
}
