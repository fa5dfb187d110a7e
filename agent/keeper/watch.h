/* watch.h - room agent/keeper: the kernel tells when somebody touches what we wrote: the place's folder, the generation in use, and the
 * inode of each of its files (a write through another name shows only there). Never: repairing; it only says where to look. */
#ifndef VCC_WATCH_H
#define VCC_WATCH_H

#include "agent/keeper/keeper.h"

_must_check_ int watch_open(struct keeper *k, struct refusal *why); /* sets k->watch */
void             watch_close(struct watch *w);                      /* NULL allowed */

/* Watches what `p` has in use now, instead of what it had before. Where that is impossible p->watch.missing is set, and said once. */
void watch_place(struct watch *w, struct place *p);
void watch_forget(struct watch *w, struct place *p);
/* Is some place looked at by the clock alone, or did the kernel lose changes within the last minutes? Then one may be seen late. */
bool watch_degraded(const struct keeper *k);
uint64_t watch_overflows(const struct keeper *k); /* since the start */
/* What is missing, in one word: "complete", "watches" or "instances" (the kernel's limits of the user), "targets" (the folder of target
 * files), "overflow" (changes were lost within the last minutes; everything was looked at), "refused". */
const char *watch_state(const struct keeper *k);

#endif
