/* campaign_waves.h - room controller/daemon: the waves of a campaign between the API, the plan and the stored campaign.
 * Never: releasing one (controller/core/campaign_flow.h), or cutting rules (controller/core/waves.h). */
#ifndef VCC_CAMPAIGN_WAVES_H
#define VCC_CAMPAIGN_WAVES_H

#include <jansson.h>

#include "controller/daemon/api.h"
#include "controller/daemon/campaign_plan.h"

/* canary, waves, halt_share, halt_count, rollback_on_halt of a body. */
_must_check_ int campaign_waves_read(struct api_call *call, struct campaign_request *q);
/* Which waves mean this certificate: planned.fits. */
uint32_t campaign_waves_fit(const struct campaign_request *q, const struct certificate *c, const char *domain);
/* After the rows are in their turn: by wave, and within a wave as they were. */
_must_check_ int campaign_waves_cut(struct campaign_plan *p);
/* The same as text for the plan's hash: what was asked for. */
void campaign_waves_hash(const struct campaign_request *q, struct buf *to);
void campaign_waves_fill(const struct campaign_plan *p, const struct controller *ctl, struct campaign *c);

/* [{wave, canary, total}]. */
json_t *json_waves(const char *waves, bool canary); /* as they were planned */
json_t *json_plan_waves(const struct campaign_plan *p);
/* With what became of each; on a worker. */
json_t *json_campaign_waves(const struct campaign *c, struct store_view *view);

#endif
