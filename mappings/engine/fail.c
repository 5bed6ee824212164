/*
 * fail - what went wrong, told so that a person can act: the output path, the
 * source path, the place in the file, what was found and what to do.
 *
 *     order.placed: lines[2].vat_code <- l.tax_class (x.map.yaml:12:20): no row
 *     'super' in table vat_code; add a row or answer the question
 *
 * An absent value is only noted where it is met, since an optional field will
 * not tell; the text is made by fail_tell().
 */
#include <stdio.h>

#include "mappings/engine/run.h"

__attribute__((format(printf, 5, 0))) static enum err
note(struct eval *e, const struct expr *x, const struct source *src,
    enum err err, const char *fmt, va_list ap)
{
	char text[600];
	uint8_t *p;
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	e->fail.err = err;
	e->fail.verdict = EVAL_ERROR;
	e->fail.x = x;
	e->fail.src = src;
	e->fail.absent = false;
	e->fail.text = SLICE_EMPTY;
	p = run_alloc(e, len + 1);
	if (p != NULL) {
		memcpy(p, text, len);
		e->fail.text = slice_of(p, len);
	}
	return err;
}

enum err
fail_at(
    struct eval *e, const struct expr *x, enum err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err = note(e, x, NULL, err, fmt, ap);
	va_end(ap);
	return err;
}

enum err
fail_src(struct eval *e, const struct source *src, enum err err,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err = note(e, NULL, src, err, fmt, ap);
	va_end(ap);
	return err;
}

enum err
fail_absent(struct eval *e, const struct expr *x, const struct val *v)
{
	e->fail.err = ERR_MISSING;
	e->fail.verdict = EVAL_ERROR;
	e->fail.x = x;
	e->fail.src = NULL;
	e->fail.absent = true;
	e->fail.why = (enum why)v->scale;
	return ERR_MISSING;
}

enum err
fail_scratch(struct eval *e, const struct expr *x)
{
	e->fail.err = ERR_BUDGET;
	e->fail.verdict = EVAL_ERROR;
	e->fail.x = x;
	e->fail.src = NULL;
	e->fail.absent = false;
	e->fail.text = SLICE_LIT("more memory than one event may take");
	return ERR_BUDGET;
}

enum err
fail_steps(struct eval *e, const struct expr *x)
{
	return fail_at(e, x, ERR_BUDGET,
	    "more than %d steps for one event; what is it that is so large?",
	    MAP_STEPS);
}

void
fail_clear(struct eval *e)
{
	memset(&e->fail, 0, sizeof(e->fail));
}

static void
put_frames(const struct eval *e, struct buf *b, size_t from)
{
	uint32_t i;

	for (i = 0; i < e->depth && i < RUN_FRAMES; i++) {
		const struct frame *f = &e->frames[i];

		if (f->index > 0)
			buf_printf(b, "[%u]", f->index);
		else
			buf_printf(b, "%s%.*s", b->n > from ? "." : "",
			    SLICE_ARG(f->name));
	}
}

void
fail_path(const struct eval *e, struct buf *b)
{
	size_t at;

	if (e->emit != NULL)
		buf_printf(b, "%.*s: ", SLICE_ARG(e->emit->type));
	at = b->n;
	if (e->part != NULL)
		buf_str(b, e->part);
	else if (e->depth > 0)
		put_frames(e, b, at);
	else
		buf_str(b, "data");
}

static struct slice
keep(struct eval *e, struct buf *b, size_t from)
{
	struct slice s = slice_of(b->p + from, b->n - from), out = SLICE_EMPTY;

	if (b->bad || arena_copy(e->arena, s, &out) != ERR_OK)
		return SLICE_EMPTY;
	return out;
}

static const char *
why_text(enum why w)
{
	return w == WHY_NULL	? "is null"
	       : w == WHY_BLANK ? "is blank"
				: "is missing";
}

void
fail_tell(struct eval *e)
{
	struct result *r = &e->result;
	const struct expr *x = e->fail.x;
	const struct source *src = x != NULL ? x->src : e->fail.src;
	struct slice words = SLICE_EMPTY;
	struct buf b;
	size_t at;

	buf_init(&b, 4096);
	fail_path(e, &b);
	r->path = keep(e, &b, 0);
	if (x != NULL) {
		words = expr_words(x);
		if (words.n > 100)
			words.n = 100;
		buf_printf(&b, " <- %.*s", SLICE_ARG(words));
	}
	r->where = SLICE_EMPTY;
	if (src != NULL && src->node != NULL) {
		buf_str(&b, " (");
		at = b.n;
		buf_printf(&b, "%s:%u:%u", src->file, src->node->line,
		    src->node->column + (x != NULL ? x->at + src->shift : 0));
		r->where = keep(e, &b, at);
		buf_str(&b, ")");
	}
	buf_str(&b, ": ");
	if (e->fail.absent)
		buf_printf(&b,
		    "%s; send it, give a default (%.*s ?? ..) or "
		    "make the field optional (name?:)",
		    why_text(e->fail.why), SLICE_ARG(words));
	else
		buf_slice(&b, e->fail.text);
	r->text = keep(e, &b, 0);
	buf_fini(&b);
	r->verdict = e->fail.verdict;
	r->err = e->fail.err;
}
