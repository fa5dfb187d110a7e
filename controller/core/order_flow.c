/* order_flow.c - room controller/core: the life of one order as one table: read it first, at the end of this file.
 * Never: clocks, files, sockets, heap. A row that is not in the table changes nothing. */
#include "controller/core/order_flow.h"

#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* The signer answers in milliseconds; a request without an answer is repeated (same serial, same bytes: the repeat rule). */
#define SIGN_ANSWER_MS (30 * MS_SECOND)
#define SIGN_RETRY_MS  (5 * MS_SECOND)
#define PAUSED_TRY_MS  MS_DAY
#define PAUSED_JITTER_MS (10 * MS_MINUTE)

/* What a receipt may say about a completed order; the other flags are the controller's own. */
#define RECEIPT_FLAGS (ORDER_UNVERIFIED | ORDER_DRAINING | ORDER_SERVICE_WAS_DOWN | ORDER_HOOK_FAILED)

struct context {
	const struct order        *o;
	const struct order_event  *event;
	const struct order_policy *policy;
	int64_t                    now;
};

typedef bool guard_fn(const struct context *c);
typedef void handler_fn(const struct context *c, struct order_step *s);

struct transition {
	uint32_t              phases; /* bits 1 << enum order_phase */
	enum order_event_kind event;
	guard_fn             *guard; /* NULL = always */
	handler_fn           *handler;
	enum order_phase      next; /* ORDER_PHASE_COUNT = stays */
};

/* ---- building a step ---------------------------------------------------------------------------------------- */

static struct order_action *add(struct order_step *s, enum order_action_kind kind)
{
	struct order_action *a = &s->act[s->n_act++];
	*a = (struct order_action){
		.kind = kind,
		.renewal_id = s->next.renewal_id,
		.attempt = s->next.attempt,
		.serial = s->next.serial,
	};
	if (kind != ACT_SIGN)
		s->durable = true;
	return a;
}

static void add_audit(struct order_step *s, enum order_audit audit, int code)
{
	struct order_action *a = add(s, ACT_AUDIT);
	a->audit = audit;
	a->code = code;
}

static int64_t jitter(uint32_t random, int64_t range_ms)
{
	return range_ms > 0 ? (int64_t)random % (range_ms + 1) : 0;
}

static void note_failure(const struct context *c, struct order_step *s)
{
	s->next.code = c->event->code;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
}

static void set_deadline(const struct context *c, struct order_step *s)
{
	s->next.deadline_at = c->now + c->policy->attempt_ms;
	s->next.next_at = s->next.deadline_at;
}

static void end(const struct context *c, struct order_step *s)
{
	s->next.completed_at = c->now;
	s->next.next_at = TIME_NEVER;
	add(s, ACT_CLOSE);
}

/* ---- guards ------------------------------------------------------------------------------------------------- */

static bool fingerprint_is_ours(const struct context *c)
{
	return !hash_is_none(c->event->fingerprint) && hash_equal(c->event->fingerprint, c->o->fingerprint);
}

static bool fingerprint_is_foreign(const struct context *c)
{
	return !hash_is_none(c->event->fingerprint) && !hash_equal(c->event->fingerprint, c->o->fingerprint);
}

static bool timer_early(const struct context *c)
{
	return c->now < c->o->next_at;
}

static bool key_is_known(const struct context *c)
{
	return hash_equal(c->event->spki_hash, c->o->spki_hash);
}

static bool serial_is_ours(const struct context *c)
{
	return serial_equal(c->event->serial, c->o->serial);
}

static bool serial_was_taken(const struct context *c)
{
	return serial_is_ours(c) && c->event->code == E_SIGNER_SERIAL;
}

static bool signer_may_succeed_later(const struct context *c)
{
	enum err_kind kind = err_kind(c->event->code);
	return serial_is_ours(c) && (kind == ERR_KIND_RETRY || kind == ERR_KIND_LOCAL);
}

static bool may_retry(const struct context *c)
{
	return c->o->failures + 1 < c->policy->max_attempts;
}

static bool was_cancelled(const struct context *c)
{
	return c->event->code == E_SWAP_CANCELLED || (c->o->flags & ORDER_CANCEL_ASKED) != 0;
}

static bool verified_ends(const struct context *c)
{
	return fingerprint_is_ours(c) && c->policy->verified_is_enough;
}

static bool kept_ends(const struct context *c)
{
	return fingerprint_is_ours(c) && !c->policy->post_validation;
}

static bool is_kept(const struct context *c)
{
	return (c->o->flags & ORDER_UNVERIFIED) != 0;
}

