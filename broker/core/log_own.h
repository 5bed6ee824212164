/*
 * log_own - what the files of the log share: the form of segments and frames
 * (JOURNAL.md, "Segments"), a window over a segment's bytes, and struct log.
 * For broker/core/log*.c, backup.c and their tests only.
 *
 * To change the format: a new number in SEG_VERSION, a branch where the head is
 * read, and a journal of the old form under tests/ that must still open.
 */
#ifndef VAYLA_CORE_LOG_OWN_H
#define VAYLA_CORE_LOG_OWN_H

#include <limits.h>
#include <pthread.h>
#include <sys/uio.h>

#include "broker/core/log.h"

#define SEG_MAGIC "VAYLALOG"
#define SEG_VERSION 2 /* 1: whole; 2: trimmed, its sequences have holes */
#define SEG_HEAD 64
#define SEG_BYTES (UINT64_C(64) * 1024 * 1024)
#define FRAME_HEAD 32
#define RECORD_HEAD 5 /* kind u8, length u32 */
#define SPARSE_STEP (64 * 1024)
#define LOG_NAME 32 /* room for "%020u.seg" */

static inline uint64_t
frame_size(uint64_t length)
{
	return (FRAME_HEAD + length + 7) & ~UINT64_C(7);
}

struct seg_head {
	uint64_t first; /* sequence of its first record */
	int64_t made;	/* ns */
	uint8_t id[16]; /* of this journal, the same in all segments */
	uint32_t seed;	/* CRC of the salt: where each frame's CRC starts */
	uint8_t salt[8];
	bool trimmed;  /* most of its records are gone: log_trim.c */
	uint32_t kept; /* trimmed: how many are there */
};
void seg_head_write(uint8_t out[SEG_HEAD], const struct seg_head *h);
enum err seg_head_read(const uint8_t in[SEG_HEAD], const char *path,
    struct seg_head *h) MUST_CHECK;

struct log_frame {
	uint64_t at; /* of its head in the segment */
	uint32_t length, count;
	uint64_t first;
	int64_t recorded;
	const uint8_t *records; /* in the window */
};
void frame_head_write(uint8_t out[FRAME_HEAD], uint32_t seed,
    struct slice records, uint32_t count, uint64_t first, int64_t recorded);

/* Bytes of a file around where one reads. `limit` is where they end. */
struct window {
	int fd;
	uint64_t limit;
	size_t ahead; /* read at least so many at once */
	uint64_t at;  /* of p[0] in the file */
	size_t n, cap;
	uint8_t *p;
};
void window_init(struct window *w, int fd, uint64_t limit, size_t ahead);
void window_fini(struct window *w); /* does not close fd */
void window_turn(struct window *w, int fd, uint64_t limit);
/* Bytes [at, at + n), which end before limit. */
enum err window_get(
    struct window *w, uint64_t at, size_t n, const uint8_t **out) MUST_CHECK;

enum frame_state {
	FRAME_OK,
	FRAME_END, /* zeros, or no room for a head */
	FRAME_BAD  /* something else */
};
/* The frame at `at`. whole: its CRC is checked and its records are in the
 * window; else only what its head says. Fails only for a read that fails. */
enum err frame_at(struct window *w, uint32_t seed, uint64_t at, bool whole,
    struct log_frame *out, enum frame_state *state) MUST_CHECK;

/* One record of a frame at *off (from the frame's records), stepping over it.
 * false when its bytes do not fit. */
bool record_at(const struct log_frame *f, size_t *off, enum record_kind *kind,
    struct slice *body);

/* The length of the body of the record whose head stands there. */
uint32_t record_length(const uint8_t head[RECORD_HEAD]);

/* ---- the log ---- */

struct sparse {
	uint64_t seq, at; /* of a frame's first record, or of one inside */
	uint64_t frame;	  /* the frame's place; `at` is the same for a first */
};

