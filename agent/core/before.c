/* before.c - room agent/core: a deployment up to the flip: order, key, request, certificate, check, write, test, cancel.
 * Nothing that is in use has changed yet. Never: touching the pair that serves. */
#include <string.h>

#include "agent/core/deploy_part.h"
#include "shared/base/err.h"

/* Leaves what was under way: before the flip its files go, in HEAL they are the ones in use. */
static void begin(const struct context *c, struct deploy_step *s)
{
	if (((1u << c->d->phase) & BEFORE_FLIP) != 0)
		part_add(s, DACT_DISCARD);
	else if (c->d->phase == DEPLOY_HEAL)
		part_add(s, DACT_PROBE_STOP);
	struct deploy *n = &s->next;
	*n = (struct deploy){
		.renewal_id = c->event->renewal_id,
		.attempt = c->event->attempt,
		.trigger = c->event->trigger,
		.key_type = c->event->key_type,
		.post_validation = c->event->post_validation,
		.deadline_at = c->event->deadline_at,
	};
	memcpy(n->cert_id, c->event->cert_id, sizeof(n->cert_id));
}

void before_order(const struct context *c, struct deploy_step *s)
{
	begin(c, s);
	part_enter_durably(s, DEPLOY_KEY);
	s->next.next_at = c->now + c->policy->key_ms;
	part_add(s, DACT_ACK);
	part_add(s, DACT_MAKE_KEY);
}

void before_ack_only(const struct context *c, struct deploy_step *s)
{
	(void)c;
	part_add(s, DACT_ACK);
}

/* The controller asks again because it has no request yet: the same one goes out again. */
void before_order_again(const struct context *c, struct deploy_step *s)
{
	s->next.deadline_at = c->event->deadline_at;
	part_add(s, DACT_ACK);
	part_add(s, DACT_SEND_CSR);
}

void before_receipt_again(const struct context *c, struct deploy_step *s)
{
	(void)c;
	part_add(s, DACT_ACK);
	part_add(s, DACT_REPEAT_RECEIPT);
}

/* No swap begins while the window is closed; the certificate waits here, so the order needs nobody when it opens. */
static void check_or_wait(const struct context *c, struct deploy_step *s)
{
	if (c->policy->window_open || s->next.any_time) {
		part_enter_durably(s, DEPLOY_CHECK);
		part_add(s, DACT_CHECK);
	} else {
		part_enter_durably(s, DEPLOY_WINDOW);
		s->next.next_at = c->policy->window_at;
	}
}

void before_certificate(const struct context *c, struct deploy_step *s)
{
	struct deploy *n = &s->next;
	n->fingerprint = c->event->fingerprint;
	n->serial = c->event->serial;
	n->deadline_at = c->event->deadline_at;
	n->post_validation = c->event->post_validation;
	n->any_time = c->event->any_time;
	part_add(s, DACT_ACK);
	check_or_wait(c, s);
}

/* The controller repeats it: perhaps it may not wait any longer. The message that is saved then is this one. */
void before_certificate_again(const struct context *c, struct deploy_step *s)
{
	part_add(s, DACT_ACK);
	if (c->event->any_time) {
		s->next.any_time = true;
		s->next.fingerprint = c->event->fingerprint;
		s->next.serial = c->event->serial;
		check_or_wait(c, s);
	}
}

void before_window_over(const struct context *c, struct deploy_step *s)
{
	check_or_wait(c, s);
}

/* The window ended while the new pair was being made ready: it is made anew when the next one opens. */
void before_window_closed(const struct context *c, struct deploy_step *s)
{
	part_add(s, DACT_PROBE_STOP);
	part_add(s, DACT_REMOVE);
	part_enter_durably(s, DEPLOY_WINDOW);
	s->next.next_at = c->policy->window_at;
}

void before_restart_window(const struct context *c, struct deploy_step *s)
{
	check_or_wait(c, s);
}

void before_foreign_key(const struct context *c, struct deploy_step *s)
{
	(void)c;
	part_note(s, E_SWAP_ANSWER, "the certificate is for a key that was not made for this order");
	part_add(s, DACT_ACK);
	part_give_up(s, RECEIPT_REFUSED);
}

/* A certificate of an order that this host knows nothing of, after a loss of its state. */
void before_unknown_certificate(const struct context *c, struct deploy_step *s)
{
	begin(c, s);
	s->next.serial = c->event->serial;
	part_note(s, E_SWAP_ANSWER, "this host has no key for the certificate");
	part_add(s, DACT_ACK);
	part_enter_durably(s, DEPLOY_DONE);
	part_receipt(s, RECEIPT_REFUSED);
}

void before_cancel(const struct context *c, struct deploy_step *s)
{
	(void)c;
	s->next.code = 0;
	part_note(s, E_SWAP_CANCELLED, "cancelled before the new certificate was in use");
	part_add(s, DACT_ACK);
	part_give_up(s, RECEIPT_FAILED);
}

