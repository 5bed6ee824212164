/*
 * posting - one balanced posting: read from a request, checked, and written as
 * hledger and ledger read it (books.journal) and as beancount does
 * (books.beancount).
 *
 * Every text in it may come from a shop's customer. What is written has been
 * through clean_text(): one line, no control characters, nothing that either
 * syntax gives a meaning to. Account names are held to what all three programs
 * take; amounts are exact and the entries sum to zero.
 *
 *	date      2026-03-01
 *	currency  EUR
 *	text      Order 1042
 *	entries   [{account: Assets:Bank, debit: 12.50}, {account: ...,
 *credit:}] others    texts and integers: tags of the posting (order: 1042)
 */
#ifndef VAYLA_CONNECTORS_FILE_POSTING_H
#define VAYLA_CONNECTORS_FILE_POSTING_H

#include "broker/base/arena.h"
#include "broker/base/dec.h"

#define POSTING_ENTRIES 500
#define POSTING_TAGS 16
#define POSTING_TEXT 200    /* characters of a text that are written */
#define POSTING_ACCOUNT 128 /* bytes of an account's name */
#define POSTING_ID 64
#define POSTING_MAX (256 * 1024) /* bytes of one posting, written */

struct posting_entry {
	struct slice account;
	struct dec amount; /* debit positive, credit negative */
};

struct posting_tag {
	struct slice key, value;
};

struct posting {
	char date[11];
	char currency[4];
	struct slice text; /* as it came */
	size_t tags_n, entries_n;
	struct posting_tag tags[POSTING_TAGS];
	struct posting_entry *entries; /* in the arena */
};

/* Which posting this is: the event, its revision, what it takes back. */
struct posting_head {
	char id[POSTING_ID + 1];
	uint64_t seq; /* of the event: the voucher's code */
	uint32_t revision;
	uint32_t reverses; /* 0: it is no reversal */
};

/* An event's id as it stands in the files: itself if it is plain, else a hash
 * of it. */
void posting_id(struct slice event_id, char out[POSTING_ID + 1]);

/* Read and check a request's data. An error's note says what is wrong with it.
 * Slices borrow from data. */
enum err posting_read(
    struct slice data, struct arena *a, struct posting *out) MUST_CHECK;

/* The same entries, the other way round. */
void posting_turn(struct posting *p);

void posting_journal(
    struct buf *out, const struct posting *p, const struct posting_head *h);
void posting_beancount(
    struct buf *out, const struct posting *p, const struct posting_head *h);

/*
 * The inverse of posting_journal(), for what stands in the file at the
 * beginning of `text` (the line of the date first). ERR_SYNTAX when it was
 * changed by hand so that it is not one of ours.
 */
enum err posting_parse(struct slice text, struct arena *a, struct posting *out,
    struct posting_head *head) MUST_CHECK;

/* Only the head of it: event, revision, reverses. */
enum err posting_parse_head(
    struct slice text, struct posting_head *head) MUST_CHECK;

bool account_valid(struct slice name);

#endif
