/*
 * guard - which event was being mapped when the process died. A page of shared
 * memory over a file: it needs no sync, because it is for a process that
 * crashes, not for a machine that loses power.
 *
 * An event at which the broker died twice is not evaluated a third time: the
 * turn stores it parked (BUS.md, "Accepting never depends on a mapping").
 */
#ifndef VAYLA_CORE_GUARD_H
#define VAYLA_CORE_GUARD_H

#include "broker/base/err.h"
#include "broker/base/slice.h"

#define GUARD_CRASHES 2

struct guard;
enum err guard_open(struct guard **out, const char *path) MUST_CHECK;
void guard_close(struct guard *g);

/* Around an evaluation; false: it must not take place. */
bool guard_enter(struct guard *g, struct slice source, struct slice id);
void guard_leave(struct guard *g);
/* A person says: try once more. */
void guard_forget(struct guard *g, struct slice source, struct slice id);

#endif
