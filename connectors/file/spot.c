/* spot - see spot.h. */
#include "connectors/file/spot.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/base/utf8.h"

void
spot_init(
    struct spot *s, const char *folder, const struct pick *p, int64_t stable_ns)
{
	memset(s, 0, sizeof(*s));
	s->folder = folder;
	s->pick = p;
	s->stable_ns = stable_ns;
}

void
spot_fini(struct spot *s)
{
	free(s->seen);
	s->seen = NULL;
}

static bool
ends(const char *name, const char *with)
{
	size_t n = strlen(name), w = strlen(with);

	return n > w && strcmp(name + n - w, with) == 0;
}

/* A name that can stand in a log line, an event and a path. */
static bool
fine(const char *name)
{
	struct slice s = slice_str(name);

	if (s.n > SPOT_NAME || !utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool
wanted(struct spot *s, const char *name)
{
	if (name[0] == '.' ||
	    fnmatch(s->pick->match, name, FNM_CASEFOLD | FNM_PERIOD) != 0)
		return false;
	if (s->pick->complete == PICK_MARKER && ends(name, s->pick->marker))
		return false;
	if (fine(name))
		return true;
	if (!s->told)
		say(SAY_WARN, "pick",
		    "a file in %s is left alone: its name is no UTF-8, or "
		    "longer than %d bytes: %s",
		    s->folder, SPOT_NAME, name);
	s->told = true;
	return false;
}

static bool
marked(const struct spot *s, char *const *names, const char *name)
{
	char marker[SPOT_NAME + 64];

	(void)snprintf(marker, sizeof(marker), "%s%s", name, s->pick->marker);
	for (; *names != NULL; names++)
		if (strcmp(*names, marker) == 0)
			return true;
	return false;
}

/* Unchanged for long enough, as far as we have watched it? */
static bool
stable(const struct spot *s, struct spot_seen *now, int64_t mono)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct spot_seen *was = &s->seen[i];

		if (strcmp(was->name, now->name) != 0)
			continue;
		if (was->size == now->size && was->mtime == now->mtime)
			now->since = was->since;
		break;
	}
	return mono - now->since >= s->stable_ns;
}

enum err
spot_next(struct spot *s, int64_t mono, char out[SPOT_NAME + 1])
{
	struct spot_seen *seen = calloc(SPOT_NAMES, sizeof(*seen));
	int64_t best = INT64_MAX, age;
	char **names, path[4096];
	struct stat st;
	size_t n = 0;
	enum err e;

	if (seen == NULL)
		return err_note(ERR_NOMEM, "the names of %s", s->folder);
	e = dir_list(s->folder, &names);
	if (e != ERR_OK) {
		free(seen);
		return e == ERR_NOTFOUND
			   ? err_note(ERR_IO, "%s is not there", s->folder)
			   : e;
	}
	for (char **p = names; *p != NULL && n < SPOT_NAMES; p++) {
		struct spot_seen *x = &seen[n];
		bool ready = true;

		if (!wanted(s, *p))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", s->folder, *p);
		if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		n++;
		(void)snprintf(x->name, sizeof(x->name), "%s", *p);
		x->size = st.st_size;
		x->mtime = st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
		x->since = mono;
		if (s->pick->complete == PICK_STABLE)
			ready = stable(s, x, mono);
		else if (s->pick->complete == PICK_MARKER)
			ready = marked(s, names, *p);
		age = strcmp(x->name, s->avoid) == 0 ? INT64_MAX - 1 : x->mtime;
		if (ready && age < best) {
			best = age;
			memcpy(out, x->name, sizeof(x->name));
		}
	}
	dir_free(names);
	free(s->seen);
	s->seen = seen;
	s->n = n;
	return best != INT64_MAX ? ERR_OK : ERR_NOTFOUND;
}
