/* campaign_progress.h - room controller/daemon: how many certificates of a campaign were proved and how many failed, as time went by.
 * On a worker: reads every member that has ended. Never: guessing at what is to come (campaign_figures.h). */
#ifndef VCC_CAMPAIGN_PROGRESS_H
#define VCC_CAMPAIGN_PROGRESS_H

#include <jansson.h>

#include "controller/store/store.h"

/* {campaign_id, total_certificates, from, to, points: [{seconds, proved, failed}]}: from its begin to its end, or to `now`, in even steps; each
 * point counts all that ended within so many seconds of the begin. Nothing is in `ret` on failure; the caller frees it. */
_must_check_ int campaign_progress(const struct campaign *c, struct store_view *view, int64_t now, json_t **ret);

#endif
