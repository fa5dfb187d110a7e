/* order_flow.c - room controller/core: the life of one order as one table: read it first.
 * Never: clocks, files, sockets, heap. A row that is not in the table changes nothing. */
#include "controller/core/order_flow.h"

#include "controller/core/order_effect.h"
#include "shared/base/err.h"

typedef bool guard_fn(const struct order_context *c);
typedef void effect_fn(const struct order_context *c, struct order_step *s);

struct transition {
	uint32_t              phases; /* bits 1 << enum order_phase */
	enum order_event_kind event;
	guard_fn             *guard; /* NULL = always */
	effect_fn            *effect;
	enum order_phase      next; /* ORDER_SAME = stays */
};

/* ---- guards ------------------------------------------------------------------------------------------------- */

static bool fingerprint_is_ours(const struct order_context *c)
{
	return !hash_is_none(c->event->fingerprint) && hash_equal(c->event->fingerprint, c->o->fingerprint);
}

static bool fingerprint_is_foreign(const struct order_context *c)
{
	return !hash_is_none(c->event->fingerprint) && !hash_equal(c->event->fingerprint, c->o->fingerprint);
}

static bool timer_early(const struct order_context *c)
{
	return c->now < c->o->next_at;
}

static bool key_is_known(const struct order_context *c)
{
	return hash_equal(c->event->spki_hash, c->o->spki_hash);
}

static bool serial_is_ours(const struct order_context *c)
{
	return serial_equal(c->event->serial, c->o->serial);
}

/* The signer will never sign this, but another request for the same would do. */
static bool intent_is_spent(const struct order_context *c)
{
	return serial_is_ours(c) && (c->event->code == E_SIGNER_SERIAL || c->event->code == E_SIGNER_STALE);
}

static bool signer_may_succeed_later(const struct order_context *c)
{
	enum err_kind kind = err_kind(c->event->code);
	return serial_is_ours(c) && (kind == ERR_KIND_RETRY || kind == ERR_KIND_LOCAL);
}

static bool host_is_unfit(const struct order_context *c)
{
	return c->event->code == E_SYS_SPACE || c->event->code == E_SWAP_CLOCK;
}

static bool may_retry(const struct order_context *c)
{
	return c->o->failures + 1 < c->policy->max_attempts;
}

static bool was_cancelled(const struct order_context *c)
{
	return c->event->code == E_SWAP_CANCELLED || (c->o->flags & ORDER_CANCEL_ASKED) != 0;
}

static bool verified_ends(const struct order_context *c)
{
	return fingerprint_is_ours(c) && c->policy->verified_is_enough;
}

static bool kept_ends(const struct order_context *c)
{
	return fingerprint_is_ours(c) && !c->policy->post_validation;
}

static bool is_kept(const struct order_context *c)
{
	return (c->o->flags & ORDER_UNVERIFIED) != 0;
}

static bool cancel_asked(const struct order_context *c)
{
	return (c->o->flags & ORDER_CANCEL_ASKED) != 0;
}

static bool unproved_is_ours(const struct order_context *c)
{
	return fingerprint_is_ours(c) && (c->o->flags & ORDER_UNVERIFIED) != 0;
}

static bool proved_after_end(const struct order_context *c)
{
	return fingerprint_is_ours(c) && c->o->verified_at > c->o->completed_at;
}

static void nothing(const struct order_context *c, struct order_step *s)
{
	(void)c;
	(void)s;
}

/* ---- the table ---------------------------------------------------------------------------------------------- */

#define P(phase)   (1u << ORDER_##phase)
#define BEFORE_CSR (P(ORDERED) | P(CSR_RECEIVED))
#define AT_AGENT   (P(ISSUED) | P(DELIVERED))
#define UNDER_WAY  (BEFORE_CSR | P(SIGNING) | AT_AGENT | P(VERIFIED))
#define ENDED      (P(COMPLETED) | P(FAILED) | P(ROLLED_BACK) | P(CANCELLED))
#define ORDER_SAME ORDER_PHASE_COUNT

