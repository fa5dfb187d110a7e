/* deploy.c - room agent/core: one deployment on the host, phase by phase (DESIGN 6); the table at the end is the workflow.
 * Never: clocks, files, sockets, heap, crypto. A row that is not in the table changes nothing. */
#include "agent/core/deploy.h"

#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum {
	RESTARTS_MAX = 5, /* keeper starts in one phase before the flip */
	BACK_TRIES_MAX = 3, /* reloads after a flip-back until the failure is reported anyway */
	BACKOFF_SHIFT_MAX = 6,
};

struct context {
	const struct deploy        *d;
	const struct deploy_event  *event;
	const struct deploy_policy *policy;
	int64_t                     now;
};

typedef bool guard_fn(const struct context *c);
typedef void handler_fn(const struct context *c, struct deploy_step *s);

struct transition {
	uint32_t               phases; /* bits 1 << enum deploy_phase */
	enum deploy_event_kind event;
	guard_fn              *guard; /* NULL = always */
	handler_fn            *handler;
};

/* ---- building a step ---------------------------------------------------------------------------------------- */

static struct deploy_action *add(struct deploy_step *s, enum deploy_action_kind kind)
{
	struct deploy_action *a = &s->act[s->n_act++];
	*a = (struct deploy_action){
		.kind = kind,
		.renewal_id = s->next.renewal_id,
		.attempt = s->next.attempt,
		.generation = s->next.generation,
	};
	return a;
}

static void enter(struct deploy_step *s, enum deploy_phase phase)
{
	s->next.phase = phase;
	s->next.tries = 0;
	s->next.restarts = 0;
	s->next.next_at = TIME_NEVER;
	s->save = true;
}

static void enter_durably(struct deploy_step *s, enum deploy_phase phase)
{
	enter(s, phase);
	s->sync = true;
}

/* The first failure is the one people need to see. */
static void note(struct deploy_step *s, int code, const char *cause)
{
	if (s->next.code != 0)
		return;
	s->next.code = code;
	text_cut(s->next.cause, sizeof(s->next.cause), cause);
}

static void receipt(struct deploy_step *s, enum receipt_outcome outcome)
{
	s->next.outcome = outcome;
	s->next.receipted = true;
	s->save = s->sync = true;
	struct deploy_action *a = add(s, DACT_RECEIPT);
	a->outcome = outcome;
	a->code = s->next.code;
}

static int64_t backoff(int64_t min_ms, int64_t max_ms, uint32_t tries, uint32_t random)
{
	int64_t ms = min_ms << (tries < BACKOFF_SHIFT_MAX ? tries : BACKOFF_SHIFT_MAX);
	if (ms > max_ms)
		ms = max_ms;
	return ms + (ms >= 4 ? (int64_t)random % (ms / 4) : 0);
}

static bool was_proved(const struct deploy *d)
{
	return d->receipted && d->outcome == RECEIPT_VERIFIED;
}

/* ---- guards ------------------------------------------------------------------------------------------------- */

static bool same_renewal(const struct context *c)
{
	return id_equal(c->event->renewal_id, c->d->renewal_id);
}

static bool same_attempt(const struct context *c)
{
	return same_renewal(c) && c->event->attempt == c->d->attempt;
}

/* By time order of the ids; within one renewal by the attempt. */
static bool is_newer(const struct context *c)
{
	if (same_renewal(c))
		return c->event->attempt > c->d->attempt;
	return memcmp(c->event->renewal_id.b, c->d->renewal_id.b, sizeof(c->d->renewal_id.b)) > 0;
}

/* When nothing is under way any other order is news, even with a lower id: the controller's clock may have been set back. */
static bool is_other(const struct context *c)
{
	return same_renewal(c) ? c->event->attempt > c->d->attempt : true;
}

static bool cancels_this(const struct context *c)
{
	return same_renewal(c) && (c->event->attempt == 0 || c->event->attempt == c->d->attempt);
}

static bool stage_is_ours(const struct context *c)
{
	return same_attempt(c) && hash_equal(c->event->stage, c->d->spki_hash);
}

