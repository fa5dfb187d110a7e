/* order_effect.c - room controller/core: what each transition of an order changes and which actions it asks for.
 * Never: choosing the transition; that is the table in order_flow.c. */
#include "controller/core/order_effect_part.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* The signer answers in milliseconds; a request without an answer is repeated (same serial, same bytes: the repeat rule). */
#define SIGN_ANSWER_MS   (30 * MS_SECOND)
#define SIGN_RETRY_MS    (5 * MS_SECOND)
#define PAUSED_TRY_MS    MS_DAY
#define PAUSED_JITTER_MS (10 * MS_MINUTE)
#define HOST_RETRY_MS    (5 * MS_MINUTE)

struct order_action *effect_add(struct order_step *s, enum order_action_kind kind)
{
	struct order_action *a = &s->act[s->n_act++];
	*a = (struct order_action){
		.kind = kind,
		.renewal_id = s->next.renewal_id,
		.attempt = s->next.attempt,
		.serial = s->next.serial,
	};
	if (kind != ACT_SIGN && kind != ACT_ASK_PEERS)
		s->durable = true;
	return a;
}

void effect_add_audit(struct order_step *s, enum order_audit audit, int code)
{
	struct order_action *a = effect_add(s, ACT_AUDIT);
	a->audit = audit;
	a->code = code;
}

static int64_t jitter(uint32_t random, int64_t range_ms)
{
	return range_ms > 0 ? (int64_t)random % (range_ms + 1) : 0;
}

void effect_note_failure(const struct order_context *c, struct order_step *s)
{
	s->next.code = c->event->code;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
}

static void set_deadline(const struct order_context *c, struct order_step *s)
{
	s->next.deadline_at = c->now + c->policy->attempt_ms;
	s->next.next_at = s->next.deadline_at;
}

void effect_end(const struct order_context *c, struct order_step *s)
{
	s->next.completed_at = c->now;
	s->next.next_at = TIME_NEVER;
	if ((c->o->flags & ORDER_DRILL) == 0) /* it never was the certificate's open order */
		effect_add(s, ACT_CLOSE);
}

/* A reserved key goes with its order. */
static void drop_stage(const struct order_context *c, struct order_step *s)
{
	if ((c->o->flags & ORDER_STAGED) != 0)
		effect_add(s, ACT_DROP_STAGE);
}

/* Nothing was sent and nobody failed: no attempt. It is recorded once, and tried again like one. */
void effect_not_yet(const struct order_context *c, struct order_step *s)
{
	bool new = c->o->code != E_ORDER_PREREQUISITE || !text_equal(c->o->cause, c->policy->prerequisite);
	s->next.code = E_ORDER_PREREQUISITE;
	text_cut(s->next.cause, sizeof(s->next.cause), c->policy->prerequisite);
	if (c->event->kind == EV_APPROVED)
		s->next.flags |= ORDER_APPROVED;
	s->next.next_at = c->now + c->policy->retry_ms + jitter(c->event->random, c->policy->retry_ms / 10);
	s->durable = true;
	if (new)
		effect_add_audit(s, ORDER_AUDIT_STEP, E_ORDER_PREREQUISITE);
}

/* A new attempt: nothing of the one before it is valid any more. */
static void new_attempt(const struct order_context *c, struct order_step *s)
{
	struct order *n = &s->next;
	n->attempt++;
	n->serial = (struct serial){0};
	n->tbs_hash = n->fingerprint = n->spki_hash = (struct hash){0};
	n->flags &= ~(uint32_t)(RECEIPT_FLAGS | ORDER_STAGED);
	if (n->code == E_ORDER_PREREQUISITE) /* it is there now, or not asked for any more */
		n->code = 0, n->cause[0] = '\0';
	if (n->code == 0) /* only a warning here */
		text_cut(n->cause, sizeof(n->cause), c->policy->prerequisite);
	set_deadline(c, s);
}

/* The host is asked for a key. One that it has staged stays for the next order, unless this one wants it gone or had reserved it. */
void effect_attempt(const struct order_context *c, struct order_step *s)
{
	new_attempt(c, s);
	if ((c->o->flags & (ORDER_FRESH | ORDER_STAGED)) != 0)
		effect_add(s, ACT_DROP_STAGE);
	effect_add(s, ACT_SEND_ORDER);
}

void effect_approved(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_APPROVED;
	effect_attempt(c, s);
}

/* The agent learns it with its certificate. */
void effect_now(const struct order_context *c, struct order_step *s)
{
	s->durable = (c->o->flags & ORDER_NOW) == 0; /* said before: nothing to store */
	s->next.flags |= ORDER_NOW;
}

void effect_now_certificate(const struct order_context *c, struct order_step *s)
{
	effect_now(c, s);
	effect_add(s, ACT_SEND_CERTIFICATE);
}

