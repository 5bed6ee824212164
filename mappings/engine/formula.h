/*
 * formula - one expression (or text with {holes}) of a pack.yaml, compiled: the
 * same language as mappings, over other roots. Connectors use it for ids,
 * subjects, signature templates, outcomes, URLs.
 *
 * Roots: $in (the body as msgpack; bare names are its fields), $settings,
 * $request (msgpack map: method, path, query map, headers map in lower case,
 * url, body text), $status (integer), header('name').
 */
#ifndef VAYLA_ENGINE_FORMULA_H
#define VAYLA_ENGINE_FORMULA_H

#include "broker/base/arena.h"
#include "broker/base/yaml.h"
#include "mappings/engine/schema.h"

struct formula;

struct formula_env {
	struct slice in;       /* msgpack value or empty */
	struct slice settings; /* msgpack map or empty */
	struct slice request;  /* msgpack map or empty */
	int64_t status;
};

enum { /* which roots a formula may use */
	FORMULA_IN = 1,
	FORMULA_SETTINGS = 2,
	FORMULA_REQUEST = 4, /* and header() */
	FORMULA_STATUS = 8
};

/* Compile a scalar node (plain: expression; quoted: text with holes). `in`: the
 * schema of $in where known, or NULL (then paths are unchecked and optional).
 */
enum err formula_load(const struct formula **out, const char *file,
    const struct yaml *node, unsigned roots, const struct schema_field *in,
    const struct schema_field *settings, struct arena *a,
    struct faults *f) MUST_CHECK;

/*
 * Evaluate to text (numbers as digits), to a truth value, or to msgpack.
 * ERR_MISSING when absent; other errors name the expression's place. `scratch`
 * gets whatever is needed meanwhile.
 */
enum err formula_text(const struct formula *x, const struct formula_env *env,
    struct arena *scratch, struct buf *out) MUST_CHECK;
enum err formula_true(const struct formula *x, const struct formula_env *env,
    struct arena *scratch, bool *out) MUST_CHECK;
enum err formula_mp(const struct formula *x, const struct formula_env *env,
    struct arena *scratch, struct buf *out) MUST_CHECK;

#endif
