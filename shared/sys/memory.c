/* memory.c - room shared/sys: an allocator that keeps little.
 * Never: an allocator of our own. */
#include "shared/sys/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

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

void *memory_or_end(size_t n)
{
	static const char words[] = "VCC-1000 process: out of memory. Next: free memory or raise the unit's MemoryMax, then start it again\n";
	void             *p = malloc(n > 0 ? n : 1);
	if (p == NULL) {
		(void)!write(STDERR_FILENO, words, sizeof(words) - 1);
		_exit(EXIT_FAILURE);
	}
	return p;
}