static bool failed(const struct context *c)
{
	return same_attempt(c) && c->event->code != 0;
}

static bool timer_early(const struct context *c)
{
	return c->now < c->d->next_at;
}

static bool listeners_all(const struct probe_summary *p)
{
	return p->listeners > 0 && p->answered == p->listeners;
}

static bool new_is_served(const struct context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return listeners_all(p) && p->row_new >= c->policy->verify_row;
}

static bool old_is_served(const struct context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return listeners_all(p) && p->row_old >= c->policy->verify_row;
}

static bool new_is_settled(const struct context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return listeners_all(p) && p->row_new >= c->policy->settle_row && p->row_new >= c->policy->verify_row &&
	       (p->last_old_at == 0 || c->now - p->last_old_at >= c->policy->settle_ms);
}

static bool nothing_to_probe(const struct context *c)
{
	return !c->event->probe.applies;
}

static bool nothing_to_probe_after_failure(const struct context *c)
{
	return same_attempt(c) && !c->event->probe.applies && c->event->code != 0;
}

static bool reloaded_unprobed(const struct context *c)
{
	return same_attempt(c) && !c->event->probe.applies;
}

static bool reloaded_well_unprobed(const struct context *c)
{
	return reloaded_unprobed(c) && c->event->code == 0;
}

/* The link was renamed and something failed after it: what is on disk decides, not the error. */
static bool failed_but_flipped(const struct context *c)
{
	return failed(c) && c->event->current_generation == c->d->generation;
}

static bool restarted_too_often(const struct context *c)
{
	return c->d->restarts + 1 >= RESTARTS_MAX;
}

static bool flip_was_done(const struct context *c)
{
	return c->event->current_generation == c->d->generation;
}

static bool back_was_done(const struct context *c)
{
	return c->event->current_generation == c->d->old_generation;
}

static bool key_is_there(const struct context *c)
{
	return c->event->key_present;
}

/* ---- an order, a certificate, a cancel ----------------------------------------------------------------------- */

#define P(phase) (1u << DEPLOY_##phase)
#define BEFORE_FLIP (P(KEY) | P(CSR) | P(CHECK) | P(WRITE) | P(TEST))
#define AFTER_CSR   (P(CHECK) | P(WRITE) | P(TEST) | P(FLIP) | P(RELOAD) | P(PROBE) | P(SETTLE) | P(BACK_FLIP) | P(BACK_RELOAD) | P(BACK_PROBE) | P(HEAL))
#define NOT_BEFORE_FLIP (P(FLIP) | P(RELOAD) | P(PROBE) | P(SETTLE) | P(BACK_FLIP) | P(BACK_RELOAD) | P(BACK_PROBE))
#define UNDER_WAY   (BEFORE_FLIP | NOT_BEFORE_FLIP | P(HEAL))
#define AT_REST     (P(NONE) | P(DONE) | P(HEAL))

