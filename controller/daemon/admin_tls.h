/* admin_tls.h - room controller/daemon: the admin listener's own key and certificate, kept in the state folder.
 * Renewed at half of its life through the signer, like everything else. Never: serving. */
#ifndef VCC_ADMIN_TLS_H
#define VCC_ADMIN_TLS_H

#include "controller/daemon/catalog.h"
#include "controller/daemon/controller.h"

/* Names of the admin listener that the issuer may certify: the public name and the addresses it listens on. E_PKI_NAMES: none
 * of them. */
_must_check_ int admin_tls_names(struct controller *ctl, const struct catalog_issuer *issuer, struct cert_facts *facts);

struct admin_tls;
_must_check_ int admin_tls_open(struct controller *ctl, struct admin_tls **ret, struct refusal *why);
void             admin_tls_free(struct admin_tls *a);
void             admin_tls_tick(struct controller *ctl, struct admin_tls *a, int64_t now);
bool             admin_tls_get(const struct admin_tls *a, struct span *ret_chain_pem, struct span *ret_key_pem);
bool             admin_tls_valid(const struct admin_tls *a, int64_t now);

#endif
