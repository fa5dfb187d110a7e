/* cert_parts.h - room shared/pki: a certificate taken apart by its DER, without decoding keys or copying.
 * Never: judging it. All spans point into the given bytes. */
#ifndef VCC_CERT_PARTS_H
#define VCC_CERT_PARTS_H

#include "shared/base/id.h"
#include "shared/pki/ext.h"

struct tbs_parts {
	unsigned    version; /* 1, 2, 3 */
	struct span serial;  /* content of the INTEGER, with its sign octet */
	struct span alg;     /* whole AlgorithmIdentifier */
	struct span issuer;  /* whole Name */
	uint8_t     not_before_tag, not_after_tag;
	int64_t     not_before_at, not_after_at;
	struct span subject;    /* whole Name */
	struct span spki;       /* whole SubjectPublicKeyInfo */
	struct span exts;       /* content of Extensions; empty when there are none */
	bool        unique_ids; /* issuerUniqueID or subjectUniqueID present */
};
_must_check_ int tbs_parts_read(struct span tbs, struct tbs_parts *ret); /* E_PKI_CERT */

struct cert_parts {
	struct tbs_parts t;
	struct span      tbs;       /* whole */
	struct span      alg;       /* outer AlgorithmIdentifier, whole */
	struct span      signature; /* content */
};
_must_check_ int cert_parts_read(struct span der, struct cert_parts *ret); /* E_PKI_CERT; at most CERT_DER_MAX octets */

/* Value of the extension; false when absent, doubled ones count as absent. */
bool tbs_parts_ext(const struct tbs_parts *t, enum ext_id id, struct span *ret);
/* Key identifiers: content of the OCTET STRING; empty when absent. */
struct span tbs_parts_subject_key_id(const struct tbs_parts *t);

/* Our 16 octets from the INTEGER's content; false when it is longer or not positive. */
bool cert_parts_serial(struct span content, struct serial *ret);

#endif