/* Leaves what was under way: before the flip its files go, in HEAL they are the ones in use. */
static void begin(const struct context *c, struct deploy_step *s)
{
	if (((1u << c->d->phase) & BEFORE_FLIP) != 0)
		add(s, DACT_DISCARD);
	else if (c->d->phase == DEPLOY_HEAL)
		add(s, DACT_PROBE_STOP);
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

static void on_order(const struct context *c, struct deploy_step *s)
{
	begin(c, s);
	enter_durably(s, DEPLOY_KEY);
	s->next.next_at = c->now + c->policy->key_ms;
	add(s, DACT_ACK);
	add(s, DACT_MAKE_KEY);
}

static void on_ack_only(const struct context *c, struct deploy_step *s)
{
	(void)c;
	add(s, DACT_ACK);
}

/* The controller asks again because it has no request yet: the same one goes out again. */
static void on_order_again(const struct context *c, struct deploy_step *s)
{
	s->next.deadline_at = c->event->deadline_at;
	add(s, DACT_ACK);
	add(s, DACT_SEND_CSR);
}

static void on_receipt_again(const struct context *c, struct deploy_step *s)
{
	(void)c;
	add(s, DACT_ACK);
	add(s, DACT_REPEAT_RECEIPT);
}

static void on_certificate(const struct context *c, struct deploy_step *s)
{
	struct deploy *n = &s->next;
	n->fingerprint = c->event->fingerprint;
	n->serial = c->event->serial;
	n->deadline_at = c->event->deadline_at;
	n->post_validation = c->event->post_validation;
	enter_durably(s, DEPLOY_CHECK);
	add(s, DACT_ACK);
	add(s, DACT_CHECK);
}

/* Nothing was written yet: the attempt is over, its key is worthless. */
static void give_up(struct deploy_step *s, enum receipt_outcome outcome)
{
	enter_durably(s, DEPLOY_DONE);
	receipt(s, outcome);
	add(s, DACT_DISCARD);
	add(s, DACT_PROBE_STOP);
}

static void on_foreign_key(const struct context *c, struct deploy_step *s)
{
	(void)c;
	note(s, E_SWAP_ANSWER, "the certificate is for a key that was not made for this order");
	add(s, DACT_ACK);
	give_up(s, RECEIPT_REFUSED);
}

/* A certificate of an order that this host knows nothing of, after a loss of its state. */
static void on_unknown_certificate(const struct context *c, struct deploy_step *s)
{
	begin(c, s);
	s->next.serial = c->event->serial;
	note(s, E_SWAP_ANSWER, "this host has no key for the certificate");
	add(s, DACT_ACK);
	enter_durably(s, DEPLOY_DONE);
	receipt(s, RECEIPT_REFUSED);
}

static void on_cancel(const struct context *c, struct deploy_step *s)
{
	(void)c;
	s->next.code = 0;
	note(s, E_SWAP_CANCELLED, "cancelled before the new certificate was in use");
	add(s, DACT_ACK);
	give_up(s, RECEIPT_FAILED);
}

static void on_unknown_cancel(const struct context *c, struct deploy_step *s)
{
	begin(c, s);
	note(s, E_SWAP_CANCELLED, "cancelled before the order was known here");
	add(s, DACT_ACK);
	enter_durably(s, DEPLOY_DONE);
	receipt(s, RECEIPT_FAILED);
}

/* ---- up to the flip ------------------------------------------------------------------------------------------ */

static void on_key(const struct context *c, struct deploy_step *s)
{
	s->next.spki_hash = c->event->spki_hash;
	enter_durably(s, DEPLOY_CSR);
	s->next.next_at = c->now + c->policy->csr_repeat_ms;
	add(s, DACT_SEND_CSR);
}

static void on_failed_before(const struct context *c, struct deploy_step *s)
{
	note(s, c->event->code, c->event->cause);
	give_up(s, RECEIPT_FAILED);
}

static void on_key_late(const struct context *c, struct deploy_step *s)
{
	(void)c;
	note(s, E_SWAP_DEADLINE, "the key was not made in time");
	give_up(s, RECEIPT_FAILED);
}

/* Waiting has no end of its own: the controller may be away, and it alone ends or repeats an order. */
static void on_csr_again(const struct context *c, struct deploy_step *s)
{
	s->next.tries++;
	s->next.next_at = c->now + backoff(c->policy->csr_repeat_ms, 16 * c->policy->csr_repeat_ms, s->next.tries, c->event->random);
	add(s, DACT_SEND_CSR);
}

static void on_check_refused(const struct context *c, struct deploy_step *s)
{
	note(s, c->event->code, c->event->cause);
	give_up(s, RECEIPT_REFUSED);
}

static void on_checked(const struct context *c, struct deploy_step *s)
{
	struct deploy *n = &s->next;
	n->had_old = c->event->had_old;
	n->old_valid = c->event->old_valid;
	n->was_serving = c->event->was_serving;
	n->was_down = c->event->was_down;
	n->old_generation = c->event->old_generation;
	n->old_fingerprint = c->event->old_fingerprint;
	enter(s, DEPLOY_WRITE);
	add(s, DACT_WRITE);
}

/* The journal now holds the intent: old, new, deadline. A first generation has nothing that a test could be mounted over. */
static void on_written(const struct context *c, struct deploy_step *s)
{
	s->next.generation = c->event->generation;
	if (s->next.had_old) {
		enter_durably(s, DEPLOY_TEST);
		s->next.next_at = c->now + c->policy->test_ms;
		add(s, DACT_TEST);
	} else {
		enter_durably(s, DEPLOY_FLIP);
		add(s, DACT_FLIP);
	}
}

static void flip(struct deploy_step *s)
{
	enter_durably(s, DEPLOY_FLIP);
	add(s, DACT_FLIP);
}

static void on_flip(const struct context *c, struct deploy_step *s)
{
	(void)c;
	flip(s);
}

static void test_failed(struct deploy_step *s, int code, const char *cause)
{
	note(s, code, cause);
	if (s->next.post_validation) {
		give_up(s, RECEIPT_FAILED);
		return;
	}
	s->next.flags |= ORDER_UNVERIFIED;
	flip(s);
}

/* E_HOOK_NAMESPACE: no test was possible here; that is no failure of the service. */
static void on_tested(const struct context *c, struct deploy_step *s)
{
	if (c->event->code == 0 || c->event->code == E_HOOK_NAMESPACE)
		flip(s);
	else
		test_failed(s, c->event->code, c->event->cause);
}

static void on_test_late(const struct context *c, struct deploy_step *s)
{
	(void)c;
	test_failed(s, E_SWAP_DEADLINE, "the configuration test did not end in time");
}

static void on_restarts(const struct context *c, struct deploy_step *s)
{
	(void)c;
	note(s, E_SWAP_RESTARTS, "the keeper was started again and again in the middle of this step");
	give_up(s, RECEIPT_FAILED);
}

/* ---- after the flip ------------------------------------------------------------------------------------------ */

static void reload(const struct context *c, struct deploy_step *s, enum deploy_phase phase)
{
	enter(s, phase);
	s->next.next_at = c->now + c->policy->reload_ms;
	add(s, DACT_PROBE_RESET);
	add(s, DACT_RELOAD);
}

static void on_flipped(const struct context *c, struct deploy_step *s)
{
	s->next.flipped_at = c->now;
	reload(c, s, DEPLOY_RELOAD);
}

static void note_reload(const struct context *c, struct deploy_step *s)
{
	if (c->event->code == 0)
		return;
	s->next.flags |= ORDER_HOOK_FAILED;
	note(s, c->event->code, c->event->cause);
}

static void on_reloaded(const struct context *c, struct deploy_step *s)
{
	enter(s, DEPLOY_PROBE);
	s->next.next_at = c->now + c->policy->probe_ms;
	note_reload(c, s);
}

static void on_reload_late(const struct context *c, struct deploy_step *s)
{
	enter(s, DEPLOY_PROBE);
	s->next.next_at = c->now + c->policy->probe_ms;
	s->next.flags |= ORDER_HOOK_FAILED;
	note(s, E_SWAP_DEADLINE, "the reload did not end in time");
}

/* New pair stays though unproved; the goal is still served == issued, so reloading goes on. After a verified receipt there is
 * nothing new to tell. */
static void heal(const struct context *c, struct deploy_step *s)
{
	enter(s, DEPLOY_HEAL);
	s->next.next_at = c->now + backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, 0, c->event->random);
	if (was_proved(c->d))
		return;
	s->next.flags |= ORDER_UNVERIFIED;
	if (s->next.was_down)
		s->next.flags |= ORDER_SERVICE_WAS_DOWN;
	if (!(c->d->receipted && c->d->outcome == RECEIPT_KEPT))
		receipt(s, RECEIPT_KEPT);
}

