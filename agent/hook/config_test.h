/* config_test.h - room agent/hook: runs a service's configuration test as if the new generation were already in place.
 * Never: changing anything that another process sees. */
#ifndef VCC_CONFIG_TEST_H
#define VCC_CONFIG_TEST_H

#include "shared/conf/target_conf.h"
#include "shared/model/messages.h"

/* Bind-mounts DIR/gNNNNNN (`generation`) over the generation that DIR/current names, in a mount namespace of this process only,
 * and runs [reload] test. First generation or no privilege: ret->tested stays false. E_HOOK_FAILED, E_HOOK_TIMEOUT; E_HOOK_NAMESPACE
 * means "not tested". The process cannot leave the namespace: one process per request. */
_must_check_ int config_test(const struct target_conf *target, const char *dir, uint64_t generation, struct hk_reply *ret);

#endif
