/* link_join.h - room agent/link: `vcc-agent join`: the network half of joining; the host key's half is `vcc-keeper join`.
 * Never: seeing the host key; sending the token. */
#ifndef VCC_LINK_JOIN_H
#define VCC_LINK_JOIN_H

#include "shared/base/attr.h"

/* argv[0] = "join". Returns the exit status: 0 joined, 1 failed, 2 usage, 4 refused by the controller, 5 unreachable. */
_must_check_ int link_join(int argc, char **argv);

#endif
