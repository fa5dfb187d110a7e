/* offline_root.h - room controller/signer: three commands by which a root whose key is on another machine signs the next authority, or its
 * revocation list: `root-request` here, `root-sign` there, `root-import` here. Never: the root's key on this machine. */
#ifndef VCC_OFFLINE_ROOT_H
#define VCC_OFFLINE_ROOT_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* argv[0] = the command. The exit status: 0, 1 refused, 2 wrong words. */
_must_check_ int offline_root(int argc, char **argv);

/* What is carried away goes to standard output, what a person reads to standard error. */
_must_check_ int offline_put_out(struct span bytes, struct refusal *why);
void             offline_tell(const char *what, const char *root_id, struct span request);

#endif
