/*
 * copy - a standby's journal: the segments of another broker, byte for byte, in
 * a DATA folder that no broker has open, and the few files beside them.
 *
 * Invariant: what copy_write() took is on disk when it returns, and everything
 * up to copy_place() is a beginning of the other's journal.
 */
#ifndef VAYLA_CORE_COPY_H
#define VAYLA_CORE_COPY_H

#include "broker/core/log.h"

struct copy;

/* Takes DATA's lock (ERR_EXISTS), cuts what is behind the last whole frame. An
 * empty folder is fine. */
enum err copy_open(struct copy **out, const char *data) MUST_CHECK;
void copy_close(struct copy *c); /* NULL is a no-op */

/* Where it ends, and how to tell (log_bytes()). first 0: nothing yet. */
enum err copy_place(struct copy *c, struct log_place *p, uint32_t *head,
    uint32_t *tail) MUST_CHECK;
/* The bytes at p: where it ends, or a segment's beginning (at 0), which may be
 * there already (it was trimmed). ERR_STATE: another place. */
enum err copy_write(
    struct copy *c, struct log_place p, struct slice bytes) MUST_CHECK;

/* ---- the files beside the journal: keys, rulesets, access, trimmed segments
 * ---- */

/* May this be named? Both ends ask. */
bool copy_name_ok(const char *name);
/* Of bytes [at, at + n) of DATA/name, from their SHA-256; 0 when there are not
 * so many. Rejected: a CRC, which is the same for all that end with their own,
 * as a segment's head does. */
uint64_t copy_sum(const char *data, const char *name, uint64_t at, uint64_t n);
/* Append the list of all of them: a msgpack array of [name, at, n, sum], keys
 * in pieces. Only what may be copied. `l`: which segments are trimmed. */
enum err copy_list(
    const char *data, const struct log *l, struct buf *out) MUST_CHECK;
/* Appends bytes [at, at + n). */
enum err copy_read(const char *data, const char *name, uint64_t at, uint64_t n,
    struct buf *out) MUST_CHECK;
/* A whole file anew, or (keys) bytes in place; synced. */
enum err copy_put(struct copy *c, const char *name, uint64_t at,
    struct slice bytes) MUST_CHECK;
/* Segments before this one are gone. */
enum err copy_drop(struct copy *c, uint64_t first) MUST_CHECK;

/* Changes when any of those files does. */
uint64_t copy_stamp(const char *data);

#endif
