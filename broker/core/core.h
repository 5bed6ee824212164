/*
 * core - what the daemon's rooms share: borrowed pointers, set when the broker
 * starts. Turn thread only. Only `rules` changes later, between two turns'
 * events (rules.c).
 */
#ifndef VAYLA_CORE_CORE_H
#define VAYLA_CORE_CORE_H

#include "broker/base/config.h"
#include "broker/core/index.h"
#include "broker/core/seal.h"

/* How deliveries are tried again: broker.retry in vayla.yaml. */
struct retry_rule {
	int64_t first_ms, most_ms; /* 1 s; 1 h */
	uint32_t attempts;	   /* 30: about a day */
};

struct core {
	const struct config *cfg;
	struct log *log;
	struct log_reader *reader;
	struct index *index;
	struct keys *keys;
	struct sealer *sealer;
	struct ruleset *rules;
	struct retry_rule retry;
	uint64_t epoch;
	uint64_t start; /* first sequence of this run */
	int64_t started;
	/* since the start, for `status` */
	uint64_t published, duplicates, refused;
};

#endif