struct segment {
	uint64_t first;
	uint64_t next;	/* of the one behind; closed, and looked at, only */
	uint64_t end;	/* of the last frame; 0 while nobody looked */
	uint64_t size;	/* of the file */
	bool trusted;	/* this process wrote it or checked all its CRCs */
	uint32_t trims; /* since the start: readers look again */
	struct seg_head head;
	struct sparse *sparse; /* NULL while nobody looked */
	size_t sparse_n, sparse_cap;
};

/* What the log asks of the system, so that tests can stand in for a disk. */
struct log_os {
	ssize_t (*pwritev)(int fd, const struct iovec *v, int n, off_t at);
	int (*fdatasync)(int fd);
};

enum spare_state { SPARE_NONE, SPARE_WANTED, SPARE_READY, SPARE_FAILED };

struct log {
	char dir[PATH_MAX]; /* DATA/log */
	uint64_t seg_bytes;
	const struct log_os *os;
	int lock_fd;
	int fd; /* the open segment */
	bool dead;
	bool read_only;
	bool beside; /* and somebody else may append */
	enum survives survives;
	bool reserve;	  /* there is one */
	int64_t tried_ns; /* when making the reserve failed last */
	uint64_t dropped; /* of the open segment, from the page cache */

	/* Under mu: what readers look at. Only the writer changes it. */
	pthread_mutex_t mu;
	struct segment *segs; /* the last one is open */
	size_t segs_n, segs_cap;
	uint64_t next;
	struct log_stat stat;

	/* The thread that makes the next segment ahead of need. */
	pthread_mutex_t spare_mu;
	pthread_cond_t spare_cond;
	pthread_t spare_thread;
	bool spare_runs, spare_stop;
	enum spare_state spare;
	enum err spare_err;
	char spare_text[256];
};

/* Opens with segments of another size than 64 MiB, for tests. */
enum err log_open_sized(struct log **out, const char *dir, enum survives need,
    uint64_t seg_bytes) MUST_CHECK;

void log_name(char out[LOG_NAME], uint64_t first, const char *ext);
/* DATA/log/NAME into out. */
enum err log_path(
    const struct log *l, const char *name, char out[PATH_MAX]) MUST_CHECK;

/* Firsts of the segments in a folder, ascending; also removes what a crash left
 * half made, if `clean`. */
enum err log_list(
    const char *dir, bool clean, uint64_t **firsts, size_t *n) MUST_CHECK;
/* DATA/lock; ERR_EXISTS names the holder. -1 in *fd when there is no such file
 * and make is false. */
enum err log_lock(const char *data, bool make, int *fd) MUST_CHECK;

/* The segment that holds seq, under mu; *i its index. */
bool log_segment_of(const struct log *l, uint64_t seq, size_t *i);

/* log_spare.c */
enum err spare_start(struct log *l) MUST_CHECK;
void spare_stop(struct log *l);
void spare_want(struct log *l); /* returns at once */
/* Wait for a spare and hand over its open descriptor; ERR_FULL. */
enum err spare_take(struct log *l, int *fd) MUST_CHECK;
/* A file of `bytes` zeros under its final name, synced. ERR_FULL. `written`:
 * with its zeros written, not only set aside. */
enum err zeros_make(const struct log *l, const char *name, uint64_t bytes,
    bool written) MUST_CHECK;

/* log_sparse.c: fills in sparse, sparse_n and end of a closed segment, whose
 * last sequence is next - 1. */
enum err sparse_load(
    const struct log *l, struct segment *s, int fd, uint64_t next) MUST_CHECK;
enum err sparse_save(const struct log *l, const struct segment *s) MUST_CHECK;
/* Room for a segment of that size. */
enum err sparse_init(struct segment *s) MUST_CHECK;
void sparse_add(struct segment *s, uint64_t seq, uint64_t at);
/* The places inside a frame of many bytes, whose records these are. */
void sparse_add_inside(
    struct segment *s, uint64_t seq, uint64_t frame, struct slice records);
/* Where to begin looking for seq. */
struct sparse sparse_find(const struct segment *s, uint64_t seq);

/* log_recover.c: walk the last segment, cut a torn frame; fills in s->end, its
 * sparse entries, and *next. */
enum err log_recover(
    const struct log *l, struct segment *s, int fd, uint64_t *next) MUST_CHECK;

#endif
