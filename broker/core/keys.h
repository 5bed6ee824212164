/*
 * keys - the file of random keys under which personal data is sealed: one slot
 * a subject. Slots are filled and synced ahead of use; erasing overwrites a
 * slot and syncs, and everything sealed under it is gone, wherever its copies
 * are.
 *
 * Slot 0 is the installation's own key (digests and person tokens). The format
 * is in broker/core/JOURNAL.md. Turn thread only, except keys_get().
 */
#ifndef VAYLA_CORE_KEYS_H
#define VAYLA_CORE_KEYS_H

#include "broker/base/crypt.h"

struct keys;
/* Made, with slot 0, when there is none (mode 0600). ERR_CORRUPT, ERR_VERSION.
 */
enum err keys_open(struct keys **out, const char *path) MUST_CHECK;
/* To look only: none is made, and none may be taken or erased. */
enum err keys_open_read(struct keys **out, const char *path) MUST_CHECK;
void keys_close(struct keys *k);

/* A free slot that is on disk. Before the first: keys_used() with the highest
 * slot the journal names (index_slot_max()), so that none is given out twice.
 */
enum err keys_take(struct keys *k, uint32_t *slot) MUST_CHECK;
void keys_used(struct keys *k, uint32_t slot);
/* The key; ERR_ERASED when it was overwritten, or is not in this file. Any
 * thread. */
enum err keys_get(struct keys *k, uint32_t slot, uint8_t key[32]) MUST_CHECK;
/* The same from memory, when the slot lies among those now being given out;
 * false: ask keys_get(). Turn thread only. */
bool keys_near(const struct keys *k, uint32_t slot, uint8_t key[32]);
enum err keys_erase(struct keys *k, const uint32_t *slots, size_t n) MUST_CHECK;
/* Changes with every erasure: whoever keeps a key looks at it. Any thread. */
uint32_t keys_epoch(const struct keys *k);

/* HMAC-SHA256 under slot 0: of data before sealing, and of e-mail addresses
 * (trimmed, lower case). Turn thread only. */
void keys_digest(struct keys *k, struct slice data, uint8_t out[32]);
void keys_person(struct keys *k, struct slice email, uint8_t out[32]);

#endif
