/*
 * map_try - mappings as text in temporary files, and what they make of JSON:
 * shared by the tests of the mapping language.
 */
#ifndef VAYLA_TESTS_UNIT_MAP_TRY_H
#define VAYLA_TESTS_UNIT_MAP_TRY_H

#include "broker/base/json.h"
#include "mappings/engine/mapping.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

static char *try_dir;
static struct arena try_arena;
static struct faults try_faults;
static const struct schema *try_schemas[16];
static const char *try_names[17];
static size_t try_schemas_n;
static struct eval *try_eval;
static const struct result *try_result;
static char try_said[32768]; /* faults of the last load, or what came out */
static struct input try_input;
static struct schema_field *try_settings;

static const char *
try_path(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", try_dir, name);
	return path;
}

static void
try_put(const char *name, const char *text)
{
	FILE *f = fopen(try_path(name), "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(try_path(name));
		exit(1);
	}
}

static const struct schema *
try_find(void *self, struct slice type)
{
	(void)self;
	for (size_t i = 0; i < try_schemas_n; i++)
		if (slice_eq(try_schemas[i]->type, type))
			return try_schemas[i];
	return NULL;
}

static const char *const *
try_types(void *self)
{
	(void)self;
	return try_names;
}

static inline void
try_schema(const char *text, bool canonical)
{
	const struct schema **to = &try_schemas[try_schemas_n];
	char name[128];

	snprintf(name, sizeof(name), "%.*s.yaml", (int)strcspn(text + 8, "/"),
	    text + 8);
	try_put(name, text);
	if (schema_load(try_path(name), canonical, &try_arena, &try_faults,
		to) != ERR_OK) {
		fprintf(stderr, "%s", buf_cstr(&try_faults.text));
		exit(1);
	}
	try_names[try_schemas_n] = arena_strdup(&try_arena, (*to)->type);
	try_schemas_n++;
}

/* What most tests take. */
static const char try_in[] =
    "schema: t.in/1\n"
    "title: everything once\n"
    "open: true\n"
    "fields:\n"
    "  id: integer\n"
    "  n: decimal\n"
    "  s: text\n"
    "  o?: text\n"
    "  on?: decimal\n"
    "  b: bool\n"
    "  at: time\n"
    "  local: text\n"
    "  day: date\n"
    "  st: {type: text, enum: [open, paid, done]}\n"
    "  lines: {items: {sku?: text, name: text, qty: integer, net: decimal,\n"
    "    cls?: text, tags?: {list: text}}}\n"
    "  gone?: {items: {x: text}}\n"
    "  addr?: {fields: {city: text, zip?: text}}\n"
    "  meta: {items: {key: text, value?: any}}\n"
    "  words: {list: text}\n"
    "  map: any\n"
    "  checkout-amount: integer\n";

static const char try_json[] =
    "{\"id\":7,\"n\":12.50,\"s\":\"text\",\"b\":true,"
    "\"at\":\"2026-03-01T10:00:00Z\",\"local\":\"2026-03-01 10:00\","
    "\"day\":\"2026-03-31\",\"st\":\"paid\","
    "\"lines\":["
    "{\"sku\":\"A\",\"name\":\"Mug\",\"qty\":2,\"net\":\"10.00\","
    "\"cls\":\"r\",\"tags\":[\"x\",\"y\"]},"
    "{\"name\":\"Tea\",\"qty\":1,\"net\":\"5.50\",\"tags\":[\"z\"]},"
    "{\"sku\":\"C\",\"name\":\"Bag\",\"qty\":3,\"net\":9,\"cls\":\"r\"}],"
    "\"addr\":{\"city\":\"Turku\"},"
    "\"meta\":[{\"key\":\"a\",\"value\":1},{\"key\":\"b\",\"value\":\"two\"},"
    "{\"key\":\"c\",\"value\":null}],"
    "\"words\":[\"pear\",\"apple\",\"fig\"],"
    "\"map\":{\"k1\":\"v1\",\"k2\":2,\"k3\":null},\"checkout-amount\":4200}";

/* Load a mapping; NULL with try_said full of faults. */
static const struct mapping *
try_load(const char *text)
{
	const struct schema_source source = {NULL, try_find, try_types};
	const struct mapping *m = NULL;
	enum err e;

	faults_fini(&try_faults);
	faults_init(&try_faults);
	e = mapping_parse("m.map.yaml", slice_str(text), &source, try_settings,
	    &try_arena, &try_faults, &m);
	snprintf(try_said, sizeof(try_said), "%s", buf_cstr(&try_faults.text));
	return e == ERR_OK ? m : NULL;
}

