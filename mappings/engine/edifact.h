/*
 * edifact - an interchange as data, a message at a time: a segment is a key
 * with the list of its elements, each the list of its components, all text.
 *
 *     STS+1+Z1'            STS: [["1"], [Z1]]             STS[2][1] is Z1
 *     DTM+334:2015:102'    DTM: [["334", "2015", "102"]]
 *
 * Groups are nested by the schema: a list of maps (`items:`) is a group, named
 * by the segment that begins it, which stands in the group under its own name.
 *
 *     CNI:                                   # a group, once for each CNI
 *       items:
 *         CNI: {list: {list: text}}          # the segment itself, once
 *         DTM?: {many: true, list: {list: text}}   # any number of them
 *
 * A segment belongs to the innermost open group that knows it, else to the one
 * around it; one that none knows stays where it came. What comes more often
 * than its schema says is refused. Without a schema every segment is a list of
 * segments. Of the envelope, UNB and UNH are in each message. Counts in UNT and
 * UNZ are not held against the sender: they are wrong in real life.
 */
#ifndef VAYLA_ENGINE_EDIFACT_H
#define VAYLA_ENGINE_EDIFACT_H

#include "mappings/engine/schema.h"

#define EDIFACT_SEGMENTS 200000 /* in one interchange */

/* Appends the messages, a list of maps, as msgpack. The note names the segment
 * by its number. */
enum err edifact_to_mp(struct slice text, const struct schema_field *root,
    struct buf *out) MUST_CHECK;

#endif
