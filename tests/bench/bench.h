/*
 * bench - what the measuring programs share: rounds, medians, lines for
 * bench.tsv. Peers run in turn with us (A B A B ...) in one process, so that a
 * machine that slows down slows both.
 */
#ifndef VAYLA_TESTS_BENCH_BENCH_H
#define VAYLA_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_ROUNDS 7

static inline double
bench_now(void) /* seconds */
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline int
bench_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double
bench_median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), bench_cmp);
	return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* A figure that stands alone. */
static inline void
bench_alone(const char *name, double value, const char *unit)
{
	printf("%s\t%.3f\t%s\t-\t0\t0\n", name, value, unit);
	fflush(stdout);
}

/* One line of bench.tsv. Beside a peer of 0, which is absent as was said
 * before, the figure stands alone. */
static inline void
bench_line(const char *name, double value, const char *unit, const char *peer,
    double peer_value)
{
	if (peer_value <= 0) {
		bench_alone(name, value, unit);
		return;
	}
	printf("%s\t%.3f\t%s\t%s\t%.3f\t%.2f\n", name, value, unit, peer,
	    peer_value, value / peer_value);
	fflush(stdout);
}

/* The same of times, which are the better the smaller: the last column says
 * how many times as fast as the peer, as it does for rates. */
static inline void
bench_time(const char *name, double value, const char *unit, const char *peer,
    double peer_value)
{
	if (peer_value <= 0) {
		bench_alone(name, value, unit);
		return;
	}
	printf("%s\t%.3f\t%s\t%s\t%.3f\t%.2f\n", name, value, unit, peer,
	    peer_value, peer_value / value);
	fflush(stdout);
}

#endif
