/* cli_invite.h - room controller/cli: vccctl agent invite: one token, or many at once.
 * Never: policy; the controller decides. */
#ifndef VCC_CLI_INVITE_H
#define VCC_CLI_INVITE_H

#include "controller/cli/verb.h"

/* The token stands on a line of its own, so that it is pasted where the agent asks for it and not into a shell. */
void cli_invite_print(const json_t *answer);
int  cli_invite(const struct invocation *in);

#endif
