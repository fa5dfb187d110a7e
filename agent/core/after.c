/* after.c - room agent/core: a deployment from the flip on: reload, proof, and the way back or the healing.
 * Never: going back to a pair that was not valid and serving, or back from one that was proved. */
#include "agent/core/deploy_part.h"
#include "shared/base/err.h"
#include "shared/base/times.h"

enum { BACK_TRIES_MAX = 3 }; /* reloads after a flip-back until the failure is reported anyway */

static void reload(const struct context *c, struct deploy_step *s, enum deploy_phase phase)
{
	part_enter(s, phase);
	s->next.blind = false;
	s->next.next_at = c->now + c->policy->reload_ms;
	part_add(s, DACT_PROBE_RESET);
	part_add(s, DACT_RELOAD);
}

void after_flipped(const struct context *c, struct deploy_step *s)
{
	s->next.flipped_at = c->now;
	reload(c, s, DEPLOY_RELOAD);
}

static void note_reload(const struct context *c, struct deploy_step *s)
{
	if (c->event->code == 0)
		return;
	s->next.flags |= ORDER_HOOK_FAILED;
	part_note(s, c->event->code, c->event->cause);
}

void after_reloaded(const struct context *c, struct deploy_step *s)
{
	part_enter(s, DEPLOY_PROBE);
	s->next.next_at = c->now + c->policy->probe_ms;
	note_reload(c, s);
}

void after_reload_late(const struct context *c, struct deploy_step *s)
{
	part_enter(s, DEPLOY_PROBE);
	s->next.next_at = c->now + c->policy->probe_ms;
	s->next.flags |= ORDER_HOOK_FAILED;
	part_note(s, E_SWAP_DEADLINE, "the reload did not end in time");
}

/* New pair stays though unproved; the goal is still served == issued, so reloading goes on. After a verified receipt there is
 * nothing new to tell. */
static void heal(const struct context *c, struct deploy_step *s)
{
	part_enter(s, DEPLOY_HEAL);
	s->next.next_at = c->now + part_backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, 0, c->event->random);
	if (part_was_proved(c->d))
		return;
	s->next.flags |= ORDER_UNVERIFIED;
	if (s->next.was_down)
		s->next.flags |= ORDER_SERVICE_WAS_DOWN;
	if (!(c->d->receipted && c->d->outcome == RECEIPT_KEPT))
		part_receipt(s, RECEIPT_KEPT);
}

void after_flip_back(const struct context *c, struct deploy_step *s)
{
	part_enter_durably(s, DEPLOY_BACK_FLIP);
	part_add(s, DACT_FLIP_BACK)->generation = c->d->old_generation;
}

/* Back only to something better: a pair that is valid and was serving. Never back from a certificate that was proved. */
static void fail_after_flip(const struct context *c, struct deploy_step *s, int code, const char *cause)
{
	const struct deploy *d = c->d;
	part_note(s, code, cause);
	bool unprobed = c->event->blind; /* nobody can say that the old one was not served */
	bool worked = d->was_serving || unprobed;
	if (!d->post_validation || c->policy->forward || part_was_proved(d) || !d->had_old || !d->old_valid || !worked) {
		heal(c, s);
		return;
	}
	after_flip_back(c, s);
}

void after_reload_failed_unprobed(const struct context *c, struct deploy_step *s)
{
	s->next.flags |= ORDER_HOOK_FAILED;
	s->next.blind = true;
	fail_after_flip(c, s, c->event->code, c->event->cause);
}

/* Which listener, and why, when the event says it. */
static const char *told_or(const struct context *c, const char *otherwise)
{
	return c->event->cause[0] != '\0' ? c->event->cause : otherwise;
}

void after_not_served(const struct context *c, struct deploy_step *s)
{
	const struct probe_summary *p = &c->event->probe;
	if (s->next.was_down)
		fail_after_flip(c, s, E_SWAP_DOWN_BEFORE, "no listener answered before the swap, and not all do now");
	else if (p->answered < p->listeners)
		fail_after_flip(c, s, E_SWAP_PROBE, told_or(c, "not every listener answers"));
	else if (p->wrong)
		fail_after_flip(c, s, E_SWAP_WRONG, told_or(c, "a listener serves neither the old nor the new certificate"));
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
	part_receipt(s, RECEIPT_VERIFIED);
}

