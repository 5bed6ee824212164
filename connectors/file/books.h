/*
 * books - a folder with books.journal (hledger, ledger) and books.beancount,
 * the same postings in both, appended to and never rewritten.
 *
 * Exactly once: a posting carries the event's id and revision; what stands in
 * books.journal is what was done. A later revision takes the earlier posting
 * back and posts anew; a withdrawn one takes it back.
 *
 * Whole or not at all, in both files. A batch is written to books.commit first,
 * with the length each file has before it, and synced; then it is appended to
 * both, and both are synced; then books.commit is emptied. Whoever finds a
 * whole batch in books.commit does the appending (again): the bytes and their
 * place are known. So a kill -9 or a power cut at any moment leaves either no
 * batch or, at the next start, all of it.
 *
 *	books.commit: "VAYLABK1" | u32 CRC-32C of all that follows |
 *	    u32 bytes for the journal | u32 bytes for beancount | u32 0 |
 *	    u64 length of the journal | u64 length of beancount, before |
 *	    the bytes. Little-endian. 8 zero bytes at the start: empty.
 *
 * A person may edit the files at any time: before a batch they are looked at,
 * and read anew when they are not as we left them. Rejected: a database beside
 * them that knows what was posted (two truths, and a restored backup of one of
 * them posts double).
 */
#ifndef VAYLA_CONNECTORS_FILE_BOOKS_H
#define VAYLA_CONNECTORS_FILE_BOOKS_H

#include "connectors/file/posting.h"

#define BOOKS_BATCH 64 /* facts in one batch */

struct books;

/* Makes the folder and the files where they are missing, finishes a batch that
 * was under way, and reads what stands there. The note says what to do. */
enum err books_open(struct books **out, const char *folder) MUST_CHECK;
void books_close(struct books *b); /* what was not committed is forgotten */

struct books_fact {
	struct slice id; /* the event's */
	uint64_t seq;
	uint32_t revision;
	const struct posting *posting; /* NULL: withdrawn */
};

/*
 * Put a fact into the batch under way. *text is what will stand in the journal
 * for it, valid until the next call; empty when there is nothing to write: it
 * stands there already, or a later revision does. ERR_BUSY: commit first (the
 * batch is full, or holds this event already). ERR_STATE: what is to be taken
 * back was changed by hand. Nothing of a fact that failed is in the batch.
 */
enum err books_add(
    struct books *b, const struct books_fact *f, struct slice *text) MUST_CHECK;

/*
 * On disk when ERR_OK. On ERR_FULL, ERR_IO and other errors of class RETRY
 * nothing of the batch is there and it is forgotten; ERR_SYNC: it is not known,
 * the process must end, and the next one finishes it.
 */
enum err books_commit(struct books *b) MUST_CHECK;
void books_drop(struct books *b);

size_t books_count(const struct books *b); /* events known */

/* For tests: called between the steps of a commit. */
extern void (*books_step)(const char *name);

#endif
