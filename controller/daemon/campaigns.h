/* campaigns.h - room controller/daemon: campaigns that are not closed: their state in memory, the way of an event through the
 * core, and what follows. A campaign's row, its members and the orders that they get change in one commit. Never: deciding a
 * step (controller/core/campaign_flow.h), or what is done with one certificate (campaign_send.h). */
#ifndef VCC_CAMPAIGNS_H
#define VCC_CAMPAIGNS_H

#include "controller/core/campaign_flow.h"
#include "controller/daemon/commit.h"

struct campaigns;
_must_check_ int campaigns_open(struct campaigns **ret);
void             campaigns_free(struct campaigns *all);
/* Start: every campaign that is not closed, with the orders that it waits for. After orders_load(). */
_must_check_ int campaigns_load(struct controller *ctl);
void             campaigns_tick(struct controller *ctl, int64_t now);

/* One that was just stored (campaign_make.h): it goes on from here. */
void campaigns_adopt(struct controller *ctl, const struct campaign *c);

/* Members for one that is collecting (a change of policy walks over the certificates): the campaign and its new members are added to
 * the commit; position and campaign_id are filled here. E_CAMPAIGN_STATE: it takes nobody, because it was ended; E_API_UNAVAILABLE: it
 * is being read again, later. Nothing was added then. */
_must_check_ int campaigns_join(struct controller *ctl, struct commit *c, struct id campaign_id, struct campaign_member *rows,
				size_t n);
/* No more of them come. */
void campaigns_whole(struct controller *ctl, struct commit *c, struct id campaign_id);
/* What still runs with the kind and selector of `next` is cancelled: what it did not send is meant by `next`. E_API_UNAVAILABLE: later;
 * nothing was added then. */
_must_check_ int campaigns_give_way(struct controller *ctl, struct commit *c, const struct campaign *next, const struct caller *who);

/* An emergency begins: every drill that runs is ended with it, one that cannot be read now as soon as it can. What was sent of it gives way to
 * the orders that come. */
void campaigns_end_drills(struct controller *ctl, struct commit *c, const struct caller *who);

/* A person's word: HALT, RESUME, CANCEL or ROLLBACK (of one wave, 0 = of all that was touched). E_NOT_FOUND, E_CAMPAIGN_STATE.
 * result->campaign. */
void campaigns_order(struct controller *ctl, struct id campaign_id, enum campaign_event_kind kind, uint32_t wave,
		     const struct caller *who, api_done_fn *done, void *ctx);
/* A second person's: adds to the commit. `by_person`: the cause is in the person's own words. E_APPROVAL_GONE; E_API_UNAVAILABLE: it is being read
 * again, later. */
_must_check_ int campaigns_decided(struct controller *ctl, struct commit *c, struct id campaign_id, bool approve, const char *cause,
				   bool by_person, const struct caller *who);

/* Newest state: in memory, else stored. E_NOT_FOUND. */
_must_check_ int campaigns_find(struct controller *ctl, struct id campaign_id, struct campaign *ret);

/* Open members that nothing is in flight for: their host is away, or a person is waited for. Counted at every tick. */
uint32_t campaigns_away(struct controller *ctl, struct id campaign_id);

/* From orders.c: an order's next state is added to this commit. */
void campaigns_order_moved(struct controller *ctl, struct commit *c, const struct order *was, const struct order *next);

/* The host has another name: what is waited for of it follows. */
void campaigns_renamed(struct controller *ctl, const char *from, const char *to);

/* Calls `done` once: as soon as nothing of the campaign is in flight, or nothing more will happen without a person; at
 * `until_at` at the latest. The controller ends before: with NULL, and nothing is to be answered any more. */
typedef void campaign_wait_fn(void *ctx, const struct campaign *c, bool in_flight);
void         campaigns_wait(struct controller *ctl, struct id campaign_id, int64_t until_at, campaign_wait_fn *done, void *ctx);

#endif
