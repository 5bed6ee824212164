/* yaml_use - what is asked of a YAML tree once it stands; see yaml.h. */
#include "broker/base/mp.h"
#include "broker/base/yaml.h"

struct yaml *
yaml_get(const struct yaml *y, const char *key)
{
	if (y == NULL || y->kind != YAML_MAP)
		return NULL;
	for (struct yaml *c = y->child; c != NULL; c = c->next)
		if (slice_is(c->key->text, key))
			return c;
	return NULL;
}

bool
yaml_is(const struct yaml *y, const char *word)
{
	return y != NULL && y->kind == YAML_SCALAR && y->style == YAML_PLAIN &&
	       slice_is(y->text, word);
}

#define WORD 64 /* longer words are not compared */

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Insertions, deletions, changes and swaps of neighbours; both within WORD. */
static unsigned
distance(struct slice a, struct slice b)
{
	unsigned rows[3][WORD + 1], *two = rows[0], *one = rows[1],
				    *now = rows[2], *t, d;

	for (unsigned j = 0; j <= b.n; j++)
		one[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		now[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			uint8_t x = lower(a.p[i - 1]), y = lower(b.p[j - 1]);

			d = one[j - 1] + (x != y);
			if (one[j] + 1 < d)
				d = one[j] + 1;
			if (now[j - 1] + 1 < d)
				d = now[j - 1] + 1;
			if (i > 1 && j > 1 && x == lower(b.p[j - 2]) &&
			    lower(a.p[i - 2]) == y && two[j - 2] + 1 < d)
				d = two[j - 2] + 1;
			now[j] = d;
		}
		t = two;
		two = one;
		one = now;
		now = t;
	}
	return one[b.n];
}

const char *
yaml_nearest(struct slice word, const char *const *names)
{
	unsigned best = word.n < 4 ? 1 : word.n < 8 ? 2 : 3, d;
	const char *found = NULL;
	struct slice name;

	if (word.n == 0 || word.n > WORD)
		return NULL;
	for (; *names != NULL; names++) {
		name = slice_str(*names);
		if (name.n == 0 || name.n > WORD)
			continue;
		d = distance(word, name);
		/* Nothing in common is not near, however short. */
		if (d >= (word.n > name.n ? word.n : name.n))
			continue;
		if (d < best || (d == best && found == NULL)) {
			best = d;
			found = *names;
		}
	}
	return found;
}

static bool
is_word(struct slice s, const char *small, const char *first, const char *big)
{
	return slice_is(s, small) || slice_is(s, first) || slice_is(s, big);
}

/* Would somebody take this for a number, though it is none in JSON? */
static bool
half_a_number(struct slice s)
{
	size_t i = 0;

	if (slice_is(s, ".inf") || slice_is(s, "-.inf") ||
	    slice_is(s, "+.inf") || slice_is(s, ".nan"))
		return true;
	if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x')
		return true;
	if (s.n > 2 && s.p[0] == '0' && s.p[1] == 'o')
		return true;
	if (s.p[0] == '+' || s.p[0] == '-')
		i++;
	if (i == s.n)
		return false;
	for (; i < s.n; i++)
		if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '.')
			return false;
	return memchr(s.p, '.', s.n) == memrchr(s.p, '.', s.n) &&
	       !slice_is(s, ".") && !slice_is(s, "-.") && !slice_is(s, "+.");
}

static enum err
put_number(struct slice s, struct buf *out)
{
	bool negative = s.p[0] == '-';
	uint64_t v = 0;

	for (size_t i = negative; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9' ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) {
			mp_put_decimal(out, s);
			return ERR_OK;
		}
	if (!negative)
		mp_put_uint(out, v);
	else if (v == 0 || v > (uint64_t)INT64_MAX + 1)
		mp_put_decimal(out, s);
	else
		mp_put_int(out, (int64_t)(0 - v));
	return ERR_OK;
}

static enum err
put_scalar(const struct yaml *y, struct buf *out)
{
	struct slice s = y->text;

	if (y->style != YAML_PLAIN) {
		mp_put_str(out, s);
		return ERR_OK;
	}
	if (slice_is(s, "~") || is_word(s, "null", "Null", "NULL")) {
		mp_put_nil(out);
	} else if (is_word(s, "true", "True", "TRUE")) {
		mp_put_bool(out, true);
	} else if (is_word(s, "false", "False", "FALSE")) {
		mp_put_bool(out, false);
	} else if (mp_is_number(s)) {
		return put_number(s, out);
	} else if (s.n == 0 || half_a_number(s)) {
		return err_note(ERR_SYNTAX,
		    "line %u, column %u: %.*s could be a number or a text; "
		    "quote it if it is a text",
		    y->line, y->column, SLICE_ARG(s));
	} else {
		mp_put_str(out, s);
	}
	return ERR_OK;
}

/* Recursion is bounded by yaml_parse's depth. */
static enum err
put_node(const struct yaml *y, struct buf *out)
{
	enum err e = ERR_OK;

	if (y->kind == YAML_SCALAR)
		return put_scalar(y, out);
	if (y->kind == YAML_MAP)
		mp_put_map(out, y->count);
	else
		mp_put_array(out, y->count);
	for (y = y->child; y != NULL && e == ERR_OK; y = y->next) {
		if (y->key != NULL)
			mp_put_str(out, y->key->text);
		e = put_node(y, out);
	}
	return e;
}

enum err
yaml_to_mp(const struct yaml *y, struct buf *out)
{
	size_t before = out->n;
	enum err e = put_node(y, out);

	if (e == ERR_OK)
		e = buf_check(out);
	if (e != ERR_OK)
		out->n = before;
	return e;
}
