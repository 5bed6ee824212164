/*
 * func_impl - the functions' bodies, for the table in func.c. Arguments were
 * counted and, as far as types were known, checked when the mapping loaded.
 */
#ifndef VAYLA_ENGINE_FUNC_IMPL_H
#define VAYLA_ENGINE_FUNC_IMPL_H

#include "mappings/engine/run.h"

#define FUNC(name)            \
	enum err func_##name( \
	    struct eval *e, const struct expr *x, struct val *out) MUST_CHECK

/* func_list.c */
FUNC(first);
FUNC(last);
FUNC(at);
FUNC(list);
FUNC(concat);
FUNC(reverse);
FUNC(sort);
FUNC(group);
FUNC(allocate);
FUNC(entries);
FUNC(sum);
FUNC(count);
FUNC(any);
FUNC(all);
FUNC(join);
/* func_num.c */
FUNC(round);
FUNC(abs);
FUNC(decimal);
FUNC(int);
FUNC(minor);
FUNC(to_minor);
FUNC(fi_reference);
FUNC(rf);
/* func_text.c */
FUNC(upper);
FUNC(lower);
FUNC(trim);
FUNC(replace);
FUNC(split);
FUNC(html);
FUNC(text);
FUNC(hash);
FUNC(header);
/* func_time.c */
FUNC(time);
FUNC(date);
FUNC(add);
FUNC(format);
/* func.c */
FUNC(if);
FUNC(has);
FUNC(need);

#undef FUNC
#endif
