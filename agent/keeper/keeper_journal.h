/* keeper_journal.h - room agent/keeper: the journal: save before acting, read at start, keep it small.
 * Never: deciding anything by what is in it. */
#ifndef VCC_KEEPER_JOURNAL_H
#define VCC_KEEPER_JOURNAL_H

#include "agent/keeper/keeper.h"

/* Reads everything into `k` (managed deployments, receipts). Damage = E_SYS_JOURNAL, never a fresh start; a
 * file that is gone is told. */
_must_check_ int keeper_journal_open(struct keeper *k, struct refusal *why);
/* Adds one record to the batch being built; `payload` by kind. The batch is forgotten when it fails. */
_must_check_ int keeper_journal_add(struct keeper *k, enum record_kind kind, const void *payload);
/* Writes the batch: all of its records count, or none. An empty one is nothing. E_SYS_SPACE may be tried again with a new
 * batch; after anything else the process must end. */
_must_check_ int keeper_journal_commit(struct keeper *k, bool sync);
void keeper_journal_drop(struct keeper *k); /* forgets the batch */
/* Rewrites it now: what is in memory is what counts. E_SYS_SPACE and the like leave the old file in use. */
_must_check_ int keeper_journal_renew(struct keeper *k);
/* Rewrites when it has grown. Called between events. A failure leaves the old file in use; what is broken for good, the next
 * commit tells. */
void keeper_journal_tend(struct keeper *k);

#endif
