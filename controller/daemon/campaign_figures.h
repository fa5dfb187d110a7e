/* campaign_figures.h - room controller/daemon: how fast a campaign is and how much longer it takes, by the orders that it made.
 * On a worker. Never: promising anything. */
#ifndef VCC_CAMPAIGN_FIGURES_H
#define VCC_CAMPAIGN_FIGURES_H

#include <jansson.h>

#include "controller/store/store.h"

/* {order_seconds_p50, order_seconds_p99, certificates_per_second, seconds_left}; null where nothing can be said. */
json_t *json_campaign_figures(const struct campaign *c, struct store_view *view, int64_t now);

#endif
