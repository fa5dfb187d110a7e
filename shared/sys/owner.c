/* owner.c - room shared/sys: root becomes the owner of a folder for good.
 * Never: a way back. */
#include "shared/sys/owner.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/sys/file.h"

int owner_become(const char *dir, struct refusal *why)
{
	struct stat st;
	if (geteuid() != 0)
		return 0;
	if (stat(dir, &st) != 0)
		return errno == ENOENT ? 0 : sys_refuse(why, dir, "read the folder's owner");
	if (st.st_uid == 0)
		return 0;
	/* groups first: afterwards there is no right to change them */
	if (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
		return sys_refuse(why, dir, "become the folder's owner");
	return 0;
}
