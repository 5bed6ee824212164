/*
 * receiver_recipe: signature recipes against the vendors' own vectors, and
 * against every bit that could have been another.
 */
#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "connectors/sdk/recipe.h"
#include "tests/unit/t.h"

#define S INT64_C(1000000000)

/* How each scheme is written. `signed_text`: the vector gives what is signed,
 * not what it is put together from; it stands as the body. */
static const struct scheme {
	const char *name, *recipe;
	const char *header; /* where the expected value goes; NULL: is there */
	int64_t now;
	bool signed_text;
} schemes[] = {
    {"stripe",
	"{hmac: sha256, over: [timestamp, {text: \".\"}, body], header: "
	"Stripe-Signature, split: \",\", prefix: \"v1=\", key: "
	"$settings.secret, timestamp: {header: Stripe-Signature, split: "
	"\",\", prefix: \"t=\", unit: s, within: 5m}}",
	NULL, 1533204620, false},
    {"shopify",
	"{hmac: sha256, over: body, encoding: base64, header: "
	"X-Shopify-Hmac-Sha256, key: $settings.secret}",
	NULL, 0, false},
    {"paytrail.callback",
	"{hmac: {by: $request.query.'checkout-algorithm', among: [sha256, "
	"sha512]}, over: [{params: {from: query, prefix: \"checkout-\", each: "
	"\"key:value\", join: \"\\n\"}}, {text: \"\\n\"}, body], param: "
	"signature, key: $settings.secret}",
	NULL, 0, false},
    {"paytrail.get",
	"{hmac: {by: header('checkout-algorithm'), among: [sha256, sha512]}, "
	"over: [{params: {from: headers, prefix: \"checkout-\", each: "
	"\"key:value\", join: \"\\n\"}}, {text: \"\\n\"}, body], header: "
	"signature, key: $settings.secret}",
	"signature", 0, false},
    {"paytrail.post",
	"{hmac: {by: header('checkout-algorithm'), among: [sha256, sha512]}, "
	"over: [{params: {from: headers, prefix: \"checkout-\", each: "
	"\"key:value\", join: \"\\n\"}}, {text: \"\\n\"}, body], header: "
	"signature, key: $settings.secret}",
	"signature", 0, false},
    {"adyen.item",
	"{hmac: sha256, over: body, encoding: base64, header: sig, key: "
	"$settings.secret, key_form: hex}",
	"sig", 0, true},
    {"adyen.rawbody",
	"{hmac: sha256, over: body, encoding: base64, header: HmacSignature, "
	"key: $settings.secret, key_form: hex}",
	NULL, 0, false},
    {"standard-webhooks",
	"{hmac: sha256, over: [{text: \"{header('webhook-id')}.\"}, timestamp, "
	"{text: \".\"}, body], encoding: base64, header: webhook-signature, "
	"split: \" \", prefix: \"v1,\", key: $settings.secret, key_form: "
	"{strip: \"whsec_\", decode: base64}, timestamp: {header: "
	"webhook-timestamp, unit: s, within: 5m}}",
	NULL, 1614265330, false},
    {"easypost",
	"{hmac: sha256, over: body, header: X-Hmac-Signature, prefix: "
	"\"hmac-sha256-hex=\", key: $settings.secret}",
	NULL, 0, false},
    {"square",
	"{hmac: sha256, over: [{text: \"{$request.url}\"}, body], encoding: "
	"base64, header: x-square-hmacsha256-signature, key: "
	"$settings.secret}",
	"x-square-hmacsha256-signature", 0, false},
    {"hubspot.v1",
	"{hash: sha256, over: [key, body], header: X-HubSpot-Signature, key: "
	"$settings.secret}",
	"X-HubSpot-Signature", 0, false},
    {"hubspot.v2",
	"{hash: sha256, over: [key, {text: "
	"\"{$request.method}{$request.url}\"}, body], header: "
	"X-HubSpot-Signature, key: $settings.secret}",
	"X-HubSpot-Signature", 0, false},
    {"netvisor.md5",
	"{hash: md5, over: body, header: sig, key: "
	"$settings.secret}",
	"sig", 0, true},
    {"woocommerce",
	"{hmac: sha256, over: body, encoding: base64, header: "
	"X-WC-Webhook-Signature, key: $settings.secret}",
	"X-WC-Webhook-Signature", 0, false},
    {"aftership",
	"{hmac: sha256, over: body, encoding: base64, header: "
	"aftership-hmac-sha256, key: $settings.secret}",
	"aftership-hmac-sha256", 0, false},
    {"vipps",
	"{hmac: sha256, over: [{text: "
	"\"{$request.method}\\n{$request.path}\\n{header('x-ms-date')};"
	"{header('host')};\"}, {digest: {hash: sha256, of: body, encoding: "
	"base64}}], encoding: base64, header: Authorization, prefix: "
	"\"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&"
	"Signature=\", key: $settings.secret}",
	"Authorization", 0, false},
    {"pakettikauppa.callback",
	"{hmac: sha256, over: [{params: {from: form, each: value, join: "
	"\"&\"}}], field: hash, key: $settings.secret}",
	"hash", 0, false},
    {"pakettikauppa.request",
	"{hmac: sha256, over: [{params: {from: form, each: value, join: "
	"\"&\"}}], field: hash, key: $settings.secret}",
	"hash", 0, false},
    {"zettle",
	"{hmac: sha256, over: body, header: X-iZettle-Signature, key: "
	"$settings.secret}",
	"X-iZettle-Signature", 0, true},
    {"zendesk",
	"{hmac: sha256, over: [timestamp, body], encoding: base64, header: "
	"X-Zendesk-Webhook-Signature, key: $settings.secret, timestamp: "
	"{header: X-Zendesk-Webhook-Signature-Timestamp, unit: iso, within: "
	"5m}}",
	"X-Zendesk-Webhook-Signature", 1713374290, false},
    {"chatwoot",
	"{hmac: sha256, over: [timestamp, {text: \".\"}, body], header: "
	"X-Chatwoot-Signature, prefix: \"sha256=\", key: $settings.secret, "
	"timestamp: {header: X-Chatwoot-Timestamp, unit: s, within: 5m}}",
	"X-Chatwoot-Signature", 1627063369, false},
    {"zammad",
	"{hmac: sha1, over: body, header: X-Hub-Signature, prefix: \"sha1=\", "
	"key: $settings.secret}",
	"X-Hub-Signature", 0, false},
    {"xero",
	"{hmac: sha256, over: body, encoding: base64, header: "
	"x-xero-signature, key: $settings.secret}",
	"x-xero-signature", 0, false},
    {"netvisor.hmacsha256",
	"{hmac: sha256, over: body, header: sig, key: $settings.secret}", "sig",
	0, true},
    {"svea.maksuturva",
	"{hash: sha512, over: [body, key, {text: \"&\"}], encoding: HEX, "
	"header: pmtq_hash, key: $settings.secret}",
	"pmtq_hash", 0, true},
};

