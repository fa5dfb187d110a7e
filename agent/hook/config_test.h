/* config_test.h - room agent/hook: runs a service's configuration test as if the new generation were already in place.
 * Never: changing anything that another process sees. */
#ifndef VCC_CONFIG_TEST_H
#define VCC_CONFIG_TEST_H

#include <sys/types.h>

#include "shared/conf/target_conf.h"
#include "shared/model/messages.h"

/* Bind-mounts DIR/gNNNNNN (`generation`) over the folder in DIR that DIR/current names, in a mount namespace of this process only,
 * and runs [reload] test. DIR and the way there belong to root or `owner`. No `current` or no privilege: ret->tested stays false. E_HOOK_FAILED, E_HOOK_TIMEOUT; E_HOOK_NAMESPACE
 * means "not tested". The process cannot leave the namespace: one process per request. */
_must_check_ int config_test(const struct target_conf *target, const char *dir, uint64_t generation, uid_t owner, struct hk_reply *ret);

#endif
