/*
 * The log: what is acknowledged is there after every kind of end, and what is
 * damaged is named and never passed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/core/log_own.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

#define SMALL (64 * 1024)

/* A record of this sequence: an event map with n bytes of data that depend on
 * it. */
static struct slice
body_of(struct buf *b, uint64_t seq, size_t n)
{
	struct event e;
	struct buf data;
	char id[32];

	buf_init(&data, 1 << 20);
	for (size_t i = 0; i < n; i++)
		buf_byte(&data, (uint8_t)(seq * 31 + i));
	buf_reset(b);
	event_init(&e);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)seq);
	e.id = slice_str(id);
	e.source = SLICE_LIT("shop");
	e.type = SLICE_LIT("x.y");
	e.sealed = buf_all(&data);
	event_write(b, &e);
	buf_fini(&data);
	return buf_all(b);
}

static enum err
append(struct log *l, uint32_t count, size_t n, bool vital)
{
	struct turn t;
	struct buf b;
	uint64_t seq = 0, next = log_next(l);
	enum err e;

	turn_init(&t);
	buf_init(&b, 1 << 20);
	for (uint32_t i = 0; i < count; i++)
		turn_add(&t, REC_EVENT, body_of(&b, next + i, n));
	t.vital = vital;
	e = log_append(l, &t, (int64_t)next * 1000, &seq);
	if (e == ERR_OK)
		CHECK(seq == next && log_next(l) == next + count);
	else
		CHECK(log_next(l) == next);
	turn_fini(&t);
	buf_fini(&b);
	return e;
}

static size_t
size_of(uint64_t seq)
{
	return (size_t)(seq * 7 % 200);
}

static void
check_rec(const struct log_record *r, uint64_t seq, size_t n)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	CHECK(r->seq == seq && r->kind == REC_EVENT);
	CHECK(slice_eq(r->body, body_of(&b, seq, n)));
	buf_fini(&b);
}

struct scan {
	uint64_t next;
	size_t fixed;
	uint64_t stop;
};

static enum err
scan_one(void *arg, const struct log_record *r)
{
	struct scan *s = arg;

	if (s->next == s->stop)
		return ERR_STATE;
	check_rec(r, s->next, s->fixed > 0 ? s->fixed : size_of(s->next));
	s->next++;
	return ERR_OK;
}

/* Everything there, forwards, backwards and from the middle. */
static void
check_all(struct log *l, size_t fixed)
{
	struct scan s = {.next = log_first(l), .fixed = fixed};
	uint64_t next = log_next(l);
	struct log_record rec;
	struct log_reader *r;

	CHECK_OK(log_reader_new(&r, l));
	CHECK_OK(log_scan(r, 0, scan_one, &s));
	CHECK(s.next == next);
	for (uint64_t seq = next - 1; seq >= log_first(l) && seq > 0; seq--) {
		CHECK_OK(log_read(r, seq, &rec));
		check_rec(&rec, seq, fixed > 0 ? fixed : size_of(seq));
	}
	CHECK_ERR(log_read(r, next, &rec), ERR_NOTFOUND);
	CHECK_ERR(log_read(r, 0, &rec), ERR_NOTFOUND);
	log_reader_free(r);
}

/* Turns of 1 to 4 records until there are n. */
static void
fill_to(struct log *l, uint64_t n)
{
	struct turn t;
	struct buf b;
	uint64_t seq;

	turn_init(&t);
	buf_init(&b, 1 << 20);
	while (log_next(l) <= n) {
		uint64_t next = log_next(l), k = next % 4 + 1;

		turn_reset(&t);
		for (uint64_t i = 0; i < k; i++)
			turn_add(&t, REC_EVENT,
			    body_of(&b, next + i, size_of(next + i)));
		CHECK_OK(log_append(l, &t, (int64_t)next, &seq));
	}
	turn_fini(&t);
	buf_fini(&b);
}

T(empty_and_reopen)
{
	char *dir = tmp_make();
	struct log *l = NULL, *other = NULL;
	struct log_stat st;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	CHECK(log_first(l) == 1 && log_next(l) == 1);
	CHECK_ERR(
	    log_open_sized(&other, dir, SURVIVES_CRASH, SMALL), ERR_EXISTS);
	CHECK(strstr(err_last(), "in use by process") != NULL);
	check_all(l, 0);
	log_close(l);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	CHECK(log_next(l) == 1);
	fill_to(l, 50);
	log_stat(l, &st);
	CHECK(st.records == log_next(l) - 1 && st.segments == 1);
	CHECK(st.bytes > 0 && st.syncs > 0 && st.last_sync_ns > 0);
	log_close(l);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	check_all(l, 0);
	log_close(l);
	log_close(NULL);
	CHECK_ERR(log_open_sized(&l, dir, SURVIVES_MACHINE, SMALL), ERR_STATE);
	tmp_free(dir);
}

