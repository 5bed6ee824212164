/* mp_edit - see mp_edit.h. A value is written anew around the place. */
#include "mappings/engine/mp_edit.h"

#define PARTS_MAX 32

struct part {
	struct slice name; /* of a map's field, when index is 0 */
	uint32_t index;	   /* of a list's item, from 1 */
};

struct path {
	struct slice text;
	size_t n;
	struct part parts[PARTS_MAX];
};

static enum err
part_read(struct path *p, size_t *i)
{
	struct slice s = p->text;
	struct part *x = &p->parts[p->n];
	size_t from;

	*x = (struct part){.name = SLICE_EMPTY};
	if (s.p[*i] == '[') {
		for (++*i; *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '9'; ++*i)
			if (x->index < 100000)
				x->index =
				    x->index * 10 + (uint32_t)(s.p[*i] - '0');
		if (*i == s.n || s.p[*i] != ']' || x->index == 0)
			return err_note(ERR_SYNTAX,
			    "\"%.*s\" is no path: an item is [1], [2] ...",
			    SLICE_ARG(s));
		++*i;
		return ERR_OK;
	}
	if (p->n > 0) {
		if (s.p[*i] != '.')
			goto bad;
		++*i;
	}
	if (*i < s.n && s.p[*i] == '\'') {
		from = ++*i;
		while (*i < s.n && s.p[*i] != '\'')
			++*i;
		if (*i == s.n)
			goto bad;
		x->name = slice_of(s.p + from, *i - from);
		++*i;
	} else {
		from = *i;
		while (*i < s.n && s.p[*i] != '.' && s.p[*i] != '[')
			++*i;
		x->name = slice_of(s.p + from, *i - from);
	}
	if (x->name.n > 0)
		return ERR_OK;
bad:
	return err_note(ERR_SYNTAX,
	    "\"%.*s\" is no path; write it as lines[1].sku", SLICE_ARG(s));
}

static enum err
path_read(struct slice text, struct path *p)
{
	size_t i = 0;
	enum err e;

	p->text = text;
	p->n = 0;
	while (i < text.n) {
		if (p->n == PARTS_MAX)
			return err_note(
			    ERR_LIMIT, "\"%.*s\" is too deep", SLICE_ARG(text));
		if ((e = part_read(p, &i)) != ERR_OK)
			return e;
		p->n++;
	}
	return p->n > 0 ? ERR_OK : err_note(ERR_SYNTAX, "an empty path");
}

enum err
mp_at(struct slice value, struct slice path, struct slice *out)
{
	struct path p;
	enum err e;

	if ((e = path_read(path, &p)) != ERR_OK)
		return e;
	for (size_t i = 0; i < p.n; i++) {
		const struct part *x = &p.parts[i];
		struct mp_in in = mp_in(value);
		struct mp head, key;
		bool found = false;

		if ((e = mp_next(&in, &head)) != ERR_OK)
			return e;
		if (head.type == (x->index > 0 ? MP_ARRAY : MP_MAP))
			for (uint32_t k = 1; k <= head.count && !found; k++) {
				bool here = x->index == k;

				if (x->index == 0) {
					if ((e = mp_next(&in, &key)) != ERR_OK)
						return e;
					here = key.type == MP_STR &&
					       slice_eq(key.bytes, x->name);
				}
				if ((e = mp_value(&in, &value)) != ERR_OK)
					return e;
				found = here;
			}
		if (!found && x->index > 0)
			return err_note(ERR_NOTFOUND,
			    "\"%.*s\": there is no item %u", SLICE_ARG(path),
			    x->index);
		if (!found)
			return err_note(ERR_NOTFOUND,
			    "\"%.*s\": there is no \"%.*s\"", SLICE_ARG(path),
			    SLICE_ARG(x->name));
	}
	*out = value;
	return ERR_OK;
}

struct edit {
	struct path path;
	struct slice with; /* empty: leave out */
	struct buf *out;
};

