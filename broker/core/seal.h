/*
 * seal - an event's way onto the disk and back: divides personal from open data
 * by the type's schema, seals under the subject's slot, and puts it together
 * again. A type without a schema is sealed whole, and so is one that says so
 * (all that are not canonical, but for `seal: marked`).
 */
#ifndef VAYLA_CORE_SEAL_H
#define VAYLA_CORE_SEAL_H

#include "broker/core/keys.h"
#include "broker/wire/event.h"
#include "mappings/engine/ruleset.h"

struct sealer;
enum err sealer_new(struct sealer **out, struct keys *k) MUST_CHECK;
void sealer_free(struct sealer *s);

/* In two steps, so that only a subject of which something is sealed takes a
 * slot. Split sets e->digest (of e->data as it is), unless the caller has, and
 * says whether anything of the data is personal; if not, e is what is stored.
 * Else seal sets e->data and e->sealed to that; what is new of their bytes
 * lives in the sealer until sealer_reset(). schema: of the type, or NULL. Close
 * is both. Turn thread only. */
enum err sealer_split(struct sealer *s, const struct schema *schema,
    struct event *e, bool *personal) MUST_CHECK;
enum err sealer_seal(
    struct sealer *s, uint32_t slot, struct event *e) MUST_CHECK;
enum err sealer_close(struct sealer *s, const struct schema *schema,
    uint32_t slot, struct event *e) MUST_CHECK;
/* The inverse for an event that was read: e->data becomes the data as
 * published, e->sealed empty. *erased: the key is gone; e->data is what is
 * left. ERR_SIGNATURE when the bytes are not those that were sealed. */
enum err sealer_open(
    struct sealer *s, struct event *e, bool *erased) MUST_CHECK;
/* An effect's excerpt, sealed whole under the event's slot; and back. */
enum err sealer_close_bytes(struct sealer *s, uint32_t slot, struct slice plain,
    struct slice *out) MUST_CHECK;
enum err sealer_open_bytes(
    struct sealer *s, struct slice sealed, struct slice *out) MUST_CHECK;
void sealer_reset(struct sealer *s);

#endif
