/*
 * lang - the mapping language's own structures, shared by the files that read,
 * check and evaluate it; nothing outside mappings/engine includes this.
 *
 * One tree serves all three: the parser makes struct expr, the checker fills in
 * types, variables and slots, the evaluator walks it. It is immutable once
 * loaded and lives in the arena of its loading. Rejected: a byte code beside
 * the tree. It ran no faster (time goes into scanning the input and writing the
 * output) and every run-time error would have needed a way back to its line.
 */
#ifndef VAYLA_ENGINE_LANG_H
#define VAYLA_ENGINE_LANG_H

#include <setjmp.h>

#include "broker/base/arena.h"
#include "broker/base/dec.h"
#include "mappings/engine/mapping.h"

#define LANG_DEPTH 48 /* nested parts of one expression, or nodes of data */
#define LANG_ARGS 64
#define LANG_NODES 1000	  /* parts of one expression */
#define LANG_FIELDS 10000 /* fields and items of data, in one file */
#define LANG_JOIN_MAX 200

/* ---- types, as far as they are known at load ---- */

enum kind {
	K_ANY,
	K_TEXT,
	K_INT,
	K_DEC,
	K_BOOL,
	K_TIME,
	K_DATE,
	K_MAP,
	K_LIST,
	K_NULL
};

/* How much is known of a value's being there. MAYBE is checked when it runs
 * (first() of a list, anything of unknown type); OPTIONAL must be dealt with
 * before it loads. */
enum absence { PRESENT, MAYBE, OPTIONAL };

struct type {
	enum kind kind;
	enum absence absent;
	bool blank;		   /* "" is absent */
	const struct zone *zone;   /* of zoneless times */
	const struct type *item;   /* K_LIST; NULL: unknown */
	const struct shape *shape; /* K_MAP; NULL: unknown */
	size_t enum_n;
	const struct slice *enums;
};

/* The fields of a map: of a schema, of what a mapping builds, or of a record
 * that a function makes ({key, rows}). */
struct shape {
	size_t n;
	const struct slice *names;
	const struct type *const *types;
	const char *what; /* "shop.order", for messages */
};

/* ---- values ---- */

enum tag {
	V_ABSENT, /* scale: enum why */
	V_NULL,	  /* written as null; only from the literal */
	V_BOOL,	  /* i */
	V_INT,	  /* i */
	V_DEC,	  /* i * 10^-scale */
	V_WIDE,	  /* wide: more than 64 bits, inside an expression only */
	V_TEXT,	  /* n bytes at p */
	V_TIME,	  /* i ns since the epoch */
	V_DATE,	  /* i days since the epoch */
	V_RAW,	  /* n bytes of msgpack at p: a map, a list, or foreign */
	V_LIST,	  /* n values at list */
	V_REC	  /* rec: its shape and values */
};

enum why { WHY_MISSING, WHY_NULL, WHY_BLANK };

struct val {
	uint8_t tag, scale;
	uint32_t n;
	union {
		int64_t i;
		const uint8_t *p;
		const struct val *list;
		const struct rec *rec;
		const struct dec *wide;
	};
};

struct rec {
	const struct shape *shape;
	struct val v[];
};

#define VAL_ABSENT ((struct val){.tag = V_ABSENT})

static inline struct val
val_text(struct slice s)
{
	return (struct val){.tag = V_TEXT, .n = (uint32_t)s.n, .p = s.p};
}

static inline struct val
val_int(int64_t i)
{
	return (struct val){.tag = V_INT, .i = i};
}

static inline struct val
val_bool(bool b)
{
	return (struct val){.tag = V_BOOL, .i = b};
}

static inline struct slice
val_slice(struct val v)
{
	return (struct slice){v.p, v.n};
}

/* ---- reading paths: a trie per variable, filled by one scan ---- */

/* Where a value lies. p = NULL: not there. n = SLOT_ODD: something above it is
 * no map; p is that something. */
#define SLOT_ODD UINT32_MAX
struct slot {
	const uint8_t *p;
	uint32_t n;
};

struct trie_key {
	const uint8_t *p;
	uint32_t n;
	int32_t slot; /* relative to the variable's first; -1: only passed */
	struct trie *sub;
	struct trie_key *next;	 /* in the order added */
	struct trie_key *bucket; /* with the same hash */
};

