/* memory.h - room shared/sys: an allocator that keeps little, for processes that run on every host and mostly wait.
 * Never: speed at the price of memory; for the controller's programs that is the better bargain. */
#ifndef VCC_MEMORY_H
#define VCC_MEMORY_H

/* One arena for all threads, little kept in reserve. Before the first thread. */
void memory_be_thrifty(void);
/* Gives freed pages back to the kernel; after set-up and after each larger piece of work. */
void memory_give_back(void);

#endif
