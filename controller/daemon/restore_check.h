/* restore_check.h - room controller/daemon: is a backup whole, of this installation, and is its audit trail the one that its heads sign?
 * Never: changing it. */
#ifndef VCC_RESTORE_CHECK_H
#define VCC_RESTORE_CHECK_H

#include "controller/store/store.h"

/* What a backup turned out to be. */
struct restore_found {
	int64_t     made_at;
	uint64_t    audit_size;
	struct hash audit_root;
	uint64_t    heads; /* that were checked: restore_check_heads() */
};

/* The note, the root (against `old`, the store that it replaces; NULL = there is none to compare with) and every audit record.
 * E_RESTORE_BACKUP, E_RESTORE_OTHER, E_STORE_*. */
_must_check_ int restore_check(struct store_view *view, struct store_view *old, const char *file, struct restore_found *ret, struct refusal *why);
/* Every signed head is of this trail, and its signature is of an authority in it. E_RESTORE_BACKUP, E_STORE_*. */
_must_check_ int restore_check_heads(struct store_view *view, const char *file, struct restore_found *found, struct refusal *why);

#endif
