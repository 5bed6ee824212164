/*
 * edifact - see edifact.h. First the characters: marks, the release character,
 * the encoding that UNB names. Then the nesting, with one tree a message.
 */
#include <stdlib.h>

#include "broker/base/arena.h"
#include "broker/base/utf8.h"
#include "mappings/engine/edifact.h"

#define EDI_MEMORY ((size_t)256 * 1024 * 1024)
#define EDI_GROUPS 32 /* groups within groups */

struct component {
	struct slice s;
	struct component *next;
};

struct element {
	struct component *first, *last;
	uint32_t n;
	struct element *next;
};

struct segment {
	struct slice tag;
	struct element *first, *last;
	uint32_t n;
	uint32_t at; /* its number in the interchange */
	struct segment *next;
};

struct reading {
	struct arena a;
	const uint8_t *p, *end;
	uint8_t component, element, release, terminator;
	enum { CHARS_ASCII, CHARS_LATIN1, CHARS_UTF8 } chars;
	uint32_t segments;
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum err
full(void)
{
	return err_note(ERR_LIMIT, "the interchange is too large");
}

/* Marks: those UNA names, or the usual. */
static void
read_una(struct reading *r)
{
	r->component = ':';
	r->element = '+';
	r->release = '?';
	r->terminator = '\'';
	while (r->p < r->end && is_blank(*r->p))
		r->p++;
	if (r->end - r->p < 9 || memcmp(r->p, "UNA", 3) != 0)
		return;
	r->component = r->p[3];
	r->element = r->p[4];
	r->release = r->p[6];
	r->terminator = r->p[8];
	r->p += 9;
}

/* A component's bytes as UTF-8, by what UNB says they are. */
static enum err
to_text(struct reading *r, const struct segment *seg, struct slice raw,
    struct slice *out)
{
	uint8_t *to;
	size_t n = 0;
	bool ascii = true;