static bool cancel_asked(const struct context *c)
{
	return (c->o->flags & ORDER_CANCEL_ASKED) != 0;
}

static bool was_ordered(const struct context *c)
{
	return c->o->attempt > 0;
}

static bool unproved_is_ours(const struct context *c)
{
	return fingerprint_is_ours(c) && (c->o->flags & ORDER_UNVERIFIED) != 0;
}

static bool proved_after_end(const struct context *c)
{
	return fingerprint_is_ours(c) && c->o->verified_at > c->o->completed_at;
}

/* ---- handlers ----------------------------------------------------------------------------------------------- */

/* A new attempt: nothing of the one before it is valid any more. */
static void on_attempt(const struct context *c, struct order_step *s)
{
	struct order *n = &s->next;
	n->attempt++;
	n->serial = (struct serial){0};
	n->tbs_hash = n->fingerprint = n->spki_hash = (struct hash){0};
	n->flags &= ~(uint32_t)RECEIPT_FLAGS;
	set_deadline(c, s);
	add(s, ACT_SEND_ORDER);
}

static void on_approved(const struct context *c, struct order_step *s)
{
	s->next.flags |= ORDER_APPROVED;
	on_attempt(c, s);
}

static void on_csr(const struct context *c, struct order_step *s)
{
	s->next.spki_hash = c->event->spki_hash;
	s->next.serial = c->event->serial;
	s->next.tbs_hash = c->event->tbs_hash;
	s->next.next_at = c->now + SIGN_ANSWER_MS;
	add(s, ACT_ADD_INTENT);
	add_audit(s, ORDER_AUDIT_INTENT, 0);
	add(s, ACT_SIGN);
}

static void on_sign_again(const struct context *c, struct order_step *s)
{
	s->next.next_at = c->now + SIGN_ANSWER_MS + jitter(c->event->random, SIGN_RETRY_MS);
	add(s, ACT_SIGN);
}

static void on_sign_later(const struct context *c, struct order_step *s)
{
	note_failure(c, s);
	s->next.next_at = c->now + SIGN_RETRY_MS + jitter(c->event->random, SIGN_RETRY_MS);
}

static void on_issued(const struct context *c, struct order_step *s)
{
	s->next.fingerprint = c->event->fingerprint;
	set_deadline(c, s);
	add(s, ACT_STORE_ISSUED);
	add(s, ACT_SEND_CERTIFICATE);
	add_audit(s, ORDER_AUDIT_ISSUED, 0);
}

/* The signer's log is ahead of our counter (a restored backup): the next attempt draws a new number. Not the target's fault. */
static void on_serial_taken(const struct context *c, struct order_step *s)
{
	note_failure(c, s);
	s->next.next_at = c->now + SIGN_RETRY_MS + jitter(c->event->random, SIGN_RETRY_MS);
	add(s, ACT_VOID_INTENT);
	add(s, ACT_CLEAR_OUTBOX);
	add_audit(s, ORDER_AUDIT_VOIDED, c->event->code);
}

static void on_sign_refused(const struct context *c, struct order_step *s)
{
	note_failure(c, s);
	add(s, ACT_VOID_INTENT);
	add(s, ACT_SEND_CANCEL);
	add_audit(s, ORDER_AUDIT_VOIDED, c->event->code);
	add_audit(s, ORDER_AUDIT_FAILED, c->event->code);
	end(c, s);
}

static void on_order_again(const struct context *c, struct order_step *s)
{
	set_deadline(c, s);
	add(s, ACT_SEND_ORDER);
}

static void on_certificate_again(const struct context *c, struct order_step *s)
{
	set_deadline(c, s);
	add(s, ACT_SEND_CERTIFICATE);
}

static void on_cancel_again(const struct context *c, struct order_step *s)
{
	set_deadline(c, s);
	add(s, ACT_SEND_CANCEL);
}

static void prove(const struct context *c, struct order_step *s)
{
	s->next.verified_at = c->now;
	s->next.flags &= ~(uint32_t)ORDER_UNVERIFIED;
	s->next.flags |= c->event->flags & RECEIPT_FLAGS & ~(uint32_t)ORDER_UNVERIFIED;
	s->next.code = 0;
	s->next.cause[0] = '\0';
	add(s, ACT_PROVE);
	add_audit(s, ORDER_AUDIT_PROVED, 0);
}

static void supersede(const struct context *c, struct order_step *s)
{
	if (c->policy->code_signing || serial_is_none(c->o->old_serial))
		return;
	struct order_action *a = add(s, ACT_SUPERSEDE);
	a->serial = c->o->old_serial;
	a->at = c->now + c->policy->supersede_grace_ms;
}

