/* memory.h - room shared/sys: an allocator that keeps little, for processes that run on every host and mostly wait (for the controller's
 * programs speed is the better bargain), and one that never fails.
 * Never: an allocator of our own. */
#ifndef VCC_MEMORY_H
#define VCC_MEMORY_H

#include <stddef.h>

/* One arena for all threads, little kept in reserve. Before the first thread. */
void memory_be_thrifty(void);
/* Gives freed pages back to the kernel; after set-up and after each larger piece of work. */
void memory_give_back(void);
/* malloc() for libraries that go wrong without memory: it says so and ends the process, exit status 1. */
void *memory_or_end(size_t n);

#endif
