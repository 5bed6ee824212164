/* asked - see asked.h. */
#include <stdio.h>

#include "broker/base/crypt.h"
#include "broker/base/say.h"
#include "broker/core/asked.h"

#define ASKED_SUB (HOLD_SUB + EVENT_TEXT + 32)

/* This turn's: the index does not know them yet. */
struct asked {
	struct slice sub;
	struct asked *next;
};

static struct slice
sub_name(struct slice system, struct slice map, struct slice table,
    struct slice key, char out[ASKED_SUB])
{
	uint8_t digest[32];
	int n;

	sha256(key, digest);
	n = snprintf(out, ASKED_SUB, "map:%.*s/%.*s#%.*s:%02x%02x%02x%02x",
	    SLICE_ARG(system), SLICE_ARG(map), SLICE_ARG(table), digest[0],
	    digest[1], digest[2], digest[3]);
	return slice_of(out, n < ASKED_SUB ? (size_t)n : ASKED_SUB - 1);
}

struct slice
asked_map(struct slice map)
{
	const uint8_t *mark = memchr(map.p, '#', map.n);

	return mark != NULL ? slice_of(map.p, (size_t)(mark - map.p)) : map;
}

static enum err
is_open(struct batch *b, struct slice sub, uint64_t *seq)
{
	struct open_item *items;
	size_t n = 0;
	enum err e;

	*seq = 0;
	e = index_open_items(b->core->index, sub, 0, 1, &b->arena, &items, &n);
	if (e == ERR_OK && n > 0)
		*seq = items[0].seq;
	return e;
}

static enum err
ask(struct router *r, const struct route *rt, const struct fact *f,
    const struct reported *q)
{
	char name[ASKED_SUB], text[EVENT_TEXT * 2 + 200];
	struct slice sub =
	    sub_name(rt->system, rt->map->name, q->table, q->key, name);
	struct asked *a;
	struct settle s;
	uint64_t seq;
	enum err e;

	for (a = r->asked; a != NULL; a = a->next)
		if (slice_eq(a->sub, sub))
			return ERR_OK;
	e = is_open(r->batch, sub, &seq);
	if (e != ERR_OK || seq != 0 || sub.n > EVENT_TEXT)
		return e;
	snprintf(text, sizeof(text),
	    "no row '%.*s' in table %.*s; its default is used. Nothing waits; "
	    "what was mapped before the answer, `vayla replay` maps anew",
	    (int)(q->key.n < 80 ? q->key.n : 80), (const char *)q->key.p,
	    SLICE_ARG(q->table));
	settle_init(&s);
	s.sub = sub;
	s.seq = f->seq;
	s.verdict = SETTLE_ASK;
	s.table = q->table;
	s.key = q->key;
	s.text = slice_str(text);
	batch_settle(r->batch, &s);
	a = arena_alloc(&r->batch->arena, sizeof(*a));
	if (a == NULL)
		err_die("a turn outgrew its memory");
	*a = (struct asked){batch_keep(r->batch, sub), r->asked};
	r->asked = a;
	return ERR_OK;
}

enum err
asked_report(struct router *r, const struct route *rt, const struct fact *f,
    const struct result *res)
{
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < res->reports_n; i++)
		e = ask(r, rt, f, &res->reports[i]);
	return e;
}

enum err
asked_answered(struct batch *b, const struct action *a)
{
	char name[ASKED_SUB];
	struct settle s;
	uint64_t seq;
	enum err e;

	settle_init(&s);
	s.sub = sub_name(a->system, a->map, a->table, a->key, name);
	e = is_open(b, s.sub, &seq);
	if (e != ERR_OK || seq == 0)
		return e;
	s.seq = seq;
	s.verdict = SETTLE_OK;
	batch_settle(b, &s);
	return ERR_OK;
}
