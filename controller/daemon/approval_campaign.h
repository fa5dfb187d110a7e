/* approval_campaign.h - room controller/daemon: what a second person has to see of a campaign that is asked about: waves,
 * hosts, services, options. The text that is hashed names the campaign and the hash of its plan; hosts and targets are
 * counted as they are now. Never: deciding. */
#ifndef VCC_APPROVAL_CAMPAIGN_H
#define VCC_APPROVAL_CAMPAIGN_H

#include <jansson.h>

#include "controller/store/store.h"

/* On a worker. E_NOT_FOUND: it was pruned. */
_must_check_ int approval_campaign_json(struct store_view *view, struct id campaign_id, json_t **ret);

#endif
