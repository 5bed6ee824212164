/*
 * xml - see xml.h. expat reads; a tree is built, since a map's count and what
 * repeats are known only at an element's end, and then written by the schema.
 */
#include <expat.h>
#include <stdlib.h>
#include <strings.h>

#include "broker/base/arena.h"
#include "mappings/engine/xml.h"

#define XML_MEMORY ((size_t)256 * 1024 * 1024)

struct text {
	struct slice s;
	struct text *next;
};

struct attr {
	struct slice name, value;
	struct attr *next;
};

struct elem {
	struct slice name;
	struct elem *up, *next;
	struct elem *kids, *last;
	struct elem *same; /* the next of this name beside it */
	struct attr *attrs, *attrs_last;
	struct text *text, *text_last;
};

struct reading {
	struct arena a;
	XML_Parser parser;
	struct elem doc, *at;
	unsigned depth;
	size_t n;
	enum err err;
	const char *why;
};

static void
stop(struct reading *r, enum err e, const char *why)
{
	if (r->err == ERR_OK) {
		r->err = e;
		r->why = why;
		XML_StopParser(r->parser, XML_FALSE);
	}
}

static void *
take(struct reading *r, size_t n)
{
	void *p = arena_alloc(&r->a, n);

	if (p == NULL)
		stop(r, ERR_LIMIT, "it is too large");
	return p;
}

static bool
keep(struct reading *r, const char *s, size_t n, struct slice *out)
{
	*out = SLICE_EMPTY;
	if (n == 0 || arena_copy(&r->a, slice_of(s, n), out) == ERR_OK)
		return true;
	stop(r, ERR_LIMIT, "it is too large");
	return false;
}

static void
on_start(void *self, const XML_Char *name, const XML_Char **atts)
{
	struct reading *r = self;
	struct elem *e;

	if (++r->depth > MP_DEPTH) {
		stop(r, ERR_LIMIT, "its elements are nested too deep");
		return;
	}
	if (++r->n > XML_ELEMENTS) {
		stop(r, ERR_LIMIT, "it holds too many elements");
		return;
	}
	e = take(r, sizeof(*e));
	if (e == NULL || !keep(r, name, strlen(name), &e->name))
		return;
	e->up = r->at;
	if (r->at->last != NULL)
		r->at->last->next = e;
	else
		r->at->kids = e;
	r->at->last = e;
	r->at = e;
	for (; atts[0] != NULL; atts += 2) {
		struct attr *a = take(r, sizeof(*a));

		if (a == NULL || !keep(r, atts[0], strlen(atts[0]), &a->name) ||
		    !keep(r, atts[1], strlen(atts[1]), &a->value))
			return;
		if (e->attrs_last != NULL)
			e->attrs_last->next = a;
		else
			e->attrs = a;
		e->attrs_last = a;
	}
}

static void
on_end(void *self, const XML_Char *name)
{
	struct reading *r = self;

	(void)name;
	r->depth--;
	r->at = r->at->up;
}

static void
on_text(void *self, const XML_Char *s, int n)
{
	struct reading *r = self;
	struct text *t = take(r, sizeof(*t));

	if (t == NULL || !keep(r, s, (size_t)n, &t->s))
		return;
	if (r->at->text_last != NULL)
		r->at->text_last->next = t;
	else
		r->at->text = t;
	r->at->text_last = t;
}

/* An older Finvoice names its DTD: harmless, as it is never read. */
static void
on_doctype(void *self, const XML_Char *name, const XML_Char *system,
    const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	if (internal)
		stop(self, ERR_SYNTAX,
		    "its DOCTYPE declares things of its own, which is refused: "
		    "entities could name files and grow without bound");
}

static void
on_skipped(void *self, const XML_Char *name, int parameter)
{
	(void)name;
	(void)parameter;
	stop(self, ERR_SYNTAX,
	    "an entity that only its DTD knows; write the character itself");
}

/* The single-byte encodings that expat does not bring and merchants' systems
 * use. */
static int
on_encoding(void *self, const XML_Char *name, XML_Encoding *info)
{
	static const struct {
		int byte, c;
	} latin9[] = {{0xa4, 0x20ac}, {0xa6, 0x160}, {0xa8, 0x161},
	    {0xb4, 0x17d}, {0xb8, 0x17e}, {0xbc, 0x152}, {0xbd, 0x153},
	    {0xbe, 0x178}};
	static const int cp1252[32] = {0x20ac, -1, 0x201a, 0x192, 0x201e,
	    0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, -1,
	    0x17d, -1, -1, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013,
	    0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, -1, 0x17e, 0x178};

	(void)self;
	for (int i = 0; i < 256; i++)
		info->map[i] = i;
	info->data = NULL;
	info->convert = NULL;
	info->release = NULL;
	if (strcasecmp(name, "iso-8859-15") == 0) {
		for (size_t i = 0; i < sizeof(latin9) / sizeof(*latin9); i++)
			info->map[latin9[i].byte] = latin9[i].c;
		return XML_STATUS_OK;
	}
	if (strcasecmp(name, "windows-1252") != 0)
		return XML_STATUS_ERROR;
	for (int i = 0; i < 32; i++)
		info->map[0x80 + i] = cp1252[i];
	return XML_STATUS_OK;
}

/* ---- writing ---- */

struct writing {
	struct buf *out;
	bool free; /* what repeats is a list, whatever the schema says */
};

static enum err put_elem(
    struct writing *w, const struct elem *e, const struct schema_field *x);

static bool
is_space(const struct elem *e)
{
	for (const struct text *t = e->text; t != NULL; t = t->next)
		for (size_t i = 0; i < t->s.n; i++)
			if (memchr(" \t\r\n", t->s.p[i], 4) == NULL)
				return false;
	return true;
}

