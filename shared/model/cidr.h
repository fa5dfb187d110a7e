/* cidr.h - room shared/model: ranges of IP addresses ("10.0.0.0/8", "fd00::/8").
 * Never: DNS, heap. */
#ifndef VCC_CIDR_H
#define VCC_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/attr.h"

struct cidr {
	uint8_t  address[16]; /* network order; host bits are 0 */
	unsigned bytes;       /* 4 or 16 */
	unsigned bits;
};

/* An address without "/n" is that address alone. Host bits that are set, or anything else: E_SYNTAX. */
_must_check_ int cidr_parse(const char *text, struct cidr *ret);
/* `address`: an IP as inet_ntop writes it. Other texts lie in no range. */
bool cidr_holds(const struct cidr *range, const char *address);
/* The same for a comma list of ranges; a range that cannot be parsed holds nothing. */
bool cidr_list_holds(const char *ranges, const char *address);

#endif
