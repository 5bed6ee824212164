/*
 * flush - the append of a turn, on a thread of its own, so that the turn thread
 * can take the next messages from the socket while the disk syncs (it does
 * nothing else then: it makes no turn and reads no journal).
 *
 * One append at a time. Between flush_begin() and flush_end() the batch and the
 * log belong to the flusher. Rejected: a larger receive queue in the socket,
 * which is counted in messages and so bounds no memory.
 */
#ifndef VAYLA_CORE_FLUSH_H
#define VAYLA_CORE_FLUSH_H

#include "broker/core/batch.h"

struct flush;
enum err flush_open(struct flush **out) MUST_CHECK;
void flush_close(struct flush *f); /* NULL is a no-op */

void flush_begin(struct flush *f, struct batch *b);
int flush_fd(const struct flush *f); /* readable: it is done */
/* What batch_store() gave, with its note; waits if need be. */
enum err flush_end(struct flush *f) MUST_CHECK;

#endif
