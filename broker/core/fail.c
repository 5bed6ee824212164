/* fail - see fail.h. */
#include "broker/core/fail.h"

#ifdef VAYLA_FAILPOINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
fail_point(const char *name)
{
	static long passed;
	const char *want = getenv("VAYLA_FAILPOINT"), *colon;

	if (want == NULL || (colon = strchr(want, ':')) == NULL)
		return;
	if (strlen(name) != (size_t)(colon - want) ||
	    strncmp(want, name, strlen(name)) != 0)
		return;
	if (++passed == atol(colon + 1))
		kill(getpid(), SIGKILL);
}
#else
typedef int fail_is_off; /* a file must declare something */
#endif
