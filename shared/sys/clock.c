/* clock.c - room shared/sys: the only place that reads clocks and randomness of the system.
 * Never: time zones. */
#include "shared/sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "shared/base/text.h"

static int64_t clock_read_us(clockid_t id)
{
	struct timespec ts;
	if (clock_gettime(id, &ts) != 0)
		abort(); /* both clocks exist on every Linux */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Only test builds may live at another time than the host. */
static int64_t clock_offset_ms(void)
{
#ifdef VCC_FAULTS
	const char *text = getenv("VCC_CLOCK_OFFSET_MS");
	int64_t     offset = 0;
	if (text != NULL && text_i64(text, -100 * 365 * MS_DAY, 100 * 365 * MS_DAY, &offset) != 0)
		abort();
	return offset;
#else
	return 0;
#endif
}

int64_t clock_now(void)
{
	return clock_read_us(CLOCK_REALTIME) / 1000 + clock_offset_ms();
}

int64_t clock_monotonic(void)
{
	return clock_read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_boot(void)
{
	return clock_read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t clock_monotonic_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

void entropy(void *to, size_t n)
{
	uint8_t *p = to;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
}
