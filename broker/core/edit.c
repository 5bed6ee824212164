/*
 * edit - a person's correction of what is held or parked: the event gets a next
 * revision with other data and the name of who made it, and goes the way of its
 * first one anew; what was held for the old one is passed over. See daemon.h.
 *
 * The original stays in the journal. The ACTION record holds who, what and why,
 * and not the data: that stands in the revision, sealed as its type demands.
 */
#include "broker/core/daemon.h"

/* The event as it is stored, with the data it shall have now. Its slices live
 * as long as the turn. */
static enum err
corrected(struct daemon *d, const struct action *a, struct event *e)
{
	struct batch *b = &d->batch;
	struct log_record rec;
	enum err err;

	err = log_read(d->core.reader, a->seq, &rec);
	if (err == ERR_OK && rec.kind != REC_EVENT)
		err = ERR_NOTFOUND;
	if (err == ERR_NOTFOUND)
		return err_note(ERR_NOTFOUND, "there is no event %llu",
		    (unsigned long long)a->seq);
	if (err == ERR_OK)
		err = event_read(batch_keep(b, rec.body), e);
	if (err != ERR_OK)
		return err;
	e->sealed = e->digest = SLICE_EMPTY;
	e->data = a->data;
	e->revisedby = a->by;
	e->ruleset = slice_of(ruleset_hash(d->core.rules), 8);
	return ERR_OK;
}

/* What a mapping emits fits its schema; what a person writes has to, too. What
 * comes from outside is held against it by the mapping. */
static enum err
fits(struct daemon *d, const struct event *e)
{
	const struct schema *s = ruleset_schema(d->core.rules, e->type);

	if (e->causationid == 0 || s == NULL)
		return ERR_OK;
	return schema_check(s, e->data);
}

enum err
edit_apply(struct daemon *d, const struct action *a)
{
	static struct event e; /* 12 KiB; the turn thread's */
	struct action act = *a;
	struct known known;
	enum err err;

	err = corrected(d, a, &e);
	if (err == ERR_OK)
		err = fits(d, &e);
	if (err == ERR_OK)
		err = batch_known(&d->batch, e.source, e.id, &known);
	if (err != ERR_OK)
		return err;
	if (known.seq != a->seq)
		return err_note(ERR_STATE,
		    "event %llu has a later revision: %llu; edit that",
		    (unsigned long long)a->seq, (unsigned long long)known.seq);
	act.data = SLICE_EMPTY;
	err = accept_skip(d, &act);
	if (err != ERR_OK)
		return err;
	e.revision = known.revision + 1;
	return route_event(&d->router, &e, known.seq);
}
