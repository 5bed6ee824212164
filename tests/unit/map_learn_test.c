/* learn: what it writes loads as a schema, and its samples fit it. */
#include "broker/base/json.h"
#include "mappings/engine/drift.h"
#include "mappings/engine/learn.h"
#include "mappings/engine/schema.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

static const char *const samples[] = {
    "{\"id\":1,\"price\":\"12.50\",\"rate\":24,\"at\":\"2026-03-01T10:00:00Z\","
    "\"local\":\"2026-03-01T10:00:00\",\"day\":\"2026-03-01\",\"ok\":true,"
    "\"sku\":\"0420\",\"gone\":null,\"blank\":\"\",\"mixed\":1,"
    "\"lines\":[{\"n\":1,\"x\":\"a\"},{\"n\":2}],\"tags\":[\"a\",\"b\"],"
    "\"empty\":[],\"odd: name\":\"x\",\"Saldo (kpl)\":\"3.0\","
    "\"meta\":[{\"value\":1},{\"value\":{\"a\":1}}],\"it's\":{\"a\":1}}",
    "[{\"id\":2,\"price\":7,\"rate\":13.5,\"at\":\"2026-03-01T10:00:00+02:00\","
    "\"local\":\"2026-03-01 10:00\",\"day\":\"2026-03-01\",\"ok\":false,"
    "\"sku\":\"A-1\",\"gone\":null,\"mixed\":\"x\",\"lines\":[],\"tags\":[],"
    "\"empty\":[],\"Saldo (kpl)\":\"3.5\",\"meta\":[],\"null\":1}]"};

T(writes_what_loads)
{
	char *dir = tmp_make(), path[512];
	const struct schema *s = NULL;
	struct learn *l;
	struct arena a;
	struct faults f;
	struct buf out, mp;
	FILE *file;

	arena_init(&a, 1 << 24);
	faults_init(&f);
	buf_init(&out, 1 << 20);
	buf_init(&mp, 1 << 20);
	l = learn_new(&a);
	CHECK_ERR(learn_write(l, SLICE_LIT("p.x"), &out), ERR_MISSING);
	for (int i = 0; i < 2; i++) {
		buf_reset(&mp);
		CHECK_OK(json_to_mp(slice_str(samples[i]), &mp, NULL));
		CHECK_OK(learn_add(l, buf_all(&mp)));
	}
	CHECK_ERR(learn_add(l, SLICE_LIT("\x01")), ERR_TYPE);
	CHECK_OK(learn_write(l, SLICE_LIT("p.x"), &out));
	snprintf(path, sizeof(path), "%s/p.x.yaml", dir);
	file = fopen(path, "w");
	fwrite(out.p, 1, out.n, file);
	fclose(file);
	CHECK_OK(schema_load(path, false, &a, &f, &s));
	if (f.count > 0)
		fprintf(stderr, "%s\n%s", buf_cstr(&f.text), buf_cstr(&out));
	/* the samples themselves fit, one by one */
	for (int i = 0; s != NULL && i < 2; i++) {
		struct mp_in in;
		struct slice one;
		struct mp m;

		buf_reset(&mp);
		CHECK_OK(json_to_mp(slice_str(samples[i]), &mp, NULL));
		one = buf_all(&mp);
		in = mp_in(one);
		CHECK_OK(mp_next(&in, &m));
		if (m.type == MP_ARRAY)
			CHECK_OK(mp_value(&in, &one));
		CHECK_OK(schema_check(s, one));
	}
	tmp_free(dir);
	faults_fini(&f);
	buf_fini(&out);
	buf_fini(&mp);
	arena_fini(&a);
}

T(types)
{
	static const char *const want[] = {"  id: text\n", "  price: decimal\n",
	    "  rate: decimal\n", "  at: time\n", "  local: time\n",
	    "  day: date\n", "  ok: bool\n", "  sku: text\n", "  gone?: any\n",
	    "  blank?: text\n", "  mixed: text\n",
	    "  lines:\n    items:\n      n: integer\n      x?: text\n",
	    "  tags: {list: text}\n", "  empty: {list: any}\n",
	    "  'odd: name': {type: text, optional: true}\n",
	    "  Saldo (kpl): decimal\n",
	    "  meta:\n    items:\n      value: any\n",
	    "  'it''s':\n    optional: true\n    fields:\n      a: integer\n",
	    "  'null': {type: integer, optional: true}\n", "blank: absent\n",
	    "zone: UTC"};
	struct learn *l;
	struct arena a;
	struct buf out, mp;

	arena_init(&a, 1 << 24);
	buf_init(&out, 1 << 20);
	buf_init(&mp, 1 << 20);
	l = learn_new(&a);
	for (int i = 0; i < 2; i++) {
		buf_reset(&mp);
		CHECK_OK(json_to_mp(slice_str(samples[i]), &mp, NULL));
		CHECK_OK(learn_add(l, buf_all(&mp)));
	}
	CHECK_OK(learn_write(l, SLICE_LIT("p.x"), &out));
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++)
		if (strstr(buf_cstr(&out), want[i]) == NULL) {
			t_bad++;
			fprintf(stderr, "not there: %s\n", want[i]);
		}
	if (t_bad > 0)
		fprintf(stderr, "%s", buf_cstr(&out));
	buf_fini(&out);
	buf_fini(&mp);
	arena_fini(&a);
}

