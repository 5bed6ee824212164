/*
 * recipe_load - the `verify:` section of a pack, read and checked. Every
 * mistake of the section is found in one pass.
 */
#include "broker/base/yaml_check.h"
#include "connectors/sdk/recipe_shape.h"

struct loader {
	struct yaml_at at;
	const struct schema_field *settings;
	struct arena *a;
	struct recipe *r;
};

static const char *const alg_words[] = {
    "md5", "sha1", "sha256", "sha512", NULL};
static const char *const encoding_words[] = {"hex", "HEX", "base64", NULL};

static const struct formula *
formula(struct loader *l, const struct yaml *y, unsigned roots)
{
	const struct formula *x = NULL;

	if (y == NULL)
		return NULL;
	/* its faults are in f; the section fails as a whole */
	if (formula_load(&x, l->at.file, y, roots, NULL, l->settings, l->a,
		l->at.f) != ERR_OK)
		return NULL;
	return x;
}

static struct slice
lowered(struct loader *l, struct slice s)
{
	uint8_t *to = arena_raw(l->a, s.n + 1);

	if (to == NULL)
		return SLICE_EMPTY;
	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i];
	to[s.n] = 0;
	return slice_of(to, s.n);
}

/* header: / param: / field: of a map, exactly one of them. */
static void
load_place(struct loader *l, const struct yaml *node, bool field_too,
    const char *what, struct recipe_at *out)
{
	static const char *const words[] = {"header", "param", "field"};
	int found = 0;

	for (int i = 0; i < (field_too ? 3 : 2); i++) {
		const struct yaml *y = yaml_get(node, words[i]);

		if (y == NULL)
			continue;
		found++;
		out->place = (enum recipe_place)i;
		out->shown = yaml_text(&l->at, y, words[i]);
		out->name = i == 0 ? lowered(l, out->shown) : out->shown;
		if (out->shown.n == 0)
			fault(l->at.f, l->at.file, y, "%s: the name is empty",
			    words[i]);
	}
	if (found != 1)
		fault(l->at.f, l->at.file, node,
		    "%s: say where it stands, with one of header, param%s",
		    what, field_too ? ", field" : "");
	out->split = yaml_text(&l->at, yaml_get(node, "split"), "split");
	out->prefix = yaml_text(&l->at, yaml_get(node, "prefix"), "prefix");
}

static void
load_alg(struct loader *l, const struct yaml *y, const char *what)
{
	static const char *const known[] = {"by", "among", NULL};
	const struct yaml *among = yaml_get(y, "among");
	int w;

	if (y->kind != YAML_MAP) {
		w = yaml_word(&l->at, y, alg_words, what);
		l->r->alg = w >= 0 ? (enum hash_alg)w : HASH_NONE;
		return;
	}
	(void)yaml_known(&l->at, y, known, what);
	l->r->by =
	    formula(l, yaml_get(y, "by"), FORMULA_REQUEST | FORMULA_SETTINGS);
	if (yaml_get(y, "by") == NULL || among == NULL || among->count == 0) {
		fault(l->at.f, l->at.file, y,
		    "%s: needs `by` (which algorithm the sender names) and "
		    "`among` (the ones that are accepted)",
		    what);
		return;
	}
	if (!yaml_want(&l->at, among, YAML_LIST, "among"))
		return;
	for (const struct yaml *c = among->child; c != NULL; c = c->next)
		if ((w = yaml_word(&l->at, c, alg_words, "among")) >= 0)
			l->r->among |= 1u << w;
}

static void
load_keys(struct loader *l, const struct yaml *node)
{
	static const char *const forms[] = {"text", "hex", "base64", NULL};
	static const char *const known[] = {"strip", "decode", NULL};
	const struct yaml *key = yaml_get(node, "key");
	const struct yaml *form = yaml_get(node, "key_form");
	struct recipe *r = l->r;
	int w;

	if (key == NULL) {
		if (r->proof != PROOF_TOKEN)
			fault(l->at.f, l->at.file, node,
			    "verify: needs `key`, the setting with the secret");
	} else if (key->kind == YAML_LIST) {
		if (key->count > RECIPE_KEYS)
			fault(l->at.f, l->at.file, key,
			    "key: more than %d of them", RECIPE_KEYS);
		for (const struct yaml *c = key->child;
		     c != NULL && r->keys_n < RECIPE_KEYS; c = c->next)
			r->keys[r->keys_n++] = formula(l, c, FORMULA_SETTINGS);
	} else {
		r->keys[r->keys_n++] = formula(l, key, FORMULA_SETTINGS);
	}
	if (form != NULL && form->kind == YAML_MAP) {
		(void)yaml_known(&l->at, form, known, "key_form");
		r->strip = yaml_text(&l->at, yaml_get(form, "strip"), "strip");
		form = yaml_get(form, "decode");
	}
	w = form != NULL ? yaml_word(&l->at, form, forms, "key_form") : 0;
	r->key_form = w == 1 ? KEY_HEX : w == 2 ? KEY_BASE64 : KEY_TEXT;
}

