/* deploy_part.c - room agent/core: how a step of a deployment is built.
 * Never: deciding which step. */
#include "agent/core/deploy_part.h"

#include "shared/base/text.h"
#include "shared/base/times.h"

enum { BACKOFF_SHIFT_MAX = 6 };

struct deploy_action *part_add(struct deploy_step *s, enum deploy_action_kind kind)
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

void part_enter(struct deploy_step *s, enum deploy_phase phase)
{
	s->next.phase = phase;
	s->next.tries = 0;
	s->next.restarts = 0;
	s->next.next_at = TIME_NEVER;
	s->save = true;
}

void part_enter_durably(struct deploy_step *s, enum deploy_phase phase)
{
	part_enter(s, phase);
	s->sync = true;
}

/* The first failure is the one people need to see. */
void part_note(struct deploy_step *s, int code, const char *cause)
{
	if (s->next.code != 0)
		return;
	s->next.code = code;
	text_cut(s->next.cause, sizeof(s->next.cause), cause);
}

void part_receipt(struct deploy_step *s, enum receipt_outcome outcome)
{
	s->next.outcome = outcome;
	s->next.receipted = true;
	s->save = s->sync = true;
	struct deploy_action *a = part_add(s, DACT_RECEIPT);
	a->outcome = outcome;
	a->code = s->next.code;
}

int64_t part_backoff(int64_t min_ms, int64_t max_ms, uint32_t tries, uint32_t random)
{
	int64_t ms = min_ms << (tries < BACKOFF_SHIFT_MAX ? tries : BACKOFF_SHIFT_MAX);
	if (ms > max_ms)
		ms = max_ms;
	return ms + (ms >= 4 ? (int64_t)random % (ms / 4) : 0);
}

bool part_was_proved(const struct deploy *d)
{
	return d->receipted && d->outcome == RECEIPT_VERIFIED;
}

/* The attempt is over: its key is worthless, and what it wrote is not in use. After a renewal another one follows, and prunes what a killed
 * keeper has left under another number; after a drill nothing does. */
void part_give_up(struct deploy_step *s, enum receipt_outcome outcome)
{
	part_enter_durably(s, DEPLOY_DONE);
	part_receipt(s, outcome);
	part_add(s, DACT_DISCARD);
	part_add(s, DACT_PROBE_STOP);
	if (s->next.drill)
		part_add(s, DACT_PRUNE);
}