static struct arena arena;
static struct schema_field secret_field = {
    .type = SCHEMA_TEXT, .optional = true};
static struct schema_field settings_field = {.type = SCHEMA_MAP};

static const struct recipe *
load(const char *text, bool fine)
{
	const struct recipe *r = NULL;
	struct yaml *y = NULL;
	struct faults f;
	enum err e;

	faults_init(&f);
	CHECK_OK(yaml_parse("test", slice_str(text), &arena, &f, &y));
	e = recipe_load(&r, "test", y, &settings_field, &arena, &f);
	if (fine && e != ERR_OK) {
		t_bad++;
		fprintf(stderr, "%s\n%s", text, buf_cstr(&f.text));
	}
	if (!fine)
		CHECK(e != ERR_OK && f.count > 0);
	faults_fini(&f);
	return r;
}

static struct slice
settings_of(struct slice secret)
{
	struct slice out = SLICE_EMPTY;
	struct buf b;

	buf_init(&b, 4096);
	mp_put_map(&b, 1);
	mp_put_cstr(&b, "secret");
	mp_put_str(&b, secret);
	CHECK_OK(arena_copy(&arena, buf_all(&b), &out));
	buf_fini(&b);
	return out;
}

/* A request under test; its pieces can be changed between two checks. */
struct trial {
	const struct recipe *r;
	struct request q;
	struct slice secret;
	int64_t now;
};