/* "key:value", "key=value", or "value". */
static void
load_each(struct loader *l, const struct yaml *y, struct recipe_part *p)
{
	struct slice s = yaml_text(&l->at, y, "each");

	if (slice_is(s, "value")) {
		p->only_value = true;
		return;
	}
	if (s.n > 8 && slice_starts(s, SLICE_LIT("key")) &&
	    memcmp(s.p + s.n - 5, "value", 5) == 0) {
		p->between = slice_of(s.p + 3, s.n - 8);
		return;
	}
	fault(l->at.f, l->at.file, y,
	    "each: write \"value\", or \"key\" and \"value\" with a text "
	    "between them, as \"key:value\"");
}

static void
load_params(struct loader *l, const struct yaml *y, struct recipe_part *p)
{
	static const char *const known[] = {
	    "from", "prefix", "except", "each", "join", NULL};
	static const char *const froms[] = {"query", "form", "headers", NULL};
	const struct yaml *from = yaml_get(y, "from");
	const struct yaml *each = yaml_get(y, "each");
	const struct yaml *except = yaml_get(y, "except");

	p->is = PART_PARAMS;
	(void)yaml_known(&l->at, y, known, "params");
	if (from == NULL || each == NULL) {
		fault(l->at.f, l->at.file, y,
		    "params: needs `from` (query, form or headers) and `each`");
		return;
	}
	switch (yaml_word(&l->at, from, froms, "from")) {
	case 1:
		p->from = FROM_FORM;
		break;
	case 2:
		p->from = FROM_HEADERS;
		break;
	default:
		p->from = FROM_QUERY;
		break;
	}
	load_each(l, each, p);
	p->prefix = yaml_text(&l->at, yaml_get(y, "prefix"), "prefix");
	p->join = yaml_text(&l->at, yaml_get(y, "join"), "join");
	if (except == NULL || !yaml_want(&l->at, except, YAML_LIST, "except"))
		return;
	if (except->count > RECIPE_EXCEPT) {
		fault(l->at.f, l->at.file, except, "except: more than %d names",
		    RECIPE_EXCEPT);
		return;
	}
	for (const struct yaml *c = except->child; c != NULL; c = c->next)
		p->except[p->except_n++] = yaml_text(&l->at, c, "except");
}

static void
load_digest(struct loader *l, const struct yaml *y, struct recipe_part *p)
{
	static const char *const known[] = {"hash", "of", "encoding", NULL};
	static const char *const of[] = {"body", NULL};
	const struct yaml *enc = yaml_get(y, "encoding");
	int w;

	p->is = PART_DIGEST;
	(void)yaml_known(&l->at, y, known, "digest");
	if (yaml_get(y, "hash") == NULL || yaml_get(y, "of") == NULL) {
		fault(l->at.f, l->at.file, y, "digest: needs `hash` and `of`");
		return;
	}
	(void)yaml_word(&l->at, yaml_get(y, "of"), of, "of");
	w = yaml_word(&l->at, yaml_get(y, "hash"), alg_words, "hash");
	p->alg = w >= 0 ? (enum hash_alg)w : HASH_NONE;
	w = enc != NULL ? yaml_word(&l->at, enc, encoding_words, "encoding")
			: 0;
	p->encoding = w > 0 ? (enum recipe_encoding)w : ENC_HEX;
}

static void
load_part(struct loader *l, const struct yaml *y)
{
	static const char *const words[] = {"body", "timestamp", "key", NULL};
	static const char *const known[] = {"text", "params", "digest", NULL};
	struct recipe_part *p;

	if (l->r->parts_n == RECIPE_PARTS) {
		fault(l->at.f, l->at.file, y, "over: more than %d parts",
		    RECIPE_PARTS);
		return;
	}
	p = &l->r->parts[l->r->parts_n++];
	p->prefix = p->join = p->between = SLICE_EMPTY;
	if (y->kind == YAML_SCALAR) {
		int w = yaml_word(&l->at, y, words, "over");

		p->is = w == 1 ? PART_TIME : w == 2 ? PART_KEY : PART_BODY;
		if (p->is == PART_TIME && !l->r->timed)
			fault(l->at.f, l->at.file, y,
			    "over: `timestamp` needs a section `timestamp:` "
			    "beside `over`");
		return;
	}
	if (!yaml_known(&l->at, y, known, "over"))
		return;
	if (y->count != 1) {
		fault(l->at.f, l->at.file, y, "over: one part an entry");
		return;
	}
	if (slice_is(y->child->key->text, "text")) {
		p->is = PART_TEXT;
		p->text =
		    formula(l, y->child, FORMULA_REQUEST | FORMULA_SETTINGS);
	} else if (slice_is(y->child->key->text, "params")) {
		load_params(l, y->child, p);
	} else {
		load_digest(l, y->child, p);
	}
}

