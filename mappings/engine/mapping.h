/*
 * mapping - one YAML file of the language in mappings/README.md, compiled.
 *
 * Pure: what mapping_eval() gives depends on the mapping, its tables and
 * settings, the input event and what its joins read; nothing else. A compiled
 * mapping is immutable and may be evaluated by several threads, each with its
 * own struct eval.
 */
#ifndef VAYLA_ENGINE_MAPPING_H
#define VAYLA_ENGINE_MAPPING_H

#include "broker/base/arena.h"
#include "broker/base/dec.h"
#include "mappings/engine/schema.h"

/* Where a mapping finds the schemas of types: native ones of its own pack and
 * all canonical ones. NULL when the type is unknown. */
struct schema_source {
	void *self;
	const struct schema *(*find)(void *self, struct slice type);
	/* All known types, NULL-terminated, for "did you mean". */
	const char *const *(*types)(void *self);
};

/* How a subject or ref as written ("order:1042") is stored
 * ("order:shop/1042"). Appends to out. */
struct scope {
	void *self;
	enum err (*resolve)(void *self, struct slice written, struct buf *out);
};

struct join {
	struct slice name, type;
	bool all; /* else last */
	enum {
		JOIN_NONE, /* the name is absent */
		JOIN_WAIT,
		JOIN_ASK,
		JOIN_ERROR,
		JOIN_SKIP
	} absent;
	int64_t wait_ns;
	uint32_t line;
	/* the expression of subject: or ref: is the mapping's own */
	bool by_ref;
	/* only what came before the input, also of types other than its own */
	bool only_earlier;
	/* what it reads is a state: it sees all that is there, the input itself
	 * and what came after it too, and a fact that appears there evaluates
	 * the input anew */
	bool follows;
	/* what it read is how it was: a later revision evaluates nothing */
	bool fixed;
};

struct mapping {
	struct slice name; /* "shop.order-placed" */
	int version;
	const char *file;
	size_t from_n;
	const struct slice *from; /* types it takes */
	size_t emits_n;
	const struct slice *emits; /* types it may emit, without doubles */
	size_t joins_n;
	const struct join *joins;
	const struct yaml *root;       /* the file, for its tests */
	const struct program *program; /* the engine's own */
};

/*
 * Load and check one mapping; everything lives in `a`. `settings`: the pack's
 * declared settings as a schema field of type MAP (secret ones left out), for
 * checking $settings.x. Loading needs no installation: tables of the file only;
 * an installation's rows and answers come with struct eval_tables.
 */
enum err mapping_load(const char *path, const struct schema_source *schemas,
    const struct schema_field *settings, struct arena *a, struct faults *f,
    const struct mapping **out) MUST_CHECK;

/* The same from text; `name` stands for the file in messages. */
enum err mapping_parse(const char *name, struct slice text,
    const struct schema_source *schemas, const struct schema_field *settings,
    struct arena *a, struct faults *f, const struct mapping **out) MUST_CHECK;

/* ---- evaluating ---- */

/* One event that a join read. data is unsealed msgpack. */
struct joined {
	uint64_t seq;
	struct slice data;
};

/*
 * What the journal knows, given by the broker (and by tests from `with:`).
 * Returns the last revision of each fact of `type` at `subject` (stored form),
 * oldest first, at most `max`; by_ref: `key` is a ref to be followed first. The
 * slices live until the evaluation's arena is reset. ERR_LIMIT when there are
 * more than `max`.
 */
struct reader {
	void *self;
	enum err (*read)(void *self, const struct join *j, struct slice key,
	    struct arena *a, struct joined **out, size_t *n, size_t max);
	/* subject of a ref: ERR_NOTFOUND when no subject has that name */
	enum err (*subject_of)(void *self, struct slice ref, struct arena *a,
	    struct slice *subject);
};

/* Rows that lie over the file's own, nearest wins: the installation's tables:
 * and answers, as the ruleset keeps them. NULL finds nothing. */
struct rows {
	void *self;
	/* The row of `key` in `table` as msgpack (a scalar, or an array in the
	 * order of the table's columns); false: look further down. *layer is
	 * "answer" or "installation", for explain. */
	bool (*find)(void *self, struct slice map, struct slice table,
	    struct slice key, struct slice *row, const char **layer);
};

