/* signer_told.c - room controller/daemon: copies of what the signer told of authorities.
 * Never: judging them. */
#include "controller/daemon/signer_told.h"

#include <string.h>

#include "shared/base/text.h"

static void copy(struct buf *to, size_t max, struct span from)
{
	buf_free(to);
	*to = (struct buf)BUF_MAX(max);
	buf_add(to, from.p, from.n);
}

static struct told_issuer *place_of(struct signer_told *t, const char *issuer_id)
{
	for (size_t i = 0; i < t->n; i++)
		if (text_equal(t->list[i].issuer_id, issuer_id))
			return &t->list[i];
	return t->n < CATALOG_ISSUERS_MAX ? &t->list[t->n++] : NULL;
}

void signer_told_take(struct signer_told *t, const struct sg_issuer *issuer)
{
	struct told_issuer *at = place_of(t, issuer->issuer_id);
	if (at == NULL)
		return;
	text_cut(at->issuer_id, sizeof(at->issuer_id), issuer->issuer_id);
	copy(&at->der, CERT_DER_MAX, issuer->certificate);
	copy(&at->cross, CERT_DER_MAX, issuer->cross);
	copy(&at->list, SG_ROOT_LIST_MAX, issuer->list);
}

const struct told_issuer *signer_told_at(const struct signer_told *t, size_t i)
{
	return i < t->n ? &t->list[i] : NULL;
}

void signer_told_clear(struct signer_told *t)
{
	for (size_t i = 0; i < t->n; i++) {
		buf_free(&t->list[i].der);
		buf_free(&t->list[i].cross);
		buf_free(&t->list[i].list);
	}
	memset(t, 0, sizeof(*t));
}
