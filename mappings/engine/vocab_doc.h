/*
 * vocab_doc - the canonical vocabulary as a page for people (Markdown):
 * mappings/canonical/README.md, which a test keeps up to date.
 */
#ifndef VAYLA_ENGINE_VOCAB_DOC_H
#define VAYLA_ENGINE_VOCAB_DOC_H

#include "mappings/engine/pack.h"

/* Appends to out. Fails where a schema's file can no longer be read. */
enum err vocab_doc(const struct vocabulary *v, struct buf *out) MUST_CHECK;

#endif
