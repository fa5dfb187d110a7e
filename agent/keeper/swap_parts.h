/* swap_parts.h - room agent/keeper: what the files of the swap share. Each action ends in one event.
 * Never: included outside swap*.c. */
#ifndef VCC_SWAP_PARTS_H
#define VCC_SWAP_PARTS_H

#include "agent/keeper/place.h"

/* Every live place of `m` whose target file is good. */
#define FOR_PLACES(p, m) \
	for (struct place *const *at_ = (m)->places, *p; at_ < (m)->places + (m)->n_places && (p = *at_, true); at_++) \
		if (p->present && !p->retired)

enum { SWAP_HOOK_MARGIN_MS = 5 * 1000 }; /* for killing a program that ignores TERM, and for the answer */

/* A row for the receipt, and a live event for whoever watches. */
void swap_step_begin(struct managed *m);
void swap_step_end(struct managed *m, enum workflow_step step, int code, const char *detail);
/* Posts `e`; a failure gets its words from `why` (which may be NULL). */
void swap_answer(struct managed *m, struct deploy_event *e, const struct refusal *why);
/* A step that asks every place: begin, one answer per place (a failure keeps the first one's words), and the last of them ends it. */
void swap_gather(struct managed *m, enum deploy_event_kind kind);
void swap_gather_failed(struct managed *m, const struct place *p, int code, const char *cause);
/* True when nobody is waited for any more: `m->swap.gathered` is the answer. */
bool swap_gathered(struct managed *m);

/* swap_write.c */
/* Raises m->generation to a number that is new in all places, durably before its folder exists. */
_must_check_ int swap_number(struct managed *m, struct refusal *why);
void swap_make_key(struct managed *m, const struct deploy_action *a);
void swap_send_csr(struct managed *m, const struct deploy_action *a);
void swap_write(struct managed *m, const struct deploy_action *a);
/* swap_reload.c */
void swap_test(struct managed *m, const struct deploy_action *a);
void swap_flip(struct managed *m, const struct deploy_action *a);
void swap_flip_back(struct managed *m, const struct deploy_action *a);
void swap_reload(struct managed *m, const struct deploy_action *a);

#endif
