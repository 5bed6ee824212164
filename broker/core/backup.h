/*
 * backup - a copy of DATA in another folder, made while the broker runs.
 *
 * What is copied are bytes that never change again: closed segments, the open
 * one up to a sequence the broker has confirmed, rulesets, and last `keys`,
 * whose slots are filled ahead of use. So the copy is a DATA folder by itself:
 * a restore is a start on it. A second run copies only what is new, and lets
 * go of segments that the journal has let go of.
 *
 * Rejected: a snapshot by the broker (it would have to stop, or to read what
 * any process can read).
 */
#ifndef VAYLA_CORE_BACKUP_H
#define VAYLA_CORE_BACKUP_H

#include "broker/base/buf.h"

struct backup {
	const char *data; /* DATA */
	const char *to;	  /* the copy's folder; made when it is not there */
	const char *keys; /* folder of the copy of `keys`; NULL: `to` */
	uint64_t next;	  /* copy records below it; 0: nobody has DATA open,
			     copy all */
	/* What was done: */
	uint64_t segments, fresh; /* in the copy; of these written to now */
	uint64_t bytes;		  /* copied now, all files */
	uint64_t end;		  /* the sequence behind the copy's last */
};

/* Has somebody DATA open? Then `next` must be what its broker confirmed. */
bool backup_busy(const char *data);

/* ERR_EXISTS: one of the folders is in use. What an interrupted run left is no
 * harm: the run before it is still whole, and the next one goes on. */
enum err backup_run(struct backup *b) MUST_CHECK;

/* Is a folder what its last backup said that it is? Adds lines to report;
 * ERR_CORRUPT. A folder that is no backup is fine. next: behind the last record
 * that is there. */
enum err backup_verify(
    const char *dir, uint64_t next, struct buf *report) MUST_CHECK;

/* Is what the records of a whole journal name there: causes, rulesets, keys,
 * and what a backup promised? Nobody has it open. refs_verify.c */
enum err refs_verify(const char *dir, struct buf *report) MUST_CHECK;

#endif