struct input {
	struct slice event;    /* the envelope as a msgpack map, without data */
	struct slice data;     /* unsealed; $in */
	struct slice settings; /* msgpack map; $settings */
	const struct scope *scope;
	const struct reader *reader;
	const struct rows *rows;
	struct slice system; /* whose mapping this is: "shop", "books" */
};

enum again { AGAIN_KEEP, AGAIN_REVISE, AGAIN_ERROR };

struct emitted {
	struct slice type;
	struct slice id;      /* hex of 16 bytes: hash(system, type, subject as
				 written, id) */
	struct slice subject; /* stored form */
	size_t refs_n;
	const struct slice *refs; /* stored form */
	struct slice data;	  /* msgpack */
	struct slice person; /* the e-mail as found by the schema, or empty */
	enum again again;
	struct slice
	    again_by; /* AGAIN_REVISE: the value as text that sorts by
			 mp rules: msgpack of time, int, decimal, text */
};

enum verdict {
	EVAL_OK,    /* n >= 0 events */
	EVAL_SKIP,  /* `when` was false, or a join or subject said skip */
	EVAL_ERROR, /* mapping or data is wrong */
	EVAL_ASK,   /* a table has no row, or a ref is unknown and asks */
	EVAL_WAIT   /* a join or a subject's ref waits */
};

#define RESULT_REPORTS 16
struct reported {
	struct slice table, key;
};

struct result {
	enum verdict verdict;
	size_t n;
	const struct emitted *events;
	size_t reads_n;
	const uint64_t *reads; /* sequence numbers the joins read, ascending */
	/* ERROR, ASK, WAIT: what, where and what to do, for people. `path` is
	 * the output path ("order.placed: lines[2].vat_code"), `where`
	 * "file:line:column". */
	enum err err;
	struct slice text, path, where;
	/* ASK: which table and key */
	struct slice table, key;
	/* what tables that report had no row for, each once, at most
	 * RESULT_REPORTS; the first also as table and key with EVAL_OK */
	size_t reports_n;
	const struct reported *reports;
	/* WAIT: what for and how long */
	struct slice wait_type, wait_key;
	bool wait_by_ref;
	int64_t wait_ns;
	uint32_t steps; /* used of the budget */
};

/*
 * Coverage, for the test runner: what a mapping consists of, point by point,
 * and how often each was reached since eval_cover().
 */
enum cover_kind {
	COVER_FIELD, /* an output field was written */
	COVER_ROW,   /* a table's row was used */
	COVER_TRUE,  /* a `when` was true */
	COVER_FALSE
};
struct cover_point {
	enum cover_kind kind;
	struct slice name; /* "order.placed: lines.sku", "vat_code: standard" */
	uint32_t line;
};
size_t mapping_points(const struct mapping *m, const struct cover_point **out);

struct eval; /* scratch of one thread: arena, slots, output buffer */
struct eval *eval_new(void);
void eval_free(struct eval *e);

/* From now on count in hits[mapping_points()]; NULL stops it. The caller owns
 * hits and zeroes it. */
void eval_cover(struct eval *e, uint32_t *hits);

/* The same for what stands in for an absence: each ?? that gave its right side,
 * each has() that was false; hits[mapping_defaults()]. */
size_t mapping_defaults(const struct mapping *m);
struct slice mapping_default(const struct mapping *m, size_t i, uint32_t *line);
void eval_defaults(struct eval *e, uint32_t *hits);

enum explain_form {
	EXPLAIN_TEXT,
	EXPLAIN_JSON /* a line each: path outcome expression at parts */
};

/*
 * From now on write down, for people, where each field comes from: its path and
 * value, the expression and its place, and under it the source paths with what
 * stood there, table rows with their layer, defaults and branches taken. NULL
 * stops it.
 */
void eval_explain(struct eval *e, struct buf *out, enum explain_form form);

/*
 * Evaluate. The result and all its slices live until the next mapping_eval()
 * or eval_free() of the same eval. Never fails otherwise than through
 * result.verdict; budgets (MAP_STEPS, MAP_EVENTS, MAP_OUTPUT) are enforced.
 */
#define MAP_STEPS 2000000
#define MAP_EVENTS 1000
#define MAP_OUTPUT (1024 * 1024)
const struct result *mapping_eval(
    struct eval *e, const struct mapping *m, const struct input *in);

#endif
