/* gateway_trust.c - room controller/daemon: the agents' authorities that are not over, as one message.
 * Never: asking a gateway anything. */
#include "controller/daemon/gateway_trust.h"

#include "controller/daemon/catalog.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/state.h"
#include "shared/pki/key.h"

void gateway_trust_tell(struct controller *ctl, uint64_t gateway)
{
	const struct catalog_issuer *now = catalog_issuer_of_role(ctl->catalog, ISSUER_AGENT), *one;
	struct buf                   agents = BUF_MAX(CHAIN_DER_MAX);
	struct gw_trust              m = {.agents = {NULL, 0}};
	for (size_t i = 0; (one = catalog_issuer_at(ctl->catalog, i)) != NULL; i++)
		if (one->row.role == ISSUER_AGENT && !one->row.retired && one->row.revoked_at == 0)
			buf_add(&agents, one->row.der, one->row.der_len);
	if (now != NULL)
		digest_sha256(now->chain_root, &m.chain);
	m.agents = buf_span(&agents);
	if (buf_error(&agents) == 0)
		(void)gateways_send(ctl, gateway, GW_TRUST, 0, &m);
	buf_free(&agents);
}

void gateway_trust_changed(struct controller *ctl)
{
	gateways_each(ctl, gateway_trust_tell);
}
