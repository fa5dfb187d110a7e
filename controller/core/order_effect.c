/* order_effect.c - room controller/core: what each transition of an order changes and which actions it asks for.
 * Never: choosing the transition; that is the table in order_flow.c. */
#include "controller/core/order_effect.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* The signer answers in milliseconds; a request without an answer is repeated (same serial, same bytes: the repeat rule). */
#define SIGN_ANSWER_MS   (30 * MS_SECOND)
#define SIGN_RETRY_MS    (5 * MS_SECOND)
#define PAUSED_TRY_MS    MS_DAY
#define PAUSED_JITTER_MS (10 * MS_MINUTE)
#define HOST_RETRY_MS    (5 * MS_MINUTE)

/* What a receipt may say about a completed order; the other flags are the controller's own. */
#define RECEIPT_FLAGS (ORDER_UNVERIFIED | ORDER_DRAINING | ORDER_SERVICE_WAS_DOWN | ORDER_HOOK_FAILED)

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

static void note_failure(const struct order_context *c, struct order_step *s)
{
	s->next.code = c->event->code;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
}

static void set_deadline(const struct order_context *c, struct order_step *s)
{
	s->next.deadline_at = c->now + c->policy->attempt_ms;
	s->next.next_at = s->next.deadline_at;
}

static void end(const struct order_context *c, struct order_step *s)
{
	s->next.completed_at = c->now;
	s->next.next_at = TIME_NEVER;
	add(s, ACT_CLOSE);
}

/* A new attempt: nothing of the one before it is valid any more. */
void effect_attempt(const struct order_context *c, struct order_step *s)
{
	struct order *n = &s->next;
	n->attempt++;
	n->serial = (struct serial){0};
	n->tbs_hash = n->fingerprint = n->spki_hash = (struct hash){0};
	n->flags &= ~(uint32_t)RECEIPT_FLAGS;
	set_deadline(c, s);
	add(s, ACT_SEND_ORDER);
}

void effect_approved(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_APPROVED;
	effect_attempt(c, s);
}

void effect_csr(const struct order_context *c, struct order_step *s)
{
	s->next.spki_hash = c->event->spki_hash;
	s->next.serial = c->event->serial;
	s->next.tbs_hash = c->event->tbs_hash;
	s->next.next_at = c->now + SIGN_ANSWER_MS;
	add(s, ACT_ADD_INTENT);
	add_audit(s, ORDER_AUDIT_INTENT, 0);
	add(s, ACT_SIGN);
}

void effect_sign_again(const struct order_context *c, struct order_step *s)
{
	s->next.next_at = c->now + SIGN_ANSWER_MS + jitter(c->event->random, SIGN_RETRY_MS);
	add(s, ACT_SIGN);
}

void effect_sign_later(const struct order_context *c, struct order_step *s)
{
	note_failure(c, s);
	s->next.next_at = c->now + SIGN_RETRY_MS + jitter(c->event->random, SIGN_RETRY_MS);
}

void effect_issued(const struct order_context *c, struct order_step *s)
{
	s->next.fingerprint = c->event->fingerprint;
	set_deadline(c, s);
	add(s, ACT_STORE_ISSUED);
	add(s, ACT_SEND_CERTIFICATE);
	add_audit(s, ORDER_AUDIT_ISSUED, 0);
}

/* The signer's log is ahead of our counter (a restored backup), or it was away for so long that the times have grown old: the next
 * attempt draws a new number and new times. Not the target's fault. */
void effect_other_intent(const struct order_context *c, struct order_step *s)
{
	note_failure(c, s);
	s->next.next_at = c->now + SIGN_RETRY_MS + jitter(c->event->random, SIGN_RETRY_MS);
	add(s, ACT_VOID_INTENT);
	add(s, ACT_CLEAR_OUTBOX);
	add_audit(s, ORDER_AUDIT_VOIDED, c->event->code);
}

void effect_sign_refused(const struct order_context *c, struct order_step *s)
{
	note_failure(c, s);
	add(s, ACT_VOID_INTENT);
	add(s, ACT_SEND_CANCEL);
	add_audit(s, ORDER_AUDIT_VOIDED, c->event->code);
	add_audit(s, ORDER_AUDIT_FAILED, c->event->code);
	end(c, s);
}

void effect_order_again(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	add(s, ACT_SEND_ORDER);
}

void effect_certificate_again(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	add(s, ACT_SEND_CERTIFICATE);
}

void effect_cancel_again(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	add(s, ACT_SEND_CANCEL);
}

static void prove(const struct order_context *c, struct order_step *s)
{
	s->next.verified_at = c->now;
	s->next.flags &= ~(uint32_t)ORDER_UNVERIFIED;
	s->next.flags |= c->event->flags & RECEIPT_FLAGS & ~(uint32_t)ORDER_UNVERIFIED;
	s->next.code = 0;
	s->next.cause[0] = '\0';
	add(s, ACT_PROVE);
	add_audit(s, ORDER_AUDIT_PROVED, 0);
}

static void supersede(const struct order_context *c, struct order_step *s)
{
	if (c->policy->code_signing || serial_is_none(c->o->old_serial))
		return;
	struct order_action *a = add(s, ACT_SUPERSEDE);
	a->serial = c->o->old_serial;
	a->at = c->now + c->policy->supersede_grace_ms;
}

static void complete(const struct order_context *c, struct order_step *s)
{
	add(s, ACT_COUNT_RENEWAL);
	add(s, ACT_CLEAR_OUTBOX);
	add_audit(s, ORDER_AUDIT_COMPLETED, s->next.code);
	end(c, s);
}

