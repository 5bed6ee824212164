/* bundle - see bundle.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "mappings/engine/bundle.h"

/* ---- reading ---- */

static enum err
pair_read(struct mp_in *in, struct bundle_file *f)
{
	struct mp m;
	enum err e = mp_next(in, &m);

	if (e != ERR_OK || m.type != MP_ARRAY || m.count != 2)
		return err_note(ERR_SYNTAX, "a file is [path, bytes]");
	e = mp_next(in, &m);
	if (e != ERR_OK || m.type != MP_STR || m.bytes.n == 0)
		return err_note(ERR_SYNTAX, "a file has no path");
	f->path = m.bytes;
	e = mp_next(in, &m);
	if (e != ERR_OK || (m.type != MP_BIN && m.type != MP_NIL))
		return err_note(
		    ERR_SYNTAX, "%.*s has no bytes", SLICE_ARG(f->path));
	f->gone = m.type == MP_NIL;
	f->bytes = f->gone ? SLICE_EMPTY : m.bytes;
	return ERR_OK;
}

static enum err
pairs_read(struct slice list, size_t max, struct arena *a,
    struct bundle_file **out, size_t *n)
{
	struct mp_in in = mp_in(list);
	struct bundle_file *files;
	struct mp head;
	enum err e = mp_next(&in, &head);

	*out = NULL;
	*n = 0;
	if (e != ERR_OK || head.type != MP_ARRAY || head.count > list.n)
		return err_note(ERR_SYNTAX, "files must be a list");
	if (head.count > max)
		return err_note(ERR_LIMIT, "more than %zu files", max);
	files = arena_alloc(a, ((size_t)head.count + 1) * sizeof(*files));
	if (files == NULL)
		return err_note(ERR_LIMIT, "no memory for files");
	for (uint32_t i = 0; i < head.count; i++)
		if ((e = pair_read(&in, &files[i])) != ERR_OK)
			return e;
	*out = files;
	*n = head.count;
	return ERR_OK;
}

enum err
bundle_files(
    struct slice bundle, struct arena *a, struct bundle_file **out, size_t *n)
{
	struct slice list;

	if (!mp_get(bundle, "files", &list))
		return err_note(ERR_SYNTAX, "a ruleset without files");
	return pairs_read(list, 100000, a, out, n);
}

const struct bundle_file *
bundle_find(const struct bundle_file *files, size_t n, struct slice path)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(files[i].path, path))
			return &files[i];
	return NULL;
}

/* Letters, digits, '_', '-' and single dots; the first is no dot. */
static bool
name_fine(struct slice s)
{
	if (s.n == 0 || s.n > 128 || s.p[0] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '_' || c == '-' ||
			c == '.'))
			return false;
	}
	return true;
}

static bool
ends(struct slice s, struct slice with)
{
	return s.n > with.n && memcmp(s.p + s.n - with.n, with.p, with.n) == 0;
}

/* "a/b" -> a, and b as what is left. */
static bool
part(struct slice *path, struct slice *out)
{
	const uint8_t *slash = memchr(path->p, '/', path->n);

	if (slash == NULL)
		return false;
	*out = slice_of(path->p, (size_t)(slash - path->p));
	*path = slice_from(*path, out->n + 1);
	return true;
}

bool
change_allowed(struct slice path)
{
	struct slice pack, folder;

	if (!part(&path, &pack) || !name_fine(pack))
		return false;
	if (slice_is(pack, "canonical"))
		return name_fine(path) && ends(path, SLICE_LIT(".yaml"));
	if (!part(&path, &folder))
		return name_fine(path) && ends(path, SLICE_LIT(".map.yaml"));
	return slice_is(folder, "schema") && name_fine(path) &&
	       ends(path, SLICE_LIT(".yaml"));
}

enum err
change_read(
    struct slice mp, struct arena *a, struct bundle_file **out, size_t *n)
{
	enum err e = pairs_read(mp, CHANGE_FILES, a, out, n);

	for (size_t i = 0; e == ERR_OK && i < *n; i++)
		if (!change_allowed((*out)[i].path))
			e = err_note(ERR_DENIED,
			    "%.*s is no mapping and no schema: only those are "
			    "deployed; a pack.yaml is changed in the packs "
			    "folder and read at the next start",
			    SLICE_ARG((*out)[i].path));
	return e;
}

/* ---- a folder of them ---- */

struct unpack {
	const char *dir, *packs;
	struct bundle_file *files, *changes;
	size_t files_n, changes_n;
};

static enum err
one_dir(const char *path)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return ERR_OK;
	return err_errno(ERR_IO, "cannot make %s", path);
}

/* dir/path with its folders: at most two of them. */
static enum err
put(const struct unpack *u, struct slice path, struct slice bytes)
{
	char full[PATH_MAX];
	size_t skip = strlen(u->dir) + 1;
	enum err e = ERR_OK;
	int fd, n;

	n = snprintf(full, sizeof(full), "%s/%.*s", u->dir, SLICE_ARG(path));
	if (n < 0 || (size_t)n >= sizeof(full))
		return err_note(
		    ERR_RANGE, "the path of %.*s is too long", SLICE_ARG(path));
	for (char *p = full + skip; e == ERR_OK && *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			e = one_dir(full);
			*p = '/';
		}
	if (e != ERR_OK)
		return e;
	fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot make %s", full);
	e = fd_write(fd, bytes);
	if (close(fd) != 0 && e == ERR_OK)
		e = err_errno(ERR_IO, "cannot write %s", full);
	return e;
}

