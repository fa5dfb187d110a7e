/* order_effect_peers.c - room controller/core: what changes of an order whose host is through: relying parties are asked, heard, waited for no longer; or
 * its host is gone. Never: choosing the transition. */
#include "controller/core/order_effect_part.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

#define PEERS_BACK_MS  MS_MINUTE
#define PEERS_AGAIN_MS (10 * MS_SECOND) /* an answer takes five seconds at most; one that was lost is asked for again */

/* The host served it at every listener when it was last heard of: that was the proof. What it replaced goes as if it had settled. */
void effect_left(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	if ((c->o->flags & ORDER_PEERS) != 0)
		s->next.flags |= ORDER_PEER_UNPROVED;
	effect_supersede(c, s);
	effect_complete(c, s);
}

/* It was wanted that they look, and nobody says that he relies on it: that is no proof, and it is said. */
void effect_settled_unasked(const struct order_context *c, struct order_step *s)
{
	effect_settled(c, s);
	s->next.flags |= ORDER_PEER_UNPROVED;
	s->next.code = E_PEER_NONE;
}

/* The gaps double, and halve towards the end: whoever is away is asked when he comes back. */
static void look_again_at(const struct order_context *c, struct order_step *s)
{
	int64_t left = s->next.deadline_at - c->now, waited = c->policy->peers_ms - left;
	int64_t gap = waited < left / 2 ? waited : left / 2;
	s->next.next_at = c->now + (gap > PEERS_AGAIN_MS ? gap : PEERS_AGAIN_MS);
	if (s->next.next_at > s->next.deadline_at)
		s->next.next_at = s->next.deadline_at;
}

/* The host is through. What it replaced stays as it is until they have looked. */
void effect_ask_peers(const struct order_context *c, struct order_step *s)
{
	if (c->o->phase != ORDER_VERIFIED)
		effect_prove(c, s);
	s->next.flags |= c->event->flags & RECEIPT_FLAGS & ~(uint32_t)ORDER_UNVERIFIED;
	s->next.deadline_at = c->now + c->policy->peers_ms;
	look_again_at(c, s);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add(s, ACT_ASK_PEERS);
}

/* When everything is there again. A restart does not begin the wait anew, but hosts must be able to come back to answer. */
void effect_ask_peers_soon(const struct order_context *c, struct order_step *s)
{
	s->next.next_at = c->now;
	if (s->next.deadline_at < c->now + PEERS_BACK_MS)
		s->next.deadline_at = c->now + PEERS_BACK_MS;
}

void effect_ask_peers_again(const struct order_context *c, struct order_step *s)
{
	look_again_at(c, s);
	effect_add(s, ACT_ASK_PEERS);
}

void effect_peers_proved(const struct order_context *c, struct order_step *s)
{
	effect_supersede(c, s);
	effect_add_audit(s, ORDER_AUDIT_PEERS_PROVED, 0);
	effect_complete(c, s);
}

void effect_peers_away(const struct order_context *c, struct order_step *s)
{
	s->next.flags |= ORDER_PEER_UNPROVED;
	s->next.code = c->event->code != 0 ? c->event->code : E_PEER_AWAY;
	text_cut(s->next.cause, sizeof(s->next.cause), c->event->cause);
	effect_supersede(c, s);
	effect_complete(c, s);
}

static void peers_refuse(const struct order_context *c, struct order_step *s)
{
	effect_note_failure(c, s);
	s->next.flags |= ORDER_PEER_REFUSED;
	effect_add_audit(s, ORDER_AUDIT_PEERS_REFUSED, c->event->code);
}

void effect_peers_back(const struct order_context *c, struct order_step *s)
{
	effect_rollback(c, s);
	peers_refuse(c, s);
}

/* The host serves it and there is nothing better to go back to: it stays in use, and what it replaced stays good. */
void effect_peers_failed(const struct order_context *c, struct order_step *s)
{
	peers_refuse(c, s);
	effect_add(s, ACT_CLEAR_OUTBOX);
	effect_add_audit(s, ORDER_AUDIT_FAILED, c->event->code);
	effect_end(c, s);
}
