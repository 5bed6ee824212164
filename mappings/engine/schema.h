/*
 * schema - what a type of event holds: for checking mappings when they load,
 * for knowing which fields are personal, and for documentation.
 *
 * One YAML file a type: mappings/canonical/<type>.yaml for the vocabulary,
 * mappings/<pack>/schema/<type>.yaml for a product's own types.
 *
 *     schema: order.placed/1
 *     title: What a customer bought
 *     subject: {kind: order, scope: system}   # canonical: system | house
 *     person: buyer.email                     # whose data this is, optional
 *     blank: absent                           # "" means absent, for all fields
 *     zone: UTC                               # of zoneless times
 *     open: true                              # unknown fields are allowed
 *     seal: marked                            # whole | marked, see below
 *     fields:
 *       number: text
 *       company?: {type: text, personal: true}
 *       status: {type: text, enum: [processing, on-hold]}
 *       totals: {fields: {net: decimal, gross: decimal}}
 *       lines: {items: {id: text, quantity: decimal}}
 *       tags?: {list: text}
 *       meta_value?: any
 *       Ntry?: {many: true, fields: {..}}     # XML, EDIFACT: any number of
 * them payload: {json: true, fields: {..}}   # a text that holds JSON
 *
 * Types: text integer decimal bool time date any; `name?` is optional; text
 * takes a number's digits, decimal takes digits in a text, time takes ISO text
 * (with `zone` where it names none). A native event's whole body is personal
 * and sealed; of a canonical one the marked fields. `seal:` says otherwise: a
 * request such as a posting, which law demands be kept, says `seal: marked`.
 *
 * many: the field is a list of what is described; of a source that repeats an
 * element instead of writing a list, one is a list too (xml.h, edifact.h).
 * json: what a mapping reads there is what the text holds; the event keeps the
 * text as it was sent. Native types only.
 */
#ifndef VAYLA_ENGINE_SCHEMA_H
#define VAYLA_ENGINE_SCHEMA_H

#include "broker/base/mp.h"
#include "broker/base/yaml.h"
#include "broker/base/zone.h"

enum schema_type {
	SCHEMA_ANY,
	SCHEMA_TEXT,
	SCHEMA_INTEGER,
	SCHEMA_DECIMAL,
	SCHEMA_BOOL,
	SCHEMA_TIME,
	SCHEMA_DATE,
	SCHEMA_MAP,
	SCHEMA_LIST
};

struct schema_field {
	struct slice name;
	enum schema_type type;
	bool optional, personal;
	bool blank_absent;	 /* "" is absent here */
	bool json;		 /* a text that holds JSON of this type */
	const struct zone *zone; /* of zoneless times, or NULL */
	size_t enum_n;
	const struct slice *enums;
	const struct schema_field *fields; /* MAP: first of its fields */
	const struct schema_field *item;   /* LIST: what each item is */
	const struct schema_field *next;
	struct slice title;
	uint32_t line;
};

struct schema {
	struct slice type; /* "order.placed" */
	int version;
	bool canonical;	   /* from mappings/canonical */
	bool open;	   /* unknown fields are fine (drift, not error) */
	bool whole;	   /* sealed whole, not only its marked fields */
	struct slice kind; /* subject kind, canonical only */
	bool house;	   /* subject scope is house, not system */
	bool json;	   /* one of its fields is json */
	struct slice title, person;
	struct schema_field root; /* MAP */
	const char *file;
};

/* Load one file; everything lives in `a`. ERR_SYNTAX when `f` got a fault. */
enum err schema_load(const char *path, bool canonical, struct arena *a,
    struct faults *f, const struct schema **out) MUST_CHECK;

const struct schema_field *schema_find(
    const struct schema_field *map, struct slice name);

/* NULL-terminated names of a map's fields, for "did you mean". */
const char *const *schema_names(
    const struct schema_field *map, struct arena *a);

/* Does this whole value fit (required fields, types, enums)? ERR_TYPE,
 * ERR_MISSING with the path in the note. Unknown fields pass if open. */
enum err schema_check(const struct schema *s, struct slice data) MUST_CHECK;

/* Why this one value, of what stands within it only the kind, is not what the
 * field describes; NULL when it is. Absence is the caller's business. */
const char *schema_misfit(const struct schema_field *x, const struct mp *v);

/*
 * Data with every text of a `json` field replaced by what it holds: appended to
 * out. ERR_SYNTAX names the path of a text that is no JSON. Blank and null stay
 * as they are, and what is no text.
 */
enum err schema_unpack(
    const struct schema *s, struct slice data, struct buf *out) MUST_CHECK;

/*
 * Divide data into what stays open and what is sealed: every personal value is
 * replaced in `open` by MP_EXT_SEALED n, and appended to `sealed`, a msgpack
 * array of the values. s = NULL or s->whole: the whole of data is one sealed
 * value. *count is how many were taken; 0 leaves `sealed` empty. Data that
 * holds a MP_EXT_SEALED of its own where it stays open is refused (ERR_TYPE).
 */
enum err schema_split(const struct schema *s, struct slice data,
    struct buf *open, struct buf *sealed, uint32_t *count) MUST_CHECK;

/* The inverse: byte for byte the data that was divided. */
enum err schema_merge(
    struct slice open, struct slice sealed, struct buf *out) MUST_CHECK;

/* For an erased person: sealed values become absent: a map's key is left out, a
 * list's item likewise, the whole data an empty map. */
enum err schema_merge_erased(struct slice open, struct buf *out) MUST_CHECK;

#endif
