/* text - see text.h. */
#include "connectors/http/text.h"

#include "broker/base/mp.h"

#include "connectors/sdk/params.h"

#define VALUE_MAX 65536
#define TREE_DEPTH 16

/* ---- loading ---- */

const struct formula *
text_formula(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, bool secrets)
{
	const struct formula *x = NULL;

	if (y == NULL)
		return NULL;
	if (y->kind != YAML_SCALAR) {
		fault(l->at.f, l->at.file, y,
		    "an expression, or a quoted text, is expected here");
		return NULL;
	}
	/* its faults are in f; the pack fails as a whole */
	if (formula_load(&x, l->at.file, y, roots, in,
		secrets ? l->pack->settings_all : l->pack->settings_open, l->a,
		l->at.f) != ERR_OK)
		return NULL;
	return x;
}

bool
text_duration(const struct text_in *l, const struct yaml *y, const char *what,
    int64_t *ns)
{
	static const char units[] = "smhd";
	static const int64_t secs[] = {1, 60, 3600, 86400};
	struct slice s = yaml_text(&l->at, y, what);
	const char *u;
	int64_t v = 0;

	if (y == NULL)
		return true;
	u = s.n > 1 && s.n <= 6 ? strchr(units, s.p[s.n - 1]) : NULL;
	for (size_t i = 0; u != NULL && i + 1 < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			u = NULL;
		else
			v = v * 10 + (s.p[i] - '0');
	}
	if (u == NULL || v == 0) {
		fault(l->at.f, l->at.file, y,
		    "%s: write a number and s, m, h or d, as 5m", what);
		return false;
	}
	*ns = v * secs[u - units] * INT64_C(1000000000);
	return true;
}

bool
text_number(const struct text_in *l, const struct yaml *y, const char *what,
    int64_t min, int64_t max, int64_t *out)
{
	struct slice s = yaml_text(&l->at, y, what);
	int64_t v = 0;

	if (y == NULL)
		return true;
	for (size_t i = 0; i < s.n && i < 10 && v >= 0; i++)
		v = s.p[i] < '0' || s.p[i] > '9' ? -1 : v * 10 + (s.p[i] - '0');
	if (s.n == 0 || s.n > 10 || v < min || v > max) {
		fault(l->at.f, l->at.file, y,
		    "%s must be a number from %lld to %lld", what,
		    (long long)min, (long long)max);
		return false;
	}
	*out = v;
	return true;
}

/* The end of the hole that begins at `from` (behind the brace): texts in quotes
 * and holes within them are stepped over. 0: it has none. */
static size_t
hole_end(struct slice s, size_t from)
{
	size_t depth = 1;
	uint8_t quote = 0;

	for (size_t i = from; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (quote != 0) {
			quote = c == quote ? 0 : quote;
		} else if (c == '\'' || c == '"') {
			quote = c;
		} else if (c == '{') {
			depth++;
		} else if (c == '}' && --depth == 0) {
			return i;
		}
	}
	return 0;
}

/* The expression of one hole, at its own place in the file. */
static const struct formula *
hole_load(const struct text_in *l, const struct yaml *y, size_t from, size_t to,
    unsigned roots, const struct schema_field *in)
{
	struct yaml *part = arena_alloc(l->a, sizeof(*part));
	char *text = arena_strdup(l->a, slice_of(y->text.p + from, to - from));

	if (part == NULL || text == NULL) {
		fault(l->at.f, l->at.file, y, "the pack is too large");
		return NULL;
	}
	*part = *y;
	part->style = YAML_PLAIN;
	part->text = slice_of(text, to - from);
	part->column = y->column + (uint32_t)from + 1;
	part->next = NULL;
	return text_formula(l, part, roots, in, false);
}

static bool
url_part(const struct text_in *l, const struct yaml *y, struct url_text *u,
    const struct formula *hole, struct slice literal, bool *query)
{
	if (u->n == URL_PARTS) {
		fault(l->at.f, l->at.file, y, "a URL of more than %d parts",
		    URL_PARTS);
		return false;
	}
	u->parts[u->n].hole = hole;
	u->parts[u->n].literal = literal;
	u->parts[u->n].query = *query;
	u->n++;
	if (hole == NULL && memchr(literal.p, '?', literal.n) != NULL)
		*query = true;
	return true;
}

