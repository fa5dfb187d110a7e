/* memory.c - room shared/sys: an allocator that keeps little.
 * Never: speed at the price of memory. */
#include "shared/sys/memory.h"

#include <malloc.h>

enum { RESERVE_BYTES = 16 * 1024, LARGE_BYTES = 64 * 1024 };

void memory_be_thrifty(void)
{
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_TOP_PAD, RESERVE_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, 2 * RESERVE_BYTES);
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* given back at once, and no longer growing by itself */
}

void memory_give_back(void)
{
	(void)malloc_trim(0);
}
