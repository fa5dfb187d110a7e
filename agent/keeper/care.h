/* care.h - room agent/keeper: the care for each place between orders: is what lies there what was made, what is wanted, what was proved
 * and what is served? The first difference starts one refresh (agent/core/refresh.h). Never: while an order works on the place. */
#ifndef VCC_CARE_H
#define VCC_CARE_H

#include "agent/keeper/keeper.h"

/* Something may have changed at this place: compares, reports, begins what is to be done. */
void care_look(struct place *p);
void care_look_all(struct keeper *k); /* trust or lists changed */
/* Every second: what is due. */
void care_beat(struct keeper *k);
/* An order takes over: what is under way at its places ends. */
void care_drop(struct managed *m);
/* What is under way at this place ends. */
void care_end(struct place *p);
/* One event from the queue. 0, or a code after which it must come again. */
_must_check_ int care_event(struct place *p, const struct refresh_event *event);
struct refresh_event care_event_of(enum refresh_event_kind kind, int code);

/* "key.pem was changed (owner 33, mode 0640, 1 names)" */
const char *drift_words(const struct drift *d, char ret[CAUSE_SIZE]);

/* Performs one action; each ends in an event. In care_act.c. */
void care_act(struct place *p, enum refresh_action_kind kind);
/* A signed account of how it ended, for the controller; durable before it is sent. */
void care_report(struct place *p);

#endif
