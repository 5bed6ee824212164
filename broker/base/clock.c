/* clock - see clock.h. */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "broker/base/clock.h"

static _Atomic int64_t added;

static int64_t
read_clock(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec +
	       atomic_load_explicit(&added, memory_order_relaxed);
}

int64_t
clock_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
clock_fake(int64_t add_ns)
{
	atomic_store_explicit(&added, add_ns, memory_order_relaxed);
}

char *
clock_text(int64_t ns, char out[32])
{
	int64_t sec = ns / NS_PER_SEC, rest = ns % NS_PER_SEC;
	struct tm tm;
	time_t t;

	if (rest < 0) {
		rest += NS_PER_SEC;
		sec--;
	}
	t = (time_t)sec;
	gmtime_r(&t, &tm);
	snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
	    (tm.tm_year + 1900) % 10000, (tm.tm_mon + 1) % 100,
	    tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
	    tm.tm_sec % 100, (int)(rest / NS_PER_MS));
	return out;
}
