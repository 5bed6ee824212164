/* shadow_diff - what differs, by field: counted, added up, with examples. */
#include <stdio.h>

#include "broker/base/json.h"
#include "broker/core/batch.h"
#include "broker/core/shadow_own.h"

#define DIFF_DEPTH 64

void
diff_init(struct shadow_diff *d, const struct ruleset *r, bool unmask)
{
	*d = (struct shadow_diff){.rules = r, .unmask = unmask};
	arena_init(&d->arena, 16 * 1024 * 1024);
	buf_init(&d->path, 4096);
	buf_init(&d->norm, 4096);
}

void
diff_fini(struct shadow_diff *d)
{
	arena_fini(&d->arena);
	buf_fini(&d->path);
	buf_fini(&d->norm);
}

static struct slice
kept(struct shadow_diff *d, struct slice s)
{
	struct slice out = SLICE_EMPTY;

	if (s.n == 0 || arena_copy(&d->arena, s, &out) == ERR_OK)
		return out;
	return SLICE_LIT("..");
}

static bool
number(struct slice v, struct dec *out)
{
	struct mp_in in = mp_in(v);
	struct mp m;

	if (v.n == 0 || mp_next(&in, &m) != ERR_OK)
		return false;
	if (m.type == MP_INT) {
		*out = dec_int(m.i);
		return true;
	}
	return m.type == MP_DECIMAL && dec_parse(m.bytes, out) == ERR_OK;
}

/* A value for people; what is personal stays hidden. */
static void
show(const struct shadow_diff *d, struct slice v, bool hide, char *out)
{
	struct buf b;

	if (v.n == 0) {
		snprintf(out, SHADOW_TEXT, "(absent)");
		return;
	}
	if (hide && !d->unmask) {
		snprintf(out, SHADOW_TEXT, "(personal)");
		return;
	}
	buf_init(&b, 1024 * 1024);
	if (mp_to_json(v, JSON_COMPACT, &b) == ERR_OK)
		snprintf(out, SHADOW_TEXT, "%.*s%s", 80, buf_cstr(&b),
		    b.n > 80 ? ".." : "");
	else
		snprintf(out, SHADOW_TEXT, "?");
	buf_fini(&b);
}

/* ---- one field ---- */

static struct field_diff *
field_of(struct shadow_diff *d)
{
	struct field_diff *f;

	for (f = d->fields; f != NULL; f = f->next)
		if (slice_eq(f->type, d->type) &&
		    slice_eq(f->path, buf_all(&d->norm)))
			return f;
	if (d->fields_n == SHADOW_FIELDS ||
	    (f = arena_alloc(&d->arena, sizeof(*f))) == NULL) {
		d->full = true;
		return NULL;
	}
	f->type = kept(d, d->type);
	f->path = kept(d, buf_all(&d->norm));
	f->next = d->fields;
	d->fields = f;
	d->fields_n++;
	return f;
}

static void
leaf(struct shadow_diff *d, struct slice was, struct slice is, bool personal,
    bool whole)
{
	struct field_diff *f = field_of(d);
	struct dec a = {0}, b = {0};
	bool na, nb, hide;
	struct example *x;

	if (f == NULL)
		return;
	if (f->last != d->input->seq) {
		f->last = d->input->seq;
		f->events++;
	}
	na = number(was, &a);
	nb = number(is, &b);
	f->number = f->number || na || nb;
	if ((na && dec_add(f->was, a, &f->was) != ERR_OK) ||
	    (nb && dec_add(f->is, b, &f->is) != ERR_OK))
		f->no_sum = true;
	if (f->eg_n == SHADOW_EXAMPLES)
		return;
	/* of a type that is sealed whole, amounts alone are shown */
	hide = personal || (whole && !na && !nb);
	x = &f->eg[f->eg_n++];
	x->seq = d->input->seq;
	x->subject = kept(d, d->input->subject);
	x->path = kept(d, buf_all(&d->path));
	show(d, was, hide, x->was);
	show(d, is, hide, x->is);
}

/* ---- two values ---- */

