/*
 * keys - see keys.h; the file's form is in JOURNAL.md, "keys". A head of 64
 * bytes, then slots of 32, filled with random bytes a chunk at a time and
 * synced before the first of them is given out. 32 zeros are an erased slot
 * (or one that a crash left unfilled; it is passed over).
 *
 * Rejected: one random key for the installation and keys derived from it, which
 * can not be erased one by one; keeping all in memory (96 MiB for 3 million
 * subjects); mmap, which answers a bad sector with SIGBUS.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/fail.h"
#include "broker/core/keys.h"

#define MAGIC "VAYLAKEY"
#define VERSION 1
#define HEAD 64
#define SLOT 32
#define CHUNK 1024 /* slots filled at once */

struct keys {
	char path[PATH_MAX];
	int fd;
	uint32_t filled;	     /* slots on disk */
	uint32_t used;		     /* the highest one in use */
	uint32_t next;		     /* where to look for a free one */
	uint32_t epoch;		     /* atomic: counts erasures */
	uint32_t at;		     /* first slot of `chunk` */
	uint32_t have;		     /* slots in `chunk` */
	struct hmac_key *mac;	     /* slot 0 */
	uint8_t chunk[CHUNK * SLOT]; /* around `next` */
};

static uint64_t
place(uint32_t slot)
{
	return HEAD + (uint64_t)slot * SLOT;
}

