/* access_check.h - room agent/keeper: could the service's user read the key? Computed from owners and modes, before the flip.
 * Never: changing user. */
#ifndef VCC_ACCESS_CHECK_H
#define VCC_ACCESS_CHECK_H

#include <sys/types.h>

#include "shared/base/err.h"

/* Names of the target file as numbers; E_SWAP_TARGET when there is no such user or group. */
_must_check_ int access_owner(const char *owner, const char *group, uid_t *ret_uid, gid_t *ret_gid, struct refusal *why);

/* The reader is the owner (when not root) or else a member of the group (when not root's). Every folder on the way must let it pass and
 * `path` must let it read. E_SWAP_ACCESS names the folder or file. */
_must_check_ int access_check(const char *path, uid_t uid, gid_t gid, struct refusal *why);

#endif
