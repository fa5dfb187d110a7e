/* cert.h - room shared/pki: reads certificates, chains and requests; PEM and DER.
 * Never: files, sockets, clocks; `at` comes from the caller. */
#ifndef VCC_CERT_H
#define VCC_CERT_H

#include "shared/base/err.h"
#include "shared/pki/key.h"

/* What we use of an X.509 certificate. Read once from DER. */
struct cert_info {
	struct serial serial; /* left-padded to 16 octets; zero when it does not fit our form (positive, < 2^127) */
	int64_t       not_before_at;
	int64_t       not_after_at;
	struct hash   fingerprint; /* SHA-256 of the DER */
	struct hash   spki_hash;
	char          subject[2 * SUBJECT_SIZE]; /* RFC 4514 */
	char          issuer[2 * SUBJECT_SIZE];
	char          common_name[SUBJECT_SIZE];
	char          organisation[SUBJECT_SIZE]; /* "" = none, or not in our form */
	char          host_hash[HASH_TEXT_SIZE]; /* subject serialNumber, or "" */
	struct names  names;
	char          uri[URI_SIZE]; /* first SAN URI, or "" */
	uint16_t      key_usage;
	uint16_t      ext_key_usage;
	bool          is_ca;
};
/* E_PKI_CERT; also for alternative names of kinds that we do not show (e-mail, other ...), a second URI or more than NAMES_MAX
 * names: a name must not be overlooked. */
_must_check_ int cert_read(struct span der, struct cert_info *ret);

/* DER certificates one after the other <-> PEM. */
_must_check_ int cert_pem_add(struct span ders, struct buf *to);
_must_check_ int cert_from_pem(struct span pem, struct buf *ret_ders); /* at most 16 certificates, E_FULL beyond */
/* Next DER element of a concatenation; false at the end or when the rest is not DER (then `rest` is not empty). */
bool der_next(struct span *rest, struct span *ret_one);

/* Private key fits certificate. E_PKI_MISMATCH. */
_must_check_ int cert_fits_key(struct span der, const struct key *k);

/* Full path validation of leaf + chain to one of `roots` (all DER concatenations) at time `at` (name constraints, path
 * length, basic constraints included). Chain <= CHAIN_MAX, roots <= 16 certificates, keys of enum key_type only. `purpose`:
 * EKU_SERVER_AUTH, EKU_CLIENT_AUTH or 0 for any. `at` = 0 ignores validity times. E_PKI_CHAIN, E_PKI_VALIDITY. */
_must_check_ int cert_verify(struct span leaf, struct span chain, struct span roots, unsigned purpose, int64_t at,
			     struct refusal *why);

/* PKCS#10. `csr_make`: subject is empty, only key and proof of possession count. */
_must_check_ int csr_make(const struct key *k, struct buf *to);
/* Checks form (as DER, without decoding more than needed) and proof of possession; gives the SPKI found (points into
 * `csr`) and its type. Sizes are limited before any arithmetic: RSA <= 4096 bit, exponent 65537. E_PKI_CSR, E_PKI_KEY,
 * E_PKI_SIGNATURE. */
_must_check_ int csr_check(struct span csr, struct span *ret_spki, enum key_type *ret_type);

#endif
