/* cert_pem.c - room shared/pki: certificates and revocation lists as PEM text (RFC 7468), and DER concatenations.
 * Never: judging what is inside; private keys. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "shared/pki/issue.h"
#include "shared/pki/der.h"

enum { PEM_LINE = 48, CERTS_MAX = 16, PEM_MAX = 262144 };

bool der_next(struct span *rest, struct span *ret_one)
{
	struct der  d = der_of(*rest);
	struct span one = der_whole(&d, DER_SEQUENCE);
	if (d.bad)
		return false;
	*ret_one = one;
	*rest = (struct span){d.p, d.n};
	return true;
}

static int pem_add(const char *label, struct span der, struct buf *to)
{
	buf_add_text(to, "-----BEGIN ");
	buf_add_text(to, label);
	buf_add_text(to, "-----\n");
	for (size_t at = 0; at < der.n; at += PEM_LINE) {
		char   line[PEM_LINE / 3 * 4 + 1];
		size_t n = der.n - at < PEM_LINE ? der.n - at : PEM_LINE;
		int    r = b64_text(der.p + at, n, line, sizeof(line));
		if (r < 0)
			return r;
		buf_add_text(to, line);
		buf_add_u8(to, '\n');
	}
	buf_add_text(to, "-----END ");
	buf_add_text(to, label);
	buf_add_text(to, "-----\n");
	return buf_error(to);
}

int cert_pem_add(struct span ders, struct buf *to)
{
	struct span one;
	while (der_next(&ders, &one)) {
		int r = pem_add("CERTIFICATE", one, to);
		if (r < 0)
			return r;
	}
	return ders.n == 0 ? 0 : E_PKI_CERT;
}

int crl_pem_add(struct span crl, struct buf *to)
{
	struct span one;
	struct span rest = crl;
	if (!der_next(&rest, &one) || rest.n != 0)
		return E_PKI_CRL;
	return pem_add("X509 CRL", crl, to);
}

/* One PEM block: 0 and its bytes, E_NOT_FOUND at the end. */
static int pem_take(BIO *bio, struct buf *ret_ders)
{
	char          *name = NULL;
	char          *header = NULL;
	unsigned char *bytes = NULL;
	long           n = 0;
	if (PEM_read_bio(bio, &name, &header, &bytes, &n) <= 0) {
		bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
		ERR_clear_error();
		return end ? E_NOT_FOUND : E_PKI_CERT;
	}
	int         r = 0;
	struct span one;
	struct span rest = {bytes, (size_t)n};
	if (strcmp(name, "CERTIFICATE") != 0 || header[0] != '\0' || !der_next(&rest, &one) || rest.n != 0 ||
	    one.n > CERT_DER_MAX)
		r = E_PKI_CERT;
	if (r == 0) {
		buf_add(ret_ders, one.p, one.n);
		r = buf_error(ret_ders);
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(bytes);
	return r;
}

int cert_from_pem(struct span pem, struct buf *ret_ders)
{
	if (pem.n == 0 || pem.n > PEM_MAX)
		return pem.n == 0 ? E_PKI_CERT : E_FULL;
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		return E_NOMEM;
	size_t start = ret_ders->n;
	size_t found = 0;
	int    r;
	while ((r = pem_take(bio, ret_ders)) == 0)
		if (++found > CERTS_MAX) {
			r = E_FULL;
			break;
		}
	BIO_free(bio);
	if (r == E_NOT_FOUND)
		r = found > 0 ? 0 : E_PKI_CERT;
	if (r < 0)
		ret_ders->n = start; /* untouched on failure */
	return r;
}
