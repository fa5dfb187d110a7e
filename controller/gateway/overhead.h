/* overhead.h - room controller/gateway: how many bytes a connection may bring beside the content of its messages.
 * The websocket library deals with pings and pongs by itself; what TLS read and what then did not arrive as content shows them.
 * Never: clocks, sockets. */
#ifndef VCC_OVERHEAD_H
#define VCC_OVERHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	OVERHEAD_BURST = 65536, /* a TLS record that is not complete yet is 16 KiB of it */
	OVERHEAD_PER_MS = 1,    /* about 35 pings a second; an agent sends one pong in 20 s */
	OVERHEAD_PART = 64,     /* goes with each part of a message: TLS record (22) and websocket header (14), and as much again */
};

struct overhead {
	int64_t bytes; /* over and above the allowed rate */
	int64_t at_ms;
};

void overhead_begin(struct overhead *o, int64_t now_ms);
/* TLS read `n` bytes off the network. False = too many beside the content: a flood. */
bool overhead_read(struct overhead *o, size_t n, int64_t now_ms);
/* `n` of them were content, in one part. */
void overhead_content(struct overhead *o, size_t n);

#endif
