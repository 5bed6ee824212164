/* schema: loading, checking, dividing personal values, putting them back. */
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "mappings/engine/schema.h"
#include "tests/unit/t.h"

static char dir[64];
static struct arena arena;
static char said[8192];

static enum err
load(const char *file, const char *text, bool canonical,
    const struct schema **out, size_t *faults)
{
	char path[256];
	struct faults f;
	enum err e;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	CHECK_OK(file_write(path, slice_str(text), 0600));
	faults_init(&f);
	e = schema_load(path, canonical, &arena, &f, out);
	snprintf(said, sizeof(said), "%s", buf_cstr(&f.text));
	*faults = f.count;
	faults_fini(&f);
	return e;
}

#define HAS(part)                                                         \
	do {                                                              \
		if (strstr(said, part) == NULL) {                         \
			t_bad++;                                          \
			fprintf(stderr, "%s:%d: \"%s\" is not in:\n%s\n", \
			    __FILE__, __LINE__, part, said);              \
		}                                                         \
	} while (0)

static const char order[] =
    "schema: order.placed/2\n"
    "title: What a customer bought\n"
    "subject: {kind: order, scope: system}\n"
    "person: buyer.email\n"
    "blank: absent\n"
    "zone: Europe/Helsinki\n"
    "open: true\n"
    "fields:\n"
    "  number: text\n"
    "  placed_at: time\n"
    "  due?: date\n"
    "  paid?: bool\n"
    "  status?: {type: text, enum: [open, '7'], title: Where it stands}\n"
    "  buyer: {fields: {email?: {type: text, personal: true},\n"
    "    name: {type: text, personal: true, blank: text}, country?: text}}\n"
    "  lines: {items: {id: text, n: integer, net: decimal}}\n"
    "  tags?: {list: {type: text, personal: true}}\n"
    "  notes?: {list: text}\n"
    "  address?: {fields: {street: text}, personal: true}\n"
    "  meta?: any\n";

static const struct schema *
order_schema(void)
{
	const struct schema *s = NULL;
	size_t n;

	CHECK_OK(load("order.placed.yaml", order, true, &s, &n));
	if (s == NULL) {
		fputs(said, stderr);
		exit(1);
	}
	return s;
}

T(load_all)
{
	const struct schema *s = order_schema();
	const struct schema_field *x;
	const char *const *names;

	CHECK(slice_is(s->type, "order.placed") && s->version == 2);
	CHECK(s->canonical && s->open && !s->whole && !s->house);
	CHECK(slice_is(s->kind, "order"));
	CHECK(slice_is(s->person, "buyer.email"));
	CHECK(slice_is(s->title, "What a customer bought"));
	CHECK(s->root.type == SCHEMA_MAP && s->root.blank_absent);
	x = schema_find(&s->root, SLICE_LIT("number"));
	CHECK(x != NULL && x->type == SCHEMA_TEXT && !x->optional &&
	      x->blank_absent && x->line == 9);
	x = schema_find(&s->root, SLICE_LIT("placed_at"));
	CHECK(x != NULL && x->type == SCHEMA_TIME && x->zone != NULL);
	x = schema_find(&s->root, SLICE_LIT("status"));
	CHECK(x != NULL && x->optional && x->enum_n == 2 &&
	      slice_is(x->enums[1], "7") &&
	      slice_is(x->title, "Where it stands"));
	x = schema_find(&s->root, SLICE_LIT("buyer"));
	CHECK(x != NULL && x->type == SCHEMA_MAP);
	x = x != NULL ? schema_find(x, SLICE_LIT("name")) : NULL;
	CHECK(x != NULL && x->personal && !x->blank_absent);
	x = schema_find(&s->root, SLICE_LIT("lines"));
	CHECK(x != NULL && x->type == SCHEMA_LIST && x->item != NULL &&
	      x->item->type == SCHEMA_MAP);
	x = x != NULL ? schema_find(x->item, SLICE_LIT("net")) : NULL;
	CHECK(x != NULL && x->type == SCHEMA_DECIMAL && x->zone != NULL);
	x = schema_find(&s->root, SLICE_LIT("notes"));
	CHECK(x != NULL && x->type == SCHEMA_LIST &&
	      x->item->type == SCHEMA_TEXT);
	CHECK(schema_find(&s->root, SLICE_LIT("nothing")) == NULL);
	names = schema_names(&s->root, &arena);
	CHECK_STR(names[0], "number");
	CHECK_STR(names[10], "meta");
	CHECK(names[11] == NULL);
}

