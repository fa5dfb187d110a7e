/* clock.h - room shared/sys: the only place that reads clocks and randomness of the system.
 * One reading per turn of a loop is taken by the caller and passed on. Never: time zones. */
#ifndef VCC_CLOCK_H
#define VCC_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "shared/base/times.h"

int64_t clock_now(void);       /* UTC, ms since the epoch. Test builds add VCC_CLOCK_OFFSET_MS. */
int64_t clock_monotonic(void); /* ms, for waits; never jumps */
int64_t clock_monotonic_us(void);
int64_t clock_boot(void);      /* ms since the boot, suspended time included: what the kernel counts processes' ages by */
void    entropy(void *to, size_t n); /* getrandom(2); waits until the kernel is ready, ends the process on failure */

#endif