/* The first row that fits decides. */
/* clang-format off */
static const struct transition table[] = {
	/* phases                              event              guard                     effect                      next */
	{P(PLANNED),                            EV_DISPATCH,       NULL,                     effect_attempt,             ORDER_ORDERED},
	{P(AWAITING_APPROVAL),                  EV_APPROVED,       NULL,                     effect_approved,            ORDER_ORDERED},
	{P(AWAITING_APPROVAL),                  EV_REJECTED,       NULL,                     effect_cancel_quiet,        ORDER_CANCELLED},

	{BEFORE_CSR,                            EV_CSR,            NULL,                     effect_csr,                 ORDER_SIGNING},
	{P(SIGNING),                            EV_CSR,            key_is_known,             nothing,                    ORDER_SAME},
	{AT_AGENT,                              EV_CSR,            key_is_known,             effect_send_certificate,    ORDER_SAME},
	{P(SIGNING) | AT_AGENT,                 EV_CSR,            NULL,                     effect_mismatch,            ORDER_SAME},
	{ENDED,                                 EV_CSR,            NULL,                     effect_csr_of_ended,        ORDER_SAME},
	{BEFORE_CSR,                            EV_CSR_BAD,        may_retry,                effect_retry,               ORDER_RETRY_WAIT},
	{BEFORE_CSR,                            EV_CSR_BAD,        NULL,                     effect_pause,               ORDER_PAUSED},

	{P(SIGNING),                            EV_ISSUED,         serial_is_ours,           effect_issued,              ORDER_ISSUED},
	{P(SIGNING),                            EV_SIGN_FAILED,    intent_is_spent,          effect_other_intent,        ORDER_RETRY_WAIT},
	{P(SIGNING),                            EV_SIGN_FAILED,    signer_may_succeed_later, effect_sign_later,          ORDER_SAME},
	{P(SIGNING),                            EV_SIGN_FAILED,    serial_is_ours,           effect_sign_refused,        ORDER_FAILED},
	{P(SIGNING),                            EV_RESTART,        NULL,                     effect_sign_again,          ORDER_SAME},
	{P(CSR_RECEIVED),                       EV_RESTART,        NULL,                     nothing,                    ORDER_ORDERED},

	{P(ISSUED),                             EV_DELIVERED,      NULL,                     nothing,                    ORDER_DELIVERED},

	{AT_AGENT | P(VERIFIED),                EV_VERIFIED,       fingerprint_is_foreign,   effect_mismatch,            ORDER_SAME},
	{AT_AGENT,                              EV_VERIFIED,       verified_ends,            effect_settled,             ORDER_COMPLETED},
	{AT_AGENT,                              EV_VERIFIED,       fingerprint_is_ours,      effect_verified,            ORDER_VERIFIED},
	{P(COMPLETED),                          EV_VERIFIED,       unproved_is_ours,         effect_verified_late,       ORDER_SAME},
	{AT_AGENT | P(VERIFIED),                EV_SETTLED,        fingerprint_is_foreign,   effect_mismatch,            ORDER_SAME},
	{AT_AGENT | P(VERIFIED),                EV_SETTLED,        fingerprint_is_ours,      effect_settled,             ORDER_COMPLETED},
	{P(COMPLETED),                          EV_SETTLED,        unproved_is_ours,         effect_settled_late,        ORDER_SAME},
	{P(COMPLETED),                          EV_SETTLED,        proved_after_end,         effect_settled_late,        ORDER_SAME},
	{P(VERIFIED),                           EV_STALE_AGAIN,    NULL,                     effect_stale_again,         ORDER_DELIVERED},

	{AT_AGENT,                              EV_KEPT,           fingerprint_is_foreign,   effect_mismatch,            ORDER_SAME},
	{AT_AGENT,                              EV_KEPT,           kept_ends,                effect_kept_enough,         ORDER_COMPLETED},
	{AT_AGENT,                              EV_KEPT,           fingerprint_is_ours,      effect_kept,                ORDER_DELIVERED},

	{UNDER_WAY,                             EV_TARGET_FAILED,  fingerprint_is_foreign,   effect_mismatch,            ORDER_SAME},
	{UNDER_WAY,                             EV_TARGET_FAILED,  was_cancelled,            effect_cancelled,           ORDER_CANCELLED},
	{UNDER_WAY,                             EV_TARGET_FAILED,  host_is_unfit,            effect_retry_soon,          ORDER_RETRY_WAIT},
	{UNDER_WAY,                             EV_TARGET_FAILED,  may_retry,                effect_retry,               ORDER_RETRY_WAIT},
	{UNDER_WAY,                             EV_TARGET_FAILED,  NULL,                     effect_pause,               ORDER_PAUSED},
	{UNDER_WAY,                             EV_ANSWER_REFUSED, cancel_asked,             effect_cancelled,           ORDER_CANCELLED},
	{UNDER_WAY,                             EV_ANSWER_REFUSED, host_is_unfit,            effect_retry_soon,          ORDER_RETRY_WAIT},
	{UNDER_WAY,                             EV_ANSWER_REFUSED, may_retry,                effect_retry,               ORDER_RETRY_WAIT},
	{UNDER_WAY,                             EV_ANSWER_REFUSED, NULL,                     effect_pause,               ORDER_PAUSED},

	{P(PLANNED) | P(AWAITING_APPROVAL) | P(RETRY_WAIT) | P(PAUSED),
	                                        EV_CANCEL,         NULL,                     effect_cancel_quiet,        ORDER_CANCELLED},
	{BEFORE_CSR | P(SIGNING),               EV_CANCEL,         NULL,                     effect_cancel,              ORDER_CANCELLED},
	{AT_AGENT,                              EV_CANCEL,         NULL,                     effect_cancel_ask,          ORDER_SAME},

	{UNDER_WAY | P(RETRY_WAIT) | P(PAUSED), EV_TIMER,          timer_early,              nothing,                    ORDER_SAME},
	{BEFORE_CSR,                            EV_TIMER,          NULL,                     effect_order_again,         ORDER_ORDERED},
	{P(SIGNING),                            EV_TIMER,          NULL,                     effect_sign_again,          ORDER_SAME},
	{AT_AGENT,                              EV_TIMER,          is_kept,                  effect_complete_unverified, ORDER_COMPLETED},
	{AT_AGENT,                              EV_TIMER,          cancel_asked,             effect_cancel_again,        ORDER_SAME},
	{AT_AGENT | P(VERIFIED),                EV_TIMER,          NULL,                     effect_certificate_again,   ORDER_SAME},
	{P(RETRY_WAIT) | P(PAUSED),             EV_TIMER,          NULL,                     effect_attempt,             ORDER_ORDERED},
	{P(RETRY_WAIT) | P(PAUSED),             EV_DISPATCH,       NULL,                     effect_attempt,             ORDER_ORDERED},
};
/* clang-format on */

