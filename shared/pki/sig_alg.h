/* sig_alg.h - room shared/pki: AlgorithmIdentifiers of the public keys and signatures that we use, as DER.
 * One table for reading and writing. Never: other algorithms. */
#ifndef VCC_SIG_ALG_H
#define VCC_SIG_ALG_H

#include "shared/model/certificate.h"

/* What a key of `type` signs with: whole AlgorithmIdentifier. Ed25519 has one, whatever `alg` says. */
struct span sig_alg_der(enum key_type type, enum hash_alg alg);
/* The hash of a signature AlgorithmIdentifier that a key of `type` can have made; E_PKI_SIGNATURE for any other. */
_must_check_ int sig_alg_read(struct span der, enum key_type type, enum hash_alg *ret);
/* The hash used where nobody chose one: as strong as the key. */
enum hash_alg sig_alg_usual(enum key_type type);
/* AlgorithmIdentifier of a SubjectPublicKeyInfo. */
struct span sig_alg_of_key(enum key_type type);
bool        sig_alg_is_rsa(enum key_type t);
bool        sig_alg_is_ec(enum key_type t);

#endif
