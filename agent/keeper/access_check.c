/* access_check.c - room agent/keeper: could the service's user read the key? Computed from owners and modes.
 * Never: changing user. */
#include "agent/keeper/access_check.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/users.h"

int access_owner(const char *owner, const char *group, uid_t *ret_uid, gid_t *ret_gid, struct refusal *why)
{
	uid_t uid;
	gid_t gid;
	if (user_id(owner, &uid) != 0)
		return refuse(why, E_SWAP_TARGET, "files.owner", "there is no user `%s`", owner);
	if (group_id(group, &gid) != 0)
		return refuse(why, E_SWAP_TARGET, "files.group", "there is no group `%s`", group);
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}

/* As the kernel decides: the first class that fits counts, not the sum. `want` is one of 4 (read) and 1 (pass). */
static bool may(const struct stat *st, uid_t uid, gid_t gid, unsigned want)
{
	if (uid == 0 && gid == 0)
		return true;
	if (uid != 0 && st->st_uid == uid)
		return (st->st_mode >> 6 & want) != 0;
	if (st->st_gid == gid)
		return (st->st_mode >> 3 & want) != 0;
	return (st->st_mode & want) != 0;
}

int access_check(const char *path, uid_t uid, gid_t gid, struct refusal *why)
{
	char        part[PATH_MAX];
	struct stat st;
	if (text_copy(part, sizeof(part), path) != 0 || path[0] != '/')
		return refuse(why, E_SWAP_TARGET, path, "the path is too long");
	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (stat(part, &st) != 0 || !may(&st, uid, gid, 1))
			return refuse(why, E_SWAP_ACCESS, part, "uid %u, group %u may not pass this folder (mode %04o)", (unsigned)uid,
			              (unsigned)gid, (unsigned)(st.st_mode & 07777));
		*slash = '/';
	}
	if (stat(part, &st) != 0 || !may(&st, uid, gid, 4))
		return refuse(why, E_SWAP_ACCESS, path, "uid %u, group %u may not read it (mode %04o)", (unsigned)uid, (unsigned)gid,
		              (unsigned)(st.st_mode & 07777));
	return 0;
}