static void flip_back(const struct context *c, struct deploy_step *s)
{
	enter_durably(s, DEPLOY_BACK_FLIP);
	add(s, DACT_FLIP_BACK)->generation = c->d->old_generation;
}

/* Back only to something better: a pair that is valid and was serving. Never back from a certificate that was proved. */
static void fail_after_flip(const struct context *c, struct deploy_step *s, int code, const char *cause)
{
	const struct deploy *d = c->d;
	note(s, code, cause);
	bool worked = d->was_serving || nothing_to_probe(c);
	if (!d->post_validation || was_proved(d) || !d->had_old || !d->old_valid || !worked) {
		heal(c, s);
		return;
	}
	flip_back(c, s);
}

static void on_reload_failed_unprobed(const struct context *c, struct deploy_step *s)
{
	s->next.flags |= ORDER_HOOK_FAILED;
	fail_after_flip(c, s, c->event->code, c->event->cause);
}

static void on_not_served(const struct context *c, struct deploy_step *s)
{
	const struct probe_summary *p = &c->event->probe;
	if (s->next.was_down)
		fail_after_flip(c, s, E_SWAP_DOWN_BEFORE, "no listener answered before the swap, and not all do now");
	else if (p->answered < p->listeners)
		fail_after_flip(c, s, E_SWAP_PROBE, "not every listener answers");
	else if (p->wrong)
		fail_after_flip(c, s, E_SWAP_WRONG, "a listener serves neither the old nor the new certificate");
	else
		fail_after_flip(c, s, E_SWAP_STALE, "the old certificate is still served");
}

