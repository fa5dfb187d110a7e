/* share_set.h - room shared/pki: what lies beside the keys when their passphrase is shared: the passphrase, sealed under the secret of which each
 * custodian has a share, and a hash of each share, by which a wrong one is named before the others are asked for.
 * It gives nothing away: a share has 256 random bits. Never: files; keeping a share. */
#ifndef VCC_SHARE_SET_H
#define VCC_SHARE_SET_H

#include "shared/base/id.h"
#include "shared/pki/share.h"

enum {
	SHARE_SET_MAX = 4096, /* octets of the text */
	SHARE_SET_TEXT = 2 * SHARE_SET + 1,
	SHARE_PASSPHRASE_MAX = 1024,
	SHARE_SEAL_MAX = SHARE_PASSPHRASE_MAX + 24 + 16, /* nonce and tag of the secret box */
};

struct share_set {
	uint8_t     set[SHARE_SET];
	unsigned    needed, n;
	struct hash share[SHARES_MAX];
	uint8_t     seal[SHARE_SEAL_MAX];
	size_t      seal_n;
};

/* `shares` gets n of them, the caller wipes them. E_RANGE: 2 <= needed <= n <= SHARES_MAX does not hold, or the passphrase is empty or too long. */
_must_check_ int share_set_make(struct span passphrase, unsigned needed, unsigned n, struct share_set *ret, struct share shares[SHARES_MAX]);
void             share_set_name(const uint8_t set[SHARE_SET], char ret[SHARE_SET_TEXT]);

_must_check_ int share_set_write(const struct share_set *s, struct buf *to);
/* Exactly what share_set_write() writes. E_SHARES_DAMAGED. */
_must_check_ int share_set_read(struct span text, struct share_set *ret, struct refusal *why);

/* Is it one of these, and not among the `n` that are here already? E_SIGNER_SHARE. */
_must_check_ int share_set_judge(const struct share_set *s, const struct share *have, size_t n, const struct share *share, struct refusal *why);
/* The passphrase, of `needed` shares. E_SIGNER_SHARE: they are not as many, or do not fit together; E_SHARES_DAMAGED: the seal does not open, so the file was altered. */
_must_check_ int share_set_open(const struct share_set *s, const struct share *shares, size_t n, struct buf *to, struct refusal *why);

#endif
