/* crl_judge.h - room agent/keeper: judges fetched revocation lists on a worker thread: large ones take a while, and nothing
 * else waits. Never: using them. */
#ifndef VCC_CRL_JUDGE_H
#define VCC_CRL_JUDGE_H

#include "agent/keeper/keeper.h"
#include "shared/pki/crl_set.h"

struct crl_judge;

/* On the loop's thread. `lists` is what was judged; `code` 0: they are good, else `why` says what is wrong. */
typedef void crl_judge_fn(void *ctx, int code, const struct refusal *why, struct span lists, const struct crl_set_facts *facts);

/* Takes both buffers. What is there now is the measure: roots, the lists in use, the time. `done` is called once, later. */
_must_check_ int crl_judge_begin(struct keeper *k, struct buf *issuers, struct buf *lists, struct hash announced,
				 crl_judge_fn *done, void *ctx, struct crl_judge **ret);
/* Nobody waits for it any more: `done` is not called. NULL allowed. */
void crl_judge_drop(struct crl_judge *j);

#endif
