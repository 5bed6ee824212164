/* words - see words.h. */
#include <stddef.h>

#include "mappings/engine/words.h"

const char *const words_mapping[] = {
    "map", "from", "when", "tables", "join", "let", "emit", "tests", NULL};
const char *const words_emit[] = {"type", "each", "let", "when", "id", "again",
    "subject", "refs", "data", "check", NULL};
const char *const words_subject[] = {"ref", "absent", NULL};
const char *const words_join[] = {
    "last", "all", "subject", "ref", "absent", "only", "follow", NULL};
const char *const words_table[] = {
    "unmatched", "by", "columns", "rows", "default", NULL};
const char *const words_node[] = {"each", "let", "when", "item", "entry", NULL};
const char *const words_unmatched[] = {"ask", "report", "error", "keep", NULL};
const char *const words_column[] = {"text", "decimal", "integer", "bool", NULL};
const char *const words_by[] = {"key", "contains", NULL};
const char *const words_join_absent[] = {
    "none", "wait", "ask", "error", "skip", NULL};
const char *const words_subject_absent[] = {"ask", "wait", "skip", NULL};
const char *const words_test[] = {"name", "given", "scenario", "settings",
    "with", "subjects", "event", "exact", "expect", "events", "error", "asks",
    "waits", "skips", NULL};
const char *const words_given[] = {"file", "fixture", "data", "at", "set",
    "with", "settings", "subjects", "event", NULL};
const char *const words_envelope[] = {
    "id", "subject", "time", "type", "source", "refs", NULL};
const char *const words_event[] = {"type", "id", "subject", "refs", "revision",
    "person", "data", "withdrawn", NULL};
const char *const words_schema[] = {"schema", "title", "subject", "person",
    "blank", "zone", "open", "seal", "fields", NULL};
const char *const words_field[] = {"type", "fields", "items", "list",
    "personal", "optional", "enum", "title", "zone", "blank", "many", "json",
    NULL};
const char *const words_type[] = {
    "any", "text", "integer", "decimal", "bool", "time", "date", NULL};
const char *const words_blank[] = {"text", "absent", NULL};
const char *const words_seal[] = {"whole", "marked", NULL};
const char *const words_subject_of[] = {"kind", "scope", NULL};
const char *const words_scope[] = {"system", "house", NULL};
const char *const words_pack[] = {"pack", "title", "settings", "auth", "limits",
    "receive", "poll", "pick", "send", NULL};
const char *const words_setting[] = {
    "type", "required", "secret", "default", "title", NULL};
const char *const words_setting_type[] = {
    "text", "url", "path", "zone", "integer", "decimal", "bool", "date", NULL};
const char *const words_send[] = {"write", "get", "post", "put", "patch",
    "delete", "headers", "body", "form", "expect", "idempotency", "find",
    "outcome", "remote", "answer", "repeat", "withdrawn", "revised", "spent",
    NULL};
const char *const words_revised[] = {"send", "reverse", "ask", "never", NULL};
const char *const words_spent[] = {"park", "skip", NULL};
const char *const words_system[] = {
    "use", "of", "mode", "since", "tables", "local", NULL};
