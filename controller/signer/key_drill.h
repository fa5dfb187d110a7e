/* key_drill.h - room controller/signer: `vcc-signer drill`: could the CAs of this folder, or of a copy of it, sign again?
 * A copy with a passphrase in shares is given them below itself: `vcc-signer unlock FOLDER`.
 * Never: changing anything; signing what could mean something. */
#ifndef VCC_KEY_DRILL_H
#define VCC_KEY_DRILL_H

#include "shared/base/attr.h"

/* argv[0] = "drill". Beside a running signer. Returns the exit status. */
_must_check_ int key_drill(int argc, char **argv);

#endif
