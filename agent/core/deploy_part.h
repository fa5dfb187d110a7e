/* deploy_part.h - room agent/core, inside: what the handlers of a deployment share: the context, how a step is built, and the
 * handlers by name, for the table in deploy.c. Never: used outside this room. */
#ifndef VCC_DEPLOY_PART_H
#define VCC_DEPLOY_PART_H

#include "agent/core/deploy.h"

struct context {
	const struct deploy        *d;
	const struct deploy_event  *event;
	const struct deploy_policy *policy;
	int64_t                     now;
};

/* Bits of phases. */
#define P(phase)    (1u << DEPLOY_##phase)
#define BEFORE_FLIP (P(KEY) | P(CSR) | P(WINDOW) | P(CHECK) | P(WRITE) | P(TEST))
#define FROM_FLIP   (P(FLIP) | P(RELOAD) | P(PROBE) | P(SETTLE) | P(BACK_FLIP) | P(BACK_RELOAD) | P(BACK_PROBE))
#define AFTER_CSR   (P(WINDOW) | P(CHECK) | P(WRITE) | P(TEST) | FROM_FLIP | P(HEAL))
#define UNDER_WAY   (BEFORE_FLIP | FROM_FLIP | P(HEAL))
#define AT_REST     (P(NONE) | P(DONE) | P(HEAL))

/* ---- building a step (deploy_part.c) ---- */
struct deploy_action *part_add(struct deploy_step *s, enum deploy_action_kind kind);
void                  part_enter(struct deploy_step *s, enum deploy_phase phase);         /* saved */
void                  part_enter_durably(struct deploy_step *s, enum deploy_phase phase); /* saved and synced */
void                  part_note(struct deploy_step *s, int code, const char *cause);      /* the first failure stays */
void                  part_receipt(struct deploy_step *s, enum receipt_outcome outcome);
void                  part_give_up(struct deploy_step *s, enum receipt_outcome outcome); /* the attempt is over, its files go */
int64_t               part_backoff(int64_t min_ms, int64_t max_ms, uint32_t tries, uint32_t random);
bool                  part_was_proved(const struct deploy *d);

/* ---- handlers up to the flip (before.c) ---- */
void before_order(const struct context *c, struct deploy_step *s);
void before_ack_only(const struct context *c, struct deploy_step *s);
void before_order_again(const struct context *c, struct deploy_step *s);
void before_receipt_again(const struct context *c, struct deploy_step *s);
void before_certificate(const struct context *c, struct deploy_step *s);
void before_certificate_again(const struct context *c, struct deploy_step *s);
void before_window_over(const struct context *c, struct deploy_step *s);
void before_window_closed(const struct context *c, struct deploy_step *s);
void before_restart_window(const struct context *c, struct deploy_step *s);
void before_foreign_key(const struct context *c, struct deploy_step *s);
void before_unknown_certificate(const struct context *c, struct deploy_step *s);
void before_cancel(const struct context *c, struct deploy_step *s);
void before_unknown_cancel(const struct context *c, struct deploy_step *s);
void before_key(const struct context *c, struct deploy_step *s);
void before_failed(const struct context *c, struct deploy_step *s);
void before_key_late(const struct context *c, struct deploy_step *s);
void before_csr_again(const struct context *c, struct deploy_step *s);
void before_check_refused(const struct context *c, struct deploy_step *s);
void before_checked(const struct context *c, struct deploy_step *s);
void before_written(const struct context *c, struct deploy_step *s);
void before_flip(const struct context *c, struct deploy_step *s);
void before_tested(const struct context *c, struct deploy_step *s);
void before_test_late(const struct context *c, struct deploy_step *s);
void before_restarts(const struct context *c, struct deploy_step *s);
void before_restart_key(const struct context *c, struct deploy_step *s);
void before_restart_csr(const struct context *c, struct deploy_step *s);
void before_restart_check(const struct context *c, struct deploy_step *s);
void before_restart_write(const struct context *c, struct deploy_step *s);
void before_restart_test(const struct context *c, struct deploy_step *s);

/* ---- handlers from the flip on (after.c) ---- */
void after_flipped(const struct context *c, struct deploy_step *s);
void after_reloaded(const struct context *c, struct deploy_step *s);
void after_reload_late(const struct context *c, struct deploy_step *s);
void after_flip_back(const struct context *c, struct deploy_step *s);
void after_reload_failed_unprobed(const struct context *c, struct deploy_step *s);
void after_not_served(const struct context *c, struct deploy_step *s);
void after_verified(const struct context *c, struct deploy_step *s);
void after_settled(const struct context *c, struct deploy_step *s);
void after_not_settled(const struct context *c, struct deploy_step *s);
void after_heal_reloaded(const struct context *c, struct deploy_step *s);
void after_heal_again(const struct context *c, struct deploy_step *s);
void after_back_failed(const struct context *c, struct deploy_step *s);
void after_back_again(const struct context *c, struct deploy_step *s);
void after_back(const struct context *c, struct deploy_step *s);
void after_back_reloaded(const struct context *c, struct deploy_step *s);
void after_back_done(const struct context *c, struct deploy_step *s);
void after_back_not_served(const struct context *c, struct deploy_step *s);
void after_flip_undone(const struct context *c, struct deploy_step *s);
void after_restart_flipped(const struct context *c, struct deploy_step *s);
void after_restart_heal(const struct context *c, struct deploy_step *s);

#endif