T(load_wrong)
{
	const struct schema *s = NULL;
	size_t n;

	CHECK_ERR(load("a.b.yaml",
		      "schema: a.c\n"
		      "subjct: x\n"
		      "subject: {kind: a, scope: galaxy}\n"
		      "person: b.c\n"
		      "zone: Nowhere/Land\n"
		      "fields:\n"
		      "  a: txt\n"
		      "  a?: text\n"
		      "  c: {type: text, fields: {}}\n"
		      "  d: {kind: text}\n"
		      "  e: [text]\n"
		      "  f: {type: text, enum: [x, x]}\n"
		      "  g: {type: text, personal: yes}\n",
		      true, &s, &n),
	    ERR_SYNTAX);
	CHECK(s == NULL);
	HAS(":1:9: schema: \"a.c\" has no version");
	HAS("no key named \"subjct\"; did you mean \"subject\"?");
	HAS("scope: no word named \"galaxy\"");
	HAS("Nowhere/Land");
	HAS(":7:6: type: no word named \"txt\"; did you mean \"text\"?");
	HAS(":8:3: field \"a\" stands here twice, first on line 7");
	HAS("exactly one of type, fields, items, list");
	HAS("no key named \"kind\"");
	HAS("a list is written {list: TYPE}");
	HAS("\"x\" stands in enum twice");
	HAS("personal must be true or false");
	CHECK_ERR(load("a.b.yaml",
		      "schema: a.c/1\nperson: c\nfields: {b: integer, c: "
		      "bool}\n",
		      false, &s, &n),
	    ERR_SYNTAX);
	HAS("must be named a.c.yaml");
	HAS("person: \"c\" must be a text field");
	CHECK_ERR(
	    load("a.b.yaml", "schema: a.b/1\n", true, &s, &n), ERR_SYNTAX);
	HAS("declares its subject");
	HAS("needs fields");
}

/* ---- checking ---- */

static enum err
fits(const struct schema *s, const char *json)
{
	struct buf b;
	enum err e;

	buf_init(&b, 1 << 20);
	CHECK_OK(json_to_mp(slice_str(json), &b, NULL));
	e = schema_check(s, buf_all(&b));
	buf_fini(&b);
	return e;
}

#define GOOD                                                              \
	"\"number\":\"1\",\"placed_at\":\"2026-03-01T10:00:00\","         \
	"\"buyer\":{\"name\":\"\"},\"lines\":[{\"id\":7,\"n\":1,\"net\":" \
	"\"1.20\"},{\"id\":\"x\",\"n\":\"2\",\"net\":2.5}]"

T(check_good)
{
	const struct schema *s = order_schema();

	CHECK_OK(fits(s, "{" GOOD "}"));
	CHECK_OK(fits(s, "{" GOOD ",\"more\":{\"x\":[1]}}"));
	CHECK_OK(fits(s, "{" GOOD ",\"due\":\"2026-03-01\",\"paid\":true,"
			 "\"status\":\"open\",\"meta\":[1,{}]}"));
	CHECK_OK(fits(s, "{" GOOD ",\"status\":7,\"due\":\"\",\"paid\":"
			 "null}"));
}

static void
misfit(
    const struct schema *s, const char *json, enum err want, const char *path)
{
	CHECK_ERR(fits(s, json), want);
	if (strstr(err_last(), path) == NULL) {
		t_bad++;
		fprintf(stderr, "\"%s\" is not in \"%s\"\n", path, err_last());
	}
}

