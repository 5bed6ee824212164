/*
 * native - one native event, from a row of a door and a value: by webhook or
 * by poll, the same fact gets the same id here and nowhere else.
 */
#ifndef VAYLA_SDK_NATIVE_H
#define VAYLA_SDK_NATIVE_H

#include "broker/wire/event.h"
#include "connectors/sdk/door.h"

/* Everything absent. */
void native_init(struct event *ev);

/*
 * A text of an event, at most EVENT_TEXT bytes, kept in scratch. ERR_MISSING
 * when it is absent or blank; notes begin with `what`.
 */
enum err native_text(const struct formula *x, const struct formula_env *env,
    const char *what, struct arena *scratch, struct slice *out) MUST_CHECK;

/* type, id, subject, person and time of `ev`; `now` where the row names no
 * time, or it is absent. A traceparent that is set and well formed stays,
 * otherwise a trace begins here. */
enum err native_fill(const struct door_row *row, const struct formula_env *env,
    int64_t now, struct arena *scratch, struct event *ev) MUST_CHECK;

#endif
