/*
 * pick - the `pick:` section of a pack (mappings/PACKS.md), compiled: which
 * files are taken from which folder, how they are read, and what event a row
 * becomes.
 *
 * What depends on a system's settings (folder, encoding, separator, marks) is a
 * struct pick_way, made by pick_resolve() before anything is touched.
 */
#ifndef VAYLA_FILE_PICK_H
#define VAYLA_FILE_PICK_H

#include "connectors/file/csv.h"
#include "connectors/sdk/door.h"

#define PICKS_MAX 8
#define PICK_NAMES 8 /* headings that may stand for one field */
#define PICK_BYTES (64 * 1024 * 1024)
#define PICK_ROWS 1000000

struct pick_column {
	struct slice field;
	bool optional;
	size_t names_n;
	const struct formula *names[PICK_NAMES];
};

struct pick {
	struct slice name; /* "stock" */
	const struct yaml *at;
	const struct formula *folder;
	const char *match; /* shell pattern */
	/* csv: an event a row; else a document, whole or one for each message
	 */
	enum { PICK_CSV, PICK_JSON, PICK_XML, PICK_EDIFACT } form;
	enum { PICK_RENAME, PICK_STABLE, PICK_MARKER } complete;
	const struct formula *stable; /* "5s"; NULL: the default */
	const char *marker;	      /* ".ready" */
	int64_t every_ms;
	const struct formula *encoding, *separator, *decimal, *thousands,
	    *quote; /* each or NULL */
	int64_t bytes, rows, line, columns;
	size_t columns_n;
	struct pick_column *column;
	const struct schema_field *fields; /* of the event, or NULL */
	struct door_row event;
};

struct picks {
	size_t n;
	struct pick v[PICKS_MAX];
};

/* A pick as one system's settings make it. */
struct pick_way {
	struct slice folder;
	struct csv_options csv;
	uint8_t decimal, thousands;
	int64_t stable_ns;
	struct slice names[CSV_COLUMNS][PICK_NAMES]; /* empty: none */
};

bool pick_wanted(const struct pack *p);

/* ERR_SYNTAX when `f` got a fault. */
enum err pick_load(const struct pack *p, struct arena *a, struct faults *f,
    struct picks *out) MUST_CHECK;

/* false with a fault at `at` of `file` (the system's line of vayla.yaml). */
bool pick_resolve(const struct pick *p, struct slice settings, struct arena *a,
    const char *file, const struct yaml *at, struct faults *f,
    struct pick_way *out);

#endif