/* Words that come again and again are named for whoever writes an enum. */
T(words)
{
	struct learn *l;
	struct arena a;
	struct buf out, mp;

	arena_init(&a, 1 << 24);
	buf_init(&out, 1 << 20);
	buf_init(&mp, 1 << 20);
	l = learn_new(&a);
	for (int i = 0; i < 9; i++) {
		char json[200];

		snprintf(json, sizeof(json),
		    "{\"st\":\"%s\",\"x\":{\"one\":\"a\"},\"name\":\"n %d\","
		    "\"many\":\"w%c\"}",
		    i % 2 ? "open" : "on-hold", i, 'a' + i);
		buf_reset(&mp);
		CHECK_OK(json_to_mp(slice_str(json), &mp, NULL));
		CHECK_OK(learn_add(l, buf_all(&mp)));
	}
	CHECK_OK(learn_write(l, SLICE_LIT("p.x"), &out));
	CHECK(strstr(buf_cstr(&out),
		  "  st: text # always one of: on-hold open\n") != NULL);
	CHECK(strstr(buf_cstr(&out), "      one: text # always one of: a\n") !=
	      NULL);
	CHECK(strstr(buf_cstr(&out), "  name: text\n") != NULL);
	CHECK(strstr(buf_cstr(&out), "  many: text\n") != NULL);
	buf_fini(&out);
	buf_fini(&mp);
	arena_fini(&a);
}

/* What differs from the schema there is, each once, with how often. */
T(drift)
{
	static const char schema[] =
	    "schema: p.d/1\nblank: absent\nfields:\n  id: text\n"
	    "  st: {type: text, enum: [a, b]}\n  n?: decimal\n"
	    "  l: {items: {x: integer, y?: text}}\n"
	    "  j?: {json: true, fields: {k: text}}\n  m?: {fields: {z: "
	    "bool}}\n";
	static const char *const fits =
	    "{\"id\":1,\"st\":\"a\",\"n\":\"\",\"l\":[],\"j\":\"{\\\"k\\\":"
	    "\\\"v\\\"}\"}";
	static const char *const differs =
	    "[{\"id\":null,\"st\":\"c\",\"new\":{\"deep\":1},\"n\":\"1,5\","
	    "\"l\":[{\"x\":1.5},{\"x\":2,\"w\":1},{\"w\":[1]}],\"j\":"
	    "\"{\\\"q\\\":1}\",\"m\":[]},{\"id\":\"\",\"st\":\"b\",\"l\":{},"
	    "\"j\":\"no\"}]";
	static const char want[] =
	    "id: is required and is null\n"
	    "st: is none of the words its schema lists 'c'\n"
	    "new: is not in the schema\n"
	    "n: must be a decimal number '1,5'\n"
	    "l[].x: must be a whole number '1.5'\n"
	    "l[].w: is not in the schema (2 times)\n"
	    "l[].x: is required and is missing\n"
	    "j.q: is not in the schema\n"
	    "j.k: is required and is missing\n"
	    "m: must be a map\n"
	    "id: is required and is blank\n"
	    "l: must be a list\n"
	    "j: is a text that holds no JSON\n";
	char *dir = tmp_make(), path[512];
	const struct schema *s = NULL;
	struct arena a;
	struct faults f;
	struct buf out, mp;
	struct drift *d;
	FILE *file;

	arena_init(&a, 1 << 24);
	faults_init(&f);
	buf_init(&out, 1 << 20);
	buf_init(&mp, 1 << 20);
	snprintf(path, sizeof(path), "%s/p.d.yaml", dir);
	file = fopen(path, "w");
	fputs(schema, file);
	fclose(file);
	CHECK_OK(schema_load(path, false, &a, &f, &s));
	d = drift_new(&a, s);
	CHECK_OK(json_to_mp(slice_str(fits), &mp, NULL));
	CHECK_OK(drift_add(d, buf_all(&mp)));
	CHECK(drift_write(d, &out) == 0 && out.n == 0);
	buf_reset(&mp);
	CHECK_OK(json_to_mp(slice_str(differs), &mp, NULL));
	CHECK_OK(drift_add(d, buf_all(&mp)));
	CHECK(drift_write(d, &out) == 13);
	CHECK_STR(buf_cstr(&out), want);
	CHECK(drift_add(d, SLICE_LIT("\x91\x91\x80")) == ERR_TYPE);
	CHECK(drift_add(d, SLICE_LIT("\x81")) != ERR_OK);
	tmp_free(dir);
	faults_fini(&f);
	buf_fini(&out);
	buf_fini(&mp);
	arena_fini(&a);
}

T_MAIN(T_RUN(writes_what_loads) T_RUN(types) T_RUN(words) T_RUN(drift))