static void verified(struct deploy_step *s)
{
	s->next.flags &= ~(uint32_t)ORDER_UNVERIFIED;
	if ((s->next.flags & ORDER_HOOK_FAILED) == 0) {
		s->next.code = 0;
		s->next.cause[0] = '\0';
	}
	receipt(s, RECEIPT_VERIFIED);
}

static void settled(struct deploy_step *s)
{
	enter_durably(s, DEPLOY_DONE);
	receipt(s, RECEIPT_SETTLED);
	add(s, DACT_PRUNE);
	add(s, DACT_PROBE_STOP);
}

/* Time to settle grows with the reloads that did not help: a stale worker must not mean a reload every half minute for ever. */
static void on_verified(const struct context *c, struct deploy_step *s)
{
	uint32_t tries = was_proved(c->d) ? c->d->tries : 0;
	enter_durably(s, DEPLOY_SETTLE);
	s->next.tries = tries;
	s->next.next_at = c->now + c->policy->probe_ms;
	if (tries > 0)
		s->next.next_at += backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, tries, c->event->random);
	if (!was_proved(c->d))
		verified(s);
}

static void on_settled(const struct context *c, struct deploy_step *s)
{
	if (!was_proved(c->d))
		verified(s);
	settled(s);
}

/* Verified once, and still an old answer: a stale worker. Never back; reload again until it is gone. */
static void on_not_settled(const struct context *c, struct deploy_step *s)
{
	heal(c, s);
	s->next.tries = c->d->tries + 1;
	add(s, DACT_RELOAD);
}

static void on_heal_again(const struct context *c, struct deploy_step *s)
{
	s->next.tries++;
	s->next.next_at = c->now + backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, s->next.tries, c->event->random);
	add(s, DACT_RELOAD);
}

/* ---- back ---------------------------------------------------------------------------------------------------- */

static void on_back_failed(const struct context *c, struct deploy_step *s)
{
	s->next.tries++;
	s->next.next_at = c->now + backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, s->next.tries, c->event->random);
}

static void on_back_again(const struct context *c, struct deploy_step *s)
{
	s->next.next_at = TIME_NEVER;
	add(s, DACT_FLIP_BACK)->generation = c->d->old_generation;
}

static void on_back(const struct context *c, struct deploy_step *s)
{
	reload(c, s, DEPLOY_BACK_RELOAD);
}

static void on_back_reloaded(const struct context *c, struct deploy_step *s)
{
	uint32_t tries = c->d->tries;
	enter(s, DEPLOY_BACK_PROBE);
	s->next.tries = tries;
	s->next.next_at = c->now + c->policy->probe_ms;
}

