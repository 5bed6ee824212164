/* again - see again.h. */
#include "broker/base/dec.h"
#include "broker/core/again.h"

static bool
number(const struct mp *m, struct dec *out)
{
	if (m->type == MP_INT) {
		*out = dec_int(m->i);
		return true;
	}
	return m->type == MP_DECIMAL && dec_parse(m->bytes, out) == ERR_OK;
}

bool
again_exceeds(struct slice a, struct slice b)
{
	struct mp_in ia = mp_in(a), ib = mp_in(b);
	struct mp x, y;
	struct dec p, q;

	if (mp_next(&ia, &x) != ERR_OK || mp_next(&ib, &y) != ERR_OK)
		return false;
	if (x.type == MP_TIME && y.type == MP_TIME)
		return x.i > y.i;
	if (x.type == MP_STR && y.type == MP_STR)
		return slice_cmp(x.bytes, y.bytes) > 0;
	return number(&x, &p) && number(&y, &q) && dec_cmp(p, q) > 0;
}
