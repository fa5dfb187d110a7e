/* issue_ca.h - room shared/pki: what a prepared CA holds; for files of this room only.
 * Never: included from another room. */
#ifndef VCC_ISSUE_CA_H
#define VCC_ISSUE_CA_H

#include "shared/pki/cert_parts.h"
#include "shared/pki/issue.h"
#include "shared/pki/key_evp.h"

enum { KEY_ID_SIZE = 20, CA_URL_SIZE = URL_SIZE + ISSUER_ID_SIZE + 24 };

struct issue_ca {
	char              issuer_id[ISSUER_ID_SIZE];
	enum issuer_role  role;
	enum key_type     key_type;
	uint8_t           der[CERT_DER_MAX / 3]; /* the CA's certificate; the spans of `cert` point into it */
	struct cert_parts cert;
	struct span       key_id;                  /* its subjectKeyIdentifier */
	struct span       constraints;             /* value of its nameConstraints; empty = none */
	unsigned          ext_key_usage;           /* of the CA; 0 = any */
	char              ca_url[CA_URL_SIZE];     /* PUBLIC_URL/ca/ISSUER.cer */
	char              ocsp_url[CA_URL_SIZE];   /* PUBLIC_URL/ocsp */
	char              crl_prefix[CA_URL_SIZE]; /* PUBLIC_URL/crl/ISSUER/ */
	struct buf        fixed;                   /* authorityKeyIdentifier and authorityInfoAccess, as in every leaf */
	EVP_PKEY         *evp;                     /* NULL: cannot sign */
	struct key_device device;                  /* signs where the key is in one; the hands have no signers then */
	struct {
		EVP_PKEY_CTX *signer[HASH_ALG_COUNT];
		EVP_MD_CTX   *hasher;
	} hand[ISSUE_HANDS];
};

/* Signs `tbs` and adds SEQUENCE { tbs, alg, signature }: certificates and CRLs alike. `hand` as of issue_sign(). */
_must_check_ int issue_ca_seal(const struct issue_ca *ca, unsigned hand, struct span tbs, enum hash_alg alg, struct buf *to);

#endif
