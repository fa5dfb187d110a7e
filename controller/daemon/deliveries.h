/* deliveries.h - room controller/daemon: brings notices to people: one message at a time on each channel, stored before it is
 * sent and after, so that nothing is lost by a kill and a repeat carries the same id. Never: waiting for a receiver on the
 * loop; deciding what is told. */
#ifndef VCC_DELIVERIES_H
#define VCC_DELIVERIES_H

#include "controller/daemon/channels.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/outbound.h"

struct deliveries;

/* Before the jail: reads channels and their secrets. */
_must_check_ int deliveries_open(struct controller *ctl, struct deliveries **ret, struct refusal *why);
/* E_NOTIFY_RELOAD: too much is still being sent by channels that are no more. Room that there is stays until deliveries_reload(). */
_must_check_ int deliveries_room(struct controller *ctl, const struct channels *fresh, struct refusal *why);
/* Channels as they were read anew, for which there is room; takes them. What is being sent goes its way, what waits goes by the new ones. */
void             deliveries_reload(struct controller *ctl, struct channels *fresh, const struct controller_conf *conf);
void             deliveries_tick(struct controller *ctl, int64_t now);
void             deliveries_close(struct deliveries *all); /* the loop runs until what is being sent is ended */
void             deliveries_free(struct deliveries *all);

const struct channels *deliveries_channels(const struct deliveries *all);

/* What a channel did in this run. */
struct channel_state {
	const struct channel *ch;
	char                  name[CHANNEL_NAME_SIZE];
	bool                  busy;
	uint64_t              sent, failed, dead; /* messages, attempts, messages */
	int64_t               sent_at, failed_at; /* 0 = never */
	int                   code;               /* of the last attempt */
	char                  cause[DELIVERY_CAUSE_SIZE];
};
size_t deliveries_state(const struct deliveries *all, struct channel_state ret[CHANNELS_MAX]);

/* Sends a message that only shows that the channel works; `done` on the loop. E_NOTIFY_CHANNEL, E_NOTIFY_BUSY, the channel's
 * own problem: `why` is filled and `done` is not called. */
typedef void     deliveries_tested_fn(void *ctx, const struct outbound_result *result);
_must_check_ int deliveries_test(struct controller *ctl, const char *channel, deliveries_tested_fn *done, void *ctx,
				 struct refusal *why);

#endif
