/* address_guard.h - room controller/daemon: which addresses a channel may be reached at (no detour into the house by a name or
 * a redirect). Never: DNS; who asks brings addresses. */
#ifndef VCC_ADDRESS_GUARD_H
#define VCC_ADDRESS_GUARD_H

#include <stdbool.h>

struct sockaddr;

enum { ADDRESS_GUARD_TEXT = 64 };

/* What may be reached: public addresses, and those in `allow` (comma list of ranges). `plain`: only this machine's own, which
 * has to stand in `allow`, too. An IPv4 address inside an IPv6 one is judged as the former. `ret_text`: the address as people
 * write it. */
bool address_guard_allows(const struct sockaddr *address, const char *allow, bool plain, char ret_text[ADDRESS_GUARD_TEXT]);

#endif
