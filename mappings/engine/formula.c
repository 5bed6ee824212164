/*
 * formula - see formula.h. A formula is a program of one expression over other
 * roots; absence anywhere in it makes it absent, since each place that uses one
 * says what absence means there.
 */
#include "mappings/engine/formula.h"
#include "mappings/engine/run.h"

struct formula {
	struct program p;
	struct expr *x;
	struct mapping map; /* a name for messages */
};

enum err
formula_load(const struct formula **out, const char *file,
    const struct yaml *node, unsigned roots, const struct schema_field *in,
    const struct schema_field *settings, struct arena *a, struct faults *f)
{
	size_t faults = f->count;
	struct lang *l = arena_alloc(a, sizeof(*l));
	struct formula *x = arena_alloc(a, sizeof(*x));
	const struct type *any;

	if (l == NULL || x == NULL)
		return err_note(ERR_NOMEM, "%s: no memory", file);
	l->file = file;
	l->a = a;
	l->f = f;
	l->p = &x->p;
	l->roots = roots;
	l->soft = true;
	if (setjmp(l->full) != 0)
		return err_note(ERR_LIMIT, "%s: a formula is too large", file);
	x->p.file = file;
	x->p.map = &x->map;
	any = type_absent(l, &type_any, PRESENT);
	if (roots & FORMULA_IN)
		x->p.in = check_name(l, VAR_IN, SLICE_EMPTY, NULL, 0,
		    in != NULL ? type_of_map(l, in, "the body") : any);
	if (roots & FORMULA_SETTINGS)
		x->p.settings =
		    check_name(l, VAR_SETTINGS, SLICE_EMPTY, NULL, 0,
			settings != NULL
			    ? type_of_map(l, settings, "the pack's settings")
			    : any);
	if (roots & FORMULA_REQUEST)
		x->p.request =
		    check_name(l, VAR_REQUEST, SLICE_EMPTY, NULL, 0, any);
	if (roots & FORMULA_STATUS)
		x->p.status =
		    check_name(l, VAR_STATUS, SLICE_EMPTY, NULL, 0, &type_int);
	x->x = check_parse(l, node);
	if (x->x != NULL)
		(void)check_expr(l, x->x);
	lang_seal(l);
	if (f->count > faults)
		return err_note(ERR_SYNTAX, "%s: a formula with faults", file);
	*out = x;
	return ERR_OK;
}

static struct val
root(struct slice s)
{
	return s.n > 0
		   ? (struct val){.tag = V_RAW, .n = (uint32_t)s.n, .p = s.p}
		   : VAL_ABSENT;
}

static enum err
bind(struct eval *e, const struct var *v, struct val val)
{
	return v != NULL ? run_bind(e, NULL, v, val) : ERR_OK;
}

/* The state of one evaluation, in the caller's scratch. */
static enum err
begin(struct eval **out, const struct formula *x, const struct formula_env *env,
    struct arena *scratch)
{
	const struct program *p = &x->p;
	struct eval *e = arena_alloc(scratch, sizeof(*e));

	if (e == NULL)
		return err_note(ERR_LIMIT, "no scratch for a formula");
	e->arena = scratch;
	e->p = p;
	e->map = &x->map;
	e->part = "formula";
	e->vars = arena_alloc(scratch, (p->vars_n + 1) * sizeof(*e->vars));
	e->bound = arena_alloc(scratch, (p->vars_n + 1) * sizeof(*e->bound));
	e->slots = arena_alloc(scratch, (p->slots_n + 1) * sizeof(*e->slots));
	if (e->vars == NULL || e->bound == NULL || e->slots == NULL)
		return err_note(ERR_LIMIT, "no scratch for a formula");
	buf_init(&e->tmp, 64 * 1024);
	*out = e;
	TRY(bind(e, p->in, root(env->in)));
	TRY(bind(e, p->settings, root(env->settings)));
	TRY(bind(e, p->request, root(env->request)));
	return bind(e, p->status, val_int(env->status));
}

/* Ends it: its failure becomes the thread's note. */
static enum err
end(struct eval *e, enum err err)
{
	if (err != ERR_OK && e != NULL && e->fail.err != ERR_OK) {
		const struct var *settings = e->p->settings;

		/* a text may quote what it found, and settings hold secrets */
		if (settings != NULL && settings->used > 0 && !e->fail.absent)
			e->fail.text = slice_str(err_text(e->fail.err));
		fail_tell(e);
		err = err_note(e->fail.err, "%.*s", SLICE_ARG(e->result.text));
	}
	if (e != NULL)
		buf_fini(&e->tmp);
	return err;
}

static enum err
value(struct eval *e, const struct formula *x, struct val *v)
{
	return run_need(e, x->x, v);
}

enum err
formula_text(const struct formula *x, const struct formula_env *env,
    struct arena *scratch, struct buf *out)
{
	struct eval *e = NULL;
	struct slice s;
	struct val v;
	enum err err = begin(&e, x, env, scratch);

	if (err == ERR_OK)
		err = value(e, x, &v);
	if (err == ERR_OK)
		err = val_to_text(e, x->x, &v, &s);
	if (err == ERR_OK)
		buf_slice(out, s);
	err = end(e, err);
	return err != ERR_OK ? err : buf_check(out);
}

enum err
formula_true(const struct formula *x, const struct formula_env *env,
    struct arena *scratch, bool *out)
{
	struct eval *e = NULL;
	enum err err = begin(&e, x, env, scratch);

	if (err == ERR_OK)
		err = run_true(e, x->x, out);
	return end(e, err);
}

static void
put(struct eval *e, const struct val *v, struct buf *out)
{
	struct slice s;
	uint32_t i;

	switch ((enum tag)v->tag) {
	case V_BOOL:
		mp_put_bool(out, v->i != 0);
		return;
	case V_INT:
		mp_put_int(out, v->i);
		return;
	case V_TIME:
		mp_put_time(out, v->i);
		return;
	case V_DEC:
	case V_WIDE:
		if (val_to_text(e, NULL, v, &s) == ERR_OK)
			mp_put_decimal(out, s);
		return;
	case V_TEXT:
		mp_put_str(out, val_slice(*v));
		return;
	case V_DATE:
		if (val_to_text(e, NULL, v, &s) == ERR_OK)
			mp_put_str(out, s);
		return;
	case V_RAW:
		buf_slice(out, val_slice(*v));
		return;
	case V_LIST:
		mp_put_array(out, v->n);
		for (i = 0; i < v->n; i++)
			put(e, &v->list[i], out);
		return;
	case V_REC:
		mp_put_map(out, (uint32_t)v->rec->shape->n);
		for (i = 0; i < v->rec->shape->n; i++) {
			mp_put_str(out, v->rec->shape->names[i]);
			put(e, &v->rec->v[i], out);
		}
		return;
	case V_ABSENT:
	case V_NULL:
		mp_put_nil(out);
		return;
	}
}

enum err
formula_mp(const struct formula *x, const struct formula_env *env,
    struct arena *scratch, struct buf *out)
{
	struct eval *e = NULL;
	struct val v;
	enum err err = begin(&e, x, env, scratch);

	if (err == ERR_OK)
		err = value(e, x, &v);
	if (err == ERR_OK)
		put(e, &v, out);
	err = end(e, err);
	return err != ERR_OK ? err : buf_check(out);
}
