/* shadow_own - what the two files of the shadow share: shadow.c evaluates,
 * shadow_diff.c compares and counts. */
#ifndef VAYLA_CORE_SHADOW_OWN_H
#define VAYLA_CORE_SHADOW_OWN_H

#include "broker/base/dec.h"
#include "broker/core/shadow.h"

#define SHADOW_EXAMPLES 3
#define SHADOW_TEXT 96
#define SHADOW_FIELDS 500 /* that are told apart */

struct example {
	uint64_t seq;
	struct slice subject, path;
	char was[SHADOW_TEXT], is[SHADOW_TEXT];
};

/* One output field that differs. */
struct field_diff {
	struct slice type, path; /* "lines[].net" */
	bool number;
	bool no_sum;	       /* too large to be added up */
	uint64_t events, last; /* inputs; the last counted */
	struct dec was, is;    /* sums over what differs */
	struct example eg[SHADOW_EXAMPLES];
	size_t eg_n;
	struct field_diff *next;
};

/* Events of a type that there are more of, or fewer. */
struct event_diff {
	struct slice type;
	uint64_t more, fewer;
	struct example eg[SHADOW_EXAMPLES];
	size_t eg_n;
	struct event_diff *next;
};

#define SHADOW_TURNED 10
struct turned {
	uint64_t seq;
	struct slice subject, text;
	bool through; /* else it would be held */
};

/* All that is known of one route. */
struct shadow_diff {
	struct arena arena;
	const struct ruleset *rules;
	bool unmask;
	const struct fact *input; /* at hand */
	struct slice type;	  /* of the output at hand */
	struct buf path, norm;
	uint64_t looked, same, differ, through, held, pending, erased, unknown;
	struct field_diff *fields;
	size_t fields_n;
	struct event_diff *events;
	struct turned turned[SHADOW_TURNED];
	size_t turned_n;
	bool full; /* more fields than are told apart */
};

struct fact;

void diff_init(struct shadow_diff *d, const struct ruleset *r, bool unmask);
void diff_fini(struct shadow_diff *d);
/* Two data of one fact that are not the same bytes. */
void diff_data(struct shadow_diff *d, const struct fact *input,
    struct slice type, struct slice was, struct slice is);
/* A word of the envelope: refs, subject. */
void diff_word(struct shadow_diff *d, const struct fact *input,
    struct slice type, const char *name, struct slice was, struct slice is);
void diff_event(struct shadow_diff *d, const struct fact *input,
    struct slice type, struct slice id, bool more);
void diff_turned(struct shadow_diff *d, const struct fact *input,
    struct slice text, bool through);
/* The map that shadow.h shows, of one route. */
void diff_write(const struct shadow_diff *d, struct slice system,
    struct slice map, int version, struct buf *out);

#endif
