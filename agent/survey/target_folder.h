/* target_folder.h - room agent/survey: the folder of a new target: `current` leads to `before/`, where the pair lies that the
 * service uses now, so that it goes on serving it until the first swap is proved. Never: a generation; those are the keeper's.
 */
#ifndef VCC_TARGET_FOLDER_H
#define VCC_TARGET_FOLDER_H

#include <stdbool.h>
#include <sys/types.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* What lies in before/; an empty span is no file. `mode` of those that hold the key. */
struct target_before {
	struct span key, cert, fullchain, chain, combined;
	uid_t       uid;
	gid_t       gid;
	mode_t      mode;
};

/* Makes DIR, which must not exist, in a folder that belongs to root or `keeper`, and gives it to `keeper`. Nothing of it is
 * reachable for anybody else before it is complete. */
_must_check_ int target_folder_make(const char *dir, uid_t keeper, gid_t keeper_gid, const struct target_before *b,
				    struct refusal *why);
/* Removes it with everything in it; missing is fine. */
_must_check_ int target_folder_remove(const char *dir, uid_t keeper, struct refusal *why);

/* Can this user, in this group alone, read the file? Tried in a child. */
bool target_readable(const char *path, uid_t uid, gid_t gid);

#endif