T(rotation)
{
	char *dir = tmp_make();
	struct log *l = NULL;
	struct log_stat st;
	struct log_record rec;
	struct log_reader *r;
	uint64_t records;
	struct buf report;
	struct scan s = {.next = 777, .stop = 780};

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	/* A reader that is open all the while. */
	CHECK_OK(log_reader_new(&r, l));
	fill_to(l, 10);
	CHECK_OK(log_read(r, 3, &rec));
	fill_to(l, 3000);
	log_stat(l, &st);
	CHECK(st.segments > 5);
	CHECK_OK(log_read(r, 4, &rec));
	check_rec(&rec, 4, size_of(4));
	CHECK_OK(log_read(r, 2999, &rec));
	check_rec(&rec, 2999, size_of(2999));
	log_reader_free(r);
	check_all(l, 0);
	log_close(l);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	CHECK_OK(log_reader_new(&r, l));
	CHECK_ERR(log_scan(r, 777, scan_one, &s), ERR_STATE);
	CHECK(s.next == 780);
	log_reader_free(r);
	check_all(l, 0);
	fill_to(l, 4000);
	log_close(l);
	/* Hints that are gone or rotten are made anew. */
	CHECK(tmp_run("cd %s/log && rm 00000000000000000001.idx && "
		      "for f in *.idx; do printf x | dd of=$f bs=1 seek=40 "
		      "conv=notrunc status=none; done",
		  dir) == 0);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	check_all(l, 0);
	log_close(l);
	buf_init(&report, 1 << 20);
	CHECK_OK(log_verify(dir, &report, &records));
	CHECK(report.n == 0 && records >= 4000);
	buf_fini(&report);
	tmp_free(dir);
}

/* Frames of about a megabyte: read by record while this process knows them
 * whole, by frame after a start, in any order. */
T(large_frames)
{
	char *dir = tmp_make(), path[PATH_MAX];
	struct log_record rec;
	struct log_reader *r;
	unsigned seed = 3;
	struct log *l;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, 4 * 1024 * 1024));
	CHECK_OK(log_reader_new(&r, l));
	for (int turn = 0; turn < 12; turn++) {
		CHECK_OK(append(l, 150 + (uint32_t)turn * 10, 3500, false));
		CHECK_OK(append(l, 1, 3500, false));
		for (int i = 0; i < 300; i++) {
			uint64_t seq =
			    (uint64_t)rand_r(&seed) % (log_next(l) - 1) + 1;

			CHECK_OK(log_read(r, seq, &rec));
			check_rec(&rec, seq, 3500);
		}
	}
	CHECK(l->segs_n > 1);
	log_reader_free(r);
	check_all(l, 3500);
	log_close(l);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, 4 * 1024 * 1024));
	check_all(l, 3500);
	log_close(l);
	/* What another process wrote is checked before it is believed. */
	snprintf(path, sizeof(path), "%s/log/00000000000000000001.seg", dir);
	CHECK(tmp_run("printf x | dd of=%s bs=1 seek=400000 conv=notrunc "
		      "status=none",
		  path) == 0);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, 4 * 1024 * 1024));
	CHECK_OK(log_reader_new(&r, l));
	CHECK_ERR(log_read(r, 3, &rec), ERR_CORRUPT);
	CHECK_OK(log_read(r, 151, &rec)); /* a frame of its own */
	log_reader_free(r);
	log_close(l);
	tmp_free(dir);
}

/* The name and size of the last segment's file. */
static void
last_path(struct log *l, char out[PATH_MAX])
{
	char name[LOG_NAME];

	log_name(name, l->segs[l->segs_n - 1].first, "seg");
	CHECK_OK(log_path(l, name, out));
}

static void
damage(const char *path, uint64_t at, const void *p, size_t n)
{
	int fd = open(path, O_RDWR);

	CHECK(fd >= 0 && pwrite(fd, p, n, (off_t)at) == (ssize_t)n);
	close(fd);
}

