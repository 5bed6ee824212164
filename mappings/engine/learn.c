/*
 * learn - see learn.h. What was seen at a path is a set of kinds and three
 * counts; the narrowest type that holds all of it is written. A text whose
 * every value is a number with a point is a decimal, one of ISO times a time:
 * guesses that are right far more often than not, and marked for review.
 */
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "broker/base/zone.h"
#include "mappings/engine/learn.h"

#define LEARN_DEPTH 24
#define WORDS 6

enum seen {
	SEEN_INT = 1,
	SEEN_DEC = 2,
	SEEN_BOOL = 4,
	SEEN_TEXT = 8,	  /* any other text */
	SEEN_NUMBER = 16, /* a text that is a decimal: "12.50" */
	SEEN_TIME = 32,	  /* a text that is a time with a zone */
	SEEN_LOCAL = 64,  /* one without */
	SEEN_DATE = 128,  /* a text that is a date */
	SEEN_MAP = 256,
	SEEN_LIST = 512,
	SEEN_OTHER = 1024 /* binary */
};

struct field {
	struct slice name;
	unsigned seen;
	size_t there; /* how many maps had the key */
	size_t nulls, blanks;
	size_t json; /* texts that held JSON */
	/* The different texts, while they are few: for who reviews an enum. */
	size_t words_n, texts; /* words_n = WORDS + 1: too many */
	struct slice words[WORDS];
	size_t maps; /* how many of its values were maps */
	struct field *fields, *next;
	struct field *item;
};

struct learn {
	struct arena *a;
	size_t samples;
	bool blanks, local;
	struct field root;
};

struct learn *
learn_new(struct arena *a)
{
	struct learn *l = arena_alloc(a, sizeof(*l));

	if (l != NULL)
		l->a = a;
	return l;
}

static bool
decimal_text(struct slice s)
{
	size_t i = s.n > 0 && s.p[0] == '-', point = 0;

	if (s.n > 24 || i == s.n || s.p[i] == '.')
		return false;
	for (; i < s.n; i++) {
		if (s.p[i] == '.' && point == 0)
			point = i;
		else if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	/* without a point it may as well be a name: "0420" */
	return point > 0 && point + 1 < s.n;
}

static unsigned
text_kind(struct slice s)
{
	const struct zone *utc;
	int64_t ns;
	bool zoned;

	if (decimal_text(s))
		return SEEN_NUMBER;
	if (s.n < 10 || s.p[4] != '-' || s.p[7] != '-' ||
	    zone_get(SLICE_LIT("UTC"), &utc) != ERR_OK ||
	    time_parse(s, utc, &ns, &zoned) != ERR_OK)
		return SEEN_TEXT;
	return s.n == 10 ? SEEN_DATE : zoned ? SEEN_TIME : SEEN_LOCAL;
}

static struct field *
field_of(struct learn *l, struct field *map, struct slice name)
{
	struct field **f = &map->fields;

	for (; *f != NULL; f = &(*f)->next)
		if (slice_eq((*f)->name, name))
			return *f;
	*f = arena_alloc(l->a, sizeof(**f));
	if (*f == NULL || arena_copy(l->a, name, &(*f)->name) != ERR_OK)
		return NULL;
	return *f;
}

/* A word: what an enum may hold, and what can stand in a comment. */
static bool
is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= 'A' && s.p[i] <= 'Z') || s.p[i] == '_' ||
			s.p[i] == '-'))
			return false;
	return s.n > 0 && s.n <= 24;
}

static enum err
see_word(struct learn *l, struct field *f, struct slice s)
{
	f->texts++;
	if (f->words_n > WORDS)
		return ERR_OK;
	for (size_t i = 0; i < f->words_n; i++)
		if (slice_eq(f->words[i], s))
			return ERR_OK;
	if (f->words_n == WORDS || !is_word(s)) {
		f->words_n = WORDS + 1;
		return ERR_OK;
	}
	return arena_copy(l->a, s, &f->words[f->words_n++]);
}

