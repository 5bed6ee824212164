/* lane - see lane.h. */
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/core/lane.h"

struct lane *
lane_find(const struct sub *s, struct slice subject)
{
	uint64_t h = table_hash(subject, SLICE_EMPTY);
	struct lane *l;
	size_t at = 0;

	while ((l = table_probe(&s->lanes, h, &at)) != NULL)
		if (slice_eq(lane_subject(l), subject))
			return l;
	return NULL;
}

/* Made stuck: the caller says what it is. */
struct lane *
lane_new(struct sub *s, struct slice subject, uint64_t seq)
{
	struct lane *l = calloc(1, sizeof(*l) + subject.n);

	if (l == NULL)
		err_die("no memory for a delivery");
	l->sub = s;
	l->seq = seq;
	l->state = LANE_STUCK;
	l->subject_n = subject.n;
	memcpy(l->subject, subject.p, subject.n);
	table_add(&s->lanes, table_hash(subject, SLICE_EMPTY), l);
	return l;
}

void
lane_free(struct delivery *d, struct lane *l)
{
	lane_leave(d, l);
	table_remove(
	    &l->sub->lanes, table_hash(lane_subject(l), SLICE_EMPTY), l);
	free(l);
}

void
lane_leave(struct delivery *d, struct lane *l)
{
	struct sub *s = l->sub;

	alarm_clear(&d->alarms, &l->alarm);
	switch (l->state) {
	case LANE_READY:
		if (l->prev != NULL)
			l->prev->next = l->next;
		else
			s->ready_first = l->next;
		if (l->next != NULL)
			l->next->prev = l->prev;
		else
			s->ready_last = l->prev;
		l->prev = l->next = NULL;
		break;
	case LANE_HAND:
		s->in_hand--;
		s->bytes_in_hand -= l->bytes;
		l->bytes = 0;
		break;
	case LANE_LATER:
	case LANE_STUCK:
		break;
	}
	if (l->state != LANE_STUCK)
		s->waiting--;
	if (l->suspect) {
		l->suspect = false;
		s->suspects--;
	}
	l->state = LANE_STUCK;
}

void
lane_ready(struct delivery *d, struct lane *l)
{
	struct sub *s = l->sub;

	lane_leave(d, l);
	l->state = LANE_READY;
	s->waiting++;
	l->prev = s->ready_last;
	if (s->ready_last != NULL)
		s->ready_last->next = l;
	else
		s->ready_first = l;
	s->ready_last = l;
}

/* Those that were lost stand before the others: they go one at a time. */
static void
ready_before_others(struct lane *l)
{
	struct sub *s = l->sub;

	l->state = LANE_READY;
	s->waiting++;
	l->next = s->ready_first;
	if (s->ready_first != NULL)
		s->ready_first->prev = l;
	else
		s->ready_last = l;
	s->ready_first = l;
	l->suspect = true;
	s->suspects++;
}

void
lane_later(struct delivery *d, struct lane *l, int64_t due)
{
	lane_leave(d, l);
	l->state = LANE_LATER;
	l->sub->waiting++;
	alarm_set(&d->alarms, &l->alarm, clock_mono() + (due - clock_now()));
}

void
lane_stuck(struct delivery *d, struct lane *l)
{
	lane_leave(d, l);
}

void
lane_hand(struct delivery *d, struct lane *l, size_t bytes)
{
	struct sub *s = l->sub;
	bool suspect = l->suspect;

	lane_leave(d, l);
	l->state = LANE_HAND;
	l->bytes = bytes;
	s->waiting++;
	s->in_hand++;
	s->bytes_in_hand += bytes;
	s->sent++;
	if (suspect) {
		l->suspect = true;
		s->suspects++;
	}
	alarm_set(
	    &d->alarms, &l->alarm, clock_mono() + s->patience_ms * NS_PER_MS);
}

void
lane_take(struct delivery *d, struct lane *l, const struct open_item *it)
{
	l->seq = it->seq;
	l->attempt = it->attempt;
	l->lost = 0;
	l->again = false;
	switch (it->state) {
	case OPEN_READY:
	case OPEN_BEHIND:
		lane_ready(d, l);
		break;
	case OPEN_RETRY:
	case OPEN_WAIT:
		lane_later(d, l, it->due);
		break;
	case OPEN_ASK:
	case OPEN_PARKED:
		lane_stuck(d, l);
		break;
	}
}

void
lane_pass(struct delivery *d, struct lane *l, bool park, const char *text)
{
	struct pass *p = calloc(1, sizeof(*p));

	if (p == NULL)
		err_die("no memory");
	lane_leave(d, l);
	*p = (struct pass){l->sub, l->seq, park, text, d->passes};
	d->passes = p;
}

void
lane_lost(struct delivery *d, struct lane *l, bool alone, bool suspect)
{
	l->again = true;
	l->sub->lost++;
	lane_leave(d, l);
	if (!alone)
		l->lost = 0;
	else if (++l->lost >= DELIVERY_LOSSES) {
		lane_pass(d, l, true,
		    "the connector was lost three times with this delivery "
		    "alone in hand; look at its log and the far side, then "
		    "retry or skip");
		return;
	}
	if (suspect)
		ready_before_others(l);
	else
		lane_ready(d, l);
}
