/* approval_campaign.h - room controller/daemon: what a second person has to see of a campaign that is asked about: waves,
 * hosts, services, options. Nothing of it can change any more: the text that is hashed names the campaign and the hash of its
 * plan. Never: deciding. */
#ifndef VCC_APPROVAL_CAMPAIGN_H
#define VCC_APPROVAL_CAMPAIGN_H

#include <jansson.h>

#include "controller/store/store.h"

/* On a worker. E_NOT_FOUND: it was pruned. */
_must_check_ int approval_campaign_json(struct store_view *view, struct id campaign_id, json_t **ret);

#endif
