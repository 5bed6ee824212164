/* cursor - see cursor.h. */
#include "connectors/http/cursor.h"

#include <stdlib.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "broker/base/say.h"
#include "broker/base/zone.h"

#define FILE_BYTES 65536

enum err
cursors_open(struct cursors *c, const char *data, struct slice system)
{
	struct buf path;
	enum err e;

	memset(c, 0, sizeof(*c));
	buf_init(&path, 4096);
	buf_printf(&path, "%s/connectors", data);
	e = dir_make(buf_cstr(&path));
	buf_printf(&path, "/%.*s.json", SLICE_ARG(system));
	if (e == ERR_OK)
		e = buf_check(&path);
	if (e == ERR_OK) {
		c->path = strdup(buf_cstr(&path));
		if (c->path == NULL)
			e = err_note(ERR_NOMEM, "a path");
	}
	buf_fini(&path);
	return e;
}

void
cursors_close(struct cursors *c)
{
	free(c->path);
	c->path = NULL;
}

static int64_t
read_one(const struct cursors *c, struct slice name)
{
	struct slice polls, text;
	struct buf json, mp;
	int64_t at = INT64_MIN;
	bool zoned = false;
	enum err e;

	buf_init(&json, FILE_BYTES);
	buf_init(&mp, FILE_BYTES);
	e = file_read(c->path, &json);
	if (e == ERR_OK)
		e = json_to_mp(buf_all(&json), &mp, NULL);
	if (e == ERR_OK && mp_get(buf_all(&mp), "polls", &polls) &&
	    mp_get_str(polls, (const char *)name.p, &text))
		e = time_parse(text, NULL, &at, &zoned);
	if (e != ERR_OK && e != ERR_NOTFOUND) {
		say(SAY_WARN, "poll",
		    "%s cannot be read (%s): polls begin anew, the journal "
		    "drops what it has",
		    c->path, err_last());
		at = INT64_MIN;
	}
	buf_fini(&json);
	buf_fini(&mp);
	return at;
}

size_t
cursors_add(struct cursors *c, struct slice name)
{
	size_t i = c->n++;

	if (i >= CURSORS)
		err_die("cursors: more than %d", CURSORS);
	c->v[i].name = name;
	c->v[i].at = read_one(c, name);
	return i;
}

enum err
cursors_save(struct cursors *c)
{
	struct buf b;
	bool first = true;
	enum err e;

	buf_init(&b, FILE_BYTES);
	buf_str(&b, "{\"polls\": {");
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].at == INT64_MIN)
			continue;
		if (!first)
			buf_str(&b, ", ");
		first = false;
		json_quote(&b, c->v[i].name);
		buf_str(&b, ": \"");
		time_put_iso(&b, c->v[i].at);
		buf_byte(&b, '"');
	}
	buf_str(&b, "}}\n");
	e = buf_check(&b);
	if (e == ERR_OK)
		e = file_write(c->path, buf_all(&b), 0640);
	buf_fini(&b);
	return e;
}

/* DATA/connectors/SYSTEM.json -> SYSTEM.rewind */
static enum err
rewind_path(const struct cursors *c, struct buf *out)
{
	buf_put(out, c->path, strlen(c->path) - strlen("json"));
	buf_str(out, "rewind");
	return buf_check(out);
}

bool
cursors_rewind(struct cursors *c)
{
	const struct zone *utc;
	struct buf path, text;
	struct slice s;
	int64_t at = 0;
	bool zoned, asked = false;
	enum err e;

	buf_init(&path, 4200);
	buf_init(&text, 64);
	e = rewind_path(c, &path);
	if (e == ERR_OK)
		e = file_read(buf_cstr(&path), &text);
	if (e != ERR_NOTFOUND) {
		asked = true;
		s = buf_all(&text);
		while (s.n > 0 && s.p[s.n - 1] == '\n')
			s.n--;
		if (e == ERR_OK)
			e = zone_get(SLICE_LIT("UTC"), &utc);
		if (e == ERR_OK)
			e = time_parse(s, utc, &at, &zoned);
		for (size_t i = 0; e == ERR_OK && i < c->n; i++)
			if (c->v[i].at == INT64_MIN || c->v[i].at > at)
				c->v[i].at = at;
		if (e == ERR_OK)
			e = cursors_save(c);
		if (e == ERR_OK)
			say(SAY_INFO, "poll", "rewound to %.*s", SLICE_ARG(s));
		else
			say(SAY_ERROR, "poll", "not rewound: %s", err_last());
		/* Once: what cannot be read now cannot be read later. */
		unlink(buf_cstr(&path));
	}
	buf_fini(&path);
	buf_fini(&text);
	return asked && e == ERR_OK;
}