static enum err see(
    struct learn *l, struct field *f, struct mp_in *in, unsigned depth);

/* A text that is a JSON object or list is seen as what it holds. */
static bool
see_json(struct learn *l, struct field *f, struct slice text, unsigned depth)
{
	struct mp_in in;
	struct buf mp;
	bool is;

	if (text.p[0] != '{' && text.p[0] != '[')
		return false;
	buf_init(&mp, 16 * 1024 * 1024);
	is = json_to_mp(text, &mp, NULL) == ERR_OK;
	in = mp_in(buf_all(&mp));
	is = is && see(l, f, &in, depth + 1) == ERR_OK;
	buf_fini(&mp);
	return is;
}

static enum err
see(struct learn *l, struct field *f, struct mp_in *in, unsigned depth)
{
	struct mp m, key;
	enum err e = mp_next(in, &m);

	if (e != ERR_OK)
		return e;
	if (depth > LEARN_DEPTH)
		return err_note(
		    ERR_LIMIT, "nested deeper than %d", LEARN_DEPTH);
	switch (m.type) {
	case MP_NIL:
		f->nulls++;
		return ERR_OK;
	case MP_BOOL:
		f->seen |= SEEN_BOOL;
		return ERR_OK;
	case MP_INT:
	case MP_UINT:
		f->seen |= SEEN_INT;
		return ERR_OK;
	case MP_DECIMAL:
		f->seen |= SEEN_DEC;
		return ERR_OK;
	case MP_TIME:
		f->seen |= SEEN_TIME;
		return ERR_OK;
	case MP_STR:
		if (m.bytes.n == 0) {
			f->blanks++;
			l->blanks = true;
		} else if (see_json(l, f, m.bytes, depth)) {
			f->json++;
		} else {
			f->seen |= text_kind(m.bytes);
			return see_word(l, f, m.bytes);
		}
		return ERR_OK;
	case MP_ARRAY:
		f->seen |= SEEN_LIST;
		if (f->item == NULL)
			f->item = arena_alloc(l->a, sizeof(*f->item));
		for (uint32_t i = 0; f->item != NULL && i < m.count; i++) {
			f->item->there++;
			e = see(l, f->item, in, depth + 1);
			if (e != ERR_OK)
				return e;
		}
		return f->item != NULL ? ERR_OK
				       : err_note(ERR_NOMEM, "no memory");
	case MP_MAP:
		f->seen |= SEEN_MAP;
		f->maps++;
		for (uint32_t i = 0; i < m.count; i++) {
			struct field *to;

			e = mp_next(in, &key);
			if (e == ERR_OK && key.type != MP_STR)
				e = err_note(ERR_TYPE, "a key that is no text");
			if (e != ERR_OK)
				return e;
			to = field_of(l, f, key.bytes);
			if (to == NULL)
				return err_note(ERR_NOMEM, "no memory");
			to->there++;
			e = see(l, to, in, depth + 1);
			if (e != ERR_OK)
				return e;
		}
		return ERR_OK;
	default:
		f->seen |= SEEN_OTHER;
		return ERR_OK;
	}
}

/* An element of XML that sometimes has attributes and sometimes has none: its
 * text is always the map's "$". */
static void
fold(struct field *f)
{
	unsigned texts = f->seen & ~(unsigned)(SEEN_MAP | SEEN_LIST);
	struct field *k;

	for (k = f->fields; k != NULL; k = k->next) {
		fold(k);
		if (slice_is(k->name, "$") && (f->seen & SEEN_MAP) != 0 &&
		    f->json == 0) {
			k->seen |= texts;
			k->blanks += f->blanks;
			f->blanks = 0;
			f->seen &= ~texts;
		}
	}
	if (f->item != NULL)
		fold(f->item);
}

