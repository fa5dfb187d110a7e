/* drill_report.h - room controller/daemon: what a drill showed, as one JSON text that needs nothing beside it.
 * Made on a worker from what is stored. Never: storing it. */
#ifndef VCC_DRILL_REPORT_H
#define VCC_DRILL_REPORT_H

#include "controller/daemon/controller.h"

/* Adds the text to `to` (at most DRILL_REPORT_MAX) and fills the numbers of `d`, of which campaign_id is given.
 * E_CAMPAIGN_STATE: the drill is under way; E_NOT_FOUND: its campaign is archived. */
_must_check_ int drill_report_make(struct store_view *view, const char *domain, int64_t now, struct drill *d, struct buf *to);

#endif