T(check_wrong)
{
	const struct schema *s = order_schema(), *c = NULL;
	size_t n;

	misfit(s, "[]", ERR_TYPE, "order.placed: the whole event");
	misfit(s, "{\"number\":\"1\"}", ERR_MISSING, "placed_at: is missing");
	misfit(s, "{" GOOD ",\"due\":\"1.3.2026\"}", ERR_TYPE, "due: ");
	misfit(s, "{" GOOD ",\"paid\":\"true\"}", ERR_TYPE, "paid: ");
	misfit(s, "{" GOOD ",\"status\":\"closed\"}", ERR_TYPE, "status: ");
	misfit(s, "{" GOOD ",\"tags\":\"x\"}", ERR_TYPE, "tags: ");
	misfit(s, "{" GOOD ",\"tags\":[\"x\",{}]}", ERR_TYPE, "tags[2]: ");
	misfit(s, "{" GOOD ",\"address\":{}}", ERR_MISSING, "address.street");
	misfit(s,
	    "{\"number\":\"\",\"placed_at\":\"2026-03-01T10:00:00\","
	    "\"buyer\":{\"name\":\"\"},\"lines\":[]}",
	    ERR_MISSING, "number: is missing");
	misfit(s,
	    "{\"number\":\"1\",\"placed_at\":\"soon\",\"buyer\":{\"name\":"
	    "\"\"},\"lines\":[]}",
	    ERR_TYPE, "placed_at");
	misfit(s,
	    "{\"number\":\"1\",\"placed_at\":\"2026-03-01T10:00:00\","
	    "\"buyer\":{\"name\":\"\"},\"lines\":[{\"id\":1,\"n\":1.5,"
	    "\"net\":1}]}",
	    ERR_TYPE, "lines[1].n");
	CHECK_OK(load("a.b.yaml",
	    "schema: a.b/1\nfields: {x: decimal, t?: time}\n", false, &c, &n));
	if (c == NULL)
		return;
	CHECK(c->whole);
	misfit(c, "{\"x\":1,\"y\":2}", ERR_TYPE, "y: an unknown field");
	misfit(c, "{\"x\":\"1,5\"}", ERR_TYPE, "x: must be a decimal");
	/* a zoneless time without a zone is a time; the mapping names it */
	CHECK_OK(fits(c, "{\"x\":1,\"t\":\"2026-03-01T10:00:00\"}"));
	misfit(c, "{\"x\":1,\"t\":\"x\"}", ERR_TYPE, "t: must be a time");
}

/* ---- dividing ---- */

static void
round_trip(const struct schema *s, struct slice data, uint32_t want,
    const char *open_json, const char *erased_json)
{
	struct buf open, sealed, again, text;
	uint32_t count = 77;

	buf_init(&open, 1 << 20);
	buf_init(&sealed, 1 << 20);
	buf_init(&again, 1 << 20);
	buf_init(&text, 1 << 20);
	CHECK_OK(schema_split(s, data, &open, &sealed, &count));
	CHECK(count == want);
	CHECK((count == 0) == (sealed.n == 0));
	CHECK_OK(mp_to_json(buf_all(&open), JSON_COMPACT, &text));
	CHECK_STR(buf_cstr(&text), open_json);
	CHECK_OK(schema_merge(buf_all(&open), buf_all(&sealed), &again));
	CHECK(slice_eq(buf_all(&again), data));
	buf_reset(&again);
	CHECK_OK(schema_merge_erased(buf_all(&open), &again));
	buf_reset(&text);
	CHECK_OK(mp_check(buf_all(&again)));
	CHECK_OK(mp_to_json(buf_all(&again), JSON_COMPACT, &text));
	CHECK_STR(buf_cstr(&text), erased_json);
	buf_fini(&open);
	buf_fini(&sealed);
	buf_fini(&again);
	buf_fini(&text);
}

T(divide)
{
	const struct schema *s = order_schema();
	struct buf b;

	buf_init(&b, 1 << 20);
	CHECK_OK(json_to_mp(
	    SLICE_LIT("{\"number\":\"1\",\"buyer\":{\"email\":\"a@b.fi\","
		      "\"name\":null,\"country\":\"FI\"},\"tags\":[\"x\","
		      "\"y\"],\"address\":{\"street\":\"S 1\"},\"more\":"
		      "{\"email\":\"open\"},\"lines\":[{\"net\":1.50}]}"),
	    &b, NULL));
	round_trip(s, buf_all(&b), 4,
	    "{\"number\":\"1\",\"buyer\":{\"email\":\"(sealed)\",\"name\":"
	    "null,\"country\":\"FI\"},\"tags\":[\"(sealed)\",\"(sealed)\"],"
	    "\"address\":\"(sealed)\",\"more\":{\"email\":\"open\"},"
	    "\"lines\":[{\"net\":1.50}]}",
	    "{\"number\":\"1\",\"buyer\":{\"name\":null,\"country\":\"FI\"},"
	    "\"tags\":[],\"more\":{\"email\":\"open\"},\"lines\":[{\"net\":"
	    "1.50}]}");
	round_trip(NULL, buf_all(&b), 1, "\"(sealed)\"", "{}");
	buf_reset(&b);
	CHECK_OK(json_to_mp(SLICE_LIT("{\"number\":\"1\"}"), &b, NULL));
	round_trip(
	    s, buf_all(&b), 0, "{\"number\":\"1\"}", "{\"number\":\"1\"}");
	buf_fini(&b);
}

