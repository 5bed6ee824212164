/*
 * sheet - a CSV file as events' data: its heading, and each row as a map of the
 * heading's names (or the fields that `columns` gives them), numbers with the
 * marks of the pack turned into numbers. Pure: bytes in, msgpack out.
 *
 * A document (JSON, XML, EDIFACT) is a sheet without a heading: its rows are
 * the items of a list at its top, the messages of an interchange, or itself.
 */
#ifndef VAYLA_FILE_SHEET_H
#define VAYLA_FILE_SHEET_H

#include "broker/wire/event.h"
#include "connectors/file/pick.h"

#define SHEET_FILE_ID 32 /* bytes of a file's id, which ends an event's id */

struct sheet {
	const struct pick *pick;
	const struct pick_way *way;
	struct csv csv;	   /* why, bad_line, bad_column: as there */
	struct slice head; /* the file up to the first row, as it stands */
	uint32_t head_line;
	size_t n; /* columns, up to the last one with a heading */
	struct sheet_column {
		struct slice name; /* empty: has no heading, not read */
		enum { SHEET_TEXT, SHEET_DECIMAL, SHEET_INTEGER } is;
	} * column;
	uint32_t row; /* of the last one, from 1 */
	struct slice text;
	struct mp_in docs; /* of a document: what is to come */
	uint32_t docs_n;
};

/* Reads the heading. CSV_ROW, or CSV_BROKEN with csv.why. The names live in
 * `a`. */
enum csv_got sheet_open(struct sheet *r, const struct pick *p,
    const struct pick_way *w, struct slice text, struct arena *a);

/* The next row appended to `mp` as a map without its empty cells; on CSV_BAD
 * nothing is. `at` is where it stands. */
enum csv_got sheet_next(
    struct sheet *r, struct arena *scratch, struct csv_row *at, struct buf *mp);

/* "line 7, column 3 (on_hand): why", for CSV_BAD and CSV_BROKEN. */
void sheet_why(const struct sheet *r, struct buf *out);

/* The ids of a file's rows, hashed: for doubles. */
struct sheet_ids {
	uint64_t *v;
	size_t cap;
};

/* For at most `rows` calls of sheet_event. ERR_NOMEM. */
enum err sheet_ids_init(struct sheet_ids *ids, size_t rows) MUST_CHECK;
void sheet_ids_fini(struct sheet_ids *ids);

/* Where a sheet comes from, as the formulas of its pick see it. */
struct sheet_file {
	const char *name;
	int64_t modified;      /* ns since 1970 */
	struct slice settings; /* a map */
};

/*
 * A row of sheet_next as its event, but for the source and for the file's id
 * behind ":" at the end of the id. Texts live in `scratch`, data is `row`. An
 * error says why this row is not taken: no id or subject, an id that `ids` has.
 */
enum err sheet_event(const struct sheet *r, const struct sheet_file *from,
    uint32_t line, struct slice row, struct sheet_ids *ids,
    struct arena *scratch, struct event *ev) MUST_CHECK;

#endif
