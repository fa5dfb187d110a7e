/* sim_tick.c - room tests/lib: time passes at the controller: what is due, timers, supersession, people and a clock that is set.
 * Never: decisions of its own. */
#include <string.h>

#include "controller/core/policy.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

#define LOOK_MS (10 * MS_MINUTE) /* in years, for what is due */

static void supersede_due(struct sim *s)
{
	static struct issuance rows[8];
	size_t                 n = 0;
	if (s->controller.first != NULL || view_supersede_due(s->view, control_now(s), rows, 8, &n) != 0 || n == 0)
		return;
	struct sim_change *c = change_new();
	for (size_t i = 0; i < n; i++) {
		rows[i].state = ISSUANCE_REVOKED;
		rows[i].revoked_at = control_now(s);
		rows[i].revoke_reason = REASON_SUPERSEDED;
		rows[i].supersede_at = TIME_NEVER;
		store_put_issuance(c->change, &rows[i]);
	}
	change_submit(s, c);
}

static bool ordered_already(const struct sim *s, const char *cert_id)
{
	for (int i = 0; i < s->controller.slots; i++) {
		if (s->controller.slot[i].used && strcmp(s->controller.slot[i].o.cert_id, cert_id) == 0)
			return true;
	}
	return false;
}

static void schedule(struct sim *s)
{
	struct certificate *due = s->due;
	size_t              n = 0;
	if (s->now >= s->calm_at || view_due(s->view, control_now(s), due, N_ELEMENTS(s->due), &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		enum trigger trigger = serial_is_none(due[i].serial) ? TRIGGER_MANUAL : TRIGGER_SCHEDULED;
		bool         approval = false;
		if (!ordered_already(s, due[i].cert_id) &&
		    policy_eligible(&due[i], &s->template, NULL, trigger, false, control_now(s), &approval) == 0 && !approval)
			(void)control_order_new(s, &due[i], trigger, 0, (struct id){{0}}, NULL);
	}
}

/* A person cancels an open order now and then, and always a paused one, so that the next can begin. */
static void people(struct sim *s)
{
	for (int i = 0; i < s->controller.slots; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		bool             paused = s->config->days == 0 && slot->o.phase == ORDER_PAUSED && sim_chance(s, 5);
		if (!slot->used || slot->busy || !(paused || sim_chance(s, s->config->cancel)))
			continue;
		struct order_event e = control_event(s, &slot->o, EV_CANCEL);
		control_order(s, slot, &e, -1, NULL, NULL);
	}
}

/* Somebody sets the clock, or a time server does. */
static void jump(struct sim *s)
{
	static const int64_t ahead[] = {0, -2 * MS_HOUR, -10 * MS_MINUTE, 10 * MS_MINUTE, 2 * MS_HOUR};
	s->ahead = ahead[sim_random(s, N_ELEMENTS(ahead))];
	s->jumps++;
	sim_trace(s, "the controller's clock is %lld s ahead", (long long)(s->ahead / MS_SECOND));
}

static bool is_unanswered(const struct session *x)
{
	return x->welcomed && !x->helloed;
}

/* A second; in years as long as nothing is waited for. */
static int64_t tick_ms(const struct sim *s)
{
	int64_t at = s->now + LOOK_MS;
	if (s->config->days == 0)
		return MS_SECOND;
	for (int i = 0; i < s->controller.slots; i++) {
		const struct sim_slot *slot = &s->controller.slot[i];
		if (slot->used && s->now + MS_MINUTE < at)
			at = s->now + MS_MINUTE;
		if (slot->used && slot->o.next_at != TIME_NEVER && slot->o.next_at - s->ahead < at)
			at = slot->o.next_at - s->ahead;
	}
	for (int i = 0; i < s->n_agents; i++)
		if (is_unanswered(&s->controller.session[i]))
			at = s->now + 5 * MS_SECOND;
	return at - s->now > MS_SECOND ? at - s->now : MS_SECOND;
}

static void on_tick(struct sim *s, const struct sim_event *e)
{
	struct sim_controller *k = &s->controller;
	if (!k->alive || k->run != e->run)
		return;
	for (int i = 0; i < s->controller.slots && k->alive; i++) {
		struct sim_slot *slot = &k->slot[i];
		if (!slot->used || slot->busy || slot->o.next_at > control_now(s) || s->config->mutant == MUTANT_NO_TIMER)
			continue;
		struct order_event timer = control_event(s, &slot->o, EV_TIMER);
		control_order(s, slot, &timer, -1, NULL, NULL);
	}
	bool years = s->config->days > 0;
	for (int agent = 0; agent < s->n_agents && (years || e->link % 5 == 0); agent++)
		if (!years || is_unanswered(&k->session[agent])) /* nobody else's timer does anything */
			control_session(s, agent, &(struct session_event){.kind = SES_TIMER});
	if (years ? s->now >= k->look_at : e->link % 5 == 0) {
		k->look_at = s->now + LOOK_MS;
		schedule(s);
	}
	if (years ? s->now >= k->supersede_at : e->link % 5 == 0) {
		k->supersede_at = s->now + MS_HOUR;
		supersede_due(s);
	}
	if (k->signer_linked && !k->reserving && k->serial_end - k->serial_next < 100)
		control_reserve(s);
	people(s);
	if (sim_chance(s, s->config->jump))
		jump(s);
	if (k->alive && k->run == e->run)
		campaign_tick(s);
	struct sim_event *next = sim_after(s, tick_ms(s), on_tick);
	next->run = e->run;
	next->link = e->link + 1;
}

void control_tick_begin(struct sim *s)
{
	sim_after(s, MS_SECOND, on_tick)->run = s->controller.run;
}