static enum mp_type
head(struct slice v, uint32_t *count)
{
	struct mp_in in = mp_in(v);
	struct mp m;

	*count = 0;
	if (v.n == 0 || mp_next(&in, &m) != ERR_OK)
		return MP_NIL;
	if (m.type == MP_MAP || m.type == MP_ARRAY)
		*count = m.count;
	return m.type;
}

static bool
pair_at(struct mp_in *in, struct slice *key, struct slice *value)
{
	struct mp k;

	if (mp_next(in, &k) != ERR_OK || k.type != MP_STR ||
	    mp_value(in, value) != ERR_OK)
		return false;
	*key = k.bytes;
	return true;
}

static struct slice
at_key(struct slice map, struct slice key)
{
	struct mp_in in = mp_in(map);
	struct slice k, v;
	struct mp m;

	if (map.n == 0 || mp_next(&in, &m) != ERR_OK || m.type != MP_MAP)
		return SLICE_EMPTY;
	for (uint32_t i = 0; i < m.count && pair_at(&in, &k, &v); i++)
		if (slice_eq(k, key))
			return v;
	return SLICE_EMPTY;
}

struct under {
	const struct schema_field *field;
	bool personal, whole;
	int depth;
};

static void values(
    struct shadow_diff *d, struct under u, struct slice was, struct slice is);

static void
member(struct shadow_diff *d, struct under u, struct slice key,
    struct slice was, struct slice is)
{
	size_t at = d->path.n, norm = d->norm.n;
	const char *dot = at > 0 ? "." : "";

	if (u.field != NULL)
		u.field = u.field->type == SCHEMA_MAP
			      ? schema_find(u.field, key)
			      : NULL;
	u.personal = u.personal || (u.field != NULL && u.field->personal);
	buf_printf(&d->path, "%s%.*s", dot, SLICE_ARG(key));
	buf_printf(&d->norm, "%s%.*s", dot, SLICE_ARG(key));
	values(d, u, was, is);
	d->path.n = at;
	d->norm.n = norm;
}

static void
maps(struct shadow_diff *d, struct under u, struct slice was, struct slice is)
{
	struct slice k, v;
	struct mp_in in;
	struct mp m;

	if (was.n > 0) {
		in = mp_in(was);
		if (mp_next(&in, &m) == ERR_OK)
			for (uint32_t i = 0;
			     i < m.count && pair_at(&in, &k, &v); i++)
				member(d, u, k, v, at_key(is, k));
	}
	if (is.n == 0)
		return;
	in = mp_in(is);
	if (mp_next(&in, &m) != ERR_OK)
		return;
	for (uint32_t i = 0; i < m.count && pair_at(&in, &k, &v); i++)
		if (at_key(was, k).n == 0)
			member(d, u, k, SLICE_EMPTY, v);
}

static void
lists(struct shadow_diff *d, struct under u, struct slice was, struct slice is,
    uint32_t n, uint32_t m)
{
	struct mp_in a = mp_in(was), b = mp_in(is);
	size_t at = d->path.n, norm = d->norm.n;
	struct mp h;

	if ((n > 0 && mp_next(&a, &h) != ERR_OK) ||
	    (m > 0 && mp_next(&b, &h) != ERR_OK))
		return;
	if (u.field != NULL)
		u.field = u.field->type == SCHEMA_LIST ? u.field->item : NULL;
	u.personal = u.personal || (u.field != NULL && u.field->personal);
	buf_str(&d->norm, "[]");
	for (uint32_t i = 0; i < n || i < m; i++) {
		struct slice x = SLICE_EMPTY, y = SLICE_EMPTY;

		if ((i < n && mp_value(&a, &x) != ERR_OK) ||
		    (i < m && mp_value(&b, &y) != ERR_OK))
			break;
		d->path.n = at;
		buf_printf(&d->path, "[%u]", i + 1);
		values(d, u, x, y);
	}
	d->path.n = at;
	d->norm.n = norm;
}