static bool
url_literal_fine(
    const struct text_in *l, const struct yaml *y, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (y->text.p[i] <= ' ' || y->text.p[i] >= 0x7f ||
		    y->text.p[i] == '}' || y->text.p[i] == '#') {
			fault_in(l->at.f, l->at.file, y, i + 1,
			    "this character cannot stand in a URL; write it "
			    "percent-encoded");
			return false;
		}
	return true;
}

/* The setting that says where the system is. */
static const struct formula *
base_load(const struct text_in *l, const struct yaml *y)
{
	static const char text[] = "$settings.url";
	struct yaml *part = arena_alloc(l->a, sizeof(*part));

	for (size_t i = 0; i < l->pack->settings_n; i++)
		if (slice_is(l->pack->settings[i].name, "url") &&
		    part != NULL) {
			*part = *y;
			part->style = YAML_PLAIN;
			part->text = SLICE_LIT(text);
			return text_formula(
			    l, part, FORMULA_SETTINGS, NULL, false);
		}
	fault(l->at.f, l->at.file, y,
	    "a URL that begins with / is one below the setting `url`, which "
	    "this pack does not have");
	return NULL;
}

/* "https://host/": the host ends before the first hole. */
static bool
host_fixed(struct slice s)
{
	size_t i = slice_starts(s, SLICE_LIT("https://"))  ? 8
		   : slice_starts(s, SLICE_LIT("http://")) ? 7
							   : 0;
	size_t from = i;

	for (; i > 0 && i < s.n && s.p[i] != '{'; i++)
		if (s.p[i] == '/')
			return i > from;
	return i == s.n && i > from;
}

bool
url_load(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, struct url_text *u)
{
	struct slice s = yaml_text(&l->at, y, "a URL");
	static const char lead[] = "{$settings.";
	bool query = false;
	size_t at = 0, end;

	u->shown = s;
	u->n = 0;
	u->base = NULL;
	if (s.n == 0)
		return false;
	if (s.p[0] == '/') {
		u->base = base_load(l, y);
	} else if (slice_starts(s, SLICE_LIT(lead)) &&
		   (end = hole_end(s, 1)) > 0) {
		u->base = hole_load(l, y, 1, end, FORMULA_SETTINGS, NULL);
		at = end + 1;
	} else if (!host_fixed(s)) {
		fault(l->at.f, l->at.file, y,
		    "a URL begins with / (below the setting `url`), with a "
		    "setting in braces, or with https:// and a host without "
		    "holes");
		return false;
	}
	for (size_t from = at; at < s.n; from = at) {
		const struct formula *hole;

		while (at < s.n && s.p[at] != '{')
			at++;
		if (!url_literal_fine(l, y, from, at) ||
		    (at > from && !url_part(l, y, u, NULL,
				      slice_of(s.p + from, at - from), &query)))
			return false;
		if (at == s.n)
			break;
		end = hole_end(s, at + 1);
		if (end == 0) {
			fault_in(l->at.f, l->at.file, y, at + 1,
			    "the } that ends the {hole} is missing");
			return false;
		}
		hole = hole_load(l, y, at + 1, end, roots, in);
		if (hole == NULL ||
		    !url_part(l, y, u, hole, SLICE_EMPTY, &query))
			return false;
		at = end + 1;
	}
	return true;
}

static bool
header_name_fine(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' ||
			s.p[i] == '_'))
			return false;
	return s.n > 0;
}

