/* rules - see rules.h. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/rules.h"

#define ANSWERS_MAX (16 * 1024 * 1024)

/* The bundle under its hash, unless it is there. */
static enum err
keep(const struct core *core, const struct ruleset *rs)
{
	struct buf path, bundle;
	enum err e;

	buf_init(&path, 8192);
	buf_init(&bundle, 256 * 1024 * 1024);
	buf_printf(&path, "%s/rulesets", core->cfg->data);
	e = dir_make(buf_cstr(&path));
	buf_byte(&path, '/');
	hex_put(&path, slice_of(ruleset_hash(rs), 32));
	if (e == ERR_OK && access(buf_cstr(&path), R_OK) != 0) {
		e = ruleset_bundle(rs, &bundle);
		if (e == ERR_OK)
			e = file_write(buf_cstr(&path), buf_all(&bundle), 0600);
	}
	buf_fini(&path);
	buf_fini(&bundle);
	return e;
}

enum err
rules_open(struct rules *r, struct core *core, struct faults *f)
{
	struct ruleset *rs;
	enum err e;

	*r = (struct rules){.core = core};
	buf_init(&r->answers, ANSWERS_MAX);
	e = index_answers(core->index, &r->answers);
	if (e == ERR_OK)
		e = ruleset_load(&rs, core->cfg, buf_all(&r->answers), f);
	if (e != ERR_OK)
		return e;
	core->rules = rs;
	return keep(core, rs);
}

void
rules_close(struct rules *r)
{
	rules_commit(r);
	if (r->core != NULL)
		ruleset_free(r->core->rules);
	while (r->cfgs_n > 0)
		config_free(r->cfgs[--r->cfgs_n]);
	buf_fini(&r->answers);
}

/* What needs a restart: places, and which systems there are. */
static enum err
same_frame(const struct config *a, const struct config *b)
{
	bool same =
	    strcmp(a->data, b->data) == 0 && strcmp(a->bus, b->bus) == 0 &&
	    strcmp(a->console, b->console) == 0 &&
	    a->keep_seconds == b->keep_seconds &&
	    a->keep_bytes == b->keep_bytes && a->systems_n == b->systems_n;

	for (size_t i = 0; same && i < a->systems_n; i++)
		same = slice_eq(a->systems[i].name, b->systems[i].name) &&
		       slice_eq(a->systems[i].pack, b->systems[i].pack) &&
		       a->systems[i].live == b->systems[i].live &&
		       slice_eq(a->systems[i].since, b->systems[i].since);
	if (same)
		return ERR_OK;
	return err_note(ERR_STATE,
	    "%s: data, bus, console, retention, the list of systems, their "
	    "mode or since "
	    "changed: that needs a restart; nothing was taken over",
	    b->file);
}

enum err
rules_reload(struct rules *r, struct faults *f, bool *changed)
{
	struct ruleset *rs = NULL;
	struct config *c = NULL;
	enum err e;

	*changed = false;
	if (r->cfgs_n == RULES_RELOADS)
		return err_note(
		    ERR_LIMIT, "read again %d times: restart", RULES_RELOADS);
	e = config_load(&c, r->core->cfg->file, f);
	if (e == ERR_OK)
		e = same_frame(r->core->cfg, c);
	if (e == ERR_OK)
		e = ruleset_load(&rs, c, buf_all(&r->answers), f);
	if (e == ERR_OK)
		e = keep(r->core, rs);
	if (e != ERR_OK) {
		ruleset_free(rs);
		config_free(c);
		return e;
	}
	*changed =
	    memcmp(ruleset_hash(rs), ruleset_hash(r->core->rules), 32) != 0;
	ruleset_free(r->core->rules);
	r->core->rules = rs;
	/* The first one is the broker's own; the rooms point into it. */
	r->cfgs[r->cfgs_n++] = c;
	r->core->cfg = c;
	return ERR_OK;
}

bool
rules_changed(const struct rules *r)
{
	uint8_t hash[32];

	return index_ruleset(r->core->index, hash) != ERR_OK ||
	       memcmp(hash, ruleset_hash(r->core->rules), 32) != 0;
}

/* For retention, which asks when it was in use last: "SEQ HASH" a line, before
 * the turn that says so. A turn that is dropped leaves a line that keeps a
 * ruleset longer; nothing else depends on it. */
