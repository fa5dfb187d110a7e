/* fuzz_evidence.c - does the verifier of evidence packs survive any pack, and does it accept one only by the root that it is given?
 * Input: length of a root certificate (two octets, big-endian), the root, a pack as JSON. */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/x509.h>

#include "controller/cli/evidence_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int judge(const json_t *pack, struct span root, struct evidence_report *ret)
{
	struct refusal why = {.code = 0};
	int            r = evidence_verify(pack, root, NULL, 0, ret, &why);
	if (r != 0 && why.code == 0)
		abort(); /* a refusal says why */
	return r;
}

/* The root but for its key: whoever names a CA as another one has made this. NULL: it is not one certificate. */
static uint8_t *another_root(struct span root, size_t *ret_n)
{
	static EVP_PKEY *key;
	const uint8_t   *at = root.p;
	uint8_t         *der = NULL;
	X509            *cert = d2i_X509(NULL, &at, (long)root.n);
	if (key == NULL)
		key = EVP_EC_gen("P-256");
	if (key == NULL)
		abort();
	if (cert != NULL && at == root.p + root.n && X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0) {
		int n = i2d_X509(cert, &der);
		if (n <= 0)
			abort();
		*ret_n = (size_t)n;
	}
	X509_free(cert);
	return der;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t n = (size_t)data[0] << 8 | data[1];
	if (n > size - 2)
		return 0;
	json_t *pack = json_loadb((const char *)data + 2 + n, size - 2 - n, JSON_REJECT_DUPLICATES, NULL);
	if (pack == NULL)
		return 0;

	struct evidence_report report, again, none;
	uint8_t               *root = malloc(n + 1); /* of its own, so that a read beyond it is seen */
	if (root == NULL)
		abort();
	memcpy(root, data + 2, n);
	if (judge(pack, (struct span){root, n}, &report) == 0) {
		if (judge(pack, (struct span){root, n}, &again) != 0 || again.records != report.records || again.head_size != report.head_size)
			abort();
		if (judge(pack, (struct span){NULL, 0}, &none) == 0)
			abort();
		size_t   n_other = 0;
		uint8_t *other = another_root((struct span){root, n}, &n_other);
		if (other != NULL && judge(pack, (struct span){other, n_other}, &none) == 0)
			abort();
		OPENSSL_free(other);
	}
	free(root);
	json_decref(pack);
	return 0;
}