static enum err
verify(const struct trial *t)
{
	struct request q = t->q;
	struct slice settings = settings_of(t->secret);
	struct arena scratch;
	struct buf b;
	enum err e;

	arena_init(&scratch, 16 * 1024 * 1024);
	buf_init(&b, 4 * 1024 * 1024);
	request_mp(&q, true, &b);
	q.mp = buf_all(&b);
	e = recipe_verify(t->r, &q, settings, t->now * S, &scratch);
	buf_fini(&b);
	arena_fini(&scratch);
	return e;
}

static void
param_add(struct params *p, struct slice name, struct slice value, bool low)
{
	struct slice n = SLICE_EMPTY, v = SLICE_EMPTY;

	if (p->v == NULL)
		p->v = arena_alloc(&arena, 64 * sizeof(*p->v));
	CHECK_OK(arena_copy(&arena, name, &n));
	CHECK_OK(arena_copy(&arena, value, &v));
	for (size_t i = 0; low && i < n.n; i++)
		if (n.p[i] >= 'A' && n.p[i] <= 'Z')
			((uint8_t *)(uintptr_t)n.p)[i] |= 0x20;
	p->v[p->n++] = (struct param){n, v};
	params_sort(p);
}

static void
add_map(struct params *p, struct slice map, bool low)
{
	struct mp_in in = mp_in(map);
	struct mp head, k, v;

	CHECK_OK(mp_next(&in, &head));
	for (uint32_t i = 0; i < head.count; i++) {
		CHECK_OK(mp_next(&in, &k));
		CHECK_OK(mp_next(&in, &v));
		param_add(p, k.bytes, v.bytes, low);
	}
}

static struct slice
fixture(struct slice name)
{
	struct slice out = SLICE_EMPTY;
	char path[1024];
	struct buf b;

	buf_init(&b, 1024 * 1024);
	snprintf(path, sizeof(path), "%s/%.*s", t_fixtures(), SLICE_ARG(name));
	CHECK_OK(file_read(path, &b));
	CHECK_OK(arena_copy(&arena, buf_all(&b), &out));
	buf_fini(&b);
	return out;
}

static void
fill_body(struct trial *t, const struct scheme *s, struct slice vector)
{
	struct slice text;

	t->q.body = SLICE_EMPTY;
	if (s->signed_text) {
		CHECK(mp_get_str(vector, "string_to_sign", &t->q.body));
		/* this one's text ends with the key, which the recipe adds */
		if (strcmp(s->name, "svea.maksuturva") == 0)
			t->q.body.n -= t->secret.n + 1;
		if (t->q.body.p[0] == '<') /* zettle: it must be put together */
			t->q.body = SLICE_EMPTY;
	} else if (mp_get_str(vector, "body_file", &text)) {
		t->q.body = fixture(text);
		if (mp_get_str(vector, "body_transform", &text))
			t->q.body.n--;
	} else {
		(void)mp_get_str(vector, "body", &t->q.body);
	}
}

static void
fill(struct trial *t, const struct scheme *s, struct slice vector)
{
	struct slice v, expected;
	const uint8_t *mark;

	memset(t, 0, sizeof(*t));
	t->r = load(s->recipe, true);
	t->now = s->now;
	CHECK(mp_get_str(vector, "secret", &t->secret));
	CHECK(mp_get_str(vector, "expected", &expected));
	if (strcmp(s->name, "easypost") == 0) /* NFKD, done by the merchant */
		t->secret = SLICE_LIT("se\xcc\x81"
				      "cret");
	t->q.method = SLICE_LIT("POST");
	t->q.path = t->q.url = t->q.mp = SLICE_EMPTY;
	(void)mp_get_str(vector, "method", &t->q.method);
	if (mp_get_str(vector, "url", &t->q.url) &&
	    (mark = memmem(t->q.url.p + 8, t->q.url.n - 8, "/", 1)) != NULL)
		t->q.path = slice_from(t->q.url, (size_t)(mark - t->q.url.p));
	fill_body(t, s, vector);
	CHECK(mp_get(vector, "headers", &v));
	add_map(&t->q.headers, v, true);
	if (mp_get(vector, "form", &v))
		add_map(&t->q.form, v, false);
	if (mp_get_str(vector, "query_file", &v)) {
		v = fixture(v);
		mark = memchr(v.p, '?', v.n);
		v = slice_from(v, (size_t)(mark - v.p) + 1);
		while (v.n > 0 && v.p[v.n - 1] == '\n')
			v.n--;
		CHECK_OK(params_parse(v, &arena, &t->q.query));
	}
	if (s->header != NULL &&
	    params_get(&t->q.headers, slice_str(s->header), &v) == 0)
		param_add(s->name[0] == 'p' && s->name[2] == 'k'
			      ? &t->q.form
			      : &t->q.headers,
		    slice_str(s->header), expected, s->name[2] != 'k');
}

