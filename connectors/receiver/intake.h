/*
 * intake - from a whole request to the records that are published, or to the
 * answer that refuses it.
 *
 * No network and no clock of its own: what comes out depends on door, settings,
 * request and `now`. Who sent it is settled before its body is decoded, and a
 * refused request leaves nothing behind but its count.
 */
#ifndef VAYLA_RECEIVER_INTAKE_H
#define VAYLA_RECEIVER_INTAKE_H

#include "broker/base/json.h"
#include "connectors/sdk/door.h"
#include "connectors/sdk/sdk.h"

/* What became of a request, as it is counted; the names are shown. */
#define OUTCOME_TABLE(X)                                           \
	X(STORED, "stored", 200)   /* on disk */                   \
	X(IGNORED, "ignored", 200) /* by the pack's `ignore` */    \
	X(DROPPED, "dropped", 200) /* a topic without a row */     \
	X(UNSIGNED, "bad_signature", 401)                          \
	X(UNKNOWN, "bad_address", 404)                             \
	X(METHOD, "bad_method", 405)                               \
	X(LARGE, "too_large", 413)                                 \
	X(TYPE, "bad_type", 415)                                   \
	X(BROKEN, "broken", 400)    /* cannot be decoded */        \
	X(UNFIT, "unfit", 422)	    /* no event can be made */     \
	X(REFUSED, "refused", 422)  /* by the broker, for good */  \
	X(AWAY, "bus_away", 503)    /* no broker, or it is full */ \
	X(LATE, "bus_late", 503)    /* no word from it in time */  \
	X(GONE, "sender_gone", 503) /* it did not wait */          \
	X(ITEM, "bad_item", 422)    /* one of a batch, left out */

enum outcome {
#define OUTCOME_ENUM(name, text, status) OUT_##name,
	OUTCOME_TABLE(OUTCOME_ENUM)
#undef OUTCOME_ENUM
	    OUT_COUNT
};
const char *outcome_name(enum outcome o);
int outcome_status(enum outcome o);

#define INTAKE_PUBS 16 /* frames one batch may become */
#define INTAKE_TEXT 512

/* Records that go out in one PUB: [from, to) of `records`. */
struct intake_pub {
	size_t from, to;
	uint32_t count;
};

struct intake {
	enum outcome what;	/* STORED: publish; all others: answer now */
	char text[INTAKE_TEXT]; /* for the sender; empty with UNSIGNED */
	char why[INTAKE_TEXT];	/* for our log; never to the sender */
	struct buf records;
	struct arena item; /* one item's scratch: a batch may have thousands */
	size_t pubs_n;
	struct intake_pub pubs[INTAKE_PUBS];
	uint32_t bad_items;
};

void intake_init(struct intake *in);
void intake_fini(struct intake *in);

/* q->form and q->mp are filled in here. `scratch` is the request's own arena.
 * What it says about a bad item goes to the log. */
void intake_take(struct intake *in, const struct door *door,
    const struct sdk_system *system, struct request *q, int64_t now,
    struct arena *scratch);

#endif
