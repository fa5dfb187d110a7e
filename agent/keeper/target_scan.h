/* target_scan.h - room agent/keeper: all target files of a host, read and judged together: one folder belongs to one target, and the
 * targets of one certificate must agree. For the keeper and for `vcc-keeper --check`. Never: changing what is in use. */
#ifndef VCC_TARGET_SCAN_H
#define VCC_TARGET_SCAN_H

#include "shared/conf/agent_conf.h"
#include "shared/conf/target_conf.h"

enum {
	TARGETS_MAX = 64,
	PLACES_MAX = 16,          /* targets of one certificate */
	PLACES_LISTENERS_MAX = 16 /* of all of them together: a receipt names each */
};

struct target_candidate {
	struct target_conf conf; /* conf.stem is always set */
	char               cert_id[CERT_ID_SIZE];
	char               dir[TARGET_PATH_SIZE];
	struct refusal     why; /* code 0: the file may be used */
};

/* Which folder does a file keep that cannot be read now? "" = none. */
typedef const char *target_held_fn(void *ctx, const char *stem);

struct target_scan {
	const char             *agent, *service; /* of this host: for what a file leaves out */
	target_held_fn         *held;            /* NULL allowed */
	void                   *held_ctx;
	struct target_candidate files[TARGETS_MAX];
	size_t                  n;
};

/* Fills files and n of `s`; large: allocate it. A refusal means that nothing is known of any file. */
_must_check_ int target_scan(const struct agent_conf *conf, struct target_scan *s, struct refusal *why);

#endif
