/* receipt_build.c - room agent/keeper: the account of one deployment, from its state and what this run saw of it.
 * Never: sending. */
#include "agent/keeper/receipt_build.h"

#include <stdlib.h>
#include <string.h>

#include "agent/keeper/content.h"
#include "agent/keeper/place.h"
#include "agent/keeper/swap.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"

static void step_add(struct body_receipt *b, enum workflow_step step, int64_t from, int64_t now)
{
	if (b->n_steps == MSG_STEPS_MAX)
		return;
	b->steps[b->n_steps++] = (struct receipt_step){.step = step, .at = now, .took_ms = from > 0 && now > from ? now - from : 0};
}

static void steps_fill(const struct managed *m, enum receipt_outcome outcome, struct body_receipt *b)
{
	b->n_steps = m->swap.n_steps;
	if (b->n_steps > 0)
		memcpy(b->steps, m->swap.steps, b->n_steps * sizeof(b->steps[0]));
	if (outcome == RECEIPT_VERIFIED || outcome == RECEIPT_SETTLED)
		step_add(b, STEP_VERIFY, b->flipped_at, b->made_at);
	if (outcome == RECEIPT_SETTLED)
		step_add(b, STEP_SETTLE, b->flipped_at, b->made_at);
}

/* The stream may still run: what it knows now, else what was kept at its end. */
static void probes_fill(const struct managed *m, struct body_receipt *b)
{
	struct probe_summary s = m->swap.summary;
	b->n_listeners = swap_listeners(m, b->listeners, &b->first_new_at);
	b->first_new_at = clock_of_steady(b->first_new_at);
	swap_summary(m, &s);
	if (b->n_listeners == 0) {
		b->n_listeners = m->swap.n_listeners;
		memcpy(b->listeners, m->swap.listeners, sizeof(b->listeners));
		b->first_new_at = clock_of_steady(m->swap.first_new_at);
	}
	b->last_old_at = clock_of_steady(s.last_old_at);
	b->probes = s.total;
	b->probes_failed = s.failed;
}

/* What came into use with the new pair, where it is the newest that this host knows in all places. */
static void trust_fill(const struct managed *m, const struct deploy *next, struct body_receipt *b)
{
	const struct keeper_state *s = &m->keeper->state;
	uint32_t                   proof = TRUST_PROVED;
	bool                       newest = true;
	bool                       lists = true;
	for (size_t i = 0; i < m->n_places; i++) {
		const struct place *p = m->places[i];
		const struct made  *made = place_in_use(p);
		if (!p->present || p->retired)
			continue;
		newest &= made != NULL && hash_equal(made->content, content_wanted(p, next->fingerprint));
		lists &= content_has_lists(p);
		proof = p->trust_proof < proof ? p->trust_proof : proof;
	}
	if (!newest)
		return;
	b->trust_epoch = s->trust.epoch;
	b->trust_proof = proof;
	if (lists)
		b->crl_hash = s->crl_hash;
}

int receipt_build(const struct managed *m, const struct deploy *next, const struct deploy_action *action, size_t ahead,
                  struct receipt_kept **ret)
{
	struct body_receipt *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return E_NOMEM;
	b->renewal_id = action->renewal_id;
	b->attempt = action->attempt;
	b->outcome = action->outcome;
	b->fingerprint = action->outcome == RECEIPT_REFUSED ? (struct hash){{0}} : next->fingerprint;
	b->old_fingerprint = next->old_fingerprint;
	b->serial = next->serial;
	b->generation = next->generation;
	b->code = action->code;
	b->flags = next->flags;
	b->flipped_at = clock_of_steady(next->flipped_at);
	b->made_at = clock_now();
	b->hook_status = m->swap.hook_status;
	text_cut(b->cert_id, sizeof(b->cert_id), m->cert_id);
	text_cut(b->cause, sizeof(b->cause), next->cause);
	if (action->outcome == RECEIPT_SETTLED)
		for (size_t i = 0; i < m->n_places; i++)
			drain_fill(m->places[i], b);
	probes_fill(m, b);
	steps_fill(m, action->outcome, b);
	if (action->outcome == RECEIPT_SETTLED) /* what the listeners ask for is known since the verified one */
		trust_fill(m, next, b);
	int r = fault_point("keeper.receipt") != 0 ? E_SYS_SPACE : 0;
	if (r == 0)
		r = receipt_make(&m->keeper->receipts, ahead, m->keeper->state.host_key, b, ret);
	if (r == 0)
		(void)fault_point("keeper.receipt.done");
	free(b);
	return r;
}