/* in = NULL: nothing is there yet. *gone: the value was left out. */
static enum err edit(struct edit *x, size_t i, struct mp_in *in, bool *gone);

static enum err
edit_map(struct edit *x, size_t i, struct mp_in *in, uint32_t count)
{
	const struct part *part = &x->path.parts[i];
	size_t mark = mp_open(x->out), was;
	uint32_t left = 0;
	bool found = false, gone;
	struct mp_in from;
	struct mp key;
	enum err e;

	for (uint32_t k = 0; k < count; k++) {
		was = x->out->n;
		from = *in;
		if ((e = mp_next(in, &key)) != ERR_OK)
			return e;
		if (key.type == MP_STR && slice_eq(key.bytes, part->name)) {
			found = true;
			mp_put_str(x->out, key.bytes);
			if ((e = edit(x, i + 1, in, &gone)) != ERR_OK)
				return e;
			if (gone)
				x->out->n = was;
			else
				left++;
			continue;
		}
		if ((e = mp_skip(in)) != ERR_OK)
			return e;
		buf_put(x->out, from.p, (size_t)(in->p - from.p));
		left++;
	}
	if (!found && x->with.n > 0) {
		mp_put_str(x->out, part->name);
		if ((e = edit(x, i + 1, NULL, &gone)) != ERR_OK)
			return e;
		left++;
	}
	mp_close_map(x->out, mark, left);
	return ERR_OK;
}

static enum err
edit_list(struct edit *x, size_t i, struct mp_in *in, uint32_t count)
{
	uint32_t at = x->path.parts[i].index, left = 0;
	size_t mark = mp_open(x->out);
	struct slice item;
	bool gone;
	enum err e;

	for (uint32_t k = 1; k <= count; k++) {
		if (k == at) {
			if ((e = edit(x, i + 1, in, &gone)) != ERR_OK)
				return e;
			left += !gone;
			continue;
		}
		if ((e = mp_value(in, &item)) != ERR_OK)
			return e;
		buf_slice(x->out, item);
		left++;
	}
	if (at > count + 1 && x->with.n > 0)
		return err_note(ERR_NOTFOUND,
		    "\"%.*s\": there are %u items, so the next is [%u]",
		    SLICE_ARG(x->path.text), count, count + 1);
	if (at == count + 1 && x->with.n > 0) {
		if ((e = edit(x, i + 1, NULL, &gone)) != ERR_OK)
			return e;
		left++;
	}
	mp_close_array(x->out, mark, left);
	return ERR_OK;
}

static enum err
edit(struct edit *x, size_t i, struct mp_in *in, bool *gone)
{
	bool index = i < x->path.n && x->path.parts[i].index > 0;
	struct mp head = {.type = index ? MP_ARRAY : MP_MAP};
	enum err e;

	*gone = false;
	if (i == x->path.n) {
		if (in != NULL && (e = mp_skip(in)) != ERR_OK)
			return e;
		buf_slice(x->out, x->with);
		*gone = x->with.n == 0;
		return ERR_OK;
	}
	if (in != NULL && (e = mp_next(in, &head)) != ERR_OK)
		return e;
	if (head.type != (index ? MP_ARRAY : MP_MAP))
		return err_note(ERR_TYPE, "\"%.*s\": part %zu meets no %s",
		    SLICE_ARG(x->path.text), i + 1, index ? "list" : "map");
	if (in == NULL)
		head.count = 0;
	return index ? edit_list(x, i, in, head.count)
		     : edit_map(x, i, in, head.count);
}

enum err
mp_set(
    struct slice value, struct slice path, struct slice with, struct buf *out)
{
	struct edit x = {.with = with, .out = out};
	struct mp_in in = mp_in(value);
	size_t was = out->n;
	bool gone;
	enum err e;

	if ((e = path_read(path, &x.path)) == ERR_OK)
		e = edit(&x, 0, &in, &gone);
	if (e == ERR_OK)
		e = buf_check(out);
	if (e != ERR_OK)
		out->n = was;
	return e;
}
