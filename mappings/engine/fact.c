/* fact - see fact.h. The parts are framed by msgpack's lengths, so no two lists
 * of parts give the same bytes. */
#include "mappings/engine/fact.h"

#include "broker/base/crypt.h"
#include "broker/base/mp.h"

/* A short text as msgpack. */
static uint8_t *
put(uint8_t *p, struct slice s)
{
	if (s.n < 32) {
		*p++ = (uint8_t)(0xa0 | s.n);
	} else if (s.n < 256) {
		*p++ = 0xd9;
		*p++ = (uint8_t)s.n;
	} else {
		*p++ = 0xda;
		*p++ = (uint8_t)(s.n >> 8);
		*p++ = (uint8_t)s.n;
	}
	memcpy(p, s.p, s.n);
	return p + s.n;
}

void
fact_id(struct slice system, struct slice type, struct slice subject,
    struct slice id, char out[FACT_ID + 1])
{
	static const char hex[] = "0123456789abcdef";
	const struct slice parts[] = {system, type, subject, id};
	uint8_t digest[32], small[640];
	size_t n = 1;
	struct buf b;

	for (int i = 0; i < 4; i++)
		n += parts[i].n + 5;
	if (n <= sizeof(small)) { /* nearly always: without an allocation */
		uint8_t *p = small;

		*p++ = 0x94;
		for (int i = 0; i < 4; i++)
			p = put(p, parts[i]);
		sha256(slice_of(small, (size_t)(p - small)), digest);
	} else {
		buf_init(&b, 4 * 1024 * 1024);
		mp_put_array(&b, 4);
		for (int i = 0; i < 4; i++)
			mp_put_str(&b, parts[i]);
		sha256(buf_all(&b), digest);
		buf_fini(&b);
	}
	for (int i = 0; i < FACT_ID / 2; i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[FACT_ID] = '\0';
}
