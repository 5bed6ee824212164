/* alarm - see alarm.h. */
#include <stdlib.h>

#include "broker/base/err.h"
#include "broker/core/alarm.h"

void
alarms_init(struct alarms *h)
{
	*h = (struct alarms){0};
}

void
alarms_fini(struct alarms *h)
{
	for (size_t i = 1; i <= h->n; i++)
		h->heap[i]->place = 0;
	free(h->heap);
	alarms_init(h);
}

static void
put(struct alarms *h, size_t i, struct alarm *a)
{
	h->heap[i] = a;
	a->place = i;
}

static void
up(struct alarms *h, size_t i)
{
	struct alarm *a = h->heap[i];

	for (; i > 1 && h->heap[i / 2]->due > a->due; i /= 2)
		put(h, i, h->heap[i / 2]);
	put(h, i, a);
}

static void
down(struct alarms *h, size_t i)
{
	struct alarm *a = h->heap[i];
	size_t k;

	for (; (k = 2 * i) <= h->n; i = k) {
		if (k < h->n && h->heap[k + 1]->due < h->heap[k]->due)
			k++;
		if (h->heap[k]->due >= a->due)
			break;
		put(h, i, h->heap[k]);
	}
	put(h, i, a);
}

void
alarm_set(struct alarms *h, struct alarm *a, int64_t due)
{
	a->due = due;
	if (a->place == 0) {
		if (h->n + 1 >= h->cap) {
			h->cap = h->cap > 0 ? h->cap * 2 : 64;
			h->heap = realloc(h->heap, h->cap * sizeof(*h->heap));
			if (h->heap == NULL)
				err_die("no memory for %zu alarms", h->cap);
		}
		put(h, ++h->n, a);
	}
	up(h, a->place);
	down(h, a->place);
}

void
alarm_clear(struct alarms *h, struct alarm *a)
{
	struct alarm *last;
	size_t i = a->place;

	if (i == 0)
		return;
	a->place = 0;
	last = h->heap[h->n--];
	if (last == a)
		return;
	put(h, i, last);
	up(h, i);
	down(h, last->place);
}

struct alarm *
alarms_first(const struct alarms *h)
{
	return h->n > 0 ? h->heap[1] : NULL;
}
