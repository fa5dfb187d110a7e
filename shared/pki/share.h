/* share.h - room shared/pki: a secret of 32 octets as n shares of which any k give it back, and fewer say nothing about it
 * (Shamir, over the field of 256 elements that AES has), and one share as text that a person can type.
 * Never: files; deciding whose shares they are (share_set.h). */
#ifndef VCC_SHARE_H
#define VCC_SHARE_H

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* SHARE_TEXT_SIZE: groups of four digits with a blank between them, and the final NUL. */
enum { SHARES_MAX = 16, SHARE_SECRET = 32, SHARE_SET = 4, SHARE_BYTES = 44, SHARE_TEXT_SIZE = 2 * SHARE_BYTES / 4 * 5 };

struct share {
	uint8_t set[SHARE_SET]; /* random: those that were made together have the same */
	uint8_t number;         /* 1 to n: the place where the polynomials are evaluated */
	uint8_t needed;         /* k */
	uint8_t value[SHARE_SECRET];
};

/* `ret` holds n shares. 2 <= needed <= n <= SHARES_MAX, else E_RANGE. Constant time in the secret. */
_must_check_ int share_split(const uint8_t secret[SHARE_SECRET], unsigned needed, unsigned n, struct share *ret);
/* Of `needed` shares of one set, each with another number. What they do not fit together in gives another secret: whoever wants to know keeps a
 * seal under it. E_RANGE: not so many, of several sets, or one twice. */
_must_check_ int share_join(const struct share *shares, size_t n, uint8_t ret[SHARE_SECRET]);

/* Layout: version 1, set 4, number 1, needed 1, value 32, first 5 octets of the SHA-256 of "vcc share v1" and all this; as hexadecimal digits. */
void share_text(const struct share *s, char ret[SHARE_TEXT_SIZE]);
/* Blanks, dashes and capitals as they come. E_SIGNER_SHARE: the cause says what is mistyped, and nothing of the share. */
_must_check_ int share_read(struct span text, struct share *ret, struct refusal *why);

#endif
