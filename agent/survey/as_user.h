/* as_user.h - room agent/survey: does something with the rights of another user, so that root shows nobody what he may not
 * read. Never: in a process with threads; coming back with less than before. */
#ifndef VCC_AS_USER_H
#define VCC_AS_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "shared/base/err.h"

enum { AS_USER_GROUPS_MAX = 256 };

struct as_user {
	bool   changed;
	uid_t  uid;
	gid_t  gid;
	gid_t  groups[AS_USER_GROUPS_MAX];
	size_t n_groups;
};

/* From here on files are opened with the rights of `uid` and all of its groups. For who is not root: nothing changes. E_SYS_IO.
 */
_must_check_ int as_user_begin(uid_t uid, struct as_user *ret, struct refusal *why);
/* Ends the process when the rights do not come back. */
void as_user_end(const struct as_user *me);

#endif
