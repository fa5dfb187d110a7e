/* api_wait.h - room controller/daemon: answers that wait until a renewal or a campaign has come to rest (RFC 7240, Prefer: wait=N).
 * Never: holding the loop; more of them than leave room for other calls. */
#ifndef VCC_API_WAIT_H
#define VCC_API_WAIT_H

#include "controller/daemon/api.h"

/* How long the caller would wait, at most `max` seconds; `fallback` when it does not say. The answer tells what was taken. */
int64_t api_wait_asked(struct api_call *call, int64_t fallback, int64_t max);

/* `done`: exactly once, at rest, or when the time is over, or when nobody is left to hear it. */
typedef void api_waited_fn(struct api_call *call);
void         api_wait_renewal(struct api_call *call, struct id renewal_id, api_waited_fn *done);
/* Before a reading route: when its caller asks to wait, `done` follows. False: nothing of it can be waited for, or it need not. */
bool         api_wait_before(struct api_call *call, api_waited_fn *done);

/* Nothing more happens to it by itself: it ended, or a person or the next day is waited for. */
bool api_wait_order_rests(const struct order *o);

#endif
