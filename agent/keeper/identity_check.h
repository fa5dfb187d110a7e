/* identity_check.h - room agent/keeper: is this certificate the link's identity on this host?
 * Never: accepting one for another key, name, host key or trust. */
#ifndef VCC_IDENTITY_CHECK_H
#define VCC_IDENTITY_CHECK_H

#include "shared/base/err.h"
#include "shared/pki/cert.h"

struct identity_wanted {
	const char *agent;
	const char *domain;
	struct hash host_hash;
	struct span link_spki;
	struct span roots; /* DER one after the other */
};

/* `at` as in cert_verify(). E_PKI_*. */
_must_check_ int identity_check(const struct identity_wanted *wanted, struct span certificate, struct span chain, int64_t at,
                                struct refusal *why);

#endif
