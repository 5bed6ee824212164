/*
 * recipe - see recipe.h. The order of work: find the pieces that may be
 * signatures and the moment, then for each key put the signed text together,
 * hash it, and compare it with every piece.
 */
#include "connectors/sdk/recipe_shape.h"

#include "broker/base/clock.h"
#include "broker/base/mp.h"
#include "broker/base/utf8.h"
#include "broker/base/zone.h"

#define SIGNED_MAX (4 * 1024 * 1024)
#define TEXT_MAX 65536

/* One request under one recipe. */
struct job {
	const struct recipe *r;
	const struct request *q;
	struct formula_env env;
	struct arena *scratch;
	struct slice time_text;
};

void
request_mp(const struct request *q, bool with_body, struct buf *out)
{
	bool body = with_body && utf8_valid(q->body);

	mp_put_map(out, body ? 6 : 5);
	mp_put_cstr(out, "method");
	mp_put_str(out, q->method);
	mp_put_cstr(out, "path");
	mp_put_str(out, q->path);
	mp_put_cstr(out, "url");
	mp_put_str(out, q->url);
	mp_put_cstr(out, "query");
	params_put(&q->query, SLICE_EMPTY, out);
	mp_put_cstr(out, "headers");
	params_put(&q->headers, SLICE_EMPTY, out);
	if (body) {
		mp_put_cstr(out, "body");
		mp_put_str(out, q->body);
	}
}

enum recipe_place
recipe_place(const struct recipe *r, struct slice *name)
{
	*name = r->at.name;
	return r->at.place;
}

static const struct params *
params_of(const struct request *q, enum recipe_place place)
{
	switch (place) {
	case RECIPE_HEADER:
		return &q->headers;
	case RECIPE_FIELD:
		return &q->form;
	case RECIPE_PARAM:
	default:
		return &q->query;
	}
}

