/* hierarchy.h - a complete small PKI in memory for tests: root, service, agent and code-signing CA.
 * Never: in a program. */
#ifndef VCC_TEST_HIERARCHY_H
#define VCC_TEST_HIERARCHY_H

#include "shared/pki/issue.h"
#include "shared/pki/key.h"

#define HIERARCHY_URL    "http://pki.vcc.internal"
#define HIERARCHY_DOMAIN "vcc.internal"

struct hierarchy {
	struct key      *key[ISSUER_ROLE_COUNT];
	struct issuer    issuer[ISSUER_ROLE_COUNT];
	struct issue_ca *ca[ISSUER_ROLE_COUNT];
	int64_t          now_at; /* CAs are valid from one hour before */
};

/* Root P-384, the others P-256; service CA for vcc.internal and example.org, without addresses unless `ip_ranges`.
 * `service_key`: type of the service CA's key. Aborts on failure. */
void        hierarchy_make(struct hierarchy *h, int64_t now_at, enum key_type service_key, const char *ip_ranges);
void        hierarchy_free(struct hierarchy *h);
struct span hierarchy_der(const struct hierarchy *h, enum issuer_role role);

/* Facts of a typical leaf of the profile, valid from now for `validity_ms`, with the public half of `k`. */
void hierarchy_facts(const struct hierarchy *h, enum leaf_profile profile, const struct key *k, int64_t validity_ms,
		     uint64_t counter, struct cert_facts *ret);
/* tbs + lint + sign by the profile's CA. */
_must_check_ int hierarchy_issue(const struct hierarchy *h, const struct cert_facts *facts, struct buf *to,
				 struct refusal *why);
/* The key's file, at a cost that no test waits for. Aborts on failure. */
void             hierarchy_seal(const struct key *k, struct span passphrase, struct buf *to);
enum issuer_role hierarchy_role(enum leaf_profile profile);

#endif