static void on_back_done(const struct context *c, struct deploy_step *s)
{
	(void)c;
	give_up(s, RECEIPT_FAILED);
}

static void on_back_not_served(const struct context *c, struct deploy_step *s)
{
	uint32_t tries = c->d->tries + 1;
	if (tries >= BACK_TRIES_MAX) {
		s->next.flags |= ORDER_UNVERIFIED;
		give_up(s, RECEIPT_FAILED);
		return;
	}
	reload(c, s, DEPLOY_BACK_RELOAD);
	s->next.tries = tries;
}

/* Without an old pair there is nothing to go back to: what is visible is used. */
static void on_flip_undone(const struct context *c, struct deploy_step *s)
{
	note(s, c->event->code, c->event->cause);
	if (c->d->had_old)
		flip_back(c, s);
	else
		on_flipped(c, s);
}

/* ---- restart map --------------------------------------------------------------------------------------------- */

static void restarted(struct deploy_step *s)
{
	s->next.restarts++;
	s->save = true;
}

static void on_restart_key(const struct context *c, struct deploy_step *s)
{
	restarted(s);
	s->next.phase = DEPLOY_KEY;
	s->next.next_at = c->now + c->policy->key_ms;
	add(s, DACT_MAKE_KEY);
}

static void on_restart_csr(const struct context *c, struct deploy_step *s)
{
	s->next.tries = 0;
	s->next.next_at = c->now + c->policy->csr_repeat_ms;
	add(s, DACT_SEND_CSR);
}

static void on_restart_check(const struct context *c, struct deploy_step *s)
{
	(void)c;
	restarted(s);
	add(s, DACT_CHECK);
}

static void on_restart_write(const struct context *c, struct deploy_step *s)
{
	(void)c;
	restarted(s);
	add(s, DACT_WRITE);
}

static void on_restart_test(const struct context *c, struct deploy_step *s)
{
	restarted(s);
	s->next.next_at = c->now + c->policy->test_ms;
	add(s, DACT_TEST);
}

static void on_restart_flipped(const struct context *c, struct deploy_step *s)
{
	if (c->d->phase == DEPLOY_FLIP)
		s->next.flipped_at = c->now;
	reload(c, s, DEPLOY_RELOAD);
}

static void on_restart_heal(const struct context *c, struct deploy_step *s)
{
	enter(s, DEPLOY_HEAL);
	s->next.next_at = c->now + backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, 0, c->event->random);
	add(s, DACT_PROBE_RESET);
	add(s, DACT_RELOAD);
}

