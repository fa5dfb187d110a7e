/* be.c - room shared/base: unsigned numbers as big-endian bytes.
 * Never: signs, alignment. */
#include "shared/base/be.h"

void be_put(uint8_t *to, uint64_t v, size_t n)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		to[i] = (uint8_t)v;
}

uint64_t be_get(const uint8_t *from, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | from[i];
	return v;
}
