/* restored.h - room controller/daemon: has the store gone back in time, and may hosts be given orders on its word?
 * After a restore, and where the signer or hosts remember a longer trail, nothing is ordered until a person accepts. Never:
 * restoring. */
#ifndef VCC_RESTORED_H
#define VCC_RESTORED_H

#include "controller/daemon/controller.h"
#include "controller/daemon/restore_mark.h"

struct restored;
_must_check_ int restored_open(struct restored **ret);
void             restored_free(struct restored *r);
_must_check_ int restored_load(struct controller *ctl);

/* Nothing is ordered now. Lists, OCSP, receipts and identities go on. */
bool restored_holds(struct controller *ctl);
/* E_RESTORE_WAITS while it holds. */
_must_check_ int restored_allows(struct controller *ctl);
/* When the store was restored last; 0 = never. */
int64_t restored_at(const struct controller *ctl);
void    restored_mark_of(const struct controller *ctl, struct restore_mark *ret);

/* Orders go on. E_RESTORE_NOTHING; E_RESTORE_SIGNER: first the signer has to begin a new trail. */
void restored_accept(struct controller *ctl, const struct caller *who, api_done_fn *done, void *ctx);

#endif
