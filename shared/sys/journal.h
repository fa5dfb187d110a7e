/* journal.h - room shared/sys: an append-only file of checked records, for one process.
 * Record = length, CRC-32, sequence, highest sequence known durable when it was written, payload. A torn tail is dropped
 * at open; damage of a record that a later intact one calls durable is E_SYS_JOURNAL.
 * journal_rewrite() replaces the file by a compact one in one rename. Never: knowing what is in a record. */
#ifndef VCC_JOURNAL_H
#define VCC_JOURNAL_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

struct journal; /* one writer; the folder's lock (dir_lock) is the caller's business */
enum { JOURNAL_RECORD_MAX = 65536 };

/* Calls `each` for every intact record in order; a code it returns ends the opening with that code. Missing file = empty. */
typedef int journal_each_fn(void *ctx, struct span record);
_must_check_ int journal_open(int dir_fd, const char *name, journal_each_fn *each, void *ctx, struct journal **ret, struct refusal *why);
_must_check_ int journal_append(struct journal *j, struct span record, bool sync); /* E_SYS_SPACE, E_SYS_IO; after a failed sync the journal refuses everything until reopened */
_must_check_ int journal_sync(struct journal *j);
/* Durable when it returns; the old content stays until then. */
_must_check_ int journal_rewrite(struct journal *j, const struct span *records, size_t n);
size_t journal_size(const struct journal *j); /* bytes, to decide when to rewrite */
void journal_close(struct journal *j); /* NULL allowed; does not sync */

#endif