static inline void
try_show(const struct result *r)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < r->n; i++) {
		if (i > 0)
			buf_byte(&b, '\n');
		CHECK_OK(mp_check(r->events[i].data));
		CHECK_OK(mp_to_json(r->events[i].data, JSON_COMPACT, &b));
	}
	if (r->verdict != EVAL_OK)
		buf_slice(&b, r->text);
	if (r->verdict == EVAL_SKIP)
		buf_str(&b, "(skipped)");
	snprintf(try_said, sizeof(try_said), "%s", buf_cstr(&b));
	buf_fini(&b);
}

/* Evaluate on JSON (NULL: the usual); try_said is the data of the events as
 * JSON, a line each, or the text of what went wrong. */
static const struct result *
try_run(const struct mapping *m, const char *json)
{
	static struct buf in, ev;

	if (in.max == 0) {
		buf_init(&in, 4 << 20);
		buf_init(&ev, 4096);
	}
	buf_reset(&in);
	buf_reset(&ev);
	CHECK_OK(
	    json_to_mp(slice_str(json != NULL ? json : try_json), &in, NULL));
	mp_put_map(&ev, 3);
	mp_put_cstr(&ev, "id");
	mp_put_cstr(&ev, "e1");
	mp_put_cstr(&ev, "subject");
	mp_put_cstr(&ev, "order:shop/1042");
	mp_put_cstr(&ev, "time");
	mp_put_time(&ev, INT64_C(1772359200000000000));
	try_input.event = buf_all(&ev);
	try_input.data = buf_all(&in);
	if (try_input.system.p == NULL)
		try_input.system = SLICE_LIT("shop");
	if (try_input.settings.p == NULL)
		try_input.settings = SLICE_EMPTY;
	if (try_eval == NULL)
		try_eval = eval_new();
	try_result = mapping_eval(try_eval, m, &try_input);
	try_show(try_result);
	return try_result;
}

/* A mapping of one field, v: EXPR. */
static const struct mapping *
try_expr(const char *expr)
{
	char text[8192];

	snprintf(text, sizeof(text),
	    "map: t.m/1\nfrom: t.in\nemit:\n  - type: t.out\n    id: 'x'\n"
	    "    subject: 'k:1'\n    data:\n      v: %s\n",
	    expr);
	return try_load(text);
}

static inline void
try_value(const char *file, int line, const char *expr, const char *want)
{
	const struct mapping *m = try_expr(expr);
	char with[2048];

	if (m != NULL)
		try_run(m, NULL);
	snprintf(with, sizeof(with), "{\"v\":%s}", want);
	if (m != NULL && strcmp(try_said, with) == 0)
		return;
	t_bad++;
	fprintf(stderr, "%s:%d: %s\n  gives %s\n  not   %s\n", file, line, expr,
	    try_said, with);
}

static inline void
try_has(const char *file, int line, const char *what, const char *part)
{
	if (strstr(try_said, part) != NULL)
		return;
	t_bad++;
	fprintf(stderr, "%s:%d: %s\n  says %s\n  not  %s\n", file, line, what,
	    try_said, part);
}

/* V: the value as JSON. F: refused at load, the fault has this part. R: loads
 * and is refused when it runs. */
#define V(expr, want) try_value(__FILE__, __LINE__, expr, want)
#define F(expr, part)                                    \
	do {                                             \
		CHECK(try_expr(expr) == NULL);           \
		try_has(__FILE__, __LINE__, expr, part); \
	} while (0)
#define R(expr, part)                                                     \
	do {                                                              \
		const struct mapping *r_m = try_expr(expr);               \
		CHECK(r_m != NULL);                                       \
		if (r_m != NULL)                                          \
			CHECK(try_run(r_m, NULL)->verdict == EVAL_ERROR); \
		try_has(__FILE__, __LINE__, expr, part);                  \
	} while (0)
#define SAYS(part) try_has(__FILE__, __LINE__, "", part)

static inline void
try_begin(void)
{
	try_dir = tmp_make();
	arena_init(&try_arena, 512 << 20);
	faults_init(&try_faults);
	try_schema(try_in, false);
}

/* After try_arena was reset. */
static inline void
try_again(void)
{
	try_schemas_n = 0;
	memset(try_names, 0, sizeof(try_names));
	try_schema(try_in, false);
}

static inline void
try_end(void)
{
	eval_free(try_eval);
	arena_fini(&try_arena);
	faults_fini(&try_faults);
	tmp_free(try_dir);
}

#endif
