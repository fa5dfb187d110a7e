/* offline_root.h - room controller/signer: three commands by which a root whose key is on another machine signs the next authority:
 * `root-request` here, `root-sign` there, `root-import` here. Never: the root's key on this machine. */
#ifndef VCC_OFFLINE_ROOT_H
#define VCC_OFFLINE_ROOT_H

#include "shared/base/attr.h"

/* argv[0] = the command. The exit status: 0, 1 refused, 2 wrong words. */
_must_check_ int offline_root(int argc, char **argv);

#endif
