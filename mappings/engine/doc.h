/*
 * doc - a mapping as a page that a bookkeeper can read: what it takes, when,
 * what comes out and where each field of it comes from, its tables, checks and
 * questions, all in words, and its tests as examples. Made from the checked
 * tree, so it cannot say anything else than what runs; the same file gives the
 * same page.
 */
#ifndef VAYLA_ENGINE_DOC_H
#define VAYLA_ENGINE_DOC_H

#include <stdbool.h>

#include "mappings/engine/lang.h"

struct mapfile;

/* Appends the page of one mapping. ERR_LIMIT. */
enum err doc_mapping(
    const struct mapfile *m, bool html, struct buf *out) MUST_CHECK;
/* What stands before the first page and behind the last; nothing in Markdown.
 */
void doc_begin(bool html, const char *title, struct buf *out);
void doc_end(bool html, struct buf *out);

/* doc_words.c: an expression in words; names of fields stand in backticks. */
void doc_words(struct buf *b, const struct expr *x);
/* The same as part of a longer phrase: in brackets when it needs them. */
void doc_part(struct buf *b, const struct expr *x);
/* " for each `l` of `lines` where .." */
void doc_loops(struct buf *b, const struct loop *lp);
/* "15 minutes" */
void doc_while(struct buf *b, int64_t ns);

#endif
