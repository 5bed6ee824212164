/*
 * fuzz_json - any bytes as JSON. What is accepted must be well-formed msgpack,
 * come back as JSON in both forms, and read again to the same bytes; what is
 * refused must name a place within the text. The first byte chooses how little
 * room the output has.
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

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf mp, json, again;
	struct slice text;
	struct json_at at;
	uint8_t *copy;

	if (n == 0)
		return 0;
	/* A block of its own, so that a read beyond its end is seen. */
	copy = malloc(n);
	memcpy(copy, p + 1, n - 1);
	text = slice_of(copy, n - 1);
	buf_init(&mp, p[0] < 128 ? p[0] : 1 << 20);
	buf_init(&json, 1 << 22);
	buf_init(&again, 1 << 20);
	if (json_to_mp(text, &mp, &at) == ERR_OK) {
		must(mp_check(buf_all(&mp)) == ERR_OK);
		for (int form = JSON_COMPACT; form <= JSON_PRETTY; form++) {
			buf_reset(&json);
			buf_reset(&again);
			must(mp_to_json(buf_all(&mp), (enum json_form)form,
				 &json) == ERR_OK);
			must(
			    json_to_mp(buf_all(&json), &again, NULL) == ERR_OK);
			must(slice_eq(buf_all(&mp), buf_all(&again)));
		}
	} else {
		must(mp.n == 0 && !mp.bad);
		must(at.offset <= text.n && at.line >= 1 && at.column >= 1);
	}
	json_quote(&json, text);
	buf_fini(&mp);
	buf_fini(&json);
	buf_fini(&again);
	free(copy);
	return 0;
}
