/*
 * run - one evaluation: its state, values read and written, and failing.
 *
 * Nothing is allocated but from one arena that is reset per event. Every step
 * is counted; whatever an event holds, an evaluation ends within MAP_STEPS, and
 * recursion follows the mapping's own nesting, never the input's.
 */
#ifndef VAYLA_ENGINE_RUN_H
#define VAYLA_ENGINE_RUN_H

#include "mappings/engine/func.h"
#include "mappings/engine/scan.h"

#define RUN_FRAMES 64
#define RUN_SCRATCH ((size_t)32 * 1024 * 1024)

#define TRY(call)                       \
	do {                            \
		enum err try_ = (call); \
		if (try_ != ERR_OK)     \
			return try_;    \
	} while (0)

/* Where in the output we are: a field's name, or an item's number. */
struct frame {
	struct slice name;
	uint32_t index; /* from 1; 0: by name */
};

struct out_slot {
	uint32_t at, n; /* n = 0: not written */
};

struct eval {
	struct arena *arena; /* &own, or a formula's scratch */
	struct arena own;
	const struct program *p;
	const struct mapping *map;
	const struct input *in;

	struct val *vars;
	bool *bound; /* lets: computed since their scope began */
	size_t vars_cap;
	struct slot *slots;
	size_t slots_cap;
	struct out_slot *outs;
	size_t outs_cap;

	uint8_t *out; /* MAP_OUTPUT bytes, never moved */
	size_t out_n;
	bool copied;	/* holds parts of the input as they were */
	struct buf tmp; /* for what writes into a buf */

	uint32_t steps;
	uint32_t *hits, *defaults;
	struct buf *explain; /* NULL: nobody asks */
	bool explain_json;
	const char *layer; /* of the last row looked up */

	/* where we are, for messages */
	const struct emit *emit;
	const char *part; /* "when", "id" ...; NULL: in data, by frames */
	struct frame frames[RUN_FRAMES]; /* as deep as nodes nest */
	uint32_t depth; /* left as it is by a failure, for its message */

	/* what went wrong; the text is made once it is known to be shown */
	struct {
		enum err err;
		enum verdict verdict;
		const struct expr *x; /* NULL: at src */
		const struct source *src;
		bool absent; /* an absent value, which name?: leaves out */
		enum why why;
		struct slice text;
	} fail;

	struct emitted *events;
	size_t events_n, events_cap;
	struct slice *ids; /* for doubles: type and id */
	uint64_t *reads;
	size_t reads_n;
	bool skipped;	      /* a subject said skip */
	struct slice subject; /* the input's, stored form */
	struct result result;
	struct reported reports[RESULT_REPORTS];
};

/* ---- eval.c ---- */

enum err run_expr(
    struct eval *e, const struct expr *x, struct val *out) MUST_CHECK;
/* The same; absence fails. */
enum err run_need(
    struct eval *e, const struct expr *x, struct val *out) MUST_CHECK;
enum err run_true(struct eval *e, const struct expr *x, bool *out) MUST_CHECK;
enum err run_text(
    struct eval *e, const struct expr *x, struct slice *out) MUST_CHECK;
enum err run_number(
    struct eval *e, const struct expr *x, struct val *out) MUST_CHECK;
enum err run_int(struct eval *e, const struct expr *x, int64_t *out) MUST_CHECK;
/* Give a variable its value and scan it. */
enum err run_bind(struct eval *e, const struct expr *x, const struct var *v,
    struct val val) MUST_CHECK;
/* The map at p as a variable's: behind it, or NULL when it is malformed. */
const uint8_t *run_scan(struct eval *e, const struct var *v, const uint8_t *p,
    const uint8_t *end, bool whole);
void run_unbind(struct eval *e, const struct lets *lets);
enum err run_prepare(struct eval *e, const struct program *p) MUST_CHECK;

static inline void
run_hit(struct eval *e, uint32_t point)
{
	if (e->hits != NULL)
		e->hits[point]++;
}

/* ---- loop.c ---- */

/* fn is called with each value of an argument: of `x for ..`, or of a list's
 * items. Setting stop ends it early. Embed it as the first member. */
