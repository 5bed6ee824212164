/* recall - see recall.h. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/core/emit.h"
#include "broker/core/recall.h"
#include "broker/core/route.h"
#include "broker/core/rules.h"
#include "mappings/engine/bundle.h"

#define RECALL_DIR 4000

struct recall {
	struct beside *b;
	struct batch batch;
	struct router router;
	struct ruleset *rules;
	struct event event; /* 13 KiB */
	char dir[RECALL_DIR];
	struct slice id, map; /* of the event asked for */
	uint8_t digest[32];
	uint64_t first; /* of what its evaluation made */
};

enum err
recall_rules(const struct core *core, const uint8_t hash[32], char *dir,
    struct ruleset **out)
{
	struct faults f;
	struct buf bundle;
	enum err e;

	dir[0] = '\0';
	buf_init(&bundle, BUNDLE_MAX);
	faults_init(&f);
	e = rules_bundle(core, hash, &bundle);
	if (e == ERR_OK)
		e = dir_temp("rules", dir, RECALL_DIR - 8);
	if (e != ERR_OK)
		dir[0] = '\0';
	if (e == ERR_OK) {
		strcat(dir, "/packs");
		e = bundle_unpack(buf_all(&bundle), SLICE_EMPTY, NULL, dir);
		if (e == ERR_OK)
			e = ruleset_of_bundle(out, buf_all(&bundle), dir, &f);
		*strrchr(dir, '/') = '\0';
		if (e != ERR_OK && f.count > 0)
			e = err_note(e,
			    "the ruleset of then does not load in this "
			    "program: %.600s",
			    buf_cstr(&f.text));
	}
	if (e != ERR_OK && dir[0] != '\0') {
		bundle_remove(dir);
		dir[0] = '\0';
	}
	faults_fini(&f);
	buf_fini(&bundle);
	return e;
}

/* An event names the first 8 bytes of its ruleset's hash. */
static enum err
hash_of(const struct core *core, struct slice begin, uint8_t hash[32],
    char text[65])
{
	char dir[RECALL_DIR];
	struct buf hex, bytes;
	char **names;
	enum err e;

	buf_init(&hex, 128);
	buf_init(&bytes, 64);
	hex_put(&hex, begin);
	snprintf(dir, sizeof(dir), "%s/rulesets", core->cfg->data);
	e = dir_list(dir, &names);
	if (e == ERR_OK) {
		e = ERR_NOTFOUND;
		for (size_t i = 0; names[i] != NULL && e != ERR_OK; i++)
			if (strlen(names[i]) == 64 &&
			    strncmp(names[i], buf_cstr(&hex), hex.n) == 0) {
				snprintf(text, 65, "%s", names[i]);
				e = hex_get(slice_str(text), &bytes);
			}
		dir_free(names);
	}
	if (e == ERR_OK && bytes.n == 32)
		memcpy(hash, bytes.p, 32);
	else
		e = err_note(ERR_NOTFOUND,
		    "%s holds no ruleset %s; restore it from a backup", dir,
		    buf_cstr(&hex));
	buf_fini(&hex);
	buf_fini(&bytes);
	return e;
}

static enum err
read_event(struct recall *r, uint64_t seq)
{
	struct log_record rec;
	enum err e = log_read(r->b->core.reader, seq, &rec);

	if (e == ERR_OK && rec.kind != REC_EVENT)
		e = err_note(ERR_NOTFOUND, "record %llu is no event",
		    (unsigned long long)seq);
	return e == ERR_OK ? event_read(rec.body, &r->event) : e;
}

/* What one evaluation made stands together: joins saw what is before that. */
static uint64_t
first_of(struct recall *r, uint64_t seq, uint64_t cause)
{
	while (seq - 1 > cause && read_event(r, seq - 1) == ERR_OK &&
	       r->event.causationid == cause && slice_eq(r->event.map, r->map))
		seq--;
	return seq;
}

static const struct route *
route_of(const struct recall *r)
{
	const struct route *rt;

	for (uint32_t i = 0; (rt = ruleset_route(r->rules, i)) != NULL; i++)
		if (route_is_map(r->map, rt))
			return rt;
	return NULL;
}

/* Of all that an evaluation explains, what is about its event number k. */
static void
cut(struct slice all, const struct result *res, size_t k, bool json,
    struct buf *out)
{
	size_t section = 0, from = 0;

