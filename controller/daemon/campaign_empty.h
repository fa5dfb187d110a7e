/* campaign_empty.h - room controller/daemon: a selection that means nothing: is there a mistyped name in it?
 * On a worker. Never: changing anything. */
#ifndef VCC_CAMPAIGN_EMPTY_H
#define VCC_CAMPAIGN_EMPTY_H

#include "controller/daemon/campaign_plan.h"

/* Of a plan without certificates. 0: everything was meant, and there is nothing; else `p->why` is filled: E_NOT_FOUND: the name is not
 * there, with one that is near; E_CAMPAIGN_EMPTY: it is, and means nothing. Names that are not the caller's are not there. */
_must_check_ int campaign_empty_why(struct campaign_plan *p, struct store_view *view);

#endif
