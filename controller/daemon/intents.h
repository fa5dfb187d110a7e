/* intents.h - room controller/daemon: from facts to an intent: serial, shard, TBS hash and the signing request as one issuance
 * row. Never: storing or sending it. */
#ifndef VCC_INTENTS_H
#define VCC_INTENTS_H

#include "controller/daemon/catalog.h"
#include "controller/daemon/signer_client.h"

/* Draws the serial; `facts` comes with everything but serial, issuer_id and shard, which are filled in. `ret` becomes a row in
 * state INTENT whose DER is the encoded SG_ISSUE. E_SYS_AGAIN (serials_wait), E_PKI_LINT, E_WIRE_LIMIT. */
_must_check_ int intent_make(struct controller *ctl, struct catalog_issuer *issuer, struct cert_facts *facts, int64_t now,
			     struct issuance *ret);
/* The same for a certificate's key, by its template as of now; the key's type is the caller's matter. Also E_CA_REVOKED,
 * E_ISSUE_OUTLIVES. */
_must_check_ int intent_for(struct controller *ctl, const struct certificate *cert, const struct template *t, struct span spki,
			    struct id renewal_id, struct issuance *ret);
/* The same for a drill: of short life, and marked. */
_must_check_ int intent_for_drill(struct controller *ctl, const struct certificate *cert, const struct template *t, struct span spki,
				  struct id renewal_id, struct issuance *ret);
/* May this certificate be for this key? Keys are never shared (LIFECYCLE 7), and one that somebody else may have is never certified again.
 * `fresh`: the order asks for a new one. What its own order `renewal_id` certified stands against nothing: that is a repeat. E_KEY_*. */
_must_check_ int intent_key_fits(struct controller *ctl, const char *cert_id, struct hash spki_hash, struct id renewal_id, bool fresh);
/* Could a certificate of this template be signed now? What signs code must not outlive its CA; asked before a person is. E_CA_REVOKED,
 * E_ISSUE_OUTLIVES, E_SIGNER_LIMIT. */
_must_check_ int intent_possible(struct controller *ctl, const struct template *t);
/* Hands a stored intent's request to the signer. */
void intent_ask(struct controller *ctl, const struct issuance *intent, const struct ticket *ticket);

/* The signer's answer belongs to the intent: same TBS bytes. Fills fingerprint, DER and state ISSUED. E_SIGNER_HASH,
 * E_PKI_CERT. */
_must_check_ int intent_signed(const struct issuance *intent, struct span certificate, struct issuance *ret);

#endif