static void complete(const struct context *c, struct order_step *s)
{
	add(s, ACT_COUNT_RENEWAL);
	add(s, ACT_CLEAR_OUTBOX);
	add_audit(s, ORDER_AUDIT_COMPLETED, s->next.code);
	end(c, s);
}

static void on_verified(const struct context *c, struct order_step *s)
{
	set_deadline(c, s);
	prove(c, s);
}

static void on_verified_late(const struct context *c, struct order_step *s)
{
	prove(c, s);
}

/* Also when the verified receipt never came or comes after this one. */
static void on_settled(const struct context *c, struct order_step *s)
{
	if (c->o->phase != ORDER_VERIFIED)
		prove(c, s);
	s->next.flags |= c->event->flags & RECEIPT_FLAGS & ~(uint32_t)ORDER_UNVERIFIED;
	supersede(c, s);
	complete(c, s);
}

static void on_settled_late(const struct context *c, struct order_step *s)
{
	if ((c->o->flags & ORDER_UNVERIFIED) != 0)
		prove(c, s);
	supersede(c, s);
}

static void keep(const struct context *c, struct order_step *s)
{
	note_failure(c, s);
	s->next.flags |= (c->event->flags & RECEIPT_FLAGS) | ORDER_UNVERIFIED;
}

/* The agent goes on reloading until a handshake proves it; we wait for that until the deadline. */
static void on_kept(const struct context *c, struct order_step *s)
{
	keep(c, s);
	set_deadline(c, s);
	add_audit(s, ORDER_AUDIT_STEP, c->event->code);
}

/* No proof, so no supersession: the old issuance stays good. */
static void complete_unverified(const struct context *c, struct order_step *s)
{
	add(s, ACT_ADOPT);
	complete(c, s);
}

static void on_kept_enough(const struct context *c, struct order_step *s)
{
	keep(c, s);
	complete_unverified(c, s);
}

static void end_attempt(const struct context *c, struct order_step *s)
{
	note_failure(c, s);
	s->next.failures++;
	if (!serial_is_none(c->o->serial))
		add(s, ACT_REVOKE_NEW);
	add(s, ACT_CLEAR_OUTBOX);
}

static void on_retry(const struct context *c, struct order_step *s)
{
	end_attempt(c, s);
	s->next.next_at = c->now + c->policy->retry_ms + jitter(c->event->random, c->policy->retry_ms / 10);
	add_audit(s, ORDER_AUDIT_STEP, c->event->code);
}

static void on_pause(const struct context *c, struct order_step *s)
{
	end_attempt(c, s);
	s->next.next_at = c->now + PAUSED_TRY_MS + jitter(c->event->random, PAUSED_JITTER_MS);
	add_audit(s, ORDER_AUDIT_PAUSED, c->event->code);
}

static void cancel(const struct context *c, struct order_step *s, int code)
{
	s->next.code = code;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	add_audit(s, ORDER_AUDIT_CANCELLED, code);
	end(c, s);
}

static int cancel_code(const struct context *c)
{
	return c->event->code != 0 ? c->event->code : E_SWAP_CANCELLED;
}

/* The agent knows nothing of this order (any more). */
static void on_cancel_quiet(const struct context *c, struct order_step *s)
{
	add(s, ACT_CLEAR_OUTBOX);
	cancel(c, s, cancel_code(c));
}

/* A request may be at the signer: were it signed, the certificate is on the revocation list already. */
static void on_cancel(const struct context *c, struct order_step *s)
{
	if (!serial_is_none(c->o->serial))
		add(s, ACT_REVOKE_NEW);
	add(s, ACT_SEND_CANCEL);
	cancel(c, s, cancel_code(c));
}

static void on_cancel_ask(const struct context *c, struct order_step *s)
{
	s->next.flags |= ORDER_CANCEL_ASKED;
	s->next.code = cancel_code(c);
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	add(s, ACT_SEND_CANCEL);
}

/* The agent's receipt: it stopped before the flip, or the attempt failed anyway. */
static void on_cancelled(const struct context *c, struct order_step *s)
{
	if (!serial_is_none(c->o->serial))
		add(s, ACT_REVOKE_NEW);
	add(s, ACT_CLEAR_OUTBOX);
	cancel(c, s, cancel_asked(c) ? c->o->code : E_SWAP_CANCELLED);
}

static void on_csr_of_ended(const struct context *c, struct order_step *s)
{
	(void)c;
	add(s, ACT_SEND_CANCEL);
}

static void on_send_certificate(const struct context *c, struct order_step *s)
{
	(void)c;
	add(s, ACT_SEND_CERTIFICATE);
}

