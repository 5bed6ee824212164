/* fact - see fact.h. The parts are framed by msgpack's lengths, so no two lists
 * of parts give the same bytes. */
#include "mappings/engine/fact.h"

#include "broker/base/crypt.h"
#include "broker/base/mp.h"

void
fact_id(struct slice system, struct slice type, struct slice subject,
    struct slice id, char out[FACT_ID + 1])
{
	static const char hex[] = "0123456789abcdef";
	const struct slice parts[] = {system, type, subject, id};
	uint8_t digest[32];
	struct buf b;

	buf_init(&b, 4 * 1024 * 1024);
	mp_put_array(&b, 4);
	for (int i = 0; i < 4; i++)
		mp_put_str(&b, parts[i]);
	sha256(buf_all(&b), digest);
	buf_fini(&b);
	for (int i = 0; i < FACT_ID / 2; i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[FACT_ID] = '\0';
}
