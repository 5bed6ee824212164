/* pack: a product's folder, its settings, what it sends. */
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "mappings/engine/pack.h"
#include "tests/unit/t.h"

static char dir[64], said[16384];
static struct arena arena;
static struct faults faults;
static const struct vocabulary *words;

#define HAS(part)                                                         \
	do {                                                              \
		if (strstr(said, part) == NULL) {                         \
			t_bad++;                                          \
			fprintf(stderr, "%s:%d: \"%s\" is not in:\n%s\n", \
			    __FILE__, __LINE__, part, said);              \
		}                                                         \
	} while (0)

static const char *
path(const char *name)
{
	static char p[256];

	snprintf(p, sizeof(p), "%s/%s", dir, name);
	return p;
}

static void
put(const char *name, const char *text)
{
	char folder[256];

	snprintf(folder, sizeof(folder), "%s", path(name));
	*strrchr(folder, '/') = '\0';
	CHECK_OK(dir_make(folder));
	CHECK_OK(file_write(path(name), slice_str(text), 0600));
}

static void
begin(void)
{
	faults_fini(&faults);
	faults_init(&faults);
}

static void
heard(void)
{
	snprintf(said, sizeof(said), "%s", buf_cstr(&faults.text));
}

static const char shop[] =
    "pack: shop/3\n"
    "title: A shop\n"
    "settings:\n"
    "  url: {type: url, required: true}\n"
    "  key: {type: text, secret: true, required: true}\n"
    "  zone: {type: zone, default: Europe/Helsinki}\n"
    "  folder: path\n"
    "  batch: {type: integer, default: 50}\n"
    "  fee: {type: decimal, default: '1.50'}\n"
    "  deep: bool\n"
    "  from: date\n"
    "  old: {type: text, secret: true}\n"
    "receive: [{verify: {}}]\n"
    "send:\n"
    "  shop.stock: {write: x, revised: send, spent: skip}\n"
    "  shop.mail: {revised: never}\n";

static void
vocabulary(void)
{
	put("canonical/order.placed.yaml",
	    "schema: order.placed/1\nsubject: {kind: order, scope: system}\n"
	    "fields: {number: text}\n");
	put("canonical/stock.changed.yaml",
	    "schema: stock.changed/1\nsubject: {kind: sku, scope: house}\n"
	    "fields: {sku: text}\n");
	begin();
	CHECK_OK(vocabulary_load(dir, &arena, &faults, &words));
	if (words == NULL)
		exit(1);
	CHECK(words->n == 2);
	CHECK(vocabulary_find(words, SLICE_LIT("order.placed")) != NULL);
	CHECK(vocabulary_find(words, SLICE_LIT("order.place")) == NULL);
}

static void
shop_files(void)
{
	put("shop/pack.yaml", shop);
	put("shop/schema/shop.stock.yaml",
	    "schema: shop.stock/1\nfields: {sku: text}\n");
	put("shop/schema/shop.mail.yaml",
	    "schema: shop.mail/1\nfields: {to: text}\n");
}

static struct pack *
shop_open(void)
{
	struct pack *p = NULL;

	begin();
	CHECK_OK(pack_open(dir, SLICE_LIT("shop"), &arena, &faults, &p));
	heard();
	CHECK_STR(said, "");
	if (p == NULL)
		exit(1);
	return p;
}

T(open_all)
{
	struct pack *p = shop_open();
	const struct pack_send *s;
	const struct schema_field *x;

	CHECK(slice_is(p->name, "shop") && p->version == 3);
	CHECK(slice_is(p->title, "A shop"));
	CHECK(p->settings_n == 9);
	CHECK(p->settings[0].required && p->settings[0].type == SETTING_URL);
	CHECK(p->settings[1].secret);
	CHECK(schema_find(p->settings_open, SLICE_LIT("key")) == NULL);
	CHECK(schema_find(p->settings_all, SLICE_LIT("key")) != NULL);
	x = schema_find(p->settings_open, SLICE_LIT("url"));
	CHECK(x != NULL && x->type == SCHEMA_TEXT && !x->optional);
	x = schema_find(p->settings_open, SLICE_LIT("zone"));
	CHECK(x != NULL && !x->optional);
	x = schema_find(p->settings_open, SLICE_LIT("deep"));
	CHECK(x != NULL && x->optional && x->type == SCHEMA_BOOL);
	CHECK(p->schemas_n == 2 &&
	      pack_schema(p, SLICE_LIT("shop.mail")) != NULL);
	s = pack_sends(p, SLICE_LIT("shop.stock"));
	CHECK(s != NULL && s->revised == SEND_AGAIN && s->skip_when_spent);
	s = pack_sends(p, SLICE_LIT("shop.mail"));
	CHECK(s != NULL && s->revised == SEND_NEVER && !s->skip_when_spent);
	CHECK(pack_sends(p, SLICE_LIT("shop.nothing")) == NULL);
	CHECK(pack_section(p, "receive") != NULL);
	CHECK(pack_section(p, "poll") == NULL);
	CHECK(pack_owns(SLICE_LIT("shop"), SLICE_LIT("shop.x")));
	CHECK(!pack_owns(SLICE_LIT("shop"), SLICE_LIT("shop.")));
	CHECK(!pack_owns(SLICE_LIT("shop"), SLICE_LIT("shops.x")));
	CHECK(!pack_owns(SLICE_LIT("shop"), SLICE_LIT("shop")));
}

