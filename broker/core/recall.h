/*
 * recall - why does an event of the journal hold what it holds? Its mapping is
 * run once more as it then was: the ruleset that the event names, read from its
 * bundle, the input that caused it, and joins that see what was there before
 * it. Nothing was kept for that when it was made, and nothing is changed.
 */
#ifndef VAYLA_CORE_RECALL_H
#define VAYLA_CORE_RECALL_H

#include "broker/core/beside.h"

struct recalled {
	char map[EVENT_TEXT + 1]; /* "SYSTEM/NAME/VERSION" */
	char ruleset[65];
	uint64_t cause;
	bool same;   /* it gives the bytes that were recorded */
	bool sealed; /* personal data is among what is said */
};

/* The ruleset of that hash as it was, unpacked into a folder of its own (of
 * 4,000 bytes), which the caller removes with it. ERR_NOTFOUND. */
enum err recall_rules(const struct core *core, const uint8_t hash[32],
    char *dir, struct ruleset **out) MUST_CHECK;

/* The explanation of event `seq` into `out`, as mapping.h says of eval_explain.
 * ERR_NOTFOUND: no such event. ERR_STATE: no mapping made it. ERR_ERASED. */
enum err recall_explain(struct beside *b, uint64_t seq, enum explain_form form,
    struct buf *out, struct recalled *say) MUST_CHECK;

#endif