void effect_now_attempt(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_NOW;
	effect_attempt(c, s);
}

void effect_csr(const struct order_context *c, struct order_step *s)
{
	s->next.spki_hash = c->event->spki_hash;
	s->next.serial = c->event->serial;
	s->next.tbs_hash = c->event->tbs_hash;
	s->next.next_at = c->now + SIGN_ANSWER_MS;
	effect_add(s, ACT_ADD_INTENT);
	effect_add_audit(s, ORDER_AUDIT_INTENT, 0);
	effect_add(s, ACT_SIGN);
}

/* The host has the key and we have its request: nothing is asked. The certificate will be the first that the host hears of it. */
void effect_staged(const struct order_context *c, struct order_step *s)
{
	new_attempt(c, s);
	s->next.flags |= ORDER_STAGED;
	effect_add(s, ACT_RESERVE_STAGE);
	effect_csr(c, s);
}

void effect_staged_approved(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_APPROVED;
	effect_staged(c, s);
}

void effect_staged_now(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_NOW;
	effect_staged(c, s);
}

/* What was made for it is of no use to anybody. */
void effect_stage_gone(const struct order_context *c, struct order_step *s)
{
	effect_add(s, ACT_REVOKE_NEW);
	effect_add_audit(s, ORDER_AUDIT_STEP, c->event->code);
	new_attempt(c, s);
	effect_add(s, ACT_SEND_ORDER);
}

/* The person who orders hands over the key at once: the only attempt begins with the request. */
void effect_key(const struct order_context *c, struct order_step *s)
{
	s->next.attempt++;
	effect_csr(c, s);
}

void effect_key_approved(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_APPROVED;
	effect_key(c, s);
}

void effect_sign_again(const struct order_context *c, struct order_step *s)
{
	s->next.next_at = c->now + SIGN_ANSWER_MS + jitter(c->event->random, SIGN_RETRY_MS);
	effect_add(s, ACT_SIGN);
}

void effect_sign_later(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	s->next.next_at = c->now + SIGN_RETRY_MS + jitter(c->event->random, SIGN_RETRY_MS);
}

void effect_issued(const struct order_context *c, struct order_step *s)
{
	s->next.fingerprint = c->event->fingerprint;
	set_deadline(c, s);
	effect_add(s, ACT_STORE_ISSUED);
	if ((c->o->flags & ORDER_STAGED) != 0)
		effect_add(s, ACT_USE_STAGE);
	effect_add(s, ACT_SEND_CERTIFICATE);
	effect_add_audit(s, ORDER_AUDIT_ISSUED, 0);
}

void effect_complete(const struct order_context *c, struct order_step *s)
{
	effect_add(s, ACT_COUNT_RENEWAL);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_COMPLETED, s->next.code);
	effect_end(c, s);
}

/* Nobody can prove where it is served: it is current, and what it follows stays good until it ends or a person revokes it. */
void effect_issued_without_agent(const struct order_context *c, struct order_step *s)
{
	s->next.fingerprint = c->event->fingerprint;
	effect_add(s, ACT_STORE_ISSUED);
	effect_add_audit(s, ORDER_AUDIT_ISSUED, 0);
	effect_add(s, ACT_ADOPT);
	effect_complete(c, s);
}

/* The person repeats the request; nobody else could. */
void effect_sign_ended(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	effect_add(s, ACT_VOID_INTENT);
	effect_add_audit(s, ORDER_AUDIT_VOIDED, c->event->code);
	effect_add_audit(s, ORDER_AUDIT_FAILED, c->event->code);
	effect_end(c, s);
}

/* The signer's log is ahead of our counter (a restored backup), it was away for so long that the times have grown old, or the CA gave
 * way meanwhile and is closed: the next attempt draws a new number and new times, from whoever signs then. Not the target's fault. */
void effect_other_intent(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	s->next.next_at = c->now + SIGN_RETRY_MS + jitter(c->event->random, SIGN_RETRY_MS);
	effect_add(s, ACT_VOID_INTENT);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_VOIDED, c->event->code);
}

void effect_sign_refused(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	effect_add(s, ACT_VOID_INTENT);
	effect_add(s, ACT_SEND_CANCEL);
	drop_stage(c, s);
	effect_add_audit(s, ORDER_AUDIT_VOIDED, c->event->code);
	effect_add_audit(s, ORDER_AUDIT_FAILED, c->event->code);
	effect_end(c, s);
}

void effect_order_again(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	effect_add(s, ACT_SEND_ORDER);
}

void effect_certificate_again(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	effect_add(s, ACT_SEND_CERTIFICATE);
}

void effect_cancel_again(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	effect_add(s, ACT_SEND_CANCEL);
}

