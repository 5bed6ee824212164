/*
 * drift - see drift.h. A difference is told once by its path (without the
 * numbers of items) and what it is, and counted.
 */
#include "broker/base/json.h"
#include "mappings/engine/drift.h"

#define DRIFT_TOLD 2000

struct told {
	struct slice text;
	size_t times;
	struct told *next;
};

struct drift {
	struct arena *a;
	const struct schema *s;
	struct told *first, *last;
	size_t told_n, samples;
};

struct walk {
	drift_each *each;
	void *self;
	struct buf path;
};

struct drift *
drift_new(struct arena *a, const struct schema *s)
{
	struct drift *d = arena_alloc(a, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->a = a;
	d->s = s;
	return d;
}

static enum err
tell(struct walk *w, enum drift_kind kind, const char *what,
    const struct schema_field *x, const struct mp *v)
{
	return w->each(w->self, buf_all(&w->path), kind, what, x, v);
}

static enum err look(struct walk *w, const struct schema_field *x,
    struct mp_in *in, unsigned depth);

static enum err
look_map(struct walk *w, const struct schema_field *x, struct mp_in *in,
    uint32_t count, unsigned depth)
{
	struct slice whole = slice_of(in->p, (size_t)(in->end - in->p));
	size_t was = w->path.n;
	enum err e;

	for (uint32_t i = 0; i < count; i++) {
		const struct schema_field *f = NULL;
		struct mp key;

		if ((e = mp_next(in, &key)) != ERR_OK)
			return e;
		if (key.type == MP_STR)
			f = schema_find(x, key.bytes);
		buf_printf(&w->path, "%s%.*s", was > 0 ? "." : "",
		    SLICE_ARG(key.type == MP_STR ? key.bytes : SLICE_EMPTY));
		if (f != NULL)
			e = look(w, f, in, depth + 1);
		else if ((e = tell(w, DRIFT_FIELD, "is not in the schema", NULL,
			      NULL)) == ERR_OK)
			e = mp_skip(in);
		if (e != ERR_OK)
			return e;
		w->path.n = was;
	}
	for (const struct schema_field *f = x->fields; f != NULL; f = f->next) {
		struct mp_in at = mp_in(whole);
		bool found = f->optional;

		for (uint32_t i = 0; i < count && !found; i++) {
			struct mp key;

			if ((e = mp_next(&at, &key)) != ERR_OK ||
			    (e = mp_skip(&at)) != ERR_OK)
				return e;
			found =
			    key.type == MP_STR && slice_eq(key.bytes, f->name);
		}
		if (found)
			continue;
		buf_printf(
		    &w->path, "%s%.*s", was > 0 ? "." : "", SLICE_ARG(f->name));
		if ((e = tell(w, DRIFT_MISSING, "is required and is missing", f,
			 NULL)) != ERR_OK)
			return e;
		w->path.n = was;
	}
	return ERR_OK;
}

static enum err
look_json(struct walk *w, const struct schema_field *x, struct slice text,
    unsigned depth)
{
	struct schema_field inner = *x;
	struct mp_in in;
	struct buf mp;
	enum err e;

	inner.json = false;
	buf_init(&mp, 16 * 1024 * 1024);
	if (json_to_mp(text, &mp, NULL) != ERR_OK) {
		const struct mp no_text = {.type = MP_NIL};

		e = tell(w, DRIFT_VALUE, "is a text that holds no JSON", x,
		    &no_text);
	} else {
		in = mp_in(buf_all(&mp));
		e = look(w, &inner, &in, depth + 1);
	}
	buf_fini(&mp);
	return e;
}

static enum err
look(struct walk *w, const struct schema_field *x, struct mp_in *in,
    unsigned depth)
{
	size_t was = w->path.n;
	struct mp_in from = *in;
	const char *misfit;
	struct mp v;
	enum err e;

	if (depth > MP_DEPTH)
		return err_note(ERR_LIMIT, "nested too deep");
	if ((e = mp_next(in, &v)) != ERR_OK)
		return e;
	if (v.type == MP_NIL ||
	    (v.type == MP_STR && v.bytes.n == 0 && x->blank_absent))
		return x->optional ? ERR_OK
		       : v.type == MP_NIL
			   ? tell(w, DRIFT_MISSING, "is required and is null",
				 x, NULL)
			   : tell(w, DRIFT_MISSING, "is required and is blank",
				 x, NULL);
	if (x->json && v.type == MP_STR)
		return look_json(w, x, v.bytes, depth);
	if (x->type == SCHEMA_MAP && v.type == MP_MAP)
		return look_map(w, x, in, v.count, depth);
	if (x->type == SCHEMA_LIST && v.type == MP_ARRAY) {
		buf_str(&w->path, "[]");
		for (uint32_t i = 0; i < v.count; i++)
			if ((e = look(w, x->item, in, depth + 1)) != ERR_OK)
				return e;
		w->path.n = was;
		return ERR_OK;
	}
	*in = from;
	if ((e = mp_skip(in)) != ERR_OK)
		return e;
	misfit = schema_misfit(x, &v);
	if (misfit == NULL)
		return ERR_OK;
	return tell(w, DRIFT_VALUE, misfit, x, &v);
}

enum err
drift_walk(
    const struct schema *s, struct slice data, drift_each *each, void *self)
{
	struct walk w = {each, self, {0}};
	struct mp_in in = mp_in(data);
	enum err e;

	buf_init(&w.path, 64 * 1024);
	e = look(&w, &s->root, &in, 0);
	buf_fini(&w.path);
	return e;
}

/* ---- told to a person ---- */

static enum err
told(void *self, struct slice path, enum drift_kind kind, const char *what,
    const struct schema_field *x, const struct mp *v)
{
	struct drift *d = self;
	struct slice word = SLICE_EMPTY;
	struct told *t;
	struct buf b;
	enum err e = ERR_OK;

	(void)x;
	if (kind == DRIFT_VALUE && (v->type == MP_STR || v->type == MP_DECIMAL))
		word = v->bytes;
	buf_init(&b, 8192);
	buf_printf(&b, "%.*s: %s", SLICE_ARG(path), what);
	if (word.n > 0)
		buf_printf(&b, " '%.*s'", (int)(word.n < 60 ? word.n : 60),
		    (const char *)word.p);
	for (t = d->first; t != NULL; t = t->next)
		if (slice_eq(t->text, buf_all(&b)))
			break;
	if (t != NULL) {
		t->times++;
	} else if (d->told_n < DRIFT_TOLD) {
		t = arena_alloc(d->a, sizeof(*t));
		if (t == NULL ||
		    arena_copy(d->a, buf_all(&b), &t->text) != ERR_OK)
			e = err_note(ERR_LIMIT, "no memory for what differs");
		else if (d->last != NULL)
			d->last->next = t;
		else
			d->first = t;
		if (e == ERR_OK) {
			d->last = t;
			t->times = 1;
			d->told_n++;
		}
	}
	buf_fini(&b);
	return e;
}

enum err
drift_add(struct drift *d, struct slice data)
{
	struct mp_in in = mp_in(data), at = in;
	struct mp m;
	enum err e = mp_next(&at, &m);

	if (e == ERR_OK && m.type == MP_ARRAY) {
		for (uint32_t i = 0; i < m.count && e == ERR_OK; i++) {
			struct slice one;

			e = mp_value(&at, &one);
			if (e == ERR_OK && one.n > 0 &&
			    (one.p[0] & 0xf0) == 0x90)
				e = err_note(
				    ERR_TYPE, "a list within the list");
			if (e == ERR_OK)
				e = drift_add(d, one);
		}
		return e;
	}
	if (e != ERR_OK)
		return e;
	d->samples++;
	return drift_walk(d->s, data, told, d);
}

size_t
drift_write(const struct drift *d, struct buf *out)
{
	for (const struct told *t = d->first; t != NULL; t = t->next) {
		buf_slice(out, t->text);
		if (t->times > 1)
			buf_printf(out, " (%zu times)", t->times);
		buf_byte(out, '\n');
	}
	return d->told_n;
}