struct iter {
	enum err (*fn)(struct eval *e, struct iter *it, const struct val *v);
	const struct arg *arg;
	bool stop;
};
enum err iter_arg(struct eval *e, struct iter *it) MUST_CHECK;
/* The innermost loop's present item. */
struct val iter_row(const struct eval *e, const struct iter *it);

/* Run `fn` for each round of nested loops. */
enum err iter_loops(struct eval *e, const struct loop *lp,
    enum err (*fn)(struct eval *e, void *ctx), void *ctx,
    const bool *stop) MUST_CHECK;

struct vec {
	struct val *v;
	uint32_t n, cap;
};
enum err vec_push(struct eval *e, const struct expr *x, struct vec *v,
    struct val one) MUST_CHECK;
struct val vec_val(const struct vec *v);

/* ---- value.c ---- */

/* The msgpack value in [p, p+n), taken as type t says. */
enum err val_read(struct eval *e, const struct expr *x, const uint8_t *p,
    uint32_t n, const struct type *t, struct val *out) MUST_CHECK;
const char *val_name(const struct val *v); /* "text", "a list" */
enum err val_dec(struct eval *e, const struct expr *x, const struct val *v,
    struct dec *out) MUST_CHECK;
enum err val_of_dec(struct eval *e, const struct expr *x, struct dec d,
    struct val *out) MUST_CHECK;
enum err val_to_text(struct eval *e, const struct expr *x, const struct val *v,
    struct slice *out) MUST_CHECK;
/* A text's number; false when it is none. */
bool val_parse(struct slice s, struct val *out);
/* <0, 0, >0 into *out. */
enum err val_compare(struct eval *e, const struct expr *x, const struct val *a,
    const struct val *b, int *out) MUST_CHECK;
/* For messages: at most 60 bytes. */
void val_show(const struct val *v, struct buf *out);
static inline bool
val_is_number(const struct val *v)
{
	return v->tag == V_INT || v->tag == V_DEC || v->tag == V_WIDE;
}

/* ---- write.c ---- */

/* Bytes that may be read behind a field's name (node.key), so that a short one
 * is copied in one move. */
#define WRITE_PAD 32
enum err write_key(struct eval *e, struct slice key) MUST_CHECK;
enum err write_bytes(struct eval *e, const void *p, size_t n) MUST_CHECK;
enum err write_val(
    struct eval *e, const struct expr *x, const struct val *v) MUST_CHECK;
/* A container of as yet unknown count. */
enum err write_open(struct eval *e, size_t *mark) MUST_CHECK;
enum err write_close(
    struct eval *e, size_t mark, bool map, uint32_t count) MUST_CHECK;
void write_back(struct eval *e, size_t to); /* forget what is behind */

/* ---- table: lookup.c ---- */

enum err run_lookup(
    struct eval *e, const struct expr *x, struct val *out) MUST_CHECK;

/* ---- data.c ---- */

enum err run_data(struct eval *e, const struct emit *em) MUST_CHECK;

/* ---- fail.c ---- */

enum err fail_at(struct eval *e, const struct expr *x, enum err err,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
enum err fail_src(struct eval *e, const struct source *src, enum err err,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
enum err fail_absent(struct eval *e, const struct expr *x, const struct val *v);
enum err fail_scratch(struct eval *e, const struct expr *x);
enum err fail_steps(struct eval *e, const struct expr *x);
/* Makes result.text, path, where. */
void fail_tell(struct eval *e);
void fail_clear(struct eval *e);
/* "order.placed: lines[2].sku" */
void fail_path(const struct eval *e, struct buf *b);

/* ---- explain.c: called only while e->explain is set ---- */

/* v = NULL: the field was left out. */
void explain_value(struct eval *e, const struct expr *x, const struct val *v);
void explain_event(
    struct eval *e, struct slice type, struct slice subject, struct slice id);
void explain_when(struct eval *e, const struct expr *x, bool yes);

static inline enum err
run_step(struct eval *e, const struct expr *x, uint32_t n)
{
	e->steps += n;
	return e->steps > MAP_STEPS ? fail_steps(e, x) : ERR_OK;
}

static inline void *
run_alloc(struct eval *e, size_t n)
{
	return arena_raw(e->arena, n);
}

#endif