static void
load(const char *path, uint64_t at, void *p, size_t n)
{
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0 && pread(fd, p, n, (off_t)at) == (ssize_t)n);
	close(fd);
}

/* The last frame is there up to every byte, and then again from every byte on
 * (later sectors reached the disk, earlier ones did not). */
T(torn_tail)
{
	char *dir = tmp_make(), path[PATH_MAX];
	static uint8_t whole[2048], zero[2048];
	uint64_t from, end, next, records;
	struct buf report;
	struct log *l;
	int hidden;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	fill_to(l, 20);
	next = log_next(l);
	from = l->segs[0].end;
	CHECK_OK(append(l, 3, 40, false));
	end = l->segs[0].end;
	last_path(l, path);
	log_close(l);
	load(path, from, whole, end - from);
	hidden = tmp_quiet();
	for (uint64_t n = 0; n < (end - from) * 2; n++) {
		uint64_t cut = n % (end - from);
		bool head = n < end - from;

		damage(path, from, zero, end - from);
		if (head)
			damage(path, from, whole, cut);
		else
			damage(path, from + cut, whole + cut, end - from - cut);
		buf_init(&report, 1 << 16);
		CHECK_OK(log_verify(dir, &report, &records));
		buf_fini(&report);
		CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
		if (log_next(l) == next) {
			/* Nothing of it is left, whatever comes next. */
			static uint8_t now[2048];

			load(path, from, now, end - from);
			CHECK(memcmp(now, zero, end - from) == 0);
		} else {
			/* Only padding was missing, or nothing. */
			CHECK(log_next(l) == next + 3);
			CHECK(head ? cut > end - from - 8 : cut == 0);
		}
		log_close(l);
		if (t_bad > 0)
			break;
	}
	tmp_loud(hidden);
	/* And it goes on from there. */
	damage(path, from, zero, end - from);
	damage(path, from, whole, 50);
	hidden = tmp_quiet();
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	tmp_loud(hidden);
	fill_to(l, 60);
	check_all(l, 0);
	log_close(l);
	tmp_free(dir);
}

/* Any flipped bit of an earlier frame stops the start, and nothing changes. */
T(flipped_bit)
{
	char *dir = tmp_make(), path[PATH_MAX], want[64];
	uint64_t from, end, records;
	uint8_t was, bad;
	struct buf report;
	struct log *l;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	fill_to(l, 8);
	from = l->segs[0].end;
	CHECK_OK(append(l, 1, 30, false));
	end = l->segs[0].end;
	CHECK_OK(append(l, 2, 30, false));
	last_path(l, path);
	log_close(l);
	snprintf(want, sizeof(want), "offset %llu", (unsigned long long)from);
	for (uint64_t at = from; at < end; at++) {
		load(path, at, &was, 1);
		bad = (uint8_t)(was ^ 1u << at % 8);
		damage(path, at, &bad, 1);
		if (log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL) ==
		    ERR_OK) {
			/* Only the padding behind the records is nobody's. */
			CHECK(at >= end - 7);
			log_close(l);
		} else {
			CHECK(strstr(err_last(), want) != NULL);
			CHECK(strstr(err_last(), ".seg") != NULL);
			buf_init(&report, 1 << 16);
			CHECK_ERR(
			    log_verify(dir, &report, &records), ERR_CORRUPT);
			CHECK(strstr(buf_cstr(&report), want) != NULL);
			buf_fini(&report);
		}
		damage(path, at, &was, 1);
	}
	/* A whole sector that became zeros. */
	{
		uint8_t keep[512], zero[512] = {0};

		load(path, 64, keep, sizeof(keep));
		damage(path, 64, zero, sizeof(zero));
		CHECK_ERR(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL),
		    ERR_CORRUPT);
		damage(path, 64, keep, sizeof(keep));
	}
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	log_close(l);
	tmp_free(dir);
}

