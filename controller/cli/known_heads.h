/* known_heads.h - room controller/cli: heads of the audit trail that hosts keep, from files.
 * Never: believing one without its signature. */
#ifndef VCC_KNOWN_HEADS_H
#define VCC_KNOWN_HEADS_H

#include "controller/cli/audit_verify.h"

struct known_heads {
	struct known_head head[VERIFY_KNOWN_MAX];
	size_t            n;
};

/* Adds those of a file: the output of `vcc-agent status -o json`, a list of heads, or one head ({size, root, at_ms,
 * certificate, signature}). E_CLI_USAGE where there is none in it; E_AUDIT_SIGNER. */
_must_check_ int known_heads_read(struct known_heads *k, const char *path, struct span roots, struct refusal *why);

#endif
