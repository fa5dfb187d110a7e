/* sim_people.c - room tests/lib: what people ask for in a run with campaigns: a bulk renewal with a canary and waves, an emergency over
 * everything that overtakes it, a bulk renewal in batches; they halt, resume and cancel. Never: knowing how a campaign goes on. */
#include <string.h>

#include "controller/core/waves.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

#define FIRST_AT (5 * MS_MINUTE) /* by then everybody has a certificate, if nothing goes wrong */

static void put_waves(struct sim *s, struct campaign *c)
{
	struct wave_member members[SIM_AGENTS_MAX * SIM_CERTS_MAX] = {{0}};
	struct wave_spec   specs[4];
	struct refusal     why;
	uint32_t           sizes[WAVES_MAX] = {0};
	const char *const  texts[] = {"5", "10%", "25%", "rest"};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		if (wave_parse(texts[i], &specs[i], &why) != 0)
			sim_error(s, "no wave is `%s`", texts[i]);
	size_t n = waves_divide(specs, N_ELEMENTS(specs), members, c->total);
	for (uint32_t i = 0; i < c->total; i++)
		sizes[members[i].wave - 1]++;
	waves_write(sizes, n, c->waves);
	c->wave = 1;
	c->canary = true;
	c->halt_share = 50;
}

static void begin(struct sim *s, enum campaign_kind kind, bool waves)
{
	struct hash     h;
	struct campaign c = {
		.kind = kind,
		.state = CAMPAIGN_PROCESSING,
		.trigger = kind == CAMPAIGN_EMERGENCY ? TRIGGER_EMERGENCY : TRIGGER_MANUAL,
		.total = (uint32_t)(s->n_agents * s->n_certs),
		.started_at = control_now(s),
		.created_at = control_now(s),
		.next_at = TIME_NEVER,
		.remind_at = TIME_NEVER,
		.halt_share = 1000,
	};
	sim_hash(s, &h);
	c.campaign_id = id_make(control_now(s), h.b);
	c.waiting = c.total;
	text_cut(c.selector, sizeof(c.selector), "all");
	if (kind == CAMPAIGN_EMERGENCY) {
		c.fresh_keys = sim_random(s, 2) == 0;
	} else {
		c.batch = 10 + sim_random(s, 30);
		c.pause_ms = 2 * MS_SECOND;
		c.halt_share = 300;
		if (waves)
			put_waves(s, &c);
	}
	campaign_begin(s, &c);
}

/* One open campaign, looked at by somebody now and then. What halted goes on after a while, or is given up. */
static void look(struct sim *s, struct sim_campaign *k)
{
	bool bulk = k->c.kind != CAMPAIGN_EMERGENCY;
	if (k->c.state == CAMPAIGN_HALTED && s->now >= k->halted_at + MS_MINUTE) {
		bool ends = bulk && sim_chance(s, 200);
		s->resumes += campaign_word(s, k, ends ? CAMPAIGN_EV_CANCEL : CAMPAIGN_EV_RESUME) && !ends;
	} else if (k->c.state == CAMPAIGN_PROCESSING && sim_chance(s, 3)) {
		(void)campaign_word(s, k, CAMPAIGN_EV_HALT);
	} else if (k->c.state == CAMPAIGN_PROCESSING && bulk && sim_chance(s, s->config->cancel)) {
		(void)campaign_word(s, k, CAMPAIGN_EV_CANCEL);
	}
}

void people_tick(struct sim *s)
{
	static struct campaign rows[8];
	size_t                 n = 0;
	if (!s->config->campaigns || s->controller.asked || view_campaigns(s->view, (struct id){{0}}, rows, N_ELEMENTS(rows), &n) != 0)
		return;
	int64_t since = s->now - s->begun_at;
	for (int i = 0; i < SIM_CAMPAIGNS; i++)
		if (s->controller.campaign[i].used)
			look(s, &s->controller.campaign[i]);
	if (n == 0 && since >= FIRST_AT) {
		begin(s, CAMPAIGN_BULK, true);
		s->next_ask_at = s->now + sim_between(s, MS_SECOND, MS_MINUTE);
	} else if (n == 1 && s->now >= s->next_ask_at) {
		begin(s, CAMPAIGN_EMERGENCY, false);
		s->next_ask_at = s->now + sim_between(s, MS_SECOND, 5 * MS_MINUTE);
	} else if (n == 2 && s->now >= s->next_ask_at) {
		begin(s, CAMPAIGN_BULK, false);
	}
}
