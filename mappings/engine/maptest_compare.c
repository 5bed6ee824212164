/*
 * maptest_compare - what a test wants against what a mapping made.
 *
 * Each difference is one line that a person can act on: the path, both values,
 * and the place of the expression that made it. The place is found by walking
 * the mapping's own YAML beside the path; where the walk cannot tell which of
 * several nodes it was, the nearest one above is named.
 */
#include <stdio.h>

#include "broker/base/dec.h"
#include "broker/base/json.h"
#include "broker/base/zone.h"
#include "mappings/engine/maptest_inner.h"

#define SHOWN 120 /* bytes of a value in a message */

static void
shown(struct buf *b, struct slice mp)
{
	struct buf text;

	buf_init(&text, MAPTEST_VALUE);
	if (mp.n == 0)
		buf_str(b, "nothing");
	else if (mp_to_json(mp, JSON_COMPACT, &text) != ERR_OK)
		buf_str(b, "a value that is no JSON");
	else
		buf_printf(b, "%.*s%s", text.n > SHOWN ? SHOWN : (int)text.n,
		    (char *)text.p, text.n > SHOWN ? "..." : "");
	buf_fini(&text);
}

static void
wanted(struct buf *b, const struct yaml *want)
{
	if (want->kind == YAML_SCALAR)
		buf_printf(b, want->style == YAML_PLAIN ? "%.*s" : "\"%.*s\"",
		    want->text.n > SHOWN ? SHOWN : (int)want->text.n,
		    (const char *)want->text.p);
	else if (want->kind == YAML_LIST)
		buf_printf(b, "a list of %u", want->count);
	else
		buf_printf(b, "a map");
}

static void
place(struct compare *c, const struct yaml *expr)
{
	if (expr != NULL)
		buf_printf(
		    c->out, "  (%s:%u:%u)", c->file, expr->line, expr->column);
	buf_byte(c->out, '\n');
}

/* The line's bytes; *rest becomes what is behind it. */
static struct slice
line_of(struct slice *rest)
{
	const uint8_t *end = memchr(rest->p, '\n', rest->n);
	size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	struct slice line = slice_of(rest->p, n);

	*rest = slice_from(*rest, end != NULL ? n + 1 : n);
	return line;
}

/* Of the explanation, what it says of this field: the expression, and what the
 * parts of it were. */
static void
explain(struct compare *c, const char *path)
{
	struct slice rest = c->why, line, from;
	struct buf head;
	bool here = false;

	buf_init(&head, 4096);
	buf_printf(&head, "%.*s: %s: ", SLICE_ARG(c->type), path);
	while (rest.n > 0) {
		line = line_of(&rest);
		if (here && !slice_starts(line, SLICE_LIT("  ")))
			break;
		if (here) {
			buf_printf(c->out, "      %.*s\n", SLICE_ARG(line));
			continue;
		}
		here = slice_starts(line, buf_all(&head));
		from.p = here ? memmem(line.p, line.n, " <- ", 4) : NULL;
		if (from.p == NULL)
			continue;
		from.n = (size_t)(line.p + line.n - from.p);
		/* the place is told already */
		for (size_t i = from.n; i-- > 2;)
			if (from.p[i] == '(' && from.p[i - 1] == ' ') {
				from.n = i - 1;
				break;
			}
		buf_printf(
		    c->out, "      %.*s\n", SLICE_ARG(slice_from(from, 1)));
	}
	buf_fini(&head);
}

static void
differs(struct compare *c, const char *path, const struct yaml *want,
    struct slice got, const struct yaml *expr)
{
	size_t n = strlen(path);

	c->bad++;
	buf_printf(c->out, "    %s: expected ", path);
	wanted(c->out, want);
	buf_str(c->out, ", got ");
	shown(c->out, got);
	place(c, expr);
	if (c->why.n > 0 && n > c->before)
		explain(c, path + c->before + (c->before > 0));
}

static bool
number_fits(const struct yaml *want, struct slice digits)
{
	struct dec a, b;

	if (slice_eq(want->text, digits))
		return true;
	return want->style == YAML_PLAIN &&
	       dec_parse(want->text, &a) == ERR_OK &&
	       dec_parse(digits, &b) == ERR_OK && dec_cmp(a, b) == 0;
}

static bool
scalar_fits(const struct yaml *want, struct slice got)
{
	struct mp_in in = mp_in(got);
	char digits[32];
	struct mp v;
	int64_t ns;
	bool zoned;
	int n;

	if (mp_next(&in, &v) != ERR_OK)
		return false;
	switch (v.type) {
	case MP_NIL:
		return yaml_is(want, "null");
	case MP_BOOL:
		return yaml_is(want, v.b ? "true" : "false");
	case MP_INT:
	case MP_UINT:
		n = v.type == MP_INT ? snprintf(digits, sizeof(digits), "%lld",
					   (long long)v.i)
				     : snprintf(digits, sizeof(digits), "%llu",
					   (unsigned long long)v.u);
		return number_fits(want, slice_of(digits, (size_t)n));
	case MP_DECIMAL:
		return number_fits(want, v.bytes);
	case MP_STR:
		return slice_eq(want->text, v.bytes);
	case MP_TIME:
		return time_parse(want->text, NULL, &ns, &zoned) == ERR_OK &&
		       ns == v.i;
	default:
		return false;
	}
}

