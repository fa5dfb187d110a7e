/* ext.h - room shared/pki: the X.509 extensions that we write or judge, by object identifier.
 * Never: their meaning for one certificate; that is cert_read, tbs and lint. */
#ifndef VCC_EXT_H
#define VCC_EXT_H

#include "shared/pki/der.h"

enum ext_id {
	EXT_SUBJECT_KEY_ID,
	EXT_KEY_USAGE,
	EXT_ALT_NAME,
	EXT_BASIC_CONSTRAINTS,
	EXT_NAME_CONSTRAINTS,
	EXT_CRL_POINTS,
	EXT_AUTHORITY_KEY_ID,
	EXT_EXTENDED_USAGE,
	EXT_AUTHORITY_INFO,
	EXT_CRL_NUMBER,
	EXT_CRL_REASON,
	EXT_INVALIDITY_DATE,
	EXT_ISSUING_POINT,
	EXT_OCSP_NONCE,
	EXT_OCSP_NO_CHECK,
	EXT_COUNT, /* any other */
};

struct ext {
	enum ext_id id;
	bool        critical;
	struct span value; /* content of extnValue: DER of the extension */
};
/* Next Extension of an Extensions content; false at its end or, with d->bad set, at a malformed one. */
bool ext_next(struct der *d, struct ext *ret);

/* Extension { id, critical DEFAULT FALSE, OCTET STRING }: writes the value between open and close. */
struct ext_mark {
	size_t whole, value;
};
struct ext_mark ext_open(struct buf *to, enum ext_id id, bool critical);
void            ext_close(struct buf *to, struct ext_mark mark);

/* Extended key usages <-> EKU_* bits; purposes that are not ours set EKU_OTHER. */
enum { EKU_OTHER = 1 << 15 };
void     ext_put_extended_usage(struct buf *to, unsigned bits); /* whole extension; nothing for 0 */
unsigned ext_get_extended_usage(struct span value, bool *ret_bad);

/* GeneralName tags (RFC 5280, 4.2.1.6). */
enum {
	GN_DNS = DER_CONTEXT | 2,
	GN_URI = DER_CONTEXT | 6,
	GN_IP = DER_CONTEXT | 7,
};

#endif