static void on_nothing(const struct context *c, struct deploy_step *s)
{
	(void)c;
	(void)s;
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

/* The first row that fits decides. */
static const struct transition table[] = {
	/* phases                        event            guard                           handler */
	{AT_REST,                        DEV_ORDER,       is_other,                       on_order},
	{BEFORE_FLIP,                    DEV_ORDER,       is_newer,                       on_order},
	{P(KEY) | AFTER_CSR,             DEV_ORDER,       same_attempt,                   on_ack_only},
	{P(CSR),                         DEV_ORDER,       same_attempt,                   on_order_again},
	{P(DONE),                        DEV_ORDER,       same_attempt,                   on_receipt_again},

	{P(CSR),                         DEV_CERTIFICATE, stage_is_ours,                  on_certificate},
	{P(KEY) | P(CSR),                DEV_CERTIFICATE, same_attempt,                   on_foreign_key},
	{AFTER_CSR,                      DEV_CERTIFICATE, same_attempt,                   on_ack_only},
	{P(DONE),                        DEV_CERTIFICATE, same_attempt,                   on_receipt_again},
	{P(NONE) | P(DONE),              DEV_CERTIFICATE, is_newer,                       on_unknown_certificate},

	{BEFORE_FLIP,                    DEV_CANCEL,      cancels_this,                   on_cancel},
	{NOT_BEFORE_FLIP | P(HEAL) | P(DONE),
	                                 DEV_CANCEL,      cancels_this,                   on_ack_only},
	{P(NONE) | P(DONE),              DEV_CANCEL,      is_newer,                       on_unknown_cancel},
	{P(NONE) | UNDER_WAY | P(DONE),  DEV_CANCEL,      NULL,                           on_ack_only},

	{P(KEY),                         DEV_KEY,         failed,                         on_failed_before},
	{P(KEY),                         DEV_KEY,         same_attempt,                   on_key},
	{P(CHECK),                       DEV_CHECKED,     failed,                         on_check_refused},
	{P(CHECK),                       DEV_CHECKED,     same_attempt,                   on_checked},
	{P(WRITE),                       DEV_WRITTEN,     failed,                         on_failed_before},
	{P(WRITE),                       DEV_WRITTEN,     same_attempt,                   on_written},
	{P(TEST),                        DEV_TESTED,      same_attempt,                   on_tested},
	{P(FLIP),                        DEV_FLIPPED,     failed_but_flipped,             on_flip_undone},
	{P(FLIP),                        DEV_FLIPPED,     failed,                         on_failed_before},
	{P(FLIP),                        DEV_FLIPPED,     same_attempt,                   on_flipped},
	{P(RELOAD),                      DEV_RELOADED,    nothing_to_probe_after_failure, on_reload_failed_unprobed},
	{P(RELOAD) | P(HEAL),            DEV_RELOADED,    reloaded_well_unprobed,         on_settled},
	{P(RELOAD),                      DEV_RELOADED,    same_attempt,                   on_reloaded},
	{P(HEAL),                        DEV_RELOADED,    same_attempt,                   on_nothing},
	{P(PROBE) | P(SETTLE) | P(HEAL), DEV_PROBED,      new_is_settled,                 on_settled},
	{P(PROBE) | P(HEAL),             DEV_PROBED,      new_is_served,                  on_verified},
	{P(BACK_FLIP),                   DEV_FLIPPED,     failed,                         on_back_failed},
	{P(BACK_FLIP),                   DEV_FLIPPED,     same_attempt,                   on_back},
	{P(BACK_RELOAD),                 DEV_RELOADED,    reloaded_unprobed,              on_back_done},
	{P(BACK_RELOAD),                 DEV_RELOADED,    same_attempt,                   on_back_reloaded},
	{P(BACK_PROBE),                  DEV_PROBED,      old_is_served,                  on_back_done},

	{UNDER_WAY,                      DEV_TIMER,       timer_early,                    on_nothing},
	{P(KEY),                         DEV_TIMER,       NULL,                           on_key_late},
	{P(CSR),                         DEV_TIMER,       NULL,                           on_csr_again},
	{P(TEST),                        DEV_TIMER,       NULL,                           on_test_late},
	{P(RELOAD),                      DEV_TIMER,       NULL,                           on_reload_late},
	{P(PROBE),                       DEV_TIMER,       NULL,                           on_not_served},
	{P(SETTLE),                      DEV_TIMER,       NULL,                           on_not_settled},
	{P(HEAL),                        DEV_TIMER,       NULL,                           on_heal_again},
	{P(BACK_FLIP),                   DEV_TIMER,       NULL,                           on_back_again},
	{P(BACK_RELOAD),                 DEV_TIMER,       NULL,                           on_back_reloaded},
	{P(BACK_PROBE),                  DEV_TIMER,       NULL,                           on_back_not_served},

	{P(CSR),                         DEV_RESTART,     key_is_there,                   on_restart_csr},
	{BEFORE_FLIP,                    DEV_RESTART,     restarted_too_often,            on_restarts},
	{P(KEY) | P(CSR),                DEV_RESTART,     NULL,                           on_restart_key},
	{P(CHECK),                       DEV_RESTART,     NULL,                           on_restart_check},
	{P(WRITE),                       DEV_RESTART,     NULL,                           on_restart_write},
	{P(TEST),                        DEV_RESTART,     NULL,                           on_restart_test},
	{P(FLIP) | P(RELOAD) | P(PROBE) | P(SETTLE),
	                                 DEV_RESTART,     flip_was_done,                  on_restart_flipped},
	{P(HEAL),                        DEV_RESTART,     flip_was_done,                  on_restart_heal},
	{P(FLIP) | P(RELOAD) | P(PROBE) | P(SETTLE) | P(HEAL),
	                                 DEV_RESTART,     NULL,                           on_flip},
	{P(BACK_RELOAD) | P(BACK_PROBE), DEV_RESTART,     back_was_done,                  on_back},
	{P(BACK_FLIP) | P(BACK_RELOAD) | P(BACK_PROBE),
	                                 DEV_RESTART,     NULL,                           flip_back},
};

static const struct transition *transition_find(const struct context *c)
{
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		const struct transition *t = &table[i];
		if ((t->phases & (1u << c->d->phase)) != 0 && t->event == c->event->kind && (t->guard == NULL || t->guard(c)))
			return t;
	}
	return NULL;
}

