/* spki.h - room shared/pki: takes a SubjectPublicKeyInfo apart by its DER alone and judges it.
 * Never: decoding a key through the crypto library (200 us), arithmetic on unchecked sizes. */
#ifndef VCC_SPKI_H
#define VCC_SPKI_H

#include "shared/model/certificate.h"

struct spki_parts {
	enum key_type type;
	struct span   bits;    /* content of the subjectPublicKey: EC point, Ed25519 key, RSAPublicKey */
	struct span   modulus; /* RSA only, without sign octet */
};

/* Accepts exactly the key types of enum key_type: named curve and uncompressed point, RSA of exactly 2048, 3072 or 4096 bit
 * with odd modulus and exponent 65537, Ed25519. E_PKI_KEY. */
_must_check_ int spki_read(struct span spki, struct spki_parts *ret);

#endif