/* Every byte of `s` with one of its bits turned must be refused; the bit
 * differs from byte to byte. Letters of hex may change their case. */
static void
flip(struct trial *t, struct slice *s, const char *what, bool hex)
{
	struct slice was = *s;
	size_t step = was.n > 200 ? was.n / 100 : 1;

	for (size_t i = 0; i < was.n; i += step) {
		uint8_t *copy = arena_raw(&arena, was.n);
		unsigned bit = (unsigned)(i % 8);

		memcpy(copy, was.p, was.n);
		if (hex && bit == 5)
			bit = 4;
		copy[i] ^= (uint8_t)(1u << bit);
		*s = slice_of(copy, was.n);
		if (verify(t) == ERR_SIGNATURE)
			continue;
		t_bad++;
		fprintf(stderr, "%s: byte %zu, bit %u: not noticed\n", what, i,
		    bit);
	}
	*s = was;
}

static void
flip_all(struct trial *t, const struct scheme *s)
{
	struct params *lists[] = {&t->q.headers, &t->q.query, &t->q.form};
	struct slice name;
	enum recipe_place place = recipe_place(t->r, &name);

	if (t->q.body.n > 0)
		flip(t, &t->q.body, s->name, false);
	/* where the key is no part of the arithmetic, it is not at risk */
	if (strcmp(s->name, "netvisor.md5") != 0) {
		struct slice was = t->secret;

		/* of a key in hex or base64 a broken digit is refused too, but
		 * the case of hex says nothing */
		flip(t, &t->secret, s->name,
		    strstr(s->recipe, "key_form: hex") != NULL);
		t->secret = was;
	}
	for (size_t l = 0; l < 3; l++) {
		for (size_t i = 0; i < lists[l]->n; i++) {
			struct param *p = &lists[l]->v[i];
			bool it =
			    (int)place == (int)l && slice_eq(p->name, name);

			if (it && slice_is(p->name, "stripe-signature"))
				continue; /* holds a signature nobody reads */
			if (it)
				flip(t, &p->value, s->name,
				    strstr(s->recipe, "base64") == NULL &&
					strstr(s->recipe, "HEX") == NULL);
			else if (slice_starts(
				     p->name, SLICE_LIT("checkout-")) ||
				 l == 2)
				flip(t, &p->value, s->name, false);
		}
	}
}

/* What we sign ourselves is the vendor's own value. */
static void
sign_same(const struct trial *t, const struct scheme *s)
{
	struct recipe_added added[RECIPE_ADDED];
	struct request q = t->q;
	struct slice settings = settings_of(t->secret), name, want;
	struct params *lists[] = {&q.headers, &q.query, &q.form};
	enum recipe_place place = recipe_place(t->r, &name);
	struct params *in = lists[place];
	struct params without = {0};
	struct arena scratch;
	struct buf b;
	size_t n = 0;

	if (strcmp(s->name, "stripe") == 0)
		return; /* the vector's header holds more than we write */
	CHECK(params_get(in, name, &want) == 1);
	for (size_t i = 0; i < in->n; i++)
		if (!slice_eq(in->v[i].name, name))
			param_add(
			    &without, in->v[i].name, in->v[i].value, false);
	*in = without;
	arena_init(&scratch, 16 * 1024 * 1024);
	buf_init(&b, 4 * 1024 * 1024);
	request_mp(&q, true, &b);
	q.mp = buf_all(&b);
	CHECK_OK(
	    recipe_sign(t->r, &q, settings, t->now * S, &scratch, added, &n));
	CHECK(n >= 1);
	if (n >= 1 && !slice_eq(added[n - 1].value, want)) {
		t_bad++;
		fprintf(stderr, "%s: signed %.*s, not %.*s\n", s->name,
		    SLICE_ARG(added[n - 1].value), SLICE_ARG(want));
	}
	buf_fini(&b);
	arena_fini(&scratch);
}

