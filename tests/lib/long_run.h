/* long_run.h - tests: is this the run that leaves nothing out (scripts/check --long)? */
#ifndef VCC_LONG_RUN_H
#define VCC_LONG_RUN_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool long_run(void)
{
	const char *text = getenv("VCC_LONG");
	return text != NULL && strcmp(text, "1") == 0;
}

/* Of a row of places that are much alike: each with the long run, else one of so many. Sanitized programs look for faults of memory, which hardly depend
 * on the place, and take less again. */
static inline long sample_step(long usual)
{
#ifdef VCC_SANITIZED
	usual *= 5;
#endif
	return long_run() ? 1 : usual;
}

#endif
