/*
 * histo - how often something took how long: counts in fixed buckets, as
 * Prometheus wants them. One thread.
 */
#ifndef VAYLA_CORE_HISTO_H
#define VAYLA_CORE_HISTO_H

#include "broker/base/mp.h"

#define HISTO_BUCKETS 15

struct histo {
	uint64_t n[HISTO_BUCKETS]; /* the last one: longer than all bounds */
	uint64_t count;
	int64_t sum_ns;
};

void histo_add(struct histo *h, int64_t ns);
/* {sum_ns, buckets: [[bound in ns, at most so long], ...]}; cumulative, the
 * last bound 0 is infinity. */
void histo_write(const struct histo *h, struct buf *out);

#endif
