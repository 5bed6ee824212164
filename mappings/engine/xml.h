/*
 * xml - an XML document as data: an element is a key, with its prefix
 * ("cbc:ID"), an attribute "$name", text "$". An element that holds nothing but
 * text is that text, unless its schema says it is a map; order is as written.
 *
 *     <Amt Ccy="EUR">3.10</Amt>   Amt: {$Ccy: EUR, $: "3.10"}
 *     <Ref>R1</Ref>               Ref: R1
 *
 * What comes more than once must be a list in the schema (many: true, items:
 * or list:), and is then always a list, of one too. Without a schema, as for
 * learning, what repeats is a list.
 *
 * Entities that a document declares itself are refused: they can name files and
 * grow without bound. A DTD that it names is not read.
 */
#ifndef VAYLA_ENGINE_XML_H
#define VAYLA_ENGINE_XML_H

#include "mappings/engine/schema.h"

#define XML_ELEMENTS 200000 /* in one document */
#define XML_NAMES 1024	    /* different ones within one element */

/*
 * Appends the document, {ROOT: ...}, as msgpack; `root` is the schema's map, or
 * NULL. The note names line and column, or the element. What repeats and is no
 * list in the schema is refused (ERR_TYPE) when `strict`, as for samples; what
 * a system sends is kept, as a list, and refused by the mapping that reads it.
 */
enum err xml_to_mp(struct slice text, const struct schema_field *root,
    bool strict, struct buf *out) MUST_CHECK;

#endif