/* An absent one has no bytes. */
static void
values(struct shadow_diff *d, struct under u, struct slice was, struct slice is)
{
	uint32_t n, m;
	enum mp_type a = head(was, &n), b = head(is, &m);

	if (slice_eq(was, is) || u.depth++ > DIFF_DEPTH)
		return;
	if ((a == MP_MAP && (b == MP_MAP || is.n == 0)) ||
	    (b == MP_MAP && was.n == 0)) {
		if (n + m > 0) {
			maps(d, u, was, is);
			return;
		}
	} else if ((a == MP_ARRAY && (b == MP_ARRAY || is.n == 0)) ||
		   (b == MP_ARRAY && was.n == 0)) {
		if (n + m > 0) {
			lists(d, u, was, is, n, m);
			return;
		}
	}
	leaf(d, was, is, u.personal, u.whole);
}

void
diff_data(struct shadow_diff *d, const struct fact *input, struct slice type,
    struct slice was, struct slice is)
{
	const struct schema *s = ruleset_schema(d->rules, type);
	struct under u = {.field = s != NULL ? &s->root : NULL,
	    .whole = s == NULL || s->whole};

	d->input = input;
	d->type = type;
	buf_reset(&d->path);
	buf_reset(&d->norm);
	values(d, u, was, is);
}

void
diff_word(struct shadow_diff *d, const struct fact *input, struct slice type,
    const char *name, struct slice was, struct slice is)
{
	d->input = input;
	d->type = type;
	buf_reset(&d->path);
	buf_reset(&d->norm);
	buf_str(&d->path, name);
	buf_str(&d->norm, name);
	leaf(d, was, is, false, false);
}

void
diff_event(struct shadow_diff *d, const struct fact *input, struct slice type,
    struct slice id, bool more)
{
	struct event_diff *e;
	struct example *x;

	for (e = d->events; e != NULL; e = e->next)
		if (slice_eq(e->type, type))
			break;
	if (e == NULL) {
		e = arena_alloc(&d->arena, sizeof(*e));
		if (e == NULL) {
			d->full = true;
			return;
		}
		e->type = kept(d, type);
		e->next = d->events;
		d->events = e;
	}
	if (more)
		e->more++;
	else
		e->fewer++;
	if (e->eg_n == SHADOW_EXAMPLES)
		return;
	x = &e->eg[e->eg_n++];
	x->seq = input->seq;
	x->subject = kept(d, input->subject);
	x->path = kept(d, id);
	snprintf(x->was, sizeof(x->was), "%s", more ? "more" : "fewer");
}

void
diff_turned(struct shadow_diff *d, const struct fact *input, struct slice text,
    bool through)
{
	struct turned *t;

	if (through)
		d->through++;
	else
		d->held++;
	if (d->turned_n == SHADOW_TURNED)
		return;
	t = &d->turned[d->turned_n++];
	*t = (struct turned){.seq = input->seq,
	    .subject = kept(d, input->subject),
	    .text = kept(d, text),
	    .through = through};
}

/* ---- the report ---- */

static void
put_uint(struct buf *b, const char *key, uint64_t v)
{
	mp_put_cstr(b, key);
	mp_put_uint(b, v);
}

static void
put_str(struct buf *b, const char *key, struct slice v)
{
	mp_put_cstr(b, key);
	mp_put_str(b, v);
}

static void
put_dec(struct buf *b, const char *key, struct dec v)
{
	char text[DEC_TEXT];

	mp_put_cstr(b, key);
	mp_put_decimal(b, slice_of(text, dec_text(v, text)));
}

static struct dec
change(const struct field_diff *f)
{
	struct dec x = {0};

	if (!f->number || f->no_sum || dec_sub(f->is, f->was, &x) != ERR_OK)
		return (struct dec){0};
	if (x.c < 0)
		x.c = -x.c;
	return x;
}

/* Numbers first, those that change most before others; then by how many. */
static int
before(const struct field_diff *a, const struct field_diff *b)
{
	int c;

	if (a->number != b->number)
		return a->number ? -1 : 1;
	if ((c = dec_cmp(change(b), change(a))) != 0)
		return c;
	if (a->events != b->events)
		return a->events > b->events ? -1 : 1;
	c = slice_cmp(a->type, b->type);
	return c != 0 ? c : slice_cmp(a->path, b->path);
}