static const struct transition *transition_find(const struct order_context *c)
{
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		const struct transition *t = &table[i];
		if ((t->phases & (1u << c->o->phase)) != 0 && t->event == c->event->kind && (t->guard == NULL || t->guard(c)))
			return t;
	}
	return NULL;
}

/* Messages of older attempts say nothing any more; only who still asks for an ended order is told that it ended. */
static bool is_of_attempt(const struct order *o, const struct order_event *event)
{
	if (event->attempt == 0 || event->attempt == o->attempt)
		return true;
	return event->kind == EV_CSR && event->attempt < o->attempt && (ENDED & (1u << o->phase)) != 0;
}

int order_flow_step(const struct order *o, const struct order_event *event, int64_t now, const struct order_policy *policy,
		    struct order_step *ret)
{
	if (!id_equal(event->renewal_id, o->renewal_id) || (unsigned)o->phase >= ORDER_PHASE_COUNT)
		return E_ORDER_EVENT;

	struct order_context     c = {.o = o, .event = event, .policy = policy, .now = now};
	struct order_step        step = {.next = *o, .ignored = true};
	const struct transition *t = is_of_attempt(o, event) ? transition_find(&c) : NULL;
	if (t != NULL) {
		step.ignored = false;
		t->effect(&c, &step);
		if (t->next != ORDER_SAME)
			step.next.phase = t->next;
	}
	*ret = step;
	return 0;
}

bool order_flow_attended(const struct order *o)
{
	return o->trigger == TRIGGER_MANUAL || (o->flags & (ORDER_FORCED | ORDER_APPROVED)) != 0;
}

/* ---- names -------------------------------------------------------------------------------------------------- */

const char *order_event_name(enum order_event_kind k)
{
	static const char *const names[EV_KIND_COUNT] = {
		[EV_DISPATCH] = "dispatch",
		[EV_APPROVED] = "approved",
		[EV_REJECTED] = "rejected",
		[EV_CSR] = "csr",
		[EV_CSR_BAD] = "csr_bad",
		[EV_ISSUED] = "issued",
		[EV_SIGN_FAILED] = "sign_failed",
		[EV_DELIVERED] = "delivered",
		[EV_VERIFIED] = "verified",
		[EV_SETTLED] = "settled",
		[EV_TARGET_FAILED] = "target_failed",
		[EV_ANSWER_REFUSED] = "answer_refused",
		[EV_KEPT] = "kept",
		[EV_STALE_AGAIN] = "stale_again",
		[EV_CANCEL] = "cancel",
		[EV_TIMER] = "timer",
		[EV_RESTART] = "restart",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *order_action_name(enum order_action_kind k)
{
	static const char *const names[ACT_KIND_COUNT] = {
		[ACT_SEND_ORDER] = "send_order",
		[ACT_SEND_CERTIFICATE] = "send_certificate",
		[ACT_SEND_CANCEL] = "send_cancel",
		[ACT_CLEAR_OUTBOX] = "clear_outbox",
		[ACT_ADD_INTENT] = "add_intent",
		[ACT_STORE_ISSUED] = "store_issued",
		[ACT_VOID_INTENT] = "void_intent",
		[ACT_PROVE] = "prove",
		[ACT_ADOPT] = "adopt",
		[ACT_SUPERSEDE] = "supersede",
		[ACT_REVOKE_NEW] = "revoke_new",
		[ACT_COUNT_RENEWAL] = "count_renewal",
		[ACT_CLOSE] = "close",
		[ACT_AUDIT] = "audit",
		[ACT_SIGN] = "sign",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *order_audit_name(enum order_audit a)
{
	static const char *const names[ORDER_AUDIT_COUNT] = {
		[ORDER_AUDIT_NONE] = "none",     [ORDER_AUDIT_INTENT] = "intent",       [ORDER_AUDIT_ISSUED] = "issued",
		[ORDER_AUDIT_PROVED] = "proved", [ORDER_AUDIT_COMPLETED] = "completed", [ORDER_AUDIT_FAILED] = "failed",
		[ORDER_AUDIT_PAUSED] = "paused", [ORDER_AUDIT_CANCELLED] = "cancelled", [ORDER_AUDIT_VOIDED] = "voided",
		[ORDER_AUDIT_STEP] = "step",     [ORDER_AUDIT_MISMATCH] = "mismatch",
	};
	return (size_t)a < N_ELEMENTS(names) ? names[a] : "unknown";
}
