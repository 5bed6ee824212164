/*
 * door - the `receive:` section of a pack (mappings/PACKS.md), compiled: which
 * requests a product sends us, how each proves who sent it, and what events it
 * becomes. Used by the receiver, and by whoever plays that product.
 */
#ifndef VAYLA_SDK_DOOR_H
#define VAYLA_SDK_DOOR_H

#include "connectors/sdk/recipe.h"
#include "mappings/engine/pack.h"

#define DOOR_BODY_MAX (1024 * 1024)
#define DOORS_MAX 16 /* of one pack */

enum door_method { DOOR_GET = 1, DOOR_POST = 2, DOOR_PUT = 4 };
enum door_body { DOOR_JSON, DOOR_FORM, DOOR_QUERY, DOOR_XML };

struct door_row {
	struct slice topic; /* the value of `by`; empty without `by` */
	struct slice type;  /* "shop.order" */
	const struct formula *id, *subject;
	const struct formula *person, *time; /* or NULL */
};

struct door {
	struct slice path; /* the word after the system's name, or empty */
	unsigned methods;  /* of enum door_method */
	enum door_body body;
	size_t max_body;
	const struct formula *ignore, *items, *by; /* or NULL */
	const struct recipe *verify;
	size_t json_n;		     /* of a form or a query: */
	const struct slice *json;    /* its fields that hold JSON */
	const struct schema *schema; /* of XML: what repeats; or NULL */
	size_t rows_n;
	struct door_row *rows;
	bool keep;	 /* a topic without a row is kept, not dropped */
	bool wants_body; /* some formula reads $request.body */
	int64_t answer_status;
	struct slice answer_type, answer_body;
};

struct doors {
	size_t n;
	struct door *v;
};

/* 0 doors and ERR_OK where the pack has no such section; ERR_SYNTAX when `f`
 * got a fault. */
enum err doors_load(const struct pack *p, struct arena *a, struct faults *f,
    struct doors *out) MUST_CHECK;

/* One row (`type id subject person time`) as it stands under `rows`, or under
 * `event` in other sections. Faults go to `f`. */
void door_row_load(struct door_row *out, const struct pack *p,
    const struct yaml *y, struct arena *a, struct faults *f);

/* The door at that path, NULL when there is none. */
const struct door *doors_find(const struct doors *d, struct slice path);

const struct door_row *door_row(const struct door *d, struct slice topic);

/* "GET, POST", for Allow. */
const char *door_methods(unsigned methods);

#endif
