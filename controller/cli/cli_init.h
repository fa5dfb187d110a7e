/* cli_init.h - room controller/cli: `vccctl init`: sets up an installation on this machine.
 * Never: overwriting one. */
#ifndef VCC_CLI_INIT_H
#define VCC_CLI_INIT_H

#include "shared/base/attr.h"

/* argv[0] = "init". Returns the exit status. Writes configurations, runs `vcc-signer init` and `vcc-controller init`, says what to do
 * next. Every part can be repeated after a kill at any moment, with the same options; a complete installation is refused
 * (VCC-3503). */
_must_check_ int cli_init(int argc, char **argv);

#endif