void effect_prove(const struct order_context *c, struct order_step *s)
{
	s->next.verified_at = c->now;
	s->next.flags &= ~(uint32_t)ORDER_UNVERIFIED;
	s->next.flags |= c->event->flags & RECEIPT_FLAGS & ~(uint32_t)ORDER_UNVERIFIED;
	if (s->next.code != 0) /* of a failure; a warning stays to be read */
		s->next.cause[0] = '\0';
	s->next.code = 0;
	effect_add(s, ACT_PROVE);
	effect_add_audit(s, ORDER_AUDIT_PROVED, 0);
}

void effect_supersede(const struct order_context *c, struct order_step *s)
{
	if (c->policy->code_signing || serial_is_none(c->o->old_serial))
		return;
	struct order_action *a = effect_add(s, ACT_SUPERSEDE);
	a->serial = c->o->old_serial;
	a->at = c->now + c->policy->supersede_grace_ms;
}

void effect_verified(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	effect_prove(c, s);
}

void effect_verified_late(const struct order_context *c, struct order_step *s)
{
	effect_prove(c, s);
}

/* Also when the verified receipt never came or comes after this one. */
void effect_settled(const struct order_context *c, struct order_step *s)
{
	if (c->o->phase != ORDER_VERIFIED)
		effect_prove(c, s);
	s->next.flags |= c->event->flags & RECEIPT_FLAGS & ~(uint32_t)ORDER_UNVERIFIED;
	effect_supersede(c, s);
	effect_complete(c, s);
}

void effect_settled_late(const struct order_context *c, struct order_step *s)
{
	if ((c->o->flags & ORDER_UNVERIFIED) != 0)
		effect_prove(c, s);
	effect_supersede(c, s);
}

static void keep(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	s->next.flags |= (c->event->flags & RECEIPT_FLAGS) | ORDER_UNVERIFIED;
}

/* The agent goes on reloading until a handshake proves it; we wait for that until the deadline. */
void effect_kept(const struct order_context *c, struct order_step *s)
{
	keep(c, s);
	set_deadline(c, s);
	effect_add_audit(s, ORDER_AUDIT_STEP, c->event->code);
}

/* No proof, so no supersession: the old issuance stays good. */
void effect_complete_unverified(const struct order_context *c, struct order_step *s)
{
	effect_add(s, ACT_ADOPT);
	effect_complete(c, s);
}

void effect_kept_enough(const struct order_context *c, struct order_step *s)
{
	keep(c, s);
	effect_complete_unverified(c, s);
}

static void end_attempt(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	if (!serial_is_none(c->o->serial))
		effect_add(s, ACT_REVOKE_NEW);
	effect_add(s, ACT_CLEAR_OUTBOX);
}

void effect_retry(const struct order_context *c, struct order_step *s)
{
	end_attempt(c, s);
	s->next.failures++;
	s->next.next_at = c->now + c->policy->retry_ms + jitter(c->event->random, c->policy->retry_ms / 10);
	effect_add_audit(s, ORDER_AUDIT_STEP, c->event->code);
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
	effect_add_audit(s, ORDER_AUDIT_STEP, c->event->code);
}

void effect_pause(const struct order_context *c, struct order_step *s)
{
	end_attempt(c, s);
	s->next.failures++;
	s->next.next_at = c->now + PAUSED_TRY_MS + jitter(c->event->random, PAUSED_JITTER_MS);
	if (c->policy->crossing_at > c->now && c->policy->crossing_at < s->next.next_at)
		s->next.next_at = c->policy->crossing_at;
	effect_add_audit(s, ORDER_AUDIT_PAUSED, c->event->code);
}

/* As little as possible, and what the host has it keeps. The shell tries it no sooner than it should, whatever the time says here. */
void effect_park(const struct order_context *c, struct order_step *s)
{
	s->next.code = c->event->code;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	s->next.next_at = c->now + PAUSED_TRY_MS + jitter(c->event->random, PAUSED_JITTER_MS);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_PAUSED, c->event->code);
}

/* It may be signed by now, and nobody will ever have it. */
void effect_park_intent(const struct order_context *c, struct order_step *s)
{
	effect_add(s, ACT_REVOKE_NEW);
	effect_park(c, s);
}

/* The host is through, and serves it: only the relying parties are not heard any more. What it replaced stays good. */
void effect_park_settled(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	s->next.flags |= ORDER_PEER_UNPROVED;
	effect_complete(c, s);
}

static void cancel(const struct order_context *c, struct order_step *s, int code)
{
	drop_stage(c, s);
	s->next.code = code;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	effect_add_audit(s, ORDER_AUDIT_CANCELLED, code);
	effect_end(c, s);
}

static int cancel_code(const struct order_context *c)
{
	return c->event->code != 0 ? c->event->code : E_SWAP_CANCELLED;
}

