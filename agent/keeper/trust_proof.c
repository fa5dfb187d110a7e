/* trust_proof.c - room agent/keeper: how sure is it that a service uses the trust files that lie at its place?
 * Never: looking itself. */
#include "agent/keeper/trust_proof.h"

#include "agent/keeper/keeper.h"
#include "shared/pki/cert_parts.h"

void trust_names_add(struct hash *set, struct span name_der)
{
	struct hash one;
	unsigned    carry = 0;
	digest_sha256(name_der, &one);
	for (size_t i = sizeof(set->b); i-- > 0;) {
		carry += (unsigned)set->b[i] + one.b[i];
		set->b[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

struct hash trust_names(struct span roots)
{
	struct hash       set = {{0}};
	struct span       one;
	struct cert_parts parts;
	while (der_next(&roots, &one))
		if (cert_parts_read(one, &parts) == 0)
			trust_names_add(&set, parts.t.subject);
	return set;
}

enum trust_proof trust_proof_of(const struct place *p)
{
	struct hash expected = trust_names(buf_span(&p->managed->keeper->state.trust.roots));
	if (target_probed(&p->conf) && !hash_is_none(expected) && hash_equal(expected, p->trust_seen))
		return TRUST_PROVED;
	return p->conf.reload != RELOAD_NONE ? TRUST_RELOADED : TRUST_UNPROVED;
}
