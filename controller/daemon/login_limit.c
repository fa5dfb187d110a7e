/* login_limit.c - room controller/daemon: how many wrong tokens an address may try.
 * Only wrong ones are counted, so nobody is slowed who has a good one. Never: clocks. */
#include "controller/daemon/login_limit.h"

#include <arpa/inet.h>
#include <string.h>

/* An IPv6 host has 2^64 addresses: its network counts as one. */
static void net_of(const char *address, uint8_t ret[8])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	uint8_t              bytes[16];
	memset(ret, 0, 8);
	ret[7] = 1; /* what is no address */
	if (inet_pton(AF_INET, address, bytes) == 1) {
		memcpy(ret, bytes, 4);
		ret[7] = 4;
	} else if (inet_pton(AF_INET6, address, bytes) == 1) {
		if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
			memcpy(ret, bytes + 12, 4);
			ret[7] = 4;
		} else {
			memcpy(ret, bytes, 8);
			if (memcmp(ret, (uint8_t[8]){0}, 8) == 0)
				ret[7] = 6; /* ::1 */
		}
	}
}

static const struct login_window *find(const struct login_limit *l, const char *address, int64_t now)
{
	uint8_t net[8];
	net_of(address, net);
	for (size_t i = 0; i < LOGIN_ADDRESSES; i++)
		if (memcmp(l->windows[i].net, net, sizeof(net)) == 0 && now < l->windows[i].ends_at)
			return &l->windows[i];
	return NULL;
}

bool login_limit_reached(const struct login_limit *l, const char *address, int64_t now)
{
	const struct login_window *w = find(l, address, now);
	return w != NULL && w->wrong >= LOGIN_WRONG_MAX;
}

/* A window that is over, or the one that ends first. */
static struct login_window *room(struct login_limit *l)
{
	struct login_window *first = &l->windows[0];
	for (size_t i = 1; i < LOGIN_ADDRESSES; i++)
		if (l->windows[i].ends_at < first->ends_at)
			first = &l->windows[i];
	return first;
}

bool login_limit_wrong(struct login_limit *l, const char *address, int64_t now)
{
	const struct login_window *known = find(l, address, now);
	struct login_window       *w = known != NULL ? &l->windows[known - l->windows] : room(l);
	if (known == NULL) {
		*w = (struct login_window){.ends_at = now + LOGIN_WINDOW_MS};
		net_of(address, w->net);
	}
	if (w->wrong < UINT32_MAX)
		w->wrong++;
	return w->wrong == LOGIN_WRONG_MAX;
}
