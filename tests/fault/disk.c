/*
 * disk - a disk that forgets: preloaded under a broker (LD_PRELOAD), it keeps
 * for every file below VAYLA_DISK_DIR what each 512-byte sector held at the
 * file's last sync, and each name that changed since its folder's. At the
 * VAYLA_DISK_CRASH-th call that writes, syncs or renames, the power fails: of
 * what was not synced a random part is taken back (sectors singly, sizes,
 * names from the last one on), and the process is gone.
 *
 * It stands under all that writes: log, keys, rulesets, and SQLite's own files,
 * whose VFS calls the same functions. Syncs themselves are left out, for speed:
 * the machine under the test stays up.
 *
 * VAYLA_DISK_SEED  what is taken back
 * VAYLA_DISK_LIES  if set, a sync is answered and nothing is kept: what a test
 *                  that looks for losses must find
 * VAYLA_DISK_KEEP  a folder on the same file system for names that were removed
 *
 * Not covered: files that are mapped (SQLite's -shm and the broker's page that
 * counts its crashes, which are no one's truth).
 * Rejected: a FUSE file system, which needs what a test may not have; losing
 * whole files, which no disk that confirmed a sync does.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512
#define FILES 256
#define NAMES 4096

static uint8_t nothing[SECTOR]; /* stands for a sector that was not there */

struct file {
	dev_t dev;
	ino_t ino;
	int fd;	       /* our own */
	off_t size;    /* at the last sync */
	bool ours;     /* below the folder */
	uint8_t **was; /* by sector; NULL: as synced */
	size_t was_n;
	size_t *dirty; /* sectors with a was */
	size_t dirty_n, dirty_cap;
};

enum change { MADE, RENAMED, REMOVED };
struct name {
	enum change change;
	char at[PATH_MAX], to[PATH_MAX], kept[PATH_MAX]; /* kept: "" for none */
};

static struct {
	pthread_mutex_t mu;
	bool on, lies;
	char dir[PATH_MAX], keep[PATH_MAX];
	uint64_t calls, crash, random;
	struct file files[FILES];
	size_t files_n;
	struct name *names;
	size_t names_n, kept_n;
} disk = {.mu = PTHREAD_MUTEX_INITIALIZER};

/* The thread in which the power fails writes for the disk, not for the broker;
 * the others wait for the mutex until they are gone. */
static _Thread_local bool inside;

/* What stands beneath; the first call finds it. */
#define BENEATH(name)                     \
	static __typeof__(&name) beneath; \
	if (beneath == NULL)              \
	beneath = (__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name)

