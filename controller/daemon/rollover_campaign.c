/* rollover_campaign.c - room controller/daemon: plans the campaigns that issue again what an authority signed that gives way.
 * Never: deciding when; the rollover's own row. */
#include "controller/daemon/rollover_campaign.h"

#include <stdio.h>
#include <stdlib.h>

#include "controller/daemon/campaign_make.h"
#include "controller/daemon/rollover_left.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

struct campaign_job {
	struct controller    *ctl;
	char                  issuer_id[ISSUER_ID_SIZE];
	struct campaign_plan *plan;
	struct caller         who;
	struct answer        *answer; /* of a person, who hears of it when the campaign is stored; NULL = nobody asked */
};

static void plan_campaign(void *job, struct store_view *view)
{
	struct campaign_job *j = job;
	struct rollover_left left = {.code = 0};
	if (view == NULL) {
		j->plan->code = E_STORE_IO;
		return;
	}
	text_cut(left.issuer_id, sizeof(left.issuer_id), j->issuer_id);
	rollover_left_count(&left, view, j->plan->now);
	j->plan->request.ids = left.ids;
	j->plan->request.n_ids = left.n_ids;
	left.ids = NULL;
	j->plan->code = left.code;
	if (left.code == 0 && left.n_ids == 0)
		j->plan->code = E_NOT_FOUND;
	if (j->plan->code == 0)
		campaign_plan_make(j->plan, view);
	rollover_left_free(&left);
}

static void created(void *ctx, const struct api_result *result)
{
	struct answer *a = ctx;
	a->result.code = result->code;
	a->result.why = result->why;
	answer_now(a);
}

static int campaign_make(struct campaign_job *j)
{
	const struct rollover *rollover;
	int                    may = rollovers_planned(j->ctl, j->issuer_id, &rollover);
	int                    r = j->plan->code < 0 ? j->plan->code : may;
	if (r < 0)
		return r;
	(void)snprintf(j->who.reason, sizeof(j->who.reason), "CA %s gives way to %s", rollover->issuer_id,
		       rollover->successor_id);
	campaigns_create(j->ctl, j->plan, &j->who, j->answer != NULL ? created : NULL, j->answer);
	return 0;
}

static void campaign_planned(void *job)
{
	struct campaign_job *j = job;
	int                  r = campaign_make(j);
	if (r == E_NOT_FOUND && j->answer != NULL)
		answer_now(j->answer); /* nothing is left that could be issued again */
	else if (r < 0 && j->answer != NULL)
		answer_refuse(j->answer, r, j->issuer_id, j->plan->why.cause[0] != '\0' ? j->plan->why.cause : NULL);
	if (j->plan->code < 0 && j->plan->code != E_NOT_FOUND)
		log_line(LOG_LEVEL_ERROR, NULL, "what CA %s signed cannot be issued again now: %s", j->issuer_id,
			 err_what(j->plan->code));
	campaign_plan_free(j->plan);
	free(j);
}

static void fill_request(const struct rollover *r, struct campaign_request *q)
{
	q->kind = CAMPAIGN_CA;
	q->trigger = r->emergency ? TRIGGER_EMERGENCY : TRIGGER_MANUAL;
	q->incident = r->emergency ? INCIDENT_CA_COMPROMISE : INCIDENT_OTHER;
	q->revoke_old = r->emergency ? REVOKE_OLD_PROVED : REVOKE_OLD_GRACE;
	q->selector.kind = SELECT_IDS;
	q->halt_share = -1;
	q->by.roles = 1u << ROLE_ADMIN;
	text_cut(q->gives_way, sizeof(q->gives_way), r->issuer_id);
	text_cut(q->reason, sizeof(q->reason), r->reason);
}

void rollover_campaign_begin(struct controller *ctl, const struct rollover *r, const struct caller *who, struct answer *answer)
{
	struct campaign_job *j = calloc(1, sizeof(*j));
	if (j == NULL || (j->plan = calloc(1, sizeof(*j->plan))) == NULL)
		abort();
	fill_request(r, &j->plan->request);
	text_cut(j->issuer_id, sizeof(j->issuer_id), r->issuer_id);
	j->ctl = ctl;
	j->who = *who;
	j->answer = answer;
	j->plan->priority = ctl->conf->bulk_priority;
	j->plan->share = ctl->conf->approval_share;
	j->plan->now = clock_now();
	j->plan->outlook.batch = r->emergency ? 0 : (uint32_t)ctl->conf->bulk_batch;
	j->plan->outlook.pause_ms = ctl->conf->bulk_pause_ms;
	text_cut(j->plan->domain, sizeof(j->plan->domain), ctl->domain);
	workers_read(ctl->workers, plan_campaign, campaign_planned, j);
}
