/* keeper_return.h - room agent/keeper: the host key speaks for a link whose identity has ended (DESIGN 1): it signs the request to
 * return, and what comes back is judged as at joining, but by the trust that this host has already.
 * Never: another name or trust than this host joined with. */
#ifndef VCC_KEEPER_RETURN_H
#define VCC_KEEPER_RETURN_H

#include "agent/keeper/keeper.h"

/* Signs for this link key. E_LINK_PIN when the link trusts another root than this host. `body` and `signature` are filled. */
_must_check_ int keeper_return_sign(struct keeper *k, const struct lk_return *ask, struct buf *body, struct buf *signature,
                                    struct refusal *why);
/* Judges an encoded join_reply and keeps what is the keeper's. Spans of `ret` point into `reply`. */
_must_check_ int keeper_return_take(struct keeper *k, struct span reply, struct lk_return_done *ret, struct refusal *why);

#endif
