/* bombs.c - tests: small msgpack inputs that claim to be huge, and how much memory this process holds.
 * Never: a bomb larger than a frame. */
#include "tests/lib/bombs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct claim {
	const char *name;
	uint8_t     n;
	uint8_t     bytes[6];
};

void bomb_make(struct buf *ret, size_t which)
{
	static const struct claim claims[] = {
		{"array32", 5, {0xdd, 0xff, 0xff, 0xff, 0xff}},
		{"map32", 5, {0xdf, 0xff, 0xff, 0xff, 0xff}},
		{"str32", 5, {0xdb, 0xff, 0xff, 0xff, 0xff}},
		{"bin32", 5, {0xc6, 0xff, 0xff, 0xff, 0xff}},
		{"ext32", 6, {0xc9, 0xff, 0xff, 0xff, 0xff, 1}},
		{"array32 below the sign", 5, {0xdd, 0x7f, 0xff, 0xff, 0xff}},
		{"array16", 3, {0xdc, 0xff, 0xff}},
		{"map16", 3, {0xde, 0xff, 0xff}},
	};
	static const uint8_t nests[] = {0x91, 0x81, 0xdc, 0x9f};
	if (which < N_ELEMENTS(claims)) {
		buf_add(ret, claims[which].bytes, claims[which].n);
		return;
	}
	uint8_t nest = nests[which - N_ELEMENTS(claims)];
	while (ret->n < 60000) {
		buf_add_u8(ret, nest);
		if (nest == 0x81)
			buf_add_u8(ret, 1);
		if (nest == 0xdc)
			buf_add(ret, "\x00\x01", 2);
	}
}

#ifdef VCC_SANITIZED
size_t __sanitizer_get_current_allocated_bytes(void);

size_t memory_used(void)
{
	return __sanitizer_get_current_allocated_bytes();
}
#else
size_t memory_used(void)
{
	unsigned long total = 0;
	unsigned long resident = 0;
	FILE         *f = fopen("/proc/self/statm", "re");
	if (f == NULL || fscanf(f, "%lu %lu", &total, &resident) != 2)
		abort();
	fclose(f);
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}
#endif
