/* target_copies.h - room shared/conf: [files] copies: fixed paths for programs that cannot follow the link current/.
 * Never: files; only what the setting says. */
#ifndef VCC_TARGET_COPIES_H
#define VCC_TARGET_COPIES_H

#include "shared/conf/target_conf.h"

enum { TARGET_COPIES_MAX = 16 };

/* A file of a generation, and which of them a target has. */
struct target_file {
	const char *name;
	bool        secret; /* holds the key: mode as configured; the others may be read by all */
	bool (*has)(const struct target_conf *t);
};
const struct target_file *target_file_find(const char *name); /* NULL */

struct target_copy {
	const struct target_file *source;
	char                      path[TARGET_PATH_SIZE];
	char                      folder[TARGET_PATH_SIZE];
	const char               *name; /* last part of `path` */
};

/* Starts with *cursor = t->copies; false at the end. The setting has passed target_copies_check(). */
bool target_copy_next(const char **cursor, struct target_copy *ret);
/* "SOURCE:/PATH, ...": sources that this target has, each path once, outside its own folder. E_CONF_VALUE. */
_must_check_ int target_copies_check(const struct target_conf *t, struct refusal *why);
/* Is `path` `folder` or below it? */
bool target_path_below(const char *path, const char *folder);
/* One folder has one spelling: absolute, without `.`, `..`, doubled slashes or one at the end. */
bool target_path_ok(const char *path);

#endif