static void on_mismatch(const struct context *c, struct order_step *s)
{
	add_audit(s, ORDER_AUDIT_MISMATCH, c->event->code);
}

static void on_nothing(const struct context *c, struct order_step *s)
{
	(void)c;
	(void)s;
}

static void on_stale_again(const struct context *c, struct order_step *s)
{
	note_failure(c, s);
}

/* ---- the table ---------------------------------------------------------------------------------------------- */

#define P(phase) (1u << ORDER_##phase)
#define BEFORE_CSR  (P(ORDERED) | P(CSR_RECEIVED))
#define AT_AGENT    (P(ISSUED) | P(DELIVERED))
#define UNDER_WAY   (BEFORE_CSR | P(SIGNING) | AT_AGENT | P(VERIFIED))
#define ENDED       (P(COMPLETED) | P(FAILED) | P(ROLLED_BACK) | P(CANCELLED))
#define ORDER_SAME  ORDER_PHASE_COUNT

/* The first row that fits decides. */
static const struct transition table[] = {
	/* phases                     event              guard                     handler               next */
	{P(PLANNED),                  EV_DISPATCH,       NULL,                     on_attempt,           ORDER_ORDERED},
	{P(AWAITING_APPROVAL),        EV_APPROVED,       NULL,                     on_approved,          ORDER_ORDERED},
	{P(AWAITING_APPROVAL),        EV_REJECTED,       NULL,                     on_cancel_quiet,      ORDER_CANCELLED},

	{BEFORE_CSR,                  EV_CSR,            NULL,                     on_csr,               ORDER_SIGNING},
	{P(SIGNING),                  EV_CSR,            key_is_known,             on_nothing,           ORDER_SAME},
	{AT_AGENT,                    EV_CSR,            key_is_known,             on_send_certificate,  ORDER_SAME},
	{P(SIGNING) | AT_AGENT,       EV_CSR,            NULL,                     on_mismatch,          ORDER_SAME},
	{ENDED,                       EV_CSR,            NULL,                     on_csr_of_ended,      ORDER_SAME},
	{BEFORE_CSR,                  EV_CSR_BAD,        may_retry,                on_retry,             ORDER_RETRY_WAIT},
	{BEFORE_CSR,                  EV_CSR_BAD,        NULL,                     on_pause,             ORDER_PAUSED},

	{P(SIGNING),                  EV_ISSUED,         serial_is_ours,           on_issued,            ORDER_ISSUED},
	{P(SIGNING),                  EV_SIGN_FAILED,    serial_was_taken,         on_serial_taken,      ORDER_RETRY_WAIT},
	{P(SIGNING),                  EV_SIGN_FAILED,    signer_may_succeed_later, on_sign_later,        ORDER_SAME},
	{P(SIGNING),                  EV_SIGN_FAILED,    serial_is_ours,           on_sign_refused,      ORDER_FAILED},
	{P(SIGNING),                  EV_RESTART,        NULL,                     on_sign_again,        ORDER_SAME},
	{P(CSR_RECEIVED),             EV_RESTART,        NULL,                     on_nothing,           ORDER_ORDERED},

	{P(ISSUED),                   EV_DELIVERED,      NULL,                     on_nothing,           ORDER_DELIVERED},

	{AT_AGENT | P(VERIFIED),      EV_VERIFIED,       fingerprint_is_foreign,   on_mismatch,          ORDER_SAME},
	{AT_AGENT,                    EV_VERIFIED,       verified_ends,            on_settled,           ORDER_COMPLETED},
	{AT_AGENT,                    EV_VERIFIED,       fingerprint_is_ours,      on_verified,          ORDER_VERIFIED},
	{P(COMPLETED),                EV_VERIFIED,       unproved_is_ours,         on_verified_late,     ORDER_SAME},
	{AT_AGENT | P(VERIFIED),      EV_SETTLED,        fingerprint_is_foreign,   on_mismatch,          ORDER_SAME},
	{AT_AGENT | P(VERIFIED),      EV_SETTLED,        fingerprint_is_ours,      on_settled,           ORDER_COMPLETED},
	{P(COMPLETED),                EV_SETTLED,        unproved_is_ours,         on_settled_late,      ORDER_SAME},
	{P(COMPLETED),                EV_SETTLED,        proved_after_end,         on_settled_late,      ORDER_SAME},
	{P(VERIFIED),                 EV_STALE_AGAIN,    NULL,                     on_stale_again,       ORDER_DELIVERED},

	{AT_AGENT,                    EV_KEPT,           fingerprint_is_foreign,   on_mismatch,          ORDER_SAME},
	{AT_AGENT,                    EV_KEPT,           kept_ends,                on_kept_enough,       ORDER_COMPLETED},
	{AT_AGENT,                    EV_KEPT,           fingerprint_is_ours,      on_kept,              ORDER_DELIVERED},

	{UNDER_WAY,                   EV_TARGET_FAILED,  fingerprint_is_foreign,   on_mismatch,          ORDER_SAME},
	{UNDER_WAY,                   EV_TARGET_FAILED,  was_cancelled,            on_cancelled,         ORDER_CANCELLED},
	{UNDER_WAY,                   EV_TARGET_FAILED,  may_retry,                on_retry,             ORDER_RETRY_WAIT},
	{UNDER_WAY,                   EV_TARGET_FAILED,  NULL,                     on_pause,             ORDER_PAUSED},
	{UNDER_WAY,                   EV_ANSWER_REFUSED, cancel_asked,             on_cancelled,         ORDER_CANCELLED},
	{UNDER_WAY,                   EV_ANSWER_REFUSED, may_retry,                on_retry,             ORDER_RETRY_WAIT},
	{UNDER_WAY,                   EV_ANSWER_REFUSED, NULL,                     on_pause,             ORDER_PAUSED},

	{P(PLANNED) | P(AWAITING_APPROVAL) | P(RETRY_WAIT) | P(PAUSED),
	                              EV_CANCEL,         NULL,                     on_cancel_quiet,      ORDER_CANCELLED},
	{BEFORE_CSR | P(SIGNING),     EV_CANCEL,         was_ordered,              on_cancel,            ORDER_CANCELLED},
	{AT_AGENT,                    EV_CANCEL,         NULL,                     on_cancel_ask,        ORDER_SAME},

	{UNDER_WAY | P(RETRY_WAIT) | P(PAUSED),
	                              EV_TIMER,          timer_early,              on_nothing,           ORDER_SAME},
	{BEFORE_CSR,                  EV_TIMER,          NULL,                     on_order_again,       ORDER_ORDERED},
	{P(SIGNING),                  EV_TIMER,          NULL,                     on_sign_again,        ORDER_SAME},
	{AT_AGENT,                    EV_TIMER,          is_kept,                  complete_unverified,  ORDER_COMPLETED},
	{AT_AGENT,                    EV_TIMER,          cancel_asked,             on_cancel_again,      ORDER_SAME},
	{AT_AGENT | P(VERIFIED),      EV_TIMER,          NULL,                     on_certificate_again, ORDER_SAME},
	{P(RETRY_WAIT) | P(PAUSED),   EV_TIMER,          NULL,                     on_attempt,           ORDER_ORDERED},
	{P(RETRY_WAIT) | P(PAUSED),   EV_DISPATCH,       NULL,                     on_attempt,           ORDER_ORDERED},
};

