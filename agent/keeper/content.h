/* content.h - room agent/keeper: what the files of a place have to be: settings, issuance in use, trust. One value says whether two
 * generations are made from the same; the bytes follow from it. Never: writing. */
#ifndef VCC_CONTENT_H
#define VCC_CONTENT_H

#include "agent/keeper/keeper.h"
#include "shared/pki/pkcs12.h"

/* What a generation of `p` with this certificate has to be made from. */
struct hash content_wanted(const struct place *p, struct hash fingerprint);

/* Revocation lists belong to it: the target wants them, and there are some that are good to begin with. */
bool content_has_lists(const struct place *p);
/* They belonged to what was made before, but are lost: nothing is made without them until they are there again. */
bool content_lost_lists(const struct place *p);
/* Their bytes, for generation_content.crl; nothing where none belong to it. */
_must_check_ int content_lists(const struct place *p, struct buf *to, struct refusal *why);

/* Owner, group, modes, combined, roots: what can be said without reading key, certificate and revocation lists. */
_must_check_ int content_settings(const struct place *p, struct generation_content *ret, struct refusal *why);

/* PKCS#12 stores, where the target has some; `password` is to be wiped by the caller. E_SWAP_PASSWORD. */
_must_check_ int content_stores(const struct place *p, char password[PKCS12_PASSWORD_SIZE], struct generation_content *to,
                                struct refusal *why);

/* The whole content from the issuance in use. */
struct content {
	struct generation_content what; /* points into the members below */
	struct key               *key;
	struct wire_frame        *frame;
};
_must_check_ int content_load(const struct place *p, struct content *ret, struct refusal *why);
void             content_free(struct content *c);

/* Key, certificate and chain of a stored MSG_CERTIFICATE frame and its attempt's key. */
_must_check_ int content_pair(const struct keeper *k, struct id renewal_id, uint32_t attempt, const struct buf *certificate,
                              struct content *ret, struct refusal *why);

/* Writes generation `number` of `p` from `c`, checks that the service's user can read the key, and remembers what was made (the record
 * is put into the open journal batch). Nothing is left when it fails. */
_must_check_ int content_write(struct place *p, uint64_t number, const struct generation_content *pair, struct hash fingerprint,
                               struct refusal *why);

#endif
