/* jail.h - room shared/sys: a role locks itself in after warm-up, before threads and input.
 * Never: undoing it. */
#ifndef VCC_JAIL_H
#define VCC_JAIL_H

#include <stdbool.h>

#include "shared/base/err.h"

enum jail_role { JAIL_CONTROLLER, JAIL_GATEWAY, JAIL_SIGNER, JAIL_LINK, JAIL_KEEPER, JAIL_ROLE_COUNT };

struct jail_path {
	const char *path; /* missing paths are skipped */
	bool        write;
};

/* Asserts a single thread, no core dumps, not dumpable, capabilities to the role's set, no_new_privs, Landlock to
 * `paths` (where the kernel has it), seccomp filter of the role (clone3 -> ENOSYS; execve refused for all; socket() for
 * the signer refused; AF_INET for the keeper only to connect). E_SYS_JAIL. VCC_JAIL=off in builds with VCC_FAULTS skips it (sanitizers). */
_must_check_ int jail_enter(enum jail_role role, const struct jail_path *paths, size_t n, struct refusal *why);

#endif
