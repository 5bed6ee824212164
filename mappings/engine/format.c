/*
 * format - see format.h. A word without a line of help here is a fault of ours
 * that the test of this file finds.
 */
#include "broker/base/config.h"
#include "broker/base/json.h"
#include "mappings/engine/format.h"
#include "mappings/engine/func.h"
#include "mappings/engine/words.h"

#define REF(name) "\"$ref\":\"#/$defs/" name "\""
#define MAP_OF(what) "\"type\":\"object\",\"additionalProperties\":{" what "}"
#define LIST_OF(what) "\"type\":\"array\",\"items\":{" what "}"
#define EXPRESSION REF("expression")
#define TEXT "\"type\":\"string\""
#define WORD "\"type\":[\"string\",\"number\",\"boolean\"]"
#define FLAG "\"type\":\"boolean\""
#define MAP "\"type\":\"object\""
#define LIST "\"type\":\"array\""
#define EACH "\"anyOf\":[{" TEXT "},{" LIST_OF(TEXT) "}]"
#define LIKE(pattern) TEXT ",\"pattern\":\"" pattern "\""
#define VERSIONED(name) LIKE("^" name "/[1-9][0-9]*$")
#define WAIT "wait [0-9]+ ?(s|m|h|d)"
#define UNMATCHED                                                   \
	"\"anyOf\":[{" REF(                                         \
	    "words_unmatched") "},{\"type\":"                       \
			       "\"object\",\"required\":[\"row\"]," \
			       "\"additionalProperties\":false,"    \
			       "\"properties\":{\"row\":{}}}]"
#define FIELD "\"anyOf\":[{" REF("words_type") "},{" REF("field") "}]"
#define FIELDS MAP_OF(FIELD)
#define SETTING \
	"\"anyOf\":[{" REF("words_setting_type") "},{" REF("setting") "}]"

/* Lists of words that values are made of: $defs/words_NAME. */
static const struct {
	const char *name;
	const char *const *words;
} lists[] = {
    {"unmatched", words_unmatched},
    {"column", words_column},
    {"by", words_by},
    {"type", words_type},
    {"blank", words_blank},
    {"scope", words_scope},
    {"seal", words_seal},
    {"setting_type", words_setting_type},
    {"revised", words_revised},
    {"spent", words_spent},
};

/* Maps, each with the words it may hold: $defs/NAME. */
static const struct {
	const char *name;
	const char *const *words;
	const char *more;
} maps[] = {
    {"mapping", words_mapping,
	"\"required\":[\"map\",\"from\",\"emit\"],"
	"\"additionalProperties\":false"},
    {"emit", words_emit,
	"\"required\":[\"type\",\"id\",\"data\"],"
	"\"additionalProperties\":false"},
    {"subject", words_subject,
	"\"required\":[\"ref\"],\"additionalProperties\":false"},
    {"join", words_join,
	"\"oneOf\":[{\"required\":[\"last\"]},{\"required\":[\"all\"]}],"
	"\"additionalProperties\":false"},
    {"table", words_table,
	"\"required\":[\"unmatched\"],\"additionalProperties\":false"},
    /* what stands in data: any field beside these */
    {"node", words_node, NULL},
    {"test", words_test, "\"additionalProperties\":false"},
    /* the input itself may stand there in place of these */
    {"given", words_given, NULL},
    {"envelope", words_envelope, "\"additionalProperties\":false"},
    {"event", words_event, "\"additionalProperties\":false"},
    {"schema", words_schema,
	"\"required\":[\"schema\",\"fields\"],"
	"\"additionalProperties\":false"},
    {"field", words_field,
	"\"oneOf\":[{\"required\":[\"type\"]},{\"required\":[\"fields\"]},"
	"{\"required\":[\"items\"]},{\"required\":[\"list\"]}],"
	"\"additionalProperties\":false"},
    {"subject_of", words_subject_of,
	"\"required\":[\"kind\",\"scope\"],\"additionalProperties\":false"},
    {"pack", words_pack,
	"\"required\":[\"pack\"],\"additionalProperties\":false"},
    {"setting", words_setting,
	"\"required\":[\"type\"],\"additionalProperties\":false"},
    {"send", words_send,
	"\"required\":[\"revised\"],\"additionalProperties\":false"},
    {"config", config_words_file, "\"additionalProperties\":false"},
    {"broker", config_words_broker, "\"additionalProperties\":false"},
    {"retry", config_words_retry, "\"additionalProperties\":false"},
    {"retention", config_words_retention, "\"additionalProperties\":false"},
    {"standby", config_words_standby, "\"additionalProperties\":false"},
    {"receiver", config_words_receiver, "\"additionalProperties\":false"},
    /* the pack's settings stand beside these */
    {"system", words_system, "\"required\":[\"use\"]"},
};

