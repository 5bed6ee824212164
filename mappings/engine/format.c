/*
 * format - see format.h. A word without a line of help here is a fault of ours
 * that the test of this file finds.
 */
#include "broker/base/json.h"
#include "mappings/engine/format.h"
#include "mappings/engine/func.h"
#include "mappings/engine/words.h"

/* What may stand behind a word: a $ref, or JSON of its own. */
static const struct {
	const char *where, *word, *shape, *help;
} helps[] = {
    {"mapping", "map", "\"type\":\"string\"", "NAME/VERSION"},
    {"mapping", "from", "\"type\":[\"string\",\"array\"]",
	"the type it takes, or several"},
    {"mapping", "when", "EXPR", "a condition; when false, nothing is emitted"},
    {"mapping", "tables",
	"\"type\":\"object\",\"additionalProperties\":{\"$ref\":"
	"\"#/$defs/table\"}",
	"rows for lookup(table, key)"},
    {"mapping", "join",
	"\"type\":\"object\",\"additionalProperties\":{\"$ref\":"
	"\"#/$defs/join\"}",
	"what the journal already knows"},
    {"mapping", "let", "LET", "names for what is used more than once"},
    {"mapping", "emit",
	"\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/emit\"}",
	"what comes out"},
    {"mapping", "tests", "\"type\":\"array\"", "tests of this mapping"},
    {"emit", "type", "\"type\":\"string\"", "the type of what is emitted"},
    {"emit", "each", "EACH", "NAME[, COUNT] in LIST: one event for each"},
    {"emit", "let", "LET", "names for this event"},
    {"emit", "when", "EXPR", "a condition; when false, it is not emitted"},
    {"emit", "id", "EXPR", "what this fact is, once, for its subject"},
    {"emit", "again", "\"type\":\"string\"",
	"keep | error | revise by EXPRESSION: another input states it"},
    {"emit", "subject",
	"\"anyOf\":[{\"type\":\"string\"},{\"$ref\":"
	"\"#/$defs/subject\"}]",
	"the business object: order:1042"},
    {"emit", "refs", "\"type\":\"array\"", "other names of the same subject"},
    {"emit", "data", "\"type\":\"object\"", "the fields; name?: is optional"},
    {"emit", "check", "\"type\":\"array\"",
	"conditions that must hold, over $out too"},
    {"subject", "ref", "EXPR", "a name by which the subject is known"},
    {"subject", "absent", "\"type\":\"string\"",
	"ask | wait 15m | skip: nothing has that name"},
    {"join", "last", "\"type\":\"string\"", "the last event of this type"},
    {"join", "all", "\"type\":\"string\"", "all of this type, at most 200"},
    {"join", "subject", "EXPR", "of this subject; left out: the input's"},
    {"join", "ref", "EXPR", "of the subject with this name"},
    {"join", "absent", "\"type\":\"string\"",
	"none | wait 15m | ask | error | skip"},
    {"join", "only", "\"type\":\"string\",\"enum\":[\"earlier\"]",
	"earlier: what came before the input, of any type"},
    {"table", "unmatched", "\"type\":[\"string\",\"object\"]",
	"ask | report | error | keep | {row: ..}"},
    {"table", "by", "BY", "contains: the first row whose key is in the text"},
    {"table", "columns", "\"type\":\"object\"", "names and types of the cells"},
    {"table", "rows", "\"type\":\"object\"", "KEY: word, or a list of cells"},
    {"table", "default", "", "what report goes on with"},
    {"node", "each", "EACH", "NAME[, COUNT] in LIST"},
    {"node", "let", "LET", "names for this node"},
    {"node", "when", "EXPR", "a condition; when false, it is left out"},
    {"node", "item", "", "what each round gives; a list is spliced in"},
    {"node", "entry", "\"type\":\"array\"", "[key, value] of a map"},
};

static void
text(struct buf *out, const char *s)
{
	json_quote(out, slice_str(s));
}

static void
shape(struct buf *out, const char *s)
{
	if (strcmp(s, "EXPR") == 0)
		buf_str(out, "\"$ref\":\"#/$defs/expression\"");
	else if (strcmp(s, "LET") == 0)
		buf_str(out, "\"type\":\"object\"");
	else if (strcmp(s, "EACH") == 0)
		buf_str(out, "\"type\":[\"string\",\"array\"]");
	else if (strcmp(s, "BY") == 0) {
		buf_str(out, "\"enum\":[");
		for (int i = 0; words_by[i] != NULL; i++) {
			buf_str(out, i > 0 ? "," : "");
			text(out, words_by[i]);
		}
		buf_byte(out, ']');
	} else {
		buf_str(out, s);
	}
}

/* The properties of one kind of map; ERR_STATE when a word has no help. */
static enum err
properties(struct buf *out, const char *where, const char *const *words)
{
	size_t i, n = sizeof(helps) / sizeof(*helps);

	buf_str(out, "\"type\":\"object\",\"properties\":{");
	for (int w = 0; words[w] != NULL; w++) {
		for (i = 0; i < n; i++)
			if (strcmp(helps[i].where, where) == 0 &&
			    strcmp(helps[i].word, words[w]) == 0)
				break;
		if (i == n)
			return err_note(ERR_STATE,
			    "the word %s of %s has no help", words[w], where);
		buf_str(out, w > 0 ? "," : "");
		text(out, words[w]);
		buf_str(out, ":{");
		shape(out, helps[i].shape);
		buf_str(out, helps[i].shape[0] != '\0' ? "," : "");
		buf_str(out, "\"description\":");
		text(out, helps[i].help);
		buf_byte(out, '}');
	}
	buf_byte(out, '}');
	return ERR_OK;
}

enum err
format_write(struct buf *out)
{
	static const struct {
		const char *where;
		const char *const *words;
		const char *more;
	} maps[] = {
	    {"emit", words_emit,
		",\"required\":[\"type\",\"id\",\"data\"],"
		"\"additionalProperties\":false"},
	    {"subject", words_subject,
		",\"required\":[\"ref\"],\"additionalProperties\":false"},
	    {"join", words_join, ",\"additionalProperties\":false"},
	    {"table", words_table,
		",\"required\":[\"unmatched\"],"
		"\"additionalProperties\":false"},
	    {"node", words_node, ""},
	};
	const struct func *f;
	size_t n = func_table(&f);
	enum err e;

	buf_str(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/"
		     "schema\",\"title\":\"a mapping\",");
	e = properties(out, "mapping", words_mapping);
	if (e != ERR_OK)
		return e;
	buf_str(out, ",\"required\":[\"map\",\"from\",\"emit\"],"
		     "\"additionalProperties\":false,\"$defs\":{");
	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		text(out, maps[i].where);
		buf_str(out, ":{");
		e = properties(out, maps[i].where, maps[i].words);
		if (e != ERR_OK)
			return e;
		buf_str(out, maps[i].more);
		buf_str(out, "},");
	}
	buf_str(out, "\"expression\":{\"type\":[\"string\",\"number\","
		     "\"boolean\",\"null\"],\"description\":");
	{
		struct buf help;

		buf_init(&help, 1 << 16);
		buf_str(&help, "Plain: an expression; quoted: text with "
			       "{expression} holes. Functions:");
		for (size_t i = 0; i < n; i++)
			if (f[i].roots == 0)
				buf_printf(
				    &help, "\n%s - %s", f[i].sig, f[i].help);
		json_quote(out, buf_all(&help));
		buf_fini(&help);
	}
	buf_str(out, "}}}");
	return buf_check(out);
}
