/*
 * known - what stands in the books already: for each event where its last
 * posting begins, and the names that were declared.
 *
 * An event takes eight bytes here: 24 bits of a hash and 40 of the place; the
 * file itself says whether it is the one (the caller reads there). So a million
 * postings cost 16 MiB at the worst, and nothing is ever taken for another.
 */
#ifndef VAYLA_CONNECTORS_FILE_KNOWN_H
#define VAYLA_CONNECTORS_FILE_KNOWN_H

#include "broker/base/arena.h"

#define KNOWN_AT_MAX ((UINT64_C(1) << 40) - 1) /* places below 1 TiB */

struct known {
	uint64_t *slots;
	size_t cap, n; /* cap: a power of two */
};

/* Is it the event of that id that stands at that place? */
typedef bool known_same(void *arg, uint64_t at, const char *id);

void known_init(struct known *k);
void known_fini(struct known *k);
void known_clear(struct known *k);
/* Where an id's last posting is; false when it is new. */
bool known_find(const struct known *k, const char *id, known_same *same,
    void *arg, uint64_t *at);
/* Where the id's last posting is, from now on. */
enum err known_put(struct known *k, const char *id, uint64_t at,
    known_same *same, void *arg) MUST_CHECK;

/* A set of names, each of a kind ('a' accounts, 'o' opened, 'c' commodities,
 * 't' tags). Bounded: ERR_LIMIT when full. */
#define NAMES_MAX 50000
struct names {
	struct arena arena;
	struct name {
		char kind;
		struct slice text;
	} * slots;
	size_t cap, n;
};

void names_init(struct names *s);
void names_fini(struct names *s);
void names_clear(struct names *s);
bool names_has(const struct names *s, char kind, struct slice text);
enum err names_add(struct names *s, char kind, struct slice text) MUST_CHECK;

#endif
