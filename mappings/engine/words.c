/* words - see words.h. */
#include <stddef.h>

#include "mappings/engine/words.h"

const char *const words_mapping[] = {
    "map", "from", "when", "tables", "join", "let", "emit", "tests", NULL};
const char *const words_emit[] = {"type", "each", "let", "when", "id", "again",
    "subject", "refs", "data", "check", NULL};
const char *const words_subject[] = {"ref", "absent", NULL};
const char *const words_join[] = {
    "last", "all", "subject", "ref", "absent", "only", NULL};
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