static void
load_over(struct loader *l, const struct yaml *node)
{
	const struct yaml *over = yaml_get(node, "over");

	if (over == NULL) {
		fault(l->at.f, l->at.file, node,
		    "verify: needs `over`, the bytes that are signed");
	} else if (over->kind == YAML_LIST) {
		for (const struct yaml *c = over->child; c != NULL; c = c->next)
			load_part(l, c);
	} else {
		load_part(l, over);
	}
}

/* "90s", "5m", "1h", "2d" */
static bool
duration(struct slice s, int64_t *ns)
{
	static const char units[] = "smhd";
	static const int64_t secs[] = {1, 60, 3600, 86400};
	const char *u = s.n > 1 ? strchr(units, s.p[s.n - 1]) : NULL;
	int64_t v = 0;

	if (u == NULL || s.n > 6)
		return false;
	for (size_t i = 0; i + 1 < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	*ns = v * secs[u - units] * INT64_C(1000000000);
	return v > 0;
}

static void
load_time(struct loader *l, const struct yaml *y)
{
	static const char *const known[] = {
	    "header", "param", "split", "prefix", "unit", "within", NULL};
	static const char *const units[] = {"s", "ms", "iso", NULL};
	const struct yaml *unit = yaml_get(y, "unit");
	const struct yaml *within = yaml_get(y, "within");
	struct recipe *r = l->r;
	int w;

	if (y == NULL)
		return;
	r->timed = true;
	(void)yaml_known(&l->at, y, known, "timestamp");
	load_place(l, y, false, "timestamp", &r->time_at);
	if (unit == NULL || within == NULL) {
		fault(l->at.f, l->at.file, y,
		    "timestamp: needs `unit` (s, ms or iso) and `within` "
		    "(as 5m)");
		return;
	}
	w = yaml_word(&l->at, unit, units, "unit");
	r->unit = w == 1 ? UNIT_MS : w == 2 ? UNIT_ISO : UNIT_S;
	if (!duration(yaml_text(&l->at, within, "within"), &r->within))
		fault(l->at.f, l->at.file, within,
		    "within: write a number and s, m, h or d, as 5m");
}

static void
load_proof(struct loader *l, const struct yaml *node)
{
	static const char *const proofs[] = {"hmac", "hash", "token"};
	struct recipe *r = l->r;
	int found = 0;

	for (int i = 0; i < 3; i++) {
		const struct yaml *y = yaml_get(node, proofs[i]);

		if (y == NULL)
			continue;
		found++;
		r->proof = i == 0   ? PROOF_HMAC
			   : i == 1 ? PROOF_HASH
				    : PROOF_TOKEN;
		if (i == 2)
			r->token = formula(l, y, FORMULA_SETTINGS);
		else
			load_alg(l, y, proofs[i]);
	}
	if (found != 1)
		fault(l->at.f, l->at.file, node,
		    "verify: exactly one of hmac, hash, token");
}

enum err
recipe_load(const struct recipe **out, const char *file,
    const struct yaml *node, const struct schema_field *settings,
    struct arena *a, struct faults *f)
{
	static const char *const known[] = {"hmac", "hash", "token", "key",
	    "key_form", "over", "encoding", "header", "param", "field", "split",
	    "prefix", "timestamp", NULL};
	static const char *const not_token[] = {
	    "key", "key_form", "over", "encoding", "timestamp"};
	struct loader l = {{file, f}, settings, a, NULL};
	size_t before = f->count;
	const struct yaml *y;
	int w;

	l.r = arena_alloc(a, sizeof(*l.r));
	if (l.r == NULL)
		return err_note(ERR_LIMIT, "%s is too large", file);
	l.r->alg = HASH_NONE;
	l.r->strip = SLICE_EMPTY;
	if (!yaml_want(&l.at, node, YAML_MAP, "verify"))
		return ERR_SYNTAX;
	(void)yaml_known(&l.at, node, known, "verify");
	load_proof(&l, node);
	load_place(&l, node, true, "verify", &l.r->at);
	if (l.r->proof == PROOF_TOKEN) {
		for (size_t i = 0; i < 5; i++)
			if ((y = yaml_get(node, not_token[i])) != NULL)
				fault(f, file, y,
				    "verify: `%s` has no meaning beside token",
				    not_token[i]);
	} else {
		load_keys(&l, node);
		load_time(&l, yaml_get(node, "timestamp"));
		load_over(&l, node);
		y = yaml_get(node, "encoding");
		w = y != NULL ? yaml_word(&l.at, y, encoding_words, "encoding")
			      : 0;
		l.r->encoding = w > 0 ? (enum recipe_encoding)w : ENC_HEX;
	}
	if (f->count != before)
		return err_note(ERR_SYNTAX, "%s has faults", file);
	*out = l.r;
	return ERR_OK;
}