T(divide_long_forms)
{
	/* {"number": "1", "buyer": {"name": "x"}} with heads longer than need
	 * be: still byte for byte. */
	static const uint8_t wide[] = {0xde, 0, 2, 0xd9, 6, 'n', 'u', 'm', 'b',
	    'e', 'r', 0xda, 0, 1, '1', 0xa5, 'b', 'u', 'y', 'e', 'r', 0xdf, 0,
	    0, 0, 1, 0xa4, 'n', 'a', 'm', 'e', 0xd9, 1, 'x'};

	round_trip(order_schema(), slice_of(wide, sizeof(wide)), 1,
	    "{\"number\":\"1\",\"buyer\":{\"name\":\"(sealed)\"}}",
	    "{\"number\":\"1\",\"buyer\":{}}");
}

T(divide_hostile)
{
	const struct schema *s = order_schema();
	struct buf data, open, sealed;
	uint32_t count;

	buf_init(&data, 1 << 20);
	buf_init(&open, 1 << 20);
	buf_init(&sealed, 1 << 20);
	/* a sealed place of the sender's own, in an unknown field */
	mp_put_map(&data, 1);
	mp_put_cstr(&data, "x");
	mp_put_array(&data, 1);
	mp_put_sealed(&data, 0);
	CHECK_ERR(
	    schema_split(s, buf_all(&data), &open, &sealed, &count), ERR_TYPE);
	CHECK(open.n == 0 && sealed.n == 0);
	/* too deep */
	buf_reset(&data);
	for (int i = 0; i < 200; i++)
		mp_put_array(&data, 1);
	mp_put_nil(&data);
	CHECK(
	    schema_split(s, buf_all(&data), &open, &sealed, &count) != ERR_OK);
	CHECK(open.n == 0 && sealed.n == 0);
	/* cut short at every byte */
	buf_reset(&data);
	CHECK_OK(json_to_mp(SLICE_LIT("{\"buyer\":{\"email\":\"a@b\"},"
				      "\"tags\":[\"x\"],\"n\":12345}"),
	    &data, NULL));
	for (size_t n = 0; n < data.n; n++)
		CHECK(schema_split(s, slice_of(data.p, n), &open, &sealed,
			  &count) != ERR_OK);
	CHECK_OK(schema_split(s, buf_all(&data), &open, &sealed, &count));
	/* data and sealed values of different events */
	buf_reset(&data);
	CHECK(schema_merge(buf_all(&open), SLICE_EMPTY, &data) != ERR_OK);
	CHECK(data.n == 0);
	CHECK(schema_merge(slice_of("\xc0", 1), buf_all(&sealed), &data) !=
	      ERR_OK);
	CHECK(schema_merge(slice_of("\x93\x01\x02", 3), SLICE_EMPTY, &data) !=
	      ERR_OK);
	/* no room */
	buf_fini(&open);
	buf_init(&open, 8);
	buf_reset(&data);
	CHECK_OK(json_to_mp(SLICE_LIT("{\"aaaaaaaaaaaaaaa\":1}"), &data, NULL));
	CHECK_ERR(
	    schema_split(s, buf_all(&data), &open, &sealed, &count), ERR_LIMIT);
	buf_fini(&data);
	buf_fini(&open);
	buf_fini(&sealed);
}

T(seal_marked)
{
	const struct schema *s = NULL;
	struct buf b;
	size_t n;

	CHECK_OK(load("a.b.yaml",
	    "schema: a.b/1\nseal: marked\nfields: {x: text, y: {type: text, "
	    "personal: true}}\n",
	    false, &s, &n));
	if (s == NULL)
		return;
	CHECK(!s->whole);
	buf_init(&b, 1 << 20);
	CHECK_OK(json_to_mp(SLICE_LIT("{\"x\":\"1\",\"y\":\"2\"}"), &b, NULL));
	round_trip(s, buf_all(&b), 1, "{\"x\":\"1\",\"y\":\"(sealed)\"}",
	    "{\"x\":\"1\"}");
	buf_fini(&b);
}

static void
prepare(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vayla-schema-XXXXXX");
	if (mkdtemp(dir) == NULL)
		exit(1);
	arena_init(&arena, 16 << 20);
}

static void
clean(void)
{
	char cmd[128];

	arena_fini(&arena);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		exit(1);
}

T_MAIN(prepare(); T_RUN(load_all) T_RUN(load_wrong) T_RUN(check_good)
	   T_RUN(check_wrong) T_RUN(divide) T_RUN(divide_long_forms)
	       T_RUN(divide_hostile) T_RUN(seal_marked) clean())
