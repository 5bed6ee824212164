/* parcel - see parcel.h. */
#include "connectors/sim/parcel.h"

#include <stdio.h>

#include "broker/base/clock.h"
#include "broker/base/mp.h"

#define HOUR (3600 * NS_PER_SEC)

static const char *const texts[] = {
#define WAY_TEXT(name, text, percent) text,
    WAY_TABLE(WAY_TEXT)
#undef WAY_TEXT
	"sent back by the customer",
};

static const unsigned percents[] = {
#define WAY_PERCENT(name, text, percent) percent,
    WAY_TABLE(WAY_PERCENT)
#undef WAY_PERCENT
};

/* What is scanned, and what it all comes to. */
static const struct {
	const char *scans[PARCEL_SCANS], *end;
} ways[WAY_COUNT] = {
    [WAY_FETCHED] = {{"announced", "accepted", "in_transit", "ready_for_pickup",
			 "delivered"},
	"delivered"},
    [WAY_DOOR] = {{"announced", "in_transit", "out_for_delivery", "unknown",
		      "delivered"},
	"delivered"},
    [WAY_DELAYED] = {{"announced", "accepted", "in_transit", "exception",
			 "in_transit", "ready_for_pickup", "delivered"},
	"delivered"},
    [WAY_MISSED] = {{"announced", "in_transit", "out_for_delivery",
			"attempt_failed", "ready_for_pickup", "delivered"},
	"delivered"},
    [WAY_UNCLAIMED] = {{"announced", "in_transit", "ready_for_pickup",
			   "returning", "in_transit", "delivered"},
	"returned"},
    [WAY_LOST] = {{"announced", "accepted", "in_transit", "exception"},
	"exception"},
    [WAY_HOME] = {{"accepted", "in_transit", "delivered"}, "returned"},
};

const char *
way_text(enum way w)
{
	return texts[w];
}

enum way
way_pick(struct rng *r)
{
	size_t x = rng_below(r, 100), sum = 0;

	for (int w = 0; w < WAY_HOME; w++)
		if (x < (sum += percents[w]))
			return (enum way)w;
	return WAY_FETCHED;
}

void
parcel_make(struct parcel *p, const struct order *o, enum way way, int64_t at,
    struct rng *r)
{
	const char *lead = parcel_leads[rng_below(r, parcel_leads_n)];

	*p = (struct parcel){.way = way, .end = ways[way].end};
	(void)snprintf(p->number, sizeof(p->number), "%s%010lld%d", lead,
	    (long long)o->number, way == WAY_HOME);
	while (p->n < PARCEL_SCANS && ways[way].scans[p->n] != NULL) {
		struct scan *s = &p->scans[p->n];

		s->status = ways[way].scans[p->n];
		s->place = p->n < 2   ? &places[0]
			   : p->n < 3 ? &places[rng_below(r, places_n)]
				      : o->delivery.place;
		s->at = at;
		at +=
		    HOUR / 2 + (int64_t)rng_below(r, 16 * 60) * 60 * NS_PER_SEC;
		if (way == WAY_DELAYED && p->n == 3)
			at += 3 * 24 * HOUR;
		p->n++;
	}
}

static void
put_text(struct buf *out, const char *name, const char *s)
{
	mp_put_cstr(out, name);
	mp_put_cstr(out, s);
}

void
parcel_write(
    struct buf *out, const struct order *o, const struct parcel *p, size_t scan)
{
	const struct scan *s = &p->scans[scan];
	char text[32];

	mp_put_map(out, 7);
	(void)snprintf(text, sizeof(text), "%lld", (long long)o->number);
	put_text(out, "order", text);
	put_text(out, "parcel", p->number);
	put_text(out, "status", s->status);
	put_text(out, "direction", p->way == WAY_HOME ? "return" : "out");
	put_text(out, "postcode", s->place->postcode);
	put_text(out, "place", s->place->city);
	mp_put_cstr(out, "at");
	mp_put_time(out, s->at);
}
