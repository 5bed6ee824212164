/*
 * fields - a struct and a msgpack map as two forms of one table: what
 * event.c and frame.c share. Private to broker/wire.
 *
 * A field that is empty or 0 is absent: it is not written, and what a map does
 * not name stays as it was. A key that is in no row of the table is refused by
 * name. Rejected: a reader per struct, whose key list drifts from its writer's.
 */
#ifndef VAYLA_WIRE_FIELDS_H
#define VAYLA_WIRE_FIELDS_H

#include "broker/base/mp.h"

enum field_kind {
	FIELD_TEXT,   /* struct slice: STR of at most `max` bytes */
	FIELD_NOTE,   /* struct slice: STR, cut to `max` when written */
	FIELD_BIN,    /* struct slice: BIN, exactly `max` bytes if max > 0 */
	FIELD_EITHER, /* struct slice: STR of at most `max`, or BIN of 32 */
	FIELD_VALUE,  /* struct slice: any value's bytes */
	FIELD_MAP,    /* struct slice: a map's bytes */
	FIELD_TIME,   /* int64_t: a timestamp, ns */
	FIELD_U64,    /* uint64_t */
	FIELD_U32,    /* uint32_t */
	FIELD_MS,     /* int64_t, not negative */
	FIELD_BOOL,   /* bool: true is written, false left out */
	FIELD_IGNORE, /* STR that is read and not kept; never written */
	FIELD_OWN     /* the table's own(): arrays, names */
};

struct field {
	const char *name;
	uint8_t name_n;
	uint8_t kind;
	uint16_t max;
	uint16_t at; /* offset in the struct */
};
#define FIELD(s, member, key, k, limit)                                \
	{                                                              \
		.name = (key), .name_n = sizeof(key) - 1, .kind = (k), \
		.max = (limit),                                        \
		.at = (k) == FIELD_IGNORE ? 0 : offsetof(s, member)    \
	}

struct fields {
	const char *what; /* "event", for notes */
	const struct field *row;
	size_t n;
	/* FIELD_OWN: read the value that stands at `in` (and step over it). */
	enum err (*read)(const struct field *f, struct mp_in *in, void *s);
	bool (*there)(const struct field *f, const void *s);
	void (*write)(const struct field *f, struct buf *out, const void *s);
	/* FIELD_EITHER is written as BIN? */
	bool (*either_bin)(const void *s);
};

/* `s` must hold the struct's empty form. */
enum err fields_read(
    const struct fields *t, struct slice mp, void *s) MUST_CHECK;

/* The map of all rows that are there, but for the two kinds of bytes that
 * `head` leaves out: FIELD_VALUE and FIELD_BIN without a fixed size. */
void fields_write(
    const struct fields *t, struct buf *out, const void *s, bool head);

/* Do the struct's texts keep their bounds? What fields_write() would write and
 * fields_read() refuse. */
enum err fields_check(const struct fields *t, const void *s) MUST_CHECK;

#endif