enum err
learn_add(struct learn *l, struct slice data)
{
	struct mp_in in = mp_in(data), at = in;
	struct mp m;
	enum err e = mp_next(&at, &m);

	if (e != ERR_OK)
		return e;
	if (m.type != MP_ARRAY) {
		if (m.type != MP_MAP)
			return err_note(ERR_TYPE,
			    "a sample is an object, or a list of "
			    "them");
		l->samples++;
		return see(l, &l->root, &in, 0);
	}
	for (uint32_t i = 0; i < m.count; i++) {
		struct slice one;

		e = mp_value(&at, &one);
		if (e == ERR_OK && one.n > 0 && (one.p[0] & 0xf0) == 0x90)
			e = err_note(ERR_TYPE, "a list within the list");
		if (e == ERR_OK)
			e = learn_add(l, one);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* ---- writing ---- */

static const char *
type_of(const struct field *f, bool *local)
{
	unsigned s = f->seen;

	if (s == 0)
		return f->blanks > 0 ? "text" : NULL;
	if ((s & ~(unsigned)SEEN_INT) == 0)
		return "integer";
	if ((s & ~(unsigned)(SEEN_INT | SEEN_DEC | SEEN_NUMBER)) == 0)
		return "decimal";
	if (s == SEEN_BOOL)
		return "bool";
	if (s == SEEN_DATE)
		return "date";
	if ((s & ~(unsigned)(SEEN_TIME | SEEN_LOCAL)) == 0) {
		*local = *local || (s & SEEN_LOCAL) != 0;
		return "time";
	}
	if ((s & (SEEN_MAP | SEEN_LIST | SEEN_BOOL | SEEN_OTHER)) == 0)
		return "text";
	return NULL;
}

/* A name that is itself as a plain YAML key; others are quoted, and say that
 * they are optional with a word, since a quoted ? is part of the name. */
static bool
plain_name(struct slice name)
{
	if (name.n == 0 || name.n > 100 || name.p[name.n - 1] == ' ' ||
	    slice_is(name, "true") || slice_is(name, "false") ||
	    slice_is(name, "null"))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '_' || c >= 0x80)
			continue;
		if (i == 0 || memchr("0123456789- .()/", c, 16) == NULL)
			return false;
	}
	return true;
}

static void
put_name(struct buf *out, struct slice name)
{
	buf_byte(out, '\'');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '\'')
			buf_byte(out, '\'');
		buf_byte(out, name.p[i] >= 32 ? name.p[i] : '?');
	}
	buf_byte(out, '\'');
}

static void put_fields(
    struct buf *out, const struct field *f, unsigned depth, bool *local);

/* What was seen of a text that may be one of a few words. */
static void
put_words(struct buf *out, const struct field *f)
{
	if (f->seen != SEEN_TEXT || f->words_n == 0 || f->words_n > WORDS ||
	    f->texts < 3 || f->texts < 2 * f->words_n)
		return;
	buf_str(out, " # always one of:");
	for (size_t i = 0; i < f->words_n; i++)
		buf_printf(out, " %.*s", SLICE_ARG(f->words[i]));
}

static void
put_word(struct buf *out, const struct field *f, const char *key,
    const char *type, bool optional)
{
	bool json = f->json > 0;

	if (!optional && !json && strcmp(key, "type") == 0)
		buf_printf(out, " %s", type);
	else
		buf_printf(out, " {%s: %s%s%s}", key, type,
		    optional ? ", optional: true" : "",
		    json ? ", json: true" : "");
	put_words(out, f);
	buf_byte(out, '\n');
}

static void
put_inner(struct buf *out, const char *key, const struct field *f,
    unsigned depth, bool optional, bool json, bool *local)
{
	buf_byte(out, '\n');
	if (optional)
		buf_printf(out, "%*soptional: true\n", (int)depth * 2 + 2, "");
	if (json)
		buf_printf(out, "%*sjson: true\n", (int)depth * 2 + 2, "");
	buf_printf(out, "%*s%s:\n", (int)depth * 2 + 2, "", key);
	put_fields(out, f, depth + 2, local);
}

