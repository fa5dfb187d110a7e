/* issue_ca.c - room shared/pki: prepares a CA for issuing once, and seals bytes with its key.
 * Never: deciding what is signed. */
#include "shared/pki/issue_ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "shared/base/text.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"
#include "shared/pki/tbs_part.h"

/* A PKCS#1 signature of 4096 bit has 512 octets. */
enum { SEAL_MAX = 512 };

static int certificate_take(struct issue_ca *ca, const struct issuer *issuer)
{
	if (issuer->der_len == 0 || issuer->der_len > sizeof(ca->der))
		return E_PKI_CERT;
	memcpy(ca->der, issuer->der, issuer->der_len);
	struct cert_info info;
	int              r = cert_read((struct span){ca->der, issuer->der_len}, &info);
	if (r == 0)
		r = cert_parts_read((struct span){ca->der, issuer->der_len}, &ca->cert);
	if (r == 0)
		r = key_spki_type(ca->cert.t.spki, &ca->key_type);
	if (r < 0)
		return r;
	ca->key_id = tbs_parts_subject_key_id(&ca->cert.t);
	ca->ext_key_usage = info.ext_key_usage;
	if (!tbs_parts_ext(&ca->cert.t, EXT_NAME_CONSTRAINTS, &ca->constraints))
		ca->constraints = (struct span){NULL, 0};
	if (!info.is_ca || ca->key_id.n == 0 || ca->key_id.n > KEY_ID_SIZE || (info.key_usage & KU_KEY_CERT_SIGN) == 0 ||
	    ca->key_type == KEY_ED25519)
		return E_PKI_CERT;
	return 0;
}

static int urls_make(struct issue_ca *ca, const char *public_url)
{
	if (!text_starts(public_url, "http") || !tbs_uri_ok(public_url) || strlen(public_url) >= URL_SIZE ||
	    text_ends(public_url, "/") || !name_cert_id_ok(ca->issuer_id))
		return E_SYNTAX;
	snprintf(ca->ca_url, sizeof(ca->ca_url), "%s/ca/%s.cer", public_url, ca->issuer_id);
	snprintf(ca->ocsp_url, sizeof(ca->ocsp_url), "%s/ocsp", public_url);
	snprintf(ca->crl_prefix, sizeof(ca->crl_prefix), "%s/crl/%s/", public_url, ca->issuer_id);
	return 0;
}

static int signers_make(struct issue_ca *ca, const struct key *k)
{
	if (!span_equal(ca->cert.t.spki, (struct span){k->spki, k->spki_len}))
		return E_PKI_MISMATCH;
	if (EVP_PKEY_up_ref(k->evp) != 1)
		return E_PKI_CRYPTO;
	ca->evp = k->evp;
	ca->device = k->device;
	for (size_t i = 0; i < ISSUE_HANDS; i++) {
		ca->hand[i].hasher = EVP_MD_CTX_new();
		if (ca->hand[i].hasher == NULL)
			return E_NOMEM;
		for (int alg = 0; alg < HASH_ALG_COUNT && k->device.sign == NULL; alg++) {
			int r = key_evp_signer(k, (enum hash_alg)alg, &ca->hand[i].signer[alg]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static void issue_ca_freep(struct issue_ca **ca)
{
	issue_ca_free(*ca);
}

int issue_ca_make(const struct issuer *issuer, const struct key *k, const char *public_url, struct issue_ca **ret)
{
	_cleanup_(issue_ca_freep) struct issue_ca *ca = calloc(1, sizeof(*ca));
	if (ca == NULL)
		return E_NOMEM;
	ca->fixed.max = 1024;
	ca->role = issuer->role;
	int r = text_copy(ca->issuer_id, sizeof(ca->issuer_id), issuer->issuer_id);
	if (r == 0)
		r = certificate_take(ca, issuer);
	if (r == 0)
		r = urls_make(ca, public_url);
	if (r == 0 && k != NULL)
		r = signers_make(ca, k);
	if (r < 0)
		return r;
	tbs_put_authority_key_id(&ca->fixed, ca->key_id);
	tbs_put_authority_info(&ca->fixed, ca->ocsp_url, ca->ca_url);
	r = buf_error(&ca->fixed);
	if (r < 0)
		return r;
	*ret = ca;
	ca = NULL;
	return 0;
}

void issue_ca_free(struct issue_ca *ca)
{
	if (ca == NULL)
		return;
	for (size_t i = 0; i < ISSUE_HANDS; i++) {
		for (int alg = 0; alg < HASH_ALG_COUNT; alg++)
			EVP_PKEY_CTX_free(ca->hand[i].signer[alg]);
		EVP_MD_CTX_free(ca->hand[i].hasher);
	}
	EVP_PKEY_free(ca->evp);
	buf_free(&ca->fixed);
	free(ca);
}

static int digest_seal(const struct issue_ca *ca, unsigned hand, enum hash_alg alg, struct span digest, uint8_t *signature, size_t *n)
{
	if (ca->device.sign != NULL)
		return key_device_sign(&ca->device, ca->key_type, digest, signature, n);
	return EVP_PKEY_sign(ca->hand[hand].signer[alg], signature, n, digest.p, digest.n) > 0 ? 0 : E_PKI_CRYPTO;
}

int issue_ca_seal(const struct issue_ca *ca, unsigned hand, struct span tbs, enum hash_alg alg, struct buf *to)
{
	uint8_t  digest[EVP_MAX_MD_SIZE];
	uint8_t  signature[SEAL_MAX];
	unsigned n_digest = 0;
	size_t   n = sizeof(signature);
	if (ca->evp == NULL || hand >= ISSUE_HANDS)
		return E_PKI_KEY;
	/* the contexts are made once: creating them costs as much as a third of a signature */
	EVP_MD_CTX *hasher = ca->hand[hand].hasher;
	if (EVP_DigestInit_ex2(hasher, key_evp_hash(alg), NULL) <= 0 || EVP_DigestUpdate(hasher, tbs.p, tbs.n) <= 0 ||
	    EVP_DigestFinal_ex(hasher, digest, &n_digest) <= 0) {
		ERR_clear_error();
		return E_PKI_CRYPTO;
	}
	int r = digest_seal(ca, hand, alg, (struct span){digest, n_digest}, signature, &n);
	if (r < 0) {
		ERR_clear_error();
		return r;
	}
	size_t start = to->n;
	size_t mark = der_open(to, DER_SEQUENCE);
	der_put_span(to, tbs);
	der_put_span(to, sig_alg_der(ca->key_type, alg));
	der_put_bits(to, signature, n);
	der_close(to, mark);
	if (buf_error(to) != 0)
		to->n = start;
	return buf_error(to);
}
