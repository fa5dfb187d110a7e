/* crl_fetch.h - room agent/keeper: gets the revocation lists that the controller announces, through the link, when a target
 * wants them; when (agent/core/crl_plan.h) and whether they are good (crl_judge.h) is decided elsewhere. Never: putting a list
 * into use that was not judged; the old ones stay until better ones are durable. */
#ifndef VCC_CRL_FETCH_H
#define VCC_CRL_FETCH_H

#include "agent/keeper/keeper.h"

_must_check_ int crl_fetch_open(struct keeper *k); /* sets k->crl_fetch */
void             crl_fetch_close(struct keeper *k);

/* Does any target want lists? After target files were read, and now and then. */
void crl_fetch_look(struct keeper *k);
void crl_fetch_announced(struct keeper *k, const struct msg_crl *m);
void crl_fetch_piece(struct keeper *k, const struct lk_piece *piece);
void crl_fetch_lost(struct keeper *k); /* the controller or the link is away */

bool crl_fetch_wanted(const struct keeper *k);
/* Why the lists on this host are not the announced ones, with words; 0 = they are, or nothing was announced. */
int crl_fetch_trouble(const struct keeper *k, const char **ret_text);
/* For people: when it is tried next (wall clock), 0 = not planned. */
int64_t crl_fetch_next_at(const struct keeper *k);

#endif
