/*
 * config_vars - see config_vars.h.
 *
 * A value taken from a variable may be a secret: it is wiped from the scratch
 * buffers here and never stands in a fault; the fault names the variable.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/config_vars.h"
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/utf8.h"

#define VALUE_MAX ((size_t)64 * 1024)

struct vars {
	const char *file;
	struct arena *a;
	struct faults *f;
	struct buf value; /* of one variable */
	struct buf text;  /* of one scalar */
};

static void
wipe(struct buf *b)
{
	if (b->n > 0)
		secret_wipe(b->p, b->n);
	buf_reset(b);
}

static bool
from_file(struct vars *v, const char *path, const struct yaml *at, size_t into)
{
	wipe(&v->value);
	if (file_read(path, &v->value) != ERR_OK) {
		fault_in(v->f, v->file, at, into, "%s", err_last());
		return false;
	}
	if (v->value.n > 0 && v->value.p[v->value.n - 1] == '\n')
		v->value.n--;
	if (v->value.n > 0 && v->value.p[v->value.n - 1] == '\r')
		v->value.n--;
	return true;
}

/* The value of a variable into v->value. *broken: a file was named and cannot
 * be read, which is said already. */
static bool
look_up(struct vars *v, const char *name, const struct yaml *at, size_t into,
    bool *broken)
{
	const char *env = getenv(name), *dir;
	char path[4096];
	int n;

	wipe(&v->value);
	if (env != NULL) {
		buf_str(&v->value, env);
		return true;
	}
	n = snprintf(path, sizeof(path), "%s_FILE", name);
	env = n > 0 && (size_t)n < sizeof(path) ? getenv(path) : NULL;
	if (env != NULL && env[0] != '\0') {
		*broken = !from_file(v, env, at, into);
		return !*broken;
	}
	dir = getenv("CREDENTIALS_DIRECTORY");
	if (dir == NULL)
		return false;
	n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	if (file_read(path, &v->value) == ERR_NOTFOUND)
		return false;
	*broken = !from_file(v, path, at, into);
	return !*broken;
}

static bool
is_name(struct slice s)
{
	if (s.n == 0 || s.n > 128 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			(s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
			return false;
	return true;
}

/* One ${...} whose inside is `body`; its value goes to v->text. */
static void
replace(struct vars *v, struct slice body, const struct yaml *at, size_t into)
{
	const uint8_t *colon = memchr(body.p, ':', body.n);
	struct slice name = body, rest = SLICE_EMPTY;
	char text[129];
	bool broken = false, have;
	uint8_t how = 0;

	if (colon != NULL) {
		name.n = (size_t)(colon - body.p);
		rest = slice_from(body, name.n + 1);
		how = rest.n > 0 ? rest.p[0] : ' ';
		rest = slice_from(rest, 1);
	}
	if (!is_name(name) || (colon != NULL && how != '-' && how != '?')) {
		fault_in(v->f, v->file, at, into,
		    "\"${%.*s}\" is no variable; write ${NAME}, "
		    "${NAME:-default} or ${NAME:?message} (and $${ for the "
		    "text \"${\")",
		    SLICE_ARG(body));
		return;
	}
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	have = look_up(v, text, at, into, &broken);
	if (broken)
		return;
	if (have && (!utf8_valid(buf_all(&v->value)) ||
			memchr(v->value.p, 0, v->value.n) != NULL)) {
		fault_in(v->f, v->file, at, into,
		    "%s holds bytes that are no text", text);
		return;
	}
	if (have && (v->value.n > 0 || how == 0)) {
		buf_slice(&v->text, buf_all(&v->value));
		if (v->value.bad)
			v->text.bad = true;
	} else if (how == '-') {
		buf_slice(&v->text, rest);
	} else if (how == '?' && rest.n > 0) {
		fault_in(
		    v->f, v->file, at, into, "%s: %.*s", text, SLICE_ARG(rest));
	} else {
		fault_in(v->f, v->file, at, into,
		    "%s is not set; set it, or name a file that holds it in "
		    "%s_FILE",
		    text, text);
	}
}

static enum err
scalar(struct vars *v, struct yaml *y)
{
	struct slice s = y->text;
	bool any = false;
	char *kept;

	wipe(&v->text);
	for (size_t i = 0; i < s.n;) {
		const uint8_t *end;

		if (s.n - i >= 3 && memcmp(s.p + i, "$${", 3) == 0) {
			buf_str(&v->text, "${");
			i += 3;
			any = true;
			continue;
		}
		if (s.n - i < 2 || memcmp(s.p + i, "${", 2) != 0) {
			buf_byte(&v->text, s.p[i++]);
			continue;
		}
		any = true;
		end = memchr(s.p + i, '}', s.n - i);
		if (end == NULL) {
			fault_in(v->f, v->file, y, i, "\"${\" without \"}\"");
			return ERR_OK;
		}
		replace(v, slice_of(s.p + i + 2, (size_t)(end - s.p) - i - 2),
		    y, i);
		i = (size_t)(end - s.p) + 1;
	}
	if (!any)
		return ERR_OK;
	if (v->text.bad) {
		fault(v->f, v->file, y, "a value of more than %zu bytes",
		    VALUE_MAX);
		return ERR_OK;
	}
	if ((kept = arena_strdup(v->a, buf_all(&v->text))) == NULL)
		return err_note(
		    ERR_LIMIT, "%s: no room for its values", v->file);
	y->text = slice_of(kept, v->text.n);
	return ERR_OK;
}

static enum err
walk(struct vars *v, struct yaml *y)
{
	enum err e;

	if (y->kind == YAML_SCALAR)
		return scalar(v, y);
	for (struct yaml *c = y->child; c != NULL; c = c->next)
		if ((e = walk(v, c)) != ERR_OK)
			return e;
	return ERR_OK;
}

enum err
config_vars(
    const char *file, struct yaml *root, struct arena *a, struct faults *f)
{
	struct vars v = {.file = file, .a = a, .f = f};
	enum err e;

	buf_init(&v.value, VALUE_MAX);
	buf_init(&v.text, VALUE_MAX);
	e = walk(&v, root);
	wipe(&v.value);
	wipe(&v.text);
	buf_fini(&v.value);
	buf_fini(&v.text);
	return e;
}
