/* ocsp_keys.h - room controller/daemon: the delegated OCSP responders, one for each issuing CA: keys, certificates, their
 * renewal. A responder's certificate carries no-check and so cannot be revoked: it lives for days, and each has a key of its
 * own, in STATE_DIR/ocsp-ISSUER.key. Never: a CA's key. */
#ifndef VCC_OCSP_KEYS_H
#define VCC_OCSP_KEYS_H

#include "controller/daemon/controller.h"
#include "shared/pki/ocsp.h"

struct ocsp_keys;
/* Loads what is there and still fits. E_SYS_*. */
_must_check_ int ocsp_keys_open(struct controller *ctl, struct ocsp_keys **ret, struct refusal *why);
/* For an issuer that was just added; it is not missed as long as it signs nothing. */
void             ocsp_keys_add(struct controller *ctl, const struct issuer *row);
void             ocsp_keys_free(struct ocsp_keys *k);
void             ocsp_keys_tick(struct controller *ctl, int64_t now); /* orders what is missing or past half of its life */

/* The issuer that `one` names; NULL = none of ours has a responder's place (the root's certificates are checked by its list).
 */
struct ocsp_place;
struct ocsp_place *ocsp_keys_find(struct ocsp_keys *k, const struct ocsp_one *one);
const char        *ocsp_place_issuer(const struct ocsp_place *p);
/* Its responder, held until ocsp_responder_release(); NULL while there is none in force, with at least `life_ms` left. */
struct held_responder;
struct held_responder       *ocsp_place_hold(struct ocsp_place *p, int64_t now, int64_t life_ms);
const struct ocsp_responder *held_responder_get(const struct held_responder *h); /* may be used by a worker while it is held */
void                         held_responder_release(struct held_responder *h);

bool ocsp_keys_ready(const struct ocsp_keys *k, int64_t now); /* each issuing CA has one in force */
/* For status and lists: the i-th issuer that has one; NULL beyond the last. `ret_not_after_at` 0 = none yet. */
const char *ocsp_keys_at(const struct ocsp_keys *k, size_t i, int64_t *ret_not_after_at);

#endif
