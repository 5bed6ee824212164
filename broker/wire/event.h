/*
 * event - the envelope of PROTOCOL.md, "Events": a msgpack map with CloudEvents
 * 1.0 names, read into slices and written from them.
 *
 * A struct event borrows all its bytes from the buffer it was read from. Absent
 * text is an empty slice, absent numbers 0. Unknown keys are refused
 * (ERR_SYNTAX names them), so that a typo is found and not lost.
 */
#ifndef VAYLA_WIRE_EVENT_H
#define VAYLA_WIRE_EVENT_H

#include "broker/base/mp.h"

#define EVENT_MAX (1024 * 1024) /* bytes of one event */
#define EVENT_REFS 32
#define EVENT_READS 512
#define EVENT_TEXT 256 /* bytes of id, source, type, subject, a ref */

struct event {
	/* what a publisher sets */
	struct slice id;      /* unique with source; text */
	struct slice source;  /* the system's name */
	struct slice type;    /* "shop.order", "order.placed" */
	struct slice subject; /* as written: "order:1042"; stored: scoped */
	struct slice data;    /* one msgpack value; empty = none */
	struct slice person; /* published: the e-mail; stored: its HMAC (bin) */
	struct slice traceparent;
	int64_t time; /* when it happened, ns; 0 = unknown */
	size_t refs_n;
	struct slice refs[EVENT_REFS];
	uint64_t answer_to; /* seq of the request this answers, or 0 */

	/* what the broker adds */
	uint64_t sequence;
	int64_t recordedtime;
	uint32_t revision;	/* from 1 */
	struct slice revisedby; /* who corrected it: not its source */
	bool withdrawn, echo;
	uint64_t causationid;	/* seq of the event this was mapped from */
	uint64_t correlationid; /* seq of the native event at the root */
	struct slice map;	/* "books/ledger.payment-captured/1" */
	struct slice ruleset;	/* bin, first 8 bytes of the hash */
	struct slice digest;	/* bin 32 */
	struct slice sealed;	/* bin: slot u32 LE, nonce, ciphertext, tag */
	struct slice target;	/* request: the system it is for */
	struct slice again;	/* what a later revision must exceed: a value */
	size_t reads_n;
	uint64_t reads[EVENT_READS]; /* ascending */
};

/* Everything absent (all slices SLICE_EMPTY). The arrays' content is left as it
 * is: 12 KiB that nobody looks at. */
void event_init(struct event *e);

/* Read a map that passed mp_check. ERR_MISSING without id, source and type.
 * Keys are the names above but "answerto"; `specversion` must be "1.0" when it
 * is there; `datacontenttype` and `dataschema` are read and not kept. Whether
 * this peer may set what the broker adds is the caller's question. */
enum err event_read(struct slice mp, struct event *out) MUST_CHECK;

/* Would event_read() take it again? For what a mapping made: bounds of texts,
 * refs and reads; id, source and type are there. */
enum err event_check(const struct event *e) MUST_CHECK;

/* Write the map; absent fields are left out. `person` is written as bytes (the
 * HMAC) when `digest` is set, else as text (the e-mail). */
void event_write(struct buf *out, const struct event *e);

/* The envelope without data and sealed, for $event. */
void event_write_head(struct buf *out, const struct event *e);

#endif
