/* sim_ballot.c - room tests/lib: what must hold of campaigns when everything has come to rest: each member has one end, the counts say which,
 * nothing was ordered twice or forgotten. Never: repairing. */
#include <string.h>

#include "shared/base/err.h"
#include "tests/lib/sim.h"

struct ballot {
	const struct campaign  *c;
	struct campaign_member *rows;
	size_t                  n;
};

static void check_counts(struct sim *s, const struct ballot *b)
{
	struct campaign counted = *b->c;
	uint32_t        sum[MEMBER_STATE_COUNT] = {0};
	for (size_t i = 0; i < b->n; i++)
		sum[b->rows[i].state]++;
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++)
		if (*campaign_flow_counter(&counted, (enum member_state)i) != sum[i])
			sim_error(s, "a closed campaign counts %u members as %s, and %u are", *campaign_flow_counter(&counted, (enum member_state)i),
				  member_state_name((enum member_state)i), sum[i]);
	if (b->n != b->c->total || campaign_flow_pending(b->c) > 0)
		sim_error(s, "of %u members %zu are there, %u are pending in a closed campaign", b->c->total, b->n, campaign_flow_pending(b->c));
}

static bool nothing_was_wrong(const struct sim *s)
{
	return s->config->target == 0 && s->config->cancel == 0;
}

/* What it says of its member is what became of the order, and that is the only one that was made for it. */
static void check_member(struct sim *s, const struct campaign *c, const struct campaign_member *m)
{
	static struct order orders[STORE_LIST_MAX];
	struct order        o = {.phase = ORDER_PLANNED};
	size_t              n = 0, own = 0;
	if (view_orders(s->view, m->cert_id, (struct id){{0}}, orders, STORE_LIST_MAX, &n) != 0)
		sim_error(s, "%s: its orders cannot be read", m->cert_id);
	for (size_t i = 0; i < n; i++)
		own += id_equal(orders[i].campaign_id, c->campaign_id) ? 1 : 0;
	if (own > 1)
		sim_error(s, "%s: a campaign has ordered it %zu times", m->cert_id, own);
	if (m->state == MEMBER_DONE && (view_order(s->view, m->renewal_id, &o) != 0 || o.phase != ORDER_COMPLETED))
		sim_error(s, "%s: it counts as done, and its order is %s", m->cert_id, order_phase_name(o.phase));
	if (c->kind == CAMPAIGN_EMERGENCY && m->state != MEMBER_DONE && nothing_was_wrong(s))
		sim_error(s, "%s: nothing was wrong, and the emergency left it %s: %s", m->cert_id, member_state_name(m->state), err_what(m->code));
}

static unsigned records(const struct audit *rows, size_t n, struct id campaign_id, enum audit_event event)
{
	unsigned found = 0;
	for (size_t i = 0; i < n; i++)
		found += rows[i].event == event && id_equal(rows[i].request_id, campaign_id) ? 1 : 0;
	return found;
}

static void check_records(struct sim *s, const struct campaign *c, const struct audit *rows, size_t n)
{
	bool     emergency = c->kind == CAMPAIGN_EMERGENCY, cancelled = c->state == CAMPAIGN_CANCELLED;
	unsigned begun = records(rows, n, c->campaign_id, emergency ? AUDIT_EMERGENCY_STARTED : AUDIT_CAMPAIGN_STARTED);
	unsigned ended = records(rows, n, c->campaign_id, cancelled ? AUDIT_CAMPAIGN_CANCELLED
								    : emergency ? AUDIT_EMERGENCY_COMPLETED : AUDIT_CAMPAIGN_COMPLETED);
	if (begun != 1 || ended != 1)
		sim_error(s, "a campaign begins %u times in the audit trail and ends %u times", begun, ended);
}

void verdict_campaigns(struct sim *s, const struct audit *rows, size_t n_rows)
{
	static struct campaign_member members[SIM_AGENTS_MAX * SIM_CERTS_MAX];
	static struct campaign        all[8];
	size_t                        n = 0;
	if (!s->config->campaigns)
		return;
	if (view_campaigns(s->view, (struct id){{0}}, all, N_ELEMENTS(all), &n) != 0 || n != 3)
		sim_error(s, "three campaigns were asked for, there are %zu", n);
	for (size_t i = 0; i < n; i++) {
		struct ballot b = {&all[i], members, 0};
		if (all[i].completed_at == 0)
			sim_error(s, "a campaign is %s for ever", campaign_state_name(all[i].state));
		if (view_members(s->view, all[i].campaign_id, 0, members, N_ELEMENTS(members), &b.n) != 0)
			sim_error(s, "members cannot be read");
		check_counts(s, &b);
		for (size_t m = 0; m < b.n; m++)
			check_member(s, &all[i], &members[m]);
		check_records(s, &all[i], rows, n_rows);
	}
}
