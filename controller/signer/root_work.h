/* root_work.h - room controller/signer: what every command of a person needs that works with the keys while no signer runs.
 * Never: while a signer runs: the log's lock tells. */
#ifndef VCC_ROOT_WORK_H
#define VCC_ROOT_WORK_H

#include "controller/signer/root_change.h"

struct root_work {
	struct signer_conf conf;
	struct ca_store    cas;
	struct root_change change;
	int                ca_fd; /* -1 before */
};

/* Configuration, owner, log, keys, folder. To be closed in every case. */
_must_check_ int root_work_open(struct root_work *w, const char *config, struct refusal *why);
void             root_work_close(struct root_work *w);

#endif
