/* fault.h - room shared/sys: named fault points. In builds without VCC_FAULTS they are nothing.
 * VCC_FAILPOINT="name[@n]=kill|err:ENOSPC|delay:MS|exit[;...]"; @n = at the n-th pass only.
 * VCC_FAULT_LOG=FILE collects the names of the points that were passed. Never: used for decisions of the program. */
#ifndef VCC_FAULT_H
#define VCC_FAULT_H

#include <stdint.h>

#ifdef VCC_FAULTS
/* 0, or -1 with errno set when the point is armed with err:. `kill` ends the process by SIGKILL here. */
int fault_point(const char *name);
/* Tests of what happens when nothing answers would take minutes: the environment may say another number of ms. */
int64_t fault_ms(const char *name, int64_t ms);
#else
static inline int fault_point(const char *name)
{
	(void)name;
	return 0;
}
static inline int64_t fault_ms(const char *name, int64_t ms)
{
	(void)name;
	return ms;
}
#endif

#endif
