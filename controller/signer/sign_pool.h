/* sign_pool.h - room controller/signer: threads that sign the certificates of one batch beside the caller.
 * As many as there are free processors, at most ISSUE_HANDS with the caller; on a machine with one processor there is none and nothing
 * changes. Never: a thread that touches socket, log or file; work left behind when sign_pool_run() returns. */
#ifndef VCC_SIGN_POOL_H
#define VCC_SIGN_POOL_H

#include <stddef.h>

#include "shared/base/attr.h"

struct sign_pool;
/* After the lock-in. E_NOMEM; threads that cannot be had are done without. */
_must_check_ int sign_pool_new(struct sign_pool **ret);
void             sign_pool_free(struct sign_pool *p); /* NULL allowed */

/* Calls fn(ctx, i, hand) once for each i below n and returns when all have returned. `hand` is 0 for the caller, else the thread's own
 * number below ISSUE_HANDS. Small batches stay with the caller: waking a thread costs as much as a signature. */
typedef void sign_pool_fn(void *ctx, size_t i, unsigned hand);
void         sign_pool_run(struct sign_pool *p, sign_pool_fn *fn, void *ctx, size_t n);

#endif
