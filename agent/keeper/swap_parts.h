/* swap_parts.h - room agent/keeper: what the files of the swap share. Each action ends in one event.
 * Never: included outside swap*.c. */
#ifndef VCC_SWAP_PARTS_H
#define VCC_SWAP_PARTS_H

#include "agent/keeper/keeper.h"

enum { SWAP_HOOK_MARGIN_MS = 5 * 1000 }; /* for killing a program that ignores TERM, and for the answer */

/* A row for the receipt, and a live event for whoever watches. */
void swap_step_begin(struct managed *m);
void swap_step_end(struct managed *m, enum workflow_step step, int code, const char *detail);
/* Posts `e`; a failure gets its words from `why` (which may be NULL). */
void swap_answer(struct managed *m, struct deploy_event *e, const struct refusal *why);
_must_check_ int swap_target_open(struct managed *m, int *ret_fd, struct refusal *why);

/* swap_write.c */
void swap_make_key(struct managed *m, const struct deploy_action *a);
void swap_send_csr(struct managed *m, const struct deploy_action *a);
void swap_write(struct managed *m, const struct deploy_action *a);
/* swap_reload.c */
void swap_test(struct managed *m, const struct deploy_action *a);
void swap_flip(struct managed *m, const struct deploy_action *a);
void swap_flip_back(struct managed *m, const struct deploy_action *a);
void swap_reload(struct managed *m, const struct deploy_action *a);

#endif