static void settled(struct deploy_step *s)
{
	part_enter_durably(s, DEPLOY_DONE);
	part_receipt(s, RECEIPT_SETTLED);
	part_add(s, DACT_PRUNE);
	part_add(s, DACT_PROBE_STOP);
}

/* Time to settle grows with the reloads that did not help: a stale worker must not mean a reload every half minute for ever. */
void after_verified(const struct context *c, struct deploy_step *s)
{
	uint32_t tries = part_was_proved(c->d) ? c->d->tries : 0;
	part_enter_durably(s, DEPLOY_SETTLE);
	s->next.tries = tries;
	s->next.next_at = c->now + c->policy->probe_ms;
	if (tries > 0)
		s->next.next_at += part_backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, tries, c->event->random);
	if (!part_was_proved(c->d))
		verified(s);
}

void after_settled(const struct context *c, struct deploy_step *s)
{
	if (!part_was_proved(c->d))
		verified(s);
	settled(s);
}

/* Verified once, and still an old answer: a stale worker. Never back; reload again until it is gone. */
void after_not_settled(const struct context *c, struct deploy_step *s)
{
	heal(c, s);
	s->next.tries = c->d->tries + 1;
	part_add(s, DACT_RELOAD);
}

/* While such a place fails the others' handshakes prove nothing about it. */
void after_heal_reloaded(const struct context *c, struct deploy_step *s)
{
	s->save = c->d->blind != c->event->blind;
	s->next.blind = c->event->blind;
}

void after_heal_again(const struct context *c, struct deploy_step *s)
{
	s->next.tries++;
	s->next.next_at =
		c->now + part_backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, s->next.tries, c->event->random);
	part_add(s, DACT_RELOAD);
}

void after_back_failed(const struct context *c, struct deploy_step *s)
{
	s->next.tries++;
	s->next.next_at =
		c->now + part_backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, s->next.tries, c->event->random);
}

void after_back_again(const struct context *c, struct deploy_step *s)
{
	s->next.next_at = TIME_NEVER;
	part_add(s, DACT_FLIP_BACK)->generation = c->d->old_generation;
}

void after_back(const struct context *c, struct deploy_step *s)
{
	reload(c, s, DEPLOY_BACK_RELOAD);
}

void after_back_reloaded(const struct context *c, struct deploy_step *s)
{
	uint32_t tries = c->d->tries;
	part_enter(s, DEPLOY_BACK_PROBE);
	s->next.tries = tries;
	s->next.next_at = c->now + c->policy->probe_ms;
}

void after_back_done(const struct context *c, struct deploy_step *s)
{
	(void)c;
	part_give_up(s, RECEIPT_FAILED);
}

void after_back_not_served(const struct context *c, struct deploy_step *s)
{
	uint32_t tries = c->d->tries + 1;
	if (tries >= BACK_TRIES_MAX) {
		s->next.flags |= ORDER_UNVERIFIED;
		part_give_up(s, RECEIPT_FAILED);
		return;
	}
	reload(c, s, DEPLOY_BACK_RELOAD);
	s->next.tries = tries;
}

/* Without an old pair there is nothing to go back to: what is visible is used. */
void after_flip_undone(const struct context *c, struct deploy_step *s)
{
	part_note(s, c->event->code, c->event->cause);
	if (c->d->had_old)
		after_flip_back(c, s);
	else
		after_flipped(c, s);
}

void after_restart_flipped(const struct context *c, struct deploy_step *s)
{
	if (c->d->phase == DEPLOY_FLIP)
		s->next.flipped_at = c->now;
	reload(c, s, DEPLOY_RELOAD);
}

void after_restart_heal(const struct context *c, struct deploy_step *s)
{
	part_enter(s, DEPLOY_HEAL);
	s->next.next_at = c->now + part_backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, 0, c->event->random);
	part_add(s, DACT_PROBE_RESET);
	part_add(s, DACT_RELOAD);
}
