/* list_content.c - room controller/signer: reads the packed entries of a list that is asked for, and hashes what it says.
 * Never: signing. */
#include "controller/signer/list_content.h"

#include <string.h>

#include "shared/base/be.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

int list_shape(const struct sg_crl *crl, struct refusal *why)
{
	if (crl->entries.n % LIST_ENTRY != 0 || crl->entries.n / LIST_ENTRY > ISSUANCES_PER_SHARD)
		return refuse(why, E_SIGNER_LIMIT, crl->issuer_id, "the list's entries are not %d bytes each, or too many", LIST_ENTRY);
	if (crl->dates.n != 0 && (crl->dates.n % LIST_DATE != 0 || crl->dates.n / LIST_DATE != crl->entries.n / LIST_ENTRY))
		return refuse(why, E_SIGNER_LIMIT, crl->issuer_id, "the list's dates are not one for each entry");
	return 0;
}

void list_hash(const struct sg_crl *crl, struct hash *ret)
{
	uint8_t head[16];
	be_put(head, (uint64_t)crl->this_update_at, 8);
	be_put(head + 8, (uint64_t)crl->next_update_at, 8);
	digest_sha256_two(head, sizeof(head), crl->entries.p, crl->entries.n, ret);
	if (crl->dates.n > 0) {
		struct hash entries = *ret;
		digest_sha256_two(entries.b, sizeof(entries.b), crl->dates.p, crl->dates.n, ret);
	}
}

/* Beyond the year 9999 there is none: what is no whole second no list may say. */
static int64_t date_read(uint64_t seconds)
{
	return seconds < UINT64_C(253402300800) ? (int64_t)seconds * MS_SECOND : 1;
}

/* `date` NULL: none of the list has one. */
static void entry_read(const uint8_t *p, const uint8_t *date, struct crl_entry *ret)
{
	uint64_t seconds = be_get(p + 16, 7);
	memcpy(ret->serial.b, p, sizeof(ret->serial.b));
	ret->revoked_at = (int64_t)(seconds < UINT64_C(253402300800) ? seconds : 0) * MS_SECOND;
	ret->reason = p[23];
	ret->invalidity_at = date != NULL ? date_read(be_get(date, LIST_DATE)) : 0;
}

size_t list_entries(const struct sg_crl *crl, struct crl_entry *ret)
{
	size_t n = crl->entries.n / LIST_ENTRY;
	for (size_t i = 0; i < n; i++)
		entry_read(crl->entries.p + i * LIST_ENTRY, crl->dates.n > 0 ? crl->dates.p + i * LIST_DATE : NULL, &ret[i]);
	return n;
}
