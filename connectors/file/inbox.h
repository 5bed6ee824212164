/*
 * inbox - a folder whose files become events, a row each: `pick:` at work.
 *
 * Invariant: a file leaves the folder only when every row of it is on disk in
 * the broker or stands in refused/ with its reason. Until then it may be read
 * again from its beginning, after a kill -9 or a power cut: an event's id comes
 * from the file's name, time and content and from the row, so the journal drops
 * what it has. Nothing about files is remembered anywhere else.
 *
 *	FOLDER/NAME			to be picked up
 *	FOLDER/done/NAME		all rows that could be taken are in
 *	FOLDER/refused/NAME		what was not taken: the whole file, or
 *the heading and the bad rows of one in done/ FOLDER/refused/NAME.reason.txt
 *why, for a person
 *
 * Rejected: a list of what was read (two truths: a restored backup of one reads
 * twice or never); appending to a file that was read before (then a file is
 * never done, and half a line is a row).
 */
#ifndef VAYLA_FILE_INBOX_H
#define VAYLA_FILE_INBOX_H

#include "connectors/file/sheet.h"
#include "connectors/sdk/sdk.h"

struct inbox;

/* All that is given is borrowed. */
enum err inbox_open(struct inbox **out, struct sdk *s, const struct pick *p,
    const struct pick_way *w) MUST_CHECK;
void inbox_close(struct inbox *in); /* NULL is a no-op */
void inbox_step(struct inbox *in, int *next_ms);

/* Begin nothing more; true when nothing is under way. */
bool inbox_drain(struct inbox *in);

#endif
