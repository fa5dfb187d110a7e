/* receipt_build.h - room agent/keeper: the account of one deployment, from its state and what this run saw of it.
 * Never: sending. */
#ifndef VCC_RECEIPT_BUILD_H
#define VCC_RECEIPT_BUILD_H

#include "agent/keeper/keeper.h"

/* Signed receipt for `action` (DACT_RECEIPT) that leads to the state `next`; `ahead`: receipts of the same step before it. */
_must_check_ int receipt_build(const struct managed *m, const struct deploy *next, const struct deploy_action *action, size_t ahead,
                               struct receipt_kept **ret);

#endif