	for (size_t i = 0; i < all.n; i++) {
		struct slice line = slice_of(all.p + from, i + 1 - from);
		bool head =
		    json && slice_starts(line, SLICE_LIT("{\"event\":"));

		if (all.p[i] != '\n')
			continue;
		for (size_t n = 0; !json && n < res->n && !head; n++)
			head = slice_starts(line, res->events[n].type) &&
			       slice_starts(
				   slice_from(line, res->events[n].type.n),
				   SLICE_LIT(" of "));
		section += head;
		if (section == k + 1)
			buf_slice(out, line);
		from = i + 1;
	}
}

static enum err
explain(struct recall *r, uint64_t cause, enum explain_form form,
    struct buf *out, struct recalled *say)
{
	const struct route *rt = route_of(r);
	const struct result *res;
	uint8_t digest[32];
	struct fact *f;
	struct buf all;
	enum err e;

	if (rt == NULL)
		return err_note(ERR_STATE, "%.*s is not in its own ruleset",
		    SLICE_ARG(r->map));
	r->batch.seq0 = r->first;
	e = batch_get(&r->batch, cause, &f);
	if (e != ERR_OK)
		return e;
	if (f->erased)
		return err_note(ERR_ERASED,
		    "event %llu, which it was made of, was of a person who "
		    "was erased",
		    (unsigned long long)cause);
	buf_init(&all, 64 * 1024 * 1024);
	eval_explain(r->router.eval, &all, form);
	res = route_eval(&r->router, r->rules, rt, f);
	eval_explain(r->router.eval, NULL, form);
	for (size_t i = 0; i < res->n && res->verdict == EVAL_OK; i++) {
		if (!slice_eq(res->events[i].id, r->id))
			continue;
		keys_digest(r->b->core.keys, res->events[i].data, digest);
		say->same = memcmp(digest, r->digest, 32) == 0;
		cut(buf_all(&all), res, i, form == EXPLAIN_JSON, out);
	}
	buf_fini(&all);
	return buf_check(out);
}

static enum err
recall(struct recall *r, uint64_t seq, enum explain_form form, struct buf *out,
    struct recalled *say)
{
	uint8_t hash[32];
	enum err e = read_event(r, seq);

	if (e != ERR_OK)
		return e;
	if (r->event.map.n == 0)
		return err_note(ERR_STATE,
		    "event %llu came in from %.*s as it is; no mapping made it",
		    (unsigned long long)seq, SLICE_ARG(r->event.source));
	if (r->event.withdrawn)
		return err_note(ERR_STATE,
		    "event %llu says that the one before it does not hold any "
		    "more",
		    (unsigned long long)seq);
	r->id = batch_keep(&r->batch, r->event.id);
	r->map = batch_keep(&r->batch, r->event.map);
	if (r->event.digest.n == 32)
		memcpy(r->digest, r->event.digest.p, 32);
	snprintf(say->map, sizeof(say->map), "%.*s", SLICE_ARG(r->map));
	say->cause = r->event.causationid;
	say->sealed = r->event.sealed.n > 0;
	e = hash_of(&r->b->core, r->event.ruleset, hash, say->ruleset);
	if (e == ERR_OK)
		e = read_event(r, say->cause);
	if (e != ERR_OK)
		return e;
	say->sealed = say->sealed || r->event.sealed.n > 0;
	r->first = first_of(r, seq, say->cause);
	e = recall_rules(&r->b->core, hash, r->dir, &r->rules);
	return e == ERR_OK ? explain(r, say->cause, form, out, say) : e;
}

enum err
recall_explain(struct beside *b, uint64_t seq, enum explain_form form,
    struct buf *out, struct recalled *say)
{
	struct recall *r = calloc(1, sizeof(*r));
	enum err e;

	*say = (struct recalled){.cause = 0};
	if (r == NULL)
		return err_note(ERR_NOMEM, "no memory to recall an event");
	r->b = b;
	batch_init(&r->batch, &b->core);
	batch_begin(&r->batch);
	e = router_init(&r->router, &b->core, &r->batch, NULL, NULL);
	if (e == ERR_OK)
		e = recall(r, seq, form, out, say);
	router_fini(&r->router);
	batch_fini(&r->batch);
	ruleset_free(r->rules);
	if (r->dir[0] != '\0')
		bundle_remove(r->dir);
	free(r);
	return e;
}