static void
put_field(struct buf *b, const struct field_diff *f)
{
	bool sums = f->number && !f->no_sum;
	struct dec x;

	mp_put_map(b, sums ? 8 : 5);
	put_str(b, "type", f->type);
	put_str(b, "path", f->path);
	mp_put_cstr(b, "number");
	mp_put_bool(b, f->number);
	put_uint(b, "events", f->events);
	if (sums) {
		put_dec(b, "old", f->was);
		put_dec(b, "new", f->is);
		if (dec_sub(f->is, f->was, &x) != ERR_OK)
			x = (struct dec){0};
		put_dec(b, "difference", x);
	}
	mp_put_cstr(b, "examples");
	mp_put_array(b, (uint32_t)f->eg_n);
	for (size_t i = 0; i < f->eg_n; i++) {
		const struct example *x_ = &f->eg[i];

		mp_put_map(b, 5);
		put_uint(b, "seq", x_->seq);
		put_str(b, "subject", x_->subject);
		put_str(b, "path", x_->path);
		put_str(b, "old", slice_str(x_->was));
		put_str(b, "new", slice_str(x_->is));
	}
}

static void
put_fields(struct buf *b, const struct shadow_diff *d)
{
	const struct field_diff *last = NULL, *next;

	mp_put_cstr(b, "fields");
	mp_put_array(b, (uint32_t)d->fields_n);
	for (size_t i = 0; i < d->fields_n; i++, last = next) {
		next = NULL;
		for (const struct field_diff *f = d->fields; f != NULL;
		     f = f->next)
			if ((last == NULL || before(last, f) < 0) &&
			    (next == NULL || before(f, next) < 0))
				next = f;
		put_field(b, next);
	}
}

static void
put_events(struct buf *b, const struct shadow_diff *d)
{
	uint32_t n = 0;

	for (const struct event_diff *e = d->events; e != NULL; e = e->next)
		n++;
	mp_put_cstr(b, "events");
	mp_put_array(b, n);
	for (const struct event_diff *e = d->events; e != NULL; e = e->next) {
		mp_put_map(b, 4);
		put_str(b, "type", e->type);
		put_uint(b, "more", e->more);
		put_uint(b, "fewer", e->fewer);
		mp_put_cstr(b, "examples");
		mp_put_array(b, (uint32_t)e->eg_n);
		for (size_t i = 0; i < e->eg_n; i++) {
			mp_put_map(b, 3);
			put_uint(b, "seq", e->eg[i].seq);
			put_str(b, "subject", e->eg[i].subject);
			put_str(b, "what", slice_str(e->eg[i].was));
		}
	}
	mp_put_cstr(b, "turned");
	mp_put_array(b, (uint32_t)d->turned_n);
	for (size_t i = 0; i < d->turned_n; i++) {
		const struct turned *t = &d->turned[i];

		mp_put_map(b, 4);
		put_uint(b, "seq", t->seq);
		put_str(b, "subject", t->subject);
		put_str(b, "what",
		    t->through ? SLICE_LIT("through") : SLICE_LIT("held"));
		put_str(b, "text", t->text);
	}
}

void
diff_write(const struct shadow_diff *d, struct slice system, struct slice map,
    int version, struct buf *b)
{
	mp_put_map(b, 14);
	put_str(b, "system", system);
	put_str(b, "map", map);
	put_uint(b, "version", (uint64_t)version);
	put_uint(b, "looked", d->looked);
	put_uint(b, "same", d->same);
	put_uint(b, "differ", d->differ);
	put_uint(b, "through", d->through);
	put_uint(b, "held", d->held);
	put_uint(b, "pending", d->pending);
	put_uint(b, "erased", d->erased);
	put_uint(b, "unknown", d->unknown);
	put_fields(b, d);
	put_events(b, d);
}
