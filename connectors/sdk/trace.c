/* trace - see trace.h. */
#include <stdio.h>

#include "broker/base/crypt.h"
#include "connectors/sdk/trace.h"

#define TRACE 55 /* bytes of version 00 */

static bool
hex(struct slice t, size_t at, size_t n, bool zeros)
{
	bool any = zeros;

	for (size_t i = at; i < at + n; i++) {
		uint8_t c = t.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		any |= c != '0';
	}
	return any;
}

bool
trace_ok(struct slice t)
{
	return t.n == TRACE && t.p[0] == '0' && t.p[1] == '0' &&
	       t.p[2] == '-' && hex(t, 3, 32, false) && t.p[35] == '-' &&
	       hex(t, 36, 16, false) && t.p[52] == '-' && hex(t, 53, 2, true);
}

enum err
trace_take(struct slice given, struct arena *a, struct slice *out)
{
	char text[TRACE + 1];
	uint8_t r[24];
	size_t n;

	if (trace_ok(given))
		return arena_copy(a, given, out);
	random_bytes(r, sizeof(r));
	r[0] |= 1; /* neither id is all zeros */
	r[16] |= 1;
	n = (size_t)snprintf(text, sizeof(text), "00-");
	for (size_t i = 0; i < sizeof(r); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%02x%s",
		    r[i], i == 15 ? "-" : "");
	(void)snprintf(text + n, sizeof(text) - n, "-01");
	return arena_copy(a, slice_of(text, TRACE), out);
}