	*out = SLICE_EMPTY;
	if (raw.n == 0)
		return ERR_OK;
	for (size_t i = 0; i < raw.n; i++)
		ascii = ascii && raw.p[i] < 0x80;
	if (ascii || (r->chars == CHARS_UTF8 && utf8_valid(raw)))
		return arena_copy(&r->a, raw, out);
	if (r->chars != CHARS_LATIN1)
		return err_note(ERR_SYNTAX,
		    "segment %u %.*s: a character that the encoding named in "
		    "UNB does not have",
		    seg->at, SLICE_ARG(seg->tag));
	to = arena_alloc(&r->a, raw.n * 2 + 1);
	if (to == NULL)
		return full();
	for (size_t i = 0; i < raw.n; i++)
		n += utf8_put(to + n, raw.p[i]);
	*out = slice_of(to, n);
	return ERR_OK;
}

static enum err
add_component(struct reading *r, struct segment *seg, struct slice raw)
{
	struct component *c = arena_alloc(&r->a, sizeof(*c));
	struct element *e = seg->last;
	enum err err;

	if (c == NULL)
		return full();
	if ((err = to_text(r, seg, raw, &c->s)) != ERR_OK)
		return err;
	if (e->last != NULL)
		e->last->next = c;
	else
		e->first = c;
	e->last = c;
	e->n++;
	return ERR_OK;
}

static enum err
add_element(struct reading *r, struct segment *seg)
{
	struct element *e = arena_alloc(&r->a, sizeof(*e));

	if (e == NULL)
		return full();
	if (seg->last != NULL)
		seg->last->next = e;
	else
		seg->first = e;
	seg->last = e;
	seg->n++;
	return ERR_OK;
}

/* The next segment; NULL at the end. */
static enum err
read_segment(struct reading *r, struct segment **out)
{
	struct segment *seg;
	struct buf raw;
	enum err e = ERR_OK;
	bool tag = true;

	*out = NULL;
	while (r->p < r->end && is_blank(*r->p))
		r->p++;
	if (r->p == r->end)
		return ERR_OK;
	if (++r->segments > EDIFACT_SEGMENTS)
		return err_note(ERR_LIMIT, "over %d segments in an interchange",
		    EDIFACT_SEGMENTS);
	seg = arena_alloc(&r->a, sizeof(*seg));
	if (seg == NULL)
		return full();
	seg->tag = SLICE_EMPTY;
	seg->at = r->segments;
	buf_init(&raw, 1024 * 1024);
	for (; e == ERR_OK; r->p++) {
		uint8_t c;

		if (r->p == r->end) {
			e = err_note(ERR_SYNTAX,
			    "segment %u %.*s is not ended: the file breaks off "
			    "here",
			    seg->at, SLICE_ARG(seg->tag));
			break;
		}
		c = *r->p;
		/* a blank as release character means that there is none */
		if (c == r->release && c != ' ' && r->p + 1 < r->end) {
			buf_byte(&raw, *++r->p);
			continue;
		}
		if (c != r->component && c != r->element &&
		    c != r->terminator) {
			if (c != '\r' && c != '\n')
				buf_byte(&raw, c);
			continue;
		}
		if (raw.bad)
			e = full();
		else if (tag)
			e = raw.n > 0
				? arena_copy(&r->a, buf_all(&raw), &seg->tag)
				: err_note(ERR_SYNTAX, "segment %u has no name",
				      seg->at);
		else
			e = add_component(r, seg, buf_all(&raw));
		tag = false;
		buf_reset(&raw);
		if (c == r->terminator || e != ERR_OK)
			break;
		if (c == r->element)
			e = add_element(r, seg);
		else if (seg->last == NULL) /* a tag with components */
			e = add_element(r, seg);
	}
	buf_fini(&raw);
	if (e != ERR_OK)
		return e;
	r->p++;
	*out = seg;
	return ERR_OK;
}

static enum err
read_chars(struct reading *r, const struct segment *unb)
{
	static const struct {
		const char *name;
		int chars;
	} known[] = {{"UNOA", CHARS_ASCII}, {"UNOB", CHARS_ASCII},
	    {"UNOC", CHARS_LATIN1}, {"UNOW", CHARS_UTF8}, {"UNOY", CHARS_UTF8},
	    {"KECA", CHARS_ASCII}};
	struct slice name;

	if (unb->first == NULL || unb->first->first == NULL)
		return err_note(ERR_SYNTAX, "UNB names no encoding");
	name = unb->first->first->s;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (slice_is(name, known[i].name)) {
			r->chars = (unsigned)known[i].chars;
			return ERR_OK;
		}
	return err_note(ERR_TYPE,
	    "the encoding %.*s of UNB is none of UNOA UNOB UNOC UNOW UNOY",
	    (int)(name.n < 16 ? name.n : 16), (const char *)name.p);
}

/* ---- nesting ---- */

struct entry;

/* One occurrence under a key: a segment, or a group's map. */
struct one {
	const struct segment *seg;
	struct entry *group; /* its keys */
	struct one *next;
};

struct entry {
	struct slice name;
	const struct schema_field *f;
	struct one *first, *last;
	uint32_t n;
	struct entry *next;
};

/* A group that is open: its fields, and its keys so far. */
struct open {
	const struct schema_field *map;
	struct entry **keys;
	struct slice trigger;
};

struct nesting {
	struct reading *r;
	struct open open[EDI_GROUPS];
	unsigned n;
};

static bool
is_group(const struct schema_field *f)
{
	return f != NULL && f->type == SCHEMA_LIST &&
	       f->item->type == SCHEMA_MAP;
}

/* list of list of text: once; a list more: any number of them */
static bool
is_many(const struct schema_field *f)
{
	return f == NULL ||
	       (f->type == SCHEMA_LIST && f->item->type == SCHEMA_LIST &&
		   f->item->item->type == SCHEMA_LIST);
}

static struct one *
add_one(struct nesting *x, struct entry **keys, struct slice name,
    const struct schema_field *f)
{
	struct entry *k, **to = keys;
	struct one *o = arena_alloc(&x->r->a, sizeof(*o));

	while ((k = *to) != NULL && !slice_eq(k->name, name))
		to = &k->next;
	if (k == NULL && (k = arena_alloc(&x->r->a, sizeof(*k))) != NULL) {
		k->name = name;
		k->f = f;
		*to = k;
	}
	if (k == NULL || o == NULL)
		return NULL;
	if (k->last != NULL)
		k->last->next = o;
	else
		k->first = o;
	k->last = o;
	k->n++;
	return o;
}

static bool
holds(const struct open *g, struct slice tag)
{
	for (const struct entry *k = *g->keys; k != NULL; k = k->next)
		if (slice_eq(k->name, tag))
			return true;
	return false;
}

/* Can a group take this segment? Its own first segment only once. */
static bool
takes(const struct open *g, struct slice tag)
{
	const struct schema_field *f =
	    g->map != NULL ? schema_find(g->map, tag) : NULL;

	return f != NULL &&
	       !(slice_eq(g->trigger, tag) && holds(g, tag) && !is_group(f));
}

static enum err
place(struct nesting *x, const struct segment *seg)
{
	unsigned i = x->n;
	const struct schema_field *f = NULL;
	struct one *o;

	while (i > 0 && !takes(&x->open[i - 1], seg->tag))
		i--;
	if (i > 0) {
		x->n = i;
		f = schema_find(x->open[i - 1].map, seg->tag);
	}
	o = add_one(x, x->open[x->n - 1].keys, seg->tag, f);
	if (o == NULL)
		return full();
	if (!is_group(f)) {
		o->seg = seg;
		return ERR_OK;
	}
	if (x->n == EDI_GROUPS)
		return err_note(ERR_LIMIT, "groups are nested too deep");
	x->open[x->n++] = (struct open){f->item, &o->group, seg->tag};
	o = add_one(x, x->open[x->n - 1].keys, seg->tag,
	    schema_find(f->item, seg->tag));
	if (o == NULL)
		return full();
	o->seg = seg;
	return ERR_OK;
}

/* ---- writing ---- */

static void
put_segment(struct buf *out, const struct segment *seg)
{
	mp_put_array(out, seg->n);
	for (const struct element *e = seg->first; e != NULL; e = e->next) {
		mp_put_array(out, e->n);
		for (const struct component *c = e->first; c != NULL;
		     c = c->next)
			mp_put_str(out, c->s);
	}
}

static enum err
put_keys(struct buf *out, const struct entry *keys)
{
	uint32_t n = 0;
	enum err e = ERR_OK;

	for (const struct entry *k = keys; k != NULL; k = k->next)
		n++;
	mp_put_map(out, n);
	for (const struct entry *k = keys; k != NULL && e == ERR_OK;
	     k = k->next) {
		mp_put_str(out, k->name);
		if (is_group(k->f) && k->first->group != NULL)
			mp_put_array(out, k->n);
		else if (is_many(k->f))
			mp_put_array(out, k->n);
		else if (k->n > 1)
			return err_note(ERR_TYPE,
			    "segment %u: %.*s stands here %u times, and its "
			    "schema knows of one: say many: true there",
			    k->last->seg->at, SLICE_ARG(k->name), k->n);
		for (const struct one *o = k->first; o != NULL && e == ERR_OK;
		     o = o->next)
			if (o->seg != NULL)
				put_segment(out, o->seg);
			else
				e = put_keys(out, o->group);
	}
	return e;
}

/* From UNH to UNT. */
static enum err
put_message(struct reading *r, const struct schema_field *root,
    const struct segment *unb, const struct segment *unh, struct buf *out)
{
	struct entry *keys = NULL;
	struct nesting x = {.r = r, .n = 1};
	struct segment *seg;
	enum err e;

	x.open[0] = (struct open){root, &keys, SLICE_EMPTY};
	e = place(&x, unb);
	if (e == ERR_OK)
		e = place(&x, unh);
	for (;;) {
		if (e == ERR_OK)
			e = read_segment(r, &seg);
		if (e == ERR_OK && seg == NULL)
			e = err_note(ERR_SYNTAX,
			    "the message that begins at segment %u has no UNT",
			    unh->at);
		if (e != ERR_OK)
			return e;
		if (slice_is(seg->tag, "UNT"))
			return put_keys(out, keys);
		e = place(&x, seg);
	}
}

enum err
edifact_to_mp(
    struct slice text, const struct schema_field *root, struct buf *out)
{
	struct reading r = {.p = text.p, .end = text.p + text.n};
	struct segment *seg = NULL, *unb = NULL;
	size_t had = out->n, mark;
	uint32_t n = 0;
	enum err e;

	arena_init(&r.a, EDI_MEMORY);
	read_una(&r);
	mark = mp_open(out);
	while ((e = read_segment(&r, &seg)) == ERR_OK && seg != NULL) {
		if (unb == NULL && !slice_is(seg->tag, "UNB"))
			e = err_note(ERR_SYNTAX,
			    "an interchange begins with UNB, not with %.*s",
			    (int)(seg->tag.n < 16 ? seg->tag.n : 16),
			    (const char *)seg->tag.p);
		else if (slice_is(seg->tag, "UNB"))
			e = read_chars(&r, unb = seg);
		else if (slice_is(seg->tag, "UNH"))
			n++, e = put_message(&r, root, unb, seg, out);
		if (e != ERR_OK)
			break;
	}
	if (e == ERR_OK && n == 0)
		e = err_note(ERR_MISSING, "the interchange holds no message");
	mp_close_array(out, mark, n);
	arena_fini(&r.a);
	if (e == ERR_OK)
		e = buf_check(out);
	if (e == ERR_OK)
		e = mp_check(slice_from(buf_all(out), had));
	if (e != ERR_OK)
		out->n = had;
	return e;
}
