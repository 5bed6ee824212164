/*
 * log - the durable journal: append-only segments of framed turns. The only
 * truth; everything else is a fold over it.
 *
 * One log, one writer: the turn thread. Nothing is durable until log_append()
 * returns ERR_OK (one pwrite, one fdatasync), so a publisher is confirmed only
 * after the turn that took its event. Rejected: a row per event in SQLite; its
 * index pages in the commit halve the rate by the sixth million.
 *
 * The format is in broker/core/JOURNAL.md. Sequence numbers count records from
 * 1 without holes.
 */
#ifndef VAYLA_CORE_LOG_H
#define VAYLA_CORE_LOG_H

#include "broker/wire/frame.h"

struct log;

/* What an append that returned ERR_OK survives: the process, the power, the
 * machine (that is a standby's to give). */
enum survives { SURVIVES_CRASH, SURVIVES_POWER_LOSS, SURVIVES_MACHINE };
const char *survives_name(enum survives s);

/* A turn in the making: records are added, then all are appended at once. */
struct turn {
	struct buf bytes; /* encoded records */
	uint32_t count;
	bool vital; /* holds a settlement or an action: may use the reserve */
};
#define TURN_MAX (6 * 1024 * 1024)
void turn_init(struct turn *t);
void turn_fini(struct turn *t);
void turn_reset(struct turn *t);
void turn_add(struct turn *t, enum record_kind kind, struct slice body);

/*
 * Opens or makes the log in dir/log (dir is the data folder, which exists and
 * holds index.db, keys and rulesets beside it), takes the lock (ERR_EXISTS
 * names the process that has it), cuts a torn last frame, refuses a bad frame
 * elsewhere (ERR_CORRUPT names segment and offset) and a newer format
 * (ERR_VERSION). ERR_STATE: what stands there cannot survive what `need` says
 * (a file system in memory: the power).
 */
enum err log_open(
    struct log **out, const char *dir, enum survives need) MUST_CHECK;
void log_close(struct log *l); /* NULL is a no-op */
enum survives log_survives(const struct log *l);
/* For tools: the same, but nothing is changed and nothing can be appended. */
enum err log_open_read(struct log **out, const char *dir) MUST_CHECK;
/* The same beside a broker that may be running: without the lock, and its end
 * is where it ends now. */
enum err log_open_beside(struct log **out, const char *dir) MUST_CHECK;
const uint8_t *log_id(const struct log *l); /* 16 random bytes, for life */

/*
 * Append one turn and wait for the disk. Sets *seq0 to its first sequence.
 * `now` is the frame's recorded time. ERR_FULL: nothing was appended (the
 * reserve is for vital turns only). ERR_SYNC: the process must end; nothing may
 * be said to anyone about this turn.
 */
enum err log_append(struct log *l, const struct turn *t, int64_t now,
    uint64_t *seq0) MUST_CHECK;

/* Any thread. */
uint64_t log_first(const struct log *l); /* lowest kept sequence */
uint64_t log_next(const struct log *l);	 /* what the next record gets */

struct log_record {
	uint64_t seq;
	int64_t recorded; /* ns */
	enum record_kind kind;
	struct slice body; /* msgpack, in the caller's buffer */
};

/* One record by sequence. Any thread may read through a log_reader of its own
 * while the turn thread appends; a reader sees only synced turns. */
struct log_reader;
enum err log_reader_new(struct log_reader **out, struct log *l) MUST_CHECK;
void log_reader_free(struct log_reader *r);
/* The body lives until the reader's next call. ERR_NOTFOUND. */
enum err log_read(
    struct log_reader *r, uint64_t seq, struct log_record *out) MUST_CHECK;
/* Every record from seq on, in order, until `each` returns other than ERR_OK.
 */
typedef enum err log_each(void *arg, const struct log_record *rec);
enum err log_scan(
    struct log_reader *r, uint64_t from, log_each *each, void *arg) MUST_CHECK;

/* ---- letting go: the oldest segments lose most of their records ---- */

struct log_segment {
	uint64_t first, next; /* sequences [first, next) */
	uint64_t bytes;
	int64_t until; /* nothing in it was recorded later; 0: it is open */
	bool trimmed;
};
/* All of them, ascending; free() the list. Any thread. */
enum err log_segments(
    const struct log *l, struct log_segment **out, size_t *n) MUST_CHECK;
/* Is there a record seq? Reads only when its segment was trimmed. */
bool log_has(struct log_reader *r, uint64_t seq);

/*
 * Trimming a closed segment, in two steps: log_trim_make() writes what keep()
 * wants of it beside it, in any thread (one at a time); log_trim_done(), in the
 * writer's thread, puts that in its place, or removes the segment when nothing
 * is left of it and it is the first. What stays keeps its sequence; the rest is
 * ERR_NOTFOUND from then on. Not done: what was made is removed at the next
 * start.
 */
typedef bool log_keep(void *arg, const struct log_record *rec);
struct log_trim {
	uint64_t first;
	uint64_t kept, gone;   /* records */
	uint64_t bytes, saved; /* its size then; how much less that is */
	uint8_t head[64];
};
enum err log_trim_make(struct log *l, uint64_t first, log_keep *keep, void *arg,
    struct log_trim *out) MUST_CHECK;
enum err log_trim_done(struct log *l, const struct log_trim *t) MUST_CHECK;

/* ---- the bytes of segments as they stand, for who keeps a copy ---- */

struct log_place {	/* a byte of the journal */
	uint64_t first; /* its segment */
	uint64_t at;	/* and offset there */
};
/* Behind the last synced frame. Any thread. */
void log_end(const struct log *l, struct log_place *out);
/*
 * At most max bytes from *p on, appended; at the end of a closed segment, of
 * the one behind, and *p says so. None: *p is the end. first 0: from the
 * beginning. `restart`: the segment was trimmed since *p was reached in it; *p
 * is its beginning. ERR_STATE: what was copied is not the beginning of this
 * journal: `head` is the copy's log_head_sum(), `tail` the CRC of its last
 * LOG_TAIL bytes before `at` (fewer at the front). Any thread.
 */
#define LOG_TAIL 4096
uint32_t log_head_sum(const uint8_t head[64]);
enum err log_bytes(struct log *l, struct log_place *p, uint32_t head,
    uint32_t tail, size_t max, struct buf *out) MUST_CHECK;

/* Where the record stands that was read last: segment and offset of its frame.
 * For messages. */
void log_reader_at(
    const struct log_reader *r, uint64_t *segment, uint64_t *offset);

struct log_stat {
	uint64_t records, bytes, segments, syncs;
	int64_t last_sync_ns; /* how long the last fdatasync took */
};
void log_stat(const struct log *l, struct log_stat *out);

/* Checks every frame of a log (dir: the data folder) that nobody has open: CRC,
 * sequence, record shapes. Writes what is wrong to `report`, a line each;
 * ERR_CORRUPT if any. A torn last frame is reported and is no error: the next
 * start cuts it. */
enum err log_verify(
    const char *dir, struct buf *report, uint64_t *records) MUST_CHECK;

#endif