struct trie {
	struct trie_key *first;
	uint32_t n;
	/* made by trie_seal() */
	uint32_t mask, lengths; /* a bit for each key's length modulo 32 */
	struct trie_key **heads;
};

/* ---- names ---- */

enum var_kind {
	VAR_IN,
	VAR_EVENT,
	VAR_SETTINGS,
	VAR_REQUEST,
	VAR_STATUS,
	VAR_JOIN,
	VAR_LET,
	VAR_LOOP,
	VAR_COUNT /* the second name of a loop */
};

struct var {
	enum var_kind kind;
	uint16_t id; /* its place in eval.vars */
	struct slice name;
	const struct type *type;
	struct expr *let;
	const struct source *src; /* where it was named */
	uint32_t at;
	uint32_t used;
	struct trie *trie; /* NULL: no path reads it by slots */
	uint32_t slot0, slots;
	bool needs_join; /* a let that reads a join, directly or not */
};

/* ---- expressions ---- */

/* One scalar of the file. */
struct source {
	const char *file;
	const struct yaml *node;
	struct slice text;
	uint32_t shift; /* bytes before `text` in the scalar: its quote */
};

enum op {
	X_CONST,
	X_PATH,
	X_HOLES, /* text with {holes}: args joined */
	X_OUT,	 /* $out path */
	X_OR,
	X_AND,
	X_NOT,
	X_EQ,
	X_NE,
	X_LT,
	X_LE,
	X_GT,
	X_GE,
	X_IN,
	X_ADD,
	X_SUB,
	X_MUL,
	X_DIV,
	X_NEG,
	X_ALT,
	X_CALL,
	X_STEPS /* steps on a computed value: first(...).code */
};

struct step {
	struct slice name; /* index = 0 */
	uint32_t index;	   /* from 1 */
	uint32_t at;
};

/* for var, count in list if cond */
struct loop {
	struct slice name, count_name;
	uint32_t at, count_at;
	const struct source *src;
	struct var *var, *count;
	struct expr *list, *cond;
	struct loop *next; /* nested within */
};

struct arg {
	struct expr *x;
	struct loop *loops;
};

struct expr {
	enum op op;
	bool negated;	  /* X_IN: not in */
	bool under_round; /* X_DIV */
	uint16_t n;
	uint32_t at, len; /* its text within src->text */
	const struct source *src;
	const struct type *type; /* by the checker */
	struct arg *args;
	struct val value; /* X_CONST */

	/* X_PATH, X_STEPS, X_OUT */
	struct slice root; /* as written: "sku", "$event"; X_CALL: the name */
	uint32_t steps_n, rest; /* steps from `rest` on are walked one by one */
	struct step *steps;
	struct var *var;
	const struct type *read; /* how what is found is to be taken */
	int32_t slot;		 /* X_OUT: its out slot */

	/* X_CALL */
	const struct func *func;
	const struct table *table;
	const struct shape *shape; /* of the records it makes */
	const struct zone *zone;
	uint32_t point; /* X_ALT, has(): its place in program.defaults */
	int32_t word;	/* the literal word among those allowed */
};

/* ---- tables ---- */

struct table_row {
	struct slice key;
	struct val *cells; /* one, or one a column */
	uint32_t point;	   /* coverage */
	const struct yaml *at;
};

enum unmatched { UN_ASK, UN_REPORT, UN_ERROR, UN_KEEP, UN_ROW };

struct table {
	struct slice name;
	const struct yaml *at;
	enum unmatched unmatched;
	bool contains;
	size_t columns_n;
	const struct slice *columns; /* none: a row is one text */
	const enum kind *kinds;
	const struct shape *shape;
	const struct type *type; /* of what lookup gives */
	size_t rows_n;
	struct table_row *rows;		 /* in the file's order */
	const struct table_row **by_key; /* sorted; NULL for few */
	struct val *fallback;		 /* UN_ROW, UN_REPORT with default: */
	uint32_t used;
};

/* ---- what is emitted ---- */

enum node_kind { NODE_VALUE, NODE_MAP, NODE_LIST, NODE_EACH, NODE_ENTRY };

struct lets {
	size_t n;
	struct var **v;
};

