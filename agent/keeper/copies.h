/* copies.h - room agent/keeper: copies of a generation's files at fixed paths, for programs that cannot follow current/.
 * Each copy changes in one rename, all of them within microseconds, but not in one step: a program that reads key and certificate from
 * two copies may see one old and one new. Never: writing into a folder that others may change, or over anything but a plain file. */
#ifndef VCC_COPIES_H
#define VCC_COPIES_H

#include <sys/types.h>

#include "agent/keeper/generation.h"
#include "shared/base/err.h"
#include "shared/conf/agent_conf.h"

/* Makes every copy of the target equal to its source in generation `number` below `dir_fd` (content, owner, mode); what is equal already
 * stays untouched, as does a copy whose source this generation lacks. All new content is on disk before the first name changes, so that a full disk changes nothing. Repeatable after any
 * kill. E_SWAP_COPY, E_SWAP_ACCESS, E_SYS_*, E_NOT_FOUND. */
_must_check_ int copies_follow(const struct target_conf *t, int dir_fd, uint64_t number, struct refusal *why);
/* The same with what `current` below `dir` names; nothing to do where that is no generation. */
_must_check_ int copies_current(const struct target_conf *t, const char *dir, struct refusal *why);
/* The same after a start or a change of the target file. Logs what it cannot do. */
void copies_converge(const struct target_conf *t, const char *dir);
/* DRIFT_NONE: they are equal now. Else the first that is not, by its name. */
void copies_compare(const struct target_conf *t, int dir_fd, uint64_t number, struct drift *ret);

/* Do they stay out of the agent's folders and the target's own, and can a rename replace them? E_SWAP_COPY. */
_must_check_ int copies_outside(const struct target_conf *t, const struct agent_conf *conf, struct refusal *why);
/* For --check: the same, and could the keeper (uid `keeper`) write them? E_SWAP_COPY. */
_must_check_ int copies_check(const struct target_conf *t, const struct agent_conf *conf, uid_t keeper, struct refusal *why);
/* Does a path of one lie in the folder of the other, or have both the same? Says which in `why`. */
bool copies_clash(const struct target_conf *a, const char *dir_a, const struct target_conf *b, const char *dir_b, struct refusal *why);

#endif
