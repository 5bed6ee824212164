/*
 * crc - CRC-32C for crypt.h: the processor's instruction where it has one
 * (SSE4.2, found at run time), eight tables of 256 where it has not.
 */
#include <pthread.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "broker/base/crypt.h"

#define POLY 0x82f63b78u /* 0x1edc6f41 with its bits reversed */

static uint32_t table[8][256];
static uint32_t (*chosen)(uint32_t, const uint8_t *, size_t);
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t
by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	for (; n >= 8; p += 8, n -= 8)
		crc = table[7][(crc ^ p[0]) & 255] ^
		      table[6][(crc >> 8 ^ p[1]) & 255] ^
		      table[5][(crc >> 16 ^ p[2]) & 255] ^
		      table[4][crc >> 24 ^ p[3]] ^ table[3][p[4]] ^
		      table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
	for (; n > 0; p++, n--)
		crc = table[0][(crc ^ *p) & 255] ^ crc >> 8;
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t c = crc, w;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		c = _mm_crc32_u64(c, w);
	}
	crc = (uint32_t)c;
	for (; n > 0; p++, n--)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}
#endif

static void
prepare(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = (c & 1) != 0 ? c >> 1 ^ POLY : c >> 1;
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^
				      table[0][table[k - 1][i] & 255];
	chosen = by_table;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		chosen = by_instruction;
#endif
}

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	pthread_once(&once, prepare);
	return ~chosen(~crc, p, n);
}

uint32_t
crc32c_table(uint32_t crc, const void *p, size_t n)
{
	pthread_once(&once, prepare);
	return ~by_table(~crc, p, n);
}
