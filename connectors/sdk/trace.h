/*
 * trace - W3C trace context: one `traceparent` from the request that came in,
 * through every event that follows, to the last request that goes out.
 */
#ifndef VAYLA_SDK_TRACE_H
#define VAYLA_SDK_TRACE_H

#include "broker/base/arena.h"

/* "00-<32 hex>-<16 hex>-<2 hex>" in small letters, neither id all zeros. */
bool trace_ok(struct slice t);
/* What a sender gave, when it can be carried on, else a new one; in `a`. */
enum err trace_take(
    struct slice given, struct arena *a, struct slice *out) MUST_CHECK;

#endif
