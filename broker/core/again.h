/*
 * again - does one `again: revise by` value exceed another? Pure.
 *
 * Values are msgpack as a mapping wrote them: times, numbers (exact), texts.
 * Those of two kinds are not comparable: then nothing exceeds, and the first
 * fact stands.
 */
#ifndef VAYLA_CORE_AGAIN_H
#define VAYLA_CORE_AGAIN_H

#include "broker/base/mp.h"

/* Is a > b? */
bool again_exceeds(struct slice a, struct slice b);

#endif
