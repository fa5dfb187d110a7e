/* signer_told.h - room controller/daemon: authorities as the signer told of them when it came, ours or not: those below a root
 * that hosts do not use yet wait here until that root takes its place. Never: the store; believing that one is an authority:
 * who adopts one checks it. */
#ifndef VCC_SIGNER_TOLD_H
#define VCC_SIGNER_TOLD_H

#include "controller/daemon/catalog.h"
#include "shared/model/messages.h"

struct told_issuer {
	char       issuer_id[ISSUER_ID_SIZE];
	struct buf der, cross, list; /* as in sg_issuer */
};

struct signer_told {
	struct told_issuer list[CATALOG_ISSUERS_MAX];
	size_t             n;
};

/* Takes copies; of one that was told before the newer. Beyond the limit: nothing. */
void                      signer_told_take(struct signer_told *t, const struct sg_issuer *issuer);
const struct told_issuer *signer_told_at(const struct signer_told *t, size_t i); /* NULL beyond the last */
void                      signer_told_clear(struct signer_told *t);

#endif