void effect_verified(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	prove(c, s);
}

void effect_verified_late(const struct order_context *c, struct order_step *s)
{
	prove(c, s);
}

/* Also when the verified receipt never came or comes after this one. */
void effect_settled(const struct order_context *c, struct order_step *s)
{
	if (c->o->phase != ORDER_VERIFIED)
		prove(c, s);
	s->next.flags |= c->event->flags & RECEIPT_FLAGS & ~(uint32_t)ORDER_UNVERIFIED;
	supersede(c, s);
	complete(c, s);
}

void effect_settled_late(const struct order_context *c, struct order_step *s)
{
	if ((c->o->flags & ORDER_UNVERIFIED) != 0)
		prove(c, s);
	supersede(c, s);
}

static void keep(const struct order_context *c, struct order_step *s)
{
	note_failure(c, s);
	s->next.flags |= (c->event->flags & RECEIPT_FLAGS) | ORDER_UNVERIFIED;
}

/* The agent goes on reloading until a handshake proves it; we wait for that until the deadline. */
void effect_kept(const struct order_context *c, struct order_step *s)
{
	keep(c, s);
	set_deadline(c, s);
	add_audit(s, ORDER_AUDIT_STEP, c->event->code);
}

/* No proof, so no supersession: the old issuance stays good. */
void effect_complete_unverified(const struct order_context *c, struct order_step *s)
{
	add(s, ACT_ADOPT);
	complete(c, s);
}

void effect_kept_enough(const struct order_context *c, struct order_step *s)
{
	keep(c, s);
	effect_complete_unverified(c, s);
}

static void end_attempt(const struct order_context *c, struct order_step *s)
{
	note_failure(c, s);
	if (!serial_is_none(c->o->serial))
		add(s, ACT_REVOKE_NEW);
	add(s, ACT_CLEAR_OUTBOX);
}

void effect_retry(const struct order_context *c, struct order_step *s)
{
	end_attempt(c, s);
	s->next.failures++;
	s->next.next_at = c->now + c->policy->retry_ms + jitter(c->event->random, c->policy->retry_ms / 10);
	add_audit(s, ORDER_AUDIT_STEP, c->event->code);
}

/* The host has no space, or its clock is wrong: the target was not tried, so this is none of its attempts. Somebody mends it soon, or
 * not for days: the gaps double up to the usual one, as each try may cost a certificate. */
void effect_retry_soon(const struct order_context *c, struct order_step *s)
{
	int64_t gap = HOST_RETRY_MS;
	for (uint32_t i = 1; i < c->o->attempt && gap < c->policy->retry_ms; i++)
		gap *= 2;
	if (gap > c->policy->retry_ms)
		gap = c->policy->retry_ms;
	end_attempt(c, s);
	s->next.next_at = c->now + gap + jitter(c->event->random, gap / 10);
	add_audit(s, ORDER_AUDIT_STEP, c->event->code);
}

void effect_pause(const struct order_context *c, struct order_step *s)
{
	end_attempt(c, s);
	s->next.failures++;
	s->next.next_at = c->now + PAUSED_TRY_MS + jitter(c->event->random, PAUSED_JITTER_MS);
	add_audit(s, ORDER_AUDIT_PAUSED, c->event->code);
}

static void cancel(const struct order_context *c, struct order_step *s, int code)
{
	s->next.code = code;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	add_audit(s, ORDER_AUDIT_CANCELLED, code);
	end(c, s);
}

static int cancel_code(const struct order_context *c)
{
	return c->event->code != 0 ? c->event->code : E_SWAP_CANCELLED;
}

/* The agent knows nothing of this order (any more). */
void effect_cancel_quiet(const struct order_context *c, struct order_step *s)
{
	add(s, ACT_CLEAR_OUTBOX);
	cancel(c, s, cancel_code(c));
}

/* A request may be at the signer: were it signed, the certificate is on the revocation list already. */
void effect_cancel(const struct order_context *c, struct order_step *s)
{
	if (!serial_is_none(c->o->serial))
		add(s, ACT_REVOKE_NEW);
	add(s, ACT_SEND_CANCEL);
	cancel(c, s, cancel_code(c));
}

void effect_cancel_ask(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_CANCEL_ASKED;
	s->next.code = cancel_code(c);
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	add(s, ACT_SEND_CANCEL);
}

/* The agent's receipt: it stopped before the flip, or the attempt failed anyway. */
void effect_cancelled(const struct order_context *c, struct order_step *s)
{
	if (!serial_is_none(c->o->serial))
		add(s, ACT_REVOKE_NEW);
	add(s, ACT_CLEAR_OUTBOX);
	cancel(c, s, (c->o->flags & ORDER_CANCEL_ASKED) != 0 ? c->o->code : E_SWAP_CANCELLED);
}

void effect_csr_of_ended(const struct order_context *c, struct order_step *s)
{
	(void)c;
	add(s, ACT_SEND_CANCEL);
}

void effect_send_certificate(const struct order_context *c, struct order_step *s)
{
	(void)c;
	add(s, ACT_SEND_CERTIFICATE);
}

void effect_mismatch(const struct order_context *c, struct order_step *s)
{
	add_audit(s, ORDER_AUDIT_MISMATCH, c->event->code);
}

void effect_stale_again(const struct order_context *c, struct order_step *s)
{
	note_failure(c, s);
}
