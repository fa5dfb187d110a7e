/* spki.c - room shared/pki: SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) of the allowed key types.
 * Never: decoding a key through the crypto library, arithmetic on unchecked sizes. */
#include "shared/pki/spki.h"

#include "shared/base/err.h"
#include "shared/pki/der.h"
#include "shared/pki/sig_alg.h"

static int rsa_read(struct span bits, struct spki_parts *ret)
{
	struct der  outer = der_of(bits);
	struct der  d = der_in(&outer, DER_SEQUENCE);
	struct span modulus = der_unsigned(&d);
	uint64_t    exponent = der_u64(&d);
	if (!der_done(&d) || !der_done(&outer) || exponent != 65537)
		return E_PKI_KEY;
	if ((modulus.p[0] & 0x80) == 0 || (modulus.p[modulus.n - 1] & 1) == 0)
		return E_PKI_KEY;
	if (modulus.n == 256)
		ret->type = KEY_RSA_2048;
	else if (modulus.n == 384)
		ret->type = KEY_RSA_3072;
	else if (modulus.n == 512)
		ret->type = KEY_RSA_4096;
	else
		return E_PKI_KEY;
	ret->modulus = modulus;
	return 0;
}

int spki_read(struct span spki, struct spki_parts *ret)
{
	struct der        outer = der_of(spki);
	struct der        d = der_in(&outer, DER_SEQUENCE);
	struct span       alg = der_whole(&d, DER_SEQUENCE);
	struct spki_parts parts = {.bits = der_bits(&d)};
	if (!der_done(&d) || !der_done(&outer) || parts.bits.n == 0)
		return E_PKI_KEY;

	if (span_equal(alg, sig_alg_of_key(KEY_EC_P256)) && parts.bits.n == 65 && parts.bits.p[0] == 4) {
		parts.type = KEY_EC_P256;
	} else if (span_equal(alg, sig_alg_of_key(KEY_EC_P384)) && parts.bits.n == 97 && parts.bits.p[0] == 4) {
		parts.type = KEY_EC_P384;
	} else if (span_equal(alg, sig_alg_of_key(KEY_ED25519)) && parts.bits.n == 32) {
		parts.type = KEY_ED25519;
	} else if (span_equal(alg, sig_alg_of_key(KEY_RSA_2048))) {
		int r = rsa_read(parts.bits, &parts);
		if (r < 0)
			return r;
	} else {
		return E_PKI_KEY;
	}
	*ret = parts;
	return 0;
}