int deploy_step(const struct deploy *d, const struct deploy_event *event, int64_t now, const struct deploy_policy *policy,
                struct deploy_step *ret)
{
	if ((unsigned)d->phase >= DEPLOY_PHASE_COUNT || (unsigned)event->kind >= DEV_KIND_COUNT)
		return E_INTERNAL;

	struct context c = {.d = d, .event = event, .policy = policy, .now = now};
	struct deploy_step step = {.next = *d, .ignored = true};
	const struct transition *t = transition_find(&c);
	if (t != NULL) {
		step.ignored = false;
		t->handler(&c, &step);
	}
	*ret = step;
	return 0;
}

/* ---- names --------------------------------------------------------------------------------------------------- */

const char *deploy_phase_name(enum deploy_phase p)
{
	static const char *const names[DEPLOY_PHASE_COUNT] = {
		[DEPLOY_NONE] = "none",
		[DEPLOY_KEY] = "key",
		[DEPLOY_CSR] = "csr",
		[DEPLOY_CHECK] = "check",
		[DEPLOY_WRITE] = "write",
		[DEPLOY_TEST] = "test",
		[DEPLOY_FLIP] = "flip",
		[DEPLOY_RELOAD] = "reload",
		[DEPLOY_PROBE] = "probe",
		[DEPLOY_SETTLE] = "settle",
		[DEPLOY_BACK_FLIP] = "back_flip",
		[DEPLOY_BACK_RELOAD] = "back_reload",
		[DEPLOY_BACK_PROBE] = "back_probe",
		[DEPLOY_HEAL] = "heal",
		[DEPLOY_DONE] = "done",
	};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

const char *deploy_event_name(enum deploy_event_kind k)
{
	static const char *const names[DEV_KIND_COUNT] = {
		[DEV_ORDER] = "order",
		[DEV_KEY] = "key",
		[DEV_CERTIFICATE] = "certificate",
		[DEV_CHECKED] = "checked",
		[DEV_WRITTEN] = "written",
		[DEV_TESTED] = "tested",
		[DEV_FLIPPED] = "flipped",
		[DEV_RELOADED] = "reloaded",
		[DEV_PROBED] = "probed",
		[DEV_TIMER] = "timer",
		[DEV_CANCEL] = "cancel",
		[DEV_RESTART] = "restart",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *deploy_action_name(enum deploy_action_kind k)
{
	static const char *const names[DACT_KIND_COUNT] = {
		[DACT_MAKE_KEY] = "make_key",
		[DACT_SEND_CSR] = "send_csr",
		[DACT_CHECK] = "check",
		[DACT_WRITE] = "write",
		[DACT_TEST] = "test",
		[DACT_FLIP] = "flip",
		[DACT_FLIP_BACK] = "flip_back",
		[DACT_RELOAD] = "reload",
		[DACT_PROBE_RESET] = "probe_reset",
		[DACT_PROBE_STOP] = "probe_stop",
		[DACT_RECEIPT] = "receipt",
		[DACT_DISCARD] = "discard",
		[DACT_PRUNE] = "prune",
		[DACT_ACK] = "ack",
		[DACT_REPEAT_RECEIPT] = "repeat_receipt",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}
