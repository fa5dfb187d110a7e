/* users.h - room shared/sys: ids of users and groups by name. The local files come first: the modules of other name services stay in
 * memory for good once they have been asked (0.6 MiB with systemd's). Never: who is a member of what. */
#ifndef VCC_USERS_H
#define VCC_USERS_H

#include <sys/types.h>

#include "shared/base/err.h"

/* E_NOT_FOUND: no name service knows it. A locked-in process reaches other services only if their modules are loaded already. */
_must_check_ int user_id(const char *name, uid_t *ret);
_must_check_ int group_id(const char *name, gid_t *ret);
/* One of our own users: sysusers.d makes them in the local files, so nothing else is asked. */
_must_check_ int user_id_local(const char *name, uid_t *ret);

#endif
