/* jail_paths.h - room agent/keeper: the folders that the keeper may touch after it has locked itself in, from today's target
 * files. Never: a path that a later target file names; that needs a restart. */
#ifndef VCC_JAIL_PATHS_H
#define VCC_JAIL_PATHS_H

#include "shared/conf/agent_conf.h"
#include "shared/sys/jail.h"

struct jail_paths {
	struct jail_path *paths; /* for jail_enter() */
	size_t            n;
	char            **texts; /* what some of them point to */
	size_t            n_texts;
};

/* Own state, target files, target folders (made when missing), folders of copies and of password files. Looks up the owners of
 * target files, too: a name service module is loaded now or never. E_NOMEM, E_FULL, E_SYS_*. */
_must_check_ int jail_paths_collect(const struct agent_conf *conf, struct jail_paths *ret, struct refusal *why);
void             jail_paths_free(struct jail_paths *p);

#endif
