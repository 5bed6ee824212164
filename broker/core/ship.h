/*
 * ship - the primary's side of a standby (broker.standby): a thread with a
 * socket of its own, from which the standby (standby.c) takes the bytes of the
 * journal (STANDBY.md).
 *
 * A standby asks for what comes behind what it has on its disk; so each
 * question confirms all before it. Bytes are given when our own disk has them,
 * so a standby never has more than we. The turn thread waits for the standby
 * before it confirms anything:
 *
 *   TOGETHER  each turn is confirmed when both disks have it
 *   HELD      away: wait - no turn is taken, publishers are told to come again
 *   ALONE     away: alone - the standby did not answer within its patience;
 *             turns are confirmed without it, until it has caught up
 *
 * A promoted standby says FENCE with its higher epoch: then this journal is not
 * the primary's any more, DATA/fenced says so, and the broker ends.
 */
#ifndef VAYLA_CORE_SHIP_H
#define VAYLA_CORE_SHIP_H

#include "broker/core/core.h"

enum ship_state { SHIP_TOGETHER, SHIP_HELD, SHIP_ALONE };

struct ship;
/* NULL in *out without broker.standby. context: the bus's, whose door decides
 * who comes in; the role standby is asked for here. ERR_STATE: DATA/fenced. */
enum err ship_open(
    struct ship **out, const struct core *core, void *context) MUST_CHECK;
void ship_close(struct ship *s); /* NULL is a no-op */

/* Turn thread; NULL is always GO. */
enum ship_answer { SHIP_GO, SHIP_WAIT, SHIP_HOLD, SHIP_FENCED };
int ship_fd(const struct ship *s); /* readable: ask again; -1 */
/* May a turn be taken? */
enum ship_answer ship_ready(struct ship *s);
/* May what was stored at `since` (monotonic) be confirmed? */
enum ship_answer ship_confirm(struct ship *s, int64_t since);

struct ship_stat {
	enum ship_state state;
	int64_t since;	 /* wall clock: in this state */
	uint64_t behind; /* bytes that the standby does not have */
	uint64_t alone;	 /* turns confirmed without it since the start */
	int64_t heard;	 /* wall clock: its last word; 0: never */
};
void ship_stat(struct ship *s, struct ship_stat *out); /* any thread */
const char *ship_state_name(enum ship_state s);

/* Has a promotion elsewhere ended this journal? ERR_STATE says so. */
enum err ship_check_fence(const char *data, uint64_t epoch) MUST_CHECK;

/* The promoted one's side: tell the primary it followed (broker.follow), again
 * and again, that there is a higher epoch. NULL in *out when it never was a
 * standby. */
struct fence;
enum err fence_start(struct fence **out, const struct core *core) MUST_CHECK;
void fence_stop(struct fence *f); /* NULL is a no-op */

#endif
