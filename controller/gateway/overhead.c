/* overhead.c - room controller/gateway: how many bytes a connection may bring beside the content of its messages.
 * Never: clocks, sockets. */
#include "controller/gateway/overhead.h"

static void give_back(struct overhead *o, int64_t n)
{
	o->bytes = o->bytes > n ? o->bytes - n : 0; /* nothing is saved up for later */
}

void overhead_begin(struct overhead *o, int64_t now_ms)
{
	*o = (struct overhead){.at_ms = now_ms};
}

bool overhead_read(struct overhead *o, size_t n, int64_t now_ms)
{
	int64_t passed = now_ms - o->at_ms;
	if (passed > 0) {
		o->at_ms = now_ms;
		give_back(o, passed < OVERHEAD_BURST / OVERHEAD_PER_MS ? passed * OVERHEAD_PER_MS : OVERHEAD_BURST);
	}
	o->bytes += (int64_t)n;
	return o->bytes <= OVERHEAD_BURST;
}

void overhead_content(struct overhead *o, size_t n)
{
	give_back(o, (int64_t)n + OVERHEAD_PART);
}
