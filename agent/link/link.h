/* link.h - room agent/link: the daemon: one mTLS websocket to a gateway, one socket to the keeper, frames passed between them.
 * Never: deciding anything about orders; frames go through unread, but for a bye. */
#ifndef VCC_LINK_H
#define VCC_LINK_H

#include "shared/base/err.h"
#include "shared/conf/agent_conf.h"

/* Runs until SIGTERM or SIGINT. E_LINK_NOT_JOINED and others before it runs. */
_must_check_ int link_run(const struct agent_conf *conf, struct refusal *why);

#endif
