/* orders_part.h - room controller/daemon: one open order, as orders.c (which keeps them and takes their events), order_new.c and order_start.c
 * share it. Never: included by anybody else. */
#ifndef VCC_ORDERS_PART_H
#define VCC_ORDERS_PART_H

#include <uthash.h>

#include "controller/daemon/orders.h"
#include "controller/daemon/sent_messages.h"

#define ORDER_RELOAD_MS 3000 /* after a change that was not stored, or could not be made */

struct order_entry {
	struct order   o;
	uint32_t       pending;    /* changes of it on their way to the store */
	int64_t        restart_at; /* after a failed commit: EV_RESTART then; 0 = none */
	bool           is_drill;   /* among `drills` */
	uint32_t       broken;     /* events in a row that broke a rule of ours */
	UT_hash_handle hh, by_cert;
};

struct orders {
	struct order_entry   *open;
	struct order_entry   *drills; /* those that are not over, by certificate: one of each */
	struct sent_messages *sent;
};

/* NULL: it is not in memory. */
struct order_entry *orders_entry(const struct controller *ctl, struct id renewal_id);
struct order_entry *orders_entry_add(struct controller *ctl, const struct order *o);
/* Its next state, on its way to the store with what was sent of it. */
void orders_take_over(struct controller *ctl, struct order_entry *e, struct commit *commit, const struct order *next, const struct sent_message *sent);

/* Would this event begin an attempt, if nothing stands against it? */
bool orders_begins_attempt(const struct order *o, enum order_event_kind kind, int64_t now);
/* An event that nobody waits for. */
void orders_drive(struct controller *ctl, const struct order_event *event, const struct order_input *in);
void orders_park(struct controller *ctl, struct order_entry *e, const char *cause);

#endif