static struct slice
trimmed(struct slice s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_from(s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* The values at a place that count, at most `max`; 0 when it is missing or
 * comes twice. */
static size_t
pieces(const struct request *q, const struct recipe_at *at, struct slice *out,
    size_t max)
{
	struct slice left = SLICE_EMPTY;
	size_t n = 0;

	if (params_get(params_of(q, at->place), at->name, &left) != 1)
		return 0;
	for (bool more = true; more && n < max;) {
		const uint8_t *cut =
		    at->split.n > 0
			? memmem(left.p, left.n, at->split.p, at->split.n)
			: NULL;
		struct slice s = left;

		more = cut != NULL;
		if (more) {
			s = slice_of(left.p, (size_t)(cut - left.p));
			left = slice_from(left, s.n + at->split.n);
		}
		s = trimmed(s);
		if (!slice_starts(s, at->prefix))
			continue;
		out[n++] = slice_from(s, at->prefix.n);
	}
	return n;
}

static enum err
refuse(const char *why)
{
	return err_note(ERR_SIGNATURE, "%s", why);
}

static bool
whole_number(struct slice s, int64_t *out)
{
	int64_t v = 0;

	if (s.n == 0 || s.n > 15)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	*out = v;
	return true;
}

/* Is the moment that was signed near enough to now? */
static enum err
check_time(struct job *j, int64_t now)
{
	const struct recipe *r = j->r;
	int64_t at = 0;
	bool zoned;

	if (pieces(j->q, &r->time_at, &j->time_text, 1) != 1)
		return refuse("the timestamp is missing or doubled");
	if (r->unit == UNIT_ISO) {
		if (time_parse(j->time_text, NULL, &at, &zoned) != ERR_OK)
			return refuse("the timestamp is no moment");
	} else {
		if (!whole_number(j->time_text, &at) ||
		    at >
			INT64_MAX / NS_PER_SEC * (r->unit == UNIT_S ? 1 : 1000))
			return refuse("the timestamp is no number");
		at *= r->unit == UNIT_S ? NS_PER_SEC : NS_PER_MS;
	}
	if (at < now - r->within || at > now + r->within)
		return refuse("the timestamp is too far from now");
	return ERR_OK;
}

static enum err
pick_alg(struct job *j, enum hash_alg *out)
{
	struct buf name;
	enum err e;

	*out = j->r->alg;
	if (j->r->by == NULL)
		return ERR_OK;
	buf_init(&name, 64);
	e = formula_text(j->r->by, &j->env, j->scratch, &name);
	*out = e == ERR_OK ? hash_by_name(buf_all(&name)) : HASH_NONE;
	buf_fini(&name);
	if (e == ERR_NOMEM)
		return e;
	if (*out == HASH_NONE || (j->r->among >> *out & 1) == 0)
		return refuse("the algorithm is missing or not accepted");
	return ERR_OK;
}

/* ---- keys ---- */

struct key_list {
	size_t n;
	struct slice v[RECIPE_PAIRS];
};

/* One setting's text as key bytes, kept in scratch. */
static enum err
add_key(struct job *j, struct slice text, struct key_list *out)
{
	struct buf b;
	enum err e = ERR_OK;

	if (slice_starts(text, j->r->strip))
		text = slice_from(text, j->r->strip.n);
	if (text.n == 0 || out->n == RECIPE_PAIRS)
		return ERR_OK;
	buf_init(&b, 4096);
	if (j->r->key_form == KEY_HEX)
		e = hex_get(text, &b);
	else if (j->r->key_form == KEY_BASE64)
		e = base64_get(text, &b);
	else
		buf_slice(&b, text);
	if (e == ERR_OK)
		e = buf_check(&b);
	if (e == ERR_OK)
		e = arena_copy(j->scratch, buf_all(&b), &out->v[out->n]);
	if (e == ERR_OK)
		out->n++;
	secret_wipe(b.p, b.n);
	buf_fini(&b);
	return e == ERR_SYNTAX
		   ? refuse("the key in vayla.yaml is not in its form")
		   : e;
}

/* The keys of one formula: a text, or a list of texts. */
static enum err
add_keys(struct job *j, const struct formula *x, struct key_list *out)
{
	struct buf b;
	struct mp_in in;
	struct mp v;
	uint32_t n = 1;
	enum err e;

	buf_init(&b, 16384);
	e = formula_mp(x, &j->env, j->scratch, &b);
	if (e == ERR_MISSING) { /* a second key is often not set */
		buf_fini(&b);
		return ERR_OK;
	}
	in = mp_in(buf_all(&b));
	if (e == ERR_OK)
		e = mp_next(&in, &v);
	if (e == ERR_OK && v.type == MP_ARRAY) {
		n = v.count;
		e = n > 0 ? mp_next(&in, &v) : ERR_OK;
	}
	for (uint32_t i = 0; e == ERR_OK && i < n; i++) {
		if (i > 0 && (e = mp_next(&in, &v)) != ERR_OK)
			break;
		if (v.type != MP_STR)
			e = refuse("a key in vayla.yaml is no text");
		else
			e = add_key(j, v.bytes, out);
	}
	secret_wipe(b.p, b.n);
	buf_fini(&b);
	return e;
}

static enum err
all_keys(struct job *j, struct key_list *out)
{
	enum err e;

	for (size_t i = 0; i < j->r->keys_n; i++)
		if ((e = add_keys(j, j->r->keys[i], out)) != ERR_OK)
			return e;
	return out->n > 0 ? ERR_OK : refuse("no key is set in vayla.yaml");
}

/* ---- the text that is signed ---- */

static void
encode(enum recipe_encoding how, struct slice bytes, struct buf *out)
{
	size_t from = out->n;

	if (how == ENC_BASE64) {
		base64_put(out, bytes);
		return;
	}
	hex_put(out, bytes);
	if (how == ENC_HEX_UPPER)
		for (size_t i = from; i < out->n; i++)
			if (out->p[i] >= 'a' && out->p[i] <= 'f')
				out->p[i] = (uint8_t)(out->p[i] - 'a' + 'A');
}

static bool
left_out(const struct job *j, const struct recipe_part *p, struct slice name)
{
	static const enum recipe_place where[] = {
	    RECIPE_PARAM, RECIPE_FIELD, RECIPE_HEADER};

	if (!slice_starts(name, p->prefix))
		return true;
	if (where[p->from] == j->r->at.place && slice_eq(name, j->r->at.name))
		return true;
	for (size_t i = 0; i < p->except_n; i++)
		if (slice_eq(name, p->except[i]))
			return true;
	return false;
}

static enum err
put_params(const struct job *j, const struct recipe_part *p, struct buf *out)
{
	const struct params *v = p->from == FROM_QUERY	? &j->q->query
				 : p->from == FROM_FORM ? &j->q->form
							: &j->q->headers;
	bool first = true;

	for (size_t i = 0; i < v->n; i++) {
		if (left_out(j, p, v->v[i].name))
			continue;
		/* which of two did they sign? and which would we read? */
		if (i > 0 && slice_eq(v->v[i].name, v->v[i - 1].name))
			return refuse("a signed parameter comes twice");
		if (!first)
			buf_slice(out, p->join);
		first = false;
		if (!p->only_value) {
			buf_slice(out, v->v[i].name);
			buf_slice(out, p->between);
		}
		buf_slice(out, v->v[i].value);
	}
	return ERR_OK;
}

static enum err
put_part(struct job *j, const struct recipe_part *p, struct slice key,
    struct buf *out)
{
	uint8_t sum[HASH_MAX];
	enum err e = ERR_OK;

	switch (p->is) {
	case PART_BODY:
		buf_slice(out, j->q->body);
		break;
	case PART_TIME:
		buf_slice(out, j->time_text);
		break;
	case PART_KEY:
		buf_slice(out, key);
		break;
	case PART_TEXT:
		e = formula_text(p->text, &j->env, j->scratch, out);
		if (e != ERR_OK && err_class(e) == CLASS_REJECT)
			e = refuse("what the signature covers is missing");
		break;
	case PART_PARAMS:
		e = put_params(j, p, out);
		break;
	case PART_DIGEST:
		e = hash(p->alg, j->q->body, sum);
		if (e == ERR_OK)
			encode(
			    p->encoding, slice_of(sum, hash_size(p->alg)), out);
		break;
	}
	return e;
}

/* The signature's text under one key, appended to `out`. */
static enum err
signature(struct job *j, enum hash_alg alg, struct slice key, struct buf *out)
{
	const struct recipe *r = j->r;
	struct slice text = j->q->body;
	uint8_t sum[HASH_MAX];
	enum err e = ERR_OK;
	struct buf b;

	buf_init(&b, SIGNED_MAX);
	/* the plain body, which most sign, is not copied */
	if (r->parts_n != 1 || r->parts[0].is != PART_BODY) {
		for (size_t i = 0; e == ERR_OK && i < r->parts_n; i++)
			e = put_part(j, &r->parts[i], key, &b);
		if (e == ERR_OK)
			e = buf_check(&b);
		text = buf_all(&b);
	}
	if (e == ERR_OK)
		e = r->proof == PROOF_HASH ? hash(alg, text, sum)
					   : hmac(alg, key, text, sum);
	if (e == ERR_OK)
		encode(r->encoding, slice_of(sum, hash_size(alg)), out);
	secret_wipe(b.p, b.n);
	buf_fini(&b);
	return e == ERR_OK ? buf_check(out) : e;
}

/* Theirs and ours as text; hex in either case where the recipe says so. The
 * length of a signature is no secret. */
static bool
same(enum recipe_encoding how, struct slice theirs, struct slice ours)
{
	uint8_t low[HASH_MAX * 2];

	if (theirs.n != ours.n || theirs.n > sizeof(low))
		return false;
	if (how != ENC_HEX)
		return secret_eq(theirs, ours);
	for (size_t i = 0; i < theirs.n; i++)
		low[i] = theirs.p[i] >= 'A' && theirs.p[i] <= 'F'
			     ? theirs.p[i] | 0x20
			     : theirs.p[i];
	return secret_eq(slice_of(low, theirs.n), ours);
}

static enum err
verify_token(struct job *j, const struct slice *theirs, size_t n)
{
	enum err e = ERR_OK;
	struct buf b;
	bool good = false;

	buf_init(&b, 4096);
	e = formula_text(j->r->token, &j->env, j->scratch, &b);
	if (e == ERR_MISSING || (e == ERR_OK && b.n == 0))
		e = refuse("no token is set in vayla.yaml");
	for (size_t i = 0; e == ERR_OK && i < n; i++)
		good |= secret_eq(theirs[i], buf_all(&b));
	secret_wipe(b.p, b.n);
	buf_fini(&b);
	if (e != ERR_OK)
		return e;
	return good ? ERR_OK : refuse("the token is another");
}

static enum err
verify(struct job *j, int64_t now)
{
	struct slice theirs[RECIPE_PAIRS];
	struct key_list keys = {0};
	enum hash_alg alg;
	struct buf ours;
	bool good = false;
	size_t n, pairs = 0;
	enum err e;

	n = pieces(j->q, &j->r->at, theirs, RECIPE_PAIRS);
	if (n == 0)
		return refuse("the signature is missing or doubled");
	if (j->r->proof == PROOF_TOKEN)
		return verify_token(j, theirs, n);
	if (j->r->timed && (e = check_time(j, now)) != ERR_OK)
		return e;
	if ((e = pick_alg(j, &alg)) != ERR_OK ||
	    (e = all_keys(j, &keys)) != ERR_OK)
		return e;
	buf_init(&ours, HASH_MAX * 2);
	for (size_t k = 0; e == ERR_OK && k < keys.n; k++) {
		buf_reset(&ours);
		e = signature(j, alg, keys.v[k], &ours);
		for (size_t i = 0; e == ERR_OK && i < n && pairs < RECIPE_PAIRS;
		     i++, pairs++)
			good |= same(j->r->encoding, theirs[i], buf_all(&ours));
	}
	for (size_t k = 0; k < keys.n; k++)
		secret_wipe((void *)(uintptr_t)keys.v[k].p, keys.v[k].n);
	buf_fini(&ours);
	if (e != ERR_OK)
		return e;
	return good ? ERR_OK : refuse("the signature is wrong");
}

enum err
recipe_verify(const struct recipe *r, const struct request *q,
    struct slice settings, int64_t now, struct arena *scratch)
{
	struct job j = {
	    r, q, {SLICE_EMPTY, settings, q->mp, 0}, scratch, SLICE_EMPTY};

	return verify(&j, now);
}

/* ---- the other side ---- */

static void
put_time(const struct recipe *r, int64_t now, struct buf *out)
{
	if (r->unit == UNIT_ISO)
		time_put_iso(out, now);
	else
		buf_printf(out, "%lld",
		    (long long)(now /
				(r->unit == UNIT_S ? NS_PER_SEC : NS_PER_MS)));
}

static enum err
kept(struct job *j, struct buf *b, struct slice *out)
{
	enum err e = buf_check(b);

	return e == ERR_OK ? arena_copy(j->scratch, buf_all(b), out) : e;
}

static enum err
sign(struct job *j, int64_t now, struct recipe_added *out, size_t *n)
{
	const struct recipe *r = j->r;
	bool together = r->timed && r->time_at.place == r->at.place &&
			slice_eq(r->time_at.name, r->at.name);
	struct key_list keys = {0};
	enum hash_alg alg;
	struct buf b;
	enum err e;

	*n = 0;
	buf_init(&b, TEXT_MAX);
	if (r->timed) {
		put_time(r, now, &b);
		if ((e = kept(j, &b, &j->time_text)) != ERR_OK)
			goto done;
		buf_reset(&b);
		buf_slice(&b, r->time_at.prefix);
		buf_slice(&b, j->time_text);
		if (together) {
			buf_slice(&b, r->at.split);
		} else {
			out[*n] = (struct recipe_added){
			    r->time_at.place, r->time_at.shown, SLICE_EMPTY};
			if ((e = kept(j, &b, &out[(*n)++].value)) != ERR_OK)
				goto done;
			buf_reset(&b);
		}
	}
	buf_slice(&b, r->at.prefix);
	if (r->proof == PROOF_TOKEN) {
		e = formula_text(r->token, &j->env, j->scratch, &b);
	} else {
		e = pick_alg(j, &alg);
		if (e == ERR_OK)
			e = all_keys(j, &keys);
		if (e == ERR_OK)
			e = signature(j, alg, keys.v[0], &b);
	}
	out[*n] = (struct recipe_added){r->at.place, r->at.shown, SLICE_EMPTY};
	if (e == ERR_OK)
		e = kept(j, &b, &out[(*n)++].value);
done:
	buf_fini(&b);
	return e;
}

enum err
recipe_sign(const struct recipe *r, const struct request *q,
    struct slice settings, int64_t now, struct arena *scratch,
    struct recipe_added out[RECIPE_ADDED], size_t *n)
{
	struct job j = {
	    r, q, {SLICE_EMPTY, settings, q->mp, 0}, scratch, SLICE_EMPTY};

	return sign(&j, now, out, n);
}