struct node {
	enum node_kind kind;
	struct slice name; /* as a field; empty in a list */
	struct slice key;  /* its name as msgpack */
	bool optional;	   /* name?: */
	bool done;	   /* checked: $out may read it */
	bool verify;	   /* type unknown at load: checked at run time */
	bool plain; /* a text that one scan finds: may be copied as it is */
	const struct yaml *at;
	const struct node *parent;
	struct loop *each;
	struct lets lets;
	struct expr *when;
	struct expr *value;	/* VALUE, and ENTRY's value when a scalar */
	struct expr *entry_key; /* ENTRY */
	size_t n;
	struct node **kids; /* MAP fields, LIST and EACH items, ENTRY's value */
	const struct type *type;
	const struct type *want;    /* the target schema's, or NULL */
	int32_t out_slot;	    /* -1: no $out reads it */
	uint32_t point, when_point; /* coverage */
};

struct emit {
	struct slice type;
	const struct schema *schema; /* NULL for one that is not known */
	const struct yaml *at;
	const struct source *src;
	struct loop *each;
	struct lets lets;
	struct expr *when, *id;
	struct expr *subject; /* NULL: the input's */
	bool subject_ref, subject_stored;
	enum { SUBJECT_ASK, SUBJECT_WAIT, SUBJECT_SKIP } subject_absent;
	int64_t subject_wait_ns;
	size_t refs_n;
	struct expr **refs;
	enum again again;
	struct expr *again_by;
	struct node *data;
	size_t checks_n;
	struct expr **checks;
	const struct step *person; /* path of the person in the data */
	size_t person_n;
	uint32_t point, when_point;
};

struct join_read {
	const char *part; /* "join order", for messages */
	struct expr *key;
	bool stored; /* $event.subject: already in stored form */
	struct var *var;
	const struct type *type;
	const struct source *src;
	const struct schema *unpack; /* its texts hold JSON; NULL: none do */
};

struct program {
	const char *file;
	const struct mapping *map;
	/* For each of mapping.from, as join_read.unpack; NULL: for none. */
	const struct schema **unpack;
	size_t vars_n, vars_max;
	struct var **vars;
	struct var *in, *event, *settings, *request, *status;
	uint32_t slots_n;
	uint32_t out_slots;
	struct lets lets;
	struct expr *when;
	uint32_t when_point;
	bool when_first; /* `when` reads no join: it is asked before them */
	size_t joins_n;
	struct join_read *joins; /* beside mapping.joins */
	size_t tables_n;
	struct table *tables;
	size_t emits_n;
	struct emit *emits;
	size_t points_n;
	struct cover_point *points;
	size_t defaults_n, defaults_max;
	const struct expr **defaults; /* what can stand in for an absence */
};

/* ---- loading ---- */

struct fact { /* this path is known to be there */
	const struct var *var;
	const struct step *steps;
	size_t n;
};

#define LANG_SCOPE 128
#define LANG_FACTS 64

/* What is known while one file is read and checked. */
struct lang {
	const char *file;
	struct arena *a;
	struct faults *f;
	const struct schema_source *schemas;
	jmp_buf full; /* where loading ends of what is too large */
	struct program *p;
	unsigned roots; /* FORMULA_* of a formula; 0: a mapping */

	struct var *scope[LANG_SCOPE]; /* names in view, innermost last */
	size_t scope_n;
	struct fact facts[LANG_FACTS];
	size_t facts_n;

	struct emit *emit; /* whose data is being built; NULL: no $out here */
	bool soft;	   /* inside name?: absence leaves the field out */
	bool join_read;	   /* set when something read comes from a join */
	bool read;	   /* set when anything at all is read */
	bool event_id;	   /* set when $event.id is read */
	size_t points_max;
	size_t fields_n; /* at most LANG_FIELDS */
};

/* Never NULL: a file that needs more memory than there is gets a fault, and its
 * loading ends at l->full, which whoever made `l` has set. All that is made
 * lives in the arena, so nothing is lost by the jump. */
void *lang_alloc(struct lang *l, size_t n);
struct slice lang_copy(struct lang *l, struct slice s);

