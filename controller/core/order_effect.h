/* order_effect.h - room controller/core, inside: the effects of the transitions, by name, for the table in order_flow.c.
 * Never: used outside this room. */
#ifndef VCC_ORDER_EFFECT_H
#define VCC_ORDER_EFFECT_H

#include "controller/core/order_flow.h"

struct order_context {
	const struct order        *o;
	const struct order_event  *event;
	const struct order_policy *policy;
	int64_t                    now;
};

/* Each fills `s->next` (the phase is the table's) and the actions. */
void effect_attempt(const struct order_context *c, struct order_step *s);
void effect_approved(const struct order_context *c, struct order_step *s);
void effect_csr(const struct order_context *c, struct order_step *s);
void effect_sign_again(const struct order_context *c, struct order_step *s);
void effect_sign_later(const struct order_context *c, struct order_step *s);
void effect_issued(const struct order_context *c, struct order_step *s);
void effect_other_intent(const struct order_context *c, struct order_step *s);
void effect_sign_refused(const struct order_context *c, struct order_step *s);
void effect_order_again(const struct order_context *c, struct order_step *s);
void effect_certificate_again(const struct order_context *c, struct order_step *s);
void effect_cancel_again(const struct order_context *c, struct order_step *s);
void effect_verified(const struct order_context *c, struct order_step *s);
void effect_verified_late(const struct order_context *c, struct order_step *s);
void effect_settled(const struct order_context *c, struct order_step *s);
void effect_settled_late(const struct order_context *c, struct order_step *s);
void effect_kept(const struct order_context *c, struct order_step *s);
void effect_complete_unverified(const struct order_context *c, struct order_step *s);
void effect_kept_enough(const struct order_context *c, struct order_step *s);
void effect_retry(const struct order_context *c, struct order_step *s);
void effect_retry_soon(const struct order_context *c, struct order_step *s);
void effect_pause(const struct order_context *c, struct order_step *s);
void effect_cancel_quiet(const struct order_context *c, struct order_step *s);
void effect_cancel(const struct order_context *c, struct order_step *s);
void effect_cancel_ask(const struct order_context *c, struct order_step *s);
void effect_cancelled(const struct order_context *c, struct order_step *s);
void effect_csr_of_ended(const struct order_context *c, struct order_step *s);
void effect_send_certificate(const struct order_context *c, struct order_step *s);
void effect_mismatch(const struct order_context *c, struct order_step *s);
void effect_stale_again(const struct order_context *c, struct order_step *s);

#endif
