/*
 * query - what people and programs ask of the journal, answered as msgpack that
 * becomes JSON as it is: the console's API, `vayla order show` and ASK on the
 * bus give the same answers.
 *
 * Reads only: an index_view, a log_reader and a sealer of the asking thread.
 * What is newer than the index's last write (at most a second) is not seen.
 *
 * Masked is the default: personal values stay sealed and read as "(sealed)".
 */
#ifndef VAYLA_CORE_QUERY_H
#define VAYLA_CORE_QUERY_H

#include "broker/core/index.h"
#include "broker/core/seal.h"

struct query {
	struct index_view *view;
	struct log_reader *reader;
	struct sealer *sealer;
};

#define QUERY_MAX (16 * 1024 * 1024) /* bytes of an answer */
#define QUERY_RECORDS 5000	     /* of one timeline */

/* [subject, ...] that a word may mean; empty when none. In place of a subject
 * that another's ref names (a parcel of an order) stands that other. */
enum err query_find(
    struct query *q, struct slice word, struct buf *out) MUST_CHECK;

/*
 * {subject, refs: [text], records: [record ...], open: [item ...],
 *  money: {currency, ordered, credited, captured, refunded, open, reason}}
 * Of the subject, and of those that its refs name (an order's parcels).
 * money stands there when the subject has an order or a payment: ordered =
 * lines + shipping + fees - discounts with VAT (the order's own total), open =
 * ordered - credited - captured + refunded, reason says why it is not zero.
 * ERR_NOTFOUND for a subject without records.
 */
enum err query_timeline(struct query *q, struct slice subject, bool unmask,
    struct buf *out) MUST_CHECK;

/* One record: {seq, at, kind: "event", id, source, type, subject, time, data,
 * revision, cause, root, map, target, ...} or {kind: "settle", sub, of,
 * verdict, attempt, text, path, where, effect ...} or {kind: "action"|"timer",
 * ...}. */
enum err query_record(
    struct query *q, uint64_t seq, bool unmask, struct buf *out) MUST_CHECK;

/* Open items of a sub (empty: all) after a sequence: [{sub, subject, seq,
 * state, attempt, due, text, path, where, table, key} ...], at most max. */
enum err query_open(struct query *q, struct slice sub, uint64_t after,
    size_t max, struct buf *out) MUST_CHECK;

/* Did a person put this item off until a time that is to come? */
bool query_snoozed(struct query *q, struct slice sub, struct slice subject,
    uint64_t seq, int64_t now);

/* The last n events, newest first, without data. */
enum err query_recent(struct query *q, size_t n, struct buf *out) MUST_CHECK;

#endif