T(closed_segment_damaged)
{
	char *dir = tmp_make(), path[PATH_MAX];
	struct log_record rec;
	struct log_reader *r;
	struct scan s = {.next = 1};
	struct buf report;
	uint64_t records;
	struct log *l;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	fill_to(l, 2000);
	log_close(l);
	snprintf(path, sizeof(path), "%s/log/00000000000000000001.seg", dir);
	damage(path, 5000, "xyz", 3);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	CHECK_OK(log_reader_new(&r, l));
	CHECK_ERR(log_scan(r, 1, scan_one, &s), ERR_CORRUPT);
	CHECK(strstr(err_last(), "00000000000000000001.seg, offset ") != NULL);
	/* What is not damaged can still be read. */
	CHECK_OK(log_read(r, 1, &rec));
	CHECK_OK(log_read(r, 1999, &rec));
	log_reader_free(r);
	log_close(l);
	buf_init(&report, 1 << 16);
	CHECK_ERR(log_verify(dir, &report, &records), ERR_CORRUPT);
	CHECK(strstr(buf_cstr(&report), "00000000000000000001.seg") != NULL);
	buf_fini(&report);
	/* Heads: damaged, newer, of another journal. */
	damage(path, 20, "\x99", 1);
	CHECK_ERR(
	    log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL), ERR_CORRUPT);
	damage(path, 8, "\x03", 1);
	CHECK_ERR(
	    log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL), ERR_VERSION);
	damage(path, 0, "x", 1);
	CHECK_ERR(
	    log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL), ERR_CORRUPT);
	tmp_free(dir);
}

T(verify_shapes)
{
	char *dir = tmp_make();
	struct buf report;
	uint64_t records, seq;
	struct turn t;
	struct log *l;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	fill_to(l, 3);
	turn_init(&t);
	turn_add(&t, REC_SETTLE, SLICE_LIT("\x80"));
	CHECK_OK(log_append(l, &t, 1, &seq));
	turn_fini(&t);
	log_close(l);
	buf_init(&report, 1 << 16);
	CHECK_ERR(log_verify(dir, &report, &records), ERR_CORRUPT);
	CHECK(strstr(buf_cstr(&report), "settlement") != NULL);
	buf_fini(&report);
	tmp_free(dir);
}

T(limits)
{
	char *dir = tmp_make();
	struct turn t;
	struct log *l;
	uint64_t seq;
	uint8_t *big = calloc(1, 1024 * 1024);

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	turn_init(&t);
	CHECK_ERR(log_append(l, &t, 1, &seq), ERR_STATE);
	for (int i = 0; i < 7; i++)
		turn_add(&t, REC_EVENT, slice_of(big, 1024 * 1024));
	CHECK_ERR(log_append(l, &t, 1, &seq), ERR_LIMIT);
	turn_reset(&t);
	CHECK(t.bytes.n == 0 && !t.bytes.bad);
	turn_fini(&t);
	CHECK_OK(append(l, 1, 10, false));
	log_close(l);
	free(big);
	tmp_free(dir);
}

/* ---- a disk that fails ---- */

static int fail_after;

static int
failing_sync(int fd)
{
	if (fail_after-- > 0)
		return fdatasync(fd);
	errno = EIO;
	return -1;
}

