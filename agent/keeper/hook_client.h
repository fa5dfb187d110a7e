/* hook_client.h - room agent/keeper: asks vcc-hook for a test or a reload, over a connection of its own each time.
 * Never: sending anything but a verb, a target's stem, a generation's number and the time of a reload. */
#ifndef VCC_HOOK_CLIENT_H
#define VCC_HOOK_CLIENT_H

#include "shared/model/messages.h"
#include "shared/sys/ipc.h"

struct hook_call;
typedef void hook_done_fn(void *ctx, const struct hk_reply *reply);
/* Calls `done` once, later: with the hook's reply, or with code E_SYS_*, E_WIRE_*, E_FULL, E_NOMEM and words in `output`. A hook that cannot be
 * reached, or that ended without an answer, is given a few seconds to come back and asked again, at most twice in all,
 * and all of it within timeout_ms. E_NOMEM: nothing was asked. */
_must_check_ int hook_ask(uv_loop_t *loop, const char *socket_path, const struct hk_request *request, int64_t timeout_ms,
                          hook_done_fn *done, void *ctx, struct hook_call **ret);
void hook_cancel(struct hook_call *c); /* NULL allowed; `done` is not called */

#endif
