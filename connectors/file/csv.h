/*
 * csv - rows of a CSV file that is whole in memory: RFC 4180, and what is in
 * use beside it (other separators, single-byte encodings, any line end).
 *
 * A row that cannot be read is passed over to the next line and named; the rest
 * goes on. Only a quoted cell that does not end breaks the file: where the next
 * row would begin nobody knows.
 *
 * Every cell comes out as UTF-8 without control characters but tab and line
 * feed, without blanks around it. Rejected: guessing separator or encoding: a
 * guess that is right for a year is wrong on the day a price has a comma.
 */
#ifndef VAYLA_FILE_CSV_H
#define VAYLA_FILE_CSV_H

#include "broker/base/arena.h"
#include "broker/base/buf.h"

#define CSV_COLUMNS 256
#define CSV_LINE 65536 /* bytes of a row, unless the pack says less */
#define CSV_WHY 256

enum csv_encoding { CSV_UTF8, CSV_LATIN1, CSV_1252 };

struct csv_options {
	enum csv_encoding encoding;
	uint8_t separator;
	uint8_t quote; /* 0: none */
	size_t columns, line;
};

struct csv_row {
	struct slice raw; /* as it stands in the file, its line end too */
	uint32_t line;	  /* from 1 */
	size_t n;
	struct slice *cells;
};

enum csv_got { CSV_ROW, CSV_END, CSV_BAD, CSV_BROKEN };

struct csv {
	struct csv_options o;
	struct slice text;
	size_t at;
	uint32_t line;
	struct slice cells[CSV_COLUMNS];
	/* of CSV_BAD and CSV_BROKEN */
	uint32_t bad_line, bad_column; /* column: the cell's number, 0: none */
	struct slice bad_raw;
	char why[CSV_WHY];
};

/* `text` is borrowed. A byte order mark of UTF-8 says what the encoding is; one
 * of UTF-16 is found by csv_next, as what breaks the file. */
void csv_init(struct csv *c, const struct csv_options *o, struct slice text);

/* The next row that is not blank; cells that had to be written anew live in
 * `a`. After CSV_BROKEN and CSV_END there is nothing more. */
enum csv_got csv_next(struct csv *c, struct arena *a, struct csv_row *out);

/*
 * A number as people write it: a sign, digits in groups of three where
 * `thousands` is not 0 (' ' is any blank), the decimal mark. Appended to `out`
 * as JSON writes it, all decimals kept. false when it is none.
 */
bool csv_number(
    struct slice text, uint8_t decimal, uint8_t thousands, struct buf *out);

#endif
