/*
 * lane - what delivery.c keeps of one subject of a subscription, and the
 * bookkeeping that goes with every change of its state: the list of those that
 * are ready, the credit of those in hand, alarms. Private to delivery.
 */
#ifndef VAYLA_CORE_LANE_H
#define VAYLA_CORE_LANE_H

#include "broker/core/delivery.h"

struct lane *lane_find(const struct sub *s, struct slice subject);
struct lane *lane_new(struct sub *s, struct slice subject, uint64_t seq);
void lane_free(struct delivery *d, struct lane *l);
/* Leave the present state in good order. */
void lane_leave(struct delivery *d, struct lane *l);
void lane_ready(struct delivery *d, struct lane *l);
void lane_later(struct delivery *d, struct lane *l, int64_t due);
void lane_stuck(struct delivery *d, struct lane *l);
void lane_hand(struct delivery *d, struct lane *l, size_t bytes);
/* As an open item of the index says. */
void lane_take(struct delivery *d, struct lane *l, const struct open_item *it);
/* In hand and lost: again, or parked when it was alone too often. */
void lane_lost(struct delivery *d, struct lane *l, bool alone, bool suspect);
/* Something to be recorded in the next turn; the lane stands still until
 * then. */
void lane_pass(struct delivery *d, struct lane *l, bool park, const char *text);

static inline struct slice
lane_subject(const struct lane *l)
{
	return slice_of(l->subject, l->subject_n);
}

#endif
