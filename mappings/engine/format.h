/*
 * format - the form of a mapping's file as a JSON Schema, for editors: made
 * from the same tables of words by which files are read.
 */
#ifndef VAYLA_ENGINE_FORMAT_H
#define VAYLA_ENGINE_FORMAT_H

#include "broker/base/buf.h"

/* Appends the schema as JSON. */
enum err format_write(struct buf *out) MUST_CHECK;

#endif