/* Lists within lists of one type, as EDIFACT has them; false: not so. */
static bool
put_nested(struct buf *out, const struct field *f, bool *local)
{
	const char *t = type_of(f, local);

	if (t != NULL) {
		buf_str(out, t);
		return true;
	}
	if (f->seen != SEEN_LIST || f->item == NULL)
		return false;
	buf_str(out, "{list: ");
	if (!put_nested(out, f->item, local))
		return false;
	buf_str(out, "}");
	return true;
}

static bool
id_name(struct slice n)
{
	return slice_is(n, "id") || slice_is(n, "ID") ||
	       (n.n > 3 && memcmp(n.p + n.n - 3, "_id", 3) == 0) ||
	       (n.n > 2 && memcmp(n.p + n.n - 2, "Id", 2) == 0);
}

/* What stands behind "name:", newline included. */
static void
put_type(struct buf *out, const struct field *f, unsigned depth, bool optional,
    bool *local)
{
	const struct field *i = f->item;
	const char *t = type_of(f, local);
	bool list = f->seen == SEEN_LIST, json = f->json > 0;
	struct buf nested;

	/* an id is a name, whatever it is made of */
	if (t != NULL && strcmp(t, "integer") == 0 && id_name(f->name))
		t = "text";
	if (t != NULL) {
		put_word(out, f, "type", t, optional);
		return;
	}
	if (f->seen == SEEN_MAP && f->fields != NULL) {
		put_inner(out, "fields", f, depth, optional, json, local);
		return;
	}
	if (list && i != NULL && i->seen == SEEN_MAP && i->fields != NULL &&
	    i->nulls == 0) {
		put_inner(out, "items", i, depth, optional, json, local);
		return;
	}
	buf_init(&nested, 256);
	if (list && i != NULL && i->nulls == 0 && put_nested(&nested, i, local))
		put_word(out, f, "list", buf_cstr(&nested), optional);
	else
		put_word(out, f, list ? "list" : "type", "any", optional);
	buf_fini(&nested);
}

static void
put_fields(struct buf *out, const struct field *f, unsigned depth, bool *local)
{
	const struct field *k;

	for (k = f->fields; k != NULL; k = k->next) {
		bool optional =
		    k->there < f->maps || k->nulls > 0 || k->blanks > 0;
		bool plain = plain_name(k->name);

		buf_printf(out, "%*s", (int)depth * 2, "");
		if (plain)
			buf_printf(out, "%.*s%s", SLICE_ARG(k->name),
			    optional ? "?" : "");
		else
			put_name(out, k->name);
		buf_byte(out, ':');
		put_type(out, k, depth, optional && !plain, local);
	}
}

enum err
learn_write(struct learn *l, struct slice type, struct buf *out)
{
	struct buf fields;
	bool local = false;
	enum err e;

	if (l->samples == 0)
		return err_note(ERR_MISSING, "no samples to learn from");
	fold(&l->root);
	buf_init(&fields, out->max);
	put_fields(&fields, &l->root, 1, &local);
	buf_printf(out,
	    "# Learned from %zu sample%s: look at each line. What no sample "
	    "showed is not\n# here, what all of them had is taken to be always "
	    "there, and a number in quotes\n# with a point for a decimal.\n",
	    l->samples, l->samples == 1 ? "" : "s");
	buf_printf(out, "schema: %.*s/1\ntitle: %.*s\n", SLICE_ARG(type),
	    SLICE_ARG(type));
	if (l->blanks)
		buf_str(out, "blank: absent\n");
	if (local)
		buf_str(out, "zone: UTC # of times that name none\n");
	buf_str(out, "open: true\nfields:\n");
	e = buf_check(&fields);
	if (e == ERR_OK)
		buf_slice(out, buf_all(&fields));
	buf_fini(&fields);
	return e == ERR_OK ? buf_check(out) : e;
}
