/*
 * recipe_shape - a compiled recipe, between its loader and its use. Nobody else
 * includes this.
 */
#ifndef VAYLA_SDK_RECIPE_SHAPE_H
#define VAYLA_SDK_RECIPE_SHAPE_H

#include "broker/base/crypt.h"
#include "connectors/sdk/recipe.h"

#define RECIPE_KEYS 4	/* keys written in the pack; each may be a list */
#define RECIPE_PARTS 16 /* parts of `over` */
#define RECIPE_EXCEPT 8
#define RECIPE_PAIRS 16 /* keys times signatures that are tried */

enum recipe_encoding { ENC_HEX, ENC_HEX_UPPER, ENC_BASE64 };

/* One value or a list of them at a place. */
struct recipe_at {
	enum recipe_place place;
	struct slice name;   /* headers: in lower case */
	struct slice shown;  /* as written, for signing */
	struct slice split;  /* empty: one value */
	struct slice prefix; /* of the pieces that count */
};

struct recipe_part {
	enum {
		PART_BODY,
		PART_TIME,
		PART_KEY,
		PART_TEXT,
		PART_PARAMS,
		PART_DIGEST
	} is;
	const struct formula *text;
	/* PARAMS */
	enum { FROM_QUERY, FROM_FORM, FROM_HEADERS } from;
	struct slice prefix, join, between;
	bool only_value;
	size_t except_n;
	struct slice except[RECIPE_EXCEPT];
	/* DIGEST of the body */
	enum hash_alg alg;
	enum recipe_encoding encoding;
};

struct recipe {
	enum { PROOF_HMAC, PROOF_HASH, PROOF_TOKEN } proof;
	enum hash_alg alg; /* without `by` */
	const struct formula *by;
	unsigned among; /* bit per enum hash_alg */
	const struct formula *token;
	size_t keys_n;
	const struct formula *keys[RECIPE_KEYS];
	struct slice strip;
	enum { KEY_TEXT, KEY_HEX, KEY_BASE64 } key_form;
	size_t parts_n;
	struct recipe_part parts[RECIPE_PARTS];
	enum recipe_encoding encoding;
	struct recipe_at at;
	bool timed;
	struct recipe_at time_at;
	enum { UNIT_S, UNIT_MS, UNIT_ISO } unit;
	int64_t within; /* ns */
};

#endif
