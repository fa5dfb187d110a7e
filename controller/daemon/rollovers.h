/* rollovers.h - room controller/daemon: authorities that give way: their state in memory, the way of an event through the core,
 * and what follows. Row, standing of both authorities and record change in one commit. Never: deciding a step
 * (controller/core/rollover_flow.h). */
#ifndef VCC_ROLLOVERS_H
#define VCC_ROLLOVERS_H

#include <jansson.h>

#include "controller/core/rollover_flow.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/signer_client.h"

struct rollovers;
_must_check_ int rollovers_open(struct rollovers **ret);
_must_check_ int rollovers_load(struct controller *ctl); /* start */
void             rollovers_free(struct rollovers *all);
void             rollovers_tick(struct controller *ctl, int64_t now);

/* The newest one of this authority, over or not; NULL = there was none. */
const struct rollover *rollovers_find(const struct controller *ctl, const char *issuer_id);
/* One that is not over and has this authority in either place; a root gives way with all of them. */
bool rollovers_touches(const struct controller *ctl, const char *issuer_id);
bool rollovers_any(const struct controller *ctl); /* that is not over */
/* As the API shows it, with what is left. NULL = there was none. */
json_t *rollovers_json(struct controller *ctl, const char *issuer_id, int64_t now);

/* Adds the beginning to the commit that stores what two persons agreed to. E_API_BUSY: the one before is just being stored. */
_must_check_ int rollovers_begin(struct controller *ctl, struct commit *c, const struct rollover *first,
				 const struct caller *who);
/* The same of the end. E_ROLLOVER_*; E_API_UNAVAILABLE: what is left was not counted lately; E_API_BUSY. */
_must_check_ int rollovers_retire(struct controller *ctl, struct commit *c, const char *issuer_id, bool override,
				  uint32_t consumers, struct hash consumers_hash, const struct caller *who);
/* The same of an ordinary one that is under way and becomes an emergency: nothing more comes from the old one, and there is no way
 * back. `who`: of the request, with its reason. E_NOT_FOUND, E_ROLLOVER_STATE, E_API_BUSY. */
_must_check_ int rollovers_turn(struct controller *ctl, struct commit *c, const char *issuer_id, const char *requester,
				const struct caller *who);
/* The one that could be turned into an emergency now; NULL = there is none, or it may not. */
const struct rollover *rollovers_turnable(const struct controller *ctl, const char *issuer_id);
/* Would it be possible now? Changes nothing. */
_must_check_ int rollovers_may_retire(struct controller *ctl, const char *issuer_id, bool override);
/* A person's ADVANCE or ROLLBACK. E_NOT_FOUND, E_ROLLOVER_*, E_API_*. */
void rollovers_order(struct controller *ctl, const char *issuer_id, enum rollover_event_kind kind, const struct caller *who,
		     api_done_fn *done, void *ctx);

/* For rollover_campaign.c: the campaign that was asked for is planned. 0: it may be made now. E_API_BUSY (also: it became an
 * emergency meanwhile, and another campaign is meant), E_ROLLOVER_STATE. */
_must_check_ int rollovers_planned(struct controller *ctl, const char *issuer_id, bool emergency, const struct rollover **ret);
/* For campaign_make.c: the campaign that was asked for is in this commit. */
void rollovers_campaign_made(struct controller *ctl, struct commit *c, const char *issuer_id, struct id campaign_id);
/* For signer_client.c. */
void rollovers_made(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);
void rollovers_closed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);

#endif
