/* campaign_drive.h - room controller/daemon: a campaign that is not closed, as campaigns.c (which keeps it),
 * campaign_drive.c (which moves its members) and the files beside them share it. Never: included by anybody else. */
#ifndef VCC_CAMPAIGN_DRIVE_H
#define VCC_CAMPAIGN_DRIVE_H

#include <uthash.h>

#include "controller/core/campaign_flow.h"
#include "controller/daemon/campaigns.h"

/* One order that a member waits for. */
struct watch_key {
	struct id campaign_id, renewal_id;
};
struct watch {
	struct watch_key  key;
	uint64_t          position;
	bool              follows; /* the order was not made for it */
	enum member_state state;
	char              agent[AGENT_NAME_SIZE];
	UT_hash_handle    hh;
};

struct waiter {
	int64_t           until_at;
	campaign_wait_fn *done;
	void             *ctx;
	struct waiter    *next;
};

struct entry {
	struct campaign c;
	uint32_t        pending;    /* changes of it on their way to the store */
	uint32_t        sending;    /* so many of them change who waits: until they are stored, nobody looks there */
	bool            lost;       /* a change was not stored: to be read again once none is on its way */
	bool            gives_way;  /* a drill from before an emergency: it ends as soon as it can */
	uint32_t        away;       /* as counted at the last tick */
	uint64_t        held_after; /* where the next look at held members begins */
	struct waiter  *waiters;
	UT_hash_handle  hh;
};

struct campaigns {
	struct entry *open;
	struct watch *watches;
	struct making *making; /* campaign_once.c: those on their way to the store */
};

/* campaigns.c */
struct entry    *campaigns_entry(const struct controller *ctl, struct id campaign_id); /* NULL: it is not in memory */
struct entry    *campaigns_entry_add(struct controller *ctl, const struct campaign *c);
void             campaigns_watches_end(struct controller *ctl, struct id campaign_id);
void             campaigns_watch(struct controller *ctl, const struct campaign_member *m);   /* its order tells from now on */
void             campaigns_unwatch(struct controller *ctl, const struct campaign_member *m); /* what becomes of its order is not the campaign's any more */
_must_check_ int campaigns_step(const struct entry *e, const struct campaign_event *ev, struct campaign_step *ret);
void             campaigns_take_step(struct commit *c, struct entry *e, const struct campaign_step *step, bool sending,
				     const struct caller *who);

/* campaign_load.c: the stored state, with what it waits for */
_must_check_ int campaigns_reload(struct controller *ctl, struct entry *e);

/* campaign_drills.c */
void campaign_drill_gives_way(struct controller *ctl, struct entry *e); /* before it is driven */
void campaign_drills_loaded(struct controller *ctl); /* every campaign that is not closed is there */

/* campaign_drive.c */
void campaign_drive(struct controller *ctl, struct entry *e);
void campaign_drive_held(struct controller *ctl, struct entry *e);

#endif
