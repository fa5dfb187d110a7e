/* new_root.h - room controller/signer: `vcc-signer new-root` and `vcc-signer drop-root ROOT`: a person's two steps of a change
 * of the root. Never: while a signer runs. */
#ifndef VCC_NEW_ROOT_H
#define VCC_NEW_ROOT_H

#include "shared/base/attr.h"

/* argv[0] = the command. The exit status: 0, 1 refused, 2 wrong words. */
_must_check_ int new_root(int argc, char **argv);
_must_check_ int drop_root(int argc, char **argv);

#endif
