/* login_limit.h - room controller/daemon: how many wrong tokens an address may try.
 * Values in, values out; the caller brings the time. Never: judging tokens. */
#ifndef VCC_LOGIN_LIMIT_H
#define VCC_LOGIN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LOGIN_WRONG_MAX = 20, /* within: */
	LOGIN_WINDOW_MS = 60 * 1000,
	LOGIN_ADDRESSES = 512, /* remembered; beyond, the one whose window ends first is forgotten */
};

struct login_limit {
	struct login_window {
		uint8_t  net[8]; /* IPv4 address, or the first 64 bits of an IPv6 one; all zero = free */
		int64_t  ends_at;
		uint32_t wrong;
	} windows[LOGIN_ADDRESSES];
};

/* Has this address used up its tries? `address` as inet_ntop() writes it; what is none counts as one address. */
bool login_limit_reached(const struct login_limit *l, const char *address, int64_t now);
/* One wrong token more. True when that was the last that it may try. */
bool login_limit_wrong(struct login_limit *l, const char *address, int64_t now);

#endif