static bool
is_zero(const uint8_t *p)
{
	for (int i = 0; i < SLOT; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static enum err
make(const char *path)
{
	size_t n = HEAD + CHUNK * SLOT;
	uint8_t *p = calloc(1, n);
	enum err e;

	if (p == NULL)
		return err_note(ERR_NOMEM, "no memory for keys");
	memcpy(p, MAGIC, 8);
	put32(p + 8, VERSION);
	put32(p + 12, SLOT);
	random_bytes(p + 16, 16);
	put32(p + 60, crc32c(0, p, 60));
	random_bytes(p + HEAD, n - HEAD);
	e = file_write(path, slice_of(p, n), 0600);
	secret_wipe(p, n);
	free(p);
	return e;
}

/* n bytes at `at`, or fewer at the file's end; -1 with errno. */
static ssize_t
load(const struct keys *k, uint64_t at, uint8_t *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r =
		    pread(k->fd, to + done, n - done, (off_t)(at + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

static enum err
check_head(const struct keys *k)
{
	uint8_t h[HEAD];

	if (load(k, 0, h, HEAD) != HEAD || memcmp(h, MAGIC, 8) != 0)
		return err_note(ERR_CORRUPT,
		    "%s: is no file of keys; restore it from its backup",
		    k->path);
	if (get32(h + 8) > VERSION)
		return err_note(ERR_VERSION,
		    "%s: has format %u, this program knows up to %d; start the "
		    "newer program",
		    k->path, get32(h + 8), VERSION);
	if (get32(h + 60) != crc32c(0, h, 60) || get32(h + 12) != SLOT)
		return err_note(ERR_CORRUPT,
		    "%s: its head is damaged; restore it from its backup",
		    k->path);
	return ERR_OK;
}

static enum err
start(struct keys *k, int mode)
{
	uint8_t own[SLOT];
	struct stat st;
	enum err e;

	k->fd = open(k->path, mode | O_CLOEXEC);
	if (k->fd < 0)
		return err_errno(ERR_DENIED, "cannot open %s", k->path);
	e = check_head(k);
	if (e != ERR_OK)
		return e;
	if (fstat(k->fd, &st) != 0)
		return err_errno(ERR_IO, "cannot look at %s", k->path);
	k->filled = (uint32_t)(((uint64_t)st.st_size - HEAD) / SLOT);
	if (load(k, HEAD, own, SLOT) != SLOT || is_zero(own))
		return err_note(ERR_CORRUPT,
		    "%s: the installation's own key is gone; restore it from "
		    "its backup",
		    k->path);
	e = hmac_key_new(&k->mac, slice_of(own, SLOT));
	secret_wipe(own, sizeof(own));
	k->next = 1;
	return e;
}

static enum err
open_with(struct keys **out, const char *path, bool read_only)
{
	struct keys *k;
	enum err e = ERR_OK;

	if (strlen(path) >= PATH_MAX)
		return err_note(ERR_RANGE, "a path of %zu bytes", strlen(path));
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return err_note(ERR_NOMEM, "no memory for keys");
	memcpy(k->path, path, strlen(path) + 1);
	k->fd = -1;
	if (!read_only && access(path, F_OK) != 0 && errno == ENOENT)
		e = make(path);
	if (e == ERR_OK)
		e = start(k, read_only ? O_RDONLY : O_RDWR);
	if (e != ERR_OK) {
		keys_close(k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

enum err
keys_open(struct keys **out, const char *path)
{
	return open_with(out, path, false);
}

enum err
keys_open_read(struct keys **out, const char *path)
{
	return open_with(out, path, true);
}

void
keys_close(struct keys *k)
{
	if (k == NULL)
		return;
	if (k->fd >= 0)
		close(k->fd);
	hmac_key_free(k->mac);
	secret_wipe(k, sizeof(*k));
	free(k);
}

/* The next chunk, on disk before anybody has a key of it. */
static enum err
fill(struct keys *k)
{
	uint32_t from = k->next > k->filled ? k->next : k->filled;
	enum err e;

	if (from > UINT32_MAX - CHUNK)
		return err_note(ERR_FULL, "%s: has no slots left", k->path);
	random_bytes(k->chunk, sizeof(k->chunk));
	k->have = 0;
	e = fd_pwrite(k->fd, slice_of(k->chunk, sizeof(k->chunk)), place(from));
	if (e != ERR_OK)
		return err_wrap(e, "%s", k->path);
	if (fdatasync(k->fd) != 0)
		return err_errno(ERR_SYNC, "cannot sync %s", k->path);
	FAIL_POINT("keys_filled");
	__atomic_store_n(&k->filled, from + CHUNK, __ATOMIC_RELEASE);
	k->at = from;
	k->have = CHUNK;
	return ERR_OK;
}

static enum err
chunk_at(struct keys *k, uint32_t slot)
{
	ssize_t n;

	if (slot >= k->at && slot - k->at < k->have)
		return ERR_OK;
	if (slot >= k->filled)
		return fill(k);
	n = load(k, place(slot), k->chunk, sizeof(k->chunk));
	if (n < 0)
		return err_errno(ERR_IO, "cannot read %s", k->path);
	k->at = slot;
	k->have = (uint32_t)n / SLOT;
	return k->have > 0 ? ERR_OK : fill(k);
}

enum err
keys_take(struct keys *k, uint32_t *slot)
{
	enum err e;

	for (;; k->next++) {
		e = chunk_at(k, k->next);
		if (e != ERR_OK)
			return e;
		if (!is_zero(k->chunk + (size_t)(k->next - k->at) * SLOT))
			break;
	}
	*slot = k->next++;
	if (*slot > k->used)
		k->used = *slot;
	return ERR_OK;
}

void
keys_used(struct keys *k, uint32_t slot)
{
	if (slot > k->used)
		k->used = slot;
	if (slot >= k->filled && slot >= k->next)
		say(SAY_WARN, "keys",
		    "%s ends at slot %u but the journal names slot %u: is it "
		    "older than the journal? What lies between reads as erased",
		    k->path, k->filled - 1, slot);
	if (slot >= k->next)
		k->next = slot + 1;
}

enum err
keys_get(struct keys *k, uint32_t slot, uint8_t key[32])
{
	ssize_t n = load(k, place(slot), key, SLOT);

	if (n < 0)
		return err_errno(ERR_IO, "cannot read %s", k->path);
	if (n < SLOT || is_zero(key))
		return err_note(
		    ERR_ERASED, "the personal data of slot %u is erased", slot);
	return ERR_OK;
}

bool
keys_near(const struct keys *k, uint32_t slot, uint8_t key[32])
{
	const uint8_t *p;

	if (slot < k->at || slot - k->at >= k->have)
		return false;
	p = k->chunk + (size_t)(slot - k->at) * SLOT;
	if (is_zero(p))
		return false;
	memcpy(key, p, SLOT);
	return true;
}

uint32_t
keys_epoch(const struct keys *k)
{
	return __atomic_load_n(&k->epoch, __ATOMIC_ACQUIRE);
}

enum err
keys_erase(struct keys *k, const uint32_t *slots, size_t n)
{
	static const uint8_t zero[SLOT];
	enum err e;

	for (size_t i = 0; i < n; i++) {
		if (slots[i] == 0)
			return err_note(
			    ERR_DENIED, "slot 0 is the installation's own key");
		if (slots[i] >= k->filled)
			continue;
		e = fd_pwrite(k->fd, slice_of(zero, SLOT), place(slots[i]));
		if (e != ERR_OK)
			return err_wrap(e, "%s", k->path);
		if (slots[i] >= k->at && slots[i] - k->at < k->have)
			memset(k->chunk + (size_t)(slots[i] - k->at) * SLOT, 0,
			    SLOT);
	}
	__atomic_add_fetch(&k->epoch, 1, __ATOMIC_RELEASE);
	if (fdatasync(k->fd) != 0)
		return err_errno(ERR_SYNC, "cannot sync %s", k->path);
	return ERR_OK;
}

void
keys_digest(struct keys *k, struct slice data, uint8_t out[32])
{
	hmac_key_sum(k->mac, data, out);
}

void
keys_person(struct keys *k, struct slice email, uint8_t out[32])
{
	uint8_t low[1024];
	size_t n = 0;

	while (email.n > 0 && email.p[0] <= ' ')
		email = slice_from(email, 1);
	while (email.n > 0 && email.p[email.n - 1] <= ' ')
		email.n--;
	for (; n < email.n && n < sizeof(low); n++)
		low[n] = email.p[n] >= 'A' && email.p[n] <= 'Z'
			     ? (uint8_t)(email.p[n] + 32)
			     : email.p[n];
	hmac_key_sum(k->mac, slice_of(low, n), out);
}