static const struct transition *transition_find(const struct context *c)
{
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		const struct transition *t = &table[i];
		if ((t->phases & (1u << c->o->phase)) != 0 && t->event == c->event->kind && (t->guard == NULL || t->guard(c)))
			return t;
	}
	return NULL;
}

int order_flow_step(const struct order *o, const struct order_event *event, int64_t now,
                    const struct order_policy *policy, struct order_step *ret)
{
	if (!id_equal(event->renewal_id, o->renewal_id) || (unsigned)o->phase >= ORDER_PHASE_COUNT)
		return E_ORDER_EVENT;

	struct context c = {.o = o, .event = event, .policy = policy, .now = now};
	struct order_step step = {.next = *o, .ignored = true};
	bool of_this_attempt = event->attempt == 0 || event->attempt == o->attempt;
	const struct transition *t = of_this_attempt ? transition_find(&c) : NULL;
	if (t != NULL) {
		step.ignored = false;
		t->handler(&c, &step);
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
		[ORDER_AUDIT_NONE] = "none",
		[ORDER_AUDIT_INTENT] = "intent",
		[ORDER_AUDIT_ISSUED] = "issued",
		[ORDER_AUDIT_PROVED] = "proved",
		[ORDER_AUDIT_COMPLETED] = "completed",
		[ORDER_AUDIT_FAILED] = "failed",
		[ORDER_AUDIT_PAUSED] = "paused",
		[ORDER_AUDIT_CANCELLED] = "cancelled",
		[ORDER_AUDIT_VOIDED] = "voided",
		[ORDER_AUDIT_STEP] = "step",
		[ORDER_AUDIT_MISMATCH] = "mismatch",
	};
	return (size_t)a < N_ELEMENTS(names) ? names[a] : "unknown";
}