/* packs/path as dir/path. */
static enum err
copy(const struct unpack *u, const char *path)
{
	char full[PATH_MAX];
	struct buf b;
	enum err e;

	if (snprintf(full, sizeof(full), "%s/%s", u->packs, path) >=
	    (int)sizeof(full))
		return err_note(ERR_RANGE, "the path of %s is too long", path);
	buf_init(&b, 16 * 1024 * 1024);
	e = file_read(full, &b);
	if (e == ERR_OK)
		e = put(u, slice_str(path), buf_all(&b));
	buf_fini(&b);
	return e;
}

static bool
has_pack(const struct bundle_file *f, size_t n, const char *pack, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (!f[i].gone && f[i].path.n > len + 1 &&
		    memcmp(f[i].path.p, pack, len) == 0 &&
		    f[i].path.p[len] == '/')
			return true;
	return false;
}

/* The files of a folder under packs/ that end so. */
static enum err
copy_all(const struct unpack *u, const char *folder, const char *with)
{
	char full[PATH_MAX], path[PATH_MAX];
	char **names;
	enum err e;

	if (snprintf(full, sizeof(full), "%s/%s", u->packs, folder) >=
	    (int)sizeof(full))
		return err_note(
		    ERR_RANGE, "the path of %s is too long", folder);
	e = dir_list(full, &names);
	if (e != ERR_OK)
		return e == ERR_NOTFOUND ? ERR_OK : e;
	for (size_t i = 0; e == ERR_OK && names[i] != NULL; i++) {
		if (names[i][0] == '.' ||
		    !ends(slice_str(names[i]), slice_str(with)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		e = copy(u, path);
	}
	dir_free(names);
	return e;
}

/* The pack.yaml of a pack of the packs folder; all of it when the bundle does
 * not know it: a system that uses it was added since. */
static enum err
pack_put(const struct unpack *u, const char *name)
{
	char path[PATH_MAX];
	size_t n = strlen(name);
	enum err e;

	snprintf(path, sizeof(path), "%s/%s/pack.yaml", u->packs, name);
	if (access(path, R_OK) != 0)
		return ERR_OK; /* none: canonical, or a file beside them */
	snprintf(path, sizeof(path), "%s/pack.yaml", name);
	e = copy(u, path);
	if (e != ERR_OK || has_pack(u->files, u->files_n, name, n) ||
	    has_pack(u->changes, u->changes_n, name, n))
		return e;
	e = copy_all(u, name, ".map.yaml");
	snprintf(path, sizeof(path), "%s/schema", name);
	return e == ERR_OK ? copy_all(u, path, ".yaml") : e;
}

static enum err
packs_put(const struct unpack *u)
{
	char **names;
	enum err e = dir_list(u->packs, &names);

	if (e != ERR_OK)
		return e;
	for (size_t i = 0; e == ERR_OK && names[i] != NULL; i++)
		if (names[i][0] != '.')
			e = pack_put(u, names[i]);
	dir_free(names);
	return e;
}

static bool
is_there(const struct unpack *u, struct slice path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%.*s", u->dir, SLICE_ARG(path));
	return access(full, F_OK) == 0;
}

static enum err
unpack(struct unpack *u)
{
	enum err e = ERR_OK;

	if (mkdir(u->dir, 0700) != 0)
		return err_errno(ERR_IO, "cannot make %s", u->dir);
	if (u->packs != NULL)
		e = packs_put(u);
	for (size_t i = 0; e == ERR_OK && i < u->files_n; i++) {
		const struct bundle_file *f = &u->files[i];

		/* pack.yaml: the packs folder's own goes first */
		if (bundle_find(u->changes, u->changes_n, f->path) != NULL ||
		    (ends(f->path, SLICE_LIT("/pack.yaml")) &&
			is_there(u, f->path)))
			continue;
		e = put(u, f->path, f->bytes);
	}
	for (size_t i = 0; e == ERR_OK && i < u->changes_n; i++)
		if (!u->changes[i].gone)
			e = put(u, u->changes[i].path, u->changes[i].bytes);
	return e;
}

enum err
bundle_unpack(struct slice bundle, struct slice change, const char *packs,
    const char *dir)
{
	struct unpack u = {.dir = dir, .packs = packs};
	struct arena a;
	enum err e;

	arena_init(&a, 16 * 1024 * 1024);
	e = bundle_files(bundle, &a, &u.files, &u.files_n);
	if (e == ERR_OK && change.n > 0)
		e = change_read(change, &a, &u.changes, &u.changes_n);
	if (e == ERR_OK)
		e = unpack(&u);
	arena_fini(&a);
	return e;
}

static void
remove_in(const char *dir, unsigned depth)
{
	char path[PATH_MAX];
	struct dirent *d;
	DIR *all = opendir(dir);

	while (all != NULL && (d = readdir(all)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, d->d_name) >=
		    (int)sizeof(path))
			continue;
		if (unlink(path) != 0 && depth < 3)
			remove_in(path, depth + 1);
	}
	if (all != NULL)
		closedir(all);
	rmdir(dir);
}

void
bundle_remove(const char *dir)
{
	remove_in(dir, 0);
}
