/* constraint.c - room shared/pki: name constraints against one name.
 * Never: path validation. */
#include "shared/pki/constraint.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool tail_equal(struct span name, struct span tail)
{
	return name.n >= tail.n &&
	       (tail.n == 0 || strncasecmp((const char *)name.p + name.n - tail.n, (const char *)tail.p, tail.n) == 0);
}

/* The base itself or any name below it; an empty base holds everything. */
static bool dns_within(struct span name, struct span base)
{
	if (base.n == 0)
		return true;
	return tail_equal(name, base) && (name.n == base.n || name.p[name.n - base.n - 1] == '.');
}

static bool ip_within(struct span address, struct span base)
{
	if (base.n != 2 * address.n)
		return false;
	for (size_t i = 0; i < address.n; i++)
		if ((address.p[i] & base.p[address.n + i]) != (base.p[i] & base.p[address.n + i]))
			return false;
	return true;
}

/* "scheme://[user@]host[:port]/..."; empty when there is no host. */
static struct span uri_host(struct span uri)
{
	const uint8_t *end = uri.p + uri.n;
	const uint8_t *p = memmem(uri.p, uri.n, "://", 3);
	if (p == NULL)
		return (struct span){uri.p, 0};
	p += 3;
	const uint8_t *stop = p;
	while (stop < end && *stop != '/' && *stop != '?' && *stop != '#')
		stop++;
	const uint8_t *at = memrchr(p, '@', (size_t)(stop - p));
	if (at != NULL)
		p = at + 1;
	const uint8_t *colon = memchr(p, ':', (size_t)(stop - p));
	return (struct span){p, (size_t)((colon != NULL ? colon : stop) - p)};
}

/* A leading dot means "any host below", none means that very host. */
static bool uri_within(struct span uri, struct span base)
{
	struct span host = uri_host(uri);
	if (base.n > 0 && base.p[0] == '.')
		return host.n > base.n && tail_equal(host, base);
	return host.n == base.n && tail_equal(host, base);
}

static bool within(uint8_t tag, struct span name, struct span base)
{
	switch (tag) {
	case GN_DNS:
		return dns_within(name, base);
	case GN_IP:
		return ip_within(name, base);
	default:
		return uri_within(name, base);
	}
}

struct verdict {
	bool seen;  /* a subtree of the name's kind exists */
	bool holds; /* one of them holds the name */
};

static struct verdict subtrees_judge(struct der *list, uint8_t tag, struct span name)
{
	struct verdict v = {false, false};
	while (der_more(list)) {
		struct der  subtree = der_in(list, DER_SEQUENCE);
		uint8_t     kind = der_tag(&subtree);
		struct span base = der_get(&subtree, kind);
		if (!der_done(&subtree))
			list->bad = true;
		if (kind != tag)
			continue;
		v.seen = true;
		v.holds = v.holds || within(tag, name, base);
	}
	return v;
}

bool constraint_allows(struct span constraints, uint8_t tag, struct span name)
{
	if (constraints.n == 0)
		return true;
	struct der     outer = der_of(constraints);
	struct der     d = der_in(&outer, DER_SEQUENCE);
	struct verdict permitted = {false, false};
	struct verdict excluded = {false, false};
	if (der_tag(&d) == (DER_CONTEXT_CONS | 0)) {
		struct der list = der_in(&d, DER_CONTEXT_CONS | 0);
		permitted = subtrees_judge(&list, tag, name);
		d.bad = d.bad || !der_done(&list);
	}
	if (der_tag(&d) == (DER_CONTEXT_CONS | 1)) {
		struct der list = der_in(&d, DER_CONTEXT_CONS | 1);
		excluded = subtrees_judge(&list, tag, name);
		d.bad = d.bad || !der_done(&list);
	}
	return der_done(&d) && der_done(&outer) && (!permitted.seen || permitted.holds) && !excluded.holds;
}

/* ---- shown ------------------------------------------------------------------------------------------------------ */

static int mask_bits(struct span mask)
{
	int bits = 0;
	for (size_t i = 0; i < mask.n; i++)
		bits += __builtin_popcount(mask.p[i]);
	return bits;
}

static bool range_text(struct span base, struct buf *to)
{
	char text[INET6_ADDRSTRLEN];
	if ((base.n != 8 && base.n != 32) || inet_ntop(base.n == 8 ? AF_INET : AF_INET6, base.p, text, sizeof(text)) == NULL)
		return false;
	buf_add_fmt(to, "IP:%s/%d\n", text, mask_bits((struct span){base.p + base.n / 2, base.n / 2}));
	return true;
}

static bool subtree_text(uint8_t kind, struct span base, struct buf *to)
{
	if (kind == GN_IP)
		return range_text(base, to);
	buf_add_text(to, kind == GN_DNS ? "DNS:" : kind == GN_URI ? "URI:" : "other:");
	for (size_t i = 0; i < base.n; i++) /* IA5String; what is not printable is no name */
		buf_add_u8(to, base.p[i] > ' ' && base.p[i] < 0x7f ? base.p[i] : '?');
	buf_add_u8(to, '\n');
	return true;
}

int constraint_permitted(struct span constraints, struct buf *to)
{
	struct der outer = der_of(constraints);
	struct der d = der_in(&outer, DER_SEQUENCE);
	bool       good = true;
	if (der_tag(&d) == (DER_CONTEXT_CONS | 0)) {
		struct der list = der_in(&d, DER_CONTEXT_CONS | 0);
		while (good && der_more(&list)) {
			struct der  subtree = der_in(&list, DER_SEQUENCE);
			uint8_t     kind = der_tag(&subtree);
			struct span base = der_get(&subtree, kind);
			good = der_done(&subtree) && subtree_text(kind, base, to);
		}
		good = good && der_done(&list);
	}
	return good && !d.bad && buf_error(to) == 0 ? 0 : E_PKI_CERT;
}
