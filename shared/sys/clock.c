/* clock.c - room shared/sys: the only place that reads clocks and randomness of the system.
 * Never: time zones. */
#include "shared/sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/text.h"

static int64_t clock_read_us(clockid_t id)
{
	struct timespec ts;
	if (clock_gettime(id, &ts) != 0)
		abort(); /* these clocks exist on every Linux */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Only test builds may live at another time than the host: by VCC_CLOCK_OFFSET_MS for good, and by the number that stands in
 * VCC_CLOCK_FILE at this moment (8 bytes in the machine's order), so that a clock can jump under a running process. The file is
 * mapped at the first look, before a jail closes. */
#ifdef VCC_FAULTS
static pthread_once_t          offset_once = PTHREAD_ONCE_INIT;
static int64_t                 offset_fixed;
static const volatile int64_t *offset_now;

static void offset_load(void)
{
	const char *text = getenv("VCC_CLOCK_OFFSET_MS");
	const char *path = getenv("VCC_CLOCK_FILE");
	if (text != NULL && text_i64(text, -100 * 365 * MS_DAY, 100 * 365 * MS_DAY, &offset_fixed) != 0)
		abort();
	if (path == NULL)
		return;
	int   fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at = fd >= 0 ? mmap(NULL, sizeof(*offset_now), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (at == MAP_FAILED)
		abort();
	close(fd);
	offset_now = at;
}

static int64_t clock_offset_ms(void)
{
	pthread_once(&offset_once, offset_load);
	return offset_fixed + (offset_now != NULL ? *offset_now : 0);
}
#else
static int64_t clock_offset_ms(void)
{
	return 0;
}
#endif

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

static pthread_once_t steady_once = PTHREAD_ONCE_INIT;
static int64_t        steady_from; /* what the monotonic clock lacks to UTC at the first look */

static void steady_load(void)
{
	steady_from = clock_now() - clock_monotonic();
}

int64_t clock_steady(void)
{
	pthread_once(&steady_once, steady_load);
	return steady_from + clock_monotonic();
}

int64_t clock_of_steady(int64_t at)
{
	return at == 0 || at == TIME_NEVER ? at : at + clock_now() - clock_steady();
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