void before_unknown_cancel(const struct context *c, struct deploy_step *s)
{
	begin(c, s);
	part_note(s, E_SWAP_CANCELLED, "cancelled before the order was known here");
	part_add(s, DACT_ACK);
	part_enter_durably(s, DEPLOY_DONE);
	part_receipt(s, RECEIPT_FAILED);
}

void before_key(const struct context *c, struct deploy_step *s)
{
	s->next.spki_hash = c->event->spki_hash;
	part_enter_durably(s, DEPLOY_CSR);
	s->next.next_at = c->now + c->policy->csr_repeat_ms;
	part_add(s, DACT_SEND_CSR);
}

void before_failed(const struct context *c, struct deploy_step *s)
{
	part_note(s, c->event->code, c->event->cause);
	part_give_up(s, RECEIPT_FAILED);
}

void before_key_late(const struct context *c, struct deploy_step *s)
{
	(void)c;
	part_note(s, E_SWAP_DEADLINE, "the key was not made in time");
	part_give_up(s, RECEIPT_FAILED);
}

/* Waiting has no end of its own: the controller may be away, and it alone ends or repeats an order. */
void before_csr_again(const struct context *c, struct deploy_step *s)
{
	s->next.tries++;
	s->next.next_at =
		c->now + part_backoff(c->policy->csr_repeat_ms, 16 * c->policy->csr_repeat_ms, s->next.tries, c->event->random);
	part_add(s, DACT_SEND_CSR);
}

void before_check_refused(const struct context *c, struct deploy_step *s)
{
	part_note(s, c->event->code, c->event->cause);
	part_give_up(s, RECEIPT_REFUSED);
}

void before_checked(const struct context *c, struct deploy_step *s)
{
	struct deploy *n = &s->next;
	n->had_old = c->event->had_old;
	n->old_valid = c->event->old_valid;
	n->was_serving = c->event->was_serving;
	n->was_down = c->event->was_down;
	n->old_generation = c->event->old_generation;
	n->old_fingerprint = c->event->old_fingerprint;
	part_enter(s, DEPLOY_WRITE);
	part_add(s, DACT_WRITE);
}

/* The journal now holds the intent: old, new, deadline. A first generation has nothing that a test could be mounted over. */
void before_written(const struct context *c, struct deploy_step *s)
{
	s->next.generation = c->event->generation;
	if (s->next.had_old) {
		part_enter_durably(s, DEPLOY_TEST);
		s->next.next_at = c->now + c->policy->test_ms;
		part_add(s, DACT_TEST);
	} else {
		part_enter_durably(s, DEPLOY_FLIP);
		part_add(s, DACT_FLIP);
	}
}

static void flip(struct deploy_step *s)
{
	part_enter_durably(s, DEPLOY_FLIP);
	part_add(s, DACT_FLIP);
}

void before_flip(const struct context *c, struct deploy_step *s)
{
	(void)c;
	flip(s);
}

static void test_failed(struct deploy_step *s, int code, const char *cause)
{
	part_note(s, code, cause);
	if (s->next.post_validation) {
		part_give_up(s, RECEIPT_FAILED);
		return;
	}
	s->next.flags |= ORDER_UNVERIFIED;
	flip(s);
}

/* E_HOOK_NAMESPACE: no test was possible here; that is no failure of the service. */
void before_tested(const struct context *c, struct deploy_step *s)
{
	if (c->event->code == 0 || c->event->code == E_HOOK_NAMESPACE)
		flip(s);
	else
		test_failed(s, c->event->code, c->event->cause);
}

void before_test_late(const struct context *c, struct deploy_step *s)
{
	(void)c;
	test_failed(s, E_SWAP_DEADLINE, "the configuration test did not end in time");
}

void before_restarts(const struct context *c, struct deploy_step *s)
{
	(void)c;
	part_note(s, E_SWAP_RESTARTS, "the keeper was started again and again in the middle of this step");
	part_give_up(s, RECEIPT_FAILED);
}

static void restarted(struct deploy_step *s)
{
	s->next.restarts++;
	s->save = true;
}

void before_restart_key(const struct context *c, struct deploy_step *s)
{
	restarted(s);
	s->next.phase = DEPLOY_KEY;
	s->next.next_at = c->now + c->policy->key_ms;
	part_add(s, DACT_MAKE_KEY);
}

void before_restart_csr(const struct context *c, struct deploy_step *s)
{
	s->next.tries = 0;
	s->next.next_at = c->now + c->policy->csr_repeat_ms;
	part_add(s, DACT_SEND_CSR);
}

void before_restart_check(const struct context *c, struct deploy_step *s)
{
	(void)c;
	restarted(s);
	part_add(s, DACT_CHECK);
}

void before_restart_write(const struct context *c, struct deploy_step *s)
{
	(void)c;
	restarted(s);
	part_add(s, DACT_WRITE);
}

void before_restart_test(const struct context *c, struct deploy_step *s)
{
	restarted(s);
	s->next.next_at = c->now + c->policy->test_ms;
	part_add(s, DACT_TEST);
}