static ssize_t
short_write(int fd, const struct iovec *v, int n, off_t at)
{
	if (fail_after == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (fail_after > 0)
		fail_after--;
	(void)n;
	return pwrite(
	    fd, v[0].iov_base, v[0].iov_len > 3 ? 3 : v[0].iov_len, at);
}

static ssize_t
real_write(int fd, const struct iovec *v, int n, off_t at)
{
	return pwritev(fd, v, n, at);
}

T(sync_fails)
{
	static const struct log_os os = {real_write, failing_sync};
	char *dir = tmp_make();
	struct log *l;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	l->os = &os;
	fail_after = 2;
	CHECK_OK(append(l, 1, 5, false));
	CHECK_OK(append(l, 1, 5, false));
	CHECK_ERR(append(l, 1, 5, false), ERR_SYNC);
	fail_after = 100;
	CHECK_ERR(append(l, 1, 5, true), ERR_SYNC); /* for ever */
	check_all(l, 5);
	log_close(l);
	tmp_free(dir);
}

T(short_writes)
{
	static const struct log_os os = {short_write, fdatasync};
	char *dir = tmp_make();
	struct log *l;
	int hidden;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	l->os = &os;
	fail_after = -1;
	CHECK_OK(append(l, 3, 50, false));
	for (int i = 1; i < 60; i += 7) {
		fail_after = i;
		CHECK_ERR(append(l, 1, 50 + 100, false), ERR_FULL);
		fail_after = -1;
		CHECK_OK(append(l, 1, 50, false));
	}
	check_all(l, 50);
	fail_after = 60;
	CHECK_ERR(append(l, 1, 200, false), ERR_FULL);
	log_close(l);
	hidden = tmp_quiet();
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	tmp_loud(hidden);
	check_all(l, 50);
	log_close(l);
	tmp_free(dir);
}

/* A file system of 8 MiB that fills: events are refused, settlements go on in
 * the reserve, nothing confirmed is lost, and room makes it well again. */
T(disk_full)
{
	char *dir = tmp_make(), path[PATH_MAX];
	uint64_t confirmed, vital = 0;
	int fd, hidden;
	struct log *l;
	enum err e;

	if (mount("tmpfs", dir, "tmpfs", 0, "size=8M") != 0) {
		printf("SKIPPED: disk_full: cannot mount a tmpfs (%s)\n",
		    strerror(errno));
		t_skipped++;
		tmp_free(dir);
		return;
	}
	/* What has no disk is not believed. */
	CHECK_ERR(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, 1024 * 1024),
	    ERR_STATE);
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_CRASH, 1024 * 1024));
	CHECK(log_survives(l) == SURVIVES_CRASH);
	snprintf(path, sizeof(path), "%s/ballast", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK(posix_fallocate(fd, 0, 3 * 1024 * 1024) == 0);
	do
		e = append(l, 8, 1000, false);
	while (e == ERR_OK);
	CHECK(e == ERR_FULL);
	CHECK(strstr(err_last(), "MiB") != NULL);
	confirmed = log_next(l);
	CHECK(confirmed > 2000);
	CHECK_ERR(append(l, 8, 1000, false), ERR_FULL);
	hidden = tmp_quiet();
	while (append(l, 8, 1000, true) == ERR_OK)
		vital++;
	tmp_loud(hidden);
	CHECK(vital > 100); /* most of the reserve's 1 MiB */
	CHECK_ERR(append(l, 1, 10, false), ERR_FULL);
	check_all(l, 1000);
	confirmed = log_next(l);
	log_close(l);
	/* A start on a full disk: the same, nothing lost. */
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_CRASH, 1024 * 1024));
	CHECK(log_next(l) == confirmed);
	CHECK_ERR(append(l, 1, 10, false), ERR_FULL);
	check_all(l, 1000);
	CHECK(ftruncate(fd, 0) == 0);
	close(fd);
	usleep(250000); /* it looks again five times a second */
	CHECK_OK(append(l, 8, 1000, false));
	CHECK(l->reserve);
	check_all(l, 1000);
	log_close(l);
	CHECK(umount(dir) == 0);
	tmp_free(dir);
}

/* ---- kill -9 ---- */

static void
writer(const char *dir, int out, unsigned seed)
{
	struct log *l;
	struct turn t;
	struct buf b;
	uint64_t seq;

	if (log_open_sized(&l, dir, SURVIVES_CRASH, SMALL) != ERR_OK) {
		fprintf(stderr, "writer: %s\n", err_last());
		_exit(9);
	}
	turn_init(&t);
	buf_init(&b, 1 << 20);
	for (;;) {
		uint64_t next = log_next(l), k = (next + seed) % 5 + 1;

		turn_reset(&t);
		for (uint64_t i = 0; i < k; i++)
			turn_add(&t, REC_EVENT,
			    body_of(&b, next + i, size_of(next + i)));
		if (log_append(l, &t, 1, &seq) != ERR_OK)
			_exit(8);
		seq += k;
		if (write(out, &seq, sizeof(seq)) != sizeof(seq))
			_exit(7);
	}
}

