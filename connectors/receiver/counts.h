/*
 * counts - what became of requests, per system: for the broker's status, for
 * Prometheus, and a log line for a refusal now and then.
 */
#ifndef VAYLA_RECEIVER_COUNTS_H
#define VAYLA_RECEIVER_COUNTS_H

#include "connectors/receiver/intake.h"

struct counts {
	struct slice system; /* a name, or "?" for addresses nobody has */
	uint64_t of[OUT_COUNT];
};

/* As PING's report: at most 64 counters "shop.stored", those above 0. */
void counts_report(const struct counts *c, size_t n, uint64_t connections,
    uint64_t waiting, struct buf *out);

/* As Prometheus reads it. */
void counts_metrics(const struct counts *c, size_t n, uint64_t connections,
    uint64_t waiting, struct buf *out);

/* One more; a refusal is logged, at most ten lines a second of all. */
void counts_add(struct counts *c, enum outcome what, const char *why);

#endif