T(open_wrong)
{
	struct pack *p = NULL;

	put("bad/pack.yaml", "pack: god/1\n"
			     "titel: x\n"
			     "settings:\n"
			     "  Url: url\n"
			     "  mode: text\n"
			     "  a: {type: txt}\n"
			     "  b: {type: text, requird: true}\n"
			     "  c: {type: text, required: true, default: x}\n"
			     "  d: {type: text, secret: true, default: x}\n"
			     "  e: {type: zone, default: Nowhere}\n"
			     "  f: {required: true}\n"
			     "send:\n"
			     "  other.x: {revised: send}\n"
			     "  bad.y: {revised: sent, spend: park}\n"
			     "  bad.z: {}\n");
	put("bad/schema/shop.x.yaml", "schema: shop.x/1\nfields: {}\n");
	begin();
	CHECK_ERR(
	    pack_open(dir, SLICE_LIT("bad"), &arena, &faults, &p), ERR_CONFIG);
	heard();
	HAS("pack \"god\" stands in the folder \"bad\"");
	HAS(":2:1: a pack: no key named \"titel\"; did you mean \"title\"?");
	HAS("\"Url\" can not name a setting");
	HAS("\"mode\" can not name a setting");
	HAS("no word named \"txt\"; did you mean \"text\"?");
	HAS("did you mean \"required\"?");
	HAS(":8:44: a required setting has no default");
	HAS("a secret has no default");
	HAS("e must be a time zone");
	HAS(":11:6: a setting needs a type");
	HAS("begins with \"bad.\"");
	HAS("\"bad.y\" has no schema; write schema/bad.y.yaml");
	HAS("no word named \"sent\"; did you mean \"send\"?");
	HAS("did you mean \"spent\"?");
	HAS(":15:10: what does a later revision do there?");
	HAS("shop.x.yaml: a type of this pack begins with \"bad.\"");
}

T(open_none)
{
	struct pack *p = NULL;

	begin();
	CHECK_ERR(
	    pack_open(dir, SLICE_LIT("shpo"), &arena, &faults, &p), ERR_CONFIG);
	CHECK_ERR(pack_open(dir, SLICE_LIT("../shop"), &arena, &faults, &p),
	    ERR_CONFIG);
	heard();
	HAS("there is no pack named \"shpo\"; did you mean \"shop\"?");
	HAS("there is no pack named \"../shop\"");
	CHECK(p == NULL);
}

T(vocabulary_wrong)
{
	const struct vocabulary *v = NULL;

	put("v2/canonical/a.b.yaml",
	    "schema: a.b/1\nsubject: {kind: k, scope: system}\nfields: {}\n");
	put("v2/canonical/a.c.yaml",
	    "schema: a.c/1\nsubject: {kind: k, scope: house}\nfields: {}\n");
	begin();
	CHECK_ERR(vocabulary_load(path("v2"), &arena, &faults, &v), ERR_CONFIG);
	heard();
	HAS("subjects of kind \"k\" are of house scope here and of system");
	begin();
	CHECK_ERR(vocabulary_load(path("v3"), &arena, &faults, &v), ERR_CONFIG);
	heard();
	HAS("there is no canonical vocabulary here");
	CHECK(v == NULL);
}

static enum err
settings(const char *yaml, char *open_json, char *all_json)
{
	struct pack *p = shop_open();
	struct config *c = NULL;
	struct buf open, all, json;
	enum err e;

	put("conf/vayla.yaml", yaml);
	begin();
	CHECK_OK(config_load(&c, path("conf/vayla.yaml"), &faults));
	if (c == NULL) {
		heard();
		fputs(said, stderr);
		exit(1);
	}
	buf_init(&open, 4096);
	buf_init(&all, 4096);
	buf_init(&json, 4096);
	e = pack_settings(p, c, &c->systems[0], &faults, &open, &all);
	heard();
	if (e == ERR_OK) {
		CHECK_OK(mp_check(buf_all(&open)));
		CHECK_OK(mp_check(buf_all(&all)));
		CHECK_OK(mp_to_json(buf_all(&open), JSON_COMPACT, &json));
		snprintf(open_json, 4096, "%s", buf_cstr(&json));
		buf_reset(&json);
		CHECK_OK(mp_to_json(buf_all(&all), JSON_COMPACT, &json));
		snprintf(all_json, 4096, "%s", buf_cstr(&json));
	}
	buf_fini(&open);
	buf_fini(&all);
	buf_fini(&json);
	config_free(c);
	return e;
}

