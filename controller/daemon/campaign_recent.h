/* campaign_recent.h - room controller/daemon: how many certificates a principal renewed by campaigns of the last day that nobody else
 * agreed to. Many small ones count like one large one. On the loop. Never: deciding what is too much (campaign_json.h). */
#ifndef VCC_CAMPAIGN_RECENT_H
#define VCC_CAMPAIGN_RECENT_H

#include "controller/daemon/controller.h"
#include "shared/model/campaign.h"

struct campaigns_recent;
_must_check_ int campaigns_recent_open(struct campaigns_recent **ret);
_must_check_ int campaigns_recent_load(struct controller *ctl);
void             campaigns_recent_free(struct campaigns_recent *all);

/* One that is being stored, and one that could not be. */
void campaigns_recent_add(struct controller *ctl, const struct campaign *c);
void campaigns_recent_remove(struct controller *ctl, struct id campaign_id);

uint32_t campaigns_recent_sum(struct controller *ctl, const char *actor, int64_t now);

#endif
