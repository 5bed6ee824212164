/* yaml_check - see yaml_check.h. */
#include "broker/base/yaml_check.h"

static const char *
kind_name(enum yaml_kind k)
{
	return k == YAML_MAP ? "a map" : k == YAML_LIST ? "a list" : "a scalar";
}

bool
yaml_want(const struct yaml_at *at, const struct yaml *y, enum yaml_kind kind,
    const char *what)
{
	if (y == NULL)
		return false;
	if (y->kind == kind)
		return true;
	fault(at->f, at->file, y, "%s must be %s, not %s", what,
	    kind_name(kind), kind_name(y->kind));
	return false;
}

static bool
among(struct slice word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (slice_is(word, *words))
			return true;
	return false;
}

/* "; did you mean `x`?" or the whole list where it is short. */
static void
unknown(const struct yaml_at *at, const struct yaml *y, const char *what,
    struct slice word, const char *const *words, const char *noun)
{
	const char *near = yaml_nearest(word, words);
	struct buf list;

	if (near != NULL) {
		fault(at->f, at->file, y,
		    "%s: no %s named \"%.*s\"; did you mean \"%s\"?", what,
		    noun, SLICE_ARG(word), near);
		return;
	}
	buf_init(&list, 1024);
	for (const char *const *w = words; *w != NULL; w++)
		buf_printf(&list, "%s%s", w == words ? "" : ", ", *w);
	fault(at->f, at->file, y, "%s: no %s named \"%.*s\"; there %s %s", what,
	    noun, SLICE_ARG(word),
	    words[0] != NULL && words[1] == NULL ? "is only" : "are",
	    words[0] == NULL ? "none" : buf_cstr(&list));
	buf_fini(&list);
}

bool
yaml_known(const struct yaml_at *at, const struct yaml *y,
    const char *const *known, const char *what)
{
	bool fine = true;

	if (!yaml_want(at, y, YAML_MAP, what))
		return y == NULL;
	for (const struct yaml *c = y->child; c != NULL; c = c->next) {
		if (among(c->key->text, known))
			continue;
		unknown(at, c->key, what, c->key->text, known, "key");
		fine = false;
	}
	return fine;
}

int
yaml_word(const struct yaml_at *at, const struct yaml *y,
    const char *const *words, const char *what)
{
	if (!yaml_want(at, y, YAML_SCALAR, what))
		return -1;
	for (int i = 0; words[i] != NULL; i++)
		if (slice_is(y->text, words[i]))
			return i;
	unknown(at, y, what, y->text, words, "word");
	return -1;
}

bool
yaml_flag(
    const struct yaml_at *at, const struct yaml *y, const char *what, bool *out)
{
	if (y == NULL)
		return false;
	if (yaml_is(y, "true") || yaml_is(y, "false")) {
		*out = yaml_is(y, "true");
		return true;
	}
	fault(at->f, at->file, y, "%s must be true or false", what);
	return false;
}

struct slice
yaml_text(const struct yaml_at *at, const struct yaml *y, const char *what)
{
	if (!yaml_want(at, y, YAML_SCALAR, what))
		return SLICE_EMPTY;
	return y->text;
}

bool
yaml_versioned(const struct yaml_at *at, const struct yaml *y, const char *what,
    struct slice *name, int *version)
{
	const uint8_t *slash;
	struct slice digits;
	int v = 0;

	if (!yaml_want(at, y, YAML_SCALAR, what))
		return false;
	slash = memchr(y->text.p, '/', y->text.n);
	if (slash == NULL || slash == y->text.p)
		goto bad;
	digits = slice_from(y->text, (size_t)(slash - y->text.p) + 1);
	if (digits.n == 0 || digits.n > 6)
		goto bad;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			goto bad;
		v = v * 10 + (digits.p[i] - '0');
	}
	if (v < 1)
		goto bad;
	*name = slice_of(y->text.p, (size_t)(slash - y->text.p));
	*version = v;
	return true;
bad:
	fault(at->f, at->file, y,
	    "%s: \"%.*s\" has no version; write NAME/1, and the next number "
	    "with each change of meaning",
	    what, SLICE_ARG(y->text));
	return false;
}
