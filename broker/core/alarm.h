/*
 * alarm - what is to happen at a time, earliest first: a binary heap of nodes
 * that lie inside their owners and know their place, so that one can be moved
 * or taken out at any time and none outlives its owner unseen.
 *
 * Times are clock_mono(). alarm_clear() before an owner is freed.
 */
#ifndef VAYLA_CORE_ALARM_H
#define VAYLA_CORE_ALARM_H

#include <stddef.h>
#include <stdint.h>

struct alarm {
	int64_t due;
	size_t place; /* in the heap, from 1; 0: not set */
};

struct alarms {
	struct alarm **heap; /* from 1 */
	size_t n, cap;
};

void alarms_init(struct alarms *h);
void alarms_fini(struct alarms *h);
/* Set, or move when it is set. */
void alarm_set(struct alarms *h, struct alarm *a, int64_t due);
void alarm_clear(struct alarms *h, struct alarm *a);
/* The earliest, NULL when there is none. */
struct alarm *alarms_first(const struct alarms *h);

/* The struct that holds `a` as its member. */
#define ALARM_OWNER(a, type, member) \
	((type *)(void *)((char *)(a)-offsetof(type, member)))

#endif