static void
put_text(struct buf *out, const struct elem *e)
{
	struct buf all;

	if (e->text == NULL || e->text->next == NULL) {
		mp_put_str(out, e->text != NULL ? e->text->s : SLICE_EMPTY);
		return;
	}
	buf_init(&all, out->max);
	for (const struct text *t = e->text; t != NULL; t = t->next)
		buf_slice(&all, t->s);
	mp_put_str(out, buf_all(&all));
	out->bad = out->bad || all.bad;
	buf_fini(&all);
}

/* Kids of one name, in the order of the first of each. */
struct group {
	struct elem *first, *last;
	uint32_t n;
};

static enum err
put_group(struct writing *w, const struct elem *e, const struct group *g,
    const struct schema_field *x)
{
	const struct schema_field *f = NULL;
	enum err err = ERR_OK;

	if (x != NULL && x->type == SCHEMA_MAP)
		f = schema_find(x, g->first->name);
	mp_put_str(w->out, g->first->name);
	if ((f != NULL && f->type == SCHEMA_LIST) || (g->n > 1 && w->free))
		mp_put_array(w->out, g->n);
	else if (g->n > 1)
		return err_note(ERR_TYPE,
		    "<%.*s> stands %u times in <%.*s>, and its schema knows of "
		    "one: say many: true there",
		    SLICE_ARG(g->first->name), g->n, SLICE_ARG(e->name));
	if (f != NULL && f->type == SCHEMA_LIST)
		f = f->item;
	for (const struct elem *k = g->first; k != NULL && err == ERR_OK;
	     k = k->same)
		err = put_elem(w, k, f);
	return err;
}

static enum err
put_map(struct writing *w, const struct elem *e, const struct schema_field *x)
{
	struct group *groups = NULL;
	uint32_t n = 0, count = 0;
	bool text = e->kids == NULL ? e->text != NULL : !is_space(e);
	enum err err = ERR_OK;

	if (e->kids != NULL &&
	    (groups = calloc(XML_NAMES, sizeof(*groups))) == NULL)
		return err_note(ERR_NOMEM, "no memory for an XML document");
	for (struct elem *k = e->kids; k != NULL && err == ERR_OK;
	     k = k->next) {
		uint32_t i = 0;

		while (i < n && !slice_eq(groups[i].first->name, k->name))
			i++;
		if (i == XML_NAMES) {
			err = err_note(ERR_LIMIT,
			    "over %d different elements within <%.*s>",
			    XML_NAMES, SLICE_ARG(e->name));
		} else if (i == n) {
			groups[n++] = (struct group){k, k, 1};
		} else {
			groups[i].last->same = k;
			groups[i].last = k;
			groups[i].n++;
		}
	}
	for (const struct attr *a = e->attrs; a != NULL; a = a->next)
		count++;
	mp_put_map(w->out, count + n + text);
	for (const struct attr *a = e->attrs; a != NULL; a = a->next) {
		struct buf name;

		buf_init(&name, 64 * 1024);
		buf_byte(&name, '$');
		buf_slice(&name, a->name);
		mp_put_str(w->out, buf_all(&name));
		mp_put_str(w->out, a->value);
		w->out->bad = w->out->bad || name.bad;
		buf_fini(&name);
	}
	if (text) {
		mp_put_cstr(w->out, "$");
		put_text(w->out, e);
	}
	for (uint32_t i = 0; i < n && err == ERR_OK; i++)
		err = put_group(w, e, &groups[i], x);
	free(groups);
	return err;
}

static enum err
put_elem(struct writing *w, const struct elem *e, const struct schema_field *x)
{
	if (e->attrs != NULL || e->kids != NULL ||
	    (x != NULL && x->type == SCHEMA_MAP))
		return put_map(w, e, x);
	put_text(w->out, e);
	return ERR_OK;
}

enum err
xml_to_mp(struct slice text, const struct schema_field *root, bool strict,
    struct buf *out)
{
	struct reading r = {.err = ERR_OK};
	struct writing w = {out, root == NULL || !strict};
	size_t had = out->n;
	enum err e;

	if (text.n > INT32_MAX)
		return err_note(ERR_LIMIT, "an XML document of over 2 GiB");
	arena_init(&r.a, XML_MEMORY);
	r.doc.name = SLICE_LIT("the document");
	r.at = &r.doc;
	r.parser = XML_ParserCreate(NULL);
	if (r.parser == NULL) {
		arena_fini(&r.a);
		return err_note(ERR_NOMEM, "no memory for an XML document");
	}
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	XML_SetSkippedEntityHandler(r.parser, on_skipped);
	XML_SetUnknownEncodingHandler(r.parser, on_encoding, NULL);
	if (XML_Parse(r.parser, (const char *)text.p, (int)text.n, 1) ==
		XML_STATUS_ERROR ||
	    r.err != ERR_OK)
		e = err_note(r.err != ERR_OK ? r.err : ERR_SYNTAX,
		    "the XML breaks off at line %lu, column %lu: %s",
		    XML_GetCurrentLineNumber(r.parser),
		    XML_GetCurrentColumnNumber(r.parser) + 1,
		    r.why != NULL
			? r.why
			: XML_ErrorString(XML_GetErrorCode(r.parser)));
	else
		e = put_map(&w, &r.doc, root);
	XML_ParserFree(r.parser);
	arena_fini(&r.a);
	if (e == ERR_OK)
		e = buf_check(out);
	/* an array counts as a level too */
	if (e == ERR_OK)
		e = mp_check(slice_from(buf_all(out), had));
	if (e != ERR_OK)
		out->n = had;
	return e;
}