bool
headers_load(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, struct header_text **out, size_t *n)
{
	static const char *const ours[] = {"host", "content-length",
	    "transfer-encoding", "connection", "authorization", NULL};
	size_t had = l->at.f->count;

	*n = 0;
	*out = NULL;
	if (y == NULL || !yaml_want(&l->at, y, YAML_MAP, "headers"))
		return y == NULL;
	*out = arena_alloc(l->a, (y->count + 1) * sizeof(**out));
	if (*out == NULL || y->count > HEADERS_MAX) {
		fault(
		    l->at.f, l->at.file, y, "headers: at most %d", HEADERS_MAX);
		return false;
	}
	for (const struct yaml *c = y->child; c != NULL; c = c->next) {
		struct header_text *h = &(*out)[*n];
		char low[32];

		h->name = c->key->text;
		for (size_t i = 0; i < h->name.n && i < sizeof(low) - 1; i++)
			low[i] = (char)(h->name.p[i] | 0x20);
		low[h->name.n < sizeof(low) - 1 ? h->name.n : sizeof(low) - 1] =
		    '\0';
		for (size_t i = 0; ours[i] != NULL; i++)
			if (strcmp(low, ours[i]) == 0)
				fault(l->at.f, l->at.file, c->key,
				    "%s is written by the connector itself%s",
				    ours[i],
				    i == 4 ? "; say it in `auth`" : "");
		if (!header_name_fine(h->name))
			fault(l->at.f, l->at.file, c->key,
			    "a header's name is of letters, digits, - and _");
		h->value = text_formula(l, c, roots, in, false);
		(*n)++;
	}
	return l->at.f->count == had;
}

static bool
tree_one(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, unsigned depth, struct tree_text *t)
{
	struct tree_text **last = &t->child;

	t->key = SLICE_EMPTY;
	if (y->key != NULL) {
		t->key = y->key->text;
		if (t->key.n > 1 && t->key.p[t->key.n - 1] == '?') {
			t->optional = true;
			t->key.n--;
		}
	}
	if (y->kind == YAML_SCALAR) {
		t->kind = TREE_VALUE;
		t->value = text_formula(l, y, roots, in, false);
		return t->value != NULL;
	}
	if (depth == TREE_DEPTH) {
		fault(l->at.f, l->at.file, y, "deeper than %d levels",
		    TREE_DEPTH);
		return false;
	}
	t->kind = y->kind == YAML_MAP ? TREE_MAP : TREE_LIST;
	for (const struct yaml *c = y->child; c != NULL; c = c->next) {
		struct tree_text *k = arena_alloc(l->a, sizeof(*k));

		if (k == NULL) {
			fault(l->at.f, l->at.file, y, "the pack is too large");
			return false;
		}
		if (!tree_one(l, c, roots, in, depth + 1, k))
			return false;
		*last = k;
		last = &k->next;
		t->count++;
	}
	return true;
}

bool
tree_load(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, struct tree_text *out)
{
	*out = (struct tree_text){.key = SLICE_EMPTY};
	return tree_one(l, y, roots, in, 0, out);
}

/* ---- putting together ---- */

static enum err
text_of(const struct formula *x, const struct formula_env *env,
    struct arena *scratch, struct buf *out)
{
	enum err e;

	buf_reset(out);
	e = formula_text(x, env, scratch, out);
	return e == ERR_OK ? buf_check(out) : e;
}

bool
url_ready(const struct url_text *u, const struct formula_env *env,
    struct arena *scratch)
{
	struct buf b;
	bool yes;

	if (u->base == NULL)
		return true;
	buf_init(&b, URL_MAX);
	yes = text_of(u->base, env, scratch, &b) == ERR_OK && b.n > 0;
	buf_fini(&b);
	return yes;
}

static enum err
base_put(const struct url_text *u, const struct formula_env *env,
    struct arena *scratch, struct buf *text, struct buf *out)
{
	enum err e = text_of(u->base, env, scratch, text);

	if (e != ERR_OK)
		return err_note(ERR_CONFIG,
		    "the setting that says where the system is (%.*s) is not "
		    "there",
		    SLICE_ARG(u->shown));
	/* alone it is the whole URL, with its query; else a path follows */
	while (u->n > 0 && text->n > 0 && text->p[text->n - 1] == '/')
		text->n--;
	for (size_t i = 0; i < text->n; i++)
		if ((text->p[i] == '?' && u->n > 0) || text->p[i] == '#' ||
		    text->p[i] == '@' || text->p[i] <= ' ' ||
		    text->p[i] >= 0x7f)
			return err_note(ERR_CONFIG,
			    "the setting that says where the system is must be "
			    "https://host/path, without a name%s or a hash",
			    u->n > 0 ? ", a question mark" : "");
	buf_slice(out, buf_all(text));
	return ERR_OK;
}

