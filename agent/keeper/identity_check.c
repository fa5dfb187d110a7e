/* identity_check.c - room agent/keeper: is this certificate the link's identity on this host?
 * Never: accepting one for another key, name, host key or trust. */
#include "agent/keeper/identity_check.h"

#include <stdio.h>

#include "shared/base/text.h"

static const char object[] = "identity certificate";

int identity_check(const struct identity_wanted *wanted, struct span certificate, struct span chain, int64_t at,
                   struct refusal *why)
{
	struct cert_info info;
	struct hash      spki_hash;
	char             uri[URI_SIZE];
	char             text[HASH_TEXT_SIZE];
	int              r = cert_read(certificate, &info);
	if (r != 0)
		return refuse(why, r, object, "%s", err_what(r));
	digest_sha256(wanted->link_spki, &spki_hash);
	if (!hash_equal(info.spki_hash, spki_hash))
		return refuse(why, E_PKI_MISMATCH, object, "it is not for the link's key");
	int n = snprintf(uri, sizeof(uri), "spiffe://%s/agent/%s", wanted->domain, wanted->agent);
	if (n < 0 || (size_t)n >= sizeof(uri) || !text_equal(info.uri, uri))
		return refuse(why, E_PKI_NAMES, object, "it names `%.120s` instead of `%.120s`", info.uri, uri);
	if (!text_equal(info.host_hash, hash_text(wanted->host_hash, text)))
		return refuse(why, E_PKI_MISMATCH, object, "it is not bound to this host's key");
	if (info.is_ca)
		return refuse(why, E_PKI_CHAIN, object, "it is a CA certificate");
	return cert_verify(certificate, chain, wanted->roots, EKU_CLIENT_AUTH, at, why);
}
