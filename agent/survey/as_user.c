/* as_user.c - room agent/survey: does something with the rights of another user.
 * Never: in a process with threads; coming back with less than before. */
#include "agent/survey/as_user.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/sys/file.h"

static bool groups_take(const struct passwd *user)
{
	return initgroups(user->pw_name, user->pw_gid) == 0 && setegid(user->pw_gid) == 0;
}

int as_user_begin(uid_t uid, struct as_user *ret, struct refusal *why)
{
	char                 number[32];
	const struct passwd *user = getpwuid(uid);
	*ret = (struct as_user){.changed = false, .uid = geteuid(), .gid = getegid()};
	snprintf(number, sizeof(number), "uid %u", (unsigned)uid);
	if (ret->uid != 0)
		return 0;
	int n = getgroups(AS_USER_GROUPS_MAX, ret->groups);
	if (user == NULL || n < 0)
		return refuse(why, E_SYS_IO, number, "there is no such user, or it has too many groups");
	ret->n_groups = (size_t)n;
	ret->changed = true;
	if (groups_take(user) && seteuid(uid) == 0)
		return 0;
	int r = sys_refuse(why, number, "take the rights of this user");
	as_user_end(ret);
	return r;
}

void as_user_end(const struct as_user *me)
{
	if (me->changed && (seteuid(me->uid) != 0 || setegid(me->gid) != 0 || setgroups(me->n_groups, me->groups) != 0))
		abort();
}