enum err
url_put(const struct url_text *u, const struct formula_env *env,
    struct arena *scratch, struct buf *out)
{
	struct buf text;
	enum err e = ERR_OK;

	buf_init(&text, URL_MAX);
	if (u->base != NULL)
		e = base_put(u, env, scratch, &text, out);
	for (size_t i = 0; e == ERR_OK && i < u->n; i++) {
		if (u->parts[i].hole == NULL) {
			buf_slice(out, u->parts[i].literal);
			continue;
		}
		e = text_of(u->parts[i].hole, env, scratch, &text);
		if (e != ERR_OK)
			break;
		if (!u->parts[i].query &&
		    (text.n == 0 || slice_is(buf_all(&text), ".") ||
			slice_is(buf_all(&text), "..")))
			e = err_note(ERR_MISSING,
			    "a hole of the path %.*s is %s",
			    SLICE_ARG(u->shown),
			    text.n == 0 ? "blank" : "a step to another path");
		else
			params_escape(out, buf_all(&text));
	}
	buf_fini(&text);
	return e == ERR_OK ? buf_check(out) : e;
}

enum err
headers_put(const struct header_text *h, size_t n,
    const struct formula_env *env, struct arena *scratch, struct buf *out)
{
	struct buf text;
	enum err e = ERR_OK;

	buf_init(&text, VALUE_MAX);
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		e = text_of(h[i].value, env, scratch, &text);
		if (e == ERR_MISSING) {
			e = ERR_OK;
			continue;
		}
		for (size_t k = 0; e == ERR_OK && k < text.n; k++)
			if (text.p[k] < ' ' || text.p[k] == 0x7f)
				e = err_note(ERR_SYNTAX,
				    "header %.*s: a control character",
				    SLICE_ARG(h[i].name));
		buf_slice(out, h[i].name);
		buf_str(out, ": ");
		buf_slice(out, buf_all(&text));
		buf_byte(out, '\0');
	}
	buf_fini(&text);
	return e == ERR_OK ? buf_check(out) : e;
}

enum err
tree_put(const struct tree_text *t, const struct formula_env *env,
    struct arena *scratch, struct buf *out)
{
	size_t mark, was;
	uint32_t n = 0;
	enum err e;

	if (t->kind == TREE_VALUE)
		return formula_mp(t->value, env, scratch, out);
	mark = mp_open(out);
	for (const struct tree_text *c = t->child; c != NULL; c = c->next) {
		was = out->n;
		if (t->kind == TREE_MAP)
			mp_put_str(out, c->key);
		e = tree_put(c, env, scratch, out);
		if (e == ERR_MISSING && c->optional) {
			out->n = was;
			continue;
		}
		if (e != ERR_OK)
			return e;
		n++;
	}
	if (t->kind == TREE_MAP)
		mp_close_map(out, mark, n);
	else
		mp_close_array(out, mark, n);
	return buf_check(out);
}

enum err
tree_form(const struct tree_text *t, const struct formula_env *env,
    struct arena *scratch, struct buf *out)
{
	struct buf text;
	bool first = true;
	enum err e = ERR_OK;

	buf_init(&text, VALUE_MAX);
	for (const struct tree_text *c = t->child; c != NULL; c = c->next) {
		e = text_of(c->value, env, scratch, &text);
		if (e == ERR_MISSING && c->optional) {
			e = ERR_OK;
			continue;
		}
		if (e != ERR_OK)
			break;
		if (!first)
			buf_byte(out, '&');
		first = false;
		params_escape(out, c->key);
		buf_byte(out, '=');
		params_escape(out, buf_all(&text));
	}
	buf_fini(&text);
	return e == ERR_OK ? buf_check(out) : e;
}
