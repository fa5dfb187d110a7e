/* link_status.h - room agent/link: `vcc-agent status`: what the keeper says of its targets, for people or programs.
 * Never: changing anything. */
#ifndef VCC_LINK_STATUS_H
#define VCC_LINK_STATUS_H

#include <stdbool.h>

#include "shared/base/attr.h"
#include "shared/conf/agent_conf.h"

/* Does this host's keeper know a welcome of the controller? */
bool link_status_connected(const struct agent_conf *conf);
/* Asks this host's keeper. Exit status: 0, 1 = the keeper is not there or does not answer, 7 = a target is stale or its file
 * refused. */
_must_check_ int link_status(const struct agent_conf *conf, bool json);

#endif
