/* restore_lists.h - room controller/daemon: revocations that a backup does not know, from the store that it replaces and from
 * the lists as published. Never: believing a list that its issuer did not sign. */
#ifndef VCC_RESTORE_LISTS_H
#define VCC_RESTORE_LISTS_H

#include "controller/daemon/restore_edit.h"

/* Adds what is revoked or on hold; *seen rises to the highest number of a list that was found. */
_must_check_ int restore_lists_merge(struct restore_edit *e, const struct issuer *issuer, uint64_t *seen, struct refusal *why);
/* No stored list of this issuer is left. */
_must_check_ int restore_lists_drop(struct restore_edit *e, const char *issuer_id);

/* restore_edit.c: the change that is being filled (counts one verb), committed whenever it is large enough, or now. */
struct store_change *restore_change(struct restore_edit *e);
_must_check_ int     restore_pace(struct restore_edit *e);
_must_check_ int     restore_flush(struct restore_edit *e);

#endif
