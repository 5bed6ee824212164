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

#include "connectors/file/pick.h"

struct sheet {
	const struct pick *pick;
	const struct pick_way *way;
	struct csv csv;	   /* why, bad_line, bad_column: as there */
	struct slice head; /* the file up to the first row, as it stands */
	size_t n;	   /* columns */
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

#endif