/* What may stand behind each word. */
static const struct {
	const char *where, *word, *shape, *help;
} helps[] = {
    {"mapping", "map", VERSIONED("[^/]+"), "NAME/VERSION"},
    {"mapping", "from", EACH, "the type it takes, or several"},
    {"mapping", "when", EXPRESSION,
	"a condition; when false, nothing is emitted"},
    {"mapping", "tables", MAP_OF(REF("table")), "rows for lookup(table, key)"},
    {"mapping", "join", MAP_OF(REF("join")), "what the journal already knows"},
    {"mapping", "let", MAP_OF(EXPRESSION),
	"names for what is used more than once"},
    {"mapping", "emit", LIST_OF(REF("emit")), "what comes out"},
    {"mapping", "tests", LIST_OF(REF("test")), "tests of this mapping"},
    {"emit", "type", TEXT, "the type of what is emitted"},
    {"emit", "each", EACH, "NAME[, COUNT] in LIST: one event for each"},
    {"emit", "let", MAP_OF(EXPRESSION), "names for this event"},
    {"emit", "when", EXPRESSION, "a condition; when false, it is not emitted"},
    {"emit", "id", EXPRESSION, "what this fact is, once, for its subject"},
    {"emit", "again", LIKE("^(keep|error|revise by .+)$"),
	"keep | error | revise by EXPRESSION: another input states it"},
    {"emit", "subject", "\"anyOf\":[{" EXPRESSION "},{" REF("subject") "}]",
	"the business object: order:1042"},
    {"emit", "refs", LIST_OF(EXPRESSION), "other names of the same subject"},
    {"emit", "data", MAP, "the fields; name?: is optional"},
    {"emit", "check", LIST_OF(EXPRESSION),
	"conditions that must hold, over $out too"},
    {"subject", "ref", EXPRESSION, "a name by which the subject is known"},
    {"subject", "absent", LIKE("^(ask|skip|" WAIT ")$"),
	"ask | wait 15m | skip: nothing has that name"},
    {"join", "last", TEXT, "the last event of this type"},
    {"join", "all", TEXT, "all of this type, at most 200"},
    {"join", "subject", EXPRESSION, "of this subject; left out: the input's"},
    {"join", "ref", EXPRESSION, "of the subject with this name"},
    {"join", "absent", LIKE("^(none|ask|error|skip|" WAIT ")$"),
	"none | wait 15m | ask | error | skip"},
    {"join", "only", "\"const\":\"earlier\"",
	"earlier: what came before the input, of any type"},
    {"join", "follow", "\"enum\":[\"all\",\"new\",\"never\"]",
	"all: also what comes later; new: not its changes; never: as it was"},
    {"table", "unmatched", UNMATCHED,
	"ask | report | error | keep | {row: ..}"},
    {"table", "by", REF("words_by"),
	"contains: the first row whose key is in the text"},
    {"table", "columns", MAP_OF(REF("words_column")),
	"names and types of the cells"},
    {"table", "rows", MAP, "KEY: word, or a list of cells"},
    {"table", "default", "", "what report goes on with"},
    {"node", "each", EACH, "NAME[, COUNT] in LIST"},
    {"node", "let", MAP_OF(EXPRESSION), "names for this node"},
    {"node", "when", EXPRESSION, "a condition; when false, it is left out"},
    {"node", "item", "", "what each round gives; a list is spliced in"},
    {"node", "entry", LIST, "[key, value] of a map"},
    {"test", "name", WORD, "what it is about, in a sentence"},
    {"test", "given", REF("given"), "the input, or where it is"},
    {"test", "scenario", LIST_OF(REF("given")), "several inputs, in turn"},
    {"test", "settings", MAP, "over the pack's defaults"},
    {"test", "with", MAP, "what the joins of these names read"},
    {"test", "subjects", MAP, "which subject a ref belongs to"},
    {"test", "event", REF("envelope"), "the input's envelope"},
    {"test", "exact", FLAG, "true: all fields are compared, not those named"},
    {"test", "expect", "\"type\":[\"object\",\"array\"]",
	"the data that comes out: what is named must match"},
    {"test", "events", LIST_OF(REF("event")), "exactly these come out"},
    {"test", "error", WORD, "it is refused, and the message names this"},
    {"test", "asks", "", "this table has no row"},
    {"test", "waits", "", "this join waits"},
    {"test", "skips", FLAG, "true: nothing comes out, and nothing is wrong"},
    {"given", "file", "", "a sample, by its path in the pack's folder"},
    {"given", "fixture", "", "a sample that stands outside of the packs"},
    {"given", "data", "", "the input, written here"},
    {"given", "at", "", "that part of the file: orders[1]"},
    {"given", "set", "", "fields to change, add or (absent) remove"},
    {"given", "with", "", "what the joins of these names read"},
    {"given", "settings", "", "over the pack's defaults"},
    {"given", "subjects", "", "which subject a ref belongs to"},
    {"given", "event", "", "the input's envelope"},
    {"envelope", "id", WORD, "the event's id"},
    {"envelope", "subject", TEXT, "order:7"},
    {"envelope", "time", TEXT, "2026-03-01T10:00:00Z"},
    {"envelope", "type", TEXT, "of those in from:"},
    {"envelope", "source", TEXT, "the system it came from"},
    {"envelope", "refs", LIST, "other names of its subject"},
    {"event", "type", TEXT, "order.placed"},
    {"event", "id", WORD, "as id: gives it"},
    {"event", "subject", WORD, "as subject: gives it; null: none"},
    {"event", "refs", LIST, "all of them"},
    {"event", "revision", WORD, "1 is the first"},
    {"event", "person", WORD, "whose data it is"},
    {"event", "data", "", "what is named must match"},
    {"event", "withdrawn", FLAG, "true: it takes the fact back"},
    {"schema", "schema", VERSIONED("[^/]+\\\\.[^/]+"), "TYPE/VERSION"},
    {"schema", "title", TEXT, "what it is, in a line"},
    {"schema", "subject", REF("subject_of"), "of a canonical type"},
    {"schema", "person", TEXT, "the path of the e-mail whose data this is"},
    {"schema", "blank", REF("words_blank"), "absent: \"\" counts as missing"},
    {"schema", "zone", TEXT, "the zone of times that name none"},
    {"schema", "open", FLAG, "true: unknown fields are allowed"},
    {"schema", "seal", REF("words_seal"),
	"whole, or only the fields marked personal"},
    {"schema", "fields", FIELDS, "NAME: TYPE, or NAME?: where it is optional"},
    {"field", "type", REF("words_type"), "what it holds"},
    {"field", "fields", FIELDS, "a map of these"},
    {"field", "items", FIELDS, "a list of maps of these"},
    {"field", "list", FIELD, "a list of this"},
    {"field", "personal", FLAG, "true: it says who somebody is"},
    {"field", "optional", FLAG, "true: as a ? behind its name"},
    {"field", "enum", LIST, "the words it can be"},
    {"field", "title", TEXT, "what it is, in a line"},
    {"field", "zone", TEXT, "the zone of times that name none"},
    {"field", "blank", REF("words_blank"), "absent: \"\" counts as missing"},
    {"field", "many", FLAG, "true: in XML it may be repeated"},
    {"field", "json", FLAG, "true: a text that holds JSON"},
    {"subject_of", "kind", TEXT, "order, in order:1042"},
    {"subject_of", "scope", REF("words_scope"),
	"system: two shops may both have 1042; house: one for all"},
    {"pack", "pack", VERSIONED("[^/]+"), "FOLDER/VERSION"},
    {"pack", "title", TEXT, "the product, for people"},
    {"pack", "settings", MAP_OF(SETTING), "what a system of it can be told"},
    {"pack", "auth", MAP, "how we say who we are"},
    {"pack", "limits", MAP, "how fast it may be asked"},
    {"pack", "receive", LIST, "what it sends us"},
    {"pack", "poll", LIST, "what we ask it for"},
    {"pack", "pick", LIST, "files it lays down for us"},
    {"pack", "send", MAP_OF(REF("send")), "TYPE: how a request is carried out"},
    {"setting", "type", REF("words_setting_type"), "what it holds"},
    {"setting", "required", FLAG, "true: no system without it"},
    {"setting", "secret", FLAG, "true: shown to nobody"},
    {"setting", "default", "", "what it is unless said"},
    {"setting", "title", TEXT, "what it is for, in a line"},
    {"send", "write", TEXT, "a form of file"},
    {"send", "get", EXPRESSION, "where to ask"},
    {"send", "post", EXPRESSION, "where to post"},
    {"send", "put", EXPRESSION, "where to put"},
    {"send", "patch", EXPRESSION, "what to patch"},
    {"send", "delete", EXPRESSION, "what to delete"},
    {"send", "headers", MAP, "headers of the request"},
    {"send", "body", "", "its body as JSON"},
    {"send", "form", MAP, "its body as a form"},
    {"send", "expect", "", "what answers with"},
    {"send", "idempotency", "", "how it is told from its repetition"},
    {"send", "find", "", "how to look whether it is there already"},
    {"send", "outcome", "", "what an answer means"},
    {"send", "remote", "", "its name over there"},
    {"send", "answer", "", "what becomes of the answer"},
    {"send", "repeat", "", "asked again until it is done"},
    {"send", "withdrawn", "", "what takes it back"},
    {"send", "revised", REF("words_revised"),
	"what a later revision does there"},
    {"send", "spent", REF("words_spent"), "when its attempts are used up"},
    {"config", "broker", REF("broker"), "the broker"},
    {"config", "receiver", REF("receiver"), "where webhooks come in"},
    {"config", "systems", MAP_OF(REF("system")), "NAME: {use: PACK, ...}"},
    {"config", "promises", "", "what must happen, and by when"},
    {"broker", "data", TEXT, "the folder of the journal"},
    {"broker", "bus", "", "where connectors come: an address, or several"},
    {"broker", "access", TEXT, "the folder of the bus's keys"},
    {"broker", "console", TEXT, "where the console is: http://HOST:PORT"},
    {"broker", "packs", TEXT, "the folder of the packs"},
    {"broker", "retry", REF("retry"), "how deliveries are tried again"},
    {"broker", "retention", REF("retention"), "what the journal lets go of"},
    {"retry", "first_ms", WORD, "the first pause"},
    {"retry", "most_ms", WORD, "the longest pause"},
    {"retry", "attempts", WORD, "how often"},
    {"retention", "age", TEXT, "400d: older than that"},
    {"retention", "size", TEXT, "20GiB: beyond that"},
    {"broker", "standby", REF("standby"), "who keeps a copy, as it is made"},
    {"broker", "follow", TEXT, "whose copy is kept here: its standby.listen"},
    {"standby", "listen", TEXT, "the address where the standby asks"},
    {"standby", "away", "\"enum\":[\"wait\",\"alone\"]",
	"when it is not there: confirm nothing, or go on and say so"},
    {"standby", "patience", TEXT, "5s: how long until it counts as away"},
    {"receiver", "listen", TEXT, "where it listens: http://HOST:PORT"},
    {"receiver", "public", TEXT, "how others reach it: https://HOST"},
    {"system", "use", TEXT, "the pack it is of"},
    {"system", "of", TEXT, "whose subjects it speaks of"},
    {"system", "mode", "\"enum\":[\"observe\",\"live\"]",
	"observe: nothing is sent to it"},
    {"system", "since", TEXT, "2026-03-31: nothing older is sent"},
    {"system", "tables", MAP, "rows that lie over those of its mappings"},
    {"system", "local", "", "for its connector alone"},
};

