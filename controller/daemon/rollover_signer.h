/* rollover_signer.h - room controller/daemon: what the signer is asked for when an authority gives way. Its answers come to
 * rollovers.h. Never: deciding when. */
#ifndef VCC_ROLLOVER_SIGNER_H
#define VCC_ROLLOVER_SIGNER_H

#include "controller/daemon/controller.h"
#include "shared/model/rollover.h"

/* E_SYS_AGAIN: no serial is there now; E_WIRE_*. */
_must_check_ int rollover_signer_successor(struct controller *ctl, const struct rollover *r);
/* `issuer_id`: the one to be closed: that of the rollover, or one below it where that is a root. */
_must_check_ int rollover_signer_close(struct controller *ctl, const struct rollover *r, const char *issuer_id);

#endif
