/* keeper_join.h - room agent/keeper: the keeper's half of `vcc-agent join`, spoken over stdin and stdout.
 * Makes the host key, signs the request with token and host key, judges the answer, writes the keeper's own state.
 * Never: the network; a second identity over a finished one. */
#ifndef VCC_KEEPER_JOIN_H
#define VCC_KEEPER_JOIN_H

#include "shared/conf/agent_conf.h"

/* Exit status. Every refusal goes to the link as LK_JOIN_DONE. */
int keeper_join(const struct agent_conf *conf, int in_fd, int out_fd);

#endif
