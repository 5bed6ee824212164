/*
 * pack - one product's folder, loaded: pack.yaml, its schemas and mappings.
 *
 * The engine understands `pack title settings`, schemas and mappings; the
 * sections for connectors (receive, poll, send, auth, limits, health) are given
 * out as YAML nodes and understood by the connector that uses them.
 */
#ifndef VAYLA_ENGINE_PACK_H
#define VAYLA_ENGINE_PACK_H

#include "broker/base/config.h"
#include "mappings/engine/mapping.h"

struct pack_setting {
	struct slice name;
	enum {
		SETTING_TEXT,
		SETTING_URL,
		SETTING_PATH,
		SETTING_ZONE,
		SETTING_INTEGER,
		SETTING_DECIMAL,
		SETTING_BOOL,
		SETTING_DATE
	} type;
	bool required, secret;
	const struct yaml *fallback; /* default: */
};

/* A row of send: - a request type of the pack and what it wants. */
struct pack_send {
	struct slice type; /* "ledger.posting" */
	enum { SEND_AGAIN, SEND_REVERSE, SEND_ASK, SEND_NEVER } revised;
	bool skip_when_spent;
	bool reads;		 /* a get: it changes nothing there */
	const struct yaml *node; /* the row, for the connector */
};

struct pack {
	struct slice name; /* "ledger" */
	int version;
	struct slice title;
	const char *dir, *file;
	size_t settings_n;
	const struct pack_setting *settings;
	const struct schema_field *settings_open; /* MAP without secret ones */
	const struct schema_field *settings_all;
	size_t schemas_n;
	const struct schema *const *schemas;
	size_t mappings_n;
	const struct mapping *const *mappings; /* by file name */
	size_t sends_n;
	const struct pack_send *sends;
	const struct yaml *root; /* pack.yaml whole */
};

/* The canonical vocabulary, loaded once from <packs>/canonical. */
struct vocabulary {
	size_t n;
	const struct schema *const *schemas;
};
enum err vocabulary_load(const char *packs_dir, struct arena *a,
    struct faults *f, const struct vocabulary **out) MUST_CHECK;
const struct schema *vocabulary_find(
    const struct vocabulary *v, struct slice type);

/* With faults (ERR_CONFIG) *out is still set when pack.yaml could be read, so
 * that a system's settings are checked too; nothing else may use it then. */
enum err pack_load(const char *packs_dir, struct slice name,
    const struct vocabulary *v, struct arena *a, struct faults *f,
    const struct pack **out) MUST_CHECK;

/* The same without its mappings, and one mapping by its path: what `vayla map`
 * does. With faults in its files *out is still set when pack.yaml was read. */
enum err pack_open(const char *packs_dir, struct slice name, struct arena *a,
    struct faults *f, struct pack **out) MUST_CHECK;
enum err pack_map(const struct pack *p, const struct vocabulary *v,
    const char *path, struct arena *a, struct faults *f,
    const struct mapping **out) MUST_CHECK;

/* Does this type's name begin with "<pack>."? */
bool pack_owns(struct slice pack, struct slice type);
const struct schema *pack_schema(const struct pack *p, struct slice type);
const struct pack_send *pack_sends(const struct pack *p, struct slice type);

/* The pack's defaults alone as a msgpack map, and `over` (a YAML map or NULL)
 * laid over them: the settings of a test. Unknown names are faults. */
enum err pack_defaults(const struct pack *p, const char *file,
    const struct yaml *over, struct faults *f, struct buf *out) MUST_CHECK;

/* A section of pack.yaml ("receive"), NULL when absent. */
const struct yaml *pack_section(const struct pack *p, const char *name);

/*
 * A system's settings checked against its pack and written as a msgpack map:
 * `open` without secrets (for mappings), `all` with them (for the connector
 * that needs them; wipe after use). Faults name vayla.yaml's line. Unknown keys
 * (other than use, of, mode, since, tables, local) are faults with the nearest
 * name.
 */
enum err pack_settings(const struct pack *p, const struct config *c,
    const struct config_system *s, struct faults *f, struct buf *open,
    struct buf *all) MUST_CHECK;

#endif
