/* stages.h - room controller/daemon: next keys that hosts have made before anybody orders: taken, judged, reserved, dropped.
 * At most one for each certificate; the signer never sees its request. Never: a key that a host had for another host's certificate. */
#ifndef VCC_STAGES_H
#define VCC_STAGES_H

#include "controller/core/order_flow.h"
#include "controller/daemon/commit.h"
#include "shared/model/messages.h"

/* A host's offer whose signature and proof of possession were checked by a worker; acked when it is stored. E_NOT_FOUND, E_POLICY_*,
 * E_STAGE_UNWANTED. */
_must_check_ int stages_take(struct controller *ctl, const char *agent, uint64_t id, const struct body_stage *body, struct span spki,
			     enum key_type key_type);

/* An attempt of `o` is to begin. Where the certificate's staged key fits, makes the intent for it and fills in what the event says of it.
 * `cert` NULL: read here. Returns the version of the template that the intent was made from; 0 = the host must be asked. */
uint32_t stages_begin(struct controller *ctl, const struct order *o, const struct certificate *cert, const struct order_policy *policy,
		      struct order_event *ev, struct issuance *ret);

/* ---- in the change of an order's step ---- */
_must_check_ int stages_reserve(struct controller *ctl, struct commit *c, const struct order *o);
void             stages_used(struct controller *ctl, struct commit *c, const struct order *o);
/* Not one that another order has reserved. Its host is told to make another. */
void             stages_drop(struct controller *ctl, struct commit *c, const struct order *o);

/* ---- when something else changes ---- */
/* Drops the key if a certificate made by `t` could not be for it. */
void stages_judge(struct controller *ctl, const struct certificate *cert, const struct template *t);
/* The host has told of its target, and could have a key ready that we do not know of, or none: it is asked for one. */
void stages_ask(struct controller *ctl, const struct certificate *cert, const struct template *t);
/* The certificate, as `cert` says, is retired or revoked: its host is told to keep none. */
void stages_over(struct controller *ctl, struct commit *c, const struct certificate *cert);
void stages_host_gone(struct controller *ctl, struct commit *c, struct hash host_hash);

#endif