T(settings_good)
{
	char open[4096], all[4096], want[4096];

	CHECK_OK(settings("systems:\n"
			  "  s: {use: shop, key: s3cret, url: 'https://x.fi', "
			  "mode: live, of: s, since: 2026-01-01, tables: {}}\n",
	    open, all));
	CHECK_STR(open,
	    "{\"system\":\"s\",\"url\":\"https://x.fi\",\"zone\":\"Europe/"
	    "Helsinki\",\"batch\":50,\"fee\":1.50}");
	CHECK_STR(all, "{\"system\":\"s\",\"url\":\"https://"
		       "x.fi\",\"key\":\"s3cret\",\"zone\":"
		       "\"Europe/Helsinki\",\"batch\":50,\"fee\":1.50}");
	/* the pack's order, whatever vayla.yaml's; paths from its folder */
	CHECK_OK(settings("systems:\n"
			  "  s: {use: shop, old: o, from: 2026-03-01, deep: "
			  "true, fee: 2, batch: 7, folder: books, zone: UTC, "
			  "key: k, url: 'http://y'}\n",
	    open, all));
	snprintf(want, sizeof(want),
	    "{\"system\":\"s\",\"url\":\"http://"
	    "y\",\"zone\":\"UTC\",\"folder\":\"%s/conf/"
	    "books\",\"batch\":7,\"fee\":2,\"deep\":true,\"from\":"
	    "\"2026-03-01\"}",
	    dir);
	CHECK_STR(open, want);
	CHECK(strstr(all, "\"old\":\"o\"") != NULL);
}

T(settings_wrong)
{
	char open[4096], all[4096];

	CHECK_ERR(settings("systems:\n"
			   "  s: {use: shop, kye: s3cret, url: nowhere, batch: "
			   "'1.5', fee: x, deep: yes, zone: Mars, from: x}\n",
		      open, all),
	    ERR_CONFIG);
	HAS("no key named \"kye\"; did you mean \"key\"?");
	HAS("pack shop needs key here");
	HAS("url must be a URL");
	HAS("batch must be a whole number");
	HAS("fee must be a decimal");
	HAS("deep must be true or false");
	HAS("zone must be a time zone");
	HAS("from must be a date");
	CHECK(strstr(said, "s3cret") == NULL);
	CHECK_ERR(
	    settings("systems: {s: {use: shop, url: '', key: k}}\n", open, all),
	    ERR_CONFIG);
	HAS("pack shop needs url here");
}

T(defaults)
{
	struct pack *p = shop_open();
	struct yaml *over;
	struct buf out, json;

	buf_init(&out, 4096);
	buf_init(&json, 4096);
	CHECK_OK(pack_defaults(p, "x", NULL, &faults, &out));
	CHECK_OK(mp_to_json(buf_all(&out), JSON_COMPACT, &json));
	CHECK_STR(buf_cstr(&json),
	    "{\"system\":\"shop\",\"zone\":\"Europe/Helsinki\",\"batch\":50,"
	    "\"fee\":1.50}");
	CHECK_OK(yaml_parse(
	    "x", SLICE_LIT("{zone: UTC, key: k}"), &arena, &faults, &over));
	buf_reset(&out);
	buf_reset(&json);
	CHECK_OK(pack_defaults(p, "x", over, &faults, &out));
	CHECK_OK(mp_to_json(buf_all(&out), JSON_COMPACT, &json));
	CHECK_STR(buf_cstr(&json),
	    "{\"system\":\"shop\",\"zone\":\"UTC\",\"batch\":50,\"fee\":1.50}");
	CHECK_OK(
	    yaml_parse("x", SLICE_LIT("{zon: UTC}"), &arena, &faults, &over));
	CHECK_ERR(pack_defaults(p, "x", over, &faults, &out), ERR_CONFIG);
	heard();
	HAS("did you mean \"zone\"?");
	buf_fini(&out);
	buf_fini(&json);
}

static void
prepare(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vayla-pack-XXXXXX");
	if (mkdtemp(dir) == NULL)
		exit(1);
	arena_init(&arena, 64 << 20);
	faults_init(&faults);
	vocabulary();
	shop_files();
}

static void
clean(void)
{
	char cmd[128];

	faults_fini(&faults);
	arena_fini(&arena);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		exit(1);
}

T_MAIN(prepare(); T_RUN(open_all) T_RUN(open_wrong) T_RUN(open_none)
	   T_RUN(vocabulary_wrong) T_RUN(settings_good) T_RUN(settings_wrong)
	       T_RUN(defaults) clean())