/* The agent knows nothing of this order (any more). */
void effect_cancel_quiet(const struct order_context *c, struct order_step *s)
{
	effect_add(s, ACT_CLEAR_OUTBOX);
	cancel(c, s, cancel_code(c));
}

/* A request may be at the signer: were it signed, the certificate is on the revocation list already. */
void effect_cancel(const struct order_context *c, struct order_step *s)
{
	if (!serial_is_none(c->o->serial))
		effect_add(s, ACT_REVOKE_NEW);
	effect_add(s, ACT_SEND_CANCEL);
	cancel(c, s, cancel_code(c));
}

void effect_cancel_unsent(const struct order_context *c, struct order_step *s)
{
	effect_add(s, ACT_REVOKE_NEW);
	cancel(c, s, cancel_code(c));
}

void effect_cancel_ask(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_CANCEL_ASKED;
	s->next.code = cancel_code(c);
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	effect_add(s, ACT_SEND_CANCEL);
}

/* The agent's receipt: it stopped before the flip, or the attempt failed anyway. */
void effect_cancelled(const struct order_context *c, struct order_step *s)
{
	if (!serial_is_none(c->o->serial))
		effect_add(s, ACT_REVOKE_NEW);
	effect_add(s, ACT_CLEAR_OUTBOX);
	cancel(c, s, (c->o->flags & ORDER_CANCEL_ASKED) != 0 ? c->o->code : E_SWAP_CANCELLED);
}

void effect_csr_of_ended(const struct order_context *c, struct order_step *s)
{
	(void)c;
	effect_add(s, ACT_SEND_CANCEL);
}

void effect_send_certificate(const struct order_context *c, struct order_step *s)
{
	(void)c;
	effect_add(s, ACT_SEND_CERTIFICATE);
}

void effect_mismatch(const struct order_context *c, struct order_step *s)
{
	effect_add_audit(s, ORDER_AUDIT_MISMATCH, c->event->code);
}

void effect_stale_again(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
}

/* ---- the way back ------------------------------------------------------------------------------------------------ */

/* What was superseded must not end while the host is asked, however long that takes. */
void effect_rollback(const struct order_context *c, struct order_step *s)
{
	s->next.attempt++;
	s->next.flags |= ORDER_ROLLBACK_ASKED;
	s->next.flags &= ~(uint32_t)ORDER_CANCEL_ASKED;
	s->next.code = 0;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	s->next.completed_at = 0;
	set_deadline(c, s);
	effect_add(s, ACT_REOPEN);
	effect_add(s, ACT_KEEP_OLD);
	effect_add(s, ACT_SEND_ROLLBACK);
	effect_add_audit(s, ORDER_AUDIT_ROLLBACK_ASKED, 0);
}

void effect_rollback_again(const struct order_context *c, struct order_step *s)
{
	set_deadline(c, s);
	effect_add(s, ACT_SEND_ROLLBACK);
}

void effect_rolled_back(const struct order_context *c, struct order_step *s)
{
	effect_add(s, ACT_REVOKE_NEW);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_ROLLED_BACK, 0);
	effect_end(c, s);
}

/* The host serves what this order brought: the order is completed as before, and the grace of what it replaced begins anew. */
void effect_rollback_failed(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	effect_supersede(c, s);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_ROLLBACK_FAILED, c->event->code);
	effect_end(c, s);
}

/* ---- drills: one attempt, which leaves the certificate as it was -------------------------------------------------- */

void effect_drill_not_yet(const struct order_context *c, struct order_step *s)
{
	s->next.code = E_ORDER_PREREQUISITE;
	text_cut(s->next.cause, sizeof(s->next.cause), c->policy->prerequisite);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_FAILED, E_ORDER_PREREQUISITE);
	effect_end(c, s);
}

/* The host has destroyed the key: what it was for ends by itself, within the hour. */
void effect_drill_tested(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= c->event->flags & RECEIPT_FLAGS;
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_COMPLETED, 0);
	effect_end(c, s);
}

void effect_drill_failed(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	s->next.failures++;
	s->next.flags |= c->event->flags & RECEIPT_FLAGS;
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_FAILED, c->event->code);
	effect_end(c, s);
}

/* Nobody has told what became of the key. */
void effect_drill_late(const struct order_context *c, struct order_step *s)
{
	s->next.code = E_DRILL_LATE;
	text_cut(s->next.cause, sizeof(s->next.cause), err_what(E_DRILL_LATE));
	if (!serial_is_none(c->o->serial))
		effect_add(s, ACT_REVOKE_NEW);
	effect_add(s, ACT_SEND_CANCEL);
	effect_add_audit(s, ORDER_AUDIT_FAILED, E_DRILL_LATE);
	effect_end(c, s);
}