static void
one_vector(struct slice vector)
{
	struct slice name;
	struct trial t;
	size_t i, n = sizeof(schemes) / sizeof(schemes[0]);
	enum err e;

	CHECK(mp_get_str(vector, "scheme", &name));
	for (i = 0; i < n && !slice_is(name, schemes[i].name); i++)
		;
	if (i == n) {
		t_bad++;
		fprintf(stderr, "no recipe for %.*s\n", SLICE_ARG(name));
		return;
	}
	fill(&t, &schemes[i], vector);
	if (strcmp(schemes[i].name, "zettle") == 0 && t.q.body.n == 0) {
		/* timestamp.payload, from the envelope itself */
		struct slice body, v;
		struct buf mp, text;

		buf_init(&mp, 65536);
		buf_init(&text, 65536);
		CHECK(mp_get_str(vector, "body_file", &v));
		body = fixture(v);
		CHECK_OK(json_to_mp(body, &mp, NULL));
		CHECK(mp_get_str(buf_all(&mp), "timestamp", &v));
		buf_slice(&text, v);
		buf_byte(&text, '.');
		CHECK(mp_get_str(buf_all(&mp), "payload", &v));
		buf_slice(&text, v);
		CHECK_OK(arena_copy(&arena, buf_all(&text), &t.q.body));
		buf_fini(&mp);
		buf_fini(&text);
	}
	e = verify(&t);
	if (e != ERR_OK) {
		t_bad++;
		fprintf(stderr, "%s: %s\n", schemes[i].name, err_last());
		return;
	}
	flip_all(&t, &schemes[i]);
	sign_same(&t, &schemes[i]);
}

T(vectors)
{
	char path[1024];
	struct buf text, mp;
	struct mp_in in;
	struct mp list;
	struct slice v;

	buf_init(&text, 1024 * 1024);
	buf_init(&mp, 1024 * 1024);
	snprintf(
	    path, sizeof(path), "%s/_vectors/signatures.json", t_fixtures());
	if (file_read(path, &text) != ERR_OK) {
		fprintf(stderr,
		    "SKIPPED: no %s: no vendor's vector is checked\n", path);
		t_skipped++;
	} else {
		CHECK_OK(json_to_mp(buf_all(&text), &mp, NULL));
		in = mp_in(buf_all(&mp));
		CHECK_OK(mp_next(&in, &list));
		CHECK(list.type == MP_ARRAY && list.count > 20);
		for (uint32_t i = 0; i < list.count; i++) {
			CHECK_OK(mp_value(&in, &v));
			one_vector(v);
			arena_reset(&arena);
		}
	}
	buf_fini(&text);
	buf_fini(&mp);
}

/* ---- what no vector shows ---- */

static struct trial
simple(const char *recipe, const char *header, const char *value)
{
	struct trial t = {
	    .r = load(recipe, true), .secret = SLICE_LIT("key"), .now = 1000};

	t.q.method = SLICE_LIT("POST");
	t.q.path = t.q.url = t.q.mp = SLICE_EMPTY;
	t.q.body = SLICE_LIT("body");
	if (header != NULL)
		param_add(
		    &t.q.headers, slice_str(header), slice_str(value), true);
	return t;
}

static const char *
mac_of(struct slice key, const char *text, char out[65])
{
	uint8_t sum[64];

	CHECK_OK(hmac(HASH_SHA256, key, slice_str(text), sum));
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	return out;
}

static const char plain[] =
    "{hmac: sha256, over: body, header: Sig, key: $settings.secret}";

T(missing_doubled_and_cut)
{
	char mac[65];
	struct trial t = simple(plain, NULL, NULL);

	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	mac_of(SLICE_LIT("key"), "body", mac);
	t = simple(plain, "sig", mac);
	CHECK_OK(verify(&t));
	param_add(&t.q.headers, SLICE_LIT("sig"), slice_str(mac), true);
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	mac[63] = '\0';
	t = simple(plain, "sig", mac);
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	t = simple(plain, "sig", "");
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
}

