/* restore_mark.h - room controller/daemon: the settings "restore": what the store was restored from, and whether a person has
 * accepted it, and "restore_drill": the last drill. Never: deciding what follows. */
#ifndef VCC_RESTORE_MARK_H
#define VCC_RESTORE_MARK_H

#include "controller/store/store.h"

/* All zero: the store was never restored. */
struct restore_mark {
	uint64_t epoch; /* how often this installation was restored */
	int64_t  restored_at;
	int64_t  made_at;     /* of the backup */
	uint64_t audit_size;  /* records it had */
	int64_t  accepted_at; /* 0 = nobody has yet */
	char     accepted_by[ACTOR_SIZE];
	uint64_t heads_to; /* hosts may go on keeping heads of the lost trail of so many records: it was accepted */
};

/* The last drill that proved a backup. All zero: there was none. */
struct drill_mark {
	int64_t  at;
	int64_t  made_at;    /* of the backup */
	uint64_t audit_size; /* records it had */
};

_must_check_ int drill_mark_read(struct store_view *view, struct drill_mark *ret);
void             drill_mark_put(struct store_change *c, const struct drill_mark *m);

/* A store that was never restored gives an empty mark. E_STORE_*. */
_must_check_ int restore_mark_read(struct store_view *view, struct restore_mark *ret);
void             restore_mark_put(struct store_change *c, const struct restore_mark *m);

#endif
