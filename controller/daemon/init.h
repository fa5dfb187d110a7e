/* init.h - room controller/daemon: `vcc-controller init`: the first content of the store (called by `vccctl init`).
 * Never: changing an installation that is complete. */
#ifndef VCC_INIT_H
#define VCC_INIT_H

#include "shared/base/attr.h"

/* argv[0] = "init". Returns the exit status. Reads controller.conf and what `vcc-signer init` published (--ca DIR), makes the token files
 * of `admin` and `approver` (--tokens DIR), then stores issuers, root CRL, templates (--crypto modern|brief), services, principals,
 * tokens, settings and audit records in one transaction. Does nothing when that was done before. */
_must_check_ int daemon_init(int argc, char **argv);

#endif
