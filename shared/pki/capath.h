/* capath.h - room shared/pki: a folder of authorities and revocation lists as OpenSSL looks them up, named by the hash of
 * subject or issuer: HASH.0, HASH.1 and HASH.r0, HASH.r1 (openssl-rehash(1)). Never: files; judging what the certificates say.
 */
#ifndef VCC_CAPATH_H
#define VCC_CAPATH_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum {
	CAPATH_NAME_SIZE = 20,
	CAPATH_AUTHORITIES_MAX = 16,
	CAPATH_LISTS_MAX = 4096,
	CAPATH_FILES_MAX = CAPATH_AUTHORITIES_MAX + CAPATH_LISTS_MAX,
};

struct capath_file {
	char          name[CAPATH_NAME_SIZE];
	unsigned long hash;
	bool          is_list;
	struct span   pem; /* points into what capath_make() was given */
};
struct capath {
	struct capath_file *files; /* by name */
	size_t              n;
};

/* From PEM as cert_pem_add() and crl_pem_add() write it; `lists` may be empty. An authority that is there twice makes one file.
 * E_PKI_CERT, E_PKI_CRL: something else stands there. E_FULL: more than the limits. E_NOMEM. */
_must_check_ int capath_make(struct span authorities, struct span lists, struct capath *ret);
void             capath_free(struct capath *c);

#endif
