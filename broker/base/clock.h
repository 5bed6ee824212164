/*
 * clock - time as int64 nanoseconds: CLOCK_REALTIME since 1970 for what is
 * recorded, CLOCK_MONOTONIC for what is waited for. clock_fake() moves both
 * for tests, and only they call it.
 */
#ifndef VAYLA_BASE_CLOCK_H
#define VAYLA_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

int64_t clock_now(void);	 /* since the epoch, UTC */
int64_t clock_mono(void);	 /* since some start, never backwards */
void clock_fake(int64_t add_ns); /* added to both from now on */

/* "2026-11-22T10:00:00.123Z" (milliseconds) into out[32]; returns out. */
char *clock_text(int64_t ns, char out[32]);

#endif