static void
die(const char *why)
{
	dprintf(STDERR_FILENO, "disk: %s: %s\n", why, strerror(errno));
	_exit(70);
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t
draw(uint64_t below)
{
	uint64_t z = disk.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *dir = getenv("VAYLA_DISK_DIR");
	const char *keep = getenv("VAYLA_DISK_KEEP");
	const char *crash = getenv("VAYLA_DISK_CRASH");
	const char *seed = getenv("VAYLA_DISK_SEED");

	if (dir == NULL || keep == NULL || crash == NULL || seed == NULL)
		return;
	if (realpath(dir, disk.dir) == NULL ||
	    realpath(keep, disk.keep) == NULL)
		die("its folders");
	disk.lies = getenv("VAYLA_DISK_LIES") != NULL;
	disk.crash = strtoull(crash, NULL, 10);
	disk.random = strtoull(seed, NULL, 10);
	disk.names = calloc(NAMES, sizeof(*disk.names));
	if (disk.names == NULL)
		die("memory");
	disk.on = true;
}

static bool
below(const char *path)
{
	size_t n = strlen(disk.dir);

	return strncmp(path, disk.dir, n) == 0 && path[n] == '/';
}

/* ---- the power fails ---- */

static void
take_back_data(struct file *f)
{
	/* how much of it is lost differs from crash to crash */
	static const uint64_t chance[] = {0, 10, 50, 90, 100};
	uint64_t lost = chance[draw(5)];
	struct stat st;
	off_t end;

	if (fstat(f->fd, &st) != 0)
		die("fstat");
	end = st.st_size;
	if (end != f->size && draw(2) == 0)
		end = f->size;
	for (size_t i = 0; i < f->dirty_n; i++) {
		off_t at = (off_t)(f->dirty[i] * SECTOR);
		const uint8_t *was = f->was[f->dirty[i]];

		/* what a shrinking that is taken back cut off was there */
		if (at < st.st_size && draw(100) >= lost)
			continue;
		if (at < end && pwrite(f->fd, was, SECTOR, at) != SECTOR)
			die("pwrite");
	}
	if (ftruncate(f->fd, end) != 0)
		die("ftruncate");
}

static void
take_back_name(const struct name *n)
{
	if (n->change == MADE)
		unlink(n->at);
	if (n->change == RENAMED && rename(n->to, n->at) != 0)
		die("rename");
	if (n->change == RENAMED && n->kept[0] && link(n->kept, n->to) != 0)
		die("link");
	if (n->change == REMOVED && link(n->kept, n->at) != 0)
		die("link");
}

static void
fail_power(void)
{
	size_t from;

	inside = true;
	for (size_t i = 0; i < disk.files_n; i++)
		if (disk.files[i].ours)
			take_back_data(&disk.files[i]);
	from = draw(disk.names_n + 1);
	while (disk.names_n > from)
		take_back_name(&disk.names[--disk.names_n]);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* ---- what is not synced ---- */

static void
count_call(void)
{
	if (++disk.calls == disk.crash)
		fail_power();
}

/* NULL: not one of ours. */
static struct file *
file_of(int fd)
{
	char link[64], path[PATH_MAX];
	struct file *f;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return NULL;
	for (size_t i = 0; i < disk.files_n; i++) {
		f = &disk.files[i];
		if (f->dev == st.st_dev && f->ino == st.st_ino)
			return f->ours ? f : NULL;
	}
	if (disk.files_n == FILES)
		die("too many files");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		die("readlink");
	path[n] = '\0';
	f = &disk.files[disk.files_n++];
	*f = (struct file){.dev = st.st_dev, .ino = st.st_ino};
	f->ours = below(path);
	f->size = st.st_size;
	if (f->ours && (f->fd = open(link, O_RDWR | O_CLOEXEC)) < 0)
		die(path);
	return f->ours ? f : NULL;
}

static void
remember_sector(struct file *f, size_t sector)
{
	uint8_t *was = nothing;
	off_t at = (off_t)(sector * SECTOR);
	struct stat st;

	if (sector >= f->was_n) {
		size_t n = sector + 4096;

		f->was = realloc(f->was, n * sizeof(*f->was));
		if (f->was == NULL)
			die("memory");
		memset(f->was + f->was_n, 0, (n - f->was_n) * sizeof(*f->was));
		f->was_n = n;
	}
	if (f->was[sector] != NULL)
		return;
	if (fstat(f->fd, &st) != 0)
		die("fstat");
	if (at < st.st_size) {
		was = calloc(1, SECTOR);
		if (was == NULL || pread(f->fd, was, SECTOR, at) < 0)
			die("pread");
		if (memcmp(was, nothing, SECTOR) == 0) {
			free(was);
			was = nothing;
		}
	}
	if (f->dirty_n == f->dirty_cap) {
		f->dirty_cap = f->dirty_cap * 2 + 1024;
		f->dirty = realloc(f->dirty, f->dirty_cap * sizeof(*f->dirty));
		if (f->dirty == NULL)
			die("memory");
	}
	f->was[sector] = was;
	f->dirty[f->dirty_n++] = sector;
}

/* Bytes [at, at + n) of fd are about to change. */
static void
remember(int fd, off_t at, size_t n)
{
	struct file *f = file_of(fd);

	if (f == NULL)
		return;
	count_call();
	for (size_t s = (size_t)at / SECTOR;
	     n > 0 && s <= ((size_t)at + n - 1) / SECTOR; s++)
		remember_sector(f, s);
}

/* All of a file is about to be cut off. */
static void
remember_whole(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		die(path);
	remember(fd, 0, (size_t)st.st_size);
	close(fd);
}

static void
synced(struct file *f)
{
	struct stat st;

	for (size_t i = 0; i < f->dirty_n; i++) {
		if (f->was[f->dirty[i]] != nothing)
			free(f->was[f->dirty[i]]);
		f->was[f->dirty[i]] = NULL;
	}
	f->dirty_n = 0;
	if (fstat(f->fd, &st) != 0)
		die("fstat");
	f->size = st.st_size;
}

/* ---- names ---- */

static bool
whole_path(int at, const char *path, char out[PATH_MAX])
{
	char folder[PATH_MAX], link[64];
	const char *slash = strrchr(path, '/');
	ssize_t n;

	if (slash != NULL && (at == AT_FDCWD || path[0] == '/')) {
		char up[PATH_MAX];

		snprintf(up, sizeof(up), "%.*s",
		    (int)(slash - path + (slash == path)), path);
		if (realpath(up, folder) == NULL)
			return false;
		path = slash + 1;
	} else if (at == AT_FDCWD) {
		if (getcwd(folder, sizeof(folder)) == NULL)
			return false;
	} else {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
		n = readlink(link, folder, sizeof(folder) - 1);
		if (n < 0)
			return false;
		folder[n] = '\0';
	}
	return (size_t)snprintf(out, PATH_MAX, "%s/%s", folder, path) <
	       PATH_MAX;
}

static struct name *
name_new(enum change change, const char *at)
{
	struct name *n = &disk.names[disk.names_n];

	if (disk.names_n == NAMES)
		die("too many names");
	memset(n, 0, sizeof(*n));
	n->change = change;
	snprintf(n->at, sizeof(n->at), "%s", at);
	return n;
}

/* What stood under a name, kept so that it can come back. */
static void
keep(struct name *n, const char *path)
{
	if (access(path, F_OK) != 0)
		return;
	snprintf(n->kept, sizeof(n->kept), "%.4000s/%d.%zu", disk.keep,
	    (int)getpid(), disk.kept_n++);
	if (link(path, n->kept) != 0)
		die("link");
}

static void
folder_synced(int fd)
{
	char link[64], folder[PATH_MAX];
	size_t left = 0;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, folder, sizeof(folder) - 2);
	if (n < 0)
		die("readlink");
	folder[n++] = '/';
	folder[n] = '\0';
	/* a journaling file system writes changes of names in their order */
	for (size_t i = disk.names_n; i > 0 && left == 0; i--) {
		const char *at = disk.names[i - 1].at;

		if (strncmp(at, folder, (size_t)n) == 0 &&
		    strchr(at + n, '/') == NULL)
			left = i;
	}
	memmove(disk.names, disk.names + left,
	    (disk.names_n - left) * sizeof(*disk.names));
	disk.names_n -= left;
}

/* ---- the calls ---- */

static bool
aside(void)
{
	return !disk.on || inside;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t r;

	BENEATH(pwrite);
	if (aside())
		return beneath(fd, p, n, at);
	pthread_mutex_lock(&disk.mu);
	remember(fd, at, n);
	r = beneath(fd, p, n, at);
	pthread_mutex_unlock(&disk.mu);
	return r;
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

ssize_t
pwritev(int fd, const struct iovec *v, int count, off_t at)
{
	size_t n = 0;
	ssize_t r;

	BENEATH(pwritev);
	if (aside())
		return beneath(fd, v, count, at);
	for (int i = 0; i < count; i++)
		n += v[i].iov_len;
	pthread_mutex_lock(&disk.mu);
	remember(fd, at, n);
	r = beneath(fd, v, count, at);
	pthread_mutex_unlock(&disk.mu);
	return r;
}

ssize_t
pwritev64(int fd, const struct iovec *v, int count, off_t at)
{
	return pwritev(fd, v, count, at);
}

static off_t
place(int fd)
{
	struct stat st;

	if (fcntl(fd, F_GETFL) & O_APPEND)
		return fstat(fd, &st) == 0 ? st.st_size : 0;
	return lseek(fd, 0, SEEK_CUR);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	ssize_t r;

	BENEATH(write);
	if (aside())
		return beneath(fd, p, n);
	pthread_mutex_lock(&disk.mu);
	remember(fd, place(fd), n);
	r = beneath(fd, p, n);
	pthread_mutex_unlock(&disk.mu);
	return r;
}

int
ftruncate(int fd, off_t size)
{
	struct stat st;
	int r;

	BENEATH(ftruncate);
	if (aside())
		return beneath(fd, size);
	pthread_mutex_lock(&disk.mu);
	if (fstat(fd, &st) == 0)
		remember(fd, size,
		    st.st_size > size ? (size_t)(st.st_size - size) : 0);
	r = beneath(fd, size);
	pthread_mutex_unlock(&disk.mu);
	return r;
}

int
ftruncate64(int fd, off_t size)
{
	return ftruncate(fd, size);
}

int
posix_fallocate(int fd, off_t at, off_t n)
{
	int r;

	BENEATH(posix_fallocate);
	if (aside())
		return beneath(fd, at, n);
	pthread_mutex_lock(&disk.mu);
	remember(fd, at, 0);
	r = beneath(fd, at, n);
	pthread_mutex_unlock(&disk.mu);
	return r;
}

void *
mmap(void *at, size_t n, int how, int flags, int fd, off_t from)
{
	struct file *f;

	BENEATH(mmap);
	if (fd < 0 || !(flags & MAP_SHARED) || aside())
		return beneath(at, n, how, flags, fd, from);
	pthread_mutex_lock(&disk.mu);
	if ((f = file_of(fd)) != NULL)
		f->ours = false;
	pthread_mutex_unlock(&disk.mu);
	return beneath(at, n, how, flags, fd, from);
}

void *
mmap64(void *at, size_t n, int how, int flags, int fd, off_t from)
{
	return mmap(at, n, how, flags, fd, from);
}

static int
sync_file(int fd)
{
	struct file *f;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	count_call();
	if (disk.lies)
		return 0;
	if (S_ISDIR(st.st_mode))
		folder_synced(fd);
	else if ((f = file_of(fd)) != NULL)
		synced(f);
	return 0;
}

int
fdatasync(int fd)
{
	int r;

	BENEATH(fdatasync);
	if (aside())
		return beneath(fd);
	pthread_mutex_lock(&disk.mu);
	r = sync_file(fd);
	pthread_mutex_unlock(&disk.mu);
	return r;
}

int
fsync(int fd)
{
	int r;

	BENEATH(fsync);
	if (aside())
		return beneath(fd);
	pthread_mutex_lock(&disk.mu);
	r = sync_file(fd);
	pthread_mutex_unlock(&disk.mu);
	return r;
}

int
renameat(int a, const char *from, int b, const char *to)
{
	char at[PATH_MAX], dest[PATH_MAX];
	struct name *n = NULL;
	int r;

	BENEATH(renameat);
	if (aside() || !whole_path(a, from, at) || !whole_path(b, to, dest) ||
	    !below(at) || !below(dest))
		return beneath(a, from, b, to);
	pthread_mutex_lock(&disk.mu);
	count_call();
	n = name_new(RENAMED, at);
	snprintf(n->to, sizeof(n->to), "%s", dest);
	keep(n, dest);
	r = beneath(a, from, b, to);
	if (r == 0)
		disk.names_n++;
	pthread_mutex_unlock(&disk.mu);
	return r;
}

int
rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
unlinkat(int a, const char *path, int flags)
{
	char at[PATH_MAX];
	struct name *n;
	int r;

	BENEATH(unlinkat);
	if (aside() || flags != 0 || !whole_path(a, path, at) || !below(at) ||
	    access(at, F_OK) != 0)
		return beneath(a, path, flags);
	pthread_mutex_lock(&disk.mu);
	count_call();
	n = name_new(REMOVED, at);
	keep(n, at);
	r = beneath(a, path, flags);
	if (r == 0)
		disk.names_n++;
	pthread_mutex_unlock(&disk.mu);
	return r;
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
openat(int a, const char *path, int flags, ...)
{
	char at[PATH_MAX];
	bool makes;
	mode_t mode;
	va_list ap;
	int fd;

	BENEATH(openat);
	va_start(ap, flags);
	mode = flags & O_CREAT ? (mode_t)va_arg(ap, int) : 0;
	va_end(ap);
	if (aside() || !(flags & O_CREAT) || !whole_path(a, path, at) ||
	    !below(at))
		return beneath(a, path, flags, mode);
	pthread_mutex_lock(&disk.mu);
	makes = access(at, F_OK) != 0;
	if (!makes && flags & O_TRUNC)
		remember_whole(at);
	fd = beneath(a, path, flags, mode);
	if (fd >= 0 && makes) {
		(void)name_new(MADE, at);
		disk.names_n++;
	}
	pthread_mutex_unlock(&disk.mu);
	return fd;
}

#define OPEN(name)                                          \
	int name(const char *path, int flags, ...)          \
	{                                                   \
		mode_t mode = 0;                            \
		va_list ap;                                 \
		va_start(ap, flags);                        \
		if (flags & O_CREAT)                        \
			mode = (mode_t)va_arg(ap, int);     \
		va_end(ap);                                 \
		return openat(AT_FDCWD, path, flags, mode); \
	}
OPEN(open)
OPEN(open64)

int
openat64(int a, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(ap, int);
	va_end(ap);
	return openat(a, path, flags, mode);
}
