/*
 * rng - numbers that look random and are the same for the same seed, on every
 * machine: splitmix64. Nothing here is secret.
 */
#ifndef VAYLA_SIM_RNG_H
#define VAYLA_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s;
};

static inline uint64_t
rng_next(struct rng *r)
{
	uint64_t z = (r->s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 to n - 1 */
static inline size_t
rng_below(struct rng *r, size_t n)
{
	return (size_t)(rng_next(r) % n);
}

static inline bool
rng_chance(struct rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

/* One of a seed's many streams: order 1042 of seed 7 is always the same. */
static inline struct rng
rng_of(uint64_t seed, uint64_t stream)
{
	struct rng r = {seed * UINT64_C(0xd1342543de82ef95) + stream};

	(void)rng_next(&r);
	return r;
}

#endif
