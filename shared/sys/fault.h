/* fault.h - room shared/sys: named fault points. In builds without VCC_FAULTS they are nothing.
 * VCC_FAILPOINT="name[@n]=kill|err:ENOSPC|delay:MS|exit[;...]"; @n = at the n-th pass only.
 * VCC_FAULT_LOG=FILE collects the names of the points that were passed. Never: used for decisions of the program. */
#ifndef VCC_FAULT_H
#define VCC_FAULT_H

#ifdef VCC_FAULTS
/* 0, or -1 with errno set when the point is armed with err:. `kill` ends the process by SIGKILL here. */
int fault_point(const char *name);
#else
static inline int fault_point(const char *name)
{
	(void)name;
	return 0;
}
#endif

#endif
