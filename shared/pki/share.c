/* share.c - room shared/pki: Shamir's sharing of a secret of 32 octets, and one share as text.
 * Never: a branch or a place in memory that depends on the secret. */
#include "shared/pki/share.h"

#include <string.h>

#include "shared/base/be.h"
#include "shared/pki/key.h"

enum { VERSION = 1, CHECK = 5, AT_CHECK = SHARE_BYTES - CHECK, DIGITS = 2 * SHARE_BYTES };

/* ---- the field: polynomials over one bit modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4) ---- */

static uint8_t times(uint8_t a, uint8_t b)
{
	unsigned x = a, sum = 0;
	for (unsigned bit = 0; bit < 8; bit++) {
		sum ^= x & (0U - ((unsigned)(b >> bit) & 1U));
		x = (x << 1) ^ (0x11bU & (0U - ((x >> 7) & 1U)));
	}
	return (uint8_t)sum;
}

/* a^254: there are 255 elements but 0. */
static uint8_t inverse(uint8_t a)
{
	uint8_t square = a, product = 1;
	for (unsigned i = 1; i < 8; i++) {
		square = times(square, square);
		product = times(product, square);
	}
	return product;
}

int share_split(const uint8_t secret[SHARE_SECRET], unsigned needed, unsigned n, struct share *ret)
{
	uint8_t factor[SHARES_MAX][SHARE_SECRET]; /* of each octet's polynomial: factor[0] is the secret */
	uint8_t set[SHARE_SET];

	if (needed < 2 || needed > n || n > SHARES_MAX)
		return E_RANGE;
	random_bytes(set, sizeof(set));
	memcpy(factor[0], secret, SHARE_SECRET);
	random_bytes(factor[1], (size_t)(needed - 1) * SHARE_SECRET);
	for (unsigned i = 0; i < n; i++) {
		struct share s = {.number = (uint8_t)(i + 1), .needed = (uint8_t)needed};
		memcpy(s.set, set, sizeof(set));
		for (unsigned k = needed; k-- > 0;)
			for (size_t at = 0; at < SHARE_SECRET; at++)
				s.value[at] = (uint8_t)(times(s.value[at], s.number) ^ factor[k][at]);
		ret[i] = s;
		secret_wipe(&s, sizeof(s));
	}
	secret_wipe(factor, sizeof(factor));
	return 0;
}

static bool fit_together(const struct share *shares, size_t n)
{
	if (n < 2 || n > SHARES_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (shares[i].needed != n || shares[i].number == 0 || memcmp(shares[i].set, shares[0].set, SHARE_SET) != 0)
			return false;
		for (size_t k = 0; k < i; k++)
			if (shares[k].number == shares[i].number)
				return false;
	}
	return true;
}

int share_join(const struct share *shares, size_t n, uint8_t ret[SHARE_SECRET])
{
	uint8_t secret[SHARE_SECRET] = {0};

	if (!fit_together(shares, n))
		return E_RANGE;
	for (size_t i = 0; i < n; i++) { /* Lagrange, at 0; numbers of shares are no secret */
		uint8_t weight = 1;
		for (size_t k = 0; k < n; k++)
			if (k != i)
				weight = times(weight, times(shares[k].number, inverse(shares[k].number ^ shares[i].number)));
		for (size_t at = 0; at < SHARE_SECRET; at++)
			secret[at] ^= times(weight, shares[i].value[at]);
	}
	memcpy(ret, secret, SHARE_SECRET);
	secret_wipe(secret, sizeof(secret));
	return 0;
}

/* ---- as text ---- */

static void check_make(const uint8_t bytes[AT_CHECK], uint8_t ret[CHECK])
{
	static const char label[] = "vcc share v1";
	struct hash       all;
	digest_sha256_two(label, sizeof(label) - 1, bytes, AT_CHECK, &all);
	memcpy(ret, all.b, CHECK);
}

void share_text(const struct share *s, char ret[SHARE_TEXT_SIZE])
{
	static const char digit[] = "0123456789abcdef";
	uint8_t           bytes[SHARE_BYTES] = {VERSION};
	size_t            n = 0;

	memcpy(bytes + 1, s->set, SHARE_SET);
	bytes[1 + SHARE_SET] = s->number;
	bytes[2 + SHARE_SET] = s->needed;
	memcpy(bytes + 3 + SHARE_SET, s->value, SHARE_SECRET);
	check_make(bytes, bytes + AT_CHECK);
	for (size_t i = 0; i < SHARE_BYTES; i++) {
		if (i > 0 && i % 2 == 0)
			ret[n++] = ' ';
		ret[n++] = digit[bytes[i] >> 4];
		ret[n++] = digit[bytes[i] & 15];
	}
	ret[n] = '\0';
	secret_wipe(bytes, sizeof(bytes));
}

static int digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Counts on, so that the cause can name the number of digits. */
static int digits_read(struct span text, uint8_t bytes[SHARE_BYTES], struct refusal *why)
{
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == ' ' || text.p[i] == '-' || text.p[i] == '\t' || text.p[i] == '\r' || text.p[i] == '\n')
			continue;
		int digit = digit_of(text.p[i]);
		if (digit < 0)
			return refuse(why, E_SIGNER_SHARE, "share", "digit %zu is none of 0 to 9 and a to f", n + 1);
		if (n < DIGITS)
			bytes[n / 2] = (uint8_t)(bytes[n / 2] << 4 | digit);
		n++;
	}
	return n == DIGITS ? 0 : refuse(why, E_SIGNER_SHARE, "share", "it has %zu digits; a share has %d", n, DIGITS);
}

int share_read(struct span text, struct share *ret, struct refusal *why)
{
	uint8_t      bytes[SHARE_BYTES] = {0}, check[CHECK];
	struct share s = {.number = 0};

	int r = digits_read(text, bytes, why);
	if (r == 0) {
		check_make(bytes, check);
		if (memcmp(check, bytes + AT_CHECK, CHECK) != 0)
			r = refuse(why, E_SIGNER_SHARE, "share", "its last ten digits do not fit the others: one is mistyped");
	}
	if (r == 0 && bytes[0] != VERSION)
		r = refuse(why, E_SIGNER_SHARE, "share", "it is of version %u, which a newer vcc-signer reads", bytes[0]);
	if (r == 0) {
		memcpy(s.set, bytes + 1, SHARE_SET);
		s.number = bytes[1 + SHARE_SET];
		s.needed = bytes[2 + SHARE_SET];
		memcpy(s.value, bytes + 3 + SHARE_SET, SHARE_SECRET);
		*ret = s;
	}
	secret_wipe(&s, sizeof(s));
	secret_wipe(bytes, sizeof(bytes));
	return r;
}
