/* cidr.c - room shared/model: parses ranges of IP addresses and tells what lies in them.
 * Never: DNS, heap. */
#include "shared/model/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"

enum { CIDR_TEXT = 64 };

static int address_parse(const char *text, uint8_t ret[16], unsigned *ret_bytes)
{
	if (inet_pton(AF_INET, text, ret) == 1)
		*ret_bytes = 4;
	else if (inet_pton(AF_INET6, text, ret) == 1)
		*ret_bytes = 16;
	else
		return E_SYNTAX;
	return 0;
}

/* Bits of byte `i` that belong to the network. */
static uint8_t mask_of(unsigned bits, unsigned i)
{
	if (bits >= 8 * (i + 1))
		return 0xff;
	return (uint8_t)(bits <= 8 * i ? 0 : 0xff00U >> (bits - 8 * i));
}

int cidr_parse(const char *text, struct cidr *ret)
{
	struct cidr range = {.bytes = 0};
	char        address[CIDR_TEXT];
	const char *slash = strchr(text, '/');
	int64_t     bits = 0;

	int r = text_copy_n(address, sizeof(address), text, slash != NULL ? (size_t)(slash - text) : strlen(text));
	if (r < 0 || address_parse(address, range.address, &range.bytes) < 0)
		return E_SYNTAX;
	if (slash != NULL && text_i64(slash + 1, 0, 8 * (int64_t)range.bytes, &bits) < 0)
		return E_SYNTAX;
	range.bits = slash != NULL ? (unsigned)bits : 8 * range.bytes;
	for (unsigned i = 0; i < range.bytes; i++)
		if ((range.address[i] & (uint8_t)~mask_of(range.bits, i)) != 0)
			return E_SYNTAX;
	*ret = range;
	return 0;
}

bool cidr_holds(const struct cidr *range, const char *address)
{
	uint8_t  bytes[16];
	unsigned n = 0;

	if (address_parse(address, bytes, &n) < 0 || n != range->bytes)
		return false;
	for (unsigned i = 0; i < n; i++)
		if ((bytes[i] & mask_of(range->bits, i)) != range->address[i])
			return false;
	return true;
}

bool cidr_list_holds(const char *ranges, const char *address)
{
	char        item[CIDR_TEXT];
	struct cidr range;

	while (text_item(&ranges, item, sizeof(item)))
		if (cidr_parse(item, &range) == 0 && cidr_holds(&range, address))
			return true;
	return false;
}
