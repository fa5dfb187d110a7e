/* revocations.h - room controller/daemon: what people order about a certificate's standing: revoke, replace, suspend, resume.
 * Every call: check, one change with its audit record, answer when stored. Never: rights (the API has checked them). */
#ifndef VCC_REVOCATIONS_H
#define VCC_REVOCATIONS_H

#include "controller/daemon/controller.h"

/* Renews first: an order like `renew --force`; what it replaces is revoked with `reason` as soon as the new one is settled,
 * without grace. What was replaced before and is still in its grace is revoked at once. Codes of controller_order(),
 * E_REVOKE_NOT_ISSUED. */
void controller_replace(struct controller *ctl, const char *cert_id, enum revoke_reason reason, const struct caller *who,
			api_done_fn *done, void *ctx);
/* certificateHold: an open order before the flip is cancelled; one that the host has flipped finishes, and what it brings is
 * held, too. Nothing is scheduled until the certificate is resumed. E_ORDER_REVOKED, E_ORDER_SUSPENDED. */
void controller_suspend(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx);
/* Back in force; when it has become due meanwhile its renewal is ordered in the same change (result.order). E_ORDER_REVOKED,
 * E_ORDER_NOT_SUSPENDED. */
void controller_resume(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx);

/* Would the service of `cert` be left without any listener whose certificate is in force? For a worker: it reads lists. */
_must_check_ int revocation_is_last(struct store_view *view, const struct certificate *cert, int64_t now, bool *ret);

#endif
