/* address_guard.c - room controller/daemon: which addresses a channel may be reached at.
 * Never: DNS. */
#include "controller/daemon/address_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/base/text.h"
#include "shared/model/cidr.h"

/* IANA's special-purpose registries: what is not reached by the internet at large. */
static const char *const not_public_4[] = {
	"0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
};
/* Of IPv6 only 2000::/3 is given out; these parts of it carry other addresses inside, or none. */
static const char *const not_public_6[] = {"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"};

static bool in_any(const char *const *ranges, size_t n, const char *address)
{
	for (size_t i = 0; i < n; i++)
		if (cidr_list_holds(ranges[i], address))
			return true;
	return false;
}

static bool is_public(const char *address, int family)
{
	if (family == AF_INET)
		return !in_any(not_public_4, N_ELEMENTS(not_public_4), address);
	return cidr_list_holds("2000::/3", address) && !in_any(not_public_6, N_ELEMENTS(not_public_6), address);
}

/* The address as text; the family of what it means. */
static int family_and_text(const struct sockaddr *address, char ret[ADDRESS_GUARD_TEXT])
{
	const struct sockaddr_in  *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;
	const char                *text = NULL;
	int                        family = address->sa_family;
	if (family == AF_INET) {
		text = inet_ntop(AF_INET, &four->sin_addr, ret, ADDRESS_GUARD_TEXT);
	} else if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		text = inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], ret, ADDRESS_GUARD_TEXT);
		family = AF_INET;
	} else if (family == AF_INET6) {
		text = inet_ntop(AF_INET6, &six->sin6_addr, ret, ADDRESS_GUARD_TEXT);
	}
	if (text == NULL) {
		text_cut(ret, ADDRESS_GUARD_TEXT, "no internet address");
		return AF_UNSPEC;
	}
	return family;
}

bool address_guard_allows(const struct sockaddr *address, const char *allow, bool plain, char ret_text[ADDRESS_GUARD_TEXT])
{
	int family = family_and_text(address, ret_text);
	if (family == AF_UNSPEC)
		return false;
	if (plain && !cidr_list_holds("127.0.0.0/8, ::1/128", ret_text))
		return false;
	return cidr_list_holds(allow, ret_text) || (!plain && is_public(ret_text, family));
}