T(upper_case_hex_is_fine_where_lower_is_meant)
{
	char mac[65];
	struct trial t;

	mac_of(SLICE_LIT("key"), "body", mac);
	for (int i = 0; i < 64; i++)
		if (mac[i] >= 'a')
			mac[i] = (char)(mac[i] - 32);
	t = simple(plain, "sig", mac);
	CHECK_OK(verify(&t));
	t.r = load("{hmac: sha256, over: body, header: Sig, encoding: HEX, "
		   "key: $settings.secret}",
	    true);
	CHECK_OK(verify(&t));
	mac_of(SLICE_LIT("key"), "body", mac);
	t = simple("{hmac: sha256, over: body, header: Sig, encoding: HEX, "
		   "key: $settings.secret}",
	    "sig", mac);
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
}

T(an_empty_or_missing_secret_refuses)
{
	char mac[65];
	struct trial t = simple(plain, "sig", mac_of(SLICE_EMPTY, "body", mac));

	t.secret = SLICE_EMPTY;
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	t.r = load(
	    "{hmac: sha256, over: body, header: Sig, key: $settings.other}",
	    true);
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	t.r = load("{token: $settings.other, header: Sig}", true);
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
}

T(either_of_two_keys)
{
	char mac[65];
	struct trial t = simple("{hmac: sha256, over: body, header: Sig, key: "
				"[$settings.other, $settings.secret]}",
	    "sig", mac_of(SLICE_LIT("key"), "body", mac));

	CHECK_OK(verify(&t));
	t.secret = SLICE_LIT("kez");
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
}

T(time_is_bounded_both_ways)
{
	static const char recipe[] =
	    "{hmac: sha256, over: [timestamp, body], header: Sig, key: "
	    "$settings.secret, timestamp: {header: At, unit: s, within: 5m}}";
	char mac[65];
	struct trial t =
	    simple(recipe, "sig", mac_of(SLICE_LIT("key"), "1000body", mac));

	CHECK_ERR(verify(&t), ERR_SIGNATURE); /* no moment */
	param_add(&t.q.headers, SLICE_LIT("at"), SLICE_LIT("1000"), true);
	CHECK_OK(verify(&t));
	t.now = 1300;
	CHECK_OK(verify(&t));
	t.now = 1301;
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	t.now = 700;
	CHECK_OK(verify(&t));
	t.now = 699;
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	t = simple(recipe, "sig",
	    mac_of(SLICE_LIT("key"), "99999999999999999999body", mac));
	param_add(&t.q.headers, SLICE_LIT("at"),
	    SLICE_LIT("99999999999999999999"), true);
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
}

T(algorithm_of_the_sender_must_be_accepted)
{
	static const char recipe[] =
	    "{hmac: {by: header('alg'), among: [sha256, sha512]}, over: body, "
	    "header: Sig, key: $settings.secret}";
	char mac[65];
	struct trial t =
	    simple(recipe, "sig", mac_of(SLICE_LIT("key"), "body", mac));

	CHECK_ERR(verify(&t), ERR_SIGNATURE); /* not said */
	param_add(&t.q.headers, SLICE_LIT("alg"), SLICE_LIT("sha256"), true);
	CHECK_OK(verify(&t));
	t.q.headers.v[0].value = SLICE_LIT("SHA256");
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
	t.q.headers.v[0].value = SLICE_LIT("md5");
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
}

T(a_token)
{
	struct trial t = simple(
	    "{token: $settings.secret, header: ApiKey}", "apikey", "key");

	CHECK_OK(verify(&t));
	t.secret = SLICE_LIT("kex");
	CHECK_ERR(verify(&t), ERR_SIGNATURE);
}

