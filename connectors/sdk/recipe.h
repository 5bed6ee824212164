/*
 * recipe - how a sender proves who it is, as data: the `verify:` section of a
 * pack (mappings/PACKS.md), compiled; checked by the receiver, and applied by
 * whoever plays that sender.
 *
 * What is compared is compared in constant time, and a request that does not
 * verify fails with ERR_SIGNATURE whatever was wrong with it; the note, which
 * is for our log only, tells the reasons apart.
 *
 * Rejected: a function per vendor. 25 schemes met so far are one keyed hash
 * over a text that is put together; what differs is data.
 */
#ifndef VAYLA_SDK_RECIPE_H
#define VAYLA_SDK_RECIPE_H

#include "connectors/sdk/params.h"
#include "mappings/engine/formula.h"

/* A request as received, all of it borrowed. */
struct request {
	struct slice method; /* "POST" */
	struct slice path;   /* "/in/shop", without the query */
	struct slice url;    /* as the sender addressed us */
	struct slice body;
	struct params query, form;
	struct params headers; /* names in lower case */
	struct slice mp;       /* $request of formulas: request_mp() */
};

/* Write what formulas see of a request: {method, path, url, query, headers} and
 * `body` where it is UTF-8. */
void request_mp(const struct request *q, bool with_body, struct buf *out);

struct recipe;

enum recipe_place { RECIPE_HEADER, RECIPE_PARAM, RECIPE_FIELD };

/* Compile the section. `settings`: the pack's, with the secret ones. NULL root
 * is never returned with ERR_OK; ERR_SYNTAX when `f` got a fault. */
enum err recipe_load(const struct recipe **out, const char *file,
    const struct yaml *node, const struct schema_field *settings,
    struct arena *a, struct faults *f) MUST_CHECK;

/* Where the signature stands. */
enum recipe_place recipe_place(const struct recipe *r, struct slice *name);

/*
 * Did the holder of a key sign this request? ERR_OK, ERR_SIGNATURE, or
 * ERR_LIMIT when `scratch` is too small. `now` is ns since the epoch, for
 * recipes with a timestamp; `settings` holds the secret ones.
 */
enum err recipe_verify(const struct recipe *r, const struct request *q,
    struct slice settings, int64_t now, struct arena *scratch) MUST_CHECK;

/* What signing adds to a request, at `place`; everything lives in scratch. */
struct recipe_added {
	enum recipe_place place;
	struct slice name, value;
};
#define RECIPE_ADDED 2

/* Sign with the first key, at the moment `now`. The request must hold all that
 * the recipe covers but what is added here. */
enum err recipe_sign(const struct recipe *r, const struct request *q,
    struct slice settings, int64_t now, struct arena *scratch,
    struct recipe_added out[RECIPE_ADDED], size_t *n) MUST_CHECK;

#endif
