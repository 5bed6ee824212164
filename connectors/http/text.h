/*
 * text - what is put together for a request: a URL, headers, a body, each a
 * template over formulas, compiled when the pack loads.
 *
 * Invariant: data never decides where a request goes. The host stands in the
 * pack or in a setting; every {hole} behind it is percent-encoded, and a hole
 * of the path that comes out blank, "." or ".." refuses the request: another
 * resource than was meant would be asked for (or deleted).
 */
#ifndef VAYLA_HTTP_TEXT_H
#define VAYLA_HTTP_TEXT_H

#include "broker/base/yaml_check.h"
#include "mappings/engine/formula.h"
#include "mappings/engine/pack.h"

#define URL_MAX 8192
#define URL_PARTS 32
#define HEADERS_MAX 16

/* Where templates are loaded from. */
struct text_in {
	struct yaml_at at;
	const struct pack *pack;
	struct arena *a;
};

struct url_text {
	struct slice shown;	    /* as written in the pack: for people */
	const struct formula *base; /* NULL: the first part has the host */
	size_t n;
	struct {
		const struct formula *hole; /* NULL: literal */
		struct slice literal;
		bool query; /* behind the ? */
	} parts[URL_PARTS];
};

struct header_text {
	struct slice name;
	const struct formula *value;
};

/* A body: formulas in the shape of a map or a list. */
struct tree_text {
	enum { TREE_VALUE, TREE_MAP, TREE_LIST } kind;
	struct slice key;
	bool optional; /* key?: left out when absent */
	const struct formula *value;
	struct tree_text *child, *next;
	uint32_t count;
};

/* A formula of a section; NULL with a fault when it is none (NULL y: absent,
 * without one). `secrets`: it may name secret settings. */
const struct formula *text_formula(const struct text_in *l,
    const struct yaml *y, unsigned roots, const struct schema_field *in,
    bool secrets);

/* Each: false with a fault. */
bool url_load(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, struct url_text *out);
bool headers_load(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, struct header_text **out, size_t *n);
bool tree_load(const struct text_in *l, const struct yaml *y, unsigned roots,
    const struct schema_field *in, struct tree_text *out);

/* Is the system's base URL set (or none needed)? */
bool url_ready(const struct url_text *u, const struct formula_env *env,
    struct arena *scratch);

/* Appended to `out`. ERR_MISSING and the like name the hole. */
enum err url_put(const struct url_text *u, const struct formula_env *env,
    struct arena *scratch, struct buf *out) MUST_CHECK;
/* "Name: value" with a NUL behind each. */
enum err headers_put(const struct header_text *h, size_t n,
    const struct formula_env *env, struct arena *scratch,
    struct buf *out) MUST_CHECK;
/* As msgpack. */
enum err tree_put(const struct tree_text *t, const struct formula_env *env,
    struct arena *scratch, struct buf *out) MUST_CHECK;
/* A map of scalars as application/x-www-form-urlencoded. */
enum err tree_form(const struct tree_text *t, const struct formula_env *env,
    struct arena *scratch, struct buf *out) MUST_CHECK;

/* "90s", "5m", "1h", "2d" into ns; false with a fault. NULL y leaves *ns. */
bool text_duration(const struct text_in *l, const struct yaml *y,
    const char *what, int64_t *ns);
/* A whole number of the range; NULL y leaves *out. */
bool text_number(const struct text_in *l, const struct yaml *y,
    const char *what, int64_t min, int64_t max, int64_t *out);

#endif
