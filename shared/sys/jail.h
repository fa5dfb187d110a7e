/* jail.h - room shared/sys: a role locks itself in after warm-up, before threads and input.
 * Never: undoing it. */
#ifndef VCC_JAIL_H
#define VCC_JAIL_H

#include <stdbool.h>

#include "shared/base/err.h"

enum jail_role { JAIL_CONTROLLER, JAIL_GATEWAY, JAIL_SIGNER, JAIL_SIGNER_LOCAL, JAIL_LINK, JAIL_KEEPER, JAIL_DIALER, JAIL_ROLE_COUNT };

struct jail_path {
	const char *path; /* missing paths are skipped */
	bool        write;
};

/* Asserts a single thread, no core dumps, not dumpable, capabilities to the role's set, no_new_privs, Landlock to `paths`
 * and what libraries need (where the kernel has it), seccomp allow-list of the role: no exec, no fork (threads only in controller
 * and keeper), new sockets by role (signer none, or local ones where its token needs them, gateway and keeper local ones, link and dialer internet ones that cannot listen), everything
 * else EPERM. Sockets are bound and listening before; systemd's notify and journal sockets are opened before (notify_send,
 * log_open). E_SYS_JAIL. In builds with VCC_FAULTS, VCC_JAIL=off skips it; sanitizer builds skip it unless VCC_JAIL=on. */
_must_check_ int jail_enter(enum jail_role role, const struct jail_path *paths, size_t n, struct refusal *why);

/* The first step alone, for commands that hold a secret and cannot lock themselves in: no core dump and nobody's look into the memory. After
 * the process has changed its user, which allows it again. */
_must_check_ int jail_no_dump(struct refusal *why);

#endif