T(kill_anywhere)
{
	char *dir = tmp_make();
	uint64_t acked = 1, v;
	struct log *l;
	int p[2], status, hidden = tmp_quiet();

	srand(4711);
	for (unsigned round = 0; round < 30 && t_bad == 0; round++) {
		struct pollfd fds;
		pid_t pid;

		CHECK(pipe(p) == 0);
		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			close(p[0]);
			writer(dir, p[1], round);
		}
		close(p[1]);
		/* After so many it was told of, and a moment more. */
		for (int n = rand() % 40 + 5;
		     n > 0 && read(p[0], &v, sizeof(v)) == sizeof(v); n--) {
			CHECK(v > acked);
			acked = v;
		}
		usleep((useconds_t)(rand() % 2000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		CHECK(WIFSIGNALED(status));
		fds = (struct pollfd){.fd = p[0], .events = POLLIN};
		while (poll(&fds, 1, 0) > 0 &&
		       read(p[0], &v, sizeof(v)) == sizeof(v)) {
			CHECK(v > acked);
			acked = v;
		}
		close(p[0]);
		CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
		if (t_bad > 0)
			break;
		CHECK(log_next(l) >= acked);
		acked = log_next(l);
		if (round % 5 == 4)
			check_all(l, 0);
		log_close(l);
	}
	tmp_loud(hidden);
	CHECK(acked > 0);
	tmp_free(dir);
}

/* ---- the power goes ---- */

static struct {
	uint8_t was[65536]; /* what stood there before the unsynced write */
	uint64_t at;
	size_t n;
	bool armed;
	unsigned seed;
} disk;

static ssize_t
remembering_write(int fd, const struct iovec *v, int n, off_t at)
{
	size_t all = 0;

	for (int i = 0; i < n; i++)
		all += v[i].iov_len;
	CHECK(all <= sizeof(disk.was));
	disk.at = (uint64_t)at;
	disk.n = all;
	CHECK(pread(fd, disk.was, all, at) == (ssize_t)all);
	return pwritev(fd, v, n, at);
}

/* Of the unsynced write any subset of sectors reaches the disk. */
static int
losing_sync(int fd)
{
	size_t i = 0, n;

	if (!disk.armed)
		return fdatasync(fd);
	while (i < disk.n) {
		n = 512 - (disk.at + i) % 512;
		if (n > disk.n - i)
			n = disk.n - i;
		if (rand_r(&disk.seed) % 3 > 0)
			CHECK(pwrite(fd, disk.was + i, n,
				  (off_t)(disk.at + i)) == (ssize_t)n);
		i += n;
	}
	errno = EIO;
	return -1;
}

T(power_loss)
{
	static const struct log_os os = {remembering_write, losing_sync};
	char *dir = tmp_make();
	uint64_t confirmed = 1, whole = 0;
	struct log *l;
	int hidden = tmp_quiet();

	disk.seed = 1;
	for (int round = 0; round < 300 && t_bad == 0; round++) {
		uint32_t k = (uint32_t)rand_r(&disk.seed) % 40 + 1;

		CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
		if (t_bad > 0)
			break;
		CHECK(log_next(l) >= confirmed);
		whole += log_next(l) > confirmed;
		confirmed = log_next(l);
		l->os = &os;
		disk.armed = false;
		CHECK_OK(append(l, 2, 100, false));
		confirmed = log_next(l);
		disk.armed = true;
		if (append(l, k, 100, false) == ERR_OK)
			t_bad++;
		log_close(l);
	}
	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	check_all(l, 100);
	log_close(l);
	tmp_loud(hidden);
	CHECK(whole > 0); /* small ones came whole now and then */
	tmp_free(dir);
}

/* ---- readers beside the writer ---- */

static void *
read_along(void *arg)
{
	struct log *l = arg;
	struct scan s = {.next = 1};
	struct log_record rec;
	struct log_reader *r;
	unsigned seed = 5;

	if (log_reader_new(&r, l) != ERR_OK)
		return arg;
	while (s.next < 3000) {
		CHECK_OK(log_scan(r, s.next, scan_one, &s));
		if (s.next > 1) {
			uint64_t seq =
			    (uint64_t)rand_r(&seed) % (s.next - 1) + 1;

			CHECK_OK(log_read(r, seq, &rec));
			check_rec(&rec, seq, size_of(seq));
		}
	}
	log_reader_free(r);
	return NULL;
}

T(readers_beside_writer)
{
	char *dir = tmp_make();
	pthread_t thread[2];
	struct log *l;
	void *bad;

	CHECK_OK(log_open_sized(&l, dir, SURVIVES_POWER_LOSS, SMALL));
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&thread[i], NULL, read_along, l) == 0);
	fill_to(l, 3000);
	for (int i = 0; i < 2; i++) {
		pthread_join(thread[i], &bad);
		CHECK(bad == NULL);
	}
	log_close(l);
	tmp_free(dir);
}

T_MAIN(T_RUN(empty_and_reopen) T_RUN(rotation) T_RUN(large_frames)
	T_RUN(torn_tail) T_RUN(flipped_bit) T_RUN(closed_segment_damaged)
	    T_RUN(verify_shapes) T_RUN(limits) T_RUN(sync_fails)
		T_RUN(short_writes) T_RUN(disk_full) T_RUN(kill_anywhere)
		    T_RUN(power_loss) T_RUN(readers_beside_writer))
