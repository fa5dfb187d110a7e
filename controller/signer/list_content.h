/* list_content.h - room controller/signer: a revocation list as the controller asks for it: its entries, and a hash of all that it says.
 * Never: signing. */
#ifndef VCC_LIST_CONTENT_H
#define VCC_LIST_CONTENT_H

#include "shared/base/err.h"
#include "shared/model/messages.h"
#include "shared/pki/issue.h"

enum { LIST_ENTRY = 24, LIST_DATE = 8 }; /* octets of sg_crl.entries and sg_crl.dates for each */

/* Whole entries, at most ISSUANCES_PER_SHARD, and a date for each or for none. E_SIGNER_LIMIT. */
_must_check_ int list_shape(const struct sg_crl *crl, struct refusal *why);
void             list_hash(const struct sg_crl *crl, struct hash *ret);
/* As many as list_shape() allows. The number of them. */
size_t list_entries(const struct sg_crl *crl, struct crl_entry *ret);

#endif
