/* rules - see rules.h. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/core/fail.h"
#include "broker/core/rules.h"
#include "mappings/engine/bundle.h"

#define ANSWERS_MAX (16 * 1024 * 1024)

static enum err
in_rulesets(const struct core *core, const char *name, struct buf *path)
{
	buf_reset(path);
	buf_printf(path, "%s/rulesets%s%s", core->cfg->data,
	    name[0] != '\0' ? "/" : "", name);
	return buf_check(path);
}

static enum err
bundle_path(const struct core *core, const uint8_t hash[32], struct buf *path)
{
	enum err e = in_rulesets(core, "", path);

	buf_byte(path, '/');
	hex_put(path, slice_of(hash, 32));
	return e == ERR_OK ? buf_check(path) : e;
}

/* The bundle under its hash, unless it is there. */
static enum err
keep(const struct core *core, const struct ruleset *rs)
{
	struct buf path, bundle;
	enum err e;

	buf_init(&path, 8192);
	buf_init(&bundle, BUNDLE_MAX);
	e = in_rulesets(core, "", &path);
	if (e == ERR_OK)
		e = dir_make(buf_cstr(&path));
	if (e == ERR_OK)
		e = bundle_path(core, ruleset_hash(rs), &path);
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
rules_bundle(const struct core *core, const uint8_t hash[32], struct buf *out)
{
	uint8_t own[32];
	struct buf path;
	enum err e;

	buf_init(&path, 8192);
	e = bundle_path(core, hash, &path);
	if (e == ERR_OK)
		e = file_read(buf_cstr(&path), out);
	if (e == ERR_NOTFOUND)
		e = err_note(e, "%s is not there; restore it from a backup",
		    buf_cstr(&path));
	sha256(buf_all(out), own);
	if (e == ERR_OK && memcmp(own, hash, 32) != 0)
		e = err_note(ERR_SIGNATURE,
		    "%s is damaged; restore it from a backup", buf_cstr(&path));
	buf_fini(&path);
	return e;
}

/* ---- the folder of deployed files ---- */

/* A new one beside the log, of a bundle and a change. */
static enum err
dir_new(struct rules *r, struct slice bundle, struct slice change,
    char dir[RULES_DIR])
{
	int n = snprintf(dir, RULES_DIR, "%s/rulesets/files.%llu.%llu",
	    r->core->cfg->data, (unsigned long long)r->core->epoch,
	    (unsigned long long)r->dirs++);
	enum err e;

	if (n >= RULES_DIR)
		return err_note(ERR_RANGE, "the path of %s is too long",
		    r->core->cfg->data);
	bundle_remove(dir);
	e = bundle_unpack(bundle, change, r->core->cfg->packs, dir);
	if (e != ERR_OK)
		bundle_remove(dir);
	return e;
}

/* What earlier processes left. */
static void
dirs_tidy(struct rules *r)
{
	struct buf path;
	char **names;

	buf_init(&path, 8192);
	if (in_rulesets(r->core, "", &path) == ERR_OK &&
	    dir_list(buf_cstr(&path), &names) == ERR_OK) {
		for (size_t i = 0; names[i] != NULL; i++)
			if (strncmp(names[i], "files.", 6) == 0 &&
			    in_rulesets(r->core, names[i], &path) == ERR_OK)
				bundle_remove(buf_cstr(&path));
		dir_free(names);
	}
	buf_fini(&path);
}

/* The files that the journal says were deployed, if any. */
static enum err
dir_open(struct rules *r)
{
	struct in_force now;
	struct buf bundle;
	enum err e;

	dirs_tidy(r);
	r->last = index_ruleset(r->core->index, &now) == ERR_OK ? now.seq : 0;
	if (r->last == 0 || !now.deployed)
		return ERR_OK;
	buf_init(&bundle, BUNDLE_MAX);
	e = rules_bundle(r->core, now.files, &bundle);
	if (e == ERR_OK)
		e = dir_new(r, buf_all(&bundle), SLICE_EMPTY, r->dir);
	buf_fini(&bundle);
	if (e != ERR_OK) {
		r->dir[0] = '\0';
		return err_wrap(e, "the mappings that were deployed");
	}
	say(SAY_INFO, "rules",
	    "mappings and schemas are those that were deployed (record %llu), "
	    "not those of %s; SIGHUP reads those",
	    (unsigned long long)now.files_seq, r->core->cfg->packs);
	return ERR_OK;
}

/* What vayla.yaml says, with the files of `dir`, or of the packs folder. */
static enum err
load(const struct config *c, const char *dir, struct slice answers,
    struct faults *f, struct ruleset **out)
{
	struct config at = *c;

	if (dir[0] != '\0')
		at.packs = dir;
	return ruleset_load(out, &at, answers, f);
}

/* ---- open, close, read again ---- */

enum err
rules_open(struct rules *r, struct core *core, bool files, struct faults *f)
{
	struct ruleset *rs;
	enum err e;

	*r = (struct rules){.core = core};
	buf_init(&r->answers, ANSWERS_MAX);
	e = dir_open(r);
	if (files && r->last != 0 && (e != ERR_OK || r->dir[0] != '\0')) {
		bundle_remove(r->dir);
		r->dir[0] = '\0';
		r->from_files = true;
		e = ERR_OK;
	}
	if (e == ERR_OK)
		e = index_answers(core->index, &r->answers);
	if (e == ERR_OK)
		e = load(core->cfg, r->dir, buf_all(&r->answers), f, &rs);
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
	if (r->dir[0] != '\0')
		bundle_remove(r->dir);
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
		e = load(c, "", buf_all(&r->answers), f, &rs);
	if (e == ERR_OK)
		e = keep(r->core, rs);
	if (e != ERR_OK) {
		ruleset_free(rs);
		config_free(c);
		return e;
	}
	*changed =
	    r->dir[0] != '\0' ||
	    memcmp(ruleset_hash(rs), ruleset_hash(r->core->rules), 32) != 0;
	if (r->dir[0] != '\0')
		bundle_remove(r->dir);
	r->dir[0] = '\0';
	r->from_files = r->from_files || *changed;
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
	struct in_force now;

	return r->from_files || index_ruleset(r->core->index, &now) != ERR_OK ||
	       memcmp(now.hash, ruleset_hash(r->core->rules), 32) != 0;
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

static void
record(struct rules *r, struct batch *b, struct slice act, struct slice by,
    struct slice reason, struct slice files)
{
	struct action a;

	action_init(&a);
	a.act = act;
	a.by = by;
	a.reason = reason;
	a.hash = slice_of(ruleset_hash(r->core->rules), 32);
	a.seq = r->last;
	a.row = files;
	r->last = batch_next(b);
	if (note_use(r, r->last) != ERR_OK)
		forget_uses(r);
	batch_action(b, &a);
}

void
rules_record(struct rules *r, struct batch *b, struct slice by)
{
	record(r, b, r->from_files ? SLICE_LIT("reload") : SLICE_LIT("ruleset"),
	    by, SLICE_EMPTY, SLICE_EMPTY);
}

/* ---- deploy, rollback ---- */

/* The paths of a change, for the record. */
static enum err
paths_put(struct slice change, struct buf *out)
{
	struct bundle_file *files;
	struct arena a;
	size_t n;
	enum err e;

	arena_init(&a, 1024 * 1024);
	e = change_read(change, &a, &files, &n);
	if (e == ERR_OK) {
		mp_put_array(out, (uint32_t)n);
		for (size_t i = 0; i < n; i++)
			mp_put_str(out, files[i].path);
		e = buf_check(out);
	}
	arena_fini(&a);
	return e;
}

static enum err
deployed(struct rules *r, const struct action *a, const char *dir,
    struct ruleset **out)
{
	struct faults f;
	enum err e;

	faults_init(&f);
	e = load(r->core->cfg, dir, buf_all(&r->answers), &f, out);
	if (e != ERR_OK && f.count > 0)
		e = err_note(ERR_CONFIG, "%zu fault%s; nothing is changed:\n%s",
		    f.count, f.count == 1 ? "" : "s", buf_cstr(&f.text));
	faults_fini(&f);
	if (e == ERR_OK &&
	    memcmp(ruleset_hash(*out), ruleset_hash(r->core->rules), 32) == 0 &&
	    r->dir[0] != '\0')
		e = err_note(ERR_STATE, "%s: that is in force already",
		    slice_is(a->act, "deploy") ? "deploy" : "rollback");
	return e == ERR_OK ? keep(r->core, *out) : e;
}

enum err
rules_deploy(struct rules *r, struct batch *b, const struct action *a)
{
	bool back = slice_is(a->act, "rollback");
	struct buf bundle, paths;
	struct ruleset *rs = NULL;
	char dir[RULES_DIR] = "";
	enum err e;

	if (r->was_n == RULES_CHANGES || r->was_dir[0] != '\0')
		return err_note(ERR_LIMIT, "one deployment at a time");
	buf_init(&bundle, BUNDLE_MAX);
	buf_init(&paths, 256 * 1024);
	e = back ? rules_bundle(r->core, a->hash.p, &bundle)
		 : ruleset_bundle(r->core->rules, &bundle);
	if (e == ERR_OK && !back)
		e = paths_put(a->row, &paths);
	if (e == ERR_OK)
		e = dir_new(
		    r, buf_all(&bundle), back ? SLICE_EMPTY : a->row, dir);
	if (e == ERR_OK) {
		FAIL_POINT("deploy_unpacked");
		e = deployed(r, a, dir, &rs);
	}
	if (e == ERR_OK) {
		FAIL_POINT("deploy_kept");
		r->was[r->was_n++] = r->core->rules;
		r->core->rules = rs;
		memcpy(r->was_dir, r->dir, sizeof(r->was_dir));
		if (r->was_dir[0] == '\0')
			strcpy(r->was_dir, "-");
		memcpy(r->dir, dir, sizeof(r->dir));
		r->from_files = false;
		record(r, b, a->act, a->by, a->reason, buf_all(&paths));
	} else {
		ruleset_free(rs);
		if (dir[0] != '\0')
			bundle_remove(dir);
	}
	buf_fini(&bundle);
	buf_fini(&paths);
	return e;
}

bool
rules_deployed(const struct rules *r)
{
	return r->was_dir[0] != '\0';
}

/* ---- answers ---- */

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
		e = load(r->core->cfg, r->dir, buf_all(&answers), &f, &rs);
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
	if (r->was_dir[0] != '\0' && r->was_dir[0] != '-')
		bundle_remove(r->was_dir);
	r->was_dir[0] = '\0';
	r->from_files = false;
}

enum err
rules_drop(struct rules *r)
{
	struct in_force now;

	r->last = index_ruleset(r->core->index, &now) == ERR_OK ? now.seq : 0;
	if (r->was_n == 0)
		return ERR_OK;
	if (r->was_dir[0] != '\0') {
		bundle_remove(r->dir);
		memcpy(r->dir, r->was_dir, sizeof(r->dir));
		if (r->dir[0] == '-')
			r->dir[0] = '\0';
		r->was_dir[0] = '\0';
	}
	ruleset_free(r->core->rules);
	r->core->rules = r->was[0];
	while (r->was_n > 1)
		ruleset_free(r->was[--r->was_n]);
	r->was_n = 0;
	buf_reset(&r->answers);
	return index_answers(r->core->index, &r->answers);
}
