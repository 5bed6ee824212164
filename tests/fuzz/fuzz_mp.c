/*
 * fuzz_mp - any bytes as msgpack. Reading, stepping over and looking up never
 * leave the bytes; mp_skip and a walk by mp_next agree on where a value ends;
 * what mp_check accepts can be stepped over to its end and, where JSON has a
 * form for it, goes through JSON and back as valid msgpack.
 */
#include <stdlib.h>

#include "broker/base/json.h"
#include "broker/base/mp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* One value by mp_next alone. */
static bool
walk(struct mp_in *in)
{
	uint64_t todo = 1;
	struct mp m;

	for (; todo > 0; todo--) {
		if (mp_next(in, &m) != ERR_OK)
			return false;
		if (m.type == MP_ARRAY)
			todo += m.count;
		else if (m.type == MP_MAP)
			todo += (uint64_t)m.count * 2;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);
	struct slice s, v;
	struct mp_in a, b;
	struct buf json, mp;
	bool yes;
	int64_t i;

	if (n > 0)
		memcpy(copy, p, n);
	s = slice_of(copy, n);
	a = b = mp_in(s);
	if (walk(&a)) {
		must(mp_skip(&b) == ERR_OK);
		must(a.p == b.p);
	}
	b = mp_in(s);
	if (mp_value(&b, &v) == ERR_OK)
		must(v.p == copy && v.n >= 1 && v.n <= n);
	else
		must(b.p == copy);
	(void)mp_get(s, "a", &v);
	(void)mp_get_int(s, "id", &i);
	(void)mp_get_bool(s, "b", &yes);
	if (mp_check(s) == ERR_OK) {
		b = mp_in(s);
		must(mp_skip(&b) == ERR_OK && b.p == b.end);
		buf_init(&json, 1 << 22);
		buf_init(&mp, 1 << 22);
		if (mp_to_json(s, JSON_COMPACT, &json) == ERR_OK) {
			must(json_to_mp(buf_all(&json), &mp, NULL) == ERR_OK);
			must(mp_check(buf_all(&mp)) == ERR_OK);
		}
		buf_fini(&json);
		buf_fini(&mp);
	} else {
		buf_init(&json, 1 << 16);
		(void)!mp_to_json(s, JSON_PRETTY, &json);
		buf_fini(&json);
	}
	free(copy);
	return 0;
}