static void
text(struct buf *out, const char *s)
{
	json_quote(out, slice_str(s));
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
		buf_str(out, helps[i].shape);
		buf_str(out, helps[i].shape[0] != '\0' ? "," : "");
		buf_str(out, "\"description\":");
		text(out, helps[i].help);
		buf_byte(out, '}');
	}
	buf_byte(out, '}');
	return ERR_OK;
}

static void
expression(struct buf *out)
{
	const struct func *f;
	size_t n = func_table(&f);
	struct buf help;

	buf_init(&help, 1 << 16);
	buf_str(&help, "Plain: an expression; quoted: text with "
		       "{expression} holes. Functions:");
	for (size_t i = 0; i < n; i++)
		if (f[i].roots == 0)
			buf_printf(&help, "\n%s - %s", f[i].sig, f[i].help);
	buf_str(out, "\"expression\":{\"type\":[\"string\",\"number\","
		     "\"boolean\",\"null\"],\"description\":");
	json_quote(out, buf_all(&help));
	buf_byte(out, '}');
	buf_fini(&help);
}

const char *const format_names[] = {
    "mapping", "schema", "pack", "config", NULL};

enum err
format_write(const char *name, struct buf *out)
{
	buf_str(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/"
		     "schema\",\"$ref\":\"#/$defs/");
	buf_str(out, name);
	buf_str(out, "\",\"$defs\":{");
	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		enum err e;

		text(out, maps[i].name);
		buf_str(out, ":{");
		e = properties(out, maps[i].name, maps[i].words);
		if (e != ERR_OK)
			return e;
		buf_str(out, maps[i].more != NULL ? "," : "");
		buf_str(out, maps[i].more != NULL ? maps[i].more : "");
		buf_str(out, "},");
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		buf_printf(out, "\"words_%s\":{\"enum\":[", lists[i].name);
		for (int w = 0; lists[i].words[w] != NULL; w++) {
			buf_str(out, w > 0 ? "," : "");
			text(out, lists[i].words[w]);
		}
		buf_str(out, "]},");
	}
	expression(out);
	buf_str(out, "}}");
	return buf_check(out);
}
