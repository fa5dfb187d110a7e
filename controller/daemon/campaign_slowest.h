/* campaign_slowest.h - room controller/daemon: of a campaign's orders that are under way those that take longest: a host that
 * was told and is not heard of has a name. Never: ending one. */
#ifndef VCC_CAMPAIGN_SLOWEST_H
#define VCC_CAMPAIGN_SLOWEST_H

#include <jansson.h>

#include "controller/daemon/controller.h"
#include "controller/store/store.h"
#include "shared/model/campaign.h"

/* On a worker: members under way, those that were sent first at the front; more than will be shown. */
json_t *json_campaign_open(const struct campaign *c, struct store_view *view, int64_t now);
/* On the loop: leaves the oldest few, those first whose host is there and could answer, and says what each waits for. */
void campaign_slowest_cut(struct controller *ctl, json_t *list, int64_t now);

#endif