static enum err
note_use(const struct rules *r, uint64_t seq)
{
	struct buf b;
	enum err e;
	int fd;

	buf_init(&b, 8192);
	buf_printf(&b, "%s/rulesets.used", r->core->cfg->data);
	fd =
	    open(buf_cstr(&b), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	e = fd >= 0 ? ERR_OK
		    : err_errno(ERR_IO, "cannot open %s", buf_cstr(&b));
	buf_reset(&b);
	buf_printf(&b, "%llu ", (unsigned long long)seq);
	hex_put(&b, slice_of(ruleset_hash(r->core->rules), 32));
	buf_byte(&b, '\n');
	if (e == ERR_OK)
		e = fd_write(fd, buf_all(&b));
	if (e == ERR_OK && fdatasync(fd) != 0)
		e = err_errno(ERR_IO, "cannot sync rulesets.used");
	if (fd >= 0)
		close(fd);
	buf_fini(&b);
	return e;
}

/* What is known in part only could let a ruleset go too early. */
static void
forget_uses(const struct rules *r)
{
	struct buf b;

	say(SAY_WARN, "rules", "%s: rulesets up to now are kept for ever",
	    err_last());
	buf_init(&b, 8192);
	buf_printf(&b, "%s/rulesets.used", r->core->cfg->data);
	unlink(buf_cstr(&b));
	buf_fini(&b);
}

void
rules_record(struct rules *r, struct batch *b, struct slice by)
{
	struct action a;

	if (note_use(r, batch_next(b)) != ERR_OK)
		forget_uses(r);

	action_init(&a);
	a.act = SLICE_LIT("ruleset");
	a.by = by;
	a.hash = slice_of(ruleset_hash(r->core->rules), 32);
	batch_action(b, &a);
}

/* Is this row about the same question? `row` is [system, map, table, key, ..]
 * without its head. */
static bool
same_question(struct mp_in row, const struct action *a)
{
	const struct slice want[] = {a->system, a->map, a->table, a->key};
	struct mp m;

	for (int i = 0; i < 4; i++)
		if (mp_next(&row, &m) != ERR_OK || m.type != MP_STR ||
		    !slice_eq(m.bytes, want[i]))
			return false;
	return true;
}

/* The answers with this one in place of an earlier one to the same question. */
static enum err
answers_with(const struct rules *r, const struct action *a, struct buf *out)
{
	struct mp_in in = mp_in(buf_all(&r->answers)), inner;
	size_t mark = mp_open(out);
	struct mp m = {.type = MP_ARRAY}, row;
	struct slice whole;
	uint32_t n = 0;
	enum err e;

	if (r->answers.n > 0) {
		e = mp_next(&in, &m);
		if (e != ERR_OK)
			return e;
	}
	for (uint32_t i = 0; m.type == MP_ARRAY && i < m.count; i++) {
		e = mp_value(&in, &whole);
		if (e != ERR_OK)
			return e;
		inner = mp_in(whole);
		e = mp_next(&inner, &row);
		if (e != ERR_OK)
			return e;
		if (same_question(inner, a))
			continue;
		buf_slice(out, whole);
		n++;
	}
	mp_put_array(out, 5);
	mp_put_str(out, a->system);
	mp_put_str(out, a->map);
	mp_put_str(out, a->table);
	mp_put_str(out, a->key);
	buf_slice(out, a->row);
	mp_close_array(out, mark, n + 1);
	return buf_check(out);
}

enum err
rules_answer(struct rules *r, const struct action *a)
{
	struct ruleset *rs = NULL;
	struct buf answers;
	struct faults f;
	enum err e;

	if (r->was_n == RULES_CHANGES)
		return err_note(
		    ERR_LIMIT, "at most %d answers at a time", RULES_CHANGES);
	e = ruleset_answer_check(
	    r->core->rules, a->system, a->map, a->table, a->row);
	if (e != ERR_OK)
		return e;
	buf_init(&answers, ANSWERS_MAX);
	faults_init(&f);
	e = answers_with(r, a, &answers);
	if (e == ERR_OK)
		e = ruleset_load(&rs, r->core->cfg, buf_all(&answers), &f);
	if (e != ERR_OK && f.count > 0)
		e = err_note(ERR_CONFIG, "the answer is not taken: %s",
		    buf_cstr(&f.text));
	if (e == ERR_OK)
		e = keep(r->core, rs);
	if (e == ERR_OK) {
		r->was[r->was_n++] = r->core->rules;
		r->core->rules = rs;
		buf_reset(&r->answers);
		buf_slice(&r->answers, buf_all(&answers));
	} else {
		ruleset_free(rs);
	}
	faults_fini(&f);
	buf_fini(&answers);
	return e;
}

void
rules_commit(struct rules *r)
{
	while (r->was_n > 0)
		ruleset_free(r->was[--r->was_n]);
}

enum err
rules_drop(struct rules *r)
{
	if (r->was_n == 0)
		return ERR_OK;
	ruleset_free(r->core->rules);
	r->core->rules = r->was[0];
	while (r->was_n > 1)
		ruleset_free(r->was[--r->was_n]);
	r->was_n = 0;
	buf_reset(&r->answers);
	return index_answers(r->core->index, &r->answers);
}
