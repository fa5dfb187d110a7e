/* fleet_sandbox.h - a fleet for the installation that scripts/sandbox runs: its address and pin, and invites by its vccctl.
 * Never: another installation than the one in the folder. */
#ifndef VCC_FLEET_SANDBOX_H
#define VCC_FLEET_SANDBOX_H

#include "tests/fleet/fleet_options.h"

/* Address and pin from DIR/sandbox.json. */
_must_check_ int fleet_sandbox_read(struct fleet_options *o, struct refusal *why);
/* Invites for members `from` .. agents-1, services in turn, and the pin that they name; the tokens lie in the state folder. */
_must_check_ int fleet_sandbox_invite(struct fleet_options *o, uint32_t from, struct refusal *why);

#endif
