/*
 * books_scan - reads the two files from their beginning to learn what stands
 * in them: postings by event, and which accounts, commodities and tags were
 * declared. Lines that are not ours are passed over.
 */
#ifndef VAYLA_CONNECTORS_FILE_BOOKS_SCAN_H
#define VAYLA_CONNECTORS_FILE_BOOKS_SCAN_H

#include "connectors/file/known.h"
#include "connectors/file/posting.h"

/* What a posting found is told to: it begins at that place. */
typedef enum err scan_posting(void *arg, uint64_t at, const char *id);

enum err scan_journal(int fd, const char *path, struct names *names,
    scan_posting *found, void *arg, uint64_t *size) MUST_CHECK;
enum err scan_beancount(
    int fd, const char *path, struct names *names, uint64_t *size) MUST_CHECK;

/* A mark of an event that was withdrawn before it was ever posted. */
void scan_put_withdrawn(struct buf *out, const struct posting_head *h);
enum err scan_parse_withdrawn(
    struct slice text, struct posting_head *h) MUST_CHECK;

#endif
