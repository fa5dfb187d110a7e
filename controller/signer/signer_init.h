/* signer_init.h - room controller/signer: `vcc-signer init`: makes the authorities of an installation (LIFECYCLE 2).
 * Never: replacing a key or certificate that exists. */
#ifndef VCC_SIGNER_INIT_H
#define VCC_SIGNER_INIT_H

#include "shared/base/attr.h"

/* argv[0] = "init". Returns the exit status. Makes what is missing in STATE_DIR/ca (root-1, service-1, agent-1,
 * code-signing-1), then writes what everybody may know to the --public folder: ID.cer, root.pem, root-1.crl, bundle (an
 * encoded bundle frame, epoch 1, signed by the root). Can be repeated after a kill at any moment. */
_must_check_ int signer_init(int argc, char **argv);

#endif
