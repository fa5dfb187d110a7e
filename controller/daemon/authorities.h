/* authorities.h - room controller/daemon: what is told of CAs, and the revocation of one by its root.
 * Two persons and force: everything below it ends with it. Never: signing; making CAs. */
#ifndef VCC_AUTHORITIES_H
#define VCC_AUTHORITIES_H

#include <jansson.h>

#include "controller/daemon/commit.h"

/* One CA: names, times, what it may issue. `now` decides the state: active, standing_by, draining, retired, revoked,
 * expired. */
json_t *authority_json(const struct issuer *i, int64_t now);

/* What stops being valid with the CA: {certificates, identities, complete, services[{service, certificates}]}. For a worker: it reads up to
 * AUTHORITY_COUNTED issuances, and says by `complete` whether these were all. */
enum { AUTHORITY_COUNTED = 20000 };
_must_check_ int authority_breaks(struct store_view *view, const char *issuer_id, int64_t now, json_t **ret);

/* Asks for the second person; nothing else is done: result.waits. E_NOT_FOUND, E_CA_ROOT, E_CA_REVOKED. */
void authority_revoke_ask(struct controller *ctl, const char *issuer_id, enum revoke_reason reason, const struct caller *who, api_done_fn *done,
			  void *ctx);

/* ---- for approvals.c ---- */
_must_check_ int authority_describe(struct controller *ctl, const struct approval *a, json_t **ret);
_must_check_ int authority_carry_out(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who, struct api_result *ret);

#endif
