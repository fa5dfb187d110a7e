/* hsm.h - room controller/signer: CA keys in a PKCS#11 token: made there, used there, never out of it.
 * Opened before the lock-in. A token that fails once is lost for this process: it ends, and a new one waits for the token.
 * Never: a key in a file instead; a PIN that was refused, again; the PIN kept. */
#ifndef VCC_HSM_H
#define VCC_HSM_H

#include "shared/conf/signer_conf.h"
#include "shared/pki/key.h"

struct hsm;

/* Loads the module, finds the token by its label, logs in. *ret NULL: signer.conf names none. E_SIGNER_MODULE; E_SIGNER_TOKEN: it is not
 * there; E_SIGNER_PIN: refused, or refused lately, which the token tells. */
_must_check_ int hsm_open(const struct signer_conf *conf, struct hsm **ret, struct refusal *why);
void             hsm_close(struct hsm *h); /* NULL allowed; its keys are to be freed before */

/* True once it has failed; `why` (may be NULL) tells how. `h` NULL: false. */
bool hsm_is_lost(struct hsm *h, struct refusal *why);

/* ID.p11, the file beside the certificate: the key's PKCS#11 URI (RFC 7512), which is no secret. A new one, with an id of its own. */
enum { HSM_NAME_MAX = 1024 };
_must_check_ int hsm_key_name(const struct hsm *h, const char *issuer_id, struct buf *to);
/* The key that `name` says. The hsm keeps what it needs for it. E_NOT_FOUND; E_SIGNER_TOKEN_KEY: another token's, twice there, or one
 * that could be taken out; E_SIGNER_TOKEN. */
_must_check_ int hsm_key_find(struct hsm *h, struct span name, struct key **ret, struct refusal *why);
/* What a kill left of a pair of this id is taken away first. A token that makes none, being full or against it: E_SIGNER_TOKEN_KEY; the
 * others stay usable. */
_must_check_ int hsm_key_make(struct hsm *h, struct span name, enum key_type type, struct key **ret, struct refusal *why);
/* Takes out of the token what hsm_key_make() made last under this name; its `struct key` was freed. As far as the token lets us. */
void hsm_key_drop(struct hsm *h, struct span name);

#endif
