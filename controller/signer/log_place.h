/* log_place.h - room controller/signer: where the log of what was signed lies, and whether it was lost.
 * Never: beginning a new one where there was one. */
#ifndef VCC_LOG_PLACE_H
#define VCC_LOG_PLACE_H

#include "controller/signer/sign_log.h"
#include "shared/conf/signer_conf.h"

void log_place(const struct signer_conf *conf, char *ret, size_t size);
/* E_SYS_LOCKED: a signer runs. E_SYS_JOURNAL: there was a log, and it is gone. */
_must_check_ int log_place_open(const struct signer_conf *conf, const char *path, struct sign_log **ret, struct refusal *why);

#endif