/* ---- the place of an expression ---- */

/* Past the words that only say how often: {each, let, when, item}. */
static const struct yaml *
inside(const struct yaml *expr)
{
	const struct yaml *item;

	while (expr != NULL && (item = yaml_get(expr, "item")) != NULL)
		expr = item;
	return expr;
}

static const struct yaml *
expr_field(const struct yaml *expr, struct slice name)
{
	const struct yaml *at = inside(expr);

	if (at != NULL && at->kind == YAML_LIST && at->count == 1)
		at = inside(at->child);
	if (at == NULL || at->kind != YAML_MAP)
		return expr;
	for (const struct yaml *c = at->child; c != NULL; c = c->next) {
		struct slice key = c->key->text;

		if (c->key->style == YAML_PLAIN && key.n > 1 &&
		    key.p[key.n - 1] == '?')
			key.n--;
		if (slice_eq(key, name))
			return c;
	}
	return expr;
}

static const struct yaml *
expr_item(const struct yaml *expr, size_t i)
{
	const struct yaml *at = inside(expr), *c;

	if (at == NULL || at->kind != YAML_LIST)
		return expr;
	/* A literal list whose entries each make one item can be counted. */
	for (c = at->child; c != NULL; c = c->next)
		if (yaml_get(c, "each") != NULL || yaml_get(c, "when") != NULL)
			return at->count == 1 ? at->child : expr;
	for (c = at->child; c != NULL && i > 0; i--)
		c = c->next;
	return c != NULL ? c : expr;
}

/* ---- walking ---- */

static void
compare_map(struct compare *c, const char *path, const struct yaml *want,
    struct slice got, const struct yaml *expr)
{
	struct mp_in in = mp_in(got);
	struct mp head, key;
	struct slice value;
	struct buf sub;

	if (want->count == 0 && !c->exact)
		return;
	if (mp_next(&in, &head) != ERR_OK || head.type != MP_MAP) {
		differs(c, path, want, got, expr);
		return;
	}
	buf_init(&sub, 4096);
	for (const struct yaml *w = want->child; w != NULL; w = w->next) {
		buf_reset(&sub);
		buf_printf(&sub, "%s%s%.*s", path, path[0] != '\0' ? "." : "",
		    SLICE_ARG(w->key->text));
		if (!mp_get(got, (const char *)w->key->text.p, &value))
			value = SLICE_EMPTY;
		compare_value(c, buf_cstr(&sub), w, value,
		    expr_field(expr, w->key->text));
	}
	for (uint32_t i = 0; c->exact && i < head.count; i++) {
		bool named = false;

		if (mp_next(&in, &key) != ERR_OK ||
		    mp_value(&in, &value) != ERR_OK)
			break;
		for (const struct yaml *w = want->child; w != NULL; w = w->next)
			named = named || slice_eq(w->key->text, key.bytes);
		if (named)
			continue;
		c->bad++;
		buf_printf(c->out, "    %s%s%.*s: not expected, got ", path,
		    path[0] != '\0' ? "." : "", SLICE_ARG(key.bytes));
		shown(c->out, value);
		place(c, expr_field(expr, key.bytes));
	}
	buf_fini(&sub);
}

static void
compare_list(struct compare *c, const char *path, const struct yaml *want,
    struct slice got, const struct yaml *expr)
{
	struct mp_in in = mp_in(got);
	const struct yaml *w = want->child;
	struct mp head;
	struct slice value;
	struct buf sub;

	if (mp_next(&in, &head) != ERR_OK || head.type != MP_ARRAY) {
		differs(c, path, want, got, expr);
		return;
	}
	if (head.count != want->count) {
		c->bad++;
		buf_printf(c->out, "    %s: expected %u items, got %u: ", path,
		    want->count, head.count);
		shown(c->out, got);
		place(c, expr);
	}
	buf_init(&sub, 4096);
	for (uint32_t i = 0; i < head.count && w != NULL; i++, w = w->next) {
		if (mp_value(&in, &value) != ERR_OK)
			break;
		buf_reset(&sub);
		buf_printf(&sub, "%s[%u]", path, i + 1);
		compare_value(c, buf_cstr(&sub), w, value, expr_item(expr, i));
	}
	buf_fini(&sub);
}

void
compare_value(struct compare *c, const char *path, const struct yaml *want,
    struct slice got, const struct yaml *expr)
{
	if (yaml_is(want, "absent")) {
		if (got.n > 0)
			differs(c, path, want, got, expr);
	} else if (got.n == 0) {
		differs(c, path, want, got, expr);
	} else if (want->kind == YAML_MAP) {
		compare_map(c, path, want, got, expr);
	} else if (want->kind == YAML_LIST) {
		compare_list(c, path, want, got, expr);
	} else if (!scalar_fits(want, got)) {
		differs(c, path, want, got, expr);
	}
}

void
compare_text(struct compare *c, const char *path, const struct yaml *want,
    struct slice got)
{
	struct buf mp;

	buf_init(&mp, 4096);
	mp_put_str(&mp, got);
	compare_value(c, path, want, buf_all(&mp), NULL);
	buf_fini(&mp);
}