/* A fault at an expression, or `at` bytes into its scalar. */
void lang_fault(struct lang *l, const struct expr *x, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void lang_fault_at(struct lang *l, const struct source *src, uint32_t at,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
void lang_warn(struct lang *l, const struct expr *x, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Coverage: a new point; returns its number. */
void lang_seal(struct lang *l); /* slots, tries: once all is checked */
uint32_t lang_point(
    struct lang *l, enum cover_kind kind, struct slice name, uint32_t line);

/* x can stand in for an absence: ??, has(). */
void lang_default(struct lang *l, struct expr *x);

/* The words of an expression as written. */
static inline struct slice
expr_words(const struct expr *x)
{
	return slice_of(x->src->text.p + x->at, x->len);
}

/* expr.c: a scalar's text into a tree; NULL after a fault. */
struct expr *expr_parse(struct lang *l, const struct yaml *node);
/* Part of a scalar, from byte `from` on: "revise by EXPR". */
struct expr *expr_parse_from(
    struct lang *l, const struct yaml *node, size_t from);
/* "l, n in lines" */
struct loop *expr_parse_each(struct lang *l, const struct yaml *node);
/* Does this text read as an expression? For "unquote it". Silent. */
struct expr *expr_try(struct lang *l, const struct yaml *node);
struct source *expr_source(struct lang *l, const struct yaml *node);

/* type.c */
extern const struct type type_any, type_text, type_int, type_dec, type_bool,
    type_time, type_date, type_null;
const char *type_name(enum kind k);
const struct type *type_of_field(
    struct lang *l, const struct schema_field *f, const char *what);
const struct type *type_of_map(
    struct lang *l, const struct schema_field *f, const char *what);
const struct type *type_list(struct lang *l, const struct type *item);
const struct type *type_absent(
    struct lang *l, const struct type *t, enum absence a);
/* Any value that stands within one of unknown type: where "" means absent it
 * does so there too. */
const struct type *type_inside(struct lang *l, const struct type *t);
/* What may be either. */
const struct type *type_either(
    struct lang *l, const struct type *a, const struct type *b);
const struct type *type_record(struct lang *l, const char *what, size_t n,
    const char *const *names, const struct type *const *types);
const struct type *type_event(struct lang *l);
const struct type *shape_find(const struct shape *s, struct slice name);
const char *shape_nearest(
    struct lang *l, const struct shape *s, struct slice name);
static inline bool
type_number(const struct type *t)
{
	return t->kind == K_INT || t->kind == K_DEC || t->kind == K_ANY;
}

/* trie.c: the slot of a path of names; made if new. */
int32_t trie_add(
    struct lang *l, struct var *v, const struct step *steps, size_t n);
void trie_seal(struct lang *l, struct trie *t);

/* check.c */
bool check_expr(struct lang *l, struct expr *x); /* false: faults, no type */
/* Go on from a value of type t, by the steps from `from` on. */
bool check_steps(
    struct lang *l, struct expr *x, const struct type *t, uint32_t from);
/* expr_parse, and refuse quoted text that reads as a call or a path. */
struct expr *check_parse(struct lang *l, const struct yaml *y);
bool check_condition(struct lang *l, struct expr *x);
bool check_text(struct lang *l, struct expr *x, const char *what, bool key);
bool check_present(struct lang *l, const struct expr *x);
bool check_loops(struct lang *l, struct loop *lp); /* names stay in scope */
void check_facts(struct lang *l, const struct expr *cond, bool truth);
struct var *check_name(struct lang *l, enum var_kind kind, struct slice name,
    const struct source *src, uint32_t at, const struct type *type);
void check_unscope(struct lang *l, size_t scope_n);  /* unused lets: faults */
struct slice check_const_text(const struct expr *x); /* p of n=0: not one */

/* check_call.c */
bool check_call(struct lang *l, struct expr *x);

/* check_out.c */
bool check_out(struct lang *l, struct expr *x);
bool check_fits(struct lang *l, const struct expr *x, const struct type *want,
    const char *what);

/* table.c */
void table_load_all(struct lang *l, const struct yaml *y);
struct table *table_find(struct lang *l, struct slice name);

/* node.c: `data:` and what stands in it. */
void node_root(struct lang *l, const struct yaml *y, struct emit *e,
    const struct type *want);
void node_lets(struct lang *l, const struct yaml *y, struct lets *out);

#endif