T(mistakes_are_found_when_it_loads)
{
	(void)load("{over: body, header: Sig, key: $settings.secret}", false);
	(void)load("{hmac: sha3, over: body, header: Sig, key: "
		   "$settings.secret}",
	    false);
	(void)load("{hmac: sha256, hash: md5, over: body, header: Sig, key: "
		   "$settings.secret}",
	    false);
	(void)load("{hmac: sha256, over: body, key: $settings.secret}", false);
	(void)load("{hmac: sha256, over: body, header: Sig, param: sig, key: "
		   "$settings.secret}",
	    false);
	(void)load("{hmac: sha256, over: body, header: Sig}", false);
	(void)load("{hmac: sha256, header: Sig, key: $settings.secret}", false);
	(void)load("{hmac: sha256, over: [timestamp], header: Sig, key: "
		   "$settings.secret}",
	    false);
	(void)load("{hmac: sha256, over: body, header: Sig, key: "
		   "$settings.secert}",
	    false);
	(void)load("{hmac: sha256, over: body, heder: Sig, key: "
		   "$settings.secret}",
	    false);
	(void)load("{hmac: sha256, over: body, header: Sig, key: "
		   "$settings.secret, timestamp: {header: At, unit: s, "
		   "within: soon}}",
	    false);
	(void)load("{token: $settings.secret, over: body, header: Sig}", false);
}

/* ---- parameters ---- */

T(parameters)
{
	struct params p;
	struct slice v;
	char many[4 * (PARAMS_MAX + 2)];
	size_t n = 0;

	CHECK_OK(params_parse(
	    SLICE_LIT("b=2&a=%c3%a4+x&&c&a%20b=%3D&=e"), &arena, &p));
	CHECK(p.n == 5 && !p.doubled);
	CHECK(params_get(&p, SLICE_LIT("a"), &v) == 1 &&
	      slice_is(v, "\xc3\xa4 x"));
	CHECK(params_get(&p, SLICE_LIT("c"), &v) == 1 && v.n == 0);
	CHECK(params_get(&p, SLICE_LIT("a b"), &v) == 1 && slice_is(v, "="));
	CHECK(params_get(&p, SLICE_LIT("d"), &v) == 0);
	CHECK_OK(params_parse(SLICE_LIT("a=1&b=2&a=3"), &arena, &p));
	CHECK(p.doubled && params_get(&p, SLICE_LIT("a"), &v) == 2 &&
	      slice_is(v, "1"));
	CHECK_OK(params_parse(SLICE_EMPTY, &arena, &p));
	CHECK(p.n == 0);
	CHECK_ERR(params_parse(SLICE_LIT("a=%"), &arena, &p), ERR_SYNTAX);
	CHECK_ERR(params_parse(SLICE_LIT("a=%4"), &arena, &p), ERR_SYNTAX);
	CHECK_ERR(params_parse(SLICE_LIT("a=%g0"), &arena, &p), ERR_SYNTAX);
	CHECK_ERR(params_parse(SLICE_LIT("a=%00"), &arena, &p), ERR_SYNTAX);
	CHECK_ERR(params_parse(SLICE_LIT("a=%ff"), &arena, &p), ERR_SYNTAX);
	for (int i = 0; i <= PARAMS_MAX; i++, n += 2)
		memcpy(many + n, "a&", 2);
	CHECK_ERR(params_parse(slice_of(many, n), &arena, &p), ERR_LIMIT);
}

int
main(void)
{
	arena_init(&arena, 256 * 1024 * 1024);
	secret_field.name = SLICE_LIT("secret");
	settings_field.fields = &secret_field;
	secret_field.next = &(struct schema_field){
	    .name = SLICE_LIT("other"), .type = SCHEMA_TEXT, .optional = true};
	T_RUN(vectors);
	T_RUN(missing_doubled_and_cut);
	T_RUN(upper_case_hex_is_fine_where_lower_is_meant);
	T_RUN(an_empty_or_missing_secret_refuses);
	T_RUN(either_of_two_keys);
	T_RUN(time_is_bounded_both_ways);
	T_RUN(algorithm_of_the_sender_must_be_accepted);
	T_RUN(a_token);
	T_RUN(mistakes_are_found_when_it_loads);
	T_RUN(parameters);
	arena_fini(&arena);
	printf("%s: %d passed, %d failed", __FILE__, t_passed, t_failed);
	if (t_skipped > 0)
		printf(", %d skipped", t_skipped);
	putchar('\n');
	return t_failed > 0;
}
