/*
 * beside - the journal of a broker, opened to be read by another process while
 * the broker runs, or when none does. Nothing is written and nothing is locked;
 * what comes later is not seen. It needs the files' owner's rights (0600).
 */
#ifndef VAYLA_CORE_BESIDE_H
#define VAYLA_CORE_BESIDE_H

#include "broker/core/core.h"

struct beside {
	struct core core; /* rules: NULL until the caller sets it */
};

/* ERR_NOTFOUND: no journal, or no index.db yet. ERR_DENIED with what to do. */
enum err beside_open(struct beside *b, const struct config *c) MUST_CHECK;
void beside_close(struct beside *b);

#endif
