/*
 * format - the forms of the files that people write, as JSON Schemas for
 * editors: made from the same tables of words by which the files are read.
 * What a connector alone understands of a pack.yaml is left open.
 */
#ifndef VAYLA_ENGINE_FORMAT_H
#define VAYLA_ENGINE_FORMAT_H

#include "broker/base/buf.h"

/* mapping, schema, pack, config (vayla.yaml); NULL-terminated. */
extern const char *const format_names[];

/* Appends the schema of the file of that name as JSON. */
enum err format_write(const char *name, struct buf *out) MUST_CHECK;

#endif
