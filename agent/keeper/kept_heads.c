/* kept_heads.c - room agent/keeper: judges heads of the audit trail and keeps the newest few.
 * Never: forgetting a head for one that contradicts it. */
#include "agent/keeper/kept_heads.h"

#include <string.h>

#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key.h"

static const char object[] = "audit head";

int kept_heads_check(const struct msg_head *m, struct span roots, struct refusal *why)
{
	struct cert_parts parts;
	struct cert_info  info;
	struct key       *key = NULL;
	uint8_t           body[AUDIT_HEAD_BODY];
	int               r = cert_verify(m->certificate, (struct span){NULL, 0}, roots, 0, 0, why);
	if (r < 0)
		return r;
	if (cert_read(m->certificate, &info) < 0 || !info.is_ca) /* no leaf speaks for the trail */
		return refuse(why, E_PKI_CHAIN, object, "it is signed by a certificate that is no authority");
	r = cert_parts_read(m->certificate, &parts);
	if (r == 0)
		r = key_from_spki(parts.t.spki, &key);
	audit_head_body(m->size, m->root, m->at, body);
	if (r == 0)
		r = key_verify(key, LABEL_HEAD, SPAN_OF(body), m->signature);
	key_free(key);
	return r == 0 ? 0 : refuse(why, r, object, "the signature does not fit");
}

int kept_heads_take(struct kept_heads *h, const struct msg_head *m, bool *ret_new, struct refusal *why)
{
	for (uint32_t i = 0; i < h->n; i++) {
		const struct kept_head *k = &h->row[i];
		if (k->size == m->size && !hash_equal(k->root, m->root))
			return refuse(why, E_AUDIT_HEAD_KEPT, object, "another root of the tree of %llu records is kept here",
				      (unsigned long long)m->size);
		if (k->size == m->size) {
			*ret_new = false;
			return 0;
		}
	}
	if (h->n > 0 && m->size < h->row[0].size)
		return refuse(why, E_AUDIT_HEAD_KEPT, object, "%llu records, and one of %llu is kept here",
			      (unsigned long long)m->size, (unsigned long long)h->row[0].size);
	if (m->size == 0 || m->certificate.n > KEPT_CERTIFICATE_MAX || m->signature.n > MSG_SIGNATURE_MAX)
		return refuse(why, E_RANGE, object, "it is empty or too large to be kept");
	if (h->n < KEPT_HEADS_MAX)
		h->n++;
	memmove(&h->row[1], &h->row[0], (h->n - 1) * sizeof(h->row[0]));
	struct kept_head *k = &h->row[0];
	*k = (struct kept_head){.size = m->size, .root = m->root, .at = m->at};
	memcpy(k->certificate, m->certificate.p, m->certificate.n);
	k->certificate_len = (uint16_t)m->certificate.n;
	memcpy(k->signature, m->signature.p, m->signature.n);
	k->signature_len = (uint16_t)m->signature.n;
	*ret_new = true;
	return 0;
}
