/*
 * vocab_doc - see vocab_doc.h. What stands at the head of a schema's file as a
 * comment is said here too: it is written once, for both readers.
 */
#include "broker/base/file.h"
#include "mappings/engine/vocab_doc.h"

static const char *const type_names[] = {[SCHEMA_ANY] = "any",
    [SCHEMA_TEXT] = "text",
    [SCHEMA_INTEGER] = "integer",
    [SCHEMA_DECIMAL] = "decimal",
    [SCHEMA_BOOL] = "bool",
    [SCHEMA_TIME] = "time",
    [SCHEMA_DATE] = "date",
    [SCHEMA_MAP] = "map",
    [SCHEMA_LIST] = "list"};

static void
put_words(struct buf *out, const struct schema_field *x)
{
	for (size_t i = 0; i < x->enum_n; i++)
		buf_printf(
		    out, "%s`%.*s`", i > 0 ? " " : "", SLICE_ARG(x->enums[i]));
}

static void
put_fields(struct buf *out, const struct schema_field *map, const char *above)
{
	const struct schema_field *x;

	for (x = map->fields; x != NULL; x = x->next) {
		const struct schema_field *inner = x;
		struct buf name;

		buf_init(&name, 4096);
		buf_printf(&name, "%s%.*s", above, SLICE_ARG(x->name));
		buf_printf(out, "| `%s%s` | ", buf_cstr(&name),
		    x->optional ? "?" : "");
		if (x->type == SCHEMA_LIST) {
			inner = x->item;
			buf_str(out, "list of ");
		}
		if (inner->enum_n > 0)
			put_words(out, inner);
		else
			buf_str(out, type_names[inner->type]);
		buf_printf(out, " | %.*s%s |\n", SLICE_ARG(x->title),
		    x->personal ? " (personal)" : "");
		if (inner->type == SCHEMA_MAP) {
			buf_str(&name, inner != x ? "[]." : ".");
			put_fields(out, inner, buf_cstr(&name));
		}
		buf_fini(&name);
	}
}

/* The comment a file begins with: a line that is set in stays a line. */
static enum err
put_comment(struct buf *out, const char *file)
{
	struct buf text;
	struct slice rest;
	enum err e;

	buf_init(&text, 1024 * 1024);
	e = file_read(file, &text);
	for (rest = buf_all(&text);
	     e == ERR_OK && rest.n > 0 && rest.p[0] == '#';) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end != NULL ? (size_t)(end - rest.p) : rest.n;
		struct slice line = slice_from(slice_of(rest.p, n), 1);

		if (line.n > 1 && line.p[0] == ' ')
			line = slice_from(line, 1);
		if (line.n > 2 && slice_starts(line, SLICE_LIT("  ")) &&
		    line.p[2] != ' ')
			buf_printf(
			    out, "- %.*s\n", SLICE_ARG(slice_from(line, 2)));
		else
			buf_printf(out, "%.*s\n", SLICE_ARG(line));
		rest = slice_from(rest, end != NULL ? n + 1 : n);
	}
	buf_byte(out, '\n');
	buf_fini(&text);
	return e;
}

enum err
vocab_doc(const struct vocabulary *v, struct buf *out)
{
	enum err e = ERR_OK;

	buf_str(out,
	    "# The canonical vocabulary\n\n"
	    "What every pack translates into and out of, made from the files "
	    "beside this page by `vayla map vocabulary`. A subject's scope "
	    "says whether two systems may mean two things by one number "
	    "(`system`) or always mean the same (`house`). A `?` marks what "
	    "may be left out, (personal) what is sealed under the key of the "
	    "event's person.\n\n"
	    "Amounts are decimals and positive; the type or a field says which "
	    "way they go. Ids are text. Times are UTC. An empty text counts as "
	    "missing: what is not known is left out.\n\n"
	    "| Type | Says | Subject |\n|---|---|---|\n");
	for (size_t i = 0; i < v->n; i++) {
		const struct schema *s = v->schemas[i];

		buf_printf(out, "| `%.*s` | %.*s | %.*s, %s |\n",
		    SLICE_ARG(s->type), SLICE_ARG(s->title), SLICE_ARG(s->kind),
		    s->house ? "house" : "system");
	}
	for (size_t i = 0; e == ERR_OK && i < v->n; i++) {
		const struct schema *s = v->schemas[i];

		buf_printf(out, "\n## %.*s\n\n", SLICE_ARG(s->type));
		e = put_comment(out, s->file);
		if (s->person.n > 0)
			buf_printf(out, "Its person is `%.*s`.\n\n",
			    SLICE_ARG(s->person));
		buf_str(out, "| Field | Type | |\n|---|---|---|\n");
		put_fields(out, &s->root, "");
	}
	return e == ERR_OK ? buf_check(out) : e;
}
