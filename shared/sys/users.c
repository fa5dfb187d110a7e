/* users.c - room shared/sys: ids of users and groups by name.
 * Never: who is a member of what. */
#include "shared/sys/users.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "shared/base/text.h"

enum { NSS_BUFFER = 16384 };

int user_id_local(const char *name, uid_t *ret)
{
	char           buffer[NSS_BUFFER];
	struct passwd  row;
	struct passwd *found = NULL;
	FILE          *file = fopen("/etc/passwd", "re");
	if (file == NULL)
		return E_NOT_FOUND;
	int r = E_NOT_FOUND;
	while (r != 0 && fgetpwent_r(file, &row, buffer, sizeof(buffer), &found) == 0)
		if (text_equal(row.pw_name, name)) {
			*ret = row.pw_uid;
			r = 0;
		}
	(void)fclose(file);
	return r;
}

static int group_id_local(const char *name, gid_t *ret)
{
	char          buffer[NSS_BUFFER];
	struct group  row;
	struct group *found = NULL;
	FILE         *file = fopen("/etc/group", "re");
	if (file == NULL)
		return E_NOT_FOUND;
	int r = E_NOT_FOUND;
	while (r != 0 && fgetgrent_r(file, &row, buffer, sizeof(buffer), &found) == 0)
		if (text_equal(row.gr_name, name)) {
			*ret = row.gr_gid;
			r = 0;
		}
	(void)fclose(file);
	return r;
}

int user_id(const char *name, uid_t *ret)
{
	char           buffer[NSS_BUFFER];
	struct passwd  row;
	struct passwd *found = NULL;
	if (user_id_local(name, ret) == 0)
		return 0;
	if (getpwnam_r(name, &row, buffer, sizeof(buffer), &found) != 0 || found == NULL)
		return E_NOT_FOUND;
	*ret = row.pw_uid;
	return 0;
}

int group_id(const char *name, gid_t *ret)
{
	char          buffer[NSS_BUFFER];
	struct group  row;
	struct group *found = NULL;
	if (group_id_local(name, ret) == 0)
		return 0;
	if (getgrnam_r(name, &row, buffer, sizeof(buffer), &found) != 0 || found == NULL)
		return E_NOT_FOUND;
	*ret = row.gr_gid;
	return 0;
}
