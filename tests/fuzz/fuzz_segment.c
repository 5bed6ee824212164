/*
 * fuzz_segment - a segment's bytes as a disk may give them back: the input is
 * laid over a good journal's last segment at a place of its choice. Opening
 * cuts or refuses; what opens can be read to its end and appended to; nothing
 * of it is read that is not a record.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/log_own.h"

#define SIZE 16384

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static char dir[64];
static uint8_t good[SIZE]; /* the segment as it was written */

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static int
segment(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/log/00000000000000000001.seg", dir);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void
append(struct log *l)
{
	struct turn t;
	uint64_t seq;

	turn_init(&t);
	for (int i = 0; i < 3; i++)
		turn_add(&t, REC_SETTLE,
		    SLICE_LIT("\x83\xa3sub\xa1x\xa3seq\x01\xa7verdict\xa2ok"));
	check(log_append(l, &t, 7, &seq) == ERR_OK);
	turn_fini(&t);
}

static void
clean(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	(void)!system(command);
}

static void
prepare(void)
{
	struct log *l;
	int fd;

	say_level(SAY_ERROR);
	atexit(clean);
	snprintf(dir, sizeof(dir), "/dev/shm/fuzz_segment.%ld", (long)getpid());
	check(dir_make(dir) == ERR_OK);
	check(log_open_sized(&l, dir, SURVIVES_CRASH, SIZE) == ERR_OK);
	for (int i = 0; i < 20; i++)
		append(l);
	log_close(l);
	fd = segment();
	check(fd >= 0 && pread(fd, good, SIZE, 0) == SIZE);
	close(fd);
}

static enum err
one(void *arg, const struct log_record *rec)
{
	uint64_t *next = arg;

	check(rec->seq == (*next)++);
	check(rec->kind >= REC_EVENT && rec->kind <= REC_TIMER);
	(void)!mp_check(rec->body);
	return ERR_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct log_reader *r;
	uint64_t next = 1, records;
	struct buf report;
	struct log *l;
	size_t at;
	int fd;

	if (dir[0] == '\0')
		prepare();
	if (n < 3)
		return 0;
	at = ((size_t)p[0] << 8 | p[1]) % SIZE;
	p += 2;
	n = n - 2 < SIZE - at ? n - 2 : SIZE - at;
	fd = segment();
	check(fd >= 0 && pwrite(fd, good, SIZE, 0) == SIZE);
	check(pwrite(fd, p, n, (off_t)at) == (ssize_t)n);
	close(fd);
	buf_init(&report, 1 << 20);
	(void)!log_verify(dir, &report, &records);
	buf_fini(&report);
	if (log_open_sized(&l, dir, SURVIVES_CRASH, SIZE) != ERR_OK)
		return 0;
	check(log_reader_new(&r, l) == ERR_OK);
	check(log_scan(r, 1, one, &next) == ERR_OK);
	check(next == log_next(l));
	if (l->segs[0].size - l->segs[0].end > 1024) {
		append(l);
		check(log_scan(r, next, one, &next) == ERR_OK);
		check(next == log_next(l));
	}
	log_reader_free(r);
	log_close(l);
	return 0;
}
